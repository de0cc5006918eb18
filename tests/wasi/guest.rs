//! A guest without code: 64 KiB of memory, what it sees, and a libc of sorts.

use std::sync::Arc;

use kitbag::wasi::{Errno, FdFlags, OFlags, Rights, WasiCtx, WasiCtxBuilder, preview1};
use kitbag_fs::memory::Memory;
use kitbag_fs::{Bytes, Dir, Path};

/// Where results go, paths, arrays of buffers, and contents.
pub(crate) const RESULT: u32 = 0x100;
pub(crate) const PATH: u32 = 0x1000;
pub(crate) const PATH2: u32 = 0x3000;
pub(crate) const IOVS: u32 = 0x5000;
pub(crate) const BUFFER: u32 = 0x8000;
pub(crate) const SIZE: u32 = 0x1_0000;

/// The first preopened directory.
pub(crate) const ROOT: u32 = 3;

/// All rights, as a guest that wants everything asks for them.
pub(crate) const ALL: u64 = u64::MAX;

pub(crate) const NO_FLAGS: FdFlags = FdFlags::empty();
pub(crate) const CREATE: OFlags = OFlags::CREAT;
pub(crate) const PLAIN: OFlags = OFlags::empty();

pub(crate) struct Guest {
    pub(crate) memory: Vec<u8>,
    pub(crate) ctx: WasiCtx,
}

/// A record `filestat`.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) kind: u8,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) times: [u64; 3],
}

/// A record `dirent` and its name.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Entry {
    pub(crate) next: u64,
    pub(crate) inode: u64,
    pub(crate) kind: u8,
    pub(crate) name: Vec<u8>,
}

pub(crate) const CHARACTER_DEVICE: u8 = 2;
pub(crate) const DIRECTORY: u8 = 3;
pub(crate) const REGULAR_FILE: u8 = 4;
pub(crate) const SYMBOLIC_LINK: u8 = 7;

impl Guest {
    pub(crate) fn new(builder: WasiCtxBuilder) -> Guest {
        Guest { memory: vec![0xaa; SIZE as usize], ctx: builder.build().unwrap() }
    }

    /// A guest that sees one directory.
    pub(crate) fn over(dir: Arc<dyn Dir>) -> Guest {
        Guest::new(WasiCtx::builder().preopen("/", dir))
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) {
        self.memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn get(&self, at: u32, len: u32) -> &[u8] {
        &self.memory[at as usize..(at + len) as usize]
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap())
    }

    pub(crate) fn path(&mut self, path: &str) -> (u32, u32) {
        self.put(PATH, path.as_bytes());
        (PATH, path.len() as u32)
    }

    pub(crate) fn path2(&mut self, path: &str) -> (u32, u32) {
        self.put(PATH2, path.as_bytes());
        (PATH2, path.len() as u32)
    }

    pub(crate) fn iovs(&mut self, buffers: &[(u32, u32)]) -> (u32, u32) {
        for (at, (start, len)) in (IOVS..).step_by(8).zip(buffers) {
            self.put(at, &start.to_le_bytes());
            self.put(at + 4, &len.to_le_bytes());
        }
        (IOVS, buffers.len() as u32)
    }

    pub(crate) fn open_with(
        &mut self,
        dir: u32,
        path: &str,
        oflags: OFlags,
        rights: Rights,
        fdflags: FdFlags,
    ) -> Result<u32, Errno> {
        let (at, len) = self.path(path);
        let (oflags, fdflags) = (oflags.bits().into(), fdflags.bits().into());
        let rights = rights.bits();
        let (memory, ctx) = (&mut self.memory, &mut self.ctx);
        preview1::path_open(memory, ctx, dir, 1, at, len, oflags, rights, ALL, fdflags, RESULT)?;
        Ok(self.u32(RESULT))
    }

    /// For reading.
    pub(crate) fn open(&mut self, dir: u32, path: &str) -> Result<u32, Errno> {
        self.open_with(dir, path, PLAIN, Rights::all() - Rights::FD_WRITE, NO_FLAGS)
    }

