//! Reading, writing, seeking, sizes and times of files.

use kitbag::wasi::{Errno, FdFlags, Rights, SteppingClock, WasiCtx, preview1};

use super::backends::{on_each, on_each_root, over_tree, reading};
use super::guest::{BUFFER, CREATE, Guest, IOVS, REGULAR_FILE, RESULT, ROOT};

const SET: u32 = 0;
const CUR: u32 = 1;
const END: u32 = 2;

fn set_size(guest: &mut Guest, fd: u32, size: u64) -> Result<(), Errno> {
    preview1::fd_filestat_set_size(&mut guest.memory, &mut guest.ctx, fd, size)
}

fn allocate(guest: &mut Guest, fd: u32, offset: u64, len: u64) -> Result<(), Errno> {
    preview1::fd_allocate(&mut guest.memory, &mut guest.ctx, fd, offset, len)
}

fn set_times(guest: &mut Guest, fd: u32, accessed: u64, modified: u64, flags: u32) -> Result<(), Errno> {
    preview1::fd_filestat_set_times(&mut guest.memory, &mut guest.ctx, fd, accessed, modified, flags)
}

#[test]
fn what_is_written_is_read() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        assert_eq!((guest.write(fd, b"hello "), guest.write(fd, b"world")), (Ok(6), Ok(5)));
        assert_eq!(guest.read(fd, 10), Ok(vec![]), "at the end");
        assert_eq!(guest.seek(fd, 0, SET), Ok(0));
        assert_eq!((guest.read(fd, 5).unwrap(), guest.read(fd, 100).unwrap()), (b"hello".to_vec(), b" world".to_vec()));
        let stat = guest.fstat(fd).unwrap();
        assert_eq!((stat.kind, stat.links, stat.size), (REGULAR_FILE, 1, 11));
        assert_eq!(guest.stat("f").unwrap().inode, stat.inode);
    });
}

#[test]
fn positioned() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        assert_eq!(guest.pwrite(fd, b"world", 6), Ok(5), "a gap before it");
        assert_eq!(guest.tell(fd), Ok(0));
        assert_eq!(guest.pread(fd, 100, 0).unwrap(), b"\0\0\0\0\0\0world");
        assert_eq!((guest.pread(fd, 3, 9).unwrap(), guest.pread(fd, 3, 11).unwrap()), (b"ld".to_vec(), vec![]));
        assert_eq!(guest.pread(fd, 3, i64::MAX as u64 - 3).unwrap(), b"");
        assert_eq!(
            (guest.pread(fd, 3, 1 << 63), guest.pwrite(fd, b"x", u64::MAX)),
            (Err(Errno::Inval), Err(Errno::Inval))
        );
        assert_eq!(guest.tell(fd), Ok(0));
    });
}

#[test]
fn several_buffers() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.put(BUFFER, b"abcdefgh");
        let (iovs, count) = guest.iovs(&[(BUFFER + 4, 4), (BUFFER, 0), (0xffff_ffff, 0), (BUFFER, 4), (BUFFER, 2)]);
        preview1::fd_write(&mut guest.memory, &mut guest.ctx, fd, iovs, count, RESULT).unwrap();
        assert_eq!(guest.u32(RESULT), 10);
        guest.seek(fd, 0, SET).unwrap();
        let (iovs, count) = guest.iovs(&[(BUFFER + 20, 3), (BUFFER + 10, 3), (BUFFER + 30, 8)]);
        preview1::fd_read(&mut guest.memory, &mut guest.ctx, fd, iovs, count, RESULT).unwrap();
        assert_eq!(guest.u32(RESULT), 10);
        assert_eq!(guest.get(BUFFER + 20, 4), b"efg\xaa");
        assert_eq!((guest.get(BUFFER + 10, 4), guest.get(BUFFER + 30, 5)), (&b"hab\xaa"[..], &b"cdab\xaa"[..]));
        let (iovs, count) = guest.iovs(&[(BUFFER, 6), (BUFFER + 2, 6)]);
        preview1::fd_pread(&mut guest.memory, &mut guest.ctx, fd, iovs, count, 0, RESULT).unwrap();
        assert_eq!(
            (guest.u32(RESULT), guest.get(BUFFER, 8)),
            (10, &b"efcdabgh"[..]),
            "overlapping: one after the other"
        );
    });
}

