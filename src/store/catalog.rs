//! Accounts, sub-accounts and their space in memory: what admission and authentication look at.
//!
//! The committer publishes every commit here before it is acknowledged; the only thing that lives
//! here alone is the room that uploads under way have reserved. Tens of thousands of entries, one
//! a camera and one an own bucket; nothing grows with the number of files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::index::apply::{Effects, Settings};
use super::index::rows::{AccountRow, OwnBucketRow, Stats, SubAccountRow};
use super::index::{bucket_of, own_bucket_of};
use crate::domain::{
    AccountId, Admission, AtTheEnd, BucketId, Bytes, GigabyteSize, Gigabytes, Media, Space, SubAccountId,
};

/// A sub-account in memory.
#[derive(Clone, Debug)]
pub struct SubAccount {
    pub id: SubAccountId,
    pub row: SubAccountRow,
    pub stats: Stats,
    /// Bytes of uploads under way.
    pub reserved: u64,
}

/// An own bucket in memory.
#[derive(Clone, Debug)]
pub struct OwnBucket {
    pub row: OwnBucketRow,
    pub stats: Stats,
}

/// What an account has beside its sub-accounts: its own buckets, which share the space that is not handed out.
#[derive(Clone, Debug, Default)]
pub struct Area {
    pub buckets: BTreeSet<SubAccountId>,
    /// Bytes of files and stored parts in all of them.
    pub used: u64,
    /// Bytes of uploads under way, and of what is being handed out just now.
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
    /// Whose its files are: a sub-account, or the own bucket itself.
    pub owner: SubAccountId,
    /// What it holds; `None` of an own bucket.
    pub media: Option<Media>,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub accounts: BTreeMap<AccountId, AccountRow>,
    pub names: HashMap<String, AccountId>,
    pub sub_accounts: HashMap<SubAccountId, SubAccount>,
    pub of_account: HashMap<AccountId, BTreeSet<SubAccountId>>,
    /// GB handed out by each account.
    pub handed_out: HashMap<AccountId, u64>,
    pub own_buckets: HashMap<SubAccountId, OwnBucket>,
    pub areas: HashMap<AccountId, Area>,
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

/// Bytes reserved for an upload under way, or for what is being handed out; given back when dropped.
#[derive(Debug)]
pub struct Hold {
    catalog: Arc<Catalog>,
    of: Holder,
    bytes: u64,
}

/// Whose space a hold is on.
#[derive(Clone, Copy, Debug)]
enum Holder {
    SubAccount(SubAccountId),
    /// What an account has not handed out: that of its own buckets, which may be deleted meanwhile.
    Account(AccountId),
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

    /// The space of a sub-account or an own bucket now.
    pub fn space(&self, id: SubAccountId) -> Option<Space> {
        let gigabyte = self.settings().gigabyte;
        self.read().space(id, gigabyte)
    }

    /// Reserves `len` bytes where the rules admit them. `None`: there is no such sub-account or own bucket.
    pub fn admit(self: &Arc<Self>, id: SubAccountId, len: Bytes) -> Option<(Admission, Space, Option<Hold>)> {
        let gigabyte = self.settings().gigabyte;
        let mut inner = self.write();
        let space = inner.space(id, gigabyte)?;
        let admission = space.admit(len);
        let hold = (admission == Admission::Fits).then(|| {
            let of = match inner.own_buckets.get(&id) {
                Some(own) => Holder::Account(own.row.account),
                None => Holder::SubAccount(id),
            };
            inner.reserve(of, len.get());
            Hold { catalog: Arc::clone(self), of, bytes: len.get() }
        });
        Some((admission, space, hold))
    }

