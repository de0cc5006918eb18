//! Calls, and what the runtime does for the guest.

use super::Walk;
use crate::jit::abi::{Builtin, Context, Import};
use crate::jit::convention::{Place, Places};
use crate::jit::env::Kind;
use crate::jit::masm::{Address, Dst, Machine, Masm, Slot, Src};
use crate::jit::ops::Convert;
use crate::jit::reg::Reg;
use crate::jit::state::Loc;
use std::mem::offset_of;

/// The place of a result after the first in the store's area.
pub(super) fn result_place(area: Reg, index: usize) -> Address {
    Address::new(area, 16 * (index as u32 - 1))
}

impl<'a, M: Masm> Walk<'a, M> {
    pub(super) fn call(&mut self, function: u32) {
        let env = self.env;
        let signature = &env.types[env.functions[function as usize] as usize];
        let results = &signature.results[..];
        self.arguments(&signature.params, None);
        if function < env.imported_functions {
            let import = env.layout.imports + function * size_of::<Import>() as u32;
            self.state.m.call_import(import, results.first().copied());
        } else {
            self.state.m.call(function - env.imported_functions);
        }
        self.returned(results);
    }

    pub(super) fn call_indirect(&mut self, ty: u32, table: u32) {
        if self.env.open_types[ty as usize] {
            self.runtime(Builtin::table_function, &[table, ty], 1, Some(Kind::Ref));
            return self.call_ref(ty);
        }
        let env = self.env;
        let signature = &env.types[ty as usize];
        let results = &signature.results[..];
        self.arguments(&signature.params, Some(M::GENERAL_RESULT));
        let table = env.layout.tables + 8 * table;
        self.state.m.call_indirect(table, env.layout.signatures + 4 * ty, results.first().copied());
        self.returned(results);
    }

    pub(super) fn call_ref(&mut self, ty: u32) {
        let signature = &self.env.types[ty as usize];
        let results = &signature.results[..];
        self.arguments(&signature.params, Some(M::GENERAL_RESULT));
        self.state.m.call_ref(results.first().copied());
        self.returned(results);
    }

    /// A host function, or another instance's, is called and its results returned: its frame is not ours to replace.
    pub(super) fn return_call(&mut self, function: u32) {
        if function < self.env.imported_functions {
            self.outside_of_tries(|walk| walk.call(function));
            return self.return_();
        }
        let signature = &self.env.types[self.env.functions[function as usize] as usize];
        self.tail_arguments(&signature.params, None);
        self.state.m.tail_call(function - self.env.imported_functions, &self.plan);
        self.unreachable();
    }

    pub(super) fn return_call_indirect(&mut self, ty: u32, table: u32) {
        if self.env.open_types[ty as usize] {
            self.runtime(Builtin::table_function, &[table, ty], 1, Some(Kind::Ref));
            return self.return_call_ref(ty);
        }
        let env = self.env;
        let signature = &env.types[ty as usize];
        self.tail_arguments(&signature.params, Some(M::GENERAL_RESULT));
        let (table, id) = (env.layout.tables + 8 * table, env.layout.signatures + 4 * ty);
        let stack = Places::<M>::stack_bytes(&signature.params);
        self.outside_of_tries(|walk| {
            walk.state.m.tail_call_indirect(table, id, signature.results.first().copied(), stack, &walk.plan);
        });
        self.unreachable();
    }

    pub(super) fn return_call_ref(&mut self, ty: u32) {
        let signature = &self.env.types[ty as usize];
        self.tail_arguments(&signature.params, Some(M::GENERAL_RESULT));
        let stack = Places::<M>::stack_bytes(&signature.params);
        self.outside_of_tries(|walk| {
            walk.state.m.tail_call_ref(signature.results.first().copied(), stack, &walk.plan);
        });
        self.unreachable();
    }

    /// Brings the arguments of a tail call to where this function got its own: nothing there is needed any more, since the prologue
    /// has brought stack parameters to their homes.
    fn tail_arguments(&mut self, params: &[Kind], index: Option<Reg>) {
        let frame = M::incoming(&self.plan, 0);
        self.place_arguments(params, index, frame);
    }

    /// Brings the arguments into place, and the index on top of them into `index` if there is one.
    fn arguments(&mut self, params: &[Kind], index: Option<Reg>) {
        self.before_call(params.len() + usize::from(index.is_some()));
        self.place_arguments(params, index, 0);
    }

