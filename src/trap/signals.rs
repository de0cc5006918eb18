//! Faults of compiled code and interruptions, which become traps, and signals of others, which go where they went before.
//!
//! # Safety
//! The handler runs on the faulting thread's signal stack and does what a handler may: it reads the thread's chain of entries, the
//! registry of code, and the store of the innermost entry, which nobody changes while compiled code runs; it
//! takes no lock, allocates nothing and makes no system call on its way. It continues at the trap exit of the very code that
//! faulted, with the stack pointer that this entry's stub kept: only frames of compiled code lie between.

#![allow(unsafe_code, reason = "handles signals; see the module's Safety section")]

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::activation::{Capture, Link, capture, innermost};
use super::machine::Registers;
use crate::code::{self, CodeInfo};
use crate::jit::abi::TrapCode;
use crate::memory::MemoryData;
use crate::owned::Owned;

/// What compiled code does where it traps.
const FAULTS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// One more than the largest number of a signal.
const SIGNALS: usize = 65;

/// Who handled a signal before, by its number; there for those that are handled here.
static PREVIOUS: [OnceLock<libc::sigaction>; SIGNALS] = [const { OnceLock::new() }; SIGNALS];

/// Whether guests can be interrupted by a signal: not by what faults are, nor by what the system keeps for itself.
pub(crate) fn can_interrupt(signal: c_int) -> bool {
    let reserved = [libc::SIGKILL, libc::SIGSTOP, 32, 33];
    (1..SIGNALS as c_int).contains(&signal) && !FAULTS.contains(&signal) && !reserved.contains(&signal)
}

/// Installs the handlers of faults and of the signal that interrupts, each once in the process' life.
///
/// # Panics
/// If the system refuses, which it does only for signals that cannot be handled.
pub(crate) fn install_handlers(interrupt: c_int) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for signal in FAULTS.into_iter().chain([interrupt]) {
        let previous = &PREVIOUS[signal as usize];
        if previous.get().is_none() {
            // Known before our handler can be called.
            previous.get_or_init(|| change_action(signal, None));
            change_action(signal, Some(&own_action(signal)));
        }
    }
}

fn is_fault(signal: c_int) -> bool {
    FAULTS.contains(&signal)
}

fn own_action(signal: c_int) -> libc::sigaction {
    // SAFETY: all zero is an action: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    // A fault in the handler itself must end the process, not come back here: so no SA_NODEFER.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    if !is_fault(signal) {
        action.sa_flags |= libc::SA_RESTART;
    }
    action
}

/// Sets an action, if one is given; gives the one before.
fn change_action(signal: c_int, action: Option<&libc::sigaction>) -> libc::sigaction {
    let mut previous = MaybeUninit::uninit();
    // SAFETY: the action is valid or null, and the place for the previous one is ours.
    let result = unsafe { libc::sigaction(signal, action.map_or(ptr::null(), ptr::from_ref), previous.as_mut_ptr()) };
    assert_eq!(result, 0, "signal {signal} cannot be handled: {}", std::io::Error::last_os_error());
    // SAFETY: written, since it gave 0.
    unsafe { previous.assume_init() }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system calls this with both of them valid.
    unsafe {
        if !handle_guest(signal, &*info, &mut *context.cast()) {
            pass_on(signal, info, context);
        }
    }
}

/// Whether it was a guest's trap; then the context is set to leave it.
///
/// # Safety
/// As the system calls a handler.
unsafe fn handle_guest(signal: c_int, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    // SAFETY: the innermost entry of this thread, if any, runs.
    let Some(link) = (unsafe { innermost().as_ref() }) else {
        return false;
    };
    if sent(info) == is_fault(signal) {
        return false;
    }
    let registers = Registers::of(context);
    let exit = code::find(registers.pc, |code| {
        // SAFETY: the pc is in this code.
        let trap = unsafe { cause(signal, info, registers, link, code) }?;
        // SAFETY: this thread's, which is in its handler; see `activation`.
        unsafe { walk(&mut *capture(), trap, registers, code, link.activation.stack_pointer as usize) };
        Some(code.memory.at(code.trap_exit) as usize)
    });
    let Some(pc) = exit.flatten() else {
        return false;
    };
    Registers::leave(context, pc, link.activation.stack_pointer as usize);
    true
}

