//! [`assay_tensor::op::Op::Add`] and [`assay_tensor::op::Op::Lookup`].

use super::kernel::{Kernel, for_each_kernel};
use super::step::{Batch, Site, Step};
use assay_tensor::op::OutputRange;

/// An addition's attributes.
#[derive(Clone, Copy)]
pub(crate) struct Sum {
    pub multiplier_a: i32,
    pub multiplier_b: i32,
    pub offset: i64,
    pub shift: u8,
    pub range: OutputRange,
}

struct Add(Kernel, Sum);

/// Prepares an addition.
pub(crate) fn prepare_add(sum: Sum, site: &Site) -> Box<dyn Step> {
    Box::new(Add(site.kernel, sum))
}

for_each_kernel! {
    /// `a` and `b` of one length.
    fn add(sum: Sum, a: &[u8], b: &[u8], out: &mut [u8]) {
        let Sum { multiplier_a, multiplier_b, offset, shift, range } = sum;
        let (multiplier_a, multiplier_b) = (i64::from(multiplier_a), i64::from(multiplier_b));
        let shift = shift & 63;
        let offset = offset + (1 << (shift - 1));
        let zero_point = i64::from(range.zero_point);
        let (lo, hi) = (i64::from(range.lo), i64::from(range.hi));
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            let (a, b) = (i64::from(*a as i8), i64::from(*b as i8));
            let sum = a * multiplier_a + b * multiplier_b + offset;
            *out = ((sum >> shift) + zero_point).max(lo).min(hi) as u8;
        }
    }
}

impl Step for Add {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let (a, b) = (operands[0].of(request), operands[1].of(request));
            // `b` repeats along the leading dimensions that it lacks.
            for (a, out) in a.chunks_exact(b.len()).zip(out.chunks_exact_mut(b.len())) {
                add(self.0, self.1, a, b, out);
            }
        }
    }
}

struct Lookup;

/// Prepares a table.
pub(crate) fn prepare_lookup() -> Box<dyn Step> {
    Box::new(Lookup)
}

impl Step for Lookup {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let (x, table) = (operands[0].of(request), operands[1].of(request));
            let Some(table) = table.first_chunk::<256>() else {
                return;
            };
            for (out, x) in out.iter_mut().zip(x) {
                *out = table[usize::from(x ^ 0x80)];
            }
        }
    }
}
