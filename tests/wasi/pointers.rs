//! Pointers that lead outside of the memory, for every function that takes one: `EFAULT`, and nothing has happened. And those
//! that lead just to its end, or to nothing at all.

use kitbag::wasi::{Errno, WasiCtx, preview1, unstable};

use super::backends::on_each_root;
use super::guest::{ALL, BUFFER, Guest, IOVS, PATH, PATH2, RESULT, ROOT, SIZE};
use super::kinds::{CONNECTION, FILE, LINK, LISTENER, SUBSCRIPTION, equipped};

/// The last places where a result of so many bytes does not fit, and where it does.
fn outside(len: u32) -> [u32; 4] {
    [SIZE - len + 1, SIZE, u32::MAX - len + 1, u32::MAX]
}

/// A call with a pointer.
type Call = fn(&mut [u8], &mut WasiCtx, u32) -> Result<(), Errno>;

/// A call with a pointer and a length, or a count.
type Ranged = fn(&mut [u8], &mut WasiCtx, u32, u32) -> Result<(), Errno>;

/// Every pointer to something of fixed size, and that size.
const FIXED: [(&str, u32, Call); 38] = [
    ("args_get table", 4, |m, c, p| preview1::args_get(m, c, p, BUFFER)),
    ("args_get buffer", 5, |m, c, p| preview1::args_get(m, c, BUFFER, p)),
    ("args_sizes_get count", 4, |m, c, p| preview1::args_sizes_get(m, c, p, RESULT)),
    ("args_sizes_get size", 4, |m, c, p| preview1::args_sizes_get(m, c, RESULT, p)),
    ("environ_get table", 4, |m, c, p| preview1::environ_get(m, c, p, BUFFER)),
    ("environ_get buffer", 4, |m, c, p| preview1::environ_get(m, c, BUFFER, p)),
    ("environ_sizes_get count", 4, |m, c, p| preview1::environ_sizes_get(m, c, p, RESULT)),
    ("environ_sizes_get size", 4, |m, c, p| preview1::environ_sizes_get(m, c, RESULT, p)),
    ("clock_res_get", 8, |m, c, p| preview1::clock_res_get(m, c, 0, p)),
    ("clock_time_get", 8, |m, c, p| preview1::clock_time_get(m, c, 0, 0, p)),
    ("fd_fdstat_get", 24, |m, c, p| preview1::fd_fdstat_get(m, c, FILE, p)),
    ("fd_filestat_get", 64, |m, c, p| preview1::fd_filestat_get(m, c, FILE, p)),
    ("fd_pread", 4, |m, c, p| preview1::fd_pread(m, c, FILE, IOVS, 1, 0, p)),
    ("fd_pwrite", 4, |m, c, p| preview1::fd_pwrite(m, c, FILE, IOVS, 1, 0, p)),
    ("fd_read", 4, |m, c, p| preview1::fd_read(m, c, FILE, IOVS, 1, p)),
    ("fd_write", 4, |m, c, p| preview1::fd_write(m, c, FILE, IOVS, 1, p)),
    ("fd_readdir", 4, |m, c, p| preview1::fd_readdir(m, c, ROOT, BUFFER, 64, 0, p)),
    ("fd_readdir buffer", 64, |m, c, p| preview1::fd_readdir(m, c, ROOT, p, 64, 0, RESULT)),
    ("fd_prestat_get", 8, |m, c, p| preview1::fd_prestat_get(m, c, ROOT, p)),
    ("fd_prestat_dir_name", 1, |m, c, p| preview1::fd_prestat_dir_name(m, c, ROOT, p, 1)),
    ("fd_seek", 8, |m, c, p| preview1::fd_seek(m, c, FILE, 1, 0, p)),
    ("fd_tell", 8, |m, c, p| preview1::fd_tell(m, c, FILE, p)),
    ("path_filestat_get", 64, |m, c, p| preview1::path_filestat_get(m, c, ROOT, 1, PATH, 1, p)),
    ("path_open", 4, |m, c, p| preview1::path_open(m, c, ROOT, 1, PATH2, 1, 1, ALL, ALL, 0, p)),
    ("path_readlink", 4, |m, c, p| preview1::path_readlink(m, c, ROOT, LINK, 1, BUFFER, 1, p)),
    ("path_readlink buffer", 9, |m, c, p| preview1::path_readlink(m, c, ROOT, LINK, 1, p, 9, RESULT)),
    ("poll_oneoff count", 4, |m, c, p| preview1::poll_oneoff(m, c, SUBSCRIPTION, BUFFER, 1, p)),
    ("poll_oneoff events", 32, |m, c, p| preview1::poll_oneoff(m, c, SUBSCRIPTION, p, 1, RESULT)),
    ("random_get", 64, |m, c, p| preview1::random_get(m, c, p, 64)),
    ("sock_accept", 4, |m, c, p| preview1::sock_accept(m, c, LISTENER, 0, p)),
    ("sock_recv", 4, |m, c, p| preview1::sock_recv(m, c, CONNECTION, IOVS, 1, 0, p, RESULT)),
    ("sock_recv flags", 2, |m, c, p| preview1::sock_recv(m, c, CONNECTION, IOVS, 1, 0, RESULT, p)),
    ("sock_send", 4, |m, c, p| preview1::sock_send(m, c, CONNECTION, IOVS, 1, 0, p)),
    ("unstable fd_filestat_get", 56, |m, c, p| unstable::fd_filestat_get(m, c, FILE, p)),
    ("unstable fd_seek", 8, |m, c, p| unstable::fd_seek(m, c, FILE, 1, 0, p)),
    ("unstable path_filestat_get", 56, |m, c, p| unstable::path_filestat_get(m, c, ROOT, 1, PATH, 1, p)),
    ("unstable poll_oneoff count", 4, |m, c, p| unstable::poll_oneoff(m, c, SUBSCRIPTION, BUFFER, 1, p)),
    ("unstable poll_oneoff events", 32, |m, c, p| unstable::poll_oneoff(m, c, SUBSCRIPTION, p, 1, RESULT)),
];

