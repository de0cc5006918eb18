//! Running the built command and looking at what it did.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One run of the command.
pub(crate) struct Kitbag {
    command: Command,
    stdin: Vec<u8>,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit status, or `None` for a signal.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `kitbag!["run", path, …]`: a run with these words, of any type that an `OsString` can be made from.
macro_rules! kitbag {
    ($($word:expr),* $(,)?) => {
        $crate::harness::Kitbag::new(vec![$(std::ffi::OsString::from($word)),*])
    };
}

impl Kitbag {
    pub(crate) fn new(words: Vec<OsString>) -> Kitbag {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kitbag"));
        command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/caches"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Kitbag { command, stdin: Vec::new() }
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Kitbag {
        self.stdin = bytes.to_vec();
        self
    }

    pub(crate) fn folder(mut self, path: &Path) -> Kitbag {
        self.command.current_dir(path);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Kitbag {
        self.command.env(key, value);
        self
    }

    /// Runs it to its end.
    pub(crate) fn outcome(mut self) -> Outcome {
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Beside reading, since both pipes are finite. A command that reads nothing closes its end.
        let writer = std::thread::spawn(move || _ = stdin.write_all(&self.stdin));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it and gives its output; everything has to go well.
    #[track_caller]
    pub(crate) fn prints(self) -> String {
        let outcome = self.outcome();
        assert!(outcome.status == Some(0) && outcome.stderr.is_empty(), "{outcome:?}");
        outcome.stdout
    }

    /// Runs it and expects one line of error with all of `words` in it, this status, and no output.
    #[track_caller]
    pub(crate) fn fails(self, status: i32, words: &[&str]) {
        let outcome = self.outcome();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(status), ""), "{outcome:?}");
        assert!(outcome.stderr.starts_with("kitbag: ") && outcome.stderr.ends_with('\n'), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        let missing = words.iter().find(|word| !outcome.stderr.contains(**word));
        assert_eq!(missing, None, "{outcome:?}");
    }
}

/// A program of `tests/guests`.
pub(crate) fn guest(name: &str) -> PathBuf {
    repository("tests/guests").join(name)
}

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder of its own for one test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Makes a file and the folders above it.
pub(crate) fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, contents).unwrap();
    path
}

/// `HOST::GUEST…` as one word.
pub(crate) fn mount(host: &Path, rest: &str) -> OsString {
    let mut word = host.as_os_str().to_owned();
    word.push(rest);
    word
}

/// Packs what is in `folder` with the `zip` of the system; `None`, with a word about it, where there is none.
pub(crate) fn zip(folder: &Path, archive: &Path, options: &[&str]) -> Option<()> {
    let mut command = Command::new("zip");
    let done = command.args(["-q", "-r"]).args(options).arg(archive).arg(".").current_dir(folder).status();
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: the command `zip` is not installed");
            None
        }
        done => done.unwrap().success().then_some(()).or_else(|| panic!("zip failed")),
    }
}
