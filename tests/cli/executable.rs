//! Self-contained executables: they run wherever they are put and however they are called, and whatever is done to them, they work or
//! say what is wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use super::harness::{Kitbag, guest, scratch, write};

/// A user without privileges.
const NOBODY: u32 = 65_534;

/// The runtime without what a debugger wants, where `strip` is at hand: a tenth of its size.
fn runtime() -> &'static Path {
    static RUNTIME: OnceLock<PathBuf> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runtime-{}", std::process::id()));
        // Its own variable has a name that not every shell hands on to a compiler that it wraps.
        let tool = Path::new(env!("CARGO_BIN_EXE_kitbag")).with_file_name("kitbag-tool");
        let done = Command::new("strip").arg("-o").arg(&stripped).arg(&tool).status();
        if done.is_ok_and(|status| status.success()) { stripped } else { tool }
    })
}

fn pack(file: &Path, to: &Path, options: &[&str]) -> String {
    let mut words: Vec<std::ffi::OsString> = vec!["pack".into(), file.into(), "-o".into(), to.into(), "--exe".into()];
    words.extend(["--runtime".into(), runtime().into()]);
    words.extend(options.iter().map(Into::into));
    Kitbag::new(words).prints()
}

/// An executable that prints its arguments.
fn args(folder: &Path) -> PathBuf {
    let out = folder.join("args");
    pack(&guest("args.wat"), &out, &[]);
    out
}

fn run(program: &Path, words: &[&str]) -> Output {
    output(Command::new(program).args(words).env("KITBAG_VERBOSE", "1").env("KITBAG_NO_CACHE", "1")).unwrap()
}

/// Runs a program that was just written. Another test's child may have inherited the descriptor that it was written through, until
/// that child has become its own program; the system runs nothing that somebody can write to.
fn output(command: &mut Command) -> std::io::Result<Output> {
    loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            done => return done,
        }
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It runs, and says this of its native code.
#[track_caller]
fn runs(program: &Path, says: &str) {
    let output = run(program, &["--dir", "x"]);
    assert!(output.status.success() && stdout(&output).starts_with("args\n--dir\nx\n"), "{output:?}");
    assert!(stderr(&output).contains(says), "{}", stderr(&output));
}

#[track_caller]
fn refuses(program: &Path, says: &str) {
    let output = run(program, &[]);
    assert!(output.status.code() == Some(1) && stdout(&output).is_empty(), "{output:?}");
    assert!(stderr(&output).contains(says), "{}", stderr(&output));
}

const NATIVE: &str = "native code comes out of the executable";

