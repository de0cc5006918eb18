//! Listing directories.
//!
//! The wire form: a 24-byte header (next cookie, inode, length of the name, type) and the name, entry after
//! entry, cut off where the buffer ends. A buffer that was filled to the end means that there is more.
//!
//! A listing is taken when a guest reads from cookie 0, and kept until it does so again. That makes cookies (which are
//! plain positions) stable whatever happens to the directory, and reading from the start again sees the changes, as
//! `rewinddir` must. A first read from another cookie takes a listing too.

use kitbag_fs::FileType;

use super::table::{Handle, OpenDir, Snapshot};
use super::types::{Rights, filetype};
use super::{Errno, WasiCtx, guest};

/// Bytes before a name.
const HEADER: usize = 24;

/// Writes entries from `cookie` on, `.` and `..` first, as many as the buffer takes (`getdents`).
///
/// # Errors
/// `EBADF`, `ENOTDIR`, `ENOTCAPABLE`, `EFAULT`, `EIO`.
pub fn fd_readdir(
    memory: &mut [u8],
    ctx: &mut WasiCtx,
    fd: u32,
    buffer: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> Result<(), Errno> {
    let descriptor = ctx.table.get_mut(fd)?;
    let Handle::Dir(open) = &mut descriptor.handle else { return Err(Errno::Notdir) };
    descriptor.rights.need(Rights::FD_READDIR)?;
    guest::check(memory, used, 4)?;
    let target = guest::bytes_mut(memory, buffer, len)?;
    let filled = open.snapshot(cookie)?.fill(target, cookie);
    guest::put_u32(memory, used, filled as u32)
}

impl OpenDir {
    fn snapshot(&mut self, cookie: u64) -> Result<&Snapshot, Errno> {
        if cookie == 0 {
            self.listing = None;
        }
        match &mut self.listing {
            Some(snapshot) => Ok(snapshot),
            listing => {
                let snapshot = Snapshot { entries: self.dir.list()?, inode: self.dir.metadata()?.inode };
                Ok(listing.insert(snapshot))
            }
        }
    }
}

impl Snapshot {
    /// Says how much of `target` it filled.
    fn fill(&self, target: &mut [u8], cookie: u64) -> usize {
        let mut filled = 0;
        let mut next = cookie;
        while let Some((name, inode, kind)) = self.entry(next) {
            next += 1;
            filled += put_entry(&mut target[filled..], next, inode, kind, name);
            if filled == target.len() {
                break;
            }
        }
        filled
    }

    /// The entry at a cookie. `..` has the directory's own inode, as in wasmtime: what lies above a
    /// directory that the guest was given is not its business.
    fn entry(&self, cookie: u64) -> Option<(&[u8], u64, FileType)> {
        match cookie {
            0 => Some((b".", self.inode, FileType::Directory)),
            1 => Some((b"..", self.inode, FileType::Directory)),
            _ => {
                let entry = self.entries.get(usize::try_from(cookie - 2).ok()?)?;
                Some((&entry.name, entry.inode, entry.kind))
            }
        }
    }
}

/// Writes one entry, cut off at the end of `target`, and says how many bytes.
fn put_entry(target: &mut [u8], next: u64, inode: u64, kind: FileType, name: &[u8]) -> usize {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&next.to_le_bytes());
    header[8..16].copy_from_slice(&inode.to_le_bytes());
    header[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
    header[20] = filetype(kind);
    let head = put_cut(target, &header);
    head + put_cut(&mut target[head..], name)
}

fn put_cut(target: &mut [u8], bytes: &[u8]) -> usize {
    let len = bytes.len().min(target.len());
    target[..len].copy_from_slice(&bytes[..len]);
    len
}
