//! Standard streams: captured, piped, from memory, from files, and closed.

use std::sync::Arc;

use kitbag::wasi::{Capture, Errno, FdFlags, HostStream, Input, WasiCtx, preview1};
use kitbag_fs::{OpenOptions, Path};

use super::backends::on_each_root;
use super::guest::{BUFFER, CHARACTER_DEVICE, Guest, RESULT};

fn pipe() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    rustix::pipe::pipe().unwrap()
}

#[test]
fn captured_output() {
    let (out, err) = (Capture::new(10), Capture::new(0));
    let mut guest = Guest::new(WasiCtx::builder().stdout(out.clone()).stderr(err.clone()));
    guest.put(BUFFER, b"abcdef");
    let (iovs, count) = guest.iovs(&[(BUFFER + 3, 3), (BUFFER, 3)]);
    preview1::fd_write(&mut guest.memory, &mut guest.ctx, 1, iovs, count, RESULT).unwrap();
    assert_eq!((guest.u32(RESULT), out.contents()), (6, b"defabc".to_vec()));
    assert_eq!(
        (guest.write(1, b"123456"), guest.write(1, b"7")),
        (Ok(4), Err(Errno::Nospc)),
        "a short write at the limit"
    );
    assert_eq!((guest.write(2, b"x"), guest.write(2, b"")), (Err(Errno::Nospc), Ok(0)));
}

#[test]
fn input_from_memory() {
    let mut guest = Guest::new(WasiCtx::builder().stdin(Input::new("hello")));
    assert_eq!((guest.read(0, 2).unwrap(), guest.read(0, 0).unwrap()), (b"he".to_vec(), vec![]));
    assert_eq!((guest.read(0, 100).unwrap(), guest.read(0, 1).unwrap()), (b"llo".to_vec(), vec![]));
}

#[test]
fn nothing_at_all() {
    let mut guest = Guest::new(WasiCtx::builder());
    assert_eq!((guest.read(0, 10).unwrap(), guest.write(1, b"abc")), (vec![], Ok(3)));
}

/// Threat: reads from standard input that take no more than asked.
#[test]
fn a_pipe_keeps_what_was_not_asked_for() {
    let (reader, writer) = pipe();
    rustix::io::write(&writer, b"hello world").unwrap();
    let mut guest = Guest::new(WasiCtx::builder().stdin(HostStream::new(reader.try_clone().unwrap())));
    assert_eq!(guest.read(0, 5).unwrap(), b"hello");
    let mut rest = [0; 20];
    assert_eq!(rustix::io::read(&reader, &mut rest).unwrap(), 6, "the host finds the rest");
    assert_eq!(guest.set_flags(0, FdFlags::NONBLOCK), Ok(()));
    assert_eq!(guest.read(0, 5), Err(Errno::Again));
    drop(writer);
    assert_eq!(guest.read(0, 5).unwrap(), b"", "the end");
}

#[test]
fn nobody_reads() {
    let (reader, writer) = pipe();
    drop(reader);
    let mut guest = Guest::new(WasiCtx::builder().stdout(HostStream::new(writer)));
    assert_eq!(guest.write(1, b"abc"), Err(Errno::Pipe));
}

#[test]
fn a_full_pipe() {
    let (_reader, writer) = pipe();
    let mut guest = Guest::new(WasiCtx::builder().stdout(HostStream::new(writer)));
    guest.set_flags(1, FdFlags::NONBLOCK).unwrap();
    let full = std::iter::repeat_with(|| guest.write(1, &[7; 4096])).take(1000).find_map(Result::err);
    assert_eq!(full, Some(Errno::Again));
    assert_eq!(guest.write(1, b""), Ok(0));
}

#[test]
fn only_terminals_are_character_devices() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/ptmx");
    let mut guest = Guest::new(WasiCtx::builder().stdin(HostStream::new(null)).stdout(HostStream::new(pipe().1)));
    assert_eq!((guest.fdstat(0).unwrap().0, guest.fdstat(1).unwrap().0, guest.fstat(0).unwrap().kind), (0, 0, 0));
    if let Ok(terminal) = terminal {
        let mut guest = Guest::new(WasiCtx::builder().stdin(HostStream::new(terminal)));
        assert_eq!((guest.fdstat(0).unwrap().0, guest.fstat(0).unwrap().kind), (CHARACTER_DEVICE, CHARACTER_DEVICE));
    }
}

#[test]
fn a_stream_has_no_positions() {
    let mut guest = Guest::new(WasiCtx::builder());
    assert_eq!(
        (guest.seek(0, 0, 0), guest.seek(1, 0, 1), guest.tell(1)),
        (Err(Errno::Spipe), Err(Errno::Spipe), Err(Errno::Spipe))
    );
    assert_eq!((guest.pread(0, 1, 0), guest.pwrite(1, b"x", 0)), (Err(Errno::Spipe), Err(Errno::Spipe)));
    let stat = guest.fstat(1).unwrap();
    assert_eq!((stat.size, stat.inode, stat.times), (0, 0, [0; 3]), "nothing of the host is told");
}

#[test]
fn files_as_streams() {
    on_each_root(|root| {
        for name in ["in", "out"] {
            let mut writer = Guest::over(Arc::clone(&root));
            let fd = writer.create(name).unwrap();
            writer.write(fd, name.as_bytes()).unwrap();
        }
        let open =
            |name: &str, options| root.open(Path::new(name.as_bytes()).unwrap(), options).unwrap().file().unwrap();
        let out = open("out", OpenOptions::write());
        let mut guest = Guest::new(
            WasiCtx::builder().stdin_file(open("in", OpenOptions::read())).stdout_file(out.clone()).stderr_file(out),
        );
        assert_eq!(
            (guest.read(0, 10).unwrap(), guest.seek(0, 1, 0), guest.read(0, 10).unwrap()),
            (b"in".to_vec(), Ok(1), b"n".to_vec())
        );
        assert_eq!((guest.write(1, b"OU"), guest.read(1, 1)), (Ok(2), Err(Errno::Notcapable)));
        assert_eq!(guest.contents("out"), Err(Errno::Badf), "no directory is given");
        assert_eq!(open("out", OpenOptions::read()).read_all().unwrap(), "OUt");
    });
}
