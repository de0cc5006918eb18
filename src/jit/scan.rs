//! The first look at a function: validation, and what is worth knowing before its first instruction.
//!
//! Validating before compiling costs a second reading of the operators and buys much: the compiler
//! never sees an invalid function, needs no `Result` per operator, knows the frame before the
//! prologue, and which locals deserve registers. The counting rides on the validator's own visit.

use super::convention::Places;
use super::env::{Env, Kind};
use super::masm::Machine;
use super::walk::visit_short;
use std::marker::PhantomData;
use wasmparser::{
    BinaryReader, BinaryReaderError, BlockType, Catch, FrameKind, FrameStack, FuncValidator, FunctionBody, TryTable,
    VisitOperator, VisitSimdOperator, WasmModuleResources,
};

type Result<T> = std::result::Result<T, BinaryReaderError>;

/// How much more a use counts for each loop around it: a factor of 8, five times at the most.
const LOOP_SHIFT: u32 = 3;
const LOOP_DEPTH_MAX: u32 = 5;

/// What a function does with its locals, its stack and other functions.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Of each local.
    pub(crate) locals: Vec<Uses>,
    /// Calls, weighted alike. 0 for a leaf.
    pub(crate) calls: u32,
    /// The operand stack's greatest height, in values.
    pub(crate) height: u32,
    /// Bytes of stack arguments of the calls.
    pub(crate) outgoing: u32,
    /// Bytes of stack arguments of the tail calls.
    pub(crate) tail: u32,
    /// The first operator, in the validator's words, that the compiler does not know.
    pub(crate) unsupported: Option<&'static str>,
    /// Values that a caught exception may bring, at the most.
    caught: u32,
    /// Whether an operator may make a v128.
    pub(crate) vectors: bool,
    /// Locals that are set, in order.
    order: Vec<u32>,
    blocks: Vec<Open>,
    loops: u32,
    /// What a use counts here.
    weight: u32,
}

/// What a function does with a local.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uses {
    /// Their number, weighted by loops.
    pub(crate) weight: u32,
    /// Whether it may be read before it is set, so that its zero matters. A local counts as set from
    /// where it is set to the end of the block around that, as function references have it.
    pub(crate) zero: bool,
    set: bool,
}

/// An open block.
#[derive(Debug)]
struct Open {
    is_loop: bool,
    /// How many locals were set when it began.
    set: usize,
}

impl Stats {
    fn clear(&mut self, params: usize, locals: usize) {
        self.locals.clear();
        self.locals.resize(params, Uses { set: true, ..Uses::default() });
        self.locals.resize(locals, Uses::default());
        self.order.clear();
        (self.calls, self.height, self.outgoing, self.tail, self.loops, self.weight) = (0, 0, 0, 0, 0, 1);
        (self.caught, self.unsupported) = (0, None);
        self.vectors = false;
        self.blocks.clear();
    }

    fn get(&mut self, index: u32) {
        let weight = self.weight;
        if let Some(local) = self.locals.get_mut(index as usize) {
            local.weight = local.weight.saturating_add(weight);
            local.zero |= !local.set;
        }
    }

    fn set(&mut self, index: u32) {
        let weight = self.weight;
        if let Some(local) = self.locals.get_mut(index as usize) {
            local.weight = local.weight.saturating_add(weight);
            if !local.set {
                local.set = true;
                self.order.push(index);
            }
        }
    }

    fn open(&mut self, is_loop: bool) {
        self.blocks.push(Open { is_loop, set: self.order.len() });
        if is_loop {
            self.nest(self.loops + 1);
        }
    }

    fn nest(&mut self, loops: u32) {
        self.loops = loops;
        self.weight = 1 << (LOOP_SHIFT * loops.min(LOOP_DEPTH_MAX));
    }

    /// What was set in a block was perhaps jumped over; a loop's end is reached only through the loop.
    fn close(&mut self) {
        match self.blocks.pop() {
            Some(Open { is_loop: true, .. }) => self.nest(self.loops - 1),
            Some(Open { set, .. }) => self.unset(set),
            None => {}
        }
    }

    fn other_branch(&mut self) {
        if let Some(&Open { set, .. }) = self.blocks.last() {
            self.unset(set);
        }
    }

    fn unset(&mut self, height: usize) {
        for index in self.order.drain(height..) {
            self.locals[index as usize].set = false;
        }
    }

