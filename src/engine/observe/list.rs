//! The cameras of an account, or of the box, as one looks them through: found, filtered, sorted, a page at a time.
//!
//! What is asked of every camera is in memory; what has to be read from the index is asked of the page alone.

use std::cmp::Reverse;

use serde::Serialize;

use super::cameras::{CameraView, silent};
use crate::domain::{Action, Episode, ObjectId, Refusal, SubAccountId, forecast};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};
use crate::store::catalog::SubAccount;

/// A state that cameras are picked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraState {
    /// Full: uploads are, or were just now, refused.
    Full,
    /// The warning of section 8.1 is open.
    Warned,
    /// Nothing has come for longer than it usually takes.
    Silent,
    /// Nothing has ever come.
    Never,
    /// It overwrites its oldest files.
    Loops,
}

/// How they are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CameraSort {
    /// The fullest first.
    #[default]
    Share,
    /// By name, those without one behind, by AK.
    Name,
    /// Those from which nothing has come for the longest first.
    Last,
    /// The first to be full, or to overwrite, first.
    Full,
    /// Those that reach back the least first.
    Kept,
}

/// Which cameras are asked for.
#[derive(Clone, Debug, Default)]
pub struct CameraQuery {
    /// Of this account; of all that the caller may see where `None`.
    pub account: Option<String>,
    /// With this in their name, place or AK, in either case.
    pub find: String,
    /// In this state.
    pub state: Option<CameraState>,
    /// In this order.
    pub sort: CameraSort,
    /// Leave out so many.
    pub skip: usize,
    /// At most so many.
    pub most: usize,
}

/// The space of a camera.
#[derive(Clone, Debug, Serialize)]
pub struct CameraSpace {
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
    /// When it is full, or begins to overwrite, ms since 1970.
    pub full_ms: Option<i64>,
    /// How far back it reaches once it overwrites, ms.
    pub window_ms: Option<i64>,
}

/// A camera with its space.
#[derive(Clone, Debug, Serialize)]
pub struct CameraLine {
    /// Its space.
    #[serde(flatten)]
    pub space: CameraSpace,
    /// Whether it is full.
    pub full: bool,
    /// Whether it is above its warning.
    pub warned: bool,
    /// When its last upload was completed, ms since 1970.
    pub last_upload_ms: Option<i64>,
    /// Since when it is silent, ms since 1970.
    pub silent_since_ms: Option<i64>,
    /// Its usual gap between uploads, seconds.
    pub cadence_s: Option<u32>,
    /// S3's code where a request of its key was refused after its last upload.
    pub refused: Option<String>,
    /// How far back its unlocked files reach, ms.
    pub kept_ms: Option<i64>,
}

/// A page of cameras.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CameraPage {
    /// How many match.
    pub total: u64,
    /// How many there are.
    pub all: u64,
    /// Those that are full, of all.
    pub full: u64,
    /// Those above their warning.
    pub warned: u64,
    /// Those that are silent.
    pub silent: u64,
    /// Those that have never uploaded.
    pub never: u64,
    /// A camera is silent after so many times its usual gap.
    pub silent_factor: u32,
    /// The page.
    pub rows: Vec<CameraLine>,
}

/// What a camera is sorted and picked by.
struct Light {
    id: SubAccountId,
    ak: String,
    name: String,
    share: u128,
    last: Option<i64>,
    full: bool,
    warned: bool,
    silent: bool,
    loops: bool,
    /// When it is full, or how far it reaches; only where that is the order.
    order: i64,
}

impl std::str::FromStr for CameraState {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "warned" => Ok(Self::Warned),
            "silent" => Ok(Self::Silent),
            "never" => Ok(Self::Never),
            "loop" => Ok(Self::Loops),
            _ => Err(format!("{text:?} is no state; there are full, warned, silent, never and loop")),
        }
    }
}

impl std::str::FromStr for CameraSort {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "share" => Ok(Self::Share),
            "name" => Ok(Self::Name),
            "last" => Ok(Self::Last),
            "full" => Ok(Self::Full),
            "kept" => Ok(Self::Kept),
            _ => Err(format!("{text:?} is no order; there are share, name, last, full and kept")),
        }
    }
}

impl Light {
    fn is(&self, state: CameraState) -> bool {
        match state {
            CameraState::Full => self.full,
            CameraState::Warned => self.warned,
            CameraState::Silent => self.silent,
            CameraState::Never => self.last.is_none(),
            CameraState::Loops => self.loops,
        }
    }
}

/// Whether a camera is full, and whether it is above its warning and not full.
fn episodes(sub: &SubAccount) -> (bool, bool) {
    let full = sub.stats.full == Episode::Open;
    (full, !full && sub.stats.nearly_full == Episode::Open)
}

impl Engine {
    /// A page of the cameras that the caller may see.
    pub async fn camera_page(&self, caller: &Caller, query: CameraQuery) -> Result<CameraPage> {
        let scope = caller.must(Action::SeeSpace)?;
        let account = match &query.account {
            None => scope,
            Some(name) => {
                let id = *self.inner.store.catalog.read().names.get(name).ok_or(Refusal::NoAccount)?;
                caller.must_on(Action::SeeSpace, id)?;
                Some(id)
            }
        };
        let engine = self.clone();
        blocking(move || engine.page_of(account, &query)).await
    }

