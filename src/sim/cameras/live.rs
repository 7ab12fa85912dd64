//! What all cameras together experience, as it happens and in the end.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sim::client::s3::Outcome;
use crate::sim::client::tally::{mebibytes, millis};
use crate::sim::client::{ClientError, Tally};

/// The kinds of requests, as they are listed.
pub(super) const PUT_RECORDING: &str = "put recording";
/// A whole picture.
pub(super) const PUT_PICTURE: &str = "put picture";
/// The beginning of an upload in parts.
pub(super) const BEGIN_PARTS: &str = "begin parts";
/// A part.
pub(super) const PUT_PART: &str = "put part";
/// The end of an upload in parts.
pub(super) const COMPLETE_PARTS: &str = "complete parts";
/// A file that comes back.
pub(super) const GET: &str = "get";

/// What all cameras together experience.
#[derive(Default)]
pub(super) struct Live(Mutex<Counts>);

/// What is counted beside requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Happened {
    /// Files that were recorded.
    pub(super) recorded: u64,
    /// Files that were uploaded.
    pub(super) uploaded: u64,
    /// Links that were cut.
    pub(super) cut: u64,
    /// Files that a camera sent after its link had been down.
    pub(super) resumed: u64,
    /// Of them those in parts that went on where they had stopped.
    pub(super) continued: u64,
    /// Files that were dropped from a backlog that was full.
    pub(super) lost: u64,
    /// Files that were still waiting when the cameras were told to stop, or gave up.
    pub(super) left: u64,
    /// Clocks that were set by the server's.
    pub(super) corrected: u64,
    /// Files that are waiting now.
    pub(super) waiting: u64,
    /// Links that are down now.
    pub(super) down: u64,
}

#[derive(Default)]
struct Counts {
    operations: BTreeMap<&'static str, Tally>,
    /// Of all uploads since the last frame of the table.
    recent: Tally,
    happened: Happened,
}

impl Live {
    /// Counts a request.
    pub(super) fn count(
        &self,
        operation: &'static str,
        outcome: &Result<Outcome, ClientError>,
        len: u64,
        took: Duration,
    ) {
        let mut counts = self.counts();
        counts.operations.entry(operation).or_default().count(outcome, len, took);
        if operation != GET {
            counts.recent.count(outcome, len, took);
        }
    }

    /// Notes what happened.
    pub(super) fn note(&self, note: impl FnOnce(&mut Happened)) {
        note(&mut self.counts().happened);
    }

