//! What a guest is given to see: arguments, environment, streams, directories, clocks, chance, limits.

use std::net::TcpListener;
use std::sync::Arc;

use kitbag_fs::{Dir, File, FileSystem, PATH_MAX};

use super::args::Strings;
use super::clocks::{Clock, SystemClock};
use super::random::{Random, SystemRandom};
use super::sockets::Listener;
use super::stream::{HostStream, Null, Stream};
use super::table::{Descriptor, Table};
use super::types::{FdFlags, Rights};
use super::{Quota, WasiCtx};

/// Descriptors a guest may have open, unless said otherwise.
const DESCRIPTORS: u32 = 4096;

/// Builds a [`WasiCtx`]. As it begins, a guest sees nothing of its host but the time: no arguments, no environment, no
/// directories, input that ends at once and output that goes nowhere.
#[must_use]
pub struct WasiCtxBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The whole environment, in place of `env`.
    #[cfg(feature = "serve")]
    environment: Option<Strings>,
    standard: [Standard; 3],
    preopens: Vec<(Vec<u8>, Arc<dyn Dir>)>,
    listeners: Vec<TcpListener>,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    max_descriptors: u32,
    max_written: u64,
    max_path: usize,
}

/// What one of the standard descriptors is.
enum Standard {
    Stream(Arc<dyn Stream>),
    File(Arc<dyn File>),
}

/// Why a [`WasiCtx`] could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An argument holds a NUL, or the arguments are too many for a 32-bit guest.
    #[error("argument `{0}`: it holds a NUL, or there are too many")]
    Argument(String),
    /// A variable's name is empty or holds `=`, or it holds a NUL, or there are too many for a 32-bit guest.
    #[error("environment variable `{0}`: its name is empty or holds `=`, or it holds a NUL, or there are too many")]
    Variable(String),
    /// A directory's guest name is empty, too long, or holds a NUL.
    #[error("guest directory `{0}`: the name is empty, too long, or holds a NUL")]
    Name(String),
    /// There are more standard streams and directories than the guest may have descriptors.
    #[error("{0} descriptors are too few for the standard streams and the directories")]
    Descriptors(u32),
    /// The root of a file system could not be opened.
    #[error("guest directory `{0}`: {1}")]
    Root(String, #[source] kitbag_fs::Error),
}

impl From<BuildError> for crate::Error {
    fn from(error: BuildError) -> crate::Error {
        crate::Error::host(error)
    }
}