    fn page_of(&self, account: Option<crate::domain::AccountId>, query: &CameraQuery) -> Result<CameraPage> {
        let now = self.now();
        let find = query.find.to_lowercase();
        let mut page = CameraPage { silent_factor: self.config().portal.silent_factor, ..CameraPage::default() };
        let mut found = Vec::new();
        {
            let catalog = self.inner.store.catalog.read();
            for sub in catalog.sub_accounts.values().filter(|sub| account.is_none_or(|id| id == sub.row.account)) {
                let Some((light, place)) = self.camera_light(&catalog, sub, query.sort, now, page.silent_factor) else {
                    continue;
                };
                page.all += 1;
                page.full += u64::from(light.full);
                page.warned += u64::from(light.warned);
                page.silent += u64::from(light.silent);
                page.never += u64::from(light.last.is_none());
                let matches = |text: &str| text.to_lowercase().contains(&find);
                let wanted = find.is_empty() || matches(&light.ak) || matches(&light.name) || matches(&place);
                if wanted && query.state.is_none_or(|state| light.is(state)) {
                    found.push(light);
                }
            }
        }
        page.total = found.len() as u64;
        let by_ak = |a: &Light, b: &Light| a.ak.cmp(&b.ak);
        match query.sort {
            CameraSort::Share => {
                found.sort_by(|a, b| Reverse(a.share).cmp(&Reverse(b.share)).then_with(|| by_ak(a, b)))
            }
            CameraSort::Name => found.sort_by(|a, b| {
                (a.name.is_empty(), &a.name).cmp(&(b.name.is_empty(), &b.name)).then_with(|| by_ak(a, b))
            }),
            CameraSort::Last => found.sort_by(|a, b| a.last.cmp(&b.last).then_with(|| by_ak(a, b))),
            CameraSort::Full | CameraSort::Kept => {
                found.sort_by(|a, b| a.order.cmp(&b.order).then_with(|| by_ak(a, b)));
            }
        }
        let view = self.inner.store.view()?;
        for light in found.into_iter().skip(query.skip).take(query.most) {
            let row = {
                let catalog = self.inner.store.catalog.read();
                let Some(sub) = catalog.sub_accounts.get(&light.id) else { continue };
                self.camera_space(&catalog, sub, now)
            };
            let seen = self.camera_view(light.id, &self.inner.observe.row(light.id));
            let (Some(space), Some(seen)) = (row, seen) else { continue };
            let oldest = view.oldest_unlocked(light.id, ObjectId::new(u64::MAX), 1)?;
            page.rows.push(CameraLine {
                space,
                full: light.full,
                warned: light.warned,
                last_upload_ms: seen.last_upload_ms,
                silent_since_ms: seen.silent_since_ms,
                cadence_s: seen.cadence_s,
                refused: refused_since(&seen),
                kept_ms: oldest.first().map(|(created, ..)| now.millis().saturating_sub(created.millis())),
            });
        }
        Ok(page)
    }

    fn camera_space(
        &self,
        catalog: &crate::store::catalog::Inner,
        sub: &SubAccount,
        now: crate::domain::Timestamp,
    ) -> Option<CameraSpace> {
        let settings = self.inner.store.catalog.settings();
        let space = catalog.space(sub.id, settings.gigabyte)?;
        let per_day = self.week(sub.id, now, sub.row.created);
        let named = self.inner.observe.name(sub.id);
        Some(CameraSpace {
            ak: sub.row.ak.as_str().to_owned(),
            name: named.name,
            place: named.place,
            account: catalog.accounts.get(&sub.row.account).map(|a| a.name.as_str().to_owned()).unwrap_or_default(),
            granted_bytes: space.granted.get(),
            used_bytes: space.used.get(),
            locked_bytes: sub.stats.locked_bytes,
            reserved_bytes: space.reserved.get(),
            loops: crate::engine::loops(space.at_the_end),
            full_ms: forecast::full_at(&settings.rules, &space, per_day, now).map(crate::domain::Timestamp::millis),
            window_ms: forecast::window(&settings.rules, &space, sub.stats.locked_bytes, per_day),
        })
    }

    fn camera_light(
        &self,
        catalog: &crate::store::catalog::Inner,
        sub: &SubAccount,
        sort: CameraSort,
        now: crate::domain::Timestamp,
        factor: u32,
    ) -> Option<(Light, String)> {
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let granted = gigabyte.bytes(sub.row.space).get();
        let order = match sort {
            CameraSort::Full => self.camera_space(catalog, sub, now)?.full_ms,
            CameraSort::Kept => self.camera_space(catalog, sub, now)?.window_ms,
            CameraSort::Share | CameraSort::Name | CameraSort::Last => None,
        };
        let (last, silent) = self.inner.observe.with_row(sub.id, |row| {
            let last = sub.stats.last_upload.map(|at| at.millis()).max(row.and_then(|row| row.last_upload_ms));
            (last, row.is_some_and(|row| silent(row, last, now, factor).is_some()))
        });
        let (full, warned) = episodes(sub);
        let named = self.inner.observe.name(sub.id);
        let light = Light {
            id: sub.id,
            ak: sub.row.ak.as_str().to_owned(),
            name: named.name,
            share: u128::from(sub.stats.used()) * 1_000_000 / u128::from(granted.max(1)),
            last,
            full,
            warned,
            silent,
            loops: crate::engine::loops(sub.row.at_the_end),
            order: order.unwrap_or(i64::MAX),
        };
        Some((light, named.place))
    }
}

/// The code of a refusal after which nothing was taken.
fn refused_since(seen: &CameraView) -> Option<String> {
    seen.last_refusal.clone().filter(|_| seen.last_refusal_ms >= seen.last_upload_ms)
}
