//! What an [`Engine`](crate::Engine) is to allow.

use std::time::Duration;

use wasmparser::WasmFeatures;

/// What WebAssembly 3.0 adds, as far as it is here.
const WASM3: WasmFeatures = WasmFeatures::RELAXED_SIMD
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::GC);

const FEATURES: WasmFeatures = WasmFeatures::WASM2.union(WASM3);

/// Who is told of compiled functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfilingStrategy {
    /// Nobody.
    #[default]
    None,
    /// Linux' `perf`, by `/tmp/perf-PID.map` and by `jit-PID.dump` in the folder that the variable `JITDUMPDIR` names, or in the
    /// present one:
    ///
    /// ```sh
    /// perf record -k mono PROGRAM…; perf report
    /// perf inject --jit -i perf.data -o perf.jit.data; perf annotate -i perf.jit.data
    /// ```
    Perf,
}

/// Features and limits of an [`Engine`](crate::Engine). Every limit is answered by an error, or by the
/// -1 of `memory.grow` and `table.grow`, and counts what is used, not what is declared.
///
/// ```
/// use kitbag::{Config, Engine, Error, Linker, Module, Store};
///
/// let engine = Engine::new(Config::new().max_memory(1 << 20).max_wasm_stack(256 << 10))?;
/// let large = Module::new(&engine, "(module (memory 17))")?;
/// let refused = Linker::new(&engine).instantiate(&mut Store::new(&engine, ()), &large);
/// assert!(matches!(refused, Err(Error::Limit(_))));
/// # Ok::<(), kitbag::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) features: WasmFeatures,
    pub(crate) guard_pages: bool,
    pub(crate) max_wasm_stack: usize,
    pub(crate) max_memory: u64,
    pub(crate) max_table_elements: u64,
    pub(crate) max_instances: usize,
    pub(crate) max_memories: usize,
    pub(crate) max_tables: usize,
    pub(crate) max_host_references: usize,
    pub(crate) max_exception_bytes: usize,
    pub(crate) compile_threads: Option<usize>,
    pub(crate) max_code_size: usize,
    pub(crate) max_compile_time: Option<Duration>,
    pub(crate) consume_fuel: bool,
    pub(crate) check_values: bool,
    pub(crate) relaxed_simd_deterministic: bool,
    pub(crate) interrupt_signal: i32,
    pub(crate) unused_features: Vec<String>,
    pub(crate) profiler: ProfilingStrategy,
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl Config {
    /// WebAssembly 2.0, what there is of 3.0 (see [`wasm_3`](Config::wasm_3)), and limits that real programs do not meet.
    #[must_use]
    pub fn new() -> Config {
        Config {
            features: FEATURES,
            guard_pages: true,
            max_wasm_stack: 1 << 20,
            max_memory: 1 << 32,
            max_table_elements: 10_000_000,
            max_instances: 10_000,
            max_memories: 10_000,
            max_tables: 10_000,
            max_host_references: 10_000_000,
            max_exception_bytes: 64 << 20,
            compile_threads: None,
            max_code_size: usize::MAX,
            max_compile_time: None,
            consume_fuel: false,
            check_values: false,
            relaxed_simd_deterministic: false,
            interrupt_signal: crate::interrupt::SIGNAL,
            unused_features: Vec::new(),
            profiler: ProfilingStrategy::None,
        }
    }

    /// Whether 32-bit memories may reserve 4 GiB of addresses and leave the checks of their accesses to the machine. On unless
    /// set; where the system refuses such reservations, as under a limit of addresses, accesses are checked by instructions.
    pub fn guard_pages(&mut self, enable: bool) -> &mut Config {
        self.guard_pages = enable;
        self
    }

    /// Bytes of stack that a guest can use, over all calls that it nests in one entry. It gets less on a
    /// thread whose stack is smaller, where the last 256 KiB are kept for host functions. 1 MiB unless set.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Config {
        self.max_wasm_stack = bytes;
        self
    }

    /// Bytes of each linear memory. 4 GiB unless set.
    pub fn max_memory(&mut self, bytes: u64) -> &mut Config {
        self.max_memory = bytes;
        self
    }

    /// Elements of each table. 10 million unless set.
    pub fn max_table_elements(&mut self, elements: u64) -> &mut Config {
        self.max_table_elements = elements;
        self
    }

    /// Instances in one store. 10,000 unless set.
    pub fn max_instances(&mut self, instances: usize) -> &mut Config {
        self.max_instances = instances;
        self
    }

    /// Linear memories in one store. 10,000 unless set.
    pub fn max_memories(&mut self, memories: usize) -> &mut Config {
        self.max_memories = memories;
        self
    }

    /// Tables in one store. 10,000 unless set.
    pub fn max_tables(&mut self, tables: usize) -> &mut Config {
        self.max_tables = tables;
        self
    }

    /// [`ExternRef`](crate::ExternRef)s in one store, which keeps them until it is dropped. 10 million unless set.
    pub fn max_host_references(&mut self, references: usize) -> &mut Config {
        self.max_host_references = references;
        self
    }

    /// Bytes that the exceptions of one store take which its guests hold references to, at the most: 64 each and 16 for each of
    /// their values. Where a guest holds more, it ends with [`Limit`](crate::Error::Limit). 64 MiB unless set.
    pub fn max_exception_bytes(&mut self, bytes: usize) -> &mut Config {
        self.max_exception_bytes = bytes;
        self
    }

    /// Threads that compile one module. As many as the machine has unless set.
    pub fn compile_threads(&mut self, threads: usize) -> &mut Config {
        self.compile_threads = Some(threads.max(1));
        self
    }

    /// Bytes of machine code of each module. As many as calls can reach unless set, 512 MiB on x86_64.
    pub fn max_code_size(&mut self, bytes: usize) -> &mut Config {
        self.max_code_size = bytes;
        self
    }

    /// How long compiling a module may take: looked at between functions, the largest of which take some hundred milliseconds. For
    /// ever unless set.
    pub fn max_compile_time(&mut self, time: Duration) -> &mut Config {
        self.max_compile_time = Some(time);
        self
    }

    /// Whether compiled code checks, after each operator, that every 32-bit integer in a register or slot has zero upper bits, and
    /// fills the registers that hold nothing with garbage; a guest whose code breaks the promise ends with a trap of the host. For
    /// tests of the compiler: such code is many times slower. Not unless set.
    pub fn check_values(&mut self, enable: bool) -> &mut Config {
        self.check_values = enable;
        self
    }

    /// Whether guests use up fuel, of which a store has as much as it is [given](crate::Store::set_fuel): a unit for each operator but
    /// those that only mark blocks, one for every 64 bytes that a bulk operation writes and for every element. It is taken for all
    /// operators up to the next branch at once, so that a run takes the same each time, on any thread and machine. Not unless
    /// set, and then it costs nothing.
    pub fn consume_fuel(&mut self, enable: bool) -> &mut Config {
        self.consume_fuel = enable;
        self
    }

    /// The signal that a thread gets when the guest that it runs is [interrupted](crate::InterruptHandle::interrupt). SIGURG unless set, which
    /// does nothing to those who do not expect it. Its handler passes on what is not meant for it to the handler that was there
    /// before, and nothing to the default action; who installs another later must pass on likewise. Another signal can be right
    /// where the process uses SIGURG for sockets; one that cannot be handled, or that faults are, is an error of
    /// [`Engine::new`](crate::Engine::new).
    pub fn interrupt_signal(&mut self, signal: i32) -> &mut Config {
        self.interrupt_signal = signal;
        self
    }

    /// Who is told which functions there are, where, and by which names. Nobody unless set.
    pub fn profiler(&mut self, strategy: ProfilingStrategy) -> &mut Config {
        self.profiler = strategy;
        self
    }

    /// Features of the processor that compiled code does without, by name (`avx`, `avx2`, `bmi1`, `bmi2`, `lzcnt`, `popcnt`, `fma`; nothing
    /// compiles without `sse4.1`), as on a processor that has none of them: for tests of that code. None unless set; a
    /// name that means nothing to the compiler is an error of [`Engine::new`](crate::Engine::new).
    pub fn unused_processor_features(&mut self, names: impl IntoIterator<Item: Into<String>>) -> &mut Config {
        self.unused_features = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether what came after WebAssembly 1.0 is accepted. On unless set.
    pub fn wasm_2(&mut self, enable: bool) -> &mut Config {
        self.feature(FEATURES.difference(WasmFeatures::WASM1), enable)
    }

    /// Whether what came after WebAssembly 2.0 is accepted: relaxed vectors, tail calls, typed function references, extended
    /// constants, several memories, 64-bit memories and tables, exceptions, recursive types and subtypes. On unless set.
    pub fn wasm_3(&mut self, enable: bool) -> &mut Config {
        self.feature(WASM3, enable)
    }

    /// Whether vectors are accepted, which are of 2.0; without them, relaxed operators are not either. On unless set.
    pub fn wasm_simd(&mut self, enable: bool) -> &mut Config {
        let relaxed = if enable { WasmFeatures::empty() } else { WasmFeatures::RELAXED_SIMD };
        self.feature(WasmFeatures::SIMD.union(relaxed), enable)
    }

    /// Whether operators for whole ranges of memories and tables are accepted, which are of 2.0. On unless set. Without them, nothing
    /// of an instance's segments is written if one does not fit, and that is an error of linking, as in 1.0.
    pub fn wasm_bulk_memory(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::BULK_MEMORY, enable)
    }

    /// Whether references are values and modules may have several tables, as in 2.0; without, typed references and exceptions
    /// are not accepted either. On unless set.
    pub fn wasm_reference_types(&mut self, enable: bool) -> &mut Config {
        const TYPED: WasmFeatures =
            WasmFeatures::FUNCTION_REFERENCES.union(WasmFeatures::GC).union(WasmFeatures::EXCEPTIONS);
        let typed = if enable { WasmFeatures::empty() } else { TYPED };
        self.feature(WasmFeatures::REFERENCE_TYPES.union(typed), enable)
    }

    /// Whether functions and blocks may have several results, and blocks parameters, as in 2.0. On unless set.
    pub fn wasm_multi_value(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::MULTI_VALUE, enable)
    }

    /// Whether vectors' relaxed operators give the same on each machine: products and sums rounded apart, what is out of range saturated,
    /// lanes chosen by the bits of a mask. Otherwise they are what the processor does fastest, which a guest that is compiled with
    /// them has declared to be good enough. Not unless set.
    pub fn relaxed_simd_deterministic(&mut self, enable: bool) -> &mut Config {
        self.relaxed_simd_deterministic = enable;
        self
    }

    /// Whether vectors' relaxed operators are accepted. On unless set.
    pub fn wasm_relaxed_simd(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::RELAXED_SIMD, enable)
    }

    /// Whether calls may take the place of their caller. On unless set.
    pub fn wasm_tail_call(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::TAIL_CALL, enable)
    }

    /// Whether references may say the type of their functions, and that they are not null. On unless set.
    pub fn wasm_function_references(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::FUNCTION_REFERENCES, enable)
    }

    /// Whether constant expressions may calculate. On unless set.
    pub fn wasm_extended_const(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::EXTENDED_CONST, enable)
    }

    /// Whether modules may have several memories. On unless set.
    pub fn wasm_multi_memory(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::MULTI_MEMORY, enable)
    }

    /// Whether memories and tables may have 64-bit indices. On unless set.
    pub fn wasm_memory64(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::MEMORY64, enable)
    }

    /// Whether there are exceptions. On unless set.
    pub fn wasm_exceptions(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::EXCEPTIONS, enable)
    }

    /// Whether there are the types of garbage collection: recursive ones, subtypes, and those of structs and arrays. On unless
    /// set. There are no such objects yet: a function that makes one, or casts, is an error of [`Module::new`](crate::Module::new).
    pub fn wasm_gc(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::GC, enable)
    }

    /// Whether memories may have pages of one byte. Off unless set, since it is a proposal still.
    pub fn wasm_custom_page_sizes(&mut self, enable: bool) -> &mut Config {
        self.feature(WasmFeatures::CUSTOM_PAGE_SIZES, enable)
    }

    /// How many threads compile. The machine is asked only now: that reads several files.
    pub(crate) fn threads(&self) -> usize {
        self.compile_threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn feature(&mut self, feature: WasmFeatures, enable: bool) -> &mut Config {
        self.features.set(feature, enable);
        self
    }
}
