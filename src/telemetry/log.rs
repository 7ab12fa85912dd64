//! The log: to stderr or to a file, as text or as JSON lines, with a level that can be changed while it runs. Every line
//! that is about a request is written within that request's span and has its name: `request_id`.

use std::io::{self, IsTerminal};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::file::{LogFile, Rotation};

/// A running log.
#[derive(Clone)]
pub struct Log {
    level: Option<reload::Handle<EnvFilter, Registry>>,
    file: Option<LogFile>,
}

/// Starts the log. `level` is a `tracing` filter that the configuration has checked. Where a log
/// runs already (two servers in one test process) that one stays.
///
/// # Errors
/// The file cannot be opened.
pub fn start(level: &str, json: bool, rotation: Option<Rotation>) -> io::Result<Log> {
    let (filter, handle) = reload::Layer::new(filter(level));
    let file = rotation.map(LogFile::start).transpose()?;
    let lines = match file.clone() {
        Some(file) => lines(json, false, file),
        None => lines(json, io::stderr().is_terminal(), io::stderr),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok();
    Ok(Log { level: started.then_some(handle), file })
}

type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;

fn lines<W>(json: bool, colours: bool, writer: W) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(true);
    if json {
        // The request's span alone: nothing lies around it.
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(colours).boxed()
    }
}

impl Log {
    /// Another level from now on; whether there is a log of ours to change.
    pub fn set(&self, level: &str) -> bool {
        self.level.as_ref().is_some_and(|handle| handle.reload(filter(level)).is_ok())
    }

    /// Opens the file anew, where there is one.
    pub fn reopen(&self) {
        self.file.iter().for_each(LogFile::reopen);
    }

    /// Waits until the file has what was said, for two seconds at most.
    pub fn flush(&self) {
        self.file.iter().for_each(LogFile::flush);
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}
