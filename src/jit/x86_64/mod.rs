//! The x86_64 machine: System V, with AVX, BMI and LZCNT forms where the processor has them.

#![allow(clippy::useless_conversion, reason = "dynasm converts the registers that it is given, whatever they are")]

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
        dynasmrt::dynasm!($m.buf; .arch x64; $($code)*)
    };
}

pub(crate) use asm;

pub(crate) const RAX: Reg = Reg::general(0);
pub(crate) const RCX: Reg = Reg::general(1);
pub(crate) const RDX: Reg = Reg::general(2);
pub(crate) const RBX: Reg = Reg::general(3);
pub(crate) const RSP: Reg = Reg::general(4);
pub(crate) const RBP: Reg = Reg::general(5);
pub(crate) const RSI: Reg = Reg::general(6);
pub(crate) const RDI: Reg = Reg::general(7);
pub(crate) const R8: Reg = Reg::general(8);
pub(crate) const R9: Reg = Reg::general(9);
pub(crate) const R10: Reg = Reg::general(10);
/// The assembler's own.
pub(crate) const R11: Reg = Reg::general(11);
pub(crate) const R12: Reg = Reg::general(12);
pub(crate) const R13: Reg = Reg::general(13);
pub(crate) const R14: Reg = Reg::general(14);
pub(crate) const R15: Reg = Reg::general(15);

const fn xmm(number: u8) -> Reg {
    Reg::vector(number)
}

/// What the processor offers beyond SSE3.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {
    /// The floor: without it nothing is compiled.
    sse41: bool,
    pub(crate) avx: bool,
    /// Counts only with AVX, see [`Features::broadcasts`].
    avx2: bool,
    pub(crate) bmi1: bool,
    pub(crate) bmi2: bool,
    pub(crate) lzcnt: bool,
    pub(crate) popcnt: bool,
    /// Counts only with AVX, see [`Features::fuses`].
    fma: bool,
}

impl Features {
    /// What no processor is without.
    pub(crate) fn floor() -> Features {
        Features { sse41: true, ..Features::default() }
    }

    /// What the newest have.
    pub(crate) fn newest() -> Features {
        Features { sse41: true, avx: true, avx2: true, bmi1: true, bmi2: true, lzcnt: true, popcnt: true, fma: true }
    }

    /// This processor's.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn detect() -> Features {
        Features {
            sse41: std::arch::is_x86_feature_detected!("sse4.1"),
            avx: std::arch::is_x86_feature_detected!("avx"),
            avx2: std::arch::is_x86_feature_detected!("avx2"),
            bmi1: std::arch::is_x86_feature_detected!("bmi1"),
            bmi2: std::arch::is_x86_feature_detected!("bmi2"),
            lzcnt: std::arch::is_x86_feature_detected!("lzcnt"),
            popcnt: std::arch::is_x86_feature_detected!("popcnt"),
            fma: std::arch::is_x86_feature_detected!("fma"),
        }
    }

    /// What compiled code always needs and the processor lacks.
    pub(crate) fn missing(self) -> Option<&'static str> {
        (!self.sse41).then_some("compiled code needs a processor with SSE4.1")
    }

    /// The names, in the order of [`bits`](Features::bits).
    pub(crate) const NAMES: [&str; 8] = ["sse4.1", "avx", "avx2", "bmi1", "bmi2", "lzcnt", "popcnt", "fma"];

    /// A bit for each that is there.
    pub(crate) fn bits(self) -> u64 {
        let Features { sse41, avx, avx2, bmi1, bmi2, lzcnt, popcnt, fma } = self;
        let all = [sse41, avx, avx2, bmi1, bmi2, lzcnt, popcnt, fma];
        all.iter().enumerate().map(|(place, &has)| u64::from(has) << place).sum()
    }

    /// Whether integer lanes can be spread by one instruction.
    pub(crate) fn broadcasts(self) -> bool {
        self.avx && self.avx2
    }

    /// Whether there are instructions that multiply and add at once.
    pub(crate) fn fuses(self) -> bool {
        self.avx && self.fma
    }

    /// By its name, if there is one of that name.
    pub(crate) fn named(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "sse4.1" => &mut self.sse41,
            "avx" => &mut self.avx,
            "avx2" => &mut self.avx2,
            "bmi1" => &mut self.bmi1,
            "bmi2" => &mut self.bmi2,
            "lzcnt" => &mut self.lzcnt,
            "popcnt" => &mut self.popcnt,
            "fma" => &mut self.fma,
            _ => return None,
        })
    }
}

