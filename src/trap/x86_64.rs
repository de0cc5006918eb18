//! What traps look like on x86_64.
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
}

const PC: usize = libc::REG_RIP as usize;
const SP: usize = libc::REG_RSP as usize;

/// Bytes of `ud2`.
const UNDEFINED: [u8; 2] = [0x0f, 0x0b];

impl Registers {
    pub(super) fn of(context: &libc::ucontext_t) -> Registers {
        let registers = &context.uc_mcontext.gregs;
        Registers { pc: registers[PC] as usize, sp: registers[SP] as usize }
    }

    /// Goes on elsewhere.
    pub(super) fn leave(context: &mut libc::ucontext_t, pc: usize, sp: usize) {
        let registers = &mut context.uc_mcontext.gregs;
        registers[PC] = pc as i64;
        registers[SP] = sp as i64;
    }

    /// The trap that the undefined instruction here stands for.
    ///
    /// # Safety
    /// The pc is in compiled code, at an instruction that was found undefined.
    pub(super) unsafe fn trap_code(self) -> Option<TrapCode> {
        let code = self.pc as *const u8;
        // SAFETY: the compiler puts a byte after each of its undefined instructions.
        let [first, second, byte] = unsafe { [code.read(), code.add(1).read(), code.add(2).read()] };
        if [first, second] == UNDEFINED { TrapCode::from_byte(byte) } else { None }
    }

    /// The caller's, at the instruction after the call.
    ///
    /// # Safety
    /// The pc is in compiled code, in a function with a frame of this size.
    pub(super) unsafe fn caller(self, frame: u32) -> Registers {
        let place = self.sp + frame as usize;
        // SAFETY: the return address lies there.
        let pc = unsafe { (place as *const usize).read() };
        Registers { pc, sp: place + 8 }
    }
}
