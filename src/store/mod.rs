//! The store: the only room that knows redb, extents and fsync.
//!
//! Volumes hold the files' bytes in self-describing records, the journal holds every other change,
//! and the index is derived from both. `docs/storage-format.md` has every byte. Absent: the rules
//! of accounts (they come in as decisions), HTTP.

pub mod backup;
pub mod buffer;
pub mod catalog;
pub mod check;
pub mod codec;
pub mod committer;
pub mod error;
pub mod event;
pub mod extract;
pub mod hasher;
pub mod index;
pub mod journal;
pub mod layout;
pub mod recovery;
pub mod restore;
pub mod salvage;
pub mod scrub;
pub mod snapshot;
pub mod upgrade;
pub mod volume;
pub mod witness;

use std::any::Any;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, ReadableDatabase};

use self::catalog::Catalog;
use self::codec::Decoder;
use self::committer::{Bells, Command, Committer, Failure, Queue};
use self::error::{Doing, StoreError};
use self::event::Event;
use self::hasher::Hasher;
use self::index::apply::{Effects, Settings};
use self::index::rows::{AccountRow, OwnBucketRow, Row, Stats, SubAccountRow};
use self::index::view::View;
use self::index::{definitions, meta};
use self::journal::{InJournal, Journal, Opened, SNAPSHOT_AT, encode_frame};
use self::layout::{DiskIds, Found, Layout};
use self::recovery::{Beginning, RebuildReport, RecoveryReport};
use self::volume::{Dead, RoomMark, Volumes};
use crate::config::Reserve;
use crate::domain::{AccountId, SubAccountId};
use crate::vault::Keys;
use crate::world::World;
use crate::world::ballast::Ballast;

/// The file that holds room back, beside the index and beside the journal.
const BALLAST: &str = "ballast";

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Index and lock.
    pub data_dir: PathBuf,
    /// The file of the master key, which may lie on another disk.
    pub master_key: PathBuf,
    /// One directory a disk.
    pub volumes: Vec<PathBuf>,
    /// Bytes of one volume.
    pub volume_size: u64,
    /// Free space that uploads may not touch.
    pub reserve: Reserve,
    /// Bytes of the index's page cache.
    pub index_cache: u64,
    /// Directories of `volumes` whose disk is dead.
    pub offline: Vec<PathBuf>,
    /// Directories of `volumes` whose disk fails: nothing is written there.
    pub read_only: Vec<PathBuf>,
    /// The rules of space.
    pub settings: Settings,
}

/// What holds a directory for this process until it is dropped.
type Taken = Box<dyn Any + Send + Sync>;

/// An open store.
pub struct Store {
    db: Arc<Database>,
    pub volumes: Arc<Volumes>,
    pub catalog: Arc<Catalog>,
    pub queue: Queue,
    pub hasher: Hasher,
    pub bells: Arc<Bells>,
    pub keys: Keys,
    pub recovery: RecoveryReport,
    /// The data directory's disk, with room held back.
    pub spare: Ballast,
    /// Why nothing is changed, where the store was opened to be read alone.
    pub salvage: Option<String>,
    /// Of the data directory and of the disks; given back when the store is closed.
    locks: Mutex<Vec<Taken>>,
}

