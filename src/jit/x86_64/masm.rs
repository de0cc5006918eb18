//! The assembler by meaning: where each request is answered.

use super::encode::{LEA, LOAD64};
use super::jumps::{NO_PARITY, PARITY, condition_code};
use super::{Assembler, Cold, R11, RDI, asm, field};
use crate::jit::abi::{Builtin, Context, FuncRef, Import, TableEntry, TrapCode};
use crate::jit::env::Kind;
use crate::jit::lanes::{LaneOp, LaneShift, LaneTest, LaneUnOp, Shape, Sign};
use crate::jit::masm::{Address, Dst, Fixed, FramePlan, Label, Masm, Record, Src, is_vector};
use crate::jit::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Load, Store, Width};
use crate::jit::reg::Reg;
use crate::jit::target::Relocation;
use crate::jit::unwind::Sites;
use dynasmrt::DynasmApi;
use std::mem::offset_of;

impl Masm for Assembler {
    #[inline]
    fn position(&self) -> u32 {
        self.buf.position()
    }

    fn align(&mut self) {
        self.align_impl();
    }

    fn prologue(&mut self, plan: &FramePlan) {
        if plan.check_stack {
            self.check_stack(plan);
        }
        for reg in plan.saved {
            asm!(self; push Rq(reg.number()));
        }
        self.red_zone = if Self::in_red_zone(plan) { Self::body(plan) as i32 } else { 0 };
        match Self::body(plan) as i32 - self.red_zone {
            0 => {}
            body @ 1..=127 => asm!(self; sub rsp, BYTE body as i8),
            body => asm!(self; sub rsp, body),
        }
    }

    fn epilogue(&mut self, plan: &FramePlan) {
        self.leave_frame(plan);
        asm!(self; ret);
    }

    fn frame_size(plan: &FramePlan) -> u32 {
        Self::pushes(plan) + if Self::in_red_zone(plan) { 0 } else { Self::body(plan) }
    }

    fn incoming(plan: &FramePlan, index: u32) -> u32 {
        Self::pushes(plan) + Self::body(plan) + 8 + 8 * index
    }

    fn zero_slots(&mut self, from: u32, count: u32) {
        self.zero_slots_impl(from, count);
    }

    fn sites(&mut self) -> &mut Sites {
        &mut self.sites
    }

    fn put_off(&self) -> usize {
        self.cold.len()
    }

    fn finish_function(&mut self, record: &mut impl Record) {
        self.finish_tables(record);
        let mut next = 0;
        while let Some(&(cold, handler)) = self.cold.get(next) {
            record.piece(self.buf.position(), self.cold.len());
            self.sites.handler = handler;
            self.cold(cold);
            next += 1;
        }
        self.cold.clear();
        self.sites.handler = None;
        let constants = self.buf.position();
        self.place_constants();
        record.constants(constants, self.buf.position());
    }

    fn mov(&mut self, kind: Kind, dst: Dst, src: Src) {
        self.mov_impl(kind, dst, src);
    }

    fn swap(&mut self, a: Reg, b: Reg) {
        let (x, y) = (a.number(), b.number());
        if a.is_vector() {
            asm!(self; movaps xmm15, Rx(x); movaps Rx(x), Rx(y); movaps Rx(y), xmm15);
        } else {
            asm!(self; xchg Rq(x), Rq(y));
        }
    }

    fn load_field(&mut self, kind: Kind, dst: Reg, from: Address) {
        self.load_value(kind, dst, from);
    }

    fn store_field(&mut self, kind: Kind, to: Address, src: Src) {
        self.store_value(kind, to, src);
    }

    fn address_of(&mut self, dst: Reg, place: Address) {
        self.op_mem(LEA.sized(Width::W64), dst.number(), place);
    }

    fn jump(&mut self, label: &mut Label) {
        self.jump_impl(label);
    }

    fn branch(&mut self, cond: Cond, label: &mut Label) {
        self.branch_impl(cond, label);
    }

    fn bind(&mut self, label: &mut Label) {
        self.bind_impl(label);
    }

    fn jump_table(&mut self, index: Reg, scratch: Reg, count: u32) {
        self.jump_table_impl(index, scratch, count);
    }

    fn table_entry(&mut self, label: &mut Label) {
        self.jump_field(label);
    }

    fn trap(&mut self, code: TrapCode) {
        asm!(self; ud2);
        self.buf.push(code as u8);
    }

    fn trap_if(&mut self, cond: Cond, code: TrapCode) {
        let mut from = Label::default();
        self.branch(cond, &mut from);
        self.delay(Cold::Trap { from, code });
    }

