//! The walk: one visit per operator, code out. It names no machine.
//!
//! | part | operators |
//! |---|---|
//! | [`visit`], [`decode`] | the table of all of them, and their immediates |
//! | [`arith`] | numeric, comparisons, `select` |
//! | [`control`] | blocks and branches |
//! | [`calls`] | calls, and what the runtime does |
//! | [`exceptions`] | what throws, and where it is caught |
//! | [`memory`] | linear memory, locals, globals, references |
//! | [`simd`] | vectors: the table of them, and what compiles them |

mod arith;
mod calls;
mod checks;
mod control;
mod decode;
mod exceptions;
mod memory;
mod simd;
mod visit;

pub(super) use visit::visit_short;

use super::CompileError;
use super::abi::TrapCode;
use super::convention::{Place, Places};
use super::env::{Env, Kind};
use super::fuel::{self, Cost};
use super::masm::{Dst, FramePlan, Masm, Record, Slot, Src};
use super::moves::Moves;
use super::ops::Cond;
use super::pins::{Local, Pins};
use super::reg::{Reg, RegSet};
use super::scan::Stats;
use super::state::{Loc, Operand, State};
use super::unwind::Unwind;
use control::Frame;
use decode::Immediate;
use wasmparser::{BinaryReader, BinaryReaderError, FunctionBody};

/// Functions smaller than this that call nothing do without a stack check: the limit leaves room for them.
const SMALL_FRAME: u32 = 256;

/// Compiles functions one after another into one assembler.
#[derive(Debug)]
pub(crate) struct Walk<'a, M> {
    env: &'a Env,
    state: State<M>,
    pins: Pins,
    plan: FramePlan,
    frames: Vec<Frame<'a>>,
    unwind: Unwind,
    /// Handlers, clauses and sites of the functions before this one.
    before: [usize; 3],
    /// The landing pads of the function.
    pads: Vec<exceptions::Pad<'a>>,
    moves: Moves,
    /// The function's code.
    code: &'a [u8],
    /// Where in it the present operator begins, if it is one that wasmparser reads.
    at: usize,
    /// Where the present operator ends, as far as somebody asks what follows.
    next: usize,
    /// Whether the present operator can be executed.
    reachable: bool,
    /// The position that the function's code must not pass.
    limit: u32,
    /// A shift by this much that the next operator, an addition, takes along.
    scaled: Option<u8>,
    /// Accesses to memory 0 by an offset below this fall on the memory or its guard.
    near: u64,
    results: &'a [Kind],
    arrivals: Vec<Option<Reg>>,
    /// What the function's runs of operators use up, where they do; and how many of them have begun.
    costs: Vec<Cost>,
    begun: usize,
}