/// Code that a function needs only in rare cases, put off to its end.
#[derive(Clone, Copy, Debug)]
enum Cold {
    /// An undefined instruction and its cause.
    Trap { from: Label, code: TrapCode },
    /// A table entry in RAX that is null or has the wrong type.
    Mismatch { from: Label },
    /// A table entry in RAX whose function runs in another instance, or in none.
    Cross { from: Label, back: Label, result: Option<Kind> },
    /// As [`Cold::Cross`], with a function's record in RAX.
    CrossRef { from: Label, back: Label, result: Option<Kind> },
    /// A tail call of a function that runs in another instance, or in none, whose record RDI points to.
    CrossTail { from: Label, stack: u32, result: Option<Kind>, plan: FramePlan },
    /// A call gave a status that is not 0.
    Failed { from: Label },
    /// A signed truncation that gave the value that stands for "invalid", which may be right.
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
    /// What comes behind the present function.
    constants: Vec<simd::Constant>,
    /// The jump tables of the present function: where each is, and its number of entries.
    tables: Vec<(u32, u32)>,
    features: Features,
    /// How far below the stack pointer the present function's frame lies: a leaf's small frame stays in the red zone.
    red_zone: i32,
    /// The register whose being zero the flags tell, its width, and where in the code that is so.
    zero_flag: Option<(Reg, Width, u32)>,
}

impl Assembler {
    /// A place in the frame.
    const fn slot(&self, place: Slot) -> Address {
        Address::new(RSP, place.offset()).plus(-self.red_zone)
    }
}

impl Backend for Assembler {
    type Features = Features;

    // No module that a program comes in needs a tenth.
    const MODULE_MAX: u32 = 1 << 29;
    const FILL: u8 = 0xcc;
    const ADAPTER_SAVED: RegSet = RegSet::of(&[R14, R15]);

    fn new(features: Features, size: usize) -> Assembler {
        Assembler {
            buf: Buffer::with_capacity(size),
            relocations: Vec::new(),
            sites: Sites::default(),
            cold: Vec::new(),
            constants: Vec::new(),
            tables: Vec::new(),
            features,
            red_zone: 0,
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

    /// The field is a displacement from its own end.
    fn relocate(text: &mut [u8], field: u32, target: u32) {
        let at = field as usize;
        text[at..at + 4].copy_from_slice(&target.wrapping_sub(field + 4).to_le_bytes());
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
    const TEMPS: RegSet = RegSet::of(&[RAX, RCX, RDX, RDI, xmm(0), xmm(1), xmm(2), xmm(3), xmm(4), xmm(5)]);
    const SAVED_PINS: &'static [Reg] = &[RBX, RBP, R12, R13];
    const UNSAVED_PINS: &'static [Reg] =
        &[RSI, R8, R9, R10, xmm(6), xmm(7), xmm(8), xmm(9), xmm(10), xmm(11), xmm(12), xmm(13)];
    const GENERAL_ARGS: &'static [Reg] = &[RDX, RCX, R8, R9];
    const VECTOR_ARGS: &'static [Reg] = &[xmm(0), xmm(1), xmm(2), xmm(3), xmm(4), xmm(5), xmm(6), xmm(7)];
    const BUILTIN_ARGS: &'static [Reg] = &[RSI, RDX, RCX, R8, R9];
    const GENERAL_RESULT: Reg = RAX;
    const VECTOR_RESULT: Reg = xmm(0);
    const CONTEXT: Reg = R15;
    const MEMORY: Reg = R14;
    const FUNCTION_MAX: u32 = 1 << 28;
}

/// The assembler's own vector registers.
const X15: u8 = 15;
const X14: u8 = 14;

/// The registers of an address by the machine's numbers; index 4 encodes "none".
struct Parts {
    base: u8,
    index: u8,
    offset: i32,
}

fn parts(address: Address) -> Parts {
    Parts { base: address.base().number(), index: address.index().map_or(4, Reg::number), offset: address.offset() }
}

/// A place in the instance's record.
const fn field(offset: u32) -> Address {
    Address::new(R15, offset)
}
