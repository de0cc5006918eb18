//! Labels, branches and tables of them. Those that come before their label is bound reach any function's end.

use super::{Assembler, R11, asm};
use crate::jit::masm::{Label, Masm, Record};
use crate::jit::ops::Cond;
use crate::jit::reg::Reg;
use dynasmrt::DynasmApi;

/// The condition's code in `jcc`, `setcc` and `cmovcc`, for those that one flag test answers.
pub(super) const fn condition_code(cond: Cond) -> Option<u8> {
    Some(match cond {
        Cond::Eq => 0x4,
        Cond::Ne => 0x5,
        Cond::LtS => 0xc,
        Cond::LtU => 0x2,
        Cond::GtS => 0xf,
        Cond::GtU | Cond::FGt | Cond::FLt => 0x7,
        Cond::LeS => 0xe,
        Cond::LeU | Cond::FNotGt | Cond::FNotLt => 0x6,
        Cond::GeS => 0xd,
        Cond::GeU | Cond::FGe | Cond::FLe => 0x3,
        Cond::FNotGe | Cond::FNotLe => 0x2,
        Cond::FEq | Cond::FNe => return None,
    })
}

const OVERFLOW: u8 = 0x0;
pub(super) const PARITY: u8 = 0xa;
pub(super) const NO_PARITY: u8 = 0xb;

impl Assembler {
    /// The displacement field of a jump that was just begun: final for a bound label, else a link of the label's chain.
    pub(super) fn jump_field(&mut self, label: &mut Label) {
        let at = self.buf.position();
        if label.bound != 0 {
            let target = label.bound - 1;
            self.buf.push_i32(target.wrapping_sub(at + 4) as i32);
        } else {
            self.buf.push_u32(label.chain);
            label.chain = at;
        }
    }

    /// A backward jump that fits takes two bytes.
    pub(super) fn short_jump(&mut self, opcode: u8, label: &Label) -> bool {
        if label.bound == 0 {
            return false;
        }
        let distance = i64::from(label.bound - 1) - i64::from(self.buf.position() + 2);
        i8::try_from(distance).is_ok_and(|distance| {
            self.buf.push(opcode);
            self.buf.push_i8(distance);
            true
        })
    }

    pub(super) fn branch_code(&mut self, code: u8, label: &mut Label) {
        if !self.short_jump(0x70 | code, label) {
            self.buf.put(0x800f | u64::from(code) << 8, 2);
            self.jump_field(label);
        }
    }

    pub(super) fn parity_branch(&mut self, set: bool, label: &mut Label) {
        self.branch_code(if set { PARITY } else { NO_PARITY }, label);
    }

    pub(super) fn overflow_branch(&mut self, label: &mut Label) {
        self.branch_code(OVERFLOW, label);
    }

    pub(super) fn jump_impl(&mut self, label: &mut Label) {
        if !self.short_jump(0xeb, label) {
            self.buf.push(0xe9);
            self.jump_field(label);
        }
    }

    pub(super) fn branch_impl(&mut self, cond: Cond, label: &mut Label) {
        match (condition_code(cond), cond) {
            (Some(code), _) => self.branch_code(code, label),
            (None, Cond::FEq) => {
                let mut unordered = Label::default();
                self.parity_branch(true, &mut unordered);
                self.branch(Cond::Eq, label);
                self.bind(&mut unordered);
            }
            (None, _) => {
                self.parity_branch(true, label);
                self.branch(Cond::Ne, label);
            }
        }
    }

    pub(super) fn bind_impl(&mut self, label: &mut Label) {
        let here = self.buf.position();
        let mut at = label.chain;
        while at != 0 {
            let next = self.buf.field(at);
            self.buf.set_field(at, here.wrapping_sub(at + 4));
            at = next;
        }
        *label = Label { bound: here + 1, chain: 0 };
        self.zero_flag = None;
    }

    pub(super) fn align_impl(&mut self) {
        /// The recommended forms of a no-op of 1 to 9 bytes.
        const NOPS: [&[u8]; 10] = [
            &[],
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x00],
            &[0x0f, 0x1f, 0x40, 0x00],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
            &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        let mut gap = (16 - self.buf.position() % 16) as usize % 16;
        while gap > 0 {
            let nop = NOPS[gap.min(9)];
            self.buf.extend(nop);
            gap -= nop.len();
        }
    }

    pub(super) fn jump_table_impl(&mut self, index: Reg, scratch: Reg, count: u32) {
        let (i, s, t) = (index.number(), scratch.number(), R11.number());
        asm!(self; lea Rq(t), [rip + 0]);
        let behind = self.buf.position();
        asm!(self; movsxd Rq(s), DWORD [BYTE Rq(t) + Rq(i) * 4 + 0]; add Rq(s), Rq(t); jmp Rq(s));
        let table = self.buf.position();
        self.buf.set_field(behind - 4, table - behind);
        self.tables.push((table, count));
    }

    /// While labels are bound, a table's entries are as the displacements of jumps, from their own ends; now they become
    /// distances from the table.
    pub(super) fn finish_tables(&mut self, record: &mut impl Record) {
        while let Some((table, count)) = self.tables.pop() {
            record.table(table, table + 4 * count);
            for entry in 0..count {
                let at = table + 4 * entry;
                self.buf.set_field(at, self.buf.field(at).wrapping_add(4 * entry + 4));
            }
        }
    }
}
