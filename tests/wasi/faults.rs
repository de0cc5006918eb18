//! File systems whose every operation fails: the guest is told which way, and finds everything else as it was.

use std::any::Any;
use std::io::IoSlice;
use std::sync::Arc;

use kitbag::wasi::{Clock, ClockId, Errno, Random, Rights, WasiCtx, preview1};
use kitbag_fs::{Dir, Error, File, Follow, Listing, Metadata, Node, OpenOptions, Path, Result as FsResult, SetTimes};

use super::guest::{BUFFER, Guest, IOVS, NO_FLAGS, PATH, PATH2, PLAIN};
use super::kinds::{CALLS, LINK};

/// Opens two things, as broken as itself, and answers all else with an error.
struct Broken(Error);

impl Dir for Broken {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn open(&self, path: &Path, _: OpenOptions) -> FsResult<Node> {
        match path.as_bytes() {
            b"works/file" => Ok(Node::File(Arc::new(Broken(self.0)))),
            b"works/dir" => Ok(Node::Dir(Arc::new(Broken(self.0)))),
            _ => Err(self.0),
        }
    }

    fn stat(&self, _: &Path, _: Follow) -> FsResult<Metadata> {
        Err(self.0)
    }

    fn metadata(&self) -> FsResult<Metadata> {
        Err(self.0)
    }

    fn list(&self) -> FsResult<Listing> {
        Err(self.0)
    }

    fn create_dir(&self, _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn remove_dir(&self, _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn unlink(&self, _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn symlink(&self, _: &[u8], _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn link(&self, _: &Path, _: Follow, _: &dyn Dir, _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn rename(&self, _: &Path, _: &dyn Dir, _: &Path) -> FsResult<()> {
        Err(self.0)
    }

    fn set_times(&self, _: &Path, _: Follow, _: SetTimes) -> FsResult<()> {
        Err(self.0)
    }

    fn set_own_times(&self, _: SetTimes) -> FsResult<()> {
        Err(self.0)
    }

    fn sync(&self) -> FsResult<()> {
        Err(self.0)
    }
}

impl File for Broken {
    fn metadata(&self) -> FsResult<Metadata> {
        Err(self.0)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> FsResult<usize> {
        Err(self.0)
    }

    fn write_at(&self, _: &[u8], _: u64) -> FsResult<usize> {
        Err(self.0)
    }

    fn append(&self, _: &[IoSlice<'_>]) -> FsResult<(usize, u64)> {
        Err(self.0)
    }

    fn set_len(&self, _: u64) -> FsResult<()> {
        Err(self.0)
    }

    fn allocate(&self, _: u64, _: u64) -> FsResult<()> {
        Err(self.0)
    }

    fn set_times(&self, _: SetTimes) -> FsResult<()> {
        Err(self.0)
    }

    fn sync(&self, _: bool) -> FsResult<()> {
        Err(self.0)
    }
}

impl Random for Broken {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), Errno> {
        Err(self.0.into())
    }
}

impl Clock for Broken {
    fn now(&mut self, _: ClockId) -> Result<u64, Errno> {
        Err(self.0.into())
    }

    fn resolution(&mut self, _: ClockId) -> Result<u64, Errno> {
        Err(self.0.into())
    }
}

const FILE: u32 = 4;
const DIR: u32 = 5;

fn guest(error: Error) -> Guest {
    let mut guest = Guest::new(WasiCtx::builder().preopen("/", Arc::new(Broken(error))).max_written(9));
    let mut open = |path, rights| guest.open_with(3, path, PLAIN, rights, NO_FLAGS);
    assert_eq!((open("works/file", Rights::all()), open("works/dir", Rights::DIRECTORY)), (Ok(FILE), Ok(DIR)));
    for (place, path) in [(PATH, b"f"), (PATH2, b"n"), (LINK, b"l")] {
        guest.put(place, path);
    }
    guest.iovs(&[(BUFFER, 4)]);
    guest
}

/// The functions that ask a file, and those that ask a directory.
const OF_FILES: [&str; 13] = [
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_pwrite",
    "fd_read",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
];
const OF_DIRECTORIES: [&str; 5] = ["fd_datasync", "fd_filestat_get", "fd_filestat_set_times", "fd_readdir", "fd_sync"];

#[test]
fn each_failure_is_told() {
    let errors = [
        (Error::Io, Errno::Io),
        (Error::NoSpace, Errno::Nospc),
        (Error::Quota, Errno::Dquot),
        (Error::TooLarge, Errno::Fbig),
        (Error::ReadOnly, Errno::Rofs),
        (Error::Access, Errno::Acces),
        (Error::TooManyFiles, Errno::Mfile),
        (Error::Busy, Errno::Busy),
        (Error::CrossDevice, Errno::Xdev),
    ];
    for (error, errno) in errors {
        let mut guest = guest(error);
        let (mut asked, before) = (0, guest.memory.clone());
        for (name, call, _) in CALLS {
            let of_file = OF_FILES.contains(&name).then_some(FILE);
            let of_dir = (OF_DIRECTORIES.contains(&name) || name.starts_with("path_")).then_some(DIR);
            for fd in of_file.into_iter().chain(of_dir) {
                // Each asks for as much as may be written in all, or nearly so: what failed has not been counted.
                let answer = call(&mut guest.memory, &mut guest.ctx, fd);
                assert_eq!(answer, Err(errno), "{name} of {fd}");
                guest.put(PATH2, b"n");
                assert!(guest.memory == before, "{name} of {fd} wrote something");
                asked += 1;
            }
        }
        assert_eq!(asked, OF_FILES.len() + OF_DIRECTORIES.len() + 12);
        assert_eq!(guest.u32(IOVS + 4), 4);
    }
}

#[test]
fn clocks_and_randomness_fail_too() {
    let mut guest = Guest::new(WasiCtx::builder().clock(Broken(Error::Io)).random(Broken(Error::Io)));
    let before = guest.memory.clone();
    let Guest { memory, ctx } = &mut guest;
    let answers = [
        preview1::clock_time_get(memory, ctx, 0, 0, BUFFER),
        preview1::clock_res_get(memory, ctx, 0, BUFFER),
        preview1::random_get(memory, ctx, BUFFER, 9),
    ];
    assert_eq!(answers, [Err(Errno::Io); 3]);
    assert!(guest.memory == before);
}
