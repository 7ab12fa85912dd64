//! What a command prints: for people as tables, for programs as JSON; a closed pipe is no error.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How a command ends: an exit code, or a message for stderr.
pub type Done = Result<ExitCode, String>;

/// `--json`
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints to stdout. A reader that has gone (`| head`) ends the output, not in a panic.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a message to stderr; the exit code of a failure.
pub fn fail(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "{message}");
    ExitCode::FAILURE
}

/// Prints the JSON as it came, or what `people` makes of it.
pub fn show(json: Json, answer: &str, people: impl FnOnce(&Value) -> String) -> Done {
    if json.json {
        print(&format!("{answer}\n"));
    } else {
        let value = serde_json::from_str(answer).map_err(|error| format!("the answer is not JSON: {error}"))?;
        print(&people(&value));
    }
    Ok(ExitCode::SUCCESS)
}

/// Aligned columns under their heads; numbers to the right.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| width(head)).collect();
    for row in rows {
        for (cell, most) in row.iter().zip(&mut widths) {
            *most = (*most).max(width(cell));
        }
    }
    let number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let right: Vec<bool> = (0..widths.len())
        .map(|i| !rows.is_empty() && rows.iter().all(|row| row.get(i).is_some_and(|cell| number(cell) || cell == "-")))
        .collect();
    let mut out = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for ((cell, wide), right) in row.iter().zip(&widths).zip(&right) {
            let gap = " ".repeat(wide.saturating_sub(width(cell)));
            let cell = if *right { format!("{gap}{cell}") } else { format!("{cell}{gap}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Names and values, one a line.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let widest = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name}{}  {value}\n", " ".repeat(widest - width(name)));
    rows.iter().map(line).collect()
}

/// Columns that a text takes on a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if ('\u{1100}'..='\u{ffe6}').contains(&c) && !('\u{2000}'..='\u{206f}').contains(&c) { 2 } else { 1 })
        .sum()
}

/// A text from a server, without what would steer the terminal.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        other => other.to_string(),
    }
}

/// Bytes with a unit, powers of 1024.
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub fn bytes(value: &Value) -> String {
    let Some(number) = value.as_u64() else { return text(value) };
    let mut size = number as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{number} B") } else { format!("{size:.1} {unit}") }
}

/// A time in UTC, from milliseconds since 1970.
pub fn time(value: &Value) -> String {
    let stamp = value.as_i64().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    stamp.map_or_else(|| text(value), |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Waits for long work; on a terminal it says that it is under way, in a pipe it says nothing.
pub async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let mut seconds = 0u64;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
            Ok(done) => {
                let _ = write!(io::stderr().lock(), "\r\x1b[K");
                return done;
            }
            Err(_) => {
                seconds += 1;
                let _ = write!(io::stderr().lock(), "\r\x1b[K{what} … {seconds} s");
            }
        }
    }
}

/// How far long work has come, on a line of the terminal that is written over; in a pipe nothing.
#[derive(Debug)]
pub struct Meter {
    shown: Option<Instant>,
    terminal: bool,
}

impl Meter {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self { shown: None, terminal: io::stderr().is_terminal() }
    }

    /// Whether anybody sees it.
    pub fn is_shown(&self) -> bool {
        self.terminal
    }

    /// Shows what `line` makes, if it is time to.
    pub fn show(&mut self, line: impl FnOnce() -> String) {
        const EVERY: Duration = Duration::from_millis(200);
        if self.terminal && self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            let _ = write!(io::stderr().lock(), "\r\x1b[K{}", line());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_where_names_are_chinese() {
        let rows = [vec!["江苏".to_owned(), "5 GB".to_owned()], vec!["a".to_owned(), "120 GB".to_owned()]];
        assert_eq!(table(&["NAME", "SPACE"], &rows), "NAME   SPACE\n江苏    5 GB\na     120 GB\n");
    }

    #[test]
    fn sizes_have_units_and_terminals_are_not_steered() {
        assert_eq!(bytes(&json!(0)), "0 B");
        assert_eq!(bytes(&json!(1536)), "1.5 KiB");
        assert_eq!(bytes(&json!(null)), "-");
        assert_eq!(text(&json!("a\u{1b}[31m")), "a\u{fffd}[31m");
        assert_eq!(time(&json!(0)), "1970-01-01 00:00:00 UTC");
    }
}
