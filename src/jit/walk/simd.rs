//! Vectors: the table of operators, and the families that compile them.
//!
//! Relaxed operators may differ between machines; here they do not. Each does what the specification's deterministic
//! profile says, which for most is what the strict operator of the same name does (products are rounded before
//! they are added), so that a program's results do not depend on where it runs.

use super::Walk;
use crate::jit::env::Kind;
use crate::jit::lanes::Half::{High, Low};
use crate::jit::lanes::Shape::{self, F32x4, F64x2, I8x16, I16x8, I32x4, I64x2};
use crate::jit::lanes::Sign::{S, U};
use crate::jit::lanes::{LaneOp, LaneShift, LaneTest, LaneUnOp, Sign};
use crate::jit::masm::{Masm, Src};
use crate::jit::ops::Width::{W32, W64};
use crate::jit::ops::{Cond, Load, Store};
use crate::jit::state::{Loc, Operand};
use wasmparser::{MemArg, V128, VisitSimdOperator};

/// What is compiled only where it can be reached, a line each: the visit with its immediates, the family.
macro_rules! operators {
    ($($visit:ident($($arg:ident: $ty:ty),*) => $family:ident($($value:expr),*);)*) => {
        impl<'a, M: Masm> VisitSimdOperator<'a> for Walk<'a, M> {
            $(
                fn $visit(&mut self, $($arg: $ty),*) {
                    if self.reachable {
                        self.$family($($value),*);
                    }
                }
            )*
        }
    };
}

