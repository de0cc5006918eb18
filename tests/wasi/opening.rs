//! Opening: flags, access, directories, what a path may be.

use kitbag::wasi::{Errno, FdFlags, OFlags, Rights, WasiCtx, preview1};

use super::backends::{on_each, over_tree, reading, reading_root};
use super::guest::{ALL, CREATE, DIRECTORY, Guest, NO_FLAGS, PATH, PLAIN, REGULAR_FILE, RESULT, ROOT};

fn open_flags(guest: &mut Guest, path: &str, oflags: OFlags) -> Result<u32, Errno> {
    guest.open_with(ROOT, path, oflags, Rights::all(), NO_FLAGS)
}

fn raw(guest: &mut Guest, lookup: u32, oflags: u32, fdflags: u32) -> Result<(), Errno> {
    let (at, len) = guest.path("f");
    preview1::path_open(&mut guest.memory, &mut guest.ctx, ROOT, lookup, at, len, oflags, ALL, ALL, fdflags, RESULT)
}

#[test]
fn creating_and_truncating() {
    on_each(|guest| {
        assert_eq!(open_flags(guest, "f", PLAIN), Err(Errno::Noent));
        let fd = open_flags(guest, "f", CREATE).unwrap();
        guest.write(fd, b"abc").unwrap();
        assert_eq!(open_flags(guest, "f", CREATE | OFlags::EXCL), Err(Errno::Exist));
        assert!(open_flags(guest, "g", CREATE | OFlags::EXCL).is_ok());
        assert!(open_flags(guest, "f", CREATE).is_ok());
        assert_eq!(guest.contents("f").unwrap(), b"abc");
        let read_only = Rights::all() - Rights::FD_WRITE;
        let fd = guest.open_with(ROOT, "f", OFlags::TRUNC, read_only, NO_FLAGS).unwrap();
        assert_eq!((guest.contents("f").unwrap(), guest.write(fd, b"x")), (vec![], Err(Errno::Notcapable)));
        assert_eq!(open_flags(guest, "none/f", CREATE), Err(Errno::Noent));
        assert_eq!(open_flags(guest, "f/g", CREATE), Err(Errno::Notdir));
    });
}

#[test]
fn directories() {
    on_each(|guest| {
        guest.mkdir("d").unwrap();
        guest.create("f").unwrap();
        let fd = guest.open(ROOT, "d").unwrap();
        assert_eq!((guest.fdstat(fd).unwrap().0, guest.fstat(fd).unwrap().kind), (DIRECTORY, DIRECTORY));
        let wanted = |guest: &mut Guest, path, oflags| {
            guest.open_with(ROOT, path, oflags, Rights::all() - Rights::FD_WRITE, NO_FLAGS).map(drop)
        };
        assert_eq!(wanted(guest, "d", OFlags::DIRECTORY), Ok(()));
        assert_eq!(wanted(guest, "f", OFlags::DIRECTORY), Err(Errno::Notdir));
        assert_eq!((wanted(guest, "d/", PLAIN), wanted(guest, "f/", PLAIN)), (Ok(()), Err(Errno::Notdir)));
        for with in [OFlags::CREAT, OFlags::EXCL, OFlags::TRUNC] {
            assert_eq!(wanted(guest, "d", OFlags::DIRECTORY | with), Err(Errno::Inval));
        }
        assert_eq!(open_flags(guest, "d", PLAIN), Err(Errno::Isdir), "for writing");
        let fd = guest.open(ROOT, "d").unwrap();
        let file = guest.open_with(fd, "g", CREATE, Rights::all(), NO_FLAGS).unwrap();
        assert_eq!(guest.fdstat(file).unwrap().0, REGULAR_FILE);
        assert_eq!(guest.stat("d/g").unwrap(), guest.stat_in(fd, "g", true).unwrap());
        assert_eq!((guest.open(file, "x"), guest.open(1, "x")), (Err(Errno::Notdir), Err(Errno::Notdir)));
        assert_eq!(guest.open(99, "x"), Err(Errno::Badf));
    });
}

