//! The families of vector operators: what the walk asks of a machine for 128 bits at once.

use super::env::Kind;
use super::ops::Cond;

/// How a vector is divided into lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    I8x16,
    I16x8,
    I32x4,
    I64x2,
    F32x4,
    F64x2,
}

impl Shape {
    /// The kind of one lane as a value of its own.
    pub(crate) const fn lane(self) -> Kind {
        match self {
            Shape::I8x16 | Shape::I16x8 | Shape::I32x4 => Kind::I32,
            Shape::I64x2 => Kind::I64,
            Shape::F32x4 => Kind::F32,
            Shape::F64x2 => Kind::F64,
        }
    }

    /// Bits of one lane.
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Shape::I8x16 => 8,
            Shape::I16x8 => 16,
            Shape::I32x4 | Shape::F32x4 => 32,
            Shape::I64x2 | Shape::F64x2 => 64,
        }
    }

    /// A vector whose lanes all have these low bits.
    pub(crate) const fn splat(self, lane: u64) -> u128 {
        let ones = match self {
            Shape::I8x16 => 0x0101_0101_0101_0101_0101_0101_0101_0101,
            Shape::I16x8 => 0x0001_0001_0001_0001_0001_0001_0001_0001,
            Shape::I32x4 | Shape::F32x4 => 0x0000_0001_0000_0001_0000_0001_0000_0001,
            Shape::I64x2 | Shape::F64x2 => 0x0000_0000_0000_0001_0000_0000_0000_0001,
        };
        let mask = u64::MAX >> (64 - self.bits());
        (lane & mask) as u128 * ones
    }
}

/// How an integer lane is read where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    S,
    U,
}

/// Which lanes of a source an operator takes that makes wider ones of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Low,
    High,
}

/// Two vectors to one. The shape that goes with it is the result's; of bitwise operators any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneOp {
    And,
    /// `lhs & !rhs`.
    AndNot,
    Or,
    Xor,
    Add,
    Sub,
    Mul,
    AddSat(Sign),
    SubSat(Sign),
    /// Of integers.
    LeastOf(Sign),
    /// Of integers.
    GreatestOf(Sign),
    /// Unsigned, rounded up.
    Average,
    /// Fixed-point: `(lhs * rhs + 0x4000) >> 15`, saturated.
    Q15Mul,
    Div,
    Min,
    Max,
    /// `rhs < lhs ? rhs : lhs`.
    PseudoMin,
    /// `lhs < rhs ? rhs : lhs`.
    PseudoMax,
    /// All ones in a lane where it holds.
    Compare(Cond),
    /// Both, saturated to lanes of half the size.
    Narrow(Sign),
    /// Products of lanes of half the size.
    ExtMul(Half, Sign),
    /// Sums of neighbouring products of signed lanes of half the size.
    Dot,
    /// Bytes of `lhs` by index; 0 for an index beyond.
    Swizzle,
    /// As [`LaneOp::Q15Mul`], but the one product that is out of range may wrap.
    RelaxedQ15Mul,
    /// As [`LaneOp::Min`], but of NaN or two zeros either operand.
    RelaxedMin,
    /// As [`LaneOp::Max`], but of NaN or two zeros either operand.
    RelaxedMax,
    /// As [`LaneOp::Dot`] of i16x8, but the lanes of `rhs` may be unsigned and the sums saturated.
    RelaxedDot,
    /// As [`LaneOp::Swizzle`], but an index beyond may be taken modulo 16 where it is below 128.
    RelaxedSwizzle,
}

impl LaneOp {
    pub(crate) const fn commutes(self) -> bool {
        match self {
            LaneOp::And
            | LaneOp::Or
            | LaneOp::Xor
            | LaneOp::Add
            | LaneOp::Mul
            | LaneOp::AddSat(_)
            | LaneOp::LeastOf(_)
            | LaneOp::GreatestOf(_)
            | LaneOp::Average
            | LaneOp::Q15Mul
            | LaneOp::RelaxedQ15Mul
            | LaneOp::Min
            | LaneOp::RelaxedMin
            | LaneOp::Max
            | LaneOp::RelaxedMax
            | LaneOp::ExtMul(..)
            | LaneOp::Dot => true,
            LaneOp::Compare(cond) => matches!(cond, Cond::Eq | Cond::Ne | Cond::FEq | Cond::FNe),
            _ => false,
        }
    }

    /// What leaves the machine a choice in place of what leaves none.
    pub(crate) const fn relaxed(self) -> LaneOp {
        match self {
            LaneOp::Q15Mul => LaneOp::RelaxedQ15Mul,
            LaneOp::Min => LaneOp::RelaxedMin,
            LaneOp::Max => LaneOp::RelaxedMax,
            LaneOp::Dot => LaneOp::RelaxedDot,
            LaneOp::Swizzle => LaneOp::RelaxedSwizzle,
            strict => strict,
        }
    }

    /// The other way: what every machine may choose.
    pub(crate) const fn strict(self) -> LaneOp {
        match self {
            LaneOp::RelaxedQ15Mul => LaneOp::Q15Mul,
            LaneOp::RelaxedMin => LaneOp::Min,
            LaneOp::RelaxedMax => LaneOp::Max,
            LaneOp::RelaxedDot => LaneOp::Dot,
            LaneOp::RelaxedSwizzle => LaneOp::Swizzle,
            strict => strict,
        }
    }
}

/// One vector to one. The shape that goes with it is the result's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneUnOp {
    Not,
    Abs,
    Neg,
    /// Ones of each byte.
    Popcnt,
    Sqrt,
    Ceil,
    Floor,
    Trunc,
    Nearest,
    /// Half of the lanes to twice their size.
    Extend(Half, Sign),
    /// Sums of neighbours, in lanes of twice the size.
    ExtAddPairwise(Sign),
    /// i32x4 to f32x4, or its low half to f64x2.
    Convert(Sign),
    /// f32x4 to i32x4, saturating.
    TruncSat(Sign),
    /// f64x2 to the low half of i32x4, saturating; the others are 0.
    TruncSatZero(Sign),
    /// f32x4 to i32x4, signed; what is out of range is any of what saturating and the minimum give.
    RelaxedTrunc,
    /// The same from f64x2 to the low half; the others are 0.
    RelaxedTruncZero,
    /// f64x2 to the low half of f32x4; the others are 0.
    Demote,
    /// The low half of f32x4 to f64x2.
    Promote,
}

impl LaneUnOp {
    /// What leaves the machine a choice in place of what leaves none.
    pub(crate) const fn relaxed(self) -> LaneUnOp {
        match self {
            LaneUnOp::TruncSat(Sign::S) => LaneUnOp::RelaxedTrunc,
            LaneUnOp::TruncSatZero(Sign::S) => LaneUnOp::RelaxedTruncZero,
            strict => strict,
        }
    }

    /// The other way: what every machine may choose.
    pub(crate) const fn strict(self) -> LaneUnOp {
        match self {
            LaneUnOp::RelaxedTrunc => LaneUnOp::TruncSat(Sign::S),
            LaneUnOp::RelaxedTruncZero => LaneUnOp::TruncSatZero(Sign::S),
            strict => strict,
        }
    }
}

/// A vector shifted by an i32, which counts modulo the bits of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneShift {
    Shl,
    Shr(Sign),
}

/// A question about a whole vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneTest {
    /// Whether any bit is set.
    AnyTrue,
    /// Whether no lane is 0.
    AllTrue,
}