/// Nothing was made, moved, read, written or accepted.
fn check_untouched(guest: &mut Guest, name: &str) {
    assert_eq!(guest.tell(FILE), Ok(0), "{name} moved the position");
    assert_eq!(guest.pread(FILE, 9, 0).unwrap(), b"f", "{name} wrote to the file");
    assert_eq!(guest.readdir(ROOT, 4096).unwrap().len(), 5, "{name} changed the directory");
    assert_eq!(guest.open(ROOT, "d"), Ok(CONNECTION + 1), "{name} left a descriptor");
    assert_eq!(guest.read(CONNECTION, 99).unwrap(), b"four and more", "{name} received something");
    let accepted = preview1::sock_accept(&mut guest.memory, &mut guest.ctx, LISTENER, 0, RESULT);
    assert_eq!(accepted, Ok(()), "{name} accepted a connection");
}

/// Threats: an iovec, or anything else, one past the end of memory; `random_get` and `fd_readdir` beyond it.
#[test]
fn results_outside_of_memory() {
    for (name, len, call) in FIXED {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            let before = guest.memory.clone();
            for pointer in outside(len) {
                assert_eq!(call(&mut guest.memory, &mut guest.ctx, pointer), Err(Errno::Fault), "{name} {pointer:#x}");
            }
            assert!(guest.memory == before, "{name} wrote something");
            check_untouched(&mut guest, name);
        });
    }
}

#[test]
fn results_at_the_end_of_memory() {
    for (name, len, call) in FIXED {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            let before = guest.memory.clone();
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, SIZE - len), Ok(()), "{name}");
            assert!(guest.memory != before, "{name} wrote nothing");
        });
    }
}

/// Subscriptions are read, not written: the one range that is neither a result nor a path nor an array of buffers.
#[test]
fn subscriptions() {
    on_each_root(|root| {
        let (mut guest, _clients) = equipped(root);
        guest.put(SIZE - 48, &[0; 48]);
        let before = guest.memory.clone();
        let Guest { memory, ctx } = &mut guest;
        for pointer in outside(48) {
            assert_eq!(preview1::poll_oneoff(memory, ctx, pointer, BUFFER, 1, RESULT), Err(Errno::Fault));
        }
        assert!(*memory == before);
        assert_eq!(preview1::poll_oneoff(memory, ctx, SIZE - 48, BUFFER, 1, RESULT), Ok(()));
    });
}

/// Room for the first of two events is not enough, and is not used.
#[test]
fn events_that_do_not_all_fit() {
    let mut guest = Guest::new(WasiCtx::builder());
    guest.put(SUBSCRIPTION, &[0; 96]);
    let before = guest.memory.clone();
    let Guest { memory, ctx } = &mut guest;
    for events in [SIZE - 32, SIZE - 63, u32::MAX - 31, u32::MAX - 63] {
        assert_eq!(preview1::poll_oneoff(memory, ctx, SUBSCRIPTION, events, 2, RESULT), Err(Errno::Fault));
    }
    assert!(*memory == before);
    assert_eq!(preview1::poll_oneoff(memory, ctx, SUBSCRIPTION, SIZE - 64, 2, RESULT), Ok(()));
}

