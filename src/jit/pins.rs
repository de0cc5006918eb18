//! Which locals live in which registers, and where the others have their homes.
//!
//! A pinned local is in the same register from the first instruction to the last, on every edge of every
//! loop, so that merges cost nothing. Registers that calls preserve cost a save in the prologue; those
//! that they do not preserve cost a store and a load at each call while the local is pinned there.

use super::env::Kind;
use super::masm::{FramePlan, Machine, Slot, is_vector};
use super::reg::{Reg, RegSet};
use super::scan::Stats;
use super::state::Operand;

/// Where a local is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) kind: Kind,
    pub(crate) pin: Option<Reg>,
    /// Its place in the frame: where it lives, or where calls find it stored if its pin does not survive them.
    pub(crate) home: Slot,
    /// Its present value, from the first instruction on: what getting it pushes.
    pub(crate) value: Operand,
    /// How many entries of the value stack stand for its present value.
    pub(crate) aliases: u32,
}

/// The outcome for a function.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    /// All registers that hold locals.
    pub(crate) pinned: RegSet,
    /// The locals that a call destroys.
    pub(crate) unsaved: Vec<u32>,
    /// Candidates in order of weight, reused.
    order: Vec<u32>,
}

impl Pins {
    /// Chooses pins and homes; the frame's layout from the stack pointer up is outgoing
    /// arguments, homes, and the slots of the value stack, which begin at the returned offset.
    pub(crate) fn choose<M: Machine>(
        &mut self,
        locals: &mut [Local],
        stats: &Stats,
        params: &[Option<Reg>],
        plan: &mut FramePlan,
    ) -> u32 {
        self.pinned = RegSet::EMPTY;
        self.unsaved.clear();
        self.order.clear();
        self.order.extend((0..locals.len() as u32).filter(|&i| stats.locals[i as usize].weight > 0));
        self.order.sort_unstable_by_key(|&i| (std::cmp::Reverse(stats.locals[i as usize].weight), i));
        for &i in &self.order {
            let local = &mut locals[i as usize];
            let weight = stats.locals[i as usize].weight;
            let arrival = params.get(i as usize).copied().flatten();
            if let Some(reg) = pick::<M>(self.pinned, local.kind, weight, stats.calls, arrival) {
                local.pin = Some(reg);
                self.pinned.insert(reg);
                if M::SAVED_PINS.contains(&reg) {
                    plan.saved.insert(reg);
                } else if stats.calls > 0 {
                    self.unsaved.push(i);
                }
            }
        }
        lay_out(locals, stats, plan.saved)
    }
}

/// Gives homes to the locals that need one, those that begin as zero last and so side by side, and the offset behind them.
fn lay_out(locals: &mut [Local], stats: &Stats, saved: RegSet) -> u32 {
    let mut end = stats.outgoing.next_multiple_of(16);
    for zero in [false, true] {
        for (local, _) in locals.iter_mut().zip(&stats.locals).filter(|(_, uses)| uses.zero == zero) {
            if local.pin.is_none_or(|reg| stats.calls > 0 && !saved.contains(reg)) {
                let size = if local.kind == Kind::V128 { 16 } else { 8 };
                let home = end.next_multiple_of(size);
                local.home = Slot::at(home);
                end = home + size;
            }
        }
    }
    end
}

/// The register for a local of this weight, if one is worth it.
fn pick<M: Machine>(taken: RegSet, kind: Kind, weight: u32, calls: u32, arrival: Option<Reg>) -> Option<Reg> {
    let free = |registers: &[Reg]| {
        let fits = |reg: &Reg| reg.is_vector() == is_vector(kind) && !taken.contains(*reg);
        arrival.filter(|reg| registers.contains(reg) && fits(reg)).or_else(|| registers.iter().copied().find(fits))
    };
    let unsaved_pays = weight > calls.saturating_mul(2);
    let saved_pays = weight > 2;
    if calls == 0 {
        return free(M::UNSAVED_PINS).or_else(|| free(M::SAVED_PINS).filter(|_| saved_pays));
    }
    free(M::SAVED_PINS).filter(|_| saved_pays).or_else(|| free(M::UNSAVED_PINS).filter(|_| unsaved_pays))
}
