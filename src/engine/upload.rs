//! Uploads: admission before the body, bytes, commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes as Buf;

use super::numbers::UnderWay;
use super::{BucketRef, Caller, Engine, Error, Finish, NewObject, Result, SALVAGE, Stored};
use crate::domain::{
    Admission, AtTheEnd, BucketId, Bytes, ChecksumKind, Episode, Lock, Metadata, ObjectKey, Refusal, Rules,
    SubAccountId, UploadId, limits,
};
use crate::store::catalog::Hold;
use crate::store::committer::{Check, Command, Md5, NewObject as CommitObject, NewPart, Tag};
use crate::store::event::Event;
use crate::store::hasher::Stream;
use crate::store::volume::writer::{INLINE_MAX, RecordWriter, Written};

/// The first record of an upload of unknown length after the one in memory; they double.
const FIRST_STEP: u64 = 1 << 20;
/// The largest of them.
const STEP_MAX: u64 = 64 << 20;
/// An upload that waits for an overwrite is refused after this long.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);

/// What an upload becomes.
#[derive(Debug)]
enum Target {
    Object { metadata: Metadata, lock: Lock, check: Check },
    Part { upload: UploadId, number: u16, checksum: Option<ChecksumKind> },
}

/// An upload under way. Dropped before [`Upload::finish`], it gives everything back.
pub struct Upload {
    engine: Engine,
    bucket: BucketId,
    sub_account: SubAccountId,
    key: ObjectKey,
    target: Target,
    /// Bytes announced, where they were.
    length: Option<u64>,
    hold: Hold,
    md5: Stream,
    received: u64,
    writer: RecordWriter,
    done: Vec<Written>,
    /// Size of the next record of an upload of unknown length.
    step: u64,
    _under_way: UnderWay,
}

impl Engine {
    /// Begins an upload. All that can be refused before the body is read is refused here.
    pub async fn put(&self, caller: &Caller, bucket: &BucketRef, new: NewObject) -> Result<Upload> {
        let _ = caller;
        check_length(new.length, limits::PUT_BYTES_MAX)?;
        let old = self.inner.store.view()?.object(bucket.id, &new.key)?;
        if old.as_ref().is_some_and(|old| old.lock == Lock::Locked) {
            return Err(Refusal::Locked.into());
        }
        let check = Check::from(new.condition);
        check.holds(old.map(|old| old.etag))?;
        let target = Target::Object { metadata: new.metadata, lock: new.lock, check };
        self.begin(bucket, new.key, target, new.length).await
    }

    /// Begins the upload of a part.
    pub async fn put_part(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        part: u16,
        length: Option<u64>,
    ) -> Result<Upload> {
        let _ = caller;
        check_length(length, limits::PUT_BYTES_MAX)?;
        let checksum = match self.inner.store.view()?.upload(bucket.id, upload)? {
            Some(row) if row.done.is_none() && row.key == *key => row.checksum.map(|plan| plan.kind),
            _ => return Err(Refusal::NoUpload.into()),
        };
        self.begin(bucket, key.clone(), Target::Part { upload, number: part, checksum }, length).await
    }

    async fn begin(&self, bucket: &BucketRef, key: ObjectKey, target: Target, length: Option<u64>) -> Result<Upload> {
        if self.salvage().is_some() {
            // Before the body is read.
            return Err(Error::Unavailable(SALVAGE));
        }
        let hold = self.admit(bucket.owner, length.unwrap_or(0), 0).await?;
        let first = match length {
            Some(length) => length.min(self.inner.store.volumes.segment_max()),
            None => INLINE_MAX,
        };
        let writer = self.record(&key, &target, first)?;
        Ok(Upload {
            engine: self.clone(),
            bucket: bucket.id,
            sub_account: bucket.owner,
            key,
            target,
            length,
            hold,
            md5: self.inner.store.hasher.stream(),
            received: 0,
            writer,
            done: Vec::new(),
            step: FIRST_STEP,
            _under_way: self.inner.observe.tallies.upload(),
        })
    }

    fn record(&self, key: &ObjectKey, target: &Target, payload_max: u64) -> Result<RecordWriter> {
        let none = Metadata::default();
        let metadata = match target {
            Target::Object { metadata, .. } => metadata,
            Target::Part { .. } => &none,
        };
        Ok(RecordWriter::new(&self.inner.store.volumes, self.inner.world.entropy.bytes(), key, metadata, payload_max)?)
    }

