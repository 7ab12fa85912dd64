//! What each camera does, what people call it, and which have gone silent.

use std::cmp::Reverse;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;

use super::rows::{CameraRow, NameRow, day_of};
use super::{Observe, cut};
use crate::domain::forecast::{cadence, patience};
use crate::domain::{Action, SubAccountId, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Error, Result};

/// Characters of a camera's name, and of its place.
const NAME_CHARS_MAX: usize = 60;

/// A camera as its users see it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CameraView {
    /// S3AK.
    pub ak: String,
    /// Its account's name.
    pub account: String,
    /// What people call it; empty where nobody has named it.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// When its last upload was completed, ms since 1970.
    pub last_upload_ms: Option<i64>,
    /// When a request of its key was last refused, ms since 1970.
    pub last_refusal_ms: Option<i64>,
    /// S3's code of that.
    pub last_refusal: Option<String>,
    /// `v2`, `v4`, or either with `-presigned`; empty while nothing came.
    pub signature: String,
    /// `User-Agent` of its last upload.
    pub agent: String,
    /// Its clock less ours, ms.
    pub skew_ms: Option<i64>,
    /// `path` or `host`.
    pub addressing: &'static str,
    /// Its usual gap between uploads, seconds; `None` while it is being learned.
    pub cadence_s: Option<u32>,
    /// It is silent after so long without an upload, seconds.
    pub silent_after_s: Option<u64>,
    /// Since when it is silent (its last upload), ms since 1970.
    pub silent_since_ms: Option<i64>,
    /// Recordings a day, over the last days that it was there.
    pub recordings_per_day: u64,
    /// Pictures a day.
    pub pictures_per_day: u64,
    /// Bytes a day.
    pub bytes_per_day: u64,
}

/// A camera that has gone silent.
#[derive(Clone, Debug, Serialize)]
pub struct SilentCamera {
    /// S3AK.
    pub ak: String,
    /// Its account's name.
    pub account: String,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Its last upload, ms since 1970.
    pub since_ms: i64,
    /// For how long nothing has come, ms.
    pub silent_ms: i64,
    /// Its usual gap between uploads, seconds.
    pub cadence_s: u32,
    /// S3's code where a request of its key was refused since.
    pub refused: Option<String>,
}

impl Observe {
    /// What people call a camera.
    pub(in crate::engine) fn name(&self, id: SubAccountId) -> NameRow {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().unwrap_or_default()
    }

    /// Those of which `wanted` says so, with their AK, in the order of their numbers.
    pub(super) fn owners(&self, wanted: impl Fn(&CameraRow) -> bool) -> Vec<(SubAccountId, String)> {
        let mut out = self.each(wanted, |row| row.ak.clone());
        out.sort_by_key(|(id, _)| *id);
        out
    }

    /// Those of which `wanted` says so, with what `look` makes of their rows.
    pub(super) fn each<T>(
        &self,
        wanted: impl Fn(&CameraRow) -> bool,
        look: impl Fn(&CameraRow) -> T,
    ) -> Vec<(SubAccountId, T)> {
        let mut out = Vec::new();
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let found = part.iter().filter(|(id, camera)| **id != super::NOBODY && wanted(&camera.row));
            out.extend(found.map(|(id, camera)| (*id, look(&camera.row))));
        }
        out
    }

    /// What is known of a camera's uploads.
    pub(super) fn row(&self, id: SubAccountId) -> CameraRow {
        self.part(id).get(&id).map(|camera| camera.row.clone()).unwrap_or_default()
    }

    /// Looks at what is known of a camera, under its lock.
    pub(super) fn with_row<T>(&self, id: SubAccountId, look: impl FnOnce(Option<&CameraRow>) -> T) -> T {
        look(self.part(id).get(&id).map(|camera| &camera.row))
    }

    /// As [`CameraRow::last_week`].
    pub(super) fn last_week(&self, id: SubAccountId, now: Timestamp, since: Timestamp) -> (u64, i64) {
        self.part(id).get(&id).map_or((0, 0), |camera| camera.row.last_week(now, since))
    }
}

/// Since when a camera is silent, and its cadence.
pub(super) fn silent(row: &CameraRow, last_upload: Option<i64>, now: Timestamp, factor: u32) -> Option<(i64, u32)> {
    let (cadence, last) = (cadence(&row.gaps)?, last_upload?);
    let quiet = now.since(Timestamp::from_millis(last));
    (quiet > patience(cadence, factor)).then_some((last, cadence))
}

impl Engine {
    /// One camera, by its AK.
    pub async fn camera(&self, caller: &Caller, ak: &str) -> Result<CameraView> {
        let sub = self.sub_account_for(caller, Action::SeeSpace, ak)?;
        let row = self.inner.observe.row(sub.id);
        self.camera_view(sub.id, &row).ok_or_else(|| crate::domain::Refusal::NoSubAccount.into())
    }

