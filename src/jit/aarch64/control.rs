//! Frames, traps and calls, and what is put off to a function's end.

use super::encode::{LDR_W, LDR_X};
use super::{Assembler, CONTEXT, Cold, LINK, SP, V30, V31, X0, X1, X16, X17, ZERO, asm, field};
use crate::jit::abi::{Builtin, Context, FuncRef, Import, Table, TableEntry, TrapCode};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, FramePlan, Label, Masm, Record, Slot, Src};
use crate::jit::ops::{Cond, Width};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;
use std::mem::offset_of;

/// What tells a trap's undefined instruction from others that might be met by accident: its upper byte of 16 bits.
const TRAP: u32 = 0xb0 << 8;

/// Two words at once reach this far, in bytes.
const PAIR_MAX: u32 = 504;

impl Assembler {
    /// Two neighbouring words at `base + offset`.
    fn load_pair(&mut self, first: Reg, second: Reg, base: Reg, offset: u32) {
        let (f, s, b) = (first.number(), second.number(), base.number());
        if offset <= PAIR_MAX && offset.is_multiple_of(8) {
            return asm!(self; ldp X(f), X(s), [XSP(b), offset as i32]);
        }
        self.access(LDR_X, f, Address::new(base, offset));
        self.access(LDR_X, s, Address::new(base, offset + 8));
    }

    /// After a call through [`FuncRef::entry`]: leaves if it says so, and brings a float where compiled code expects it.
    fn returned(&mut self, result: Option<Kind>) {
        self.note_call();
        let mut failed = Label::default();
        self.compare(Width::W64, Src::Reg(X1), Src::Imm(0));
        self.branch(Cond::Ne, &mut failed);
        self.delay(Cold::Failed { from: failed });
        match result {
            Some(Kind::F32) => asm!(self; fmov s0, w0),
            Some(Kind::F64) => asm!(self; fmov d0, x0),
            _ => {}
        }
    }

    pub(super) fn note_call(&mut self) {
        self.sites.note(self.buf.position());
    }

    pub(super) fn delay(&mut self, cold: Cold) {
        self.cold.push((cold, self.sites.handler));
    }

    /// Calls the function whose record X0 points to.
    fn call_func_ref(&mut self, result: Option<Kind>) {
        self.mov(Kind::I64, Dst::Reg(X1), Src::Reg(CONTEXT));
        self.access(LDR_X, X16.number(), Address::new(X0, offset_of!(FuncRef, entry) as u32));
        asm!(self; blr x16);
        self.returned(result);
    }

    pub(super) fn call_import_impl(&mut self, import: u32, result: Option<Kind>) {
        const _: () = assert!(offset_of!(Import, func) == 0 && offset_of!(Import, entry) == 8);
        if import <= PAIR_MAX {
            self.load_pair(X0, X16, CONTEXT, import);
        } else {
            self.access(LDR_X, X0.number(), field(import));
            self.access(LDR_X, X16.number(), field(import + 8));
        }
        self.mov(Kind::I64, Dst::Reg(X1), Src::Reg(CONTEXT));
        asm!(self; blr x16);
        self.returned(result);
    }

    pub(super) fn call_builtin_impl(&mut self, builtin: Builtin) {
        self.access(LDR_X, X16.number(), field(offset_of!(Context, builtins) as u32));
        self.access(LDR_X, X16.number(), Address::new(X16, builtin.offset()));
        self.mov(Kind::I64, Dst::Reg(X0), Src::Reg(CONTEXT));
        asm!(self; blr x16);
        match builtin {
            Builtin::throw | Builtin::throw_ref => self.returned(None),
            _ => {
                self.compare(Width::W64, Src::Reg(X1), Src::Imm(0));
                self.trap_if(Cond::Ne, TrapCode::Host);
            }
        }
    }

    /// X16 = the address of the entry that X0 counts to in the table, which is of the right type.
    fn find_entry(&mut self, table: u32, signature: u32) {
        const _: () = assert!(size_of::<TableEntry>() == 32);
        const _: () = assert!(offset_of!(Table, base) == 0 && offset_of!(Table, len) == 8);
        self.access(LDR_X, X16.number(), field(table));
        self.load_pair(X17, X16, X16, 0);
        asm!(self; cmp x0, x16);
        self.trap_if(Cond::GeU, TrapCode::UndefinedElement);
        asm!(self; add x16, x17, x0, lsl 5);
        self.access(LDR_W, X17.number(), Address::new(X16, offset_of!(TableEntry, signature) as u32));
        // The arguments are in place and the status is not yet: X1 is free.
        self.load_record_word(X1, signature);
        asm!(self; cmp w17, w1);
        let mut mismatch = Label::default();
        self.branch(Cond::Ne, &mut mismatch);
        self.delay(Cold::Mismatch { from: mismatch });
    }

    /// 32 bits of the instance's record, without X16.
    fn load_record_word(&mut self, dst: Reg, at: u32) {
        if at <= 0xfff * 4 {
            return self.access(LDR_W, dst.number(), field(at));
        }
        self.imm(dst, at.into());
        self.access(LDR_W, dst.number(), Address::indexed(CONTEXT, dst, 0));
    }