    fn spend_fuel(&mut self, units: u32) {
        // What is subtracted is sign-extended from 32 bits; no function of a valid module has so many operators.
        let units = i32::try_from(units).unwrap_or(i32::MAX);
        self.op_mem(LOAD64, R11.number(), field(offset_of!(Context, fuel) as u32));
        asm!(self; sub QWORD [r11], units);
    }

    fn compare(&mut self, width: Width, lhs: Src, rhs: Src) {
        self.compare_impl(width, lhs, rhs);
    }

    fn compare_zero(&mut self, width: Width, src: Src) {
        self.compare_zero_impl(width, src);
    }

    fn test(&mut self, width: Width, lhs: Reg, rhs: Src) {
        self.test_impl(width, lhs, rhs);
    }

    fn compare_floats(&mut self, width: Width, cond: Cond, lhs: Reg, rhs: Reg) {
        self.compare_floats_impl(width, cond, lhs, rhs);
    }

    fn set(&mut self, cond: Cond, dst: Reg) {
        let d = dst.number();
        match (condition_code(cond), cond) {
            (Some(code), _) => self.setcc(code, d),
            (None, Cond::FEq) => {
                self.setcc(NO_PARITY, R11.number());
                self.setcc(0x4, d);
                asm!(self; and Rb(d), Rb(R11.number()));
            }
            (None, _) => {
                self.setcc(PARITY, R11.number());
                self.setcc(0x5, d);
                asm!(self; or Rb(d), Rb(R11.number()));
            }
        }
        asm!(self; movzx Rd(d), Rb(d));
    }

    fn select(&mut self, kind: Kind, cond: Cond, dst: Reg, yes: Src, no: Src) {
        self.mov_impl(kind, Dst::Reg(dst), no);
        match condition_code(cond) {
            Some(code) if !is_vector(kind) => {
                let yes = self.in_reg(kind, yes);
                self.cmov(code, dst.number(), yes.number());
            }
            _ => {
                let mut skip = Label::default();
                self.branch(cond.negated(), &mut skip);
                self.mov_impl(kind, Dst::Reg(dst), yes);
                self.bind(&mut skip);
            }
        }
    }

    fn fixed(&self, op: IntOp, width: Width, rhs: Src) -> Fixed {
        self.fixed_impl(op, width, rhs)
    }

    fn int_op(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src) {
        self.int_op_impl(op, width, dst, lhs, rhs);
    }

    fn int_unop(&mut self, op: IntUnOp, width: Width, dst: Reg, src: Src) {
        self.int_unop_impl(op, width, dst, src);
    }

    fn add_scaled(&mut self, width: Width, dst: Reg, base: Reg, index: Reg, shift: u8) {
        self.add_scaled_impl(width, dst, base, index, shift);
    }

    fn float_op(&mut self, op: FloatOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg) {
        self.float_op_impl(op, width, dst, lhs, rhs);
    }

    fn float_unop(&mut self, op: FloatUnOp, width: Width, dst: Reg, src: Reg) {
        self.float_unop_impl(op, width, dst, src);
    }

    fn convert(&mut self, op: Convert, dst: Reg, src: Reg) {
        self.convert_impl(op, dst, src);
    }

    fn vector_const(&mut self, bits: u128) -> u64 {
        if bits == 0 { 0 } else { self.number_of(bits) }
    }

    fn takes(&self, op: LaneOp, shape: Shape, rhs: Src) -> bool {
        self.takes_impl(op, shape, rhs)
    }

    fn lanes(&mut self, op: LaneOp, shape: Shape, dst: Reg, lhs: Reg, rhs: Src) {
        self.lanes_impl(op, shape, dst, lhs, rhs);
    }

    fn lanes_unary(&mut self, op: LaneUnOp, shape: Shape, dst: Reg, src: Reg) {
        self.lanes_unary_impl(op, shape, dst, src);
    }

    fn lanes_shift(&mut self, op: LaneShift, shape: Shape, dst: Reg, lhs: Reg, by: Src) {
        self.lanes_shift_impl(op, shape, dst, lhs, by);
    }

    fn lanes_test(&mut self, test: LaneTest, shape: Shape, src: Reg) -> Cond {
        self.lanes_test_impl(test, shape, src)
    }

    fn bitmask(&mut self, shape: Shape, dst: Reg, src: Reg) {
        self.bitmask_impl(shape, dst, src);
    }

    fn splat(&mut self, shape: Shape, dst: Reg, src: Reg) {
        self.splat_impl(shape, dst, src);
    }

    fn extract_lane(&mut self, shape: Shape, sign: Sign, lane: u8, dst: Reg, src: Reg) {
        self.extract_lane_impl(shape, sign, lane, dst, src);
    }

