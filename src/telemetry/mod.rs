//! Logs and metrics.

mod log;
mod metrics;

pub use log::{LogLevel, start};
pub use metrics::{Metrics, Open, Plane, label};
