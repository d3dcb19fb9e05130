//! Real scales as dyadic ones.

/// The largest shift of a requantisation.
const MAX_SHIFT: i32 = 62;

/// A real factor as `multiplier / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dyadic {
    /// In `0..2^31`.
    pub multiplier: i32,
    /// In `1..=62`.
    pub shift: u8,
}

/// The largest shift with which `real`'s multiplier stays below 2^31; `None` if there is none, or
/// `real` is not a finite positive number.
fn best_shift(real: f64) -> Option<i32> {
    if !(real.is_finite() && real > 0.0) {
        return None;
    }
    let mut shift = MAX_SHIFT;
    // Multiplying by a power of two is exact, so this is the one rounding.
    while shift > 0 && scaled(real, shift) > f64::from(i32::MAX) {
        shift -= 1;
    }
    (shift > 0).then_some(shift)
}

fn scaled(real: f64, shift: i32) -> f64 {
    (real * 2f64.powi(shift)).round()
}

impl Dyadic {
    /// The nearest dyadic number with a 31-bit multiplier: its error is below `2^-31` of `real`,
    /// or below `2^-63` where `real` is tiny. `None` if `real` is not positive, not finite or `2^30` and more.
    pub fn nearest(real: f64) -> Option<Self> {
        let shift = best_shift(real)?;
        Some(Self {
            multiplier: scaled(real, shift) as i32,
            shift: shift as u8,
        })
    }

    /// Two factors of magnitudes below `2^30` over one shift, the best for the larger: `(a, b, shift)`.
    pub fn pair(a: f64, b: f64) -> Option<(i32, i32, u8)> {
        let shift = best_shift(a.abs().max(b.abs()))?;
        Some((
            scaled(a, shift) as i32,
            scaled(b, shift) as i32,
            shift as u8,
        ))
    }
}

/// What `QuantizeLinear` computes, in `f32` as onnxruntime does:
/// `clamp(round_half_even(real / scale) + zero_point, -128, 127)`; `None` of a NaN.
pub(crate) fn quantise(real: f32, scale: f32, zero_point: i32) -> Option<i8> {
    let rounded = (real / scale).round_ties_even();
    if rounded.is_nan() {
        return None;
    }
    // A float cast saturates.
    let shifted = i64::from(rounded as i32) + i64::from(zero_point);
    Some(shifted.clamp(-128, 127) as i8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_uses_31_bits() {
        for real in [1.0, 0.5, 0.1, 3.0e-7, 123.456, 1e8] {
            let d = Dyadic::nearest(real).unwrap();
            assert!(d.multiplier >= 1 << 30, "{real}: {d:?}");
            let back = f64::from(d.multiplier) / 2f64.powi(i32::from(d.shift));
            assert!((back / real - 1.0).abs() <= 2f64.powi(-31), "{real}: {d:?}");
        }
        assert_eq!(
            Dyadic::nearest(1.0),
            Some(Dyadic {
                multiplier: 1 << 30,
                shift: 30
            })
        );
    }

    #[test]
    fn a_multiplier_that_rounds_up_to_the_next_power_takes_a_smaller_shift() {
        let just_below_one = 1.0 - 2f64.powi(-40);
        assert_eq!(Dyadic::nearest(just_below_one), Dyadic::nearest(1.0));
    }

    #[test]
    fn tiny_and_huge() {
        assert_eq!(
            Dyadic::nearest(2f64.powi(-62)),
            Some(Dyadic {
                multiplier: 1,
                shift: 62
            })
        );
        assert_eq!(Dyadic::nearest(1e-30).map(|d| d.multiplier), Some(0));
        for real in [0.0, -1.0, f64::NAN, f64::INFINITY, 2f64.powi(31)] {
            assert_eq!(Dyadic::nearest(real), None, "{real}");
        }
    }

    #[test]
    fn a_pair_shares_its_shift() {
        assert_eq!(Dyadic::pair(1.0, -0.25), Some((1 << 30, -(1 << 28), 30)));
    }

    #[test]
    fn quantise_rounds_half_to_even_and_saturates() {
        assert_eq!(quantise(2.5, 1.0, 0), Some(2));
        assert_eq!(quantise(3.5, 1.0, 0), Some(4));
        assert_eq!(quantise(-2.5, 1.0, 3), Some(1));
        assert_eq!(quantise(1e30, 1.0, -5), Some(127));
        assert_eq!(quantise(f32::NEG_INFINITY, 1.0, 9), Some(-128));
        assert_eq!(quantise(f32::NAN, 1.0, 0), None);
    }
}