#[test]
fn no_path_leads_out() {
    on_each(|guest| {
        guest.mkdir("d").unwrap();
        guest.create("f").unwrap();
        let dir = guest.open(ROOT, "d").unwrap();
        for out in ["..", "../f", "d/../../f", "/", "/f", "../"] {
            assert_eq!(guest.open(ROOT, out), Err(Errno::Perm), "{out}");
            assert_eq!(guest.stat(out), Err(Errno::Perm), "{out}");
        }
        assert_eq!(guest.stat_in(dir, "../f", true), Err(Errno::Perm), "a directory opened by the guest is a root too");
        assert!(guest.open(ROOT, "d/../f").is_ok());
        assert!(guest.open(ROOT, "./d/.././/f").is_ok());
    });
}

/// Threat: paths with NUL, of 4,096 and 65,536 bytes.
#[test]
fn what_is_no_path() {
    on_each(|guest| {
        assert_eq!(
            (guest.create(""), guest.create("a\0b"), guest.create("f\0")),
            (Err(Errno::Noent), Err(Errno::Inval), Err(Errno::Inval))
        );
        let long = "n".repeat(256);
        assert_eq!((guest.create(&long), guest.create(&long[1..]).map(drop)), (Err(Errno::Nametoolong), Ok(())));
        let deep = "./".repeat(2047);
        assert_eq!(guest.create(&format!("{deep}f")).map(drop), Ok(()), "4,095 bytes");
        assert_eq!(guest.create(&format!("{deep}.f")), Err(Errno::Nametoolong), "4,096 bytes");
        assert_eq!(guest.create(r"back\slash").map(drop), Ok(()), "an ordinary byte");
    });
    reading(|guest| {
        guest.memory = vec![b'a'; 0x2_0000];
        let Guest { memory, ctx } = guest;
        let open = preview1::path_open(memory, ctx, ROOT, 1, PATH, 0x1_0000, 1, ALL, ALL, 0, RESULT);
        assert_eq!(open, Err(Errno::Nametoolong), "65,536 bytes");
    });
}

/// Threat: paths with non-UTF-8 bytes.
#[test]
fn names_need_not_be_utf8() {
    on_each(|guest| {
        guest.put(PATH, b"\xff\xfe");
        let Guest { memory, ctx } = guest;
        preview1::path_open(memory, ctx, ROOT, 1, PATH, 2, 1, ALL, ALL, 0, RESULT).unwrap();
        let names: Vec<_> = guest.readdir(ROOT, 4096).unwrap().into_iter().map(|entry| entry.name).collect();
        assert!(names.contains(&b"\xff\xfe".to_vec()));
    });
}

#[test]
fn a_shorter_limit_on_paths() {
    reading_root(|root| {
        let mut guest = Guest::new(WasiCtx::builder().preopen("/", root).max_path(5));
        assert_eq!((guest.stat("d/./f").map(drop), guest.stat("abcdef")), (Ok(()), Err(Errno::Nametoolong)));
    });
}

#[test]
fn unknown_flags() {
    over_tree(|guest| {
        assert_eq!(raw(guest, 1, 0, 0), Ok(()));
        for (lookup, oflags, fdflags) in [(2, 0, 0), (0, 16, 0), (0, 0, 32), (u32::MAX, 0, 0), (0, 0x1_0000, 0)] {
            assert_eq!(raw(guest, lookup, oflags, fdflags), Err(Errno::Inval));
        }
    });
}

#[test]
fn flags_come_with_opening() {
    over_tree(|guest| {
        let fd = guest.open_with(ROOT, "f", PLAIN, Rights::all(), FdFlags::all()).unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().1, FdFlags::all());
    });
}

#[test]
fn a_handle_outlives_its_name() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"abc").unwrap();
        guest.unlink("f").unwrap();
        assert_eq!((guest.pread(fd, 9, 0).unwrap(), guest.fstat(fd).unwrap().links), (b"abc".to_vec(), 0));
        assert_eq!(guest.stat("f"), Err(Errno::Noent));
        let fd = guest.create("f").unwrap();
        guest.rename("f", "g").unwrap();
        guest.write(fd, b"moved").unwrap();
        assert_eq!(guest.contents("g").unwrap(), b"moved");
    });
}
