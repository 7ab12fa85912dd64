//! Time, chance and disk, handed in from outside so that a test can jump the clock, tear a write
//! and fail an fsync.

use std::sync::Arc;

pub mod ballast;
pub mod clock;
pub mod disk;
pub mod driven;
pub mod entropy;
pub mod fake;
pub mod grain;
pub mod os;
pub mod overlay;
pub mod paged;

pub use clock::Clock;
pub use disk::{Disk, DiskFile};
pub use entropy::Entropy;
pub use grain::{Grain, Threads};

/// The outside of the program.
#[derive(Clone)]
pub struct World {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// How coarsely the store works.
    pub grain: Grain,
}
