//! The JSON control API, served on the Unix socket in the data directory.

mod client;
mod refusal;
mod routes;
mod types;

pub use client::{Client, Failure};
pub use routes::{Control, Reload, router};
pub use types::{AuditRow, KeyPair, ModifyAccount, ModifyCallback, OpenAccount, OpenedAccount, ReloadReport, Urls};
