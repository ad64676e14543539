//! Fuzzes what a server of Kafka answers: whatever bytes an answer holds, reading ends without a panic, and never takes more
//! memory than a small multiple of its length. The first byte says which request it is the answer to.
#![no_main]

use ductape::kafka_fuzzing::read_answer;
use libfuzzer_sys::fuzz_target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bytes that may be taken at once for each byte of an answer: lists of short elements grow by doubling.
const BYTES_FOR_EACH: usize = 40;
/// Bytes for what does not depend on the answer, such as messages.
const BYTES_FOR_ALL: usize = 16 << 10;

/// Counts what this thread has taken and not given back, and the most that it was.
struct Counting;

thread_local! {
    static TAKEN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(taken: usize, given_back: usize) {
    let _ = TAKEN.try_with(|counts| {
        let (now, most) = counts.get();
        let now = now.saturating_add(taken);
        counts.set((now.saturating_sub(given_back), most.max(now)));
    });
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, answer)) = bytes.split_first() else { return };
    TAKEN.set((0, 0));
    let read = read_answer(kind % 12, answer);
    let (_, most) = TAKEN.get();
    drop(read);
    let allowed = BYTES_FOR_ALL + BYTES_FOR_EACH * answer.len();
    assert!(most <= allowed, "{most} bytes were taken for {} bytes", answer.len());
});
