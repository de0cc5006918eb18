//! Modules by wasm-smith.

use arbitrary::{Result, Unstructured};
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// Function entries and loop iterations of an instance.
const FUEL: u32 = 500;

/// A module of WebAssembly 2.0, or of 3.0 without the objects of garbage collection, that imports nothing, exports everything, ends, and
/// makes no NaN's bits visible.
pub(crate) fn module(u: &mut Unstructured<'_>, exceptions: bool) -> Result<Vec<u8>> {
    let config = Config {
        canonicalize_nans: true,
        export_everything: true,
        disallow_traps: u.arbitrary()?,
        max_imports: 0,
        min_funcs: 1,
        max_funcs: 12,
        min_types: 3,
        max_instructions: u.int_in_range(50..=1500)?,
        min_memories: 1,
        max_memories: 2,
        max_memory32_bytes: 6 << 16,
        max_memory64_bytes: 6 << 16,
        memory_max_size_required: true,
        memory_offset_choices: MemoryOffsetChoices(80, 10, 10),
        max_tables: 3,
        max_table_elements: 100,
        table_max_size_required: true,
        simd_enabled: true,
        compact_imports_enabled: false,
        custom_page_sizes_enabled: false,
        exceptions_enabled: exceptions,
        extended_const_enabled: true,
        gc_enabled: false,
        memory64_enabled: true,
        relaxed_simd_enabled: false,
        tail_call_enabled: true,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, u)?;
    module.ensure_termination(FUEL).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(module.to_bytes())
}
