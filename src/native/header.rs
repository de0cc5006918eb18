//! The header of native code, and the checks that need nothing else.

use std::ops::Range;

use super::{ModuleId, NativeProblem, machine_number};
use crate::Engine;

const MAGIC: [u8; 8] = *b"kitbagNC";

/// The number of the form that is described here.
const FORM: u32 = 2;

/// Bytes of a header.
pub(super) const LEN: usize = 256;

/// Where the checksum stands: of all bytes after it, up to the text.
const SUM: Range<usize> = 12..16;

/// A part of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Span {
    /// As indices; a header's spans were checked.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    fn is_within(self, limit: u64) -> bool {
        self.start.checked_add(self.len).is_some_and(|end| end <= limit)
    }
}

/// A header. Its spans lie within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) machine: u32,
    pub(crate) build: [u8; 16],
    pub(crate) processor: u64,
    pub(crate) settings: u64,
    pub(crate) features: u64,
    pub(crate) module: ModuleId,
    pub(crate) text: Span,
    pub(crate) functions: Span,
    pub(crate) stubs: Span,
    pub(crate) entry_stubs: Span,
    pub(crate) adapters: Span,
    pub(crate) unwind: Span,
    pub(crate) kept: Span,
    pub(crate) trap_exit: u32,
    pub(crate) text_sum: u32,
}

/// This build of the engine.
pub(super) fn build() -> [u8; 16] {
    u128::from_str_radix(env!("KITBAG_BUILD"), 16).expect("the build script writes a number").to_be_bytes()
}

impl Header {
    /// Writes it over the first bytes of what comes before the text, which is complete otherwise.
    pub(super) fn write(&self, head: &mut [u8]) {
        let mut writer = Writer { bytes: head, place: 0 };
        writer.put(MAGIC);
        writer.put(FORM.to_le_bytes());
        writer.put([0; 4]);
        writer.put(self.build);
        writer.put(self.machine.to_le_bytes());
        writer.put(self.trap_exit.to_le_bytes());
        writer.put(self.processor.to_le_bytes());
        writer.put(self.settings.to_le_bytes());
        writer.put(self.features.to_le_bytes());
        writer.put(self.module.hash);
        writer.put(self.module.len.to_le_bytes());
        writer.put(self.module.crc.to_le_bytes());
        writer.put(self.text_sum.to_le_bytes());
        for span in [self.text, self.functions, self.stubs, self.entry_stubs, self.adapters, self.unwind, self.kept] {
            writer.put(span.start.to_le_bytes());
            writer.put(span.len.to_le_bytes());
        }
        assert!(writer.place <= LEN, "a header fits its length");
        let sum = crc32fast::hash(&head[SUM.end..]);
        head[SUM].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is no native code, of another form, or cut off.
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, NativeProblem> {
        let Some(header) = bytes.first_chunk::<LEN>().filter(|header| header.starts_with(&MAGIC)) else {
            return Err(NativeProblem::NotNative);
        };
        let mut reader = Reader(&header[MAGIC.len()..]);
        if reader.u32() != FORM {
            return Err(NativeProblem::OtherBuild);
        }
        reader.take::<4>();
        let build = reader.take();
        let (machine, trap_exit) = (reader.u32(), reader.u32());
        let (processor, settings, features) = (reader.u64(), reader.u64(), reader.u64());
        let module = ModuleId { hash: reader.take(), len: reader.u64(), crc: reader.u32() };
        let text_sum = reader.u32();
        let [text, functions, stubs, entry_stubs, adapters, unwind, kept] =
            std::array::from_fn(|_| Span { start: reader.u64(), len: reader.u64() });
        let tables = [functions, stubs, entry_stubs, adapters, unwind, kept];
        let whole = text.is_within(bytes.len() as u64)
            && text.len > 0
            && text.start.is_multiple_of(16)
            && tables.iter().all(|table| table.start >= LEN as u64 && table.is_within(text.start));
        if !whole {
            return Err(NativeProblem::Damaged("it is cut off, or its parts lie where none can be"));
        }
        Ok(Header {
            machine,
            build,
            processor,
            settings,
            features,
            module,
            text,
            functions,
            stubs,
            entry_stubs,
            adapters,
            unwind,
            kept,
            trap_exit,
            text_sum,
        })
    }

    /// Whether it was made by this build for this machine and for such an engine.
    pub(super) fn fits(&self, engine: &Engine) -> Result<(), NativeProblem> {
        let target = engine.target();
        let lacking = self.processor & !target.features();
        match () {
            () if self.machine != machine_number(target.name()) => Err(NativeProblem::OtherMachine),
            () if self.build != build() => Err(NativeProblem::OtherBuild),
            () if lacking != 0 => Err(NativeProblem::Processor(target.feature_names(lacking))),
            () if self.settings != engine.code_settings() => Err(NativeProblem::OtherSettings),
            () if self.features != engine.config().features.bits() => Err(NativeProblem::OtherSettings),
            () => Ok(()),
        }
    }

    /// Whether the file holds what was written.
    pub(super) fn check_sums(&self, bytes: &[u8]) -> Result<(), NativeProblem> {
        let [before_sum, text] =
            [&bytes[SUM.end..self.text.start as usize], &bytes[self.text.range()]].map(crc32fast::hash);
        match () {
            () if bytes[SUM] != before_sum.to_le_bytes() => Err(NativeProblem::Damaged("its tables do not add up")),
            () if self.text_sum != text => Err(NativeProblem::Damaged("its code does not add up")),
            () => Ok(()),
        }
    }
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    place: usize,
}

impl Writer<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.place..self.place + N].copy_from_slice(&bytes);
        self.place += N;
    }
}

/// What is left of a header, which is long enough for all that is taken.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a header is longer than its fields");
        self.0 = rest;
        *taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
