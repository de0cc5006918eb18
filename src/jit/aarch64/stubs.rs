//! Code between the host and compiled functions: one stub for each type that needs it.
//!
//! Compiled code leaves V8 to V15 alone, whose lower halves belong to the host.

use super::encode::{LDR_X, STR_X};
use super::{Assembler, CONTEXT, LINK, MEMORY, SP, V31, X0, X1, X16, X17, asm, x};
use crate::jit::abi::{Activation, Context, FuncRef};
use crate::jit::arrays::{copy_values, first_result, gather_params, spread_params, value};
use crate::jit::convention::Places;
use crate::jit::env::{Kind, Signature};
use crate::jit::masm::{Address, Dst, Machine, Masm, Slot, Src};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;
use std::mem::offset_of;

/// What values are copied through.
const SCRATCH: Reg = Reg::vector(V31);

/// Where the entry stub keeps the address of the values: a temporary that is no argument.
const VALUES: Reg = x(8);

impl Assembler {
    fn load_word(&mut self, dst: Reg, base: Reg, offset: usize) {
        self.access(LDR_X, dst.number(), Address::new(base, offset as u32));
    }

    /// The host's registers; above them there is room for a word.
    fn save_host(&mut self) {
        asm!(self; stp x29, x30, [sp, -112]!; stp x19, x20, [sp, 16]; stp x21, x22, [sp, 32]);
        asm!(self; stp x23, x24, [sp, 48]; stp x25, x26, [sp, 64]; stp x27, x28, [sp, 80]; mov x29, sp);
    }

    fn restore_host(&mut self) {
        asm!(self; ldp x19, x20, [sp, 16]; ldp x21, x22, [sp, 32]; ldp x23, x24, [sp, 48]; ldp x25, x26, [sp, 64]);
        asm!(self; ldp x27, x28, [sp, 80]; ldp x29, x30, [sp], 112; ret);
    }
}

pub(super) fn trap_exit(m: &mut Assembler) {
    asm!(m; mov w0, 1);
    m.restore_host();
}

pub(super) fn entry_stub(m: &mut Assembler, signature: &Signature, area: u32) {
    let stack = Places::<Assembler>::stack_bytes(&signature.params).max(area).next_multiple_of(16);
    m.save_host();
    asm!(m; str x2, [sp, 96]; mov x16, sp; str x16, [x3, offset_of!(Activation, stack_pointer) as u32]);
    asm!(m; mov x28, x0; mov x9, x1; mov x8, x2);
    m.load_word(MEMORY, CONTEXT, offset_of!(Context, memory_base));
    m.add_offset(SP, SP, -i64::from(stack));
    spread_params(m, &signature.params, VALUES, (X17, SCRATCH));
    asm!(m; blr x9);
    m.add_offset(SP, SP, stack.into());
    m.load_word(VALUES, SP, 96);
    if let Some(&first) = signature.results.first() {
        m.store_value(first, value(VALUES, 0), Src::Reg(Assembler::result(first)));
    }
    if signature.results.len() > 1 {
        m.load_word(X17, CONTEXT, offset_of!(Context, results));
        copy_values(m, value(VALUES, 1), value(X17, 0), signature.results.len() - 1, SCRATCH);
    }
    asm!(m; mov w0, wzr);
    m.restore_host();
}

pub(super) fn adapter(m: &mut Assembler, signature: &Signature, area: u32) -> u32 {
    let stack = Places::<Assembler>::stack_bytes(&signature.params);
    let area = stack.max(area).next_multiple_of(16);
    asm!(m; stp x27, x30, [sp, -16]!; stp xzr, x28, [sp, -16]!);
    m.add_offset(SP, SP, -i64::from(area));
    for at in (0..stack).step_by(8) {
        m.mov(Kind::I64, Dst::Slot(Slot::at(at)), Src::Slot(Slot::at(area + 32 + at)));
    }
    let limit = offset_of!(Context, stack_limit);
    m.load_word(CONTEXT, X0, offset_of!(FuncRef, context));
    m.load_word(X17, X1, limit);
    m.access(STR_X, X17.number(), Address::new(CONTEXT, limit as u32));
    m.load_word(MEMORY, CONTEXT, offset_of!(Context, memory_base));
    m.load_word(X17, X0, offset_of!(FuncRef, code));
    asm!(m; blr x17);
    match signature.results.first() {
        Some(Kind::F32) => asm!(m; fmov w0, s0),
        Some(Kind::F64) => asm!(m; fmov x0, d0),
        _ => {}
    }
    m.add_offset(SP, SP, area.into());
    asm!(m; mov x1, xzr; ldp x17, x28, [sp], 16; ldp x27, x30, [sp], 16; ret);
    area + 24
}

pub(super) fn host_stub(m: &mut Assembler, signature: &Signature) {
    let values = signature.params.len().max(signature.results.len());
    let area = 16 * values as u32;
    // The caller's instance, which knows where results go, stays below the return address.
    asm!(m; stp x1, x30, [sp, -16]!);
    m.add_offset(SP, SP, -i64::from(area));
    gather_params(m, &signature.params, SP, area + 16);
    m.load_word(X16, X0, offset_of!(FuncRef, context));
    m.load_word(X16, X16, 0);
    asm!(m; mov x2, sp; blr x16);
    if signature.results.len() > 1 {
        m.load_word(X17, SP, area as usize);
        m.load_word(X17, X17, offset_of!(Context, results));
        copy_values(m, value(X17, 0), value(SP, 1), signature.results.len() - 1, SCRATCH);
    }
    first_result(m, &signature.results, SP);
    m.add_offset(SP, SP, area.into());
    // The status is in X1.
    m.load_word(LINK, SP, 8);
    asm!(m; add sp, sp, 16; ret);
}
