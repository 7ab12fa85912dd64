//! Multipart uploads: parts are records, an object is a list of them; completing copies nothing.

use std::collections::BTreeMap;

use super::{
    BucketRef, Caller, Completion, Engine, NamedPart, NewObject, PartInfo, PartPage, Result, Stored, UploadInfo,
};
use crate::domain::{Bytes, Checksum, ChecksumPlan, ChecksumType, ETag, Lock, ObjectKey, Refusal, UploadId, limits};
use crate::store::committer::{Command, Completion as CommitCompletion};
use crate::store::event::Event;
use crate::store::index::rows::{PartRow, UploadRow};
use crate::wire::s3_checksum;

impl Engine {
    /// Begins a multipart upload.
    pub async fn create_multipart(&self, caller: &Caller, bucket: &BucketRef, new: NewObject) -> Result<UploadId> {
        let _ = caller;
        let locked = self.inner.store.view()?.object(bucket.id, &new.key)?.is_some_and(|old| old.lock == Lock::Locked);
        if locked {
            return Err(Refusal::Locked.into());
        }
        let upload = UploadId::new(u128::from_be_bytes(self.inner.world.entropy.bytes()));
        let row = UploadRow {
            key: new.key,
            metadata: new.metadata,
            lock: new.lock,
            created: self.now(),
            checksum: new.checksum,
            done: None,
        };
        let bucket = bucket.id;
        self.change(false, move |apply| match apply.has_bucket(bucket)? {
            true => Ok(vec![Event::CreateUpload { bucket, upload, row }]),
            false => super::refuse(Refusal::NoBucket),
        })
        .await?;
        Ok(upload)
    }

    /// Makes an object of the parts that are named. A second call is answered as the first.
    pub async fn complete_multipart(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        said: Completion,
    ) -> Result<Stored> {
        let _ = caller;
        let mut said = said;
        // Of a part that is named twice in a row, the second is meant.
        said.parts.reverse();
        said.parts.dedup_by_key(|part| part.number);
        said.parts.reverse();
        let checksum = self.checksum_to_be(bucket, key, upload, &said)?;
        let completion = CommitCompletion {
            bucket: bucket.id,
            key: key.clone(),
            upload,
            parts: said.parts.into_iter().map(|part| (part.number, part.etag)).collect(),
            checksum,
            check: said.condition.into(),
            nonce: self.inner.world.entropy.bytes(),
        };
        let receipt = self.inner.store.queue.ask(|reply| Command::Complete(Box::new(completion), reply)).await?;
        // Its bytes were counted part by part.
        self.inner.observe.uploaded(bucket.owner, bucket.id, 0, receipt.created());
        Ok(receipt.into())
    }

    /// The checksum of the object that a complete would make, once all that was said of it holds.
    /// What is wrong with numbers and tags is left to the committer, which looks at them at the
    /// moment of the commit.
    fn checksum_to_be(
        &self,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        said: &Completion,
    ) -> Result<Option<Checksum>> {
        let view = self.inner.store.view()?;
        let row = match view.upload(bucket.id, upload)? {
            Some(row) if row.done.is_none() && row.key == *key => row,
            _ => return Ok(None),
        };
        let stored: BTreeMap<u16, PartRow> =
            view.parts(upload, 0, usize::from(limits::PARTS_MAX))?.into_iter().collect();
        let mut parts = Vec::with_capacity(said.parts.len());
        for named in &said.parts {
            match stored.get(&named.number) {
                Some(part) if named.etag.eq_ignore_ascii_case(&hex::encode(part.md5)) => parts.push((named, part)),
                _ => return Ok(None),
            }
        }
        if let Some((wrong, _)) = parts.iter().find(|(named, part)| !named_rightly(named, part)) {
            return Err(Refusal::BadPart { number: wrong.number }.into());
        }
        let total: u64 = parts.iter().map(|(_, part)| part.size).sum();
        if let Some(said) = said.size.filter(|said| *said != total) {
            return Err(Refusal::OtherSize { said, real: total }.into());
        }
        let plan = row.checksum.or_else(|| plan_of(&parts, said.covers));
        let Some(plan) = plan else {
            return match &said.checksum {
                None => Ok(None),
                Some((kind, _)) => Err(other("null", &kind.name().to_ascii_lowercase())),
            };
        };
        if let Some(covers) = said.covers.filter(|covers| *covers != plan.covers) {
            return Err(other(plan.covers.word(), covers.word()));
        }
        let made = checksum_of(plan, &parts);
        if let Some((kind, text)) = &said.checksum {
            if *kind != plan.kind {
                return Err(other(&plan.kind.name().to_ascii_lowercase(), &kind.name().to_ascii_lowercase()));
            }
            // One over the parts' digests may come without their number.
            let bare = made.clone().map(|made| Checksum { parts: 0, ..made });
            if ![&made, &bare].into_iter().flatten().any(|sum| s3_checksum::encode(sum) == *text) {
                return Err(Refusal::BadChecksum { kind: plan.kind.name() }.into());
            }
        }
        if row.checksum.is_some_and(|plan| plan.covers == ChecksumType::Composite)
            && let Some((bare, _)) = parts.iter().find(|(named, _)| named.checksums.is_empty())
        {
            let kind = plan.kind.name().to_ascii_lowercase();
            return Err(Refusal::NoPartChecksum { kind, number: bare.number }.into());
        }
        Ok(made)
    }

