//! The text format.

use std::borrow::Cow;

use wast::parser::{self, ParseBuffer};

use crate::{Error, Result};

const MAGIC: &[u8] = b"\0asm";

/// The binary of a module that is binary already, or text.
///
/// # Errors
/// [`Parse`](Error::Parse), with line and column.
pub(crate) fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    if bytes.starts_with(MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    let text =
        as_text(bytes).ok_or_else(|| Error::Parse("not a WebAssembly module, neither binary nor text".into()))?;
    encode(text).map(Cow::Owned).map_err(|error| {
        let (line, column) = error.span().linecol_in(text);
        Error::Parse(format!("{}:{}: {}", line + 1, column + 1, error.message()))
    })
}

/// The text, if it begins as the text format does: with a parenthesis or a comment.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_start().starts_with(['(', ';']).then_some(text)
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = ParseBuffer::new(text)?;
    parser::parse::<wast::Wat<'_>>(&buffer)?.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_binary_and_binary_stays() {
        let binary = to_binary(b"  (module)").unwrap();
        assert!(binary.starts_with(MAGIC));
        assert!(matches!(to_binary(&binary), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn errors_are_one_line_with_a_place() {
        assert_eq!(to_binary(b"(module\n  (fun))").unwrap_err().to_string().lines().count(), 1);
        assert!(to_binary(b"(module\n  (fun))").unwrap_err().to_string().starts_with("2:4: "));
        for other in [&b""[..], b"#!/bin/sh", b"\x7fELF", &[0xff, b'(']] {
            assert!(matches!(to_binary(other), Err(Error::Parse(_))), "{other:?}");
        }
    }
}
