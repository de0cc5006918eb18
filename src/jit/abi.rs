//! The contract between compiled code, the runtime and host functions: records, offsets, conventions.
//!
//! # Calling convention
//!
//! There is one, and it is the machine's C ABI (System V, AAPCS64) of
//!
//! ```text
//! extern "C" fn(callee: *const FuncRef, caller: *mut Context, params…) -> Returned
//! ```
//!
//! so that compiled code calls a host function at its own address. Integers and references travel as 64-bit
//! values; **an i32 has zero upper bits in every register and slot of compiled code**, and is only trusted to have them when compiled code put
//! it there. A v128 parameter travels as C's 16-byte vector type.
//!
//! Within one module's code the callee's instance is the caller's: the first two arguments are left
//! undefined, the pinned [`Context`] and memory base stay in their registers, and the result is
//! in the first integer or vector register without a status. Everything else goes through
//! [`FuncRef::entry`]: a host function's shim, or an adapter that switches the instance.
//!
//! The first result is in [`Returned::bits`], the others are in [`Context::results`], 16 bytes each,
//! from index 0 on, until the next call. A v128 that comes first is in the first vector register, here as
//! everywhere: no C function gives that beside [`Returned`], so host functions of such types are entered through a
//! [`host_stub`](super::host_stub). [`Returned::status`] is 0, or says that compiled code must not go on.
//!
//! The reason for one convention: a call through a table does not know who answers. It compares the
//! callee's instance with its own, and only the rare other case leaves the straight path, with
//! its arguments already in place. The price is two argument registers that calls within a module
//! cannot use for parameters.
//!
//! # Traps
//!
//! Every trap is a machine exception at the instruction that caused it: a memory fault, or an undefined instruction
//! followed by a byte that holds the [`TrapCode`]. The signal handler knows pc and stack pointer, walks the frames, and
//! continues at [`trap_exit`](super::Code::trap_exit), which returns from the entry stub. Code that traps needs no registers, and
//! neither a landing nor a table of its own.
//!
//! # Exceptions
//!
//! `throw` is a function of the runtime that gives a status, as a host function does that fails: then compiled code calls
//! [`Context::unwind`], which walks the frames, looks calls up in the [table](super::unwind), and goes on where the exception is caught.

use std::ffi::c_void;
use std::mem::offset_of;

/// What a call through [`FuncRef::entry`] gives back: two integer registers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Returned {
    /// The first result's bits, zero-extended (i32, f32), or 0 where there is none.
    pub bits: u64,
    /// 0: go on. 1: what to do instead is kept by the runtime (a trap of the host, an exit). Otherwise
    /// the [`TrapCode`] plus 1.
    pub status: u64,
}

/// A function as a value: what `ref.func` gives, imports and table entries lead to. A null reference is a null pointer.
#[derive(Debug)]
#[repr(C)]
pub struct FuncRef {
    /// Where the function is entered from outside its instance, by the C ABI.
    pub entry: *const u8,
    /// Where calls of its own instance enter it; null for a host function.
    pub code: *const u8,
    /// The instance it runs in (a [`Context`]), or the host function's data, which is no instance.
    pub context: *mut c_void,
    /// The canonical id of its type in the engine; never 0.
    pub signature: u32,
}

/// An entry of a table of functions: a copy of what a call needs, so that it takes one load less.
/// All zero is null.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TableEntry {
    /// The function itself.
    pub func: *const FuncRef,
    /// [`FuncRef::code`].
    pub code: *const u8,
    /// [`FuncRef::context`].
    pub context: *mut c_void,
    /// [`FuncRef::signature`], 0 for null.
    pub signature: u32,
}

/// A table, as compiled code sees it. Entries of tables that hold no functions are one `u64` each.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// The first entry; moves when the table grows.
    pub base: *mut c_void,
    /// Entries.
    pub len: u64,
}

/// A linear memory, as compiled code sees it.
#[derive(Debug)]
#[repr(C)]
pub struct Memory {
    /// The first byte; never moves while the memory lives, where it is [guarded](MemoryStyle::Guarded).
    pub base: *mut u8,
    /// Bytes that can be accessed.
    pub len: u64,
}

/// A global: 16 bytes whatever its type, little-endian, the rest zero.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Global(pub [u8; 16]);

