//! The part of a store that does not depend on the host's data.
//!
//! # Safety
//! Everything that compiled code points to (contexts, memories, tables, globals, results) is in an allocation
//! of its own that neither moves nor goes before the store. Pointers to it are kept as pointers;
//! compiled code runs only while the store is mutably borrowed by its entry.

#![allow(unsafe_code, reason = "owns what compiled code points to; see the module's Safety section")]

use std::any::Any;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::StoreId;
use super::exceptions::{Exceptions, TagData};
use crate::instance::{BUILTINS, InstanceData};
use crate::interrupt::Interrupt;
use crate::jit::abi::{self, Context, RESULTS_MAX, Returned, TrapCode};
use crate::memory::MemoryData;
use crate::owned::Owned;
use crate::table::TableData;
use crate::{Engine, Error, GlobalType, ResourceLimiter, Result, trap};

/// What goes on once the guest is unwound.
pub(crate) enum Pending {
    /// A builtin trapped.
    Trap(TrapCode),
    /// A host function failed, or ended the guest.
    Error(Error),
    /// An exception is thrown.
    Exception(u64),
    /// A host function panicked.
    Panic(Box<dyn Any + Send>),
}

impl From<TrapCode> for Pending {
    fn from(code: TrapCode) -> Pending {
        Pending::Trap(code)
    }
}

impl From<Error> for Pending {
    fn from(error: Error) -> Pending {
        Pending::Error(error)
    }
}

/// What grows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Growth {
    Memory,
    Table,
}

/// Shows the limiter of a store, which is in its data.
pub(super) type Limiter = Box<dyn FnMut(NonNull<StoreOpaque>, &mut dyn FnMut(&mut dyn ResourceLimiter)) + Send + Sync>;

/// A global, wherever it is.
pub(crate) struct GlobalData {
    pub(crate) place: NonNull<abi::Global>,
    pub(crate) ty: GlobalType,
}

pub(crate) struct StoreOpaque {
    pub(super) id: StoreId,
    pub(super) engine: Engine,
    /// What host functions have for a caller where the host calls them.
    root: Owned<Context>,
    pub(super) results: NonNull<abi::Global>,
    pub(crate) instances: Vec<Owned<InstanceData>>,
    pub(crate) memories: Vec<Owned<MemoryData>>,
    pub(crate) tables: Vec<Owned<TableData>>,
    pub(crate) globals: Vec<GlobalData>,
    pub(crate) host_globals: Vec<Owned<abi::Global>>,
    pub(crate) tags: Vec<TagData>,
    pub(super) exceptions: Exceptions,
    /// Host functions, and what holds them.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
    pub(crate) externs: Vec<Box<dyn Any + Send + Sync>>,
    pub(crate) pending: Option<Pending>,
    pub(crate) interrupt: Arc<Interrupt>,
    limiter: Option<Limiter>,
    /// What is left; only where the engine's guests use it up.
    fuel: Owned<u64>,
    /// Whether a guest was left between any two of its instructions, or a host function panicked.
    pub(crate) torn: bool,
    stack_limit: u64,
}

/// How much a store holds, to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    instances: usize,
    memories: usize,
    tables: usize,
    globals: usize,
    host_globals: usize,
    tags: usize,
    kept: usize,
}

// SAFETY: all pointers are to what the store owns; what it owns is Send and Sync (host functions and
// references are by their bounds, errors and panics by being Send and never shared).
unsafe impl Send for StoreOpaque {}
// SAFETY: as above; shared access does not reach `pending`.
unsafe impl Sync for StoreOpaque {}

