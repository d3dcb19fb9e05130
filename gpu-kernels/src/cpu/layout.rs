//! [`assay_tensor::op::Op::Transpose`] and [`assay_tensor::op::Op::ArgMax`]. A reshape moves
//! nothing: the plan gives its value its operand's place.

use super::step::{Batch, Site, Step, dims};
use assay_tensor::types::{DType, MAX_RANK};

struct Transpose {
    /// The result's dimensions, and for each the elements from one index to the next in the
    /// operand; without those of size one, those that go together merged.
    axes: Vec<(usize, usize)>,
    size: usize,
}

/// Prepares a transposition.
pub(crate) fn prepare_transpose(permutation: &[u8; MAX_RANK], site: &Site) -> Box<dyn Step> {
    let from = site.dims(0);
    let mut strides = vec![1; from.len()];
    for at in (1..from.len()).rev() {
        strides[at - 1] = strides[at] * from[at];
    }
    let mut axes: Vec<(usize, usize)> = Vec::new();
    for (size, from) in dims(&site.result).into_iter().zip(permutation) {
        let stride = strides[usize::from(*from)];
        match axes.last_mut() {
            _ if size == 1 => {}
            Some((outer, outer_stride)) if *outer_stride == stride * size => {
                *outer *= size;
                *outer_stride = stride;
            }
            _ => axes.push((size, stride)),
        }
    }
    Box::new(Transpose {
        axes,
        size: site.result.dtype.size(),
    })
}

impl Step for Transpose {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let x = operands[0].of(request);
            match self.size {
                1 => permute(&self.axes, x.as_chunks::<1>().0, out.as_chunks_mut().0),
                _ => permute(&self.axes, x.as_chunks::<4>().0, out.as_chunks_mut().0),
            }
        }
    }
}

/// Writes the elements of `x` in the order of `axes`.
fn permute<const N: usize>(axes: &[(usize, usize)], x: &[[u8; N]], out: &mut [[u8; N]]) {
    let Some(((inner, stride), outer)) = axes.split_last() else {
        return out.copy_from_slice(x);
    };
    let mut index = [0; MAX_RANK];
    let mut start = 0;
    for run in out.chunks_exact_mut(*inner) {
        if *stride == 1 {
            run.copy_from_slice(&x[start..start + inner]);
        } else {
            for (to, from) in run.iter_mut().zip(x[start..].iter().step_by(*stride)) {
                *to = *from;
            }
        }
        // The next index of the outer dimensions, the last one fastest.
        for (at, (size, stride)) in index.iter_mut().zip(outer).rev() {
            *at += 1;
            start += stride;
            if *at < *size {
                break;
            }
            start -= size * stride;
            *at = 0;
        }
    }
}

struct ArgMax {
    /// Bytes of a row.
    row: usize,
    dtype: DType,
}

/// Prepares an arg-max.
pub(crate) fn prepare_arg_max(site: &Site) -> Box<dyn Step> {
    let dtype = site.types[0].dtype;
    let row = site.dims(0).last().map_or(1, |row| row * dtype.size());
    Box::new(ArgMax { row, dtype })
}

/// The first index of the largest.
fn first_largest(values: impl Iterator<Item = i32>) -> i32 {
    let mut best = (0, i32::MIN);
    for (index, value) in (0..).zip(values) {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

impl Step for ArgMax {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let rows = operands[0].of(request).chunks_exact(self.row);
            for (row, out) in rows.zip(out.as_chunks_mut::<4>().0) {
                let index = match self.dtype {
                    DType::I8 => first_largest(row.iter().map(|x| i32::from(*x as i8))),
                    DType::I32 => {
                        let words = row.as_chunks::<4>().0.iter();
                        first_largest(words.map(|word| i32::from_le_bytes(*word)))
                    }
                };
                *out = index.to_le_bytes();
            }
        }
    }
}
