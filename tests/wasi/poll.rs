//! Waiting.

use kitbag::wasi::{Errno, HostStream, Input, Rights, SteppingClock, WasiCtx, preview1};

use super::backends::{over_tree, reading};
use super::guest::{BUFFER, Guest, PATH, RESULT, ROOT, SIZE};

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;
const ABSOLUTE: u16 = 1;

/// A record `subscription` for a clock.
fn clock(userdata: u64, id: u32, timeout: u64, flags: u16) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = CLOCK;
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[40..42].copy_from_slice(&flags.to_le_bytes());
    record
}

fn stream(userdata: u64, tag: u8, fd: u32) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = tag;
    record[16..20].copy_from_slice(&fd.to_le_bytes());
    record
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Event {
    userdata: u64,
    errno: Option<Errno>,
    tag: u8,
    bytes: u64,
    flags: u16,
}

fn event(userdata: u64, tag: u8) -> Event {
    Event { userdata, errno: None, tag, bytes: 0, flags: 0 }
}

fn poll(guest: &mut Guest, subscriptions: &[[u8; 48]]) -> Result<Vec<Event>, Errno> {
    guest.put(PATH, subscriptions.as_flattened());
    let Guest { memory, ctx } = guest;
    preview1::poll_oneoff(memory, ctx, PATH, BUFFER, subscriptions.len() as u32, RESULT)?;
    let read = |at: u32| Event {
        userdata: guest.u64(at),
        errno: Errno::from_number(u16::from_le_bytes(guest.get(at + 8, 2).try_into().unwrap())),
        tag: guest.get(at + 10, 1)[0],
        bytes: guest.u64(at + 16),
        flags: u16::from_le_bytes(guest.get(at + 24, 2).try_into().unwrap()),
    };
    Ok((0..guest.u32(RESULT)).map(|index| read(BUFFER + 32 * index)).collect())
}

fn now(guest: &mut Guest, id: u32) -> u64 {
    preview1::clock_time_get(&mut guest.memory, &mut guest.ctx, id, 0, RESULT).unwrap();
    guest.u64(RESULT)
}

#[test]
fn a_clock_has_reached_its_time_when_it_is_told() {
    let mut guest = Guest::new(WasiCtx::builder());
    let deadline = now(&mut guest, 1) + 10_000_000;
    assert_eq!(poll(&mut guest, &[clock(7, 1, deadline, ABSOLUTE)]), Ok(vec![event(7, CLOCK)]));
    assert!(now(&mut guest, 1) >= deadline);
    let deadline = now(&mut guest, 1) + 10_000_000;
    assert_eq!(poll(&mut guest, &[clock(7, 0, 10_000_000, 0)]), Ok(vec![event(7, CLOCK)]));
    assert!(now(&mut guest, 1) >= deadline);
    let soonest = [clock(1, 1, u64::MAX, 0), clock(2, 0, 1_000_000, 0), clock(3, 1, u64::MAX, ABSOLUTE)];
    assert_eq!(poll(&mut guest, &soonest), Ok(vec![event(2, CLOCK)]));
}

/// Threat: poll with past subscriptions.
#[test]
fn what_is_past_has_happened() {
    let mut guest = Guest::new(WasiCtx::builder());
    let past = [clock(1, 0, 5, ABSOLUTE), clock(2, 1, 0, 0), clock(3, 1, 0, ABSOLUTE), clock(4, 1, u64::MAX, 0)];
    assert_eq!(poll(&mut guest, &past), Ok(vec![event(1, CLOCK), event(2, CLOCK), event(3, CLOCK)]));
}

#[test]
fn a_clock_of_its_own_moves_on_at_once() {
    let mut guest = Guest::new(WasiCtx::builder().clock(SteppingClock::new(1_000, 0)));
    const YEAR: u64 = 31_536_000_000_000_000;
    assert_eq!(poll(&mut guest, &[clock(1, 1, YEAR, 0), clock(2, 1, 2 * YEAR, 0)]), Ok(vec![event(1, CLOCK)]));
    assert_eq!(now(&mut guest, 0), 1_000 + YEAR);
    assert_eq!(poll(&mut guest, &[clock(1, 0, 1_000 + 2 * YEAR, ABSOLUTE)]), Ok(vec![event(1, CLOCK)]));
    assert_eq!(now(&mut guest, 1), 2 * YEAR);
}

#[test]
fn files_are_always_ready() {
    over_tree(|guest| {
        let fd = guest.create("abcdef").unwrap();
        guest.read(fd, 2).unwrap();
        let ready = poll(guest, &[stream(1, READ, fd), clock(2, 1, u64::MAX, 0), stream(3, WRITE, fd)]);
        assert_eq!(ready, Ok(vec![Event { bytes: 4, ..event(1, READ) }, event(3, WRITE)]));
    });
}

