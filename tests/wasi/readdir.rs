//! Listing directories.

use std::collections::BTreeSet;

use kitbag::wasi::{Errno, preview1};

use super::backends::{TREE, on_each, reading};
use super::guest::{BUFFER, DIRECTORY, Guest, REGULAR_FILE, RESULT, ROOT, SIZE, SYMBOLIC_LINK, parse_entries};

fn names(guest: &mut Guest, room: u32) -> BTreeSet<String> {
    let entries = guest.readdir(ROOT, room).unwrap();
    let names: BTreeSet<_> = entries.iter().map(|entry| String::from_utf8(entry.name.clone()).unwrap()).collect();
    assert_eq!(names.len(), entries.len(), "each name once");
    names
}

#[test]
fn entries_agree_with_stat() {
    on_each(|guest| {
        guest.create("f").unwrap();
        guest.mkdir("d").unwrap();
        guest.symlink("f", "l").unwrap();
        let entries = guest.readdir(ROOT, 4096).unwrap();
        assert_eq!((&entries[0].name[..], &entries[1].name[..]), (&b"."[..], &b".."[..]));
        assert_eq!((entries[0].kind, entries[0].inode), (DIRECTORY, guest.fstat(ROOT).unwrap().inode));
        assert!(entries.iter().zip(1..).all(|(entry, next)| entry.next == next));
        for (name, kind) in [("f", REGULAR_FILE), ("d", DIRECTORY), ("l", SYMBOLIC_LINK)] {
            let entry = entries.iter().find(|entry| entry.name == name.as_bytes()).unwrap();
            assert_eq!((entry.kind, entry.inode), (kind, guest.lstat(name).unwrap().inode), "{name}");
        }
        assert_eq!(entries.len(), 5);
    });
}

#[test]
fn any_room_that_holds_one_entry_gives_them_all() {
    on_each(|guest| {
        let made: BTreeSet<_> = (0..50).map(|n| format!("file-{n:0width$}", width = 1 + n % 20)).collect();
        for name in &made {
            let fd = guest.create(name).unwrap();
            guest.close(fd).unwrap();
        }
        let expected: BTreeSet<_> = made.into_iter().chain([".".into(), "..".into()]).collect();
        for room in [50, 51, 64, 100, 1000, 4096] {
            assert_eq!(names(guest, room), expected, "{room}");
        }
    });
}

#[test]
fn a_full_buffer_means_more() {
    reading(|guest| {
        let all = guest.readdir_raw(ROOT, 4096, 0).unwrap();
        assert_eq!(TREE.len(), 3);
        assert_eq!(all.len(), 5 * 24 + ". .. abcdef d f".len() - 4);
        for room in 0..=all.len() as u32 {
            assert_eq!(guest.readdir_raw(ROOT, room, 0).unwrap(), all[..room as usize], "cut off at {room}");
        }
        assert_eq!(guest.readdir_raw(ROOT, 4096, 2).unwrap(), all[24 + 1 + 24 + 2..]);
        for past in [5, 6, u64::MAX] {
            assert_eq!(guest.readdir_raw(ROOT, 4096, past).unwrap(), []);
        }
    });
}

/// Threat: cookies of a directory changed between calls.
#[test]
fn cookies_stay_while_the_directory_changes() {
    on_each(|guest| {
        for name in ["a", "b", "c", "d"] {
            guest.create(name).unwrap();
        }
        let first = guest.readdir_raw(ROOT, 24 + 1 + 24 + 2 + 24 + 1, 0).unwrap();
        let first = parse_entries(&first);
        assert_eq!(first.len(), 3);
        for name in ["a", "b", "c", "d"] {
            guest.unlink(name).unwrap();
        }
        guest.create("new").unwrap();
        let rest = guest.readdir_raw(ROOT, 4096, 3).unwrap();
        let seen: BTreeSet<_> = first.into_iter().chain(parse_entries(&rest)).map(|entry| entry.name).collect();
        assert_eq!(seen.len(), 6, "what was there when it began");
        assert_eq!(
            names(guest, 4096),
            [".", "..", "new"].map(String::from).into(),
            "from the start: what is there now"
        );
    });
}

/// Threat: `fd_readdir` of 4 GiB.
#[test]
fn what_cannot_be_listed() {
    reading(|guest| {
        let fd = guest.open(ROOT, "f").unwrap();
        for (fd, errno) in [(fd, Errno::Notdir), (0, Errno::Notdir), (99, Errno::Badf)] {
            assert_eq!(guest.readdir_raw(fd, 100, 0), Err(errno));
        }
        let Guest { memory, ctx } = guest;
        assert_eq!(preview1::fd_readdir(memory, ctx, ROOT, BUFFER, u32::MAX, 0, RESULT), Err(Errno::Fault), "4 GiB");
        assert_eq!(preview1::fd_readdir(memory, ctx, ROOT, BUFFER, SIZE - BUFFER + 1, 0, RESULT), Err(Errno::Fault));
        assert_eq!(preview1::fd_readdir(memory, ctx, ROOT, BUFFER, SIZE - BUFFER, 0, RESULT), Ok(()));
        assert_eq!(preview1::fd_readdir(memory, ctx, ROOT, BUFFER, 100, 0, SIZE - 3), Err(Errno::Fault));
    });
}

#[test]
fn a_removed_directory_is_empty() {
    on_each(|guest| {
        guest.mkdir("d").unwrap();
        let fd = guest.open(ROOT, "d").unwrap();
        guest.rmdir("d").unwrap();
        let entries = guest.readdir(fd, 4096).unwrap();
        assert!(entries.iter().all(|entry| entry.name.starts_with(b".")), "{entries:?}");
    });
}
