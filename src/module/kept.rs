//! What is kept of a module beside its code: all but the bodies of its functions and what no engine reads. A module with DWARF is
//! kept whole where somebody may ask for lines of its source.
//!
//! It is itself laid out as a module, so that what is known of a module ([`ModuleInfo`](super::ModuleInfo)) is read from native code
//! that comes out of a file by the same parser that reads it from the module itself. Segments and names are
//! slices of it.

use kitbag_fs::Bytes;

/// The length of a module's preamble: magic and version.
const PREAMBLE: usize = 8;

const CUSTOM: u8 = 0;
const CODE: u8 = 10;

/// The parts of a module that are kept, and where each of them was.
pub(super) struct Kept {
    bytes: Bytes,
    /// The address of the module that they are parts of.
    module: usize,
    runs: Vec<Run>,
}

/// Bytes that lie together in the module and here.
struct Run {
    start: usize,
    end: usize,
    at: usize,
}

impl Kept {
    /// Copies the parts of `module` that are kept, up to where it is malformed.
    pub(super) fn of(module: &[u8]) -> Kept {
        let runs = runs(module);
        let mut bytes = Vec::with_capacity(runs.last().map_or(0, |run| run.at + run.end - run.start));
        for run in &runs {
            bytes.extend_from_slice(&module[run.start..run.end]);
        }
        Kept { bytes: bytes.into(), module: module.as_ptr().addr(), runs }
    }

    /// What was kept before.
    pub(super) fn whole(bytes: Bytes) -> Kept {
        let runs = vec![Run { start: 0, end: bytes.len(), at: 0 }];
        Kept { module: bytes.as_ptr().addr(), bytes, runs }
    }

    /// What is kept of `part`, a slice of the module.
    pub(super) fn find(&self, part: &[u8]) -> Bytes {
        let place = part.as_ptr().addr().wrapping_sub(self.module);
        let after = self.runs.partition_point(|run| run.start <= place);
        match self.runs[..after].last() {
            Some(run) if place + part.len() <= run.end => {
                self.bytes.slice(run.at + place - run.start..).slice(..part.len())
            }
            _ => Bytes::copy_from_slice(part),
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// The preamble and the sections that are kept, those that lie together as one.
fn runs(module: &[u8]) -> Vec<Run> {
    let preamble = PREAMBLE.min(module.len());
    let mut runs = vec![Run { start: 0, end: preamble, at: 0 }];
    let mut start = preamble;
    let whole = has_lines(module);
    for (id, contents) in sections(module) {
        let end = contents.as_ptr().addr() - module.as_ptr().addr() + contents.len();
        if (whole || keeps(id, contents))
            && let Some(last) = runs.last_mut()
        {
            let at = last.at + last.end - last.start;
            if last.end == start { last.end = end } else { runs.push(Run { start, end, at }) }
        }
        start = end;
    }
    runs
}

fn keeps(id: u8, contents: &[u8]) -> bool {
    match id {
        CODE => false,
        CUSTOM => contents.starts_with(b"\x04name"),
        _ => true,
    }
}

/// Whether a module says which lines its code comes from, and that is of use.
pub(super) fn has_lines(module: &[u8]) -> bool {
    let mut customs = sections(module).filter(|&(id, _)| id == CUSTOM).filter_map(|(_, contents)| custom(contents));
    cfg!(feature = "dwarf") && customs.any(|(name, _)| name == b".debug_line")
}

/// Name and data of a custom section.
pub(super) fn custom(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, after) = leb(contents)?;
    after.split_at_checked(size)
}

/// Where the contents of the code section begin.
#[cfg(feature = "dwarf")]
pub(super) fn code_start(module: &[u8]) -> Option<u64> {
    let (_, code) = sections(module).find(|&(id, _)| id == CODE)?;
    Some((code.as_ptr().addr() - module.as_ptr().addr()) as u64)
}

/// The sections of a module by number, up to where it is malformed.
pub(super) fn sections(module: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = module.get(PREAMBLE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&id, after) = rest.split_first()?;
        let (size, after) = leb(after)?;
        let (contents, after) = after.split_at_checked(size)?;
        rest = after;
        Some((id, contents))
    })
}

/// An unsigned LEB128 number of up to 32 bits, and what follows it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)? + 1;
    let value = bytes[..len].iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(value).ok()?, &bytes[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn all_but_bodies_and_unread_custom_sections_is_kept() {
        let text = r#"(module $m (@custom "unread" (before first) "debris") (memory 1)
            (func $f (export "f") (result i32) (i32.const 77)) (data (i32.const 0) "kitbag"))"#;
        let module = module(text);
        let kept = Kept::of(&module);
        let place = module.windows(6).position(|bytes| bytes == b"kitbag").unwrap();
        assert_eq!(kept.find(&module[place..place + 6]), "kitbag");
        let bytes = kept.into_bytes();
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|bytes| bytes == part);
        assert!(holds(b"\x04name") && !holds(b"debris") && !holds(&[0x41, 0xcd, 0]), "{bytes:?}");
        let again = Kept::of(&bytes);
        assert_eq!(again.into_bytes(), bytes);
    }

    #[test]
    fn what_is_malformed_ends_it() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"\0asm\x01\0\0\0\x05",
            b"\0asm\x01\0\0\0\x05\xff\xff\xff\xff\xff",
            b"\0asm\x01\0\0\0\x05\x09x",
        ] {
            let kept = Kept::of(bytes);
            assert_eq!(kept.find(b"elsewhere"), "elsewhere");
            assert!(bytes.starts_with(&kept.into_bytes()));
        }
    }
}
