//! From accumulators to results.

use assay_tensor::op::{Epilogue, OutputRange};

/// What becomes of each output channel's sums, channels padded to whole panels with zeros.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    /// Added to the sums, wrapping: the bias, and what the kernel's biased activations need.
    pub offset: Vec<i32>,
    pub scale: Option<Scale>,
}

/// Requantisation of each channel.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// In `0..2^31`.
    multiplier: Vec<i32>,
    /// In `1..=62`.
    shift: Vec<i64>,
    /// `2^(shift - 1)`.
    half: Vec<i64>,
    zero_point: i64,
    lo: i64,
    hi: i64,
}

impl Channels {
    /// Of `bias: i32[channels]` and `scales: i32[channels, 2]` (absent where the epilogue takes
    /// none), from channel `first` on, `count` of them, padded to a multiple of `width`.
    pub(crate) fn new(
        epilogue: &Epilogue,
        bias: &[u8],
        scales: &[u8],
        first: usize,
        count: usize,
        width: usize,
    ) -> Self {
        let padded = count.next_multiple_of(width);
        let word = |bytes: &[u8], at: usize| {
            let bytes = bytes.get(at * 4..at * 4 + 4);
            bytes.map_or(0, |b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        };
        let channel = |i: usize| (i < count).then_some(first + i);
        let offset = (0..padded).map(|i| channel(i).map_or(0, |c| word(bias, c)));
        let scale = match epilogue {
            Epilogue::Accumulate => None,
            Epilogue::Requant(range) => {
                let multiplier =
                    (0..padded).map(|i| channel(i).map_or(0, |c| word(scales, 2 * c) & i32::MAX));
                let shift = (0..padded)
                    .map(|i| channel(i).map_or(1, |c| word(scales, 2 * c + 1).clamp(1, 62)))
                    .map(i64::from);
                Some(Scale::new(multiplier.collect(), shift.collect(), range))
            }
        };
        Self {
            offset: offset.collect(),
            scale,
        }
    }
}

impl Scale {
    fn new(multiplier: Vec<i32>, shift: Vec<i64>, range: &OutputRange) -> Self {
        Self {
            half: shift.iter().map(|s| 1i64 << (s - 1)).collect(),
            multiplier,
            shift,
            zero_point: i64::from(range.zero_point),
            lo: i64::from(range.lo),
            hi: i64::from(range.hi),
        }
    }

    /// Requantises the accumulators of channels `first..first + W`.
    #[inline(always)]
    pub(crate) fn apply<const W: usize>(&self, acc: &[i32; W], first: usize) -> [u8; W] {
        let multiplier: &[i32; W] = part(&self.multiplier, first);
        let shift: &[i64; W] = part(&self.shift, first);
        let half: &[i64; W] = part(&self.half, first);
        let mut out = [0; W];
        for i in 0..W {
            let product = i64::from(acc[i]) * i64::from(multiplier[i]);
            // The mask changes nothing; it spares the compiler a check.
            let scaled = (product + half[i]) >> (shift[i] & 63);
            out[i] = (scaled + self.zero_point).max(self.lo).min(self.hi) as u8;
        }
        out
    }
}

/// `N` elements of `slice` from `first` on.
#[inline(always)]
pub(crate) fn part<T, const N: usize>(slice: &[T], first: usize) -> &[T; N] {
    slice[first..]
        .first_chunk()
        .expect("channels are padded to whole panels")
}
