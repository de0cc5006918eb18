//! The assembler by meaning: where each request is answered.

use super::Assembler;
use crate::jit::abi::{Builtin, TrapCode};
use crate::jit::env::Kind;
use crate::jit::lanes::{LaneOp, LaneShift, LaneTest, LaneUnOp, Shape, Sign};
use crate::jit::masm::{Address, Dst, Fixed, FramePlan, Label, Masm, Record, Src};
use crate::jit::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Load, Store, Width};
use crate::jit::reg::Reg;
use crate::jit::unwind::Sites;

impl Masm for Assembler {
    #[inline]
    fn position(&self) -> u32 {
        self.buf.position()
    }

    fn align(&mut self) {
        self.align_impl();
    }

    fn prologue(&mut self, plan: &FramePlan) {
        self.prologue_impl(plan);
    }

    fn epilogue(&mut self, plan: &FramePlan) {
        self.epilogue_impl(plan);
    }

    fn frame_size(plan: &FramePlan) -> u32 {
        Self::frame_size_impl(plan)
    }

    fn incoming(plan: &FramePlan, index: u32) -> u32 {
        Self::incoming_impl(plan, index)
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
        self.finish_cold(record);
        let constants = self.buf.position();
        self.place_constants();
        record.constants(constants, self.buf.position());
    }

    fn reaches(&mut self, start: u32) -> bool {
        self.reaches_impl(start)
    }

    fn mov(&mut self, kind: Kind, dst: Dst, src: Src) {
        self.mov_impl(kind, dst, src);
    }

    fn swap(&mut self, a: Reg, b: Reg) {
        self.swap_impl(a, b);
    }

    fn load_field(&mut self, kind: Kind, dst: Reg, from: Address) {
        self.load_value(kind, dst, from);
    }

    fn store_field(&mut self, kind: Kind, to: Address, src: Src) {
        self.store_value(kind, to, src);
    }

    fn address_of(&mut self, dst: Reg, place: Address) {
        self.address_impl(dst, place);
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

    fn jump_table(&mut self, index: Reg, _scratch: Reg, _count: u32) {
        self.jump_table_impl(index);
    }

    fn table_entry(&mut self, label: &mut Label) {
        self.jump_impl(label);
    }

    fn trap(&mut self, code: TrapCode) {
        self.trap_impl(code);
    }

    fn trap_if(&mut self, cond: Cond, code: TrapCode) {
        self.trap_if_impl(cond, code);
    }

    fn spend_fuel(&mut self, units: u32) {
        self.spend_fuel_impl(units);
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

    fn compare_floats(&mut self, width: Width, _cond: Cond, lhs: Reg, rhs: Reg) {
        self.compare_floats_impl(width, lhs, rhs);
    }

    fn set(&mut self, cond: Cond, dst: Reg) {
        self.set_impl(cond, dst);
    }

    fn select(&mut self, kind: Kind, cond: Cond, dst: Reg, yes: Src, no: Src) {
        self.select_impl(kind, cond, dst, yes, no);
    }

    /// Nothing is in certain registers.
    fn fixed(&self, _op: IntOp, _width: Width, _rhs: Src) -> Fixed {
        Fixed::default()
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
        self.constants.number_of(bits)
    }

    /// Vector instructions read registers alone.
    fn takes(&self, _op: LaneOp, _shape: Shape, _rhs: Src) -> bool {
        false
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

    /// Choosing by bits is one instruction.
    fn blends(&self, _shape: Shape) -> bool {
        false
    }

    fn blend(&mut self, _shape: Shape, dst: Reg, yes: Reg, no: Reg, mask: Reg) {
        self.bitselect_impl(dst, yes, no, mask);
    }

    fn fuses(&self) -> bool {
        true
    }

    fn fused_multiply_add(&mut self, shape: Shape, negated: bool, dst: Reg, lhs: Reg, rhs: Reg, addend: Reg) {
        self.fused_multiply_add_impl(shape, negated, dst.number(), (lhs.number(), rhs.number(), addend.number()));
    }

    fn touch(&mut self, size: u64, to: Address) -> Address {
        self.touch_impl(size, to)
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
        self.jump_to_function(true, function);
        self.note_call();
    }

    fn call_import(&mut self, import: u32, result: Option<Kind>) {
        self.call_import_impl(import, result);
    }

    fn call_ref(&mut self, result: Option<Kind>) {
        self.call_ref_impl(result);
    }

    fn tail_call(&mut self, function: u32, plan: &FramePlan) {
        self.leave_frame(plan);
        self.jump_to_function(false, function);
    }

    fn tail_call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        self.tail_call_indirect_impl(table, signature, result, stack, plan);
    }

    fn tail_call_ref(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan) {
        self.tail_call_ref_impl(result, stack, plan);
    }

    fn call_builtin(&mut self, builtin: Builtin) {
        self.call_builtin_impl(builtin);
    }

    fn call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>) {
        self.call_indirect_impl(table, signature, result);
    }
}