/// Writes a changed copy that can be run.
fn changed(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = write(folder, "changed", bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Where its native code begins.
fn native(bytes: &[u8]) -> usize {
    bytes.windows(8).rposition(|bytes| bytes == b"kitbagNC").unwrap()
}

#[test]
fn all_arguments_belong_to_the_program() {
    let folder = scratch();
    let program = args(folder.path());
    runs(&program, NATIVE);
    let output = output(Command::new(&program).args(["--help", "-V", "--", "pack"])).unwrap();
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("args\n--help\n-V\n--\npack\n\n", ""));
}

/// The promise of the README, by a user without privileges where the tests run as root.
#[test]
fn it_runs_for_anybody_from_anywhere_under_any_name() {
    let folder = scratch();
    let program = args(folder.path());
    let place = folder.path().join("a place with spaces");
    fs::create_dir(&place).unwrap();
    let moved = place.join("args");
    fs::rename(&program, &moved).unwrap();
    symlink(&moved, folder.path().join("link")).unwrap();
    for path in [folder.path(), &place] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    for name in [&moved, &folder.path().join("link")] {
        let mut command = Command::new(name);
        command.args(["a", "b c"]).current_dir(&place).env_clear().env("KITBAG_VERBOSE", "1");
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        match output(&mut command) {
            Err(error) => eprintln!("SKIPPED: the folder cannot be reached by others: {error}"),
            Ok(output) => {
                assert_eq!(stdout(&output), "args\na\nb c\n\n");
                assert!(stderr(&output).contains(NATIVE), "{}", stderr(&output));
            }
        }
    }
    for path in [folder.path(), &place] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let renamed = place.join("another");
    fs::rename(&moved, &renamed).unwrap();
    runs(&renamed, NATIVE);
}

#[test]
fn the_archive_in_it_is_one_to_other_programs() {
    let folder = scratch();
    let program = args(folder.path());
    let bytes = fs::read(&program).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let names: Vec<_> =
        (0..zip.len()).map(|number| zip.by_index(number).unwrap().name().unwrap().into_owned()).collect();
    let path = format!(".kitbag/native/{}/args.wasm", std::env::consts::ARCH);
    assert_eq!(names, ["args.wasm", "kitbag.toml", &path]);
    assert_eq!(zip.by_name(&path).unwrap().data_start().unwrap() % 65_536, 0);
    for (name, options) in [("unzip", "-tq"), ("bsdtar", "-tf")] {
        match Command::new(name).arg(options).arg(&program).output() {
            Err(_) => eprintln!("SKIPPED: {name} is not installed"),
            Ok(done) => assert!(done.status.success(), "{name}: {done:?}"),
        }
    }
    let report: Value = serde_json::from_str(&kitbag!["inspect", "--json", program.clone()].prints()).unwrap();
    let native = &report["native"][0];
    assert!(native["problem"].is_null() && native["functions"].as_u64() > Some(0), "{native}");
    // The full command runs it, too.
    assert_eq!(kitbag!["run", program, "x"].prints(), "args\nx\n\n");
}

#[test]
fn native_code_that_was_altered_or_does_not_fit_is_not_used() {
    let folder = scratch();
    let whole = fs::read(args(folder.path())).unwrap();
    let native = native(&whole);
    let text = native + u64::from_le_bytes(whole[native + 112..native + 120].try_into().unwrap()) as usize;
    for (place, says) in [
        (text, "not used: native code: it is damaged"),
        (native + 300, "not used: native code: it is damaged"),
        (native + 16, "another build"),
        (native + 32, "another kind of machine"),
        // The highest feature of a processor, which none has.
        (native + 47, "it is for a processor with"),
        (native + 48, "other settings"),
        (native + 104, "it is damaged"),
        (native, "it is no native code"),
    ] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x80;
        runs(&changed(folder.path(), &bytes), says);
    }
}

/// Native code of another archive is never run, not even if it would fit: here it would do harm.
#[test]
fn native_code_of_other_archives_is_not_looked_at() {
    let folder = scratch();
    let mut bytes = fs::read(args(folder.path())).unwrap();
    let native = native(&bytes);
    let text = native + u64::from_le_bytes(bytes[native + 112..native + 120].try_into().unwrap()) as usize;
    let end = bytes.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    bytes[text..end.min(text + 64)].fill(0xcc);
    let program = changed(folder.path(), &bytes);
    let outcome = kitbag!["run", "--verbose", program, "x"].outcome();
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "args\nx\n\n"), "{outcome:?}");
    assert!(!outcome.stderr.contains("native"), "{outcome:?}");
}

#[test]
fn what_is_not_whole_says_so() {
    let folder = scratch();
    let whole = fs::read(args(folder.path())).unwrap();
    let gone = "there is no archive at the end of its file";
    for cut in [1, 30, 200, 4000] {
        refuses(&changed(folder.path(), &whole[..whole.len() - cut]), gone);
    }
    refuses(runtime(), gone);
    let stripped = folder.path().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(folder.path().join("args")).status();
    match done.is_ok_and(|status| status.success()) {
        true => refuses(&stripped, gone),
        false => eprintln!("SKIPPED: strip is not installed"),
    }
}

