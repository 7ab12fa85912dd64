//! The invariants of `docs/storage-format.md`, held against everything that the index and the
//! volumes say. `index check`, the crash tests and the model test ask this one function.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::codec::{Decoder, unordered};
use super::error::StoreError;
use super::index::apply::{object_key, unlocked_value};
use super::index::rows::{ObjectRow, OwnBucketRow, PartRow, Row, Stats, SubAccountRow, TrashRow, VolumeRow};
use super::index::view::View;
use super::index::{definitions, keys, own_bucket_of, owner_of, slot_of};
use super::volume::Volumes;
use super::volume::record::{Extent, Segment};
use crate::domain::{BucketId, Lock, ObjectId, SubAccountId, VolumeId};

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub bucket: Option<BucketId>,
    pub key: Option<String>,
}

struct Check<'a> {
    view: &'a View,
    volumes: &'a Volumes,
    findings: Vec<Finding>,
    objects: u64,
    stats: HashMap<SubAccountId, Stats>,
    by_time: u64,
    unlocked: u64,
    counts: HashMap<(BucketId, i64), u64>,
    extents: BTreeMap<(VolumeId, u64), (u64, String)>,
    marks: HashSet<ObjectId>,
    volume_rows: HashMap<VolumeId, VolumeRow>,
}

/// Holds the index against itself and against the volumes; gives the number of objects and what is
/// wrong. Reads every record's header, not its payload: that is what scrub is for.
pub fn check(view: &View, volumes: &Volumes) -> Result<(u64, Vec<Finding>), StoreError> {
    let mut check = Check {
        view,
        volumes,
        findings: Vec::new(),
        objects: 0,
        stats: HashMap::new(),
        by_time: 0,
        unlocked: 0,
        counts: HashMap::new(),
        extents: BTreeMap::new(),
        marks: HashSet::new(),
        volume_rows: HashMap::new(),
    };
    check.objects()?;
    check.parts()?;
    check.trash()?;
    check.orders()?;
    check.counters()?;
    check.names()?;
    check.volumes()?;
    Ok((check.objects, check.findings))
}

