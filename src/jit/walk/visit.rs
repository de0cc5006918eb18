//! The table of operators: each one's name, and the family that compiles it.

use super::Walk;
use crate::jit::abi::Builtin;
use crate::jit::env::Kind;
use crate::jit::masm::Masm;
use crate::jit::ops::Width::{W32, W64};
use crate::jit::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Load, Store};
use crate::jit::state::Loc;
use wasmparser::{BlockType, BrTable, FrameKind, FrameStack, HeapType, Ieee32, Ieee64, MemArg, ValType, VisitOperator};

impl<M: Masm> FrameStack for Walk<'_, M> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.frames.last().map(super::control::Frame::kind)
    }
}

/// What is compiled only where it can be reached, a line each.
macro_rules! operators {
    ($($visit:ident($($arg:ident: $ty:ty),*) => $family:ident($($value:expr),*);)*) => {
        $(
            #[inline]
            fn $visit(&mut self, $($arg: $ty),*) {
                if self.reachable {
                    self.$family($($value),*);
                }
            }
        )*
    };
}

/// Operators of proposals that the validator is not told to accept.
macro_rules! others {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(others!(one @$proposal $visit $(($($arg: $ty),*))?);)*
    };
    (one @mvp $($_:tt)*) => {};
    (one @sign_extension $($_:tt)*) => {};
    (one @saturating_float_to_int $($_:tt)*) => {};
    (one @bulk_memory $($_:tt)*) => {};
    (one @reference_types $($_:tt)*) => {};
    (one @$proposal:ident $visit:ident $(($($arg:ident: $ty:ty),*))?) => {
        fn $visit(&mut self $($(, $arg: $ty)*)?) {
            $($(_ = $arg;)*)?
            unreachable!(concat!(stringify!($visit), " of the proposal ", stringify!($proposal), " was not validated"))
        }
    };
}

