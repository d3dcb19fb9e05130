//! The program's heap: upward from its start, so that whatever frame a transaction asks for is used.
//!
//! Solana's own allocator begins at the end of 32 KiB and never sees the rest of a larger frame
//! (`ComputeBudgetInstruction::request_heap_frame`, up to [`MAX_FRAME`] bytes). A state step on an
//! input of 16 KiB needs more than 32. This one also takes back what was allocated last, and lets it
//! grow where it is, which is how bytes are read into a vector.
//!
//! A program cannot ask how large its frame is. One that is too small for a proof fails when memory past it
//! is touched; what asked for nothing fits 32 KiB.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

/// The largest heap frame that a transaction may ask for.
pub const MAX_FRAME: usize = 256 * 1024;

/// Memory from `start` on, the first word of which says where the free part begins; at first it is
/// zero. Only one thread may use it.
pub struct Upward {
    start: usize,
    len: usize,
}

impl Upward {
    /// The word that says where the free part begins.
    fn free(&self) -> *mut usize {
        self.start as *mut usize
    }

    /// The end of a block of this size from `at` on, if it is inside.
    fn end(&self, at: usize, size: usize) -> Option<usize> {
        let end = at.checked_add(size)?;
        (end <= self.start.checked_add(self.len)?).then_some(end)
    }
}

// SAFETY: blocks are inside of the memory, aligned, and never overlap: each begins where the free part
// did, which then begins at its end. It goes back only to the start of the block that ends there.
unsafe impl GlobalAlloc for Upward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the first word is the allocator's own, and nobody else runs.
        let free = unsafe { *self.free() }.max(self.start + size_of::<usize>());
        let block = free
            .checked_next_multiple_of(layout.align())
            .and_then(|at| Some((at, self.end(at, layout.size())?)));
        let Some((at, end)) = block else {
            return null_mut();
        };
        // SAFETY: as above.
        unsafe { *self.free() = end };
        at as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let at = block as usize;
        // SAFETY: as above.
        if unsafe { *self.free() } == at.wrapping_add(layout.size()) {
            // SAFETY: as above.
            unsafe { *self.free() = at };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let at = block as usize;
        // SAFETY: as above.
        if unsafe { *self.free() } == at.wrapping_add(layout.size()) {
            let Some(end) = self.end(at, size) else {
                return null_mut();
            };
            // SAFETY: as above.
            unsafe { *self.free() = end };
            return block;
        }
        // SAFETY: the caller promises that the size is one of a layout.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as the caller promises.
        let to = unsafe { self.alloc(new) };
        if !to.is_null() {
            // SAFETY: both blocks have so many bytes, and they do not overlap.
            unsafe { to.copy_from_nonoverlapping(block, size.min(layout.size())) };
        }
        to
    }
}

#[cfg(all(
    target_os = "solana",
    feature = "custom-heap",
    not(feature = "no-entrypoint")
))]
#[global_allocator]
static HEAP: Upward = Upward {
    start: anchor_lang::solana_program::entrypoint::HEAP_START_ADDRESS as usize,
    len: MAX_FRAME,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: usize, test: impl FnOnce(&Upward)) {
        let mut memory = vec![0usize; words];
        test(&Upward {
            start: memory.as_mut_ptr() as usize,
            len: words * size_of::<usize>(),
        });
    }

    fn bytes(size: usize) -> Layout {
        Layout::from_size_align(size, 1).unwrap()
    }

    #[test]
    fn blocks_are_aligned_apart_and_inside() {
        with(64, |heap| unsafe {
            let mut end = heap.start + size_of::<usize>();
            for (size, align) in [(1, 1), (8, 8), (3, 2), (40, 16), (0, 1), (5, 4)] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let at = heap.alloc(layout) as usize;
                assert!(at >= end && at.is_multiple_of(align), "{size} {align}");
                end = at + size;
            }
            assert!(heap.alloc(bytes(512)).is_null());
            assert!(heap.alloc(bytes(isize::MAX as usize)).is_null());
            let rest = heap.start + heap.len - end;
            assert!(heap.alloc(bytes(rest + 1)).is_null());
            assert_eq!(heap.alloc(bytes(rest)) as usize, end);
            assert!(heap.alloc(bytes(1)).is_null());
        });
    }

    #[test]
    fn the_last_block_grows_in_place_and_comes_back() {
        with(64, |heap| unsafe {
            let first = heap.alloc(bytes(10));
            first.write_bytes(7, 10);
            assert_eq!(heap.realloc(first, bytes(10), 100), first);
            assert!(heap.realloc(first, bytes(100), 512).is_null());
            let second = heap.alloc(bytes(4));
            assert_eq!(second as usize, first as usize + 100);
            // No longer the last: it is moved with what was in it.
            let moved = heap.realloc(first, bytes(100), 120);
            assert_eq!(moved as usize, second as usize + 4);
            assert_eq!(core::slice::from_raw_parts(moved, 10), [7; 10]);
            // What is not the last stays.
            heap.dealloc(second, bytes(4));
            assert_eq!(heap.alloc(bytes(1)) as usize, moved as usize + 120);
            heap.dealloc((moved as usize + 120) as *mut u8, bytes(1));
            heap.dealloc(moved, bytes(120));
            assert_eq!(heap.alloc(bytes(1)), moved);
        });
    }
}
