//! Operators on vectors. Those on floats make their NaNs the one NaN at once, since other operators see all bits.

use super::body::Body;
use arbitrary::Result;
use wasm_encoder::{Instruction as I, MemArg, ValType};

const V128: ValType = ValType::V128;
const I32: ValType = ValType::I32;

/// Of integers, of two vectors.
const BINARY: &[I<'static>] = &[
    I::V128And,
    I::V128Or,
    I::V128Xor,
    I::V128AndNot,
    I::I8x16Add,
    I::I8x16AddSatS,
    I::I8x16SubSatU,
    I::I8x16MinS,
    I::I8x16MaxU,
    I::I8x16AvgrU,
    I::I8x16Swizzle,
    I::I8x16NarrowI16x8S,
    I::I8x16NarrowI16x8U,
    I::I8x16Eq,
    I::I8x16LtU,
    I::I8x16GtS,
    I::I16x8Add,
    I::I16x8Mul,
    I::I16x8SubSatS,
    I::I16x8MinU,
    I::I16x8Q15MulrSatS,
    I::I16x8NarrowI32x4S,
    I::I16x8NarrowI32x4U,
    I::I16x8ExtMulLowI8x16S,
    I::I16x8ExtMulHighI8x16U,
    I::I16x8GeU,
    I::I32x4Add,
    I::I32x4Sub,
    I::I32x4Mul,
    I::I32x4MaxS,
    I::I32x4MinU,
    I::I32x4DotI16x8S,
    I::I32x4ExtMulLowI16x8U,
    I::I32x4LeU,
    I::I32x4GtS,
    I::I64x2Add,
    I::I64x2Sub,
    I::I64x2Mul,
    I::I64x2ExtMulHighI32x4S,
    I::I64x2ExtMulLowI32x4U,
    I::I64x2LtS,
    I::I64x2Ne,
];

/// Of one vector.
const UNARY: &[I<'static>] = &[
    I::V128Not,
    I::I8x16Abs,
    I::I8x16Neg,
    I::I8x16Popcnt,
    I::I16x8Abs,
    I::I16x8Neg,
    I::I16x8ExtAddPairwiseI8x16S,
    I::I16x8ExtendLowI8x16S,
    I::I16x8ExtendHighI8x16U,
    I::I32x4Abs,
    I::I32x4Neg,
    I::I32x4ExtAddPairwiseI16x8U,
    I::I32x4ExtendHighI16x8S,
    I::I32x4TruncSatF32x4S,
    I::I32x4TruncSatF32x4U,
    I::I32x4TruncSatF64x2SZero,
    I::I32x4TruncSatF64x2UZero,
    I::I64x2Abs,
    I::I64x2Neg,
    I::I64x2ExtendLowI32x4U,
    I::F32x4ConvertI32x4S,
    I::F32x4ConvertI32x4U,
    I::F64x2ConvertLowI32x4S,
    I::F64x2ConvertLowI32x4U,
    I::F32x4Abs,
    I::F64x2Neg,
];

/// By an amount.
const SHIFTS: &[I<'static>] = &[
    I::I8x16Shl,
    I::I8x16ShrS,
    I::I8x16ShrU,
    I::I16x8Shl,
    I::I16x8ShrS,
    I::I32x4Shl,
    I::I32x4ShrU,
    I::I64x2Shl,
    I::I64x2ShrS,
    I::I64x2ShrU,
];

