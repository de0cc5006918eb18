//! What archives made to eat memory can eat, counted by the allocator.
//!
//! # Safety
//!
//! The allocator passes everything on to the system's, whose contract it so keeps; it only counts beside it.

#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use kitbag_fs::zip::{Options, Zip, ZipError};
use kitbag_fs::{Error, FileSystem as _, OpenOptions, Path};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each method gives its arguments to the system's allocator and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very method, and the pointer came from the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// The most that was allocated at one time while `work` ran, beyond what was before.
fn peak(work: impl FnOnce()) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed) - before
}

fn archive(entries: impl Iterator<Item = (String, usize)>) -> kitbag_fs::Bytes {
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(9));
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, size) in entries {
        writer.start_file(name, options).unwrap();
        writer.write_all(&vec![0; size]).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

/// A bomb is read in every way within the budget, and a handle on each entry held meanwhile.
fn bombs() {
    let bytes = archive((0..20).map(|number| (format!("bomb{number}"), 8 * MIB)));
    assert!(bytes.len() < MIB);
    let budget = 20 * MIB;
    let read = || {
        let zip = Zip::from_bytes(bytes.clone(), &Options::new().cache(budget as u64)).unwrap();
        let root = zip.root().unwrap();
        let mut handles = Vec::new();
        let mut buffer = [1; 1000];
        for number in 0..20 {
            let name = format!("bomb{number}");
            let file = root.open(Path::new(name.as_bytes()).unwrap(), OpenOptions::read()).unwrap().file().unwrap();
            assert_eq!(file.read_at(&mut buffer, 5_000_000), Ok(1000));
            assert_eq!(buffer, [0; 1000]);
            // Two of them are given whole, the others have no room for that.
            assert_eq!(file.read_all().err(), (number >= 2).then_some(Error::TooLarge));
            handles.push(file);
        }
        assert!(zip.cached() <= budget as u64);
    };
    let used = peak(read);
    assert!(used < budget + 2 * MIB, "{used}");
}

/// Directories within directories: no path is stored twice, and the limit on entries counts what is implied.
fn depths() {
    let bytes = archive((0..300).map(|number| (format!("{number}/{}x", "d/".repeat(2000)), 0)));
    let refuse = || {
        let error = Zip::from_bytes(bytes.clone(), &Options::new().entries(100_000)).unwrap_err();
        assert!(matches!(error, ZipError::Entry { .. }), "{error}");
    };
    let used = peak(refuse);
    assert!(used < 100_000 * 400, "{used}");
}

/// An end record that claims as many entries as it can.
fn claims() {
    let mut bytes = archive(std::iter::once(("a".to_owned(), 10))).to_vec();
    let end = bytes.len() - 22;
    bytes[end + 8..end + 12].copy_from_slice(&[0xfe; 4]);
    let used = peak(|| assert!(Zip::from_bytes(bytes.into(), &Options::new()).is_err()));
    assert!(used < MIB, "{used}");
}

/// One after another, since they share the count.
#[test]
fn bounded() {
    bombs();
    depths();
    claims();
}
