//! The table of descriptors, seen from the guest: numbers, closing, moving, preopened names, flags.

use std::sync::Arc;

use kitbag::wasi::{Errno, FdFlags, WasiCtx, preview1};

use super::backends::{on_each_root, over_tree, reading, reading_root};
use super::guest::{BUFFER, Guest, RESULT, ROOT};

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
    reading(|guest| {
        assert_eq!(
            (guest.open(ROOT, "abcdef"), guest.open(ROOT, "f"), guest.open(ROOT, "abcdef")),
            (Ok(4), Ok(5), Ok(6))
        );
        assert_eq!((guest.close(5), guest.close(0)), (Ok(()), Ok(())));
        assert_eq!(guest.close(5), Err(Errno::Badf));
        assert_eq!((guest.open(ROOT, "abcdef"), guest.open(ROOT, "f"), guest.open(ROOT, "f")), (Ok(0), Ok(5), Ok(7)));
        assert_eq!((guest.close(u32::MAX), guest.read(8, 1)), (Err(Errno::Badf), Err(Errno::Badf)));
    });
}

/// Threat: descriptor exhaustion.
#[test]
fn a_full_table_makes_nothing() {
    on_each_root(|root| {
        let mut guest = Guest::new(WasiCtx::builder().preopen("/", root).max_descriptors(5));
        assert_eq!(guest.open(ROOT, "."), Ok(4));
        assert_eq!((guest.create("new"), guest.open(ROOT, ".")), (Err(Errno::Mfile), Err(Errno::Mfile)));
        assert_eq!(guest.stat("new"), Err(Errno::Noent));
        guest.close(4).unwrap();
        assert_eq!(guest.create("new"), Ok(4));
    });
}

#[test]
fn each_open_has_its_own_position() {
    reading(|guest| {
        let (one, two) = (guest.open(ROOT, "abcdef").unwrap(), guest.open(ROOT, "abcdef").unwrap());
        assert_eq!(guest.read(one, 2).unwrap(), b"ab");
        assert_eq!(guest.read(two, 1).unwrap(), b"a");
        assert_eq!((guest.tell(one), guest.tell(two)), (Ok(2), Ok(1)));
    });
}

/// Threat: renumber onto a preopen or itself.
#[test]
fn renumbering() {
    reading(|guest| {
        let fd = guest.open(ROOT, "abcdef").unwrap();
        guest.read(fd, 1).unwrap();
        assert_eq!(renumber(guest, fd, fd), Ok(()));
        assert_eq!(renumber(guest, fd, 1), Ok(()), "onto a standard stream");
        assert_eq!((guest.read(1, 9).unwrap(), guest.read(fd, 1)), (b"bcdef".to_vec(), Err(Errno::Badf)));
        assert_eq!(renumber(guest, ROOT, 0), Ok(()), "a preopened directory keeps its name");
        assert_eq!((prestat(guest, 0), prestat(guest, ROOT)), (Ok((0, 1)), Err(Errno::Badf)));
        assert_eq!(renumber(guest, 1, 0), Ok(()), "onto a preopened directory");
        assert_eq!(prestat(guest, 0), Err(Errno::Badf));
        assert_eq!((renumber(guest, 9, 0), renumber(guest, 0, u32::MAX)), (Err(Errno::Badf), Err(Errno::Badf)));
        assert_eq!(guest.tell(0), Ok(6), "what failed changed nothing");
    });
}

#[test]
fn preopened_names() {
    reading_root(|root| {
        let mut guest = Guest::new(WasiCtx::builder().preopen("/", Arc::clone(&root)).preopen("/srv/data", root));
        assert_eq!((prestat(&mut guest, 3), prestat(&mut guest, 4)), (Ok((0, 1)), Ok((0, 9))));
        for not_preopened in [0, 1, 2, 5] {
            assert_eq!(prestat(&mut guest, not_preopened), Err(Errno::Badf));
        }
        assert_eq!(dir_name(&mut guest, 4, 9), Ok(()));
        assert_eq!(guest.get(BUFFER, 10), b"/srv/data\xaa");
        assert_eq!(
            (dir_name(&mut guest, 4, 8), dir_name(&mut guest, 0, 9)),
            (Err(Errno::Nametoolong), Err(Errno::Notdir))
        );
        assert_eq!((dir_name(&mut guest, 3, 999), dir_name(&mut guest, 99, 9)), (Ok(()), Err(Errno::Badf)));
        guest.close(3).unwrap();
        assert_eq!(prestat(&mut guest, 3), Err(Errno::Badf));
        let fd = guest.open(4, ".").unwrap();
        assert_eq!(prestat(&mut guest, fd), Err(Errno::Badf), "opened later");
    });
}

#[test]
fn flags() {
    over_tree(|guest| {
        let fd = guest.create("abcdef").unwrap();
        let flags = FdFlags::APPEND | FdFlags::NONBLOCK;
        assert_eq!(guest.set_flags(fd, flags), Ok(()));
        assert_eq!(guest.fdstat(fd).unwrap().1, flags);
        guest.write(fd, b"gh").unwrap();
        assert_eq!(guest.contents("abcdef").unwrap(), b"abcdefgh");
        let unknown = preview1::fd_fdstat_set_flags(&mut guest.memory, &mut guest.ctx, fd, 1 << 5);
        assert_eq!((unknown, guest.set_flags(99, flags)), (Err(Errno::Inval), Err(Errno::Badf)));
        assert_eq!(guest.fdstat(fd).unwrap().1, flags);
    });
}
