//! What traps look like on x86_64.
//!
//! # Safety
//! The context is the one that the system gave a signal handler. Code and stack are read where the compiler
//! promises what is there: the instruction that faulted, the return address of a frame whose size it gave, and what it saved below that.
//! [`unwind`] is called by compiled code, which keeps the stack aligned to 16, and needs none of the registers that calls destroy.

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

/// The registers that calls preserve, and where a function is that called.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Suspended {
    rbx: u64,
    rbp: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    pub(super) sp: usize,
    pub(super) pc: usize,
}

impl Suspended {
    pub(super) fn context(&self) -> *mut Context {
        self.r15 as *mut Context
    }

    /// At the call.
    pub(super) fn registers(&self) -> Registers {
        Registers { pc: self.pc - 1, sp: self.sp }
    }

    /// Goes on to the caller, with the registers that this function saved for it.
    ///
    /// # Safety
    /// It is a call in `function`.
    pub(super) unsafe fn leave(&mut self, function: &FunctionCode) {
        let place = self.sp + function.frame as usize;
        let mut saved = place;
        let registers = [
            (3, &mut self.rbx),
            (5, &mut self.rbp),
            (12, &mut self.r12),
            (13, &mut self.r13),
            (14, &mut self.r14),
            (15, &mut self.r15),
        ];
        for (_, register) in registers.into_iter().filter(|(number, _)| function.saved >> number & 1 != 0) {
            saved -= 8;
            // SAFETY: saved there, in this order, from the return address down.
            *register = unsafe { (saved as *const u64).read() };
        }
        // SAFETY: the return address lies there.
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
        self.r14 = unsafe { (*self.context()).memory_base } as u64;
    }
}

/// [`Context::unwind`]: makes a [`Suspended`], and goes on with what it has become.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn unwind() {
    naked_asm!(
        "lea rax, [rsp + 8]",
        "push rax",
        "push r15",
        "push r14",
        "push r13",
        "push r12",
        "push rbp",
        "push rbx",
        "mov rdi, rsp",
        "call {resume}",
        "pop rbx",
        "pop rbp",
        "pop r12",
        "pop r13",
        "pop r14",
        "pop r15",
        "mov rcx, [rsp + 8]",
        "mov rsp, [rsp]",
        "jmp rcx",
        resume = sym resume,
    );
}

/// What the registers hold that calls preserve.
#[inline(always)]
pub(super) fn callee_saved() -> [u64; 6] {
    let mut registers = [0; 6];
    // SAFETY: writes six words to an array of six.
    unsafe {
        asm!(
            "mov [{place}], rbx",
            "mov [{place} + 8], rbp",
            "mov [{place} + 16], r12",
            "mov [{place} + 24], r13",
            "mov [{place} + 32], r14",
            "mov [{place} + 40], r15",
            place = in(reg) registers.as_mut_ptr(),
            options(nostack, preserves_flags),
        );
    }
    registers
}
