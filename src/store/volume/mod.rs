//! Volumes: large append-only files that hold the records, one active one a disk.
//!
//! ```text
//! vol-00000001.kdv
//! [0..4096]  first sector: who the volume is (`identity`)
//! [4096..]   records, each at a multiple of 4,096; holes where records were
//! ```
//!
//! Room is given out at the tail and never twice: what is deleted is punched, and a volume whose
//! records are all gone is removed. So no byte is ever written over, and a reader that is late
//! finds the bytes that it looks for, or zeros.

mod full;
mod headers;
pub mod identity;
pub mod lane;
pub mod reader;
pub mod record;
pub mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use self::headers::Headers;
use self::identity::{Identity, Sound, copy_number, copy_path, volume_number};
use self::lane::Lane;
use self::record::{Extent, Header, SECTOR, SECTOR_LEN, sectors};
use super::buffer::Pool;
use super::error::{Doing, StoreError};
use crate::config::Reserve;
use crate::domain::VolumeId;
use crate::world::ballast::Ballast;
use crate::world::disk::remove_if_there;
use crate::world::{Disk, DiskFile, Grain, World};

/// No record is longer than this; a longer upload has several.
const SEGMENT_MAX: u64 = 256 << 20;

/// One open volume file.
#[derive(Debug)]
pub struct Volume {
    pub id: VolumeId,
    /// Which of the configured directories holds it.
    pub dir: usize,
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    /// Key of its record headers.
    pub key: [u8; 32],
    /// Bytes that it may grow to.
    pub size: u64,
    /// Set when a sync failed: nothing on it is acknowledged any more.
    failed: AtomicBool,
}

/// All volumes, and the room in them.
#[derive(Debug)]
pub struct Volumes {
    dirs: Vec<Dir>,
    store_id: [u8; 16],
    volume_size: u64,
    reserve: Mutex<Reserve>,
    /// Room for index and journal: without it no upload is taken.
    spare: Vec<Ballast>,
    /// Whether operators have been told that the disks are full.
    said_full: AtomicBool,
    files: RwLock<HashMap<VolumeId, Arc<Volume>>>,
    room: Mutex<Room>,
    /// Memory for payload on its way in and out.
    pub buffers: Arc<Pool>,
    /// Headers that were read lately.
    headers: Headers,
    /// Nothing is written anywhere: salvage mode.
    lenient: bool,
    /// Used to make volumes and their keys.
    world: WorldHandle,
}

struct WorldHandle(World);

impl std::fmt::Debug for WorldHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    lane: Lane,
    state: DirState,
}

/// What a disk is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DirState {
    Well,
    /// It fails: it is read, and nothing is written there.
    ReadOnly,
    /// It is dead: nothing of it is opened.
    Offline,
}

/// What is done about disks that are dead.
#[derive(Clone, Debug, Default)]
pub struct Dead {
    /// Directories of which nothing is opened.
    pub offline: Vec<PathBuf>,
    /// Directories where what cannot be read is passed over, and nothing is written.
    pub read_only: Vec<PathBuf>,
    /// The same of all of them.
    pub lenient: bool,
}

#[derive(Debug, Default)]
struct Room {
    active: Vec<Option<Active>>,
    /// Extents that were given out and belong to no row yet: offset to length.
    open: BTreeMap<(VolumeId, u64), u64>,
    /// Extents of uploads that died, to be punched. As long as they are here a start after a crash
    /// looks at them.
    discarded: Vec<Extent>,
    next_volume: u32,
    next_dir: usize,
}

#[derive(Debug)]
struct Active {
    volume: Arc<Volume>,
    /// First byte that was never given out.
    tail: u64,
    /// Bytes of disk set aside.
    allocated: u64,
}

/// Room for one record, its own until it is committed. Dropped before that, it is given back.
#[derive(Debug)]
pub struct Reservation {
    pub volume: Arc<Volume>,
    pub extent: Extent,
    owner: Arc<Volumes>,
    kept: bool,
}

