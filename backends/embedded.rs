//! Assets embedded in the binary by `rust-embed`.
