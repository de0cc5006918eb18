//! A module's functions, on one thread or several, to one run of code.

use super::buffer::Buffer;
use super::convention::Places;
use super::env::{Env, Signature};
use super::positions::{Positions, Span};
use super::scan::{Stats, scan};
use super::target::{Backend, Processor, Relocation, Target};
use super::unwind::Unwind;
use super::walk::Walk;
use super::{Code, CompileError, Function, FunctionCode};
use dynasmrt::DynasmApi;
use std::time::Instant;
use wasmparser::{FuncToValidate, FuncValidatorAllocations, ValidatorResources};

/// Functions that a thread takes at once.
const BATCH: usize = 64;

/// Machine code is rarely more than this many times as long as what it comes from.
const EXPANSION: usize = 4;

/// Which code is whose, where that can be told.
type Found = Option<Vec<Span>>;

/// What is compiled for each machine. A target points to its machine's, so that a program that names no other machine does not
/// contain that machine's compiler.
#[derive(Debug)]
pub(super) struct Driver<F> {
    compile: fn(&Env, F, &[Function<'_>], usize) -> Result<Code, CompileError>,
    positions: fn(&Env, F, &Function<'_>, &[u8]) -> Result<Found, CompileError>,
    host_stub: fn(F, &Signature) -> Buffer,
}

/// The driver of a machine.
pub(super) trait Driven: Backend<Features: 'static> + Sized {
    const DRIVER: &'static Driver<Self::Features> =
        &Driver { compile: compile_for::<Self>, positions: positions_for::<Self>, host_stub: host_stub_for::<Self> };
}

impl<M: Backend<Features: 'static>> Driven for M {}

/// Compiles all functions of a module for `target`, on up to `threads` threads.
///
/// # Errors
/// The first function, by index, that is not valid or exceeds a limit; or that the processor is too old for any.
pub fn compile(env: &Env, target: Target, functions: Vec<Function<'_>>, threads: usize) -> Result<Code, CompileError> {
    match target.0 {
        Processor::X86_64(features, driver) => match features.missing() {
            Some(missing) => Err(CompileError::Processor(missing)),
            None => (driver.compile)(env, features, &functions, threads),
        },
        Processor::Aarch64(features, driver) => (driver.compile)(env, features, &functions, threads),
    }
    .map(|code| Code { processor_features: target.features(), ..code })
}

fn compile_for<M: Backend>(
    env: &Env,
    features: M::Features,
    functions: &[Function<'_>],
    threads: usize,
) -> Result<Code, CompileError> {
    let threads = threads.clamp(1, functions.len().div_ceil(BATCH).max(1));
    let code = match attempt::<M>(env, features, functions, threads, 0) {
        Err(Stop::TailArea) => attempt::<M>(env, features, functions, threads, largest_area::<M>(env)),
        done => done,
    };
    code.map_err(|stop| match stop {
        Stop::Error(error) => error,
        Stop::TailArea => CompileError::Limit(0, "its tail calls have too many arguments"),
    })
}

/// Which code of a function is whose, by compiling it once more. None where that gives other code than `code`, the function's
/// own, as for another processor.
///
/// # Errors
/// As for [`compile`].
pub fn positions(
    env: &Env,
    target: Target,
    function: &Function<'_>,
    code: &[u8],
) -> Result<Option<Vec<Span>>, CompileError> {
    match target.0 {
        Processor::X86_64(features, driver) => (driver.positions)(env, features, function, code),
        Processor::Aarch64(features, driver) => (driver.positions)(env, features, function, code),
    }
}

fn positions_for<M: Backend>(
    env: &Env,
    features: M::Features,
    function: &Function<'_>,
    code: &[u8],
) -> Result<Option<Vec<Span>>, CompileError> {
    // Whether frames have room for tail calls' arguments was decided for the module as a whole.
    for area in [0, largest_area::<M>(env)] {
        let (positions, assembler) = recompile::<M>(env, features, function, area)?;
        let mut again = assembler.code().to_vec();
        if again.len() == code.len() {
            // Distances to other functions are not known yet.
            for &Relocation { field, .. } in assembler.relocations() {
                let field = field as usize..field as usize + 4;
                again[field.clone()].copy_from_slice(&code[field]);
            }
        }
        if again == code {
            return Ok(Some(positions.into_spans()));
        }
    }
    Ok(None)
}

fn recompile<M: Backend>(
    env: &Env,
    features: M::Features,
    (function, body): &Function<'_>,
    area: u32,
) -> Result<(Positions, M), CompileError> {
    let mut stats = Stats::default();
    let mut validator = copy(function).into_validator(FuncValidatorAllocations::default());
    scan::<M, _>(env, &mut validator, body, &mut stats)?;
    // That there is room was found before.
    _ = reserve_area::<M>(env, function.ty, &mut stats, area);
    let mut walk = Walk::new(env, M::new(features, body.as_bytes().len() * EXPANSION));
    let mut positions = Positions::new(body.range().start);
    walk.function(function.index, body, &stats, &mut positions)?;
    if !walk.masm().reaches(0) {
        walk.take_back();
        positions = Positions::new(body.range().start);
        walk.function(function.index, body, &stats, &mut positions)?;
    }
    Ok((positions, walk.finish().0))
}

fn copy(function: &FuncToValidate<ValidatorResources>) -> FuncToValidate<ValidatorResources> {
    let FuncToValidate { ref resources, index, ty, features } = *function;
    FuncToValidate { resources: resources.clone(), index, ty, features }
}

/// Why an attempt was given up.
enum Stop {
    Error(CompileError),
    /// A tail call has more stack arguments than its caller is sure to have received room for. Callers reserve that room, and
    /// may have been compiled already: so the module is begun again, with room for the most arguments in each frame. Few modules
    /// have tail calls and of those few have so many arguments, so that all others do not pay.
    TailArea,
}

impl From<CompileError> for Stop {
    fn from(error: CompileError) -> Stop {
        Stop::Error(error)
    }
}

/// Bytes of stack arguments, at the most, of any function of the module's types.
fn largest_area<M: Backend>(env: &Env) -> u32 {
    env.types.iter().map(|ty| Places::<M>::stack_bytes(&ty.params)).max().unwrap_or(0)
}

/// Compiles with `area` bytes for stack arguments in each frame that calls.
fn attempt<M: Backend>(
    env: &Env,
    features: M::Features,
    functions: &[Function<'_>],
    threads: usize,
    area: u32,
) -> Result<Code, Stop> {
    let shares = shares(functions, threads);
    let parts = std::thread::scope(|scope| {
        let compile = |share, bytes| worker::<M>(env, features, share, bytes, area);
        let spawn = |&share| scope.spawn(move || compile(share, code_bytes(share)));
        let others: Vec<_> = shares[1..].iter().map(spawn).collect();
        // The others' code goes behind this thread's.
        let own = compile(shares[0], code_bytes(functions));
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        std::iter::once(own).chain(others.into_iter().map(join)).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(link(env, features, parts, area)?)
}

fn code_bytes(functions: &[Function<'_>]) -> usize {
    functions.iter().map(|(_, body)| body.as_bytes().len()).sum()
}

/// Cuts the functions into as many runs of about the same length of code.
fn shares<'f, 'a>(mut functions: &'f [Function<'a>], threads: usize) -> Vec<&'f [Function<'a>]> {
    let total = code_bytes(functions);
    let mut shares = Vec::with_capacity(threads);
    for _ in 1..threads {
        let mut bytes = 0;
        let fits = |(_, body): &&Function<'_>| {
            bytes += body.as_bytes().len();
            bytes <= total / threads
        };
        let (share, rest) = functions.split_at(functions.iter().take_while(fits).count());
        shares.push(share);
        functions = rest;
    }
    shares.push(functions);
    shares
}

/// One thread's functions, one after another.
struct Part<M> {
    assembler: M,
    functions: Vec<FunctionCode>,
    unwind: Unwind,
}

/// With room for what comes from `bytes`.
fn worker<M: Backend>(
    env: &Env,
    features: M::Features,
    functions: &[Function<'_>],
    bytes: usize,
    area: u32,
) -> Result<Part<M>, Stop> {
    let mut walk = Walk::new(env, M::new(features, bytes * EXPANSION));
    let mut stats = Stats::default();
    let mut allocations = FuncValidatorAllocations::default();
    let mut codes = Vec::with_capacity(functions.len());
    for (function, body) in functions {
        let (index, ty) = (function.index, function.ty);
        let mut validator = copy(function).into_validator(std::mem::take(&mut allocations));
        scan::<M, _>(env, &mut validator, body, &mut stats).map_err(CompileError::Invalid)?;
        allocations = validator.into_allocations();
        if let Some(operator) = stats.unsupported {
            return Err(CompileError::Unsupported(index, operator).into());
        }
        reserve_area::<M>(env, ty, &mut stats, area)?;
        let before = walk.masm().position();
        let mut plan = walk.function(index, body, &stats, &mut ())?;
        if !walk.masm().reaches(before) {
            walk.take_back();
            plan = walk.function(index, body, &stats, &mut ())?;
        }
        let end = walk.masm().position();
        check_limits(env, index, end, M::MODULE_MAX)?;
        let (frame, saved) = (M::frame_size(&plan), plan.saved.bits());
        codes.push(FunctionCode { start: before.next_multiple_of(16), end, frame, saved });
    }
    // As between functions, so that the code does not depend on how many threads share it.
    walk.masm().align();
    let (assembler, unwind) = walk.finish();
    Ok(Part { assembler, functions: codes, unwind })
}

/// Whether compiling may go on, `end` bytes of code being there after a function.
fn check_limits(env: &Env, function: u32, end: u32, most: u32) -> Result<(), CompileError> {
    let limit = |what| Err(CompileError::Limit(function, what));
    match () {
        () if end > most => limit("the module's code is too large from here on"),
        () if env.max_code.is_some_and(|most| end > most) => {
            limit("the module has more code than Config::max_code_size allows")
        }
        () if env.deadline.is_some_and(|deadline| Instant::now() > deadline) => {
            limit("compiling took longer than Config::max_compile_time allows")
        }
        () => Ok(()),
    }
}

/// Makes room for the arguments of callees' tail calls, and checks that this function's own have room.
fn reserve_area<M: Backend>(env: &Env, ty: u32, stats: &mut Stats, area: u32) -> Result<(), Stop> {
    if stats.calls > 0 {
        stats.outgoing = stats.outgoing.max(area);
    }
    let own = Places::<M>::stack_bytes(&env.types[ty as usize].params);
    if stats.tail > own.max(area) { Err(Stop::TailArea) } else { Ok(()) }
}

/// Puts the parts behind each other, resolves calls between functions, and adds the stubs.
fn link<M: Backend>(env: &Env, features: M::Features, parts: Vec<Part<M>>, area: u32) -> Result<Code, CompileError> {
    let mut code = Code::default();
    let mut relocations: Vec<Relocation> = Vec::new();
    for Part { assembler, functions, unwind } in parts {
        code.text.align(16, M::FILL);
        let at = code.text.len() as u32;
        let end = u32::try_from(code.text.len() + assembler.code().len()).unwrap_or(u32::MAX);
        check_limits(env, 0, end, M::MODULE_MAX)?;
        relocations.extend(assembler.relocations().iter().map(|r| Relocation { field: r.field + at, ..*r }));
        code.functions.extend(functions.into_iter().map(|f| FunctionCode {
            start: f.start + at,
            end: f.end + at,
            ..f
        }));
        code.unwind.append(unwind, at);
        if code.text.is_empty() {
            code.text = assembler.into_code();
        } else {
            code.text.extend_from_slice(assembler.code());
        }
    }
    for Relocation { field, function } in relocations {
        M::relocate(&mut code.text, field, code.functions[function as usize].start);
    }
    stubs::<M>(env, features, &mut code, area);
    Ok(code)
}

/// The stubs of the types that escaping functions have.
fn stubs<M: Backend>(env: &Env, features: M::Features, code: &mut Code, area: u32) {
    let mut m = M::new(features, 0);
    code.text.align(16, M::FILL);
    let base = code.text.len() as u32;
    code.trap_exit = base;
    m.trap_exit();
    code.entry_stubs = vec![None; env.types.len()];
    code.adapters = vec![None; env.types.len()];
    for (function, _) in env.escaping.iter().enumerate().filter(|(_, place)| place.is_some()) {
        let ty = env.functions[function] as usize;
        if code.entry_stubs[ty].is_none() {
            m.align();
            code.entry_stubs[ty] = Some(base + m.position());
            m.entry_stub(&env.types[ty], area);
            m.align();
            let start = base + m.position();
            let frame = m.adapter(&env.types[ty], area);
            code.adapters[ty] = Some(start);
            let saved = M::ADAPTER_SAVED.bits();
            code.stubs.push(FunctionCode { start, end: base + m.position(), frame, saved });
        }
    }
    code.text.extend_from_slice(m.code());
}

/// The [`FuncRef::entry`](super::abi::FuncRef::entry) of host functions of a type that take their parameters as an array
/// (a [`HostArrayCall`](super::HostArrayCall)): position-independent code that gathers them and spreads the results.
#[must_use]
pub fn host_stub(target: Target, signature: &Signature) -> Buffer {
    match target.0 {
        Processor::X86_64(features, driver) => (driver.host_stub)(features, signature),
        Processor::Aarch64(features, driver) => (driver.host_stub)(features, signature),
    }
}

fn host_stub_for<M: Backend>(features: M::Features, signature: &Signature) -> Buffer {
    let mut m = M::new(features, 0);
    m.host_stub(signature);
    m.into_code()
}
