//! The grammar of the command line.
//!
//! `kitbag run [OPTIONS] FILE [ARGS]`, or without `run`: a first word that is no subcommand begins
//! the words of `run`. That is decided here, before clap sees anything, since to clap an option and a
//! guest's argument look the same. FILE and ARGS are one positional list whose first word
//! ends the options, so that `--dir` after FILE is the guest's.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use kitbag::bundle::{Place, quantity};

use super::pack::rules::{Glob, Rule};

/// Runs WebAssembly programs on a file system that you pack yourself.
#[derive(Debug, Parser)]
#[command(
    name = "kitbag",
    version,
    override_usage = "kitbag [run] [OPTIONS] FILE [ARGS]...\n       kitbag COMMAND",
    after_help = AFTER,
    subcommand_required = true,
    arg_required_else_help = false
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a WebAssembly program: .wasm, .wat, or a bundle.
    Run(Box<Run>),
    /// Serve a bundle over HTTP: its files, and its modules as handlers.
    Serve(Serve),
    /// Run the program that this command carries inside itself, and show what happens.
    Demo,
    /// Compile a module without running it, to look at its code.
    Compile(Compile),
    /// Run scripts of WebAssembly's test suite, and count the directives that passed and failed.
    Wast {
        /// The scripts.
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Show or clear the cache of native code.
    Cache {
        /// What to do (show if left out).
        #[arg(value_enum, value_name = "WHAT", default_value_t, hide_default_value = true)]
        what: CacheCommand,
    },
    /// Pack a program and its files as a bundle, or as an executable that needs nothing else.
    Pack(Box<Pack>),
    /// Show what a module or a bundle is: imports, exports, features; manifest, files, native code.
    Inspect {
        /// A module or a bundle.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Unpack a bundle into a folder.
    Unpack {
        /// The bundle.
        #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
        bundle: PathBuf,
        /// The folder, which is made.
        #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        output: PathBuf,
    },
    /// List a folder of a bundle.
    Ls {
        /// The bundle.
        #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
        bundle: PathBuf,
        /// The folder, or a file (all if left out).
        #[arg(value_name = "PATH", default_value = "/")]
        path: PathBuf,
    },
    /// Write a file of a bundle to standard output.
    Cat {
        /// The bundle.
        #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
        bundle: PathBuf,
        /// The file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Print the manifest of a bundle, or with `--schema` the grammar of manifests.
    Manifest {
        /// The bundle.
        #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath, required_unless_present = "schema")]
        bundle: Option<PathBuf>,
        /// The grammar, as a JSON schema.
        #[arg(long, conflicts_with = "bundle")]
        schema: bool,
    },
    /// Print the completions of a shell, as in `kitbag completions bash > ~/.local/share/bash-completion/completions/kitbag`.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a manual page, as in `kitbag man run | man -l -`.
    Man {
        /// The command that it is about (kitbag itself if left out).
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// Pack a program and its files as a bundle, or as an executable that needs nothing else.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_PACK)]
pub(crate) struct Pack {
    /// A module (.wasm, .wat), a manifest (kitbag.toml), its folder, or a bundle.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// What to write.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Put a folder or a file of the host into the bundle, and mount it at GUEST; what the program writes there goes to memory, with
    /// `ro` it writes nothing.
    #[arg(long, value_name = "HOST[::GUEST[::ro]]", value_parser = words(DirMount::parse), value_hint = ValueHint::AnyPath)]
    pub(crate) add: Vec<DirMount>,

    /// Let the program use the folder that it is started in, at GUEST: an executable opens it, `kitbag run` does so with `--grant`.
    #[arg(long, value_name = "GUEST", value_parser = words(place))]
    pub(crate) cwd: Vec<Place>,

    /// Mount an empty writable file system in memory at GUEST.
    #[arg(long, value_name = "GUEST", value_parser = words(place))]
    pub(crate) tmp: Vec<Place>,

    /// Leave out what matches GLOB, of paths from the folder that is packed or added, or without a slash of names anywhere.
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub(crate) exclude: Vec<Glob>,

    /// How to pack: stored, deflate, zstd, or auto (small files, and those that are compressed already, are stored, others are
    /// deflated); for all files, or for those that GLOB matches. The last one that matches counts.
    #[arg(long, value_name = "[GLOB=]METHOD", value_parser = Rule::parse)]
    pub(crate) compress: Vec<Rule>,

    /// Write a self-contained executable, with native code.
    #[arg(long)]
    pub(crate) exe: bool,

    /// The kitbag-tool that the executable begins with, whose file says for which machine it is (the one beside this command if
    /// left out, `kitbag-tool-static` before `kitbag-tool`).
    #[arg(long, value_name = "PATH", requires = "exe", value_hint = ValueHint::FilePath)]
    pub(crate) runtime: Option<PathBuf>,

    /// Make native code that runs on each processor of its kind, and not only on those that can do what this one can.
    #[arg(long, requires = "exe")]
    pub(crate) portable: bool,
}

const AFTER_PACK: &str = "\
Examples:
  kitbag pack tool.wasm -o tool.zip                         a bundle of one module
  kitbag pack tool.wasm --add share::/share::ro --cwd . --exe -o tool
                                                            an executable with a folder in it, for files where it is started
  kitbag pack kitbag.toml --exe -o tool                     what a manifest and its folder say

`kitbag help run` says what a bundle is. An executable's arguments all belong to the program; it looks at KITBAG_VERBOSE=1 (says
where native code comes from) and KITBAG_NO_CACHE=1. Its archive is a zip for other tools, too. `strip` cuts the archive off, and the
executable then says so: strip the runtime before. A signature that is put behind the archive may be 65,535 bytes long at most.";

/// `kitbag cache`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheCommand {
    /// Say where it is and what is in it.
    #[default]
    Show,
    /// Remove everything from it.
    Clear,
}

/// First words that do not begin `run`'s: the names of [`Command`]'s variants and what clap adds to them.
const FIRST_WORDS: &[&str] = &[
    "run",
    "serve",
    "demo",
    "compile",
    "cache",
    "pack",
    "inspect",
    "unpack",
    "ls",
    "cat",
    "manifest",
    "wast",
    "completions",
    "man",
    "help",
    "-h",
    "--help",
    "-V",
    "--version",
];

const AFTER: &str = "\
Examples:
  kitbag demo                                  see it work
  kitbag tool.wasm --flag                      run a program, with an argument of its own
  kitbag --dir . tool.wasm in.txt              let it use this folder
  kitbag --dir src::/src::ro tool.wasm /src    let it read a folder, under another name
  kitbag --zip data.zip::/data tool.wasm       let it read an archive, without unpacking

A first word that is no command is FILE: `kitbag tool.wasm` runs it. Options come before FILE; what follows FILE belongs
to the program. `kitbag help run` lists the options.";

/// Run a WebAssembly program. It sees nothing of the host but what the options give it.
#[derive(Debug, Args)]
#[command(override_usage = "kitbag [run] [OPTIONS] FILE [ARGS]...", after_long_help = AFTER_RUN)]
pub(crate) struct Run {
    /// Let the guest use a folder of the host, at GUEST (at HOST if left out), read-only with `ro`.
    #[arg(long, value_name = "HOST[::GUEST[::ro]]", value_parser = words(DirMount::parse), value_hint = ValueHint::DirPath, help_heading = FILES)]
    pub(crate) dir: Vec<DirMount>,

    /// Mount a zip archive, read-only, at GUEST (at / if left out).
    #[arg(long, value_name = "ARCHIVE[::GUEST]", value_parser = words(ZipMount::parse), value_hint = ValueHint::FilePath, help_heading = FILES)]
    pub(crate) zip: Vec<ZipMount>,

    /// Let the guest use one file of the host, at GUEST, read-only with `ro`.
    #[arg(long, value_name = "HOST::GUEST[::ro]", value_parser = words(FileMount::parse), value_hint = ValueHint::FilePath, help_heading = FILES)]
    pub(crate) file: Vec<FileMount>,

    /// Mount an empty writable file system in memory at GUEST.
    #[arg(long, value_name = "GUEST", value_parser = words(place), help_heading = FILES)]
    pub(crate) tmp: Vec<Place>,

    /// Make what is at GUEST writable without changing it: what the guest writes goes to memory, or to
    /// the folder HOST.
    #[arg(long, value_name = "GUEST[::HOST]", value_parser = words(OverlayMount::parse), help_heading = FILES)]
    pub(crate) overlay: Vec<OverlayMount>,

    /// Give a bundle the folders of the host that its manifest asks for, such as the working directory.
    #[arg(long, help_heading = FILES)]
    pub(crate) grant: bool,

    /// Set a variable of the guest's environment, or with K alone take it from this one (if it is set here).
    #[arg(long, value_name = "K=V|K", value_parser = words(Variable::parse), help_heading = WORDS)]
    pub(crate) env: Vec<Variable>,

    /// Give the guest this command's whole environment.
    #[arg(long, help_heading = WORDS)]
    pub(crate) env_inherit: bool,

    /// The name that the guest finds as its own (FILE's name if left out).
    #[arg(long, value_name = "NAME", help_heading = WORDS)]
    pub(crate) argv0: Option<OsString>,

    /// Call this exported function with ARGS, read by its types, and print what it returns, a line each. A reactor's
    /// `_initialize` is called before.
    #[arg(long, value_name = "NAME", help_heading = WORDS)]
    pub(crate) invoke: Option<String>,

    /// Give the guest a socket that listens on ADDR, HOST:PORT: descriptors after those of its folders, in the order
    /// given.
    #[arg(long, value_name = "ADDR", value_parser = address, help_heading = STREAMS)]
    pub(crate) listen: Vec<String>,

    /// Read the guest's standard input from FILE.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = STREAMS)]
    pub(crate) stdin: Option<PathBuf>,

    /// Write the guest's standard output to FILE, which is emptied first.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = STREAMS)]
    pub(crate) stdout: Option<PathBuf>,

    /// Write the guest's standard error to FILE, which is emptied first; it may be that of --stdout.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = STREAMS)]
    pub(crate) stderr: Option<PathBuf>,

    /// How long the guest may run, as in 5s, 250ms or 2m, and how long compiling it may take before. Then it is stopped, and
    /// the status is 124.
    #[arg(long, value_name = "TIME", value_parser = quantity::time, help_heading = LIMITS)]
    pub(crate) timeout: Option<Duration>,

    /// Bytes that each of the guest's memories may grow to. Growing beyond fails in the guest; one that begins larger
    /// is a limit reached.
    #[arg(long, value_name = "SIZE", value_parser = quantity::size, help_heading = LIMITS)]
    pub(crate) max_memory: Option<u64>,

    /// Fuel that the guest may use: about a unit for each operator, the same in each run. When it is used up the guest is
    /// stopped, and the status is 137.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) fuel: Option<u64>,

    /// Descriptors that the guest may have open at once. Opening more fails in the guest.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) max_fds: Option<u32>,

    /// Bytes that the guest may write in all, to files and streams. Writing more fails in the guest.
    #[arg(long, value_name = "SIZE", value_parser = quantity::size, help_heading = LIMITS)]
    pub(crate) max_write: Option<u64>,

    /// Print each call of the system interface on standard error: its arguments, what came of it, the seconds it took.
    #[arg(long, help_heading = INSIGHT)]
    pub(crate) trace: bool,

    /// Tell a profiler of the program's functions, as in `perf record -k mono kitbag --profile=perf FILE`: writes /tmp/perf-PID.map
    /// and jit-PID.dump (in the folder that JITDUMPDIR names, or in this one).
    #[arg(long, value_enum, value_name = "WHOM", help_heading = INSIGHT)]
    pub(crate) profile: Option<Profiler>,

    /// Say on standard error what is loaded, what the guest is given, how long things take and how it ends.
    #[arg(long, help_heading = INSIGHT)]
    pub(crate) verbose: bool,

    /// What becomes of a program that imports what nobody has: it is refused, or runs until it calls one, or gets
    /// zeros from them.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, hide_default_value = true, help_heading = INSIGHT)]
    pub(crate) unknown_imports: UnknownImports,

    /// Compile anew, and neither look into the cache of native code nor write to it.
    #[arg(long, help_heading = INSIGHT)]
    pub(crate) no_cache: bool,

    /// The program, then its arguments.
    #[arg(value_name = "FILE", required = true, trailing_var_arg = true, value_hint = ValueHint::FilePath)]
    words: Vec<OsString>,
}

/// `kitbag compile`.
#[derive(Debug, Args)]
pub(crate) struct Compile {
    /// Show the code: each operator with its offset in the module, and the instructions that it became.
    #[arg(long, required = true)]
    pub(crate) disassemble: bool,

    /// Only this function, by its index, its name or one that it is exported by.
    #[arg(long, value_name = "N")]
    pub(crate) func: Option<String>,

    /// The machine, with all that the compiler knows of its newest processors [default: this one]
    #[arg(long, value_name = "MACHINE", value_parser = kitbag::jit::Target::NAMES)]
    pub(crate) target: Option<String>,

    /// The module (.wasm or .wat), or the bundle whose program it is.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

/// Serve a bundle over HTTP until SIGTERM or SIGINT. SIGHUP has it opened anew.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_SERVE)]
pub(crate) struct Serve {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) addr: SocketAddr,

    /// Show at /metrics of another address what is counted, in the format of Prometheus.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Write a line for each request to standard output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log: Option<LogFormat>,

    /// Look each second whether the bundle has changed, and swap it in.
    #[arg(long)]
    pub(crate) watch: bool,

    /// Threads that answer, beside those that handlers run on (one for each core if left out).
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// How long requests in flight may take when the server ends.
    #[arg(long, value_name = "TIME", value_parser = quantity::time, default_value = "10s")]
    pub(crate) grace: Duration,

    /// The bundle: a zip archive or a folder, with or without a kitbag.toml.
    #[arg(value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    pub(crate) bundle: PathBuf,
}

/// `--log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// The Common Log Format.
    Common,
    /// A JSON object in each line.
    Json,
}

const AFTER_SERVE: &str = "\
What is served, and how, is in [serve] and [[route]] of the bundle's kitbag.toml. Without that every file is, and a folder shows
its index.html or a list of what it holds.

Exit status: 0 after SIGTERM or SIGINT; 1 if the bundle cannot be served or the address not be listened on; 2 for wrong usage.";

const FILES: &str = "Files";
const WORDS: &str = "Arguments and environment";
const STREAMS: &str = "Streams and sockets";
const LIMITS: &str = "Limits (SIZE: bytes, or a number with K, M or G)";
const INSIGHT: &str = "Insight and compilation";

/// `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profiler {
    /// Linux' perf.
    Perf,
}

