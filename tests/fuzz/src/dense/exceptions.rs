//! What throws and catches, and typed references to functions: in modules that have tags.

use super::body::Body;
use super::{Shape, Signature, types};
use arbitrary::Result;
use wasm_encoder::{BlockType, Catch, HeapType, Instruction as I, RefType, ValType};

const I32: ValType = ValType::I32;

/// Locals between the free ones and the references: for floats and vectors in passing.
const PASSING: usize = 3;

/// A clause of a `try_table`, but for its label.
#[derive(Clone, Copy)]
enum Clause {
    One(u32),
    OneRef(u32),
    All,
    AllRef,
}

impl Clause {
    fn to(self, label: u32) -> Catch {
        match self {
            Clause::One(tag) => Catch::One { tag, label },
            Clause::OneRef(tag) => Catch::OneRef { tag, label },
            Clause::All => Catch::All { label },
            Clause::AllRef => Catch::AllRef { label },
        }
    }

    /// What the label gets.
    fn brings(self, shape: &Shape) -> Vec<ValType> {
        let mut types = match self {
            Clause::One(tag) | Clause::OneRef(tag) => shape.tags[tag as usize].clone(),
            Clause::All | Clause::AllRef => Vec::new(),
        };
        if matches!(self, Clause::OneRef(_) | Clause::AllRef) {
            types.push(ValType::EXNREF);
        }
        types
    }
}

/// The types of the locals that hold references: an exception, and a function of each type that the module's functions have.
pub(super) fn references(shape: &mut Shape) -> Vec<ValType> {
    if shape.tags.is_empty() {
        return Vec::new();
    }
    let functions: Vec<ValType> = (0..shape.functions.len()).map(|callee| shape.reference(callee, true)).collect();
    std::iter::once(ValType::EXNREF).chain(functions).collect()
}

impl Shape {
    /// The type of references to a function.
    fn reference(&mut self, callee: usize, nullable: bool) -> ValType {
        let ty = self.type_index(self.functions[callee].clone());
        ValType::Ref(RefType { nullable, heap_type: HeapType::Concrete(ty) })
    }
}

impl Body<'_, '_> {
    /// The local that exceptions are put into.
    pub(super) fn exception(&self) -> u32 {
        (self.free_locals + PASSING) as u32
    }

    pub(super) fn exceptional(&mut self) -> Result<()> {
        match self.u.int_in_range(0..=9)? {
            0..5 => self.try_table(),
            5..8 => self.throw(),
            _ => self.set_reference(),
        }
    }

    /// Mostly where something may catch it.
    fn throw(&mut self) -> Result<()> {
        if self.tries == 0 && !self.risky && !self.u.ratio(1, 8)? {
            return self.set_reference();
        }
        self.comparison()?;
        self.apply(I::If(BlockType::Empty), &[I32], &[]);
        let base = self.open(&Signature { params: Vec::new(), results: Vec::new() }, Some(Vec::new()));
        self.steps(2)?;
        let tag = self.u.choose_index(self.shape.tags.len())?;
        self.operands(&self.shape.tags[tag].clone())?;
        self.emit(I::Throw(tag as u32));
        self.dead()?;
        self.close(base);
        Ok(())
    }

    fn clause(&mut self) -> Result<Clause> {
        let tag = self.u.choose_index(self.shape.tags.len())? as u32;
        Ok(match self.u.int_in_range(0..=5)? {
            0..2 => Clause::One(tag),
            2..4 => Clause::OneRef(tag),
            4 => Clause::All,
            _ => Clause::AllRef,
        })
    }