impl<'a, M: Masm> Walk<'a, M> {
    pub(crate) fn new(env: &'a Env, masm: M) -> Walk<'a, M> {
        Walk {
            env,
            state: State::new(masm),
            pins: Pins::default(),
            plan: FramePlan::default(),
            frames: Vec::new(),
            unwind: Unwind::default(),
            before: [0; 3],
            pads: Vec::new(),
            moves: Moves::default(),
            code: &[],
            at: 0,
            next: 0,
            reachable: true,
            limit: 0,
            scaled: None,
            near: env.memories.first().map_or(0, memory::near_offsets),
            results: &[],
            arrivals: Vec::new(),
            costs: Vec::new(),
            begun: 0,
        }
    }

    pub(crate) fn masm(&mut self) -> &mut M {
        &mut self.state.m
    }

    /// The assembler, and where its code catches exceptions.
    pub(crate) fn finish(mut self) -> (M, Unwind) {
        self.unwind.sites = std::mem::take(&mut self.state.m.sites().noted);
        (self.state.m, self.unwind)
    }

    /// Forgets where the last function catches exceptions, since its code was taken back.
    pub(crate) fn take_back(&mut self) {
        let [handlers, clauses, sites] = self.before;
        self.unwind.handlers.truncate(handlers);
        self.unwind.clauses.truncate(clauses);
        self.state.m.sites().noted.truncate(sites);
    }

    /// Compiles a function that was found valid. Gives its frame.
    pub(crate) fn function(
        &mut self,
        index: u32,
        body: &FunctionBody<'a>,
        stats: &Stats,
        record: &mut impl Record,
    ) -> Result<FramePlan, CompileError> {
        let env = self.env;
        let signature = &env.types[env.functions[index as usize] as usize];
        self.results = &signature.results;
        let sites = self.state.m.sites().noted.len();
        self.before = [self.unwind.handlers.len(), self.unwind.clauses.len(), sites];
        self.declare(&signature.params, body)?;
        self.enter(&signature.params, stats);
        let code = body.as_bytes();
        self.code = code;
        let mut reader = body.get_binary_reader_for_operators()?;
        let start = body.range().start;
        let mut next = (reader.original_position() - start) as usize;
        self.frames.clear();
        self.frames.push(Frame::function(self.results));
        self.reachable = true;
        self.limit = self.state.m.position().saturating_add(M::FUNCTION_MAX);
        if env.fuel {
            (self.costs, self.begun) = (fuel::costs(body)?, 0);
            self.charge(next);
        }
        while !self.frames.is_empty() {
            if self.is_full() {
                return Err(CompileError::Limit(index, "its code is too large"));
            }
            record.operator(next, self.state.m.position(), self.state.m.put_off());
            next = match if self.reachable { self.common(code, next) } else { self.unreached(code, next) } {
                Some(next) => next,
                None => {
                    self.at = next;
                    self.next = next + self.opcode_len();
                    reader = BinaryReader::new_features(&code[next..], start + next as u64, reader.features());
                    reader.visit_operator(self)?;
                    (reader.original_position() - start) as usize
                }
            };
            if env.fuel {
                self.charge(next);
            }
            if env.checks {
                self.check_values();
            }
            #[cfg(debug_assertions)]
            if self.reachable {
                self.state.check();
            }
        }
        self.landing_pads();
        if self.is_full() {
            return Err(CompileError::Limit(index, "its code is too large"));
        }
        self.state.m.finish_function(record);
        Ok(self.plan)
    }

    /// Takes the fuel for the run of operators that begins at a place of the body, if one does and can be reached. No operator
    /// that ends a run leaves its outcome in flags.
    fn charge(&mut self, at: usize) {
        while let Some(&Cost { at: _, units }) = self.costs.get(self.begun).filter(|cost| cost.at <= at) {
            self.begun += 1;
            if self.reachable && units > 0 {
                self.state.m.spend_fuel(units);
                self.state.m.trap_if(Cond::LtU, TrapCode::OutOfFuel);
            }
        }
    }

    /// Lists the locals, parameters first.
    fn declare(&mut self, params: &[Kind], body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        let locals = &mut self.state.locals;
        locals.clear();
        let nowhere = |kind| Operand::at(kind, Src::Imm(0));
        let local = |kind| Local { kind, pin: None, home: Slot::at(0), value: nowhere(kind), aliases: 0 };
        locals.extend(params.iter().map(|&kind| local(kind)));
        for declared in body.get_locals_reader()? {
            let (count, ty) = declared?;
            locals.extend(std::iter::repeat_n(local(ty.into()), count as usize));
        }
        Ok(())
    }

    /// Chooses pins, lays out the frame and brings parameters to where their locals live.
    fn enter(&mut self, params: &[Kind], stats: &Stats) {
        let mut places = Places::<M>::new();
        self.arrivals.clear();
        self.arrivals.extend(params.iter().map(|&kind| match places.next(kind) {
            Place::Reg(reg) => Some(reg),
            Place::Stack(_) => None,
        }));
        self.plan = FramePlan::default();
        let slots = self.pins.choose::<M>(&mut self.state.locals, stats, &self.arrivals, &mut self.plan);
        let vectors = stats.vectors || self.state.locals.iter().any(|local| local.kind == Kind::V128);
        // Where there may be a vector, each value of the stack has room for one.
        let slot_shift = if vectors { 4 } else { 3 };
        let slots = if vectors { slots.next_multiple_of(16) } else { slots };
        self.plan.body = slots + (stats.height << slot_shift);
        self.plan.leaf = stats.calls == 0;
        self.plan.check_stack = stats.calls > 0 || self.plan.body > SMALL_FRAME;
        self.state.begin(self.pins.pinned, slots, slot_shift);
        self.state.m.align();
        self.state.m.prologue(&self.plan);
        self.receive(params);
        self.zero(stats);
    }

    /// Parameters: those with homes first, which frees their registers, then those with pins, the ones from the stack last.
    fn receive(&mut self, params: &[Kind]) {
        let mut places = Places::<M>::new();
        let mut from_stack = Moves::default();
        for (i, &kind) in params.iter().enumerate() {
            let src = match places.next(kind) {
                Place::Reg(reg) => Src::Reg(reg),
                Place::Stack(offset) => Src::Slot(Slot::at(M::incoming(&self.plan, 0) + offset)),
            };
            match (self.state.locals[i].pin, src) {
                (None, src) => self.state.m.mov(kind, Dst::Slot(self.state.locals[i].home), src),
                (Some(pin), Src::Reg(_)) => self.moves.add(kind, pin, src),
                (Some(pin), src) => from_stack.add(kind, pin, src),
            }
        }
        self.moves.resolve(&mut self.state.m);
        from_stack.resolve(&mut self.state.m);
    }

    /// Locals begin as zero; those that are never read before they are set need not.
    fn zero(&mut self, stats: &Stats) {
        let (mut first, mut last) = (u32::MAX, 0);
        for (local, _) in self.state.locals.iter().zip(&stats.locals).filter(|(_, uses)| uses.zero) {
            if let Some(pin) = local.pin {
                self.state.m.mov(local.kind, Dst::Reg(pin), Src::Imm(0));
            } else {
                let home = local.home.offset();
                first = first.min(home);
                last = home + if local.kind == Kind::V128 { 16 } else { 8 };
            }
        }
        if first < last {
            self.state.m.zero_slots(first, (last - first) / 8);
        }
    }

    /// Whether the function has more code than it may: it is given up at the next operator.
    fn is_full(&self) -> bool {
        self.state.m.position() > self.limit
    }

    // What comes next.

    /// The byte at a place of the code; 0 behind its end.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.code.get(at).copied().unwrap_or(0)
    }

