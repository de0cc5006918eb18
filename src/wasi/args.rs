//! Arguments and environment.

use super::{Errno, WasiCtx, guest};

/// A list of strings in the form the guest gets it: one after the other, a NUL after each.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    /// None yet, with room for so many, of so many bytes in all.
    #[cfg(feature = "serve")]
    pub(crate) fn with_capacity(strings: usize, bytes: usize) -> Strings {
        Strings { bytes: Vec::with_capacity(bytes), starts: Vec::with_capacity(strings) }
    }

    /// Appends the string that `parts` make together; `None` where one holds a NUL or the whole becomes too large for 32 bits.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) -> Option<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let start = self.size();
        i32::try_from(self.bytes.len() + len + 1).ok()?;
        if parts.iter().any(|part| part.contains(&0)) {
            return None;
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.push(0);
        self.starts.push(start);
        Some(())
    }

    /// The strings, without their NULs.
    #[cfg(feature = "serve")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0).map(|string| &string[..string.len() - 1])
    }

    /// Fits in 31 bits, as [`Strings::push`] sees to.
    fn size(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    fn sizes(&self, memory: &mut [u8], count: u32, size: u32) -> Result<(), Errno> {
        guest::check(memory, count, 4)?;
        guest::check(memory, size, 4)?;
        guest::put_u32(memory, count, self.count())?;
        guest::put_u32(memory, size, self.size())
    }

    fn copy(&self, memory: &mut [u8], pointers: u32, buffer: u32) -> Result<(), Errno> {
        let table = guest::check_array(memory, pointers, self.count(), 4)?;
        guest::bytes_mut(memory, buffer, self.size())?.copy_from_slice(&self.bytes);
        let table = guest::bytes_mut(memory, pointers, table)?;
        for (place, start) in table.chunks_exact_mut(4).zip(&self.starts) {
            place.copy_from_slice(&(buffer + start).to_le_bytes());
        }
        Ok(())
    }
}

/// How many arguments there are, and how many bytes they take with their NULs.
///
/// # Errors
/// `EFAULT`.
pub fn args_sizes_get(memory: &mut [u8], ctx: &mut WasiCtx, count: u32, size: u32) -> Result<(), Errno> {
    ctx.args.sizes(memory, count, size)
}

/// The arguments: a table of pointers, and the strings they point to.
///
/// # Errors
/// `EFAULT`, before anything is written.
pub fn args_get(memory: &mut [u8], ctx: &mut WasiCtx, argv: u32, buffer: u32) -> Result<(), Errno> {
    ctx.args.copy(memory, argv, buffer)
}

/// How many variables the environment has, and how many bytes they take with their NULs.
///
/// # Errors
/// `EFAULT`.
pub fn environ_sizes_get(memory: &mut [u8], ctx: &mut WasiCtx, count: u32, size: u32) -> Result<(), Errno> {
    ctx.env.sizes(memory, count, size)
}

/// The environment, as `NAME=VALUE`: a table of pointers, and the strings they point to.
///
/// # Errors
/// `EFAULT`, before anything is written.
pub fn environ_get(memory: &mut [u8], ctx: &mut WasiCtx, environ: u32, buffer: u32) -> Result<(), Errno> {
    ctx.env.copy(memory, environ, buffer)
}
