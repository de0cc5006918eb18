//! The aarch64 machine: AAPCS64, and ARMv8.0 with its vectors, which every processor has.
//!
//! Every immediate is checked against its instruction's range before it reaches dynasm, which panics outside. Families whose
//! members differ in a field of their encoding alone (loads and stores, vectors) are put together from that field here.

#![allow(clippy::useless_conversion, reason = "dynasm converts what it is given, whatever it is")]

mod control;
mod convert;
mod encode;
mod float;
mod int;
mod jumps;
mod masm;
mod memory;
mod moves;
mod reciprocal;
mod simd;
mod stubs;

use super::abi::TrapCode;
use super::buffer::Buffer;
use super::env::{Kind, Signature};
use super::masm::{Address, FramePlan, Label, Machine, Slot};
use super::ops::Width;
use super::reg::{Reg, RegSet};
use super::target::{Backend, Relocation};
use super::unwind::Sites;

/// Emits into `$m.buf`.
macro_rules! asm {
    ($m:expr; $($code:tt)*) => {
        dynasmrt::dynasm!($m.buf; .arch aarch64; $($code)*)
    };
}

/// An instruction on general registers, of the width's form.
macro_rules! sized {
    ($m:ident, $width:expr; $op:ident $($reg:ident),+ $(; $($rest:tt)+)?) => {
        match $width {
            Width::W32 => asm!($m; $op $(W($reg)),+ $(, $($rest)+)?),
            Width::W64 => asm!($m; $op $(X($reg)),+ $(, $($rest)+)?),
        }
    };
}

/// An instruction on scalar floats, of the width's form.
macro_rules! scalar {
    ($m:ident, $width:expr; $op:ident $($reg:ident),+ $(; $($rest:tt)+)?) => {
        match $width {
            Width::W32 => asm!($m; $op $(S($reg)),+ $(, $($rest)+)?),
            Width::W64 => asm!($m; $op $(D($reg)),+ $(, $($rest)+)?),
        }
    };
}

pub(crate) use {asm, scalar, sized};

const fn x(number: u8) -> Reg {
    Reg::general(number)
}

const fn v(number: u8) -> Reg {
    Reg::vector(number)
}

/// The first result; the callee's record in calls of others.
const X0: Reg = x(0);
/// The caller's instance, and the status that comes back.
const X1: Reg = x(1);
/// The assembler's own, for addresses.
const X16: Reg = x(16);
/// The assembler's own, for values.
const X17: Reg = x(17);
const MEMORY: Reg = x(27);
const CONTEXT: Reg = x(28);
const LINK: Reg = x(30);
/// As a base, or where an instruction takes it.
const SP: Reg = x(31);
/// The zero register's number, elsewhere.
const ZERO: u8 = 31;

/// The assembler's own vector registers.
const V29: u8 = 29;
const V30: u8 = 30;
const V31: u8 = 31;

/// What the processor offers beyond ARMv8.0: nothing that compiled code would gain from yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {}

impl Features {
    /// What no processor is without.
    pub(crate) fn floor() -> Features {
        Features {}
    }

    /// What the newest have.
    pub(crate) fn newest() -> Features {
        Features::floor()
    }

    /// This processor's.
    #[cfg(target_arch = "aarch64")]
    pub(crate) fn detect() -> Features {
        Features::floor()
    }

    /// The names, in the order of [`bits`](Features::bits).
    pub(crate) const NAMES: [&str; 0] = [];

    /// A bit for each that is there.
    pub(crate) fn bits(self) -> u64 {
        0
    }

    /// By its name, if there is one of that name.
    pub(crate) fn named(&mut self, _name: &str) -> Option<&mut bool> {
        None
    }
}

/// Code that a function needs only in rare cases, put off to its end.
#[derive(Clone, Copy, Debug)]
enum Cold {
    /// An undefined instruction with its cause.
    Trap { from: Label, code: TrapCode },
    /// A table entry that is null or has the wrong type, which X17 holds.
    Mismatch { from: Label },
    /// A table entry in X16 whose function runs in another instance, or in none.
    Cross { from: Label, back: Label, result: Option<Kind> },
    /// As [`Cold::Cross`], with a function's record in X0.
    CrossRef { from: Label, back: Label, result: Option<Kind> },
    /// A tail call of a function that runs in another instance, or in none, whose record X0 points to.
    CrossTail { from: Label, stack: u32, result: Option<Kind>, plan: FramePlan },
    /// A call gave a status that is not 0.
    Failed { from: Label },
    /// A truncation that may have gone wrong.
    Truncated { from: Label, back: Label, trunc: convert::Trunc },
}

