//! How far a program's outputs are from another runtime's.

use std::collections::BTreeMap;
use std::fmt;

/// Differences between two runs of one output, element by element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Elements that were compared.
    pub elements: u64,
    /// How many elements differ, by how much they differ.
    pub by_magnitude: BTreeMap<u64, u64>,
}

impl Differences {
    /// Compares two lists of elements.
    ///
    /// # Errors
    /// If the lists are not of one length.
    pub fn add(&mut self, ours: &[i32], theirs: &[i32]) -> Result<(), LengthMismatch> {
        if ours.len() != theirs.len() {
            return Err(LengthMismatch(ours.len(), theirs.len()));
        }
        self.elements += ours.len() as u64;
        for (a, b) in ours.iter().zip(theirs).filter(|(a, b)| a != b) {
            let magnitude = u64::from(a.abs_diff(*b));
            *self.by_magnitude.entry(magnitude).or_default() += 1;
        }
        Ok(())
    }

    /// How many elements differ.
    pub fn differing(&self) -> u64 {
        self.by_magnitude.values().sum()
    }

    /// The largest difference.
    pub fn largest(&self) -> u64 {
        self.by_magnitude.keys().next_back().copied().unwrap_or(0)
    }

    /// The share of elements that are equal; 1 of none.
    pub fn agreement(&self) -> f64 {
        if self.elements == 0 {
            return 1.0;
        }
        1.0 - self.differing() as f64 / self.elements as f64
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differing = self.differing();
        let share = 100.0 * (1.0 - self.agreement());
        write!(
            f,
            "{differing} of {} elements differ ({share:.2} %)",
            self.elements
        )?;
        for (i, (magnitude, count)) in self.by_magnitude.iter().enumerate() {
            let lead = if i == 0 { ": " } else { ", " };
            write!(f, "{lead}{count} by {magnitude}")?;
        }
        Ok(())
    }
}

/// Two lists that were to be compared are not of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} elements cannot be compared with {1}")]
pub struct LengthMismatch(pub usize, pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_magnitude() {
        let mut d = Differences::default();
        d.add(&[1, 2, 3, -4], &[1, 3, 1, -4]).unwrap();
        d.add(&[5], &[4]).unwrap();
        assert_eq!(
            d.to_string(),
            "3 of 5 elements differ (60.00 %): 2 by 1, 1 by 2"
        );
        assert_eq!((d.differing(), d.largest()), (3, 2));
        assert_eq!(d.add(&[1], &[]), Err(LengthMismatch(1, 0)));
        assert_eq!(Differences::default().agreement(), 1.0);
    }
}