    /// Of a record of a function or a table's entry at `base`: X17 is its code, and the flags say whether its instance is ours.
    fn load_callee(&mut self, base: Reg, code: usize, context: usize) {
        debug_assert_eq!(code + 8, context);
        self.load_pair(X17, X1, base, code as u32);
        asm!(self; cmp x1, x28);
    }

    pub(super) fn call_indirect_impl(&mut self, table: u32, signature: u32, result: Option<Kind>) {
        let (mut cross, mut back) = (Label::default(), Label::default());
        self.find_entry(table, signature);
        self.load_callee(X16, offset_of!(TableEntry, code), offset_of!(TableEntry, context));
        self.branch(Cond::Ne, &mut cross);
        asm!(self; blr x17);
        self.note_call();
        self.bind(&mut back);
        self.delay(Cold::Cross { from: cross, back, result });
    }

    pub(super) fn call_ref_impl(&mut self, result: Option<Kind>) {
        let (mut cross, mut back) = (Label::default(), Label::default());
        self.trap_null();
        self.load_callee(X0, offset_of!(FuncRef, code), offset_of!(FuncRef, context));
        self.branch(Cond::Ne, &mut cross);
        asm!(self; blr x17);
        self.note_call();
        self.bind(&mut back);
        self.delay(Cold::CrossRef { from: cross, back, result });
    }

    fn trap_null(&mut self) {
        self.compare(Width::W64, Src::Reg(X0), Src::Imm(0));
        self.trap_if(Cond::Eq, TrapCode::NullFunctionReference);
    }

    pub(super) fn tail_call_indirect_impl(
        &mut self,
        table: u32,
        signature: u32,
        result: Option<Kind>,
        stack: u32,
        plan: &FramePlan,
    ) {
        self.find_entry(table, signature);
        self.access(LDR_X, X0.number(), Address::new(X16, offset_of!(TableEntry, func) as u32));
        self.tail_call_func_ref(result, stack, plan);
    }

    pub(super) fn tail_call_ref_impl(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        self.trap_null();
        self.tail_call_func_ref(result, stack, plan);
    }

    /// Goes on in the function whose record X0 points to.
    fn tail_call_func_ref(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        let mut cross = Label::default();
        self.load_callee(X0, offset_of!(FuncRef, code), offset_of!(FuncRef, context));
        self.branch(Cond::Ne, &mut cross);
        self.leave_frame(plan);
        asm!(self; br x17);
        self.delay(Cold::CrossTail { from: cross, stack, result, plan: *plan });
    }

    /// Stack arguments from where a tail call left them to where a call has them.
    fn copy_incoming(&mut self, stack: u32, plan: &FramePlan) {
        for at in (0..stack).step_by(8) {
            self.mov(Kind::I64, Dst::Slot(Slot::at(at)), Src::Slot(Slot::at(Self::incoming(plan, 0) + at)));
        }
    }

    fn cold(&mut self, cold: Cold) {
        match cold {
            Cold::Trap { mut from, code } => {
                self.bind(&mut from);
                self.trap(code);
            }
            Cold::Mismatch { mut from } => {
                let mut null = Label::default();
                self.bind(&mut from);
                self.branch_zero(true, Width::W32, X17, &mut null);
                self.trap(TrapCode::IndirectCallTypeMismatch);
                self.bind(&mut null);
                self.trap(TrapCode::UninitializedElement);
            }
            Cold::Cross { mut from, mut back, result } => {
                self.bind(&mut from);
                self.access(LDR_X, X0.number(), Address::new(X16, offset_of!(TableEntry, func) as u32));
                self.call_func_ref(result);
                self.jump(&mut back);
            }
            Cold::CrossRef { mut from, mut back, result } => {
                self.bind(&mut from);
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
                self.access(LDR_X, X16.number(), field(offset_of!(Context, unwind) as u32));
                asm!(self; blr x16);
                self.note_call();
            }
            Cold::Truncated { mut from, mut back, trunc } => {
                self.bind(&mut from);
                self.truncated(trunc, &mut back);
            }
        }
    }

    pub(super) fn finish_cold(&mut self, record: &mut impl Record) {
        let mut next = 0;
        while let Some(&(cold, handler)) = self.cold.get(next) {
            self.sites.handler = handler;
            record.piece(self.buf.position(), self.cold.len());
            self.cold(cold);
            next += 1;
        }
        self.cold.clear();
        self.sites.handler = None;
    }

    pub(super) fn trap_impl(&mut self, code: TrapCode) {
        self.buf.push_u32(TRAP | code as u32);
    }

    /// Entries are jumps themselves, so that nothing is read.
    pub(super) fn jump_table_impl(&mut self, index: Reg) {
        let i = index.number();
        // As far as the entries are from here.
        asm!(self; adr x17, 12; add x17, x17, X(i), lsl 2; br x17);
    }
}

// Frames. From the top: the return address if the function calls anything, saved registers below it by number, the body. The size that the
// runtime knows tells whether there is a return address, since the stack pointer is a multiple of 16: it counts to that address, and so
// is 8 more than such a multiple, or else it is the whole frame and the address is in the link register.
impl Assembler {
    /// Bytes of saved registers.
    fn saved(plan: &FramePlan) -> u32 {
        (8 * (plan.saved.len() + u32::from(!plan.leaf))).next_multiple_of(16)
    }

