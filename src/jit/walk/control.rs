//! Blocks and branches.
//!
//! Values below a block are settled when it begins, so that every edge that leaves it finds them where
//! they are. Its results go to fixed places: the last to the result register of its class, the others to their slots;
//! a loop's parameters all to their slots. Pinned locals are where they always are.

use super::Walk;
use super::calls::result_place;
use crate::jit::abi::TrapCode;
use crate::jit::env::Kind;
use crate::jit::masm::{Dst, Label, Masm, Src};
use crate::jit::ops::{Cond, Width};
use crate::jit::reg::Reg;
use crate::jit::state::{Loc, Operand};
use std::collections::BTreeMap;
use wasmparser::{BlockType, BrTable, FrameKind};

/// Cases from which on a jump table is worth its code.
const TABLE_CASES: u32 = 5;

/// What opened a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Function,
    Block,
    Loop,
    /// An `if` whose condition is false continues at the label, and whether its code can be reached at all.
    If(Label),
    Else,
    /// A `try_table`, and the handler around it.
    Try(Option<u32>),
    /// Something in code that cannot be reached.
    Dead(FrameKind),
}

/// An open block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) opened: Opened,
    /// Where branches to it lead: its end, or a loop's head.
    pub(super) label: Label,
    /// Values on the stack below its parameters.
    pub(super) height: usize,
    params: &'a [Kind],
    results: &'a [Kind],
    /// The last landing pad that leads to it, unless it is a loop.
    pub(super) pads: Option<u32>,
}

impl<'a> Frame<'a> {
    pub(super) fn function(results: &'a [Kind]) -> Frame<'a> {
        Frame { opened: Opened::Function, label: Label::default(), height: 0, params: &[], results, pads: None }
    }

    /// What a branch to it carries.
    pub(super) fn carried(&self) -> &'a [Kind] {
        if self.opened == Opened::Loop { self.params } else { self.results }
    }

    pub(super) fn kind(&self) -> FrameKind {
        match self.opened {
            Opened::Function | Opened::Block => FrameKind::Block,
            Opened::Loop => FrameKind::Loop,
            Opened::If(_) => FrameKind::If,
            Opened::Else => FrameKind::Else,
            Opened::Try(_) => FrameKind::TryTable,
            Opened::Dead(kind) => kind,
        }
    }
}

/// One value of the kind.
fn one(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::I32 => &[Kind::I32],
        Kind::I64 => &[Kind::I64],
        Kind::F32 => &[Kind::F32],
        Kind::F64 => &[Kind::F64],
        Kind::V128 => &[Kind::V128],
        Kind::Ref => &[Kind::Ref],
    }
}

impl<'a, M: Masm> Walk<'a, M> {
    fn block_type(&self, ty: BlockType) -> (&'a [Kind], &'a [Kind]) {
        match ty {
            BlockType::Empty => (&[], &[]),
            BlockType::Type(ty) => (&[], one(ty.into())),
            BlockType::FuncType(index) => {
                let signature = &self.env.types[index as usize];
                (&signature.params, &signature.results)
            }
        }
    }

    pub(super) fn open(&mut self, opened: Opened, ty: BlockType) {
        let (params, results) = self.block_type(ty);
        let height = self.state.stack.len() - params.len();
        self.frames.push(Frame { opened, label: Label::default(), height, params, results, pads: None });
    }

    /// A block that cannot be reached: only its end matters.
    pub(super) fn open_dead(&mut self, kind: FrameKind) {
        self.frames.push(Frame { opened: Opened::Dead(kind), ..Frame::function(&[]) });
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        self.block_in(Opened::Block, ty);
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        self.open(Opened::Loop, ty);
        self.settle_params();
        self.state.m.align();
        let Some(frame) = self.frames.last_mut() else { return };
        self.state.m.bind(&mut frame.label);
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let cond = self.pop_condition();
        let mut skip = Label::default();
        self.open(Opened::If(skip), ty);
        self.settle_params();
        self.state.m.branch(cond.negated(), &mut skip);
        self.top().opened = Opened::If(skip);
    }

    /// Everything to its slot: a state that another edge can reproduce. Leaves the flags alone.
    fn settle_params(&mut self) {
        let height = self.top().height;
        self.state.settle(self.state.stack.len());
        self.state.settle_consts(height);
    }

