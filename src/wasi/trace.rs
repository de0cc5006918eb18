//! A line for each call, as `strace` writes them: names, decoded arguments, results.
//!
//! Paths are shown as they are, buffers by their lengths, flags by name. Nothing here trusts the guest: what cannot be read
//! is shown as the number that it is, and what is long is cut.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::types::{self, Rights};
use super::{Errno, guest};

/// Bytes of a path that are shown.
const PATH_SHOWN: u32 = 256;

/// Buffers whose lengths are shown.
const BUFFERS_SHOWN: u32 = 8;

/// What an argument is, and so how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Advice,
    Clock,
    Delta,
    Fd,
    FdFlags,
    FdstatOut,
    FilestatOut,
    FstFlags,
    Iovecs,
    /// Of what is before it, and shown with it.
    Len,
    Lookup,
    Number,
    OFlags,
    Offset,
    Path,
    Pointer,
    Rights,
    Size,
    Time,
    U32Out,
    U64Out,
    Whence,
}

impl Kind {
    /// Whether it is where a result goes: shown after the call.
    fn is_result(self) -> bool {
        matches!(self, Kind::U32Out | Kind::U64Out | Kind::FdstatOut | Kind::FilestatOut)
    }
}

/// A function's name, and what its arguments are.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
}

/// One call that is done. Shown, it is one line: `fd_read(3, [4096]) = 12`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The function's name.
    pub name: &'static str,
    /// Its arguments, decoded.
    pub arguments: String,
    /// What came of it; `None` for a call that does not return.
    pub result: Option<Result<(), Errno>>,
    /// What it gave where it succeeded, decoded; often empty.
    pub results: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments)?;
        match self.result {
            None => Ok(()),
            Some(Err(errno)) => write!(f, " = {} ({errno})", errno.name()),
            Some(Ok(())) if self.results.is_empty() => f.write_str(" = 0"),
            Some(Ok(())) => write!(f, " = {}", self.results),
        }
    }
}

/// Whoever wants to know of calls.
#[derive(Clone)]
pub struct Tracer(Arc<dyn Fn(&Call) + Send + Sync>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

impl Tracer {
    /// Tells `sink` of each call.
    pub fn new(sink: impl Fn(&Call) + Send + Sync + 'static) -> Tracer {
        Tracer(Arc::new(sink))
    }

    /// Makes each call an event for the subscribers of the crate `tracing`: of level `TRACE` and target `kitbag::wasi`, with
    /// the fields `function`, `arguments`, `result` (`OK`, an error's name, or nothing for a call that does not return),
    /// `results` and `nanoseconds`.
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn events() -> Tracer {
        Tracer::new(|call| {
            let result = call.result.map(|result| result.map_or_else(Errno::name, |()| "OK"));
            tracing::trace!(
                target: "kitbag::wasi",
                function = call.name,
                arguments = call.arguments,
                result,
                results = call.results,
                nanoseconds = u64::try_from(call.elapsed.as_nanos()).unwrap_or(u64::MAX),
            );
        })
    }

    pub(crate) fn trace(
        &self,
        shape: &Shape,
        values: &[u64],
        memory: &mut [u8],
        function: impl FnOnce(&mut [u8]) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let arguments = shown(shape, values, memory, false);
        let start = Instant::now();
        let result = function(memory);
        let elapsed = start.elapsed();
        let results = if result.is_ok() { shown(shape, values, memory, true) } else { String::new() };
        (self.0)(&Call { name: shape.name, arguments, result: Some(result), results, elapsed });
        result
    }

    pub(crate) fn exit(&self, code: u32) {
        let (arguments, results) = (code.to_string(), String::new());
        (self.0)(&Call { name: "proc_exit", arguments, result: None, results, elapsed: Duration::ZERO });
    }
}

/// The arguments, or the results.
fn shown(shape: &Shape, values: &[u64], memory: &[u8], results: bool) -> String {
    let mut line = String::new();
    for (index, &kind) in shape.kinds.iter().enumerate() {
        if kind != Kind::Len && kind.is_result() == results {
            let separator = if line.is_empty() { "" } else { ", " };
            let next = values.get(index + 1).copied().unwrap_or_default();
            _ = write!(line, "{separator}{}", Shown { kind, value: values[index], next, memory });
        }
    }
    line
}

/// An argument, with the one after it, which may be its length.
struct Shown<'m> {
    kind: Kind,
    value: u64,
    next: u64,
    memory: &'m [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.value as u32;
        match self.kind {
            Kind::Path => self.path(f),
            Kind::Iovecs => self.buffers(f),
            Kind::Lookup => flags(f, types::LookupFlags::from_bits(small), small.into()),
            Kind::OFlags => flags(f, types::OFlags::from_bits(small as u16), small.into()),
            Kind::FdFlags => flags(f, types::FdFlags::from_bits(small as u16), small.into()),
            Kind::FstFlags => flags(f, types::FstFlags::from_bits(small as u16), small.into()),
            Kind::Rights => rights(f, Rights::named(self.value)),
            Kind::Clock => named(f, &["realtime", "monotonic", "process_cputime", "thread_cputime"], small),
            Kind::Whence => named(f, &["set", "cur", "end"], small),
            Kind::Advice => named(f, &["normal", "sequential", "random", "willneed", "dontneed", "noreuse"], small),
            Kind::Delta => write!(f, "{}", self.value as i64),
            Kind::Pointer => write!(f, "{small:#x}"),
            Kind::U32Out => self.record::<4>(f, |f, bytes| write!(f, "{}", u32::from_le_bytes(*bytes))),
            Kind::U64Out => self.record::<8>(f, |f, bytes| write!(f, "{}", u64::from_le_bytes(*bytes))),
            Kind::FdstatOut => self.record::<24>(f, fdstat),
            Kind::FilestatOut => self.record::<64>(f, filestat),
            Kind::Fd | Kind::Len | Kind::Number | Kind::Offset | Kind::Size | Kind::Time => write!(f, "{}", self.value),
        }
    }
}

