//! Where the junk of an account is: in which slots, and at which places of the account's list.
//!
//! Junk is numbered in the order of its slots' first appearance. What was once listed keeps its
//! slot and its neighbours, as on a real node: the list is of slots that are over, and grows at its
//! new end only.

use std::ops::Range;

/// Slots over which the junk is spread that is older, or newer, than the honest transactions.
pub const SPREAD: u64 = 4;

/// The junk of an account.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Transactions in all.
    junk: u32,
    /// The slot in which the attack began: junk is in later ones.
    begun: u64,
    /// Numbers that each of the next slots with honest transactions takes, and how many such slots
    /// may.
    each: u32,
    left: u32,
    /// Slots with junk, oldest first, and the numbers that are in them.
    pieces: Vec<(u64, Range<u32>)>,
}

/// A part of an account's list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Junk of these numbers in a slot, the highest first.
    Junk(u64, Range<u32>),
    /// The honest transaction at this place among the honest ones, newest first.
    Honest(usize),
}

impl Span {
    /// Entries in it.
    pub fn len(&self) -> usize {
        match self {
            Self::Junk(_, numbers) => numbers.len(),
            Self::Honest(_) => 1,
        }
    }
}

impl Layout {
    /// So much junk from slot `begun` on: a quarter in the slots after it, half in the slots of the
    /// next honest transactions, of which there are `slots` or more; the rest when [`Layout::end`]
    /// says so.
    pub fn new(junk: u32, begun: u64, slots: u32) -> Self {
        let mut layout = Self {
            junk,
            begun,
            each: junk / 2 / slots.max(1),
            left: slots,
            pieces: Vec::new(),
        };
        layout.spread(begun, 0..junk / 4);
        layout
    }

    /// The first slot whose honest transactions junk goes beside.
    pub fn ready(&self) -> u64 {
        self.begun + SPREAD + 1
    }

    /// The rest of the junk is in the slots after this one.
    pub fn end(&mut self, slot: u64) {
        let slot = self.pieces.last().map_or(slot, |(last, _)| slot.max(*last));
        self.left = 0;
        self.spread(slot, self.used()..self.junk);
    }

    /// Takes note of the slots of the honest transactions, oldest first.
    pub fn honest(&mut self, slots: impl Iterator<Item = u64>) {
        for slot in slots {
            let last = self.pieces.last().map_or(self.begun, |(last, _)| *last);
            if self.left == 0 || self.each == 0 || slot < self.ready() || slot <= last {
                continue;
            }
            self.left -= 1;
            let first = self.used();
            self.pieces.push((slot, first..first + self.each));
        }
    }

    /// The slot of the junk of this number, if it is anywhere yet.
    pub fn slot(&self, number: u32) -> Option<u64> {
        let mut pieces = self.pieces.iter();
        let piece = pieces.find(|(_, numbers)| numbers.contains(&number));
        piece.map(|(slot, _)| *slot)
    }

    /// The numbers of the junk in a slot.
    pub fn in_slot(&self, slot: u64) -> Range<u32> {
        let mut pieces = self.pieces.iter();
        let piece = pieces.find(|(at, _)| *at == slot);
        piece.map_or(0..0, |(_, numbers)| numbers.clone())
    }

    /// The account's list up to slot `newest`: honest transactions are in `slots`, newest first. In
    /// a slot with both, the honest ones are in the middle of the junk.
    pub fn list(&self, newest: u64, slots: &[u64]) -> Vec<Span> {
        let mut list = Vec::new();
        let mut honest = slots.iter().copied().enumerate().peekable();
        let pieces = self.pieces.iter().rev();
        for (slot, numbers) in pieces.filter(|(slot, _)| *slot <= newest) {
            while let Some((at, _)) = honest.next_if(|(_, of)| of > slot) {
                list.push(Span::Honest(at));
            }
            let mut beside = Vec::new();
            while let Some((at, _)) = honest.next_if(|(_, of)| of == slot) {
                beside.push(at);
            }
            let parts = beside.len() as u32 + 1;
            let mut end = numbers.end;
            for (part, at) in (1..).zip(beside.iter().map(Some).chain([None])) {
                let first = numbers.end
                    - (u64::from(numbers.end - numbers.start) * part / u64::from(parts)) as u32;
                list.push(Span::Junk(*slot, first..end));
                end = first;
                list.extend(at.map(|at| Span::Honest(*at)));
            }
        }
        list.extend(honest.map(|(at, _)| Span::Honest(at)));
        list
    }

    fn used(&self) -> u32 {
        self.pieces.last().map_or(0, |(_, numbers)| numbers.end)
    }

    /// Spreads these numbers over the slots after this one.
    fn spread(&mut self, slot: u64, numbers: Range<u32>) {
        let count = u64::from(numbers.end.saturating_sub(numbers.start));
        let place = |part: u64| numbers.start + (count * part / SPREAD) as u32;
        for part in 0..SPREAD {
            let numbers = place(part)..place(part + 1);
            if !numbers.is_empty() {
                self.pieces.push((slot + 1 + part, numbers));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &[Span]) -> Vec<u32> {
        let junk = list.iter().filter_map(|span| match span {
            Span::Junk(_, numbers) => Some(numbers.clone().rev()),
            Span::Honest(_) => None,
        });
        junk.flatten().collect()
    }

    #[test]
    fn every_number_is_once_in_the_list_around_the_honest_transactions() {
        let mut layout = Layout::new(100, 10, 2);
        assert_eq!(layout.ready(), 15);
        // Those in slots 12 and 40 are not of the two that junk goes beside.
        let honest = [40, 30, 20, 20, 12];
        layout.honest(honest.iter().rev().copied());
        let list = layout.list(50, &honest);
        assert_eq!(numbers(&list), (0..75).rev().collect::<Vec<_>>());
        assert_eq!(
            list[..9],
            [
                Span::Honest(0),
                Span::Junk(30, 63..75),
                Span::Honest(1),
                Span::Junk(30, 50..63),
                Span::Junk(20, 42..50),
                Span::Honest(2),
                Span::Junk(20, 34..42),
                Span::Honest(3),
                Span::Junk(20, 25..34),
            ]
        );
        assert_eq!(
            list.iter()
                .filter(|span| matches!(span, Span::Honest(_)))
                .count(),
            5
        );
        assert_eq!((layout.slot(0), layout.slot(74)), (Some(11), Some(30)));
        assert_eq!(layout.slot(75), None);
        assert_eq!(layout.in_slot(30), 50..75);

        // The list grows at its new end only.
        layout.end(41);
        layout.honest([44].into_iter());
        let later = layout.list(50, &[44, 40, 30, 20, 20, 12]);
        assert_eq!(numbers(&later), (0..100).rev().collect::<Vec<_>>());
        assert_eq!(numbers(&layout.list(41, &honest)), numbers(&list));
        assert!(numbers(&later).ends_with(&numbers(&list)));
    }

    #[test]
    fn slots_that_are_not_over_are_not_listed() {
        let layout = Layout::new(8, 10, 1);
        assert_eq!(numbers(&layout.list(12, &[])), [0]);
        assert_eq!(numbers(&layout.list(14, &[])), [1, 0]);
        assert_eq!(Layout::new(0, 10, 1).list(20, &[7]), [Span::Honest(0)]);
    }
}
