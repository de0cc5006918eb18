//! What traps look like on aarch64.
//!
//! # Safety
//! The context is the one that the system gave a signal handler. Code and stack are read where the compiler
//! promises what is there: the instruction that faulted, the return address of a frame whose size it gave, and what it saved below that.
//! [`unwind`] is called by compiled code, and needs none of the registers that calls destroy.

#![allow(unsafe_code, reason = "reads registers, code and frames; see the module's Safety section")]

use std::arch::{asm, naked_asm};

use super::unwind::resume;
use crate::jit::FunctionCode;
use crate::jit::abi::{Context, TrapCode};

/// Where a thread was.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    pub(super) pc: usize,
    pub(super) sp: usize,
    /// Where a function returns to that has not kept it in its frame, as those that call nothing do not.
    link: usize,
}

const LINK: usize = 30;

/// The upper 24 bits of an undefined instruction of the compiler's.
const UNDEFINED: u32 = 0xb0;

impl Registers {
    pub(super) fn of(context: &libc::ucontext_t) -> Registers {
        let registers = &context.uc_mcontext;
        Registers { pc: registers.pc as usize, sp: registers.sp as usize, link: registers.regs[LINK] as usize }
    }

    /// Goes on elsewhere.
    pub(super) fn leave(context: &mut libc::ucontext_t, pc: usize, sp: usize) {
        context.uc_mcontext.pc = pc as u64;
        context.uc_mcontext.sp = sp as u64;
    }

    /// The trap that the undefined instruction here stands for.
    ///
    /// # Safety
    /// The pc is in compiled code, at an instruction that was found undefined.
    pub(super) unsafe fn trap_code(self) -> Option<TrapCode> {
        // SAFETY: an instruction, which is aligned.
        let word = unsafe { (self.pc as *const u32).read() };
        if word >> 8 == UNDEFINED { TrapCode::from_byte(word as u8) } else { None }
    }

    /// The caller's, at the instruction after the call.
    ///
    /// # Safety
    /// The pc is in compiled code, in a function with a frame of this size.
    pub(super) unsafe fn caller(self, frame: u32) -> Registers {
        let place = self.sp + frame as usize;
        // A frame with a return address is known by its size.
        if frame.is_multiple_of(16) {
            return Registers { pc: self.link, sp: place, link: 0 };
        }
        // SAFETY: the return address lies there.
        let pc = unsafe { (place as *const usize).read() };
        Registers { pc, sp: place + 8, link: 0 }
    }
}

/// The number of the first register that calls preserve and compiled code uses.
const FIRST_SAVED: usize = 19;

/// The registers that calls preserve, and where a function is that called.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Suspended {
    /// Registers 19 to 28: locals, then the base of memory 0, then the context.
    saved: [u64; 10],
    pub(super) sp: usize,
    pub(super) pc: usize,
}

impl Suspended {
    pub(super) fn context(&self) -> *mut Context {
        self.saved[9] as *mut Context
    }

    /// At the call.
    pub(super) fn registers(&self) -> Registers {
        Registers { pc: self.pc - 1, sp: self.sp, link: 0 }
    }

    /// Goes on to the caller, with the registers that this function saved for it.
    ///
    /// # Safety
    /// It is a call in `function`.
    pub(super) unsafe fn leave(&mut self, function: &FunctionCode) {
        let place = self.sp + function.frame as usize;
        let mut at = place;
        for (register, number) in self.saved.iter_mut().zip(FIRST_SAVED..) {
            if function.saved >> number & 1 != 0 {
                at -= 8;
                // SAFETY: saved there, in this order, from the return address down.
                *register = unsafe { (at as *const u64).read() };
            }
        }
        // SAFETY: the return address lies there, since the function calls.
        self.pc = unsafe { (place as *const usize).read() };
        self.sp = place + 8;
    }

    /// Goes on at `pc` in this function.
    ///
    /// # Safety
    /// It is a call of a function whose instance lives.
    pub(super) unsafe fn land(&mut self, pc: usize) {
        self.pc = pc;
        // SAFETY: the function's context; its memory may have moved since the call.
        self.saved[8] = unsafe { (*self.context()).memory_base } as u64;
    }
}

/// [`Context::unwind`]: makes a [`Suspended`], and goes on with what it has become.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn unwind() {
    naked_asm!(
        "mov x16, sp",
        "stp x19, x20, [sp, -96]!",
        "stp x21, x22, [sp, 16]",
        "stp x23, x24, [sp, 32]",
        "stp x25, x26, [sp, 48]",
        "stp x27, x28, [sp, 64]",
        "stp x16, x30, [sp, 80]",
        "mov x0, sp",
        "bl {resume}",
        "ldp x19, x20, [sp]",
        "ldp x21, x22, [sp, 16]",
        "ldp x23, x24, [sp, 32]",
        "ldp x25, x26, [sp, 48]",
        "ldp x27, x28, [sp, 64]",
        "ldp x16, x17, [sp, 80]",
        "mov sp, x16",
        "br x17",
        resume = sym resume,
    );
}

/// What the registers hold that calls preserve.
#[inline(always)]
pub(super) fn callee_saved() -> [u64; 10] {
    let mut registers = [0; 10];
    // SAFETY: writes ten words to an array of ten.
    unsafe {
        asm!(
            "stp x19, x20, [{place}]",
            "stp x21, x22, [{place}, 16]",
            "stp x23, x24, [{place}, 32]",
            "stp x25, x26, [{place}, 48]",
            "stp x27, x28, [{place}, 64]",
            place = in(reg) registers.as_mut_ptr(),
            options(nostack, preserves_flags),
        );
    }
    registers
}
