//! What is to be expected: of a sub-account, how far back it reaches, when it is full, what the next overwrite takes; of
//! the box, when its disks are full.

use std::time::Duration;

use serde::Serialize;

use crate::domain::forecast;
use crate::domain::{Action, AtTheEnd, ObjectId, Refusal, SubAccountId, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Error, Result};
use crate::store::index::view::View;

/// Files of the next overwrite that are counted; past it the number is told as a least one.
const COUNTED_MAX: usize = 10_000;
/// Sub-accounts that are told of in one go.
const FORECASTS_MAX: usize = 100;

/// What is to be expected of a sub-account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Forecast {
    /// S3AK.
    pub ak: String,
    /// Bytes a day over the last seven days; `None` while it is too young to tell.
    pub bytes_per_day: Option<u64>,
    /// When the oldest unlocked file was made, ms since 1970.
    pub oldest_ms: Option<i64>,
    /// How far back it reaches now, ms.
    pub kept_ms: Option<i64>,
    /// How far back it will reach once it overwrites, ms.
    pub window_ms: Option<i64>,
    /// When it is full, or begins to overwrite, ms since 1970.
    pub full_ms: Option<i64>,
    /// Whether it overwrites its oldest files.
    #[serde(rename = "loop")]
    pub loops: bool,
    /// When the next overwrite is expected, ms since 1970.
    pub overwrite_ms: Option<i64>,
    /// Bytes that it will free.
    pub overwrite_bytes: u64,
    /// Files that it will delete.
    pub overwrite_files: u64,
    /// They were made up to then, ms since 1970.
    pub overwrite_upto_ms: Option<i64>,
    /// Whether it takes more files than were counted.
    pub overwrite_more: bool,
}

/// What is to be expected of the box.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BoxForecast {
    /// Bytes uploaded a day, over the last seven days.
    pub bytes_in_per_day: u64,
    /// The same less what was overwritten and deleted; negative where the box empties.
    pub growth_per_day: i64,
    /// Bytes that uploads may still take of the disks.
    pub left_bytes: u64,
    /// When the disks are full, ms since 1970; `None` where the box does not grow.
    pub full_ms: Option<i64>,
    /// Bytes uploaded since the hour began, and the hour before.
    pub bytes_in_now: u64,
    /// Cameras gone silent.
    pub silent: u64,
    /// What the disks hold at most, less their reserves.
    pub capacity_bytes: u64,
    /// Space promised to accounts.
    pub promised_bytes: u64,
    /// Space that accounts have handed out to sub-accounts.
    pub handed_out_bytes: u64,
    /// Stored, in sub-accounts and own buckets.
    pub used_bytes: u64,
}

impl Engine {
    /// Bytes a day over the last week.
    pub(super) fn week(&self, id: SubAccountId, now: Timestamp, since: Timestamp) -> Option<u64> {
        let (bytes, within) = self.inner.observe.last_week(id, now, since);
        forecast::per_day(bytes, Duration::from_millis(u64::try_from(within).unwrap_or(0)))
    }

    /// What is to be expected of one sub-account.
    pub async fn forecast(&self, caller: &Caller, ak: &str) -> Result<Forecast> {
        let id = self.sub_account_for(caller, Action::SeeSpace, ak)?.id;
        let engine = self.clone();
        blocking(move || engine.forecast_of(&engine.inner.store.view()?, id, COUNTED_MAX)).await
    }

    /// What is to be expected of some sub-accounts, the rows of a page, in their order. Together they count as many
    /// files as one does alone, so that a page has its answer in a few milliseconds.
    pub async fn forecasts(&self, caller: &Caller, aks: &[String]) -> Result<Vec<Forecast>> {
        let of = |ak: &String| self.sub_account_for(caller, Action::SeeSpace, ak).map(|sub| sub.id);
        let ids = aks.iter().take(FORECASTS_MAX).map(of).collect::<Result<Vec<SubAccountId>>>()?;
        let engine = self.clone();
        blocking(move || {
            let view = engine.inner.store.view()?;
            let each = COUNTED_MAX / ids.len().max(1);
            // One that was closed meanwhile is not told of.
            let all = ids.into_iter().map(|id| engine.forecast_of(&view, id, each));
            all.filter(|found| !matches!(found, Err(Error::Refused(Refusal::NoSubAccount)))).collect()
        })
        .await
    }