    /// Gives a multipart upload up.
    pub async fn abort_multipart(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<()> {
        let _ = caller;
        let (bucket, key) = (bucket.id, key.clone());
        self.change(false, move |apply| match apply.upload(bucket, upload)? {
            Some(row) if row.done.is_none() && row.key == key => Ok(vec![Event::AbortUpload { bucket, upload }]),
            _ => super::refuse(Refusal::NoUpload),
        })
        .await?;
        Ok(())
    }

    /// Parts with numbers above `after`, at most `max`.
    pub async fn list_parts(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        after: u16,
        max: usize,
    ) -> Result<PartPage> {
        let _ = caller;
        let view = self.inner.store.view()?;
        let plan = match view.upload(bucket.id, upload)? {
            Some(row) if row.done.is_none() && row.key == *key => row.checksum,
            _ => return Err(Refusal::NoUpload.into()),
        };
        let mut parts = view.parts(upload, after, max.saturating_add(1))?;
        let more = parts.len() > max;
        parts.truncate(max);
        let parts = parts.into_iter().map(|(number, part)| PartInfo {
            number,
            size: Bytes::new(part.size),
            etag: ETag { md5: part.md5, parts: 0 },
            checksum: part.checksum,
            created: part.created,
        });
        Ok(PartPage { parts: parts.collect(), more, checksum: plan })
    }

    /// The uploads under way of a bucket whose keys begin with `prefix`, by key, then by id.
    pub async fn list_multipart(&self, caller: &Caller, bucket: &BucketRef, prefix: &str) -> Result<Vec<UploadInfo>> {
        let _ = caller;
        let all = self.inner.store.view()?.uploads(bucket.id)?;
        let open = all.into_iter().filter(|(_, row)| row.done.is_none() && row.key.as_str().starts_with(prefix));
        let info = |(id, row): (UploadId, UploadRow)| UploadInfo {
            key: row.key,
            id,
            created: row.created,
            checksum: row.checksum,
        };
        let mut out: Vec<_> = open.map(info).collect();
        out.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
        Ok(out)
    }
}

/// Whether a part is the one whose checksums were named.
fn named_rightly(named: &NamedPart, part: &PartRow) -> bool {
    named.checksums.iter().all(|(kind, text)| {
        part.checksum.as_ref().is_some_and(|sum| sum.kind == *kind && s3_checksum::encode(sum) == *text)
    })
}

/// Which checksum an object has whose upload said nothing: the one that all its parts have.
fn plan_of(parts: &[(&NamedPart, &PartRow)], covers: Option<ChecksumType>) -> Option<ChecksumPlan> {
    let mut kinds = parts.iter().map(|(_, part)| part.checksum.as_ref().map(|sum| sum.kind));
    let kind = kinds.next()??;
    let default = if kind.combines() { ChecksumType::FullObject } else { ChecksumType::Composite };
    kinds.all(|other| other == Some(kind)).then(|| ChecksumPlan { kind, covers: covers.unwrap_or(default) })
}

fn other(expected: &str, actual: &str) -> super::Error {
    Refusal::OtherChecksum { expected: expected.to_owned(), actual: actual.to_owned() }.into()
}

/// The checksum of the object that these parts make.
fn checksum_of(plan: ChecksumPlan, parts: &[(&NamedPart, &PartRow)]) -> Option<Checksum> {
    let sums: Option<Vec<(&[u8], u64)>> = parts
        .iter()
        .map(|(_, part)| {
            let sum = part.checksum.as_ref().filter(|sum| sum.kind == plan.kind)?;
            Some((sum.digest.as_slice(), part.size))
        })
        .collect();
    s3_checksum::whole(plan.kind, plan.covers, sums?.into_iter())
}
