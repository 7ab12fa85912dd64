//! Logs and metrics.

mod log;
mod metrics;

pub use log::{LogLevel, start};
pub use metrics::{Busy, Metrics, Open, Plane, label};
