//! Linear memory, locals, globals.

use super::Walk;
use crate::jit::abi::{Builtin, MEMORY_GUARD, Memory, MemoryStyle, Table, TrapCode};
use crate::jit::env::{Kind, MemoryEnv};
use crate::jit::masm::{Address, Dst, Masm, Src, is_vector};
use crate::jit::ops::{Cond, IntOp, Load, Store, Width};
use crate::jit::reg::{Reg, RegSet};
use crate::jit::state::{Loc, Operand};
use std::mem::offset_of;
use wasmparser::{MemArg, MemArgTarget};

/// The end of what a 32-bit index can reach.
const FOUR_GIB: u64 = 1 << 32;

/// A place in linear memory, and the temporaries that it keeps busy.
pub(super) struct Place {
    pub(super) address: Address,
    /// Whether a fault is what tells that it lies outside.
    guarded: bool,
    pub(super) temps: [RegSet; 2],
}

impl<M: Masm> Walk<'_, M> {
    /// Kind and size are known where the operator is.
    #[inline(always)]
    pub(super) fn load(&mut self, op: Load, memarg: MemArg) {
        self.load_value(op, op.kind(), op.size(), memarg);
    }

    fn load_value(&mut self, op: Load, kind: Kind, size: u64, memarg: MemArg) {
        let Some(place) = self.place_in_memory(memarg, size) else { return self.never(kind) };
        let dst = self.result(kind, place.temps);
        self.state.m.load(op, dst, place.address);
        self.state.push_reg(kind, dst);
    }

    /// The result of an access that always traps.
    pub(super) fn never(&mut self, kind: Kind) {
        self.state.push(kind, Loc::Const(0));
    }

    /// As [`Walk::load`].
    #[inline(always)]
    pub(super) fn store(&mut self, op: Store, memarg: MemArg) {
        self.store_value(op, op.size(), memarg);
    }

    fn store_value(&mut self, op: Store, size: u64, memarg: MemArg) {
        let mut value = self.state.pop();
        if !matches!(value.src(), Src::Imm(_)) || op == Store::V128 {
            self.state.in_reg(&mut value);
        }
        if let Some(place) = self.place_to_store(memarg, size) {
            self.state.m.store(op, place.address, value.src());
            self.state.free_temps(place.temps);
        }
        self.state.release(value);
    }

    /// Takes an index off the stack and makes an address that is inside the memory, or faults, or was checked.
    /// `None` where it can only be outside; the trap is emitted then.
    #[inline(always)]
    pub(super) fn place_in_memory(&mut self, memarg: MemArg, size: u64) -> Option<Place> {
        let mut index = self.state.pop();
        let is_near = memory_of(memarg) == 0 && memarg.offset < self.near;
        if !is_near || matches!(index.src(), Src::Imm(_)) {
            return self.place_of_any_kind(index, memarg, size);
        }
        let reg = self.state.in_reg(&mut index);
        let address = Address::indexed(M::MEMORY, reg, memarg.offset as i32);
        Some(Place { address, guarded: true, temps: [index.temp(), RegSet::EMPTY] })
    }

    /// As [`Walk::place_in_memory`], for a store, of which nothing is to be seen where it traps.
    #[inline(always)]
    pub(super) fn place_to_store(&mut self, memarg: MemArg, size: u64) -> Option<Place> {
        let mut place = self.place_in_memory(memarg, size)?;
        if place.guarded {
            place.address = self.state.m.touch(size, place.address);
        }
        Some(place)
    }

    fn place_of_any_kind(&mut self, index: Operand, memarg: MemArg, size: u64) -> Option<Place> {
        let memory = self.env.memories[memory_of(memarg) as usize];
        if memory.style == MemoryStyle::Checked {
            return Some(self.checked_place(index, memarg, size));
        }
        let (base, base_temp) = self.memory_base(memory_of(memarg));
        if let Src::Imm(index) = index.src() {
            return self.constant_place(base, base_temp, index + memarg.offset, size);
        }
        let mut index = index;
        let reg = self.state.in_reg(&mut index);
        if memarg.offset + size <= MEMORY_GUARD {
            let address = Address::indexed(base, reg, memarg.offset as i32);
            return Some(Place { address, guarded: true, temps: [index.temp(), base_temp] });
        }
        let sum = self.sum(index, memarg.offset);
        self.state.m.compare(Width::W64, Src::Reg(sum), Src::Imm(FOUR_GIB));
        self.state.m.trap_if(Cond::GtU, TrapCode::MemoryOutOfBounds);
        let address = Address::indexed64(base, sum);
        Some(Place { address, guarded: true, temps: [RegSet::of(&[sum]), base_temp] })
    }

    fn constant_place(&mut self, base: Reg, base_temp: RegSet, at: u64, size: u64) -> Option<Place> {
        if at + size > FOUR_GIB {
            self.state.m.trap(TrapCode::MemoryOutOfBounds);
            self.state.free_temps([base_temp]);
            return None;
        }
        if let Ok(offset) = i32::try_from(at) {
            let address = Address::new(base, offset as u32);
            return Some(Place { address, guarded: true, temps: [base_temp, RegSet::EMPTY] });
        }
        let index = self.state.alloc(false);
        self.state.m.mov(Kind::I64, Dst::Reg(index), Src::Imm(at));
        let address = Address::indexed(base, index, 0);
        Some(Place { address, guarded: true, temps: [RegSet::of(&[index]), base_temp] })
    }

    /// `index + offset` in 64 bits, in a temporary that is not the index's own.
    fn sum(&mut self, mut index: Operand, offset: u64) -> Reg {
        let reg = self.state.in_reg(&mut index);
        let sum = self.state.alloc(false);
        self.state.m.mov(Kind::I64, Dst::Reg(sum), Src::Imm(offset));
        self.state.m.int_op(IntOp::Add, Width::W64, sum, sum, Src::Reg(reg));
        self.state.release(index);
        sum
    }

    /// Compares the end of the access with the memory's length.
    fn checked_place(&mut self, index: Operand, memarg: MemArg, size: u64) -> Place {
        let index64 = self.env.memories[memory_of(memarg) as usize].index64;
        let at = self.sum(index, memarg.offset);
        if index64 {
            self.state.m.compare(Width::W64, Src::Reg(at), Src::Imm(memarg.offset));
            self.state.m.trap_if(Cond::LtU, TrapCode::MemoryOutOfBounds);
        }
        let record = self.memory_record(memory_of(memarg));
        let left = self.state.alloc(false);
        self.state.m.load_field(Kind::I64, left, Address::new(record, offset_of!(Memory, len) as u32));
        // Behind the access there must be room: len - at >= size, and no borrow.
        self.state.m.compare(Width::W64, Src::Reg(at), Src::Reg(left));
        self.state.m.trap_if(Cond::GtU, TrapCode::MemoryOutOfBounds);
        self.state.m.int_op(IntOp::Sub, Width::W64, left, left, Src::Reg(at));
        self.state.m.compare(Width::W64, Src::Reg(left), Src::Imm(size));
        self.state.m.trap_if(Cond::LtU, TrapCode::MemoryOutOfBounds);
        self.state.release_reg(left);
        self.state.m.load_field(Kind::Ref, record, Address::new(record, offset_of!(Memory, base) as u32));
        let address = Address::indexed64(record, at);
        Place { address, guarded: false, temps: [RegSet::of(&[at]), RegSet::of(&[record])] }
    }

    /// The base of a guarded memory, which never moves: pinned for the first one.
    fn memory_base(&mut self, memory: u32) -> (Reg, RegSet) {
        if memory == 0 {
            return (M::MEMORY, RegSet::EMPTY);
        }
        let record = self.memory_record(memory);
        self.state.m.load_field(Kind::Ref, record, Address::new(record, offset_of!(Memory, base) as u32));
        (record, RegSet::of(&[record]))
    }

    /// The address of a memory's record, in a temporary.
    fn memory_record(&mut self, memory: u32) -> Reg {
        self.record(self.env.layout.memories + 8 * memory)
    }

    fn record(&mut self, place: u32) -> Reg {
        let record = self.state.alloc(false);
        self.state.m.load_field(Kind::Ref, record, Address::new(M::CONTEXT, place));
        record
    }

    pub(super) fn memory_size(&mut self, memory: u32) {
        let env = self.env.memories[memory as usize];
        let dst = self.memory_record(memory);
        self.state.m.load_field(Kind::I64, dst, Address::new(dst, offset_of!(Memory, len) as u32));
        let shift = Src::Imm(u64::from(env.page_shift));
        self.state.m.int_op(IntOp::ShrU, Width::W64, dst, dst, shift);
        self.state.push_reg(index_kind(env.index64), dst);
    }

    pub(super) fn memory_grow(&mut self, memory: u32) {
        let kind = index_kind(self.env.memories[memory as usize].index64);
        self.runtime(Builtin::memory_grow, &[memory], 1, Some(kind));
    }

    pub(super) fn table_size(&mut self, table: u32) {
        let env = self.env.tables[table as usize];
        let dst = self.record(self.env.layout.tables + 8 * table);
        self.state.m.load_field(Kind::I64, dst, Address::new(dst, offset_of!(Table, len) as u32));
        self.state.push_reg(index_kind(env.index64), dst);
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        let kind = index_kind(self.env.tables[table as usize].index64);
        self.runtime(Builtin::table_grow, &[table], 2, Some(kind));
    }

    // Locals and globals.

    pub(super) fn local_set(&mut self, index: u32) {
        let value = self.state.pop();
        self.state.unalias(index);
        self.assign(index, value);
        self.state.release(value);
    }

    pub(super) fn local_tee(&mut self, index: u32) {
        let value = self.state.pop();
        self.state.unalias(index);
        self.assign(index, value);
        // An unpinned local's value is best left where it is.
        match (self.state.locals[index as usize].pin, value.temp().first()) {
            (None, Some(temp)) => self.state.push_reg(value.kind(), temp),
            _ => {
                self.state.release(value);
                self.state.push_local(index);
            }
        }
    }

    fn assign(&mut self, index: u32, value: Operand) {
        let local = self.state.locals[index as usize];
        let dst = local.pin.map_or(Dst::Slot(local.home), Dst::Reg);
        self.state.m.mov(local.kind, dst, value.src());
    }

    /// The place of a global; a temporary holds its address where it is imported.
    fn global(&mut self, index: u32) -> (Address, RegSet) {
        let env = self.env;
        if let Some(defined) = index.checked_sub(env.imported_globals) {
            return (Address::new(M::CONTEXT, env.layout.globals + 16 * defined), RegSet::EMPTY);
        }
        let record = self.record(env.layout.imported_globals + 8 * index);
        (Address::new(record, 0), RegSet::of(&[record]))
    }

    pub(super) fn global_get(&mut self, index: u32) {
        let kind = self.env.globals[index as usize].kind;
        let (place, temp) = self.global(index);
        let dst = self.result(kind, [temp]);
        self.state.m.load_field(kind, dst, place);
        self.state.push_reg(kind, dst);
    }

    pub(super) fn global_set(&mut self, index: u32) {
        let mut value = self.state.pop();
        if is_vector(value.kind()) || matches!(value.src(), Src::Slot(_)) {
            self.state.in_reg(&mut value);
        }
        let (place, temp) = self.global(index);
        self.state.m.store_field(value.kind(), place, value.src());
        self.state.free_temps([temp]);
        self.state.release(value);
    }
}

/// With an offset below this an access of any size falls on the memory or its guard, whatever the index.
pub(super) fn near_offsets(memory: &MemoryEnv) -> u64 {
    const LARGEST: u64 = 16;
    if memory.style == MemoryStyle::Checked { 0 } else { MEMORY_GUARD - LARGEST }
}

/// What indexes a memory or table.
fn index_kind(index64: bool) -> Kind {
    if index64 { Kind::I64 } else { Kind::I32 }
}

/// The memory that an access names.
fn memory_of(memarg: MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(index) => index,
        MemArgTarget::Array(_) => unreachable!("accesses to arrays were not validated"),
    }
}
