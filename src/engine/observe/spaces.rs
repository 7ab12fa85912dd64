//! 空间管理 and 空间监控: accounts and sub-accounts with what they hold, sorted by what will happen to them.
//!
//! What a page is chosen by is computed of every sub-account, from memory, some 200 ns each; the rest of a row only of
//! those that are shown. Nothing here grows with the number of files.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::PoisonError;

use serde::Serialize;

use crate::domain::{
    AccountId, Action, AtTheEnd, Episode, ObjectId, Refusal, Space, SubAccountId, Timestamp, forecast,
};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};
use crate::store::catalog::{Inner as Catalog, SubAccount};
use crate::store::index::apply::Settings;

/// How spaces are sorted.
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
    /// The next to overwrite first; of sub-accounts only.
    Next,
}

/// Which sub-accounts are shown, by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpaceState {
    /// All.
    #[default]
    All,
    /// Used above `space.warn_percent`.
    Above,
    /// Full: nothing is free, or an upload was refused and it has not been emptied since.
    Full,
    /// Those that overwrite their oldest files.
    Loops,
    /// Those that stop at their end.
    Stops,
    /// Those with locked files.
    Locked,
}

impl SpaceSort {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Full, Self::Kept, Self::Used, Self::Name, Self::Next];

    /// Its word in queries and commands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Kept => "kept",
            Self::Used => "used",
            Self::Name => "name",
            Self::Next => "next",
        }
    }
}

impl SpaceState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::All, Self::Above, Self::Full, Self::Loops, Self::Stops, Self::Locked];

    /// Its word in queries and commands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Above => "above",
            Self::Full => "full",
            Self::Loops => "loops",
            Self::Stops => "stops",
            Self::Locked => "locked",
        }
    }
}

impl std::str::FromStr for SpaceSort {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|sort| sort.word() == text);
        found.ok_or_else(|| format!("{text:?} is no order; there are full, kept, used, name and next"))
    }
}

impl std::str::FromStr for SpaceState {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.word() == text);
        found.ok_or_else(|| format!("{text:?} is no state; there are all, above, full, loops, stops and locked"))
    }
}

/// Which spaces are asked for.
#[derive(Clone, Debug, Default)]
pub struct SpaceQuery {
    /// Of this account.
    pub account: Option<String>,
    /// In this order.
    pub sort: SpaceSort,
    /// In this state.
    pub state: SpaceState,
    /// With this in the AK, the name or the place (of accounts: in the name), whatever the case.
    pub find: String,
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
    /// Whether it is used above the share at which one is warned.
    pub above: bool,
    /// See [`SpaceState::Full`].
    pub full: bool,
    /// When its next overwrite is expected, ms since 1970.
    pub overwrite_ms: Option<i64>,
    /// When its oldest unlocked file was made, ms since 1970: how far back it reaches now.
    pub oldest_ms: Option<i64>,
}

/// Sub-accounts added up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SpaceSums {
    /// How many.
    pub cameras: u64,
    /// Those that overwrite their oldest files.
    pub looping: u64,
    /// Those used above the share at which one is warned.
    pub above: u64,
    /// Those that are full.
    pub full: u64,
    /// Granted, bytes.
    pub granted_bytes: u64,
    /// Used, bytes, locked files among them.
    pub used_bytes: u64,
    /// Locked, bytes.
    pub locked_bytes: u64,
    /// Uploads under way, bytes.
    pub reserved_bytes: u64,
    /// Bytes a day over the last seven days, of those that are old enough to tell.
    pub bytes_per_day: u64,
    /// When the first of those that stop is full, ms since 1970.
    pub full_ms: Option<i64>,
    /// How far back the shortest of those that overwrite reaches, ms.
    pub kept_ms: Option<i64>,
    /// When the next overwrite is expected, ms since 1970.
    pub overwrite_ms: Option<i64>,
}

/// A page of spaces.
#[derive(Clone, Debug, Serialize)]
pub struct SpacePage {
    /// How many there are.
    pub total: u64,
    /// The page.
    pub rows: Vec<SpaceRow>,
    /// All sub-accounts of the account, or of the box, whatever was asked of them.
    pub sums: SpaceSums,
    /// Above so many percent one is warned.
    pub warn_percent: u8,
    /// Minutes east of UTC of times as people read them.
    pub zone_minutes: i32,
}

