//! What time it is.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// When somebody first asked how long it goes.
static BEGIN: OnceLock<Instant> = OnceLock::new();

/// How long it goes, really.
pub(super) fn since_begin() -> Duration {
    BEGIN.get_or_init(Instant::now).elapsed()
}

/// The wall clock. For testability: nothing else in the program asks what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// How long it goes: it never stands and never goes back, whatever is done to the wall clock.
    fn ticking(&self) -> Duration {
        since_begin()
    }
}