#[test]
fn what_is_appended() {
    let folder = scratch();
    let whole = fs::read(args(folder.path())).unwrap();
    let archive = folder.path().join("archive.zip");
    kitbag!["pack", guest("args.wat"), "-o", archive.clone()].prints();
    let once = fs::read(&archive).unwrap();
    let twice = [&whole[..], &once, &once].concat();
    let output = run(&changed(folder.path(), &twice), &["x"]);
    assert!(output.status.success() && stdout(&output) == "args\nx\n\n", "{output:?}");
    // As a signature is.
    let program = changed(folder.path(), &[&whole[..], &[0x5a; 1000]].concat());
    let output = run(&program, &["x"]);
    assert!(output.status.success() && stdout(&output) == "args\nx\n\n", "{output:?}");
}

/// The last one counts, as in every archive.
#[test]
fn two_manifests() {
    let folder = scratch();
    let source = scratch();
    write(source.path(), "kitbag.toml", "[bundle]\nname = \"first\"\nentry = \"args.wat\"\n");
    write(source.path(), "kitbag.tomm", "[bundle]\nname = \"other\"\nentry = \"args.wat\"\n");
    write(source.path(), "args.wat", fs::read(guest("args.wat")).unwrap());
    let archive = folder.path().join("two.zip");
    kitbag!["pack", source.path(), "-o", archive.clone()].prints();
    let mut bytes = fs::read(&archive).unwrap();
    let places: Vec<_> = (0..bytes.len() - 11).filter(|&at| bytes[at..].starts_with(b"kitbag.tomm")).collect();
    assert_eq!(places.len(), 2);
    places.iter().for_each(|&at| bytes[at + 10] = b'l');
    fs::write(&archive, bytes).unwrap();
    assert_eq!(kitbag!["run", archive].prints(), "other\n\n");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: it takes another user");
        return;
    }
    let folder = scratch();
    let program = args(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).unwrap();
    match output(Command::new(&program).uid(NOBODY).gid(NOBODY)) {
        Err(error) => eprintln!("SKIPPED: the folder cannot be reached by others: {error}"),
        Ok(output) => assert!(stderr(&output).contains("cannot read its own file"), "{output:?}"),
    }
}

/// Several tools over the same files, as a compiler's driver has them.
fn tools() -> tempfile::TempDir {
    let folder = scratch();
    let manifest = "[bundle]\nname = \"kit\"\n[[tool]]\nname = \"show\"\nentry = \"args.wat\"\nargs = [\"-s\"]\n\
        [[tool]]\nname = \"list\"\nentry = \"treehash.wasm\"\nargs = [\"/d\"]\n\
        [[mount]]\nguest = \"/d\"\npath = \"data\"\n[[mount]]\nguest = \".\"\nhost = \"cwd\"\n";
    write(folder.path(), "kitbag.toml", manifest);
    write(folder.path(), "args.wat", fs::read(guest("args.wat")).unwrap());
    write(folder.path(), "treehash.wasm", fs::read(guest("treehash.wasm")).unwrap());
    write(folder.path(), "data/file", "12345");
    folder
}

#[test]
fn several_tools_are_chosen_by_name_or_argument() {
    let (source, folder) = (tools(), scratch());
    let program = folder.path().join("kit");
    let printed = pack(source.path(), &program, &[]);
    assert!(printed.contains("an executable for "), "{printed}");
    for name in ["show", "list"] {
        symlink("kit", folder.path().join(name)).unwrap();
    }
    let printed = |name: &str, words: &[&str]| stdout(&run(&folder.path().join(name), words));
    assert_eq!(printed("kit", &["show", "x"]), "show\n-s\nx\n\n");
    assert_eq!(printed("show", &["list"]), "show\n-s\nlist\n\n");
    assert!(printed("list", &[]).contains("1 files, 0 links, 0 folders, 5 bytes"));
    let none = output(Command::new(&program).arg("other")).unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert_eq!(stderr(&none), "kit: say which of its tools is to run, as the first argument: show, list\n");
}

