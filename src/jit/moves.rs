//! Moves that happen at once: each source is read before it is overwritten.

use super::env::Kind;
use super::masm::{Dst, Masm, Src};
use super::reg::Reg;

/// Moves into registers, waiting to be done together.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    pending: Vec<(Kind, Reg, Src)>,
}

impl Moves {
    pub(crate) fn add(&mut self, kind: Kind, dst: Reg, src: Src) {
        if src != Src::Reg(dst) {
            self.pending.push((kind, dst, src));
        }
    }

    /// Emits them. A cycle is broken by exchanging two registers, and no further one is needed.
    pub(crate) fn resolve<M: Masm>(&mut self, m: &mut M) {
        while !self.pending.is_empty() {
            let ready = (0..self.pending.len()).find(|&i| {
                let dst = self.pending[i].1;
                !self.pending.iter().enumerate().any(|(j, &(_, _, src))| i != j && src == Src::Reg(dst))
            });
            match ready {
                Some(i) => {
                    let (kind, dst, src) = self.pending.swap_remove(i);
                    m.mov(kind, Dst::Reg(dst), src);
                }
                None => self.break_cycle(m),
            }
        }
    }

    fn break_cycle<M: Masm>(&mut self, m: &mut M) {
        let (_, dst, src) = self.pending.swap_remove(0);
        let Src::Reg(src) = src else { unreachable!("only registers can be in a cycle") };
        m.swap(dst, src);
        for (_, _, other) in &mut self.pending {
            if *other == Src::Reg(dst) {
                *other = Src::Reg(src);
            } else if *other == Src::Reg(src) {
                *other = Src::Reg(dst);
            }
        }
        self.pending.retain(|&(_, dst, src)| src != Src::Reg(dst));
    }
}
