//! The functions of WASI preview1, called as a guest calls them but for the compiled code: over a slice of memory.

mod args;
mod clocks;
mod descriptors;
mod files;
mod guest;
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
