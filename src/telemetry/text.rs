//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use super::histogram::Histogram;

/// What is being written.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Says what the samples that follow are. A name ending in `_total` is a counter, as Prometheus has it.
    pub fn head(&mut self, name: &str, help: &str) {
        self.typed(name, if name.ends_with("_total") { "counter" } else { "gauge" }, help);
    }

    pub(super) fn typed(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One number; `labels` as they stand between the braces.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    /// A number that stands alone, with its head.
    pub fn one(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        self.sample(name, "", value);
    }

    /// Durations under a name, with their head.
    pub fn histogram(&mut self, name: &str, help: &str, took: &Histogram) {
        self.typed(name, "histogram", help);
        took.write(self, name, "");
    }

    /// The whole.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A label's value, escaped.
pub fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number as Prometheus reads it, without an exponent.
pub(super) fn number(value: f64) -> String {
    format!("{value}")
}
