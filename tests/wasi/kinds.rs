//! Every function that takes a descriptor, with each kind of descriptor and with none.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use kitbag::wasi::{Errno, WasiCtx, preview1};
use kitbag_fs::Dir;

use super::backends::on_each_root;
use super::guest::{ALL, BUFFER, Guest, IOVS, PATH, PATH2, RESULT, ROOT};

pub(crate) const LISTENER: u32 = 4;
pub(crate) const FILE: u32 = 5;
pub(crate) const CONNECTION: u32 = 6;

/// Where the path of the link lies, and a subscription to a time that has come.
pub(crate) const LINK: u32 = PATH + 0x100;
pub(crate) const SUBSCRIPTION: u32 = PATH + 0x200;

/// A guest with a descriptor of each kind: a file `f` of 1 byte at its start, a connection that has sent 13 bytes, and a listening
/// socket for which another connection waits. Beside the file are a link to it and an empty directory `d`. `PATH` holds the
/// path of the file, `PATH2` a free one, `IOVS` a buffer of 4 bytes.
pub(crate) fn equipped(root: Arc<dyn Dir>) -> (Guest, [TcpStream; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let builder = WasiCtx::builder().arg("prog").env("A", "B").preopen("/", root);
    let mut guest = Guest::new(builder.listener(listener));
    assert_eq!(guest.create("f"), Ok(FILE));
    assert_eq!(guest.pwrite(FILE, b"f", 0), Ok(1));
    guest.symlink("f", "l").unwrap();
    guest.mkdir("d").unwrap();
    let clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    preview1::sock_accept(&mut guest.memory, &mut guest.ctx, LISTENER, 0, RESULT).unwrap();
    assert_eq!(guest.u32(RESULT), CONNECTION);
    (&clients[0]).write_all(b"four and more").unwrap();
    guest.put(PATH, b"f");
    guest.put(PATH2, b"n");
    guest.put(LINK, b"l");
    guest.put(SUBSCRIPTION, &[0; 56]);
    guest.iovs(&[(BUFFER, 4)]);
    (guest, clients)
}

type Call = fn(&mut [u8], &mut WasiCtx, u32) -> Result<(), Errno>;

/// What standard output, a file, a directory, a listening socket and a connection answer.
type Answers = [Result<(), Errno>; 5];

const KINDS: [u32; 5] = [1, FILE, ROOT, LISTENER, CONNECTION];

const OK: Result<(), Errno> = Ok(());
const BADF: Result<(), Errno> = Err(Errno::Badf);
const INVAL: Result<(), Errno> = Err(Errno::Inval);
const ISDIR: Result<(), Errno> = Err(Errno::Isdir);
const NOTCAPABLE: Result<(), Errno> = Err(Errno::Notcapable);
const NOTDIR: Result<(), Errno> = Err(Errno::Notdir);
const NOTSOCK: Result<(), Errno> = Err(Errno::Notsock);
const SPIPE: Result<(), Errno> = Err(Errno::Spipe);

const ANY: Answers = [OK; 5];
const DIRECTORIES: Answers = [NOTDIR, NOTDIR, OK, NOTDIR, NOTDIR];
const POSITIONS: Answers = [SPIPE, OK, BADF, SPIPE, SPIPE];

/// All but `poll_oneoff`, which tells of each descriptor in its event.
pub(crate) const CALLS: [(&str, Call, Answers); 39] = [
    ("fd_advise", |m, c, fd| preview1::fd_advise(m, c, fd, 0, 1, 0), POSITIONS),
    ("fd_allocate", |m, c, fd| preview1::fd_allocate(m, c, fd, 0, 9), POSITIONS),
    ("fd_close", |m, c, fd| preview1::fd_close(m, c, fd), ANY),
    ("fd_datasync", |m, c, fd| preview1::fd_datasync(m, c, fd), [INVAL, OK, OK, INVAL, INVAL]),
    ("fd_fdstat_get", |m, c, fd| preview1::fd_fdstat_get(m, c, fd, RESULT), ANY),
    ("fd_fdstat_set_flags", |m, c, fd| preview1::fd_fdstat_set_flags(m, c, fd, 1), ANY),
    ("fd_fdstat_set_rights", |m, c, fd| preview1::fd_fdstat_set_rights(m, c, fd, 0, 0), ANY),
    ("fd_filestat_get", |m, c, fd| preview1::fd_filestat_get(m, c, fd, RESULT), ANY),
    ("fd_filestat_set_size", |m, c, fd| preview1::fd_filestat_set_size(m, c, fd, 9), [INVAL, OK, BADF, INVAL, INVAL]),
    (
        "fd_filestat_set_times",
        |m, c, fd| preview1::fd_filestat_set_times(m, c, fd, 1, 1, 5),
        [BADF, OK, OK, BADF, BADF],
    ),
    ("fd_pread", |m, c, fd| preview1::fd_pread(m, c, fd, IOVS, 1, 0, RESULT), [SPIPE, OK, ISDIR, SPIPE, SPIPE]),
    ("fd_prestat_get", |m, c, fd| preview1::fd_prestat_get(m, c, fd, RESULT), [BADF, BADF, OK, BADF, BADF]),
    ("fd_prestat_dir_name", |m, c, fd| preview1::fd_prestat_dir_name(m, c, fd, BUFFER, 9), DIRECTORIES),
    ("fd_pwrite", |m, c, fd| preview1::fd_pwrite(m, c, fd, IOVS, 1, 0, RESULT), POSITIONS),
    ("fd_read", |m, c, fd| preview1::fd_read(m, c, fd, IOVS, 1, RESULT), [NOTCAPABLE, OK, ISDIR, BADF, OK]),
    ("fd_readdir", |m, c, fd| preview1::fd_readdir(m, c, fd, BUFFER, 99, 0, RESULT), DIRECTORIES),
    ("fd_renumber from", |m, c, fd| preview1::fd_renumber(m, c, fd, 9), ANY),
    ("fd_renumber to", |m, c, fd| preview1::fd_renumber(m, c, 0, fd), ANY),
    ("fd_seek", |m, c, fd| preview1::fd_seek(m, c, fd, 1, 0, RESULT), POSITIONS),
    ("fd_sync", |m, c, fd| preview1::fd_sync(m, c, fd), [INVAL, OK, OK, INVAL, INVAL]),
    ("fd_tell", |m, c, fd| preview1::fd_tell(m, c, fd, RESULT), POSITIONS),
    ("fd_write", |m, c, fd| preview1::fd_write(m, c, fd, IOVS, 1, RESULT), [OK, OK, BADF, NOTCAPABLE, OK]),
    ("path_create_directory", |m, c, fd| preview1::path_create_directory(m, c, fd, PATH2, 1), DIRECTORIES),
    ("path_filestat_get", |m, c, fd| preview1::path_filestat_get(m, c, fd, 1, PATH, 1, RESULT), DIRECTORIES),
    (
        "path_filestat_set_times",
        |m, c, fd| preview1::path_filestat_set_times(m, c, fd, 1, PATH, 1, 1, 1, 5),
        DIRECTORIES,
    ),
    ("path_link from", |m, c, fd| preview1::path_link(m, c, fd, 0, PATH, 1, ROOT, PATH2, 1), DIRECTORIES),
    ("path_link to", |m, c, fd| preview1::path_link(m, c, ROOT, 0, PATH, 1, fd, PATH2, 1), DIRECTORIES),
    ("path_open", |m, c, fd| preview1::path_open(m, c, fd, 1, PATH, 1, 0, ALL, ALL, 0, RESULT), DIRECTORIES),
    ("path_readlink", |m, c, fd| preview1::path_readlink(m, c, fd, LINK, 1, BUFFER, 9, RESULT), DIRECTORIES),
    (
        "path_remove_directory",
        |m, c, fd| {
            m[PATH2 as usize] = b'd';
            preview1::path_remove_directory(m, c, fd, PATH2, 1)
        },
        DIRECTORIES,
    ),
    ("path_rename from", |m, c, fd| preview1::path_rename(m, c, fd, PATH, 1, ROOT, PATH2, 1), DIRECTORIES),
    ("path_rename to", |m, c, fd| preview1::path_rename(m, c, ROOT, PATH, 1, fd, PATH2, 1), DIRECTORIES),
    ("path_symlink", |m, c, fd| preview1::path_symlink(m, c, PATH, 1, fd, PATH2, 1), DIRECTORIES),
    ("path_unlink_file", |m, c, fd| preview1::path_unlink_file(m, c, fd, PATH, 1), DIRECTORIES),
    ("sock_accept", |m, c, fd| preview1::sock_accept(m, c, fd, 0, RESULT), [NOTSOCK, NOTSOCK, NOTSOCK, OK, NOTCAPABLE]),
    (
        "sock_recv",
        |m, c, fd| preview1::sock_recv(m, c, fd, IOVS, 1, 0, RESULT, RESULT + 4),
        [NOTSOCK, NOTSOCK, NOTSOCK, BADF, OK],
    ),
    (
        "sock_send",
        |m, c, fd| preview1::sock_send(m, c, fd, IOVS, 1, 0, RESULT),
        [NOTSOCK, NOTSOCK, NOTSOCK, NOTCAPABLE, OK],
    ),
    ("sock_shutdown", |m, c, fd| preview1::sock_shutdown(m, c, fd, 3), [NOTSOCK, NOTSOCK, NOTSOCK, NOTCAPABLE, OK]),
    (
        "sock_shutdown, reading",
        |m, c, fd| preview1::sock_shutdown(m, c, fd, 1),
        [NOTSOCK, NOTSOCK, NOTSOCK, NOTCAPABLE, OK],
    ),
];

#[test]
fn each_kind_answers_for_itself() {
    for (name, call, answers) in CALLS {
        for (fd, answer) in KINDS.into_iter().zip(answers) {
            on_each_root(|root| {
                let (mut guest, _clients) = equipped(root);
                assert_eq!(call(&mut guest.memory, &mut guest.ctx, fd), answer, "{name} of {fd}");
            });
        }
    }
}

/// `EBADF` for a number never given, for one that was closed, and for one that no table has; and nothing is written.
#[test]
fn none_at_all() {
    on_each_root(|root| {
        let (mut guest, _clients) = equipped(root);
        guest.close(FILE).unwrap();
        let calls = CALLS.iter().filter(|(name, ..)| *name != "fd_renumber to");
        for (name, call, _) in calls {
            for fd in [FILE, CONNECTION + 1, 1 << 20, u32::MAX] {
                guest.put(PATH2, b"n");
                let before = guest.memory.clone();
                assert_eq!(call(&mut guest.memory, &mut guest.ctx, fd), BADF, "{name} of {fd}");
                guest.put(PATH2, b"n");
                assert!(guest.memory == before, "{name} of {fd} wrote something");
            }
        }
        assert_eq!(guest.readdir(ROOT, 4096).unwrap().len(), 5, "nothing was made, moved or removed");
    });
}
