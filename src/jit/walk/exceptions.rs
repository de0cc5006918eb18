//! Exceptions: what throws them, and where control lands when one is caught. See [`unwind`](crate::jit::unwind).

use super::Walk;
use crate::jit::abi::Builtin;
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, Label, Masm, Src};
use crate::jit::unwind::{Clause, Handler};
use wasmparser::{BlockType, Catch, TryTable};

use super::control::Opened;

/// A landing pad, which is emitted behind the function's body: the way from a clause to its label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pad<'a> {
    clause: u32,
    /// Where it leads, once that is known.
    target: Label,
    /// The pad before this one that leads to the same frame.
    next: Option<u32>,
    carried: &'a [Kind],
    /// Values on the stack below those that it carries.
    height: usize,
    is_loop: bool,
}

impl<'a, M: Masm> Walk<'a, M> {
    pub(super) fn try_table(&mut self, table: &TryTable) {
        let first = self.unwind.clauses.len() as u32;
        for catch in &table.catches {
            let (tag, by_reference, depth) = match *catch {
                Catch::One { tag, label } => (Some(tag), false, label),
                Catch::OneRef { tag, label } => (Some(tag), true, label),
                Catch::All { label } => (None, false, label),
                Catch::AllRef { label } => (None, true, label),
            };
            self.clause(Clause { tag, by_reference, landing: 0 }, depth);
        }
        let end = self.unwind.clauses.len() as u32;
        let outer = self.state.m.sites().handler;
        self.block_in(Opened::Try(outer), table.ty);
        if first < end {
            self.state.m.sites().handler = Some(self.unwind.handlers.len() as u32);
            self.unwind.handlers.push(Handler { outer, first, end });
        }
    }

    fn clause(&mut self, clause: Clause, depth: u32) {
        let index = self.depth(depth);
        let frame = &mut self.frames[index];
        let is_loop = frame.opened == Opened::Loop;
        self.pads.push(Pad {
            clause: self.unwind.clauses.len() as u32,
            target: frame.label,
            next: frame.pads,
            carried: frame.carried(),
            height: frame.height,
            is_loop,
        });
        if !is_loop {
            frame.pads = Some(self.pads.len() as u32 - 1);
        }
        self.unwind.clauses.push(clause);
    }

    /// A block whose parameters stay where they are.
    pub(super) fn block_in(&mut self, opened: Opened, ty: BlockType) {
        self.open(opened, ty);
        let height = self.top().height;
        self.state.settle(height);
    }

    /// Closes the innermost frame, whose end is bound if anything leads there.
    pub(super) fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let mut next = frame.pads;
        while let Some(pad) = next.map(|pad| &mut self.pads[pad as usize]) {
            pad.target = frame.label;
            next = pad.next;
        }
    }

    /// Emits the landing pads of the function.
    pub(super) fn landing_pads(&mut self) {
        for at in 0..self.pads.len() {
            if self.is_full() {
                return;
            }
            let mut pad = self.pads[at];
            self.state.m.bind(&mut Label::default());
            self.unwind.clauses[pad.clause as usize].landing = self.state.m.position();
            self.each_unsaved(|m, kind, pin, home| m.mov(kind, Dst::Reg(pin), Src::Slot(home)));
            self.receive_values(&pad);
            self.state.m.jump(&mut pad.target);
        }
        self.pads.clear();
    }

    /// The exception's values, to where the label wants them.
    fn receive_values(&mut self, pad: &Pad<'_>) {
        if pad.carried.is_empty() {
            return;
        }
        let others = M::TEMPS.class(false).into_iter().find(|&reg| reg != M::GENERAL_RESULT);
        let area = others.expect("there are several temporaries");
        self.load_results_area(area);
        for (index, &kind) in pad.carried.iter().enumerate() {
            let value = M::result(kind);
            self.state.m.load_field(kind, value, Address::new(area, 16 * index as u32));
            if pad.is_loop || index + 1 < pad.carried.len() {
                self.state.m.mov(kind, Dst::Slot(self.state.slot(pad.height + index)), Src::Reg(value));
            }
        }
    }

    /// The values go to the store's area for results, where the runtime takes them.
    pub(super) fn throw(&mut self, tag: u32) {
        let env = self.env;
        let params = &env.types[env.tags[tag as usize] as usize].params;
        let area = self.results_area();
        for (index, &kind) in params.iter().enumerate() {
            let (_, src) = self.state.peek(params.len() - 1 - index);
            let place = Address::new(area, 16 * index as u32);
            if let Src::Reg(_) = src {
                self.state.m.store_field(kind, place, src);
                continue;
            }
            let scratch = self.state.alloc(crate::jit::masm::is_vector(kind));
            self.state.m.mov(kind, Dst::Reg(scratch), src);
            self.state.m.store_field(kind, place, Src::Reg(scratch));
            self.state.release_reg(scratch);
        }
        self.state.release_reg(area);
        self.state.truncate(self.state.stack.len() - params.len());
        self.runtime(Builtin::throw, &[tag], 0, None);
        self.trap();
    }

    pub(super) fn throw_ref(&mut self) {
        self.runtime(Builtin::throw_ref, &[], 1, None);
        self.trap();
    }

    /// A tail call is no longer in the blocks around it when it happens.
    pub(super) fn outside_of_tries(&mut self, act: impl FnOnce(&mut Self)) {
        let handler = self.state.m.sites().handler.take();
        act(self);
        self.state.m.sites().handler = handler;
    }
}
