//! Bundles made on the spot, a server for each test, and clients.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// How long anything that has to happen is waited for, on a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A file of a bundle.
pub(crate) struct Entry {
    name: &'static str,
    contents: Vec<u8>,
    method: CompressionMethod,
}

pub(crate) fn stored(name: &'static str, contents: impl Into<Vec<u8>>) -> Entry {
    Entry { name, contents: contents.into(), method: CompressionMethod::Stored }
}

pub(crate) fn deflated(name: &'static str, contents: impl Into<Vec<u8>>) -> Entry {
    Entry { name, contents: contents.into(), method: CompressionMethod::Deflated }
}

/// A manifest with `text` after its first table.
pub(crate) fn manifest(text: &str) -> Entry {
    stored("kitbag.toml", format!("[bundle]\nname = \"test\"\n{text}"))
}

/// A bundle as the bytes of an archive.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in entries {
        zip.start_file(entry.name, SimpleFileOptions::default().compression_method(entry.method)).unwrap();
        zip.write_all(&entry.contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A server and its bundle.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) bundle: PathBuf,
    said: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Serves an archive with these entries.
    pub(crate) fn archive(entries: &[Entry]) -> Served {
        Served::with(entries, &[])
    }

    pub(crate) fn with(entries: &[Entry], options: &[&str]) -> Served {
        let folder = scratch();
        let bundle = folder.path().join("bundle.zip");
        std::fs::write(&bundle, archive(entries)).unwrap();
        Served::start(bundle, folder, options)
    }

    /// Serves a folder with these entries.
    pub(crate) fn folder(entries: &[Entry]) -> Served {
        let folder = scratch();
        let bundle = folder.path().join("bundle");
        for entry in entries {
            let path = bundle.join(entry.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &entry.contents).unwrap();
        }
        Served::start(bundle, folder, &[])
    }

    pub(crate) fn start(bundle: PathBuf, folder: tempfile::TempDir, options: &[&str]) -> Served {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kitbag"));
        command.args(["serve", "--addr", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]).args(options).arg(&bundle);
        let log = std::fs::File::create(folder.path().join("access.log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = |mark: &str| {
            let line = lines.next().unwrap().unwrap();
            let (_, rest) = line.split_once(mark).unwrap_or_else(|| panic!("{line}"));
            rest.split('/').next().unwrap().parse().unwrap()
        };
        let (address, metrics) = (address(" at http://"), address(" at http://"));
        let said = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&said);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| *into.lock().unwrap() += &(line + "\n"))
        });
        Served { child, address, metrics, bundle, said, _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What curl gets, with these arguments.
    #[track_caller]
    pub(crate) fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        self.try_curl(path, arguments).unwrap_or_else(|status| panic!("curl: {path}: {status:?}"))
    }

    /// The same, or the status that curl ends with.
    pub(crate) fn try_curl(&self, path: &str, arguments: &[&str]) -> Result<Answer, Option<i32>> {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-i", "--max-time", "60", "--path-as-is"]).args(arguments).arg(self.url(path));
        let output = curl.output().expect("curl is installed");
        match output.status.success() {
            true => Ok(Answer::parse(&output.stdout)),
            false => Err(output.status.code()),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.curl(path, &[])
    }

    /// All that comes back for these bytes, until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut all = Vec::new();
        // A server that closes while there is more to read resets; what it said before is here.
        _ = stream.read_to_end(&mut all);
        all
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said `words`.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        wait(|| self.said().contains(words), || format!("{words:?} in {:?}", self.said()));
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn access_log(&self) -> String {
        std::fs::read_to_string(self._folder.path().join("access.log")).unwrap()
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let output = Command::new("curl").args(["-s", &format!("http://{}/metrics", self.metrics)]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("kitbag_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Waits for something that has to become true.
#[track_caller]
pub(crate) fn wait(mut until: impl FnMut() -> bool, what: impl Fn() -> String) {
    let begun = Instant::now();
    while !until() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What comes until the server closes. The body is in one piece or in chunks, depending on whether the handler had ended when
    /// the head was sent; which of the two is nobody's business but the connection's.
    pub(crate) fn receive(stream: &mut TcpStream) -> Answer {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let mut answer = Answer::parse(&all);
        if answer.header("transfer-encoding") == "chunked" {
            answer.body = unchunked(&answer.body);
        }
        answer
    }

    /// Reads one whose body goes to the end.
    pub(crate) fn parse(bytes: &[u8]) -> Answer {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {}", bytes.escape_ascii()));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if (100..200).contains(&status) {
            return Answer::parse(&bytes[end + 4..]);
        }
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The body that these chunks are, which have to be whole.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some((size, chunk, rest)) = first_chunk(chunks) {
        match size {
            0 if rest.is_empty() => return body,
            _ => body.extend_from_slice(chunk),
        }
        chunks = rest;
    }
    panic!("no chunks as they should be: {}", chunks.escape_ascii())
}

/// The size of the first of them, what it holds, and the others.
fn first_chunk(chunks: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let end = chunks.windows(2).position(|two| two == b"\r\n")?;
    let size = usize::from_str_radix(str::from_utf8(&chunks[..end]).ok()?, 16).ok()?;
    let (chunk, rest) = chunks[end + 2..].split_at_checked(size)?;
    Some((size, chunk, rest.strip_prefix(b"\r\n")?))
}

/// A folder of its own for one test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The body of a module that prints for ever.
pub(crate) const ENDLESS: &str = "(loop $again (call $print (i32.const 65536) (i32.const 65536)) (br $again))";

/// A module in text, whose `_start` does `body`. It can print what lies in memory: `$print` takes an address and a length,
/// and `data` is put at 1024.
pub(crate) fn module(data: &str, body: &str) -> String {
    let escaped: String = data.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (data (i32.const 1024) "{escaped}")
  (func $print_to (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $print (param $at i32) (param $len i32) (call $print_to (i32.const 1) (local.get $at) (local.get $len)))
  (func $read (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func (export "_start") (local $n i32)
    {body}))"#
    )
}

/// A module that prints this.
pub(crate) fn printer(text: &str) -> String {
    module(text, &format!("(call $print (i32.const 1024) (i32.const {}))", text.len()))
}

/// A route to the handler of this name, with these keys besides.
pub(crate) fn route(name: &str, keys: &str) -> String {
    format!("\n[[route]]\npath = \"/{name}/*\"\nhandler = \"{name}.wat\"\n{keys}\n")
}
