//! Looking through volumes for records, without an index.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Flaw;
use crate::domain::{BucketId, ObjectId, ObjectKey, VolumeId};
use crate::store::error::{Doing, StoreError};
use crate::store::volume::Volume;
use crate::store::volume::identity::volume_number;
use crate::store::volume::record::{Header, Kind, MAGIC, SECTOR, SECTOR_LEN};
use crate::world::Disk;

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub id: ObjectId,
    pub volume: VolumeId,
    pub offset: u64,
}

/// What is in the volumes.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub store: Option<[u8; 16]>,
    pub volumes: BTreeMap<VolumeId, Arc<Volume>>,
    /// Every version of every file that has a record, the newest last.
    pub files: BTreeMap<(BucketId, ObjectKey), Vec<Version>>,
    /// Records of parts.
    pub parts: HashMap<ObjectId, Version>,
    /// Sequence of the change before the newest group: what came after it may be cut.
    pub newest_group: u64,
    /// Bytes that hold data and belong to no record.
    pub skipped_bytes: u64,
    /// Volumes, sectors and headers that could not be read.
    pub flaws: Vec<Flaw>,
}

impl Survey {
    /// Opens a volume, or all of a directory, to be read alone.
    pub(super) fn add(&mut self, disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
        let Ok(files) = disk.list(path) else { return self.open(disk, path) };
        let mut volumes: Vec<PathBuf> = files.into_iter().filter(|file| volume_number(file).is_some()).collect();
        volumes.sort();
        if volumes.is_empty() {
            return Err(StoreError::Unusable(format!("{} holds no volumes (vol-….kdv)", path.display())));
        }
        volumes.iter().try_for_each(|file| self.open(disk, file))
    }

    fn open(&mut self, disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
        // That a name is wrong is for whoever typed it; what lies behind a right one is a flaw.
        disk.open_to_read(path).doing(|| format!("open {}", path.display()))?;
        let (volume, store) = match Volume::open_to_read(disk, path) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.flaws.push(Flaw::of(format!("{}: {error}; none of its files can be read", path.display())));
                return Ok(());
            }
        };
        if self.store.is_some_and(|other| other != store) {
            return Err(StoreError::Unusable(format!(
                "{} belongs to another store than the volumes before it; extract one store at a time",
                path.display()
            )));
        }
        self.store = Some(store);
        if let Some(other) = self.volumes.insert(volume.id, Arc::new(volume)) {
            return Err(StoreError::Unusable(format!(
                "{} is the same volume as {}; name one of them",
                path.display(),
                other.path.display()
            )));
        }
        Ok(())
    }

    /// Finds all records.
    pub(super) fn look(&mut self, mut seen: impl FnMut(u64)) {
        for volume in self.volumes.values().cloned().collect::<Vec<_>>() {
            self.look_through(&volume, &mut seen);
        }
        for versions in self.files.values_mut() {
            versions.sort_by_key(|version| version.id);
        }
    }

    fn look_through(&mut self, volume: &Arc<Volume>, seen: &mut impl FnMut(u64)) {
        let end = match volume.file.len() {
            Ok(end) => end,
            Err(error) => return self.flaws.push(Flaw::of(format!("volume {}: {error}", volume.id))),
        };
        let (mut at, mut unreadable) = (SECTOR, 0);
        while at < end {
            match volume.file.next_data(at) {
                Ok(None) => break,
                Ok(Some(data)) => at = (data / SECTOR * SECTOR).max(at),
                Err(_) => {}
            }
            match volume.read_header(at) {
                Ok(Some(header)) => {
                    at += header.place().extent().len;
                    self.keep(&header);
                    seen(at);
                    continue;
                }
                Ok(None) => {
                    self.skipped_bytes += SECTOR;
                    if begins_as_a_header(volume, at) {
                        self.flaws.push(Flaw::of(format!(
                            "volume {} at {at}: a record's header that is damaged, or whose upload was never finished",
                            volume.id
                        )));
                    }
                }
                Err(_) => unreadable += SECTOR,
            }
            at += SECTOR;
        }
        if unreadable > 0 {
            self.flaws.push(Flaw::of(format!("volume {}: {unreadable} bytes cannot be read", volume.id)));
        }
    }

    fn keep(&mut self, header: &Header) {
        let version = Version { id: header.id, volume: header.volume, offset: header.offset };
        self.newest_group = self.newest_group.max(header.group);
        match header.kind {
            Kind::Part => {
                self.parts.insert(header.id, version);
            }
            Kind::Object | Kind::Manifest => {
                self.files.entry((header.bucket, header.key.clone())).or_default().push(version);
            }
        }
    }
}

fn begins_as_a_header(volume: &Volume, at: u64) -> bool {
    let mut first = vec![0; SECTOR_LEN];
    volume.file.read_exact_at(&mut first, at).is_ok() && first.starts_with(MAGIC)
}