#[test]
fn streams_in_memory_are_always_ready() {
    let mut guest = Guest::new(WasiCtx::builder().stdin(Input::new("hello")));
    let ready = poll(&mut guest, &[stream(1, READ, 0), stream(2, WRITE, 1)]);
    assert_eq!(ready, Ok(vec![Event { bytes: 5, ..event(1, READ) }, event(2, WRITE)]));
}

#[test]
fn pipes_are_waited_for() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut guest = Guest::new(WasiCtx::builder().stdin(HostStream::new(reader)));
    let either = [stream(1, READ, 0), clock(2, 1, 5_000_000, 0)];
    assert_eq!(poll(&mut guest, &either), Ok(vec![event(2, CLOCK)]), "nothing comes");
    let late = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        rustix::io::write(&writer, b"abc").unwrap();
        writer
    });
    let either = [stream(1, READ, 0), clock(2, 1, u64::MAX, 0)];
    assert_eq!(poll(&mut guest, &either), Ok(vec![Event { bytes: 3, ..event(1, READ) }]));
    drop(late.join().unwrap());
    guest.read(0, 3).unwrap();
    assert_eq!(poll(&mut guest, &either), Ok(vec![Event { flags: 1, ..event(1, READ) }]), "hung up");
}

#[test]
fn what_is_wrong_with_one_is_told_in_its_event() {
    reading(|guest| {
        let fd = guest.open_with(ROOT, "f", super::guest::PLAIN, Rights::FD_READ, super::guest::NO_FLAGS).unwrap();
        let wrong = [
            (stream(1, READ, 99), READ, Errno::Badf),
            (stream(2, READ, fd), READ, Errno::Notcapable),
            (stream(3, WRITE, 0), WRITE, Errno::Notcapable),
            (stream(4, READ, ROOT), READ, Errno::Badf),
            (clock(5, 2, 0, 0), CLOCK, Errno::Inval),
            (clock(6, 9, 0, 0), CLOCK, Errno::Inval),
            (clock(7, 1, 0, 2), CLOCK, Errno::Inval),
        ];
        let events = poll(guest, &wrong.map(|(record, ..)| record)).unwrap();
        let expected: Vec<_> = (1..)
            .zip(wrong)
            .map(|(userdata, (_, tag, errno))| Event { errno: Some(errno), ..event(userdata, tag) })
            .collect();
        assert_eq!(events, expected);
    });
}

/// Threat: poll with zero subscriptions.
#[test]
fn none_and_too_many() {
    let mut guest = Guest::new(WasiCtx::builder());
    assert_eq!(poll(&mut guest, &[]), Err(Errno::Inval));
    assert_eq!(poll(&mut guest, &[stream(1, 3, 0)]), Err(Errno::Inval), "an unknown type");
    let Guest { memory, ctx } = &mut guest;
    for (count, errno) in [(16_384, Errno::Fault), (16_385, Errno::Inval), (u32::MAX, Errno::Inval)] {
        assert_eq!(preview1::poll_oneoff(memory, ctx, PATH, BUFFER, count, RESULT), Err(errno));
    }
    assert_eq!(preview1::poll_oneoff(memory, ctx, SIZE - 47, BUFFER, 1, RESULT), Err(Errno::Fault));
}

/// Threat: poll with thousands of subscriptions.
#[test]
fn thousands() {
    const COUNT: u32 = 5_000;
    let mut guest = Guest::new(WasiCtx::builder());
    guest.memory = vec![0; 1 << 20];
    for index in 0..COUNT {
        guest.put(index * 48, &clock(index.into(), 1, 0, 0));
    }
    let events = COUNT * 48;
    let Guest { memory, ctx } = &mut guest;
    preview1::poll_oneoff(memory, ctx, 0, events, COUNT, (1 << 20) - 4).unwrap();
    assert_eq!(guest.u32((1 << 20) - 4), COUNT);
    assert!((0..COUNT).all(|index| guest.u64(events + index * 32) == u64::from(index)));
}

#[test]
fn events_may_lie_over_their_subscriptions() {
    let mut guest = Guest::new(WasiCtx::builder());
    guest.put(BUFFER, [clock(1, 1, 0, 0), clock(2, 1, 0, 0)].as_flattened());
    let Guest { memory, ctx } = &mut guest;
    preview1::poll_oneoff(memory, ctx, BUFFER, BUFFER, 2, RESULT).unwrap();
    assert_eq!((guest.u32(RESULT), guest.u64(BUFFER), guest.u64(BUFFER + 32)), (2, 1, 2));
}