    fn whole(plan: &FramePlan) -> u32 {
        Self::saved(plan) + plan.body.next_multiple_of(16)
    }

    pub(super) fn frame_size_impl(plan: &FramePlan) -> u32 {
        Self::whole(plan) - if plan.leaf { 0 } else { 8 }
    }

    pub(super) fn incoming_impl(plan: &FramePlan, index: u32) -> u32 {
        Self::whole(plan) + 8 * index
    }

    /// Saved registers in pairs, from the top down; the last may be alone.
    fn pairs(plan: &FramePlan) -> impl Iterator<Item = (Reg, Reg)> {
        let mut registers = plan.saved;
        let mut top = (!plan.leaf).then_some(LINK);
        std::iter::from_fn(move || {
            let second = top.take().or_else(|| registers.next())?;
            Some((registers.next().unwrap_or(Reg::general(ZERO)), second))
        })
    }

    fn check_stack(&mut self, plan: &FramePlan) {
        let size = Self::whole(plan);
        self.access(LDR_X, X17.number(), field(offset_of!(Context, stack_limit) as u32));
        if size <= 1024 {
            asm!(self; cmp sp, x17);
        } else {
            self.add_offset(X16, SP, -i64::from(size));
            asm!(self; cmp x16, x17);
        }
        self.trap_if(Cond::LtU, TrapCode::StackOverflow);
    }

    pub(super) fn prologue_impl(&mut self, plan: &FramePlan) {
        if plan.check_stack {
            self.check_stack(plan);
        }
        for (first, second) in Self::pairs(plan) {
            let (f, s) = (first.number(), second.number());
            asm!(self; stp X(f), X(s), [sp, -16]!);
        }
        self.add_offset(SP, SP, -i64::from(plan.body.next_multiple_of(16)));
    }

    /// Undoes the prologue.
    pub(super) fn leave_frame(&mut self, plan: &FramePlan) {
        self.add_offset(SP, SP, plan.body.next_multiple_of(16).into());
        let mut pairs = [(SP, SP); 8];
        let mut count = 0;
        for pair in Self::pairs(plan) {
            pairs[count] = pair;
            count += 1;
        }
        for &(first, second) in pairs[..count].iter().rev() {
            let (f, s) = (first.number(), second.number());
            asm!(self; ldp X(f), X(s), [sp], 16);
        }
    }

    pub(super) fn epilogue_impl(&mut self, plan: &FramePlan) {
        self.leave_frame(plan);
        asm!(self; ret);
    }
}

impl Assembler {
    /// See [`Masm::select`].
    pub(super) fn select_impl(&mut self, kind: Kind, cond: Cond, dst: Reg, yes: Src, no: Src) {
        match kind {
            Kind::I32 | Kind::I64 | Kind::Ref => {
                // First, since what is far in the frame is reached through X16.
                let yes = self.in_reg_or_zero(kind, yes, X17);
                let no = self.in_reg_or_zero(kind, no, X16);
                self.conditional_select(cond, dst, yes, no);
            }
            Kind::F32 | Kind::F64 => {
                let width = if kind == Kind::F32 { Width::W32 } else { Width::W64 };
                let yes = self.in_reg_or(kind, yes, Reg::vector(V30));
                let no = self.in_reg_or(kind, no, Reg::vector(V31));
                self.conditional_select_float(width, cond, dst, yes, no);
            }
            Kind::V128 => {
                let mut skip = Label::default();
                self.mov_impl(kind, Dst::Reg(dst), no);
                self.branch(cond.negated(), &mut skip);
                self.mov_impl(kind, Dst::Reg(dst), yes);
                self.bind(&mut skip);
            }
        }
    }

    /// As [`Assembler::in_reg_or`], for an instruction that reads the zero register.
    fn in_reg_or_zero(&mut self, kind: Kind, src: Src, scratch: Reg) -> Reg {
        match src {
            Src::Imm(0) => Reg::general(ZERO),
            src => self.in_reg_or(kind, src, scratch),
        }
    }
}

impl Assembler {
    pub(super) fn trap_if_impl(&mut self, cond: Cond, code: TrapCode) {
        let mut from = Label::default();
        self.branch(cond, &mut from);
        self.delay(Cold::Trap { from, code });
    }
}

impl Assembler {
    /// See [`Masm::spend_fuel`]; a borrow is "lower".
    pub(super) fn spend_fuel_impl(&mut self, units: u32) {
        self.access(LDR_X, X16.number(), field(offset_of!(Context, fuel) as u32));
        if units <= 0xfff {
            return asm!(self; ldr x17, [x16]; subs x17, XSP(17), units; str x17, [x16]);
        }
        // A third register, which is given back with the flags as they are.
        asm!(self; fmov d31, x0);
        self.imm(X0, units.into());
        asm!(self; ldr x17, [x16]; subs x17, x17, x0; str x17, [x16]; fmov x0, d31);
    }
}
