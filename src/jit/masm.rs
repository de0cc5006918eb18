//! What a machine does for the walk: the assembler by meaning.
//!
//! An implementation turns each request into instructions and keeps nothing of the value stack. It may use its
//! own scratch registers, which are in none of the sets that it declares.
//! Every operation is right for any aliasing of `dst` with its sources. Moves, loads and stores leave the flags alone.

use super::abi::{Builtin, TrapCode};
use super::env::Kind;
use super::lanes::{LaneOp, LaneShift, LaneTest, LaneUnOp, Shape, Sign};
use super::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Load, Store, Width};
use super::reg::{Reg, RegSet};
use super::unwind::Sites;
use std::fmt;

/// A place in the frame: this many bytes above the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u64);

impl Slot {
    pub(crate) const fn at(offset: u32) -> Slot {
        Slot(offset as u64)
    }

    pub(crate) const fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Where a value is read from.
///
/// Whichever it is, it is one word, and so the whole is two that travel in registers. Words of different sizes would be written to
/// memory in pieces and read back as one, for which a processor has to wait until the pieces have left its store buffer: at each
/// operator several times, that was an eighth of the time that compiling took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Src {
    Reg(Reg),
    Slot(Slot),
    /// These bits; an i32's or f32's upper half is zero. A v128's are
    /// its number among the function's [constants](Masm::vector_const).
    Imm(u64),
}

impl Src {
    /// Which it is, and its word.
    pub(crate) const fn parts(self) -> (u64, u64) {
        match self {
            Src::Reg(reg) => (0, reg.word()),
            Src::Slot(slot) => (1, slot.0),
            Src::Imm(bits) => (2, bits),
        }
    }

    /// What gave these [`Src::parts`].
    pub(crate) const fn of_parts(which: u64, word: u64) -> Src {
        match which {
            0 => Src::Reg(Reg::of_word(word)),
            1 => Src::Slot(Slot(word)),
            _ => Src::Imm(word),
        }
    }
}

/// Where a value is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dst {
    Reg(Reg),
    Slot(Slot),
}

/// A place in linear memory, or in the instance: base + index + offset. One word, for the reason that [`Src`] gives: from the lowest
/// byte the base, the index and whether it is a whole register; the offset is the upper half.
#[derive(Clone, Copy)]
pub(crate) struct Address(u64);

impl Address {
    /// Stands for "no index".
    const NONE: u64 = 0xff;

    pub(crate) const fn new(base: Reg, offset: u32) -> Address {
        Address((offset as u64) << 32 | Address::NONE << 8 | base.word())
    }

    /// With the lower half of an index, whose upper half is zero.
    pub(crate) const fn indexed(base: Reg, index: Reg, offset: i32) -> Address {
        Address((offset as u32 as u64) << 32 | index.word() << 8 | base.word())
    }

    /// With a whole register.
    pub(crate) const fn indexed64(base: Reg, index: Reg) -> Address {
        Address(1 << 16 | index.word() << 8 | base.word())
    }

    /// So many bytes behind this one.
    pub(crate) const fn plus(self, bytes: i32) -> Address {
        Address((self.offset().wrapping_add(bytes) as u32 as u64) << 32 | self.0 & 0xffff_ffff)
    }

    pub(crate) const fn base(self) -> Reg {
        Reg::of_word(self.0 & 0xff)
    }

    pub(crate) const fn index(self) -> Option<Reg> {
        let index = self.0 >> 8 & 0xff;
        if index == Address::NONE { None } else { Some(Reg::of_word(index)) }
    }

    pub(crate) const fn offset(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// Whether the index has more than 32 bits. Where it has not, a machine that can takes no more of it.
    pub(crate) const fn index64(self) -> bool {
        self.0 >> 16 & 1 != 0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?} + {:?} + {}]", self.base(), self.index(), self.offset())
    }
}

/// A place in the code that jumps lead to. Jumps that come before it is bound are chained through their
/// own displacement fields, so that a label takes no memory but itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// Where it is, plus 1; 0 while unbound.
    pub(crate) bound: u32,
    /// The last field that waits for it; 0 where none does (no field is at 0).
    pub(crate) chain: u32,
}

impl Label {
    /// Whether a jump waits for it.
    pub(crate) const fn is_used(&self) -> bool {
        self.chain != 0
    }
}