/// The trap that a fault stands for; none if the compiler did not mean it.
///
/// # Safety
/// The pc is in compiled code, which the link's entry runs.
unsafe fn cause(
    signal: c_int,
    info: &libc::siginfo_t,
    registers: Registers,
    link: &Link,
    code: &CodeInfo,
) -> Option<TrapCode> {
    match signal {
        // SAFETY: the instruction was undefined.
        libc::SIGILL => unsafe { registers.trap_code() },
        libc::SIGFPE => Some(TrapCode::IntegerOverflow),
        signal if !is_fault(signal) => {
            // SAFETY: the store lives, and compiled code runs, so nothing borrows it.
            let requested = unsafe { (*link.store.as_ptr()).interrupt.is_requested() };
            (requested && code.function_at(registers.pc).is_some()).then_some(TrapCode::Interrupted)
        }
        // SAFETY: the system gives the address with these signals.
        _ => unsafe { in_a_memory(link, info.si_addr() as usize) }.then_some(TrapCode::MemoryOutOfBounds),
    }
}

/// Whether `address` is in the reservation of one of the store's memories. Any other fault of compiled code would be
/// the compiler's mistake, and must not pass for a trap.
///
/// # Safety
/// The link's entry runs.
unsafe fn in_a_memory(link: &Link, address: usize) -> bool {
    // SAFETY: the store lives, and nothing changes its list while compiled code runs.
    let memories: &[Owned<MemoryData>] = unsafe { &(*link.store.as_ptr()).memories };
    memories.iter().any(|memory| memory.get().reserves(address))
}

/// Captures the addresses in all functions up to the entry, whose stack pointer is `end`, or to the first code that is not of a
/// known frame.
///
/// # Safety
/// The registers are those of a fault in `code`.
pub(super) unsafe fn walk(
    capture: &mut Capture,
    trap: TrapCode,
    mut registers: Registers,
    code: &CodeInfo,
    end: usize,
) {
    capture.start(trap);
    let mut known = code.frame_at(registers.pc);
    if trap == TrapCode::StackOverflow {
        known = known.map(|_| 0);
    }
    while let Some(size) = known {
        if !capture.push(registers.pc) || registers.sp + size as usize >= end {
            return;
        }
        // SAFETY: in a function with a frame of this size; at worst, what is read is on this stack but no address.
        registers = unsafe { registers.caller(size) };
        let call = registers.pc.wrapping_sub(1);
        known = code::find(call, |code| code.frame_at(call)).flatten();
    }
}

/// Does what was done with the signal before.
///
/// # Safety
/// As the system calls a handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(previous) = PREVIOUS.get(signal as usize).and_then(OnceLock::get) else {
        return;
    };
    // SAFETY: the caller's promise.
    let sent = sent(unsafe { &*info });
    match previous.sa_sigaction {
        libc::SIG_IGN if sent => {}
        // One that came too late to interrupt anybody must not end the process.
        libc::SIG_DFL if !is_fault(signal) => {}
        libc::SIG_DFL | libc::SIG_IGN => default_action(signal, sent),
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

/// Whether somebody sent the signal, as opposed to an instruction that faulted.
fn sent(info: &libc::siginfo_t) -> bool {
    info.si_code <= 0
}

/// Lets the system do what it does by default: at once if the signal was sent, or when the instruction faults again.
fn default_action(signal: c_int, sent: bool) {
    // SAFETY: all zero is the default action.
    change_action(signal, Some(&unsafe { mem::zeroed() }));
    if sent {
        // SAFETY: delivered once this handler returns.
        unsafe { libc::raise(signal) };
    }
}