/// `--unknown-imports`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownImports {
    /// Refuse the program, with a list of them.
    #[default]
    Deny,
    /// Run until one is called, which is a trap that names it.
    Trap,
    /// Have them return zeros.
    Zero,
}

const AFTER_RUN: &str = "\
FILE is a WebAssembly module (.wasm), its text (.wat), or a bundle: a zip archive or a folder with a kitbag.toml.
What it is shows in its contents, not in its name.

Mounts nest, in any order: with --dir src::/ --tmp /tmp, /tmp of the guest is in memory. GUEST may be relative (`.`).

Exit status: the guest's own; 1 if kitbag could not do what was asked; 2 for wrong usage; 134 for a trap; 137 for a
limit that was reached.";

impl Run {
    /// The path of the program.
    pub(crate) fn file(&self) -> PathBuf {
        PathBuf::from(&self.words[0])
    }

    /// The guest's arguments.
    pub(crate) fn guest_args(&self) -> &[OsString] {
        &self.words[1..]
    }
}

/// Reads the command line, `kitbag` first.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(with_command(words.into_iter().collect()))
}

/// Puts `run` in front of what does not begin with a command or ask for help or the version.
fn with_command(mut words: Vec<OsString>) -> Vec<OsString> {
    let named = words.get(1).is_some_and(|first| FIRST_WORDS.iter().any(|name| first == *name));
    if !named {
        words.insert(words.len().min(1), "run".into());
    }
    words
}

