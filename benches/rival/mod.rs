//! wasmtime, through its C interface, in a library that is loaded if `WASMTIME_LIB` names it (`_libwasmtime.so` of the PyPI
//! package `wasmtime`), so that nobody has to build it.
//!
//! # Safety
//! The signatures are those of wasmtime's C headers of version 50; objects are passed back to it as it gave them, and are
//! not freed but for stores.

#![allow(unsafe_code, reason = "calls a library of C; see Safety above")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "all of them for the one reason above")]
#![allow(dead_code, reason = "each bench uses its part")]

use std::ffi::{CString, c_char, c_void};
use std::mem::transmute_copy;
use std::ptr::{null, null_mut};

type Pointer = *mut c_void;

/// The library, as far as it was loaded.
#[derive(Clone, Copy)]
pub(crate) struct Wasmtime {
    library: Pointer,
    engine: Pointer,
}

/// A function type of the library, by its name and address there.
macro_rules! call {
    ($self:expr, $name:literal ($($arg:expr),*) : fn($($ty:ty),*) $(-> $ret:ty)?) => {{
        let name = concat!($name, "\0");
        let address = unsafe { libc::dlsym($self.library, name.as_ptr().cast::<c_char>()) };
        assert!(!address.is_null(), "the library has no {}", $name);
        let function: unsafe extern "C" fn($($ty),*) $(-> $ret)? = unsafe { transmute_copy(&address) };
        unsafe { function($($arg),*) }
    }};
}

/// Modules with what they import.
#[derive(Clone, Copy)]
pub(crate) struct Ready(Pointer);

/// A store.
#[derive(Clone, Copy)]
pub(crate) struct Store {
    store: Pointer,
    context: Pointer,
}

/// A function in a store; what the library writes of an export is no longer than this.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Func([u8; 64]);

unsafe extern "C" fn nothing(_: Pointer, _: Pointer, _: Pointer, _: usize) -> Pointer {
    null_mut()
}

impl Wasmtime {
    /// With its pool of instances, or making each anew.
    pub(crate) fn load(pooling: bool) -> Option<Wasmtime> {
        let path = CString::new(std::env::var("WASMTIME_LIB").ok()?).expect("a path has no NUL");
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null(), "WASMTIME_LIB cannot be loaded");
        let mut this = Wasmtime { library, engine: null_mut() };
        let config = call!(this, "wasm_config_new"() : fn() -> Pointer);
        if pooling {
            let pool = call!(this, "wasmtime_pooling_allocation_config_new"() : fn() -> Pointer);
            call!(this, "wasmtime_pooling_allocation_strategy_set"(config, pool) : fn(Pointer, Pointer));
        }
        this.engine = call!(this, "wasm_engine_new_with_config"(config) : fn(Pointer) -> Pointer);
        Some(this)
    }

    /// Compiles a module that imports nothing, or a function `host` `nothing` that does nothing.
    pub(crate) fn prepare(&self, wasm: &[u8]) -> Ready {
        let (mut module, mut ready) = (null_mut(), null_mut());
        let error = call!(self, "wasmtime_module_new"(self.engine, wasm.as_ptr(), wasm.len(), &mut module)
            : fn(Pointer, *const u8, usize, &mut Pointer) -> Pointer);
        assert!(error.is_null(), "the module is valid");
        let linker = call!(self, "wasmtime_linker_new"(self.engine) : fn(Pointer) -> Pointer);
        let (mut params, mut results) = ([0usize; 2], [0usize; 2]);
        let ty = call!(self, "wasm_functype_new"(&mut params, &mut results)
            : fn(&mut [usize; 2], &mut [usize; 2]) -> Pointer);
        let error = call!(self, "wasmtime_linker_define_func_unchecked"
            (linker, "host".as_ptr(), 4, "nothing".as_ptr(), 7, ty, nothing, null_mut(), null())
            : fn(Pointer, *const u8, usize, *const u8, usize, Pointer,
                unsafe extern "C" fn(Pointer, Pointer, Pointer, usize) -> Pointer, Pointer, *const c_void) -> Pointer);
        assert!(error.is_null(), "the name is free");
        let error = call!(self, "wasmtime_linker_instantiate_pre"(linker, module, &mut ready)
            : fn(Pointer, Pointer, &mut Pointer) -> Pointer);
        assert!(error.is_null(), "all imports are there");
        Ready(ready)
    }

    /// A store with an instance in it, and an export of that.
    pub(crate) fn instantiate(&self, ready: Ready, export: &str) -> (Store, Func) {
        let store = call!(self, "wasmtime_store_new"(self.engine, null_mut(), null())
            : fn(Pointer, Pointer, *const c_void) -> Pointer);
        let context = call!(self, "wasmtime_store_context"(store) : fn(Pointer) -> Pointer);
        let (mut instance, mut trap) = ([0usize; 4], null_mut());
        let error = call!(self, "wasmtime_instance_pre_instantiate"(ready.0, context, &mut instance, &mut trap)
            : fn(Pointer, Pointer, &mut [usize; 4], &mut Pointer) -> Pointer);
        assert!(error.is_null() && trap.is_null(), "it can be instantiated");
        let mut func = Func([0; 64]);
        let found = call!(self, "wasmtime_instance_export_get"
            (context, &instance, export.as_ptr(), export.len(), &mut func)
            : fn(Pointer, &[usize; 4], *const u8, usize, &mut Func) -> bool);
        assert!(found, "it is exported");
        (Store { store, context }, func)
    }

    /// Calls a function from i32 to i32.
    pub(crate) fn call(&self, store: Store, func: &Func, argument: i32) -> i32 {
        let (mut values, mut trap) = ([argument as u32 as u128], null_mut());
        // An export's kind comes first, eight bytes of it.
        let error = call!(self, "wasmtime_func_call_unchecked"(store.context, &func.0[8], values.as_mut_ptr(), 1, &mut trap)
            : fn(Pointer, *const u8, *mut u128, usize, &mut Pointer) -> Pointer);
        assert!(error.is_null() && trap.is_null(), "it returns");
        values[0] as i32
    }

    /// Drops a store and what it holds.
    pub(crate) fn delete(&self, store: Store) {
        call!(self, "wasmtime_store_delete"(store.store) : fn(Pointer));
    }
}
