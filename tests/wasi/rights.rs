//! Rights: what is granted, inherited, taken away, and enforced.

use kitbag::wasi::{Errno, FdFlags, OFlags, Rights, WasiCtx, preview1};

use super::backends::{over_tree, reading};
use super::guest::{CREATE, Guest, NO_FLAGS, PLAIN, RESULT, ROOT};

fn open(guest: &mut Guest, dir: u32, rights: Rights) -> Result<u32, Errno> {
    guest.open_with(dir, "d/f", PLAIN, rights, NO_FLAGS)
}

#[test]
fn what_is_granted() {
    reading(|guest| {
        let (_, _, base, inheriting) = guest.fdstat(ROOT).unwrap();
        assert_eq!((base, inheriting), (Rights::DIRECTORY, Rights::INHERITING));
        let asked = Rights::FD_READ | Rights::FD_SEEK | Rights::PATH_OPEN;
        let fd = open(guest, ROOT, asked).unwrap();
        let (_, _, base, inheriting) = guest.fdstat(fd).unwrap();
        assert_eq!((base, inheriting), (Rights::FD_READ | Rights::FD_SEEK, Rights::empty()), "what applies to a file");
        let dir = guest.open(ROOT, "d").unwrap();
        assert_eq!(guest.fdstat(dir).unwrap().2, Rights::DIRECTORY);
    });
}

#[test]
fn streams_have_no_positions_as_isatty_asks() {
    let mut guest = Guest::new(WasiCtx::builder());
    for (fd, direction) in [(0, Rights::FD_READ), (1, Rights::FD_WRITE), (2, Rights::FD_WRITE)] {
        let (_, _, base, _) = guest.fdstat(fd).unwrap();
        assert!(base.contains(direction) && !base.intersects(Rights::FD_SEEK | Rights::FD_TELL));
        assert_eq!(base & (Rights::FD_READ | Rights::FD_WRITE), direction);
    }
    assert_eq!((guest.read(1, 1), guest.write(0, b"x")), (Err(Errno::Notcapable), Err(Errno::Notcapable)));
}

#[test]
fn a_file_needs_each_right() {
    over_tree(|guest| {
        type Action = fn(&mut Guest, u32) -> Result<(), Errno>;
        let needs: [(Rights, Action); 16] = [
            (Rights::FD_READ, |g, fd| g.read(fd, 1).map(drop)),
            (Rights::FD_READ | Rights::FD_SEEK, |g, fd| g.pread(fd, 1, 0).map(drop)),
            (Rights::FD_WRITE, |g, fd| g.write(fd, b"x").map(drop)),
            (Rights::FD_WRITE | Rights::FD_SEEK, |g, fd| g.pwrite(fd, b"x", 0).map(drop)),
            (Rights::FD_SEEK, |g, fd| g.seek(fd, 1, 0).map(drop)),
            (Rights::FD_SEEK, |g, fd| g.tell(fd).map(drop)),
            (Rights::FD_TELL, |g, fd| g.tell(fd).map(drop)),
            (Rights::FD_TELL, |g, fd| g.seek(fd, 0, 1).map(drop)),
            (Rights::FD_FDSTAT_SET_FLAGS, |g, fd| g.set_flags(fd, FdFlags::APPEND)),
            (Rights::FD_FILESTAT_GET, |g, fd| g.fstat(fd).map(drop)),
            (Rights::FD_FILESTAT_SET_SIZE, |g, fd| preview1::fd_filestat_set_size(&mut g.memory, &mut g.ctx, fd, 1)),
            (Rights::FD_FILESTAT_SET_TIMES, |g, fd| {
                preview1::fd_filestat_set_times(&mut g.memory, &mut g.ctx, fd, 1, 1, 5)
            }),
            (Rights::FD_ALLOCATE, |g, fd| preview1::fd_allocate(&mut g.memory, &mut g.ctx, fd, 0, 9)),
            (Rights::FD_ADVISE, |g, fd| preview1::fd_advise(&mut g.memory, &mut g.ctx, fd, 0, 1, 0)),
            (Rights::FD_SYNC, |g, fd| preview1::fd_sync(&mut g.memory, &mut g.ctx, fd)),
            (Rights::FD_DATASYNC, |g, fd| preview1::fd_datasync(&mut g.memory, &mut g.ctx, fd)),
        ];
        for (index, (needed, action)) in needs.into_iter().enumerate() {
            let with = open(guest, ROOT, Rights::all()).unwrap();
            guest.set_rights(with, needed, Rights::empty()).unwrap();
            assert_eq!(action(guest, with), Ok(()), "{index}: {needed:?}");
            let without = open(guest, ROOT, Rights::all()).unwrap();
            let implied = Rights::FD_SEEK | Rights::FD_TELL;
            let taken = if implied.contains(needed) { implied } else { needed };
            guest.set_rights(without, Rights::FILE - taken, Rights::empty()).unwrap();
            assert_eq!(action(guest, without), Err(Errno::Notcapable), "{index}: {needed:?}");
        }
    });
}

