//! Archives and modules of the disk as memory instead of copies.
//!
//! # Safety
//! Files that are mapped can be changed by other processes. What this command does with their bytes is parsing, inflating, validating
//! and copying, none of which relies, for memory safety, on bytes staying what they were when it looked at them before: offsets are
//! checked where they are used, and what was decoded lies in memory of its own.

#![allow(unsafe_code, reason = "maps files; see the module's Safety section")]

/// Lets files be mapped. Where that cannot be, they are copied.
pub(super) fn enable() {
    // SAFETY: see above.
    _ = unsafe { kitbag_fs::mapped::enable() };
}
