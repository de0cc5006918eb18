//! From the bundle in the own file to the guest's exit status.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use kitbag::bundle::{Bundle, Error as BundleError, Executable, Selected, StreamTo};
use kitbag::wasi::{self, HostStream, WasiCtx};
use kitbag::{Config, Engine, Error, InterruptHandle, Linker, Store, TrapCode};

use super::report::{Failure, note};

/// How long a guest that was interrupted may take to end.
const GRACE: Duration = Duration::from_millis(200);

/// Runs it and gives the guest's status.
///
/// # Errors
/// What kept it from running or ended it.
pub(crate) fn run(argv0: Option<&OsStr>, mut args: Vec<OsString>) -> Result<i32, Failure> {
    let begun = Instant::now();
    let [verbose, no_cache] = ["KITBAG_VERBOSE", "KITBAG_NO_CACHE"].map(is_set);
    let say = |words: &str| {
        if verbose {
            note(argv0, format_args!("{words} ({} µs)", begun.elapsed().as_micros()));
        }
    };
    // The packer looks for the build in the file of a runtime.
    if verbose {
        say(&format!("kitbag-tool {} of build {}", env!("CARGO_PKG_VERSION"), std::hint::black_box(kitbag::BUILD)));
    }
    let executable = Executable::own().map_err(Failure::new)?;
    let bundle = executable.bundle();
    let selected = bundle.select(argv0, &mut args).map_err(|error| match error {
        BundleError::NoTool(_) => Failure::usage(error),
        error => Failure::new(error),
    })?;
    let limits = &bundle.manifest().limits;
    let mut config = Config::new();
    limits.memory.into_iter().for_each(|bytes| _ = config.max_memory(bytes));
    let engine = Engine::new(&config)?;
    let module = executable.module(&engine, &selected.entry, !no_cache, say)?;
    let mut store = Store::new(&engine, context(bundle, selected, args)?);
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
    let watchdog = limits.time.map(|limit| watch(limit, store.interrupt_handle(), argv0));
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    say("the guest starts");
    let ended = start.call(&mut store, ());
    say("the guest has ended");
    match ended {
        Ok(()) => Ok(0),
        Err(Error::Exit(status)) => Ok(status),
        Err(Error::Trap(trap)) if trap.code == TrapCode::Interrupted && watchdog.is_some() => Err(expired(limits.time)),
        Err(error) => Err(error.into()),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// What the guest sees.
fn context(bundle: &Bundle, selected: Selected, args: Vec<OsString>) -> Result<WasiCtx, Failure> {
    let manifest = bundle.manifest();
    let mut layout = bundle.layout().map_err(Failure::new)?;
    bundle.mount_host(&mut layout, true).map_err(Failure::new)?;
    let mut ctx = WasiCtx::builder().arg(selected.name).args(selected.args);
    ctx = ctx.args(args.into_iter().map(OsString::into_vec));
    for (name, value) in selected.env {
        ctx = ctx.env(name, value);
    }
    for preopen in layout.preopens().map_err(Failure::new)? {
        ctx = ctx.preopen(preopen.name, preopen.root);
    }
    let streams = &manifest.streams;
    if streams.stdin == StreamTo::Inherit {
        ctx = ctx.stdin(HostStream::stdin());
    }
    if streams.stdout == StreamTo::Inherit {
        ctx = ctx.stdout(HostStream::stdout());
    }
    if streams.stderr == StreamTo::Inherit {
        ctx = ctx.stderr(HostStream::stderr());
    }
    if let Some(fds) = manifest.limits.fds {
        ctx = ctx.max_descriptors(fds);
    }
    if let Some(bytes) = manifest.limits.write {
        ctx = ctx.max_written(bytes);
    }
    ctx.build().map_err(Failure::new)
}

/// Ends the guest when its time is up, and the process if the guest does not come back from a host function. Watches until what it
/// gives is dropped.
fn watch(limit: Duration, handle: InterruptHandle, argv0: Option<&OsStr>) -> Sender<()> {
    let (running, ended) = mpsc::channel::<()>();
    let argv0 = argv0.map(OsStr::to_owned);
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            handle.interrupt();
            if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                std::process::exit(expired(Some(limit)).print(argv0.as_deref()));
            }
        }
    });
    running
}

fn expired(limit: Option<Duration>) -> Failure {
    Failure::timeout(format_args!("timeout: it had not ended after {:?}", limit.unwrap_or_default()))
}
