//! Looking things up: one consistent state of the index, however long it is looked at.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::apply::{object_key, unlocked_key, unlocked_value};
use super::rows::{AlertRow, ObjectRow, PartRow, Row, TrashRow, UploadRow};
use super::{Definition, after_prefix, definitions, keys, meta, time_counts};
use crate::domain::{AlertId, BucketId, Bytes, ObjectId, ObjectKey, SubAccountId, Timestamp, UploadId};
use crate::store::codec::{Decoder, Malformed, unordered};
use crate::store::error::StoreError;
use crate::store::volume::record::Segment;

type ReadRows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A state of the index.
pub struct View {
    txn: ReadTransaction,
}

/// A page of a list, as asked. See [`View::list`].
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that share what comes before this, after the prefix, become one common prefix. Empty: none.
    pub delimiter: String,
    /// Only keys and common prefixes after this one (v1 marker, v2 start-after and token).
    pub after: String,
    /// Keys and common prefixes on a page, 0 to 1,000.
    pub max: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    pub objects: Vec<(ObjectKey, ObjectRow)>,
    pub prefixes: Vec<String>,
    /// The last key or prefix where there is more.
    pub next: Option<String>,
}

/// A line of the audit log, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct AuditLine<'a> {
    /// Its sequence.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// See [`super::audit_chain`].
    pub chain: &'a [u8; 32],
    /// What.
    pub json: &'a [u8],
}

impl<'a> AuditLine<'a> {
    fn read(key: &[u8], value: &'a [u8]) -> Result<Self, StoreError> {
        let mut input = Decoder::new(value, "audit row");
        let time = Timestamp::from_millis(input.i64()?);
        let chain = input.raw(32)?.try_into().map_err(|_| Malformed("audit row"))?;
        Ok(Self { seq: Decoder::new(key, "audit key").u64()?, time, chain, json: input.rest() })
    }
}

impl View {
    /// Looks at the state of this transaction.
    pub fn new(txn: ReadTransaction) -> Self {
        Self { txn }
    }

    fn rows(&self, definition: Definition) -> Result<ReadRows, StoreError> {
        Ok(self.txn.open_table(definition)?)
    }

    fn get<R: Row>(&self, definition: Definition, key: &[u8]) -> Result<Option<R>, StoreError> {
        match self.rows(definition)?.get(key)? {
            Some(value) => Ok(Some(R::decode(value.value())?)),
            None => Ok(None),
        }
    }

    /// A file's row.
    pub fn object(&self, bucket: BucketId, key: &ObjectKey) -> Result<Option<ObjectRow>, StoreError> {
        self.get(definitions::objects, &keys::object(bucket, key))
    }

    /// The rows of the files of this name in any of these buckets, each with the place of its bucket among them.
    pub fn named(&self, buckets: &[BucketId], key: &ObjectKey) -> Result<Vec<(usize, ObjectRow)>, StoreError> {
        let table = self.rows(definitions::objects)?;
        let mut out = Vec::new();
        for (at, bucket) in buckets.iter().enumerate() {
            if let Some(value) = table.get(keys::object(*bucket, key).as_slice())? {
                out.push((at, ObjectRow::decode(value.value())?));
            }
        }
        Ok(out)
    }

    /// The records of an object that has several.
    pub fn segments(&self, id: ObjectId) -> Result<Vec<Segment>, StoreError> {
        let table = self.rows(definitions::segments)?;
        let mut out = Vec::new();
        for entry in table.range(keys::segment(id, 0).as_slice()..=keys::segment(id, u32::MAX).as_slice())? {
            out.push(Segment::decode(&mut Decoder::new(entry?.1.value(), "segment row"))?);
        }
        Ok(out)
    }