impl Store {
    /// Opens the store, or makes it where there is none, and brings the index up to date. `acknowledged`: the last
    /// sequence that a store which failed in this process has acknowledged.
    pub fn open(world: World, options: &Options, acknowledged: Option<u64>) -> Result<Self, StoreError> {
        let layout = Layout::new(options);
        let mut taken = vec![layout.take_lock(&world)?];
        let disk = &*world.disk;
        for dir in &layout.volumes {
            if dir.starts_with(&options.data_dir) {
                disk.create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
            }
        }
        // What a process that ended in the middle of something has named is read, and may be on no disk.
        disk.sync_dir(&options.data_dir).doing(|| format!("sync {}", options.data_dir.display()))?;
        let (store_id, keys) = match layout.find(disk)? {
            Found::Store(id) => (id, load_keys(&world, &layout)?),
            Found::Nothing => create(&world, options, &layout)?,
        };
        taken.extend(layout.take_disks(&world)?);
        // Each beside what it is for: a directory may be another disk than the one that holds it.
        let spare = Ballast::hold(Arc::clone(&world.disk), options.data_dir.join(BALLAST));
        let journal_spare = Ballast::hold(Arc::clone(&world.disk), layout.journal.join(BALLAST));
        let mut db = index::open_database(&spare, &layout.index, options.index_cache, false)?;
        let Meta { applied, mark, disks, known, format } = read_meta(&db, store_id)?;
        if upgrade::is_due(disk, &layout, format)? {
            drop(db);
            upgrade::keep(&world, options, &layout)?;
            db = index::open_database(&spare, &layout.index, options.index_cache, false)?;
        }
        // Before any directory is marked: one without a mark may be where a lost disk is mounted.
        let there = layout.disks(&*world.disk)?;
        let lost: Vec<[u8; 16]> = disks.0.iter().filter(|id| !there.contains(id)).copied().collect();
        if lost.len() > options.offline.len() + options.read_only.len()
            && let Some(lost) = lost.first()
        {
            return Err(StoreError::Unusable(format!(
                "the disk {} of this store is not among storage.volumes: is it mounted? Where it is dead, storage.offline names its directory, and the others go on",
                hex::encode(lost)
            )));
        }
        let marked = layout.mark_disks(&world, store_id)?;
        let (offline, read_only) = (options.offline.clone(), options.read_only.clone());
        let dead = Dead { offline, read_only, lenient: false };
        let (size, reserve) = (options.volume_size, options.reserve);
        let volumes = Volumes::open(world.clone(), &layout.volumes, store_id, size, reserve, &dead)?;
        let volumes = Arc::new(volumes.spare(vec![spare.clone(), journal_spare.clone()]));
        let Some(Opened { mut journal, frames, rotten_at }) =
            Journal::open(&journal_spare, &layout.journal, store_id, known)?
        else {
            return Err(StoreError::Unusable(format!(
                "the journal in {} is missing; restore it from a backup",
                layout.journal.display()
            )));
        };
        let mut recovery = recovery::replay(&db, &volumes, frames, &mark, applied, acknowledged, options.settings)?;
        if let Some(at) = rotten_at {
            tracing::error!(at, "the journal has rotted; the index has what it said, and it is made anew from that");
            let frames = snapshot::frames(&db.begin_read()?, &store_id, recovery.sequence, world.clock.now())?;
            recovery.sequence += 1;
            journal = Journal::create(&journal_spare, &layout.journal, store_id, recovery.sequence, &frames)?;
        }
        // A disk that is dead stays one of the store's.
        write_disks(&db, &DiskIds(marked.into_iter().chain(lost).collect()))?;
        let db = Arc::new(db);
        let catalog = Arc::new(Catalog::new(options.settings));
        load_catalog(&db, &catalog)?;
        let sequence = recovery.sequence;
        let bells = Bells { durable: sequence.into(), acknowledged: sequence.into(), ..Bells::default() };
        let bells = Arc::new(bells);
        let threads = world.grain.threads;
        let committer = Committer {
            db: Arc::clone(&db),
            volumes: Arc::clone(&volumes),
            journal: journal.ahead_by(world.grain.journal_ahead),
            journal_dir: layout.journal,
            spare: spare.clone(),
            journal_spare,
            catalog: Arc::clone(&catalog),
            bells: Arc::clone(&bells),
            seq: recovery.sequence,
            world,
        };
        let queue = committer.start().doing(|| "start the committer".to_owned())?;
        let hasher = Hasher::start(threads).doing(|| "start the hashing thread".to_owned())?;
        let (locks, salvage) = (Mutex::new(taken), None);
        Ok(Self { db, volumes, catalog, queue, hasher, bells, keys, recovery, spare, salvage, locks })
    }

    /// The state of the index after the last commit.
    pub fn view(&self) -> Result<View, StoreError> {
        Ok(View::new(self.db.begin_read()?))
    }

    /// Ends the committer; everything is durable when it returns, and the data directory is free. Blocks.
    pub fn close(&self) -> Result<(), Failure> {
        let closed = if self.salvage.is_some() { Ok(()) } else { self.queue.ask_blocking(Command::Close) };
        self.queue.join();
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        closed
    }

    /// Makes the index anew from volumes and journal, and puts it in the place of the old one.
    pub fn rebuild(world: World, options: &Options) -> Result<RebuildReport, StoreError> {
        let layout = Layout::new(options);
        if let Some(dir) = options.offline.iter().chain(&options.read_only).next() {
            return Err(StoreError::Unusable(format!(
                "storage.offline or storage.read_only names {}: an index that is made now would forget the files there; mount it, or take it out of storage.volumes too",
                dir.display()
            )));
        }
        let _lock = layout.take_lock(&world)?;
        let _disks = layout.take_disks(&world)?;
        let disk = &*world.disk;
        let Some(store_id) = layout.store_id(disk)? else {
            return Err(StoreError::Unusable(
                "there is no store here: no volume directory has a kandian-disk mark".to_owned(),
            ));
        };
        load_keys(&world, &layout)?;
        // Without the journal nobody could tell a closed sub-account's file from another's.
        let Some(Opened { frames, .. }) = Journal::open(disk, &layout.journal, store_id, None)? else {
            return Err(StoreError::Unusable(format!(
                "the journal in {} is missing: accounts and deletions cannot be made from the volumes alone; restore it from a backup",
                layout.journal.display()
            )));
        };
        make_index(&world, options, &layout, store_id, frames, &Dead::default(), Beginning::default())
    }
}