/// What an operator needs in fixed registers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fixed {
    pub(crate) lhs: Option<Reg>,
    pub(crate) rhs: Option<Reg>,
    /// Where the result appears; otherwise anywhere.
    pub(crate) dst: Option<Reg>,
    /// Registers that hold neither an operand nor anything else that is needed afterwards.
    pub(crate) clobbers: RegSet,
}

/// A function's frame, known before its first instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FramePlan {
    /// Callee-saved registers that the function uses.
    pub(crate) saved: RegSet,
    /// Bytes for outgoing arguments, homes and slots.
    pub(crate) body: u32,
    /// Whether it calls nothing.
    pub(crate) leaf: bool,
    /// Whether the stack limit is compared with.
    pub(crate) check_stack: bool,
}

/// Registers and conventions of a machine.
pub(crate) trait Machine {
    /// Never pinned to a local.
    const TEMPS: RegSet;
    /// For locals, best first; what a call preserves.
    const SAVED_PINS: &'static [Reg];
    /// For locals, best first; what a call destroys. Those not pinned serve as temporaries.
    const UNSAVED_PINS: &'static [Reg];
    /// Integer parameters.
    const GENERAL_ARGS: &'static [Reg];
    /// Float and vector parameters.
    const VECTOR_ARGS: &'static [Reg];
    /// Parameters of the runtime's functions.
    const BUILTIN_ARGS: &'static [Reg];
    /// A function's first result and a block's last, by class.
    const GENERAL_RESULT: Reg;
    const VECTOR_RESULT: Reg;
    /// The instance's record, in compiled code.
    const CONTEXT: Reg;
    /// Memory 0's base, in compiled code.
    const MEMORY: Reg;
    /// Code of one function, at most. A branch that carries a thousand values takes some ten thousand bytes and two to write
    /// down, so that a guest's function must not decide how much there is.
    const FUNCTION_MAX: u32;

    /// The register for a kind's result.
    fn result(kind: Kind) -> Reg {
        if is_vector(kind) { Self::VECTOR_RESULT } else { Self::GENERAL_RESULT }
    }
}

/// Whether values of a kind live in vector registers.
pub(crate) const fn is_vector(kind: Kind) -> bool {
    matches!(kind, Kind::F32 | Kind::F64 | Kind::V128)
}

/// Who wants to know which code is whose. `()` does not, and costs nothing.
pub(crate) trait Record {
    /// The operator at `at` of the body begins at `position`; `put_off` [pieces](Masm::put_off) belong to those before.
    fn operator(&mut self, _at: usize, _position: u32, _put_off: usize) {}
    /// The next of the pieces that were put off begins at `position`; there are `put_off` of them by now.
    fn piece(&mut self, _position: u32, _put_off: usize) {}
    /// What lies between these positions is the table of a `br_table`.
    fn table(&mut self, _from: u32, _to: u32) {}
    /// What lies between these positions is constants.
    fn constants(&mut self, _from: u32, _to: u32) {}
}

impl Record for () {}

/// The assembler.
pub(crate) trait Masm: Machine {
    fn position(&self) -> u32;
    /// Pads for the entry of a function or the head of a loop.
    fn align(&mut self);

    // Frames.
    fn prologue(&mut self, plan: &FramePlan);
    fn epilogue(&mut self, plan: &FramePlan);
    /// [`FunctionCode::frame`](super::FunctionCode::frame).
    fn frame_size(plan: &FramePlan) -> u32;
    /// Where the caller left its `index`th stack argument, seen from the body.
    fn incoming(plan: &FramePlan, index: u32) -> u32;
    /// Zeroes 8-byte slots. Destroys temporaries that hold no parameter.
    fn zero_slots(&mut self, from: u32, count: u32);
    /// Where calls are noted, each by the position behind it.
    fn sites(&mut self) -> &mut Sites;
    /// How many pieces of code are put off to the end of the function.
    fn put_off(&self) -> usize;
    /// Emits them, in the order in which they were put off.
    fn finish_function(&mut self, record: &mut impl Record);
    /// Whether all jumps of the function that began at `start`, the last one, reach. If not, its code is taken back, and the
    /// next function's jumps are the longest that there are: it is to be emitted once more.
    fn reaches(&mut self, _start: u32) -> bool {
        true
    }

