//! The host's disk, confined beneath one directory by the kernel.
