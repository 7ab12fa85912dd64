//! Locks, deletion and clearing: 7.8, S3 DELETE, 7.9.

use super::{BucketRef, Caller, DeleteCondition, Engine, Error, Result, SubAccountRef, refuse};
use crate::domain::{Action, AtTheEnd, Lock, Media, ObjectId, ObjectKey, Refusal, limits};
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
        let audit = self.audited(caller, "DeleteObject", format!("{}/{key}", bucket.name));
        let (bucket, sub_account, key, by) = (bucket.id, bucket.owner, key.clone(), self.who_asks(caller));
        self.change(false, move |apply| match apply.object(bucket, &key)? {
            None => Ok(Vec::new()),
            Some(row) if !condition.holds(row.etag, row.created, row.size) => refuse(Refusal::Precondition),
            Some(row) if row.lock == Lock::Locked => refuse(Refusal::Locked),
            Some(row) => {
                apply.on_behalf_of(by);
                let files = vec![(row.created, row.id)];
                let gone = Event::Delete { sub_account, cause: Cause::Asked, files, exhausted: false };
                Ok(std::iter::once(gone).chain(audit).collect())
            }
        })
        .await?;
        Ok(())
    }

    /// S3 DeleteObjects: what became of each, in the order of `doomed`. They go a few hundred at a time, each time
    /// with one line in the audit log that names all that went.
    pub async fn delete_many(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        doomed: Vec<(ObjectKey, DeleteCondition)>,
    ) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(doomed.len());
        for some in doomed.chunks(limits::SWEEP_FILES_PER_STEP_MAX) {
            match self.delete_some(caller, bucket, some.to_vec()).await {
                Ok(told) => outcomes.extend(told.into_iter().map(|outcome| outcome.map_err(Error::from))),
                Err(error) => outcomes.extend(some.iter().map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    async fn delete_some(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        doomed: Vec<(ObjectKey, DeleteCondition)>,
    ) -> Result<Vec<std::result::Result<(), Refusal>>> {
        if !caller.may_delete(self.config().s3.allow_delete) {
            return Err(Refusal::Forbidden.into());
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        let (engine, caller, name) = (self.clone(), caller.clone(), bucket.name.clone());
        let (bucket, sub_account) = (bucket.id, bucket.owner);
        self.change(false, move |apply| {
            let (mut files, mut gone, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
            for (key, condition) in doomed {
                outcomes.push(match apply.object(bucket, &key)? {
                    None => Ok(()),
                    Some(row) if !condition.holds(row.etag, row.created, row.size) => Err(Refusal::Precondition),
                    Some(row) if row.lock == Lock::Locked => Err(Refusal::Locked),
                    // Named twice.
                    Some(row) if files.contains(&(row.created, row.id)) => Ok(()),
                    Some(row) => {
                        files.push((row.created, row.id));
                        gone.push(key);
                        Ok(())
                    }
                });
            }
            // The receiver lives until the change is answered.
            let _ = tell.send(outcomes);
            if files.is_empty() {
                return Ok(Vec::new());
            }
            apply.on_behalf_of(engine.who_asks(&caller));
            let names: Vec<&str> = gone.iter().map(ObjectKey::as_str).collect();
            // As JSON, since a key may have any separator in it.
            let names = serde_json::to_string(&names).unwrap_or_default();
            let audit = engine.audited(&caller, "DeleteObjects", format!("{name}: {} files {names}", gone.len()));
            let gone = Event::Delete { sub_account, cause: Cause::Asked, files, exhausted: false };
            Ok(std::iter::once(gone).chain(audit).collect())
        })
        .await?;
        told.await.map_err(|_| Error::Broken("a deletion was not told what became of it".into()))
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
        caller.acting(Action::ChangeFiles)?;
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
        if !caller.may_change() {
            return Err(Refusal::Forbidden.into());
        }
        let state = if lock == Lock::Locked { "ON" } else { "OFF" };
        let audit = self.audited(caller, "PutObjectLegalHold", format!("{state} {}/{key}", bucket.name));
        let (bucket, key) = (bucket.id, key.clone());
        self.change(false, move |apply| match apply.object(bucket, &key)? {
            None => refuse(Refusal::NoFile),
            Some(row) if row.lock == lock => Ok(Vec::new()),
            Some(row) => {
                let held = Event::SetLock { bucket, key, id: row.id, lock };
                Ok(std::iter::once(held).chain(audit).collect())
            }
        })
        .await?;
        Ok(())
    }

    /// 7.9: deletes every unlocked file of both buckets that was there when the call began, and
    /// arms the alerts. Done when it returns.
    pub async fn clear_sub_account_files(&self, caller: &Caller, sub: &SubAccountRef) -> Result<()> {
        self.account_for(caller, Action::ManageSubAccounts, sub)?;
        let (id, by) = (sub.id, self.who_asks(caller));
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
            let by = by.clone();
            self.change(false, move |apply| {
                apply.on_behalf_of(by);
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