/// Where the tails are and what is under way: what a start after a crash has to look through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomMark {
    /// Volume and tail; volumes that are not named are full.
    pub tails: Vec<(VolumeId, u64)>,
    /// Extents given out and not committed.
    pub open: Vec<Extent>,
    /// Volumes from this number on were made after the mark.
    pub next_volume: u32,
}

// === impl Volume ===

impl Volume {
    /// Makes every byte written so far durable; after a failure, never again.
    pub fn sync(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Stopped(format!("an earlier sync of volume {} failed", self.id)));
        }
        let synced = self.file.sync_data();
        if synced.is_err() {
            // The kernel has marked the pages clean: a second sync would lie.
            self.failed.store(true, Ordering::Release);
        }
        synced.doing(|| format!("sync volume {}", self.id))
    }

    /// A write to it failed: nothing on it is acknowledged any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// The header at `offset`, checked against where it stands; `None` where there is none.
    pub fn read_header(&self, offset: u64) -> Result<Option<Header>, StoreError> {
        let mut first = vec![0; SECTOR_LEN];
        let len = self.file.len().doing(|| format!("measure volume {}", self.id))?;
        if offset.saturating_add(SECTOR) > len {
            return Ok(None);
        }
        self.file.read_exact_at(&mut first, offset).doing(|| format!("read volume {}", self.id))?;
        let Some(header_len) = Header::peek_len(&first, &self.key) else { return Ok(None) };
        if u64::from(header_len) > SECTOR {
            if offset.saturating_add(u64::from(header_len)) > len {
                return Ok(None);
            }
            first.resize(header_len as usize, 0);
            self.file.read_exact_at(&mut first, offset).doing(|| format!("read volume {}", self.id))?;
        }
        match Header::decode(&first, &self.key) {
            Ok(header) if header.volume == self.id && header.offset == offset => Ok(Some(header)),
            _ => Ok(None),
        }
    }
}

// === impl Volumes ===

