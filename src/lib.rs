//! kandian (看店): the cloud store of 中国电信手机看店云存储技术规范 V1.2 in one binary.
//!
//! Its rooms, and which rooms each may name:
//!
//! ```text
//! domain telemetry md5 →
//! wire world config    → domain
//! vault                → domain world
//! books                → domain world
//! store                → domain md5 world config telemetry vault
//! engine               → domain wire world config telemetry vault books store
//! tls                  → domain world
//! http                 → domain telemetry tls
//! s3 api               → domain md5 wire config telemetry http engine
//! soap                 → domain wire config telemetry http engine tls
//! portal               → domain wire config telemetry http engine
//! app                  → domain world config telemetry tls http engine s3 soap api portal
//! cli                  → domain world config telemetry tls http engine api app sim bench
//! sim                  → domain wire world http tls
//! bench                → domain wire world http sim tls
//! ```
//!
//! `s3`, `soap`, `api` and `portal` are faces of the engine and never see one another or the store. `sim` and `bench` are
//! strangers: they know the wire and nothing behind it. `docs/architecture.md` says what lives in each room and what is
//! deliberately absent from it; `tests/it/tidy.rs` holds this map, the sources and that page against each other.

pub mod api;
pub mod app;
pub mod bench;
pub mod books;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod md5;
pub mod portal;
pub mod s3;
pub mod sim;
pub mod soap;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod vault;
pub mod wire;
pub mod world;
