//! The log: to stderr, as text or as JSON lines, with a level that can be changed while it runs.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Changes the level of a running log.
#[derive(Clone)]
pub struct LogLevel(Option<reload::Handle<EnvFilter, Registry>>);

/// Starts the log. `level` is a `tracing` filter that the configuration has checked. Where a log
/// runs already (two servers in one test process) that one stays.
pub fn start(level: &str, json: bool) -> LogLevel {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok();
    LogLevel(started.then_some(handle))
}

impl LogLevel {
    /// Another level from now on; whether there is a log of ours to change.
    pub fn set(&self, level: &str) -> bool {
        self.0.as_ref().is_some_and(|handle| handle.reload(filter(level)).is_ok())
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}
