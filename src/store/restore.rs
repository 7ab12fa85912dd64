//! A backup put back where no store is open, and held against the volumes that are left.
//!
//! The index is made anew from the volumes, so that files that were uploaded since the backup are there and files whose
//! records are gone are not. What the volumes do not say comes from the journal beside them where that goes on past the
//! backup, else from the backup. Files of owners that neither knows, because they came later, are adopted by an account
//! of their own: a rebuild would take them for those of closed sub-accounts and give their space back.
//! Nothing is deleted: what was in the place of what is put back is kept under another name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};

use super::backup::copy_file;
use super::error::{Doing, StoreError};
use super::event::Event;
use super::index::apply::object_key;
use super::index::rows::{ObjectRow, Row};
use super::index::view::View;
use super::index::{self, definitions};
use super::journal::{self, Journal};
use super::layout::{Layout, file_exists};
use super::recovery::{Beginning, RebuildReport, Strangers};
use super::volume::Dead;
use super::{Options, Store, snapshot};
use crate::config::SELF_SIGNED;
use crate::domain::{BucketId, SubAccountId, Timestamp};
use crate::store::codec::Decoder;
use crate::vault::Keys;
use crate::world::overlay::Overlay;
use crate::world::{Disk, World};

/// What is put back beside the index, where the backup has it.
const BESIDE: [&str; 3] = ["books.redb", "master.key", SELF_SIGNED];

/// Files of an owner whom the journal does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stranger {
    /// Whether it is an own bucket.
    pub own: bool,
    /// Bytes of its files, replaced ones too.
    pub bytes: u64,
}

/// Makes accounts and sub-accounts for owners that nobody knows; the number is free for an account's id.
pub type Adopt<'a> = &'a mut dyn FnMut(&Keys, u64, &BTreeMap<SubAccountId, Stranger>) -> Vec<Event>;

/// A backup that was verified.
pub struct Backup<'a> {
    /// Its directory.
    pub dir: &'a Path,
    /// The store that it is of.
    pub store: [u8; 16],
    /// Sequence of the last change in it.
    pub sequence: u64,
    /// Sequence of the last journal event before it.
    pub last_event: u64,
    /// What is in the way is kept under another name, instead of saying no.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub rebuilt: RebuildReport,
    /// Whether the journal beside the volumes told what came after the backup.
    pub journal_was_there: bool,
    /// Whether it ended in damage, and what came after that is not known.
    pub journal_was_damaged: bool,
    /// Files that were stored after the backup.
    pub newer: u64,
    /// Files that the backup knows and of which there is no record any more.
    pub missing: u64,
    /// Those of them that lie in volumes which are not there.
    pub in_missing_volumes: u64,
    /// Owners that were adopted.
    pub adopted: u64,
    /// What was in the way, under its new name.
    pub kept_aside: Vec<PathBuf>,
}

impl Store {
    /// Puts a backup back. Blocks.
    pub fn restore(
        world: &World,
        options: &Options,
        backup: &Backup<'_>,
        adopt: Adopt<'_>,
    ) -> Result<Restored, StoreError> {
        let layout = Layout::new(options);
        let disk = &*world.disk;
        look_at_volumes(disk, &layout, options, backup)?;
        let _lock = layout.take_lock(world)?;
        let mut done = Restored::default();
        clear_the_place(world, &layout, options, backup, &mut done)?;
        for name in BESIDE {
            let from = backup.dir.join(name);
            let key = name == "master.key";
            let to = if key { layout.master_key.clone() } else { options.data_dir.join(name) };
            // A key that lies elsewhere was not lost with the data directory, and may be newer than the backup's.
            if file_exists(disk, &from)? && !(key && file_exists(disk, &to)?) {
                copy_file(disk, &from, &to)?;
            }
        }
        let key = super::load_keys(world, &layout)?;
        for dir in layout.volumes.iter().chain([&layout.journal]) {
            disk.create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
        }
        layout.mark_disks(world, backup.store)?;
        let beside = journal::read(disk, &layout.journal, &backup.store).unwrap_or_else(|error| {
            tracing::warn!(%error, "the journal beside the volumes cannot be read");
            None
        });
        let end = |frames: &[journal::Frame]| frames.iter().map(|frame| frame.seq).max().unwrap_or(0);
        let beside = beside.filter(|(frames, _)| end(frames) >= backup.last_event);
        done.journal_was_there = beside.is_some();
        let (frames, whole) = match beside {
            Some(found) => found,
            None => {
                let found = journal::read(disk, backup.dir, &backup.store)?;
                let none = || StoreError::Unusable(format!("{} holds no journal", backup.dir.display()));
                (found.ok_or_else(none)?.0, true)
            }
        };
        done.journal_was_damaged = !whole;
        let known_until = (!done.journal_was_there || !whole).then(|| end(&frames));
        // Only looked at: it stays as it was taken.
        let reader = Overlay::new(std::sync::Arc::clone(&world.disk));
        let history = index::open_database(&reader, &backup.dir.join("index.redb"), options.index_cache, false)?;
        let mut adopted = 0;
        let mut adopt_counted = |first: u64, strangers: &BTreeMap<SubAccountId, Stranger>| {
            adopted = strangers.len() as u64;
            adopt(&key, first, strangers)
        };
        let strangers = known_until.map(|after| Strangers { after, adopt: &mut adopt_counted });
        let beginning = Beginning { history: Some(&history), strangers };
        done.rebuilt = super::make_index(world, options, &layout, backup.store, frames, &Dead::default(), beginning)?;
        done.adopted = adopted;
        let db = index::open_database(disk, &layout.index, options.index_cache, false)?;
        if known_until.is_some() {
            renew_journal(world, &layout, &db, backup, &mut done)?;
        }
        compare(&history, &db, options, disk, backup, &mut done)?;
        Ok(done)
    }
}

