//! Tables of references.
//!
//! # Safety
//! `base` of [`abi::Table`] leads to room for `capacity` entries, of which the first `len` are in use and the others zero, that is
//! null; it moves only here, while no guest runs. Function pointers in entries are to functions of the same store, or
//! kept by it, and live as long.

#![allow(unsafe_code, reason = "owns entries that compiled code reads; see the module's Safety section")]

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::ptr;

use crate::jit::abi::{self, FuncRef, TableEntry, TrapCode};
use crate::store::{AsContext, AsContextMut, Growth, StoreId, StoreOpaque};
use crate::{Error, HeapType, RefType, Result, TableType, Trap, Val, ValType};

/// The outcome of what can be outside of a table.
pub(crate) type Access<T> = std::result::Result<T, TrapCode>;

const OUTSIDE: TrapCode = TrapCode::TableOutOfBounds;

#[repr(C)]
pub(crate) struct TableData {
    /// First, so that a pointer to the whole is one to it.
    pub(crate) abi: abi::Table,
    ty: TableType,
    capacity: u64,
    /// Elements that it may grow to.
    most: u64,
    /// Whether it may hold something else than at first.
    changed: bool,
}

impl TableData {
    fn new(ty: &TableType, limit: u64) -> Result<TableData> {
        let bound = if ty.index64 { u64::MAX } else { u32::MAX.into() };
        let most = ty.maximum.unwrap_or(u64::MAX).min(bound).min(limit);
        let empty = abi::Table { base: ptr::null_mut(), len: 0 };
        let mut table = TableData { abi: empty, ty: ty.clone(), capacity: 0, most, changed: false };
        let refused = || Error::Limit(format!("a table of {} elements", ty.minimum));
        table.grow(ty.minimum, 0).ok_or_else(refused)?;
        Ok(table)
    }

    /// Its type, with the present size as the minimum.
    pub(crate) fn ty(&self) -> TableType {
        TableType { minimum: self.abi.len, ..self.ty.clone() }
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(crate) fn set_unchanged(&mut self) {
        self.changed = false;
    }

    /// Makes it what it was when it was made: nulls, and of its first size.
    pub(crate) fn reset(&mut self) {
        let used = self.abi.len as usize * self.entry_size();
        if used > 0 {
            // SAFETY: the entries in use; nulls are zeros.
            unsafe { ptr::write_bytes(self.abi.base.cast::<u8>(), 0, used) };
        }
        self.abi.len = self.ty.minimum;
    }

    fn holds_functions(&self) -> bool {
        self.ty.element.is_func()
    }

    /// Whether its elements are of a type with `top` above it.
    pub(crate) fn holds(&self, top: HeapType) -> bool {
        self.ty.element.heap().top() == top
    }

    fn entry_size(&self) -> usize {
        if self.holds_functions() { size_of::<TableEntry>() } else { size_of::<u64>() }
    }

    fn layout(&self, entries: u64) -> Option<Layout> {
        let bytes = usize::try_from(entries).ok()?.checked_mul(self.entry_size())?;
        Layout::from_size_align(bytes, align_of::<TableEntry>()).ok()
    }

    /// The old size, where it can grow by `delta` entries of `value`.
    pub(crate) fn grow(&mut self, delta: u64, value: u64) -> Option<u64> {
        let old = self.abi.len;
        let len = old.checked_add(delta).filter(|&len| len <= self.most)?;
        if len > self.capacity {
            self.reallocate(len.max(self.capacity.saturating_mul(2).min(self.most)))?;
        }
        self.abi.len = len;
        self.changed = true;
        if value != 0 {
            (old..len).for_each(|index| self.put(index, value));
        }
        Some(old)
    }

    fn reallocate(&mut self, capacity: u64) -> Option<()> {
        let layout = self.layout(capacity)?;
        // SAFETY: not empty, since it is more than the present capacity.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        if base.is_null() {
            return None;
        }
        let used = self.abi.len as usize * self.entry_size();
        // SAFETY: both have room for the entries in use, and they are different allocations.
        unsafe { ptr::copy_nonoverlapping(self.abi.base.cast::<u8>(), base, used) };
        self.free();
        self.abi.base = base.cast::<c_void>();
        self.capacity = capacity;
        Some(())
    }

