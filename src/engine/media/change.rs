//! Locks with their reasons; deletion of what is not locked, looked at first.

use serde::Serialize;

use super::super::status::blocking;
use super::find::Found;
use super::{CHOSEN_MAX, Chosen, FileFilter, FileName, LockReason, Shelf};
use crate::domain::files::FilesRefusal;
use crate::domain::{Action, Lock, ObjectId, ObjectKey, Refusal, limits};
use crate::engine::{Caller, DeleteCondition, Engine, Error, Result};
use crate::store::event::Event;

/// Files that one deletion takes.
const DELETED_MAX: usize = 10_000;
/// Files looked at to find them.
const LOOKED_AT_MAX: u64 = 100_000;
const REASON_CHARS_MAX: usize = 200;

/// What a deletion would take, and what it would leave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeletionPreview {
    /// Files that would go.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// FileDate of the oldest, ms since 1970.
    pub first_ms: Option<i64>,
    /// FileDate of the newest, ms since 1970.
    pub last_ms: Option<i64>,
    /// Locked files that stay.
    pub locked: u64,
    /// What is younger than this commit is not meant: it came after the preview.
    pub upto: u64,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeletionReport {
    /// Files that went.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay, for they are locked, or were replaced meanwhile.
    pub kept: u64,
}

