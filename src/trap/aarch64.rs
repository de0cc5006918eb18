//! What traps look like on aarch64.
//!
//! # Safety
//! The context is the one that the system gave a signal handler. Code and stack are read where the compiler
//! promises what is there: the instruction that faulted, and the return address of a frame whose size it gave.

#![allow(unsafe_code, reason = "reads registers, code and frames; see the module's Safety section")]

use crate::jit::abi::TrapCode;

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
