//! A writable layer over read-only ones, with copy-up.
