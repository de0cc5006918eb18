//! Operators that do not branch, and the idioms that compilers look for.

use super::body::{Body, memarg};
use super::control::DEPTH;
use super::{GLOBALS, TYPES, ops};
use arbitrary::Result;
use wasm_encoder::{Instruction as I, MemArg, ValType};

/// Below this memory is written and read, except where an access is meant to be anywhere.
const USED: i32 = 0x7ff;

const fn int(wide: bool) -> ValType {
    if wide { ValType::I64 } else { ValType::I32 }
}

impl Body<'_, '_> {
    pub(super) fn step(&mut self) -> Result<()> {
        let ty = *self.u.choose(&TYPES)?;
        let wide = self.u.arbitrary()?;
        match self.u.int_in_range(0..=51)? {
            0..=6 => self.binary(ty),
            7..=9 => self.shift(wide),
            10..=11 => self.division(wide),
            12..=13 => self.unary(ty),
            14..=16 => self.conversion(ty),
            17 => self.truncation(wide),
            18..=19 => self.comparison(),
            20..=21 => self.select(ty),
            22..=25 => self.set(ty),
            26..=27 => self.update(wide),
            28..=29 => self.leaf(ty),
            30..=32 => self.load(ty),
            33..=35 => self.store(ty),
            36 => self.global(ty),
            37 => self.memory(),
            38 => self.scaled(wide),
            39 => self.copysign(ty),
            40..=43 => self.vector(),
            44..=47 if !self.shape.tags.is_empty() && self.labels.len() <= DEPTH => self.exceptional(),
            _ => self.control(),
        }
    }

