//! What compiled code calls for: growth, bulk operations, tables. Everything here that takes more than one store to
//! stay consistent is out of reach of an interruption.
//!
//! Bulk operations take as long as the guest likes: they go in pieces, between which the guest can be stopped. What is written by
//! then stays, as bytes and whole elements, as with any other trap on the way.
//!
//! # Safety
//! Compiled code calls these with its own context and with indices that were validated with its module; while it waits, nothing
//! borrows its store, and nothing borrows its instance mutably; they are different allocations.

#![allow(unsafe_code, reason = "called by compiled code; see the module's Safety section")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::InstanceData;
use crate::Func;
use crate::jit::abi::{Builtins, Context, Returned, TrapCode};
use crate::memory::GROW_FAILED;
use crate::module::Elements;
use crate::store::{Pending, StoreOpaque};
use crate::table::{Access, TableData, check_range};

/// The table of all of them.
pub(crate) static BUILTINS: Builtins = Builtins {
    memory_grow,
    memory_copy,
    memory_fill,
    memory_init,
    data_drop,
    table_get,
    table_set,
    table_grow,
    table_fill,
    table_copy,
    table_init,
    elem_drop,
    table_function,
    throw,
    throw_ref,
};

/// Target, source and length of a bulk operation.
type Span = (u64, u64, u64);

/// Bytes of a piece of a bulk operation: some hundred microseconds, where the pages are new.
const BYTES: u64 = 1 << 20;

/// Elements of a piece.
const ELEMENTS: u64 = 1 << 14;

/// Bytes for a unit of fuel.
const BYTES_A_UNIT: u64 = 64;

/// What a builtin gives, or why the guest ends.
type Outcome<R> = Result<R, Pending>;

/// Which piece comes first, where a range is copied onto itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Upwards,
    Downwards,
}

impl Order {
    /// So that no piece is written before it is read.
    fn of_copy(target: u64, source: u64) -> Order {
        if target <= source { Order::Upwards } else { Order::Downwards }
    }
}

/// Does an operation on `len` items in pieces: each gets its offset and length.
fn in_pieces(
    store: &mut StoreOpaque,
    (len, most): (u64, u64),
    order: Order,
    mut piece: impl FnMut(&mut StoreOpaque, u64, u64) -> Access<()>,
) -> Access<()> {
    let mut done = 0;
    while done < len {
        let now = most.min(len - done);
        piece(store, if order == Order::Upwards { done } else { len - done - now }, now)?;
        done += now;
        if store.interrupt.is_requested() {
            return Err(TrapCode::Interrupted);
        }
    }
    Ok(())
}

/// # Safety
/// As for [`run`].
unsafe fn parts<'a>(context: *mut Context) -> (&'a mut StoreOpaque, &'a InstanceData) {
    // SAFETY: the caller's promise; an instance's context has both.
    unsafe { (&mut *(*context).store.cast::<StoreOpaque>(), &*(*context).instance.cast::<InstanceData>()) }
}

unsafe extern "C" fn throw(context: *mut Context, tag: u64) -> Returned {
    // SAFETY: compiled code calls this with its context.
    let (store, instance) = unsafe { parts(context) };
    store.throw(instance.tag(tag as u32))
}

unsafe extern "C" fn throw_ref(context: *mut Context, exception: u64) -> Returned {
    // SAFETY: compiled code calls this with its context.
    let (store, _) = unsafe { parts(context) };
    store.fail(match exception {
        0 => Pending::Trap(TrapCode::NullReference),
        exception => Pending::Exception(exception),
    })
}

/// Runs a builtin for the instance of `context`; a trap is kept for when the guest is unwound.
///
/// # Safety
/// `context` is an instance's, which called; see the module's Safety section.
unsafe fn run<R: Into<u64>>(
    context: *mut Context,
    builtin: impl FnOnce(&mut StoreOpaque, &InstanceData) -> Outcome<R>,
) -> Returned {
    // SAFETY: the caller's promise.
    let (store, instance) = unsafe { parts(context) };
    // A store's limiter may panic.
    match catch_unwind(AssertUnwindSafe(|| builtin(store, instance))) {
        Ok(Ok(_)) if store.interrupt.is_requested() => store.fail(Pending::Trap(TrapCode::Interrupted)),
        Ok(Ok(bits)) => Returned { bits: bits.into(), status: 0 },
        Ok(Err(reason)) => store.fail(reason),
        Err(panic) => store.fail(Pending::Panic(panic)),
    }
}

