//! Files as memory, and what happens when another process shortens one.
//!
//! A mapping is the file itself: reading a page that the file no longer has raises `SIGBUS`, wherever in the process that
//! happens. Unless the process opts in with [`enable`], nothing is mapped: [`File::read_all`](crate::File::read_all) of the disk copies, and
//! an archive is read into memory. With it, both map, and so do files of the disk that are read often ([positioned
//! reads](crate::disk#positioned-reads), which answer as before). The handler turns a lost page into a page of zeros and *marks* the
//! mapping. Reading, inflating and verifying within this package ask for the mark afterwards and answer [`Error::Io`];
//! whoever holds [`Bytes`] asks [`check`] when done with them:
//!
//! ```
//! # #[cfg(all(feature = "disk", feature = "memory"))] {
//! use kitbag_fs::{Bytes, Error, mapped};
//!
//! /// Something that is made of a whole file.
//! fn load(bytes: Bytes) -> Result<usize, Error> {
//!     let ones = bytes.iter().map(|byte| byte.count_ones() as usize).sum();
//!     mapped::check(&bytes)?;
//!     Ok(ones)
//! }
//! assert_eq!(load(Bytes::from_static(b"aa")), Ok(6));
//! # }
//! ```
//!
//! The same holds where the disk fails to deliver a page. What is lost is counted in pages: where the end falls within one, the rest
//! of that page reads as zeros without a fault, as any other change to the file shows.
//!
//! # The registry
//!
//! The handler cannot take a lock, so mappings are entered in a list that only grows and whose entries are used again. An entry
//! whose end is 0 is not in use; its range is written start first, end last, and read end, start, end: what is read so
//! was one mapping's at some time during the reading, and the mapping that the handler looks for is there all the time, since
//! somebody is reading it. The mark is set before the zeros appear, so whoever sees zeros and then asks finds it.
//!
//! The alternatives that lost: *`SIGBUS` with `siglongjmp`* leaves the frames of whoever was reading behind, with the locks they held;
//! *checking the size before each read* leaves the time between check and use; *`MAP_PRIVATE`* does not help, since pages that were
//! not written to are the file's.
//!
//! # Other handlers
//!
//! What is not about a mapping of ours goes to whoever handled `SIGBUS` before. A handler that is installed later has to do the same,
//! as that of this project's engine does.
//!
//! # Safety
//!
//! The handler runs wherever a fault happens. It reads atomics, makes one system call that replaces pages of a registered
//! mapping, keeps `errno`, allocates nothing and takes no lock. [`enable`] is unsafe for the reason that mapping is: see there.

#![allow(unsafe_code, reason = "maps files and handles a signal; see the module's Safety section")]

#[cfg(feature = "disk")]
mod window;

use std::ffi::{c_int, c_void};
#[cfg(feature = "zip")]
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use memmap2::Mmap;

use crate::{Bytes, Error, Result};
#[cfg(feature = "disk")]
pub(crate) use window::Window;

/// Whether files are mapped.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Whether any mapping that is shared was ever marked: while none was, nobody has to look for one.
static ANY_DAMAGE: AtomicBool = AtomicBool::new(false);

/// All entries, the latest first.
static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// Those that are not in use.
static FREE: Mutex<Vec<&'static Entry>> = Mutex::new(Vec::new());

/// Who handled the signal before.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// A mapping, as the handler knows it.
struct Entry {
    start: AtomicUsize,
    /// 0 if the entry is not in use.
    end: AtomicUsize,
    /// Whether there are [`Bytes`] of it, whose holders ask.
    shared: AtomicBool,
    damaged: AtomicBool,
    next: *const Entry,
}

// SAFETY: `next` is written before the entry is shared, and leads to another that lives for ever.
unsafe impl Sync for Entry {}

/// Lets this package map files from now on, and installs the handler for pages that they lose. More than once does no more.
///
/// # Safety
/// Bytes that come from a file on disk may then be the file's own pages: a process that writes into the file, without shortening
/// it, changes them under a shared slice. Nothing in the process may rely, for its memory safety, on such bytes staying what they
/// were (as `str::from_utf8_unchecked` on bytes that were checked before does).
///
/// # Errors
/// If the system refuses the handler.
pub unsafe fn enable() -> io::Result<()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !enabled() {
        install()?;
        ENABLED.store(true, Ordering::Release);
    }
    Ok(())
}

/// Whether [`enable`] was called.
#[must_use]
pub fn enabled() -> bool {
    ENABLED.load(Ordering::Acquire)
}

/// Whether all of `bytes` was there whenever it was read until now: to be asked after using what [`File::read_all`](crate::File::read_all) or
/// [`Zip::raw`](crate::zip::Zip::raw) gave. Bytes that are not of a mapping are always there. Costs next to nothing until something was lost.
///
/// # Errors
/// [`Error::Io`]: the file was shortened, and some of the bytes may have read as zeros.
#[inline]
pub fn check(bytes: &[u8]) -> Result<()> {
    // What was read before stays before.
    fence(Ordering::Acquire);
    if ANY_DAMAGE.load(Ordering::Acquire) { check_entry(bytes) } else { Ok(()) }
}

#[cold]
fn check_entry(bytes: &[u8]) -> Result<()> {
    let entry = if bytes.is_empty() { None } else { find(bytes.as_ptr() as usize) };
    match entry {
        Some((entry, _)) if entry.is_damaged() => Err(Error::Io),
        _ => Ok(()),
    }
}