    /// The opcode of the next operator.
    #[inline]
    fn following(&self) -> u8 {
        self.byte(self.next)
    }

    /// Whether the next operator uses a condition as it is.
    #[inline]
    fn condition_wanted(&self) -> bool {
        const BR_IF: u8 = 0x0d;
        const IF: u8 = 0x04;
        const SELECT: u8 = 0x1b;
        const I32_EQZ: u8 = 0x45;
        matches!(self.following(), BR_IF | IF | SELECT | I32_EQZ)
    }

    /// How many bytes the present operator's opcode takes.
    fn opcode_len(&self) -> usize {
        const PREFIXES: [u8; 2] = [0xfc, 0xfd];
        if PREFIXES.contains(&self.byte(self.at)) { 1 + self.leb_len(self.at + 1) } else { 1 }
    }

    /// How many bytes the LEB128 number at `at` takes.
    fn leb_len(&self, at: usize) -> usize {
        let rest = self.code.get(at..).unwrap_or(&[]);
        rest.iter().position(|byte| byte & 0x80 == 0).map_or(0, |last| last + 1)
    }

    /// The register for a result, and the temporaries of operands freed: the pin of the local that the next operator sets,
    /// one of these temporaries, or another.
    #[inline]
    fn result<const N: usize>(&mut self, kind: Kind, temps: [RegSet; N]) -> Reg {
        // Values that stand for the local are moved while the operands still keep their registers.
        let pin = self.wanted_pin(kind);
        self.state.free_temps(temps);
        if let Some(pin) = pin {
            return pin;
        }
        let vector = super::masm::is_vector(kind);
        let reuse = temps.iter().map(|temp| temp.class(vector)).find(|temp| !temp.is_empty());
        match reuse.and_then(RegSet::first) {
            Some(reg) => {
                self.state.take(reg);
                reg
            }
            None => self.state.alloc(vector),
        }
    }

    /// The pin of the local that the next operator sets to a value of this kind.
    #[inline]
    fn wanted_pin(&mut self, kind: Kind) -> Option<Reg> {
        const LOCAL_SET: u8 = 0x21;
        const LOCAL_TEE: u8 = 0x22;
        if matches!(self.following(), LOCAL_SET | LOCAL_TEE) { self.pin_to_set(kind) } else { None }
    }

    fn pin_to_set(&mut self, kind: Kind) -> Option<Reg> {
        let index = u32::read(self.code, &mut (self.next + 1));
        let local = self.state.locals[index as usize];
        let pin = local.pin.filter(|_| local.kind == kind)?;
        self.state.unalias(index);
        Some(pin)
    }

    /// Pushes a comparison's outcome: as flags where the next operator asks for a condition, else as a number.
    fn push_cond(&mut self, cond: Cond) {
        if self.condition_wanted() {
            return self.state.push(Kind::I32, Loc::Flags(cond));
        }
        let dst = self.result(Kind::I32, []);
        self.state.m.set(cond, dst);
        self.state.push_reg(Kind::I32, dst);
    }
}