    /// Cameras that the caller may see, by account and AK: `most` of them after `skip`, and how many there are.
    /// `find`: only those with this in their name, place or AK.
    pub async fn cameras(
        &self,
        caller: &Caller,
        find: Option<&str>,
        skip: usize,
        most: usize,
    ) -> Result<(u64, Vec<CameraView>)> {
        let scope = caller.must(Action::SeeSpace)?;
        let mut found: Vec<(u64, String, SubAccountId)> = {
            let catalog = self.inner.store.catalog.read();
            let subs = catalog.sub_accounts.values().filter(|sub| scope.is_none_or(|own| own == sub.row.account));
            subs.map(|sub| (sub.row.account.get(), sub.row.ak.as_str().to_owned(), sub.id)).collect()
        };
        if let Some(find) = find.map(str::to_lowercase).filter(|find| !find.is_empty()) {
            found.retain(|(_, ak, id)| {
                let named = self.inner.observe.name(*id);
                [ak, &named.name, &named.place].iter().any(|text| text.to_lowercase().contains(&find))
            });
        }
        found.sort();
        let total = found.len() as u64;
        let page = found.into_iter().skip(skip).take(most);
        let views = page.filter_map(|(_, _, id)| self.camera_view(id, &self.inner.observe.row(id))).collect();
        Ok((total, views))
    }

    pub(super) fn camera_view(&self, id: SubAccountId, row: &CameraRow) -> Option<CameraView> {
        let (ak, account, last, created) = {
            let catalog = self.inner.store.catalog.read();
            let sub = catalog.sub_accounts.get(&id)?;
            let account = catalog.accounts.get(&sub.row.account).map(|a| a.name.as_str().to_owned());
            let last = sub.stats.last_upload.map(Timestamp::millis);
            (sub.row.ak.as_str().to_owned(), account.unwrap_or_default(), last, sub.row.created)
        };
        let (now, factor) = (self.now(), self.config().portal.silent_factor);
        let last_upload_ms = last.max(row.last_upload_ms);
        let cadence_s = cadence(&row.gaps);
        let named = self.inner.observe.name(id);
        let today = day_of(now, 0);
        let days = || row.days.iter().filter(|day| day.day + 7 > today);
        let (bytes, within) = row.last_week(now, created);
        let within = u64::try_from(within).unwrap_or(0).max(1);
        let a_day = |count: u64| crate::domain::forecast::per_day(count, Duration::from_millis(within)).unwrap_or(0);
        Some(CameraView {
            ak,
            account,
            name: named.name,
            place: named.place,
            last_upload_ms,
            last_refusal_ms: row.last_refusal.as_ref().map(|refusal| refusal.at_ms),
            last_refusal: row.last_refusal.as_ref().map(|refusal| refusal.cause.clone()),
            signature: row.signature.clone(),
            agent: row.agent.clone(),
            skew_ms: row.skew_ms,
            addressing: if row.by_host { "host" } else { "path" },
            cadence_s,
            silent_after_s: cadence_s.map(|cadence| patience(cadence, factor).as_secs()),
            silent_since_ms: silent(row, last_upload_ms, now, factor).map(|(since, _)| since),
            recordings_per_day: a_day(days().map(|day| day.recordings).sum()),
            pictures_per_day: a_day(days().map(|day| day.pictures).sum()),
            bytes_per_day: a_day(bytes),
        })
    }

    /// Cameras that have gone silent, the longest first: nothing has come for `portal.silent_factor` times their usual
    /// gap, and half an hour at least. One whose cadence is not known yet is none of them.
    pub async fn silent_cameras(&self, caller: &Caller) -> Result<Vec<SilentCamera>> {
        let scope = caller.must(Action::SeeSpace)?;
        let (now, factor) = (self.now(), self.config().portal.silent_factor);
        let catalog = self.inner.store.catalog.read();
        let mut out = Vec::new();
        for sub in catalog.sub_accounts.values().filter(|sub| scope.is_none_or(|own| own == sub.row.account)) {
            let part = self.inner.observe.part(sub.id);
            let Some(camera) = part.get(&sub.id) else { continue };
            let last = sub.stats.last_upload.map(Timestamp::millis).max(camera.row.last_upload_ms);
            let Some((since_ms, cadence_s)) = silent(&camera.row, last, now, factor) else { continue };
            let refused = camera.row.last_refusal.as_ref().filter(|refusal| refusal.at_ms >= since_ms);
            let named = self.inner.observe.name(sub.id);
            out.push(SilentCamera {
                ak: sub.row.ak.as_str().to_owned(),
                account: catalog.accounts.get(&sub.row.account).map(|a| a.name.as_str().to_owned()).unwrap_or_default(),
                name: named.name,
                place: named.place,
                since_ms,
                silent_ms: now.millis().saturating_sub(since_ms),
                cadence_s,
                refused: refused.map(|refusal| refusal.cause.clone()),
            });
        }
        out.sort_by_key(|camera| Reverse(camera.silent_ms));
        Ok(out)
    }

    /// Gives a camera a name and a place; empty ones take them away.
    pub async fn name_camera(&self, caller: &Caller, ak: &str, name: &str, place: &str) -> Result<()> {
        let sub = self.sub_account_for(caller, Action::ManageSubAccounts, ak)?;
        let tidy = |text: &str| {
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            cut(text.trim(), NAME_CHARS_MAX).to_owned()
        };
        let row = NameRow { name: tidy(name), place: tidy(place) };
        let (engine, id) = (self.clone(), sub.id);
        blocking(move || {
            engine.inner.books.change(|changes| {
                if row == NameRow::default() {
                    changes.remove::<NameRow>(&id.get())?;
                } else {
                    changes.put(&id.get(), &row)?;
                }
                Ok::<_, Error>(())
            })?;
            let mut names = engine.inner.observe.names.write().unwrap_or_else(PoisonError::into_inner);
            if row == NameRow::default() {
                names.remove(&id);
            } else {
                names.insert(id, row);
            }
            Ok(())
        })
        .await
    }
}
