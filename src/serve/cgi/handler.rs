//! A handler: a module that is compiled once, and one fresh instance of it for each request.

use std::collections::BTreeMap;
use std::sync::Arc;

use kitbag_fs::memory::{self, Memory};
use kitbag_fs::mounts::Mounts;
use kitbag_fs::overlay::Overlay;
use kitbag_fs::{Dir, FileSystem, Path};

use super::call::{Call, CallClock, End, Input, Output};
use super::root::Root;
use crate::bundle;
use crate::serve::log::Log;
use crate::wasi::{self, Errno, Stream, Strings, WasiCtx};
use crate::{Config, Engine, Error, InstancePool, Linker, Module};

/// Files, folders and links that a request may make in its layer.
const INODES: u64 = 1 << 16;

/// Bytes of a handler's standard error that are logged for each request.
const SAID: usize = 64 << 10;

/// What the handlers of a bundle see of it.
pub(in crate::serve) struct View {
    pub(in crate::serve) files: Arc<dyn FileSystem>,
    /// File systems at places in it: what the manifest mounts, and what all requests share.
    pub(in crate::serve) mounts: Vec<(Vec<u8>, Mounted)>,
}

/// What is at a place in a handler's files.
pub(in crate::serve) enum Mounted {
    /// The same for all requests.
    Shared(Arc<dyn FileSystem>),
    /// This beneath a layer of each request's own.
    Layered(Arc<dyn FileSystem>),
    /// A file system of each request's own.
    Fresh,
}

impl View {
    /// The root directory for one request, which may hold `bytes` in memory in each of its layers.
    pub(super) fn root(&self, bytes: u64) -> kitbag_fs::Result<Arc<dyn Dir>> {
        let fresh = || Arc::new(Memory::with_limits(memory::Limits { bytes, inodes: INODES }));
        let layered = |lower: &Arc<dyn FileSystem>| Overlay::new(fresh(), [Arc::clone(lower)]);
        let top = layered(&self.files)?;
        if self.mounts.is_empty() {
            return top.root();
        }
        let mut tree = Mounts::builder().mount(Path::DOT, Arc::new(top))?;
        for (place, mounted) in &self.mounts {
            let files: Arc<dyn FileSystem> = match mounted {
                Mounted::Shared(files) => Arc::clone(files),
                Mounted::Layered(lower) => Arc::new(layered(lower)?),
                Mounted::Fresh => fresh(),
            };
            tree = tree.mount(Path::new(place)?, files)?;
        }
        tree.build().root()
    }
}

/// A compiled module and what its instances get.
pub(in crate::serve) struct Handler {
    /// Its path in the bundle.
    pub(in crate::serve) name: String,
    pub(in crate::serve) authorization: bool,
    pub(in crate::serve) time: std::time::Duration,
    args: Vec<String>,
    /// What the manifest sets.
    env: BTreeMap<String, String>,
    memory: u64,
    view: Arc<View>,
    instances: InstancePool<WasiCtx>,
}

