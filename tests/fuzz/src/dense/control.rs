//! Blocks, counted loops, branches, calls.

use super::body::Body;
use super::{Signature, TYPES, types};
use arbitrary::Result;
use wasm_encoder::{BlockType, Instruction as I, ValType};

const I32: ValType = ValType::I32;

/// Loops within loops.
const LOOPS: usize = 3;

/// Blocks within blocks.
pub(super) const DEPTH: usize = 8;

impl Body<'_, '_> {
    pub(super) fn control(&mut self) -> Result<()> {
        if self.labels.len() > DEPTH {
            return self.branch_if();
        }
        match self.u.int_in_range(0..=9)? {
            0 => self.block(),
            1..=2 => self.if_(),
            3..=4 if self.loops < LOOPS => self.loop_(),
            5..=6 => self.branch_if(),
            7 => self.call(),
            8 => self.branch_in_arm(),
            _ => self.branch_table(),
        }
    }

    /// Parameters from what is on top, and results.
    fn signature(&mut self) -> Result<Signature> {
        let own = self.stack.len() - self.base;
        let count = self.u.int_in_range(0..=own.min(4))?;
        let params = self.stack[self.stack.len() - count..].to_vec();
        let results = if self.u.arbitrary()? { params.clone() } else { types(self.u, 4)? };
        Ok(Signature { params, results })
    }

    pub(super) fn block_type(&mut self, signature: &Signature) -> BlockType {
        match (&*signature.params, &*signature.results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(*result),
            _ => BlockType::FunctionType(self.shape.type_index(signature.clone())),
        }
    }

    /// Opens a block of which `label` is what branches take; gives what the base was.
    pub(super) fn open(&mut self, signature: &Signature, label: Option<Vec<ValType>>) -> usize {
        self.labels.push(label);
        std::mem::replace(&mut self.base, self.stack.len() - signature.params.len())
    }

    pub(super) fn close(&mut self, base: usize) {
        self.labels.pop();
        self.base = base;
        self.emit(I::End);
    }

    fn block(&mut self) -> Result<()> {
        let signature = self.signature()?;
        let ty = self.block_type(&signature);
        self.emit(I::Block(ty));
        let base = self.open(&signature, Some(signature.results.clone()));
        self.steps(12)?;
        self.fall_through(&signature.results)?;
        self.close(base);
        Ok(())
    }

    fn if_(&mut self) -> Result<()> {
        let signature = self.signature()?;
        self.comparison_above()?;
        let ty = self.block_type(&signature);
        self.apply(I::If(ty), &[I32], &[]);
        let base = self.open(&signature, Some(signature.results.clone()));
        let outside = self.stack[..self.base].to_vec();
        self.steps(8)?;
        self.fall_through(&signature.results)?;
        if signature.params != signature.results || self.u.ratio(2, 3)? {
            self.emit(I::Else);
            self.stack = outside;
            self.stack.extend(&signature.params);
            self.steps(8)?;
            self.fall_through(&signature.results)?;
        }
        self.close(base);
        Ok(())
    }

    /// A loop that counts in a local of its own, which nothing else sets.
    fn loop_(&mut self) -> Result<()> {
        let wide = self.u.ratio(1, 4)?;
        let counter = self.locals.len() as u32;
        self.locals.push(if wide { ValType::I64 } else { I32 });
        let rounds = self.u.int_in_range(1..=5)?;
        let down = self.u.arbitrary()?;
        let number = |n: i32| if wide { I::I64Const(n.into()) } else { I::I32Const(n) };
        self.emit(number(if down { rounds } else { 0 }));
        self.emit(I::LocalSet(counter));
        let signature = self.signature()?;
        let ty = self.block_type(&signature);
        self.emit(I::Loop(ty));
        let base = self.open(&signature, None);
        self.loops += 1;
        self.steps(16)?;
        self.fall_through(&signature.params)?;
        self.emit(I::LocalGet(counter));
        self.emit(number(if down { -1 } else { 1 }));
        self.emit(if wide { I::I64Add } else { I::I32Add });
        self.emit(I::LocalTee(counter));
        match (down, wide) {
            (true, false) => {}
            (true, true) => [number(0), I::I64Ne].into_iter().for_each(|op| self.emit(op)),
            (false, false) => [number(rounds), I::I32LtS].into_iter().for_each(|op| self.emit(op)),
            (false, true) => [number(rounds), I::I64LtU].into_iter().for_each(|op| self.emit(op)),
        }
        self.emit(I::BrIf(0));
        self.fall_through(&signature.results)?;
        self.loops -= 1;
        self.close(base);
        Ok(())
    }

    /// A label that is no loop's, its depth and types.
    fn target(&mut self) -> Result<(u32, Vec<ValType>)> {
        let targets: Vec<(u32, Vec<ValType>)> =
            (0..).zip(self.labels.iter().rev()).filter_map(|(depth, label)| Some((depth, label.clone()?))).collect();
        Ok(self.u.choose(&targets)?.clone())
    }

    fn branch_if(&mut self) -> Result<()> {
        let (depth, types) = self.target()?;
        self.operands(&types)?;
        self.comparison_above()?;
        self.apply(I::BrIf(depth), &[I32], &[]);
        Ok(())
    }

