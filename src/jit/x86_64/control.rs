//! Jumps, frames, traps and calls, and what is put off to a function's end.

use super::encode::{CMP, LEA, LOAD64};
use super::{Assembler, Cold, R11, RSP, asm, field};
use crate::jit::abi::{Context, FuncRef, Table, TableEntry, TrapCode};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, FramePlan, Label, Masm, Record, Src};
use crate::jit::ops::{Cond, Width};
use dynasmrt::DynasmApi;
use std::mem::offset_of;

/// The condition's code in `jcc`, `setcc` and `cmovcc`, for those that one flag test answers.
pub(super) const fn condition_code(cond: Cond) -> Option<u8> {
    Some(match cond {
        Cond::Eq => 0x4,
        Cond::Ne => 0x5,
        Cond::LtS => 0xc,
        Cond::LtU => 0x2,
        Cond::GtS => 0xf,
        Cond::GtU | Cond::FGt | Cond::FLt => 0x7,
        Cond::LeS => 0xe,
        Cond::LeU | Cond::FNotGt | Cond::FNotLt => 0x6,
        Cond::GeS => 0xd,
        Cond::GeU | Cond::FGe | Cond::FLe => 0x3,
        Cond::FNotGe | Cond::FNotLe => 0x2,
        Cond::FEq | Cond::FNe => return None,
    })
}

const OVERFLOW: u8 = 0x0;
pub(super) const PARITY: u8 = 0xa;
pub(super) const NO_PARITY: u8 = 0xb;

impl Assembler {
    /// The displacement field of a jump that was just begun: final for a bound label, else a link of the label's chain.
    pub(super) fn jump_field(&mut self, label: &mut Label) {
        let at = self.buf.position();
        if label.bound != 0 {
            let target = label.bound - 1;
            self.buf.push_i32(target.wrapping_sub(at + 4) as i32);
        } else {
            self.buf.push_u32(label.chain);
            label.chain = at;
        }
    }

    /// A backward jump that fits takes two bytes.
    pub(super) fn short_jump(&mut self, opcode: u8, label: &Label) -> bool {
        if label.bound == 0 {
            return false;
        }
        let distance = i64::from(label.bound - 1) - i64::from(self.buf.position() + 2);
        i8::try_from(distance).is_ok_and(|distance| {
            self.buf.push(opcode);
            self.buf.push_i8(distance);
            true
        })
    }

    pub(super) fn branch_code(&mut self, code: u8, label: &mut Label) {
        if !self.short_jump(0x70 | code, label) {
            self.buf.put(0x800f | u64::from(code) << 8, 2);
            self.jump_field(label);
        }
    }

    pub(super) fn parity_branch(&mut self, set: bool, label: &mut Label) {
        self.branch_code(if set { PARITY } else { NO_PARITY }, label);
    }

    pub(super) fn overflow_branch(&mut self, label: &mut Label) {
        self.branch_code(OVERFLOW, label);
    }

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

    /// While labels are bound, a table's entries are as the displacements of jumps, from their own ends; now they become
    /// distances from the table.
    pub(super) fn finish_tables(&mut self, record: &mut impl Record) {
        while let Some((table, count)) = self.tables.pop() {
            record.table(table, table + 4 * count);
            for entry in 0..count {
                let at = table + 4 * entry;
                self.buf.set_field(at, self.buf.field(at).wrapping_add(4 * entry + 4));
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
            self.mov(Kind::I64, Dst::Slot(at), Src::Slot(Self::incoming(plan, 0) + at));
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
            let below = Address { offset: -(size as i32), ..Address::new(RSP, 0) };
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