/// Everything that takes a path, and what it answers to that of the file.
const PATHS: [(&str, Ranged, Result<(), Errno>); 13] = [
    ("path_create_directory", |m, c, p, n| preview1::path_create_directory(m, c, ROOT, p, n), Err(Errno::Exist)),
    ("path_filestat_get", |m, c, p, n| preview1::path_filestat_get(m, c, ROOT, 1, p, n, RESULT), Ok(())),
    ("path_filestat_set_times", |m, c, p, n| preview1::path_filestat_set_times(m, c, ROOT, 1, p, n, 0, 0, 0), Ok(())),
    ("path_link from", |m, c, p, n| preview1::path_link(m, c, ROOT, 0, p, n, ROOT, PATH2, 1), Ok(())),
    ("path_link to", |m, c, p, n| preview1::path_link(m, c, ROOT, 0, PATH, 1, ROOT, p, n), Err(Errno::Exist)),
    ("path_open", |m, c, p, n| preview1::path_open(m, c, ROOT, 1, p, n, 1, ALL, ALL, 0, RESULT), Ok(())),
    ("path_readlink", |m, c, p, n| preview1::path_readlink(m, c, ROOT, p, n, BUFFER, 1, RESULT), Err(Errno::Inval)),
    ("path_remove_directory", |m, c, p, n| preview1::path_remove_directory(m, c, ROOT, p, n), Err(Errno::Notdir)),
    ("path_rename from", |m, c, p, n| preview1::path_rename(m, c, ROOT, p, n, ROOT, PATH2, 1), Ok(())),
    ("path_rename to", |m, c, p, n| preview1::path_rename(m, c, ROOT, PATH, 1, ROOT, p, n), Ok(())),
    ("path_symlink target", |m, c, p, n| preview1::path_symlink(m, c, p, n, ROOT, PATH2, 1), Ok(())),
    ("path_symlink path", |m, c, p, n| preview1::path_symlink(m, c, PATH, 1, ROOT, p, n), Err(Errno::Exist)),
    ("path_unlink_file", |m, c, p, n| preview1::path_unlink_file(m, c, ROOT, p, n), Ok(())),
];

#[test]
fn paths_outside_of_memory() {
    for (name, call, _) in PATHS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            let before = guest.memory.clone();
            let ranges = outside(1).map(|pointer| (pointer, 1));
            for (pointer, len) in ranges.into_iter().chain([(SIZE - 1, 2), (0, SIZE + 1), (PATH, u32::MAX)]) {
                let answer = call(&mut guest.memory, &mut guest.ctx, pointer, len);
                assert_eq!(answer, Err(Errno::Fault), "{name} {pointer:#x}+{len:#x}");
            }
            assert!(guest.memory == before, "{name} wrote something");
            check_untouched(&mut guest, name);
        });
    }
}

#[test]
fn paths_at_the_end_of_memory() {
    for (name, call, expected) in PATHS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            guest.put(SIZE - 1, b"f");
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, SIZE - 1, 1), expected, "{name}");
        });
    }
}

#[test]
fn paths_of_no_bytes() {
    for (name, call, _) in PATHS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            for pointer in [PATH, SIZE, u32::MAX] {
                assert_eq!(
                    call(&mut guest.memory, &mut guest.ctx, pointer, 0),
                    Err(Errno::Noent),
                    "{name} {pointer:#x}"
                );
            }
            check_untouched(&mut guest, name);
        });
    }
}

/// Everything that takes an array of buffers.
const ARRAYS: [(&str, Ranged); 6] = [
    ("fd_read", |m, c, p, n| preview1::fd_read(m, c, FILE, p, n, RESULT)),
    ("fd_write", |m, c, p, n| preview1::fd_write(m, c, FILE, p, n, RESULT)),
    ("fd_pread", |m, c, p, n| preview1::fd_pread(m, c, FILE, p, n, 0, RESULT)),
    ("fd_pwrite", |m, c, p, n| preview1::fd_pwrite(m, c, FILE, p, n, 0, RESULT)),
    ("sock_recv", |m, c, p, n| preview1::sock_recv(m, c, CONNECTION, p, n, 0, RESULT, RESULT + 4)),
    ("sock_send", |m, c, p, n| preview1::sock_send(m, c, CONNECTION, p, n, 0, RESULT)),
];

