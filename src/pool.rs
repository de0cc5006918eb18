//! Instances that are used, made as new, and used again.
//!
//! Making an instance anew costs what the system takes for its addresses and the allocations around it; making it as it was
//! costs about what the guest changed. An idle instance keeps its reservations, and no page that a guest wrote but those of a small
//! memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{AsContext, AsContextMut, Mark, Parked, StoreContext, StoreContextMut};
use crate::{Engine, Error, Instance, InstancePre, InterruptHandle, Result, Store};

/// Instances of one module, each in a store of its own, for any thread. Cheap to clone; clones share them.
///
/// ```
/// use kitbag::{Engine, InstancePool, Linker, Module};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (global $count (mut i32) (i32.const 0))
///     (func (export "count") (result i32)
///         (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count)))"#)?;
/// let pool: InstancePool<()> = InstancePool::new(Linker::new(&engine).instantiate_pre(&module)?, 16)?;
/// for _request in 0..3 {
///     let mut instance = pool.get(())?;
///     let count = instance.instance().get_typed_func::<(), i32>(&mut instance, "count")?;
///     assert_eq!(count.call(&mut instance, ())?, 1);
/// }
/// # Ok::<(), kitbag::Error>(())
/// ```
pub struct InstancePool<T: 'static>(Arc<Inner<T>>);

struct Inner<T: 'static> {
    pre: InstancePre<T>,
    idle: Mutex<Vec<Idle<T>>>,
    most_idle: usize,
}

/// An instance as new, of which no code has run.
struct Idle<T: 'static> {
    store: Parked<T>,
    /// What the store held when the instance was made.
    mark: Mark,
}

impl<T: 'static> Clone for InstancePool<T> {
    fn clone(&self) -> Self {
        InstancePool(Arc::clone(&self.0))
    }
}

impl<T: 'static> fmt::Debug for InstancePool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePool").field("pre", &self.0.pre).field("idle", &self.idle()).finish_non_exhaustive()
    }
}

impl<T: 'static> InstancePool<T> {
    /// A pool that keeps up to `most_idle` instances for the next who want one. It makes them when they are wanted, and
    /// sets no limit to how many are in use.
    ///
    /// # Errors
    /// [`Link`](Error::Link), where the module imports something of one store: only host functions are everywhere.
    pub fn new(pre: InstancePre<T>, most_idle: usize) -> Result<InstancePool<T>> {
        if !pre.is_of_any_store() {
            return Err(Error::Link(
                "a module that imports memories, tables, globals or other instances' functions cannot be pooled".into(),
            ));
        }
        Ok(InstancePool(Arc::new(Inner { pre, idle: Mutex::default(), most_idle })))
    }

    /// An instance as new, in a store with this data; its start function has run.
    ///
    /// # Errors
    /// As for [`InstancePre::instantiate`].
    pub fn get(&self, data: T) -> Result<PooledInstance<T>> {
        self.get_with(data, |_| ())
    }

    /// As [`get`](InstancePool::get), for hosts that let nothing run that they cannot stop: `begin` is called with what
    /// stops it before its start function runs.
    ///
    /// # Errors
    /// As for [`get`](InstancePool::get).
    pub fn get_with(&self, data: T, begin: impl FnOnce(InterruptHandle)) -> Result<PooledInstance<T>> {
        let idle = self.0.lock().pop();
        let (store, mark) = match idle {
            Some(Idle { store, mark }) => (store.wake(data), mark),
            None => self.make(data)?,
        };
        let mut instance = PooledInstance { store: Some((store, mark)), pool: Arc::clone(&self.0) };
        begin(instance.store().interrupt_handle());
        instance.instance().start(&mut instance.as_context_mut())?;
        Ok(instance)
    }

    fn make(&self, data: T) -> Result<(Store<T>, Mark)> {
        let mut store = Store::new(self.engine(), data);
        self.0.pre.allocate(&mut store.as_context_mut())?;
        let mark = store.as_context_mut().opaque_mut().mark();
        Ok((store, mark))
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.0.pre.module().engine()
    }

    /// How many instances wait for a use.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.0.lock().len()
    }
}

impl<T: 'static> Inner<T> {
    /// The list is whole after every step, whoever panics.
    fn lock(&self) -> MutexGuard<'_, Vec<Idle<T>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a store for another use, if there is room and nothing speaks against it.
    fn put(&self, store: Parked<T>, mark: Mark) {
        if self.lock().len() < self.most_idle
            && let Some(idle) = Idle::new(store, mark)
        {
            let mut list = self.lock();
            if list.len() < self.most_idle {
                list.push(idle);
            }
        }
    }
}

impl<T: 'static> Idle<T> {
    /// None where the instance has to be made anew: its guest trapped, was interrupted or left by a panic, or the system refuses.
    fn new(mut store: Parked<T>, mark: Mark) -> Option<Idle<T>> {
        let opaque = store.opaque_mut();
        if opaque.torn || opaque.interrupt.is_requested() {
            return None;
        }
        opaque.rewind(&mark);
        opaque.reset_instance().ok()?;
        Some(Idle { store, mark })
    }
}

/// An instance out of a pool, and its store: it is a context, as a [`Store`] is. When it is dropped, the store's data is dropped, and
/// the instance goes back as new. One whose guest trapped or was interrupted does not go back; the pool makes another
/// when it is wanted.
///
/// Handles of what is in the store are of no use with the instance's next user, as with another store.
pub struct PooledInstance<T: 'static> {
    /// There until it is dropped.
    store: Option<(Store<T>, Mark)>,
    pool: Arc<Inner<T>>,
}

impl<T: 'static> fmt::Debug for PooledInstance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledInstance").field("instance", &self.instance()).finish_non_exhaustive()
    }
}

impl<T: 'static> PooledInstance<T> {
    /// The instance.
    #[must_use]
    pub fn instance(&self) -> Instance {
        Instance::new_handle(self.store().as_context().opaque().id(), 0)
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store<T> {
        let (store, _) = self.store.as_ref().expect("it is there until the end");
        store
    }

    /// Its store.
    pub fn store_mut(&mut self) -> &mut Store<T> {
        let (store, _) = self.store.as_mut().expect("it is there until the end");
        store
    }

    /// Gives the instance back, and keeps the store's data.
    #[must_use]
    pub fn into_data(mut self) -> T {
        self.give_back().expect("it is there until the end")
    }

    fn give_back(&mut self) -> Option<T> {
        let (store, mark) = self.store.take()?;
        let (parked, data) = store.park();
        self.pool.put(parked, mark);
        Some(data)
    }
}

impl<T: 'static> Drop for PooledInstance<T> {
    fn drop(&mut self) {
        drop(self.give_back());
    }
}

impl<T: 'static> AsContext for PooledInstance<T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store().as_context()
    }
}

impl<T: 'static> AsContextMut for PooledInstance<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store_mut().as_context_mut()
    }
}
