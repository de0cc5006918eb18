//! Kitbag runs WebAssembly programs on a file system that you pack yourself.
//!
//! The engine keeps the names that its users know from wasmtime: an [`Engine`] compiles [`Module`]s, a [`Store`] owns
//! what is made from them, a [`Linker`] names what they import.
//!
//! ```
//! use kitbag::{Caller, Engine, Linker, Module, Store};
//!
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"
//!     (module
//!         (import "host" "log" (func $log (param i32)))
//!         (func (export "run") (param i32) (result i32)
//!             (call $log (local.get 0))
//!             (i32.mul (local.get 0) (i32.const 2))))
//! "#)?;
//!
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "log", |mut caller: Caller<'_, Vec<i32>>, value: i32| caller.data_mut().push(value))?;
//!
//! let mut store = Store::new(&engine, Vec::new());
//! let instance = linker.instantiate(&mut store, &module)?;
//! let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
//! assert_eq!(run.call(&mut store, 21)?, 42);
//! assert_eq!(store.data(), &[21]);
//! # Ok::<(), kitbag::Error>(())
//! ```

#[cfg(feature = "bundle")]
pub mod bundle;
pub mod cache;
mod code;
mod config;
#[cfg(feature = "disassemble")]
pub mod disassemble;
mod engine;
mod error;
mod exception;
mod func;
mod global;
mod instance;
mod interrupt;
pub mod jit;
mod limits;
mod linker;
mod memory;
mod module;
mod native;
mod owned;
mod pool;
mod profile;
#[cfg(feature = "serve")]
pub mod serve;
mod store;
mod table;
mod trap;
mod types;
mod value;
pub mod wasi;
pub mod wast;

/// Which build of the engine this is: a hash of its sources. Native code belongs to one build.
pub const BUILD: &str = env!("KITBAG_BUILD");

/// The file systems: the package `kitbag-fs`.
pub use kitbag_fs as fs;

pub use config::{Config, ProfilingStrategy};
pub use engine::Engine;
pub use error::{Error, Result};
pub use exception::{Exception, ExnRef, Tag};
pub use func::{Func, IntoFunc, TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy};
pub use global::Global;
pub use instance::{Extern, Instance, InstancePre};
pub use interrupt::InterruptHandle;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub use linker::Linker;
pub use memory::Memory;
pub use module::Module;
pub use native::{ModuleId, NativeInfo, NativeProblem};
pub use pool::{InstancePool, PooledInstance};
pub use store::{AsContext, AsContextMut, Caller, Store, StoreContext, StoreContextMut};
pub use table::Table;
pub use trap::{Frame, Symbol, Trap, TrapCode};
pub use types::{
    ExportType, ExternType, FuncType, GlobalType, HeapType, ImportType, MemoryType, Mutability, RefType, TableType,
    TagType, TypeId, ValType,
};
pub use value::{AnyRef, ExternRef, Val};

/// The README's examples, run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
