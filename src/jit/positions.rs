//! Which code of a function comes from which operator.
//!
//! Nothing of this is written down while a module is compiled: few ask, and never for more than some functions, which are
//! compiled once more for them. What is asked for, the compiler says to a [`Record`]; normally that is `()`.

use super::masm::Record;

/// What a run of a function's bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Code before the first operator's: what each function begins with.
    Entry,
    /// Code of the operator at this offset in the module.
    Operator(u64),
    /// Code of the operator at this offset that was put off to the end of the function.
    Late(u64),
    /// Code of [`Origin::Entry`] that was put off.
    LateEntry,
    /// The table of a `br_table`: 32-bit distances from its beginning.
    Table,
    /// Constants, each at a multiple of 16.
    Constants,
}

impl Origin {
    /// The operator's offset in the module, where there is one.
    #[must_use]
    pub fn operator(self) -> Option<u64> {
        match self {
            Origin::Operator(offset) | Origin::Late(offset) => Some(offset),
            Origin::Entry | Origin::LateEntry | Origin::Table | Origin::Constants => None,
        }
    }

    fn late(self) -> Origin {
        match self {
            Origin::Entry => Origin::LateEntry,
            Origin::Operator(offset) => Origin::Late(offset),
            other => other,
        }
    }
}

/// A run of a function's bytes, up to where the next one begins. An operator without code has an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, from the function's first byte on.
    pub start: u32,
    /// What it is.
    pub origin: Origin,
}

/// The record of one function that is compiled at position 0.
#[derive(Debug)]
pub(crate) struct Positions {
    /// The body's offset in the module.
    body: u64,
    spans: Vec<Span>,
    data: Vec<(u32, u32, Origin)>,
    /// Whose each piece is that is put off.
    pieces: Vec<Origin>,
    /// How many of them were placed.
    placed: usize,
    present: Origin,
}

impl Positions {
    pub(crate) fn new(body: u64) -> Positions {
        Positions {
            body,
            spans: vec![Span { start: 0, origin: Origin::Entry }],
            data: Vec::new(),
            pieces: Vec::new(),
            placed: 0,
            present: Origin::Entry,
        }
    }

    /// In order; where data is within an operator's code, that is cut in two.
    pub(crate) fn into_spans(mut self) -> Vec<Span> {
        self.data.sort_unstable_by_key(|&(from, ..)| from);
        for &(from, to, origin) in self.data.iter().filter(|(from, to, _)| from < to) {
            let place = self.spans.partition_point(|span| span.start < from);
            let within = self.spans[place - 1].origin;
            let next = self.spans.get(place).map(|span| span.start);
            self.spans.insert(place, Span { start: from, origin });
            if next.is_some_and(|next| next != to) {
                self.spans.insert(place + 1, Span { start: to, origin: within });
            }
        }
        self.spans
    }

    /// Pieces that were put off since the last look are of the present operator.
    fn attribute(&mut self, put_off: usize) {
        self.pieces.resize(put_off, self.present.late());
    }
}

impl Record for Positions {
    fn operator(&mut self, at: usize, position: u32, put_off: usize) {
        self.attribute(put_off);
        self.present = Origin::Operator(self.body + at as u64);
        self.spans.push(Span { start: position, origin: self.present });
    }

    fn piece(&mut self, position: u32, put_off: usize) {
        self.attribute(put_off);
        self.present = self.pieces[self.placed];
        self.placed += 1;
        self.spans.push(Span { start: position, origin: self.present });
    }

    fn table(&mut self, from: u32, to: u32) {
        self.data.push((from, to, Origin::Table));
    }

    fn constants(&mut self, from: u32, to: u32) {
        self.data.push((from, to, Origin::Constants));
    }
}

#[cfg(test)]
mod tests {
    use super::Origin::{Constants, Entry, Late, LateEntry, Operator, Table};
    use super::*;

    #[test]
    fn what_is_put_off_is_whose_it_was() {
        let mut record = Positions::new(100);
        record.operator(3, 8, 1);
        record.operator(4, 9, 1);
        record.operator(6, 20, 2);
        record.table(12, 16);
        record.piece(21, 2);
        record.piece(24, 2);
        // The second piece puts off another.
        record.piece(30, 3);
        record.constants(32, 48);
        let spans: Vec<_> = record.into_spans().iter().map(|span| (span.start, span.origin)).collect();
        assert_eq!(
            spans,
            [
                (0, Entry),
                (8, Operator(103)),
                (9, Operator(104)),
                (12, Table),
                (16, Operator(104)),
                (20, Operator(106)),
                (21, LateEntry),
                (24, Late(104)),
                (30, Late(104)),
                (32, Constants)
            ]
        );
    }
}
