//! Where an exception that passes through code is caught.
//!
//! Code that throws nothing pays nothing: a `try_table` is a row of this table, and each call in it another, found by return
//! address. What a caught exception needs is in the frame when a call is made: values below the block are in their slots,
//! locals in registers that calls destroy are in their homes. Locals in other registers were saved by whichever callee uses the
//! register, in a known place of its frame ([`FunctionCode::saved`](super::FunctionCode::saved)), so that whoever walks
//! the frames from the throwing one to the catching one brings them back. The catching function goes on at a landing pad
//! of its own, which takes the exception's values from the store's area for results to where the label wants them.
//!
//! The alternative that lost, and is common: to spill every local in functions with a `try_table`. It needs no record of saved
//! registers, but such functions are loops as often as others, and locals in memory make a loop three times slower.

/// Stands for no number in the table's bytes.
const NONE: u32 = u32::MAX;

/// The table of a module. Offsets are into its code.
#[derive(Clone, Debug, Default)]
pub struct Unwind {
    /// In order of address.
    pub sites: Vec<Site>,
    /// The `try_table`s.
    pub handlers: Vec<Handler>,
    /// Their clauses, one handler's after another's.
    pub clauses: Vec<Clause>,
}

/// A call in a `try_table`.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Its return address.
    pub pc: u32,
    /// The innermost [`Handler`] around it.
    pub handler: u32,
}

/// A `try_table`.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// The next one around it in its function.
    pub outer: Option<u32>,
    /// The first of its clauses.
    pub first: u32,
    /// Past the last of its clauses.
    pub end: u32,
}

/// A clause of a `try_table`.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// The tag that it catches, by index in the module; none if it catches all, without their values.
    pub tag: Option<u32>,
    /// Whether it wants the exception itself, behind the values.
    pub by_reference: bool,
    /// Where the function goes on. The values, 16 bytes each, are in [`Context::results`](super::abi::Context::results).
    pub landing: u32,
}

impl Unwind {
    /// The handlers around the call that returns to `pc`, from the innermost.
    pub fn handlers(&self, pc: u32) -> impl Iterator<Item = &Handler> {
        let site = self.sites.binary_search_by_key(&pc, |site| site.pc).ok();
        let innermost = site.map(|site| self.sites[site].handler);
        let handler = |index: u32| &self.handlers[index as usize];
        std::iter::successors(innermost.map(handler), move |inner| inner.outer.map(handler))
    }

    /// Whether it refers to nothing outside, and to no code from `end` on.
    pub(crate) fn is_within(&self, end: u32) -> bool {
        let (handlers, clauses) = (self.handlers.len() as u32, self.clauses.len() as u32);
        let outer = |(at, handler): (u32, &Handler)| handler.outer.is_none_or(|outer| outer < at);
        self.sites.iter().all(|site| site.handler < handlers)
            && (0..).zip(&self.handlers).all(outer)
            && self.handlers.iter().all(|handler| handler.first <= handler.end && handler.end <= clauses)
            && self.clauses.iter().all(|clause| clause.landing < end)
    }

    /// The bytes that [`from_bytes`](Unwind::from_bytes) takes: the lengths of the three parts, then two numbers for each site and
    /// three for each of the others.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let lens = [self.sites.len() as u32, self.handlers.len() as u32, self.clauses.len() as u32];
        let sites = self.sites.iter().flat_map(|site| [site.pc, site.handler]);
        let handler = |handler: &Handler| [handler.outer.unwrap_or(NONE), handler.first, handler.end];
        let clause = |clause: &Clause| [clause.tag.unwrap_or(NONE), clause.by_reference.into(), clause.landing];
        let numbers = lens.into_iter().chain(sites).chain(self.handlers.iter().flat_map(handler));
        numbers.chain(self.clauses.iter().flat_map(clause)).flat_map(u32::to_le_bytes).collect()
    }

    /// The table that these bytes stand for, if they do for one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Unwind> {
        let (words, _) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
        let (&[sites, handlers, clauses], rest) = words.split_first_chunk()?;
        let (sites, rest) = rest.split_at_checked((sites as usize).checked_mul(2)?)?;
        let (handlers, rest) = rest.split_at_checked((handlers as usize).checked_mul(3)?)?;
        let clauses = rest.get(..(clauses as usize).checked_mul(3)?)?;
        let number = |number: u32| Some(number).filter(|&number| number != NONE);
        let site = |&[pc, handler]: &[u32; 2]| Site { pc, handler };
        let handler = |&[outer, first, end]: &[u32; 3]| Handler { outer: number(outer), first, end };
        let clause = |&[tag, by_reference, landing]: &[u32; 3]| Clause {
            tag: number(tag),
            by_reference: by_reference != 0,
            landing,
        };
        Some(Unwind {
            sites: sites.as_chunks().0.iter().map(site).collect(),
            handlers: handlers.as_chunks().0.iter().map(handler).collect(),
            clauses: clauses.as_chunks().0.iter().map(clause).collect(),
        })
    }

    /// Adds what another part of the module's code has, which begins at `at`.
    pub(crate) fn append(&mut self, other: Unwind, at: u32) {
        let (handlers, clauses) = (self.handlers.len() as u32, self.clauses.len() as u32);
        self.sites
            .extend(other.sites.into_iter().map(|site| Site { pc: site.pc + at, handler: site.handler + handlers }));
        self.handlers.extend(other.handlers.into_iter().map(|handler| Handler {
            outer: handler.outer.map(|outer| outer + handlers),
            first: handler.first + clauses,
            end: handler.end + clauses,
        }));
        self.clauses.extend(other.clauses.into_iter().map(|clause| Clause { landing: clause.landing + at, ..clause }));
    }
}

/// Where the assembler notes its calls.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    /// The innermost handler around what is emitted now.
    pub(crate) handler: Option<u32>,
    pub(crate) noted: Vec<Site>,
}

impl Sites {
    /// After each call, with the position behind it.
    pub(crate) fn note(&mut self, pc: u32) {
        if let Some(handler) = self.handler {
            self.noted.push(Site { pc, handler });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Unwind {
        Unwind {
            sites: vec![Site { pc: 20, handler: 1 }, Site { pc: 40, handler: 0 }],
            handlers: vec![Handler { outer: None, first: 0, end: 1 }, Handler { outer: Some(0), first: 1, end: 2 }],
            clauses: vec![
                Clause { tag: None, by_reference: false, landing: 60 },
                Clause { tag: Some(7), by_reference: true, landing: 70 },
            ],
        }
    }

    #[test]
    fn handlers_are_found_by_return_address_from_the_innermost() {
        let mut table = part();
        table.append(part(), 100);
        let landings = |pc: u32| -> Vec<u32> {
            let clauses =
                table.handlers(pc).flat_map(|handler| &table.clauses[handler.first as usize..handler.end as usize]);
            clauses.map(|clause| clause.landing).collect()
        };
        assert_eq!(landings(20), [70, 60]);
        assert_eq!(landings(40), [60]);
        assert_eq!(landings(120), [170, 160]);
        assert_eq!(landings(140), [160]);
        assert!(landings(21).is_empty() && landings(0).is_empty());
    }

    #[test]
    fn tables_come_back_from_their_bytes() {
        let bytes = part().to_bytes();
        let read = Unwind::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        assert!(read.is_within(71) && !read.is_within(70));
        assert!(!Unwind { handlers: Vec::new(), ..part() }.is_within(71));
        assert!(Unwind::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        assert!(Unwind::from_bytes(&[0xff; 40]).is_none());
    }
}