impl Handler {
    /// Compiles a module, and sees that what it imports is there and that it can be started.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(in crate::serve) fn new(
        handler: &bundle::Handler,
        limits: &bundle::Limits,
        bytes: &[u8],
        mut env: BTreeMap<String, String>,
        view: &Arc<View>,
    ) -> Result<Handler, String> {
        let words = |error: Error| format!("{}: {error}", handler.module);
        let memory = handler.memory.unwrap_or(limits.memory);
        let engine = Engine::new(Config::new().max_memory(memory)).map_err(words)?;
        let module = Module::new(&engine, bytes).map_err(words)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker, |ctx| ctx).map_err(words)?;
        if !module.exports().any(|export| export.name == "_start") {
            return Err(format!("{}: it exports no function `_start`", handler.module));
        }
        let ready = linker.instantiate_pre(&module).map_err(words)?;
        let instances = InstancePool::new(ready, limits.handlers).map_err(words)?;
        env.extend(handler.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let wrong =
            |(name, value): (&String, &String)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
        if let Some((name, _)) = env.iter().find(|&variable| wrong(variable)) {
            return Err(format!("{}: the variable `{}` is none", handler.module, name.escape_debug()));
        }
        Ok(Handler {
            name: handler.module.clone(),
            authorization: handler.authorization,
            time: handler.time.unwrap_or(limits.time),
            args: handler.args.clone(),
            env,
            memory,
            view: Arc::clone(view),
            instances,
        })
    }

    /// Runs it for one request, to its end.
    pub(super) fn run(&self, call: &Arc<Call>, script: Vec<u8>, request: Request, log: &Arc<Log>) -> End {
        let ctx = match self.context(call, script, request, log) {
            Ok(ctx) => ctx,
            Err(error) => return End::Failed(error.to_string()),
        };
        let ended = self.instances.get_with(ctx, |interrupt| call.begin(interrupt)).and_then(|mut instance| {
            let start = instance.instance().get_typed_func::<(), ()>(&mut instance, "_start")?;
            let ended = start.call(&mut instance, ());
            // Before the instance goes back, so that the next one can be stopped by the same means.
            call.leave();
            ended
        });
        match ended {
            Ok(()) | Err(Error::Exit(0)) => End::Done,
            Err(Error::Exit(status)) => End::Exit(status),
            Err(Error::Trap(trap)) => {
                let frames = trap.display_backtrace().to_string();
                let place = frames.lines().next().map(|frame| format!(" in {}", frame.trim_start()));
                End::Trap(trap.code, format!("{trap}{}", place.unwrap_or_default()))
            }
            Err(error) => End::Failed(error.to_string()),
        }
    }

    fn context(
        &self,
        call: &Arc<Call>,
        script: Vec<u8>,
        request: Request,
        log: &Arc<Log>,
    ) -> Result<WasiCtx, wasi::BuildError> {
        let mut env = request.env;
        for (name, value) in &self.env {
            let says = |variable: &[u8]| variable.strip_prefix(name.as_bytes()).is_some_and(|rest| rest[0] == b'=');
            if !env.iter().any(says) {
                _ = env.push(&[name.as_bytes(), b"=", value.as_bytes()]);
            }
        }
        let ctx = WasiCtx::builder()
            .arg(script)
            .args(self.args.iter().map(String::as_bytes))
            .args(request.args)
            .stdin(Input(Arc::clone(call)))
            .stdout(Output(Arc::clone(call)))
            .stderr(Errors::new(&self.name, log))
            .clock(CallClock(Arc::clone(call)))
            .preopen("/", Arc::new(Root::new(&self.view, self.memory)));
        ctx.environment(env).build()
    }
}

/// What a request gives to its handler.
pub(super) struct Request {
    pub(super) args: Vec<Vec<u8>>,
    pub(super) env: Strings,
}

/// A handler's standard error: line by line to the log.
struct Errors {
    name: String,
    log: Arc<Log>,
    line: std::sync::Mutex<(Vec<u8>, usize)>,
}

impl Errors {
    fn new(name: &str, log: &Arc<Log>) -> Errors {
        Errors { name: name.to_owned(), log: Arc::clone(log), line: std::sync::Mutex::new((Vec::new(), SAID)) }
    }

    fn say(&self, line: &[u8]) {
        self.log.note(format_args!("{}: {}", self.name, String::from_utf8_lossy(line)));
    }
}

impl Stream for Errors {
    fn write(&self, buffers: &[std::io::IoSlice<'_>]) -> Result<usize, Errno> {
        let mut line = self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (line, left) = &mut *line;
        for &byte in buffers.iter().flat_map(|buffer| buffer.iter()) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            match byte {
                b'\n' => self.say(&std::mem::take(line)),
                byte => line.push(byte),
            }
        }
        Ok(buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (line, left) = std::mem::take(line);
        if !line.is_empty() {
            self.say(&line);
        }
        if left == 0 {
            self.log.note(format_args!("{}: it said more than {SAID} bytes, the rest is left out", self.name));
        }
    }
}