    fn free(&mut self) {
        if let Some(layout) = self.layout(self.capacity).filter(|_| self.capacity > 0) {
            // SAFETY: allocated with this layout.
            unsafe { alloc::dealloc(self.abi.base.cast(), layout) };
        }
    }

    /// The place of entry `index`, which is inside.
    fn place(&self, index: u64) -> *mut u8 {
        debug_assert!(index < self.abi.len);
        // SAFETY: inside the allocation.
        unsafe { self.abi.base.cast::<u8>().add(index as usize * self.entry_size()) }
    }

    fn put(&mut self, index: u64, value: u64) {
        self.changed = true;
        let place = self.place(index);
        // SAFETY: the place is of this kind; a function's pointer is valid (see the module's Safety section).
        unsafe {
            if self.holds_functions() {
                place.cast::<TableEntry>().write(entry(value as *const FuncRef));
            } else {
                place.cast::<u64>().write(value);
            }
        }
    }

    pub(crate) fn get(&self, index: u64) -> Access<u64> {
        if index >= self.abi.len {
            return Err(OUTSIDE);
        }
        // SAFETY: inside; an entry of either kind begins with the reference's bits.
        Ok(unsafe { self.place(index).cast::<u64>().read() })
    }

    pub(crate) fn set(&mut self, index: u64, value: u64) -> Access<()> {
        self.check(index, 1)?;
        self.put(index, value);
        Ok(())
    }

    /// Whether the range is inside.
    pub(crate) fn check(&self, start: u64, len: u64) -> Access<()> {
        check_range(start, len, self.abi.len)
    }

    pub(crate) fn fill(&mut self, start: u64, value: u64, len: u64) -> Access<()> {
        self.check(start, len)?;
        (start..start + len).for_each(|index| self.put(index, value));
        Ok(())
    }

    /// Copies within the table, as if through a copy.
    fn copy_within(&mut self, target: u64, source: u64, len: u64) -> Access<()> {
        self.check(target, len)?;
        self.check(source, len)?;
        self.changed = true;
        if len > 0 {
            // SAFETY: both ranges are inside; they may overlap.
            unsafe { ptr::copy(self.place(source), self.place(target), len as usize * self.entry_size()) };
        }
        Ok(())
    }

    /// Copies from another table of the same kind.
    fn copy_from(&mut self, source_table: &TableData, target: u64, source: u64, len: u64) -> Access<()> {
        self.check(target, len)?;
        source_table.check(source, len)?;
        self.changed = true;
        if len > 0 {
            let bytes = len as usize * self.entry_size();
            // SAFETY: both ranges are inside, and of different allocations.
            unsafe { ptr::copy_nonoverlapping(source_table.place(source), self.place(target), bytes) };
        }
        Ok(())
    }

    /// Writes one entry for each value.
    pub(crate) fn write(&mut self, start: u64, values: impl ExactSizeIterator<Item = u64>) -> Access<()> {
        self.check(start, values.len() as u64)?;
        if values.len() == 0 {
            return Ok(());
        }
        self.changed = true;
        let first = self.place(start);
        // SAFETY: as many places as values are inside, and of this kind; functions' pointers are valid.
        unsafe {
            if self.holds_functions() {
                let first = first.cast::<TableEntry>();
                values.enumerate().for_each(|(at, value)| first.add(at).write(entry(value as *const FuncRef)));
            } else {
                let first = first.cast::<u64>();
                values.enumerate().for_each(|(at, value)| first.add(at).write(value));
            }
        }
        Ok(())
    }
}

impl Drop for TableData {
    fn drop(&mut self) {
        self.free();
    }
}

/// # Errors
/// [`TableOutOfBounds`](TrapCode::TableOutOfBounds), where the range does not end within `end`.
pub(crate) fn check_range(start: u64, len: u64, end: u64) -> Access<()> {
    if start.checked_add(len).is_some_and(|last| last <= end) { Ok(()) } else { Err(OUTSIDE) }
}

