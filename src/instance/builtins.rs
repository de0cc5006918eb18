//! What compiled code calls for: growth, bulk operations, tables. Everything here that takes more than one store to
//! stay consistent is out of reach of an interruption.
//!
//! # Safety
//! Compiled code calls these with its own context and with indices that were validated with its module; while it waits, nothing
//! borrows its store, and nothing borrows its instance mutably; they are different allocations.

#![allow(unsafe_code, reason = "called by compiled code; see the module's Safety section")]

use super::InstanceData;
use crate::jit::abi::{Builtins, Context, Returned, TrapCode};
use crate::memory::GROW_FAILED;
use crate::module::Elements;
use crate::store::{Pending, StoreOpaque};
use crate::table::{Access, check_range};

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
};

/// Target, source and length of a bulk operation.
type Span = (u64, u64, u64);

/// Runs a builtin for the instance of `context`; a trap is kept for when the guest is unwound.
///
/// # Safety
/// `context` is an instance's, which called; see the module's Safety section.
unsafe fn run<R: Into<u64>>(
    context: *mut Context,
    builtin: impl FnOnce(&mut StoreOpaque, &InstanceData) -> Access<R>,
) -> Returned {
    // SAFETY: the caller's promise; an instance's context has both.
    let (store, instance) =
        unsafe { (&mut *(*context).store.cast::<StoreOpaque>(), &*(*context).instance.cast::<InstanceData>()) };
    match builtin(store, instance) {
        Ok(_) if store.interrupt.is_requested() => store.fail(Pending::Trap(TrapCode::Interrupted)),
        Ok(bits) => Returned { bits: bits.into(), status: 0 },
        Err(code) => store.fail(Pending::Trap(code)),
    }
}

/// Nothing, as a result.
const DONE: Access<u64> = Ok(0);

macro_rules! builtins {
    ($($name:ident($store:ident, $instance:ident $(, $arg:ident)*) $body:block)*) => {
        $(unsafe extern "C" fn $name(context: *mut Context, $($arg: u64),*) -> Returned {
            // SAFETY: compiled code calls this with its context.
            unsafe { run(context, |$store, $instance| -> Access<u64> { $body }) }
        })*
    };
}

builtins! {
    memory_grow(store, instance, memory, pages) {
        Ok(store.grow_memory(instance.memories[memory as usize], pages).unwrap_or(GROW_FAILED))
    }

    memory_copy(store, instance, target_memory, source_memory, target, source, len) {
        let memories = (instance.memories[target_memory as usize], instance.memories[source_memory as usize]);
        copy_memory(store, memories, (target, source, len))?;
        DONE
    }

    memory_fill(store, instance, memory, target, value, len) {
        let bytes = store.memories[instance.memories[memory as usize] as usize].get_mut().bytes_mut();
        slice(bytes, target, len)?.fill(value as u8);
        DONE
    }

    memory_init(store, instance, memory, segment, target, source, len) {
        init_memory(store, instance, memory as u32, segment as usize, (target, source, len))?;
        DONE
    }

    data_drop(_store, instance, segment) {
        instance.dropped_data[segment as usize].set(true);
        DONE
    }

    table_get(store, instance, table, index) {
        store.table_mut(instance.tables[table as usize]).get(index)
    }

    table_set(store, instance, table, index, value) {
        store.table_mut(instance.tables[table as usize]).set(index, value)?;
        DONE
    }

    table_grow(store, instance, table, value, delta) {
        Ok(store.table_mut(instance.tables[table as usize]).grow(delta, value).unwrap_or(GROW_FAILED))
    }

    table_fill(store, instance, table, target, value, len) {
        store.table_mut(instance.tables[table as usize]).fill(target, value, len)?;
        DONE
    }

    table_copy(store, instance, target_table, source_table, target, source, len) {
        let tables = (instance.tables[target_table as usize], instance.tables[source_table as usize]);
        store.copy_table(tables, target, source, len)?;
        DONE
    }

    table_init(store, instance, table, segment, target, source, len) {
        init_table(store, instance, table as u32, segment as usize, (target, source, len))?;
        DONE
    }

    elem_drop(_store, instance, segment) {
        instance.dropped_elements[segment as usize].set(true);
        DONE
    }
}

/// The range of a memory.
fn slice(bytes: &mut [u8], start: u64, len: u64) -> Access<&mut [u8]> {
    check_range(start, len, bytes.len() as u64).map_err(|_| TrapCode::MemoryOutOfBounds)?;
    Ok(&mut bytes[start as usize..][..len as usize])
}

fn copy_memory(store: &mut StoreOpaque, memories: (u32, u32), (target, source, len): Span) -> Access<()> {
    let outside = |_| TrapCode::MemoryOutOfBounds;
    if memories.0 == memories.1 {
        let bytes = store.memories[memories.0 as usize].get_mut().bytes_mut();
        check_range(target, len, bytes.len() as u64).map_err(outside)?;
        check_range(source, len, bytes.len() as u64).map_err(outside)?;
        bytes.copy_within(source as usize..(source + len) as usize, target as usize);
        return Ok(());
    }
    let places = [memories.0 as usize, memories.1 as usize];
    let [to, from] = store.memories.get_disjoint_mut(places).map_err(|_| TrapCode::MemoryOutOfBounds)?;
    let from = from.get().bytes();
    check_range(source, len, from.len() as u64).map_err(outside)?;
    slice(to.get_mut().bytes_mut(), target, len)?.copy_from_slice(&from[source as usize..][..len as usize]);
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
    let memory = store.memories[instance.memories[memory as usize] as usize].get_mut().bytes_mut();
    slice(memory, target, len)?.copy_from_slice(&bytes[source as usize..][..len as usize]);
    Ok(())
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
    let table = store.table_mut(instance.tables[table as usize]);
    let range = source as usize..(source + len) as usize;
    match elements {
        Elements::Functions(functions) if present > 0 => {
            let reference = |&function: &u32| instance.func_ref(function).as_ptr() as u64;
            table.write(target, functions[range].iter().map(reference))
        }
        Elements::Expressions(expressions) if present > 0 => {
            table.write(target, expressions[range].iter().map(|init| instance.evaluate(init) as u64))
        }
        _ => table.check(target, len),
    }
}