impl Engine {
    /// Locks or unlocks files, with the reason for it; what became of each.
    pub async fn lock_files(
        &self,
        caller: &Caller,
        names: &[FileName],
        lock: Lock,
        reason: &str,
    ) -> Result<Vec<(FileName, Result<()>)>> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return Err(Refusal::from(FilesRefusal::NoReason).into());
        }
        if names.is_empty() {
            return Err(Refusal::from(FilesRefusal::NothingChosen).into());
        }
        if names.len() > CHOSEN_MAX {
            return Err(Refusal::from(FilesRefusal::TooMany { most: CHOSEN_MAX }).into());
        }
        let mut outcomes = Vec::with_capacity(names.len());
        for some in names.chunks(limits::SWEEP_FILES_PER_STEP_MAX) {
            let mut found = Vec::new();
            for name in some {
                let shelf = self.shelf(caller, Action::ChangeFiles, &name.ak, name.media)?;
                let row = match name.key.parse::<ObjectKey>() {
                    Ok(key) => self.inner.store.view()?.object(shelf.bucket.id, &key)?.map(|row| (key, row.id)),
                    Err(_) => None,
                };
                match row {
                    Some((key, id)) => {
                        found.push((shelf, key, id));
                        outcomes.push((name.clone(), Ok(())));
                    }
                    None => outcomes.push((name.clone(), Err(Refusal::NoFile.into()))),
                }
            }
            self.lock_some(caller, found, lock, reason).await?;
        }
        Ok(outcomes)
    }

    /// A reason is there before its lock, and goes after it: a power cut between leaves a reason that nobody sees.
    async fn lock_some(
        &self,
        caller: &Caller,
        files: Vec<(Shelf, ObjectKey, ObjectId)>,
        lock: Lock,
        reason: &str,
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let ids: Vec<u64> = files.iter().map(|(_, _, id)| id.get()).collect();
        let row = LockReason { reason: reason.to_owned(), who: self.name_of(caller), at_ms: self.now().millis() };
        if lock == Lock::Locked {
            let (books, ids) = (self.inner.books.clone(), ids.clone());
            blocking(move || {
                books.change(|changes| ids.iter().try_for_each(|id| changes.put(id, &row)))?;
                Ok(())
            })
            .await?;
        }
        let names: Vec<String> =
            files.iter().map(|(shelf, key, _)| format!("{} {} {key}", shelf.ak.as_str(), shelf.media.word())).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        let what = if lock == Lock::Locked { "LockFiles" } else { "UnlockFiles" };
        let audit = self.audited(caller, what, format!("{reason}: {names}"));
        let done = self.change(false, move |apply| {
            let mut events = Vec::new();
            for (shelf, key, id) in files {
                let bucket = shelf.bucket.id;
                if let Some(row) = apply.object(bucket, &key)?
                    && row.id == id
                    && row.lock != lock
                {
                    events.push(Event::SetLock { bucket, key, id, lock });
                }
            }
            events.extend(audit);
            Ok(events)
        });
        done.await?;
        if lock == Lock::Open {
            let books = self.inner.books.clone();
            blocking(move || {
                books.change(|changes| ids.iter().try_for_each(|id| changes.remove::<LockReason>(id).map(|_| ())))?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// What deleting these would take. More than 10,000 are refused.
    pub async fn preview_deletion(&self, caller: &Caller, chosen: &Chosen) -> Result<DeletionPreview> {
        Ok(self.doomed(caller, chosen, None).await?.1)
    }

    /// Deletes what is chosen, is not locked, and was there at the preview (`upto`). `typed` is the camera's AK, typed by
    /// a hand that means it.
    pub async fn delete_files(
        &self,
        caller: &Caller,
        chosen: &Chosen,
        upto: u64,
        typed: &str,
    ) -> Result<DeletionReport> {
        let cameras: Vec<&str> = match chosen {
            Chosen::Names(names) => names.iter().map(|name| name.ak.as_str()).collect(),
            Chosen::Matching(filter) => vec![filter.ak.as_str()],
        };
        if cameras.iter().any(|ak| *ak != typed.trim()) {
            return Err(Refusal::from(FilesRefusal::NotConfirmed).into());
        }
        let (doomed, preview) = self.doomed(caller, chosen, Some(upto)).await?;
        let mut report = DeletionReport { kept: preview.locked, ..DeletionReport::default() };
        for (shelf, files) in doomed {
            let sizes: Vec<u64> = files.iter().map(|(_, row)| row.size.get()).collect();
            let condition = |(key, row): Found| {
                let (etag, modified, size) = (Some(row.etag.to_string()), Some(row.created), Some(row.size.get()));
                (key, DeleteCondition { etag, modified, size })
            };
            let files = files.into_iter().map(condition).collect();
            for (outcome, size) in self.delete_many(caller, &shelf.bucket, files).await.into_iter().zip(sizes) {
                match outcome {
                    Ok(()) => {
                        report.files += 1;
                        report.bytes += size;
                    }
                    Err(Error::Refused(Refusal::Locked | Refusal::Precondition)) => report.kept += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(report)
    }

    async fn doomed(
        &self,
        caller: &Caller,
        chosen: &Chosen,
        upto: Option<u64>,
    ) -> Result<(Vec<(Shelf, Vec<Found>)>, DeletionPreview)> {
        let mut shelves: Vec<(Shelf, Vec<Found>)> = match chosen {
            Chosen::Matching(filter) => {
                let shelf = self.shelf(caller, Action::ChangeFiles, &filter.ak, filter.media)?;
                let files = self.matching(&shelf, filter, DELETED_MAX).await?;
                vec![(shelf, files)]
            }
            Chosen::Names(names) => self.named(caller, Action::ChangeFiles, names)?,
        };
        let mut preview = DeletionPreview { upto: upto.unwrap_or(0), ..DeletionPreview::default() };
        for (_, files) in &mut shelves {
            files.retain(|(_, row)| {
                if row.lock == Lock::Locked {
                    preview.locked += 1;
                    return false;
                }
                if upto.is_some_and(|upto| row.id.get() > upto) {
                    return false;
                }
                preview.files += 1;
                preview.bytes += row.size.get();
                let at = row.created.millis();
                preview.first_ms = Some(preview.first_ms.map_or(at, |first| first.min(at)));
                preview.last_ms = Some(preview.last_ms.map_or(at, |last| last.max(at)));
                if upto.is_none() {
                    preview.upto = preview.upto.max(row.id.get());
                }
                true
            });
        }
        Ok((shelves, preview))
    }

    /// All that match, at most so many.
    pub(super) async fn matching(&self, shelf: &Shelf, filter: &FileFilter, most: usize) -> Result<Vec<Found>> {
        let (engine, filter) = (self.clone(), filter.clone());
        let shelf = Shelf { ak: shelf.ak.clone(), media: shelf.media, bucket: shelf.bucket.clone() };
        blocking(move || {
            let mut files = Vec::new();
            let (_, next) = engine.walk(&shelf, &filter, 0, 1000, LOOKED_AT_MAX, |file| {
                files.push(file);
                files.len() <= most
            })?;
            if files.len() > most || next.is_some() {
                return Err(Refusal::from(FilesRefusal::TooMany { most }).into());
            }
            Ok(files)
        })
        .await
    }

    /// Those of these names that are there, by bucket.
    pub(super) fn named(
        &self,
        caller: &Caller,
        action: Action,
        names: &[FileName],
    ) -> Result<Vec<(Shelf, Vec<Found>)>> {
        if names.is_empty() {
            return Err(Refusal::from(FilesRefusal::NothingChosen).into());
        }
        if names.len() > CHOSEN_MAX {
            return Err(Refusal::from(FilesRefusal::TooMany { most: CHOSEN_MAX }).into());
        }
        let view = self.inner.store.view()?;
        let mut shelves: Vec<(Shelf, Vec<Found>)> = Vec::new();
        for FileName { ak, media, key } in names {
            let place = match shelves.iter().position(|(shelf, _)| shelf.ak.as_str() == ak && shelf.media == *media) {
                Some(place) => place,
                None => {
                    shelves.push((self.shelf(caller, action, ak, *media)?, Vec::new()));
                    shelves.len() - 1
                }
            };
            let Some((shelf, files)) = shelves.get_mut(place) else { continue };
            if let Ok(key) = key.parse::<ObjectKey>()
                && !files.iter().any(|(found, _)| *found == key)
                && let Some(row) = view.object(shelf.bucket.id, &key)?
            {
                files.push((key, row));
            }
        }
        Ok(shelves)
    }
}
