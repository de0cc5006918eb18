//! Numeric operators.

use super::Walk;
use crate::jit::env::Kind;
use crate::jit::masm::{Dst, Fixed, Masm, Src, is_vector};
use crate::jit::ops::{Cond, Convert, FloatOp, FloatUnOp, IntOp, IntUnOp, Width};
use crate::jit::reg::{Reg, RegSet};
use crate::jit::state::{Loc, Operand};

const I32_ADD: u8 = 0x6a;
const I64_ADD: u8 = 0x7c;

impl<M: Masm> Walk<'_, M> {
    pub(super) fn constant(&mut self, kind: Kind, bits: u64) {
        self.state.push(kind, Loc::Const(bits));
    }

    /// Two operands, a constant second if the operator allows.
    #[inline(always)]
    fn pop_two(&mut self, commutes: bool) -> (Operand, Operand) {
        let rhs = self.state.pop();
        let lhs = self.state.pop();
        let swap = commutes && matches!(lhs.src(), Src::Imm(_) | Src::Slot(_)) && !matches!(rhs.src(), Src::Imm(_));
        if swap { (rhs, lhs) } else { (lhs, rhs) }
    }

    pub(super) fn int(&mut self, op: IntOp, width: Width) {
        match (op, self.scaled.take()) {
            (IntOp::Add, Some(shift)) => return self.add_scaled(width, shift),
            (IntOp::And, _) if self.condition_wanted() => return self.test(width),
            (IntOp::Shl, _) if self.scale(width) => return,
            _ => {}
        }
        let (mut lhs, rhs) = self.pop_two(op.commutes());
        if op.shifts() || op.divides() {
            let fixed = self.state.m.fixed(op, width, rhs.src());
            if !fixed.clobbers.is_empty() {
                return self.int_fixed(op, width, fixed, lhs, rhs);
            }
        }
        let l = self.state.in_reg(&mut lhs);
        let dst = self.result(width.int(), [lhs.temp(), rhs.temp()]);
        self.state.m.int_op(op, width, dst, l, rhs.src());
        self.state.push_reg(width.int(), dst);
    }

    /// An operator whose operands or result are in certain registers.
    fn int_fixed(&mut self, op: IntOp, width: Width, fixed: Fixed, mut lhs: Operand, mut rhs: Operand) {
        for reg in fixed.clobbers {
            self.state.evict(reg);
        }
        // An operand that is in a clobbered register leaves it for its own place or any other.
        self.clear_out(&mut rhs, fixed.rhs, fixed.clobbers);
        self.clear_out(&mut lhs, fixed.lhs, fixed.clobbers);
        let r = self.fix(&mut rhs, fixed.rhs);
        let l = self.fix(&mut lhs, fixed.lhs).unwrap_or_else(|| self.state.in_reg_but(&mut lhs, fixed.clobbers));
        let rhs_src = r.map_or(rhs.src(), Src::Reg);
        for reg in fixed.clobbers {
            self.state.take(reg);
        }
        // What is wanted as pin is known while the operands keep their registers.
        let pin = fixed.dst.or_else(|| self.wanted_pin(width.int()));
        self.state.release(lhs);
        self.state.release(rhs);
        for reg in fixed.clobbers {
            self.state.take(reg);
        }
        let dst = pin.unwrap_or_else(|| self.state.alloc(false));
        self.state.m.int_op(op, width, dst, l, rhs_src);
        for reg in fixed.clobbers {
            self.state.release_reg(reg);
        }
        self.state.push_reg(width.int(), dst);
    }

    /// Moves an operand out of `avoid` if it is there, unless it is where it is wanted.
    fn clear_out(&mut self, operand: &mut Operand, keep: Option<Reg>, avoid: RegSet) {
        if let Src::Reg(reg) = operand.src()
            && avoid.contains(reg)
            && keep != Some(reg)
        {
            self.state.take(reg);
            self.state.in_reg_but(operand, avoid);
        }
    }

    /// Moves an operand into the register it must be in.
    fn fix(&mut self, operand: &mut Operand, wanted: Option<Reg>) -> Option<Reg> {
        let reg = wanted?;
        self.state.m.mov(operand.kind(), Dst::Reg(reg), operand.src());
        Some(reg)
    }

    /// A shift left by 1 to 3 that an addition follows becomes part of it.
    fn scale(&mut self, width: Width) -> bool {
        let add = match width {
            Width::W32 => I32_ADD,
            Width::W64 => I64_ADD,
        };
        if self.following() != add {
            return false;
        }
        let (_, Src::Imm(shift @ 1..=3)) = self.state.peek(0) else { return false };
        self.state.drop_top();
        self.scaled = Some(shift as u8);
        true
    }

    fn add_scaled(&mut self, width: Width, shift: u8) {
        let mut index = self.state.pop();
        let mut base = self.state.pop();
        let i = self.state.in_reg(&mut index);
        let b = self.state.in_reg(&mut base);
        let dst = self.result(width.int(), [base.temp(), index.temp()]);
        self.state.m.add_scaled(width, dst, b, i, shift);
        self.state.push_reg(width.int(), dst);
    }

    /// `and` for a condition.
    fn test(&mut self, width: Width) {
        let (mut lhs, rhs) = self.pop_two(true);
        let l = self.state.in_reg(&mut lhs);
        self.state.m.test(width, l, rhs.src());
        self.state.release(lhs);
        self.state.release(rhs);
        self.state.push(Kind::I32, Loc::Flags(Cond::Ne));
    }

    pub(super) fn int_unary(&mut self, op: IntUnOp, width: Width) {
        let src = self.state.pop();
        let dst = self.result(width.int(), [src.temp()]);
        self.state.m.int_unop(op, width, dst, src.src());
        self.state.push_reg(width.int(), dst);
    }

    pub(super) fn compare(&mut self, cond: Cond, width: Width) {
        let mut rhs = self.state.pop();
        let mut lhs = self.state.pop();
        let mut cond = cond;
        if matches!(lhs.src(), Src::Imm(_)) {
            std::mem::swap(&mut lhs, &mut rhs);
            cond = cond.swapped();
        }
        if !matches!((lhs.src(), rhs.src()), (Src::Slot(_), Src::Imm(0..=0x7fff_ffff))) {
            self.state.in_reg(&mut lhs);
        }
        match (cond, rhs.src()) {
            (Cond::Eq | Cond::Ne, Src::Imm(0)) => self.state.m.compare_zero(width, lhs.src()),
            (_, rhs) => self.state.m.compare(width, lhs.src(), rhs),
        }
        self.state.release(lhs);
        self.state.release(rhs);
        self.push_cond(cond);
    }

    pub(super) fn eqz(&mut self, width: Width) {
        if let Some(cond) = self.state.pop_flags() {
            return self.push_cond(cond.negated());
        }
        self.state.push(width.int(), Loc::Const(0));
        self.compare(Cond::Eq, width);
    }

    pub(super) fn float(&mut self, op: FloatOp, width: Width) {
        let mut rhs = self.state.pop();
        let mut lhs = self.state.pop();
        let r = self.state.in_reg(&mut rhs);
        let l = self.state.in_reg(&mut lhs);
        let dst = self.result(width.float(), [lhs.temp(), rhs.temp()]);
        self.state.m.float_op(op, width, dst, l, r);
        self.state.push_reg(width.float(), dst);
    }

    pub(super) fn float_unary(&mut self, op: FloatUnOp, width: Width) {
        let mut src = self.state.pop();
        let s = self.state.in_reg(&mut src);
        let dst = self.result(width.float(), [src.temp()]);
        self.state.m.float_unop(op, width, dst, s);
        self.state.push_reg(width.float(), dst);
    }

    pub(super) fn compare_floats(&mut self, cond: Cond, width: Width) {
        let mut rhs = self.state.pop();
        let mut lhs = self.state.pop();
        let r = self.state.in_reg(&mut rhs);
        let l = self.state.in_reg(&mut lhs);
        self.state.m.compare_floats(width, cond, l, r);
        self.state.release(lhs);
        self.state.release(rhs);
        self.push_cond(cond);
    }

    pub(super) fn convert(&mut self, op: Convert) {
        let mut src = self.state.pop();
        let s = self.state.in_reg(&mut src);
        let kind = op.result();
        let dst = self.result(kind, [src.temp()]);
        self.state.m.convert(op, dst, s);
        self.state.push_reg(kind, dst);
    }

    /// An i32 has zero upper bits wherever it is, so that it is its own extension.
    pub(super) fn extend_unsigned(&mut self) {
        if let Some(top) = self.state.stack.last_mut() {
            *top = top.of_kind(Kind::I64);
        }
    }

    pub(super) fn select(&mut self) {
        let cond = self.pop_condition();
        let mut no = self.state.pop();
        let mut yes = self.state.pop();
        let kind = no.kind();
        if let Some(pin) = self.wanted_pin(kind)
            && yes.src() == Src::Reg(pin)
        {
            std::mem::swap(&mut yes, &mut no);
            return self.select_into(kind, cond.negated(), pin, yes, no);
        }
        let dst = self.wanted_pin(kind).or(no.temp().first()).unwrap_or_else(|| self.state.alloc(is_vector(kind)));
        self.select_into(kind, cond, dst, yes, no);
    }

    fn select_into(&mut self, kind: Kind, cond: Cond, dst: Reg, yes: Operand, no: Operand) {
        self.state.m.select(kind, cond, dst, yes.src(), no.src());
        self.state.release(yes);
        self.state.release(no);
        self.state.push_reg(kind, dst);
    }

    /// The condition on top of the stack, in the flags.
    pub(super) fn pop_condition(&mut self) -> Cond {
        if let Some(cond) = self.state.pop_flags() {
            return cond;
        }
        let mut operand = self.state.pop();
        if !matches!(operand.src(), Src::Slot(_)) {
            self.state.in_reg(&mut operand);
        }
        self.state.m.compare_zero(Width::W32, operand.src());
        self.state.release(operand);
        Cond::Ne
    }
}
