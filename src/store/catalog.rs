//! Accounts, sub-accounts and their space in memory: what admission and authentication look at.
//!
//! The committer publishes every commit here before it is acknowledged; the only thing that lives
//! here alone is the room that uploads under way have reserved. Tens of thousands of entries, one
//! a camera; nothing grows with the number of files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::index::apply::{Effects, Settings};
use super::index::bucket_of;
use super::index::rows::{AccountRow, Stats, SubAccountRow};
use crate::domain::{AccountId, Admission, BucketId, Bytes, Media, Space, SubAccountId};

/// A sub-account in memory.
#[derive(Clone, Debug)]
pub struct SubAccount {
    pub id: SubAccountId,
    pub row: SubAccountRow,
    pub stats: Stats,
    /// Bytes of uploads under way.
    pub reserved: u64,
}

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    Camera(SubAccountId),
    Administrator(AccountId),
}

/// A bucket in memory.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub id: BucketId,
    pub sub_account: SubAccountId,
    pub media: Media,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub accounts: BTreeMap<AccountId, AccountRow>,
    pub names: HashMap<String, AccountId>,
    pub sub_accounts: HashMap<SubAccountId, SubAccount>,
    pub of_account: HashMap<AccountId, BTreeSet<SubAccountId>>,
    /// GB handed out by each account.
    pub handed_out: HashMap<AccountId, u64>,
    pub keys: HashMap<String, KeyOwner>,
    pub buckets: HashMap<String, Bucket>,
}

/// The shared catalog.
#[derive(Debug)]
pub struct Catalog {
    inner: RwLock<Inner>,
    settings: RwLock<Settings>,
    /// Counts changes that may have made room.
    changed: watch::Sender<u64>,
}

/// Bytes reserved for an upload under way; given back when dropped.
#[derive(Debug)]
pub struct Hold {
    catalog: Arc<Catalog>,
    sub_account: SubAccountId,
    bytes: u64,
}

impl Catalog {
    /// An empty catalog.
    pub fn new(settings: Settings) -> Self {
        Self { inner: RwLock::default(), settings: RwLock::new(settings), changed: watch::Sender::new(0) }
    }

    /// For looking. A panic elsewhere leaves whole values behind, so a poisoned lock is as good.
    pub fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules in force.
    pub fn settings(&self) -> Settings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other rules in force.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Wakes when room may have been made.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The space of a sub-account now.
    pub fn space(&self, id: SubAccountId) -> Option<Space> {
        let gigabyte = self.settings().gigabyte;
        let inner = self.read();
        let sub = inner.sub_accounts.get(&id)?;
        Some(sub.stats.space(gigabyte.bytes(sub.row.space), sub.row.at_the_end, sub.reserved))
    }

    /// Reserves `len` bytes where the rules admit them. `None`: there is no such sub-account.
    pub fn admit(self: &Arc<Self>, id: SubAccountId, len: Bytes) -> Option<(Admission, Space, Option<Hold>)> {
        let gigabyte = self.settings().gigabyte;
        let mut inner = self.write();
        let sub = inner.sub_accounts.get_mut(&id)?;
        let space = sub.stats.space(gigabyte.bytes(sub.row.space), sub.row.at_the_end, sub.reserved);
        let admission = space.admit(len);
        let hold = (admission == Admission::Fits).then(|| {
            sub.reserved += len.get();
            Hold { catalog: Arc::clone(self), sub_account: id, bytes: len.get() }
        });
        Some((admission, space, hold))
    }

    /// A commit takes effect, and the holds of its uploads become files, in one step.
    pub fn publish(&self, effects: Effects, holds: Vec<Hold>) {
        let mut inner = self.write();
        let inner = &mut *inner;
        for (id, row) in effects.accounts {
            inner.put_account(id, row);
        }
        for (id, row) in effects.sub_accounts {
            inner.put_sub_account(id, row);
        }
        for (id, stats) in effects.stats {
            if let Some(sub) = inner.sub_accounts.get_mut(&id) {
                sub.stats = stats;
            }
        }
        for mut hold in holds {
            if let Some(sub) = inner.sub_accounts.get_mut(&hold.sub_account) {
                sub.reserved = sub.reserved.saturating_sub(hold.bytes);
            }
            hold.bytes = 0;
        }
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

impl Inner {
    fn put_account(&mut self, id: AccountId, row: Option<AccountRow>) {
        if let Some(old) = self.accounts.remove(&id) {
            self.names.remove(old.name.as_str());
            if let Some((ak, _)) = &old.admin {
                self.keys.remove(ak.as_str());
            }
        }
        let Some(row) = row else { return };
        self.names.insert(row.name.as_str().to_owned(), id);
        if let Some((ak, _)) = &row.admin {
            self.keys.insert(ak.as_str().to_owned(), KeyOwner::Administrator(id));
        }
        self.accounts.insert(id, row);
    }

    fn put_sub_account(&mut self, id: SubAccountId, row: Option<SubAccountRow>) {
        let old = self.sub_accounts.remove(&id);
        if let Some(old) = &old {
            let handed = self.handed_out.entry(old.row.account).or_default();
            *handed = handed.saturating_sub(u64::from(old.row.space.get()));
        }
        match row {
            Some(row) => {
                *self.handed_out.entry(row.account).or_default() += u64::from(row.space.get());
                self.keys.insert(row.ak.as_str().to_owned(), KeyOwner::Camera(id));
                self.of_account.entry(row.account).or_default().insert(id);
                for (name, media) in [(&row.record_bucket, Media::Recording), (&row.picture_bucket, Media::Picture)] {
                    let bucket = Bucket { id: bucket_of(id, media), sub_account: id, media };
                    self.buckets.insert(name.as_str().to_owned(), bucket);
                }
                let (stats, reserved) = old.map_or_else(Default::default, |o| (o.stats, o.reserved));
                self.sub_accounts.insert(id, SubAccount { id, row, stats, reserved });
            }
            None => {
                if let Some(old) = old {
                    self.keys.remove(old.row.ak.as_str());
                    self.buckets.remove(old.row.record_bucket.as_str());
                    self.buckets.remove(old.row.picture_bucket.as_str());
                    if let Some(of_account) = self.of_account.get_mut(&old.row.account) {
                        of_account.remove(&id);
                    }
                }
            }
        }
    }
}

// === impl Hold ===

impl Hold {
    /// Gives back what is over `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.catalog.release(self.sub_account, self.bytes - bytes);
            self.bytes = bytes;
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes another hold of the same sub-account in.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        other.bytes = 0;
    }
}

impl Catalog {
    fn release(&self, id: SubAccountId, bytes: u64) {
        if let Some(sub) = self.write().sub_accounts.get_mut(&id) {
            sub.reserved = sub.reserved.saturating_sub(bytes);
        }
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.catalog.release(self.sub_account, self.bytes);
        }
    }
}