operators! {
    visit_v128_load(memarg: MemArg) => load_vector(Load::V128, memarg);
    visit_v128_load8x8_s(memarg: MemArg) => load_vector(Load::Extend(I16x8, S), memarg);
    visit_v128_load8x8_u(memarg: MemArg) => load_vector(Load::Extend(I16x8, U), memarg);
    visit_v128_load16x4_s(memarg: MemArg) => load_vector(Load::Extend(I32x4, S), memarg);
    visit_v128_load16x4_u(memarg: MemArg) => load_vector(Load::Extend(I32x4, U), memarg);
    visit_v128_load32x2_s(memarg: MemArg) => load_vector(Load::Extend(I64x2, S), memarg);
    visit_v128_load32x2_u(memarg: MemArg) => load_vector(Load::Extend(I64x2, U), memarg);
    visit_v128_load8_splat(memarg: MemArg) => load_vector(Load::Splat(I8x16), memarg);
    visit_v128_load16_splat(memarg: MemArg) => load_vector(Load::Splat(I16x8), memarg);
    visit_v128_load32_splat(memarg: MemArg) => load_vector(Load::Splat(I32x4), memarg);
    visit_v128_load64_splat(memarg: MemArg) => load_vector(Load::Splat(I64x2), memarg);
    visit_v128_load32_zero(memarg: MemArg) => load_vector(Load::Zero(W32), memarg);
    visit_v128_load64_zero(memarg: MemArg) => load_vector(Load::Zero(W64), memarg);
    visit_v128_store(memarg: MemArg) => store(Store::V128, memarg);
    visit_v128_load8_lane(memarg: MemArg, lane: u8) => load_lane(I8x16, lane, memarg);
    visit_v128_load16_lane(memarg: MemArg, lane: u8) => load_lane(I16x8, lane, memarg);
    visit_v128_load32_lane(memarg: MemArg, lane: u8) => load_lane(I32x4, lane, memarg);
    visit_v128_load64_lane(memarg: MemArg, lane: u8) => load_lane(I64x2, lane, memarg);
    visit_v128_store8_lane(memarg: MemArg, lane: u8) => store_lane(I8x16, lane, memarg);
    visit_v128_store16_lane(memarg: MemArg, lane: u8) => store_lane(I16x8, lane, memarg);
    visit_v128_store32_lane(memarg: MemArg, lane: u8) => store_lane(I32x4, lane, memarg);
    visit_v128_store64_lane(memarg: MemArg, lane: u8) => store_lane(I64x2, lane, memarg);
    visit_v128_const(value: V128) => vector_constant(value.into());
    visit_i8x16_shuffle(lanes: [u8; 16]) => shuffle(lanes);
    visit_i8x16_extract_lane_s(lane: u8) => extract_lane(I8x16, S, lane);
    visit_i8x16_extract_lane_u(lane: u8) => extract_lane(I8x16, U, lane);
    visit_i8x16_replace_lane(lane: u8) => replace_lane(I8x16, lane);
    visit_i16x8_extract_lane_s(lane: u8) => extract_lane(I16x8, S, lane);
    visit_i16x8_extract_lane_u(lane: u8) => extract_lane(I16x8, U, lane);
    visit_i16x8_replace_lane(lane: u8) => replace_lane(I16x8, lane);
    visit_i32x4_extract_lane(lane: u8) => extract_lane(I32x4, U, lane);
    visit_i32x4_replace_lane(lane: u8) => replace_lane(I32x4, lane);
    visit_i64x2_extract_lane(lane: u8) => extract_lane(I64x2, U, lane);
    visit_i64x2_replace_lane(lane: u8) => replace_lane(I64x2, lane);
    visit_f32x4_extract_lane(lane: u8) => extract_lane(F32x4, U, lane);
    visit_f32x4_replace_lane(lane: u8) => replace_lane(F32x4, lane);
    visit_f64x2_extract_lane(lane: u8) => extract_lane(F64x2, U, lane);
    visit_f64x2_replace_lane(lane: u8) => replace_lane(F64x2, lane);
    visit_i8x16_swizzle() => lanes(I8x16, LaneOp::Swizzle);
    visit_i8x16_splat() => splat(I8x16);
    visit_i16x8_splat() => splat(I16x8);
    visit_i32x4_splat() => splat(I32x4);
    visit_i64x2_splat() => splat(I64x2);
    visit_f32x4_splat() => splat(F32x4);
    visit_f64x2_splat() => splat(F64x2);
    visit_i8x16_eq() => lanes(I8x16, LaneOp::Compare(Cond::Eq));
    visit_i8x16_ne() => lanes(I8x16, LaneOp::Compare(Cond::Ne));
    visit_i8x16_lt_s() => lanes(I8x16, LaneOp::Compare(Cond::LtS));
    visit_i8x16_lt_u() => lanes(I8x16, LaneOp::Compare(Cond::LtU));
    visit_i8x16_gt_s() => lanes(I8x16, LaneOp::Compare(Cond::GtS));
    visit_i8x16_gt_u() => lanes(I8x16, LaneOp::Compare(Cond::GtU));
    visit_i8x16_le_s() => lanes(I8x16, LaneOp::Compare(Cond::LeS));
    visit_i8x16_le_u() => lanes(I8x16, LaneOp::Compare(Cond::LeU));
    visit_i8x16_ge_s() => lanes(I8x16, LaneOp::Compare(Cond::GeS));
    visit_i8x16_ge_u() => lanes(I8x16, LaneOp::Compare(Cond::GeU));
    visit_i16x8_eq() => lanes(I16x8, LaneOp::Compare(Cond::Eq));
    visit_i16x8_ne() => lanes(I16x8, LaneOp::Compare(Cond::Ne));
    visit_i16x8_lt_s() => lanes(I16x8, LaneOp::Compare(Cond::LtS));
    visit_i16x8_lt_u() => lanes(I16x8, LaneOp::Compare(Cond::LtU));
    visit_i16x8_gt_s() => lanes(I16x8, LaneOp::Compare(Cond::GtS));
    visit_i16x8_gt_u() => lanes(I16x8, LaneOp::Compare(Cond::GtU));
    visit_i16x8_le_s() => lanes(I16x8, LaneOp::Compare(Cond::LeS));
    visit_i16x8_le_u() => lanes(I16x8, LaneOp::Compare(Cond::LeU));
    visit_i16x8_ge_s() => lanes(I16x8, LaneOp::Compare(Cond::GeS));
    visit_i16x8_ge_u() => lanes(I16x8, LaneOp::Compare(Cond::GeU));
    visit_i32x4_eq() => lanes(I32x4, LaneOp::Compare(Cond::Eq));
    visit_i32x4_ne() => lanes(I32x4, LaneOp::Compare(Cond::Ne));
    visit_i32x4_lt_s() => lanes(I32x4, LaneOp::Compare(Cond::LtS));
    visit_i32x4_lt_u() => lanes(I32x4, LaneOp::Compare(Cond::LtU));
    visit_i32x4_gt_s() => lanes(I32x4, LaneOp::Compare(Cond::GtS));
    visit_i32x4_gt_u() => lanes(I32x4, LaneOp::Compare(Cond::GtU));
    visit_i32x4_le_s() => lanes(I32x4, LaneOp::Compare(Cond::LeS));
    visit_i32x4_le_u() => lanes(I32x4, LaneOp::Compare(Cond::LeU));
    visit_i32x4_ge_s() => lanes(I32x4, LaneOp::Compare(Cond::GeS));
    visit_i32x4_ge_u() => lanes(I32x4, LaneOp::Compare(Cond::GeU));
    visit_i64x2_eq() => lanes(I64x2, LaneOp::Compare(Cond::Eq));
    visit_i64x2_ne() => lanes(I64x2, LaneOp::Compare(Cond::Ne));
    visit_i64x2_lt_s() => lanes(I64x2, LaneOp::Compare(Cond::LtS));
    visit_i64x2_gt_s() => lanes(I64x2, LaneOp::Compare(Cond::GtS));
    visit_i64x2_le_s() => lanes(I64x2, LaneOp::Compare(Cond::LeS));
    visit_i64x2_ge_s() => lanes(I64x2, LaneOp::Compare(Cond::GeS));
    visit_f32x4_eq() => lanes(F32x4, LaneOp::Compare(Cond::FEq));
    visit_f32x4_ne() => lanes(F32x4, LaneOp::Compare(Cond::FNe));
    visit_f32x4_lt() => lanes(F32x4, LaneOp::Compare(Cond::FLt));
    visit_f32x4_gt() => lanes(F32x4, LaneOp::Compare(Cond::FGt));
    visit_f32x4_le() => lanes(F32x4, LaneOp::Compare(Cond::FLe));
    visit_f32x4_ge() => lanes(F32x4, LaneOp::Compare(Cond::FGe));
    visit_f64x2_eq() => lanes(F64x2, LaneOp::Compare(Cond::FEq));
    visit_f64x2_ne() => lanes(F64x2, LaneOp::Compare(Cond::FNe));
    visit_f64x2_lt() => lanes(F64x2, LaneOp::Compare(Cond::FLt));
    visit_f64x2_gt() => lanes(F64x2, LaneOp::Compare(Cond::FGt));
    visit_f64x2_le() => lanes(F64x2, LaneOp::Compare(Cond::FLe));
    visit_f64x2_ge() => lanes(F64x2, LaneOp::Compare(Cond::FGe));
    visit_v128_not() => lanes_unary(I8x16, LaneUnOp::Not);
    visit_v128_and() => lanes(I8x16, LaneOp::And);
    visit_v128_andnot() => lanes(I8x16, LaneOp::AndNot);
    visit_v128_or() => lanes(I8x16, LaneOp::Or);
    visit_v128_xor() => lanes(I8x16, LaneOp::Xor);
    visit_v128_bitselect() => bitselect();
    visit_v128_any_true() => lanes_test(I8x16, LaneTest::AnyTrue);
    visit_i8x16_abs() => lanes_unary(I8x16, LaneUnOp::Abs);
    visit_i8x16_neg() => lanes_unary(I8x16, LaneUnOp::Neg);
    visit_i8x16_popcnt() => lanes_unary(I8x16, LaneUnOp::Popcnt);
    visit_i8x16_all_true() => lanes_test(I8x16, LaneTest::AllTrue);
    visit_i8x16_bitmask() => bitmask(I8x16);
    visit_i8x16_narrow_i16x8_s() => lanes(I8x16, LaneOp::Narrow(S));
    visit_i8x16_narrow_i16x8_u() => lanes(I8x16, LaneOp::Narrow(U));
    visit_i8x16_shl() => lanes_shift(I8x16, LaneShift::Shl);
    visit_i8x16_shr_s() => lanes_shift(I8x16, LaneShift::Shr(S));
    visit_i8x16_shr_u() => lanes_shift(I8x16, LaneShift::Shr(U));
    visit_i8x16_add() => lanes(I8x16, LaneOp::Add);
    visit_i8x16_add_sat_s() => lanes(I8x16, LaneOp::AddSat(S));
    visit_i8x16_add_sat_u() => lanes(I8x16, LaneOp::AddSat(U));
    visit_i8x16_sub() => lanes(I8x16, LaneOp::Sub);
    visit_i8x16_sub_sat_s() => lanes(I8x16, LaneOp::SubSat(S));
    visit_i8x16_sub_sat_u() => lanes(I8x16, LaneOp::SubSat(U));
    visit_i8x16_min_s() => lanes(I8x16, LaneOp::LeastOf(S));
    visit_i8x16_min_u() => lanes(I8x16, LaneOp::LeastOf(U));
    visit_i8x16_max_s() => lanes(I8x16, LaneOp::GreatestOf(S));
    visit_i8x16_max_u() => lanes(I8x16, LaneOp::GreatestOf(U));
    visit_i8x16_avgr_u() => lanes(I8x16, LaneOp::Average);
    visit_i16x8_extadd_pairwise_i8x16_s() => lanes_unary(I16x8, LaneUnOp::ExtAddPairwise(S));
    visit_i16x8_extadd_pairwise_i8x16_u() => lanes_unary(I16x8, LaneUnOp::ExtAddPairwise(U));
    visit_i16x8_abs() => lanes_unary(I16x8, LaneUnOp::Abs);
    visit_i16x8_neg() => lanes_unary(I16x8, LaneUnOp::Neg);
    visit_i16x8_q15mulr_sat_s() => lanes(I16x8, LaneOp::Q15Mul);
    visit_i16x8_all_true() => lanes_test(I16x8, LaneTest::AllTrue);
    visit_i16x8_bitmask() => bitmask(I16x8);
    visit_i16x8_narrow_i32x4_s() => lanes(I16x8, LaneOp::Narrow(S));
    visit_i16x8_narrow_i32x4_u() => lanes(I16x8, LaneOp::Narrow(U));
    visit_i16x8_extend_low_i8x16_s() => lanes_unary(I16x8, LaneUnOp::Extend(Low, S));
    visit_i16x8_extend_high_i8x16_s() => lanes_unary(I16x8, LaneUnOp::Extend(High, S));
    visit_i16x8_extend_low_i8x16_u() => lanes_unary(I16x8, LaneUnOp::Extend(Low, U));
    visit_i16x8_extend_high_i8x16_u() => lanes_unary(I16x8, LaneUnOp::Extend(High, U));
    visit_i16x8_shl() => lanes_shift(I16x8, LaneShift::Shl);
    visit_i16x8_shr_s() => lanes_shift(I16x8, LaneShift::Shr(S));
    visit_i16x8_shr_u() => lanes_shift(I16x8, LaneShift::Shr(U));
    visit_i16x8_add() => lanes(I16x8, LaneOp::Add);
    visit_i16x8_add_sat_s() => lanes(I16x8, LaneOp::AddSat(S));
    visit_i16x8_add_sat_u() => lanes(I16x8, LaneOp::AddSat(U));
    visit_i16x8_sub() => lanes(I16x8, LaneOp::Sub);
    visit_i16x8_sub_sat_s() => lanes(I16x8, LaneOp::SubSat(S));
    visit_i16x8_sub_sat_u() => lanes(I16x8, LaneOp::SubSat(U));
    visit_i16x8_mul() => lanes(I16x8, LaneOp::Mul);
    visit_i16x8_min_s() => lanes(I16x8, LaneOp::LeastOf(S));
    visit_i16x8_min_u() => lanes(I16x8, LaneOp::LeastOf(U));
    visit_i16x8_max_s() => lanes(I16x8, LaneOp::GreatestOf(S));
    visit_i16x8_max_u() => lanes(I16x8, LaneOp::GreatestOf(U));
    visit_i16x8_avgr_u() => lanes(I16x8, LaneOp::Average);
    visit_i16x8_extmul_low_i8x16_s() => lanes(I16x8, LaneOp::ExtMul(Low, S));
    visit_i16x8_extmul_high_i8x16_s() => lanes(I16x8, LaneOp::ExtMul(High, S));
    visit_i16x8_extmul_low_i8x16_u() => lanes(I16x8, LaneOp::ExtMul(Low, U));
    visit_i16x8_extmul_high_i8x16_u() => lanes(I16x8, LaneOp::ExtMul(High, U));
    visit_i32x4_extadd_pairwise_i16x8_s() => lanes_unary(I32x4, LaneUnOp::ExtAddPairwise(S));
    visit_i32x4_extadd_pairwise_i16x8_u() => lanes_unary(I32x4, LaneUnOp::ExtAddPairwise(U));
    visit_i32x4_abs() => lanes_unary(I32x4, LaneUnOp::Abs);
    visit_i32x4_neg() => lanes_unary(I32x4, LaneUnOp::Neg);
    visit_i32x4_all_true() => lanes_test(I32x4, LaneTest::AllTrue);
    visit_i32x4_bitmask() => bitmask(I32x4);
    visit_i32x4_extend_low_i16x8_s() => lanes_unary(I32x4, LaneUnOp::Extend(Low, S));
    visit_i32x4_extend_high_i16x8_s() => lanes_unary(I32x4, LaneUnOp::Extend(High, S));
    visit_i32x4_extend_low_i16x8_u() => lanes_unary(I32x4, LaneUnOp::Extend(Low, U));
    visit_i32x4_extend_high_i16x8_u() => lanes_unary(I32x4, LaneUnOp::Extend(High, U));
    visit_i32x4_shl() => lanes_shift(I32x4, LaneShift::Shl);
    visit_i32x4_shr_s() => lanes_shift(I32x4, LaneShift::Shr(S));
    visit_i32x4_shr_u() => lanes_shift(I32x4, LaneShift::Shr(U));
    visit_i32x4_add() => lanes(I32x4, LaneOp::Add);
    visit_i32x4_sub() => lanes(I32x4, LaneOp::Sub);
    visit_i32x4_mul() => lanes(I32x4, LaneOp::Mul);
    visit_i32x4_min_s() => lanes(I32x4, LaneOp::LeastOf(S));
    visit_i32x4_min_u() => lanes(I32x4, LaneOp::LeastOf(U));
    visit_i32x4_max_s() => lanes(I32x4, LaneOp::GreatestOf(S));
    visit_i32x4_max_u() => lanes(I32x4, LaneOp::GreatestOf(U));
    visit_i32x4_dot_i16x8_s() => lanes(I32x4, LaneOp::Dot);
    visit_i32x4_extmul_low_i16x8_s() => lanes(I32x4, LaneOp::ExtMul(Low, S));
    visit_i32x4_extmul_high_i16x8_s() => lanes(I32x4, LaneOp::ExtMul(High, S));
    visit_i32x4_extmul_low_i16x8_u() => lanes(I32x4, LaneOp::ExtMul(Low, U));
    visit_i32x4_extmul_high_i16x8_u() => lanes(I32x4, LaneOp::ExtMul(High, U));
    visit_i64x2_abs() => lanes_unary(I64x2, LaneUnOp::Abs);
    visit_i64x2_neg() => lanes_unary(I64x2, LaneUnOp::Neg);
    visit_i64x2_all_true() => lanes_test(I64x2, LaneTest::AllTrue);
    visit_i64x2_bitmask() => bitmask(I64x2);
    visit_i64x2_extend_low_i32x4_s() => lanes_unary(I64x2, LaneUnOp::Extend(Low, S));
    visit_i64x2_extend_high_i32x4_s() => lanes_unary(I64x2, LaneUnOp::Extend(High, S));
    visit_i64x2_extend_low_i32x4_u() => lanes_unary(I64x2, LaneUnOp::Extend(Low, U));
    visit_i64x2_extend_high_i32x4_u() => lanes_unary(I64x2, LaneUnOp::Extend(High, U));
    visit_i64x2_shl() => lanes_shift(I64x2, LaneShift::Shl);
    visit_i64x2_shr_s() => lanes_shift(I64x2, LaneShift::Shr(S));
    visit_i64x2_shr_u() => lanes_shift(I64x2, LaneShift::Shr(U));
    visit_i64x2_add() => lanes(I64x2, LaneOp::Add);
    visit_i64x2_sub() => lanes(I64x2, LaneOp::Sub);
    visit_i64x2_mul() => lanes(I64x2, LaneOp::Mul);
    visit_i64x2_extmul_low_i32x4_s() => lanes(I64x2, LaneOp::ExtMul(Low, S));
    visit_i64x2_extmul_high_i32x4_s() => lanes(I64x2, LaneOp::ExtMul(High, S));
    visit_i64x2_extmul_low_i32x4_u() => lanes(I64x2, LaneOp::ExtMul(Low, U));
    visit_i64x2_extmul_high_i32x4_u() => lanes(I64x2, LaneOp::ExtMul(High, U));
    visit_f32x4_ceil() => lanes_unary(F32x4, LaneUnOp::Ceil);
    visit_f32x4_floor() => lanes_unary(F32x4, LaneUnOp::Floor);
    visit_f32x4_trunc() => lanes_unary(F32x4, LaneUnOp::Trunc);
    visit_f32x4_nearest() => lanes_unary(F32x4, LaneUnOp::Nearest);
    visit_f32x4_abs() => lanes_unary(F32x4, LaneUnOp::Abs);
    visit_f32x4_neg() => lanes_unary(F32x4, LaneUnOp::Neg);
    visit_f32x4_sqrt() => lanes_unary(F32x4, LaneUnOp::Sqrt);
    visit_f32x4_add() => lanes(F32x4, LaneOp::Add);
    visit_f32x4_sub() => lanes(F32x4, LaneOp::Sub);
    visit_f32x4_mul() => lanes(F32x4, LaneOp::Mul);
    visit_f32x4_div() => lanes(F32x4, LaneOp::Div);
    visit_f32x4_min() => lanes(F32x4, LaneOp::Min);
    visit_f32x4_max() => lanes(F32x4, LaneOp::Max);
    visit_f32x4_pmin() => lanes(F32x4, LaneOp::PseudoMin);
    visit_f32x4_pmax() => lanes(F32x4, LaneOp::PseudoMax);
    visit_f64x2_ceil() => lanes_unary(F64x2, LaneUnOp::Ceil);
    visit_f64x2_floor() => lanes_unary(F64x2, LaneUnOp::Floor);
    visit_f64x2_trunc() => lanes_unary(F64x2, LaneUnOp::Trunc);
    visit_f64x2_nearest() => lanes_unary(F64x2, LaneUnOp::Nearest);
    visit_f64x2_abs() => lanes_unary(F64x2, LaneUnOp::Abs);
    visit_f64x2_neg() => lanes_unary(F64x2, LaneUnOp::Neg);
    visit_f64x2_sqrt() => lanes_unary(F64x2, LaneUnOp::Sqrt);
    visit_f64x2_add() => lanes(F64x2, LaneOp::Add);
    visit_f64x2_sub() => lanes(F64x2, LaneOp::Sub);
    visit_f64x2_mul() => lanes(F64x2, LaneOp::Mul);
    visit_f64x2_div() => lanes(F64x2, LaneOp::Div);
    visit_f64x2_min() => lanes(F64x2, LaneOp::Min);
    visit_f64x2_max() => lanes(F64x2, LaneOp::Max);
    visit_f64x2_pmin() => lanes(F64x2, LaneOp::PseudoMin);
    visit_f64x2_pmax() => lanes(F64x2, LaneOp::PseudoMax);
    visit_i32x4_trunc_sat_f32x4_s() => lanes_unary(I32x4, LaneUnOp::TruncSat(S));
    visit_i32x4_trunc_sat_f32x4_u() => lanes_unary(I32x4, LaneUnOp::TruncSat(U));
    visit_f32x4_convert_i32x4_s() => lanes_unary(F32x4, LaneUnOp::Convert(S));
    visit_f32x4_convert_i32x4_u() => lanes_unary(F32x4, LaneUnOp::Convert(U));
    visit_i32x4_trunc_sat_f64x2_s_zero() => lanes_unary(I32x4, LaneUnOp::TruncSatZero(S));
    visit_i32x4_trunc_sat_f64x2_u_zero() => lanes_unary(I32x4, LaneUnOp::TruncSatZero(U));
    visit_f64x2_convert_low_i32x4_s() => lanes_unary(F64x2, LaneUnOp::Convert(S));
    visit_f64x2_convert_low_i32x4_u() => lanes_unary(F64x2, LaneUnOp::Convert(U));
    visit_f32x4_demote_f64x2_zero() => lanes_unary(F32x4, LaneUnOp::Demote);
    visit_f64x2_promote_low_f32x4() => lanes_unary(F64x2, LaneUnOp::Promote);

    // relaxed
    visit_i8x16_relaxed_swizzle() => relaxed_lanes(I8x16, LaneOp::Swizzle);
    visit_i32x4_relaxed_trunc_f32x4_s() => relaxed_lanes_unary(I32x4, LaneUnOp::TruncSat(S));
    visit_i32x4_relaxed_trunc_f32x4_u() => relaxed_lanes_unary(I32x4, LaneUnOp::TruncSat(U));
    visit_i32x4_relaxed_trunc_f64x2_s_zero() => relaxed_lanes_unary(I32x4, LaneUnOp::TruncSatZero(S));
    visit_i32x4_relaxed_trunc_f64x2_u_zero() => relaxed_lanes_unary(I32x4, LaneUnOp::TruncSatZero(U));
    visit_f32x4_relaxed_madd() => multiply_add(F32x4, false);
    visit_f32x4_relaxed_nmadd() => multiply_add(F32x4, true);
    visit_f64x2_relaxed_madd() => multiply_add(F64x2, false);
    visit_f64x2_relaxed_nmadd() => multiply_add(F64x2, true);
    visit_i8x16_relaxed_laneselect() => laneselect(I8x16);
    visit_i16x8_relaxed_laneselect() => laneselect(I16x8);
    visit_i32x4_relaxed_laneselect() => laneselect(I32x4);
    visit_i64x2_relaxed_laneselect() => laneselect(I64x2);
    visit_f32x4_relaxed_min() => relaxed_lanes(F32x4, LaneOp::Min);
    visit_f32x4_relaxed_max() => relaxed_lanes(F32x4, LaneOp::Max);
    visit_f64x2_relaxed_min() => relaxed_lanes(F64x2, LaneOp::Min);
    visit_f64x2_relaxed_max() => relaxed_lanes(F64x2, LaneOp::Max);
    visit_i16x8_relaxed_q15mulr_s() => relaxed_lanes(I16x8, LaneOp::Q15Mul);
    visit_i16x8_relaxed_dot_i8x16_i7x16_s() => relaxed_lanes(I16x8, LaneOp::Dot);
    visit_i32x4_relaxed_dot_i8x16_i7x16_add_s() => dot_add();
}

