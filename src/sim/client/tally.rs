//! What came of many requests: counts, bytes and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::ClientError;
use super::s3::Outcome;

/// An hour; what takes longer counts as an hour.
const MICROS_MAX: u64 = 3_600_000_000;

/// What came of many requests.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How many were done.
    pub done: u64,
    /// Bytes of those that were done.
    pub bytes: u64,
    /// Answers that said no, by status and code.
    pub refused: BTreeMap<String, u64>,
    /// Requests without an answer, by what went wrong.
    pub errors: BTreeMap<String, u64>,
    /// Objects that came back and were not what had been sent.
    pub damaged: u64,
    /// Microseconds that each took that was done.
    micros: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let micros =
            Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("these bounds are within what a histogram can");
        let (refused, errors) = (BTreeMap::new(), BTreeMap::new());
        Self { done: 0, bytes: 0, refused, errors, damaged: 0, micros }
    }
}

impl Tally {
    /// One that takes some KiB instead of hundreds, for who keeps thousands: its times are right to a few percent.
    pub fn coarse() -> Self {
        let micros =
            Histogram::new_with_bounds(1, MICROS_MAX, 1).expect("these bounds are within what a histogram can");
        let (refused, errors) = (BTreeMap::new(), BTreeMap::new());
        Self { done: 0, bytes: 0, refused, errors, damaged: 0, micros }
    }

    /// Counts a request that transferred `bytes` in `took`.
    pub fn count(&mut self, outcome: &Result<Outcome, ClientError>, bytes: u64, took: Duration) {
        match outcome {
            Ok(Outcome::Done) => {
                self.done += 1;
                self.bytes += bytes;
                self.micros.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
            }
            Ok(Outcome::Refused(status, code)) => {
                *self.refused.entry(format!("{status} {code}").trim_end().to_owned()).or_default() += 1;
            }
            Ok(Outcome::Damaged) => self.damaged += 1,
            Err(error) => *self.errors.entry(error.to_string()).or_default() += 1,
        }
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.bytes += other.bytes;
        self.damaged += other.damaged;
        for (into, from) in [(&mut self.refused, &other.refused), (&mut self.errors, &other.errors)] {
            for (what, count) in from {
                *into.entry(what.clone()).or_default() += count;
            }
        }
        // Both are made alike, so one always fits into the other; counts that did not would only be lost here.
        let _ = self.micros.add(&other.micros);
    }

    /// How many were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    /// How many had no answer.
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How long this share (0 to 100) of them took at most.
    pub fn percentile(&self, share: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_percentile(share))
    }

    /// How long the slowest took.
    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.micros.max())
    }

    /// `12 done, 3.0 MiB, 1 refused (403 QuotaExceeded: 1), 0 errors, p50 1.2 ms, p99 3.4 ms`.
    pub fn line(&self) -> String {
        let causes = |causes: &BTreeMap<String, u64>| match causes.is_empty() {
            true => String::new(),
            false => {
                let listed: Vec<String> = causes.iter().map(|(what, count)| format!("{what}: {count}")).collect();
                format!(" ({})", listed.join("; "))
            }
        };
        let damaged = if self.damaged > 0 { format!(", {} DAMAGED", self.damaged) } else { String::new() };
        format!(
            "{} done, {:.1} MiB, {} refused{}, {} errors{}{damaged}, p50 {}, p99 {}",
            self.done,
            mebibytes(self.bytes),
            self.refusals(),
            causes(&self.refused),
            self.failures(),
            causes(&self.errors),
            millis(self.percentile(50.0)),
            millis(self.percentile(99.0)),
        )
    }

    /// The same for programs; times in milliseconds.
    pub fn json(&self) -> Value {
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        json!({
            "done": self.done,
            "bytes": self.bytes,
            "refused": self.refusals(),
            "refused_by_code": self.refused,
            "errors": self.failures(),
            "errors_by_cause": self.errors,
            "damaged": self.damaged,
            "p50_ms": millis(self.percentile(50.0)),
            "p90_ms": millis(self.percentile(90.0)),
            "p99_ms": millis(self.percentile(99.0)),
            "p99_9_ms": millis(self.percentile(99.9)),
            "max_ms": millis(self.slowest()),
        })
    }
}

/// Bytes as MiB, for people.
#[expect(clippy::cast_precision_loss, reason = "a number that is shown with one digit")]
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A duration as milliseconds, for people.
pub fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_one_knows_times_to_a_few_percent() {
        let mut tally = Tally::coarse();
        for micros in [1, 900, 250_000, 70_000_000] {
            tally.count(&Ok(Outcome::Done), 1, Duration::from_micros(micros));
        }
        let (slowest, off) = (tally.slowest().as_secs_f64(), 70.0 * 0.07);
        assert!((slowest - 70.0).abs() < off, "{slowest}");
        assert_eq!(tally.done, 4);
    }

    #[test]
    fn what_is_added_up_is_what_was_counted() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        one.count(&Ok(Outcome::Done), 1 << 20, Duration::from_millis(10));
        two.count(&Ok(Outcome::Done), 1 << 20, Duration::from_millis(30));
        two.count(&Ok(Outcome::Refused(403, "QuotaExceeded".to_owned())), 5, Duration::ZERO);
        two.count(&Ok(Outcome::Damaged), 5, Duration::ZERO);
        two.count(&Err(ClientError::Timeout), 5, Duration::ZERO);
        one.add(&two);
        assert_eq!((one.done, one.bytes, one.refusals(), one.failures(), one.damaged), (2, 2 << 20, 1, 1, 1));
        assert_eq!(one.slowest().as_millis(), 30);
        let line = one.line();
        assert!(line.starts_with("2 done, 2.0 MiB, 1 refused (403 QuotaExceeded: 1), 1 errors (no answer"), "{line}");
        assert!(line.contains("1 DAMAGED"), "{line}");
        assert_eq!(one.json()["refused_by_code"]["403 QuotaExceeded"], 1);
    }
}