#[test]
fn nothing_is_moved_by_zero_buffers() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"abc").unwrap();
        guest.seek(fd, 1, SET).unwrap();
        let Guest { memory, ctx } = guest;
        assert_eq!(preview1::fd_read(memory, ctx, fd, u32::MAX, 0, RESULT), Ok(()));
        assert_eq!(preview1::fd_write(memory, ctx, fd, u32::MAX, 0, RESULT), Ok(()));
        assert_eq!((guest.u32(RESULT), guest.tell(fd), guest.read(fd, 0)), (0, Ok(1), Ok(vec![])));
    });
}

#[test]
fn seeking() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"0123456789").unwrap();
        assert_eq!((guest.seek(fd, -3, END), guest.seek(fd, 1, CUR), guest.tell(fd)), (Ok(7), Ok(8), Ok(8)));
        assert_eq!((guest.seek(fd, -9, CUR), guest.seek(fd, -11, END)), (Err(Errno::Inval), Err(Errno::Inval)));
        assert_eq!((guest.seek(fd, -1, SET), guest.seek(fd, 0, 3)), (Err(Errno::Inval), Err(Errno::Inval)));
        assert_eq!(guest.tell(fd), Ok(8), "what failed moved nothing");
        assert_eq!(guest.seek(fd, i64::MAX, SET), Ok(i64::MAX as u64));
        assert_eq!((guest.seek(fd, 1, CUR), guest.read(fd, 1)), (Err(Errno::Inval), Ok(vec![])));
        assert_eq!(guest.seek(fd, i64::MIN, CUR), Err(Errno::Inval));
        assert_eq!((guest.seek(fd, 20, SET), guest.write(fd, b"x")), (Ok(20), Ok(1)));
        assert_eq!(guest.fstat(fd).unwrap().size, 21);
    });
}

#[test]
fn appending_goes_to_the_end_wherever_the_position() {
    on_each(|guest| {
        let fd = guest.open_with(ROOT, "f", CREATE, Rights::all(), FdFlags::APPEND).unwrap();
        guest.write(fd, b"one").unwrap();
        guest.seek(fd, 0, SET).unwrap();
        guest.write(fd, b"two").unwrap();
        assert_eq!(guest.tell(fd), Ok(6));
        assert_eq!(guest.pwrite(fd, b"!", 0), Ok(1), "as Linux does");
        assert_eq!(guest.contents("f").unwrap(), b"onetwo!");
    });
}

#[test]
fn synchronous_writing() {
    on_each(|guest| {
        for flags in [FdFlags::DSYNC, FdFlags::SYNC, FdFlags::RSYNC] {
            let fd = guest.open_with(ROOT, "f", CREATE, Rights::all(), flags).unwrap();
            assert_eq!((guest.write(fd, b"x"), guest.fdstat(fd).unwrap().1), (Ok(1), flags));
        }
        let fd = guest.open(ROOT, "f").unwrap();
        for (fd, sync) in [(fd, Ok(())), (ROOT, Ok(())), (0, Err(Errno::Inval)), (99, Err(Errno::Badf))] {
            assert_eq!(preview1::fd_sync(&mut guest.memory, &mut guest.ctx, fd), sync);
            assert_eq!(preview1::fd_datasync(&mut guest.memory, &mut guest.ctx, fd), sync);
        }
    });
}

