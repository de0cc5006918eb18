//! `kitbag serve` from outside: through curl, an HTTP library, and sockets where neither would send what is to be sent.

#[macro_use]
mod harness;

mod connections;
mod deployment;
mod example;
mod faults;
mod files;
mod handlers;
mod hostile;
mod http2;
mod reload;
