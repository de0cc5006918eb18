//! Bundles: a program and its files in one archive or folder, described by a manifest.

mod manifest;

pub use manifest::{Manifest, ManifestError, Mount, Source};
