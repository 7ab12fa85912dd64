//! What time it is.

use crate::domain::Timestamp;

/// The wall clock. For testability: nothing else in the program asks what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}
