//! The L1 slots in which a batch's data was written.

use crate::constants::{WRITE_SLOT_BYTES, WRITE_SLOTS};
use anchor_lang::prelude::*;

/// The exact slots in which a data account was written.
///
/// `post_batch` checks it against the data account and takes it as an argument, so that it stays on
/// L1 with the header: whoever reads the data fetches the transactions of these slots and no others,
/// however many transactions of strangers name the account.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSlots {
    /// The slot of the first write.
    pub first: u64,
    /// Bit `i % 8` of byte `i / 8` stands for slot `first + i`. The last byte is not zero.
    pub bitmap: Vec<u8>,
}

impl WriteSlots {
    /// The slots in a bitmap with or without zeros at its end.
    pub fn new(first: u64, bitmap: &[u8]) -> Self {
        Self {
            first,
            bitmap: trimmed(bitmap).to_vec(),
        }
    }

    /// Whether the account was written in `slot`.
    pub fn contains(&self, slot: u64) -> bool {
        let place = slot.checked_sub(self.first).map(place);
        place.is_some_and(|(byte, bit)| self.bitmap.get(byte).is_some_and(|b| b & bit != 0))
    }

    /// The slots, oldest first: at most [`WRITE_SLOTS`].
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> {
        let slots = (0..WRITE_SLOTS).filter_map(|i| self.first.checked_add(i));
        slots
            .filter(|slot| self.contains(*slot))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// A bitmap without the zeros at its end.
pub fn trimmed(bitmap: &[u8]) -> &[u8] {
    let len = bitmap.iter().rposition(|byte| *byte != 0);
    bitmap
        .get(..len.map_or(0, |last| last.saturating_add(1)))
        .unwrap_or(&[])
}

/// The byte of a slot's bit, and the bit. Slots out of range have a byte past every bitmap.
pub fn place(offset: u64) -> (usize, u8) {
    let byte = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    (byte.min(WRITE_SLOT_BYTES), 1 << (offset % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_are_those_whose_bits_are_set() {
        let mut bitmap = [0; WRITE_SLOT_BYTES];
        bitmap[0] = 0b101;
        bitmap[2] = 0x80;
        let slots = WriteSlots::new(40, &bitmap);
        assert_eq!(slots.bitmap.len(), 3);
        assert_eq!(slots.iter().collect::<Vec<_>>(), [40, 42, 63]);
        for slot in 0..100 {
            assert_eq!(slots.contains(slot), [40, 42, 63].contains(&slot));
        }
        assert!(!slots.contains(40 + WRITE_SLOTS) && !slots.contains(u64::MAX));
        assert!(WriteSlots::new(7, &[0; 5]).bitmap.is_empty());
    }
}