    /// Blocks around it for what each clause brings, where most of it goes into locals; and now and then a label further out.
    fn try_table(&mut self) -> Result<()> {
        let results = types(self.u, 3)?;
        let signature = Signature { params: Vec::new(), results: results.clone() };
        let done = self.block_type(&signature);
        let clauses: Vec<Clause> = (0..self.u.int_in_range(1..=3)?).map(|_| self.clause()).collect::<Result<_>>()?;
        let mut catches: Vec<Catch> = clauses.iter().zip(0..).map(|(clause, label)| clause.to(label)).collect();
        self.emit(I::Block(done));
        let outer = self.open(&signature, Some(results.clone()));
        let mut bases = Vec::new();
        for clause in clauses.iter().rev() {
            let brings = Signature { params: Vec::new(), results: clause.brings(self.shape) };
            let ty = self.block_type(&brings);
            self.emit(I::Block(ty));
            bases.push(self.open(&brings, Some(brings.results.clone())));
        }
        if self.u.ratio(1, 3)? {
            let clause = self.clause()?;
            let brings = Some(clause.brings(self.shape));
            let label = self.labels.iter().rev().position(|label| *label == brings);
            catches.extend(label.map(|label| clause.to(label as u32)));
            let last = catches.len() - 1;
            let first = self.u.int_in_range(0..=last)?;
            catches.swap(first, last);
        }
        self.guarded(done, catches, &signature)?;
        self.apply(I::Br(clauses.len() as u32), &results, &[]);
        for (clause, rest) in clauses.iter().zip((0..clauses.len() as u32).rev()) {
            self.close(bases.pop().expect("one for each"));
            self.stack.extend(clause.brings(self.shape));
            self.handler(*clause)?;
            self.fall_through(&results)?;
            if rest > 0 {
                self.apply(I::Br(rest), &results, &[]);
            }
        }
        self.close(outer);
        Ok(())
    }

    /// The `try_table` itself, whose labels are those around it.
    fn guarded(&mut self, ty: BlockType, catches: Vec<Catch>, signature: &Signature) -> Result<()> {
        self.emit(I::TryTable(ty, catches.into()));
        let base = self.open(signature, Some(signature.results.clone()));
        self.tries += 1;
        self.steps(12)?;
        self.tries -= 1;
        self.fall_through(&signature.results)?;
        self.close(base);
        Ok(())
    }

    /// What is done with what a clause has brought.
    fn handler(&mut self, clause: Clause) -> Result<()> {
        if matches!(clause, Clause::OneRef(_) | Clause::AllRef) {
            self.apply(I::LocalSet(self.exception()), &[ValType::EXNREF], &[]);
            if self.u.ratio(1, 3)? {
                self.comparison_above()?;
                self.apply(I::If(BlockType::Empty), &[I32], &[]);
                self.emit(I::LocalGet(self.exception()));
                self.emit(I::ThrowRef);
                self.emit(I::End);
            }
        }
        self.steps(3)
    }

    /// Where references to what `callee` is like are kept.
    fn reference_local(&self, callee: usize) -> u32 {
        (self.free_locals + PASSING + 1 + callee) as u32
    }

    fn set_reference(&mut self) -> Result<()> {
        let callee = self.u.choose_index(self.shape.functions.len())?;
        let ty = self.shape.type_index(self.shape.functions[callee].clone());
        let local = self.reference_local(callee);
        match self.u.int_in_range(0..=3)? {
            0 => self.emit(I::RefNull(HeapType::Concrete(ty))),
            1 => {
                self.emit(I::RefFunc(callee as u32));
                self.emit(I::LocalGet(local));
                self.comparison_above()?;
                let reference = self.shape.reference(callee, true);
                self.stack.pop();
                self.emit(I::TypedSelect(reference));
            }
            _ => self.emit(I::RefFunc(callee as u32)),
        }
        self.emit(I::LocalSet(local));
        if self.u.ratio(1, 3)? {
            self.apply(I::LocalGet(local), &[], &[]);
            self.apply(I::RefIsNull, &[], &[I32]);
        }
        Ok(())
    }

    /// A reference to `callee` above what is there, which is null only in functions that may trap.
    pub(super) fn reference(&mut self, callee: usize) -> Result<()> {
        let local = self.reference_local(callee);
        let certain = I::RefFunc(callee as u32);
        match self.u.int_in_range(0..=if self.risky { 5 } else { 3 })? {
            0 => self.emit(certain),
            1..=2 => {
                let ty = self.shape.reference(callee, false);
                self.emit(I::Block(BlockType::Result(ty)));
                self.emit(I::LocalGet(local));
                self.emit(I::BrOnNonNull(0));
                self.emit(certain);
                self.emit(I::End);
            }
            3 => {
                let ty = self.shape.reference(callee, false);
                self.emit(I::Block(BlockType::Result(ty)));
                self.emit(I::Block(BlockType::Empty));
                self.emit(I::LocalGet(local));
                self.emit(I::BrOnNull(0));
                self.emit(I::Br(1));
                self.emit(I::End);
                self.emit(certain);
                self.emit(I::End);
            }
            4 => {
                self.emit(I::LocalGet(local));
                self.emit(I::RefAsNonNull);
            }
            _ => self.emit(I::LocalGet(local)),
        }
        Ok(())
    }
}
