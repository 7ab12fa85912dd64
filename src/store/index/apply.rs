//! The one place where the index changes: an upload's record or a journal event goes in, rows
//! change, and what memory has to be told comes out. A live commit, a start after a crash and a
//! rebuild all go through here, so that they cannot come to different ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use redb::{ReadableTable, WriteTransaction};

use super::rows::{
    AccountRow, AlertRow, AlertState, Done, ObjectRow, OwnBucketRow, PartRow, Row, Stats, SubAccountRow, TrashRow,
    UploadRow, VolumeRow,
};
use super::time_counts::Deltas;
use super::{Rows, Tables, after_prefix, bucket_of, is_own, keys, meta, own_bucket_of, owner_of, slot_of};
use crate::domain::{
    AccountId, Alert, AlertId, AtTheEnd, BucketId, Bytes, Episode, GigabyteSize, Lock, Media, ObjectId, ObjectKey,
    Rules, Step, SubAccountId, Timestamp, UploadId, VolumeId,
};
use crate::store::catalog::Hold;
use crate::store::codec::{Decoder, Encoder};
use crate::store::error::StoreError;
use crate::store::event::{Cause, Event};
use crate::store::volume::record::{Header, Kind, Place, Segment};
use crate::store::witness::{Gone, WhyGone};

/// What the rules of space need to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub rules: Rules,
    pub gigabyte: GigabyteSize,
    /// `alerts.notify_idle`
    pub notify_idle: bool,
}

/// What memory has to be told once the transaction is committed.
#[derive(Debug, Default)]
pub struct Effects {
    pub accounts: Vec<(AccountId, Option<AccountRow>)>,
    pub sub_accounts: Vec<(SubAccountId, Option<SubAccountRow>)>,
    pub own_buckets: Vec<(SubAccountId, Option<OwnBucketRow>)>,
    /// Room that a decision has set aside until its effects are published.
    pub holds: Vec<Hold>,
    pub stats: BTreeMap<SubAccountId, Stats>,
    /// An overwrite is due.
    pub overwrite: bool,
    /// The outbox has changed.
    pub alerts: bool,
    /// There is something to punch.
    pub trash: bool,
    /// A closed sub-account has files to delete.
    pub closing: bool,
    /// Files that are gone.
    pub gone: Vec<Gone>,
    /// Whose alerts were raised.
    pub raised: Vec<SubAccountId>,
    /// Overwrites that came to their end.
    pub overwrites: u64,
}

/// What a rebuild knows beforehand from the journal's snapshot.
#[derive(Debug, Default)]
pub struct Foreknowledge {
    pub dead: HashSet<ObjectId>,
    pub marks: HashMap<ObjectId, Lock>,
}

/// One transaction's changes.
pub struct Apply<'t> {
    pub tables: Tables<'t>,
    settings: Settings,
    /// Sequence and time of the change that is being applied.
    seq: u64,
    now: Timestamp,
    /// Who asked for the change, where somebody did.
    by: Option<Arc<str>>,
    sub_accounts: HashMap<SubAccountId, Option<SubAccountRow>>,
    /// Which of the own buckets that were asked for are there.
    own_buckets: HashMap<SubAccountId, bool>,
    stats: BTreeMap<SubAccountId, Stats>,
    counts: Deltas,
    volumes: BTreeMap<VolumeId, (i64, i64)>,
    trash_number: u32,
    /// Parts that no upload of the index claims, and beginnings of parts: a manifest may yet, and
    /// the rest may come.
    orphans: BTreeMap<ObjectId, Segment>,
    foreknowledge: Foreknowledge,
    effects: Effects,
}

/// What a change says of the space, for the episodes.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// An overwrite found no more unlocked files.
    stuck: bool,
    /// An upload was refused.
    refused: bool,
    /// Space was freed, or more was granted.
    lowered: bool,
}

fn take<R: Row>(table: &mut Rows<'_>, key: &[u8]) -> Result<Option<R>, StoreError> {
    match table.remove(key)? {
        Some(value) => Ok(Some(R::decode(value.value())?)),
        None => Ok(None),
    }
}

fn get<R: Row>(table: &Rows<'_>, key: &[u8]) -> Result<Option<R>, StoreError> {
    match table.get(key)? {
        Some(value) => Ok(Some(R::decode(value.value())?)),
        None => Ok(None),
    }
}

impl<'t> Apply<'t> {
    /// Opens the tables of `txn`.
    pub fn new(txn: &'t WriteTransaction, settings: Settings) -> Result<Self, StoreError> {
        Ok(Self {
            tables: Tables::open(txn)?,
            settings,
            seq: 0,
            now: Timestamp::default(),
            by: None,
            sub_accounts: HashMap::new(),
            own_buckets: HashMap::new(),
            stats: BTreeMap::new(),
            counts: Deltas::default(),
            volumes: BTreeMap::new(),
            trash_number: 0,
            orphans: BTreeMap::new(),
            foreknowledge: Foreknowledge::default(),
            effects: Effects::default(),
        })
    }

