//! What the box counts, for monitoring: since the start where it only grows, now where it does not.
//!
//! To count costs an addition where something happens, and nothing waits for it. To read walks the accounts and their
//! cameras once, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::status::blocking;
use super::{Caller, Engine, Result, Status};
use crate::domain::{AccountId, Action, Episode};
use crate::store::index::rows::Stats;
use crate::store::witness::WhyGone;
use crate::telemetry::Histogram;

/// Accounts that are told apart, those with the most cameras first; the others are one.
const ACCOUNTS_MAX: usize = 500;
/// What the others are called. No account has such a name.
const OTHERS: &str = "(others)";

/// What happened since the start.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// Recordings, pictures, files of own buckets.
    pub(super) files: [AtomicU64; 3],
    pub(super) bytes_in: AtomicU64,
    pub(super) downloads: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) alerts_delivered: AtomicU64,
    pub(super) alerts_given_up: AtomicU64,
    uploads: Arc<AtomicI64>,
}

/// An upload under way, counted until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<AtomicI64>);

/// The space of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountNumbers {
    /// Its name.
    pub account: String,
    /// What it was given, bytes.
    pub granted_bytes: u64,
    /// What it has handed out to sub-accounts, bytes.
    pub handed_out_bytes: u64,
    /// What is stored, in own buckets too, bytes.
    pub used_bytes: u64,
    /// Its sub-accounts.
    pub sub_accounts: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The box at a glance.
    pub status: Status,
    /// Accounts, at most a few hundred and one for the rest.
    pub accounts: Vec<AccountNumbers>,
    /// Files uploaded since the start: recordings, pictures, files of own buckets.
    pub uploaded_files: [u64; 3],
    /// Bytes uploaded since the start, parts too.
    pub uploaded_bytes: u64,
    /// Uploads under way.
    pub uploads_under_way: i64,
    /// Reads of files or of parts of them since the start.
    pub downloads: u64,
    /// Bytes read since the start.
    pub downloaded_bytes: u64,
    /// Why files went since the start, how many, and their bytes.
    pub gone: [(&'static str, u64, u64); WhyGone::ALL.len()],
    /// Overwrites that came to their end since the start.
    pub overwrites: u64,
    /// Sub-accounts that are being overwritten.
    pub overwriting: u64,
    /// Sub-accounts whose space is full, and those where it is nearly.
    pub full: [u64; 2],
    /// Alerts delivered since the start.
    pub alerts_delivered: u64,
    /// Alerts given up since the start.
    pub alerts_given_up: u64,
    /// Sessions of the portals.
    pub sessions: u64,
    /// Bytes of the index; `None` where its disk does not say.
    pub index_bytes: Option<u64>,
    /// When the index was last made durable, ms since 1970; the start where it was not since.
    pub checkpoint_ms: i64,
}

impl Tallies {
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn upload(&self) -> UnderWay {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.uploads))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// How long groups of changes took to be durable.
    pub fn commits(&self) -> &Histogram {
        &self.inner.store.bells.commits
    }

    /// What the box counts.
    pub async fn numbers(&self, caller: &Caller) -> Result<Numbers> {
        caller.must_everywhere(Action::SeeOverview)?;
        let status = self.status(caller).await?;
        let engine = self.clone();
        // Books and a disk are read.
        blocking(move || engine.count(status)).await
    }

    fn count(&self, status: Status) -> Result<Numbers> {
        let (tallies, bells) = (&self.inner.observe.tallies, &self.inner.store.bells);
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let index = self.config().storage.data_dir.join("index.redb");
        let index = self.inner.world.disk.open_to_read(&index).and_then(|file| file.len());
        let checkpoint_ms = Some(bells.checkpointed.load(Ordering::Relaxed)).filter(|ms| *ms > 0);
        let (accounts, sessions) = (self.account_numbers(), self.sessions_open()?);
        let catalog = self.inner.store.catalog.read();
        let cameras =
            |are: fn(&Stats) -> bool| catalog.sub_accounts.values().filter(|sub| are(&sub.stats)).count() as u64;
        let gone = WhyGone::ALL.map(|why| {
            let (files, bytes) = bells.witness.counted(why);
            (why.word(), files, bytes)
        });
        Ok(Numbers {
            status,
            accounts,
            uploaded_files: tallies.files.each_ref().map(of),
            uploaded_bytes: of(&tallies.bytes_in),
            uploads_under_way: tallies.uploads.load(Ordering::Relaxed),
            downloads: of(&tallies.downloads),
            downloaded_bytes: of(&tallies.bytes_out),
            gone,
            overwrites: bells.witness.overwrites(),
            overwriting: cameras(|stats| stats.sweep_left > 0),
            full: [cameras(|stats| stats.full == Episode::Open), cameras(|stats| stats.nearly_full == Episode::Open)],
            alerts_delivered: of(&tallies.alerts_delivered),
            alerts_given_up: of(&tallies.alerts_given_up),
            sessions,
            index_bytes: index.ok(),
            checkpoint_ms: checkpoint_ms.unwrap_or_else(|| self.inner.begun.millis()),
        })
    }

    fn account_numbers(&self) -> Vec<AccountNumbers> {
        let used = self.used_by_account();
        let gigabyte = self.inner.store.catalog.settings().gigabyte.get();
        let catalog = self.inner.store.catalog.read();
        let of = |id: &AccountId| catalog.of_account.get(id).map_or(0, |subs| subs.len() as u64);
        let mut all: Vec<AccountNumbers> = catalog
            .accounts
            .iter()
            .map(|(id, row)| AccountNumbers {
                account: row.name.as_str().to_owned(),
                granted_bytes: u64::from(row.space.get()).saturating_mul(gigabyte),
                handed_out_bytes: catalog.handed_out.get(id).copied().unwrap_or(0).saturating_mul(gigabyte),
                used_bytes: used.get(&id.get()).copied().unwrap_or(0),
                sub_accounts: of(id),
            })
            .collect();
        if all.len() > ACCOUNTS_MAX {
            all.sort_by(|a, b| b.sub_accounts.cmp(&a.sub_accounts).then_with(|| a.account.cmp(&b.account)));
            let rest = all.split_off(ACCOUNTS_MAX).into_iter().reduce(|sum, one| AccountNumbers {
                account: String::new(),
                granted_bytes: sum.granted_bytes + one.granted_bytes,
                handed_out_bytes: sum.handed_out_bytes + one.handed_out_bytes,
                used_bytes: sum.used_bytes + one.used_bytes,
                sub_accounts: sum.sub_accounts + one.sub_accounts,
            });
            all.extend(rest.map(|rest| AccountNumbers { account: OTHERS.to_owned(), ..rest }));
        }
        all
    }
}