    /// An arm that leaves, with some unreachable code behind.
    fn branch_in_arm(&mut self) -> Result<()> {
        self.comparison()?;
        self.apply(I::If(BlockType::Empty), &[I32], &[]);
        let base = self.open(&Signature { params: Vec::new(), results: Vec::new() }, Some(Vec::new()));
        self.steps(4)?;
        let (depth, types) = self.target()?;
        self.operands(&types)?;
        let outermost = self.labels.len() as u32 == depth + 1 && self.u.arbitrary()?;
        match self.tail_callee()? {
            Some(callee) if self.u.ratio(1, 3)? => self.tail_call(callee)?,
            _ => self.emit(if outermost { I::Return } else { I::Br(depth) }),
        }
        self.dead()?;
        self.close(base);
        Ok(())
    }

    /// After what does not go on.
    pub(super) fn dead(&mut self) -> Result<()> {
        self.stack.truncate(self.base);
        if self.u.ratio(1, 3)? {
            self.steps(3)?;
            self.fall_through(&[])?;
        }
        Ok(())
    }

    /// Nested blocks whose ends a table leads to, each of which does something of its own.
    fn branch_table(&mut self) -> Result<()> {
        let arms = self.u.int_in_range(1..=7)?;
        let results = types(self.u, 3)?;
        let signature = Signature { params: Vec::new(), results: results.clone() };
        let ty = self.block_type(&signature);
        let mut bases = Vec::new();
        for _ in 0..arms {
            self.emit(I::Block(ty));
            bases.push(self.open(&signature, Some(results.clone())));
        }
        self.steps(3)?;
        self.operands(&results)?;
        let base = std::mem::replace(&mut self.base, self.stack.len());
        self.operands(&[I32])?;
        if self.u.ratio(2, 3)? {
            self.apply(I::I32Const(7), &[], &[I32]);
            self.apply(I::I32And, &[I32, I32], &[I32]);
        }
        self.base = base;
        let table: Vec<u32> =
            (0..self.u.int_in_range(0..=8)?).map(|_| self.u.int_in_range(0..=arms - 1)).collect::<Result<_>>()?;
        let default = self.u.int_in_range(0..=arms - 1)?;
        self.apply(I::BrTable(table.into(), default), &[I32], &[]);
        self.dead()?;
        self.stack.extend(&results);
        self.stack.truncate(self.base);
        while let Some(base) = bases.pop() {
            self.close(base);
            self.stack.extend(&results);
            self.steps(2)?;
            if !bases.is_empty() {
                self.fall_through(&results)?;
                self.stack.truncate(self.base);
            }
        }
        Ok(())
    }

    /// A later function that can be called in place of returning.
    fn tail_callee(&mut self) -> Result<Option<usize>> {
        let own = &self.shape.functions[self.index].results;
        let fitting = |&callee: &usize| self.shape.functions[callee].results == *own;
        let callees: Vec<usize> = (self.index + 1..self.shape.functions.len()).filter(fitting).collect();
        Ok(if callees.is_empty() { None } else { Some(*self.u.choose(&callees)?) })
    }

    fn tail_call(&mut self, callee: usize) -> Result<()> {
        self.operands(&self.shape.functions[callee].params.clone())?;
        let type_index = self.shape.type_index(self.shape.functions[callee].clone());
        match self.u.int_in_range(0..=2)? {
            0 if !self.shape.tags.is_empty() => {
                self.reference(callee)?;
                self.emit(I::ReturnCallRef(type_index));
            }
            1 => {
                self.emit(I::I32Const(callee as i32));
                self.emit(I::ReturnCallIndirect { type_index, table_index: 0 });
            }
            _ => self.emit(I::ReturnCall(callee as u32)),
        }
        Ok(())
    }

    /// Of a later function, directly, through the table or by a reference.
    fn call(&mut self) -> Result<()> {
        let (first, count) = (self.index + 1, self.shape.functions.len());
        if first == count {
            return self.binary(*TYPES.first().expect("types"));
        }
        let callee = self.u.int_in_range(first..=count - 1)?;
        let Signature { params, results } = self.shape.functions[callee].clone();
        self.operands(&params)?;
        if self.u.arbitrary()? {
            self.apply(I::Call(callee as u32), &params, &results);
            return Ok(());
        }
        let type_index = self.shape.type_index(self.shape.functions[callee].clone());
        if !self.shape.tags.is_empty() && self.u.arbitrary()? {
            self.reference(callee)?;
            self.apply(I::CallRef(type_index), &params, &results);
            return Ok(());
        }
        let mut with_index = params;
        with_index.push(I32);
        if self.risky && self.u.ratio(1, 8)? {
            self.leaf(I32)?;
            self.apply(I::I32Const(7), &[], &[I32]);
            self.apply(I::I32And, &[I32, I32], &[I32]);
        } else {
            self.apply(I::I32Const(callee as i32), &[], &[I32]);
        }
        self.apply(I::CallIndirect { type_index, table_index: 0 }, &with_index, &results);
        Ok(())
    }
}
