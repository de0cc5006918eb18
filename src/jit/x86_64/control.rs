//! Frames, traps and calls, and what is put off to a function's end.

use super::encode::{CMP, LEA, LOAD64};
use super::{Assembler, Cold, R11, RSP, asm, field};
use crate::jit::abi::{Context, FuncRef, Table, TableEntry, TrapCode};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, FramePlan, Label, Masm, Slot, Src};
use crate::jit::ops::{Cond, Width};
use dynasmrt::DynasmApi;
use std::mem::offset_of;

impl Assembler {
    /// After a call through [`FuncRef::entry`]: leaves if it says so, and brings a float where compiled code expects it.
    pub(super) fn returned(&mut self, result: Option<Kind>) {
        self.note_call();
        let mut failed = Label::default();
        asm!(self; test rdx, rdx);
        self.branch(Cond::Ne, &mut failed);
        self.delay(Cold::Failed { from: failed });
        match result {
            Some(Kind::F32) => asm!(self; movd xmm0, eax),
            Some(Kind::F64) => asm!(self; movq xmm0, rax),
            _ => {}
        }
    }

    pub(super) fn note_call(&mut self) {
        self.sites.note(self.buf.position());
    }

    pub(super) fn delay(&mut self, cold: Cold) {
        self.cold.push((cold, self.sites.handler));
    }

    /// Calls the function whose record RDI points to.
    pub(super) fn call_func_ref(&mut self, result: Option<Kind>) {
        asm!(self; mov rsi, r15; call QWORD [rdi + offset_of!(FuncRef, entry) as i32]);
        self.returned(result);
    }

    pub(super) fn cold(&mut self, cold: Cold) {
        match cold {
            Cold::Trap { mut from, code } => {
                self.bind(&mut from);
                self.trap(code);
            }
            Cold::Mismatch { mut from } => {
                let mut null = Label::default();
                self.bind(&mut from);
                self.compare(Width::W32, Src::Reg(R11), Src::Imm(0));
                self.branch(Cond::Eq, &mut null);
                self.trap(TrapCode::IndirectCallTypeMismatch);
                self.bind(&mut null);
                self.trap(TrapCode::UninitializedElement);
            }
            Cold::Cross { mut from, mut back, result } => {
                self.bind(&mut from);
                asm!(self; mov rdi, [rax + offset_of!(TableEntry, func) as i32]);
                self.call_func_ref(result);
                self.jump(&mut back);
            }
            Cold::CrossRef { mut from, mut back, result } => {
                self.bind(&mut from);
                asm!(self; mov rdi, rax);
                self.call_func_ref(result);
                self.jump(&mut back);
            }
            Cold::CrossTail { mut from, stack, result, plan } => {
                self.bind(&mut from);
                self.copy_incoming(stack, &plan);
                self.call_func_ref(result);
                self.epilogue(&plan);
            }
            Cold::Failed { mut from } => {
                self.bind(&mut from);
                asm!(self; call QWORD [r15 + offset_of!(Context, unwind) as i32]);
                self.note_call();
            }
            Cold::Truncated { mut from, mut back, trunc } => {
                self.bind(&mut from);
                self.truncated(trunc, &mut back);
            }
        }
    }

    /// Takes RAX from an index to its entry in the table, which is of the right type.
    pub(super) fn find_entry(&mut self, table: u32, signature: u32) {
        const _: () = assert!(size_of::<TableEntry>() == 32);
        self.op_mem(LOAD64, R11.number(), field(table));
        asm!(self; cmp rax, [r11 + offset_of!(Table, len) as i32]);
        self.trap_if(Cond::GeU, TrapCode::UndefinedElement);
        asm!(self; shl rax, 5; add rax, [r11 + offset_of!(Table, base) as i32]);
        asm!(self; mov r11d, [rax + offset_of!(TableEntry, signature) as i32]);
        self.op_mem(CMP.op(Width::W32), R11.number(), field(signature));
        let mut mismatch = Label::default();
        self.branch(Cond::Ne, &mut mismatch);
        self.delay(Cold::Mismatch { from: mismatch });
    }

    /// Goes on in the function whose record RDI points to.
    pub(super) fn tail_call_func_ref(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        let mut cross = Label::default();
        asm!(self; cmp r15, [rdi + offset_of!(FuncRef, context) as i32]);
        self.branch(Cond::Ne, &mut cross);
        self.leave_frame(plan);
        asm!(self; jmp QWORD [rdi + offset_of!(FuncRef, code) as i32]);
        self.delay(Cold::CrossTail { from: cross, stack, result, plan: *plan });
    }

    /// Stack arguments from where a tail call left them to where a call has them.
    pub(super) fn copy_incoming(&mut self, stack: u32, plan: &FramePlan) {
        for at in (0..stack).step_by(8) {
            self.mov(Kind::I64, Dst::Slot(Slot::at(at)), Src::Slot(Slot::at(Self::incoming(plan, 0) + at)));
        }
    }

    /// Undoes the prologue.
    pub(super) fn leave_frame(&mut self, plan: &FramePlan) {
        match Self::body(plan) as i32 - self.red_zone {
            0 => {}
            body @ 1..=127 => asm!(self; add rsp, BYTE body as i8),
            body => asm!(self; add rsp, body),
        }
        for reg in plan.saved.descending() {
            asm!(self; pop Rq(reg.number()));
        }
    }

    pub(super) fn pushes(plan: &FramePlan) -> u32 {
        plan.saved.len() * 8
    }

    /// The part of the frame below the saved registers: what keeps the stack aligned to 16 at calls.
    pub(super) fn body(plan: &FramePlan) -> u32 {
        let whole = (plan.body + Self::pushes(plan) + 8).next_multiple_of(16);
        whole - 8 - Self::pushes(plan)
    }

    /// The System V ABI leaves 128 bytes below the stack pointer to the running function, which is enough for most leaves.
    pub(super) fn in_red_zone(plan: &FramePlan) -> bool {
        plan.leaf && Self::body(plan) <= 128
    }

    pub(super) fn check_stack(&mut self, plan: &FramePlan) {
        let limit = field(offset_of!(Context, stack_limit) as u32);
        let size = Self::frame_size(plan);
        if size <= 1024 {
            self.op_mem(CMP.op(Width::W64), RSP.number(), limit);
        } else {
            let below = Address::new(RSP, size.wrapping_neg());
            self.op_mem(LEA.sized(Width::W64), R11.number(), below);
            self.op_mem(CMP.op(Width::W64), R11.number(), limit);
        }
        self.trap_if(Cond::LtU, TrapCode::StackOverflow);
    }
}

impl Assembler {
    pub(super) fn setcc(&mut self, code: u8, d: u8) {
        let rex = 0x40 | (d >> 3);
        self.buf.extend(&[rex, 0x0f, 0x90 | code, 0xc0 | (d & 7)]);
    }

    /// 64 bits: an i32's zero upper half moves along.
    pub(super) fn cmov(&mut self, code: u8, d: u8, s: u8) {
        let rex = 0x48 | ((d >> 3) << 2) | (s >> 3);
        self.buf.extend(&[rex, 0x0f, 0x40 | code, 0xc0 | ((d & 7) << 3) | (s & 7)]);
    }
}