/// Threats: an array of buffers that ends exactly at the end of memory and one past it; counts at 2³²−1.
#[test]
fn arrays_of_buffers() {
    for (name, call) in ARRAYS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            let before = guest.memory.clone();
            let refused = outside(8).map(|pointer| (pointer, 1, Errno::Fault)).into_iter().chain([
                (SIZE - 8, 2, Errno::Fault),
                (SIZE - 8 * 1024 + 1, 1024, Errno::Fault),
                (IOVS, 1025, Errno::Inval),
                (IOVS, u32::MAX, Errno::Inval),
                (u32::MAX, u32::MAX, Errno::Inval),
            ]);
            for (pointer, count, errno) in refused {
                let answer = call(&mut guest.memory, &mut guest.ctx, pointer, count);
                assert_eq!(answer, Err(errno), "{name} {pointer:#x}, {count}");
            }
            assert!(guest.memory == before, "{name} wrote something");
            check_untouched(&mut guest, name);
        });
    }
}

/// Threats: a buffer that ends exactly at the end of memory and one past it; lengths at 2³²−1.
#[test]
fn buffers() {
    for (name, call) in ARRAYS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            for (start, len, expected) in [
                (SIZE - 4, 5, Err(Errno::Fault)),
                (SIZE, 1, Err(Errno::Fault)),
                (BUFFER, u32::MAX, Err(Errno::Fault)),
                (u32::MAX, u32::MAX, Err(Errno::Fault)),
                (SIZE, 0, Ok(())),
                (u32::MAX, 0, Ok(())),
                (SIZE - 4, 4, Ok(())),
            ] {
                let (iovs, count) = guest.iovs(&[(start, len)]);
                let answer = call(&mut guest.memory, &mut guest.ctx, iovs, count);
                assert_eq!(answer, expected, "{name} {start:#x}+{len:#x}");
            }
            guest.put(SIZE - 8, guest.get(IOVS, 8).to_vec().as_slice());
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, SIZE - 8, 1), Ok(()), "{name}: an array at the end");
        });
    }
}

#[test]
fn a_bad_buffer_after_a_good_one_moves_nothing() {
    for (name, call) in ARRAYS {
        on_each_root(|root| {
            let (mut guest, _clients) = equipped(root);
            guest.iovs(&[(BUFFER, 1), (SIZE, 1)]);
            let before = guest.memory.clone();
            assert_eq!(call(&mut guest.memory, &mut guest.ctx, IOVS, 2), Err(Errno::Fault), "{name}");
            assert!(guest.memory == before, "{name}");
            check_untouched(&mut guest, name);
        });
    }
}

/// What has no length touches nothing, wherever it points.
#[test]
fn lengths_of_zero() {
    on_each_root(|root| {
        let (mut guest, _clients) = equipped(root);
        let before = guest.memory.clone();
        let Guest { memory, ctx } = &mut guest;
        for pointer in [SIZE, u32::MAX] {
            assert_eq!(preview1::random_get(memory, ctx, pointer, 0), Ok(()));
            assert_eq!(preview1::fd_readdir(memory, ctx, ROOT, pointer, 0, 0, RESULT), Ok(()));
            assert_eq!(preview1::path_readlink(memory, ctx, ROOT, LINK, 1, pointer, 0, RESULT), Ok(()));
            assert_eq!(preview1::fd_prestat_dir_name(memory, ctx, ROOT, pointer, 0), Err(Errno::Nametoolong));
            assert_eq!(preview1::poll_oneoff(memory, ctx, pointer, pointer, 0, RESULT), Err(Errno::Inval));
            for (name, call) in ARRAYS {
                assert_eq!(call(memory, ctx, pointer, 0), Ok(()), "{name}");
            }
        }
        assert_eq!(guest.u32(RESULT), 0);
        guest.put(RESULT, &before[RESULT as usize..][..6]);
        assert!(guest.memory == before, "but for the counts");
        check_untouched(&mut guest, "a length of zero");
    });
}

#[test]
fn lengths_whose_sum_no_guest_can_count() {
    on_each_root(|root| {
        let (mut guest, _clients) = equipped(root);
        guest.iovs(&[(0, SIZE); 3]);
        assert_eq!(preview1::fd_read(&mut guest.memory, &mut guest.ctx, FILE, IOVS, 3, RESULT), Ok(()));
    });
    let mut ctx = WasiCtx::builder().build().unwrap();
    let large = [(0u32, 0x8000_0000u32); 2];
    let mut memory = vec![0; 0x8000_0000];
    for (record, (start, len)) in memory.chunks_exact_mut(8).zip(large) {
        record[..4].copy_from_slice(&start.to_le_bytes());
        record[4..].copy_from_slice(&len.to_le_bytes());
    }
    assert_eq!(preview1::fd_write(&mut memory, &mut ctx, 1, 0, 2, 0x100), Err(Errno::Inval));
}
