//! Arguments, environment, and what the builder refuses.

use kitbag::wasi::{BuildError, Errno, WasiCtx, WasiCtxBuilder, preview1};
use kitbag_fs::{FileSystem, memory::Memory};

use super::guest::{BUFFER, Guest, IOVS, RESULT, SIZE};

fn guest() -> Guest {
    Guest::new(WasiCtx::builder().args(["prog", "", "a b"]).env("HOME", "/").env("X", "1").env("HOME", "=y"))
}

type Get = fn(&mut [u8], &mut WasiCtx, u32, u32) -> Result<(), Errno>;

/// The strings as a C program finds them.
fn strings(guest: &mut Guest, sizes: Get, get: Get) -> Vec<Vec<u8>> {
    sizes(&mut guest.memory, &mut guest.ctx, RESULT, RESULT + 4).unwrap();
    let (count, size) = (guest.u32(RESULT), guest.u32(RESULT + 4));
    get(&mut guest.memory, &mut guest.ctx, IOVS, BUFFER).unwrap();
    assert_eq!(guest.get(BUFFER + size, 1), [0xaa], "nothing is written past the end");
    let start = |index| guest.u32(IOVS + 4 * index);
    let text = |start: u32| guest.get(start, SIZE - start).split(|&byte| byte == 0).next().unwrap().to_vec();
    let strings: Vec<_> = (0..count).map(|index| text(start(index))).collect();
    assert_eq!(strings.iter().map(|string| string.len() as u32 + 1).sum::<u32>(), size);
    strings
}

#[test]
fn arguments() {
    let args = strings(&mut guest(), preview1::args_sizes_get, preview1::args_get);
    assert_eq!(args, [&b"prog"[..], b"", b"a b"]);
}

#[test]
fn environment() {
    let env = strings(&mut guest(), preview1::environ_sizes_get, preview1::environ_get);
    assert_eq!(env, [&b"HOME==y"[..], b"X=1"]);
}

#[test]
fn none() {
    let mut guest = Guest::new(WasiCtx::builder());
    assert!(strings(&mut guest, preview1::args_sizes_get, preview1::args_get).is_empty());
    assert_eq!(preview1::args_get(&mut guest.memory, &mut guest.ctx, SIZE, SIZE), Ok(()), "nothing to write");
}

#[test]
fn bad_pointers_leave_everything_as_it_was() {
    let mut guest = guest();
    let before = guest.memory.clone();
    let Guest { memory, ctx } = &mut guest;
    for (table, buffer) in [(SIZE - 11, BUFFER), (BUFFER, SIZE - 9), (u32::MAX, u32::MAX)] {
        assert_eq!(preview1::args_get(memory, ctx, table, buffer), Err(Errno::Fault));
        assert_eq!(preview1::environ_get(memory, ctx, table.saturating_add(8), buffer), Err(Errno::Fault));
    }
    for (count, size) in [(SIZE - 3, RESULT), (RESULT, SIZE - 3)] {
        assert_eq!(preview1::args_sizes_get(memory, ctx, count, size), Err(Errno::Fault));
        assert_eq!(preview1::environ_sizes_get(memory, ctx, count, size), Err(Errno::Fault));
    }
    assert!(*memory == before);
    assert_eq!(preview1::args_get(memory, ctx, SIZE - 12, BUFFER), Ok(()));
    assert_eq!(preview1::args_get(memory, ctx, BUFFER, SIZE - 10), Ok(()));
}

fn refusal(builder: WasiCtxBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn what_cannot_be_given_is_named() {
    assert!(refusal(WasiCtx::builder().arg("a\0b")).starts_with("argument `a\0b`"));
    for name in ["", "A=B", "A\0"] {
        assert!(refusal(WasiCtx::builder().env(name, "v")).starts_with("environment variable"));
    }
    assert!(refusal(WasiCtx::builder().env("A", "\0")).contains("`A`"));
    let root = Memory::new().root().unwrap();
    assert!(refusal(WasiCtx::builder().preopen("", root.clone())).contains("guest directory ``"));
    let few = WasiCtx::builder().preopen("/", root).max_descriptors(3).build();
    assert!(matches!(few, Err(BuildError::Descriptors(3))));
}
