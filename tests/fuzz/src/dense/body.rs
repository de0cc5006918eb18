//! A function: what is on the stack, and operands for what comes next.

use super::exceptions::references;
use super::{FUEL, GLOBALS, Shape, Signature, TYPES};
use arbitrary::{Result, Unstructured};
use wasm_encoder::{BlockType, Function, Instruction as I, MemArg, MemArgTarget, ValType};

/// Operators of a function and its blocks, at the most.
const BUDGET: usize = 220;

/// Where a function leaves its locals in memory, by its index: 128 of them.
const SHOWN: u64 = 0x800;

pub(super) struct Body<'u, 'a> {
    pub(super) u: &'u mut Unstructured<'a>,
    pub(super) shape: &'u mut Shape,
    pub(super) index: usize,
    pub(super) locals: Vec<ValType>,
    /// Locals before this are any operator's to set; the others hold references, count loops and hold floats in passing.
    pub(super) free_locals: usize,
    /// `try_table`s around.
    pub(super) tries: usize,
    pub(super) code: Vec<I<'static>>,
    /// What the validator sees on the stack; in unreachable code, the part of it that is certain.
    pub(super) stack: Vec<ValType>,
    /// Values at the bottom that belong to blocks outside.
    pub(super) base: usize,
    /// What branches take, from the outermost block on; `None` for loops.
    pub(super) labels: Vec<Option<Vec<ValType>>>,
    pub(super) loops: usize,
    /// Whether accesses may be outside, divisors zero and so on: most functions shall live to their end.
    pub(super) risky: bool,
    pub(super) budget: usize,
}