impl StoreOpaque {
    pub(super) fn new(engine: &Engine) -> StoreOpaque {
        // Read only where a call wrote.
        let fuel = Owned::new(0);
        let results = NonNull::from(Box::leak(Box::<[abi::Global]>::new_uninit_slice(RESULTS_MAX))).cast();
        StoreOpaque {
            id: StoreId::next(),
            engine: engine.clone(),
            root: Owned::new(Context {
                memory_base: ptr::null_mut(),
                stack_limit: u64::MAX,
                builtins: &raw const BUILTINS,
                results: results.cast::<abi::Global>().as_ptr(),
                fuel: fuel.as_ptr(),
                store: ptr::null_mut(),
                instance: ptr::null_mut(),
                unwind: trap::unwind as *const u8,
            }),
            results,
            instances: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            host_globals: Vec::new(),
            tags: Vec::new(),
            exceptions: Exceptions::new(),
            kept: Vec::new(),
            externs: Vec::new(),
            pending: None,
            interrupt: Arc::new(Interrupt::new(engine.config().interrupt_signal)),
            limiter: None,
            fuel,
            torn: false,
            stack_limit: u64::MAX,
        }
    }

    pub(super) fn set_address(&mut self, address: NonNull<StoreOpaque>) {
        self.root.get_mut().store = address.as_ptr().cast();
    }

    #[inline]
    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What host functions have for a caller where the host calls them.
    pub(crate) fn root(&self) -> *mut Context {
        self.root.as_ptr()
    }

    /// The head of an instance's record, with the record's memory and instance still to be set.
    pub(crate) fn context(&self) -> Context {
        Context { stack_limit: self.stack_limit, ..*self.root.get() }
    }

    #[inline]
    pub(crate) fn stack_limit(&self) -> u64 {
        self.stack_limit
    }

    /// Sets the limit in every context: an entry can reach all of them.
    pub(crate) fn set_stack_limit(&mut self, limit: u64) {
        self.stack_limit = limit;
        for instance in &mut self.instances {
            // SAFETY: the instance's context lives as long as it, and no code of it runs now.
            unsafe { (*instance.get().context()).stack_limit = limit };
        }
    }

    /// Keeps `reason` for when the guest is unwound.
    pub(crate) fn fail(&mut self, reason: Pending) -> Returned {
        self.pending = Some(reason);
        Returned { bits: 0, status: TrapCode::Host.status() }
    }

    /// # Errors
    /// [`Limit`](Error::Limit), where one more of `what` is too many.
    pub(crate) fn check_count(
        &mut self,
        count: usize,
        most: usize,
        what: &str,
        limited: impl Fn(&dyn ResourceLimiter) -> usize,
    ) -> Result<()> {
        let most = self.ask_limiter(|limiter| limited(limiter)).map_or(most, |limited| most.min(limited));
        if count <= most { Ok(()) } else { Err(Error::Limit(format!("more than {most} {what} in a store"))) }
    }

    pub(super) fn set_limiter(&mut self, limiter: Limiter) {
        self.limiter = Some(limiter);
    }

    /// What the limiter answers, if there is one.
    fn ask_limiter<R>(&mut self, question: impl FnOnce(&mut dyn ResourceLimiter) -> R) -> Option<R> {
        let store = NonNull::new(self.root.get().store.cast::<StoreOpaque>())?;
        let (mut question, mut answer) = (Some(question), None);
        self.limiter.as_mut()?(store, &mut |limiter| answer = question.take().map(|ask| ask(limiter)));
        answer
    }

    /// Whether the limiter, if there is one, allows something to grow.
    ///
    /// # Errors
    /// The limiter's.
    pub(crate) fn may_grow(&mut self, what: Growth, old: u64, new: u64, maximum: Option<u64>) -> Result<bool> {
        let [old, new] = [old, new].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let maximum = maximum.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let answer = self.ask_limiter(|limiter| match what {
            Growth::Memory => limiter.memory_growing(old, new, maximum),
            Growth::Table => limiter.table_growing(old, new, maximum),
        });
        answer.unwrap_or(Ok(true))
    }

    /// Tells the limiter, if there is one, that something did not grow.
    ///
    /// # Errors
    /// The limiter's.
    pub(crate) fn grow_failed(&mut self, what: Growth, error: impl FnOnce() -> String) -> Result<()> {
        let answer = self.ask_limiter(|limiter| match what {
            Growth::Memory => limiter.memory_grow_failed(Error::Limit(error())),
            Growth::Table => limiter.table_grow_failed(Error::Limit(error())),
        });
        answer.unwrap_or(Ok(()))
    }