/// An imported function in an instance.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Import {
    /// The function, passed to it as its first argument.
    pub func: *const FuncRef,
    /// [`FuncRef::entry`].
    pub entry: *const u8,
}

/// The head of an instance record: what compiled code addresses from its pinned register. The
/// module's own parts follow at the offsets of its [`Layout`].
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Context {
    /// The base of memory 0 (or null).
    pub memory_base: *mut u8,
    /// Below this the stack pointer must not go.
    pub stack_limit: u64,
    /// The runtime's functions that compiled code calls.
    pub builtins: *const Builtins,
    /// Where results after the first are passed: [`RESULTS_MAX`] places of 16 bytes, shared by the store.
    pub results: *mut Global,
    /// What is left of the store's fuel, where it is used up.
    pub fuel: *mut u64,
    /// The runtime's own (its store, its instance); compiled code does not look.
    pub store: *mut c_void,
    /// The runtime's own.
    pub instance: *mut c_void,
    /// Where compiled code goes, by a call, when [`Returned::status`] is not 0: it does not return, but goes on where an exception
    /// is caught, or at the trap exit.
    pub unwind: *const u8,
}

/// Results of one function, at the most (wasmparser's own limit for these and parameters), and a reference to an exception.
pub const RESULTS_MAX: usize = 1001;

/// A guarded memory reserves 4 GiB and this much after it. A constant offset of an access that
/// does not fit in it is checked explicitly.
pub const MEMORY_GUARD: u64 = 1 << 26;

/// How accesses to a memory are kept inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryStyle {
    /// By the reservation: 32-bit indices.
    Guarded,
    /// By comparing with [`Memory::len`] at each access; the base may move at any call.
    Checked,
}

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        /// The runtime's functions. Each takes the calling instance, then integers as `u64`, and gives [`Returned`].
        #[derive(Debug)]
        #[repr(C)]
        pub struct Builtins {
            $($(#[$doc])* pub $name: unsafe extern "C" fn(*mut Context, $(builtins!(@u64 $arg)),*) -> Returned,)*
        }

        /// Which function of [`Builtins`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "one name for the field and for its index")]
        pub enum Builtin { $(#[allow(missing_docs, reason = "documented on the field")] $name,)* }

        impl Builtin {
            /// Its place in [`Builtins`].
            #[must_use]
            pub const fn offset(self) -> u32 {
                match self { $(Builtin::$name => offset_of!(Builtins, $name) as u32,)* }
            }
        }
    };
    (@u64 $arg:ident) => { u64 };
}

builtins! {
    /// Grows by `pages`: the old size in pages, or -1 (as u64) where it cannot.
    memory_grow(memory, pages);
    /// Traps where either range is outside.
    memory_copy(target_memory, source_memory, target, source, len);
    /// `value`'s low byte.
    memory_fill(memory, target, value, len);
    /// From a data segment; a dropped one is empty.
    memory_init(memory, segment, target, source, len);
    /// Empties a data segment.
    data_drop(segment);
    /// A reference: a `FuncRef` pointer, or a host reference's number.
    table_get(table, index);
    /// Traps where `index` is outside.
    table_set(table, index, value);
    /// The old size, or -1 (as u64).
    table_grow(table, value, delta);
    /// Traps where the range is outside, before the first entry is written.
    table_fill(table, target, value, len);
    /// Traps where either range is outside.
    table_copy(target_table, source_table, target, source, len);
    /// From an element segment; a dropped one is empty.
    table_init(table, segment, target, source, len);
    /// Empties an element segment.
    elem_drop(segment);
    /// A function that is of type `ty` or a subtype of it.
    table_function(table, ty, index);
    /// Its values are in [`Context::results`]; never goes on.
    throw(tag);
    /// Never goes on.
    throw_ref(exception);
}

macro_rules! trap_codes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why code trapped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum TrapCode { $($(#[$doc])* $name,)* }

        impl TrapCode {
            const ALL: &[TrapCode] = &[$(TrapCode::$name,)*];
        }
    };
}

trap_codes! {
    /// A status other than 0 came back from the host, and the runtime knows why.
    Host,
    /// `unreachable` was executed.
    Unreachable,
    /// A memory access outside.
    MemoryOutOfBounds,
    /// A table access outside.
    TableOutOfBounds,
    /// `call_indirect` through an index outside its table.
    UndefinedElement,
    /// A call of a null reference through a table.
    UninitializedElement,
    /// The callee of `call_indirect` has another type.
    IndirectCallTypeMismatch,
    /// A null reference where there must be none.
    NullReference,
    /// A call of a null reference.
    NullFunctionReference,
    /// Division by zero.
    IntegerDivisionByZero,
    /// A quotient or a truncated float that is out of range.
    IntegerOverflow,
    /// Truncation of a NaN.
    InvalidConversionToInteger,
    /// The stack is used up.
    StackOverflow,
    /// Stopped from outside.
    Interrupted,
    /// The fuel is used up.
    OutOfFuel,
    /// An exception that nobody caught.
    UncaughtException,
}

impl TrapCode {
    /// The code that `byte` stands for in compiled code.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<TrapCode> {
        TrapCode::ALL.get(usize::from(byte)).copied()
    }

    /// The code that a [`Returned::status`] other than 0 stands for.
    #[must_use]
    pub fn from_status(status: u64) -> Option<TrapCode> {
        TrapCode::ALL.get(usize::try_from(status.checked_sub(1)?).ok()?).copied()
    }

    /// As a [`Returned::status`].
    #[must_use]
    pub const fn status(self) -> u64 {
        self as u64 + 1
    }
}

/// Where an instance record holds what a module defines: byte offsets from its [`Context`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Canonical signature ids by type index: `[u32]`.
    pub signatures: u32,
    /// Imported functions: `[Import]`.
    pub imports: u32,
    /// Pointers to all memories, imported first: `[*mut Memory]`.
    pub memories: u32,
    /// Pointers to all tables, imported first: `[*mut Table]`.
    pub tables: u32,
    /// Pointers to imported globals: `[*mut Global]`.
    pub imported_globals: u32,
    /// Defined globals: `[Global]`.
    pub globals: u32,
    /// Functions that can be referred to, by their number in [`Env::escaping`](super::Env::escaping): `[FuncRef]`.
    pub func_refs: u32,
    /// Bytes of the whole record.
    pub size: u32,
}

/// How many of each a module has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Types.
    pub types: u32,
    /// Imported functions.
    pub imports: u32,
    /// Memories, imported and defined.
    pub memories: u32,
    /// Tables, imported and defined.
    pub tables: u32,
    /// Imported globals.
    pub imported_globals: u32,
    /// Defined globals.
    pub globals: u32,
    /// Functions that can be referred to.
    pub func_refs: u32,
}