    /// What a rebuild knows beforehand.
    pub fn foresee(&mut self, foreknowledge: Foreknowledge) {
        self.foreknowledge = foreknowledge;
    }

    /// Takes what is foreseen, and the parts nobody claims yet, on to the next transaction.
    pub fn carry(&mut self) -> (Foreknowledge, BTreeMap<ObjectId, Segment>) {
        (std::mem::take(&mut self.foreknowledge), std::mem::take(&mut self.orphans))
    }

    /// The counterpart of [`Apply::carry`].
    pub fn carried(&mut self, (foreknowledge, orphans): (Foreknowledge, BTreeMap<ObjectId, Segment>)) {
        self.foreknowledge = foreknowledge;
        self.orphans = orphans;
    }

    /// The next change has this place in the order of all changes.
    pub fn begin(&mut self, seq: u64, now: Timestamp) {
        self.seq = seq;
        self.now = now;
        self.trash_number = 0;
    }

    /// Deletions of the change under way are for this caller.
    pub fn on_behalf_of(&mut self, by: Option<Arc<str>>) {
        self.by = by;
    }

    // --- reading ---

    /// A sub-account that is not closed.
    pub fn sub_account(&mut self, id: SubAccountId) -> Result<Option<&mut SubAccountRow>, StoreError> {
        if !self.sub_accounts.contains_key(&id) {
            let row = get(&self.tables.sub_accounts, &keys::number(id.get()))?;
            self.sub_accounts.insert(id, row);
        }
        Ok(self.sub_accounts.get_mut(&id).and_then(Option::as_mut))
    }

    /// Whether a bucket is there: its sub-account is not closed, or it is an own bucket that is not deleted.
    pub fn has_bucket(&mut self, bucket: BucketId) -> Result<bool, StoreError> {
        let owner = owner_of(bucket);
        if !is_own(bucket) {
            return Ok(self.sub_account(owner)?.is_some());
        }
        if let Some(there) = self.own_buckets.get(&owner) {
            return Ok(*there);
        }
        let there = self.tables.own_buckets.get(keys::number(owner.get()).as_slice())?.is_some();
        self.own_buckets.insert(owner, there);
        Ok(there)
    }

    /// Room that a decision has set aside stays so until the catalog knows what was decided.
    pub fn hold_until_published(&mut self, hold: Hold) {
        self.effects.holds.push(hold);
    }

    /// The counters of a sub-account or an own bucket.
    pub fn stats(&mut self, id: SubAccountId) -> Result<&mut Stats, StoreError> {
        if !self.stats.contains_key(&id) {
            let row = get(&self.tables.stats, &keys::number(id.get()))?.unwrap_or_default();
            self.stats.insert(id, row);
        }
        // It was inserted on the line above where it was not there.
        Ok(self.stats.entry(id).or_default())
    }

    /// A file's row.
    pub fn object(&self, bucket: BucketId, key: &ObjectKey) -> Result<Option<ObjectRow>, StoreError> {
        get(&self.tables.objects, &keys::object(bucket, key))
    }

    /// An account's row.
    pub fn account(&self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        get(&self.tables.accounts, &keys::number(id.get()))
    }