    pub(crate) fn global(&self, index: u32) -> &GlobalData {
        &self.globals[index as usize]
    }

    /// A global's present value.
    pub(crate) fn global_value(&self, index: u32) -> abi::Global {
        // SAFETY: the place lives as long as the store, and no guest runs while it is borrowed here.
        unsafe { self.global(index).place.read() }
    }

    /// Sets a global, without looking at types.
    pub(crate) fn set_global_value(&mut self, index: u32, value: abi::Global) {
        // SAFETY: as above; the store is mutably borrowed.
        unsafe { self.global(index).place.write(value) };
    }

    /// Keeps host functions alive as long as the store.
    pub(crate) fn keep(&mut self, functions: Arc<impl Any + Send + Sync>) {
        self.kept.push(functions);
    }

    /// # Errors
    /// [`Unsupported`](Error::Unsupported), where the engine's guests use up none.
    fn check_fuel(&self) -> Result<()> {
        match self.engine.config().consume_fuel {
            true => Ok(()),
            false => Err(Error::Unsupported("fuel is not used up unless Config::consume_fuel says so".into())),
        }
    }

    pub(crate) fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.check_fuel()?;
        *self.fuel.get_mut() = fuel;
        Ok(())
    }

    pub(crate) fn get_fuel(&self) -> Result<u64> {
        self.check_fuel().map(|()| *self.fuel.get())
    }

    /// Notes that there is none left, after compiled code found that there was less than it wanted.
    pub(crate) fn exhaust_fuel(&mut self) {
        *self.fuel.get_mut() = 0;
    }

    /// Takes so much, where guests use it up.
    ///
    /// # Errors
    /// [`OutOfFuel`](TrapCode::OutOfFuel), where there is less.
    pub(crate) fn spend_fuel(&mut self, units: u64) -> std::result::Result<(), TrapCode> {
        if self.engine.config().consume_fuel {
            let left = self.fuel.get().checked_sub(units).ok_or(TrapCode::OutOfFuel)?;
            *self.fuel.get_mut() = left;
        }
        Ok(())
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            instances: self.instances.len(),
            memories: self.memories.len(),
            tables: self.tables.len(),
            globals: self.globals.len(),
            host_globals: self.host_globals.len(),
            tags: self.tags.len(),
            kept: self.kept.len(),
        }
    }

    /// Drops what was made since the mark, and becomes another store: handles of this one are its no more. What was there
    /// at the mark must hold nothing of what came after, or be [reset](StoreOpaque::reset_instance) next.
    pub(crate) fn rewind(&mut self, mark: &Mark) {
        self.id = StoreId::next();
        // A handle of before must not stop whoever comes next; where none is left, what they shared serves again.
        if Arc::get_mut(&mut self.interrupt).is_none() || self.interrupt.is_requested() {
            self.interrupt = Arc::new(Interrupt::new(self.engine.config().interrupt_signal));
        }
        self.pending = None;
        self.limiter = None;
        *self.fuel.get_mut() = 0;
        self.externs.clear();
        self.instances.truncate(mark.instances);
        self.memories.truncate(mark.memories);
        self.tables.truncate(mark.tables);
        self.globals.truncate(mark.globals);
        self.host_globals.truncate(mark.host_globals);
        self.tags.truncate(mark.tags);
        self.exceptions = Exceptions::new();
        self.kept.truncate(mark.kept);
    }

    /// The address of memory 0 in every instance that has this one there, after it moved.
    pub(crate) fn memory_moved(&mut self, memory: NonNull<abi::Memory>) {
        for instance in &self.instances {
            instance.get().memory_moved(memory);
        }
    }
}

impl Drop for StoreOpaque {
    fn drop(&mut self) {
        let results =
            ptr::slice_from_raw_parts_mut(self.results.as_ptr().cast::<MaybeUninit<abi::Global>>(), RESULTS_MAX);
        // SAFETY: from a box in `new`, of this length; no code that could use it runs any more.
        drop(unsafe { Box::from_raw(results) });
    }
}