/// The space of an account.
#[derive(Clone, Debug, Serialize)]
pub struct AccountSpace {
    /// Its name.
    pub account: String,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Promised to it, bytes.
    pub space_bytes: u64,
    /// Handed out to its sub-accounts, bytes.
    pub handed_out_bytes: u64,
    /// In its own buckets, uploads under way too, bytes.
    pub own_bytes: u64,
    /// Whether more is handed out, or taken by its own buckets, than was promised to it.
    pub over: bool,
    /// Its sub-accounts.
    #[serde(flatten)]
    pub sums: SpaceSums,
}

/// A page of accounts' spaces.
#[derive(Clone, Debug, Serialize)]
pub struct AccountSpacePage {
    /// How many there are.
    pub total: u64,
    /// The page.
    pub rows: Vec<AccountSpace>,
    /// Above so many percent one is warned.
    pub warn_percent: u8,
}

/// What a sub-account is chosen and sorted by.
struct Light {
    id: SubAccountId,
    space: Space,
    locked: u64,
    per_day: Option<u64>,
    full_ms: Option<i64>,
    window_ms: Option<i64>,
    next_ms: Option<i64>,
    above: bool,
    full: bool,
}

/// What comes never comes last.
const NEVER: i64 = i64::MAX;

impl Light {
    fn loops(&self) -> bool {
        self.space.at_the_end == AtTheEnd::Overwrite
    }

    fn is(&self, state: SpaceState) -> bool {
        match state {
            SpaceState::All => true,
            SpaceState::Above => self.above,
            SpaceState::Full => self.full,
            SpaceState::Loops => self.loops(),
            SpaceState::Stops => !self.loops(),
            SpaceState::Locked => self.locked > 0,
        }
    }

    fn above_percent(&self, percent: u8) -> bool {
        u128::from(self.space.used.get()) * 100 > u128::from(self.space.granted.get()) * u128::from(percent)
    }
}

/// What is used of a whole, in millionths.
fn share(used: u64, whole: u64) -> u128 {
    u128::from(used) * 1_000_000 / u128::from(whole.max(1))
}

fn sooner(one: &mut Option<i64>, other: Option<i64>) {
    if let Some(other) = other {
        *one = Some(one.map_or(other, |one| one.min(other)));
    }
}

impl SpaceSums {
    fn add(&mut self, light: &Light) {
        self.cameras += 1;
        self.looping += u64::from(light.loops());
        self.above += u64::from(light.above);
        self.full += u64::from(light.full);
        for (sum, more) in [
            (&mut self.granted_bytes, light.space.granted.get()),
            (&mut self.used_bytes, light.space.used.get()),
            (&mut self.locked_bytes, light.locked),
            (&mut self.reserved_bytes, light.space.reserved.get()),
            (&mut self.bytes_per_day, light.per_day.unwrap_or(0)),
        ] {
            *sum = sum.saturating_add(more);
        }
        if light.loops() {
            sooner(&mut self.kept_ms, light.window_ms);
            sooner(&mut self.overwrite_ms, light.next_ms);
        } else {
            sooner(&mut self.full_ms, light.full_ms);
        }
    }
}

impl Engine {
    /// The account that is asked about: the caller's own, or the named one. To a caller of one account every other is
    /// as forbidden as one that is not there.
    fn space_scope(&self, caller: &Caller, account: Option<&str>) -> Result<Option<AccountId>> {
        let scope = caller.must(Action::SeeSpace)?;
        let Some(name) = account else { return Ok(scope) };
        let id = self.inner.store.catalog.read().names.get(name).copied();
        match (id, scope) {
            (id, Some(own)) if id != Some(own) => Err(Refusal::Forbidden.into()),
            (None, _) => Err(Refusal::NoAccount.into()),
            (Some(id), _) => Ok(Some(id)),
        }
    }

