//! A reader of DWARF that stops after so many steps.
//!
//! A guest brings its own DWARF, and a few bytes of it can ask for much work: units that share one long line program or one large
//! table of abbreviations, say. Each read takes one step of what all readers of one look share, so that whatever is asked
//! for, time and memory have an end.

use std::borrow::Cow;
use std::cell::Cell;

use gimli::{EndianSlice, LittleEndian, Reader, ReaderOffsetId, Result};

/// What is left to be done.
#[derive(Debug)]
pub(super) struct Steps(Cell<u32>);

impl Steps {
    pub(super) fn new(steps: u32) -> Steps {
        Steps(Cell::new(steps))
    }

    /// # Errors
    /// Where there are none left, as where the bytes end.
    pub(super) fn take(&self) -> Result<()> {
        match self.0.get().checked_sub(1) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(gimli::Error::UnexpectedEof(ReaderOffsetId(0))),
        }
    }
}

/// A reader that takes steps.
#[derive(Clone, Debug)]
pub(super) struct Metered<'a> {
    bytes: EndianSlice<'a, LittleEndian>,
    steps: &'a Steps,
}

impl<'a> Metered<'a> {
    pub(super) fn new(bytes: &'a [u8], steps: &'a Steps) -> Metered<'a> {
        Metered { bytes: EndianSlice::new(bytes, LittleEndian), steps }
    }
}

impl Reader for Metered<'_> {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn empty(&mut self) {
        self.bytes.empty();
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        self.bytes.truncate(len)
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.bytes.offset_from(base.bytes)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        self.bytes.offset_id()
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        self.bytes.lookup_offset_id(id)
    }

    fn find(&self, byte: u8) -> Result<usize> {
        self.steps.take()?;
        self.bytes.find(byte).ok_or(gimli::Error::UnexpectedEof(self.offset_id()))
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.steps.take()?;
        self.bytes.skip(len)
    }

    fn split(&mut self, len: usize) -> Result<Self> {
        self.steps.take()?;
        let bytes = self.bytes.split(len)?;
        Ok(Metered { bytes, steps: self.steps })
    }

    fn to_slice(&self) -> Result<Cow<'_, [u8]>> {
        Ok(self.bytes.slice().into())
    }

    fn to_string(&self) -> Result<Cow<'_, str>> {
        self.bytes.to_string().map(Cow::Borrowed)
    }

    fn to_string_lossy(&self) -> Result<Cow<'_, str>> {
        Ok(self.bytes.to_string_lossy())
    }

    fn read_slice(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.steps.take()?;
        self.bytes.read_slice(buffer)
    }
}