impl<'a, M: Masm> VisitOperator<'a> for Walk<'a, M> {
    type Output = ();

    fn visit_block(&mut self, ty: BlockType) {
        if self.reachable { self.block(ty) } else { self.open_dead(FrameKind::Block) }
    }

    fn visit_loop(&mut self, ty: BlockType) {
        if self.reachable { self.loop_(ty) } else { self.open_dead(FrameKind::Loop) }
    }

    fn visit_if(&mut self, ty: BlockType) {
        if self.reachable { self.if_(ty) } else { self.open_dead(FrameKind::If) }
    }

    fn visit_else(&mut self) {
        self.else_();
    }

    fn visit_end(&mut self) {
        self.end();
    }

    fn visit_typed_select_multi(&mut self, tys: Vec<ValType>) {
        unreachable!("select of {} values is not valid", tys.len())
    }

    operators! {
    // mvp
    visit_unreachable() => trap();
    visit_nop() => nop();
    visit_br(relative_depth: u32) => br(relative_depth);
    visit_br_if(relative_depth: u32) => br_if(relative_depth);
    visit_br_table(targets: BrTable<'a>) => br_table(&targets);
    visit_return() => return_();
    visit_call(function_index: u32) => call(function_index);
    visit_call_indirect(type_index: u32, table_index: u32) => call_indirect(type_index, table_index);
    visit_drop() => drop();
    visit_select() => select(1);
    visit_local_get(local_index: u32) => local_get(local_index);
    visit_local_set(local_index: u32) => local_set(local_index);
    visit_local_tee(local_index: u32) => local_tee(local_index);
    visit_global_get(global_index: u32) => global_get(global_index);
    visit_global_set(global_index: u32) => global_set(global_index);
    visit_i32_load(memarg: MemArg) => load(Load::I32, memarg);
    visit_i64_load(memarg: MemArg) => load(Load::I64, memarg);
    visit_f32_load(memarg: MemArg) => load(Load::F32, memarg);
    visit_f64_load(memarg: MemArg) => load(Load::F64, memarg);
    visit_i32_load8_s(memarg: MemArg) => load(Load::S8(W32), memarg);
    visit_i32_load8_u(memarg: MemArg) => load(Load::U8(W32), memarg);
    visit_i32_load16_s(memarg: MemArg) => load(Load::S16(W32), memarg);
    visit_i32_load16_u(memarg: MemArg) => load(Load::U16(W32), memarg);
    visit_i64_load8_s(memarg: MemArg) => load(Load::S8(W64), memarg);
    visit_i64_load8_u(memarg: MemArg) => load(Load::U8(W64), memarg);
    visit_i64_load16_s(memarg: MemArg) => load(Load::S16(W64), memarg);
    visit_i64_load16_u(memarg: MemArg) => load(Load::U16(W64), memarg);
    visit_i64_load32_s(memarg: MemArg) => load(Load::S32, memarg);
    visit_i64_load32_u(memarg: MemArg) => load(Load::U32, memarg);
    visit_i32_store(memarg: MemArg) => store(Store::B32, memarg);
    visit_i64_store(memarg: MemArg) => store(Store::B64, memarg);
    visit_f32_store(memarg: MemArg) => store(Store::F32, memarg);
    visit_f64_store(memarg: MemArg) => store(Store::F64, memarg);
    visit_i32_store8(memarg: MemArg) => store(Store::B8, memarg);
    visit_i32_store16(memarg: MemArg) => store(Store::B16, memarg);
    visit_i64_store8(memarg: MemArg) => store(Store::B8, memarg);
    visit_i64_store16(memarg: MemArg) => store(Store::B16, memarg);
    visit_i64_store32(memarg: MemArg) => store(Store::B32, memarg);
    visit_memory_size(mem: u32) => memory_size(mem);
    visit_memory_grow(mem: u32) => memory_grow(mem);
    visit_i32_const(value: i32) => constant(Kind::I32, u64::from(value as u32));
    visit_i64_const(value: i64) => constant(Kind::I64, value as u64);
    visit_f32_const(value: Ieee32) => constant(Kind::F32, u64::from(value.bits()));
    visit_f64_const(value: Ieee64) => constant(Kind::F64, value.bits());
    visit_i32_eqz() => eqz(W32);
    visit_i32_eq() => compare(Cond::Eq, W32);
    visit_i32_ne() => compare(Cond::Ne, W32);
    visit_i32_lt_s() => compare(Cond::LtS, W32);
    visit_i32_lt_u() => compare(Cond::LtU, W32);
    visit_i32_gt_s() => compare(Cond::GtS, W32);
    visit_i32_gt_u() => compare(Cond::GtU, W32);
    visit_i32_le_s() => compare(Cond::LeS, W32);
    visit_i32_le_u() => compare(Cond::LeU, W32);
    visit_i32_ge_s() => compare(Cond::GeS, W32);
    visit_i32_ge_u() => compare(Cond::GeU, W32);
    visit_i64_eqz() => eqz(W64);
    visit_i64_eq() => compare(Cond::Eq, W64);
    visit_i64_ne() => compare(Cond::Ne, W64);
    visit_i64_lt_s() => compare(Cond::LtS, W64);
    visit_i64_lt_u() => compare(Cond::LtU, W64);
    visit_i64_gt_s() => compare(Cond::GtS, W64);
    visit_i64_gt_u() => compare(Cond::GtU, W64);
    visit_i64_le_s() => compare(Cond::LeS, W64);
    visit_i64_le_u() => compare(Cond::LeU, W64);
    visit_i64_ge_s() => compare(Cond::GeS, W64);
    visit_i64_ge_u() => compare(Cond::GeU, W64);
    visit_f32_eq() => compare_floats(Cond::FEq, W32);
    visit_f32_ne() => compare_floats(Cond::FNe, W32);
    visit_f32_lt() => compare_floats(Cond::FLt, W32);
    visit_f32_gt() => compare_floats(Cond::FGt, W32);
    visit_f32_le() => compare_floats(Cond::FLe, W32);
    visit_f32_ge() => compare_floats(Cond::FGe, W32);
    visit_f64_eq() => compare_floats(Cond::FEq, W64);
    visit_f64_ne() => compare_floats(Cond::FNe, W64);
    visit_f64_lt() => compare_floats(Cond::FLt, W64);
    visit_f64_gt() => compare_floats(Cond::FGt, W64);
    visit_f64_le() => compare_floats(Cond::FLe, W64);
    visit_f64_ge() => compare_floats(Cond::FGe, W64);
    visit_i32_clz() => int_unary(IntUnOp::Clz, W32);
    visit_i32_ctz() => int_unary(IntUnOp::Ctz, W32);
    visit_i32_popcnt() => int_unary(IntUnOp::Popcnt, W32);
    visit_i32_add() => int(IntOp::Add, W32);
    visit_i32_sub() => int(IntOp::Sub, W32);
    visit_i32_mul() => int(IntOp::Mul, W32);
    visit_i32_div_s() => int(IntOp::DivS, W32);
    visit_i32_div_u() => int(IntOp::DivU, W32);
    visit_i32_rem_s() => int(IntOp::RemS, W32);
    visit_i32_rem_u() => int(IntOp::RemU, W32);
    visit_i32_and() => int(IntOp::And, W32);
    visit_i32_or() => int(IntOp::Or, W32);
    visit_i32_xor() => int(IntOp::Xor, W32);
    visit_i32_shl() => int(IntOp::Shl, W32);
    visit_i32_shr_s() => int(IntOp::ShrS, W32);
    visit_i32_shr_u() => int(IntOp::ShrU, W32);
    visit_i32_rotl() => int(IntOp::Rotl, W32);
    visit_i32_rotr() => int(IntOp::Rotr, W32);
    visit_i64_clz() => int_unary(IntUnOp::Clz, W64);
    visit_i64_ctz() => int_unary(IntUnOp::Ctz, W64);
    visit_i64_popcnt() => int_unary(IntUnOp::Popcnt, W64);
    visit_i64_add() => int(IntOp::Add, W64);
    visit_i64_sub() => int(IntOp::Sub, W64);
    visit_i64_mul() => int(IntOp::Mul, W64);
    visit_i64_div_s() => int(IntOp::DivS, W64);
    visit_i64_div_u() => int(IntOp::DivU, W64);
    visit_i64_rem_s() => int(IntOp::RemS, W64);
    visit_i64_rem_u() => int(IntOp::RemU, W64);
    visit_i64_and() => int(IntOp::And, W64);
    visit_i64_or() => int(IntOp::Or, W64);
    visit_i64_xor() => int(IntOp::Xor, W64);
    visit_i64_shl() => int(IntOp::Shl, W64);
    visit_i64_shr_s() => int(IntOp::ShrS, W64);
    visit_i64_shr_u() => int(IntOp::ShrU, W64);
    visit_i64_rotl() => int(IntOp::Rotl, W64);
    visit_i64_rotr() => int(IntOp::Rotr, W64);
    visit_f32_abs() => float_unary(FloatUnOp::Abs, W32);
    visit_f32_neg() => float_unary(FloatUnOp::Neg, W32);
    visit_f32_ceil() => float_unary(FloatUnOp::Ceil, W32);
    visit_f32_floor() => float_unary(FloatUnOp::Floor, W32);
    visit_f32_trunc() => float_unary(FloatUnOp::Trunc, W32);
    visit_f32_nearest() => float_unary(FloatUnOp::Nearest, W32);
    visit_f32_sqrt() => float_unary(FloatUnOp::Sqrt, W32);
    visit_f32_add() => float(FloatOp::Add, W32);
    visit_f32_sub() => float(FloatOp::Sub, W32);
    visit_f32_mul() => float(FloatOp::Mul, W32);
    visit_f32_div() => float(FloatOp::Div, W32);
    visit_f32_min() => float(FloatOp::Min, W32);
    visit_f32_max() => float(FloatOp::Max, W32);
    visit_f32_copysign() => float(FloatOp::Copysign, W32);
    visit_f64_abs() => float_unary(FloatUnOp::Abs, W64);
    visit_f64_neg() => float_unary(FloatUnOp::Neg, W64);
    visit_f64_ceil() => float_unary(FloatUnOp::Ceil, W64);
    visit_f64_floor() => float_unary(FloatUnOp::Floor, W64);
    visit_f64_trunc() => float_unary(FloatUnOp::Trunc, W64);
    visit_f64_nearest() => float_unary(FloatUnOp::Nearest, W64);
    visit_f64_sqrt() => float_unary(FloatUnOp::Sqrt, W64);
    visit_f64_add() => float(FloatOp::Add, W64);
    visit_f64_sub() => float(FloatOp::Sub, W64);
    visit_f64_mul() => float(FloatOp::Mul, W64);
    visit_f64_div() => float(FloatOp::Div, W64);
    visit_f64_min() => float(FloatOp::Min, W64);
    visit_f64_max() => float(FloatOp::Max, W64);
    visit_f64_copysign() => float(FloatOp::Copysign, W64);
    visit_i32_wrap_i64() => convert(Convert::Wrap, 1);
    visit_i32_trunc_f32_s() => convert(Convert::TruncS(W32, W32), 1);
    visit_i32_trunc_f32_u() => convert(Convert::TruncU(W32, W32), 1);
    visit_i32_trunc_f64_s() => convert(Convert::TruncS(W64, W32), 1);
    visit_i32_trunc_f64_u() => convert(Convert::TruncU(W64, W32), 1);
    visit_i64_extend_i32_s() => convert(Convert::ExtendS, 1);
    visit_i64_extend_i32_u() => extend_unsigned();
    visit_i64_trunc_f32_s() => convert(Convert::TruncS(W32, W64), 1);
    visit_i64_trunc_f32_u() => convert(Convert::TruncU(W32, W64), 1);
    visit_i64_trunc_f64_s() => convert(Convert::TruncS(W64, W64), 1);
    visit_i64_trunc_f64_u() => convert(Convert::TruncU(W64, W64), 1);
    visit_f32_convert_i32_s() => convert(Convert::FloatS(W32, W32), 1);
    visit_f32_convert_i32_u() => convert(Convert::FloatU(W32, W32), 1);
    visit_f32_convert_i64_s() => convert(Convert::FloatS(W64, W32), 1);
    visit_f32_convert_i64_u() => convert(Convert::FloatU(W64, W32), 1);
    visit_f32_demote_f64() => convert(Convert::Demote, 1);
    visit_f64_convert_i32_s() => convert(Convert::FloatS(W32, W64), 1);
    visit_f64_convert_i32_u() => convert(Convert::FloatU(W32, W64), 1);
    visit_f64_convert_i64_s() => convert(Convert::FloatS(W64, W64), 1);
    visit_f64_convert_i64_u() => convert(Convert::FloatU(W64, W64), 1);
    visit_f64_promote_f32() => convert(Convert::Promote, 1);
    visit_i32_reinterpret_f32() => convert(Convert::BitsOfFloat(W32), 1);
    visit_i64_reinterpret_f64() => convert(Convert::BitsOfFloat(W64), 1);
    visit_f32_reinterpret_i32() => convert(Convert::FloatOfBits(W32), 1);
    visit_f64_reinterpret_i64() => convert(Convert::FloatOfBits(W64), 1);

    // sign extension
    visit_i32_extend8_s() => int_unary(IntUnOp::Extend8, W32);
    visit_i32_extend16_s() => int_unary(IntUnOp::Extend16, W32);
    visit_i64_extend8_s() => int_unary(IntUnOp::Extend8, W64);
    visit_i64_extend16_s() => int_unary(IntUnOp::Extend16, W64);
    visit_i64_extend32_s() => int_unary(IntUnOp::Extend32, W64);

    // saturating float to int
    visit_i32_trunc_sat_f32_s() => convert(Convert::SatS(W32, W32), 2);
    visit_i32_trunc_sat_f32_u() => convert(Convert::SatU(W32, W32), 2);
    visit_i32_trunc_sat_f64_s() => convert(Convert::SatS(W64, W32), 2);
    visit_i32_trunc_sat_f64_u() => convert(Convert::SatU(W64, W32), 2);
    visit_i64_trunc_sat_f32_s() => convert(Convert::SatS(W32, W64), 2);
    visit_i64_trunc_sat_f32_u() => convert(Convert::SatU(W32, W64), 2);
    visit_i64_trunc_sat_f64_s() => convert(Convert::SatS(W64, W64), 2);
    visit_i64_trunc_sat_f64_u() => convert(Convert::SatU(W64, W64), 2);

    // bulk memory
    visit_memory_init(data_index: u32, mem: u32) => runtime(Builtin::memory_init, &[mem, data_index], 3, None);
    visit_data_drop(data_index: u32) => runtime(Builtin::data_drop, &[data_index], 0, None);
    visit_memory_copy(dst_mem: u32, src_mem: u32) => runtime(Builtin::memory_copy, &[dst_mem, src_mem], 3, None);
    visit_memory_fill(mem: u32) => runtime(Builtin::memory_fill, &[mem], 3, None);
    visit_table_init(elem_index: u32, table: u32) => runtime(Builtin::table_init, &[table, elem_index], 3, None);
    visit_elem_drop(elem_index: u32) => runtime(Builtin::elem_drop, &[elem_index], 0, None);
    visit_table_copy(dst_table: u32, src_table: u32) => runtime(Builtin::table_copy, &[dst_table, src_table], 3, None);

    // reference types
    visit_typed_select(_ty: ValType) => typed_select();
    visit_ref_null(hty: HeapType) => ref_null(hty);
    visit_ref_is_null() => eqz(W64);
    visit_ref_func(function_index: u32) => ref_func(function_index);
    visit_table_fill(table: u32) => runtime(Builtin::table_fill, &[table], 3, None);
    visit_table_get(table: u32) => runtime(Builtin::table_get, &[table], 1, Some(Kind::Ref));
    visit_table_set(table: u32) => runtime(Builtin::table_set, &[table], 2, None);
    visit_table_grow(table: u32) => table_grow(table);
    visit_table_size(table: u32) => table_size(table);
    }

    wasmparser::for_each_visit_operator!(others);
}

impl<M: Masm> Walk<'_, M> {
    fn nop(&mut self) {}

    fn drop(&mut self) {
        self.state.drop_top();
    }

    fn local_get(&mut self, index: u32) {
        self.state.push_local(index);
    }

    fn ref_null(&mut self, _: HeapType) {
        self.state.push(Kind::Ref, Loc::Const(0));
    }

    /// Where the type takes one byte, the next operator's place is known.
    fn typed_select(&mut self) {
        let short = self.opcode(1) == 1 && matches!(self.opcode(2), 0x6f | 0x70 | 0x7b..=0x7f);
        self.select(if short { 3 } else { 0 });
    }
}