/// The same without a manifest.
#[test]
fn the_working_directory_by_an_option() {
    let (folder, cwd) = (scratch(), scratch());
    write(cwd.path(), "here", "123");
    let program = folder.path().join("list");
    pack(&guest("treehash.wasm"), &program, &["--cwd", "/job", "--tmp", "/tmp"]);
    let listed = |place: &str| output(Command::new(&program).arg(place).current_dir(cwd.path())).unwrap();
    assert!(stdout(&listed("/job")).contains(" 3 here\n") && stdout(&listed("/tmp")).contains("0 files"));
}

/// An executable opens what its manifest asks for; the command asks back.
#[test]
fn the_working_directory_is_for_executables_and_for_who_grants_it() {
    let (source, folder, cwd) = (tools(), scratch(), scratch());
    let text = fs::read_to_string(source.path().join("kitbag.toml")).unwrap();
    write(source.path(), "kitbag.toml", text.replace("\"/d\"]", "\".\"]"));
    write(cwd.path(), "here", "123");
    let program = folder.path().join("kit");
    pack(source.path(), &program, &[]);
    let output = output(Command::new(&program).arg("list").current_dir(cwd.path())).unwrap();
    assert!(stdout(&output).contains(" 3 here\n"), "{output:?}");
    let refused = kitbag!["run", source.path(), "list"].folder(cwd.path());
    refused.fails(1, &["not granted", "the working directory", "--grant"]);
    let granted = kitbag!["run", "--grant", source.path(), "list"].folder(cwd.path());
    assert!(granted.prints().contains(" 3 here\n"));
    let replaced = kitbag!["run", "--tmp", ".", source.path(), "list"].folder(cwd.path());
    assert!(replaced.prints().contains("0 files"));
}

#[test]
fn limits_and_streams_of_the_manifest() {
    let (source, folder) = (scratch(), scratch());
    let program = folder.path().join("p");
    let build = |module: &str, more: &str| {
        write(source.path(), "kitbag.toml", format!("[bundle]\nname = \"p\"\nentry = \"{module}\"\n{more}"));
        write(source.path(), module, fs::read(guest(module)).unwrap());
        pack(source.path(), &program, &[]);
        output(&mut Command::new(&program)).unwrap()
    };
    let output = build("loop.wat", "[limits]\ntime = \"50ms\"\n");
    assert!(output.status.code() == Some(124) && stderr(&output).starts_with("p: timeout: "), "{output:?}");
    assert_eq!(stdout(&build("hello.wat", "[streams]\nstdout = \"null\"\n")), "");
    let output = build("trap_divide.wat", "");
    assert_eq!(output.status.code(), Some(134));
    assert_eq!(stderr(&output), "p: trap: integer divide by zero\n   0: divide\n   1: _start\n");
}

/// What comes with another machine's runtime is for that machine.
#[test]
fn a_runtime_of_another_machine() {
    let folder = scratch();
    // The machine is at 18 in an ELF file.
    let (number, name) = if cfg!(target_arch = "aarch64") { (62, "x86_64") } else { (183, "aarch64") };
    let mut bytes = fs::read(runtime()).unwrap();
    bytes[18] = number;
    let other = write(folder.path(), "other", bytes);
    let out = folder.path().join("out");
    let printed = kitbag!["pack", guest("hello.wat"), "-o", out.clone(), "--exe", "--runtime", other].prints();
    assert!(printed.contains(&format!("an executable for {name} of ")), "{printed}");
    let report: Value = serde_json::from_str(&kitbag!["inspect", "--json", out].prints()).unwrap();
    for native in report["native"].as_array().unwrap() {
        assert_eq!(
            (&native["machine"], &native["problem"]),
            (&name.into(), &"it is for another kind of machine".into())
        );
    }
}