    /// The oldest unlocked files of a sub-account: creation, id, size.
    pub fn oldest_unlocked(
        &self,
        sub_account: SubAccountId,
    ) -> Result<impl Iterator<Item = Result<(Timestamp, ObjectId, Bytes), StoreError>> + '_, StoreError> {
        let prefix = keys::number(sub_account.get());
        let end = after_prefix(&prefix).unwrap_or_else(|| vec![u8::MAX; 25]);
        let range = self.tables.unlocked.range(prefix.as_slice()..end.as_slice())?;
        Ok(range.map(|entry| {
            let (key, value) = entry?;
            let (created, id) = unlocked_key(key.value())?;
            let (_, size, _) = unlocked_value(value.value())?;
            Ok((created, id, size))
        }))
    }

    /// An upload's row.
    pub fn upload(&self, bucket: BucketId, upload: UploadId) -> Result<Option<UploadRow>, StoreError> {
        get(&self.tables.uploads, &keys::upload(bucket, upload))
    }

    /// The parts of an upload, by number.
    pub fn upload_parts(&self, upload: UploadId) -> Result<Vec<(u16, PartRow)>, StoreError> {
        let mut out = Vec::new();
        for entry in
            self.tables.parts.range(keys::part(upload, 0).as_slice()..=keys::part(upload, u16::MAX).as_slice())?
        {
            let (key, value) = entry?;
            let mut input = Decoder::new(key.value(), "part key");
            input.raw(16)?;
            out.push((input.u16()?, PartRow::decode(value.value())?));
        }
        Ok(out)
    }

    // --- records ---

    /// An upload's record takes effect.
    pub fn record(&mut self, header: &Header) -> Result<(), StoreError> {
        match header.kind {
            Kind::Object | Kind::Manifest => self.put_object(header),
            Kind::Part => self.part_record(header),
        }
    }

    /// A part's record by itself: with it the part is whole and its upload's, or it is left for
    /// the rest of the part, or for a manifest, to claim.
    fn part_record(&mut self, header: &Header) -> Result<(), StoreError> {
        let segment =
            Segment { place: header.place(), id: header.id, part: header.parts, reserved: 0, md5: header.md5 };
        self.orphans.insert(header.id, segment);
        let open = self.upload(header.bucket, header.upload)?.is_some_and(|row| row.done.is_none());
        if !open || !self.has_bucket(header.bucket)? {
            return Ok(());
        }
        let ids = (header.first.get()..=header.id.get()).map(ObjectId::new);
        let alive = |id: &ObjectId| !self.foreknowledge.dead.contains(id);
        let found: Option<Vec<Segment>> =
            ids.map(|id| self.orphans.get(&id).copied().filter(|s| alive(&s.id))).collect();
        let Some(segments) = found else { return Ok(()) };
        if segments.iter().map(|s| s.place.payload_len).sum::<u64>() != header.size {
            return Ok(());
        }
        let row = PartRow {
            size: header.size,
            md5: header.md5,
            checksum: header.checksum.clone(),
            created: header.created,
            segments,
        };
        self.put_part(header.bucket, header.upload, header.parts, &row)
    }

    /// A part is stored.
    pub fn put_part(
        &mut self,
        bucket: BucketId,
        upload: UploadId,
        number: u16,
        row: &PartRow,
    ) -> Result<(), StoreError> {
        let owner = owner_of(bucket);
        for segment in &row.segments {
            self.orphans.remove(&segment.id);
            self.adopt(segment.place);
        }
        let key = keys::part(upload, number);
        let old = take::<PartRow>(&mut self.tables.parts, &key)?;
        self.tables.parts.insert(key.as_slice(), row.encode().as_slice())?;
        let lowered = old.as_ref().is_some_and(|o| o.size > row.size);
        let stats = self.stats(owner)?;
        stats.parts_bytes += row.size;
        stats.last_upload = Some(row.created);
        if let Some(old) = old {
            self.stats(owner)?.parts_bytes -= old.size;
            self.trash_segments(&old.segments)?;
        }
        self.evaluate(owner, Turn { lowered, ..Turn::default() })
    }

    fn put_object(&mut self, header: &Header) -> Result<(), StoreError> {
        let bucket = header.bucket;
        let (owner, slot) = (owner_of(bucket), slot_of(bucket));
        let claimed = self.claim_parts(header)?;
        self.adopt(header.place());
        for segment in &header.segments {
            self.orphans.remove(&segment.id);
            if !claimed.contains(&segment.id) {
                self.adopt(segment.place);
            }
        }
        let old = self.object(bucket, &header.key)?;
        let lowered = old.as_ref().is_some_and(|o| o.size.get() > header.size);
        if let Some(old) = old {
            self.remove_object(bucket, &header.key, &old)?;
            self.witness(bucket, header.key.clone(), &old, WhyGone::Replaced);
        }
        // What is known to be dead by now has replaced all the same what was there before it.
        if !self.has_bucket(bucket)? || self.foreknowledge.dead.contains(&header.id) {
            self.trash_segments(&header.segments)?;
            return self.trash(header.place(), header.id);
        }
        let lock = self.foreknowledge.marks.get(&header.id).copied().unwrap_or(header.lock);
        let row = ObjectRow {
            id: header.id,
            size: Bytes::new(header.size),
            created: header.created,
            etag: header.etag(),
            lock,
            header_lock: header.lock,
            place: header.place(),
            segmented: header.kind == Kind::Manifest,
        };
        self.tables.objects.insert(keys::object(bucket, &header.key).as_slice(), row.encode().as_slice())?;
        let second = header.created.seconds();
        self.tables.by_time.insert(keys::by_time(bucket, second, header.key.as_bytes()).as_slice(), [].as_slice())?;
        self.counts.add(bucket, second, 1);
        for (number, segment) in (0..).zip(&header.segments) {
            let mut value = Encoder::default();
            segment.encode(&mut value);
            self.tables.segments.insert(keys::segment(header.id, number).as_slice(), value.0.as_slice())?;
        }
        let stats = self.stats(owner)?;
        stats.files[slot] += 1;
        stats.bytes[slot] += header.size;
        stats.last_upload = Some(header.created);
        if lock == Lock::Locked {
            stats.locked_files += 1;
            stats.locked_bytes += header.size;
        } else {
            self.insert_unlocked(owner, bucket, &header.key, &row)?;
        }
        self.mark(&row)?;
        self.evaluate(owner, Turn { lowered, ..Turn::default() })
    }

    /// A manifest takes the parts that it names out of its upload; the others are trash.
    fn claim_parts(&mut self, header: &Header) -> Result<HashSet<ObjectId>, StoreError> {
        let mut claimed = HashSet::new();
        let upload_key = keys::upload(header.bucket, header.upload);
        let Some(mut upload) = get::<UploadRow>(&self.tables.uploads, &upload_key)? else { return Ok(claimed) };
        if header.kind != Kind::Manifest || upload.done.is_some() {
            return Ok(claimed);
        }
        let named: HashSet<ObjectId> = header.segments.iter().map(|s| s.id).collect();
        let owner = owner_of(header.bucket);
        for (number, part) in self.upload_parts(header.upload)? {
            self.tables.parts.remove(keys::part(header.upload, number).as_slice())?;
            self.stats(owner)?.parts_bytes -= part.size;
            let (kept, rest): (Vec<Segment>, Vec<Segment>) =
                part.segments.into_iter().partition(|s| named.contains(&s.id));
            claimed.extend(kept.iter().map(|s| s.id));
            self.trash_segments(&rest)?;
        }
        upload.done = Some(Done { etag: header.etag(), created: header.created, checksum: header.checksum.clone() });
        self.tables.uploads.insert(upload_key.as_slice(), upload.encode().as_slice())?;
        Ok(claimed)
    }

    fn remove_object(&mut self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<(), StoreError> {
        let (owner, slot) = (owner_of(bucket), slot_of(bucket));
        let second = row.created.seconds();
        self.tables.objects.remove(keys::object(bucket, key).as_slice())?;
        self.tables.by_time.remove(keys::by_time(bucket, second, key.as_bytes()).as_slice())?;
        self.counts.add(bucket, second, -1);
        let stats = self.stats(owner)?;
        stats.files[slot] -= 1;
        stats.bytes[slot] -= row.size.get();
        if row.lock == Lock::Locked {
            stats.locked_files -= 1;
            stats.locked_bytes -= row.size.get();
        } else {
            self.tables.unlocked.remove(keys::unlocked(owner, row.created, row.id).as_slice())?;
        }
        self.tables.marks.remove(keys::number(row.id.get()).as_slice())?;
        if row.segmented {
            let segments = self.take_segments(row.id)?;
            self.trash_segments(&segments)?;
        }
        self.trash(row.place, row.id)
    }

    /// Tells that a file is gone.
    fn witness(&mut self, bucket: BucketId, key: ObjectKey, row: &ObjectRow, why: WhyGone) {
        let (owner, by) = (owner_of(bucket), self.by.clone());
        let gone = Gone { owner, bucket, key, size: row.size, created: row.created, when: self.now, why, by };
        self.effects.gone.push(gone);
    }

    fn take_segments(&mut self, id: ObjectId) -> Result<Vec<Segment>, StoreError> {
        let (from, to) = (keys::segment(id, 0), keys::segment(id, u32::MAX));
        let mut out = Vec::new();
        for entry in self.tables.segments.extract_from_if(from.as_slice()..=to.as_slice(), |_, _| true)? {
            let (_, value) = entry?;
            out.push(Segment::decode(&mut Decoder::new(value.value(), "segment row"))?);
        }
        Ok(out)
    }

    fn insert_unlocked(
        &mut self,
        owner: SubAccountId,
        bucket: BucketId,
        key: &ObjectKey,
        row: &ObjectRow,
    ) -> Result<(), StoreError> {
        let mut value = Encoder::default();
        value.u64(bucket.get()).u64(row.size.get()).raw(key.as_bytes());
        self.tables.unlocked.insert(keys::unlocked(owner, row.created, row.id).as_slice(), value.0.as_slice())?;
        Ok(())
    }

    /// Keeps the lock where the record's header does not say it.
    fn mark(&mut self, row: &ObjectRow) -> Result<(), StoreError> {
        let key = keys::number(row.id.get());
        if row.lock == row.header_lock {
            self.tables.marks.remove(key.as_slice())?;
        } else {
            self.tables.marks.insert(key.as_slice(), [u8::from(row.lock == Lock::Locked)].as_slice())?;
        }
        Ok(())
    }

    /// A record is alive in its volume.
    fn adopt(&mut self, place: Place) {
        let entry = self.volumes.entry(place.volume).or_default();
        entry.0 += 1;
        entry.1 += place.extent().len.cast_signed();
    }

    fn trash(&mut self, place: Place, id: ObjectId) -> Result<(), StoreError> {
        let row = TrashRow { extent: place.extent(), id };
        self.tables.trash.insert(keys::trash(self.seq, self.trash_number).as_slice(), row.encode().as_slice())?;
        self.trash_number += 1;
        self.effects.trash = true;
        Ok(())
    }

    /// A record that was never a file's is trash: its volume cannot be written to now.
    pub fn trash_record(&mut self, place: Place, id: ObjectId) -> Result<(), StoreError> {
        self.adopt(place);
        self.trash(place, id)
    }

    fn trash_segments(&mut self, segments: &[Segment]) -> Result<(), StoreError> {
        segments.iter().try_for_each(|segment| self.trash(segment.place, segment.id))
    }

    /// Parts that no manifest has claimed by the end of a replay are trash.
    pub fn trash_orphans(&mut self) -> Result<(), StoreError> {
        for (id, segment) in std::mem::take(&mut self.orphans) {
            self.adopt(segment.place);
            self.trash(segment.place, id)?;
        }
        Ok(())
    }

    /// These trash rows have been punched.
    pub fn punched(&mut self, rows: &[(Vec<u8>, TrashRow)]) -> Result<(), StoreError> {
        for (key, row) in rows {
            if self.tables.trash.remove(key.as_slice())?.is_some() {
                let entry = self.volumes.entry(row.extent.volume).or_default();
                entry.0 -= 1;
                entry.1 -= row.extent.len.cast_signed();
            }
        }
        Ok(())
    }

    // --- events ---

    /// A journal event takes effect.
    pub fn event(&mut self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::PutAccount { id, row } => {
                let id = if id.get() == 0 { AccountId::new(self.seq) } else { *id };
                self.tables.accounts.insert(keys::number(id.get()).as_slice(), row.encode().as_slice())?;
                self.effects.accounts.push((id, Some(row.clone())));
                // A new address or password may be what the outbox has been waiting for.
                self.effects.alerts = true;
                Ok(())
            }
            Event::CloseAccount { id } => {
                self.tables.accounts.remove(keys::number(id.get()).as_slice())?;
                self.effects.accounts.push((*id, None));
                Ok(())
            }
            Event::PutSubAccount { id, row } => {
                let id = if id.get() == 0 { SubAccountId::new(self.seq) } else { *id };
                self.stats(id)?;
                self.put_sub_account(id, row.clone())
            }
            Event::SetSpace { sub_account, space } => self.set_space(*sub_account, |row| row.space = *space),
            Event::SetAtTheEnd { sub_account, at_the_end } => self.set_at_the_end(*sub_account, *at_the_end),
            Event::CloseSubAccount { sub_account } => {
                self.tables.sub_accounts.remove(keys::number(sub_account.get()).as_slice())?;
                self.sub_accounts.insert(*sub_account, None);
                self.effects.sub_accounts.push((*sub_account, None));
                self.tables.closing.insert(keys::number(sub_account.get()).as_slice(), [].as_slice())?;
                self.effects.closing = true;
                self.withdraw(*sub_account, |_| true)
            }
            Event::SetLock { bucket, key, id, lock } => self.set_lock(*bucket, key, *id, *lock),
            Event::Delete { sub_account, cause, files, exhausted } => {
                self.delete(*sub_account, *cause, files, *exhausted)
            }
            Event::Cleared { sub_account } => {
                // Closed since: a rebuild knows nothing of it any more, and counts nothing for it.
                let Some(row) = self.sub_account(*sub_account)?.cloned() else { return Ok(()) };
                let stats = self.stats(*sub_account)?;
                stats.nearly_full = Episode::Armed;
                let was_full = std::mem::take(&mut stats.full) == Episode::Open;
                // Idle may be what the files that went before this have raised: it is so now.
                self.withdraw(*sub_account, |alert| alert != Alert::Idle)?;
                if was_full && self.settings.notify_idle {
                    self.raise(*sub_account, &row, Alert::Idle)?;
                }
                Ok(())
            }
            Event::CreateUpload { bucket, upload, row } => {
                if !self.has_bucket(*bucket)? {
                    // A rebuild: it was closed, and its files were still being deleted.
                    return Ok(());
                }
                self.tables.uploads.insert(keys::upload(*bucket, *upload).as_slice(), row.encode().as_slice())?;
                Ok(())
            }
            Event::AbortUpload { bucket, upload } => self.abort_upload(*bucket, *upload),
            Event::StartSweep { sub_account, size } => {
                let stats = self.stats(*sub_account)?;
                stats.sweep_left = stats.sweep_left.max(*size);
                self.effects.overwrite = true;
                Ok(())
            }
            Event::RefusedFull { sub_account } => {
                self.evaluate(*sub_account, Turn { refused: true, ..Turn::default() })
            }
            Event::PutAlert { id, row } => self.put_alert(*id, row),
            Event::Audit { entry } => self.audit(entry),
            Event::Dead { .. } | Event::Mark { .. } | Event::SnapshotEnd => Ok(()),
            Event::PutOwnBucket { id, row } => {
                let id = if id.get() == 0 { SubAccountId::new(self.seq) } else { *id };
                self.stats(id)?;
                self.tables.own_buckets.insert(keys::number(id.get()).as_slice(), row.encode().as_slice())?;
                self.own_buckets.insert(id, true);
                self.effects.own_buckets.push((id, Some(row.clone())));
                Ok(())
            }
            Event::DeleteOwnBucket { id } => {
                self.tables.own_buckets.remove(keys::number(id.get()).as_slice())?;
                self.own_buckets.insert(*id, false);
                self.effects.own_buckets.push((*id, None));
                self.tables.closing.insert(keys::number(id.get()).as_slice(), [].as_slice())?;
                self.effects.closing = true;
                Ok(())
            }
        }
    }

    fn put_sub_account(&mut self, id: SubAccountId, row: SubAccountRow) -> Result<(), StoreError> {
        self.tables.sub_accounts.insert(keys::number(id.get()).as_slice(), row.encode().as_slice())?;
        self.effects.sub_accounts.push((id, Some(row.clone())));
        self.sub_accounts.insert(id, Some(row));
        Ok(())
    }

    fn set_space(&mut self, id: SubAccountId, change: impl FnOnce(&mut SubAccountRow)) -> Result<(), StoreError> {
        let Some(row) = self.sub_account(id)? else { return Ok(()) };
        let before = row.space;
        change(row);
        let row = row.clone();
        let lowered = row.space > before;
        self.put_sub_account(id, row)?;
        self.evaluate(id, Turn { lowered, ..Turn::default() })
    }

    fn set_at_the_end(&mut self, id: SubAccountId, at_the_end: AtTheEnd) -> Result<(), StoreError> {
        let Some(row) = self.sub_account(id)? else { return Ok(()) };
        if row.at_the_end == at_the_end {
            return Ok(());
        }
        row.at_the_end = at_the_end;
        let row = row.clone();
        self.put_sub_account(id, row)?;
        let stats = self.stats(id)?;
        stats.full = Episode::Armed;
        stats.nearly_full = Episode::Armed;
        if at_the_end == AtTheEnd::Stop {
            stats.sweep_left = 0;
        }
        self.withdraw(id, |_| true)?;
        self.evaluate(id, Turn::default())
    }

    fn set_lock(&mut self, bucket: BucketId, key: &ObjectKey, id: ObjectId, lock: Lock) -> Result<(), StoreError> {
        let Some(mut row) = self.object(bucket, key)? else { return Ok(()) };
        if row.id != id || row.lock == lock {
            return Ok(());
        }
        row.lock = lock;
        let owner = owner_of(bucket);
        let size = row.size.get();
        let stats = self.stats(owner)?;
        match lock {
            Lock::Locked => {
                stats.locked_files += 1;
                stats.locked_bytes += size;
                self.tables.unlocked.remove(keys::unlocked(owner, row.created, row.id).as_slice())?;
            }
            Lock::Open => {
                stats.locked_files -= 1;
                stats.locked_bytes -= size;
                self.insert_unlocked(owner, bucket, key, &row)?;
            }
        }
        self.tables.objects.insert(keys::object(bucket, key).as_slice(), row.encode().as_slice())?;
        self.mark(&row)?;
        // What was unlocked may be what an overwrite has been waiting for.
        self.evaluate(owner, Turn::default())
    }

    fn delete(
        &mut self,
        sub_account: SubAccountId,
        cause: Cause,
        files: &[(Timestamp, ObjectId)],
        exhausted: bool,
    ) -> Result<(), StoreError> {
        let why = match cause {
            Cause::Asked => WhyGone::Asked,
            Cause::Clear => WhyGone::Clear,
            Cause::Overwrite => WhyGone::Overwrite,
        };
        let mut freed = 0;
        for &(created, id) in files {
            let Some(value) = self
                .tables
                .unlocked
                .get(keys::unlocked(sub_account, created, id).as_slice())?
                .map(|v| v.value().to_vec())
            else {
                continue;
            };
            let (bucket, size, key) = unlocked_value(&value)?;
            if let Some(row) = self.object(bucket, &key)? {
                self.remove_object(bucket, &key, &row)?;
                self.witness(bucket, key, &row, why);
                freed += size.get();
            }
        }
        let mut stuck = false;
        if cause == Cause::Overwrite && self.sub_account(sub_account)?.is_some() {
            let stats = self.stats(sub_account)?;
            let running = stats.sweep_left > 0;
            stats.sweep_left = stats.sweep_left.saturating_sub(freed);
            if exhausted {
                stuck = stats.sweep_left > 0;
                stats.sweep_left = 0;
            }
            if running && stats.sweep_left == 0 {
                stats.overwrites += 1;
                self.effects.overwrites += 1;
            }
        }
        self.evaluate(sub_account, Turn { stuck, lowered: freed > 0, ..Turn::default() })
    }

    fn abort_upload(&mut self, bucket: BucketId, upload: UploadId) -> Result<(), StoreError> {
        let owner = owner_of(bucket);
        self.tables.uploads.remove(keys::upload(bucket, upload).as_slice())?;
        let mut freed = 0;
        for (number, part) in self.upload_parts(upload)? {
            self.tables.parts.remove(keys::part(upload, number).as_slice())?;
            freed += part.size;
            self.trash_segments(&part.segments)?;
        }
        if freed == 0 {
            // An owner that a rebuild knows nothing of any more gets no counters.
            return Ok(());
        }
        self.stats(owner)?.parts_bytes -= freed;
        self.evaluate(owner, Turn { lowered: true, ..Turn::default() })
    }

    fn audit(&mut self, entry: &[u8]) -> Result<(), StoreError> {
        let before = self.tables.meta.get(meta::AUDIT_CHAIN)?.map_or_else(|| vec![0; 32], |v| v.value().to_vec());
        let chain = super::audit_chain(&before, self.seq, self.now, entry);
        let mut value = Encoder::default();
        value.i64(self.now.millis()).raw(&chain).raw(entry);
        self.tables.audit.insert(keys::number(self.seq).as_slice(), value.0.as_slice())?;
        self.tables.meta.insert(meta::AUDIT_CHAIN, chain.as_slice())?;
        Ok(())
    }

    // --- the rules ---

    /// The end of a rebuild: no overwrite is under way but those that the present state asks for.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        for entry in self.tables.sub_accounts.iter()? {
            ids.push(SubAccountId::new(Decoder::new(entry?.0.value(), "sub-account key").u64()?));
        }
        for id in ids {
            self.stats(id)?.sweep_left = 0;
            self.evaluate(id, Turn::default())?;
        }
        Ok(())
    }

    /// Holds a sub-account's space against the rules: alerts are raised and withdrawn, an
    /// overwrite begins.
    fn evaluate(&mut self, id: SubAccountId, turn: Turn) -> Result<(), StoreError> {
        let Settings { rules, gigabyte, notify_idle } = self.settings;
        let Some(row) = self.sub_account(id)?.cloned() else { return Ok(()) };
        let stats = self.stats(id)?;
        let space = stats.space(gigabyte.bytes(row.space), row.at_the_end, 0);
        let (nearly_full, warn) = rules.nearly_full(stats.nearly_full, &space, turn.stuck, turn.lowered);
        let (full, stop) = rules.full(stats.full, &space, turn.refused, turn.lowered);
        stats.nearly_full = nearly_full;
        stats.full = full;
        if let Some(wanted) = rules.overwrite_now(&space)
            && stats.sweep_left == 0
            && !turn.stuck
        {
            stats.sweep_left = wanted.get();
            self.effects.overwrite = true;
        }
        match warn {
            Step::Nothing => {}
            Step::Raise => self.raise(id, &row, Alert::NearlyFull)?,
            Step::Withdraw => self.withdraw(id, |alert| alert == Alert::NearlyFull)?,
        }
        match stop {
            Step::Nothing => {}
            Step::Raise => self.raise(id, &row, Alert::Full)?,
            Step::Withdraw => {
                self.withdraw(id, |alert| alert == Alert::Full)?;
                if notify_idle {
                    self.raise(id, &row, Alert::Idle)?;
                }
            }
        }
        Ok(())
    }

    fn raise(&mut self, id: SubAccountId, row: &SubAccountRow, alert: Alert) -> Result<(), StoreError> {
        // The warning goes before the alarm where one change raises both.
        let number = match alert {
            Alert::NearlyFull => 0,
            Alert::Full => 1,
            Alert::Idle => 2,
        };
        let alert_id = AlertId::raised(self.seq, number);
        let alert = AlertRow {
            sub_account: id,
            account: row.account,
            ak: row.ak.clone(),
            alert,
            raised: self.now,
            state: AlertState::Pending,
            attempts: 0,
            next: self.now,
            last: None,
        };
        self.tables.outbox.insert(keys::alert(alert_id).as_slice(), alert.encode().as_slice())?;
        self.effects.alerts = true;
        self.effects.raised.push(id);
        Ok(())
    }

    /// Pending alerts of a sub-account have lost their point.
    fn withdraw(&mut self, id: SubAccountId, which: impl Fn(Alert) -> bool) -> Result<(), StoreError> {
        let mut found = Vec::new();
        for entry in self.tables.outbox.iter()? {
            let (key, value) = entry?;
            let row = AlertRow::decode(value.value())?;
            // A test is about no space that could have become better.
            let test = AlertId::new(Decoder::new(key.value(), "alert key").u64()?).is_test();
            if row.sub_account == id && row.state == AlertState::Pending && !test && which(row.alert) {
                found.push((key.value().to_vec(), row));
            }
        }
        for (key, mut row) in found {
            row.state = AlertState::Withdrawn;
            self.tables.outbox.remove(key.as_slice())?;
            self.tables.alert_log.insert(key.as_slice(), row.encode().as_slice())?;
            self.effects.alerts = true;
        }
        Ok(())
    }

    /// Writes down what became of an alert; number 0 is a test that is begun.
    fn put_alert(&mut self, id: AlertId, row: &AlertRow) -> Result<(), StoreError> {
        let begun = id.get() == 0;
        let key = keys::alert(if begun { AlertId::test(self.seq) } else { id });
        let waiting = begun || self.tables.outbox.get(key.as_slice())?.is_some();
        match row.state {
            // An attempt that failed after its alert was withdrawn changes nothing.
            AlertState::Pending | AlertState::GivenUp if waiting => {
                self.tables.outbox.insert(key.as_slice(), row.encode().as_slice())?;
            }
            AlertState::Pending | AlertState::GivenUp => {}
            AlertState::Delivered | AlertState::Withdrawn | AlertState::Replaced => {
                self.tables.outbox.remove(key.as_slice())?;
                self.tables.alert_log.insert(key.as_slice(), row.encode().as_slice())?;
            }
        }
        self.effects.alerts = true;
        Ok(())
    }

    /// Deletes up to `most` files of a closed sub-account or a deleted own bucket; says whether that was all of it.
    pub fn purge(&mut self, id: SubAccountId, most: usize) -> Result<bool, StoreError> {
        let mut left = most;
        for bucket in [bucket_of(id, Media::Recording), bucket_of(id, Media::Picture), own_bucket_of(id)] {
            let prefix = keys::number(bucket.get());
            let end = keys::number(bucket.get() + 1);
            let mut found = Vec::new();
            for entry in self.tables.objects.range(prefix.as_slice()..end.as_slice())?.take(left) {
                let (key, value) = entry?;
                found.push((object_key(key.value())?, ObjectRow::decode(value.value())?));
            }
            left -= found.len();
            for (key, row) in found {
                self.remove_object(bucket, &key, &row)?;
                self.witness(bucket, key, &row, WhyGone::Closed);
            }
            let uploads: Vec<UploadId> = self.uploads_of(bucket)?.into_iter().take(left).collect();
            left -= uploads.len();
            for upload in uploads {
                self.abort_upload(bucket, upload)?;
            }
        }
        let done = left > 0;
        if done {
            self.tables.closing.remove(keys::number(id.get()).as_slice())?;
            self.tables.stats.remove(keys::number(id.get()).as_slice())?;
            self.stats.remove(&id);
        }
        Ok(done)
    }

    fn uploads_of(&self, bucket: BucketId) -> Result<Vec<UploadId>, StoreError> {
        let (from, to) = (keys::upload(bucket, UploadId::new(0)), keys::upload(bucket, UploadId::new(u128::MAX)));
        let mut out = Vec::new();
        for entry in self.tables.uploads.range(from.as_slice()..=to.as_slice())? {
            let (key, _) = entry?;
            let mut input = Decoder::new(key.value(), "upload key");
            input.raw(8)?;
            out.push(UploadId::new(input.u128()?));
        }
        Ok(out)
    }

    /// Writes what was gathered. Nothing may be applied after it.
    pub fn finish(mut self, last_seq: u64) -> Result<Effects, StoreError> {
        self.counts.flush(&mut self.tables.time_counts)?;
        for (id, stats) in &self.stats {
            self.tables.stats.insert(keys::number(id.get()).as_slice(), stats.encode().as_slice())?;
        }
        for (id, (records, bytes)) in &self.volumes {
            let key = keys::volume(*id);
            let row = get::<VolumeRow>(&self.tables.volumes, &key)?.unwrap_or_default();
            let below = || StoreError::Index(format!("volume {id} has fewer than no records"));
            let row = VolumeRow {
                records: row.records.checked_add_signed(*records).ok_or_else(below)?,
                bytes: row.bytes.checked_add_signed(*bytes).ok_or_else(below)?,
            };
            self.tables.volumes.insert(key.as_slice(), row.encode().as_slice())?;
        }
        self.tables.meta.insert(meta::SEQ, last_seq.to_be_bytes().as_slice())?;
        self.effects.stats = self.stats;
        Ok(self.effects)
    }
}

