//! Making, moving and removing names; metadata by path.

use kitbag::wasi::{Errno, preview1};

use super::backends::on_each;
use super::guest::{DIRECTORY, Guest, REGULAR_FILE, RESULT, ROOT};

fn set_times(guest: &mut Guest, path: &str, accessed: u64, modified: u64, flags: u32) -> Result<(), Errno> {
    let (at, len) = guest.path(path);
    let Guest { memory, ctx } = guest;
    preview1::path_filestat_set_times(memory, ctx, ROOT, 1, at, len, accessed, modified, flags)
}

#[test]
fn making_and_removing_directories() {
    on_each(|guest| {
        assert_eq!((guest.mkdir("d"), guest.mkdir("d/e/"), guest.mkdir("d")), (Ok(()), Ok(()), Err(Errno::Exist)));
        assert_eq!(guest.stat("d/e").unwrap().kind, DIRECTORY);
        assert_eq!((guest.mkdir("x/y"), guest.mkdir("")), (Err(Errno::Noent), Err(Errno::Noent)));
        guest.create("d/f").unwrap();
        assert_eq!((guest.mkdir("d/f"), guest.mkdir("d/f/g")), (Err(Errno::Exist), Err(Errno::Notdir)));
        assert_eq!(
            (guest.rmdir("d"), guest.rmdir("d/f"), guest.rmdir("no")),
            (Err(Errno::Notempty), Err(Errno::Notdir), Err(Errno::Noent))
        );
        assert_eq!(guest.unlink("d/e"), Err(Errno::Isdir));
        assert_eq!((guest.unlink("d/f"), guest.rmdir("d/e"), guest.rmdir("d/")), (Ok(()), Ok(()), Ok(())));
        assert_eq!(guest.stat("d"), Err(Errno::Noent));
        assert_eq!(
            (guest.mkdir("../x"), guest.rmdir("../x"), guest.unlink("/x")),
            (Err(Errno::Perm), Err(Errno::Perm), Err(Errno::Perm))
        );
    });
}

#[test]
fn unlinking() {
    on_each(|guest| {
        guest.create("f").unwrap();
        assert_eq!(
            (guest.unlink("f/"), guest.unlink("f"), guest.unlink("f")),
            (Err(Errno::Notdir), Ok(()), Err(Errno::Noent))
        );
    });
}

#[test]
fn renaming() {
    on_each(|guest| {
        for name in ["a", "b"] {
            let fd = guest.create(name).unwrap();
            guest.write(fd, name.as_bytes()).unwrap();
        }
        guest.mkdir("d").unwrap();
        guest.mkdir("e").unwrap();
        assert_eq!((guest.rename("a", "b"), guest.contents("b").unwrap()), (Ok(()), b"a".to_vec()));
        assert_eq!(guest.rename("b", "d/b"), Ok(()));
        assert_eq!(
            (guest.rename("d", "e"), guest.contents("e/b").unwrap()),
            (Ok(()), b"a".to_vec()),
            "onto an empty one"
        );
        assert_eq!((guest.rename("no", "x"), guest.rename("e", "e/b/c")), (Err(Errno::Noent), Err(Errno::Notdir)));
        assert_eq!(guest.rename("e", "e/x"), Err(Errno::Inval));
        guest.create("f").unwrap();
        guest.mkdir("g").unwrap();
        assert_eq!((guest.rename("f", "g"), guest.rename("g", "f")), (Err(Errno::Isdir), Err(Errno::Notdir)));
        assert_eq!(guest.rename("g", "e"), Err(Errno::Notempty));
        assert_eq!((guest.rename("f", "../f"), guest.rename("/f", "f")), (Err(Errno::Perm), Err(Errno::Perm)));
    });
}

#[test]
fn metadata_by_path() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"abc").unwrap();
        let stat = guest.stat("f").unwrap();
        assert_eq!((stat.kind, stat.size, stat.links), (REGULAR_FILE, 3, 1));
        assert_eq!(guest.fstat(fd).unwrap(), stat);
        assert_eq!((guest.stat("f/"), guest.stat("g")), (Err(Errno::Notdir), Err(Errno::Noent)));
        let root = guest.fstat(ROOT).unwrap();
        assert_eq!((guest.stat(".").unwrap().inode, root.device), (root.inode, stat.device));
        assert_ne!(root.inode, stat.inode);
        assert_eq!(set_times(guest, "f", 1_000_000_000, 2_000_000_000, 1 | 4), Ok(()));
        assert_eq!(guest.stat("f").unwrap().times[..2], [1_000_000_000, 2_000_000_000]);
        assert_eq!(
            (set_times(guest, "f", 0, 0, 3), set_times(guest, "g", 0, 0, 1)),
            (Err(Errno::Inval), Err(Errno::Noent))
        );
        assert_eq!(guest.stat_in(fd, "x", true), Err(Errno::Notdir));
    });
}

/// Threat: extreme timestamps.
#[test]
fn extreme_times_by_path() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        for extreme in [0, 1, 1 << 32, 1 << 63, u64::MAX] {
            // What a file system cannot hold it may move to its own end, or refuse; what it says afterwards is one answer.
            _ = set_times(guest, "f", extreme, extreme, 1 | 4);
            assert_eq!(guest.stat("f").unwrap(), guest.fstat(fd).unwrap(), "{extreme}");
        }
        assert_eq!(set_times(guest, "f", 0, 0, 1 | 4), Ok(()));
        assert_eq!(guest.stat("f").unwrap().times[..2], [0; 2], "1970");
    });
}

#[test]
fn unknown_flags_of_lookups() {
    on_each(|guest| {
        guest.create("f").unwrap();
        let ((at, len), (at2, len2)) = (guest.path("f"), guest.path2("g"));
        let Guest { memory, ctx } = guest;
        for lookup in [2, 3, u32::MAX] {
            let answers = [
                preview1::path_filestat_get(memory, ctx, ROOT, lookup, at, len, RESULT),
                preview1::path_filestat_set_times(memory, ctx, ROOT, lookup, at, len, 1, 1, 5),
                preview1::path_link(memory, ctx, ROOT, lookup, at, len, ROOT, at2, len2),
            ];
            assert_eq!(answers, [Err(Errno::Inval); 3], "{lookup}");
        }
        assert_eq!(guest.stat("g"), Err(Errno::Noent));
    });
}
