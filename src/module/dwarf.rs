//! Source positions from a module's DWARF, which the guest brings and nobody vouches for.
//!
//! Addresses are offsets in the code section. Which unit an address is in is found out once, for all units; the rest, its line
//! and the functions inlined there, is read anew each time, without anything kept in between. Everything is read through
//! a [reader that counts](metered), nothing recurses, and what is malformed ends the search: then less is known.

mod metered;

use gimli::{
    AbbreviationsCacheStrategy, AttributeValue, DebugInfoOffset, DwAt, Dwarf, SectionId, Unit, UnitOffset, UnitRef,
    UnitSectionOffset,
};

use self::metered::{Metered, Steps};
use super::kept;
use crate::trap::Symbol;

/// Steps of finding out where the units are.
const INDEX_STEPS: u32 = 1 << 26;

/// Steps of one look: enough for the largest units there are.
const LOOK_STEPS: u32 = 1 << 24;

/// Ranges of units that are remembered, at the most.
const RANGES_MAX: usize = 1 << 20;

/// How far names are followed from one entry to another.
const HOPS_MAX: usize = 16;

/// Inlined functions within one another, at the most.
const INLINED_MAX: usize = 64;

/// Bytes of a name or path that are kept.
const NAME_MAX: usize = 1024;

type Result<T> = gimli::Result<T>;

/// Where the units are.
#[derive(Debug)]
pub(super) struct Index {
    /// Ranges of addresses, by their beginning, and the unit of each.
    ranges: Vec<(u64, u64, usize)>,
    /// Where units begin, in order.
    units: Vec<usize>,
}

/// The sections of a module.
fn sections<'a>(module: &'a [u8], steps: &'a Steps) -> Dwarf<Metered<'a>> {
    let custom = |name: &str| {
        let contents = kept::sections(module).filter(|&(id, _)| id == 0).map(|(_, contents)| contents);
        contents.filter_map(kept::custom).find(|(known, _)| *known == name.as_bytes()).map_or(&[][..], |(_, data)| data)
    };
    let load = |id: SectionId| Ok::<_, std::convert::Infallible>(Metered::new(custom(id.name()), steps));
    match Dwarf::load(load) {
        Ok(dwarf) => dwarf,
    }
}

