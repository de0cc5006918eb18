//! The functions of WASI preview1, called as a guest calls them but for the compiled code: over a slice of memory.

mod args;
mod backends;
mod clocks;
mod descriptors;
mod faults;
mod files;
mod guest;
mod kinds;
mod linking;
mod links;
mod names;
mod opening;
mod pointers;
mod poll;
mod random;
mod readdir;
mod reading;
mod rights;
mod sockets;
mod stopping;
mod streams;
mod threats;
mod tracing;
mod unstable;