/// `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirMount {
    pub(crate) host: PathBuf,
    pub(crate) guest: Place,
    pub(crate) read_only: bool,
}

/// `--zip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZipMount {
    pub(crate) archive: PathBuf,
    pub(crate) guest: Place,
}

/// `--file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMount {
    pub(crate) host: PathBuf,
    pub(crate) guest: Place,
    pub(crate) read_only: bool,
}

/// `--overlay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverlayMount {
    pub(crate) guest: Place,
    pub(crate) host: Option<PathBuf>,
}

/// `--env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Set(OsString, OsString),
    Inherit(OsString),
}

/// What is wrong with the value of an option.
type Malformed = Box<dyn std::error::Error + Send + Sync>;

/// A parser of values that need not be UTF-8.
fn words<T: Clone + Send + Sync + 'static>(
    parse: fn(&OsStr) -> Result<T, Malformed>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |word| parse(&word))
}

impl DirMount {
    fn parse(value: &OsStr) -> Result<DirMount, Malformed> {
        let (host, rest) = split(value);
        let host = host_path(host, "HOST")?;
        let (guest, read_only) = match rest {
            Some(rest) => guest_and_access(rest)?,
            None => (place(value).map_err(|error| format!("{error}; give it a name of its own, HOST::GUEST"))?, false),
        };
        Ok(DirMount { host, guest, read_only })
    }
}

