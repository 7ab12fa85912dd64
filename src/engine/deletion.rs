//! Locks, deletion and clearing: 7.8, S3 DELETE, 7.9.

use super::{BucketRef, Caller, DeleteCondition, Engine, Result, SubAccountRef, refuse};
use crate::domain::{AtTheEnd, Lock, Media, ObjectId, ObjectKey, Refusal, limits};
use crate::store::event::{Cause, Event};
use crate::store::index::bucket_of;

impl Engine {
    /// S3 DELETE. Deleting what is not there is no error, where deleting is allowed at all.
    pub async fn delete(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey) -> Result<()> {
        self.delete_if(caller, bucket, key, DeleteCondition::default()).await
    }

    /// As [`Engine::delete`], where the file is the one that is meant.
    pub async fn delete_if(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        condition: DeleteCondition,
    ) -> Result<()> {
        if !caller.may_delete(self.config().s3.allow_delete) {
            return Err(Refusal::Forbidden.into());
        }
        let (bucket, sub_account, key) = (bucket.id, bucket.owner, key.clone());
        self.change(false, move |apply| match apply.object(bucket, &key)? {
            None => Ok(Vec::new()),
            Some(row) if !condition.holds(row.etag, row.created, row.size) => refuse(Refusal::Precondition),
            Some(row) if row.lock == Lock::Locked => refuse(Refusal::Locked),
            Some(row) => {
                let files = vec![(row.created, row.id)];
                Ok(vec![Event::Delete { sub_account, cause: Cause::Asked, files, exhausted: false }])
            }
        })
        .await?;
        Ok(())
    }

    /// 7.8: locks or unlocks the file of this name in both buckets; looked up as sent, then with
    /// outer white space cut. [`Refusal::NoFile`] where neither has it.
    pub async fn lock_sub_account_file(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        name: &str,
        lock: Lock,
    ) -> Result<()> {
        caller.account_of_platform()?;
        let sub = sub.id;
        let names = [name.to_owned(), name.trim().to_owned()];
        self.change(false, move |apply| {
            for name in names {
                let Ok(key) = name.parse::<ObjectKey>() else { continue };
                let mut events = Vec::new();
                for media in [Media::Recording, Media::Picture] {
                    let bucket = bucket_of(sub, media);
                    if let Some(row) = apply.object(bucket, &key)? {
                        events.push(Event::SetLock { bucket, key: key.clone(), id: row.id, lock });
                    }
                }
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            refuse(Refusal::NoFile)
        })
        .await?;
        Ok(())
    }

    /// The lock flag in S3's words, a legal hold: sets or releases it on one file.
    /// [`Refusal::NoFile`] where there is none.
    pub async fn set_lock(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey, lock: Lock) -> Result<()> {
        let _ = caller;
        let (bucket, key) = (bucket.id, key.clone());
        self.change(false, move |apply| match apply.object(bucket, &key)? {
            None => refuse(Refusal::NoFile),
            Some(row) if row.lock == lock => Ok(Vec::new()),
            Some(row) => Ok(vec![Event::SetLock { bucket, key, id: row.id, lock }]),
        })
        .await?;
        Ok(())
    }

    /// 7.9: deletes every unlocked file of both buckets that was there when the call began, and
    /// arms the alerts. Done when it returns.
    pub async fn clear_sub_account_files(&self, caller: &Caller, sub: &SubAccountRef) -> Result<()> {
        caller.account_of_platform()?;
        let id = sub.id;
        let upto = self
            .change(false, move |apply| {
                match apply.sub_account(id)? {
                    None => return refuse(Refusal::NoSubAccount),
                    Some(row) if row.at_the_end == AtTheEnd::Overwrite => return refuse(Refusal::LoopMode),
                    Some(_) => {}
                }
                let empty = apply.oldest_unlocked(id)?.next().is_none();
                if empty { refuse(Refusal::NothingToClear) } else { Ok(Vec::new()) }
            })
            .await?;
        loop {
            let (told, counted) = tokio::sync::oneshot::channel();
            self.change(false, move |apply| {
                let mut files = Vec::new();
                for entry in apply.oldest_unlocked(id)? {
                    let (created, object, _) = entry?;
                    if object < ObjectId::new(upto) {
                        files.push((created, object));
                    }
                    if files.len() == limits::SWEEP_FILES_PER_STEP_MAX {
                        break;
                    }
                }
                // The receiver lives until the change is answered.
                let _ = told.send(files.len());
                Ok(match files.is_empty() {
                    true => vec![Event::Cleared { sub_account: id }],
                    false => vec![Event::Delete { sub_account: id, cause: Cause::Clear, files, exhausted: false }],
                })
            })
            .await?;
            if counted.await.is_ok_and(|count| count == 0) {
                return Ok(());
            }
        }
    }
}
