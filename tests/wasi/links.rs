//! Hard and symbolic links.

use kitbag::wasi::{Errno, OFlags, Rights, preview1};

use super::backends::on_each;
use super::guest::{CREATE, Guest, NO_FLAGS, PLAIN, RESULT, ROOT, SYMBOLIC_LINK};

#[test]
fn hard_links() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"abc").unwrap();
        assert_eq!(guest.link("f", "g", false), Ok(()));
        let (one, two) = (guest.stat("f").unwrap(), guest.stat("g").unwrap());
        assert_eq!((one.inode, one.links, two.links), (two.inode, 2, 2));
        guest.unlink("f").unwrap();
        assert_eq!((guest.contents("g").unwrap(), guest.stat("g").unwrap().links), (b"abc".to_vec(), 1));
        guest.mkdir("d").unwrap();
        assert_eq!((guest.link("g", "d", false), guest.link("no", "x", false)), (Err(Errno::Exist), Err(Errno::Noent)));
        assert_eq!((guest.link("d", "x", false), guest.link("g", "../x", false)), (Err(Errno::Perm), Err(Errno::Perm)));
        guest.symlink("g", "l").unwrap();
        assert_eq!((guest.link("l", "to_link", false), guest.link("l", "to_file", true)), (Ok(()), Ok(())));
        assert_eq!(guest.lstat("to_link").unwrap().kind, SYMBOLIC_LINK);
        assert_eq!(guest.lstat("to_file").unwrap().inode, guest.stat("g").unwrap().inode);
    });
}

#[test]
fn symbolic_links() {
    on_each(|guest| {
        guest.mkdir("d").unwrap();
        let fd = guest.create("d/f").unwrap();
        guest.write(fd, b"abc").unwrap();
        assert_eq!((guest.symlink("d/f", "l"), guest.symlink("d", "m")), (Ok(()), Ok(())));
        assert_eq!((guest.contents("l").unwrap(), guest.contents("m/f").unwrap()), (b"abc".to_vec(), b"abc".to_vec()));
        assert_eq!((guest.lstat("l").unwrap().kind, guest.lstat("l").unwrap().size), (SYMBOLIC_LINK, 3));
        assert_eq!(guest.readlink("l", 100).unwrap(), b"d/f");
        assert_eq!((guest.readlink("l", 2).unwrap(), guest.readlink("l", 0).unwrap()), (b"d/".to_vec(), vec![]));
        assert_eq!((guest.readlink("d", 9), guest.readlink("no", 9)), (Err(Errno::Inval), Err(Errno::Noent)));
        assert_eq!(guest.symlink("x", "l"), Err(Errno::Exist));
        assert_eq!((guest.symlink("", "x"), guest.symlink("a\0", "x")), (Err(Errno::Noent), Err(Errno::Inval)));
        assert_eq!(guest.symlink(&"a".repeat(4096), "x"), Err(Errno::Nametoolong));
        let (at, len) = guest.path("l");
        let Guest { memory, ctx } = guest;
        let open = preview1::path_open(memory, ctx, ROOT, 0, at, len, 0, Rights::FD_READ.bits(), 0, 0, RESULT);
        assert_eq!(open, Err(Errno::Loop), "not followed");
    });
}

/// Threats: trailing slash on a path or symlink target to escape; symlink followed with create and write; absolute symlink
/// targets; `..` through a symlink.
#[test]
fn links_lead_nowhere_outside() {
    on_each(|guest| {
        assert_eq!(guest.symlink("/etc/passwd", "abs"), Err(Errno::Perm));
        guest.mkdir("d").unwrap();
        guest.symlink("..", "up").unwrap();
        guest.symlink("../../x", "d/up").unwrap();
        guest.symlink("../f", "d/ok").unwrap();
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"inside").unwrap();
        for out in ["up", "up/", "up/x", "d/up", "d/up/"] {
            assert_eq!(guest.stat(out), Err(Errno::Perm), "{out}");
            let created = guest.open_with(ROOT, out, CREATE, Rights::all(), NO_FLAGS);
            assert!(matches!(created, Err(Errno::Perm | Errno::Isdir)), "{out}: {created:?}");
        }
        assert_eq!(guest.contents("d/ok").unwrap(), b"inside");
        let dir = guest.open(ROOT, "d").unwrap();
        assert_eq!(guest.stat_in(dir, "ok", true), Err(Errno::Perm), "out of the directory that the guest opened");
    });
}

/// Threat: symlink followed with create and write.
#[test]
fn loops_and_dangling_links() {
    on_each(|guest| {
        guest.symlink("b", "a").unwrap();
        guest.symlink("a", "b").unwrap();
        assert_eq!((guest.stat("a"), guest.open(ROOT, "a/x")), (Err(Errno::Loop), Err(Errno::Loop)));
        guest.symlink("target", "dangling").unwrap();
        assert_eq!((guest.stat("dangling"), guest.open(ROOT, "dangling")), (Err(Errno::Noent), Err(Errno::Noent)));
        let exclusive = guest.open_with(ROOT, "dangling", CREATE | OFlags::EXCL, Rights::all(), NO_FLAGS);
        assert_eq!(exclusive, Err(Errno::Exist));
        assert_eq!(guest.mkdir("dangling"), Err(Errno::Exist));
        assert!(guest.create("dangling").is_ok(), "made where the link leads");
        assert!(guest.open_with(ROOT, "target", PLAIN, Rights::all(), NO_FLAGS).is_ok());
        assert_eq!((guest.unlink("a"), guest.lstat("b").map(|stat| stat.kind)), (Ok(()), Ok(SYMBOLIC_LINK)));
    });
}
