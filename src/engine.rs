//! What modules and stores share: configuration, signature ids, stubs of host functions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::code::CodeMemory;
use crate::jit::{self, abi::MemoryStyle};
use crate::memory::{self, Region};
use crate::profile::Profile;
use crate::types::registry::{Registry, SubType};
use crate::{Config, Error, FuncType, MemoryType, Module, ProfilingStrategy, Result, TypeId, trap};

/// Compiles modules and is shared by the stores that run them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Whether memories can be guarded: the configuration allows it, and the system grants the reservations.
    guarded: bool,
    types: Mutex<Registry>,
    stubs: Mutex<HashMap<jit::Signature, Arc<CodeMemory>>>,
    profile: Option<Profile>,
}

impl Default for Engine {
    /// With the default [`Config`].
    fn default() -> Engine {
        Engine::with(Config::new(), None)
    }
}

impl Engine {
    /// An engine as `config` says. The first one in a process installs handlers of SIGSEGV, SIGBUS, SIGILL, SIGFPE and of
    /// [the signal that interrupts](Config::interrupt_signal), which pass on what is no guest's fault to whoever handled it before; who installs others later must pass on likewise.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported), where the configuration asks for what this machine does not have, and
    /// [`Host`](crate::Error::Host), where a profile cannot be written.
    pub fn new(config: &Config) -> Result<Engine> {
        if let Some(name) = config.unused_features.iter().find(|name| !jit::is_processor_feature(name)) {
            return Err(Error::Unsupported(format!("the compiler uses no processor feature {name}")));
        }
        let signal = config.interrupt_signal;
        if !trap::can_interrupt(signal) {
            return Err(Error::Unsupported(format!(
                "guests cannot be interrupted by signal {signal}; SIGURG is one that can"
            )));
        }
        let profile = match config.profiler {
            ProfilingStrategy::None => None,
            ProfilingStrategy::Perf => Some(Profile::new()?),
        };
        Ok(Engine::with(config.clone(), profile))
    }

    fn with(config: Config, profile: Option<Profile>) -> Engine {
        trap::install_handlers(config.interrupt_signal);
        let guarded = config.guard_pages && Region::reserve(memory::GUARDED_BYTES).is_ok();
        Engine(Arc::new(Inner { config, guarded, types: Mutex::default(), stubs: Mutex::default(), profile }))
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether both are the same engine.
    #[must_use]
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    /// What is to know of functions that can run.
    pub(crate) fn profile(&self) -> Option<&Profile> {
        self.0.profile.as_ref()
    }

    /// What its modules are compiled for.
    pub(crate) fn target(&self) -> jit::Target {
        jit::Target::host().without(&self.0.config.unused_features)
    }

    /// What it knows of types.
    pub(crate) fn types(&self) -> MutexGuard<'_, Registry> {
        self.0.types.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The canonical number of a function type as the host writes it.
    pub(crate) fn signature_id(&self, ty: &FuncType) -> u32 {
        self.types().group([SubType::func(ty.clone())].into())
    }

    /// Whether every function of type `found` is of type `wanted`, too.
    pub(crate) fn is_subtype(&self, found: u32, wanted: u32) -> bool {
        found == wanted || self.types().is_subtype(TypeId(found), TypeId(wanted))
    }

    /// The code that hosts' functions of this type are entered through where they take their values as an array.
    pub(crate) fn host_stub(&self, ty: &FuncType) -> Result<Arc<CodeMemory>> {
        let signature = ty.signature();
        let mut stubs = self.0.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stub) = stubs.get(&signature) {
            return Ok(Arc::clone(stub));
        }
        let stub = Arc::new(CodeMemory::new(jit::host_stub(self.target(), &signature))?);
        stubs.insert(signature, Arc::clone(&stub));
        Ok(stub)
    }

    /// Compiles a module, binary or in the text format, for later: what [`Module::deserialize`] takes.
    ///
    /// # Errors
    /// As for [`Module::new`].
    pub fn precompile_module(&self, bytes: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        self.precompile_module_for(self.target(), bytes)
    }

    /// The same for another machine, or for processors that can do less than this one.
    ///
    /// # Errors
    /// As for [`Module::new`].
    pub fn precompile_module_for(&self, target: jit::Target, bytes: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        Module::precompile(self, target, bytes.as_ref())
    }

    /// The settings that change what code looks like, as bits: native code is used only where they are the same.
    pub(crate) fn code_settings(&self) -> u64 {
        let config = &self.0.config;
        let settings = [self.0.guarded, config.consume_fuel, config.check_values, config.relaxed_simd_deterministic];
        settings.iter().enumerate().map(|(place, &on)| u64::from(on) << place).sum()
    }

    /// Everything beside a module that decides which native code it becomes.
    pub(crate) fn code_key(&self) -> Vec<u8> {
        let (target, features) = (self.target(), self.config().features.bits());
        let numbers = [target.features(), self.code_settings(), features];
        [env!("KITBAG_BUILD").as_bytes(), target.name().as_bytes(), numbers.map(u64::to_le_bytes).as_flattened()]
            .concat()
    }

    /// How accesses to memories of type `ty` are kept inside: one answer for the engine's life, since
    /// modules are compiled for it and share memories.
    pub(crate) fn memory_style(&self, ty: &MemoryType) -> MemoryStyle {
        if self.0.guarded && !ty.index64 && ty.page_shift >= 16 { MemoryStyle::Guarded } else { MemoryStyle::Checked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ValType;

    #[test]
    fn signature_ids_start_at_one_and_are_canonical() {
        let engine = Engine::default();
        let unary = || FuncType::new([ValType::I32], []);
        assert_eq!(engine.signature_id(&unary()), 1);
        assert_eq!(engine.signature_id(&FuncType::new([], [])), 2);
        assert_eq!(engine.signature_id(&unary()), 1);
    }

    #[test]
    fn unused_features_are_those_the_compiler_knows() {
        let engine = |name: &str| Engine::new(Config::new().unused_processor_features([name]));
        assert!(engine("bmi2").is_ok());
        assert_eq!(engine("tea").unwrap_err().to_string(), "not supported: the compiler uses no processor feature tea");
    }

    #[test]
    fn references_of_different_types_are_different_signatures() {
        let engine = Engine::default();
        let func = engine.signature_id(&FuncType::new([ValType::FUNCREF], []));
        assert_ne!(func, engine.signature_id(&FuncType::new([ValType::EXTERNREF], [])));
    }
}
