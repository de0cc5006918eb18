//! The table of descriptors, seen from the guest: numbers, closing, moving, preopened names, flags.

use kitbag::wasi::{Errno, FdFlags, WasiCtx, preview1};
use kitbag_fs::FileSystem;

use super::guest::{BUFFER, Guest, RESULT, ROOT, files};

fn renumber(guest: &mut Guest, from: u32, to: u32) -> Result<(), Errno> {
    preview1::fd_renumber(&mut guest.memory, &mut guest.ctx, from, to)
}

fn prestat(guest: &mut Guest, fd: u32) -> Result<(u32, u32), Errno> {
    preview1::fd_prestat_get(&mut guest.memory, &mut guest.ctx, fd, RESULT)?;
    Ok((guest.u32(RESULT), guest.u32(RESULT + 4)))
}

fn dir_name(guest: &mut Guest, fd: u32, len: u32) -> Result<(), Errno> {
    preview1::fd_prestat_dir_name(&mut guest.memory, &mut guest.ctx, fd, BUFFER, len)
}

#[test]
fn the_lowest_number_is_reused() {
    let mut guest = Guest::with_files(&["a", "b"]);
    assert_eq!((guest.open(ROOT, "a"), guest.open(ROOT, "b"), guest.open(ROOT, "a")), (Ok(4), Ok(5), Ok(6)));
    assert_eq!((guest.close(5), guest.close(0)), (Ok(()), Ok(())));
    assert_eq!(guest.close(5), Err(Errno::Badf));
    assert_eq!((guest.open(ROOT, "a"), guest.open(ROOT, "b"), guest.open(ROOT, "b")), (Ok(0), Ok(5), Ok(7)));
    assert_eq!((guest.close(u32::MAX), guest.read(8, 1)), (Err(Errno::Badf), Err(Errno::Badf)));
}

#[test]
fn a_full_table_makes_nothing() {
    let root = files(&["a"]).root().unwrap();
    let mut guest = Guest::new(WasiCtx::builder().preopen("/", root).max_descriptors(5));
    assert_eq!(guest.open(ROOT, "a"), Ok(4));
    assert_eq!(guest.create("new"), Err(Errno::Mfile));
    assert_eq!(guest.stat("new"), Err(Errno::Noent));
    guest.close(4).unwrap();
    assert_eq!(guest.create("new"), Ok(4));
}

#[test]
fn each_open_has_its_own_position() {
    let mut guest = Guest::with_files(&["abc"]);
    let (one, two) = (guest.open(ROOT, "abc").unwrap(), guest.open(ROOT, "abc").unwrap());
    assert_eq!(guest.read(one, 2).unwrap(), b"ab");
    assert_eq!(guest.read(two, 1).unwrap(), b"a");
    assert_eq!((guest.tell(one), guest.tell(two)), (Ok(2), Ok(1)));
}

#[test]
fn renumbering() {
    let mut guest = Guest::with_files(&["abc"]);
    let fd = guest.open(ROOT, "abc").unwrap();
    guest.read(fd, 1).unwrap();
    assert_eq!(renumber(&mut guest, fd, fd), Ok(()));
    assert_eq!(renumber(&mut guest, fd, 1), Ok(()), "onto a standard stream");
    assert_eq!((guest.read(1, 9).unwrap(), guest.read(fd, 1)), (b"bc".to_vec(), Err(Errno::Badf)));
    assert_eq!(renumber(&mut guest, ROOT, 0), Ok(()), "a preopened directory keeps its name");
    assert_eq!((prestat(&mut guest, 0), prestat(&mut guest, ROOT)), (Ok((0, 1)), Err(Errno::Badf)));
    assert_eq!(renumber(&mut guest, 1, 0), Ok(()), "onto a preopened directory");
    assert_eq!(prestat(&mut guest, 0), Err(Errno::Badf));
    assert_eq!((renumber(&mut guest, 9, 0), renumber(&mut guest, 0, u32::MAX)), (Err(Errno::Badf), Err(Errno::Badf)));
    assert_eq!(guest.tell(0), Ok(3), "what failed changed nothing");
}

#[test]
fn preopened_names() {
    let root = || files(&["a"]).root().unwrap();
    let mut guest = Guest::new(WasiCtx::builder().preopen("/", root()).preopen("/srv/data", root()));
    assert_eq!((prestat(&mut guest, 3), prestat(&mut guest, 4)), (Ok((0, 1)), Ok((0, 9))));
    for not_preopened in [0, 1, 2, 5] {
        assert_eq!(prestat(&mut guest, not_preopened), Err(Errno::Badf));
    }
    assert_eq!(dir_name(&mut guest, 4, 9), Ok(()));
    assert_eq!(guest.get(BUFFER, 10), b"/srv/data\xaa");
    assert_eq!((dir_name(&mut guest, 4, 8), dir_name(&mut guest, 0, 9)), (Err(Errno::Nametoolong), Err(Errno::Notdir)));
    assert_eq!((dir_name(&mut guest, 3, 999), dir_name(&mut guest, 99, 9)), (Ok(()), Err(Errno::Badf)));
    guest.close(3).unwrap();
    assert_eq!(prestat(&mut guest, 3), Err(Errno::Badf));
    let fd = guest.open(4, ".").unwrap();
    assert_eq!(prestat(&mut guest, fd), Err(Errno::Badf), "opened later");
}

#[test]
fn flags() {
    let mut guest = Guest::with_files(&["abc"]);
    let fd = guest.create("abc").unwrap();
    let flags = FdFlags::APPEND | FdFlags::NONBLOCK;
    assert_eq!(guest.set_flags(fd, flags), Ok(()));
    assert_eq!(guest.fdstat(fd).unwrap().1, flags);
    guest.write(fd, b"def").unwrap();
    assert_eq!(guest.contents("abc").unwrap(), b"abcdef");
    let unknown = preview1::fd_fdstat_set_flags(&mut guest.memory, &mut guest.ctx, fd, 1 << 5);
    assert_eq!((unknown, guest.set_flags(99, flags)), (Err(Errno::Inval), Err(Errno::Badf)));
    assert_eq!(guest.fdstat(fd).unwrap().1, flags);
}
