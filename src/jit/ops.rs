//! The families that operators belong to: what the walk asks of a machine.

use super::env::Kind;
use super::lanes::{Shape, Sign};

/// The width of an integer, or of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    W32,
    W64,
}

impl Width {
    pub(crate) const fn int(self) -> Kind {
        match self {
            Width::W32 => Kind::I32,
            Width::W64 => Kind::I64,
        }
    }

    pub(crate) const fn float(self) -> Kind {
        match self {
            Width::W32 => Kind::F32,
            Width::W64 => Kind::F64,
        }
    }

    pub(crate) const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }
}

/// Two integers to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntOp {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Shl,
    ShrS,
    ShrU,
    Rotl,
    Rotr,
    DivS,
    DivU,
    RemS,
    RemU,
}

impl IntOp {
    pub(crate) const fn commutes(self) -> bool {
        matches!(self, IntOp::Add | IntOp::Mul | IntOp::And | IntOp::Or | IntOp::Xor)
    }

    pub(crate) const fn divides(self) -> bool {
        matches!(self, IntOp::DivS | IntOp::DivU | IntOp::RemS | IntOp::RemU)
    }

    /// Whether only as many bits of the second operand count as the width needs.
    pub(crate) const fn shifts(self) -> bool {
        matches!(self, IntOp::Shl | IntOp::ShrS | IntOp::ShrU | IntOp::Rotl | IntOp::Rotr)
    }
}

/// One integer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntUnOp {
    Clz,
    Ctz,
    Popcnt,
    Extend8,
    Extend16,
    Extend32,
}

/// Two floats to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Copysign,
}

/// One float to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatUnOp {
    Abs,
    Neg,
    Ceil,
    Floor,
    Trunc,
    Nearest,
    Sqrt,
}

/// From one kind to another. The first width is the source's, the second the result's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convert {
    /// Integer to the lower half.
    Wrap,
    /// i32 to i64 with its sign.
    ExtendS,
    /// Float to signed integer, trapping.
    TruncS(Width, Width),
    /// Float to unsigned integer, trapping.
    TruncU(Width, Width),
    /// Float to signed integer, saturating.
    SatS(Width, Width),
    /// Float to unsigned integer, saturating.
    SatU(Width, Width),
    /// Signed integer to float.
    FloatS(Width, Width),
    /// Unsigned integer to float.
    FloatU(Width, Width),
    /// Double to single.
    Demote,
    /// Single to double.
    Promote,
    /// A float's bits.
    BitsOfFloat(Width),
    /// A float of these bits.
    FloatOfBits(Width),
}

impl Convert {
    pub(crate) const fn result(self) -> Kind {
        match self {
            Convert::Wrap => Kind::I32,
            Convert::ExtendS => Kind::I64,
            Convert::TruncS(_, to) | Convert::TruncU(_, to) | Convert::SatS(_, to) | Convert::SatU(_, to) => to.int(),
            Convert::FloatS(_, to) | Convert::FloatU(_, to) => to.float(),
            Convert::Demote => Kind::F32,
            Convert::Promote => Kind::F64,
            Convert::BitsOfFloat(width) => width.int(),
            Convert::FloatOfBits(width) => width.float(),
        }
    }
}

/// What a comparison found. The float conditions are true as named and false for unordered operands,
/// those with `Not` the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cond {
    Eq,
    Ne,
    LtS,
    LtU,
    GtS,
    GtU,
    LeS,
    LeU,
    GeS,
    GeU,
    FEq,
    FNe,
    FLt,
    FGt,
    FLe,
    FGe,
    FNotLt,
    FNotGt,
    FNotLe,
    FNotGe,
}

impl Cond {
    /// The condition that holds when this one does not.
    pub(crate) const fn negated(self) -> Cond {
        match self {
            Cond::Eq => Cond::Ne,
            Cond::Ne => Cond::Eq,
            Cond::LtS => Cond::GeS,
            Cond::LtU => Cond::GeU,
            Cond::GtS => Cond::LeS,
            Cond::GtU => Cond::LeU,
            Cond::LeS => Cond::GtS,
            Cond::LeU => Cond::GtU,
            Cond::GeS => Cond::LtS,
            Cond::GeU => Cond::LtU,
            Cond::FEq => Cond::FNe,
            Cond::FNe => Cond::FEq,
            Cond::FLt => Cond::FNotLt,
            Cond::FGt => Cond::FNotGt,
            Cond::FLe => Cond::FNotLe,
            Cond::FGe => Cond::FNotGe,
            Cond::FNotLt => Cond::FLt,
            Cond::FNotGt => Cond::FGt,
            Cond::FNotLe => Cond::FLe,
            Cond::FNotGe => Cond::FGe,
        }
    }

    /// The integer condition with its operands exchanged.
    pub(crate) const fn swapped(self) -> Cond {
        match self {
            Cond::LtS => Cond::GtS,
            Cond::LtU => Cond::GtU,
            Cond::GtS => Cond::LtS,
            Cond::GtU => Cond::LtU,
            Cond::LeS => Cond::GeS,
            Cond::LeU => Cond::GeU,
            Cond::GeS => Cond::LeS,
            Cond::GeU => Cond::LeU,
            other => other,
        }
    }
}

/// A load from linear memory: what is read, and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    I32,
    I64,
    F32,
    F64,
    S8(Width),
    U8(Width),
    S16(Width),
    U16(Width),
    S32,
    U32,
    V128,
    /// Eight bytes, as lanes of half the shape's size that are extended to it.
    Extend(Shape, Sign),
    /// One lane, in all places.
    Splat(Shape),
    /// The lowest lane, the others 0.
    Zero(Width),
}

impl Load {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Load::I32 => Kind::I32,
            Load::I64 | Load::S32 | Load::U32 => Kind::I64,
            Load::F32 => Kind::F32,
            Load::F64 => Kind::F64,
            Load::S8(width) | Load::U8(width) | Load::S16(width) | Load::U16(width) => width.int(),
            Load::V128 | Load::Extend(..) | Load::Splat(_) | Load::Zero(_) => Kind::V128,
        }
    }

    /// Bytes.
    pub(crate) const fn size(self) -> u64 {
        match self {
            Load::S8(_) | Load::U8(_) => 1,
            Load::S16(_) | Load::U16(_) => 2,
            Load::I32 | Load::F32 | Load::S32 | Load::U32 => 4,
            Load::I64 | Load::F64 | Load::Extend(..) => 8,
            Load::V128 => 16,
            Load::Splat(shape) => shape.bits() as u64 / 8,
            Load::Zero(width) => width.bits() as u64 / 8,
        }
    }
}

/// A store to linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    B8,
    B16,
    B32,
    B64,
    F32,
    F64,
    V128,
}

impl Store {
    /// Bytes.
    pub(crate) const fn size(self) -> u64 {
        match self {
            Store::B8 => 1,
            Store::B16 => 2,
            Store::B32 | Store::F32 => 4,
            Store::B64 | Store::F64 => 8,
            Store::V128 => 16,
        }
    }
}