impl Check<'_> {
    fn say(&mut self, what: impl Into<String>, bucket: Option<BucketId>, key: Option<&str>) {
        self.findings.push(Finding { what: what.into(), bucket, key: key.map(str::to_owned) });
    }

    fn extent(&mut self, extent: Extent, whose: &str) {
        let row = self.volume_rows.entry(extent.volume).or_default();
        row.records += 1;
        row.bytes += extent.len;
        if let Some((_, other)) = self.extents.insert((extent.volume, extent.offset), (extent.len, whose.to_owned())) {
            self.say(
                format!(
                    "the extent at {} of volume {} is that of {other} and of {whose}",
                    extent.offset, extent.volume
                ),
                None,
                None,
            );
        }
    }

    fn objects(&mut self) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        self.view.each(definitions::objects, |key, value| {
            let bucket = BucketId::new(Decoder::new(key, "object key").u64()?);
            rows.push((bucket, object_key(key)?, ObjectRow::decode(value)?));
            Ok(())
        })?;
        for (bucket, key, row) in rows {
            self.object(bucket, key.as_str(), &row)?;
        }
        Ok(())
    }

    fn object(&mut self, bucket: BucketId, key: &str, row: &ObjectRow) -> Result<(), StoreError> {
        self.objects += 1;
        let (owner, slot) = (owner_of(bucket), slot_of(bucket));
        let stats = self.stats.entry(owner).or_default();
        stats.files[slot] += 1;
        stats.bytes[slot] += row.size.get();
        if row.lock == Lock::Locked {
            stats.locked_files += 1;
            stats.locked_bytes += row.size.get();
        }
        *self.counts.entry((bucket, row.created.seconds())).or_default() += 1;
        let at = Some(bucket);
        let whose = format!("object {}", row.id);
        self.extent(row.place.extent(), &whose);
        if self.view.raw(definitions::by_time, &keys::by_time(bucket, row.created.seconds(), key.as_bytes()))?.is_none()
        {
            self.say("the file is not in the order by time", at, Some(key));
        }
        self.by_time += 1;
        let unlocked = self.view.raw(definitions::unlocked, &keys::unlocked(owner, row.created, row.id))?;
        match (row.lock, unlocked) {
            (Lock::Open, Some(value)) => {
                self.unlocked += 1;
                let (its_bucket, size, its_key) = unlocked_value(&value)?;
                if its_bucket != bucket || size != row.size || its_key.as_str() != key {
                    self.say("the order of overwrite says something else of the file", at, Some(key));
                }
            }
            (Lock::Open, None) => self.say("the file is not in the order of overwrite", at, Some(key)),
            (Lock::Locked, Some(_)) => self.say("the file is locked and in the order of overwrite", at, Some(key)),
            (Lock::Locked, None) => {}
        }
        let marked = self.view.raw(definitions::marks, &keys::number(row.id.get()))?;
        if marked.is_some() != (row.lock != row.header_lock) {
            self.say("the lock is not marked as it should be", at, Some(key));
        }
        if marked.is_some() {
            self.marks.insert(row.id);
        }
        self.record(bucket, key, row)
    }

    fn record(&mut self, bucket: BucketId, key: &str, row: &ObjectRow) -> Result<(), StoreError> {
        let at = Some(bucket);
        let header = match self.volumes.get(row.place.volume) {
            None => {
                self.say(format!("volume {} is not there", row.place.volume), at, Some(key));
                return Ok(());
            }
            Some(volume) => volume.read_header(row.place.offset)?,
        };
        let Some(header) = header else {
            self.say(
                format!("there is no record at {} of volume {}", row.place.offset, row.place.volume),
                at,
                Some(key),
            );
            return Ok(());
        };
        let same = header.id == row.id
            && header.bucket == bucket
            && header.key.as_str() == key
            && header.place() == row.place
            && header.size == row.size.get()
            && header.etag() == row.etag
            && header.created == row.created
            && header.lock == row.header_lock;
        if !same {
            self.say("index and record say different things of the file", at, Some(key));
        }
        if row.segmented {
            let segments = self.view.segments(row.id)?;
            let total: u64 = segments.iter().map(|s| s.place.payload_len).sum();
            if segments != header.segments || total != row.size.get() {
                self.say("index and manifest name different segments", at, Some(key));
            }
            for segment in segments {
                self.segment(bucket, key, segment)?;
            }
        }
        Ok(())
    }

    fn segment(&mut self, bucket: BucketId, key: &str, segment: Segment) -> Result<(), StoreError> {
        self.extent(segment.place.extent(), &format!("segment {}", segment.id));
        let header = match self.volumes.get(segment.place.volume) {
            Some(volume) => volume.read_header(segment.place.offset)?,
            None => None,
        };
        if header.is_none_or(|h| h.id != segment.id || h.place() != segment.place) {
            self.say(format!("segment {} is not where it should be", segment.id), Some(bucket), Some(key));
        }
        Ok(())
    }

    fn parts(&mut self) -> Result<(), StoreError> {
        let mut owners = HashMap::new();
        for (bucket, upload, _) in self.view.all_uploads()? {
            owners.insert(upload.get(), bucket);
        }
        let mut parts = Vec::new();
        self.view.each(definitions::parts, |key, value| {
            parts.push((Decoder::new(key, "part key").u128()?, PartRow::decode(value)?));
            Ok(())
        })?;
        for (upload, part) in parts {
            let Some(&bucket) = owners.get(&upload) else {
                self.say("a part belongs to no upload", None, None);
                continue;
            };
            self.stats.entry(owner_of(bucket)).or_default().parts_bytes += part.size;
            for segment in &part.segments {
                self.segment(bucket, "(part)", *segment)?;
                self.part_record(bucket, &part, segment)?;
            }
        }
        Ok(())
    }

    /// Each record of a part carries the part's size, MD5 and checksum, as its row does.
    fn part_record(&mut self, bucket: BucketId, part: &PartRow, segment: &Segment) -> Result<(), StoreError> {
        let Some(volume) = self.volumes.get(segment.place.volume) else { return Ok(()) };
        let Some(header) = volume.read_header(segment.place.offset)? else { return Ok(()) };
        if (header.size, header.md5, &header.checksum) != (part.size, part.md5, &part.checksum) {
            let what = format!("index and record {} say different things of a part", segment.id);
            self.say(what, Some(bucket), Some(header.key.as_str()));
        }
        Ok(())
    }

    fn trash(&mut self) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        self.view.each(definitions::trash, |_, value| {
            rows.push(TrashRow::decode(value)?);
            Ok(())
        })?;
        for row in rows {
            self.extent(row.extent, &format!("trash {}", row.id));
        }
        let mut end = (VolumeId::new(0), 0, String::new());
        let mut overlaps = Vec::new();
        for (&(volume, offset), (len, whose)) in &self.extents {
            if volume == end.0 && offset < end.1 {
                overlaps.push(format!("in volume {volume}, {whose} overlaps {}", end.2));
            }
            end = (volume, offset + len, whose.clone());
        }
        for what in overlaps {
            self.say(what, None, None);
        }
        Ok(())
    }

    fn orders(&mut self) -> Result<(), StoreError> {
        for (definition, name, right) in [
            (definitions::by_time, "by time", self.by_time),
            (definitions::unlocked, "of overwrite", self.unlocked),
            (definitions::marks, "of marked locks", self.marks.len() as u64),
        ] {
            let mut rows = 0;
            self.view.each(definition, |_, _| {
                rows += 1;
                Ok(())
            })?;
            if rows != right {
                self.say(format!("the order {name} has {rows} rows for {right} files"), None, None);
            }
        }
        let mut leaves = HashMap::new();
        self.view.each(definitions::time_counts, |key, value| {
            let mut input = Decoder::new(key, "time count key");
            let (bucket, level, node) = (BucketId::new(input.u64()?), input.u8()?, input.u64()?);
            if level == 0 {
                leaves.insert((bucket, unordered(node)), Decoder::new(value, "time count").u64()?);
            }
            Ok(())
        })?;
        if leaves != self.counts {
            self.say("the counts by time are not those of the files", None, None);
        }
        Ok(())
    }

    fn counters(&mut self) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        self.view.each(definitions::stats, |key, value| {
            rows.push((SubAccountId::new(Decoder::new(key, "stats key").u64()?), Stats::decode(value)?));
            Ok(())
        })?;
        let mut known = HashSet::new();
        self.view.each(definitions::sub_accounts, |key, value| {
            SubAccountRow::decode(value)?;
            known.insert(SubAccountId::new(Decoder::new(key, "sub-account key").u64()?));
            Ok(())
        })?;
        self.view.each(definitions::own_buckets, |key, value| {
            OwnBucketRow::decode(value)?;
            known.insert(SubAccountId::new(Decoder::new(key, "own bucket key").u64()?));
            Ok(())
        })?;
        known.extend(self.view.closing()?);
        let mut counted = std::mem::take(&mut self.stats);
        for (id, kept) in rows {
            let right = counted.remove(&id).unwrap_or_default();
            let of = |s: &Stats| (s.files, s.bytes, s.locked_files, s.locked_bytes, s.parts_bytes);
            if of(&kept) != of(&right) {
                self.say(
                    format!("owner {id}: the counters say {:?}, a full scan {:?}", of(&kept), of(&right)),
                    None,
                    None,
                );
            }
            if !known.contains(&id) {
                self.say(format!("counters of owner {id}, which is not there"), None, None);
            }
        }
        for id in counted.into_keys() {
            self.say(format!("owner {id} has files and no counters"), None, None);
        }
        Ok(())
    }

    /// A name is one bucket's, and an own bucket an account's that is there.
    fn names(&mut self) -> Result<(), StoreError> {
        let mut names = HashSet::new();
        let mut twice = Vec::new();
        let mut accounts = HashSet::new();
        let mut own = Vec::new();
        self.view.each(definitions::accounts, |key, _| {
            accounts.insert(Decoder::new(key, "account key").u64()?);
            Ok(())
        })?;
        self.view.each(definitions::sub_accounts, |_, value| {
            let row = SubAccountRow::decode(value)?;
            twice.extend([row.record_bucket, row.picture_bucket].into_iter().filter(|n| !names.insert(n.clone())));
            Ok(())
        })?;
        self.view.each(definitions::own_buckets, |key, value| {
            own.push((Decoder::new(key, "own bucket key").u64()?, OwnBucketRow::decode(value)?));
            Ok(())
        })?;
        for (id, row) in own {
            if !accounts.contains(&row.account.get()) {
                let bucket = own_bucket_of(SubAccountId::new(id));
                self.say(format!("the own bucket {} belongs to no account", row.name), Some(bucket), None);
            }
            if !names.insert(row.name.clone()) {
                twice.push(row.name);
            }
        }
        for name in twice {
            self.say(format!("two buckets have the name {name}"), None, None);
        }
        Ok(())
    }

    fn volumes(&mut self) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        self.view.each(definitions::volumes, |key, value| {
            let id = VolumeId::new(Decoder::new(key, "volume key").u32()?);
            rows.push((id, VolumeRow::decode(value)?));
            Ok(())
        })?;
        let mut counted = std::mem::take(&mut self.volume_rows);
        for (id, kept) in rows {
            let right = counted.remove(&id).unwrap_or_default();
            if kept != right {
                self.say(format!("volume {id}: the index counts {kept:?}, a full scan {right:?}"), None, None);
            }
        }
        for (id, right) in counted {
            if right != VolumeRow::default() {
                self.say(format!("volume {id} has {} records and no row", right.records), None, None);
            }
        }
        Ok(())
    }
}
