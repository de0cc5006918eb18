//! Pointers that lead outside of the memory, for every function that takes one: `EFAULT`, and nothing has happened.

use kitbag::wasi::{Errno, WasiCtx, preview1};

use super::guest::{ALL, BUFFER, Guest, IOVS, PATH, PATH2, RESULT, ROOT, SIZE};

/// The last places where a result of so many bytes does not fit, and where it does.
fn outside(len: u32) -> [u32; 4] {
    [SIZE - len + 1, SIZE, u32::MAX - len + 1, u32::MAX]
}

type Call = fn(&mut [u8], &mut WasiCtx, u32) -> Result<(), Errno>;

/// The file that calls use; `PATH` holds the path of a file, `PATH2` a free one, `IOVS` a buffer of 4 bytes.
const FILE: u32 = 4;

fn guest() -> Guest {
    let mut guest = Guest::with_files(&["f"]);
    guest.symlink("f", "l").unwrap();
    assert_eq!(guest.create("f"), Ok(FILE));
    guest.put(PATH, b"f");
    guest.put(PATH2, b"n");
    guest.iovs(&[(BUFFER, 4)]);
    guest
}

/// Everything that gives a result of fixed size, and that size.
const RESULTS: [(&str, u32, Call); 23] = [
    ("args_sizes_get", 4, |m, c, p| preview1::args_sizes_get(m, c, p, RESULT)),
    ("args_sizes_get", 4, |m, c, p| preview1::args_sizes_get(m, c, RESULT, p)),
    ("clock_res_get", 8, |m, c, p| preview1::clock_res_get(m, c, 0, p)),
    ("clock_time_get", 8, |m, c, p| preview1::clock_time_get(m, c, 0, 0, p)),
    ("fd_fdstat_get", 24, |m, c, p| preview1::fd_fdstat_get(m, c, FILE, p)),
    ("fd_filestat_get", 64, |m, c, p| preview1::fd_filestat_get(m, c, FILE, p)),
    ("fd_pread", 4, |m, c, p| preview1::fd_pread(m, c, FILE, IOVS, 1, 0, p)),
    ("fd_pwrite", 4, |m, c, p| preview1::fd_pwrite(m, c, FILE, IOVS, 1, 0, p)),
    ("fd_read", 4, |m, c, p| preview1::fd_read(m, c, FILE, IOVS, 1, p)),
    ("fd_write", 4, |m, c, p| preview1::fd_write(m, c, FILE, IOVS, 1, p)),
    ("fd_readdir", 4, |m, c, p| preview1::fd_readdir(m, c, ROOT, BUFFER, 64, 0, p)),
    ("fd_readdir", 64, |m, c, p| preview1::fd_readdir(m, c, ROOT, p, 64, 0, RESULT)),
    ("fd_prestat_get", 8, |m, c, p| preview1::fd_prestat_get(m, c, ROOT, p)),
    ("fd_prestat_dir_name", 1, |m, c, p| preview1::fd_prestat_dir_name(m, c, ROOT, p, 1)),
    ("fd_seek", 8, |m, c, p| preview1::fd_seek(m, c, FILE, 1, 0, p)),
    ("fd_tell", 8, |m, c, p| preview1::fd_tell(m, c, FILE, p)),
    ("path_filestat_get", 64, |m, c, p| preview1::path_filestat_get(m, c, ROOT, 1, PATH, 1, p)),
    ("path_open", 4, |m, c, p| preview1::path_open(m, c, ROOT, 1, PATH2, 1, 1, ALL, ALL, 0, p)),
    ("path_readlink", 4, |m, c, p| {
        m[PATH as usize] = b'l';
        let done = preview1::path_readlink(m, c, ROOT, PATH, 1, BUFFER, 1, p);
        m[PATH as usize] = b'f';
        done
    }),
    ("path_readlink", 9, |m, c, p| preview1::path_readlink(m, c, ROOT, PATH, 1, p, 9, RESULT)),
    ("poll_oneoff", 4, |m, c, p| preview1::poll_oneoff(m, c, IOVS, BUFFER, 1, p)),
    ("poll_oneoff", 32, |m, c, p| preview1::poll_oneoff(m, c, IOVS, p, 1, RESULT)),
    ("random_get", 64, |m, c, p| preview1::random_get(m, c, p, 64)),
];

#[test]
fn results() {
    for (name, len, call) in RESULTS {
        let mut guest = guest();
        let before = guest.memory.clone();
        for pointer in outside(len) {
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, pointer), Err(Errno::Fault), "{name} {pointer:#x}");
        }
        assert!(guest.memory == before, "{name} wrote something");
        assert_eq!(guest.tell(FILE), Ok(0), "{name} moved the position");
        assert_eq!(guest.contents("f").unwrap(), b"f", "{name} wrote to the file");
        assert_eq!(guest.stat("n"), Err(Errno::Noent), "{name} made a file");
        assert_eq!(guest.open(ROOT, "f"), Ok(FILE + 1), "{name} left a descriptor");
    }
}

#[test]
fn results_at_the_end_of_memory() {
    for (name, len, call) in RESULTS {
        let mut guest = guest();
        let done = call(&mut guest.memory, &mut guest.ctx, SIZE - len);
        let other = matches!((name, done), ("path_readlink" | "poll_oneoff", Err(Errno::Inval)));
        assert!(done.is_ok() || other, "{name}: {done:?}");
    }
}