impl Default for WasiCtxBuilder {
    fn default() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

impl WasiCtxBuilder {
    /// A guest that sees nothing.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            #[cfg(feature = "serve")]
            environment: None,
            standard: std::array::from_fn(|_| Standard::Stream(Arc::new(Null))),
            preopens: Vec::new(),
            listeners: Vec::new(),
            clock: Box::new(SystemClock),
            random: Box::new(SystemRandom),
            max_descriptors: DESCRIPTORS,
            max_written: u64::MAX,
            max_path: PATH_MAX,
        }
    }

    /// Appends an argument; the first is the program's own name.
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> WasiCtxBuilder {
        self.args.push(arg.into());
        self
    }

    /// Appends arguments.
    pub fn args<A: Into<Vec<u8>>>(mut self, args: impl IntoIterator<Item = A>) -> WasiCtxBuilder {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable, in place of an earlier one of that name.
    pub fn env(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> WasiCtxBuilder {
        let (name, value) = (name.into(), value.into());
        match self.env.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => self.env.push((name, value)),
        }
        self
    }

    /// Sets all of the host's environment variables.
    pub fn inherit_env(self) -> WasiCtxBuilder {
        use std::os::unix::ffi::OsStringExt;
        std::env::vars_os().fold(self, |builder, (name, value)| builder.env(name.into_vec(), value.into_vec()))
    }

    /// Sets the whole environment, as `NAME=VALUE`, in place of whatever else is set.
    #[cfg(feature = "serve")]
    pub(crate) fn environment(self, strings: Strings) -> WasiCtxBuilder {
        WasiCtxBuilder { environment: Some(strings), ..self }
    }

    /// Connects descriptors 0, 1 and 2 to the host's own.
    pub fn inherit_stdio(self) -> WasiCtxBuilder {
        self.stdin(HostStream::stdin()).stdout(HostStream::stdout()).stderr(HostStream::stderr())
    }

    /// Standard input, descriptor 0.
    pub fn stdin(self, stream: impl Stream + 'static) -> WasiCtxBuilder {
        self.standard(0, Standard::Stream(Arc::new(stream)))
    }

    /// Standard output, descriptor 1.
    pub fn stdout(self, stream: impl Stream + 'static) -> WasiCtxBuilder {
        self.standard(1, Standard::Stream(Arc::new(stream)))
    }

    /// Standard error, descriptor 2.
    pub fn stderr(self, stream: impl Stream + 'static) -> WasiCtxBuilder {
        self.standard(2, Standard::Stream(Arc::new(stream)))
    }

    /// A file of a mounted file system as standard input: with a position, as any other.
    pub fn stdin_file(self, file: Arc<dyn File>) -> WasiCtxBuilder {
        self.standard(0, Standard::File(file))
    }

    /// A file of a mounted file system as standard output.
    pub fn stdout_file(self, file: Arc<dyn File>) -> WasiCtxBuilder {
        self.standard(1, Standard::File(file))
    }

    /// A file of a mounted file system as standard error.
    pub fn stderr_file(self, file: Arc<dyn File>) -> WasiCtxBuilder {
        self.standard(2, Standard::File(file))
    }

    fn standard(mut self, fd: usize, standard: Standard) -> WasiCtxBuilder {
        self.standard[fd] = standard;
        self
    }

    /// Opens a directory for the guest, under a name: the first is descriptor 3.
    pub fn preopen(mut self, name: impl Into<Vec<u8>>, dir: Arc<dyn Dir>) -> WasiCtxBuilder {
        self.preopens.push((name.into(), dir));
        self
    }

    /// Opens the root of a file system for the guest, under a name.
    ///
    /// # Errors
    /// [`BuildError::Root`].
    pub fn mount(self, name: &str, file_system: &dyn FileSystem) -> Result<WasiCtxBuilder, BuildError> {
        let root = file_system.root().map_err(|error| BuildError::Root(name.into(), error))?;
        Ok(self.preopen(name, root))
    }

    /// Gives the guest a listening socket. Sockets have the descriptors after the directories, in the order they are given.
    pub fn listener(mut self, listener: TcpListener) -> WasiCtxBuilder {
        self.listeners.push(listener);
        self
    }

    /// Where time comes from; the host's clocks unless said otherwise.
    pub fn clock(mut self, clock: impl Clock + 'static) -> WasiCtxBuilder {
        self.clock = Box::new(clock);
        self
    }

    /// Where random bytes come from; the host's source unless said otherwise.
    pub fn random(mut self, random: impl Random + 'static) -> WasiCtxBuilder {
        self.random = Box::new(random);
        self
    }

    /// Descriptors the guest may have open at once, the standard streams and preopened directories among them: 4,096
    /// unless said otherwise, and 1,048,576 in any case. Beyond, the guest gets `EMFILE`.
    pub fn max_descriptors(mut self, limit: u32) -> WasiCtxBuilder {
        self.max_descriptors = limit;
        self
    }

    /// Bytes the guest may write in all, to files and streams. Beyond, it gets `EDQUOT`.
    pub fn max_written(mut self, bytes: u64) -> WasiCtxBuilder {
        self.max_written = bytes;
        self
    }

    /// The longest path that is looked up, in bytes; no more than [`PATH_MAX`] in any case. Beyond, the guest gets
    /// `ENAMETOOLONG`.
    pub fn max_path(mut self, bytes: usize) -> WasiCtxBuilder {
        self.max_path = bytes;
        self
    }

    /// Puts it together.
    ///
    /// # Errors
    /// [`BuildError`], which names what is wrong.
    pub fn build(self) -> Result<WasiCtx, BuildError> {
        let mut table = Table::new(self.max_descriptors);
        let mut insert =
            |descriptor| table.insert(descriptor).map_err(|_| BuildError::Descriptors(self.max_descriptors));
        for (standard, direction) in
            self.standard.into_iter().zip([Rights::FD_READ, Rights::FD_WRITE, Rights::FD_WRITE])
        {
            insert(standard.descriptor(direction))?;
        }
        for (name, dir) in self.preopens {
            insert(Descriptor::preopen(guest_name(name)?, dir))?;
        }
        for listener in self.listeners {
            insert(Descriptor::stream(Arc::new(Listener(listener)), Rights::LISTENER))?;
        }
        let env = variables(&self.env)?;
        #[cfg(feature = "serve")]
        let env = self.environment.unwrap_or(env);
        Ok(WasiCtx {
            table,
            args: arguments(&self.args)?,
            env,
            clock: self.clock,
            random: self.random,
            quota: Quota::new(self.max_written),
            path_max: self.max_path,
        })
    }
}

impl Standard {
    fn descriptor(self, direction: Rights) -> Descriptor {
        match self {
            Standard::Stream(stream) => Descriptor::stream(stream, direction),
            Standard::File(file) => {
                let others = Rights::FD_READ | Rights::FD_WRITE;
                Descriptor::file(file, Rights::FILE.difference(others) | direction, FdFlags::empty())
            }
        }
    }
}

fn guest_name(name: Vec<u8>) -> Result<Box<[u8]>, BuildError> {
    if name.is_empty() || name.contains(&0) || name.len() > PATH_MAX {
        return Err(BuildError::Name(lossy(&name)));
    }
    Ok(name.into())
}

fn arguments(args: &[Vec<u8>]) -> Result<Strings, BuildError> {
    let mut strings = Strings::default();
    for arg in args {
        strings.push(&[arg]).ok_or_else(|| BuildError::Argument(lossy(arg)))?;
    }
    Ok(strings)
}

fn variables(env: &[(Vec<u8>, Vec<u8>)]) -> Result<Strings, BuildError> {
    let mut strings = Strings::default();
    for (name, value) in env {
        let named = !name.is_empty() && !name.contains(&b'=');
        let pushed = if named { strings.push(&[name, b"=", value]) } else { None };
        pushed.ok_or_else(|| BuildError::Variable(lossy(name)))?;
    }
    Ok(strings)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
