//! What came of a run, for people and for programs: medians of its rounds, each with the least and the most.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::curve::Curve;
use super::load::Measured;
use super::{BenchOptions, Operation};
use crate::sim::client::{Tally, tally};

/// Several rounds of the same against the same.
pub(super) struct Summary {
    pub(super) name: String,
    /// Figures by name, a value a round.
    figures: BTreeMap<&'static str, Vec<f64>>,
    /// All rounds together.
    pub(super) tally: Tally,
}

/// The load of the run, and the same on the reference server in between.
pub(super) struct Report<'a> {
    pub(super) options: &'a BenchOptions,
    pub(super) run: Summary,
    pub(super) limit: Option<Summary>,
}

// === impl Summary ===

impl Summary {
    pub(super) fn new(name: String) -> Self {
        Self { name, figures: BTreeMap::new(), tally: Tally::default() }
    }

    /// Adds a round.
    pub(super) fn add(&mut self, operation: Operation, round: &Measured) {
        let (tally, seconds) = (&round.tally, round.seconds.max(f64::MIN_POSITIVE));
        let (requests, bytes) = (number(tally.done), number(tally.bytes));
        let mut add = |name, value: f64| {
            if value.is_finite() {
                self.figures.entry(name).or_default().push(value);
            }
        };
        add("ops_per_s", requests / seconds);
        add("mb_per_s", bytes / 1e6 / seconds);
        for (name, share) in [("p50_ms", 50.0), ("p90_ms", 90.0), ("p99_ms", 99.0), ("p99_9_ms", 99.9)] {
            add(name, tally.percentile(share).as_secs_f64() * 1e3);
        }
        add("client_cpu_s_per_1000", round.client_cpu / (requests / 1e3));
        if let Some(server) = &round.server {
            add("server_cpu_s_per_1000", server.processes.cpu_seconds / (requests / 1e3));
            add("server_cpu_s_per_gb", server.processes.cpu_seconds / (bytes / 1e9));
            add("server_peak_mib", tally::mebibytes(server.processes.peak_bytes));
            let writes = !matches!(operation, Operation::Get | Operation::List);
            if let Some(device) = server.device.filter(|_| writes) {
                add("device_flushes_per_request", number(device.flushes) / requests);
                if operation == Operation::Put {
                    add("device_written_per_byte", number(device.written_bytes) / bytes);
                }
            }
            if operation == Operation::Put {
                add("server_written_per_byte", number(server.processes.written_bytes) / bytes);
            }
        }
        self.tally.add(tally);
    }

    /// The median of a figure.
    pub(super) fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.figures.get(name)?.clone();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some((low + high) / 2.0)
    }

    fn range(&self, name: &str) -> Option<(f64, f64)> {
        let values = self.figures.get(name)?;
        Some((values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?))
    }

    /// `name: 4320 op/s [4100..4400], …`.
    pub(super) fn line(&self) -> String {
        let rate = match self.range("ops_per_s").filter(|(least, most)| least < most) {
            Some((least, most)) => format!(" [{least:.0}..{most:.0}]"),
            None => String::new(),
        };
        let median = |name| self.median(name).unwrap_or(0.0);
        let mut line = format!("{}: {:.0} op/s{rate}", self.name, median("ops_per_s"));
        if self.tally.bytes > 0 {
            line += &format!(", {:.1} MB/s", median("mb_per_s"));
        }
        line += &format!(
            "; p50 {:.2}, p90 {:.2}, p99 {:.2}, p99.9 {:.2} ms",
            median("p50_ms"),
            median("p90_ms"),
            median("p99_ms"),
            median("p99_9_ms")
        );
        for (name, before, digits, after) in [
            ("server_cpu_s_per_1000", "; server ", 3, " CPU-s/1000"),
            ("server_cpu_s_per_gb", ", ", 2, "/GB"),
            ("server_peak_mib", ", ", 0, " MiB at most"),
            ("client_cpu_s_per_1000", "; client ", 3, " CPU-s/1000"),
            ("device_flushes_per_request", "; ", 3, " flushes a request"),
            ("server_written_per_byte", "; ", 3, " bytes written a byte"),
            ("device_written_per_byte", " (by the disk ", 3, ")"),
        ] {
            if let Some(value) = self.median(name) {
                line += &format!("{before}{value:.digits$}{after}");
            }
        }
        let tally = &self.tally;
        if tally.refusals() + tally.failures() + tally.damaged > 0 {
            line += &format!("; {}", tally.line());
        }
        line
    }

    /// The same for programs: the median of every figure, and `rounds` with all values of each.
    pub(super) fn json(&self) -> Value {
        let mut all = self.tally.json();
        for name in self.figures.keys() {
            all[*name] = json!(self.median(name));
        }
        all["name"] = json!(self.name);
        all["rounds"] = json!(self.figures);
        all["percentiles"] = self.curve().json();
        all
    }

    /// How long requests took, all rounds together.
    pub(super) fn curve(&self) -> Curve {
        Curve::of(&self.name, &self.tally)
    }
}

// === impl Report ===

impl Report<'_> {
    /// What was reached of what the reference server reached, 1 is all.
    pub(super) fn ratio(&self) -> Option<f64> {
        let ratio = self.run.median("ops_per_s")? / self.limit.as_ref()?.median("ops_per_s")?;
        Some(ratio).filter(|ratio| ratio.is_finite())
    }

    /// A line, one more for the limit, and the percentiles as a drawing.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.run.line());
        let mut curves = vec![self.run.curve()];
        if let Some(limit) = &self.limit {
            let share = self.ratio().map_or_else(String::new, |ratio| format!("; {:.0} % reached", ratio * 100.0));
            text += &format!("{}{share}\n", limit.line());
            curves.push(limit.curve());
        }
        text + &super::curve::text(&curves)
    }

    pub(super) fn json(&self) -> Value {
        let mut all = self.run.json();
        all["op"] = json!(format!("{:?}", self.options.op).to_lowercase());
        all["size"] = json!(self.options.size);
        all["connections"] = json!(self.options.connections);
        all["limit"] = self.limit.as_ref().map(Summary::json).unwrap_or_default();
        all["ratio_to_limit"] = json!(self.ratio());
        all
    }
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with four digits at most")]
fn number(count: u64) -> f64 {
    count as f64
}
