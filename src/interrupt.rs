//! Stopping guests from outside, at no cost to their code.
//!
//! Whoever wants a guest stopped sets its store's flag and signals the thread that runs it. The handler leaves the guest as a trap
//! does, if the thread is in a compiled function; anywhere else (in a host function, a builtin, or the code between)
//! it does nothing, and the flag is looked at when the host's part is done. A signal that came in the few instructions between is
//! lost, so it is sent again until the guest has left.
//!
//! What a guest does in compiled functions can be stopped between any two instructions, so these change nothing that
//! takes more than one of them to stay consistent: tables, growth and bulk operations are builtins. Those that take long
//! go in pieces and look at the flag between them.
//!
//! A host function that waits would not come to look at the flag: it waits for the flag's [event](Interrupt::event) besides, which
//! stays readable from the request on, so that no moment before the waiting is missed.
//!
//! # Safety
//! One system call, to a thread that is known to run: it takes itself off, under the same lock, before it can end.

#![allow(unsafe_code, reason = "signals a thread; see the module's Safety section")]

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::EventfdFlags;

/// The signal that threads are interrupted by unless configured: one that nobody misses, since it does nothing by default.
pub(crate) const SIGNAL: libc::c_int = libc::SIGURG;

/// How long until a signal is sent again; doubled each time, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(10)];

/// What a store and its handles share.
#[derive(Debug)]
pub(crate) struct Interrupt {
    requested: AtomicBool,
    signal: libc::c_int,
    /// Readable from a request on. Made with the first handle; none where the system refuses.
    event: OnceLock<Option<OwnedFd>>,
    /// The thread that runs the store's guests, where a handle may want to know.
    running: Mutex<Option<libc::pthread_t>>,
}

impl Interrupt {
    pub(crate) fn new(signal: libc::c_int) -> Interrupt {
        Interrupt { requested: AtomicBool::new(false), signal, event: OnceLock::new(), running: Mutex::default() }
    }

    /// Whether the store's guests are to stop.
    #[inline]
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(SeqCst)
    }

    fn request(&self) {
        self.requested.store(true, SeqCst);
        if let Some(event) = self.event() {
            // It fails only where it is readable already, after 2⁶⁴ - 2 requests.
            _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    pub(crate) fn clear(&self) {
        self.requested.store(false, SeqCst);
        if let Some(event) = self.event() {
            // It fails where it is not readable.
            _ = rustix::io::read(event, &mut [0; 8]);
        }
    }

    /// What becomes readable when the store's guests are to stop; none where nobody has a handle that could stop them.
    pub(crate) fn event(&self) -> Option<BorrowedFd<'_>> {
        self.event.get()?.as_ref().map(OwnedFd::as_fd)
    }

    fn running(&self) -> MutexGuard<'_, Option<libc::pthread_t>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this thread runs the store's guests from here on, unless it is noted already.
    pub(crate) fn enter(this: &Arc<Interrupt>) -> Option<Running> {
        // Handles are made while no guest runs.
        if Arc::strong_count(this) == 1 {
            return None;
        }
        let mut running = this.running();
        if running.is_some() {
            return None;
        }
        // SAFETY: always succeeds.
        *running = Some(unsafe { libc::pthread_self() });
        drop(running);
        Some(Running(Arc::clone(this)))
    }

    /// Signals the thread; whether one runs.
    fn kick(&self) -> bool {
        let running = self.running();
        if let Some(thread) = *running {
            // SAFETY: the thread runs, and does not end while the lock is held.
            unsafe { libc::pthread_kill(thread, self.signal) };
        }
        running.is_some()
    }

    fn kick_until_left(&self) {
        let [mut pause, longest] = PAUSES;
        while self.is_requested() && self.kick() {
            std::thread::sleep(pause);
            pause = longest.min(pause * 2);
        }
    }
}

/// A thread that runs a store's guests, as long as this lives.
pub(crate) struct Running(Arc<Interrupt>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.running() = None;
    }
}

/// Stops the guests of a [`Store`](crate::Store), from any thread.
///
/// ```
/// use std::time::Duration;
/// use kitbag::{Engine, Linker, Module, Store, TrapCode};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (func (export "spin") (loop $again (br $again))))"#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
/// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
///
/// let handle = store.interrupt_handle();
/// let watchdog = std::thread::spawn(move || {
///     std::thread::sleep(Duration::from_millis(10));
///     handle.interrupt();
/// });
/// let error = spin.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Interrupted));
/// watchdog.join().unwrap();
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone)]
pub struct InterruptHandle(Arc<Interrupt>);

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptHandle").field("requested", &self.0.is_requested()).finish()
    }
}

impl InterruptHandle {
    pub(crate) fn new(interrupt: &Arc<Interrupt>) -> InterruptHandle {
        let event = || rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        interrupt.event.get_or_init(event);
        InterruptHandle(Arc::clone(interrupt))
    }

    /// Ends what the store's guests do now as a trap, [`Interrupted`](crate::TrapCode::Interrupted), and each later entry likewise until
    /// [`Store::clear_interrupt`](crate::Store::clear_interrupt). A host function is not ended: the guest ends when it returns, and it may
    /// ask [`Caller::is_interrupted`](crate::Caller::is_interrupted), or wait for
    /// [`Caller::interrupt_event`](crate::Caller::interrupt_event) too; those of WASI do, where they wait. Does not wait for the guest.
    ///
    /// The thread gets [the configured signal](crate::Config::interrupt_signal), now and again until the guest has left, with restarted
    /// system calls.
    pub fn interrupt(&self) {
        self.0.request();
        if !self.0.kick() {
            return;
        }
        let interrupt = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("kitbag interrupt".into());
        if thread.spawn(move || interrupt.kick_until_left()).is_err() {
            self.0.kick_until_left();
        }
    }
}
