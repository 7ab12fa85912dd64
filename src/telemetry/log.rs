//! The log: to stderr or to a file, as text or as JSON lines, with a level that can be changed while it runs. Every line
//! that is about a request has that request's name: `request_id`.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::about;
use super::file::{LogFile, Rotation};
use super::request_ids::RequestId;

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
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let format = tracing_subscriber::fmt::format().with_target(true);
    if json {
        let format = format.json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.json().event_format(Named { format, json }).boxed()
    } else {
        lines.event_format(Named { format: format.with_ansi(colours), json }).boxed()
    }
}

/// Lines of a format, each with the request that it is about at its end.
struct Named<F> {
    format: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let Some((id, ak)) = about::current() else { return self.format.format_event(context, writer, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        name(&mut line, self.json, id, ak.as_deref())?;
        writer.write_str(&line)
    }
}

/// Puts a request's name at the end of a line: as fields of its JSON object, or as words.
fn name(line: &mut String, json: bool, id: RequestId, ak: Option<&str>) -> fmt::Result {
    let end = if json { "}\n" } else { "\n" };
    line.truncate(line.strip_suffix(end).map_or(line.len(), str::len));
    match (json, ak) {
        (true, None) => write!(line, r#","request_id":"{id}""#)?,
        (true, Some(ak)) => write!(line, r#","request_id":"{id}","ak":{}"#, serde_json::Value::from(ak))?,
        (false, None) => write!(line, " request_id={id}")?,
        (false, Some(ak)) => write!(line, " request_id={id} ak={ak:?}")?,
    }
    line.push_str(end);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestIds;

    #[test]
    fn a_line_ends_with_the_request_that_it_is_about_as_text_and_as_json() {
        let id = RequestIds::new([7; 8]).next();
        let named = |line: &str, json, ak| {
            let mut line = line.to_owned();
            name(&mut line, json, id, ak).unwrap();
            line
        };
        assert_eq!(named("INFO refused\n", false, None), format!("INFO refused request_id={id}\n"));
        assert_eq!(named("INFO refused\n", false, Some("A\n")), format!("INFO refused request_id={id} ak=\"A\\n\"\n"));
        let line = named("{\"level\":\"INFO\"}\n", true, Some("A\"K"));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read, serde_json::json!({ "level": "INFO", "request_id": id.to_string(), "ak": "A\"K" }));
        assert!(line.ends_with("}\n"));
    }
}