impl Index {
    /// Of what can be read.
    pub(super) fn new(module: &[u8]) -> Index {
        let steps = Steps::new(INDEX_STEPS);
        let mut dwarf = sections(module, &steps);
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let mut index = Index { ranges: Vec::new(), units: Vec::new() };
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let UnitSectionOffset(offset) = header.offset();
            index.units.push(offset);
            // A unit that is malformed is left out; where its steps ran out, so are those behind it.
            _ = dwarf.unit(header).and_then(|unit| index.add(&dwarf, &unit, offset));
        }
        index.ranges.sort_unstable();
        index
    }

    fn add(&mut self, dwarf: &Dwarf<Metered<'_>>, unit: &Unit<Metered<'_>>, offset: usize) -> Result<()> {
        let mut ranges = dwarf.unit_ranges(unit)?;
        while let Some(range) = ranges.next()? {
            if range.begin < range.end && self.ranges.len() < RANGES_MAX {
                self.ranges.push((range.begin, range.end, offset));
            }
        }
        Ok(())
    }

    /// The unit that an address is in: of those whose ranges contain it, the one whose range begins last.
    fn unit(&self, address: u64) -> Option<usize> {
        /// Ranges of units do not overlap, where all is as it should be.
        const LOOK_BACK: usize = 64;
        let after = self.ranges.partition_point(|&(begin, ..)| begin <= address);
        let before = self.ranges[..after].iter().rev().take(LOOK_BACK);
        before.filter(|&&(_, end, _)| address < end).map(|&(.., unit)| unit).next()
    }

    /// What the source has at an address: the innermost function inlined there first, the function itself last.
    pub(super) fn symbols(&self, module: &[u8], address: u64) -> Vec<Symbol> {
        let steps = Steps::new(LOOK_STEPS);
        let dwarf = sections(module, &steps);
        self.unit(address).and_then(|unit| self.look(&dwarf, &steps, unit, address).ok()).unwrap_or_default()
    }

    fn look<'a>(&self, dwarf: &Dwarf<Metered<'a>>, steps: &Steps, offset: usize, address: u64) -> Result<Vec<Symbol>> {
        let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(offset))?)?;
        let unit = unit.unit_ref(dwarf);
        let mut place = line(unit, steps, address)?;
        let scopes = scopes(unit, steps, address).unwrap_or_default();
        if scopes.is_empty() {
            return Ok(place.known().then(|| place.symbol(None)).into_iter().collect());
        }
        let mut symbols = Vec::with_capacity(scopes.len());
        for scope in scopes.iter().rev() {
            symbols.push(place.symbol(self.name(unit, scope)));
            place = scope.call(unit);
        }
        Ok(symbols)
    }

    /// What a function is called, by itself or by what it is made from.
    fn name<'a>(&self, unit: UnitRef<'_, Metered<'a>>, scope: &Scope<'a>) -> Option<String> {
        let mut names = [scope.linkage_name.clone(), scope.name.clone()];
        let mut origin = scope.origin.clone();
        let mut other: Option<Unit<Metered<'a>>> = None;
        for _ in 0..HOPS_MAX {
            let here = other.as_ref().map_or(unit, |other| other.unit_ref(unit.dwarf));
            let read = |name: Option<AttributeValue<_>>| text(&here.attr_string(name?).ok()?);
            match names.map(read) {
                [Some(linked), plain] => return Some(shown(&linked, plain)),
                [None, Some(plain)] => return Some(plain),
                [None, None] => {}
            }
            let at = match origin.take()? {
                AttributeValue::UnitRef(at) => at,
                AttributeValue::DebugInfoRef(DebugInfoOffset(at)) => {
                    let start = self.units[..self.units.partition_point(|&start| start <= at)].last()?;
                    let header = unit.dwarf.unit_header(DebugInfoOffset(*start)).ok()?;
                    other = Some(unit.dwarf.unit(header).ok()?);
                    UnitOffset(at - start)
                }
                _ => return None,
            };
            let here = other.as_ref().map_or(unit, |other| other.unit_ref(unit.dwarf));
            let entry = here.entry(at).ok()?;
            let value = |name: DwAt| entry.attr_value(name);
            names = [value(gimli::DW_AT_linkage_name), value(gimli::DW_AT_name)];
            origin = value(gimli::DW_AT_abstract_origin).or_else(|| value(gimli::DW_AT_specification));
        }
        None
    }
}

/// A place in the source.
#[derive(Default)]
struct Place {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

impl Place {
    fn known(&self) -> bool {
        self.file.is_some() || self.line.is_some()
    }