/// Creation and id of a key of `unlocked`.
pub fn unlocked_key(key: &[u8]) -> Result<(Timestamp, ObjectId), StoreError> {
    let mut input = Decoder::new(key, "unlocked key");
    input.raw(8)?;
    let created = crate::store::codec::unordered(input.u64()?);
    Ok((Timestamp::from_millis(created), ObjectId::new(input.u64()?)))
}

/// Bucket, size and key of a value of `unlocked`.
pub fn unlocked_value(value: &[u8]) -> Result<(BucketId, Bytes, ObjectKey), StoreError> {
    let mut input = Decoder::new(value, "unlocked row");
    let (bucket, size) = (BucketId::new(input.u64()?), Bytes::new(input.u64()?));
    let key = std::str::from_utf8(input.rest()).ok().and_then(|t| t.parse().ok());
    Ok((bucket, size, key.ok_or(crate::store::codec::Malformed("unlocked row"))?))
}

/// The object key in a key of `objects`.
pub fn object_key(key: &[u8]) -> Result<ObjectKey, StoreError> {
    let mut input = Decoder::new(key, "object key");
    input.raw(8)?;
    let key = std::str::from_utf8(input.rest()).ok().and_then(|t| t.parse().ok());
    Ok(key.ok_or(crate::store::codec::Malformed("object key"))?)
}