    // Moves.
    fn mov(&mut self, kind: Kind, dst: Dst, src: Src);
    /// Exchanges two registers of one class.
    fn swap(&mut self, a: Reg, b: Reg);
    /// A load of a whole value from the instance or a record, and its reverse.
    fn load_field(&mut self, kind: Kind, dst: Reg, from: Address);
    fn store_field(&mut self, kind: Kind, to: Address, src: Src);
    fn address_of(&mut self, dst: Reg, place: Address);

    // Control.
    fn jump(&mut self, label: &mut Label);
    fn branch(&mut self, cond: Cond, label: &mut Label);
    fn bind(&mut self, label: &mut Label);
    /// Jumps to the `index`th of the `count` [`Masm::table_entry`]s that follow, which it is within. Destroys `scratch`.
    fn jump_table(&mut self, index: Reg, scratch: Reg, count: u32);
    fn table_entry(&mut self, label: &mut Label);
    fn trap(&mut self, code: TrapCode);
    fn trap_if(&mut self, cond: Cond, code: TrapCode);

    /// Takes so much from the store's [fuel](super::abi::Context::fuel), and leaves [`Cond::LtU`] true if there was less.
    fn spend_fuel(&mut self, units: u32);

    // Flags.
    fn compare(&mut self, width: Width, lhs: Src, rhs: Src);
    /// For [`Cond::Eq`] and [`Cond::Ne`] with zero.
    fn compare_zero(&mut self, width: Width, src: Src);
    fn test(&mut self, width: Width, lhs: Reg, rhs: Src);
    /// Sets the flags so that `cond` can be asked.
    fn compare_floats(&mut self, width: Width, cond: Cond, lhs: Reg, rhs: Reg);
    fn set(&mut self, cond: Cond, dst: Reg);
    /// `dst = cond ? yes : no`. `yes` is not in `dst`.
    fn select(&mut self, kind: Kind, cond: Cond, dst: Reg, yes: Src, no: Src);

    // Arithmetic.
    /// Asked of shifts, rotations and divisions: the others take any register.
    fn fixed(&self, op: IntOp, width: Width, rhs: Src) -> Fixed;
    fn int_op(&mut self, op: IntOp, width: Width, dst: Reg, lhs: Reg, rhs: Src);
    fn int_unop(&mut self, op: IntUnOp, width: Width, dst: Reg, src: Src);
    /// `dst = base + (index << shift)`, shift 1 to 3.
    fn add_scaled(&mut self, width: Width, dst: Reg, base: Reg, index: Reg, shift: u8);
    fn float_op(&mut self, op: FloatOp, width: Width, dst: Reg, lhs: Reg, rhs: Reg);
    fn float_unop(&mut self, op: FloatUnOp, width: Width, dst: Reg, src: Reg);
    fn convert(&mut self, op: Convert, dst: Reg, src: Reg);

