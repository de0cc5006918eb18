//! Operators in the text format, from the module as a whole: the text of one depends on names from elsewhere.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use wasmprinter::{Config, Print};

use crate::{Error, Result};

/// Calls `done` with each defined function, by its place, when the text of its operators is known by their offsets.
///
/// # Errors
/// Those of `done`.
pub(super) fn each_function(
    module: &[u8],
    bodies: &[Range<u64>],
    done: impl FnMut(usize, &HashMap<u64, String>) -> Result<()>,
) -> Result<()> {
    let mut lines =
        Lines { bodies, present: 0, texts: HashMap::new(), line: String::new(), offset: None, done, failure: None };
    let printed = Config::new().print(module, &mut lines);
    if let Some(failure) = lines.failure.take() {
        return Err(failure);
    }
    printed.map_err(|error| Error::host(error.to_string()))?;
    lines.pass(u64::MAX)
}

/// Collects lines, of one function at a time.
struct Lines<'a, F> {
    bodies: &'a [Range<u64>],
    /// The function whose operators are being collected.
    present: usize,
    texts: HashMap<u64, String>,
    /// The present line, and the offset of what it shows.
    line: String,
    offset: Option<u64>,
    done: F,
    failure: Option<Error>,
}

impl<F: FnMut(usize, &HashMap<u64, String>) -> Result<()>> Lines<'_, F> {
    /// Finishes the functions that end at or before `offset`.
    fn pass(&mut self, offset: u64) -> Result<()> {
        while self.bodies.get(self.present).is_some_and(|body| body.end <= offset) {
            (self.done)(self.present, &self.texts)?;
            self.texts.clear();
            self.present += 1;
        }
        Ok(())
    }

    fn take_line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        let Some(offset) = self.offset.take() else { return Ok(()) };
        let within = |bodies: &[Range<u64>]| bodies.first().is_some_and(|first| offset >= first.start);
        if !within(self.bodies) || self.bodies.last().is_none_or(|last| offset >= last.end) {
            return Ok(());
        }
        self.pass(offset)?;
        if self.bodies[self.present].contains(&offset) {
            self.texts.insert(offset, line.trim().to_owned());
        }
        Ok(())
    }
}

impl<F: FnMut(usize, &HashMap<u64, String>) -> Result<()>> Print for Lines<'_, F> {
    fn write_str(&mut self, s: &str) -> io::Result<()> {
        self.line.push_str(s);
        Ok(())
    }

    fn newline(&mut self) -> io::Result<()> {
        self.take_line().map_err(|error| {
            self.failure = Some(error);
            io::Error::other("the listing was given up")
        })
    }

    fn start_line(&mut self, offset: Option<u64>) {
        self.offset = offset;
    }

    /// None has operators.
    fn print_custom_section(&mut self, _: &str, _: u64, _: &[u8]) -> io::Result<bool> {
        Ok(true)
    }
}
