//! Tables of operators by type.

use wasm_encoder::Instruction::{self, *};
use wasm_encoder::ValType;

/// Two operands of one type, and a result of it.
pub(super) fn binary(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32Add, I32Sub, I32Mul, I32And, I32Or, I32Xor],
        ValType::I64 => &[I64Add, I64Sub, I64Mul, I64And, I64Or, I64Xor],
        ValType::F32 => &[F32Add, F32Sub, F32Mul, F32Div, F32Min, F32Max],
        _ => &[F64Add, F64Sub, F64Mul, F64Div, F64Min, F64Max],
    }
}

/// An amount as the second operand.
pub(super) fn shift(wide: bool) -> &'static [Instruction<'static>] {
    if wide { &[I64Shl, I64ShrS, I64ShrU, I64Rotl, I64Rotr] } else { &[I32Shl, I32ShrS, I32ShrU, I32Rotl, I32Rotr] }
}

pub(super) fn division(wide: bool) -> &'static [Instruction<'static>] {
    if wide { &[I64DivS, I64DivU, I64RemS, I64RemU] } else { &[I32DivS, I32DivU, I32RemS, I32RemU] }
}

pub(super) fn unary(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32Clz, I32Ctz, I32Popcnt, I32Extend8S, I32Extend16S],
        ValType::I64 => &[I64Clz, I64Ctz, I64Popcnt, I64Extend8S, I64Extend16S, I64Extend32S],
        ValType::F32 => &[F32Abs, F32Neg, F32Ceil, F32Floor, F32Trunc, F32Nearest, F32Sqrt],
        _ => &[F64Abs, F64Neg, F64Ceil, F64Floor, F64Trunc, F64Nearest, F64Sqrt],
    }
}

/// Two operands of one type, and a truth.
pub(super) fn comparison(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32Eq, I32Ne, I32LtS, I32LtU, I32GtS, I32GtU, I32LeS, I32LeU, I32GeS, I32GeU],
        ValType::I64 => &[I64Eq, I64Ne, I64LtS, I64LtU, I64GtS, I64GtU, I64LeS, I64LeU, I64GeS, I64GeU],
        ValType::F32 => &[F32Eq, F32Ne, F32Lt, F32Gt, F32Le, F32Ge],
        _ => &[F64Eq, F64Ne, F64Lt, F64Gt, F64Le, F64Ge],
    }
}

/// Conversions to a type, with what they are from.
pub(super) fn conversion(to: ValType) -> &'static [(Instruction<'static>, ValType)] {
    use ValType::{F32, F64, I32, I64};
    match to {
        I32 => &[
            (I32ReinterpretF32, F32),
            (I32WrapI64, I64),
            (I32TruncSatF32S, F32),
            (I32TruncSatF32U, F32),
            (I32TruncSatF64S, F64),
            (I32TruncSatF64U, F64),
            (I64Eqz, I64),
            (I32WrapI64, I64),
        ],
        I64 => &[
            (I64ReinterpretF64, F64),
            (I64ExtendI32S, I32),
            (I64ExtendI32U, I32),
            (I64TruncSatF32S, F32),
            (I64TruncSatF32U, F32),
            (I64TruncSatF64S, F64),
            (I64TruncSatF64U, F64),
            (I64ExtendI32U, I32),
        ],
        F32 => &[
            (F32ReinterpretI32, I32),
            (F32ConvertI32S, I32),
            (F32ConvertI32U, I32),
            (F32ConvertI64S, I64),
            (F32ConvertI64U, I64),
            (F32DemoteF64, F64),
        ],
        _ => &[
            (F64ReinterpretI64, I64),
            (F64ConvertI32S, I32),
            (F64ConvertI32U, I32),
            (F64ConvertI64S, I64),
            (F64ConvertI64U, I64),
            (F64PromoteF32, F32),
        ],
    }
}

/// Conversions that trap where the value is out of range.
pub(super) fn truncation(wide: bool) -> &'static [(Instruction<'static>, ValType)] {
    use ValType::{F32, F64};
    if wide {
        &[(I64TruncF32S, F32), (I64TruncF32U, F32), (I64TruncF64S, F64), (I64TruncF64U, F64)]
    } else {
        &[(I32TruncF32S, F32), (I32TruncF32U, F32), (I32TruncF64S, F64), (I32TruncF64U, F64)]
    }
}