#[test]
fn a_directory_needs_each_right() {
    type Action = fn(&mut Guest) -> Result<(), Errno>;
    let needs: [(Rights, Action); 20] = [
        (Rights::PATH_OPEN, |g| g.open(ROOT, "d/f").map(drop)),
        (Rights::PATH_CREATE_FILE, |g| g.create("new").map(drop)),
        (Rights::PATH_FILESTAT_SET_SIZE, |g| {
            g.open_with(ROOT, "d/f", OFlags::TRUNC, Rights::all(), NO_FLAGS).map(drop)
        }),
        (Rights::FD_READDIR, |g| g.readdir(ROOT, 4096).map(drop)),
        (Rights::PATH_FILESTAT_GET, |g| g.stat("d").map(drop)),
        (Rights::PATH_FILESTAT_SET_TIMES, |g| {
            let (at, len) = g.path("d/f");
            preview1::path_filestat_set_times(&mut g.memory, &mut g.ctx, ROOT, 0, at, len, 1, 1, 5)
        }),
        (Rights::PATH_CREATE_DIRECTORY, |g| g.mkdir("new")),
        (Rights::PATH_REMOVE_DIRECTORY, |g| g.rmdir("empty")),
        (Rights::PATH_UNLINK_FILE, |g| g.unlink("d/f")),
        (Rights::PATH_RENAME_SOURCE, |g| g.rename("d/f", "g")),
        (Rights::PATH_RENAME_TARGET, |g| g.rename("d/f", "g")),
        (Rights::PATH_LINK_SOURCE, |g| g.link("d/f", "g", false)),
        (Rights::PATH_LINK_TARGET, |g| g.link("d/f", "g", false)),
        (Rights::PATH_SYMLINK, |g| g.symlink("d/f", "g")),
        (Rights::PATH_READLINK, |g| g.readlink("link", 9).map(drop)),
        (Rights::FD_FILESTAT_GET, |g| g.fstat(ROOT).map(drop)),
        (Rights::FD_FILESTAT_SET_TIMES, |g| preview1::fd_filestat_set_times(&mut g.memory, &mut g.ctx, ROOT, 1, 1, 5)),
        (Rights::FD_FDSTAT_SET_FLAGS, |g| g.set_flags(ROOT, NO_FLAGS)),
        (Rights::FD_SYNC, |g| preview1::fd_sync(&mut g.memory, &mut g.ctx, ROOT)),
        (Rights::FD_DATASYNC, |g| preview1::fd_datasync(&mut g.memory, &mut g.ctx, ROOT)),
    ];
    for (needed, action) in needs {
        let attempt = |rights, expected| {
            over_tree(|guest| {
                guest.mkdir("empty").unwrap();
                guest.symlink("d", "link").unwrap();
                guest.set_rights(ROOT, rights, Rights::INHERITING).unwrap();
                assert_eq!(action(guest), expected, "{needed:?}");
            });
        };
        attempt(Rights::DIRECTORY - needed, Err(Errno::Notcapable));
        attempt(Rights::DIRECTORY, Ok(()));
    }
}

#[test]
fn rights_only_shrink() {
    reading(|guest| {
        let few = Rights::FD_READ | Rights::FD_SEEK;
        let fd = open(guest, ROOT, few).unwrap();
        assert_eq!(guest.set_rights(fd, few | Rights::FD_WRITE, Rights::empty()), Err(Errno::Notcapable));
        assert_eq!(guest.set_rights(fd, few, Rights::FD_READ), Err(Errno::Notcapable));
        let unknown = preview1::fd_fdstat_set_rights(&mut guest.memory, &mut guest.ctx, fd, 1 << 40, 0);
        assert_eq!((unknown, guest.fdstat(fd).unwrap().2), (Err(Errno::Notcapable), few));
        assert_eq!(guest.set_rights(fd, Rights::FD_READ, Rights::empty()), Ok(()));
        assert_eq!(guest.set_rights(fd, few, Rights::empty()), Err(Errno::Notcapable), "for good");
        assert_eq!(guest.set_rights(99, Rights::empty(), Rights::empty()), Err(Errno::Badf));
    });
}

#[test]
fn children_have_no_more_than_is_passed_on() {
    over_tree(|guest| {
        let passed = Rights::INHERITING - Rights::FD_WRITE - Rights::FD_ADVISE - Rights::PATH_SYMLINK;
        guest.set_rights(ROOT, Rights::DIRECTORY, passed).unwrap();
        assert_eq!(open(guest, ROOT, Rights::all()), Err(Errno::Notcapable), "writing is asked for, not given");
        let fd = open(guest, ROOT, Rights::all() - Rights::FD_WRITE).unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().2, (Rights::FILE & passed));
        let dir = guest.open(ROOT, "d").unwrap();
        let (_, _, base, inheriting) = guest.fdstat(dir).unwrap();
        assert_eq!((base, inheriting), (Rights::DIRECTORY - Rights::PATH_SYMLINK, passed));
        let writing = guest.open_with(dir, "f", PLAIN, Rights::FD_WRITE, NO_FLAGS);
        assert_eq!(writing, Err(Errno::Notcapable), "nor to grandchildren");
        guest.set_rights(ROOT, Rights::DIRECTORY, passed - Rights::FD_DATASYNC - Rights::FD_SYNC).unwrap();
        for flags in [FdFlags::DSYNC, FdFlags::SYNC, FdFlags::RSYNC] {
            let sync = guest.open_with(ROOT, "new", CREATE, Rights::FD_READ, flags);
            assert_eq!(sync, Err(Errno::Notcapable), "{flags:?}");
        }
        assert_eq!(guest.stat("new"), Err(Errno::Noent), "and nothing was made");
    });
}

#[test]
fn unknown_rights_are_not_given() {
    over_tree(|guest| {
        let (at, len) = guest.path("f");
        let Guest { memory, ctx } = guest;
        preview1::path_open(memory, ctx, ROOT, 1, at, len, 0, u64::MAX, u64::MAX, 0, RESULT).unwrap();
        let fd = guest.u32(RESULT);
        assert_eq!(guest.fdstat(fd).unwrap().2, Rights::FILE);
    });
}