    fn calls(&mut self, stack_bytes: u32) {
        self.calls = self.calls.saturating_add(self.weight);
        self.outgoing = self.outgoing.max(stack_bytes);
    }
}

/// Validates `body` and fills `stats`.
pub(crate) fn scan<M: Machine, R: WasmModuleResources>(
    env: &Env,
    validator: &mut FuncValidator<R>,
    body: &FunctionBody<'_>,
    stats: &mut Stats,
) -> Result<()> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    let params = env.types[env.functions[validator.index() as usize] as usize].params.len();
    stats.clear(params, validator.len_locals() as usize);
    let features = *validator.features();
    let start = body.range().start;
    let code = body.as_bytes();
    let mut at = (reader.original_position() - start) as usize;
    let mut height = 0;
    while at < code.len() {
        // Behind the function's end the reader finds what there is to say.
        let in_function = validator.control_stack_height() > 0;
        let short = {
            let inner = validator.visitor(start + at as u64);
            let mut counting = Counting { inner, stats, env, machine: PhantomData::<M> };
            if in_function { visit_short(&mut counting, code, &mut at) } else { None }
        };
        match short {
            Some(outcome) => outcome?,
            None => {
                let position = start + at as u64;
                let mut reader = BinaryReader::new_features(&code[at..], position, features);
                let inner = validator.visitor(position);
                reader.visit_operator(&mut Counting { inner, stats, env, machine: PhantomData::<M> })??;
                at = (reader.original_position() - start) as usize;
            }
        }
        height = height.max(validator.operand_stack_height());
    }
    // No operator puts what is caught on the stack: it appears where a label is, above what is there.
    stats.height = height + stats.caught;
    let end = start + at as u64;
    BinaryReader::new(&[], end).finish_expression(&validator.visitor(end))
}

/// Validates through `inner` and counts.
struct Counting<'s, V, M> {
    inner: V,
    stats: &'s mut Stats,
    env: &'s Env,
    machine: PhantomData<M>,
}

impl<V: FrameStack, M> FrameStack for Counting<'_, V, M> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.inner.current_frame()
    }
}

impl<V, M: Machine> Counting<'_, V, M> {
    /// A call of a function of the type; what is out of range is refused right afterwards.
    fn calls(&mut self, type_index: Option<u32>) {
        let Some(ty) = type_index.and_then(|ty| self.env.types.get(ty as usize)) else { return };
        self.stats.calls(Places::<M>::stack_bytes(&ty.params));
        self.stats.vectors |= ty.results.contains(&Kind::V128);
    }

    /// A tail call of a function of the type. It may have to be a call, so that it counts as one.
    fn tail_calls(&mut self, type_index: Option<u32>) {
        let params = type_index.and_then(|ty| self.env.types.get(ty as usize)).map_or(&[][..], |ty| &ty.params);
        let bytes = Places::<M>::stack_bytes(params);
        self.stats.calls(bytes);
        self.stats.tail = self.stats.tail.max(bytes);
    }

    fn note_visit_local_get(&mut self, index: u32) {
        self.stats.get(index);
    }

    fn note_visit_local_set(&mut self, index: u32) {
        self.stats.set(index);
    }

    fn note_visit_local_tee(&mut self, index: u32) {
        self.stats.set(index);
    }

    fn note_visit_global_get(&mut self, index: u32) {
        self.stats.vectors |= self.env.globals.get(index as usize).is_some_and(|global| global.kind == Kind::V128);
    }

    fn note_visit_block(&mut self, _: BlockType) {
        self.stats.open(false);
    }

    fn note_visit_loop(&mut self, _: BlockType) {
        self.stats.open(true);
    }

    fn note_visit_if(&mut self, _: BlockType) {
        self.stats.open(false);
    }

    fn note_visit_else(&mut self) {
        self.stats.other_branch();
    }

    fn note_visit_end(&mut self) {
        self.stats.close();
    }

    fn note_visit_call(&mut self, function: u32) {
        self.calls(self.env.functions.get(function as usize).copied());
    }

    fn note_visit_call_indirect(&mut self, ty: u32, _: u32) {
        self.calls(Some(ty));
    }

    fn note_visit_return_call(&mut self, function: u32) {
        self.tail_calls(self.env.functions.get(function as usize).copied());
    }

    fn note_visit_call_ref(&mut self, ty: u32) {
        self.calls(Some(ty));
    }

    fn note_visit_return_call_typed(&mut self, ty: u32) {
        self.tail_calls(Some(ty));
    }

    fn note_visit_try_table(&mut self, table: &TryTable) {
        self.stats.open(false);
        for catch in &table.catches {
            let (tag, by_reference) = match *catch {
                Catch::One { tag, .. } => (Some(tag), 0),
                Catch::OneRef { tag, .. } => (Some(tag), 1),
                Catch::All { .. } => (None, 0),
                Catch::AllRef { .. } => (None, 1),
            };
            let ty = tag.and_then(|tag| self.env.types.get(*self.env.tags.get(tag as usize)? as usize));
            let params = ty.map_or(&[][..], |ty| &ty.params);
            self.stats.caught = self.stats.caught.max(params.len() as u32 + by_reference);
            self.stats.vectors |= params.contains(&Kind::V128);
        }
    }

    fn note_unsupported(&mut self, operator: &'static str) {
        self.stats.unsupported.get_or_insert(operator);
    }

    fn note_runtime(&mut self) {
        self.stats.calls(0);
    }
}