/// Nothing, as a result.
const DONE: Outcome<u64> = Ok(0);

macro_rules! builtins {
    ($($name:ident($store:ident, $instance:ident $(, $arg:ident)*) $body:block)*) => {
        $(unsafe extern "C" fn $name(context: *mut Context, $($arg: u64),*) -> Returned {
            // SAFETY: compiled code calls this with its context.
            unsafe { run(context, |$store, $instance| -> Outcome<u64> { $body }) }
        })*
    };
}

builtins! {
    memory_grow(store, instance, memory, pages) {
        Ok(store.grow_memory(instance.memories[memory as usize], pages)?.unwrap_or(GROW_FAILED))
    }

    memory_copy(store, instance, target_memory, source_memory, target, source, len) {
        let memories = (instance.memories[target_memory as usize], instance.memories[source_memory as usize]);
        copy_memory(store, memories, (target, source, len))?;
        DONE
    }

    memory_fill(store, instance, memory, target, value, len) {
        let memory = instance.memories[memory as usize] as usize;
        slice(store.memories[memory].get_mut().bytes_mut(), target, len)?;
        store.spend_fuel(len / BYTES_A_UNIT)?;
        in_pieces(store, (len, BYTES), Order::Upwards, |store, at, len| {
            slice(store.memories[memory].get_mut().bytes_mut(), target + at, len)?.fill(value as u8);
            Ok(())
        })?;
        DONE
    }

    memory_init(store, instance, memory, segment, target, source, len) {
        store.spend_fuel(len / BYTES_A_UNIT)?;
        init_memory(store, instance, memory as u32, segment as usize, (target, source, len))?;
        DONE
    }

    data_drop(_store, instance, segment) {
        instance.dropped_data[segment as usize].set(true);
        DONE
    }

    table_get(store, instance, table, index) {
        Ok(store.table_mut(instance.tables[table as usize]).get(index)?)
    }

    table_set(store, instance, table, index, value) {
        store.table_mut(instance.tables[table as usize]).set(index, value)?;
        DONE
    }

    table_grow(store, instance, table, value, delta) {
        let old = store.grow_table(instance.tables[table as usize], delta, value)?;
        store.spend_fuel(old.map_or(0, |_| delta))?;
        Ok(old.unwrap_or(GROW_FAILED))
    }

    table_fill(store, instance, table, target, value, len) {
        let table = instance.tables[table as usize];
        store.table_mut(table).check(target, len)?;
        store.spend_fuel(len)?;
        in_pieces(store, (len, ELEMENTS), Order::Upwards, |store, at, len| {
            store.table_mut(table).fill(target + at, value, len)
        })?;
        DONE
    }

    table_copy(store, instance, target_table, source_table, target, source, len) {
        let tables = (instance.tables[target_table as usize], instance.tables[source_table as usize]);
        store.table_mut(tables.0).check(target, len)?;
        store.table_mut(tables.1).check(source, len)?;
        store.spend_fuel(len)?;
        in_pieces(store, (len, ELEMENTS), Order::of_copy(target, source), |store, at, len| {
            store.copy_table(tables, target + at, source + at, len)
        })?;
        DONE
    }

    table_init(store, instance, table, segment, target, source, len) {
        store.spend_fuel(len)?;
        init_table(store, instance, table as u32, segment as usize, (target, source, len))?;
        DONE
    }

    table_function(store, instance, table, ty, index) {
        let wanted = instance.module.signatures()[ty as usize];
        Ok(find_function(store, instance.tables[table as usize], wanted, index)?)
    }

    elem_drop(_store, instance, segment) {
        instance.dropped_elements[segment as usize].set(true);
        DONE
    }
}

