//! Where things lie: the data directory, the volume directories, and the marks that say whose
//! they are.
//!
//! ```text
//! DATA/index.redb     the index
//! DATA/master.key     what secrets are sealed under
//! DATA/kandian.lock   held by the one process that works on the store
//! VOLUMES/kandian-disk   text: marks the directory as a disk of this store
//! VOLUMES/vol-….kdv      volumes
//! VOLUMES[0]/journal/    the journal
//! ```
//!
//! A directory without its mark is a disk that is not mounted, not an empty one.

use std::any::Any;
use std::path::{Path, PathBuf};

use super::error::{Doing, StoreError};
use super::index::rows::Row;
use super::{Options, journal};
use crate::world::disk::{read_file, replace_file};
use crate::world::{Disk, World};

/// The file that marks a volume directory.
const MARK: &str = "kandian-disk";

/// Paths of a store.
#[derive(Clone, Debug)]
pub struct Layout {
    pub index: PathBuf,
    pub master_key: PathBuf,
    pub lock: PathBuf,
    pub volumes: Vec<PathBuf>,
    /// Those of them whose disk is dead.
    pub offline: Vec<PathBuf>,
    /// Those of them whose disk fails.
    pub read_only: Vec<PathBuf>,
    pub journal: PathBuf,
}

/// What the mark of a volume directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskMark {
    pub store: [u8; 16],
    pub disk: [u8; 16],
}

/// In what state a store was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing is there; a new store may be made.
    Nothing,
    /// A store is there.
    Store([u8; 16]),
}

impl Layout {
    /// The paths.
    pub fn new(options: &Options) -> Self {
        let first = options.volumes.first().cloned().unwrap_or_else(|| options.data_dir.join("volumes"));
        Self {
            index: options.data_dir.join("index.redb"),
            master_key: options.master_key.clone(),
            lock: options.data_dir.join("kandian.lock"),
            volumes: options.volumes.clone(),
            offline: options.offline.clone(),
            read_only: options.read_only.clone(),
            journal: first.join("journal"),
        }
    }

    /// Makes the data directory and takes its lock.
    pub fn take_lock(&self, world: &World) -> Result<Box<dyn Any + Send + Sync>, StoreError> {
        if let Some(dir) = self.lock.parent() {
            world.disk.create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
        }
        let lock = world.disk.lock(&self.lock).doing(|| format!("lock {}", self.lock.display()))?;
        lock.ok_or_else(|| {
            StoreError::Unusable(format!(
                "another kandian process works on this data directory ({} is locked); stop it first",
                self.lock.display()
            ))
        })
    }

    /// Takes every directory that has its mark: another data directory, a copy of this one for instance, may name the
    /// same ones.
    pub fn take_disks(&self, world: &World) -> Result<Vec<Box<dyn Any + Send + Sync>>, StoreError> {
        let mut taken = Vec::new();
        // On what is dead or failing nothing is written, and a lock may be more than it gives.
        let kept = |dir: &&PathBuf| !self.offline.contains(dir) && !self.read_only.contains(dir);
        for dir in self.volumes.iter().filter(kept) {
            let mark = dir.join(MARK);
            if !file_exists(&*world.disk, &mark)? {
                continue;
            }
            let lock = world.disk.lock(&mark).doing(|| format!("lock {}", mark.display()))?;
            taken.push(lock.ok_or_else(|| {
                StoreError::Unusable(format!(
                    "another kandian process works on {} ({} is locked), with another data directory; stop it first",
                    dir.display(),
                    mark.display()
                ))
            })?);
        }
        Ok(taken)
    }

    /// Whether there is a store, and whose the volume directories are.
    pub fn find(&self, disk: &dyn Disk) -> Result<Found, StoreError> {
        let mut store = None;
        let mut bare = Vec::new();
        for found in self.marks(disk) {
            match found? {
                (dir, None) => bare.push(dir),
                (_, Some(mark)) if store.is_none_or(|s| s == mark.store) => store = Some(mark.store),
                (dir, Some(_)) => {
                    return Err(StoreError::Unusable(format!(
                        "{} belongs to another store than the directories before it",
                        dir.display()
                    )));
                }
            }
        }
        for dir in &bare {
            if has_volumes(disk, dir) {
                return Err(StoreError::Unusable(format!(
                    "{} holds volumes but no kandian-disk mark; restore the mark from a backup",
                    dir.display()
                )));
            }
        }
        let index = file_exists(disk, &self.index)?;
        match store {
            Some(store) if index => Ok(Found::Store(store)),
            Some(_) => Err(StoreError::Unusable(format!(
                "the index {} is missing although there are volumes; run `kandian index rebuild` to make it from them",
                self.index.display()
            ))),
            None => Ok(Found::Nothing),
        }
    }

    /// Each directory whose disk is not dead, with its mark. One that fails and gives none is passed over: it is one of
    /// the store's all the same.
    fn marks(&self, disk: &dyn Disk) -> impl Iterator<Item = Result<(&PathBuf, Option<DiskMark>), StoreError>> {
        let there = self.volumes.iter().filter(|dir| !self.offline.contains(*dir));
        there.filter_map(move |dir| match read_mark(disk, dir) {
            Ok(None) | Err(_) if self.read_only.contains(dir) => None,
            found => Some(found.map(|mark| (dir, mark))),
        })
    }

