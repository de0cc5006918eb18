//! From an address in a module's machine code to places in its source.
//!
//! Only modules with DWARF keep what this takes, and only who asks pays: for the module's functions to be found once, and for one
//! of them to be compiled once more at each place that was not asked for before.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kitbag_fs::Bytes;
use wasmparser::{BinaryReader, FuncToValidate, FunctionBody, ValidatorResources};

use super::dwarf::Index;
use super::{kept, parse};
use crate::Engine;
use crate::jit;
use crate::trap::Symbol;

/// Places that are remembered, at the most.
const KNOWN_MAX: usize = 1 << 12;

type Symbols = Arc<[Symbol]>;

/// A module with DWARF.
pub(super) struct Debug {
    module: Bytes,
    functions: OnceLock<Option<Functions>>,
    index: OnceLock<Index>,
    /// By function and offset in its machine code.
    known: Mutex<HashMap<(usize, u32), Symbols>>,
}

impl fmt::Debug for Debug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debug").field("bytes", &self.module.len()).finish_non_exhaustive()
    }
}

/// What compiles a module's functions again.
struct Functions {
    env: jit::Env,
    bodies: Vec<(FuncToValidate<ValidatorResources>, Range<u64>)>,
    /// Where the contents of the code section begin.
    code: u64,
}

impl Debug {
    /// Of what was kept of a module, if that is all of it.
    pub(super) fn new(kept: &Bytes) -> Option<Debug> {
        kept::has_lines(kept).then(|| Debug {
            module: kept.clone(),
            functions: OnceLock::new(),
            index: OnceLock::new(),
            known: Mutex::default(),
        })
    }

    /// What the source has at `pc_offset` of the machine code, `code`, of the function at `place` of those defined.
    pub(super) fn symbols(&self, engine: &Engine, place: usize, pc_offset: u32, code: &[u8]) -> Symbols {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(symbols) = known().get(&(place, pc_offset)) {
            return Arc::clone(symbols);
        }
        let address = self.address(engine, place, pc_offset, code);
        let index = || self.index.get_or_init(|| Index::new(&self.module));
        let symbols: Symbols = address.map(|address| index().symbols(&self.module, address)).unwrap_or_default().into();
        let mut known = known();
        if known.len() < KNOWN_MAX {
            known.insert((place, pc_offset), Arc::clone(&symbols));
        }
        symbols
    }

    /// The operator's offset in the code section.
    fn address(&self, engine: &Engine, place: usize, pc_offset: u32, code: &[u8]) -> Option<u64> {
        let functions = self.functions.get_or_init(|| Functions::of(engine, &self.module)).as_ref()?;
        let (function, range) = functions.bodies.get(place)?;
        let bytes = self.module.get(range.start as usize..range.end as usize)?;
        let features = engine.config().features;
        let body = FunctionBody::new(BinaryReader::new_features(bytes, range.start, features));
        let FuncToValidate { ref resources, index, ty, features } = *function;
        let function = FuncToValidate { resources: resources.clone(), index, ty, features };
        let spans = jit::positions(&functions.env, engine.target(), &(function, body), code).ok()??;
        let after = spans.partition_point(|span| span.start <= pc_offset);
        spans[..after].last()?.origin.operator()?.checked_sub(functions.code)
    }
}

impl Functions {
    fn of(engine: &Engine, module: &[u8]) -> Option<Functions> {
        let (info, functions, _) = parse::parse(engine, module).ok()?;
        let bodies = functions.into_iter().map(|(function, body)| (function, body.range())).collect();
        Some(Functions { env: info.env(engine), bodies, code: kept::code_start(module)? })
    }
}