/// # Safety
/// `func` is null or leads to a function.
#[inline]
unsafe fn entry(func: *const FuncRef) -> TableEntry {
    // SAFETY: the caller's promise.
    let Some(target) = (unsafe { func.as_ref() }) else {
        return TableEntry { func: ptr::null(), code: ptr::null(), context: ptr::null_mut(), signature: 0 };
    };
    TableEntry { func, code: target.code, context: target.context, signature: target.signature }
}

impl StoreOpaque {
    /// Makes a table, and gives its place in the store.
    pub(crate) fn new_table(&mut self, ty: &TableType) -> Result<u32> {
        let config = self.engine().config();
        let (most, elements) = (config.max_tables, config.max_table_elements);
        self.check_count(self.tables.len() + 1, most, "tables", |limiter| limiter.tables())?;
        if !self.may_grow(Growth::Table, 0, ty.minimum, ty.maximum)? {
            return Err(Error::Limit(format!(
                "a table of {} elements: the store's limiter does not allow it",
                ty.minimum
            )));
        }
        let table = TableData::new(ty, elements)?;
        self.tables.push(crate::owned::Owned::new(table));
        Ok(self.tables.len() as u32 - 1)
    }

    /// The old size, if it can grow.
    ///
    /// # Errors
    /// The limiter's, which ends the guest.
    pub(crate) fn grow_table(&mut self, index: u32, delta: u64, value: u64) -> Result<Option<u64>> {
        let (ty, old) = (self.table_mut(index).ty.clone(), self.table_mut(index).abi.len);
        let allowed = self.may_grow(Growth::Table, old, old.saturating_add(delta), ty.maximum)?;
        let grown = if allowed { self.table_mut(index).grow(delta, value) } else { None };
        if grown.is_none() {
            self.grow_failed(Growth::Table, || format!("a table cannot grow by {delta} elements"))?;
        }
        Ok(grown)
    }

    pub(crate) fn table_mut(&mut self, index: u32) -> &mut TableData {
        self.tables[index as usize].get_mut()
    }

    /// Copies between tables of one kind, or within one.
    pub(crate) fn copy_table(&mut self, tables: (u32, u32), target: u64, source: u64, len: u64) -> Access<()> {
        if tables.0 == tables.1 {
            return self.table_mut(tables.0).copy_within(target, source, len);
        }
        let places = [tables.0 as usize, tables.1 as usize];
        let [to, from] = self.tables.get_disjoint_mut(places).map_err(|_| OUTSIDE)?;
        to.get_mut().copy_from(from.get(), target, source, len)
    }
}

/// A table in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    store: StoreId,
    index: u32,
}

