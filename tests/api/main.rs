//! The embedding API, as its users meet it.

mod cache;
mod calls;
mod division;
mod exceptions;
mod fuel;
mod hammer;
mod host;
mod immediates;
mod interrupts;
mod limits;
mod linking;
mod native;
mod pool;
mod traps;
mod vectors;

use kitbag::{
    Engine, Error, Extern, Instance, InstancePool, InstancePre, InterruptHandle, Linker, Module, PooledInstance, Store,
    TypedFunc,
};

/// An instance of the text, with no imports.
fn instance(wat: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, wat).unwrap();
    let instance = Linker::new(&engine).instantiate(&mut store, &module).unwrap();
    (store, instance)
}

/// What users share between threads, or hand from one to another.
#[test]
fn threads_may_have_what_they_should() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Engine>();
    shared::<Module>();
    shared::<Linker<std::cell::Cell<i32>>>();
    shared::<Store<i32>>();
    shared::<Error>();
    shared::<InstancePre<std::cell::Cell<i32>>>();
    shared::<InstancePool<std::cell::Cell<i32>>>();
    sent::<PooledInstance<std::cell::Cell<i32>>>();
    shared::<(Instance, Extern, TypedFunc<i32, i32>, InterruptHandle)>();
    sent::<Store<std::cell::Cell<i32>>>();
}