    /// What has happened so far.
    pub(super) fn happened(&self) -> Happened {
        self.counts().happened
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operations as a table, the slowest columns last.
    pub(super) fn table(&self) -> String {
        let counts = self.counts();
        let mut out = format!(
            "{:<15} {:>9} {:>11} {:>8} {:>7} {:>11} {:>11} {:>11} {:>11}\n",
            "", "done", "MiB", "refused", "errors", "p50", "p90", "p99", "max"
        );
        for (operation, tally) in &counts.operations {
            out += &format!(
                "{operation:<15} {:>9} {:>11.1} {:>8} {:>7} {:>11} {:>11} {:>11} {:>11}\n",
                tally.done,
                mebibytes(tally.bytes),
                tally.refusals(),
                tally.failures(),
                millis(tally.percentile(50.0)),
                millis(tally.percentile(90.0)),
                millis(tally.percentile(99.0)),
                millis(tally.slowest()),
            );
        }
        out
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let counts = self.counts();
        let Happened { recorded, uploaded, cut, resumed, continued, lost, left, corrected, .. } = counts.happened;
        let operations: BTreeMap<_, _> = counts.operations.iter().map(|(name, tally)| (*name, tally.json())).collect();
        json!({
            "operations": operations,
            "happened": {
                "recorded": recorded,
                "uploaded": uploaded,
                "links_cut": cut,
                "resumed": resumed,
                "parts_continued": continued,
                "lost": lost,
                "left": left,
                "clocks_corrected": corrected,
            },
        })
    }

    /// The frame of this second: some lines, none longer than a terminal is wide.
    fn frame(&self, cameras: usize, running: Duration, since_last: Duration) -> String {
        let mut counts = self.counts();
        let recent = std::mem::take(&mut counts.recent);
        let Happened { recorded, uploaded, cut, lost, waiting, down, corrected, .. } = counts.happened;
        let mut all = Tally::default();
        counts.operations.iter().filter(|(name, _)| **name != GET).for_each(|(_, tally)| all.add(tally));
        drop(counts);
        let a_second = |number: f64| number / since_last.as_secs_f64().max(0.001);
        let mut wrong: Vec<String> = all.refused.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        wrong.extend(all.errors.iter().map(|(what, count)| format!("{what}: {count}")));
        let wrong = if wrong.is_empty() { "none".to_owned() } else { wrong.join("; ") };
        #[expect(clippy::cast_precision_loss, reason = "a number that is shown with one digit")]
        let done = recent.done as f64;
        let lines = [
            format!("{cameras} cameras, {} s, {down} links down, {cut} cut, {corrected} clocks set", running.as_secs()),
            format!("{recorded} files recorded, {uploaded} uploaded, {waiting} in backlog, {lost} lost"),
            format!(
                "{:.1} requests/s, {:.2} MiB/s, p50 {}, p99 {}",
                a_second(done),
                a_second(mebibytes(recent.bytes)),
                millis(recent.percentile(50.0)),
                millis(recent.percentile(99.0))
            ),
            format!("refusals and errors: {wrong}"),
        ];
        lines.map(|line| line.chars().filter(|c| !c.is_control()).take(100).collect::<String>() + "\n").concat()
    }

    /// Shows a table on a terminal, drawn anew each second, until it is dropped; in a pipe nothing.
    pub(super) async fn show(&self, cameras: usize) {
        if !io::stderr().is_terminal() {
            return std::future::pending().await;
        }
        let (started, mut last) = (Instant::now(), Instant::now());
        let mut drawn = Drawn(0);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drawn.draw(&self.frame(cameras, started.elapsed(), last.elapsed()));
            last = Instant::now();
        }
    }
}

/// So many lines of the terminal are ours; they go when it is dropped.
struct Drawn(usize);

impl Drawn {
    fn wipe(&self) -> String {
        if self.0 == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.0) }
    }

    fn draw(&mut self, frame: &str) {
        let _ = write!(io::stderr().lock(), "{}{frame}", self.wipe());
        self.0 = frame.lines().count();
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let _ = write!(io::stderr().lock(), "{}", self.wipe());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_of_this_second_and_of_all_errors() {
        let live = Live::default();
        live.note(|happened| happened.recorded = 7);
        for _ in 0..4 {
            live.count(PUT_RECORDING, &Ok(Outcome::Done), 1 << 20, Duration::from_millis(10));
        }
        live.count(PUT_PICTURE, &Ok(Outcome::Refused(403, "QuotaExceeded".to_owned())), 9, Duration::ZERO);
        live.count(GET, &Ok(Outcome::Done), 1 << 20, Duration::from_millis(10));
        let frame = live.frame(3, Duration::from_secs(5), Duration::from_secs(2));
        for said in ["3 cameras, 5 s", "7 files recorded", "2.0 requests/s, 2.00 MiB/s", "403 QuotaExceeded: 1"] {
            assert!(frame.contains(said), "{said}:\n{frame}");
        }
        assert_eq!(frame.lines().count(), 4);
        let later = live.frame(3, Duration::from_secs(6), Duration::from_secs(1));
        assert!(later.contains("0.0 requests/s") && later.contains("403 QuotaExceeded: 1"), "{later}");
        assert!(live.table().lines().count() == 4, "{}", live.table());
        assert_eq!(live.json()["operations"]["put recording"]["done"], 4);
    }
}