    fn replace_lane(&mut self, shape: Shape, lane: u8, dst: Reg, vector: Reg, src: Reg) {
        self.replace_lane_impl(shape, lane, dst, vector, src);
    }

    fn shuffle(&mut self, lanes: [u8; 16], dst: Reg, lhs: Reg, rhs: Reg) {
        self.shuffle_impl(lanes, dst, lhs, rhs);
    }

    fn bitselect(&mut self, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        self.bitselect_impl(dst, yes, no, mask);
    }

    /// Without AVX the mask would have to be in XMM0. There is none for words.
    fn blends(&self, shape: Shape) -> bool {
        self.features.avx && shape != Shape::I16x8
    }

    fn blend(&mut self, shape: Shape, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        self.blend_impl(shape, dst, yes, no, mask);
    }

    fn fuses(&self) -> bool {
        self.features.fuses()
    }

    fn fused_multiply_add(&mut self, shape: Shape, negated: bool, dst: Reg, lhs: Reg, rhs: Reg, addend: Reg) {
        self.fused_multiply_add_impl(shape, negated, dst.number(), (lhs.number(), rhs.number(), addend.number()));
    }

    fn load_lane(&mut self, shape: Shape, lane: u8, dst: Reg, vector: Reg, from: Address) {
        self.load_lane_impl(shape, lane, dst, vector, from);
    }

    fn store_lane(&mut self, shape: Shape, lane: u8, to: Address, src: Reg) {
        self.store_lane_impl(shape, lane, to, src);
    }

    fn load(&mut self, op: Load, dst: Reg, from: Address) {
        self.load_impl(op, dst, from);
    }

    fn store(&mut self, op: Store, to: Address, src: Src) {
        self.store_impl(op, to, src);
    }

    fn call(&mut self, function: u32) {
        self.relocations.push(Relocation { field: self.buf.position() + 1, function });
        self.buf.put(0xe8, 5);
        self.note_call();
    }

    fn call_import(&mut self, import: u32, result: Option<Kind>) {
        self.op_mem(LOAD64, RDI.number(), field(import + offset_of!(Import, func) as u32));
        asm!(self; mov rsi, r15);
        let entry = (import + offset_of!(Import, entry) as u32) as i32;
        asm!(self; call QWORD [DWORD r15 + entry]);
        self.returned(result);
    }

    fn call_builtin(&mut self, builtin: Builtin) {
        self.op_mem(LOAD64, R11.number(), field(offset_of!(Context, builtins) as u32));
        let place = builtin.offset() as i32;
        asm!(self; mov rdi, r15; call QWORD [DWORD r11 + place]);
        match builtin {
            Builtin::throw | Builtin::throw_ref => self.returned(None),
            _ => {
                asm!(self; test rdx, rdx);
                self.trap_if(Cond::Ne, TrapCode::Host);
            }
        }
    }

    fn call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>) {
        self.find_entry(table, signature);
        let (mut cross, mut back) = (Label::default(), Label::default());
        asm!(self; cmp r15, [rax + offset_of!(TableEntry, context) as i32]);
        self.branch(Cond::Ne, &mut cross);
        asm!(self; call QWORD [rax + offset_of!(TableEntry, code) as i32]);
        self.note_call();
        self.bind(&mut back);
        self.delay(Cold::Cross { from: cross, back, result });
    }

    fn call_ref(&mut self, result: Option<Kind>) {
        let (mut cross, mut back) = (Label::default(), Label::default());
        asm!(self; test rax, rax);
        self.trap_if(Cond::Eq, TrapCode::NullFunctionReference);
        asm!(self; cmp r15, [rax + offset_of!(FuncRef, context) as i32]);
        self.branch(Cond::Ne, &mut cross);
        asm!(self; call QWORD [rax + offset_of!(FuncRef, code) as i32]);
        self.note_call();
        self.bind(&mut back);
        self.delay(Cold::CrossRef { from: cross, back, result });
    }

    fn tail_call(&mut self, function: u32, plan: &FramePlan) {
        self.leave_frame(plan);
        self.buf.push(0xe9);
        self.relocations.push(Relocation { field: self.buf.position(), function });
        self.buf.push_i32(0);
    }

    fn tail_call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        self.find_entry(table, signature);
        asm!(self; mov rdi, [rax + offset_of!(TableEntry, func) as i32]);
        self.tail_call_func_ref(result, stack, plan);
    }

    fn tail_call_ref(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        asm!(self; test rax, rax);
        self.trap_if(Cond::Eq, TrapCode::NullFunctionReference);
        asm!(self; mov rdi, rax);
        self.tail_call_func_ref(result, stack, plan);
    }
}
