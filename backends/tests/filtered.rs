//! The disk where a filter of system calls forbids `openat2`, as those of some containers do: the same answers, and no way out.
//!
//! # Safety
//! A filter is a program for the kernel, which copies and checks it. It holds for the thread that installs it alone.

#![allow(unsafe_code, reason = "installs filters of system calls; see Safety above")]

use std::os::unix::fs::symlink;

use kitbag_fs::conformance::{Capabilities, check};
use kitbag_fs::disk::Disk;
use kitbag_fs::{Error, FileSystem, OpenOptions, Path};

/// Lets `openat2` fail with `errno` from now on, in this thread.
///
/// # Errors
/// The system's, which may take no filters.
fn forbid_openat2(errno: i32) -> std::io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let number = 0;
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_openat2 as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: plain numbers, and a program that lives through the call.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if installed { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn conforms_without(errno: i32) {
    if let Err(error) = forbid_openat2(errno) {
        eprintln!("SKIPPED: no filter can be installed: {error}");
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let how = rustix::fs::openat2(
        rustix::fs::CWD,
        empty.path(),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
        rustix::fs::ResolveFlags::empty(),
    );
    assert_eq!(how.map(|_| ()).map_err(rustix::io::Errno::raw_os_error), Err(errno));
    assert_eq!(check(&Disk::read_write(empty.path()).unwrap(), Capabilities::ALL), []);

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inside")).unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    symlink("../secret", folder.path().join("inside/link")).unwrap();
    let root = Disk::read_write(folder.path().join("inside")).unwrap().root().unwrap();
    for way in ["link", "../secret", "link/", "./../inside/link"] {
        let opened = root.open(Path::new(way.as_bytes()).unwrap(), OpenOptions::read()).map(|_| ());
        assert_eq!(opened, Err(Error::NotPermitted), "{way}");
    }
}

#[test]
fn where_a_filter_forbids_openat2() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        std::thread::spawn(move || conforms_without(errno)).join().unwrap();
    }
}
