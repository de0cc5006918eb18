//! The table of operators: each one's name, and the family that compiles it.

use super::Walk;
use super::decode::{Immediate, short_block_type};
use crate::jit::abi::Builtin;
use crate::jit::env::Kind;
use crate::jit::masm::Masm;
use crate::jit::ops::Width::{W32, W64};
use crate::jit::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Load, Store};
use wasmparser::{
    BlockType, BrTable, FrameKind, FrameStack, HeapType, Ieee32, Ieee64, MemArg, TryTable, ValType, VisitOperator,
    VisitSimdOperator,
};

impl<M: Masm> FrameStack for Walk<'_, M> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.frames.last().map(super::control::Frame::kind)
    }
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
    (one @tail_call $($_:tt)*) => {};
    (one @function_references $($_:tt)*) => {};
    (one @exceptions $($_:tt)*) => {};
    (one @$proposal:ident $visit:ident $(($($arg:ident: $ty:ty),*))?) => {
        fn $visit(&mut self $($(, $arg: $ty)*)?) {
            $($(_ = $arg;)*)?
            unreachable!(concat!(stringify!($visit), " of the proposal ", stringify!($proposal), " was not validated"))
        }
    };
}

/// What is compiled only where it can be reached, a line each: the opcode, the visit with its immediates, the family.
/// Makes the visits, and for those of one byte the matches by opcode, of the first pass and of the second.
macro_rules! operators {
    ($($opcode:literal $visit:ident($($arg:ident: $ty:ty),*) => $family:ident($($value:expr),*);)*) => {
        impl<'a, M: Masm> VisitOperator<'a> for Walk<'a, M> {
            type Output = ();

            $(
                fn $visit(&mut self, $($arg: $ty),*) {
                    if self.reachable {
                        self.$family($($value),*);
                    }
                }
            )*

            fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
                Some(self)
            }

            fn visit_block(&mut self, ty: BlockType) {
                self.open_block(FrameKind::Block, ty);
            }

            fn visit_loop(&mut self, ty: BlockType) {
                self.open_block(FrameKind::Loop, ty);
            }

            fn visit_if(&mut self, ty: BlockType) {
                self.open_block(FrameKind::If, ty);
            }

            fn visit_else(&mut self) {
                self.else_();
            }

            fn visit_end(&mut self) {
                self.end();
            }

            fn visit_try_table(&mut self, table: TryTable) {
                if self.reachable {
                    self.try_table(&table);
                } else {
                    self.open_dead(FrameKind::TryTable);
                }
            }

            fn visit_br_table(&mut self, targets: BrTable<'a>) {
                if self.reachable {
                    self.br_table(&targets);
                }
            }

            fn visit_f32_const(&mut self, value: Ieee32) {
                if self.reachable {
                    self.constant(Kind::F32, u64::from(value.bits()));
                }
            }

            fn visit_f64_const(&mut self, value: Ieee64) {
                if self.reachable {
                    self.constant(Kind::F64, value.bits());
                }
            }

            fn visit_ref_null(&mut self, _: HeapType) {
                if self.reachable {
                    self.constant(Kind::Ref, 0);
                }
            }

            fn visit_typed_select(&mut self, _: ValType) {
                if self.reachable {
                    self.typed_select();
                }
            }

            fn visit_typed_select_multi(&mut self, tys: Vec<ValType>) {
                unreachable!("select of {} values is not valid", tys.len())
            }

            wasmparser::for_each_visit_operator!(others);
        }

        /// Has the operator at `at` visited and moves on behind it, if it is one of one byte and its immediates are
        /// [short](Immediate::short). wasmparser's reader takes the others, of which not all are well-formed.
        #[inline(always)]
        pub(in crate::jit) fn visit_short<'a, V: VisitOperator<'a>>(
            visitor: &mut V,
            code: &[u8],
            at: &mut usize,
        ) -> Option<V::Output> {
            let mut next = *at + 1;
            let output = match u16::from(*code.get(*at)?) {
                $($opcode => {
                    $(let $arg = <$ty>::short(code, &mut next)?;)*
                    visitor.$visit($($arg),*)
                })*
                0x02 => visitor.visit_block(short_block_type(code, &mut next)?),
                0x03 => visitor.visit_loop(short_block_type(code, &mut next)?),
                0x04 => visitor.visit_if(short_block_type(code, &mut next)?),
                0x0b => visitor.visit_end(),
                _ => return None,
            };
            *at = next;
            Some(output)
        }

        impl<M: Masm> Walk<'_, M> {
            /// Compiles the operator at `at` if it is one of one byte and says where it ends; other operators go through
            /// the visits.
            #[inline(always)]
            pub(super) fn common(&mut self, code: &[u8], at: usize) -> Option<usize> {
                let mut next = at + 1;
                match u16::from(code[at]) {
                    $($opcode => {
                        $(let $arg = <$ty>::read(code, &mut next);)*
                        self.next = next;
                        self.$family($($value),*);
                    })*
                    opcode @ 0x02..=0x04 => {
                        let ty = short_block_type(code, &mut next)?;
                        self.open_block(BLOCKS[usize::from(opcode) - 2], ty);
                    }
                    0x05 => self.else_(),
                    0x0b => self.end(),
                    _ => return None,
                }
                Some(next)
            }

            /// As [`Walk::common`], where code cannot be reached: there is seldom more of it than the end.
            pub(super) fn unreached(&mut self, code: &[u8], at: usize) -> Option<usize> {
                match code[at] {
                    0x05 => self.else_(),
                    0x0b => self.end(),
                    _ => return None,
                }
                Some(at + 1)
            }
        }
    };
}