#[test]
fn sizes() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        guest.write(fd, b"abcdef").unwrap();
        assert_eq!((set_size(guest, fd, 3), guest.contents("f").unwrap()), (Ok(()), b"abc".to_vec()));
        assert_eq!((set_size(guest, fd, 5), guest.contents("f").unwrap()), (Ok(()), b"abc\0\0".to_vec()));
        assert_eq!(guest.tell(fd), Ok(6));
        assert_eq!(set_size(guest, fd, u64::MAX), Err(Errno::Inval));
        assert_eq!((set_size(guest, ROOT, 0), set_size(guest, 0, 0)), (Err(Errno::Badf), Err(Errno::Inval)));
        assert_eq!((allocate(guest, fd, 4, 4), guest.fstat(fd).unwrap().size), (Ok(()), 8));
        assert_eq!((allocate(guest, fd, 0, 4), guest.fstat(fd).unwrap().size), (Ok(()), 8), "never shorter");
        assert_eq!(
            (allocate(guest, fd, 0, 0), allocate(guest, fd, 1 << 63, 1)),
            (Err(Errno::Inval), Err(Errno::Inval))
        );
        assert_eq!(
            (allocate(guest, fd, 1, i64::MAX as u64), allocate(guest, fd, 1, u64::MAX)),
            (Err(Errno::Fbig), Err(Errno::Fbig))
        );
        assert_eq!((allocate(guest, ROOT, 0, 1), allocate(guest, 0, 0, 1)), (Err(Errno::Badf), Err(Errno::Spipe)));
    });
}

#[test]
fn advice() {
    reading(|guest| {
        let fd = guest.open(ROOT, "f").unwrap();
        let mut advise =
            |fd, offset, advice| preview1::fd_advise(&mut guest.memory, &mut guest.ctx, fd, offset, 9, advice);
        assert!((0..6).all(|advice| advise(fd, 0, advice) == Ok(())));
        assert_eq!((advise(fd, 0, 6), advise(fd, u64::MAX, 0)), (Err(Errno::Inval), Err(Errno::Inval)));
        assert_eq!(
            (advise(0, 0, 0), advise(ROOT, 0, 0), advise(99, 0, 0)),
            (Err(Errno::Spipe), Err(Errno::Badf), Err(Errno::Badf))
        );
    });
}

/// Threat: extreme timestamps.
#[test]
fn times() {
    const BOTH: u32 = 1 | 4;
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        assert_eq!(set_times(guest, fd, 1_500_000_000, 2_000_000_000, BOTH), Ok(()));
        assert_eq!(guest.fstat(fd).unwrap().times[..2], [1_500_000_000, 2_000_000_000]);
        assert_eq!(set_times(guest, fd, 9, 3_000_000_000, 4), Ok(()), "one of them");
        assert_eq!(guest.fstat(fd).unwrap().times[..2], [1_500_000_000, 3_000_000_000]);
        assert_eq!(set_times(guest, fd, 9, 9, 2 | 8), Ok(()), "to now");
        assert!(guest.fstat(fd).unwrap().times[..2].iter().all(|&time| time > 1_600_000_000_000_000_000));
        for bad in [1 | 2, 4 | 8, 16, 0x1_0001] {
            assert_eq!(set_times(guest, fd, 0, 0, bad), Err(Errno::Inval));
        }
        assert_eq!(set_times(guest, ROOT, 7_000_000_000, 8_000_000_000, BOTH), Ok(()), "of a directory");
        assert_eq!(guest.fstat(ROOT).unwrap().times[..2], [7_000_000_000, 8_000_000_000]);
        assert_eq!(
            (set_times(guest, 1, 0, 0, BOTH), set_times(guest, 99, 0, 0, 0)),
            (Err(Errno::Badf), Err(Errno::Badf))
        );
        for extreme in [0, u64::MAX, i64::MAX as u64, 1 << 63] {
            _ = set_times(guest, fd, extreme, extreme, BOTH);
            guest.fstat(fd).unwrap();
        }
    });
}

#[test]
fn now_is_what_the_guests_clock_says() {
    on_each_root(|root| {
        let mut guest = Guest::new(WasiCtx::builder().preopen("/", root).clock(SteppingClock::new(5_000_000_000, 0)));
        let fd = guest.create("f").unwrap();
        set_times(&mut guest, fd, 0, 0, 2 | 8).unwrap();
        assert_eq!(guest.fstat(fd).unwrap().times[..2], [5_000_000_000; 2]);
    });
}