impl Table {
    /// A table of the host's making, with `init` in every place.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit) and [`Type`](Error::Type).
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Val) -> Result<Table> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let value = bits(init, ty.element, store)?;
        let index = store.new_table(&ty)?;
        let filled = store.table_mut(index).fill(0, value, ty.minimum);
        filled.map_err(trap)?;
        Ok(Table::new_handle(store.id(), index))
    }

    pub(crate) fn new_handle(store: StoreId, index: u32) -> Table {
        Table { store, index }
    }

    pub(crate) fn index(self, store: &StoreOpaque) -> u32 {
        store.id().check(self.store);
        self.index
    }

    fn of(self, store: &StoreOpaque) -> &TableData {
        store.tables[self.index(store) as usize].get()
    }

    fn of_mut(self, store: &mut StoreOpaque) -> &mut TableData {
        let index = self.index(store);
        store.table_mut(index)
    }

    /// Its type, with the present size as the minimum.
    pub fn ty(&self, store: impl AsContext) -> TableType {
        self.of(store.as_context().opaque()).ty()
    }

    /// Its size.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.of(store.as_context().opaque()).abi.len
    }

    /// The reference at `index`; none if that is outside.
    pub fn get(&self, store: impl AsContext, index: u64) -> Option<Val> {
        let store = store.as_context();
        let table = self.of(store.opaque());
        let raw = abi::Global(u128::from(table.get(index).ok()?).to_le_bytes());
        Some(Val::from_raw(raw, ValType::Ref(table.ty.element), store.opaque()))
    }

    /// Sets the reference at `index`.
    ///
    /// # Errors
    /// A trap where that is outside, and [`Type`](Error::Type).
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let value = bits(value, self.of(store.opaque()).ty.element, store.opaque())?;
        self.of_mut(store.opaque_mut()).set(index, value).map_err(trap)
    }

    /// Grows by `delta` elements, each `init`, and gives the old size.
    ///
    /// # Errors
    /// [`Limit`](Error::Limit), where its maximum or the configuration does not allow it, and [`Type`](Error::Type).
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Val) -> Result<u64> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let init = bits(init, self.of(store).ty.element, store)?;
        let grown = store.grow_table(self.index, delta, init)?;
        grown.ok_or_else(|| Error::Limit(format!("a table cannot grow by {delta} elements")))
    }

    /// Sets `len` references from `start` on.
    ///
    /// # Errors
    /// A trap where not all of them are inside, and then none is set; [`Type`](Error::Type).
    pub fn fill(&self, mut store: impl AsContextMut, start: u64, value: Val, len: u64) -> Result<()> {
        let mut store = store.as_context_mut();
        let value = bits(value, self.of(store.opaque()).ty.element, store.opaque())?;
        self.of_mut(store.opaque_mut()).fill(start, value, len).map_err(trap)
    }

    /// Copies references from one table to another, or within one, as if through a copy.
    ///
    /// # Errors
    /// A trap where a range is not inside, and then none is copied; [`Type`](Error::Type), where the target's type does not allow
    /// what the source's does.
    pub fn copy(
        mut store: impl AsContextMut,
        target: &Table,
        target_start: u64,
        source: &Table,
        source_start: u64,
        len: u64,
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque_mut();
        let (wanted, found) = (ValType::Ref(target.of(store).ty.element), ValType::Ref(source.of(store).ty.element));
        if !found.matches(wanted, &store.engine().types()) {
            return Err(Error::Type(format!("type mismatch: expected {wanted}, found {found}")));
        }
        store.copy_table((target.index, source.index), target_start, source_start, len).map_err(trap)
    }
}

fn bits(value: Val, element: RefType, store: &StoreOpaque) -> Result<u64> {
    value.expect_type(ValType::Ref(element), store)?;
    Ok(u128::from_le_bytes(value.to_raw(store.id()).0) as u64)
}

fn trap(code: TrapCode) -> Error {
    Error::Trap(Trap::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(minimum: u32, maximum: u32) -> TableData {
        TableData::new(&TableType::new(RefType::EXTERNREF, minimum, Some(maximum)), 1000).unwrap()
    }

    #[test]
    fn ranges_are_checked_without_wrapping() {
        let mut table = words(4, 10);
        assert_eq!(table.fill(4, 1, 0), Ok(()));
        assert_eq!(table.fill(5, 1, 0), Err(OUTSIDE));
        assert_eq!(table.fill(u64::MAX, 1, 2), Err(OUTSIDE));
        assert_eq!(table.fill(1, 7, 3), Ok(()));
        assert_eq!((table.get(0), table.get(1), table.get(4)), (Ok(0), Ok(7), Err(OUTSIDE)));
    }

    #[test]
    fn grows_to_the_maximum_and_overlapping_copies_are_exact() {
        let mut table = words(4, 10);
        table.write(0, [1, 2, 3, 4].into_iter()).unwrap();
        assert_eq!(table.grow(6, 9), Some(4));
        assert_eq!(table.grow(1, 9), None);
        table.copy_within(1, 0, 4).unwrap();
        let entries: Vec<_> = (0..10).map(|index| table.get(index).unwrap()).collect();
        assert_eq!(entries, [1, 1, 2, 3, 4, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn the_configured_limit_holds() {
        let unbounded = TableType::new(RefType::FUNCREF, 0, None);
        let mut table = TableData::new(&unbounded, 8).unwrap();
        assert_eq!((table.grow(8, 0), table.grow(1, 0)), (Some(0), None));
        assert!(TableData::new(&TableType::new(RefType::FUNCREF, 9, None), 8).is_err());
    }
}
