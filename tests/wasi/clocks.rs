//! Clocks, randomness, and the functions about the process.

use kitbag::wasi::{Errno, SeededRandom, SteppingClock, WasiCtx, preview1};

use super::guest::{BUFFER, Guest, RESULT, SIZE};

fn now(guest: &mut Guest, id: u32) -> Result<u64, Errno> {
    preview1::clock_time_get(&mut guest.memory, &mut guest.ctx, id, 1, RESULT)?;
    Ok(guest.u64(RESULT))
}

fn resolution(guest: &mut Guest, id: u32) -> Result<u64, Errno> {
    preview1::clock_res_get(&mut guest.memory, &mut guest.ctx, id, RESULT)?;
    Ok(guest.u64(RESULT))
}

#[test]
fn system_clocks() {
    let mut guest = Guest::new(WasiCtx::builder());
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    assert!(now(&mut guest, 0).unwrap() >= since_1970);
    for id in 0..4 {
        assert!(now(&mut guest, id).unwrap() <= now(&mut guest, id).unwrap());
        assert!(resolution(&mut guest, id).unwrap() > 0);
    }
    assert_eq!((now(&mut guest, 4), resolution(&mut guest, u32::MAX)), (Err(Errno::Inval), Err(Errno::Inval)));
}

#[test]
fn a_stepping_clock_is_the_same_each_time() {
    let run = || {
        let mut guest = Guest::new(WasiCtx::builder().clock(SteppingClock::new(1000, 10)));
        [0, 1, 0, 2].map(|id| now(&mut guest, id).unwrap())
    };
    assert_eq!(run(), [1000, 10, 1020, 30]);
    let mut extreme = Guest::new(WasiCtx::builder().clock(SteppingClock::new(u64::MAX, u64::MAX)));
    assert_eq!([0, 1, 1].map(|id| now(&mut extreme, id).unwrap()), [u64::MAX; 3]);
}

/// Threat: `random_get` of 4 GiB.
#[test]
fn random_bytes() {
    let fill = |guest: &mut Guest, at, len| preview1::random_get(&mut guest.memory, &mut guest.ctx, at, len);
    let mut guest = Guest::new(WasiCtx::builder());
    fill(&mut guest, BUFFER, 1000).unwrap();
    assert!(guest.get(BUFFER, 1000).chunks(100).all(|chunk| chunk.iter().any(|&byte| byte != 0xaa)));
    assert_eq!(guest.get(BUFFER + 1000, 8), [0xaa; 8]);
    assert_eq!(fill(&mut guest, BUFFER, u32::MAX), Err(Errno::Fault), "4 GiB");
    assert_eq!(fill(&mut guest, SIZE - 8, 9), Err(Errno::Fault));
    assert_eq!(guest.get(SIZE - 8, 8), [0xaa; 8]);
    assert_eq!((fill(&mut guest, SIZE - 8, 8), fill(&mut guest, SIZE + 1, 0)), (Ok(()), Ok(())));

    let seeded = |seed| {
        let mut guest = Guest::new(WasiCtx::builder().random(SeededRandom::new(seed)));
        fill(&mut guest, BUFFER, 100).unwrap();
        guest.get(BUFFER, 100).to_vec()
    };
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
}

#[test]
fn the_process() {
    let mut guest = Guest::new(WasiCtx::builder());
    assert_eq!(preview1::sched_yield(&mut guest.memory, &mut guest.ctx), Ok(()));
    assert_eq!(preview1::proc_raise(&mut guest.memory, &mut guest.ctx, 6), Err(Errno::Notsup));
}
