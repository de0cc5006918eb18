//! Listening: one socket for each worker at one address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen as start, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// Listens with `count` sockets.
///
/// # Errors
/// Those of the system, `AddrInUse` among them: sockets share the address with each other, not with other servers.
pub(super) fn listen(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // One that does not share finds out whether another server is there, and finds the port where any will do.
    let address = socket(address, false)?.local_addr()?;
    (0..count).map(|_| socket(address, true)).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    set_socket_reuseport(&socket, shared)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    start(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Allows as many descriptors as the process may allow itself: each connection takes one.
pub(super) fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, the limit is what it was.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