    // Vectors. A `dst` that is not a v128's is of the lane's kind.
    /// The number of a constant in the present function; 0 is zero's.
    fn vector_const(&mut self, bits: u128) -> u64;
    /// Whether `rhs`, in a slot or a constant that is not zero, can be taken from there.
    fn takes(&self, op: LaneOp, shape: Shape, rhs: Src) -> bool;
    /// `rhs` is a register, or what [`Masm::takes`] takes.
    fn lanes(&mut self, op: LaneOp, shape: Shape, dst: Reg, lhs: Reg, rhs: Src);
    fn lanes_unary(&mut self, op: LaneUnOp, shape: Shape, dst: Reg, src: Reg);
    /// `by` is a register or constant.
    fn lanes_shift(&mut self, op: LaneShift, shape: Shape, dst: Reg, lhs: Reg, by: Src);
    /// Sets the flags so that the condition it gives can be asked.
    fn lanes_test(&mut self, test: LaneTest, shape: Shape, src: Reg) -> Cond;
    /// The lanes' top bits.
    fn bitmask(&mut self, shape: Shape, dst: Reg, src: Reg);
    fn splat(&mut self, shape: Shape, dst: Reg, src: Reg);
    fn extract_lane(&mut self, shape: Shape, sign: Sign, lane: u8, dst: Reg, src: Reg);
    fn replace_lane(&mut self, shape: Shape, lane: u8, dst: Reg, vector: Reg, src: Reg);
    /// Bytes by index: 0 to 15 of `lhs`, 16 to 31 of `rhs`.
    fn shuffle(&mut self, lanes: [u8; 16], dst: Reg, lhs: Reg, rhs: Reg);
    /// Bits of `yes` where `mask` has ones, of `no` elsewhere.
    fn bitselect(&mut self, dst: Reg, yes: Reg, no: Reg, mask: Reg);
    /// Whether [`Masm::blend`] is there for the shape, and faster than [`Masm::bitselect`].
    fn blends(&self, shape: Shape) -> bool;
    /// Lanes of `yes` where those of `mask` are negative, of `no` elsewhere.
    fn blend(&mut self, shape: Shape, dst: Reg, yes: Reg, no: Reg, mask: Reg);
    /// Whether [`Masm::fused_multiply_add`] is there.
    fn fuses(&self) -> bool;
    /// `addend + lhs * rhs`, or `addend - lhs * rhs`, rounded once. Of floats.
    fn fused_multiply_add(&mut self, shape: Shape, negated: bool, dst: Reg, lhs: Reg, rhs: Reg, addend: Reg);

    // Linear memory.
    /// Before a store to memory whose end is found by a fault: has it fault before it has written anything. Gives the address to store
    /// to, which is good for that one store. Nothing is needed where the machine's stores are all or nothing.
    #[inline(always)]
    fn touch(&mut self, _size: u64, to: Address) -> Address {
        to
    }
    fn load_lane(&mut self, shape: Shape, lane: u8, dst: Reg, vector: Reg, from: Address);
    fn store_lane(&mut self, shape: Shape, lane: u8, to: Address, src: Reg);
    fn load(&mut self, op: Load, dst: Reg, from: Address);
    fn store(&mut self, op: Store, to: Address, src: Src);

    // Calls. Arguments are in place; a result is in the first result register of its class.
    fn call(&mut self, function: u32);
    /// Through the [`Import`](super::abi::Import) that the instance holds at `import`.
    fn call_import(&mut self, import: u32, result: Option<Kind>);
    /// Of the function whose record [`Machine::GENERAL_RESULT`] points to; traps for null.
    fn call_ref(&mut self, result: Option<Kind>);
    /// Leaves the frame of `plan` and goes on in a function. Stack arguments are where the caller left this one's.
    fn tail_call(&mut self, function: u32, plan: &FramePlan);
    /// As [`Masm::tail_call`], through a table as in [`Masm::call_indirect`]. A callee of another instance is called in the
    /// frame of this function, where its `stack` bytes of arguments are copied to, and its result returned.
    fn tail_call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>, stack: u32, plan: &FramePlan);
    /// As [`Masm::tail_call_indirect`], of the function whose record [`Machine::GENERAL_RESULT`] points to.
    fn tail_call_ref(&mut self, result: Option<Kind>, stack: u32, plan: &FramePlan);
    /// Arguments are in [`Machine::BUILTIN_ARGS`].
    fn call_builtin(&mut self, builtin: Builtin);
    /// Through the table whose address the instance holds at `table`, by the index in [`Machine::GENERAL_RESULT`], where the
    /// type must be the one whose id the instance holds at `signature`.
    fn call_indirect(&mut self, table: u32, signature: u32, result: Option<Kind>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_give_back_what_was_packed() {
        let (base, index) = (Reg::general(31), Reg::general(0));
        let parts = |place: Address| (place.base(), place.index(), place.offset(), place.index64());
        for offset in [0, 1, -1, i32::MAX, i32::MIN] {
            assert_eq!(parts(Address::new(base, offset as u32)), (base, None, offset, false));
            assert_eq!(parts(Address::indexed(base, index, offset)), (base, Some(index), offset, false));
        }
        assert_eq!(parts(Address::indexed64(base, index)), (base, Some(index), 0, true));
        assert_eq!(parts(Address::indexed64(base, index).plus(-16).plus(32)), (base, Some(index), 16, true));
        assert_eq!(parts(Address::new(base, 8).plus(-9)), (base, None, -1, false));
    }
}