impl<M: Masm> Walk<'_, M> {
    fn pop_vector(&mut self) -> Operand {
        let mut operand = self.state.pop();
        self.state.in_reg(&mut operand);
        operand
    }

    fn lanes(&mut self, shape: Shape, op: LaneOp) {
        let (mut rhs, mut lhs) = (self.state.pop(), self.state.pop());
        if op.commutes() && !matches!(lhs.src(), Src::Reg(_)) {
            std::mem::swap(&mut lhs, &mut rhs);
        }
        if matches!(rhs.src(), Src::Imm(0)) || !self.state.m.takes(op, shape, rhs.src()) {
            self.state.in_reg(&mut rhs);
        }
        let l = self.state.in_reg(&mut lhs);
        let dst = self.result(Kind::V128, [lhs.temp(), rhs.temp()]);
        self.state.m.lanes(op, shape, dst, l, rhs.src());
        self.state.push_reg(Kind::V128, dst);
    }

    fn lanes_unary(&mut self, shape: Shape, op: LaneUnOp) {
        let src = self.pop_vector();
        let dst = self.result(Kind::V128, [src.temp()]);
        self.state.m.lanes_unary(op, shape, dst, src.reg());
        self.state.push_reg(Kind::V128, dst);
    }

    /// As [`Walk::lanes`], with the machine's choice where it has one.
    fn relaxed_lanes(&mut self, shape: Shape, op: LaneOp) {
        self.lanes(shape, if self.env.deterministic { op } else { op.relaxed() });
    }

    fn relaxed_lanes_unary(&mut self, shape: Shape, op: LaneUnOp) {
        self.lanes_unary(shape, if self.env.deterministic { op } else { op.relaxed() });
    }

    fn lanes_shift(&mut self, shape: Shape, op: LaneShift) {
        let mut by = self.state.pop();
        if !matches!(by.src(), Src::Imm(_)) {
            self.state.in_reg(&mut by);
        }
        let src = self.pop_vector();
        let dst = self.result(Kind::V128, [src.temp(), by.temp()]);
        self.state.m.lanes_shift(op, shape, dst, src.reg(), by.src());
        self.state.push_reg(Kind::V128, dst);
    }

    fn lanes_test(&mut self, shape: Shape, test: LaneTest) {
        let src = self.pop_vector();
        let cond = self.state.m.lanes_test(test, shape, src.reg());
        self.state.release(src);
        self.push_cond(cond);
    }

    fn bitmask(&mut self, shape: Shape) {
        let src = self.pop_vector();
        let dst = self.result(Kind::I32, [src.temp()]);
        self.state.m.bitmask(shape, dst, src.reg());
        self.state.push_reg(Kind::I32, dst);
    }

    fn vector_constant(&mut self, bits: u128) {
        let number = self.state.m.vector_const(bits);
        self.state.push(Kind::V128, Loc::Const(number));
    }

    fn splat(&mut self, shape: Shape) {
        let mut src = self.state.pop();
        if let Src::Imm(bits) = src.src() {
            return self.vector_constant(shape.splat(bits));
        }
        let s = self.state.in_reg(&mut src);
        let dst = self.result(Kind::V128, [src.temp()]);
        self.state.m.splat(shape, dst, s);
        self.state.push_reg(Kind::V128, dst);
    }

    fn extract_lane(&mut self, shape: Shape, sign: Sign, lane: u8) {
        self.next += 1;
        let src = self.pop_vector();
        let dst = self.result(shape.lane(), [src.temp()]);
        self.state.m.extract_lane(shape, sign, lane, dst, src.reg());
        self.state.push_reg(shape.lane(), dst);
    }

    fn replace_lane(&mut self, shape: Shape, lane: u8) {
        self.next += 1;
        let mut src = self.state.pop();
        let s = self.state.in_reg(&mut src);
        let vector = self.pop_vector();
        let dst = self.result(Kind::V128, [vector.temp(), src.temp()]);
        self.state.m.replace_lane(shape, lane, dst, vector.reg(), s);
        self.state.push_reg(Kind::V128, dst);
    }

    fn shuffle(&mut self, lanes: [u8; 16]) {
        self.next += lanes.len();
        let (rhs, lhs) = (self.pop_vector(), self.pop_vector());
        let (l, r) = (lhs.reg(), rhs.reg());
        let dst = self.result(Kind::V128, [lhs.temp(), rhs.temp()]);
        self.state.m.shuffle(lanes, dst, l, r);
        self.state.push_reg(Kind::V128, dst);
    }

    fn bitselect(&mut self) {
        let (mask, no, yes) = (self.pop_vector(), self.pop_vector(), self.pop_vector());
        let dst = self.result(Kind::V128, [yes.temp(), no.temp(), mask.temp()]);
        self.state.m.bitselect(dst, yes.reg(), no.reg(), mask.reg());
        self.state.push_reg(Kind::V128, dst);
    }

    /// Lanes by a mask whose lanes are all ones or zeros.
    fn laneselect(&mut self, shape: Shape) {
        if self.env.deterministic || !self.state.m.blends(shape) {
            return self.bitselect();
        }
        let (mask, no, yes) = (self.pop_vector(), self.pop_vector(), self.pop_vector());
        let dst = self.result(Kind::V128, [yes.temp(), no.temp(), mask.temp()]);
        self.state.m.blend(shape, dst, yes.reg(), no.reg(), mask.reg());
        self.state.push_reg(Kind::V128, dst);
    }

    /// The product of the lower two, added to the third or taken from it; rounded once where the machine can.
    fn multiply_add(&mut self, shape: Shape, negated: bool) {
        let (addend, rhs, lhs) = (self.pop_vector(), self.pop_vector(), self.pop_vector());
        if !self.env.deterministic && self.state.m.fuses() {
            let dst = self.result(Kind::V128, [addend.temp(), lhs.temp(), rhs.temp()]);
            self.state.m.fused_multiply_add(shape, negated, dst, lhs.reg(), rhs.reg(), addend.reg());
            return self.state.push_reg(Kind::V128, dst);
        }
        let product = Operand::temporary(Kind::V128, self.state.alloc(true));
        self.state.m.lanes(LaneOp::Mul, shape, product.reg(), lhs.reg(), rhs.src());
        let dst = self.result(Kind::V128, [product.temp(), lhs.temp(), rhs.temp(), addend.temp()]);
        let op = if negated { LaneOp::Sub } else { LaneOp::Add };
        self.state.m.lanes(op, shape, dst, addend.reg(), product.src());
        self.state.push_reg(Kind::V128, dst);
    }

    /// Sums of four neighbouring products of bytes, added to the third.
    fn dot_add(&mut self) {
        let (addend, rhs, lhs) = (self.pop_vector(), self.pop_vector(), self.pop_vector());
        let sums = Operand::temporary(Kind::V128, self.state.alloc(true));
        let dot = if self.env.deterministic { LaneOp::Dot } else { LaneOp::RelaxedDot };
        self.state.m.lanes(dot, I16x8, sums.reg(), lhs.reg(), rhs.src());
        self.state.m.lanes_unary(LaneUnOp::ExtAddPairwise(S), I32x4, sums.reg(), sums.reg());
        let dst = self.result(Kind::V128, [sums.temp(), lhs.temp(), rhs.temp(), addend.temp()]);
        self.state.m.lanes(LaneOp::Add, I32x4, dst, sums.reg(), addend.src());
        self.state.push_reg(Kind::V128, dst);
    }

    fn load_vector(&mut self, op: Load, memarg: MemArg) {
        self.next += self.memarg_len();
        self.load(op, memarg);
    }

    /// How many bytes the memory argument behind the opcode takes.
    fn memarg_len(&self) -> usize {
        const WITH_MEMORY: u8 = 0x40;
        let flags = self.leb_len(self.next);
        let memory = if self.byte(self.next) & WITH_MEMORY != 0 { self.leb_len(self.next + flags) } else { 0 };
        flags + memory + self.leb_len(self.next + flags + memory)
    }

    fn load_lane(&mut self, shape: Shape, lane: u8, memarg: MemArg) {
        let vector = self.pop_vector();
        let Some(place) = self.place_in_memory(memarg, u64::from(shape.bits() / 8)) else {
            self.state.release(vector);
            return self.never(Kind::V128);
        };
        self.next += self.memarg_len() + 1;
        let [a, b] = place.temps;
        let dst = self.result(Kind::V128, [vector.temp(), a, b]);
        self.state.m.load_lane(shape, lane, dst, vector.reg(), place.address);
        self.state.push_reg(Kind::V128, dst);
    }

    fn store_lane(&mut self, shape: Shape, lane: u8, memarg: MemArg) {
        let vector = self.pop_vector();
        if let Some(place) = self.place_to_store(memarg, u64::from(shape.bits() / 8)) {
            self.state.m.store_lane(shape, lane, place.address, vector.reg());
            self.state.free_temps(place.temps);
        }
        self.state.release(vector);
    }
}