    fn light(&self, settings: &Settings, sub: &SubAccount, now: Timestamp) -> Light {
        let rules = &settings.rules;
        let space = sub.stats.space(settings.gigabyte.bytes(sub.row.space), sub.row.at_the_end, sub.reserved);
        let (locked, per_day) = (sub.stats.locked_bytes, self.week(sub.id, now, sub.row.created));
        let next = forecast::next_overwrite(rules, &space, per_day, now);
        Light {
            id: sub.id,
            locked,
            per_day,
            full_ms: forecast::full_at(rules, &space, per_day, now).map(Timestamp::millis),
            window_ms: forecast::window(rules, &space, locked, per_day),
            next_ms: next.and_then(|next| next.at).map(Timestamp::millis),
            above: space.used.above(rules.warn, space.granted),
            full: sub.stats.full == Episode::Open || space.free().get() == 0,
            space,
        }
    }

    fn space_row(&self, catalog: &Catalog, light: &Light) -> Option<SpaceRow> {
        let sub = catalog.sub_accounts.get(&light.id)?;
        let named = self.inner.observe.name(light.id);
        Some(SpaceRow {
            ak: sub.row.ak.as_str().to_owned(),
            name: named.name,
            place: named.place,
            account: account_name(catalog, sub.row.account).to_owned(),
            granted_bytes: light.space.granted.get(),
            used_bytes: light.space.used.get(),
            locked_bytes: light.locked,
            reserved_bytes: light.space.reserved.get(),
            loops: light.loops(),
            bytes_per_day: light.per_day,
            full_ms: light.full_ms,
            window_ms: light.window_ms,
            overwrites: sub.stats.overwrites,
            above: light.above,
            full: light.full,
            overwrite_ms: light.next_ms,
            oldest_ms: None,
        })
    }

    /// A page of the sub-accounts' spaces.
    pub async fn spaces(&self, caller: &Caller, query: SpaceQuery) -> Result<SpacePage> {
        let account = self.space_scope(caller, query.account.as_deref())?;
        let engine = self.clone();
        blocking(move || engine.spaces_of(account, &query)).await
    }

    fn spaces_of(&self, account: Option<AccountId>, query: &SpaceQuery) -> Result<SpacePage> {
        let (settings, now) = (self.inner.store.catalog.settings(), self.now());
        let catalog = self.inner.store.catalog.read();
        let mut sums = SpaceSums::default();
        let mut found = Vec::new();
        let mut see = |sub: &SubAccount| {
            let light = self.light(&settings, sub, now);
            sums.add(&light);
            if light.is(query.state) && query.above_percent.is_none_or(|percent| light.above_percent(percent)) {
                found.push(light);
            }
        };
        match account {
            Some(id) => {
                let own = catalog.of_account.get(&id).into_iter().flatten();
                own.filter_map(|id| catalog.sub_accounts.get(id)).for_each(&mut see);
            }
            None => catalog.sub_accounts.values().for_each(&mut see),
        }
        self.keep_found(&catalog, &query.find, &mut found);
        let ak = |light: &Light| catalog.sub_accounts.get(&light.id).map(|sub| sub.row.ak.as_str());
        match query.sort {
            SpaceSort::Full => found.sort_by_key(|light| (light.full_ms.unwrap_or(NEVER), light.id)),
            SpaceSort::Kept => found.sort_by_key(|light| (light.window_ms.unwrap_or(NEVER), light.id)),
            SpaceSort::Next => found.sort_by_key(|light| (light.next_ms.unwrap_or(NEVER), light.id)),
            SpaceSort::Used => found.sort_by_cached_key(|light| {
                (Reverse(share(light.space.used.get(), light.space.granted.get())), light.id)
            }),
            SpaceSort::Name => found.sort_by_cached_key(|light| {
                let of = catalog.sub_accounts.get(&light.id).map(|sub| account_name(&catalog, sub.row.account));
                (of, ak(light))
            }),
        }
        let total = found.len() as u64;
        let shown: Vec<Light> = found.into_iter().skip(query.skip).take(query.most).collect();
        let mut rows: Vec<(SubAccountId, SpaceRow)> =
            shown.iter().filter_map(|light| Some((light.id, self.space_row(&catalog, light)?))).collect();
        drop(catalog);
        let view = self.inner.store.view()?;
        for (id, row) in &mut rows {
            let oldest = view.oldest_unlocked(*id, ObjectId::new(u64::MAX), 1)?;
            row.oldest_ms = oldest.first().map(|(created, ..)| created.millis());
        }
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        let (warn_percent, zone_minutes) = (settings.rules.warn.get(), self.config().zone_minutes);
        Ok(SpacePage { total, rows, sums, warn_percent, zone_minutes })
    }