/// Forwards each visit to the validator, after the note that some operators get.
macro_rules! forward {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            #[inline]
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> Self::Output {
                unsupported!(@$proposal self $visit);
                note!(self $visit $($($arg),*)?);
                self.inner.$visit($($($arg),*)?)
            }
        )*
    };
}

/// Objects of garbage collection are validated, and no more.
macro_rules! unsupported {
    (@gc $self:ident $visit:ident) => {
        $self.note_unsupported(stringify!($visit))
    };
    (@$proposal:ident $self:ident $visit:ident) => {};
}

macro_rules! note {
    ($self:ident visit_local_get $i:ident) => {
        $self.note_visit_local_get($i)
    };
    ($self:ident visit_local_set $i:ident) => {
        $self.note_visit_local_set($i)
    };
    ($self:ident visit_local_tee $i:ident) => {
        $self.note_visit_local_tee($i)
    };
    ($self:ident visit_global_get $i:ident) => {
        $self.note_visit_global_get($i)
    };
    ($self:ident visit_block $ty:ident) => {
        $self.note_visit_block($ty)
    };
    ($self:ident visit_loop $ty:ident) => {
        $self.note_visit_loop($ty)
    };
    ($self:ident visit_if $ty:ident) => {
        $self.note_visit_if($ty)
    };
    ($self:ident visit_try_table $table:ident) => {
        $self.note_visit_try_table(&$table)
    };
    ($self:ident visit_throw $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_throw_ref $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_else) => {
        $self.note_visit_else()
    };
    ($self:ident visit_end) => {
        $self.note_visit_end()
    };
    ($self:ident visit_call $f:ident) => {
        $self.note_visit_call($f)
    };
    ($self:ident visit_call_indirect $ty:ident, $table:ident) => {
        $self.note_visit_call_indirect($ty, $table)
    };
    ($self:ident visit_call_ref $ty:ident) => {
        $self.note_visit_call_ref($ty)
    };
    ($self:ident visit_return_call $f:ident) => {
        $self.note_visit_return_call($f)
    };
    ($self:ident visit_return_call_indirect $ty:ident, $table:ident) => {
        $self.note_visit_return_call_typed($ty)
    };
    ($self:ident visit_return_call_ref $ty:ident) => {
        $self.note_visit_return_call_typed($ty)
    };
    ($self:ident visit_memory_grow $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_memory_copy $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_memory_fill $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_memory_init $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_data_drop $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_elem_drop $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_get $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_set $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_grow $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_fill $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_copy $($_:tt)*) => {
        $self.note_runtime()
    };
    ($self:ident visit_table_init $($_:tt)*) => {
        $self.note_runtime()
    };
    ($($_:tt)*) => {};
}

impl<'a, V: VisitOperator<'a, Output = Result<()>>, M: Machine> VisitOperator<'a> for Counting<'_, V, M> {
    type Output = Result<()>;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Result<()>>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(forward);
}

/// Forwards each visit to the validator's own visitor of vector operators.
macro_rules! forward_simd {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> Self::Output {
                self.stats.vectors = true;
                match self.inner.simd_visitor() {
                    Some(inner) => inner.$visit($($($arg),*)?),
                    None => unreachable!("the validator knows vector operators"),
                }
            }
        )*
    };
}

impl<'a, V: VisitOperator<'a, Output = Result<()>>, M: Machine> VisitSimdOperator<'a> for Counting<'_, V, M> {
    wasmparser::for_each_visit_simd_operator!(forward_simd);
}