    pub(super) fn top(&mut self) -> &mut Frame<'a> {
        self.frames.last_mut().expect("an operator is in a frame")
    }

    pub(super) fn depth(&mut self, depth: u32) -> usize {
        self.frames.len() - 1 - depth as usize
    }

    /// Code after this cannot be reached until a frame ends.
    pub(super) fn unreachable(&mut self) {
        let height = self.top().height;
        self.state.truncate(height);
        self.state.free_all();
        self.reachable = false;
    }

    pub(super) fn else_(&mut self) {
        let frame = *self.top();
        let Opened::If(mut skip) = frame.opened else { return };
        if self.reachable {
            self.move_results(frame);
            let Some(top) = self.frames.last_mut() else { return };
            self.state.m.jump(&mut top.label);
        }
        self.state.truncate(frame.height);
        self.state.free_all();
        self.state.m.bind(&mut skip);
        for &kind in frame.params {
            self.state.push(kind, Loc::Slot);
        }
        self.top().opened = Opened::Else;
        self.reachable = true;
    }

    pub(super) fn end(&mut self) {
        let frame = *self.top();
        match frame.opened {
            Opened::Dead(_) | Opened::Loop => {}
            Opened::If(skip) => self.end_of_if(frame, skip),
            Opened::Block | Opened::Else => self.merge(frame),
            Opened::Try(outer) => {
                self.state.m.sites().handler = outer;
                self.merge(frame);
            }
            Opened::Function => {
                self.merge(frame);
                if self.reachable {
                    self.leave();
                }
            }
        }
        self.close();
    }

    /// Where a block's edges meet. Without a branch to it there is nothing to agree upon.
    fn merge(&mut self, frame: Frame<'a>) {
        if !frame.label.is_used() && frame.pads.is_none() {
            return;
        }
        if self.reachable {
            self.move_results(frame);
        }
        self.arrive(frame, frame.label);
    }

    /// An `if` without `else`: its parameters are its results.
    fn end_of_if(&mut self, frame: Frame<'a>, mut skip: Label) {
        let mut label = frame.label;
        if self.reachable {
            self.move_results(frame);
        }
        if !frame.results.is_empty() {
            if self.reachable {
                self.state.m.jump(&mut label);
            }
            self.state.m.bind(&mut skip);
            self.state.truncate(frame.height);
            self.state.free_all();
            for &kind in frame.params {
                self.state.push(kind, Loc::Slot);
            }
            self.move_results(frame);
        } else {
            self.state.m.bind(&mut skip);
        }
        self.arrive(frame, label);
    }

    /// The frame's end, and the state there: results where branches put them.
    fn arrive(&mut self, frame: Frame<'a>, mut label: Label) {
        self.state.m.bind(&mut label);
        self.top().label = label;
        self.state.truncate(frame.height);
        self.state.free_all();
        let Some((&last, others)) = frame.results.split_last() else {
            self.reachable = true;
            return;
        };
        for &kind in others {
            self.state.push(kind, Loc::Slot);
        }
        self.state.push_reg(last, M::result(last));
        self.reachable = true;
    }

    /// What the branch's value at `index` of `carried` has to become: its place, if it is not there.
    fn place(&self, frame: &Frame<'_>, index: usize) -> (Kind, Dst, Src) {
        let carried = frame.carried();
        let (kind, src) = self.state.peek(carried.len() - 1 - index);
        let in_reg = index + 1 == carried.len() && frame.opened != Opened::Loop;
        let dst =
            if in_reg { Dst::Reg(M::result(carried[index])) } else { Dst::Slot(self.state.slot(frame.height + index)) };
        (kind, dst, src)
    }

    fn needs_moves(&self, frame: &Frame<'_>) -> bool {
        (0..frame.carried().len()).any(|index| match self.place(frame, index) {
            (_, Dst::Reg(dst), src) => src != Src::Reg(dst),
            (_, Dst::Slot(dst), src) => src != Src::Slot(dst),
        })
    }

    /// Copies what a branch carries to where it goes; the state stays, so that this may be one of two ways.
    ///
    /// Slots are written from the lowest: a value's own slot is never below the one that it goes to. The register comes last, since
    /// it may hold one of the others.
    fn move_results(&mut self, frame: Frame<'a>) {
        for index in 0..frame.carried().len() {
            let (kind, dst, src) = self.place(&frame, index);
            self.state.m.mov(kind, dst, src);
        }
    }

    pub(super) fn br(&mut self, depth: u32) {
        let index = self.depth(depth);
        let frame = self.frames[index];
        self.move_results(frame);
        if index == 0 && self.results.len() <= 1 {
            self.state.m.epilogue(&self.plan);
        } else {
            self.state.m.jump(&mut self.frames[index].label);
        }
        self.unreachable();
    }

    pub(super) fn return_(&mut self) {
        self.br(self.frames.len() as u32 - 1);
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let cond = self.pop_condition();
        self.branch(cond, depth);
    }

    /// Branches where `cond` holds; the moves of the taken way are its own.
    fn branch(&mut self, cond: Cond, depth: u32) {
        let index = self.depth(depth);
        let frame = self.frames[index];
        if !self.needs_moves(&frame) {
            return self.state.m.branch(cond, &mut self.frames[index].label);
        }
        let mut skip = Label::default();
        self.state.m.branch(cond.negated(), &mut skip);
        self.move_results(frame);
        self.state.m.jump(&mut self.frames[index].label);
        self.state.m.bind(&mut skip);
    }

    /// Branches without the reference on top where it is null.
    pub(super) fn br_on_null(&mut self, depth: u32) {
        let mut reference = self.state.pop();
        if reference.temp().is_empty() {
            let reg = self.state.alloc(false);
            self.state.m.mov(Kind::Ref, Dst::Reg(reg), reference.src());
            reference = Operand::temporary(Kind::Ref, reg);
        }
        let reg = self.state.in_reg(&mut reference);
        self.state.m.compare_zero(Width::W64, Src::Reg(reg));
        self.branch(Cond::Eq, depth);
        self.state.push_reg(Kind::Ref, reg);
    }

    /// Branches with the reference on top where it is not null.
    pub(super) fn br_on_non_null(&mut self, depth: u32) {
        let (_, src) = self.state.peek(0);
        self.state.m.compare_zero(Width::W64, src);
        self.branch(Cond::Ne, depth);
        self.state.drop_top();
    }

    pub(super) fn ref_as_non_null(&mut self) {
        let (_, src) = self.state.peek(0);
        self.state.m.compare_zero(Width::W64, src);
        self.state.m.trap_if(Cond::Eq, TrapCode::NullReference);
    }

    pub(super) fn br_table(&mut self, targets: &BrTable<'a>) {
        let mut operand = self.state.pop();
        let index = self.state.in_reg(&mut operand);
        if targets.len() < TABLE_CASES {
            self.br_chain(targets, index);
        } else {
            self.br_jump_table(targets, index);
        }
        self.state.release(operand);
        self.unreachable();
    }

    fn br_chain(&mut self, targets: &BrTable<'a>, index: Reg) {
        for (case, depth) in targets.targets().enumerate() {
            let Ok(depth) = depth else { break };
            self.state.m.compare(Width::W32, Src::Reg(index), Src::Imm(case as u64));
            self.branch(Cond::Eq, depth);
        }
        let default = self.depth(targets.default());
        let frame = self.frames[default];
        self.move_results(frame);
        self.state.m.jump(&mut self.frames[default].label);
    }

    /// Where branches carry values that have to move, entries lead to moves, one set for each target.
    fn br_jump_table(&mut self, targets: &BrTable<'a>, index: Reg) {
        self.state.m.compare(Width::W32, Src::Reg(index), Src::Imm(u64::from(targets.len())));
        self.branch(Cond::GeU, targets.default());
        let scratch = self.state.alloc(false);
        self.state.m.jump_table(index, scratch, targets.len());
        self.state.release_reg(scratch);
        let mut ways: BTreeMap<usize, Label> = BTreeMap::new();
        for depth in targets.targets().map_while(Result::ok) {
            let at = self.depth(depth);
            if self.needs_moves(&self.frames[at]) {
                self.state.m.table_entry(ways.entry(at).or_default());
            } else {
                self.state.m.table_entry(&mut self.frames[at].label);
            }
        }
        for (at, mut way) in ways {
            if self.is_full() {
                return;
            }
            self.state.m.bind(&mut way);
            self.move_results(self.frames[at]);
            self.state.m.jump(&mut self.frames[at].label);
        }
    }

    pub(super) fn trap(&mut self) {
        self.state.m.trap(TrapCode::Unreachable);
        self.unreachable();
    }

    /// The end of the function: results to where the caller expects them.
    fn leave(&mut self) {
        if self.results.len() > 1 {
            self.return_many();
        } else if let Some(&kind) = self.results.first() {
            let (_, src) = self.state.peek(0);
            self.state.m.mov(kind, Dst::Reg(M::result(kind)), src);
        }
        self.state.truncate(0);
        self.state.m.epilogue(&self.plan);
    }

    /// The first result in its register, the others in the store's area.
    fn return_many(&mut self) {
        self.state.settle(self.state.stack.len());
        let area = self.results_area();
        for (i, &kind) in self.results.iter().enumerate().skip(1) {
            let (_, src) = self.state.peek(self.results.len() - 1 - i);
            let scratch = self.state.alloc(crate::jit::masm::is_vector(kind));
            self.state.m.mov(kind, Dst::Reg(scratch), src);
            self.state.m.store_field(kind, result_place(area, i), Src::Reg(scratch));
            self.state.release_reg(scratch);
        }
        self.state.release_reg(area);
        let (kind, src) = self.state.peek(self.results.len() - 1);
        self.state.m.mov(kind, Dst::Reg(M::result(kind)), src);
    }
}
