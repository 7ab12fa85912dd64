//! How long things took: counts between bounds, in atomics and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::text::{Text, number};

/// Upper bounds in microseconds: from what a read from memory takes to what a camera on a poor line needs.
const BOUNDS: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// Counts of durations. To count one is two additions.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Not added up: each for itself, the last for what is longer than every bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts what took so long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Its samples, under a head that is written already. The count is the sum of what was read for the buckets, so
    /// that the three agree while others count.
    pub(super) fn write(&self, text: &mut Text, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut all = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            all += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS.get(at).map_or_else(|| "+Inf".to_owned(), |micros| seconds(*micros));
            text.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), all);
        }
        text.sample(&format!("{name}_sum"), labels, seconds(self.micros.load(Ordering::Relaxed)));
        text.sample(&format!("{name}_count"), labels, all);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
fn seconds(micros: u64) -> String {
    number(micros as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_under_every_bound_that_it_does_not_pass() {
        let took = Histogram::default();
        for micros in [0, 1_000, 1_001, 700_000, 60_000_000, 61_000_000] {
            took.observe(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        took.write(&mut text, "x_seconds", "operation=\"a\"");
        let text = text.into_string();
        for line in [
            "x_seconds_bucket{operation=\"a\",le=\"0.001\"} 2",
            "x_seconds_bucket{operation=\"a\",le=\"0.0025\"} 3",
            "x_seconds_bucket{operation=\"a\",le=\"0.5\"} 3",
            "x_seconds_bucket{operation=\"a\",le=\"1\"} 4",
            "x_seconds_bucket{operation=\"a\",le=\"60\"} 5",
            "x_seconds_bucket{operation=\"a\",le=\"+Inf\"} 6",
            "x_seconds_sum{operation=\"a\"} 121.702001",
            "x_seconds_count{operation=\"a\"} 6",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        assert_eq!(took.count(), 6);
    }
}