impl FileMount {
    fn parse(value: &OsStr) -> Result<FileMount, Malformed> {
        let (host, rest) = split(value);
        let host = host_path(host, "HOST")?;
        let (guest, read_only) = guest_and_access(rest.ok_or("GUEST is missing; write HOST::GUEST")?)?;
        Ok(FileMount { host, guest, read_only })
    }
}

impl ZipMount {
    fn parse(value: &OsStr) -> Result<ZipMount, Malformed> {
        let (archive, guest) = split_in_two(value)?;
        Ok(ZipMount { archive: host_path(archive, "ARCHIVE")?, guest: place(guest.unwrap_or(OsStr::new("/")))? })
    }
}

impl OverlayMount {
    fn parse(value: &OsStr) -> Result<OverlayMount, Malformed> {
        let (guest, host) = split_in_two(value)?;
        Ok(OverlayMount { guest: place(guest)?, host: host.map(|host| host_path(host, "HOST")).transpose()? })
    }
}

impl Variable {
    fn parse(value: &OsStr) -> Result<Variable, Malformed> {
        let bytes = value.as_bytes();
        match bytes.iter().position(|&b| b == b'=') {
            Some(0) => Err("the name is empty".into()),
            None if bytes.is_empty() => Err("the name is empty".into()),
            None => Ok(Variable::Inherit(value.into())),
            Some(at) => Ok(Variable::Set(os(&bytes[..at]).into(), os(&bytes[at + 1..]).into())),
        }
    }
}

