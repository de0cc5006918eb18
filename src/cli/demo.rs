//! `kitbag demo`: runs the bundle that this binary carries, and says around the guest's own output what happens.
//!
//! What is said begins each line with `#`, so that the guest's output can be told from it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kitbag::bundle::{Bundle, Manifest, Mount, Source};
use kitbag_fs::FileSystem;
use kitbag_fs::embedded::Embedded;

use super::execute::Ready;
use super::program::Program;
use super::report::{Failure, say};
use super::settings::Settings;

/// The bundle, without what only its making needs.
#[derive(rust_embed::Embed)]
#[folder = "assets/demo"]
#[exclude = "src/*"]
#[exclude = "build"]
#[exclude = "expected.txt"]
struct Assets;

/// Its folder, where this runs in kitbag's own repository.
const FOLDER: &str = "assets/demo";

/// Runs it and gives the guest's status.
///
/// # Errors
/// As [`Ready::start`].
pub(super) fn run() -> Result<i32, Failure> {
    let files = Embedded::new::<Assets>().map_err(|error| Failure::new("cannot open", "the demo", error))?;
    let files: Arc<dyn FileSystem> = Arc::new(files);
    let bundle = Bundle::new(files).map_err(|error| Failure::new("cannot use the bundle", "the demo", error))?;
    let program = Program::of_bundle("the demo", bundle.clone(), None, &mut Vec::new())?;
    let bytes = program.module.len();
    say(introduction(bundle.manifest()))?;
    let begun = Instant::now();
    let ready = Ready::new(program, Settings::default())?;
    say(format_args!(
        "#\n# {} KiB of WebAssembly became native code in {} ms. Its output:\n",
        bytes / 1024,
        begun.elapsed().as_millis()
    ))?;
    let begun = Instant::now();
    let status = ready.start()?;
    say(format_args!(
        "# That took {} ms. Nothing was unpacked, and nothing of it is left on your disk.\n",
        begun.elapsed().as_millis()
    ))?;
    say(next_steps())?;
    Ok(status)
}

fn introduction(manifest: &Manifest) -> String {
    let description = manifest.description.as_deref().unwrap_or(&manifest.name);
    let mounts: String =
        manifest.mounts.iter().map(|mount| format!("#   {:10} {}\n", mount.guest, source(mount))).collect();
    format!(
        "# {description}.\n\
         # The program, `{}`, and its files are a bundle inside this binary. Of everything else it sees nothing:\n{mounts}",
        manifest.entry.as_deref().unwrap_or_default()
    )
}

fn source(mount: &Mount) -> String {
    match &mount.source {
        Source::Memory => "empty, in memory".to_owned(),
        Source::Bundle { path, overlay: false } => format!("`{path}` of the bundle, read-only"),
        Source::Bundle { path, overlay: true } => format!("`{path}` of the bundle, and what is written goes to memory"),
        Source::Host { folder, .. } => format!("{folder} of the host"),
        _ => String::new(),
    }
}

/// Commands to go on with: those that need kitbag's repository only where this runs in it.
fn next_steps() -> String {
    let name = std::env::args_os().next().unwrap_or_else(|| "kitbag".into());
    let name = name.display();
    if !Path::new(FOLDER).join(kitbag::bundle::MANIFEST).exists() {
        return format!("#\n# To try next:\n#   {name} help run\n");
    }
    format!(
        "#\n\
         # To try next: the same bundle from its folder, a query of your own on its database, and a program that prints\n\
         # a hash of all it sees, on a folder.\n\
         #   {name} {FOLDER}\n\
         #   echo 'SELECT count(*) FROM zone;' | {name} --dir {FOLDER}/db::/db --overlay /db {FOLDER}/sqlite.wasm /db/atlas.db\n\
         #   {name} --dir {FOLDER}::/ tests/guests/treehash.wasm /\n\
         #   {name} help run\n"
    )
}