/// The contents of `file`: mapped if that is enabled, else read.
///
/// # Errors
/// Those of mapping or reading; what is no regular file has no contents that could be mapped.
#[cfg(feature = "zip")]
pub(crate) fn contents(file: &File) -> io::Result<Bytes> {
    let metadata = file.metadata()?;
    match metadata.len() {
        _ if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ if !enabled() => read(file, metadata.len()),
        0 => Ok(Bytes::new()),
        _ => map(file),
    }
}

/// Reads from the start, wherever the file's position is, which stays.
#[cfg(feature = "zip")]
fn read(file: &File, size: u64) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(size, 0);
    let mut done = 0;
    while done < size {
        match file.read_at(&mut bytes[done..], done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes.into())
}

/// Maps all of a file that is not empty.
///
/// # Errors
/// Those of mapping.
pub(crate) fn map(file: &impl AsFd) -> io::Result<Bytes> {
    Ok(Bytes::from_owner(Mapping::of(file, true)?))
}

/// A mapping that is registered.
struct Mapping {
    entry: &'static Entry,
    map: Mmap,
}

impl Mapping {
    /// All of the file, for [`Bytes`] or not.
    fn of(file: &impl AsFd, shared: bool) -> io::Result<Mapping> {
        debug_assert!(enabled());
        // SAFETY: only after `enable`, whose caller promised that nobody relies on the bytes staying what they are; pages that are
        // lost are replaced.
        let map = unsafe { Mmap::map(file.as_fd().as_raw_fd())? };
        Ok(Mapping { entry: Entry::of(&map, shared), map })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// Before the mapping goes, its entry does.
impl Drop for Mapping {
    fn drop(&mut self) {
        self.entry.end.store(0, Ordering::Release);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.entry);
    }
}

impl Entry {
    /// The entry of a new mapping.
    fn of(map: &[u8], shared: bool) -> &'static Entry {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = free.pop().unwrap_or_else(Entry::another);
        let range = map.as_ptr_range();
        entry.shared.store(shared, Ordering::Relaxed);
        entry.damaged.store(false, Ordering::Relaxed);
        entry.start.store(range.start as usize, Ordering::Release);
        entry.end.store(range.end as usize, Ordering::Release);
        entry
    }

    /// One more, which is not in use. Only for who holds the lock of those that are free.
    fn another() -> &'static Entry {
        let next = ENTRIES.load(Ordering::Acquire);
        let [start, end] = [0; 2].map(AtomicUsize::new);
        let [shared, damaged] = [false; 2].map(AtomicBool::new);
        let entry = Box::leak(Box::new(Entry { start, end, shared, damaged, next }));
        ENTRIES.store(entry, Ordering::Release);
        entry
    }

    /// Whether pages of it were lost, by what was read of it until now.
    fn is_damaged(&self) -> bool {
        // What was read before stays before.
        fence(Ordering::Acquire);
        self.damaged.load(Ordering::Acquire)
    }

    /// The range, if the entry is in use and does not change just now.
    fn range(&self) -> Option<(usize, usize)> {
        let end = self.end.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Acquire);
        (end != 0 && self.end.load(Ordering::Acquire) == end).then_some((start, end))
    }
}

/// The entry of the mapping that `address` is in, which has to live, and its end.
fn find(address: usize) -> Option<(&'static Entry, usize)> {
    let mut next = ENTRIES.load(Ordering::Acquire).cast_const();
    // SAFETY: null, or an entry, which lives for ever.
    while let Some(entry) = unsafe { next.as_ref() } {
        match entry.range() {
            Some((start, end)) if (start..end).contains(&address) => return Some((entry, end)),
            _ => next = entry.next,
        }
    }
    None
}

fn install() -> io::Result<()> {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Relaxed);
    // SAFETY: all zero is an action: no flags, an empty mask.
    let (mut action, mut previous): (libc::sigaction, libc::sigaction) = unsafe { mem::zeroed() };
    // SAFETY: asks for the action there is, so that the handler knows it from its first signal on.
    ok(unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous) })?;
    PREVIOUS.get_or_init(|| previous);
    action.sa_sigaction = handle as *const () as usize;
    // A fault in the handler itself must end the process, not come back here: so no SA_NODEFER.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action is valid, and its handler does what one may.
    ok(unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) })
}

fn ok(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system calls this with a valid `info`, which holds an address when nobody sent the signal.
    let (sent, address) = unsafe { ((*info).si_code <= 0, (*info).si_addr() as usize) };
    if sent || !replace(address) {
        // SAFETY: as the system called this.
        unsafe { pass_on(signal, info, context) };
    }
}

/// Puts zeros where `address` is and behind, to the end of its mapping, which is marked: all that is lost when a file is shortened.
/// False if it is in none, or the system refuses.
fn replace(address: usize) -> bool {
    let Some((entry, end)) = find(address) else { return false };
    entry.damaged.store(true, Ordering::SeqCst);
    if entry.shared.load(Ordering::Relaxed) {
        ANY_DAMAGE.store(true, Ordering::SeqCst);
    }
    let start = address & !(PAGE.load(Ordering::Relaxed) - 1);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the place of `errno` is this thread's. The range is of a mapping that lives, since it is being read, and only its
    // contents change.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let mapped = libc::mmap(start as *mut c_void, end - start, libc::PROT_READ, flags, -1, 0);
        *errno = before;
        mapped != libc::MAP_FAILED
    }
}

/// Does what was done with the signal before.
///
/// # Safety
/// As the system calls a handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(previous) = PREVIOUS.get() else { return };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the action was valid before. The instruction faults again, or the signal is sent again once this returns.
            unsafe {
                libc::sigaction(signal, previous, ptr::null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
        // SAFETY: a handler of the kind that its flags say.
        function if previous.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
            mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(function)(
                signal, info, context,
            );
        },
        // SAFETY: as above.
        function => unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(function)(signal) },
    }
}