    /// For reading and writing, made if it is not there.
    pub(crate) fn create(&mut self, path: &str) -> Result<u32, Errno> {
        self.open_with(ROOT, path, CREATE, Rights::all(), NO_FLAGS)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        preview1::fd_close(&mut self.memory, &mut self.ctx, fd)
    }

    pub(crate) fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        let (iovs, count) = self.iovs(&[(BUFFER, len)]);
        preview1::fd_read(&mut self.memory, &mut self.ctx, fd, iovs, count, RESULT)?;
        Ok(self.get(BUFFER, self.u32(RESULT)).to_vec())
    }

    pub(crate) fn pread(&mut self, fd: u32, len: u32, offset: u64) -> Result<Vec<u8>, Errno> {
        let (iovs, count) = self.iovs(&[(BUFFER, len)]);
        preview1::fd_pread(&mut self.memory, &mut self.ctx, fd, iovs, count, offset, RESULT)?;
        Ok(self.get(BUFFER, self.u32(RESULT)).to_vec())
    }

    pub(crate) fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        self.put(BUFFER, bytes);
        let (iovs, count) = self.iovs(&[(BUFFER, bytes.len() as u32)]);
        preview1::fd_write(&mut self.memory, &mut self.ctx, fd, iovs, count, RESULT)?;
        Ok(self.u32(RESULT))
    }

    pub(crate) fn pwrite(&mut self, fd: u32, bytes: &[u8], offset: u64) -> Result<u32, Errno> {
        self.put(BUFFER, bytes);
        let (iovs, count) = self.iovs(&[(BUFFER, bytes.len() as u32)]);
        preview1::fd_pwrite(&mut self.memory, &mut self.ctx, fd, iovs, count, offset, RESULT)?;
        Ok(self.u32(RESULT))
    }

    pub(crate) fn seek(&mut self, fd: u32, delta: i64, whence: u32) -> Result<u64, Errno> {
        preview1::fd_seek(&mut self.memory, &mut self.ctx, fd, delta, whence, RESULT)?;
        Ok(self.u64(RESULT))
    }

    pub(crate) fn tell(&mut self, fd: u32) -> Result<u64, Errno> {
        preview1::fd_tell(&mut self.memory, &mut self.ctx, fd, RESULT)?;
        Ok(self.u64(RESULT))
    }

    pub(crate) fn fstat(&mut self, fd: u32) -> Result<Stat, Errno> {
        preview1::fd_filestat_get(&mut self.memory, &mut self.ctx, fd, RESULT)?;
        Ok(self.stat_record())
    }

    pub(crate) fn stat_in(&mut self, dir: u32, path: &str, follow: bool) -> Result<Stat, Errno> {
        let (at, len) = self.path(path);
        preview1::path_filestat_get(&mut self.memory, &mut self.ctx, dir, follow.into(), at, len, RESULT)?;
        Ok(self.stat_record())
    }

    pub(crate) fn stat(&mut self, path: &str) -> Result<Stat, Errno> {
        self.stat_in(ROOT, path, true)
    }

    pub(crate) fn lstat(&mut self, path: &str) -> Result<Stat, Errno> {
        self.stat_in(ROOT, path, false)
    }

    fn stat_record(&self) -> Stat {
        Stat {
            device: self.u64(RESULT),
            inode: self.u64(RESULT + 8),
            kind: self.memory[RESULT as usize + 16],
            links: self.u64(RESULT + 24),
            size: self.u64(RESULT + 32),
            times: [40, 48, 56].map(|at| self.u64(RESULT + at)),
        }
    }

    /// Type, flags, rights, inheriting rights.
    pub(crate) fn fdstat(&mut self, fd: u32) -> Result<(u8, FdFlags, Rights, Rights), Errno> {
        preview1::fd_fdstat_get(&mut self.memory, &mut self.ctx, fd, RESULT)?;
        let flags = u16::from_le_bytes(self.get(RESULT + 2, 2).try_into().unwrap());
        let rights = |bits| Rights::from_bits(bits).unwrap();
        Ok((
            self.memory[RESULT as usize],
            FdFlags::from_bits(flags).unwrap(),
            rights(self.u64(RESULT + 8)),
            rights(self.u64(RESULT + 16)),
        ))
    }

    pub(crate) fn set_rights(&mut self, fd: u32, base: Rights, inheriting: Rights) -> Result<(), Errno> {
        let (base, inheriting) = (base.bits(), inheriting.bits());
        preview1::fd_fdstat_set_rights(&mut self.memory, &mut self.ctx, fd, base, inheriting)
    }

    pub(crate) fn set_flags(&mut self, fd: u32, flags: FdFlags) -> Result<(), Errno> {
        preview1::fd_fdstat_set_flags(&mut self.memory, &mut self.ctx, fd, flags.bits().into())
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        let (at, len) = self.path(path);
        preview1::path_create_directory(&mut self.memory, &mut self.ctx, ROOT, at, len)
    }

    pub(crate) fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        let (at, len) = self.path(path);
        preview1::path_remove_directory(&mut self.memory, &mut self.ctx, ROOT, at, len)
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        let (at, len) = self.path(path);
        preview1::path_unlink_file(&mut self.memory, &mut self.ctx, ROOT, at, len)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let ((at, len), (at2, len2)) = (self.path(from), self.path2(to));
        preview1::path_rename(&mut self.memory, &mut self.ctx, ROOT, at, len, ROOT, at2, len2)
    }

    pub(crate) fn link(&mut self, from: &str, to: &str, follow: bool) -> Result<(), Errno> {
        let ((at, len), (at2, len2)) = (self.path(from), self.path2(to));
        preview1::path_link(&mut self.memory, &mut self.ctx, ROOT, follow.into(), at, len, ROOT, at2, len2)
    }

    pub(crate) fn symlink(&mut self, target: &str, path: &str) -> Result<(), Errno> {
        let ((at, len), (at2, len2)) = (self.path(target), self.path2(path));
        preview1::path_symlink(&mut self.memory, &mut self.ctx, at, len, ROOT, at2, len2)
    }

    pub(crate) fn readlink(&mut self, path: &str, room: u32) -> Result<Vec<u8>, Errno> {
        let (at, len) = self.path(path);
        preview1::path_readlink(&mut self.memory, &mut self.ctx, ROOT, at, len, BUFFER, room, RESULT)?;
        Ok(self.get(BUFFER, self.u32(RESULT)).to_vec())
    }

    /// One call: what the buffer holds afterwards.
    pub(crate) fn readdir_raw(&mut self, fd: u32, room: u32, cookie: u64) -> Result<Vec<u8>, Errno> {
        preview1::fd_readdir(&mut self.memory, &mut self.ctx, fd, BUFFER, room, cookie, RESULT)?;
        Ok(self.get(BUFFER, self.u32(RESULT)).to_vec())
    }

    /// All entries, in calls with so much room each: a cut-off entry is asked for again, as wasi-libc does.
    pub(crate) fn readdir(&mut self, fd: u32, room: u32) -> Result<Vec<Entry>, Errno> {
        let mut entries = Vec::new();
        let mut cookie = 0;
        loop {
            let bytes = self.readdir_raw(fd, room, cookie)?;
            entries.extend(parse_entries(&bytes));
            cookie = entries.last().map_or(cookie, |entry: &Entry| entry.next);
            if bytes.len() < room as usize {
                return Ok(entries);
            }
        }
    }

    pub(crate) fn contents(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        let fd = self.open(ROOT, path)?;
        let contents = self.read(fd, 0x4000)?;
        self.close(fd)?;
        Ok(contents)
    }
}

/// The whole entries in a buffer.
pub(crate) fn parse_entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while bytes.len() >= 24 {
        let len = 24 + u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
        let Some(name) = bytes.get(24..len) else { break };
        entries.push(Entry {
            next: u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            inode: u64::from_le_bytes(bytes[8..16].try_into().unwrap()),
            kind: bytes[20],
            name: name.to_vec(),
        });
        bytes = &bytes[len..];
    }
    entries
}

/// A file system in memory with these files, each of them holding its own path.
pub(crate) fn files(paths: &[&str]) -> Memory {
    let memory = Memory::new();
    for path in paths {
        let contents = Bytes::copy_from_slice(path.as_bytes());
        memory.insert(Path::new(path.as_bytes()).unwrap(), contents).unwrap();
    }
    memory
}