/// Makes an index from volumes and the journal's frames, and puts it in the place of the old one.
fn make_index(
    world: &World,
    options: &Options,
    layout: &Layout,
    store_id: [u8; 16],
    frames: Vec<journal::Frame>,
    dead: &Dead,
    beginning: Beginning<'_>,
) -> Result<RebuildReport, StoreError> {
    let disk = &*world.disk;
    let (size, reserve) = (options.volume_size, options.reserve);
    let volumes = Arc::new(Volumes::open(world.clone(), &layout.volumes, store_id, size, reserve, dead)?);
    let mut path = layout.index.clone().into_os_string();
    path.push(".rebuild");
    let path = PathBuf::from(path);
    if layout::file_exists(disk, &path)? {
        disk.remove(&path).doing(|| format!("remove {}", path.display()))?;
    }
    // In salvage mode marks may be what cannot be read, and no index is kept that could miss one.
    let disks = if dead.lenient { Vec::new() } else { layout.mark_disks(world, store_id)? };
    let mut report = {
        let db = index::open_database(disk, &path, options.index_cache, true)?;
        write_meta(&db, store_id, &DiskIds(disks))?;
        let (mut report, _) = recovery::rebuild(&db, &volumes, frames, options.settings, beginning, world.clock.now())?;
        let catalog = Catalog::new(options.settings);
        load_catalog(&db, &catalog)?;
        let inner = catalog.read();
        report.accounts = inner.accounts.len() as u64;
        report.sub_accounts = inner.sub_accounts.len() as u64;
        let subs = inner.sub_accounts.values().map(|sub| &sub.stats);
        for stats in subs.chain(inner.own_buckets.values().map(|own| &own.stats)) {
            report.objects += stats.files[0] + stats.files[1];
            report.bytes += stats.bytes[0] + stats.bytes[1];
        }
        report
    };
    disk.rename(&path, &layout.index).doing(|| format!("put {} in its place", layout.index.display()))?;
    disk.sync_dir(&options.data_dir).doing(|| format!("sync {}", options.data_dir.display()))?;
    report.records = report.records.max(report.objects);
    Ok(report)
}

fn load_keys(world: &World, layout: &Layout) -> Result<Keys, StoreError> {
    let path = &layout.master_key;
    let keys = Keys::load(&*world.disk, path)
        .map_err(|e| StoreError::Unusable(format!("{}: {e}; restore it from a backup", path.display())))?;
    keys.ok_or_else(|| {
        StoreError::Unusable(format!(
            "{} is missing: secrets cannot be read without it; mount its disk, or restore it from a backup",
            path.display()
        ))
    })
}

/// Makes a new store. The marks come last: until they stand, a crash leaves nothing that counts.
fn create(world: &World, options: &Options, layout: &Layout) -> Result<([u8; 16], Keys), StoreError> {
    let disk = &*world.disk;
    if layout::file_exists(disk, &layout.index)? {
        let started = index::open_database(disk, &layout.index, options.index_cache, false).and_then(|db| {
            let txn = db.begin_read()?;
            let seq = match txn.open_table(definitions::meta) {
                Ok(table) => index::meta_u64(&table, meta::SEQ)?,
                Err(_) => None,
            };
            Ok(seq)
        });
        if started.is_ok_and(|seq| seq.is_some_and(|s| s > 0)) {
            return Err(StoreError::Unusable(format!(
                "{} is the index of a store, but no directory of storage.volumes has its kandian-disk mark: is the disk mounted?",
                layout.index.display()
            )));
        }
        disk.remove(&layout.index).doing(|| format!("remove {}", layout.index.display()))?;
    }
    let store_id = world.entropy.bytes();
    for dir in layout.volumes.iter().chain([&layout.journal]) {
        disk.create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    }
    let failed = |e: crate::vault::VaultError| StoreError::Unusable(e.to_string());
    let keys = match Keys::load(disk, &layout.master_key).map_err(failed)? {
        Some(keys) => keys,
        None => Keys::create(disk, &*world.entropy, &layout.master_key).map_err(failed)?,
    };
    let mut snapshot = Vec::new();
    encode_frame(&mut snapshot, &store_id, SNAPSHOT_AT, 0, world.clock.now(), &Event::SnapshotEnd);
    Journal::create(disk, &layout.journal, store_id, 1, &snapshot)?;
    let db = index::open_database(disk, &layout.index, options.index_cache, true)?;
    write_meta(&db, store_id, &DiskIds(Vec::new()))?;
    drop(db);
    layout.mark_disks(world, store_id)?;
    Ok((store_id, keys))
}

