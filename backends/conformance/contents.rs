//! Writing contents and changing sizes.

use std::io::IoSlice;

use super::{Scene, at, bytes, text, with};
use crate::{Error, OpenOptions, Result};

/// `write_at` and `write_vectored_at`.
pub(super) fn writing(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.put("file", b"")?;
    scene.same("write", file.write_at(b"hello, world", 0), Ok(12));
    scene.same("write over", file.write_at(b"HELL", 0), Ok(4));
    scene.same("contents", text(&*file), Ok("HELLo, world".into()));
    scene.same("across the end", file.write_at(b"WORLD!", 7), Ok(6));
    scene.same("contents by name", scene.get("file"), Ok("HELLo, WORLD!".into()));
    let parts = [&b"one "[..], b"", b"two "].map(IoSlice::new);
    scene.same("vectored", file.write_vectored_at(&parts, 13), Ok(8));
    scene.same("contents", text(&*file), Ok("HELLo, WORLD!one two ".into()));
    scene.same("nothing, far out", file.write_at(b"", 1 << 30), Ok(0));
    scene.same("its size", file.metadata().map(|it| it.size), Ok(21));
    scene.same("past a gap", file.write_at(b"end", 100_000), Ok(3));
    let all = bytes(&*file)?;
    scene.holds("the gap is zeros", all.len() == 100_003 && all[21..100_000].iter().all(|&byte| byte == 0));
    scene.holds("after the gap", all.ends_with(b"end"));
    let shared = file.read_all()?;
    scene.holds("read_all", *shared == *all);
    let far = file.write_at(b"x", u64::MAX).map(|_| ());
    scene.one_of("past the end of numbers", far, &[Err(Error::TooLarge), Err(Error::Invalid)]);
    scene.same("a byte at the largest offset", file.write_at(b"x", i64::MAX as u64).map(|_| ()), Err(Error::TooLarge));
    large(scene)
}

/// More than any buffer within.
fn large(scene: &mut Scene<'_>) -> Result<()> {
    let pattern: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
    let file = scene.put("large", b"")?;
    let mut done = 0;
    while done < pattern.len() {
        done += file.write_at(&pattern[done..], done as u64)?;
    }
    scene.holds("a large file", bytes(&*file)? == pattern);
    scene.holds("a large file, shared", *file.read_all()? == *pattern);
    file.write_at(b"patch", 500_000)?;
    let mut window = [0; 9];
    file.read_at(&mut window, 499_998)?;
    scene.holds("a patch inside it", window[2..7] == *b"patch" && window[..2] == pattern[499_998..500_000]);
    Ok(())
}

/// `set_len`, `allocate` and sparse files.
pub(super) fn sizes(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.put("file", b"0123456789")?;
    scene.same("shrink", file.set_len(4), Ok(()));
    scene.same("contents", text(&*file), Ok("0123".into()));
    scene.same("grow", file.set_len(6), Ok(()));
    scene.same("zeros, not what was there", text(&*file), Ok("0123\0\0".into()));
    scene.same("size by name", scene.stat("file").map(|it| it.size), Ok(6));
    scene.same("to nothing", file.set_len(0), Ok(()));
    scene.same("contents", text(&*file), Ok(String::new()));
    scene.same("a size beyond numbers", file.set_len(u64::MAX), Err(Error::TooLarge));
    scene.same("allocate nothing", file.allocate(0, 0), Err(Error::Invalid));
    scene.same("allocate", file.allocate(10, 90), Ok(()));
    scene.same("it extends", file.metadata().map(|it| it.size), Ok(100));
    scene.same("allocate within", file.allocate(0, 10), Ok(()));
    scene.same("it does not shrink", file.metadata().map(|it| it.size), Ok(100));
    scene.same("allocate beyond numbers", file.allocate(u64::MAX, 1), Err(Error::TooLarge));
    scene.same("allocate beyond numbers", file.allocate(1, u64::MAX), Err(Error::TooLarge));
    sparse(scene)
}

/// A terabyte of nothing and a byte. A backend may call it too large; it may not stumble.
fn sparse(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.put("sparse", b"")?;
    match file.write_at(b"x", 1 << 40) {
        Ok(count) => {
            let mut buffer = [1; 3];
            scene.same("a byte far out", count, 1);
            scene.same("the end", file.read_at(&mut buffer, (1 << 40) - 2), Ok(3));
            scene.same("its bytes", buffer, *b"\0\0x");
            scene.same("the middle", file.read_at(&mut buffer, 1 << 39), Ok(3));
            scene.same("its bytes", buffer, [0; 3]);
        }
        refused => {
            let wanted = [Error::TooLarge, Error::NoSpace, Error::Quota, Error::NoMemory].map(Err);
            scene.one_of("a byte far out", refused, &wanted);
        }
    }
    scene.same("back to a byte", file.set_len(1), Ok(()));
    scene.dir.unlink(at("sparse"))
}

/// `append`.
pub(super) fn appending(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.put("file", b"start")?;
    let other = scene.open("file", with(false, true))?;
    let parts = [&b" one"[..], b" two"].map(IoSlice::new);
    scene.same("append", file.append(&parts), Ok((8, 13)));
    scene.same("append by another handle", other.append(&[IoSlice::new(b"!")]), Ok((1, 14)));
    file.set_len(3)?;
    scene.same("append after truncation", other.append(&[IoSlice::new(b"?")]), Ok((1, 4)));
    scene.same("append nothing", file.append(&[]), Ok((0, 4)));
    scene.same("contents", scene.get("file"), Ok("sta?".into()));
    scene.same("positioned writing is not appending", file.write_at(b"S", 0), Ok(1));
    scene.same("contents", scene.get("file"), Ok("Sta?".into()));
    Ok(())
}

/// A handle does what it was opened for and no more.
pub(super) fn access(scene: &mut Scene<'_>) -> Result<()> {
    scene.put("file", b"contents")?;
    let reader = scene.open("file", OpenOptions::read())?;
    let results = [
        ("write_at", reader.write_at(b"x", 0).map(|_| ())),
        ("write_vectored_at", reader.write_vectored_at(&[IoSlice::new(b"x")], 0).map(|_| ())),
        ("append", reader.append(&[IoSlice::new(b"x")]).map(|_| ())),
        ("set_len", reader.set_len(0)),
        ("allocate", reader.allocate(0, 100)),
    ];
    for (what, got) in results {
        scene.same(format_args!("{what} by a reader"), got, Err(Error::BadHandle));
    }
    let writer = scene.open("file", with(false, true))?;
    scene.same("read_at by a writer", writer.read_at(&mut [0; 4], 0), Err(Error::BadHandle));
    scene.same("read_all by a writer", writer.read_all().map(|_| ()), Err(Error::BadHandle));
    scene.same("contents", scene.get("file"), Ok("contents".into()));
    Ok(())
}