impl Layout {
    /// Lays out an instance record. The hot parts (globals, memories, tables) come first, so that their
    /// displacements are short.
    ///
    /// The counts are bounded by validation (a million of each at the most), so no offset overflows.
    #[must_use]
    pub fn new(counts: &Counts) -> Layout {
        let mut end = size_of::<Context>() as u32;
        let mut place = |count: u32, size: usize| {
            let start = end;
            end = (start + count * size as u32).next_multiple_of(16);
            start
        };
        let globals = place(counts.globals, size_of::<Global>());
        let memories = place(counts.memories, size_of::<*mut Memory>());
        let tables = place(counts.tables, size_of::<*mut Table>());
        let imported_globals = place(counts.imported_globals, size_of::<*mut Global>());
        let imports = place(counts.imports, size_of::<Import>());
        let signatures = place(counts.types, size_of::<u32>());
        let func_refs = place(counts.func_refs, size_of::<FuncRef>());
        Layout { signatures, imports, memories, tables, imported_globals, globals, func_refs, size: end }
    }
}

/// What the entry stub is told of the host's side, and keeps there for the trap exit.
#[derive(Debug)]
#[repr(C)]
pub struct Activation {
    /// The stack pointer to leave with; written by the entry stub.
    pub stack_pointer: u64,
}

/// Enters compiled code: `stub(context, code, values, activation)`. `values` holds the parameters, 16 bytes each, and
/// gets the results. Gives 0, or 1 if it left through the trap exit.
pub type EntryStub = unsafe extern "C" fn(*mut Context, *const u8, *mut Global, *mut Activation) -> u64;
