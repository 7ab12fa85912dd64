//! What a change of a sub-account would take, looked at before it is made: resize and loop (7.5, 7.6), clear (7.9),
//! close (7.3). It looks and changes nothing; what it tells is what the same rules then do, uploads that come meanwhile
//! aside.

use serde::Serialize;

use super::status::blocking;
use super::{Caller, Engine, Result, loops};
use crate::domain::space::Overwrites;
use crate::domain::{Action, AtTheEnd, Bytes, Gigabytes, Media, Refusal, SubAccountId};
use crate::store::catalog::SubAccount;
use crate::store::index::bucket_of;

/// Files that are counted one by one; past them the numbers are told as least ones.
const COUNTED_MAX: u64 = 100_000;

/// Files that would go, and those that are locked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Goes {
    /// Files that would go.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was stored, ms since 1970.
    pub first_ms: Option<i64>,
    /// When the newest of them was stored, ms since 1970.
    pub last_ms: Option<i64>,
    /// Locked files; a close takes them with the others, nothing else does.
    pub locked_files: u64,
    /// Their bytes.
    pub locked_bytes: u64,
    /// Whether more go than were counted.
    pub more: bool,
}

/// What is to be changed of a sub-account's space; `None` leaves as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpaceChange {
    /// A new space (7.5).
    pub space: Option<Gigabytes>,
    /// What is to happen when it is full (7.6).
    pub at_the_end: Option<AtTheEnd>,
}

/// What a change of a space would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpacePreview {
    /// What overwrites would take at once.
    #[serde(flatten)]
    pub goes: Goes,
    /// Granted now, GB.
    pub space_gb: u32,
    /// Granted then, GB.
    pub new_space_gb: u32,
    /// Granted then, bytes.
    pub new_space_bytes: u64,
    /// Used now, bytes.
    pub used_bytes: u64,
    /// Used then, bytes.
    pub new_used_bytes: u64,
    /// Whether it would overwrite its oldest files.
    #[serde(rename = "loop")]
    pub loops: bool,
    /// What the account has left to hand out then, GB.
    pub left_gb: u32,
    /// Whether it would be full then: uploads are refused until it is cleared or grown.
    pub full: bool,
}

impl Engine {
    fn looked_at(&self, caller: &Caller, ak: &str) -> Result<SubAccount> {
        let id = self.sub_account_for(caller, Action::ManageSubAccounts, ak)?.id;
        let sub = self.inner.store.catalog.read().sub_accounts.get(&id).cloned();
        sub.ok_or_else(|| Refusal::NoSubAccount.into())
    }

    /// What other space, or another end of it, would take. [`Refusal::AccountSpace`] where the account has not so much
    /// left.
    pub async fn preview_space(&self, caller: &Caller, ak: &str, change: SpaceChange) -> Result<SpacePreview> {
        let sub = self.looked_at(caller, ak)?;
        let settings = self.inner.store.catalog.settings();
        let (before, after) = (sub.row.space, change.space.unwrap_or(sub.row.space));
        let at_the_end = change.at_the_end.unwrap_or(sub.row.at_the_end);
        let left = self.inner.store.catalog.read().left(sub.row.account, settings.gigabyte);
        let can_have = left.get().saturating_add(before.get());
        if after > before && after.get() > can_have {
            return Err(Refusal::AccountSpace { free: Gigabytes::new(can_have).unwrap_or(Gigabytes::MAX) }.into());
        }
        let space = sub.stats.space(settings.gigabyte.bytes(after), at_the_end, 0);
        let overwrites = Overwrites::new(settings.rules, space, Bytes::new(sub.stats.sweep_left));
        let engine = self.clone();
        let goes = blocking(move || engine.overwritten(&sub, overwrites)).await?;
        let new_used_bytes = space.used.get().saturating_sub(goes.bytes);
        Ok(SpacePreview {
            space_gb: before.get(),
            new_space_gb: after.get(),
            new_space_bytes: space.granted.get(),
            used_bytes: space.used.get(),
            new_used_bytes,
            loops: loops(at_the_end),
            left_gb: can_have.saturating_sub(after.get()),
            full: new_used_bytes >= space.granted.get() && new_used_bytes > 0 && !goes.more,
            goes,
        })
    }

    fn overwritten(&self, sub: &SubAccount, mut overwrites: Overwrites) -> Result<Goes> {
        let mut goes = locked(sub);
        self.inner.store.view()?.walk_unlocked(sub.id, |created, _, size| {
            if !overwrites.takes(size) {
                return false;
            }
            if goes.files == COUNTED_MAX {
                goes.more = true;
                return false;
            }
            goes.files += 1;
            goes.bytes += size.get();
            goes.first_ms.get_or_insert(created.millis());
            goes.last_ms = Some(created.millis());
            true
        })?;
        Ok(goes)
    }

    /// What clearing would take: every file that is not locked. Refused as 7.9 refuses.
    pub async fn preview_clear(&self, caller: &Caller, ak: &str) -> Result<Goes> {
        let sub = self.looked_at(caller, ak)?;
        if sub.row.at_the_end == AtTheEnd::Overwrite {
            return Err(Refusal::LoopMode.into());
        }
        let mut goes = everything(&sub);
        goes.files = goes.files.saturating_sub(goes.locked_files);
        goes.bytes = goes.bytes.saturating_sub(goes.locked_bytes);
        if goes.files == 0 {
            return Err(Refusal::NothingToClear.into());
        }
        let engine = self.clone();
        blocking(move || {
            let view = engine.inner.store.view()?;
            view.walk_unlocked(sub.id, |created, _, _| {
                goes.first_ms = Some(created.millis());
                false
            })?;
            goes.last_ms = view.newest_unlocked(sub.id)?.map(|at| at.millis());
            Ok(goes)
        })
        .await
    }

    /// What closing would take: every file, the locked ones too.
    pub async fn preview_close(&self, caller: &Caller, ak: &str) -> Result<Goes> {
        let sub = self.looked_at(caller, ak)?;
        let mut goes = everything(&sub);
        let (engine, id) = (self.clone(), sub.id);
        blocking(move || {
            (goes.first_ms, goes.last_ms) = engine.ends(id)?;
            Ok(goes)
        })
        .await
    }

    /// When the oldest and the newest file were stored, to the second.
    fn ends(&self, id: SubAccountId) -> Result<(Option<i64>, Option<i64>)> {
        let view = self.inner.store.view()?;
        let mut all = Vec::new();
        for media in [Media::Recording, Media::Picture] {
            all.extend(view.ends(bucket_of(id, media))?);
        }
        let ms = |second: i64| second.saturating_mul(1000);
        let first = all.iter().map(|(first, _)| ms(*first)).min();
        Ok((first, all.iter().map(|(_, last)| ms(*last)).max()))
    }
}

fn locked(sub: &SubAccount) -> Goes {
    let (locked_files, locked_bytes) = (sub.stats.locked_files, sub.stats.locked_bytes);
    Goes { locked_files, locked_bytes, ..Goes::default() }
}

/// Files and their bytes as the counters have them, locked ones too.
fn everything(sub: &SubAccount) -> Goes {
    let [files, bytes] = [sub.stats.files, sub.stats.bytes].map(|[recordings, pictures]| recordings + pictures);
    Goes { files, bytes, ..locked(sub) }
}