impl Volumes {
    /// Opens every volume in `dirs`.
    pub fn open(
        world: World,
        dirs: &[PathBuf],
        store_id: [u8; 16],
        volume_size: u64,
        reserve: Reserve,
        dead: &Dead,
    ) -> Result<Self, StoreError> {
        let mut files = HashMap::new();
        let mut open_dirs = Vec::new();
        let mut last = 0;
        for (number, path) in dirs.iter().enumerate() {
            let lane =
                Lane::start(&number.to_string(), world.grain.threads).doing(|| "start a disk's threads".to_owned())?;
            let lenient = dead.lenient || dead.read_only.contains(path);
            let listed = if dead.offline.contains(path) {
                None
            } else {
                match world.disk.list(path).doing(|| format!("list {}", path.display())) {
                    Ok(listed) => Some(listed),
                    Err(error) if lenient => {
                        tracing::error!(%error, "a disk cannot be read; none of its files is served");
                        None
                    }
                    Err(error) => return Err(error),
                }
            };
            let state = match (listed.is_some(), lenient) {
                (false, _) => DirState::Offline,
                (true, true) => DirState::ReadOnly,
                (true, false) => DirState::Well,
            };
            if state == DirState::Well {
                // A process that was killed, or failed, when it made a volume may have left a name that is on no disk.
                world.disk.sync_dir(path).doing(|| format!("sync {}", path.display()))?;
            }
            let listed = listed.unwrap_or_default();
            for file in &listed {
                let Some(id) = volume_number(file) else { continue };
                last = last.max(id.get());
                match open_volume(&world, file, id, number, store_id, lenient) {
                    Ok(Some(volume)) => {
                        files.insert(id, Arc::new(volume));
                    }
                    Ok(None) if lenient => {}
                    Ok(None) => world.disk.remove(file).doing(|| format!("remove {}", file.display()))?,
                    Err(error) if lenient => {
                        tracing::error!(%error, "a volume cannot be read; none of its files is served");
                    }
                    Err(error) => return Err(error),
                }
            }
            if state == DirState::Well {
                // A crash came when a volume was being made or removed.
                let alone = |copy: &&PathBuf| copy_number(copy).is_some_and(|id| !files.contains_key(&id));
                for copy in listed.iter().filter(alone) {
                    world.disk.remove(copy).doing(|| format!("remove {}", copy.display()))?;
                }
            }
            open_dirs.push(Dir { path: path.clone(), lane, state });
        }
        let next_volume = last + 1;
        let room = Room { active: dirs.iter().map(|_| None).collect(), next_volume, ..Room::default() };
        Ok(Self {
            dirs: open_dirs,
            store_id,
            volume_size,
            reserve: Mutex::new(reserve),
            spare: Vec::new(),
            said_full: AtomicBool::new(false),
            files: RwLock::new(files),
            room: Mutex::new(room),
            buffers: Arc::default(),
            headers: Headers::default(),
            lenient: dead.lenient,
            world: WorldHandle(world),
        })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // A panic while the room was held leaves it whole: every change is one assignment.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what cannot be read of this volume is passed over, and nothing is written to it.
    pub fn is_read_only(&self, volume: &Volume) -> bool {
        self.lenient || self.dirs[volume.dir].state == DirState::ReadOnly
    }

    /// Whether what is deleted in this volume can be given back to its disk.
    pub fn can_punch(&self, id: VolumeId) -> bool {
        self.get(id).is_some_and(|volume| !self.is_read_only(&volume))
    }

    /// Directories of disks on which a write or a sync has failed.
    pub fn failing(&self) -> Vec<PathBuf> {
        let failed: HashSet<usize> =
            self.all().iter().filter(|volume| volume.failed.load(Ordering::Acquire)).map(|volume| volume.dir).collect();
        failed.into_iter().map(|dir| self.dirs[dir].path.clone()).collect()
    }

    /// Whether there is a disk of which nothing is opened: a volume that is not there may lie on it.
    pub fn some_are_offline(&self) -> bool {
        self.lenient || self.dirs.iter().any(|dir| dir.state != DirState::Well)
    }

    /// Room is given out past this volume: one that is not opened may have that number.
    pub fn never_below(&self, next_volume: u32) {
        let mut room = self.room();
        room.next_volume = room.next_volume.max(next_volume);
    }

    /// The volume, while it exists.
    pub fn get(&self, id: VolumeId) -> Option<Arc<Volume>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All volumes, by number.
    pub fn all(&self) -> Vec<Arc<Volume>> {
        let mut all: Vec<_> = self.files.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by_key(|v| v.id);
        all
    }

    /// How coarsely the store works.
    pub fn grain(&self) -> Grain {
        self.world.0.grain
    }

    /// How long it goes.
    pub fn ticking(&self) -> Duration {
        self.world.0.clock.ticking()
    }

    /// The lane of a volume's disk.
    pub fn lane(&self, volume: &Volume) -> &Lane {
        &self.dirs[volume.dir].lane
    }

    /// Payload bytes that one record may have.
    pub fn segment_max(&self) -> u64 {
        (self.volume_size / 4).min(SEGMENT_MAX) / SECTOR * SECTOR
    }

    /// Room for a record of `len` bytes (whole sectors).
    pub fn reserve(self: &Arc<Self>, len: u64) -> Result<Reservation, StoreError> {
        let len = sectors(len);
        let mut room = self.room();
        let mut last = StoreError::DiskFull;
        // What is left of a disk whose room held back is spent is for what makes room.
        for step in 0..if self.is_spent() { 0 } else { self.dirs.len() } {
            let dir = (room.next_dir + step) % self.dirs.len();
            if self.dirs[dir].state != DirState::Well {
                continue;
            }
            match self.reserve_in(&mut room, dir, len) {
                Ok((volume, extent)) => {
                    room.next_dir = (dir + 1) % self.dirs.len();
                    room.open.insert((extent.volume, extent.offset), extent.len);
                    return Ok(Reservation { volume, extent, owner: Arc::clone(self), kept: false });
                }
                Err(error) => last = error,
            }
        }
        drop(room);
        if matches!(last, StoreError::DiskFull)
            && let Some(why) = self.no_room()
        {
            self.say(Some(&why));
        }
        Err(last)
    }

    fn reserve_in(&self, room: &mut Room, dir: usize, len: u64) -> Result<(Arc<Volume>, Extent), StoreError> {
        let fits =
            |active: &Active| active.tail + len <= active.volume.size && !active.volume.failed.load(Ordering::Acquire);
        if !room.active[dir].as_ref().is_some_and(fits) {
            let id = VolumeId::new(room.next_volume);
            let volume = Arc::new(self.create(id, dir, len)?);
            room.next_volume += 1;
            if let Some(full) = room.active[dir].take() {
                // What was set aside and will not be used goes back.
                let rest = Extent { volume: full.volume.id, offset: full.tail, len: full.allocated - full.tail };
                room.discarded.extend(Some(rest).filter(|rest| rest.len > 0));
            }
            self.files.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&volume));
            room.active[dir] = Some(Active { volume, tail: SECTOR, allocated: SECTOR });
        }
        let Some(active) = room.active[dir].as_mut() else { return Err(StoreError::DiskFull) };
        let end = active.tail + len;
        if end > active.allocated {
            let step = self.world.0.grain.allocate_step;
            let upto = end.div_ceil(step).saturating_mul(step).min(active.volume.size).max(end);
            let upto = match self.check_reserve(dir, upto - active.allocated) {
                Ok(()) => upto,
                Err(_) => {
                    self.check_reserve(dir, end - active.allocated)?;
                    end
                }
            };
            active
                .volume
                .file
                .allocate(active.allocated, upto - active.allocated)
                .map_err(|error| no_room(error, || format!("set space aside in volume {}", active.volume.id)))?;
            active.allocated = upto;
        }
        let extent = Extent { volume: active.volume.id, offset: active.tail, len };
        active.tail = end;
        Ok((Arc::clone(&active.volume), extent))
    }

    fn check_reserve(&self, dir: usize, more: u64) -> Result<(), StoreError> {
        let (free, reserve) = self.free(dir)?;
        if free >= reserve.saturating_add(more) { Ok(()) } else { Err(StoreError::DiskFull) }
    }

    /// Free bytes of a disk, and those that uploads may not touch.
    fn free(&self, dir: usize) -> Result<(u64, u64), StoreError> {
        let path = &self.dirs[dir].path;
        let (total, free) = self.world.0.disk.space(path).doing(|| format!("measure {}", path.display()))?;
        let reserve = match *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) {
            Reserve::Percent(percent) => u64::try_from(u128::from(total) * u128::from(percent) / 100).unwrap_or(total),
            Reserve::Bytes(bytes) => bytes,
        };
        Ok((free, reserve))
    }

    /// Each disk: directory, size, free, reserve, volumes, whether it is dead or one of them failed.
    pub fn disks(&self) -> Vec<(PathBuf, u64, u64, u64, u32, bool)> {
        let volumes = self.all();
        self.dirs
            .iter()
            .enumerate()
            .map(|(number, dir)| {
                let (total, _) = self.world.0.disk.space(&dir.path).unwrap_or((0, 0));
                let (free, reserve) = self.free(number).unwrap_or((0, 0));
                let here = volumes.iter().filter(|v| v.dir == number);
                let failed = dir.state != DirState::Well || here.clone().any(|v| v.failed.load(Ordering::Acquire));
                (dir.path.clone(), total, free, reserve, u32::try_from(here.count()).unwrap_or(u32::MAX), failed)
            })
            .collect()
    }

    fn create(&self, id: VolumeId, dir: usize, need: u64) -> Result<Volume, StoreError> {
        let size = self.volume_size.max(SECTOR + need);
        self.check_reserve(dir, need)?;
        let key = self.world.0.entropy.bytes();
        let path = self.dirs[dir].path.join(format!("vol-{:08}.kdv", id.get()));
        let disk = &self.world.0.disk;
        let make = || {
            let file = disk.create(&path)?;
            let identity = Identity { id, store: self.store_id, key, size };
            let done = identity.write(&**disk, &path, &*file);
            if done.is_err() {
                // Else the next attempt would find the name taken.
                let _ = disk.remove(&path);
                let _ = disk.remove(&copy_path(&path));
            }
            done.map(|()| file)
        };
        let file = make().map_err(|error| no_room(error, || format!("make volume {}", path.display())))?;
        Ok(Volume { id, dir, file, path, key, size, failed: AtomicBool::new(false) })
    }

    /// Tails and open extents at this instant.
    pub fn mark(&self) -> RoomMark {
        let room = self.room();
        RoomMark {
            tails: room.active.iter().flatten().map(|a| (a.volume.id, a.tail)).collect(),
            open: room
                .open
                .iter()
                .map(|(&(volume, offset), &len)| Extent { volume, offset, len })
                .chain(room.discarded.iter().copied())
                .collect(),
            next_volume: room.next_volume,
        }
    }

    /// Goes on at `tail` in a volume that was active before a restart.
    pub fn resume(&self, volume: &Arc<Volume>, tail: u64) {
        let mut room = self.room();
        let active = Active { volume: Arc::clone(volume), tail, allocated: tail };
        let place = &mut room.active[volume.dir];
        if place.as_ref().is_none_or(|other| other.volume.id < volume.id) {
            *place = Some(active);
        }
    }

    /// Whether room is given out in this volume.
    pub fn is_active(&self, id: VolumeId) -> bool {
        let room = self.room();
        room.active.iter().flatten().any(|a| a.volume.id == id) || room.open.keys().any(|&(v, _)| v == id)
    }

    /// Extents of uploads that died and have yet to be punched.
    pub fn discarded(&self) -> Vec<Extent> {
        self.room().discarded.clone()
    }

    /// These have been punched.
    pub fn forget_discarded(&self, punched: &[Extent]) {
        let punched: HashSet<&Extent> = punched.iter().collect();
        self.room().discarded.retain(|extent| !punched.contains(extent));
    }

    /// Gives extents back to the file system, durably.
    pub fn punch(&self, extents: &[Extent]) -> Result<(), StoreError> {
        let mut sorted: Vec<_> = extents.to_vec();
        sorted.sort();
        let mut merged: Vec<Extent> = Vec::new();
        for extent in sorted {
            match merged.last_mut() {
                Some(last) if last.volume == extent.volume && last.offset + last.len == extent.offset => {
                    last.len += extent.len
                }
                _ => merged.push(extent),
            }
        }
        let mut touched = BTreeMap::new();
        for extent in merged {
            let Some(volume) = self.get(extent.volume).filter(|volume| !self.is_read_only(volume)) else { continue };
            volume.file.punch(extent.offset, extent.len).doing(|| format!("punch volume {}", volume.id))?;
            touched.insert(volume.id, volume);
        }
        for volume in touched.values() {
            volume.sync()?;
        }
        Ok(())
    }

    /// Holds the first sector and its copy of each volume against what is known of it, and writes anew what has rotted;
    /// says of which volumes something had, and what could not be done about it. Blocks.
    pub fn mend_identities(&self) -> Vec<String> {
        let disk = &*self.world.0.disk;
        let mut out = Vec::new();
        for volume in self.all() {
            let right = Identity { id: volume.id, store: self.store_id, key: volume.key, size: volume.size };
            let sound = match Identity::read(disk, &volume.path, &*volume.file) {
                Ok(Some((said, sound))) if said == right => sound,
                // Whatever they say, it is not this volume.
                _ => Sound { first: false, copy: false },
            };
            // Removed while it was looked at, it is nobody's.
            if (sound.first && sound.copy) || self.is_read_only(&volume) || self.get(volume.id).is_none() {
                continue;
            }
            let mended = right.mend(disk, &volume.path, &*volume.file, sound);
            let what = if sound.first { "the copy of the first sector" } else { "the first sector" };
            out.push(match mended {
                Ok(()) => format!("{}: {what} had rotted and was written anew", volume.path.display()),
                Err(error) => format!("{}: {what} has rotted and cannot be written: {error}", volume.path.display()),
            });
        }
        out
    }

    /// Removes a volume in which nothing lives.
    pub fn remove(&self, id: VolumeId) -> Result<(), StoreError> {
        let Some(volume) = self.get(id).filter(|volume| !self.is_read_only(volume)) else { return Ok(()) };
        self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let doing = || format!("remove volume {}", volume.path.display());
        self.world.0.disk.remove(&volume.path).doing(doing)?;
        remove_if_there(&*self.world.0.disk, &copy_path(&volume.path)).doing(doing)?;
        self.world.0.disk.sync_dir(&self.dirs[volume.dir].path).doing(doing)
    }
}

