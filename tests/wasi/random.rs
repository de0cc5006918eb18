//! Calls with arguments that no program would make: whatever comes of them, the host goes on, and no call that fails
//! has written outside of what it was given. In memory only, whose limits hold: random sizes would fill a disk.

use kitbag::wasi::{Errno, SeededRandom, SteppingClock, WasiCtx, preview1 as p, unstable};
use kitbag_fs::FileSystem;
use kitbag_fs::memory::{Limits, Memory};

use super::guest::{Guest, SIZE};

const CALLS: u32 = 400_000;

/// A sequence of numbers, most of them of the sort that finds mistakes.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn u32(&mut self) -> u32 {
        match self.below(10) {
            0..5 => self.below(8) as u32,
            5 => self.below(SIZE.into()) as u32,
            6 => SIZE - self.below(70) as u32,
            7 => SIZE + self.below(70) as u32,
            8 => u32::MAX - self.below(70) as u32,
            _ => self.next() as u32,
        }
    }

    fn u64(&mut self) -> u64 {
        match self.below(8) {
            0..3 => self.below(100),
            3 => u64::MAX - self.below(100),
            4 => (1 << 63) - 50 + self.below(100),
            5 => (1 << self.below(64)) - 1,
            _ => self.next(),
        }
    }

    /// Any descriptor, most often one that is open.
    fn fd(&mut self) -> u32 {
        if self.below(8) == 0 { self.u32() } else { self.below(10) as u32 }
    }

    /// Any path, most often one of few bytes in the part of memory that holds some.
    fn path(&mut self) -> (u32, u32) {
        match self.below(4) {
            0 => (self.u32(), self.u32()),
            _ => (0x1000 + self.below(64) as u32, self.below(12) as u32),
        }
    }
}

fn call(c: &mut Chance, m: &mut [u8], x: &mut WasiCtx) -> Result<(), Errno> {
    let (path, len) = c.path();
    let (to, to_len) = c.path();
    match c.below(50) {
        0 => p::args_get(m, x, c.u32(), c.u32()),
        1 => p::args_sizes_get(m, x, c.u32(), c.u32()),
        2 => p::environ_get(m, x, c.u32(), c.u32()),
        3 => p::environ_sizes_get(m, x, c.u32(), c.u32()),
        4 => p::clock_res_get(m, x, c.u32(), c.u32()),
        5 => p::clock_time_get(m, x, c.u32(), c.u64(), c.u32()),
        6 => p::fd_advise(m, x, c.fd(), c.u64(), c.u64(), c.u32()),
        7 => p::fd_allocate(m, x, c.fd(), c.u64(), c.u64()),
        8 => p::fd_close(m, x, c.u32()),
        9 => p::fd_datasync(m, x, c.fd()),
        10 => p::fd_fdstat_get(m, x, c.fd(), c.u32()),
        11 => p::fd_fdstat_set_flags(m, x, c.fd(), c.u32()),
        12 if c.below(20) == 0 => p::fd_fdstat_set_rights(m, x, c.fd(), c.u64(), c.u64()),
        13 => p::fd_filestat_get(m, x, c.fd(), c.u32()),
        14 => p::fd_filestat_set_size(m, x, c.fd(), c.u64()),
        15 => p::fd_filestat_set_times(m, x, c.fd(), c.u64(), c.u64(), c.u32()),
        16 => p::fd_pread(m, x, c.fd(), c.u32(), c.u32(), c.u64(), c.u32()),
        17 => p::fd_prestat_dir_name(m, x, c.fd(), c.u32(), c.u32()),
        18 => p::fd_prestat_get(m, x, c.fd(), c.u32()),
        19 => p::fd_pwrite(m, x, c.fd(), c.u32(), c.u32(), c.u64(), c.u32()),
        20 => p::fd_read(m, x, c.fd(), c.u32(), c.u32(), c.u32()),
        21 => p::fd_readdir(m, x, c.fd(), c.u32(), c.u32(), c.u64(), c.u32()),
        22 => p::fd_renumber(m, x, c.fd(), c.fd()),
        23 => p::fd_seek(m, x, c.fd(), c.u64() as i64, c.u32(), c.u32()),
        24 => p::fd_sync(m, x, c.fd()),
        25 => p::fd_tell(m, x, c.fd(), c.u32()),
        26 => p::fd_write(m, x, c.fd(), c.u32(), c.u32(), c.u32()),
        27 => p::path_create_directory(m, x, c.fd(), path, len),
        28 => p::path_filestat_get(m, x, c.fd(), c.u32(), path, len, c.u32()),
        29 => p::path_filestat_set_times(m, x, c.fd(), c.u32(), path, len, c.u64(), c.u64(), c.u32()),
        30 => p::path_link(m, x, c.fd(), c.u32(), path, len, c.fd(), to, to_len),
        31..37 => p::path_open(m, x, c.fd(), 1, path, len, c.below(16) as u32, u64::MAX, u64::MAX, c.u32(), c.u32()),
        37 => p::path_readlink(m, x, c.fd(), path, len, c.u32(), c.u32(), c.u32()),
        38 => p::path_remove_directory(m, x, c.fd(), path, len),
        39 => p::path_rename(m, x, c.fd(), path, len, c.fd(), to, to_len),
        40 => p::path_symlink(m, x, path, len, c.fd(), to, to_len),
        41 => p::path_unlink_file(m, x, c.fd(), path, len),
        42 => p::poll_oneoff(m, x, c.u32(), c.u32(), c.u32(), c.u32()),
        43 => p::random_get(m, x, c.u32(), c.u32()),
        44 => p::sock_accept(m, x, c.fd(), c.u32(), c.u32()),
        45 => p::sock_recv(m, x, c.fd(), c.u32(), c.u32(), c.u32(), c.u32(), c.u32()),
        46 => p::sock_send(m, x, c.fd(), c.u32(), c.u32(), c.u32(), c.u32()),
        47 => unstable::fd_filestat_get(m, x, c.fd(), c.u32()),
        48 => unstable::poll_oneoff(m, x, c.u32(), c.u32(), c.u32(), c.u32()),
        _ => unstable::fd_seek(m, x, c.fd(), c.u64() as i64, c.u32(), c.u32()),
    }
}

fn guest(memory: &Memory) -> Guest {
    let builder = WasiCtx::builder().args(["prog", "x"]).env("A", "B").random(SeededRandom::new(1));
    let builder = builder.clock(SteppingClock::new(1, 1)).max_descriptors(12);
    let mut guest = Guest::new(builder.preopen("/", memory.root().unwrap()).preopen("/two", memory.root().unwrap()));
    guest.put(0x1000, b"a/b/../c/./d//e/../../a/b/c\0x/\xff\\y/../../../z/longer-name/.././a/b");
    guest
}

#[test]
fn any_call_comes_to_an_end() {
    let (mut succeeded, mut failed) = (0, std::collections::BTreeSet::new());
    for seed in 1..=20 {
        let memory = Memory::with_limits(Limits { bytes: 1 << 20, inodes: 50 });
        let (mut guest, mut chance) = (guest(&memory), Chance(seed * 0x9e37_79b9));
        for _ in 0..CALLS / 20 {
            match call(&mut chance, &mut guest.memory, &mut guest.ctx) {
                Ok(()) => succeeded += 1,
                Err(errno) => _ = failed.insert(errno.name()),
            }
            if chance.below(200) == 0 {
                guest = self::guest(&memory);
            }
        }
        assert!(memory.used().bytes <= 1 << 20);
    }
    assert!(succeeded > CALLS / 20, "{succeeded} did something");
    assert!(failed.len() > 12, "{failed:?}");
}
