//! Shifts of lanes. The machine has none of bytes, and no arithmetic one of 64 bits.

use super::arith::{LEFT, PSUBB, PSUBQ, RIGHT, RIGHT_SIGNED, SHIFT_D, SHIFT_Q, SHIFT_W, by_integer};
use super::convert::PACKSSWB;
use super::encode::{Op, ops};
use super::{Assembler, MOVD_TO, PAND, PSHUFB, PXOR, X15};
use crate::jit::lanes::{LaneShift, Shape, Sign};
use crate::jit::masm::Src;
use crate::jit::reg::Reg;
use crate::jit::x86_64::{R11, X14, asm};
use dynasmrt::DynasmApi;

ops! {
    PSLLW 0x66 0x0f 0xf1;
    PSLLD 0x66 0x0f 0xf2;
    PSLLQ 0x66 0x0f 0xf3;
    PSRLW 0x66 0x0f 0xd1;
    PSRLD 0x66 0x0f 0xd2;
    PSRLQ 0x66 0x0f 0xd3;
    PSRAW 0x66 0x0f 0xe1;
    PSRAD 0x66 0x0f 0xe2;
    PUNPCKLBW 0x66 0x0f 0x60;
    PUNPCKHBW 0x66 0x0f 0x68;
}

/// By the low 64 bits of a vector register.
fn by_register(op: LaneShift, shape: Shape) -> Op {
    let ops = match op {
        LaneShift::Shl => [PSLLW, PSLLW, PSLLD, PSLLQ],
        LaneShift::Shr(Sign::U) => [PSRLW, PSRLW, PSRLD, PSRLQ],
        LaneShift::Shr(Sign::S) => [PSRAW, PSRAW, PSRAD, PSRLQ],
    };
    by_integer(shape, ops)
}

impl Assembler {
    pub(in crate::jit::x86_64) fn lanes_shift_impl(
        &mut self,
        op: LaneShift,
        shape: Shape,
        dst: Reg,
        src: Reg,
        by: Src,
    ) {
        let (d, s) = (dst.number(), src.number());
        match by {
            Src::Imm(by) => self.shift_by_const(op, shape, d, s, by as u8 & (shape.bits() as u8 - 1)),
            Src::Reg(by) => self.shift_by_register(op, shape, d, s, by.number()),
            Src::Slot(_) => unreachable!("a shift's count is in a register or constant"),
        }
    }

    fn shift_by_const(&mut self, op: LaneShift, shape: Shape, d: u8, s: u8, by: u8) {
        match (op, shape) {
            (_, Shape::I8x16) => self.shift_bytes_by_const(op, d, s, by),
            (LaneShift::Shr(Sign::S), Shape::I64x2) => {
                self.packed_shift(SHIFT_Q, RIGHT, d, s, by);
                self.extend_sign(PSUBQ, d, shape.splat(1 << (63 - by)));
            }
            _ => {
                let extension = match op {
                    LaneShift::Shl => LEFT,
                    LaneShift::Shr(Sign::U) => RIGHT,
                    LaneShift::Shr(Sign::S) => RIGHT_SIGNED,
                };
                self.packed_shift(by_integer(shape, [SHIFT_W, SHIFT_W, SHIFT_D, SHIFT_Q]), extension, d, s, by);
            }
        }
    }

    /// As words, without what came from the neighbour.
    fn shift_bytes_by_const(&mut self, op: LaneShift, d: u8, s: u8, by: u8) {
        let shape = Shape::I8x16;
        let (extension, kept) = match op {
            LaneShift::Shl => (LEFT, 0xff << by),
            LaneShift::Shr(_) => (RIGHT, 0xff >> by),
        };
        self.packed_shift(SHIFT_W, extension, d, s, by);
        self.packed_by_const(PAND, d, d, shape.splat(kept));
        if op == LaneShift::Shr(Sign::S) {
            self.extend_sign(PSUBB, d, shape.splat(0x80 >> by));
        }
    }

    /// Fills lanes from their sign bit up, where a shift has brought it: `(x ^ sign) - sign`.
    fn extend_sign(&mut self, subtract: Op, d: u8, sign: u128) {
        self.packed_by_const(PXOR, d, d, sign);
        self.packed_by_const(subtract, d, d, sign);
    }

    fn shift_by_register(&mut self, op: LaneShift, shape: Shape, d: u8, s: u8, by: u8) {
        let mask = shape.bits() as i8 - 1;
        asm!(self; mov r11d, Rd(by); and r11d, BYTE mask);
        if (op, shape) == (LaneShift::Shr(Sign::S), Shape::I8x16) {
            return self.shift_bytes_signed(d, s);
        }
        self.packed_unary(MOVD_TO, X15, R11.number());
        match (op, shape) {
            (_, Shape::I8x16) => self.shift_bytes(op, d, s),
            (LaneShift::Shr(Sign::S), Shape::I64x2) => {
                self.ones(X14);
                self.packed_shift(SHIFT_Q, LEFT, X14, X14, 63);
                self.packed(PSRLQ, X14, X14, X15);
                self.packed(PSRLQ, d, s, X15);
                self.packed(PXOR, d, d, X14);
                self.packed(PSUBQ, d, d, X14);
            }
            _ => self.packed(by_register(op, shape), d, s, X15),
        }
    }

    /// By X15: as words, without what came from the neighbour.
    fn shift_bytes(&mut self, op: LaneShift, d: u8, s: u8) {
        let shift = by_register(op, Shape::I16x8);
        self.packed(shift, d, s, X15);
        self.ones(X14);
        if op != LaneShift::Shl {
            self.packed_shift(SHIFT_W, RIGHT, X14, X14, 8);
        }
        self.packed(shift, X14, X14, X15);
        self.zero(X15);
        self.packed(PSHUFB, X14, X14, X15);
        self.packed(PAND, d, d, X14);
    }

    /// By R11, from the upper halves of words.
    fn shift_bytes_signed(&mut self, d: u8, s: u8) {
        asm!(self; add r11d, BYTE 8);
        self.packed_unary(MOVD_TO, X15, R11.number());
        self.packed(PUNPCKHBW, X14, s, s);
        self.packed(PSRAW, X14, X14, X15);
        self.packed(PUNPCKLBW, d, s, s);
        self.packed(PSRAW, d, d, X15);
        self.packed(PACKSSWB, d, d, X14);
    }
}
