//! The program's heap: as the runtime's own allocator it takes nothing back, and it counts.
//!
//! The first words of the heap's 32 KiB are the next free address and the most that was taken; both begin as
//! zero, as all of the heap does.

#[cfg(target_os = "solana")]
mod on_chain {
    use core::alloc::{GlobalAlloc, Layout};
    use core::ptr::null_mut;

    const START: usize = 0x3_0000_0000;
    const FIRST: usize = START + 16;
    const END: usize = START + 32 * 1024;

    struct Heap;

    #[global_allocator]
    static HEAP: Heap = Heap;

    fn next() -> *mut usize {
        START as *mut usize
    }

    fn end_of_most() -> *mut usize {
        (START + 8) as *mut usize
    }

    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let free = unsafe { *next() }.max(FIRST);
            let at = free.next_multiple_of(layout.align());
            match at.checked_add(layout.size()) {
                Some(end) if end <= END => {
                    unsafe {
                        *next() = end;
                        *end_of_most() = end.max(*end_of_most());
                    }
                    at as *mut u8
                }
                _ => null_mut(),
            }
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    pub fn anew<T: Copy>(f: impl FnOnce() -> T) -> T {
        let free = unsafe { *next() };
        let result = f();
        // The result owns nothing, so that nobody holds what was allocated in between.
        unsafe { *next() = free };
        result
    }

    pub fn most() -> u32 {
        unsafe { *end_of_most() }.saturating_sub(FIRST) as u32
    }
}

#[cfg(target_os = "solana")]
pub(crate) use on_chain::{anew, most};

/// Runs `f`, whose heap is free again afterwards.
#[cfg(not(target_os = "solana"))]
pub(crate) fn anew<T: Copy>(f: impl FnOnce() -> T) -> T {
    f()
}