// === impl Reservation ===

impl Reservation {
    /// The record is in the index: its room is its own for good, but for what was not used.
    pub fn keep(mut self, used: u64) {
        self.kept = true;
        let mut room = self.owner.room();
        room.open.remove(&(self.extent.volume, self.extent.offset));
        let used = sectors(used);
        if used < self.extent.len {
            room.discarded.push(Extent {
                volume: self.extent.volume,
                offset: self.extent.offset + used,
                len: self.extent.len - used,
            });
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Memory only: the punch comes later, and a crash before it is found by recovery.
        if !self.kept {
            let mut room = self.owner.room();
            room.open.remove(&(self.extent.volume, self.extent.offset));
            room.discarded.push(self.extent);
        }
    }
}

/// A disk that is full is no failure of the disk.
fn no_room(error: std::io::Error, doing: impl FnOnce() -> String) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        StoreError::DiskFull
    } else {
        StoreError::Io { doing: doing(), source: error.into() }
    }
}

impl Volume {
    /// A volume of whatever store, for reading alone; and which store's it is. `None` for one that a crash left
    /// before its first sector was written.
    pub fn open_to_read(disk: &dyn Disk, path: &Path) -> Result<Option<(Self, [u8; 16])>, StoreError> {
        let doing = || format!("open volume {}", path.display());
        let file = disk.open_to_read(path).doing(doing)?;
        let Some((said, _)) = Identity::read(disk, path, &*file)? else { return Ok(None) };
        let Identity { id, store, key, size } = said;
        let volume = Self { id, dir: 0, file, path: path.to_owned(), key, size, failed: AtomicBool::new(false) };
        Ok(Some((volume, store)))
    }
}

