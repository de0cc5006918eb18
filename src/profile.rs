//! What the profiler `perf` reads about code that no file on disk has.
//!
//! Two forms. `/tmp/perf-PID.map` has a line of text for each function, which `perf report` reads by itself: names, no code. The
//! *jitdump*, `jit-PID.dump`, has the code too, with the time when it came, so that `perf inject --jit` can make it into files
//! that `perf annotate` shows. perf learns of the dump from a mapping of it that can be executed, made while it records.
//!
//! The form is that of `tools/perf/Documentation/jitdump-specification.txt` in Linux.
//!
//! # Safety
//! The mapping of the dump is never read or run.

#![allow(unsafe_code, reason = "maps a file so that perf sees it; see the module's Safety section")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::code::CodeMemory;

/// `JiTD`, in the byte order of who wrote it.
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER: u32 = 40;

const LOAD: u32 = 0;
const CLOSE: u32 = 3;

/// A record's number, size and time.
const RECORD: usize = 16;
/// What a [`LOAD`] has between that and the name.
const LOAD_HEAD: usize = 40;

/// This machine's number in ELF.
const MACHINE: u32 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// A function that can run.
pub(crate) struct Loaded<'a> {
    pub(crate) name: String,
    pub(crate) address: usize,
    pub(crate) code: &'a [u8],
}

/// The files of this process.
#[derive(Debug)]
pub(crate) struct Profile {
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    map: File,
    dump: File,
    /// Functions so far.
    count: u64,
    /// What perf sees.
    _marker: CodeMemory,
}

impl Profile {
    /// Makes the files: the map where perf looks for it, the dump in the folder that `JITDUMPDIR` names, or in the present one.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new() -> io::Result<Profile> {
        let pid = std::process::id();
        let folder = std::env::var_os("JITDUMPDIR").map(PathBuf::from).unwrap_or_default();
        let map = File::options().append(true).create(true).open(format!("/tmp/perf-{pid}.map"))?;
        let path = folder.join(format!("jit-{pid}.dump"));
        let mut dump = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        dump.write_all(&header(pid))?;
        // SAFETY: it is neither read nor run.
        let marker = unsafe { CodeMemory::map(&dump, 0..u64::from(HEADER))? };
        Ok(Profile { files: Mutex::new(Files { map, dump, count: 0, _marker: marker }) })
    }

    /// Notes functions before they run. What cannot be written is not there: a profile is no reason to end a guest.
    pub(crate) fn load<'a>(&self, functions: impl Iterator<Item = Loaded<'a>>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut lines, mut records) = (String::new(), Vec::new());
        for function in functions {
            _ = writeln!(lines, "{:x} {:x} {}", function.address, function.code.len(), one_line(&function.name));
            load_record(&mut records, &function, files.count);
            files.count += 1;
        }
        _ = files.map.write_all(lines.as_bytes());
        _ = files.dump.write_all(&records);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let mut record = Vec::new();
        begin(&mut record, CLOSE, RECORD);
        _ = self.dump.write_all(&record);
    }
}

fn header(pid: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER as usize);
    for word in [MAGIC, VERSION, HEADER, MACHINE, 0, pid] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&now().to_ne_bytes());
    bytes.extend_from_slice(&0u64.to_ne_bytes());
    bytes
}

fn begin(out: &mut Vec<u8>, kind: u32, size: usize) {
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&(size as u32).to_ne_bytes());
    out.extend_from_slice(&now().to_ne_bytes());
}

fn load_record(out: &mut Vec<u8>, function: &Loaded<'_>, index: u64) {
    let name = one_line(&function.name);
    begin(out, LOAD, RECORD + LOAD_HEAD + name.len() + 1 + function.code.len());
    for id in [std::process::id(), rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()] {
        out.extend_from_slice(&id.to_ne_bytes());
    }
    let address = function.address as u64;
    for word in [address, address, function.code.len() as u64, index] {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.extend_from_slice(function.code);
}

/// Names are ended by line breaks in the map and by zeros in the dump.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Nanoseconds of the clock that perf is to use, too (`perf record -k mono`).
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
