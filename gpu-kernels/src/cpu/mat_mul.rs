//! [`assay_tensor::op::Op::MatMul`]: the batch's rows are one matrix's.

use super::epilogue::Channels;
use super::gemm::{GROUP_BYTES, Layout, Left, Offsets, Right, SLACK, Weights, convert, multiply};
use super::kernel::Kernel;
use super::step::{Batch, Site, Step, buffer};
use assay_tensor::op::Epilogue;

/// Rows converted and multiplied at a time, so that they stay in the cache.
const BLOCK: usize = 240;

struct MatMul {
    kernel: Kernel,
    epilogue: Epilogue,
    inner: usize,
    columns: usize,
    /// Absent where an operand is a value: packed for each request then.
    weights: Option<Weights>,
    rows: Offsets,
    segments: Offsets,
}

/// Prepares a matrix product.
pub(crate) fn prepare(epilogue: &Epilogue, site: &Site) -> Box<dyn Step> {
    let [columns, inner] = site.dims(1)[..] else {
        unreachable!("the check passed")
    };
    let layout = Layout::of(site.kernel);
    let row_bytes = layout.groups(inner) * GROUP_BYTES;
    let mut step = MatMul {
        kernel: site.kernel,
        epilogue: *epilogue,
        inner,
        columns,
        weights: None,
        rows: Offsets::new((0..BLOCK).map(|row| row * row_bytes).collect()),
        segments: Offsets::new(vec![0]),
    };
    step.weights = site.known_from(1).map(|known| step.pack(&known));
    Box::new(step)
}

impl MatMul {
    /// Packs `b`, the bias and, where there are any, the scales.
    fn pack(&self, operands: &[&[u8]]) -> Weights {
        let scales = operands.get(2).copied().unwrap_or(&[]);
        let channels =
            |width| Channels::new(&self.epilogue, operands[1], scales, 0, self.columns, width);
        Weights::pack(
            self.kernel,
            operands[0],
            self.columns,
            1,
            self.inner,
            channels,
        )
    }

    fn multiply(&self, weights: &Weights, a: &[u8], out: &mut [u8], scratch: &mut Vec<u8>) {
        let layout = Layout::of(self.kernel);
        let row_bytes = layout.groups(self.inner) * GROUP_BYTES;
        let tight = self.inner * layout.element() == row_bytes;
        let rows = a.len() / self.inner;
        let out_row = out.len() / rows;
        for (a, out) in a
            .chunks(BLOCK * self.inner)
            .zip(out.chunks_mut(BLOCK * out_row))
        {
            let rows = a.len() / self.inner;
            let data = buffer(scratch, rows * row_bytes + SLACK);
            if tight {
                convert(self.kernel, a, data);
            } else {
                let to = data.chunks_exact_mut(row_bytes);
                for (from, to) in a.chunks_exact(self.inner).zip(to) {
                    convert(self.kernel, from, to);
                }
            }
            let left = Left {
                data,
                rows: &self.rows,
                segments: &self.segments,
            };
            let right = Right {
                data: out,
                stride: self.columns,
                first: 0,
            };
            multiply(left, rows, weights, right);
        }
    }
}

impl Step for MatMul {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], scratch: &mut Vec<u8>) {
        let a = operands[0];
        if let (Some(weights), false) = (&self.weights, a.shared) {
            return self.multiply(weights, &a.data[..batch * a.bytes], out, scratch);
        }
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let packed;
            let weights = match &self.weights {
                Some(weights) => weights,
                None => {
                    let rest = operands[1..].iter().map(|operand| operand.of(request));
                    packed = self.pack(&rest.collect::<Vec<_>>());
                    &packed
                }
            };
            self.multiply(weights, a.of(request), out, scratch);
        }
    }
}
