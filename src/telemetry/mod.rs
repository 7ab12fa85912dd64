//! Logs and metrics.

mod about;
mod file;
mod histogram;
mod log;
mod metrics;
mod plane;
mod process;
mod request_ids;
mod text;

pub use about::{about, asked_by};
pub use file::{Rotation, last_lines};
pub use histogram::Histogram;
pub use log::{Log, start};
pub use metrics::{Metrics, OK};
pub use plane::{Answered, Asked, Open, Plane, Words};
pub use request_ids::{RequestId, RequestIds};
pub use text::{Text, label};