/// Of two vectors of floats, with whether these are wide.
const FLOATS: &[(I<'static>, bool)] = &[
    (I::F32x4Add, false),
    (I::F32x4Sub, false),
    (I::F32x4Mul, false),
    (I::F32x4Div, false),
    (I::F32x4Min, false),
    (I::F32x4Max, false),
    (I::F32x4PMin, false),
    (I::F32x4PMax, false),
    (I::F64x2Add, true),
    (I::F64x2Sub, true),
    (I::F64x2Mul, true),
    (I::F64x2Div, true),
    (I::F64x2Min, true),
    (I::F64x2Max, true),
    (I::F64x2PMin, true),
    (I::F64x2PMax, true),
];

/// Of one vector of floats, with whether the results are wide.
const ROUNDED: &[(I<'static>, bool)] = &[
    (I::F32x4Sqrt, false),
    (I::F32x4Ceil, false),
    (I::F32x4Floor, false),
    (I::F32x4Trunc, false),
    (I::F32x4Nearest, false),
    (I::F32x4DemoteF64x2Zero, false),
    (I::F64x2Sqrt, true),
    (I::F64x2Ceil, true),
    (I::F64x2Floor, true),
    (I::F64x2Trunc, true),
    (I::F64x2Nearest, true),
    (I::F64x2PromoteLowF32x4, true),
];

/// From a number to a vector.
const SPLATS: &[(I<'static>, ValType)] = &[
    (I::I8x16Splat, I32),
    (I::I16x8Splat, I32),
    (I::I32x4Splat, I32),
    (I::I64x2Splat, ValType::I64),
    (I::F32x4Splat, ValType::F32),
    (I::F64x2Splat, ValType::F64),
];

/// A vector's truths and signs.
const TESTS: &[I<'static>] = &[
    I::V128AnyTrue,
    I::I8x16AllTrue,
    I::I16x8AllTrue,
    I::I32x4AllTrue,
    I::I64x2AllTrue,
    I::I8x16Bitmask,
    I::I16x8Bitmask,
    I::I32x4Bitmask,
    I::I64x2Bitmask,
];

/// What loads widen or repeat.
const LOADS: &[fn(MemArg) -> I<'static>] = &[
    I::V128Load8x8S,
    I::V128Load8x8U,
    I::V128Load16x4S,
    I::V128Load32x2U,
    I::V128Load8Splat,
    I::V128Load16Splat,
    I::V128Load32Splat,
    I::V128Load64Splat,
    I::V128Load32Zero,
    I::V128Load64Zero,
];

impl Body<'_, '_> {
    fn chosen<T: Clone>(&mut self, of: &[T]) -> Result<T> {
        Ok(self.u.choose(of)?.clone())
    }

    pub(super) fn vector(&mut self) -> Result<()> {
        match self.u.int_in_range(0..=11)? {
            0..3 => self.vector_binary(),
            3 => {
                let op = self.chosen(UNARY)?;
                self.on_vectors(op, 1, V128)
            }
            4 => self.vector_shift(),
            5..7 => {
                let (op, wide) = self.chosen(FLOATS)?;
                self.on_vectors(op, 2, V128)?;
                self.canonical_lanes(wide);
                Ok(())
            }
            7 => {
                let (op, wide) = self.chosen(ROUNDED)?;
                self.on_vectors(op, 1, V128)?;
                self.canonical_lanes(wide);
                Ok(())
            }
            8 => self.splat(),
            9 => {
                let op = self.chosen(TESTS)?;
                self.on_vectors(op, 1, I32)
            }
            10 => self.lane(),
            _ => self.mix(),
        }
    }

    fn on_vectors(&mut self, op: I<'static>, count: usize, result: ValType) -> Result<()> {
        let operands = &[V128; 2][..count];
        self.operands(operands)?;
        self.apply(op, operands, &[result]);
        Ok(())
    }

    pub(super) fn vector_binary(&mut self) -> Result<()> {
        let op = self.chosen(BINARY)?;
        self.on_vectors(op, 2, V128)
    }

    fn vector_shift(&mut self) -> Result<()> {
        let op = self.chosen(SHIFTS)?;
        self.operands(&[V128])?;
        if self.u.arbitrary()? {
            let amount = self.u.int_in_range(0..=70)?;
            self.apply(I::I32Const(amount), &[], &[I32]);
        } else {
            self.leaf(I32)?;
        }
        self.apply(op, &[V128, I32], &[V128]);
        Ok(())
    }

    pub(super) fn splat(&mut self) -> Result<()> {
        let (op, from) = self.chosen(SPLATS)?;
        self.operands(&[from])?;
        self.canonical(from);
        self.apply(op, &[from], &[V128]);
        Ok(())
    }

    /// A lane taken out, or another put in.
    fn lane(&mut self) -> Result<()> {
        let lane = self.u.int_in_range(0..=15u8)?;
        let (take, put, ty) = self.chosen(&[
            (I::I8x16ExtractLaneS(lane), I::I8x16ReplaceLane(lane), I32),
            (I::I8x16ExtractLaneU(lane), I::I8x16ReplaceLane(lane), I32),
            (I::I16x8ExtractLaneS(lane % 8), I::I16x8ReplaceLane(lane % 8), I32),
            (I::I16x8ExtractLaneU(lane % 8), I::I16x8ReplaceLane(lane % 8), I32),
            (I::I32x4ExtractLane(lane % 4), I::I32x4ReplaceLane(lane % 4), I32),
            (I::I64x2ExtractLane(lane % 2), I::I64x2ReplaceLane(lane % 2), ValType::I64),
            (I::F32x4ExtractLane(lane % 4), I::F32x4ReplaceLane(lane % 4), ValType::F32),
            (I::F64x2ExtractLane(lane % 2), I::F64x2ReplaceLane(lane % 2), ValType::F64),
        ])?;
        self.operands(&[V128])?;
        if self.u.arbitrary()? {
            self.apply(take, &[V128], &[ty]);
            return Ok(());
        }
        self.leaf(ty)?;
        self.canonical(ty);
        self.apply(put, &[V128, ty], &[V128]);
        Ok(())
    }

    /// Bytes of two vectors, or bits chosen by a third.
    fn mix(&mut self) -> Result<()> {
        self.operands(&[V128, V128])?;
        if self.u.arbitrary()? {
            self.leaf(V128)?;
            self.apply(I::V128Bitselect, &[V128, V128, V128], &[V128]);
            return Ok(());
        }
        let shuffle = match self.u.int_in_range(0..=3)? {
            // What processors have single instructions for.
            0 => std::array::from_fn(|i| i as u8 * 2),
            1 => std::array::from_fn(|i| (i as u8 / 4) * 4 + i as u8 % 2 + 16 * (i as u8 % 4 / 2)),
            2 => {
                let first = self.u.int_in_range(0..=16)?;
                std::array::from_fn(|i| first + i as u8)
            }
            _ => {
                let mut lanes = [0; 16];
                for lane in &mut lanes {
                    *lane = self.u.int_in_range(0..=31)?;
                }
                lanes
            }
        };
        let shuffle = shuffle.map(|lane: u8| lane % 32);
        self.apply(I::I8x16Shuffle(shuffle), &[V128, V128], &[V128]);
        Ok(())
    }

    /// A load of a whole vector, or one that widens, repeats or replaces.
    pub(super) fn vector_load(&mut self, at: MemArg) -> Result<()> {
        let op = if self.u.arbitrary()? { I::V128Load } else { self.chosen(LOADS)? };
        match self.u.int_in_range(0..=5)? {
            0 => {
                let lane = self.u.int_in_range(0..=15)?;
                self.leaf(V128)?;
                self.apply(I::V128Load8Lane { memarg: at, lane }, &[I32, V128], &[V128]);
            }
            1 => {
                let lane = self.u.int_in_range(0..=1)?;
                self.leaf(V128)?;
                self.apply(I::V128Load64Lane { memarg: at, lane }, &[I32, V128], &[V128]);
            }
            _ => self.apply(op(at), &[I32], &[V128]),
        }
        Ok(())
    }

    pub(super) fn vector_store(&mut self, at: MemArg) -> Result<I<'static>> {
        Ok(match self.u.int_in_range(0..=4)? {
            0 => I::V128Store16Lane { memarg: at, lane: self.u.int_in_range(0..=7)? },
            1 => I::V128Store32Lane { memarg: at, lane: self.u.int_in_range(0..=3)? },
            _ => I::V128Store(at),
        })
    }
}