/// `GUEST[::ro]`.
fn guest_and_access(rest: &OsStr) -> Result<(Place, bool), Malformed> {
    match split(rest) {
        (guest, None) => Ok((place(guest)?, false)),
        (guest, Some(access)) if access == "ro" => Ok((place(guest)?, true)),
        _ => Err("the third part can only be `ro`".into()),
    }
}

/// `HOST:PORT`; whether there is such a host is found out when it is listened on.
fn address(word: &str) -> Result<String, Malformed> {
    match word.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(word.to_owned()),
        _ => Err("it is no HOST:PORT, as in 127.0.0.1:8080".into()),
    }
}

fn place(guest: &OsStr) -> Result<Place, Malformed> {
    Place::new(guest.as_bytes()).map_err(|error| error.problem.into())
}

fn host_path(path: &OsStr, what: &str) -> Result<PathBuf, Malformed> {
    match path.is_empty() {
        true => Err(format!("{what} is empty").into()),
        false => Ok(path.into()),
    }
}

/// Splits at the only `::`.
fn split_in_two(value: &OsStr) -> Result<(&OsStr, Option<&OsStr>), Malformed> {
    match split(value) {
        (_, Some(rest)) if split(rest).1.is_some() => Err("there is no third part".into()),
        parts => Ok(parts),
    }
}

