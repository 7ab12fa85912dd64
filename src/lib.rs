//! kandian (看店): the cloud store of 中国电信手机看店云存储技术规范 V1.2 in one binary.
//!
//! An arrow is an import; it runs from right to left:
//!
//! ```text
//! domain ← wire world config telemetry ← vault ← store ← engine ← { s3 soap api } ← app ← cli ← main
//! sim, bench: strangers that use the wire and never see engine or store
//! ```
//!
//! `docs/architecture.md` says what lives in each room and what is deliberately absent from it;
//! `tests/it/tidy.rs` holds the arrows.

pub mod api;
pub mod app;
pub mod bench;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod s3;
pub mod sim;
pub mod soap;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod wire;
pub mod world;
