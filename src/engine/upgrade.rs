//! What a release that is put in the place of another finds, and the way back.

use serde::Serialize;

use super::{Engine, Result, options};
use crate::config::Config;
use crate::store::upgrade;
use crate::world::World;

pub use crate::store::upgrade::{Formats, WentBack};

/// What a start of this program would find and do.
#[derive(Clone, Debug, Serialize)]
pub struct Preflight {
    /// This program's version.
    pub program: &'static str,
    /// The newest index format and journal version, which it writes.
    pub writes: (u32, u16),
    /// The oldest that it reads.
    pub reads_from: (u32, u16),
    /// What is there; `None` where there is no store yet.
    pub found: Option<Formats>,
    /// Whether its first start writes a format that the release before cannot read. A copy to go back with is kept then.
    pub changes_format: bool,
    /// What would keep it from starting, or from keeping that copy; each says what to do.
    pub problems: Vec<String>,
}

/// The newest index format and journal version, which this program writes, and the oldest that it reads.
pub const fn formats() -> ((u32, u16), (u32, u16)) {
    (upgrade::written(), upgrade::oldest())
}

impl Engine {
    /// Looks at a closed store and writes nothing. Blocks.
    ///
    /// # Errors
    /// Another process has the store, or it cannot be read.
    pub fn preflight(world: &World, config: &Config) -> Result<Preflight> {
        let found = upgrade::look(world, &options(config))?;
        let mut problems = Vec::new();
        if let Some(formats) = found.as_ref().filter(|formats| !formats.is_known()) {
            problems.push(format!(
                "the index has format {} and the journal version {}: this program reads up to {} and {}; run the release that wrote them",
                formats.index,
                formats.journal.unwrap_or(0),
                upgrade::written().0,
                upgrade::written().1
            ));
        }
        let changes_format = found.as_ref().is_some_and(Formats::would_change);
        if changes_format
            && let Some(formats) = &found
            && let Ok((_, free)) = world.disk.space(&config.storage.data_dir)
            && free < formats.copy_bytes.saturating_add(upgrade::ROOM_LEFT)
        {
            problems.push(format!(
                "the copy to go back with takes {} bytes, and {} has {free} free; make room there",
                formats.copy_bytes,
                config.storage.data_dir.display()
            ));
        }
        let program = env!("CARGO_PKG_VERSION");
        let (writes, reads_from) = formats();
        Ok(Preflight { program, writes, reads_from, found, changes_format, problems })
    }

    /// Puts the copy back that the newest change of format has kept, for the release before. Blocks.
    ///
    /// # Errors
    /// There is none, it is damaged, something has changed since and `force` is not set.
    pub fn go_back(world: &World, config: &Config, force: bool) -> Result<WentBack> {
        Ok(upgrade::back(world, &options(config), force)?)
    }
}