/// Opens one volume file; `None` for one that a crash left before its first sector was written. What is bad of who it
/// is is written anew, where it may be.
fn open_volume(
    world: &World,
    path: &Path,
    id: VolumeId,
    dir: usize,
    store_id: [u8; 16],
    lenient: bool,
) -> Result<Option<Volume>, StoreError> {
    let doing = || format!("open volume {}", path.display());
    let file = world.disk.open(path).doing(doing)?;
    let Some((said, sound)) = Identity::read(&*world.disk, path, &*file).map_err(|error| match error {
        error @ StoreError::Io { .. } => error,
        error => StoreError::Unusable(format!(
            "{}: {error}, and {} does not know it either; restore one of the two files, or move the volume away",
            path.display(),
            copy_path(path).display()
        )),
    })?
    else {
        return Ok(None);
    };
    if said.id != id {
        return Err(StoreError::Unusable(format!(
            "{} says that it is volume {}; it was renamed",
            path.display(),
            said.id
        )));
    }
    if said.store != store_id {
        return Err(StoreError::Unusable(format!("{} belongs to another store; move it away", path.display())));
    }
    if !sound.first {
        tracing::error!(volume = %path.display(), "the first sector has rotted; the copy beside it is used");
    }
    if !lenient {
        match said.mend(&*world.disk, path, &*file, sound) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                tracing::warn!(volume = %path.display(), "the disk is full: there is no copy of the first sector");
            }
            other => other.doing(|| format!("write who {} is", path.display()))?,
        }
    }
    let Identity { key, size, .. } = said;
    Ok(Some(Volume { id, dir, file, path: path.to_owned(), key, size, failed: AtomicBool::new(false) }))
}
