//! The command from outside: its words, its answers, its exit statuses, on programs of `tests/guests`.

#[macro_use]
mod harness;

mod bundles;
mod cache;
mod commands;
mod environment;
mod errors;
mod executable;
mod invoke;
mod mounts;
mod options;
mod pack;
mod profile;
mod status;
mod trees;
mod usage;
