//! The process' heap, which is to be as large as what is being answered, and not as what once was.
//!
//! # Safety
//!
//! `malloc_trim` may be called at any time by any thread.
#![allow(unsafe_code, reason = "std has no name for what gives a heap back; see Safety above")]

/// Gives the system the pages in which nothing is allocated. By itself glibc's malloc does so only with those at the end of a heap, so that
/// what a burst of requests took stays for as long as anything behind it does. Others' keep less, and have no such call.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: see the module's Safety section.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_pages() -> u64 {
        let numbers = std::fs::read_to_string("/proc/self/statm").unwrap();
        numbers.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_free_below_something_is_given_back() {
        const PIECES: usize = 16 << 10;
        let mut pieces: Vec<Box<[u8; 4000]>> = (0..PIECES).map(|_| Box::new([1; 4000])).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident_pages();
        give_back();
        let after = resident_pages();
        assert!(after + PIECES as u64 / 2 < before, "{before} pages before, {after} after");
        drop(last);
    }
}
