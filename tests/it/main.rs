//! The whole crate from its public side, in one process.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, though clippy sees only what #[test] marks")]

mod api;
mod fuzz;
mod planes;
mod security;
mod service;
mod simulate;
mod tidy;