    /// Leaves those with this in their AK, name or place.
    fn keep_found(&self, catalog: &Catalog, find: &str, found: &mut Vec<Light>) {
        let find = find.trim().to_lowercase();
        if find.is_empty() {
            return;
        }
        let names = self.inner.observe.names.read().unwrap_or_else(PoisonError::into_inner);
        found.retain(|light| {
            let ak = catalog.sub_accounts.get(&light.id).map(|sub| sub.row.ak.as_str());
            let named = names.get(&light.id).map_or(["", ""], |row| [&row.name, &row.place]);
            ak.into_iter().chain(named).any(|text| text.to_lowercase().contains(&find))
        });
    }

    /// A page of accounts' spaces with their sub-accounts added up. What is not of an account is left out of `query`:
    /// its state keeps accounts that have a sub-account in it.
    pub async fn account_spaces(&self, caller: &Caller, query: SpaceQuery) -> Result<AccountSpacePage> {
        let account = self.space_scope(caller, query.account.as_deref())?;
        let engine = self.clone();
        blocking(move || Ok(engine.account_spaces_of(account, &query))).await
    }

    fn account_spaces_of(&self, account: Option<AccountId>, query: &SpaceQuery) -> AccountSpacePage {
        let (settings, now) = (self.inner.store.catalog.settings(), self.now());
        let catalog = self.inner.store.catalog.read();
        let mut sums: HashMap<AccountId, (SpaceSums, bool)> = HashMap::new();
        for sub in catalog.sub_accounts.values().filter(|sub| account.is_none_or(|id| id == sub.row.account)) {
            let light = self.light(&settings, sub, now);
            let (sum, in_state) = sums.entry(sub.row.account).or_default();
            sum.add(&light);
            *in_state |= light.is(query.state);
        }
        let find = query.find.trim().to_lowercase();
        let gigabyte = settings.gigabyte.get();
        let mut rows = Vec::new();
        for (id, row) in catalog.accounts.iter().filter(|(id, _)| account.is_none_or(|own| own == **id)) {
            let (sums, in_state) = sums.remove(id).unwrap_or_default();
            let named = find.is_empty() || row.name.as_str().to_lowercase().contains(&find);
            if !named || !(in_state || query.state == SpaceState::All) {
                continue;
            }
            let space_bytes = u64::from(row.space.get()).saturating_mul(gigabyte);
            let handed_out = catalog.handed_out.get(id).copied().unwrap_or(0).saturating_mul(gigabyte);
            let own_bytes = catalog.own_bytes(*id);
            rows.push(AccountSpace {
                account: row.name.as_str().to_owned(),
                suspended: row.suspended.is_some(),
                space_bytes,
                handed_out_bytes: handed_out,
                own_bytes,
                over: handed_out.saturating_add(own_bytes) > space_bytes,
                sums,
            });
        }
        drop(catalog);
        // In the order of their opening where nothing tells them apart.
        match query.sort {
            SpaceSort::Full => rows.sort_by_key(|row| row.sums.full_ms.unwrap_or(NEVER)),
            SpaceSort::Kept => rows.sort_by_key(|row| row.sums.kept_ms.unwrap_or(NEVER)),
            SpaceSort::Next => rows.sort_by_key(|row| row.sums.overwrite_ms.unwrap_or(NEVER)),
            SpaceSort::Used => rows
                .sort_by_key(|row| Reverse(share(row.sums.used_bytes.saturating_add(row.own_bytes), row.space_bytes))),
            SpaceSort::Name => rows.sort_by(|a, b| a.account.cmp(&b.account)),
        }
        let total = rows.len() as u64;
        let rows = rows.into_iter().skip(query.skip).take(query.most).collect();
        AccountSpacePage { total, rows, warn_percent: settings.rules.warn.get() }
    }
}

fn account_name(catalog: &Catalog, id: AccountId) -> &str {
    catalog.accounts.get(&id).map_or("", |row| row.name.as_str())
}