impl Shown<'_> {
    fn path(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.next as u32;
        match guest::bytes(self.memory, self.value as u32, len.min(PATH_SHOWN)) {
            Ok(bytes) => write!(f, "\"{}\"{}", bytes.escape_ascii(), if len > PATH_SHOWN { "…" } else { "" }),
            Err(_) => write!(f, "{:#x}+{len}", self.value),
        }
    }

    fn buffers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.next as u32;
        let Ok(array) = guest::bytes(self.memory, self.value as u32, count.min(BUFFERS_SHOWN) * 8) else {
            return write!(f, "{:#x}+{count}", self.value);
        };
        f.write_char('[')?;
        for (index, record) in array.chunks_exact(8).enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, guest::u32_at(record, 4))?;
        }
        f.write_str(if count > BUFFERS_SHOWN { ", …]" } else { "]" })
    }

    fn record<const N: usize>(
        &self,
        f: &mut fmt::Formatter<'_>,
        show: impl Fn(&mut fmt::Formatter<'_>, &[u8; N]) -> fmt::Result,
    ) -> fmt::Result {
        let start = self.value as u32 as usize;
        match self.memory.get(start..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => show(f, bytes),
            None => write!(f, "{start:#x}"),
        }
    }
}

fn flags<F: bitflags::Flags>(f: &mut fmt::Formatter<'_>, flags: Option<F>, bits: u64) -> fmt::Result {
    match flags {
        Some(flags) if flags.is_empty() => f.write_str("0"),
        Some(flags) => names(f, &flags),
        None => write!(f, "{bits:#x}"),
    }
}

fn names<F: bitflags::Flags>(f: &mut fmt::Formatter<'_>, flags: &F) -> fmt::Result {
    for (index, (name, _)) in flags.iter_names().enumerate() {
        write!(f, "{}{name}", if index == 0 { "" } else { "|" })?;
    }
    Ok(())
}

/// Rights are many: whole sets by name, otherwise a number.
fn rights(f: &mut fmt::Formatter<'_>, rights: Rights) -> fmt::Result {
    let sets = [
        (Rights::all(), "all"),
        (Rights::INHERITING, "inheriting"),
        (Rights::DIRECTORY, "directory"),
        (Rights::FILE, "file"),
    ];
    match sets.iter().find(|(set, _)| *set == rights) {
        Some((_, name)) => f.write_str(name),
        None if rights.iter_names().count() <= 3 => flags(f, Some(rights), rights.bits()),
        None => write!(f, "{:#x}", rights.bits()),
    }
}

fn named(f: &mut fmt::Formatter<'_>, names: &[&str], number: u32) -> fmt::Result {
    match names.get(number as usize) {
        Some(name) => f.write_str(name),
        None => write!(f, "{number}"),
    }
}

fn fdstat(f: &mut fmt::Formatter<'_>, record: &[u8; 24]) -> fmt::Result {
    let bits = guest::u16_at(record, 2);
    write!(f, "{{{}, ", filetype(record[0]))?;
    flags(f, types::FdFlags::from_bits(bits), bits.into())?;
    f.write_str(", ")?;
    rights(f, Rights::named(guest::u64_at(record, 8)))?;
    f.write_char('}')
}

fn filestat(f: &mut fmt::Formatter<'_>, record: &[u8; 64]) -> fmt::Result {
    write!(f, "{{{}, size {}}}", filetype(record[16]), guest::u64_at(record, 32))
}

fn filetype(number: u8) -> &'static str {
    const NAMES: [&str; 8] = ["unknown", "block", "character", "directory", "file", "dgram", "socket", "symlink"];
    NAMES.get(usize::from(number)).copied().unwrap_or("unknown")
}
