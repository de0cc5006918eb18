//! Sockets that a guest was given.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use kitbag::wasi::{Errno, FdFlags, Rights, WasiCtx, preview1};
use kitbag_fs::FileSystem;

use super::guest::{BUFFER, Guest, RESULT, ROOT, SIZE, files};

const LISTENER: u32 = 4;
const SOCKET_STREAM: u8 = 6;
const PEEK: u32 = 1;
const WAITALL: u32 = 2;

fn guest() -> (Guest, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let root = files(&["f"]).root().unwrap();
    (Guest::new(WasiCtx::builder().listener(listener).preopen("/", root)), address)
}

fn accept(guest: &mut Guest, fd: u32, flags: FdFlags) -> Result<u32, Errno> {
    preview1::sock_accept(&mut guest.memory, &mut guest.ctx, fd, flags.bits().into(), RESULT)?;
    Ok(guest.u32(RESULT))
}

fn receive(guest: &mut Guest, fd: u32, len: u32, flags: u32) -> Result<Vec<u8>, Errno> {
    let (iovs, count) = guest.iovs(&[(BUFFER, len)]);
    guest.put(RESULT + 4, &[0xaa; 3]);
    let Guest { memory, ctx } = guest;
    preview1::sock_recv(memory, ctx, fd, iovs, count, flags, RESULT, RESULT + 4)?;
    assert_eq!(guest.get(RESULT + 4, 3), [0, 0, 0xaa]);
    Ok(guest.get(BUFFER, guest.u32(RESULT)).to_vec())
}

fn send(guest: &mut Guest, fd: u32, bytes: &[u8], flags: u32) -> Result<u32, Errno> {
    guest.put(BUFFER, bytes);
    let (iovs, count) = guest.iovs(&[(BUFFER, bytes.len() as u32)]);
    preview1::sock_send(&mut guest.memory, &mut guest.ctx, fd, iovs, count, flags, RESULT)?;
    Ok(guest.u32(RESULT))
}

fn shutdown(guest: &mut Guest, fd: u32, how: u32) -> Result<(), Errno> {
    preview1::sock_shutdown(&mut guest.memory, &mut guest.ctx, fd, how)
}

#[test]
fn a_conversation() {
    let (mut guest, address) = guest();
    let mut client = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, LISTENER, FdFlags::empty()).unwrap();
    assert_eq!((fd, guest.fdstat(fd).unwrap().0, guest.fstat(fd).unwrap().kind), (5, SOCKET_STREAM, SOCKET_STREAM));
    client.write_all(b"hello").unwrap();
    assert_eq!(receive(&mut guest, fd, 5, PEEK | WAITALL).unwrap(), b"hello");
    assert_eq!(receive(&mut guest, fd, 2, 0).unwrap(), b"he");
    assert_eq!(guest.read(fd, 3).unwrap(), b"llo");
    assert_eq!((send(&mut guest, fd, b"wor", 0), guest.write(fd, b"ld")), (Ok(3), Ok(2)));
    assert_eq!(shutdown(&mut guest, fd, 2), Ok(()));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((answer.as_str(), guest.write(fd, b"x")), ("world", Err(Errno::Pipe)));
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut guest, fd, 5, 0).unwrap(), b"", "the end");
    guest.close(fd).unwrap();
    assert_eq!(receive(&mut guest, fd, 5, 0), Err(Errno::Badf));
}

#[test]
fn waiting_is_optional() {
    let (mut guest, address) = guest();
    guest.set_flags(LISTENER, FdFlags::NONBLOCK).unwrap();
    assert_eq!(accept(&mut guest, LISTENER, FdFlags::empty()), Err(Errno::Again));
    let mut client = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, LISTENER, FdFlags::NONBLOCK).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, FdFlags::NONBLOCK);
    assert_eq!((receive(&mut guest, fd, 1, 0), guest.read(fd, 1)), (Err(Errno::Again), Err(Errno::Again)));
    client.write_all(b"x").unwrap();
    guest.set_flags(fd, FdFlags::empty()).unwrap();
    assert_eq!(receive(&mut guest, fd, 9, 0).unwrap(), b"x");
}

#[test]
fn what_is_refused() {
    let (mut guest, address) = guest();
    let _client = TcpStream::connect(address).unwrap();
    let Guest { memory, ctx } = &mut guest;
    assert_eq!(preview1::sock_accept(memory, ctx, LISTENER, 32, RESULT), Err(Errno::Inval));
    assert_eq!(preview1::sock_accept(memory, ctx, LISTENER, 0, SIZE - 3), Err(Errno::Fault));
    let fd = accept(&mut guest, LISTENER, FdFlags::empty()).unwrap();
    assert_eq!((receive(&mut guest, fd, 1, 4), send(&mut guest, fd, b"x", 1)), (Err(Errno::Inval), Err(Errno::Inval)));
    assert_eq!((shutdown(&mut guest, fd, 0), shutdown(&mut guest, fd, 4)), (Err(Errno::Inval), Err(Errno::Inval)));
    assert_eq!((guest.seek(fd, 0, 0), guest.readdir_raw(fd, 10, 0)), (Err(Errno::Spipe), Err(Errno::Notdir)));
    assert_eq!(accept(&mut guest, fd, FdFlags::empty()), Err(Errno::Notcapable));
    assert_eq!(
        (send(&mut guest, LISTENER, b"x", 0), shutdown(&mut guest, LISTENER, 3)),
        (Err(Errno::Notcapable), Err(Errno::Notcapable))
    );
    guest.set_rights(fd, Rights::FD_WRITE, Rights::empty()).unwrap();
    assert_eq!(
        (receive(&mut guest, fd, 1, 0), shutdown(&mut guest, fd, 1)),
        (Err(Errno::Notcapable), Err(Errno::Notcapable))
    );
    let Guest { memory, ctx } = &mut guest;
    for (fd, errno) in [(0, Errno::Notsock), (ROOT, Errno::Notsock), (99, Errno::Badf)] {
        assert_eq!(preview1::sock_accept(memory, ctx, fd, 0, RESULT), Err(errno));
        assert_eq!(preview1::sock_recv(memory, ctx, fd, BUFFER, 0, 0, RESULT, RESULT), Err(errno));
        assert_eq!(preview1::sock_send(memory, ctx, fd, BUFFER, 0, 0, RESULT), Err(errno));
        assert_eq!(preview1::sock_shutdown(memory, ctx, fd, 3), Err(errno));
    }
}

#[test]
fn a_connection_that_was_reset() {
    let (mut guest, address) = guest();
    let client = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, LISTENER, FdFlags::empty()).unwrap();
    // Closed with bytes unread: that is what makes it a reset.
    assert_eq!(send(&mut guest, fd, b"unread", 0), Ok(6));
    client.peek(&mut [0; 6]).unwrap();
    drop(client);
    assert_eq!(receive(&mut guest, fd, 1, 0), Err(Errno::Connreset));
    assert_eq!((send(&mut guest, fd, b"x", 0), shutdown(&mut guest, fd, 3)), (Err(Errno::Pipe), Err(Errno::Notconn)));
}

/// Threat: descriptor exhaustion.
#[test]
fn a_full_table_accepts_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Guest::new(WasiCtx::builder().listener(listener).max_descriptors(4));
    let _client = TcpStream::connect(address).unwrap();
    assert_eq!(accept(&mut guest, 3, FdFlags::empty()), Err(Errno::Mfile));
    guest.close(0).unwrap();
    assert_eq!(accept(&mut guest, 3, FdFlags::empty()), Ok(0), "it was still waiting");
}