/// Everything that takes a path of one byte.
const PATHS: [(&str, Call); 14] = [
    ("path_create_directory", |m, c, p| preview1::path_create_directory(m, c, ROOT, p, 1)),
    ("path_filestat_get", |m, c, p| preview1::path_filestat_get(m, c, ROOT, 1, p, 1, RESULT)),
    ("path_filestat_set_times", |m, c, p| preview1::path_filestat_set_times(m, c, ROOT, 1, p, 1, 0, 0, 0)),
    ("path_link from", |m, c, p| preview1::path_link(m, c, ROOT, 0, p, 1, ROOT, PATH2, 1)),
    ("path_link to", |m, c, p| preview1::path_link(m, c, ROOT, 0, PATH, 1, ROOT, p, 1)),
    ("path_open", |m, c, p| preview1::path_open(m, c, ROOT, 1, p, 1, 1, ALL, ALL, 0, RESULT)),
    ("path_readlink", |m, c, p| preview1::path_readlink(m, c, ROOT, p, 1, BUFFER, 1, RESULT)),
    ("path_remove_directory", |m, c, p| preview1::path_remove_directory(m, c, ROOT, p, 1)),
    ("path_rename from", |m, c, p| preview1::path_rename(m, c, ROOT, p, 1, ROOT, PATH2, 1)),
    ("path_rename to", |m, c, p| preview1::path_rename(m, c, ROOT, PATH, 1, ROOT, p, 1)),
    ("path_symlink target", |m, c, p| preview1::path_symlink(m, c, p, 1, ROOT, PATH2, 1)),
    ("path_symlink path", |m, c, p| preview1::path_symlink(m, c, PATH, 1, ROOT, p, 1)),
    ("path_unlink_file", |m, c, p| preview1::path_unlink_file(m, c, ROOT, p, 1)),
    ("path_open, 4 GiB", |m, c, p| preview1::path_open(m, c, ROOT, 1, p, u32::MAX, 1, ALL, ALL, 0, RESULT)),
];

#[test]
fn paths() {
    for (name, call) in PATHS {
        let mut guest = guest();
        for pointer in outside(1) {
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, pointer), Err(Errno::Fault), "{name} {pointer:#x}");
        }
        assert_eq!(guest.readdir(ROOT, 4096).unwrap().len(), 4, "{name} changed the directory");
    }
}

/// Everything that takes an array of one buffer.
const ARRAYS: [(&str, Call); 4] = [
    ("fd_read", |m, c, p| preview1::fd_read(m, c, FILE, p, 1, RESULT)),
    ("fd_write", |m, c, p| preview1::fd_write(m, c, FILE, p, 1, RESULT)),
    ("fd_pread", |m, c, p| preview1::fd_pread(m, c, FILE, p, 1, 0, RESULT)),
    ("fd_pwrite", |m, c, p| preview1::fd_pwrite(m, c, FILE, p, 1, 0, RESULT)),
];

#[test]
fn arrays_of_buffers() {
    for (name, call) in ARRAYS {
        let mut guest = guest();
        for pointer in outside(8) {
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, pointer), Err(Errno::Fault), "{name} {pointer:#x}");
        }
        for (start, len, expected) in [
            (SIZE - 4, 4, Ok(())),
            (SIZE - 4, 5, Err(Errno::Fault)),
            (SIZE, 0, Ok(())),
            (BUFFER, u32::MAX, Err(Errno::Fault)),
            (u32::MAX, u32::MAX, Err(Errno::Fault)),
        ] {
            guest.iovs(&[(start, len)]);
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, IOVS), expected, "{name} {start:#x}+{len:#x}");
        }
    }
}

#[test]
fn a_bad_buffer_after_a_good_one_moves_nothing() {
    let mut guest = guest();
    guest.iovs(&[(BUFFER, 1), (SIZE, 1)]);
    let before = guest.memory.clone();
    let Guest { memory, ctx } = &mut guest;
    assert_eq!(preview1::fd_read(memory, ctx, FILE, IOVS, 2, RESULT), Err(Errno::Fault));
    assert_eq!(preview1::fd_write(memory, ctx, FILE, IOVS, 2, RESULT), Err(Errno::Fault));
    assert!(*memory == before);
    assert_eq!((guest.tell(FILE), guest.contents("f").unwrap()), (Ok(0), b"f".to_vec()));
}

#[test]
fn lengths_whose_sum_no_guest_can_count() {
    let mut guest = guest();
    guest.iovs(&[(0, SIZE); 3]);
    let Guest { memory, ctx } = &mut guest;
    assert_eq!(preview1::fd_read(memory, ctx, FILE, IOVS, 3, RESULT), Ok(()));
    let large = vec![(0u32, 0x8000_0000u32); 2];
    let mut memory = vec![0; 0x8000_0000];
    for (record, (start, len)) in memory.chunks_exact_mut(8).zip(large) {
        record[..4].copy_from_slice(&start.to_le_bytes());
        record[4..].copy_from_slice(&len.to_le_bytes());
    }
    assert_eq!(preview1::fd_write(&mut memory, ctx, 1, 0, 2, 0x100), Err(Errno::Inval));
}