    /// The store id of the volume directories, whether or not there is an index.
    pub fn store_id(&self, disk: &dyn Disk) -> Result<Option<[u8; 16]>, StoreError> {
        let mut store = None;
        for dir in self.volumes.iter().filter(|dir| !self.offline.contains(*dir)) {
            store = store.or(read_mark(disk, dir)?.map(|m| m.store));
        }
        Ok(store)
    }

    /// The ids of the disks that are there and can be read.
    pub fn disks(&self, disk: &dyn Disk) -> Result<Vec<[u8; 16]>, StoreError> {
        self.marks(disk).filter_map(|found| found.map(|(_, mark)| Some(mark?.disk)).transpose()).collect()
    }

    /// As [`Layout::store_id`], of what can be read of the disks.
    pub fn store_id_of_what_is_left(&self, disk: &dyn Disk) -> Option<[u8; 16]> {
        self.volumes.iter().find_map(|dir| read_mark(disk, dir).ok().flatten()).map(|mark| mark.store)
    }

    /// Marks every directory that has no mark yet; gives the ids of all disks but those that are dead.
    pub fn mark_disks(&self, world: &World, store: [u8; 16]) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut disks = Vec::new();
        for found in self.marks(&*world.disk) {
            let mark = match found? {
                (_, Some(mark)) => mark,
                (dir, None) => {
                    let mark = DiskMark { store, disk: world.entropy.bytes() };
                    replace_file(&*world.disk, &dir.join(MARK), mark.text().as_bytes())
                        .doing(|| format!("mark {}", dir.display()))?;
                    mark
                }
            };
            disks.push(mark.disk);
        }
        Ok(disks)
    }

    /// Whether the journal has a file.
    pub fn has_journal(&self, disk: &dyn Disk) -> bool {
        journal::exists(disk, &self.journal)
    }
}

impl DiskMark {
    fn text(&self) -> String {
        let body = format!("kandian disk 1\nstore {}\ndisk {}\n", hex::encode(self.store), hex::encode(self.disk));
        let sum = blake3::hash(body.as_bytes()).to_hex();
        format!("{body}sum {sum}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, sum) = text.split_at_checked(text.rfind("sum ")?)?;
        if sum.strip_prefix("sum ")?.trim_end() != blake3::hash(body.as_bytes()).to_hex().as_str() {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != "kandian disk 1" {
            return None;
        }
        let mut id =
            |name: &str| -> Option<[u8; 16]> { hex::decode(lines.next()?.strip_prefix(name)?).ok()?.try_into().ok() };
        Some(Self { store: id("store ")?, disk: id("disk ")? })
    }
}

fn read_mark(disk: &dyn Disk, dir: &Path) -> Result<Option<DiskMark>, StoreError> {
    let path = dir.join(MARK);
    let Some(bytes) = read_file(disk, &path).doing(|| format!("read {}", path.display()))? else { return Ok(None) };
    let mark = String::from_utf8(bytes).ok().and_then(|t| DiskMark::parse(&t));
    mark.map(Some)
        .ok_or_else(|| StoreError::Unusable(format!("{} is damaged; restore it from a backup", path.display())))
}

fn has_volumes(disk: &dyn Disk, dir: &Path) -> bool {
    let volume = |p: &PathBuf| p.extension().is_some_and(|e| e == "kdv");
    disk.list(dir).is_ok_and(|files| files.iter().any(volume))
}

/// Whether there is a file; an error is not an answer.
pub fn file_exists(disk: &dyn Disk, path: &Path) -> Result<bool, StoreError> {
    match disk.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).doing(|| format!("open {}", path.display())),
    }
}

/// The ids of disks, as the index keeps them.
#[derive(Debug, PartialEq, Eq)]
pub struct DiskIds(pub Vec<[u8; 16]>);

impl Row for DiskIds {
    const WHAT: &'static str = "disk ids";

    fn write(&self, out: &mut super::codec::Encoder) {
        for id in &self.0 {
            out.raw(id);
        }
    }

    fn read(input: &mut super::codec::Decoder<'_>) -> Result<Self, super::codec::Malformed> {
        let mut ids = Vec::new();
        while let Ok(id) = input.array() {
            ids.push(id);
        }
        Ok(Self(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_not_when_it_was_changed() {
        let mark = DiskMark { store: [1; 16], disk: [2; 16] };
        let text = mark.text();
        assert_eq!(DiskMark::parse(&text), Some(mark));
        assert_eq!(DiskMark::parse(&text.replace("0202", "0303")), None);
        assert_eq!(DiskMark::parse(""), None);
    }

    #[test]
    fn only_directories_that_are_written_to_are_taken() {
        let (world, ..) = crate::world::fake::world(1);
        let volumes = ["/one", "/two"].map(PathBuf::from);
        for dir in &volumes {
            world.disk.create_dir_all(dir).unwrap();
        }
        let layout = |offline: &[PathBuf], read_only: &[PathBuf]| Layout {
            index: "/data/index.redb".into(),
            master_key: "/data/master.key".into(),
            lock: "/data/kandian.lock".into(),
            volumes: volumes.to_vec(),
            offline: offline.to_vec(),
            read_only: read_only.to_vec(),
            journal: "/one/journal".into(),
        };
        layout(&[], &[]).mark_disks(&world, [1; 16]).unwrap();
        assert_eq!(layout(&[], &[]).take_disks(&world).unwrap().len(), 2);
        let two = &volumes[1..];
        for layout in [layout(two, &[]), layout(&[], two)] {
            assert_eq!(layout.take_disks(&world).unwrap().len(), 1);
        }
    }
}
