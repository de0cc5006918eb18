//! Code between the host and compiled functions: one stub for each type that needs it.

use super::{Assembler, R10, R11, RSI, RSP, X15, asm};
use crate::jit::abi::{Activation, Context, FuncRef};
use crate::jit::arrays::{copy_values, first_result, gather_params, spread_params, value};
use crate::jit::convention::Places;
use crate::jit::env::{Kind, Signature};
use crate::jit::masm::{Address, Dst, Machine, Masm, Slot, Src};
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;
use std::mem::offset_of;

/// What values are copied through.
const SCRATCH: Reg = Reg::vector(X15);

impl Assembler {
    fn save_host(&mut self) {
        asm!(self; push rbx; push rbp; push r12; push r13; push r14; push r15);
    }

    fn restore_host(&mut self) {
        asm!(self; pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx; ret);
    }
}

/// Where a trap leaves compiled code: the stack pointer is the one that an entry stub kept.
pub(super) fn trap_exit(m: &mut Assembler) {
    asm!(m; mov eax, 1; pop rdx);
    m.restore_host();
}

/// An [`EntryStub`](crate::jit::abi::EntryStub) for one type, with at least `area` bytes for stack arguments.
pub(super) fn entry_stub(m: &mut Assembler, signature: &Signature, area: u32) {
    let stack = Places::<Assembler>::stack_bytes(&signature.params).max(area).next_multiple_of(16) as i32;
    m.save_host();
    asm!(m; push rdx; mov [rcx + offset_of!(Activation, stack_pointer) as i32], rsp);
    asm!(m; mov r15, rdi; mov r14, [r15 + offset_of!(Context, memory_base) as i32]);
    asm!(m; mov Rq(R10.number()), rdx; mov rax, rsi; sub rsp, stack);
    spread_params(m, &signature.params, R10, (R11, SCRATCH));
    asm!(m; call rax; add rsp, stack; mov Rq(R10.number()), [rsp]);
    if let Some(&first) = signature.results.first() {
        m.store_value(first, value(R10, 0), Src::Reg(Assembler::result(first)));
    }
    if signature.results.len() > 1 {
        m.load_value(Kind::I64, R11, Address::new(Assembler::CONTEXT, offset_of!(Context, results) as u32));
        copy_values(m, value(R10, 1), value(R11, 0), signature.results.len() - 1, SCRATCH);
    }
    asm!(m; xor eax, eax; pop rdx);
    m.restore_host();
}

/// The [`FuncRef::entry`] of compiled functions of one type: switches to the callee's instance and back. Has at least `area`
/// bytes for stack arguments; gives the size of its frame.
pub(super) fn adapter(m: &mut Assembler, signature: &Signature, area: u32) -> u32 {
    let stack = Places::<Assembler>::stack_bytes(&signature.params);
    let area = stack.max(area).next_multiple_of(16) + 8;
    asm!(m; push r14; push r15; sub rsp, area as i32);
    for at in (0..stack).step_by(8) {
        m.mov(Kind::I64, Dst::Slot(Slot::at(at)), Src::Slot(Slot::at(area + 24 + at)));
    }
    let limit = offset_of!(Context, stack_limit) as i32;
    asm!(m; mov r15, [rdi + offset_of!(FuncRef, context) as i32]; mov r11, [rsi + limit]; mov [r15 + limit], r11);
    asm!(m; mov r14, [r15 + offset_of!(Context, memory_base) as i32]; call QWORD [rdi + offset_of!(FuncRef, code) as i32]);
    match signature.results.first() {
        Some(Kind::F32) => asm!(m; movd eax, xmm0),
        Some(Kind::F64) => asm!(m; movq rax, xmm0),
        _ => {}
    }
    asm!(m; xor edx, edx; add rsp, area as i32; pop r15; pop r14; ret);
    area + 16
}

/// The [`FuncRef::entry`] of a host function that takes an array.
pub(super) fn host_stub(m: &mut Assembler, signature: &Signature) {
    let values = signature.params.len().max(signature.results.len());
    let caller = 16 * values as u32;
    let area = caller + 8;
    asm!(m; sub rsp, area as i32);
    m.store_value(Kind::I64, Address::new(RSP, caller), Src::Reg(RSI));
    gather_params(m, &signature.params, RSP, area + 8);
    asm!(m; mov rdx, rsp; mov r11, [rdi + offset_of!(FuncRef, context) as i32]; call QWORD [r11]);
    if signature.results.len() > 1 {
        m.load_value(Kind::I64, R11, Address::new(RSP, caller));
        m.load_value(Kind::I64, R11, Address::new(R11, offset_of!(Context, results) as u32));
        copy_values(m, value(R11, 0), value(RSP, 1), signature.results.len() - 1, SCRATCH);
    }
    first_result(m, &signature.results, RSP);
    asm!(m; add rsp, area as i32; ret);
}
