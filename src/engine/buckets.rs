//! An account's own buckets: what its administration key makes and deletes beside those of its sub-accounts.
//! Decision 6.

use std::sync::Arc;

use super::types::Who;
use super::{BucketRef, Caller, Engine, Result, refuse};
use crate::domain::{BucketName, Refusal, SubAccountId, limits};
use crate::store::event::Event;
use crate::store::index::is_own;
use crate::store::index::rows::OwnBucketRow;

impl Engine {
    /// S3 CreateBucket. One's own again is no error, as in S3's first region; a sub-account's own buckets are there
    /// already ([`Refusal::BucketIsYours`]).
    pub async fn create_bucket(&self, caller: &Caller, name: BucketName) -> Result<()> {
        let Who::Administrator { account } = caller.who else {
            // A camera's buckets come and go with its sub-account.
            self.bucket(caller, name.as_str()).map_err(|error| match error {
                super::Error::Refused(Refusal::NoBucket) => Refusal::Forbidden.into(),
                other => other,
            })?;
            return Err(Refusal::BucketIsYours.into());
        };
        let audit = self.audited(caller, "CreateBucket", name.to_string());
        let row = OwnBucketRow { account, name, created: self.now() };
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |_| {
            let catalog = catalog.read();
            if !catalog.accounts.contains_key(&account) {
                return refuse(Refusal::NoKey);
            }
            if let Some(bucket) = catalog.buckets.get(row.name.as_str()) {
                return match (catalog.account_of(bucket.owner) == Some(account), is_own(bucket.id)) {
                    (true, true) => Ok(Vec::new()),
                    (true, false) => refuse(Refusal::BucketIsYours),
                    (false, _) => refuse(Refusal::BucketExists),
                };
            }
            let now = catalog.areas.get(&account).map_or(0, |area| area.buckets.len());
            if now >= limits::OWN_BUCKETS_MAX {
                return refuse(Refusal::TooManyBuckets { most: limits::OWN_BUCKETS_MAX });
            }
            Ok(std::iter::once(Event::PutOwnBucket { id: SubAccountId::new(0), row }).chain(audit).collect())
        })
        .await?;
        Ok(())
    }

    /// S3 DeleteBucket, of an own bucket without files; its multipart uploads are given up. A sub-account's bucket
    /// goes with it and never by itself ([`Refusal::Forbidden`]).
    pub async fn delete_bucket(&self, caller: &Caller, bucket: &BucketRef) -> Result<()> {
        let administers = matches!(caller.who, Who::Administrator { .. } | Who::Operator);
        if !administers || !is_own(bucket.id) {
            return Err(Refusal::Forbidden.into());
        }
        let audit = self.audited(caller, "DeleteBucket", bucket.name.to_string());
        let (id, bucket) = (bucket.owner, bucket.id);
        self.change(true, move |apply| {
            if !apply.has_bucket(bucket)? {
                return refuse(Refusal::NoBucket);
            }
            if apply.stats(id)?.files != [0, 0] {
                return refuse(Refusal::BucketNotEmpty);
            }
            Ok(std::iter::once(Event::DeleteOwnBucket { id }).chain(audit).collect())
        })
        .await?;
        Ok(())
    }
}
