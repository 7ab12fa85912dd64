//! 录像/图片检索: files of a camera by time, lock and name, the newest first.

use super::super::status::blocking;
use super::{FileFilter, FilePage, FileView, LockReason, Shelf};
use crate::domain::{Action, Media, ObjectKey, Refusal};
use crate::engine::{Caller, Engine, Result};
use crate::store::index::rows::ObjectRow;

/// Files looked at for one page: a rare name is looked for further from the page's own end.
const LOOKED_AT_MAX: u64 = 5000;
/// Files of a page at most.
pub const PAGE_MAX: usize = 500;
const STEP: u64 = 500;

/// A file with its row.
pub(super) type Found = (ObjectKey, ObjectRow);

impl Engine {
    /// A page of the files that match, from position `at` of the time on (0: the newest).
    pub async fn find_files(&self, caller: &Caller, filter: &FileFilter, at: u64, most: usize) -> Result<FilePage> {
        let shelf = self.shelf(caller, Action::SeeFiles, &filter.ak, filter.media)?;
        let (engine, filter, most) = (self.clone(), filter.clone(), most.clamp(1, PAGE_MAX));
        blocking(move || {
            let mut found = Vec::new();
            let step = if filter.is_of_all() { most as u64 } else { STEP };
            let (in_time, next) = engine.walk(&shelf, &filter, at, step, LOOKED_AT_MAX, |file| {
                found.push(file);
                found.len() < most
            })?;
            let mut files: Vec<FileView> = found.iter().map(|(key, row)| shelf.view(key, row)).collect();
            engine.add_reasons(&mut files)?;
            Ok(FilePage { in_time, files, next })
        })
        .await
    }

    /// Gives what matches, the newest first, until `take` has enough or so many were looked at; how many there are in
    /// the time, and where to go on.
    pub(super) fn walk(
        &self,
        shelf: &Shelf,
        filter: &FileFilter,
        mut at: u64,
        step: u64,
        looked_at_max: u64,
        mut take: impl FnMut(Found) -> bool,
    ) -> Result<(u64, Option<u64>)> {
        let view = self.inner.store.view()?;
        let (from, to) = filter.seconds();
        let bucket = shelf.bucket.id;
        let (total, _) = view.search(bucket, from, to, u64::MAX, 0)?;
        let name = filter.name.to_lowercase();
        let end = at.saturating_add(looked_at_max).min(total);
        while at < end {
            let some = step.min(end - at);
            let (_, mut files) = view.search(bucket, from, to, total - at - some, some)?;
            files.reverse();
            for (key, row) in files {
                at += 1;
                if filter.takes(&name, &key, row.lock) && !take((key, row)) {
                    return Ok((total, (at < total).then_some(at)));
                }
            }
        }
        Ok((total, (at < total).then_some(at)))
    }

    /// One file.
    pub async fn file(&self, caller: &Caller, ak: &str, media: Media, key: &str) -> Result<FileView> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, media)?;
        let key: ObjectKey = key.parse().map_err(|_| Refusal::NoFile)?;
        let row = self.inner.store.view()?.object(shelf.bucket.id, &key)?.ok_or(Refusal::NoFile)?;
        let mut file = [shelf.view(&key, &row)];
        let engine = self.clone();
        blocking(move || {
            engine.add_reasons(&mut file)?;
            let [file] = file;
            Ok(file)
        })
        .await
    }

    fn add_reasons(&self, files: &mut [FileView]) -> Result<()> {
        for file in files.iter_mut().filter(|file| file.locked) {
            file.reason = self.inner.books.get::<LockReason>(&file.id.get())?;
        }
        Ok(())
    }

    /// The file that plays at this second or next after it, and its neighbours: before, here, after.
    pub async fn files_around(
        &self,
        caller: &Caller,
        ak: &str,
        media: Media,
        second: i64,
    ) -> Result<[Option<FileView>; 3]> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, media)?;
        let engine = self.clone();
        blocking(move || {
            let view = engine.inner.store.view()?;
            let (from, to) = FileFilter::of("", media).seconds();
            let (before, _) = view.search(shelf.bucket.id, from, second.saturating_sub(1), u64::MAX, 0)?;
            let first = before.saturating_sub(1);
            let (_, files) = view.search(shelf.bucket.id, from, to, first, 3)?;
            let mut files = files.iter().map(|(key, row)| shelf.view(key, row));
            let previous = if before > 0 { files.next() } else { None };
            Ok([previous, files.next(), files.next()])
        })
        .await
    }

    /// The files before and after one, by time.
    pub async fn neighbours(&self, caller: &Caller, file: &FileView) -> Result<[Option<FileView>; 2]> {
        let media = Media::of_word(file.kind).ok_or(Refusal::NoFile)?;
        let shelf = self.shelf(caller, Action::SeeFiles, &file.ak, media)?;
        let (engine, key, second) = (self.clone(), file.key.clone(), file.created_ms.div_euclid(1000));
        blocking(move || {
            let view = engine.inner.store.view()?;
            let (from, to) = FileFilter::of("", media).seconds();
            let (before, _) = view.search(shelf.bucket.id, from, second - 1, u64::MAX, 0)?;
            let first = before.saturating_sub(1);
            // Its second may have many files; one of a bench, not of a camera.
            let (_, files) = view.search(shelf.bucket.id, from, to, first, 1000)?;
            let Some(place) = files.iter().position(|(found, _)| found.as_str() == key) else {
                return Ok([None, None]);
            };
            let view = |at: Option<usize>| at.and_then(|at| files.get(at)).map(|(key, row)| shelf.view(key, row));
            Ok([view(place.checked_sub(1)), view(place.checked_add(1))])
        })
        .await
    }

    /// How many files there are between each of these seconds and the next: a month of days.
    pub async fn files_by_day(&self, caller: &Caller, ak: &str, media: Media, edges: Vec<i64>) -> Result<Vec<u64>> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, media)?;
        let engine = self.clone();
        blocking(move || Ok(engine.inner.store.view()?.counts(shelf.bucket.id, &edges)?)).await
    }
}