    fn forecast_of(&self, view: &View, id: SubAccountId, counted_max: usize) -> Result<Forecast> {
        let settings = self.inner.store.catalog.settings();
        let (now, sub, space) = {
            let catalog = self.inner.store.catalog.read();
            let sub = catalog.sub_accounts.get(&id).cloned().ok_or(Refusal::NoSubAccount)?;
            let space = catalog.space(id, settings.gigabyte).ok_or(Refusal::NoSubAccount)?;
            (self.now(), sub, space)
        };
        let per_day = self.week(id, now, sub.row.created);
        let next = forecast::next_overwrite(&settings.rules, &space, per_day, now);
        let counted = if next.is_some() { counted_max } else { 1 };
        let oldest = view.oldest_unlocked(id, ObjectId::new(u64::MAX), counted)?;
        let oldest_ms = oldest.first().map(|(created, ..)| created.millis());
        let mut out = Forecast {
            ak: sub.row.ak.as_str().to_owned(),
            bytes_per_day: per_day,
            oldest_ms,
            kept_ms: oldest_ms.map(|at| now.millis().saturating_sub(at)),
            window_ms: forecast::window(&settings.rules, &space, sub.stats.locked_bytes, per_day),
            full_ms: forecast::full_at(&settings.rules, &space, per_day, now).map(Timestamp::millis),
            loops: space.at_the_end == AtTheEnd::Overwrite,
            ..Forecast::default()
        };
        if let Some(next) = next {
            out.overwrite_ms = next.at.map(Timestamp::millis);
            let all = oldest.len();
            for (created, _, size) in oldest {
                if out.overwrite_bytes >= next.frees.get() {
                    break;
                }
                out.overwrite_bytes += size.get();
                out.overwrite_files += 1;
                out.overwrite_upto_ms = Some(created.millis());
            }
            out.overwrite_more = all == counted_max && out.overwrite_bytes < next.frees.get();
        }
        Ok(out)
    }

    /// What is to be expected of the box.
    pub async fn box_forecast(&self, caller: &Caller) -> Result<BoxForecast> {
        caller.must_everywhere(Action::SeeOverview)?;
        let silent = self.silent_cameras(caller).await?.len() as u64;
        let disks = self.inner.store.volumes.disks();
        let capacity_bytes = disks.iter().map(|(_, total, _, reserve, ..)| total.saturating_sub(*reserve)).sum();
        let gigabyte = self.inner.store.catalog.settings().gigabyte.get();
        let (promised, handed_out, used_bytes) = {
            let catalog = self.inner.store.catalog.read();
            let used = catalog.sub_accounts.values().map(|sub| sub.stats.used()).sum::<u64>();
            let own = catalog.areas.values().map(|area| area.used).sum::<u64>();
            let promised = catalog.accounts.values().map(|row| u64::from(row.space.get())).sum::<u64>();
            (promised, catalog.handed_out.values().sum::<u64>(), used.saturating_add(own))
        };
        let engine = self.clone();
        blocking(move || {
            let _still = engine.inner.observe.writing.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let sums = engine.inner.observe.gathered(&engine);
            let growth = engine.growth(None, &sums)?;
            let hour = super::rows::hour_of(engine.now());
            let mut bytes_in_now = 0;
            for hour in hour.saturating_sub(1)..=hour {
                let written = engine.inner.books.get::<super::rows::HourRow>(&(hour, 0))?;
                bytes_in_now += written.map_or(0, |row| row.0.bytes_in);
                bytes_in_now += sums.hours.get(&(hour, 0)).map_or(0, |more| more.bytes_in);
            }
            Ok(BoxForecast {
                bytes_in_per_day: growth.bytes_in_per_day,
                growth_per_day: growth.growth_per_day,
                left_bytes: growth.left_bytes,
                full_ms: growth.full_ms,
                bytes_in_now,
                silent,
                capacity_bytes,
                promised_bytes: promised.saturating_mul(gigabyte),
                handed_out_bytes: handed_out.saturating_mul(gigabyte),
                used_bytes,
            })
        })
        .await
    }
}
