//! Multipart uploads: parts are records, an object is a list of them; completing copies nothing.

use super::{BucketRef, Caller, Engine, NewObject, PartInfo, PutCondition, Result, Stored, UploadInfo};
use crate::domain::{Bytes, ETag, Lock, ObjectKey, Refusal, UploadId};
use crate::store::committer::{Check, Command, Completion};
use crate::store::event::Event;
use crate::store::index::rows::UploadRow;

impl Engine {
    /// Begins a multipart upload.
    pub async fn create_multipart(&self, caller: &Caller, bucket: &BucketRef, new: NewObject) -> Result<UploadId> {
        let _ = caller;
        let locked = self.inner.store.view()?.object(bucket.id, &new.key)?.is_some_and(|old| old.lock == Lock::Locked);
        if locked {
            return Err(Refusal::Locked.into());
        }
        let upload = UploadId::new(u128::from_be_bytes(self.inner.world.entropy.bytes()));
        let row = UploadRow { key: new.key, metadata: new.metadata, lock: new.lock, created: self.now(), done: None };
        let bucket = bucket.id;
        self.change(false, move |apply| match apply.sub_account(crate::store::index::owner_of(bucket).0)? {
            Some(_) => Ok(vec![Event::CreateUpload { bucket, upload, row }]),
            None => super::refuse(Refusal::NoBucket),
        })
        .await?;
        Ok(upload)
    }

    /// Makes an object of the parts named, number and tag as the client sent them. A second call
    /// is answered as the first.
    pub async fn complete_multipart(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        parts: Vec<(u16, String)>,
        condition: PutCondition,
    ) -> Result<Stored> {
        let _ = caller;
        let completion = Completion {
            bucket: bucket.id,
            key: key.clone(),
            upload,
            parts,
            check: Check { must_not_exist: condition.must_not_exist, must_match: condition.must_match },
            nonce: self.inner.world.entropy.bytes(),
        };
        let receipt = self.inner.store.queue.ask(|reply| Command::Complete(Box::new(completion), reply)).await?;
        Ok(receipt.into())
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

    /// Parts with numbers above `after`, at most `max`; the flag says whether there are more.
    pub async fn list_parts(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        after: u16,
        max: usize,
    ) -> Result<(Vec<PartInfo>, bool)> {
        let _ = caller;
        let view = self.inner.store.view()?;
        match view.upload(bucket.id, upload)? {
            Some(row) if row.done.is_none() && row.key == *key => {}
            _ => return Err(Refusal::NoUpload.into()),
        }
        let mut parts = view.parts(upload, after, max.saturating_add(1))?;
        let more = parts.len() > max;
        parts.truncate(max);
        let parts = parts.into_iter().map(|(number, part)| PartInfo {
            number,
            size: Bytes::new(part.size),
            etag: ETag { md5: part.md5, parts: 0 },
            created: part.created,
        });
        Ok((parts.collect(), more))
    }

    /// The uploads under way of a bucket whose keys begin with `prefix`, by key, then by id.
    pub async fn list_multipart(&self, caller: &Caller, bucket: &BucketRef, prefix: &str) -> Result<Vec<UploadInfo>> {
        let _ = caller;
        let all = self.inner.store.view()?.uploads(bucket.id)?;
        let open = all.into_iter().filter(|(_, row)| row.done.is_none() && row.key.as_str().starts_with(prefix));
        let mut out: Vec<_> = open.map(|(id, row)| UploadInfo { key: row.key, id, created: row.created }).collect();
        out.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
        Ok(out)
    }
}
