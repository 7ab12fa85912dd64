//! What is to be expected of spaces: how far back they reach, when they are full, what the next overwrite takes.

use std::cmp::Reverse;
use std::time::Duration;

use serde::Serialize;

use crate::domain::forecast;
use crate::domain::{Action, AtTheEnd, ObjectId, Refusal, SubAccountId, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};
use crate::store::catalog::{Inner as Catalog, SubAccount};

/// Files of the next overwrite that are counted; past it the number is told as a least one.
const COUNTED_MAX: usize = 10_000;

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
}

/// How a page of spaces is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpaceSort {
    /// The first to be full comes first.
    #[default]
    Full,
    /// Those that reach back the least come first.
    Kept,
    /// The fullest first.
    Used,
    /// By account and AK.
    Name,
}

impl std::str::FromStr for SpaceSort {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "kept" => Ok(Self::Kept),
            "used" => Ok(Self::Used),
            "name" => Ok(Self::Name),
            _ => Err(format!("{text:?} is no order; there are full, kept, used and name")),
        }
    }
}

/// Which spaces are asked for.
#[derive(Clone, Debug, Default)]
pub struct SpaceQuery {
    /// Of this account.
    pub account: Option<String>,
    /// In this order.
    pub sort: SpaceSort,
    /// Only those that are used above so many percent.
    pub above_percent: Option<u8>,
    /// Leave out so many.
    pub skip: usize,
    /// At most so many.
    pub most: usize,
}

/// The space of a sub-account, as bars show it.
#[derive(Clone, Debug, Serialize)]
pub struct SpaceRow {
    /// S3AK.
    pub ak: String,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Its account's name.
    pub account: String,
    /// Granted, bytes.
    pub granted_bytes: u64,
    /// Used, bytes, locked files among them.
    pub used_bytes: u64,
    /// Locked, bytes.
    pub locked_bytes: u64,
    /// Uploads under way, bytes.
    pub reserved_bytes: u64,
    /// Whether it overwrites its oldest files.
    #[serde(rename = "loop")]
    pub loops: bool,
    /// Bytes a day over the last seven days.
    pub bytes_per_day: Option<u64>,
    /// When it is full, or begins to overwrite, ms since 1970.
    pub full_ms: Option<i64>,
    /// How far back it reaches once it overwrites, ms.
    pub window_ms: Option<i64>,
    /// Overwrites so far.
    pub overwrites: u64,
}

/// A page of spaces.
#[derive(Clone, Debug, Serialize)]
pub struct SpacePage {
    /// How many there are.
    pub total: u64,
    /// The page.
    pub rows: Vec<SpaceRow>,
}

impl Engine {
    fn space_row(&self, catalog: &Catalog, sub: &SubAccount, now: Timestamp) -> Option<SpaceRow> {
        let settings = self.inner.store.catalog.settings();
        let space = catalog.space(sub.id, settings.gigabyte)?;
        let per_day = self.week(sub.id, now, sub.row.created);
        let named = self.inner.observe.name(sub.id);
        Some(SpaceRow {
            ak: sub.row.ak.as_str().to_owned(),
            name: named.name,
            place: named.place,
            account: catalog.accounts.get(&sub.row.account).map(|a| a.name.as_str().to_owned()).unwrap_or_default(),
            granted_bytes: space.granted.get(),
            used_bytes: space.used.get(),
            locked_bytes: sub.stats.locked_bytes,
            reserved_bytes: space.reserved.get(),
            loops: space.at_the_end == AtTheEnd::Overwrite,
            bytes_per_day: per_day,
            full_ms: forecast::full_at(&settings.rules, &space, per_day, now).map(Timestamp::millis),
            window_ms: forecast::window(&settings.rules, &space, sub.stats.locked_bytes, per_day),
            overwrites: sub.stats.overwrites,
        })
    }

    /// Bytes a day over the last week.
    fn week(&self, id: SubAccountId, now: Timestamp, since: Timestamp) -> Option<u64> {
        let (bytes, within) = self.inner.observe.last_week(id, now, since);
        forecast::per_day(bytes, Duration::from_millis(u64::try_from(within).unwrap_or(0)))
    }

    /// A page of the sub-accounts' spaces.
    pub async fn spaces(&self, caller: &Caller, query: SpaceQuery) -> Result<SpacePage> {
        let scope = caller.must(Action::SeeSpace)?;
        let now = self.now();
        let catalog = self.inner.store.catalog.read();
        let account = match &query.account {
            None => scope,
            Some(name) => {
                let id = *catalog.names.get(name).ok_or(Refusal::NoAccount)?;
                caller.must_on(Action::SeeSpace, id)?;
                Some(id)
            }
        };
        let subs = catalog.sub_accounts.values().filter(|sub| account.is_none_or(|id| id == sub.row.account));
        let mut rows: Vec<SpaceRow> = subs.filter_map(|sub| self.space_row(&catalog, sub, now)).collect();
        drop(catalog);
        if let Some(percent) = query.above_percent {
            rows.retain(|row| u128::from(row.used_bytes) * 100 > u128::from(row.granted_bytes) * u128::from(percent));
        }
        let never = i64::MAX;
        match query.sort {
            SpaceSort::Full => rows.sort_by_cached_key(|row| (row.full_ms.unwrap_or(never), row.ak.clone())),
            SpaceSort::Kept => rows.sort_by_cached_key(|row| (row.window_ms.unwrap_or(never), row.ak.clone())),
            SpaceSort::Used => rows.sort_by_cached_key(|row| {
                let share = u128::from(row.used_bytes) * 1_000_000 / u128::from(row.granted_bytes.max(1));
                (Reverse(share), row.ak.clone())
            }),
            SpaceSort::Name => rows.sort_by_cached_key(|row| (row.account.clone(), row.ak.clone())),
        }
        let total = rows.len() as u64;
        Ok(SpacePage { total, rows: rows.into_iter().skip(query.skip).take(query.most).collect() })
    }

    /// What is to be expected of one sub-account.
    pub async fn forecast(&self, caller: &Caller, ak: &str) -> Result<Forecast> {
        let id = self.sub_account_for(caller, Action::SeeSpace, ak)?.id;
        let engine = self.clone();
        blocking(move || engine.forecast_of(id)).await
    }

    fn forecast_of(&self, id: SubAccountId) -> Result<Forecast> {
        let settings = self.inner.store.catalog.settings();
        let (now, sub, space) = {
            let catalog = self.inner.store.catalog.read();
            let sub = catalog.sub_accounts.get(&id).cloned().ok_or(Refusal::NoSubAccount)?;
            let space = catalog.space(id, settings.gigabyte).ok_or(Refusal::NoSubAccount)?;
            (self.now(), sub, space)
        };
        let per_day = self.week(id, now, sub.row.created);
        let next = forecast::next_overwrite(&settings.rules, &space, per_day, now);
        let counted = if next.is_some() { COUNTED_MAX } else { 1 };
        let oldest = self.inner.store.view()?.oldest_unlocked(id, ObjectId::new(u64::MAX), counted)?;
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
            out.overwrite_more = all == COUNTED_MAX && out.overwrite_bytes < next.frees.get();
        }
        Ok(out)
    }

    /// What is to be expected of the box.
    pub async fn box_forecast(&self, caller: &Caller) -> Result<BoxForecast> {
        caller.must_everywhere(Action::SeeOverview)?;
        let silent = self.silent_cameras(caller).await?.len() as u64;
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
            })
        })
        .await
    }
}
