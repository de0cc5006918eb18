//! The embedding API, as its users meet it.

mod calls;
mod host;
mod interrupts;
mod limits;
mod linking;
mod traps;
mod vectors;

use kitbag::{Engine, Instance, Linker, Module, Store};

/// An instance of the text, with no imports.
fn instance(wat: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, wat).unwrap();
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    (store, instance)
}