    /// Takes the arguments off the stack, to their registers and to the slots from `stack` on.
    fn place_arguments(&mut self, params: &[Kind], index: Option<Reg>, stack: u32) {
        let count = params.len() + usize::from(index.is_some());
        let mut places = Places::<M>::new();
        for (i, &kind) in params.iter().enumerate() {
            let (_, src) = self.state.peek(count - 1 - i);
            match places.next(kind) {
                Place::Reg(reg) => self.moves.add(kind, reg, src),
                Place::Stack(offset) => self.state.m.mov(kind, Dst::Slot(Slot::at(stack + offset)), src),
            }
        }
        if let Some(index) = index {
            let (kind, src) = self.state.peek(0);
            self.moves.add(kind, index, src);
        }
        self.moves.resolve(&mut self.state.m);
        self.state.truncate(self.state.stack.len() - count);
    }

    /// Saves what a call destroys: temporaries below the `arguments`, and pins.
    fn before_call(&mut self, arguments: usize) {
        self.state.settle_temps(self.state.stack.len() - arguments);
        self.each_unsaved(|m, kind, pin, home| m.mov(kind, Dst::Slot(home), Src::Reg(pin)));
    }

    fn after_call(&mut self) {
        self.state.free_all();
        self.each_unsaved(|m, kind, pin, home| m.mov(kind, Dst::Reg(pin), Src::Slot(home)));
    }

    pub(super) fn each_unsaved(&mut self, mut act: impl FnMut(&mut M, Kind, Reg, Slot)) {
        for &index in &self.pins.unsaved {
            let local = self.state.locals[index as usize];
            if let Some(pin) = local.pin {
                act(&mut self.state.m, local.kind, pin, local.home);
            }
        }
    }

    fn returned(&mut self, results: &[Kind]) {
        self.after_call();
        let Some((&first, others)) = results.split_first() else { return };
        self.state.push_reg(first, M::result(first));
        if others.is_empty() {
            return;
        }
        let area = self.results_area();
        for (i, &kind) in others.iter().enumerate() {
            let reg = self.state.alloc(crate::jit::masm::is_vector(kind));
            self.state.m.load_field(kind, reg, result_place(area, i + 1));
            self.state.push_reg(kind, reg);
        }
        self.state.release_reg(area);
    }

    /// The address of the store's area for results, in a temporary.
    pub(super) fn results_area(&mut self) -> Reg {
        let area = self.state.alloc(false);
        self.load_results_area(area);
        area
    }

    pub(super) fn load_results_area(&mut self, area: Reg) {
        let place = Address::new(M::CONTEXT, offset_of!(Context, results) as u32);
        self.state.m.load_field(Kind::Ref, area, place);
    }

    /// Calls the runtime with constants, then the `operands` values on top of the stack.
    pub(super) fn runtime(&mut self, builtin: Builtin, constants: &[u32], operands: usize, result: Option<Kind>) {
        self.before_call(operands);
        let registers = M::BUILTIN_ARGS;
        for (i, &reg) in registers[constants.len()..constants.len() + operands].iter().enumerate() {
            let (kind, src) = self.state.peek(operands - 1 - i);
            self.moves.add(kind, reg, src);
        }
        self.moves.resolve(&mut self.state.m);
        for (&constant, &reg) in constants.iter().zip(registers) {
            self.state.m.mov(Kind::I32, Dst::Reg(reg), Src::Imm(u64::from(constant)));
        }
        self.state.truncate(self.state.stack.len() - operands);
        self.state.m.call_builtin(builtin);
        self.after_call();
        if let Some(kind) = result {
            let reg = <M as Machine>::GENERAL_RESULT;
            if kind == Kind::I32 {
                self.state.m.convert(Convert::Wrap, reg, reg);
            }
            self.state.push_reg(kind, reg);
        }
    }

    pub(super) fn ref_func(&mut self, function: u32) {
        let env = self.env;
        if function < env.imported_functions {
            let dst = self.state.alloc(false);
            let import = env.layout.imports + function * size_of::<Import>() as u32;
            let place = Address::new(M::CONTEXT, import + offset_of!(Import, func) as u32);
            self.state.m.load_field(Kind::Ref, dst, place);
            return self.state.push_reg(Kind::Ref, dst);
        }
        let Some(place) = env.escaping[function as usize] else {
            // Validation lets `ref.func` name only functions that the module declares as referred to.
            return self.state.push(Kind::Ref, Loc::Const(0));
        };
        let dst = self.state.alloc(false);
        let record = env.layout.func_refs + place * size_of::<crate::jit::abi::FuncRef>() as u32;
        self.state.m.address_of(dst, Address::new(M::CONTEXT, record));
        self.state.push_reg(Kind::Ref, dst);
    }
}
