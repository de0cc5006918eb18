//! What cannot be done: status 1, one line that says what, where and why.

use super::harness::{guest, mount, scratch, write};

/// The file that `hello.wat` stands for, as bytes.
fn hello() -> Vec<u8> {
    wat::parse_file(guest("hello.wat")).unwrap()
}

#[test]
fn no_program() {
    let folder = scratch();
    kitbag!["run", "missing.wasm"].folder(folder.path()).fails(1, &["missing.wasm", "no such file"]);
    kitbag!["missing"].folder(folder.path()).fails(1, &["missing", "no such file", "kitbag help"]);
    kitbag!["run", folder.path()].fails(1, &["folder", "kitbag.toml", "--dir"]);
    for (name, contents) in [("empty", &b""[..]), ("text", b"hello"), ("binary", b"\x7fELF\x02\x01\x01\0")] {
        kitbag!["run", write(folder.path(), name, contents)]
            .fails(1, &["cannot load", name, "not a WebAssembly module"]);
    }
    kitbag!["run", write(folder.path(), "a\nb", "x")].fails(1, &["cannot load: ", "a b: not"]);
    kitbag!["run", "/dev/null"].fails(1, &["/dev/null", "not a WebAssembly module"]);
}

#[test]
fn modules_that_are_damaged() {
    let folder = scratch();
    let whole = hello();
    for cut in [4, 7, 8 + 1, whole.len() / 2, whole.len() - 1] {
        let path = write(folder.path(), "cut.wasm", &whole[..cut]);
        kitbag!["run", path].fails(1, &["cut.wasm"]);
    }
    kitbag!["run", write(folder.path(), "bad.wat", "(module (func (result i32)))")].fails(1, &["bad.wat"]);
    kitbag!["run", write(folder.path(), "open.wat", "(module\n  (func\n")].fails(1, &["open.wat"]);
    kitbag!["run", write(folder.path(), "component.wasm", b"\0asm\x0d\0\x01\0")].fails(1, &["component"]);
}

#[test]
fn nothing_to_start() {
    kitbag!["run", guest("add.wat")].fails(1, &["add.wat", "_start", "--invoke"]);
}

#[test]
fn imports() {
    kitbag!["run", guest("import_unknown.wat")].fails(1, &["import_unknown.wat", "nobody", "has_this"]);
    kitbag!["run", guest("import_mistyped.wat")].fails(1, &["fd_write", "i64", "i32"]);
    let folder = scratch();
    let text = "(module (import \"a\" \"one\" (func)) (import \"b\" \"two\" (func)) (func (export \"_start\")))";
    kitbag!["run", write(folder.path(), "two.wat", text)].fails(1, &["one", "two"]);
}

#[test]
fn mounts_that_cannot_be_opened() {
    let folder = scratch();
    let file = write(folder.path(), "file", "x");
    kitbag!["--dir", "missing", guest("hello.wat")].folder(folder.path()).fails(1, &["--dir missing", "no such file"]);
    kitbag!["--dir", mount(&file, "::/d"), guest("hello.wat")].fails(1, &["--dir", "--file"]);
    kitbag!["--file", mount(folder.path(), "::/f"), guest("hello.wat")].fails(1, &["--file", "--dir"]);
    kitbag!["--file", "missing::/f", guest("hello.wat")]
        .folder(folder.path())
        .fails(1, &["--file missing", "no such file"]);
    kitbag!["--file", mount(&file, "::/f"), "--tmp", "/f/x", guest("hello.wat")].fails(1, &["/f/x", "not a directory"]);
    kitbag!["--zip", "missing.zip", guest("hello.wat")]
        .folder(folder.path())
        .fails(1, &["--zip missing.zip", "no such file"]);
    kitbag!["--zip", file, guest("hello.wat")].fails(1, &["--zip", "file"]);
    kitbag!["--tmp", "/", "--overlay", "/::missing", guest("hello.wat")]
        .folder(folder.path())
        .fails(1, &["--overlay", "missing"]);
}

#[test]
fn archives_that_are_damaged() {
    let folder = scratch();
    let cut = write(folder.path(), "cut.zip", b"PK\x03\x04\x14\0\0\0");
    kitbag!["run", cut.clone()].fails(1, &["cut.zip"]);
    kitbag!["--zip", cut, guest("hello.wat")].fails(1, &["--zip", "cut.zip"]);
    let lying = write(
        folder.path(),
        "lying.zip",
        [&b"PK\x05\x06"[..], &[0, 0, 0, 0, 9, 0, 9, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
    );
    kitbag!["run", lying].fails(1, &["lying.zip"]);
    let empty = write(folder.path(), "empty.zip", [&b"PK\x05\x06"[..], &[0; 18]].concat());
    kitbag!["run", empty].fails(1, &["empty.zip", "kitbag.toml"]);
}