    fn choose(&mut self, of: &'static [I<'static>]) -> Result<I<'static>> {
        Ok(self.u.choose(of)?.clone())
    }

    pub(super) fn binary(&mut self, ty: ValType) -> Result<()> {
        if ty == ValType::V128 {
            return self.vector_binary();
        }
        let op = self.choose(ops::binary(ty))?;
        self.operands(&[ty, ty])?;
        self.apply(op, &[ty, ty], &[ty]);
        Ok(())
    }

    fn shift(&mut self, wide: bool) -> Result<()> {
        let (op, ty) = (self.choose(ops::shift(wide))?, int(wide));
        self.operands(&[ty])?;
        if self.u.arbitrary()? {
            let amount = self.u.int_in_range(0..=70)?;
            self.apply(if wide { I::I64Const(amount) } else { I::I32Const(amount as i32) }, &[], &[ty]);
        } else {
            self.operands_after(ty)?;
        }
        self.apply(op, &[ty, ty], &[ty]);
        Ok(())
    }

    /// A second operand above the first.
    fn operands_after(&mut self, ty: ValType) -> Result<()> {
        self.leaf(ty)?;
        if ty != ValType::V128 && self.u.ratio(1, 3)? {
            self.leaf(ty)?;
            let op = self.choose(ops::binary(ty))?;
            self.apply(op, &[ty, ty], &[ty]);
        }
        Ok(())
    }

    /// Mostly by what is not zero.
    fn division(&mut self, wide: bool) -> Result<()> {
        let (op, ty) = (self.choose(ops::division(wide))?, int(wide));
        self.operands(&[ty])?;
        match self.u.int_in_range(0..=if self.risky { 9 } else { 8 })? {
            0..5 => {
                let constant = self.constant(ty)?;
                let constant = match constant {
                    I::I32Const(0) => I::I32Const(7),
                    I::I64Const(0) => I::I64Const(-7),
                    constant => constant,
                };
                self.apply(constant, &[], &[ty]);
            }
            5..9 => {
                self.operands_after(ty)?;
                self.apply(if wide { I::I64Const(1) } else { I::I32Const(1) }, &[], &[ty]);
                self.apply(if wide { I::I64Or } else { I::I32Or }, &[ty, ty], &[ty]);
            }
            _ => self.operands_after(ty)?,
        }
        self.apply(op, &[ty, ty], &[ty]);
        Ok(())
    }

    fn unary(&mut self, ty: ValType) -> Result<()> {
        if ty == ValType::V128 {
            return self.vector();
        }
        let op = self.choose(ops::unary(ty))?;
        self.operands(&[ty])?;
        self.apply(op, &[ty], &[ty]);
        Ok(())
    }

    fn conversion(&mut self, to: ValType) -> Result<()> {
        if to == ValType::V128 {
            return self.splat();
        }
        let (op, from) = self.u.choose(ops::conversion(to))?.clone();
        self.operands(&[from])?;
        if matches!(op, I::I32ReinterpretF32 | I::I64ReinterpretF64) {
            self.canonical(from);
        }
        self.apply(op, &[from], &[to]);
        Ok(())
    }

    /// Of what is small, as a rule.
    fn truncation(&mut self, wide: bool) -> Result<()> {
        let (op, from) = self.u.choose(ops::truncation(wide))?.clone();
        if self.risky && self.u.ratio(1, 4)? {
            self.operands(&[from])?;
        } else {
            self.operands(&[ValType::I32])?;
            self.apply(I::I32Const(0xffff), &[], &[ValType::I32]);
            self.apply(I::I32And, &[ValType::I32, ValType::I32], &[ValType::I32]);
            let convert = if from == ValType::F32 { I::F32ConvertI32U } else { I::F64ConvertI32U };
            self.apply(convert, &[ValType::I32], &[from]);
        }
        self.apply(op, &[from], &[int(wide)]);
        Ok(())
    }

    /// A truth, in one of the forms that branches and `select` take in.
    pub(super) fn comparison(&mut self) -> Result<()> {
        let ty = *self.u.choose(&TYPES[..4])?;
        match self.u.int_in_range(0..=9)? {
            0..7 => {
                let op = self.choose(ops::comparison(ty))?;
                self.operands(&[ty, ty])?;
                self.apply(op, &[ty, ty], &[ValType::I32]);
            }
            7 => {
                self.operands(&[ValType::I64])?;
                self.apply(I::I64Eqz, &[ValType::I64], &[ValType::I32]);
            }
            8 => {
                self.operands(&[ValType::I32, ValType::I32])?;
                self.apply(I::I32And, &[ValType::I32, ValType::I32], &[ValType::I32]);
            }
            _ => self.operands(&[ValType::I32])?,
        }
        if self.u.ratio(1, 4)? {
            self.apply(I::I32Eqz, &[ValType::I32], &[ValType::I32]);
        }
        Ok(())
    }

    fn select(&mut self, ty: ValType) -> Result<()> {
        self.operands(&[ty, ty])?;
        self.comparison_above()?;
        let op = if self.u.ratio(1, 4)? { I::TypedSelect(ty) } else { I::Select };
        self.apply(op, &[ty, ty, ValType::I32], &[ty]);
        Ok(())
    }

    /// A truth that takes nothing from the stack.
    pub(super) fn comparison_above(&mut self) -> Result<()> {
        let base = std::mem::replace(&mut self.base, self.stack.len());
        self.comparison()?;
        self.base = base;
        Ok(())
    }

    fn set(&mut self, ty: ValType) -> Result<()> {
        let local = self.local(ty)?;
        if self.u.ratio(1, 3)? {
            // What the local was stays on the stack.
            self.apply(I::LocalGet(local), &[], &[ty]);
            self.operands_after(ty)?;
        } else {
            self.operands(&[ty])?;
        }
        if self.u.ratio(1, 3)? {
            self.apply(I::LocalTee(local), &[ty], &[ty]);
        } else {
            self.apply(I::LocalSet(local), &[ty], &[]);
        }
        Ok(())
    }

    /// `x = x op y`, with what it was kept below now and then.
    fn update(&mut self, wide: bool) -> Result<()> {
        let ty = int(wide);
        let local = self.local(ty)?;
        for _ in 0..self.u.int_in_range(1..=2)? {
            self.apply(I::LocalGet(local), &[], &[ty]);
        }
        self.operands_after(ty)?;
        let op = if self.u.arbitrary()? { self.choose(ops::binary(ty))? } else { self.choose(ops::shift(wide))? };
        self.apply(op, &[ty, ty], &[ty]);
        self.apply(I::LocalSet(local), &[ty], &[]);
        Ok(())
    }

    fn copysign(&mut self, ty: ValType) -> Result<()> {
        let (ty, op) = if ty == ValType::F32 { (ty, I::F32Copysign) } else { (ValType::F64, I::F64Copysign) };
        self.operands(&[ty, ty])?;
        self.canonical(ty);
        self.apply(op, &[ty, ty], &[ty]);
        Ok(())
    }

    fn global(&mut self, ty: ValType) -> Result<()> {
        let global = GLOBALS.iter().rposition(|&global| global == ty).expect("one of each") as u32;
        self.operands(&[ty])?;
        self.canonical(ty);
        self.apply(I::GlobalSet(global), &[ty], &[]);
        Ok(())
    }

    /// `base + (index << k)`.
    fn scaled(&mut self, wide: bool) -> Result<()> {
        let ty = int(wide);
        self.operands(&[ty, ty])?;
        let k = self.u.int_in_range(0..=4)?;
        self.apply(if wide { I::I64Const(k) } else { I::I32Const(k as i32) }, &[], &[ty]);
        self.apply(if wide { I::I64Shl } else { I::I32Shl }, &[ty, ty], &[ty]);
        self.apply(if wide { I::I64Add } else { I::I32Add }, &[ty, ty], &[ty]);
        Ok(())
    }

    /// An address on top, and what the access may add to it.
    fn address(&mut self) -> Result<MemArg> {
        const I32: ValType = ValType::I32;
        let mut offset = u64::from(self.u.arbitrary::<u8>()?);
        match self.u.int_in_range(if self.risky { 0 } else { 3 }..=15)? {
            3..=4 => {
                let constant = i32::from(self.u.arbitrary::<u8>()?);
                self.apply(I::I32Const(constant), &[], &[I32]);
            }
            0 => {
                // Near the end of what there is or may be.
                let page = self.u.int_in_range(1..=5)? << 16;
                let back = self.u.int_in_range(0..=9)?;
                self.apply(I::I32Const(page - back), &[], &[I32]);
                offset = self.u.int_in_range(0..=9)?;
            }
            1 => {
                self.operands(&[I32])?;
                offset = *self.u.choose(&[0, 0xffff, 0x7fff_fff8, 0x8000_0000, 0xffff_ffff, 0x400_0000, 0x3ff_ffff])?;
            }
            2 => {
                // An address that wraps at 32 bits, or must not.
                self.operands(&[I32])?;
                self.apply(I::I32Const(-0x700), &[], &[I32]);
                self.apply(I::I32Or, &[I32, I32], &[I32]);
                self.apply(I::I32Const(0x700), &[], &[I32]);
                self.apply(I::I32Add, &[I32, I32], &[I32]);
            }
            5..=6 => {
                self.operands(&[ValType::I64])?;
                self.apply(I::I32WrapI64, &[ValType::I64], &[I32]);
                self.mask();
            }
            7 => {
                self.operands(&[I32])?;
                self.mask();
                let k = self.u.int_in_range(1..=3)?;
                self.apply(I::I32Const(k), &[], &[I32]);
                self.apply(I::I32Shl, &[I32, I32], &[I32]);
            }
            _ => {
                self.operands(&[I32])?;
                self.mask();
            }
        }
        Ok(memarg(offset))
    }

    fn mask(&mut self) {
        self.apply(I::I32Const(USED), &[], &[ValType::I32]);
        self.apply(I::I32And, &[ValType::I32, ValType::I32], &[ValType::I32]);
    }

    fn load(&mut self, ty: ValType) -> Result<()> {
        let at = self.address()?;
        if ty == ValType::V128 {
            return self.vector_load(at);
        }
        let op = match (ty, self.u.int_in_range(0..=6)?) {
            (ValType::I32, 0) => I::I32Load8S(at),
            (ValType::I32, 1) => I::I32Load8U(at),
            (ValType::I32, 2) => I::I32Load16S(at),
            (ValType::I32, 3) => I::I32Load16U(at),
            (ValType::I32, _) => I::I32Load(at),
            (ValType::I64, 0) => I::I64Load8S(at),
            (ValType::I64, 1) => I::I64Load8U(at),
            (ValType::I64, 2) => I::I64Load16S(at),
            (ValType::I64, 3) => I::I64Load16U(at),
            (ValType::I64, 4) => I::I64Load32S(at),
            (ValType::I64, 5) => I::I64Load32U(at),
            (ValType::I64, _) => I::I64Load(at),
            (ValType::F32, _) => I::F32Load(at),
            _ => I::F64Load(at),
        };
        self.apply(op, &[ValType::I32], &[ty]);
        Ok(())
    }

    fn store(&mut self, ty: ValType) -> Result<()> {
        let at = self.address()?;
        self.leaf(ty)?;
        if self.u.arbitrary()? && ty != ValType::V128 {
            self.leaf(ty)?;
            let op = self.choose(ops::binary(ty))?;
            self.apply(op, &[ty, ty], &[ty]);
        }
        self.canonical(ty);
        let op = match (ty, self.u.int_in_range(0..=4)?) {
            (ValType::I32, 0) => I::I32Store8(at),
            (ValType::I32, 1) => I::I32Store16(at),
            (ValType::I32, _) => I::I32Store(at),
            (ValType::I64, 0) => I::I64Store8(at),
            (ValType::I64, 1) => I::I64Store16(at),
            (ValType::I64, 2) => I::I64Store32(at),
            (ValType::I64, _) => I::I64Store(at),
            (ValType::F32, _) => I::F32Store(at),
            (ValType::V128, _) => self.vector_store(at)?,
            _ => I::F64Store(at),
        };
        self.apply(op, &[ValType::I32, ty], &[]);
        Ok(())
    }

    /// Sizes and ranges.
    fn memory(&mut self) -> Result<()> {
        const I32: ValType = ValType::I32;
        match self.u.int_in_range(0..=5)? {
            0 => self.apply(I::MemorySize(0), &[], &[I32]),
            1 => {
                let pages = self.u.int_in_range(0..=2)?;
                self.apply(I::I32Const(pages), &[], &[I32]);
                self.apply(I::MemoryGrow(0), &[I32], &[I32]);
            }
            2 => self.range(I::MemoryFill(0))?,
            3 => self.apply(I::TableSize(0), &[], &[I32]),
            _ => self.range(I::MemoryCopy { src_mem: 0, dst_mem: 0 })?,
        }
        Ok(())
    }

    fn range(&mut self, op: I<'static>) -> Result<()> {
        const I32: ValType = ValType::I32;
        for _ in 0..2 {
            self.leaf(I32)?;
            self.mask();
        }
        let len = if self.u.arbitrary()? { self.u.int_in_range(0..=40)? } else { self.u.int_in_range(0..=700)? };
        self.apply(I::I32Const(len), &[], &[I32]);
        if self.u.ratio(1, 3)? {
            self.leaf(I32)?;
            self.apply(I::I32And, &[I32, I32], &[I32]);
        }
        self.apply(op, &[I32, I32, I32], &[]);
        Ok(())
    }
}