const DISKS: &[u8] = b"disks";

fn write_meta(db: &Database, store_id: [u8; 16], disks: &DiskIds) -> Result<(), StoreError> {
    let txn = index::begin_durable(db)?;
    {
        let mut tables = index::Tables::open(&txn)?;
        tables.meta.insert(meta::FORMAT, u64::from(index::FORMAT).to_be_bytes().as_slice())?;
        tables.meta.insert(meta::STORE, store_id.as_slice())?;
        tables.meta.insert(meta::SEQ, 0u64.to_be_bytes().as_slice())?;
        let mark = RoomMark { next_volume: 1, ..RoomMark::default() };
        tables.meta.insert(meta::MARK, index::encode_mark(&mark).as_slice())?;
        tables.meta.insert(DISKS, disks.encode().as_slice())?;
    }
    Ok(txn.commit()?)
}

fn write_disks(db: &Database, disks: &DiskIds) -> Result<(), StoreError> {
    let (disks, format) = (disks.encode(), u64::from(index::FORMAT).to_be_bytes());
    {
        // As a rule both are there, and a start has one sync less.
        let txn = db.begin_read()?;
        let table = txn.open_table(definitions::meta)?;
        let is = |key: &[u8], wanted: &[u8]| Ok::<_, StoreError>(table.get(key)?.is_some_and(|v| v.value() == wanted));
        if is(DISKS, &disks)? && is(meta::FORMAT, &format)? {
            return Ok(());
        }
    }
    let txn = index::begin_durable(db)?;
    {
        let mut table = txn.open_table(definitions::meta)?;
        table.insert(DISKS, disks.as_slice())?;
        // The replay before has made every table that an older format lacks.
        table.insert(meta::FORMAT, format.as_slice())?;
    }
    Ok(txn.commit()?)
}

/// What an index says of itself.
struct Meta {
    /// Sequence of the last change in it.
    applied: u64,
    mark: RoomMark,
    disks: DiskIds,
    /// Up to where it has what the journal says.
    known: Option<InJournal>,
    format: u32,
}

/// What an index says of itself, which must be of this store and format.
fn read_meta(db: &Database, store_id: [u8; 16]) -> Result<Meta, StoreError> {
    let txn = db.begin_read()?;
    let table = txn.open_table(definitions::meta)?;
    let format = index::meta_u64(&table, meta::FORMAT)?.unwrap_or(0);
    if !(u64::from(index::FORMAT_OLDEST)..=u64::from(index::FORMAT)).contains(&format) {
        return Err(StoreError::Unusable(format!(
            "the index has format {format}, this program reads up to format {}; use the release that wrote it, or `kandian index rebuild`",
            index::FORMAT
        )));
    }
    if table.get(meta::STORE)?.is_none_or(|v| v.value() != store_id) {
        return Err(StoreError::Unusable("the index belongs to another store than the volumes".to_owned()));
    }
    let applied = index::meta_u64(&table, meta::SEQ)?.unwrap_or(0);
    let mark = match table.get(meta::MARK)? {
        Some(value) => index::decode_mark(value.value())?,
        None => RoomMark { next_volume: 1, ..RoomMark::default() },
    };
    let disks = match table.get(DISKS)? {
        Some(value) => DiskIds::decode(value.value())?,
        None => DiskIds(Vec::new()),
    };
    let known = table.get(meta::JOURNAL)?.map(|value| index::decode_place(value.value())).transpose()?;
    Ok(Meta { applied, mark, disks, known, format: u32::try_from(format).unwrap_or(u32::MAX) })
}

fn load_catalog(db: &Database, catalog: &Catalog) -> Result<(), StoreError> {
    let view = View::new(db.begin_read()?);
    let mut effects = Effects::default();
    view.each(definitions::accounts, |key, value| {
        effects
            .accounts
            .push((AccountId::new(Decoder::new(key, "account key").u64()?), Some(AccountRow::decode(value)?)));
        Ok(())
    })?;
    view.each(definitions::sub_accounts, |key, value| {
        effects.sub_accounts.push((
            SubAccountId::new(Decoder::new(key, "sub-account key").u64()?),
            Some(SubAccountRow::decode(value)?),
        ));
        Ok(())
    })?;
    view.each(definitions::own_buckets, |key, value| {
        effects
            .own_buckets
            .push((SubAccountId::new(Decoder::new(key, "own bucket key").u64()?), Some(OwnBucketRow::decode(value)?)));
        Ok(())
    })?;
    view.each(definitions::stats, |key, value| {
        effects.stats.insert(SubAccountId::new(Decoder::new(key, "stats key").u64()?), Stats::decode(value)?);
        Ok(())
    })?;
    catalog.publish(effects, Vec::new());
    Ok(())
}