    /// Reserves `len` bytes for an upload that holds `own` bytes already; waits for an overwrite
    /// that makes room.
    async fn admit(&self, id: SubAccountId, len: u64, own: u64) -> Result<Hold> {
        let catalog = &self.inner.store.catalog;
        let mut changed = catalog.watch();
        let deadline = tokio::time::Instant::now() + ROOM_WAIT_MAX;
        loop {
            changed.borrow_and_update();
            let (admission, space, hold) = catalog.admit(id, Bytes::new(len)).ok_or(Refusal::NoBucket)?;
            match (admission, hold) {
                (Admission::Fits, Some(hold)) => return Ok(hold),
                (Admission::LargerThanTheSpace, _) => {
                    return Err(Refusal::LargerThanTheSpace { granted: space.granted }.into());
                }
                // Nobody waits for room that only the upload itself could give back.
                (Admission::AfterFreeing(_), _) if Bytes::new(own.saturating_add(len)) > space.granted => {
                    return Err(Refusal::LargerThanTheSpace { granted: space.granted }.into());
                }
                (Admission::AfterFreeing(_), _)
                    if space.held.saturating_add(Bytes::new(own.saturating_add(len))) > space.granted =>
                {
                    self.refused_full(id).await?;
                    return Err(Refusal::Full { granted: space.granted }.into());
                }
                (Admission::AfterFreeing(over), _) => {
                    // Else the room is that of uploads under way; it comes when they are files. Where
                    // an overwrite is under way already, its end is waited for.
                    let sweeping = catalog.read().sub_accounts.get(&id).is_some_and(|sub| sub.stats.sweep_left > 0);
                    if !sweeping && space.used.saturating_sub(space.held) >= over {
                        self.start_sweep(id, len).await?;
                    }
                    let waited = tokio::time::timeout_at(deadline, changed.changed()).await;
                    if waited.is_err() {
                        return Err(Error::Busy("an overwrite has not made room in time"));
                    }
                }
                (Admission::Full | Admission::Fits, _) => {
                    self.refused_full(id).await?;
                    return Err(Refusal::Full { granted: space.granted }.into());
                }
            }
        }
    }

    /// Begins an overwrite for an upload of `len` bytes, unless one is under way or room was made.
    async fn start_sweep(&self, id: SubAccountId, len: u64) -> Result<()> {
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |apply| {
            let Some(space) = catalog.space(id) else { return Ok(Vec::new()) };
            let over = space.taken().saturating_add(Bytes::new(len)).saturating_sub(space.granted);
            let due = over > Bytes::ZERO && space.at_the_end == AtTheEnd::Overwrite && apply.stats(id)?.sweep_left == 0;
            let rules: Rules = catalog.settings().rules;
            let size = rules.sweep_size(&space, over).get();
            Ok(if due { vec![Event::StartSweep { sub_account: id, size }] } else { Vec::new() })
        })
        .await?;
        Ok(())
    }

    /// Alert 1, once per episode.
    async fn refused_full(&self, id: SubAccountId) -> Result<()> {
        let armed = |full: Episode| full == Episode::Armed;
        let due = self.inner.store.catalog.read().sub_accounts.get(&id).is_some_and(|sub| armed(sub.stats.full));
        if due {
            self.change(false, move |apply| {
                let due = armed(apply.stats(id)?.full);
                Ok(if due { vec![Event::RefusedFull { sub_account: id }] } else { Vec::new() })
            })
            .await?;
        }
        Ok(())
    }
}

fn check_length(length: Option<u64>, most: u64) -> Result<()> {
    match length {
        Some(length) if length > most => Err(Refusal::TooLarge.into()),
        _ => Ok(()),
    }
}

impl Upload {
    /// The algorithm that the parts of this upload have to be summed with; none where it was not said.
    pub fn checksum_kind(&self) -> Option<ChecksumKind> {
        match self.target {
            Target::Part { checksum, .. } => checksum,
            Target::Object { .. } => None,
        }
    }

    /// More bytes of the payload. An error ends the upload; dropping it gives everything back.
    pub async fn write(&mut self, data: Buf) -> Result<()> {
        let len = data.len() as u64;
        let after = self.received.checked_add(len).ok_or(Refusal::TooLarge)?;
        match self.length {
            Some(length) if after > length => return Err(Refusal::WrongLength.into()),
            Some(_) => {}
            None => self.grow(after).await?,
        }
        let mut rest = &data[..];
        while !rest.is_empty() {
            if self.writer.room() == 0 {
                self.next_record().await?;
            }
            let step = usize::try_from(self.writer.room()).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(step);
            self.writer.write(now, &mut self.md5).await?;
            rest = later;
        }
        self.received = after;
        Ok(())
    }