/// Splits at the first `::`.
fn split(value: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let bytes = value.as_bytes();
    match bytes.windows(2).position(|pair| pair == b"::") {
        Some(at) => (os(&bytes[..at]), Some(os(&bytes[at + 2..]))),
        None => (value, None),
    }
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Run {
        match parse(["kitbag"].iter().chain(words).map(OsString::from)).unwrap().command {
            Command::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn grammar_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let names: Vec<_> =
            <Cli as clap::CommandFactory>::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert!(names.iter().all(|name| FIRST_WORDS.contains(&name.as_str())), "{names:?}");
    }

    #[test]
    fn first_word_that_is_no_command_is_the_file() {
        for words in
            [&["run", "a.wasm", "--dir", "x"][..], &["a.wasm", "--dir", "x"], &["--no-cache", "a.wasm", "--dir", "x"]]
        {
            let run = run(words);
            assert_eq!((run.file(), run.guest_args()), ("a.wasm".into(), &["--dir".into(), "x".into()][..]));
            assert!(run.dir.is_empty());
        }
        assert_eq!(run(&["run", "run"]).file(), PathBuf::from("run"));
        assert!(matches!(parse(["kitbag".into(), "demo".into()]).unwrap().command, Command::Demo));
    }

    #[test]
    fn words_after_file_are_untouched() {
        let run = run(&["a.wasm", "--", "-x", "--help", "--no-cache"]);
        assert_eq!(run.guest_args(), ["--", "-x", "--help", "--no-cache"]);
        assert!(!run.no_cache);
        assert_eq!(super::tests::run(&["run", "--", "-odd.wasm", "--"]).guest_args(), ["--"]);
    }

    #[test]
    fn unknown_options_are_refused() {
        for words in
            [&["kitbag", "--dri", "x", "a.wasm"][..], &["kitbag", "run"], &["kitbag"], &["kitbag", "run", "--dir"]]
        {
            let error = parse(words.iter().map(OsString::from)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn dir() {
        let parse = |text: &str| {
            DirMount::parse(OsStr::new(text))
                .ok()
                .map(|d| (d.host.display().to_string(), d.guest.to_string(), d.read_only))
        };
        let parts = |host: &str, guest: &str, read_only| Some((host.to_owned(), guest.to_owned(), read_only));
        assert_eq!(parse("."), parts(".", ".", false));
        assert_eq!(parse("a:b/"), parts("a:b/", "a:b", false));
        assert_eq!(parse("a::ro"), parts("a", "ro", false));
        assert_eq!(parse("a::/b::ro"), parts("a", "/b", true));
        assert_eq!(parse("../a::b"), parts("../a", "b", false));
        for bad in ["", "::/x", "a::", "a::/b::rw", "a::/b::ro::", "../a", "a::/../b", "a::\0"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn other_mounts() {
        let file = |text: &str| FileMount::parse(OsStr::new(text)).is_ok();
        assert!(file("a::b") && file("a::b::ro") && !file("a") && !file("::b") && !file("a::b::"));
        let zip = |text: &str| ZipMount::parse(OsStr::new(text)).ok().map(|z| z.guest.to_string());
        assert_eq!((zip("a.zip"), zip("a.zip::x")), (Some("/".into()), Some("x".into())));
        assert_eq!((zip("a.zip::/x::ro"), zip("::/x")), (None, None));
        let overlay = |text: &str| OverlayMount::parse(OsStr::new(text)).ok().map(|o| o.host);
        assert_eq!((overlay("/x"), overlay("/x::h")), (Some(None), Some(Some("h".into()))));
        assert_eq!((overlay("/x::"), overlay("/x::h::ro")), (None, None));
    }

    #[test]
    fn variables() {
        let parse = |text: &str| Variable::parse(OsStr::new(text)).ok();
        assert_eq!(parse("A"), Some(Variable::Inherit("A".into())));
        assert_eq!(parse("A=b=c"), Some(Variable::Set("A".into(), "b=c".into())));
        assert_eq!(parse("A="), Some(Variable::Set("A".into(), "".into())));
        assert_eq!((parse(""), parse("=b")), (None, None));
    }
}
