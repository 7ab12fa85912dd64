//! A copy of one state of the index, and of all that a journal would have to say of it, while changes go on.
//!
//! The committer makes the index durable and hands out the state that it then has; it is read from there while the
//! committer goes on. So a backup holds uploads up for a checkpoint, and for nothing else.

use std::path::Path;

use redb::ReadableDatabase;

use super::error::{Doing, StoreError};
use super::index::rows::Row;
use super::index::{self, definitions, meta};
use super::journal::{self, Journal};
use super::layout::DiskIds;
use super::{DISKS, Store, snapshot};
use crate::store::committer::{Command, Failure, Snapshot};
use crate::world::disk::read_through;
use crate::world::paged::copy_tables;
use crate::world::{Disk, World};

/// Memory for pages of a copy.
const CACHE_BYTES: u64 = 32 << 20;

/// What was copied.
#[derive(Clone, Debug)]
pub struct Copied {
    pub store: [u8; 16],
    /// Sequence of the last change in it.
    pub sequence: u64,
    /// The disks that the store had.
    pub disks: Vec<[u8; 16]>,
}

impl Store {
    /// Writes index and journal of this instant into `dir`, which is there. Blocks.
    pub fn copy_to(&self, world: &World, dir: &Path) -> Result<Copied, StoreError> {
        let snapshot = if self.salvage.is_some() {
            // Nothing changes any more.
            Snapshot { txn: self.db.begin_read()?, seq: self.recovery.sequence }
        } else {
            self.queue.ask_blocking(Command::Snapshot).map_err(|failure| match failure {
                Failure::Store(error) => error,
                Failure::Refused(refusal) => StoreError::Index(refusal.to_string()),
            })?
        };
        let disk = &*world.disk;
        let (store, disks) = {
            let table = snapshot.txn.open_table(definitions::meta)?;
            let store = table.get(meta::STORE)?.and_then(|id| id.value().try_into().ok());
            let store = store.ok_or_else(|| StoreError::Index("it does not say which store's it is".to_owned()))?;
            let disks = table.get(DISKS)?.map(|row| DiskIds::decode(row.value())).transpose()?;
            (store, disks.map(|ids| ids.0).unwrap_or_default())
        };
        {
            let copy = index::open_database(disk, &dir.join("index.redb"), CACHE_BYTES, true)?;
            let txn = index::begin_durable(&copy)?;
            copy_tables(&snapshot.txn, &txn)?;
            txn.commit()?;
        }
        let frames = snapshot::frames(&snapshot.txn, &store, snapshot.seq, world.clock.now())?;
        Journal::create(disk, dir, store, snapshot.seq, &frames)?;
        Ok(Copied { store, sequence: snapshot.seq, disks })
    }
}

/// The journal file in a directory.
pub fn journal_name(disk: &dyn Disk, dir: &Path) -> Result<Option<String>, StoreError> {
    let found = journal::files(disk, dir)?.pop();
    Ok(found.and_then(|(_, path)| Some(path.file_name()?.to_str()?.to_owned())))
}

/// Length and BLAKE3 of a file.
pub fn sum_of(disk: &dyn Disk, path: &Path) -> Result<(u64, blake3::Hash), StoreError> {
    let doing = || format!("read {}", path.display());
    let file = disk.open_to_read(path).doing(doing)?;
    let mut hasher = blake3::Hasher::new();
    let len = read_through(&*file, |_, bytes| {
        hasher.update(bytes);
        Ok(())
    });
    Ok((len.doing(doing)?, hasher.finalize()))
}

/// Copies a file; the copy takes its name, durable, when it is whole.
pub fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), StoreError> {
    crate::world::disk::copy_file(disk, from, to).doing(|| format!("copy {} to {}", from.display(), to.display()))
}