    fn symbol(&mut self, name: Option<String>) -> Symbol {
        Symbol { name, file: self.file.take(), line: self.line, column: self.column }
    }
}

/// The place that the line program gives for an address.
fn line(unit: UnitRef<'_, Metered<'_>>, steps: &Steps, address: u64) -> Result<Place> {
    let Some(program) = unit.line_program.clone() else { return Ok(Place::default()) };
    let mut rows = program.rows();
    let mut previous: Option<(u64, u64, Option<u32>, Option<u32>)> = None;
    while let Some((header, row)) = rows.next_row()? {
        steps.take()?;
        if let Some((begin, file, line, column)) = previous
            && (begin..row.address()).contains(&address)
        {
            return Ok(Place { file: header.file(file).and_then(|_| path(unit, file)), line, column });
        }
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        let column = match row.column() {
            gimli::ColumnType::LeftEdge => None,
            gimli::ColumnType::Column(column) => u32::try_from(column.get()).ok(),
        };
        previous = (!row.end_sequence()).then_some((row.address(), row.file_index(), line, column));
    }
    Ok(Place::default())
}

/// The path of a unit's file: absolute, or as far as it is known.
fn path(unit: UnitRef<'_, Metered<'_>>, file: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(file)?;
    let directory = file.directory(header).and_then(|directory| text(&unit.attr_string(directory).ok()?));
    let name = text(&unit.attr_string(file.path_name()).ok()?)?;
    let compiled_in = unit.comp_dir.as_ref().and_then(text);
    let mut path = name.trim_start_matches("./").to_owned();
    for folder in [directory, compiled_in].into_iter().flatten() {
        if path.starts_with('/') {
            break;
        }
        let folder = folder.trim_end_matches("/.");
        if !matches!(folder, "" | ".") {
            path = format!("{folder}/{path}");
        }
    }
    Some(path)
}

fn text(bytes: &Metered<'_>) -> Option<String> {
    let mut bytes = bytes.clone();
    if gimli::Reader::len(&bytes) > NAME_MAX {
        gimli::Reader::truncate(&mut bytes, NAME_MAX).ok()?;
    }
    let text = gimli::Reader::to_string_lossy(&bytes).ok()?.into_owned();
    (!text.is_empty()).then_some(text)
}

/// Rust's names as Rust writes them, others in their plain form.
fn shown(linked: &str, plain: Option<String>) -> String {
    match rustc_demangle::try_demangle(linked) {
        Ok(name) => format!("{name:#}"),
        Err(_) => plain.unwrap_or_else(|| linked.to_owned()),
    }
}

/// A function, or one inlined in the one before it.
#[derive(Default)]
struct Scope<'a> {
    depth: isize,
    linkage_name: Option<AttributeValue<Metered<'a>>>,
    name: Option<AttributeValue<Metered<'a>>>,
    origin: Option<AttributeValue<Metered<'a>>>,
    low: Option<AttributeValue<Metered<'a>>>,
    high: Option<AttributeValue<Metered<'a>>>,
    ranges: Option<AttributeValue<Metered<'a>>>,
    call: [Option<u64>; 3],
}

/// The functions around an address, from the outermost on.
fn scopes<'a>(unit: UnitRef<'_, Metered<'a>>, steps: &Steps, address: u64) -> Result<Vec<Scope<'a>>> {
    let mut found: Vec<Scope<'a>> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let depth = entries.next_depth();
        if found.last().is_some_and(|last| depth <= last.depth) {
            break;
        }
        steps.take()?;
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let mut scope = Scope { depth, ..Scope::default() };
        for &spec in abbreviation.attributes() {
            steps.take()?;
            let attribute = entries.read_attribute(spec)?;
            scope.note(attribute.name(), attribute.value());
        }
        let is_scope = match abbreviation.tag() {
            gimli::DW_TAG_subprogram => found.is_empty(),
            gimli::DW_TAG_inlined_subroutine => !found.is_empty() && found.len() < INLINED_MAX,
            _ => false,
        };
        if is_scope && scope.contains(unit, address)? {
            found.push(scope);
        }
    }
    Ok(found)
}

impl<'a> Scope<'a> {
    fn note(&mut self, name: DwAt, value: AttributeValue<Metered<'a>>) {
        match name {
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => self.linkage_name = Some(value),
            gimli::DW_AT_name => self.name = Some(value),
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => self.origin = Some(value),
            gimli::DW_AT_low_pc => self.low = Some(value),
            gimli::DW_AT_high_pc => self.high = Some(value),
            gimli::DW_AT_ranges => self.ranges = Some(value),
            gimli::DW_AT_call_file => {
                self.call[0] = match value {
                    AttributeValue::FileIndex(file) => Some(file),
                    value => value.udata_value(),
                }
            }
            gimli::DW_AT_call_line => self.call[1] = value.udata_value(),
            gimli::DW_AT_call_column => self.call[2] = value.udata_value(),
            _ => {}
        }
    }