    /// A page of a bucket's keys in the order of their bytes, common prefixes rolled up. A common
    /// prefix costs one seek, however many keys it stands for.
    pub fn list(&self, bucket: BucketId, query: &ListQuery) -> Result<ListPage, StoreError> {
        let table = self.rows(definitions::objects)?;
        let mut page = ListPage::default();
        let full_prefix = keys::prefixed(bucket, query.prefix.as_bytes());
        let end = after_prefix(&full_prefix).unwrap_or_else(|| vec![u8::MAX; 9]);
        // The smallest key that sorts after `after`: past all of it where it is a common prefix.
        let mut from = full_prefix;
        if !query.after.is_empty() {
            let after = keys::prefixed(bucket, query.after.as_bytes());
            let past = match common_prefix(&query.after, query) {
                Some(common) if common == query.after => after_prefix(&after).unwrap_or(after),
                _ => {
                    let mut next = after;
                    next.push(0);
                    next
                }
            };
            from = from.max(past);
        }
        let mut count = 0;
        let mut last = None;
        'seek: while from < end {
            for entry in table.range(from.as_slice()..end.as_slice())? {
                if count == query.max {
                    page.next = last;
                    return Ok(page);
                }
                let (raw, value) = entry?;
                let key = object_key(raw.value())?;
                count += 1;
                if let Some(common) = common_prefix(key.as_str(), query) {
                    let common = common.to_owned();
                    last = Some(common.clone());
                    let past = after_prefix(&keys::prefixed(bucket, common.as_bytes()));
                    page.prefixes.push(common);
                    match past {
                        Some(past) => from = past,
                        None => break 'seek,
                    }
                    continue 'seek;
                }
                last = Some(key.as_str().to_owned());
                page.objects.push((key, ObjectRow::decode(value.value())?));
            }
            break;
        }
        Ok(page)
    }

    /// 7.7: how many files lie in these whole seconds (both included), and a page of them.
    pub fn search(
        &self,
        bucket: BucketId,
        from: i64,
        to: i64,
        skip: u64,
        most: u64,
    ) -> Result<(u64, Vec<(ObjectKey, ObjectRow)>), StoreError> {
        let mut files = Vec::new();
        if from > to {
            return Ok((0, files));
        }
        let counts = self.rows(definitions::time_counts)?;
        let before = time_counts::before(&counts, bucket, from)?;
        let total = time_counts::before(&counts, bucket, to.saturating_add(1))? - before;
        if skip >= total {
            return Ok((total, files));
        }
        let Some((second, rank)) = time_counts::find(&counts, bucket, before + skip)? else {
            return Ok((total, files));
        };
        let wanted = usize::try_from(most.min(total - skip)).unwrap_or(usize::MAX);
        let by_time = self.rows(definitions::by_time)?;
        let objects = self.rows(definitions::objects)?;
        let start = keys::by_time(bucket, second, &[]);
        let end = keys::number(bucket.get() + 1);
        let skip = usize::try_from(rank).unwrap_or(usize::MAX);
        for entry in by_time.range(start.as_slice()..end.as_slice())?.skip(skip).take(wanted) {
            let (key, _) = entry?;
            let mut input = Decoder::new(key.value(), "time key");
            input.raw(16)?;
            let object = keys::prefixed(bucket, input.rest());
            if let Some(value) = objects.get(object.as_slice())? {
                files.push((object_key(&object)?, ObjectRow::decode(value.value())?));
            }
        }
        Ok((total, files))
    }

    /// Files of each of these spans of whole seconds (the end excluded), which follow one another.
    pub fn counts(&self, bucket: BucketId, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        let table = self.rows(definitions::time_counts)?;
        let before = edges.iter().map(|&edge| time_counts::before(&table, bucket, edge));
        let before: Vec<u64> = before.collect::<Result<_, _>>()?;
        Ok(before.iter().zip(before.iter().skip(1)).map(|(a, b)| b.saturating_sub(*a)).collect())
    }

    /// Files of the slots of 256 seconds that touch these whole seconds (both included): where a slot begins, how many.
    pub fn slots(&self, bucket: BucketId, from: i64, to: i64) -> Result<Vec<(i64, u64)>, StoreError> {
        time_counts::slots(&self.rows(definitions::time_counts)?, bucket, from, to)
    }

    /// When the unlocked files of a bucket were stored, of this time (the end excluded), at most so many.
    pub fn unlocked_between(
        &self,
        bucket: BucketId,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let table = self.rows(definitions::unlocked)?;
        let owner = super::owner_of(bucket);
        let edge = |at| keys::unlocked(owner, at, ObjectId::new(0));
        let mut out = Vec::new();
        for entry in table.range(edge(from).as_slice()..edge(to).as_slice())?.take(most) {
            let (key, value) = entry?;
            if unlocked_value(value.value())?.0 == bucket {
                out.push(unlocked_key(key.value())?.0);
            }
        }
        Ok(out)
    }

    /// A multipart upload's row.
    pub fn upload(&self, bucket: BucketId, upload: UploadId) -> Result<Option<UploadRow>, StoreError> {
        self.get(definitions::uploads, &keys::upload(bucket, upload))
    }

    /// The multipart uploads of a bucket, completed ones too.
    pub fn uploads(&self, bucket: BucketId) -> Result<Vec<(UploadId, UploadRow)>, StoreError> {
        let table = self.rows(definitions::uploads)?;
        let (from, to) = (keys::upload(bucket, UploadId::new(0)), keys::upload(bucket, UploadId::new(u128::MAX)));
        table
            .range(from.as_slice()..=to.as_slice())?
            .map(|e| e.map_err(StoreError::from).and_then(|(k, v)| upload_entry(k.value(), v.value())))
            .map(|r| r.map(|(_, id, row)| (id, row)))
            .collect()
    }

    /// Every multipart upload, completed ones too.
    pub fn all_uploads(&self) -> Result<Vec<(BucketId, UploadId, UploadRow)>, StoreError> {
        let table = self.rows(definitions::uploads)?;
        table
            .iter()?
            .map(|e| e.map_err(StoreError::from).and_then(|(k, v)| upload_entry(k.value(), v.value())))
            .collect()
    }

    /// The parts of an upload with numbers above `after`.
    pub fn parts(&self, upload: UploadId, after: u16, most: usize) -> Result<Vec<(u16, PartRow)>, StoreError> {
        let table = self.rows(definitions::parts)?;
        let mut out = Vec::new();
        let Some(first) = after.checked_add(1) else { return Ok(out) };
        for entry in
            table.range(keys::part(upload, first).as_slice()..=keys::part(upload, u16::MAX).as_slice())?.take(most)
        {
            let (key, value) = entry?;
            let mut input = Decoder::new(key.value(), "part key");
            input.raw(16)?;
            out.push((input.u16()?, PartRow::decode(value.value())?));
        }
        Ok(out)
    }

    /// The oldest trash of changes up to `upto`.
    pub fn trash(&self, upto: u64, most: usize) -> Result<Vec<(Vec<u8>, TrashRow)>, StoreError> {
        let table = self.rows(definitions::trash)?;
        let mut out = Vec::new();
        for entry in table.range(..=keys::trash(upto, u32::MAX).as_slice())?.take(most) {
            let (key, value) = entry?;
            out.push((key.value().to_vec(), TrashRow::decode(value.value())?));
        }
        Ok(out)
    }

    /// The second of the oldest file of all these buckets: one look-up a bucket.
    pub fn oldest(&self, buckets: &[BucketId]) -> Result<Option<i64>, StoreError> {
        let table = self.rows(definitions::by_time)?;
        let mut oldest: Option<i64> = None;
        for bucket in buckets {
            let [from, to] = [0, 1].map(|next| keys::number(bucket.get() + next));
            let Some(first) = table.range(from.as_slice()..to.as_slice())?.next() else { continue };
            let first = first?.0;
            let mut input = Decoder::new(first.value(), "time key");
            input.raw(8)?;
            let second = unordered(input.u64()?);
            oldest = Some(oldest.map_or(second, |oldest| oldest.min(second)));
        }
        Ok(oldest)
    }

    /// Extents that wait to be punched.
    pub fn trash_len(&self) -> Result<u64, StoreError> {
        Ok(self.rows(definitions::trash)?.len()?)
    }

    /// Closed sub-accounts whose files are still being deleted.
    pub fn closing(&self) -> Result<Vec<SubAccountId>, StoreError> {
        let table = self.rows(definitions::closing)?;
        table.iter()?.map(|e| Ok(SubAccountId::new(Decoder::new(e?.0.value(), "closing key").u64()?))).collect()
    }

    /// Alerts that are pending or given up, oldest first.
    pub fn outbox(&self) -> Result<Vec<(AlertId, AlertRow)>, StoreError> {
        let table = self.rows(definitions::outbox)?;
        table
            .iter()?
            .map(|e| e.map_err(StoreError::from).and_then(|(k, v)| alert_entry(k.value(), v.value())))
            .collect()
    }

    /// One alert, whether it has come to its end or not.
    pub fn alert(&self, id: AlertId) -> Result<Option<AlertRow>, StoreError> {
        let key = keys::alert(id);
        for table in [definitions::outbox, definitions::alert_log] {
            if let Some(value) = self.rows(table)?.get(key.as_slice())? {
                return Ok(Some(AlertRow::decode(value.value())?));
            }
        }
        Ok(None)
    }

    /// Alerts older than `before`, newest first, while `more` says so; whether the end came. `of`: those that are pending
    /// or given up, those that have come to their end.
    pub fn alerts_before(
        &self,
        before: Option<AlertId>,
        of: [bool; 2],
        mut more: impl FnMut(AlertId, AlertRow) -> bool,
    ) -> Result<bool, StoreError> {
        let end = keys::alert(before.unwrap_or(AlertId::new(u64::MAX)));
        let [open, ended] = [self.rows(definitions::outbox)?, self.rows(definitions::alert_log)?];
        let mut tables = [open.range::<&[u8]>(..end.as_slice())?.rev(), ended.range::<&[u8]>(..end.as_slice())?.rev()];
        let mut next = |at: usize| -> Result<Option<(AlertId, AlertRow)>, StoreError> {
            let Some(table) = tables.get_mut(at).filter(|_| of.get(at) == Some(&true)) else { return Ok(None) };
            let Some(entry) = table.next() else { return Ok(None) };
            let (key, value) = entry?;
            alert_entry(key.value(), value.value()).map(Some)
        };
        let mut heads = [next(0)?, next(1)?];
        loop {
            let at = usize::from(heads[0].as_ref().map(|(id, _)| *id) < heads[1].as_ref().map(|(id, _)| *id));
            let Some((id, row)) = heads[at].take() else { return Ok(true) };
            heads[at] = next(at)?;
            if !more(id, row) {
                return Ok(false);
            }
        }
    }

    /// The newest lines of the audit log: sequence, time, JSON.
    pub fn audit(&self, most: usize) -> Result<Vec<(u64, Timestamp, Vec<u8>)>, StoreError> {
        let table = self.rows(definitions::audit)?;
        let mut out = Vec::new();
        for entry in table.iter()?.rev().take(most) {
            let (key, value) = entry?;
            let mut input = Decoder::new(value.value(), "audit row");
            let time = Timestamp::from_millis(input.i64()?);
            input.raw(32)?;
            out.push((Decoder::new(key.value(), "audit key").u64()?, time, input.rest().to_vec()));
        }
        Ok(out)
    }

    /// Lines of the audit log older than number `before`, newest first, while `more` says so. Whether the end came.
    pub fn audit_before(
        &self,
        before: Option<u64>,
        mut more: impl FnMut(AuditLine<'_>) -> bool,
    ) -> Result<bool, StoreError> {
        let table = self.rows(definitions::audit)?;
        let end = keys::number(before.unwrap_or(u64::MAX));
        for entry in table.range::<&[u8]>(..end.as_slice())?.rev() {
            let (key, value) = entry?;
            if !more(AuditLine::read(key.value(), value.value())?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The whole audit log, oldest first, while `more` says so.
    pub fn audit_all(&self, mut more: impl FnMut(AuditLine<'_>) -> bool) -> Result<(), StoreError> {
        for entry in self.rows(definitions::audit)?.iter()? {
            let (key, value) = entry?;
            if !more(AuditLine::read(key.value(), value.value())?) {
                break;
            }
        }
        Ok(())
    }

    /// Lines of the audit log newer than number `after`, oldest first, while `more` says so. Whether the end came.
    pub fn audit_after(
        &self,
        after: Option<u64>,
        mut more: impl FnMut(AuditLine<'_>) -> bool,
    ) -> Result<bool, StoreError> {
        let table = self.rows(definitions::audit)?;
        let from = keys::number(after.map_or(0, |number| number.saturating_add(1)));
        let mut lines = table.range::<&[u8]>(from.as_slice()..)?;
        while let Some(entry) = lines.next() {
            let (key, value) = entry?;
            if !more(AuditLine::read(key.value(), value.value())?) {
                return Ok(lines.next().is_none());
            }
        }
        Ok(true)
    }

    /// The chain that the audit log ends in.
    pub fn audit_end(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let table = self.txn.open_table(definitions::meta)?;
        let end = table.get(meta::AUDIT_CHAIN)?;
        Ok(end.and_then(|chain| chain.value().try_into().ok()))
    }

    /// The oldest unlocked files of a sub-account up to commit `upto`: creation, id, size.
    pub fn oldest_unlocked(
        &self,
        sub_account: SubAccountId,
        upto: ObjectId,
        most: usize,
    ) -> Result<Vec<(Timestamp, ObjectId, Bytes)>, StoreError> {
        let mut out = Vec::new();
        if most == 0 {
            return Ok(out);
        }
        self.walk_unlocked(sub_account, |created, id, size| {
            if id <= upto {
                out.push((created, id, size));
            }
            out.len() < most
        })?;
        Ok(out)
    }

    /// Unlocked files of a sub-account, the oldest first, while `more` says so: creation, id, size.
    pub fn walk_unlocked(
        &self,
        sub_account: SubAccountId,
        mut more: impl FnMut(Timestamp, ObjectId, Bytes) -> bool,
    ) -> Result<(), StoreError> {
        let table = self.rows(definitions::unlocked)?;
        let [from, to] = [0, 1].map(|next| keys::number(sub_account.get() + next));
        for entry in table.range(from.as_slice()..to.as_slice())? {
            let (key, value) = entry?;
            let (created, id) = unlocked_key(key.value())?;
            if !more(created, id, unlocked_value(value.value())?.1) {
                break;
            }
        }
        Ok(())
    }

    /// When the newest unlocked file of a sub-account was stored.
    pub fn newest_unlocked(&self, sub_account: SubAccountId) -> Result<Option<Timestamp>, StoreError> {
        let table = self.rows(definitions::unlocked)?;
        let [from, to] = [0, 1].map(|next| keys::number(sub_account.get() + next));
        match table.range(from.as_slice()..to.as_slice())?.next_back() {
            Some(entry) => Ok(Some(unlocked_key(entry?.0.value())?.0)),
            None => Ok(None),
        }
    }

    /// The whole seconds in which the oldest and the newest file of a bucket were stored, locked or not.
    pub fn ends(&self, bucket: BucketId) -> Result<Option<(i64, i64)>, StoreError> {
        let table = self.rows(definitions::by_time)?;
        let [from, to] = [0, 1].map(|next| keys::number(bucket.get() + next));
        let mut all = table.range(from.as_slice()..to.as_slice())?;
        let second = |key: &[u8]| -> Result<i64, StoreError> {
            let mut input = Decoder::new(key, "time key");
            input.raw(8)?;
            Ok(unordered(input.u64()?))
        };
        let Some(first) = all.next() else { return Ok(None) };
        let first = second(first?.0.value())?;
        let last = match all.next_back() {
            Some(last) => second(last?.0.value())?,
            None => first,
        };
        Ok(Some((first, last)))
    }

    /// Everything in a table, for checks.
    pub fn each(
        &self,
        definition: Definition,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for entry in self.rows(definition)?.iter()? {
            let (key, value) = entry?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    /// A value of any table, for checks.
    pub fn raw(&self, definition: Definition, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows(definition)?.get(key)?.map(|v| v.value().to_vec()))
    }

    /// Files of a bucket after `after`, for scans that must not hold one state for hours.
    pub fn objects_after(&self, after: &[u8], most: usize) -> Result<Vec<(Vec<u8>, ObjectRow)>, StoreError> {
        let table = self.rows(definitions::objects)?;
        let mut from = after.to_vec();
        from.push(0);
        let start = if after.is_empty() { &[][..] } else { from.as_slice() };
        let mut out = Vec::new();
        for entry in table.range(start..)?.take(most) {
            let (key, value) = entry?;
            out.push((key.value().to_vec(), ObjectRow::decode(value.value())?));
        }
        Ok(out)
    }
}

/// The common prefix that a key is rolled up into, delimiter included.
fn common_prefix<'k>(key: &'k str, query: &ListQuery) -> Option<&'k str> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(query.prefix.as_str())?;
    let at = rest.find(query.delimiter.as_str())?;
    key.get(..query.prefix.len() + at + query.delimiter.len())
}

fn upload_entry(key: &[u8], value: &[u8]) -> Result<(BucketId, UploadId, UploadRow), StoreError> {
    let mut input = Decoder::new(key, "upload key");
    Ok((BucketId::new(input.u64()?), UploadId::new(input.u128()?), UploadRow::decode(value)?))
}

fn alert_entry(key: &[u8], value: &[u8]) -> Result<(AlertId, AlertRow), StoreError> {
    Ok((AlertId::new(Decoder::new(key, "alert key").u64()?), AlertRow::decode(value)?))
}
