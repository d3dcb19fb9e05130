//! The operators on whole tensors, written straight from their documentation: loops over
//! indices, 128-bit arithmetic, nothing shared with the crate but its types.

use assay_tensor::op::{Epilogue, Op, OutputRange, Window};
use assay_tensor::types::{DType, Tensor, TensorType};

type Wide = i128;

fn get(t: &Tensor, index: &[i64]) -> Option<Wide> {
    let dims = t.ty().shape.dims();
    let mut at = 0u64;
    for (i, d) in index.iter().zip(dims) {
        if *i < 0 || *i >= i64::from(*d) {
            return None;
        }
        at = at * u64::from(*d) + *i as u64;
    }
    t.get(at).map(Wide::from)
}

/// Every index of a shape, in row-major order.
fn indices(dims: &[u32]) -> Vec<Vec<i64>> {
    dims.iter().fold(vec![vec![]], |all, d| {
        let longer = |index: &Vec<i64>| {
            let index = index.clone();
            (0..i64::from(*d)).map(move |i| [index.clone(), vec![i]].concat())
        };
        all.iter().flat_map(longer).collect()
    })
}

fn wrap(x: Wide) -> Wide {
    let m = x.rem_euclid(1 << 32);
    if m >= 1 << 31 { m - (1 << 32) } else { m }
}

fn scaled(x: Wide, shift: Wide, range: &OutputRange) -> Wide {
    let rounded = (x + (1 << (shift - 1))).div_euclid(1 << shift) + Wide::from(range.zero_point);
    rounded.clamp(range.lo.into(), range.hi.into())
}

fn epilogue(e: &Epilogue, sum: Wide, channel: i64, x: &[&Tensor]) -> Wide {
    let acc = wrap(sum + get(x[2], &[channel]).unwrap());
    match e {
        Epilogue::Accumulate => acc,
        Epilogue::Requant(range) => {
            let multiplier = get(x[3], &[channel, 0]).unwrap().rem_euclid(1 << 31);
            let shift = get(x[3], &[channel, 1]).unwrap().clamp(1, 62);
            scaled(acc * multiplier, shift, range)
        }
    }
}

/// The taps of one window: kernel indices, the image's value where inside.
fn taps(x: &Tensor, w: &Window, at: &[i64], channel: i64) -> Vec<([i64; 2], Option<Wide>)> {
    let position = |axis: usize, tap: i64| {
        at[axis + 1] * i64::from(w.strides[axis]) + tap * i64::from(w.dilations[axis])
            - i64::from(w.pads[axis])
    };
    indices(&w.kernel)
        .iter()
        .map(|tap| {
            let pixel = [at[0], position(0, tap[0]), position(1, tap[1]), channel];
            ([tap[0], tap[1]], get(x, &pixel))
        })
        .collect()
}

/// The value that `op` defines, of type `result`, from whole operands.
pub fn apply(op: &Op, x: &[&Tensor], result: TensorType) -> Tensor {
    let dims = result.shape.dims();
    let values = indices(dims).into_iter().map(|at| match op {
        Op::MatMul(e) => {
            let (row, n) = at.split_at(at.len() - 1);
            let inner = x[1].ty().shape.dims()[1];
            let product = |k| {
                let a = get(x[0], &[row, &[k]].concat()).unwrap();
                a * get(x[1], &[n[0], k]).unwrap()
            };
            epilogue(e, (0..i64::from(inner)).map(product).sum(), n[0], x)
        }
        Op::Conv2d {
            window,
            groups,
            pad_value,
            epilogue: e,
        } => {
            let (o, filters) = (at[3], x[1].ty().shape.dims()[0]);
            let per_group = i64::from(x[1].ty().shape.dims()[3]);
            let group = o / i64::from(filters / groups);
            let mut sum = 0;
            for c in 0..per_group {
                for ([u, v], value) in taps(x[0], window, &at, group * per_group + c) {
                    let weight = get(x[1], &[o, u, v, c]).unwrap();
                    sum += value.unwrap_or(Wide::from(*pad_value)) * weight;
                }
            }
            epilogue(e, sum, o, x)
        }
        Op::Add {
            multiplier_a,
            multiplier_b,
            offset,
            shift,
            range,
        } => {
            let a = get(x[0], &at).unwrap();
            let b = get(x[1], &at[at.len() - x[1].ty().shape.rank()..]).unwrap();
            let sum =
                a * Wide::from(*multiplier_a) + b * Wide::from(*multiplier_b) + Wide::from(*offset);
            scaled(sum, Wide::from(*shift), range)
        }
        Op::Lookup => {
            let entry = get(x[0], &at).unwrap() + 128;
            get(x[1], &[entry as i64]).unwrap()
        }
        Op::MaxPool2d(window) => taps(x[0], window, &at, at[3])
            .into_iter()
            .filter_map(|(_, value)| value)
            .max()
            .unwrap_or(-128),
        Op::AvgPool2d {
            window,
            pad_value,
            offset,
            requant,
        } => {
            let taps = taps(x[0], window, &at, at[3]).into_iter();
            let sum: Wide = taps
                .map(|(_, value)| value.unwrap_or(Wide::from(*pad_value)))
                .sum();
            let acc = wrap(sum + Wide::from(*offset));
            scaled(
                acc * Wide::from(requant.multiplier),
                Wide::from(requant.shift),
                &requant.range,
            )
        }
        Op::Reshape(_) | Op::Transpose(_) | Op::ArgMax => 0,
    });
    let values: Vec<Wide> = match op {
        Op::Reshape(_) => indices(x[0].ty().shape.dims())
            .iter()
            .map(|at| get(x[0], at).unwrap())
            .collect(),
        Op::Transpose(permutation) => indices(dims)
            .iter()
            .map(|at| {
                let mut from = vec![0; at.len()];
                for (d, i) in at.iter().enumerate() {
                    from[usize::from(permutation[d])] = *i;
                }
                get(x[0], &from).unwrap()
            })
            .collect(),
        Op::ArgMax => indices(dims)
            .iter()
            .map(|at| {
                let row = i64::from(*x[0].ty().shape.dims().last().unwrap());
                let value = |k: &i64| get(x[0], &[&at[..], &[*k]].concat()).unwrap();
                let best = (0..row).map(|k| value(&k)).max().unwrap();
                (0..row).find(|k| value(k) == best).unwrap().into()
            })
            .collect(),
        _ => values.collect(),
    };
    let data = values
        .into_iter()
        .flat_map(|v| match result.dtype {
            DType::I8 => i8::try_from(v).unwrap().to_le_bytes().to_vec(),
            DType::I32 => i32::try_from(v).unwrap().to_le_bytes().to_vec(),
        })
        .collect();
    Tensor::new(result, data).unwrap()
}