/// An access to the one memory, which promises no alignment.
pub(super) fn memarg(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

impl<'u, 'a> Body<'u, 'a> {
    pub(super) fn function(u: &'u mut Unstructured<'a>, shape: &'u mut Shape, index: usize) -> Result<Function> {
        let Signature { params, results } = shape.functions[index].clone();
        let risky = u.ratio(1, 5)?;
        let mut locals = params.clone();
        locals.extend(TYPES);
        for _ in 0..u.int_in_range(0..=24)? {
            locals.push(*u.choose(&TYPES)?);
        }
        let free_locals = locals.len();
        locals.extend([ValType::F32, ValType::F64, ValType::V128]);
        locals.extend(references(shape));
        let mut body = Body {
            u,
            shape,
            index,
            locals,
            free_locals,
            tries: 0,
            code: Vec::new(),
            stack: Vec::new(),
            base: 0,
            labels: vec![Some(results.clone())],
            loops: 0,
            risky,
            budget: BUDGET,
        };
        body.pay();
        body.steps(60)?;
        body.show()?;
        body.fall_through(&results)?;
        body.emit(I::End);
        let mut function = Function::new_with_locals_types(body.locals[params.len()..].iter().copied());
        for instruction in &body.code {
            function.instruction(instruction);
        }
        Ok(function)
    }

    /// Every entry costs, so that calls end; a function that is alone is free, and a leaf to the compiler too.
    fn pay(&mut self) {
        if self.shape.functions.len() == 1 {
            return;
        }
        self.emit(I::GlobalGet(FUEL));
        self.emit(I::I32Eqz);
        self.emit(I::If(BlockType::Empty));
        self.emit(I::Unreachable);
        self.emit(I::End);
        self.emit(I::GlobalGet(FUEL));
        self.emit(I::I32Const(1));
        self.emit(I::I32Sub);
        self.emit(I::GlobalSet(FUEL));
    }

    /// Most functions leave their locals in memory, to be compared.
    fn show(&mut self) -> Result<()> {
        if self.u.ratio(1, 5)? {
            return Ok(());
        }
        for local in 0..self.free_locals {
            let ty = self.locals[local];
            self.emit(I::I32Const((local * 16) as i32));
            self.emit(I::LocalGet(local as u32));
            self.canonical(ty);
            let memarg = memarg(SHOWN * (self.index as u64 + 1));
            self.emit(match ty {
                ValType::I32 => I::I32Store(memarg),
                ValType::I64 => I::I64Store(memarg),
                ValType::F32 => I::F32Store(memarg),
                ValType::V128 => I::V128Store(memarg),
                _ => I::F64Store(memarg),
            });
        }
        Ok(())
    }

    pub(super) fn emit(&mut self, instruction: I<'static>) {
        self.code.push(instruction);
    }

    pub(super) fn steps(&mut self, most: usize) -> Result<()> {
        for _ in 0..self.u.int_in_range(1..=most)? {
            if self.budget == 0 || self.u.is_empty() {
                break;
            }
            self.budget -= 1;
            self.step()?;
        }
        Ok(())
    }

    // The stack.

    /// Replaces `params` on top, which must be there, by `results`.
    pub(super) fn apply(&mut self, instruction: I<'static>, params: &[ValType], results: &[ValType]) {
        let height = self.stack.len() - params.len();
        debug_assert!(height >= self.base && self.stack[height..] == *params);
        self.stack.truncate(height);
        self.stack.extend(results);
        self.emit(instruction);
    }

    /// Brings operands of these types to the top: the first of them may be there already.
    pub(super) fn operands(&mut self, types: &[ValType]) -> Result<()> {
        let own = &self.stack[self.base..];
        let present = (1..=types.len()).rev().find(|&count| own.ends_with(&types[..count])).unwrap_or(0);
        let present = if self.u.ratio(1, 4)? { 0 } else { present };
        for &ty in &types[present..] {
            self.leaf(ty)?;
        }
        Ok(())
    }

    /// A value from somewhere, mostly a local.
    pub(super) fn leaf(&mut self, ty: ValType) -> Result<()> {
        if ty == ValType::EXNREF {
            self.apply(I::LocalGet(self.exception()), &[], &[ty]);
            return Ok(());
        }
        let instruction = match self.u.int_in_range(0..=9)? {
            0..6 => I::LocalGet(self.local(ty)?),
            6..9 => self.constant(ty)?,
            _ => I::GlobalGet(GLOBALS.iter().position(|&global| global == ty).expect("one of each") as u32),
        };
        self.apply(instruction, &[], &[ty]);
        Ok(())
    }

    pub(super) fn local(&mut self, ty: ValType) -> Result<u32> {
        if ty == ValType::EXNREF {
            return Ok(self.exception());
        }
        let fitting: Vec<u32> = (0..self.free_locals as u32).filter(|&i| self.locals[i as usize] == ty).collect();
        Ok(*self.u.choose(&fitting)?)
    }

    pub(super) fn constant(&mut self, ty: ValType) -> Result<I<'static>> {
        const FLOATS: [f64; 12] =
            [0.0, -0.0, 1.0, -1.5, 0.5, 1e10, -3e9, 1e300, f64::INFINITY, 1e-310, 9.3e18, 4294967295.5];
        Ok(match ty {
            ValType::I32 => I::I32Const(self.bits()? as i32),
            ValType::I64 => I::I64Const(self.bits()? as i64),
            ValType::F32 => I::F32Const((*self.u.choose(&FLOATS)? as f32).into()),
            ValType::V128 => I::V128Const(i128::from(self.bits()?) << 64 | i128::from(self.bits()?)),
            _ => I::F64Const((*self.u.choose(&FLOATS)?).into()),
        })
    }

    fn bits(&mut self) -> Result<u64> {
        Ok(match self.u.int_in_range(0..=7)? {
            0 => u64::from(self.u.arbitrary::<u8>()?),
            1 => 1u64 << self.u.int_in_range(0..=63)?,
            2 => (1u64 << self.u.int_in_range(0..=63)?) - 1,
            3 => (1u64 << self.u.int_in_range(0..=63)?).wrapping_neg(),
            4 => self.u.arbitrary::<i8>()? as u64,
            5 => *self.u.choose(&[0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_8000_0000])?,
            6 => u64::from(self.u.arbitrary::<u16>()?),
            _ => self.u.arbitrary()?,
        })
    }

    /// Whatever NaN is on top becomes the one NaN, so that its bits may be seen.
    pub(super) fn canonical(&mut self, ty: ValType) {
        let (temp, nan, compare) = match ty {
            ValType::F32 => (self.free_locals, I::F32Const(f32::NAN.into()), I::F32Ne),
            ValType::F64 => (self.free_locals + 1, I::F64Const(f64::NAN.into()), I::F64Ne),
            _ => return,
        };
        self.canonical_by(temp, nan, &[compare, I::Select]);
    }

    /// The same for all NaNs of a vector.
    pub(super) fn canonical_lanes(&mut self, wide: bool) {
        let nan = if wide { i128::from(f64::NAN.to_bits()) } else { i128::from(f32::NAN.to_bits()) };
        let lanes = if wide { nan << 64 | nan } else { nan << 96 | nan << 64 | nan << 32 | nan };
        let compare = if wide { I::F64x2Ne } else { I::F32x4Ne };
        self.canonical_by(self.free_locals + 2, I::V128Const(lanes), &[compare, I::V128Bitselect]);
    }

    fn canonical_by(&mut self, temp: usize, nan: I<'static>, select: &[I<'static>]) {
        let temp = temp as u32;
        self.emit(I::LocalSet(temp));
        self.emit(nan);
        self.emit(I::LocalGet(temp));
        self.emit(I::LocalGet(temp));
        self.emit(I::LocalGet(temp));
        select.iter().for_each(|op| self.emit(op.clone()));
    }

    /// The block's values are `types`, and nothing else: what is left goes to locals, where it is seen.
    pub(super) fn fall_through(&mut self, types: &[ValType]) -> Result<()> {
        if self.stack[self.base..] == *types {
            return Ok(());
        }
        while self.stack.len() > self.base {
            let ty = *self.stack.last().expect("not empty");
            let local = self.local(ty)?;
            self.apply(I::LocalSet(local), &[ty], &[]);
        }
        types.iter().try_for_each(|&ty| self.leaf(ty))
    }
}
