//! Limits that the host sets for each store, and asks about each time that something grows.

use crate::{Error, Result};

/// Says what a store's guests may have. [`Config`](crate::Config) bounds each memory and table of an engine; a limiter sees all of those of
/// one store as they are made and grow, and may count them together.
///
/// ```
/// use kitbag::{Engine, Linker, Module, ResourceLimiter, Result, Store};
///
/// /// So many bytes for all memories together.
/// struct Total(usize);
///
/// impl ResourceLimiter for Total {
///     fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
///         let more = desired - current;
///         self.0 = if more <= self.0 { self.0 - more } else { return Ok(false) };
///         Ok(true)
///     }
///
///     fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> Result<bool> {
///         Ok(true)
///     }
/// }
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, Total(3 << 16));
/// store.limiter(|total| total);
/// let module = Module::new(&engine, r#"(module (memory 1) (memory 1)
///     (func (export "grow") (result i32) (memory.grow 1 (i32.const 1))))"#)?;
/// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
/// let grow = instance.get_typed_func::<(), i32>(&mut store, "grow")?;
/// assert_eq!((grow.call(&mut store, ())?, grow.call(&mut store, ())?), (1, -1));
/// # Ok::<(), kitbag::Error>(())
/// ```
pub trait ResourceLimiter {
    /// Whether a memory may grow from so many bytes to so many. A new one grows from 0. `maximum` is what its type says.
    ///
    /// # Errors
    /// What ends the guest, in place of the -1 that it gets otherwise.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// Learns that a memory did not grow, for one reason or another, though the limiter may have allowed it.
    ///
    /// # Errors
    /// What ends the guest.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        _ = error;
        Ok(())
    }

    /// Whether a table may grow from so many elements to so many. A new one grows from 0.
    ///
    /// # Errors
    /// As for [`memory_growing`](ResourceLimiter::memory_growing).
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// Learns that a table did not grow.
    ///
    /// # Errors
    /// What ends the guest.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        _ = error;
        Ok(())
    }

    /// Instances in the store, at the most.
    fn instances(&self) -> usize {
        usize::MAX
    }

    /// Tables in the store, at the most.
    fn tables(&self) -> usize {
        usize::MAX
    }

    /// Memories in the store, at the most.
    fn memories(&self) -> usize {
        usize::MAX
    }
}

/// Fixed limits, for [`Store::limiter`](crate::Store::limiter).
///
/// ```
/// use kitbag::{Engine, Error, Memory, MemoryType, Store, StoreLimits, StoreLimitsBuilder};
///
/// let limits = StoreLimitsBuilder::new().memory_size(1 << 20).memories(1).build();
/// let mut store = Store::new(&Engine::default(), limits);
/// store.limiter(|limits| limits);
/// let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
/// assert!(memory.grow(&mut store, 15).is_ok() && memory.grow(&mut store, 1).is_err());
/// assert!(matches!(Memory::new(&mut store, MemoryType::new(1, None)), Err(Error::Limit(_))));
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreLimits {
    memory_size: usize,
    table_elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
    trap_on_grow_failure: bool,
}

impl Default for StoreLimits {
    /// No limits beyond the engine's.
    fn default() -> StoreLimits {
        StoreLimitsBuilder::new().build()
    }
}

/// Makes [`StoreLimits`].
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreLimitsBuilder(StoreLimits);

impl Default for StoreLimitsBuilder {
    fn default() -> StoreLimitsBuilder {
        StoreLimitsBuilder::new()
    }
}

impl StoreLimitsBuilder {
    /// No limits beyond the engine's.
    pub fn new() -> StoreLimitsBuilder {
        StoreLimitsBuilder(StoreLimits {
            memory_size: usize::MAX,
            table_elements: usize::MAX,
            instances: usize::MAX,
            tables: usize::MAX,
            memories: usize::MAX,
            trap_on_grow_failure: false,
        })
    }

    /// Bytes of each memory.
    pub fn memory_size(mut self, bytes: usize) -> StoreLimitsBuilder {
        self.0.memory_size = bytes;
        self
    }

    /// Elements of each table.
    pub fn table_elements(mut self, elements: usize) -> StoreLimitsBuilder {
        self.0.table_elements = elements;
        self
    }

    /// Instances in the store.
    pub fn instances(mut self, instances: usize) -> StoreLimitsBuilder {
        self.0.instances = instances;
        self
    }

    /// Tables in the store.
    pub fn tables(mut self, tables: usize) -> StoreLimitsBuilder {
        self.0.tables = tables;
        self
    }

    /// Memories in the store.
    pub fn memories(mut self, memories: usize) -> StoreLimitsBuilder {
        self.0.memories = memories;
        self
    }

    /// Whether a guest ends where something cannot grow, with [`Limit`](Error::Limit), rather than get -1.
    pub fn trap_on_grow_failure(mut self, trap: bool) -> StoreLimitsBuilder {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// The limits.
    #[must_use]
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

impl StoreLimits {
    fn failed(&self, error: Error) -> Result<()> {
        if self.trap_on_grow_failure { Err(error) } else { Ok(()) }
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= self.memory_size)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed(error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= self.table_elements)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed(error)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