/// Where a function may be of a subtype of the one that it is called as, the caller cannot simply compare numbers.
fn find_function(store: &StoreOpaque, table: u32, wanted: u32, index: u64) -> Access<u64> {
    let bits = store.tables[table as usize].get().get(index).map_err(|_| TrapCode::UndefinedElement)?;
    let func = Func::from_bits(bits, store.id()).ok_or(TrapCode::UninitializedElement)?;
    if store.engine().is_subtype(func.signature(store.id()), wanted) {
        Ok(bits)
    } else {
        Err(TrapCode::IndirectCallTypeMismatch)
    }
}

/// The range of a memory.
fn slice(bytes: &mut [u8], start: u64, len: u64) -> Access<&mut [u8]> {
    check_range(start, len, bytes.len() as u64).map_err(|_| TrapCode::MemoryOutOfBounds)?;
    Ok(&mut bytes[start as usize..][..len as usize])
}

fn copy_memory(store: &mut StoreOpaque, memories: (u32, u32), (target, source, len): Span) -> Access<()> {
    slice(store.memories[memories.0 as usize].get_mut().bytes_mut(), target, len)?;
    slice(store.memories[memories.1 as usize].get_mut().bytes_mut(), source, len)?;
    store.spend_fuel(len / BYTES_A_UNIT)?;
    in_pieces(store, (len, BYTES), Order::of_copy(target, source), |store, at, len| {
        copy_piece(store, memories, (target + at, source + at, len))
    })
}

fn copy_piece(store: &mut StoreOpaque, memories: (u32, u32), (target, source, len): Span) -> Access<()> {
    if memories.0 == memories.1 {
        let bytes = store.memories[memories.0 as usize].get_mut().bytes_mut();
        bytes.copy_within(source as usize..(source + len) as usize, target as usize);
        return Ok(());
    }
    let places = [memories.0 as usize, memories.1 as usize];
    let [to, from] = store.memories.get_disjoint_mut(places).map_err(|_| TrapCode::MemoryOutOfBounds)?;
    let from = &from.get().bytes()[source as usize..][..len as usize];
    slice(to.get_mut().bytes_mut(), target, len)?.copy_from_slice(from);
    Ok(())
}

/// Writes part of a data segment, of which nothing is left if it is dropped.
pub(super) fn init_memory(
    store: &mut StoreOpaque,
    instance: &InstanceData,
    memory: u32,
    segment: usize,
    (target, source, len): Span,
) -> Access<()> {
    let bytes: &[u8] =
        if instance.dropped_data[segment].get() { &[] } else { &instance.module.info().data[segment].bytes };
    check_range(source, len, bytes.len() as u64).map_err(|_| TrapCode::MemoryOutOfBounds)?;
    let memory = instance.memories[memory as usize] as usize;
    slice(store.memories[memory].get_mut().bytes_mut(), target, len)?;
    in_pieces(store, (len, BYTES), Order::Upwards, |store, at, len| {
        let part = &bytes[(source + at) as usize..][..len as usize];
        slice(store.memories[memory].get_mut().bytes_mut(), target + at, len)?.copy_from_slice(part);
        Ok(())
    })
}

/// Writes part of an element segment, of which nothing is left if it is dropped. Its references are made when they
/// are written: what they depend on does not change.
pub(super) fn init_table(
    store: &mut StoreOpaque,
    instance: &InstanceData,
    table: u32,
    segment: usize,
    (target, source, len): Span,
) -> Access<()> {
    let elements = &instance.module.info().elements[segment].elements;
    let present = if instance.dropped_elements[segment].get() { 0 } else { elements.len() as u64 };
    check_range(source, len, present)?;
    let table = instance.tables[table as usize];
    store.table_mut(table).check(target, len)?;
    in_pieces(store, (len, ELEMENTS), Order::Upwards, |store, at, len| {
        let range = (source + at) as usize..(source + at + len) as usize;
        init_elements(store.table_mut(table), instance, target + at, elements, range)
    })
}

fn init_elements(
    table: &mut TableData,
    instance: &InstanceData,
    target: u64,
    elements: &Elements,
    range: Range<usize>,
) -> Access<()> {
    match elements {
        Elements::Functions(functions) => {
            let reference = |&function: &u32| instance.func_ref(function).as_ptr() as u64;
            table.write(target, functions[range].iter().map(reference))
        }
        Elements::Expressions(expressions) => {
            table.write(target, expressions[range].iter().map(|init| instance.evaluate(init) as u64))
        }
    }
}