#[test]
fn directories_are_no_files() {
    reading(|guest| {
        let fd = guest.open(ROOT, "d").unwrap();
        assert_eq!((guest.read(fd, 1), guest.pread(fd, 1, 0)), (Err(Errno::Isdir), Err(Errno::Isdir)));
        assert_eq!((guest.write(fd, b"x"), guest.pwrite(fd, b"x", 0)), (Err(Errno::Badf), Err(Errno::Badf)));
        assert_eq!((guest.seek(fd, 0, SET), guest.tell(fd)), (Err(Errno::Badf), Err(Errno::Badf)));
    });
}

/// Threat: write amplification through many iovecs.
#[test]
fn the_quota_of_bytes_written() {
    on_each_root(|root| {
        let mut guest = Guest::new(WasiCtx::builder().preopen("/", root).max_written(10));
        let fd = guest.create("f").unwrap();
        assert_eq!((guest.write(fd, b"123456"), guest.write(1, b"789")), (Ok(6), Ok(3)), "streams count too");
        assert_eq!((guest.write(fd, b"ab"), guest.pwrite(fd, b"ab", 0)), (Err(Errno::Dquot), Err(Errno::Dquot)));
        assert_eq!((guest.write(fd, b"a"), guest.write(fd, b"")), (Ok(1), Ok(0)));
        guest.put(BUFFER, &[7; 0x1000]);
        let (iovs, count) = guest.iovs(&[(BUFFER, 0x1000); 1000]);
        let amplified = preview1::fd_write(&mut guest.memory, &mut guest.ctx, fd, iovs, count, RESULT);
        assert_eq!((amplified, allocate(&mut guest, fd, 0, 11)), (Err(Errno::Dquot), Err(Errno::Dquot)));
        assert_eq!(guest.contents("f").unwrap(), b"123456a");
    });
}

/// Threat: iovec counts at 2³²−1.
#[test]
fn too_many_buffers() {
    over_tree(|guest| {
        let fd = guest.create("f").unwrap();
        let Guest { memory, ctx } = guest;
        memory[IOVS as usize..][..8 * 1025].fill(0);
        assert_eq!(preview1::fd_read(memory, ctx, fd, IOVS, 1024, RESULT), Ok(()));
        assert_eq!(preview1::fd_read(memory, ctx, fd, IOVS, 1025, RESULT), Err(Errno::Inval));
        assert_eq!(preview1::fd_write(memory, ctx, fd, IOVS, u32::MAX, RESULT), Err(Errno::Inval));
    });
}

/// A file in memory, holes and all, may be as long as an offset can say; on the disk that is for the kernel's file system to say.
#[test]
fn files_too_large() {
    on_each(|guest| {
        let fd = guest.create("f").unwrap();
        let end = i64::MAX as u64;
        assert_eq!(guest.pwrite(fd, b"x", end), Err(Errno::Fbig));
        assert_eq!((guest.seek(fd, i64::MAX, SET), guest.write(fd, b"x")), (Ok(end), Err(Errno::Fbig)));
        assert_eq!((guest.fstat(fd).unwrap().size, guest.tell(fd)), (0, Ok(end)));
        let across = guest.pwrite(fd, &[7; 20], end - 9);
        assert!(matches!(across, Ok(9) | Err(Errno::Fbig)), "{across:?}");
        let size = if across.is_ok() { end } else { 0 };
        assert_eq!(guest.fstat(fd).unwrap().size, size);
    });
}

/// On the disk, the only file system that has any.
#[test]
fn a_fifo_has_no_positions() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let disk = kitbag_fs::disk::Disk::read_write(folder.path()).unwrap();
    let mut guest = Guest::over(kitbag_fs::FileSystem::root(&disk).unwrap());
    let fd = guest.open(ROOT, "fifo").unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().0, 0, "a type that has no number");
    let moved = [guest.seek(fd, 0, SET), guest.seek(fd, 0, CUR), guest.seek(fd, 0, END), guest.tell(fd)];
    assert_eq!(moved, [Err(Errno::Spipe); 4]);
}