/// What the opcodes from 2 on open.
const BLOCKS: [FrameKind; 3] = [FrameKind::Block, FrameKind::Loop, FrameKind::If];

operators! {
    // mvp
    0x00 visit_unreachable() => trap();
    0x01 visit_nop() => nop();
    0x0c visit_br(relative_depth: u32) => br(relative_depth);
    0x0d visit_br_if(relative_depth: u32) => br_if(relative_depth);
    0x0f visit_return() => return_();
    0x10 visit_call(function_index: u32) => call(function_index);
    0x11 visit_call_indirect(type_index: u32, table_index: u32) => call_indirect(type_index, table_index);
    0x1a visit_drop() => drop();
    0x1b visit_select() => select();
    0x20 visit_local_get(local_index: u32) => local_get(local_index);
    0x21 visit_local_set(local_index: u32) => local_set(local_index);
    0x22 visit_local_tee(local_index: u32) => local_tee(local_index);
    0x23 visit_global_get(global_index: u32) => global_get(global_index);
    0x24 visit_global_set(global_index: u32) => global_set(global_index);
    0x28 visit_i32_load(memarg: MemArg) => load(Load::I32, memarg);
    0x29 visit_i64_load(memarg: MemArg) => load(Load::I64, memarg);
    0x2a visit_f32_load(memarg: MemArg) => load(Load::F32, memarg);
    0x2b visit_f64_load(memarg: MemArg) => load(Load::F64, memarg);
    0x2c visit_i32_load8_s(memarg: MemArg) => load(Load::S8(W32), memarg);
    0x2d visit_i32_load8_u(memarg: MemArg) => load(Load::U8(W32), memarg);
    0x2e visit_i32_load16_s(memarg: MemArg) => load(Load::S16(W32), memarg);
    0x2f visit_i32_load16_u(memarg: MemArg) => load(Load::U16(W32), memarg);
    0x30 visit_i64_load8_s(memarg: MemArg) => load(Load::S8(W64), memarg);
    0x31 visit_i64_load8_u(memarg: MemArg) => load(Load::U8(W64), memarg);
    0x32 visit_i64_load16_s(memarg: MemArg) => load(Load::S16(W64), memarg);
    0x33 visit_i64_load16_u(memarg: MemArg) => load(Load::U16(W64), memarg);
    0x34 visit_i64_load32_s(memarg: MemArg) => load(Load::S32, memarg);
    0x35 visit_i64_load32_u(memarg: MemArg) => load(Load::U32, memarg);
    0x36 visit_i32_store(memarg: MemArg) => store(Store::B32, memarg);
    0x37 visit_i64_store(memarg: MemArg) => store(Store::B64, memarg);
    0x38 visit_f32_store(memarg: MemArg) => store(Store::F32, memarg);
    0x39 visit_f64_store(memarg: MemArg) => store(Store::F64, memarg);
    0x3a visit_i32_store8(memarg: MemArg) => store(Store::B8, memarg);
    0x3b visit_i32_store16(memarg: MemArg) => store(Store::B16, memarg);
    0x3c visit_i64_store8(memarg: MemArg) => store(Store::B8, memarg);
    0x3d visit_i64_store16(memarg: MemArg) => store(Store::B16, memarg);
    0x3e visit_i64_store32(memarg: MemArg) => store(Store::B32, memarg);
    0x3f visit_memory_size(mem: u32) => memory_size(mem);
    0x40 visit_memory_grow(mem: u32) => memory_grow(mem);
    0x41 visit_i32_const(value: i32) => constant(Kind::I32, u64::from(value as u32));
    0x42 visit_i64_const(value: i64) => constant(Kind::I64, value as u64);
    0x45 visit_i32_eqz() => eqz(W32);
    0x46 visit_i32_eq() => compare(Cond::Eq, W32);
    0x47 visit_i32_ne() => compare(Cond::Ne, W32);
    0x48 visit_i32_lt_s() => compare(Cond::LtS, W32);
    0x49 visit_i32_lt_u() => compare(Cond::LtU, W32);
    0x4a visit_i32_gt_s() => compare(Cond::GtS, W32);
    0x4b visit_i32_gt_u() => compare(Cond::GtU, W32);
    0x4c visit_i32_le_s() => compare(Cond::LeS, W32);
    0x4d visit_i32_le_u() => compare(Cond::LeU, W32);
    0x4e visit_i32_ge_s() => compare(Cond::GeS, W32);
    0x4f visit_i32_ge_u() => compare(Cond::GeU, W32);
    0x50 visit_i64_eqz() => eqz(W64);
    0x51 visit_i64_eq() => compare(Cond::Eq, W64);
    0x52 visit_i64_ne() => compare(Cond::Ne, W64);
    0x53 visit_i64_lt_s() => compare(Cond::LtS, W64);
    0x54 visit_i64_lt_u() => compare(Cond::LtU, W64);
    0x55 visit_i64_gt_s() => compare(Cond::GtS, W64);
    0x56 visit_i64_gt_u() => compare(Cond::GtU, W64);
    0x57 visit_i64_le_s() => compare(Cond::LeS, W64);
    0x58 visit_i64_le_u() => compare(Cond::LeU, W64);
    0x59 visit_i64_ge_s() => compare(Cond::GeS, W64);
    0x5a visit_i64_ge_u() => compare(Cond::GeU, W64);
    0x5b visit_f32_eq() => compare_floats(Cond::FEq, W32);
    0x5c visit_f32_ne() => compare_floats(Cond::FNe, W32);
    0x5d visit_f32_lt() => compare_floats(Cond::FLt, W32);
    0x5e visit_f32_gt() => compare_floats(Cond::FGt, W32);
    0x5f visit_f32_le() => compare_floats(Cond::FLe, W32);
    0x60 visit_f32_ge() => compare_floats(Cond::FGe, W32);
    0x61 visit_f64_eq() => compare_floats(Cond::FEq, W64);
    0x62 visit_f64_ne() => compare_floats(Cond::FNe, W64);
    0x63 visit_f64_lt() => compare_floats(Cond::FLt, W64);
    0x64 visit_f64_gt() => compare_floats(Cond::FGt, W64);
    0x65 visit_f64_le() => compare_floats(Cond::FLe, W64);
    0x66 visit_f64_ge() => compare_floats(Cond::FGe, W64);
    0x67 visit_i32_clz() => int_unary(IntUnOp::Clz, W32);
    0x68 visit_i32_ctz() => int_unary(IntUnOp::Ctz, W32);
    0x69 visit_i32_popcnt() => int_unary(IntUnOp::Popcnt, W32);
    0x6a visit_i32_add() => int(IntOp::Add, W32);
    0x6b visit_i32_sub() => int(IntOp::Sub, W32);
    0x6c visit_i32_mul() => int(IntOp::Mul, W32);
    0x6d visit_i32_div_s() => int(IntOp::DivS, W32);
    0x6e visit_i32_div_u() => int(IntOp::DivU, W32);
    0x6f visit_i32_rem_s() => int(IntOp::RemS, W32);
    0x70 visit_i32_rem_u() => int(IntOp::RemU, W32);
    0x71 visit_i32_and() => int(IntOp::And, W32);
    0x72 visit_i32_or() => int(IntOp::Or, W32);
    0x73 visit_i32_xor() => int(IntOp::Xor, W32);
    0x74 visit_i32_shl() => int(IntOp::Shl, W32);
    0x75 visit_i32_shr_s() => int(IntOp::ShrS, W32);
    0x76 visit_i32_shr_u() => int(IntOp::ShrU, W32);
    0x77 visit_i32_rotl() => int(IntOp::Rotl, W32);
    0x78 visit_i32_rotr() => int(IntOp::Rotr, W32);
    0x79 visit_i64_clz() => int_unary(IntUnOp::Clz, W64);
    0x7a visit_i64_ctz() => int_unary(IntUnOp::Ctz, W64);
    0x7b visit_i64_popcnt() => int_unary(IntUnOp::Popcnt, W64);
    0x7c visit_i64_add() => int(IntOp::Add, W64);
    0x7d visit_i64_sub() => int(IntOp::Sub, W64);
    0x7e visit_i64_mul() => int(IntOp::Mul, W64);
    0x7f visit_i64_div_s() => int(IntOp::DivS, W64);
    0x80 visit_i64_div_u() => int(IntOp::DivU, W64);
    0x81 visit_i64_rem_s() => int(IntOp::RemS, W64);
    0x82 visit_i64_rem_u() => int(IntOp::RemU, W64);
    0x83 visit_i64_and() => int(IntOp::And, W64);
    0x84 visit_i64_or() => int(IntOp::Or, W64);
    0x85 visit_i64_xor() => int(IntOp::Xor, W64);
    0x86 visit_i64_shl() => int(IntOp::Shl, W64);
    0x87 visit_i64_shr_s() => int(IntOp::ShrS, W64);
    0x88 visit_i64_shr_u() => int(IntOp::ShrU, W64);
    0x89 visit_i64_rotl() => int(IntOp::Rotl, W64);
    0x8a visit_i64_rotr() => int(IntOp::Rotr, W64);
    0x8b visit_f32_abs() => float_unary(FloatUnOp::Abs, W32);
    0x8c visit_f32_neg() => float_unary(FloatUnOp::Neg, W32);
    0x8d visit_f32_ceil() => float_unary(FloatUnOp::Ceil, W32);
    0x8e visit_f32_floor() => float_unary(FloatUnOp::Floor, W32);
    0x8f visit_f32_trunc() => float_unary(FloatUnOp::Trunc, W32);
    0x90 visit_f32_nearest() => float_unary(FloatUnOp::Nearest, W32);
    0x91 visit_f32_sqrt() => float_unary(FloatUnOp::Sqrt, W32);
    0x92 visit_f32_add() => float(FloatOp::Add, W32);
    0x93 visit_f32_sub() => float(FloatOp::Sub, W32);
    0x94 visit_f32_mul() => float(FloatOp::Mul, W32);
    0x95 visit_f32_div() => float(FloatOp::Div, W32);
    0x96 visit_f32_min() => float(FloatOp::Min, W32);
    0x97 visit_f32_max() => float(FloatOp::Max, W32);
    0x98 visit_f32_copysign() => float(FloatOp::Copysign, W32);
    0x99 visit_f64_abs() => float_unary(FloatUnOp::Abs, W64);
    0x9a visit_f64_neg() => float_unary(FloatUnOp::Neg, W64);
    0x9b visit_f64_ceil() => float_unary(FloatUnOp::Ceil, W64);
    0x9c visit_f64_floor() => float_unary(FloatUnOp::Floor, W64);
    0x9d visit_f64_trunc() => float_unary(FloatUnOp::Trunc, W64);
    0x9e visit_f64_nearest() => float_unary(FloatUnOp::Nearest, W64);
    0x9f visit_f64_sqrt() => float_unary(FloatUnOp::Sqrt, W64);
    0xa0 visit_f64_add() => float(FloatOp::Add, W64);
    0xa1 visit_f64_sub() => float(FloatOp::Sub, W64);
    0xa2 visit_f64_mul() => float(FloatOp::Mul, W64);
    0xa3 visit_f64_div() => float(FloatOp::Div, W64);
    0xa4 visit_f64_min() => float(FloatOp::Min, W64);
    0xa5 visit_f64_max() => float(FloatOp::Max, W64);
    0xa6 visit_f64_copysign() => float(FloatOp::Copysign, W64);
    0xa7 visit_i32_wrap_i64() => convert(Convert::Wrap);
    0xa8 visit_i32_trunc_f32_s() => convert(Convert::TruncS(W32, W32));
    0xa9 visit_i32_trunc_f32_u() => convert(Convert::TruncU(W32, W32));
    0xaa visit_i32_trunc_f64_s() => convert(Convert::TruncS(W64, W32));
    0xab visit_i32_trunc_f64_u() => convert(Convert::TruncU(W64, W32));
    0xac visit_i64_extend_i32_s() => convert(Convert::ExtendS);
    0xad visit_i64_extend_i32_u() => extend_unsigned();
    0xae visit_i64_trunc_f32_s() => convert(Convert::TruncS(W32, W64));
    0xaf visit_i64_trunc_f32_u() => convert(Convert::TruncU(W32, W64));
    0xb0 visit_i64_trunc_f64_s() => convert(Convert::TruncS(W64, W64));
    0xb1 visit_i64_trunc_f64_u() => convert(Convert::TruncU(W64, W64));
    0xb2 visit_f32_convert_i32_s() => convert(Convert::FloatS(W32, W32));
    0xb3 visit_f32_convert_i32_u() => convert(Convert::FloatU(W32, W32));
    0xb4 visit_f32_convert_i64_s() => convert(Convert::FloatS(W64, W32));
    0xb5 visit_f32_convert_i64_u() => convert(Convert::FloatU(W64, W32));
    0xb6 visit_f32_demote_f64() => convert(Convert::Demote);
    0xb7 visit_f64_convert_i32_s() => convert(Convert::FloatS(W32, W64));
    0xb8 visit_f64_convert_i32_u() => convert(Convert::FloatU(W32, W64));
    0xb9 visit_f64_convert_i64_s() => convert(Convert::FloatS(W64, W64));
    0xba visit_f64_convert_i64_u() => convert(Convert::FloatU(W64, W64));
    0xbb visit_f64_promote_f32() => convert(Convert::Promote);
    0xbc visit_i32_reinterpret_f32() => convert(Convert::BitsOfFloat(W32));
    0xbd visit_i64_reinterpret_f64() => convert(Convert::BitsOfFloat(W64));
    0xbe visit_f32_reinterpret_i32() => convert(Convert::FloatOfBits(W32));
    0xbf visit_f64_reinterpret_i64() => convert(Convert::FloatOfBits(W64));

    // sign extension
    0xc0 visit_i32_extend8_s() => int_unary(IntUnOp::Extend8, W32);
    0xc1 visit_i32_extend16_s() => int_unary(IntUnOp::Extend16, W32);
    0xc2 visit_i64_extend8_s() => int_unary(IntUnOp::Extend8, W64);
    0xc3 visit_i64_extend16_s() => int_unary(IntUnOp::Extend16, W64);
    0xc4 visit_i64_extend32_s() => int_unary(IntUnOp::Extend32, W64);

    // saturating float to int
    0xfc00 visit_i32_trunc_sat_f32_s() => convert(Convert::SatS(W32, W32));
    0xfc01 visit_i32_trunc_sat_f32_u() => convert(Convert::SatU(W32, W32));
    0xfc02 visit_i32_trunc_sat_f64_s() => convert(Convert::SatS(W64, W32));
    0xfc03 visit_i32_trunc_sat_f64_u() => convert(Convert::SatU(W64, W32));
    0xfc04 visit_i64_trunc_sat_f32_s() => convert(Convert::SatS(W32, W64));
    0xfc05 visit_i64_trunc_sat_f32_u() => convert(Convert::SatU(W32, W64));
    0xfc06 visit_i64_trunc_sat_f64_s() => convert(Convert::SatS(W64, W64));
    0xfc07 visit_i64_trunc_sat_f64_u() => convert(Convert::SatU(W64, W64));

    // bulk memory
    0xfc08 visit_memory_init(data_index: u32, mem: u32) => runtime(Builtin::memory_init, &[mem, data_index], 3, None);
    0xfc09 visit_data_drop(data_index: u32) => runtime(Builtin::data_drop, &[data_index], 0, None);
    0xfc0a visit_memory_copy(dst_mem: u32, src_mem: u32) => runtime(Builtin::memory_copy, &[dst_mem, src_mem], 3, None);
    0xfc0b visit_memory_fill(mem: u32) => runtime(Builtin::memory_fill, &[mem], 3, None);
    0xfc0c visit_table_init(elem_index: u32, table: u32) => runtime(Builtin::table_init, &[table, elem_index], 3, None);
    0xfc0d visit_elem_drop(elem_index: u32) => runtime(Builtin::elem_drop, &[elem_index], 0, None);
    0xfc0e visit_table_copy(dst_table: u32, src_table: u32) => runtime(Builtin::table_copy, &[dst_table, src_table], 3, None);

    // reference types
    0xd1 visit_ref_is_null() => eqz(W64);
    0xd2 visit_ref_func(function_index: u32) => ref_func(function_index);
    0xfc11 visit_table_fill(table: u32) => runtime(Builtin::table_fill, &[table], 3, None);
    0x25 visit_table_get(table: u32) => runtime(Builtin::table_get, &[table], 1, Some(Kind::Ref));
    0x26 visit_table_set(table: u32) => runtime(Builtin::table_set, &[table], 2, None);
    0xfc0f visit_table_grow(table: u32) => table_grow(table);
    0xfc10 visit_table_size(table: u32) => table_size(table);

    // tail call
    0x12 visit_return_call(function_index: u32) => return_call(function_index);
    0x13 visit_return_call_indirect(type_index: u32, table_index: u32) => return_call_indirect(type_index, table_index);

    // exceptions
    0x08 visit_throw(tag_index: u32) => throw(tag_index);
    0x0a visit_throw_ref() => throw_ref();

    // function references
    0x14 visit_call_ref(type_index: u32) => call_ref(type_index);
    0x15 visit_return_call_ref(type_index: u32) => return_call_ref(type_index);
    0xd4 visit_ref_as_non_null() => ref_as_non_null();
    0xd5 visit_br_on_null(relative_depth: u32) => br_on_null(relative_depth);
    0xd6 visit_br_on_non_null(relative_depth: u32) => br_on_non_null(relative_depth);
}

impl<M: Masm> Walk<'_, M> {
    fn open_block(&mut self, kind: FrameKind, ty: BlockType) {
        match kind {
            _ if !self.reachable => self.open_dead(kind),
            FrameKind::Loop => self.loop_(ty),
            FrameKind::If => self.if_(ty),
            _ => self.block(ty),
        }
    }

    fn nop(&mut self) {}

    fn drop(&mut self) {
        self.state.drop_top();
    }

    fn local_get(&mut self, index: u32) {
        self.state.push_local(index);
    }

    /// Where the type takes one byte, the next operator's place is known.
    fn typed_select(&mut self) {
        let short = self.byte(self.next) == 1 && matches!(self.byte(self.next + 1), 0x6f | 0x70 | 0x7b..=0x7f);
        self.next = if short { self.next + 2 } else { self.code.len() };
        self.select();
    }
}