    fn contains(&self, unit: UnitRef<'_, Metered<'a>>, address: u64) -> Result<bool> {
        if let Some(ranges) = &self.ranges
            && let Some(mut ranges) = unit.attr_ranges(ranges.clone())?
        {
            while let Some(range) = ranges.next()? {
                if (range.begin..range.end).contains(&address) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let (Some(low), Some(high)) = (&self.low, &self.high) else { return Ok(false) };
        let Some(low) = unit.attr_address(low.clone())? else { return Ok(false) };
        let high = match high.udata_value() {
            Some(size) => low.saturating_add(size),
            None => unit.attr_address(high.clone())?.unwrap_or(low),
        };
        Ok((low..high).contains(&address))
    }

    /// Where it was called, if it was inlined.
    fn call(&self, unit: UnitRef<'_, Metered<'_>>) -> Place {
        let [file, line, column] = self.call;
        let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        Place { file: file.and_then(|file| path(unit, file)), line: small(line), column: small(column) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const MODULE: &[u8] = include_bytes!("../../tests/guests/lines.wasm");

    /// What LLVM's symbolizer says of each address of the module's code, `address: function at file:line:column, …`.
    const EXPECTED: &str = include_str!("../../tests/guests/lines.symbols");

    fn shown(index: &Index, module: &[u8], address: u64) -> String {
        let mut text = String::new();
        for symbol in index.symbols(module, address) {
            let Symbol { name, file, line, column } = symbol;
            let (name, file) = (name.unwrap_or("??".into()), file.unwrap_or("??".into()));
            _ = write!(text, " {name} at {file}:{}:{},", line.unwrap_or(0), column.unwrap_or(0));
        }
        text
    }

    #[test]
    fn each_address_is_where_llvm_says() {
        let index = Index::new(MODULE);
        let mut checked = 0;
        for line in EXPECTED.lines() {
            let (address, expected) = line.split_once(':').unwrap();
            let address = u64::from_str_radix(address, 16).unwrap();
            assert_eq!(shown(&index, MODULE, address), expected, "at {address:#x}");
            checked += 1;
        }
        assert!(checked > 200, "{checked} addresses");
    }

    /// Bytes of a module's DWARF.
    fn debug_bytes(module: &[u8]) -> Vec<usize> {
        let customs = kept::sections(module).filter(|&(id, _)| id == 0);
        let data =
            customs.filter_map(|(_, contents)| kept::custom(contents)).filter(|(name, _)| name.starts_with(b".debug"));
        let start = |data: &[u8]| data.as_ptr().addr() - module.as_ptr().addr();
        data.flat_map(|(_, data)| start(data)..start(data) + data.len()).collect()
    }

    #[test]
    fn damage_ends_a_search_and_nothing_else() {
        let places = debug_bytes(MODULE);
        assert!(places.len() > 500);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut known = 0;
        for _ in 0..500 {
            let mut module = MODULE.to_vec();
            for _ in 0..1 + next(4) {
                module[places[next(places.len())]] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
            }
            let index = Index::new(&module);
            known += [5, 0x20, 0x60, 0xb0, 0xf0].map(|at| index.symbols(&module, at).len()).iter().sum::<usize>();
        }
        assert!(known > 500, "{known}: damage of a byte leaves most of it");
    }

    #[test]
    fn a_search_takes_no_more_steps_than_it_may() {
        let index = Index::new(MODULE);
        let address = 0x60;
        let whole = index.symbols(MODULE, address).len();
        let with = |most: u32| {
            let steps = Steps::new(most);
            let dwarf = sections(MODULE, &steps);
            index.look(&dwarf, &steps, index.unit(address).unwrap(), address).map(|symbols| symbols.len())
        };
        assert!(with(10).is_err() && with(200).is_err());
        assert_eq!((with(LOOK_STEPS).ok(), whole), (Some(2), 2));
    }
}