    /// More room for an upload of unknown length: ahead where there is plenty, else just enough.
    async fn grow(&mut self, after: u64) -> Result<()> {
        if after > limits::PUT_BYTES_MAX {
            return Err(Refusal::TooLarge.into());
        }
        let held = self.hold.bytes();
        if after <= held {
            return Ok(());
        }
        let need = after - held;
        let ahead = need.max(FIRST_STEP);
        let catalog = &self.engine.inner.store.catalog;
        let plenty = catalog.space(self.sub_account).is_some_and(|s| s.free().get() >= ahead.saturating_mul(4));
        let more = self.engine.admit(self.sub_account, if plenty { ahead } else { need }, held).await?;
        self.hold.merge(more);
        Ok(())
    }

    async fn next_record(&mut self) -> Result<()> {
        let most = self.engine.inner.store.volumes.segment_max();
        let size = match self.length {
            Some(length) => (length - self.received_in_records()).min(most),
            None => {
                let size = self.step.min(most);
                self.step = (self.step * 2).min(STEP_MAX);
                size
            }
        };
        let next = self.engine.record(&self.key, &self.target, size)?;
        let full = std::mem::replace(&mut self.writer, next);
        let full = full.finish(&mut self.md5).await?;
        if let Some((buffer, payload)) = full.inline() {
            self.md5.update(Arc::clone(buffer), payload).await?;
        }
        self.done.push(full);
        Ok(())
    }

    fn received_in_records(&self) -> u64 {
        self.done.iter().map(|r| r.payload_len).sum::<u64>() + self.writer.payload_len()
    }

    /// Commits. Goes on to its end even where the returned future is dropped: a camera that hangs
    /// up right after its last byte has not lost it.
    pub async fn finish(self, finish: Finish) -> Result<Stored> {
        if self.length.is_some_and(|length| length != self.received) {
            return Err(Refusal::WrongLength.into());
        }
        let engine = self.engine.clone();
        engine.survive(|_| self.commit(finish)).await
    }

    async fn commit(mut self, finish: Finish) -> Result<Stored> {
        let mut records = self.done;
        if records.is_empty() || self.writer.payload_len() > 0 {
            records.push(self.writer.finish(&mut self.md5).await?);
        }
        let (owner, bucket, bytes) = (self.sub_account, self.bucket, self.received);
        let whole = matches!(self.target, Target::Object { .. });
        let queue = &self.engine.inner.store.queue;
        let in_memory = match records.as_slice() {
            [only] => only.inline(),
            _ => None,
        };
        let (md5, hashing) = match in_memory {
            Some((payload, range)) => queue.hashing(payload, range),
            None => (Md5::Known(self.md5.finish().await?), None),
        };
        let tag = Tag { md5, declared: finish.md5 };
        self.hold.shrink_to(self.received);
        let answer = match self.target {
            Target::Object { metadata, lock, check } => {
                let upload = match records.len() {
                    1 => 0,
                    _ => u128::from_be_bytes(self.engine.inner.world.entropy.bytes()),
                };
                let new = CommitObject {
                    bucket: self.bucket,
                    key: self.key,
                    metadata,
                    lock,
                    checksum: finish.checksum,
                    tag,
                    check,
                    records,
                    upload: UploadId::new(upload),
                    hold: self.hold,
                };
                queue.begin(|reply| Command::Object(Box::new(new), reply))?
            }
            Target::Part { upload, number, .. } => {
                let new = NewPart {
                    bucket: self.bucket,
                    key: self.key,
                    upload,
                    number,
                    tag,
                    checksum: finish.checksum,
                    records,
                    hold: self.hold,
                };
                queue.begin(|reply| Command::Part(Box::new(new), reply))?
            }
        };
        if let Some(hashing) = hashing {
            hashing.run();
        }
        let stored: Stored = answer.come().await?.into();
        let observe = &self.engine.inner.observe;
        match whole {
            true => observe.uploaded(owner, bucket, bytes, stored.created),
            false => observe.part_stored(owner, bytes, stored.created),
        }
        Ok(stored)
    }
}