    /// Sets aside what is about to be handed out, so that no upload to an own bucket takes it meanwhile. Where an
    /// account has less left: what it has.
    pub fn grant(self: &Arc<Self>, account: AccountId, space: Gigabytes) -> Result<Hold, Gigabytes> {
        let gigabyte = self.settings().gigabyte;
        let mut inner = self.write();
        let left = inner.left(account, gigabyte);
        if space > left {
            return Err(left);
        }
        let (of, bytes) = (Holder::Account(account), gigabyte.bytes(space).get());
        inner.reserve(of, bytes);
        Ok(Hold { catalog: Arc::clone(self), of, bytes })
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
        for (id, row) in effects.own_buckets {
            inner.put_own_bucket(id, row);
        }
        for (id, stats) in effects.stats {
            if let Some(sub) = inner.sub_accounts.get_mut(&id) {
                sub.stats = stats;
            } else if let Some(own) = inner.own_buckets.get_mut(&id) {
                let area = inner.areas.entry(own.row.account).or_default();
                area.used = (area.used + stats.used()).saturating_sub(own.stats.used());
                own.stats = stats;
            }
        }
        for mut hold in holds.into_iter().chain(effects.holds) {
            inner.release(hold.of, hold.bytes);
            hold.bytes = 0;
        }
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

impl Inner {
    /// The space that is asked when files of this owner are uploaded. That of an own bucket is what its account
    /// has not handed out, for all of its own buckets together; it never overwrites.
    pub fn space(&self, id: SubAccountId, gigabyte: GigabyteSize) -> Option<Space> {
        if let Some(sub) = self.sub_accounts.get(&id) {
            return Some(sub.stats.space(gigabyte.bytes(sub.row.space), sub.row.at_the_end, sub.reserved));
        }
        let account = self.own_buckets.get(&id)?.row.account;
        let (granted, area) = (self.not_handed_out(account, gigabyte), self.areas.get(&account)?);
        let (used, reserved) = (Bytes::new(area.used), Bytes::new(area.reserved));
        Some(Space { granted, used, held: used, reserved, at_the_end: AtTheEnd::Stop })
    }

    fn not_handed_out(&self, account: AccountId, gigabyte: GigabyteSize) -> Bytes {
        let total = self.accounts.get(&account).map_or(0, |row| u64::from(row.space.get()));
        let handed_out = self.handed_out.get(&account).copied().unwrap_or(0);
        Bytes::new(total.saturating_sub(handed_out).saturating_mul(gigabyte.get()))
    }

    /// Bytes that an account's own buckets take, uploads under way too.
    pub fn own_bytes(&self, account: AccountId) -> u64 {
        self.areas.get(&account).map_or(0, |area| area.used.saturating_add(area.reserved))
    }

    /// Whole GB that an account has left to hand out.
    pub fn left(&self, account: AccountId, gigabyte: GigabyteSize) -> Gigabytes {
        let own = Bytes::new(self.own_bytes(account));
        gigabyte.floor(self.not_handed_out(account, gigabyte).saturating_sub(own))
    }

    /// The account that a bucket's files count against.
    pub fn account_of(&self, owner: SubAccountId) -> Option<AccountId> {
        let sub = self.sub_accounts.get(&owner).map(|sub| sub.row.account);
        sub.or_else(|| self.own_buckets.get(&owner).map(|own| own.row.account))
    }

    fn reserved_mut(&mut self, of: Holder) -> Option<&mut u64> {
        match of {
            Holder::SubAccount(id) => self.sub_accounts.get_mut(&id).map(|sub| &mut sub.reserved),
            Holder::Account(account) => self.areas.get_mut(&account).map(|area| &mut area.reserved),
        }
    }

    fn reserve(&mut self, of: Holder, bytes: u64) {
        if let Some(reserved) = self.reserved_mut(of) {
            *reserved = reserved.saturating_add(bytes);
        }
    }

    fn release(&mut self, of: Holder, bytes: u64) {
        if let Some(reserved) = self.reserved_mut(of) {
            *reserved = reserved.saturating_sub(bytes);
        }
    }

    fn put_own_bucket(&mut self, id: SubAccountId, row: Option<OwnBucketRow>) {
        match row {
            Some(row) => {
                let bucket = Bucket { id: own_bucket_of(id), owner: id, media: None };
                self.buckets.insert(row.name.as_str().to_owned(), bucket);
                self.areas.entry(row.account).or_default().buckets.insert(id);
                self.own_buckets.insert(id, OwnBucket { row, stats: Stats::default() });
            }
            None => {
                let Some(old) = self.own_buckets.remove(&id) else { return };
                self.buckets.remove(old.row.name.as_str());
                let area = self.areas.entry(old.row.account).or_default();
                area.buckets.remove(&id);
                area.used = area.used.saturating_sub(old.stats.used());
            }
        }
    }

    fn put_account(&mut self, id: AccountId, row: Option<AccountRow>) {
        if let Some(old) = self.accounts.remove(&id) {
            self.names.remove(old.name.as_str());
            if let Some((ak, _)) = &old.admin {
                self.keys.remove(ak.as_str());
            }
        }
        let Some(row) = row else {
            self.areas.remove(&id);
            return;
        };
        self.areas.entry(id).or_default();
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
                    let bucket = Bucket { id: bucket_of(id, media), owner: id, media: Some(media) };
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
            self.catalog.release(self.of, self.bytes - bytes);
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
    fn release(&self, of: Holder, bytes: u64) {
        self.write().release(of, bytes);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.catalog.release(self.of, self.bytes);
        }
    }
}