/// The assembler of this machine.
#[derive(Debug)]
pub(crate) struct Assembler {
    buf: Buffer,
    relocations: Vec<Relocation>,
    sites: Sites,
    /// Each with the handler of exceptions around it.
    cold: Vec<(Cold, Option<u32>)>,
    constants: simd::Constants,
    /// Whether a branch or a constant of the present function was out of its reach.
    out_of_reach: bool,
    /// Whether branches are made to reach as far as jumps, and constants need no reach.
    far: bool,
    /// The register that was compared with zero, its width, and where in the code that is so.
    zero_flag: Option<(Reg, Width, u32)>,
}

impl Backend for Assembler {
    type Features = Features;

    // As far as `bl` reaches; no module that a program comes in needs half of it.
    const MODULE_MAX: u32 = 1 << 27;
    // All zero is an undefined instruction.
    const FILL: u8 = 0;
    const ADAPTER_SAVED: RegSet = RegSet::of(&[MEMORY, CONTEXT]);

    fn new(_features: Features, size: usize) -> Assembler {
        Assembler {
            buf: Buffer::with_capacity(size),
            relocations: Vec::new(),
            sites: Sites::default(),
            cold: Vec::new(),
            constants: simd::Constants::default(),
            out_of_reach: false,
            far: false,
            zero_flag: None,
        }
    }

    fn code(&self) -> &[u8] {
        &self.buf
    }

    fn into_code(self) -> Buffer {
        self.buf
    }

    fn relocations(&self) -> &[Relocation] {
        &self.relocations
    }

    /// The field is a whole `b` or `bl`.
    fn relocate(text: &mut [u8], field: u32, target: u32) {
        let at = field as usize;
        let word = u32::from_le_bytes(text[at..at + 4].try_into().expect("four bytes"));
        let word = jumps::with_distance(word, jumps::distance(field, target)).expect("a module is no larger than this");
        text[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn trap_exit(&mut self) {
        stubs::trap_exit(self);
    }

    fn entry_stub(&mut self, signature: &Signature, area: u32) {
        stubs::entry_stub(self, signature, area);
    }

    fn adapter(&mut self, signature: &Signature, area: u32) -> u32 {
        stubs::adapter(self, signature, area)
    }

    fn host_stub(&mut self, signature: &Signature) {
        stubs::host_stub(self, signature);
    }
}

impl Machine for Assembler {
    const TEMPS: RegSet =
        RegSet::of(&[x(0), x(1), x(8), x(9), x(10), x(11), v(0), v(1), v(2), v(3), v(4), v(5), v(6), v(7)]);
    const SAVED_PINS: &'static [Reg] = &[x(19), x(20), x(21), x(22), x(23), x(24), x(25), x(26)];
    const UNSAVED_PINS: &'static [Reg] = &[
        x(12),
        x(13),
        x(14),
        x(15),
        x(7),
        x(6),
        x(5),
        x(4),
        x(3),
        x(2),
        v(16),
        v(17),
        v(18),
        v(19),
        v(20),
        v(21),
        v(22),
        v(23),
        v(24),
        v(25),
        v(26),
        v(27),
        v(28),
    ];
    const GENERAL_ARGS: &'static [Reg] = &[x(2), x(3), x(4), x(5), x(6), x(7)];
    const VECTOR_ARGS: &'static [Reg] = &[v(0), v(1), v(2), v(3), v(4), v(5), v(6), v(7)];
    const BUILTIN_ARGS: &'static [Reg] = &[x(1), x(2), x(3), x(4), x(5)];
    const GENERAL_RESULT: Reg = X0;
    const VECTOR_RESULT: Reg = v(0);
    const CONTEXT: Reg = CONTEXT;
    const MEMORY: Reg = MEMORY;
    // A jump reaches twice as far, and the largest operator's code is far from as long.
    const FUNCTION_MAX: u32 = 1 << 26;
}

/// A place in the instance's record.
const fn field(offset: u32) -> Address {
    Address::new(CONTEXT, offset)
}

/// A place in the frame.
const fn slot(place: Slot) -> Address {
    Address::new(SP, place.offset())
}
