//! What was different in `wasi_unstable`.

use kitbag::wasi::{Errno, WasiCtx, unstable};

use super::backends::reading;
use super::guest::{BUFFER, Guest, PATH, REGULAR_FILE, RESULT, ROOT};

#[test]
fn seeking_counts_from_other_numbers() {
    reading(|guest| {
        let fd = guest.open(ROOT, "abcdef").unwrap();
        let mut seek = |delta, whence| {
            unstable::fd_seek(&mut guest.memory, &mut guest.ctx, fd, delta, whence, RESULT)?;
            Ok(guest.u64(RESULT))
        };
        assert_eq!((seek(4, 2), seek(-1, 0), seek(-1, 1), seek(0, 3)), (Ok(4), Ok(3), Ok(5), Err(Errno::Inval)));
    });
}

#[test]
fn records_of_files_are_shorter() {
    reading(|guest| {
        let now = guest.stat("abcdef").unwrap();
        let (at, len) = guest.path("abcdef");
        let fd = guest.open(ROOT, "abcdef").unwrap();
        let Guest { memory, ctx } = guest;
        memory[BUFFER as usize..].fill(0xaa);
        unstable::path_filestat_get(memory, ctx, ROOT, 1, at, len, BUFFER).unwrap();
        unstable::fd_filestat_get(memory, ctx, fd, BUFFER + 64).unwrap();
        assert_eq!(guest.get(BUFFER, 56), guest.get(BUFFER + 64, 56));
        assert_eq!(
            (guest.u64(BUFFER), guest.u64(BUFFER + 8), guest.get(BUFFER + 16, 1)),
            (now.device, now.inode, &[REGULAR_FILE][..])
        );
        assert_eq!((guest.u32(BUFFER + 20), guest.u64(BUFFER + 24)), (1, 6));
        assert_eq!([32, 40, 48].map(|at| guest.u64(BUFFER + at)), now.times);
        assert_eq!(guest.get(BUFFER + 56, 8), [0xaa; 8]);
    });
}

#[test]
fn subscriptions_are_longer() {
    let mut guest = Guest::new(WasiCtx::builder());
    let mut record = [0; 112];
    record[..8].copy_from_slice(&1u64.to_le_bytes());
    record[24] = 1;
    record[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    record[56..64].copy_from_slice(&2u64.to_le_bytes());
    record[56 + 8] = 2;
    record[56 + 16] = 1;
    guest.put(PATH, &record);
    unstable::poll_oneoff(&mut guest.memory, &mut guest.ctx, PATH, BUFFER, 2, RESULT).unwrap();
    assert_eq!((guest.u32(RESULT), guest.u64(BUFFER)), (1, 2), "the clock has long to go, standard output is ready");
}