/// Whose the directories are.
fn look_at_volumes(disk: &dyn Disk, layout: &Layout, options: &Options, backup: &Backup<'_>) -> Result<(), StoreError> {
    for dir in &layout.volumes {
        if !dir.starts_with(&options.data_dir) {
            disk.list(dir).doing(|| format!("look into {} (is the disk mounted?)", dir.display()))?;
        }
    }
    match layout.store_id(disk)? {
        Some(other) if other != backup.store => Err(StoreError::Unusable(
            "the volumes belong to another store than the backup; move them away, or name its own in storage.volumes"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Nothing may be in the way, or it is put aside.
fn clear_the_place(
    world: &World,
    layout: &Layout,
    options: &Options,
    backup: &Backup<'_>,
    done: &mut Restored,
) -> Result<(), StoreError> {
    let disk = &*world.disk;
    let mut in_the_way = Vec::new();
    let beside = BESIDE.map(|name| (options.data_dir.join(name), backup.dir.join(name)));
    for (path, source) in beside {
        // What the backup has not is not in its way.
        if file_exists(disk, &source)? && file_exists(disk, &path)? {
            in_the_way.push(path);
        }
    }
    if file_exists(disk, &layout.index)? {
        in_the_way.push(layout.index.clone());
    }
    if !in_the_way.is_empty() && !backup.force {
        let names: Vec<_> = in_the_way.iter().map(|path| path.display().to_string()).collect();
        return Err(StoreError::Unusable(format!(
            "there is a store already ({}); --force keeps it aside and restores in its place",
            names.join(", ")
        )));
    }
    for path in in_the_way {
        put_aside(disk, &path, world.clock.now(), done)?;
    }
    disk.sync_dir(&options.data_dir).doing(|| format!("sync {}", options.data_dir.display()))
}

fn put_aside(disk: &dyn Disk, path: &Path, now: Timestamp, done: &mut Restored) -> Result<(), StoreError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".before-restore-{}", now.millis()));
    let aside = PathBuf::from(aside);
    disk.rename(path, &aside).doing(|| format!("rename {}", path.display()))?;
    done.kept_aside.push(aside);
    Ok(())
}

/// A journal that says what the index says, in the place of one that is lost, damaged or does not know of all.
fn renew_journal(
    world: &World,
    layout: &Layout,
    db: &Database,
    backup: &Backup<'_>,
    done: &mut Restored,
) -> Result<(), StoreError> {
    let disk = &*world.disk;
    for (_, path) in journal::files(disk, &layout.journal)? {
        put_aside(disk, &path, world.clock.now(), done)?;
    }
    let txn = db.begin_read()?;
    let seq = index::meta_u64(&txn.open_table(definitions::meta)?, index::meta::SEQ)?.unwrap_or(0);
    let frames = snapshot::frames(&txn, &backup.store, seq, world.clock.now())?;
    Journal::create(disk, &layout.journal, backup.store, seq + 1, &frames)?;
    Ok(())
}

/// What has changed since the backup, file by file.
fn compare(
    history: &Database,
    db: &Database,
    options: &Options,
    disk: &dyn Disk,
    backup: &Backup<'_>,
    done: &mut Restored,
) -> Result<(), StoreError> {
    let (before, now) = (View::new(history.begin_read()?), View::new(db.begin_read()?));
    now.each(definitions::objects, |_, value| {
        done.newer += u64::from(ObjectRow::decode(value)?.id.get() > backup.sequence);
        Ok(())
    })?;
    let mut volumes = std::collections::HashSet::new();
    for dir in &options.volumes {
        volumes.extend(
            disk.list(dir)
                .doing(|| format!("list {}", dir.display()))?
                .iter()
                .filter_map(|file| super::volume::identity::volume_number(file)),
        );
    }
    before.each(definitions::objects, |key, value| {
        let bucket = BucketId::new(Decoder::new(key, "object key").u64()?);
        if now.object(bucket, &object_key(key)?)?.is_none() {
            done.missing += 1;
            done.in_missing_volumes += u64::from(!volumes.contains(&ObjectRow::decode(value)?.place.volume));
        }
        Ok(())
    })
}
