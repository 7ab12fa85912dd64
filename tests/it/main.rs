//! The whole crate from its public side, in one process.

mod planes;
mod tidy;
