//! The box as operations staff see it: status, audit log, check, scrub.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::reconcilers::{Pace, Waited};
use super::{
    AuditEntry, Caller, CheckReport, Damage, DiskView, Engine, Error, HeldView, Result, ScrubReport, Status, Violation,
};
use crate::domain::{Action, BucketId, Timestamp};
use crate::store::check;
use crate::store::index::rows::AlertState;
use crate::store::index::{FORMAT, is_own, owner_of, slot_of};
use crate::world::ballast::Held;

impl Engine {
    /// One page on the box's state.
    pub async fn status(&self, caller: &Caller) -> Result<Status> {
        caller.must_everywhere(Action::SeeOverview)?;
        let store = &self.inner.store;
        let view = store.view()?;
        let outbox = view.outbox()?;
        let count = |state: AlertState| {
            // A test that nobody took is no camera's trouble.
            outbox.iter().filter(|(id, row)| row.state == state && !id.is_test()).count() as u64
        };
        let gigabyte = store.catalog.settings().gigabyte.get();
        let catalog = store.catalog.read();
        let subs = || catalog.sub_accounts.values();
        let stats = || subs().map(|s| &s.stats).chain(catalog.own_buckets.values().map(|own| &own.stats));
        let (slowed, wrong_guesses, refused_guesses) = self.slowed_down();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            format: FORMAT,
            accounts: catalog.accounts.len() as u64,
            sub_accounts: catalog.sub_accounts.len() as u64,
            files: stats().map(|s| s.files[0] + s.files[1]).sum(),
            used_bytes: stats().map(|s| s.used()).sum(),
            reserved_bytes: subs().map(|s| s.reserved).chain(catalog.areas.values().map(|a| a.reserved)).sum(),
            promised_bytes: catalog
                .accounts
                .values()
                .map(|a| u64::from(a.space.get()))
                .sum::<u64>()
                .saturating_mul(gigabyte),
            handed_out_bytes: subs().map(|s| u64::from(s.row.space.get())).sum::<u64>().saturating_mul(gigabyte),
            disks: self.disks(),
            no_room: store.volumes.no_room(),
            held_back: store.volumes.held().into_iter().map(held_view).collect(),
            commit_queue: store.queue.waiting(),
            trash: view.trash_len()?,
            alerts_pending: count(AlertState::Pending),
            alerts_given_up: count(AlertState::GivenUp),
            alerts_oldest_ms: outbox
                .iter()
                .filter(|(id, row)| row.state == AlertState::Pending && !id.is_test())
                .map(|(_, row)| row.raised.millis())
                .min(),
            scrub: self.inner.scrub.view(),
            wrong_guesses,
            refused_guesses,
            slowed,
            salvage: self.salvage(),
        })
    }

    fn disks(&self) -> Vec<DiskView> {
        let disks = self.inner.store.volumes.disks();
        let view =
            |(dir, total, free, reserve, volumes, failed): (std::path::PathBuf, u64, u64, u64, u32, bool)| DiskView {
                dir: dir.display().to_string(),
                total_bytes: total,
                free_bytes: free,
                reserve_bytes: reserve,
                volumes,
                state: match (failed, total == 0, free <= reserve) {
                    (true, _, _) => "failed",
                    (_, true, _) => "offline",
                    (_, _, true) => "full",
                    _ => "ok",
                },
            };
        disks.into_iter().map(view).collect()
    }

    /// The audit log, newest first.
    pub async fn audit_log(&self, caller: &Caller, most: usize) -> Result<Vec<(Timestamp, AuditEntry)>> {
        caller.must_everywhere(Action::SeeAudit)?;
        let rows = self.inner.store.view()?.audit(most)?;
        let read = |json: &[u8]| {
            serde_json::from_slice(json).map_err(|e| Error::Broken(format!("read the audit log: {e}").into()))
        };
        rows.into_iter().map(|(_, time, json)| Ok((time, read(&json)?))).collect()
    }

    fn bucket_names(&self) -> HashMap<BucketId, String> {
        let catalog = self.inner.store.catalog.read();
        catalog.buckets.iter().map(|(name, bucket)| (bucket.id, name.clone())).collect()
    }

    /// Holds index and volumes against each other. Uploads go on; the state looked at is that of
    /// the moment when it begins, so what is being deleted meanwhile is not misread.
    pub async fn check(&self, caller: &Caller) -> Result<CheckReport> {
        caller.must_everywhere(Action::Operate)?;
        let engine = self.clone();
        blocking(move || {
            let names = engine.bucket_names();
            let store = &engine.inner.store;
            let view = store.view()?;
            let (objects, mut findings) = check::check(&view, &store.volumes)?;
            // A file that was deleted and punched while we looked is gone from a newer state, and
            // no finding.
            let now = store.view()?;
            findings.retain(|finding| match (finding.bucket, finding.key.as_deref().and_then(|k| k.parse().ok())) {
                (Some(bucket), Some(key)) => {
                    let id = |view: &crate::store::index::view::View| {
                        view.object(bucket, &key).ok().flatten().map(|row| row.id)
                    };
                    id(&view) == id(&now)
                }
                _ => true,
            });
            let violations = findings.into_iter().map(|f| Violation {
                what: f.what,
                bucket: f.bucket.map(|id| names.get(&id).cloned().unwrap_or_else(|| unnamed(id))),
                key: f.key,
            });
            Ok(CheckReport { objects, violations: violations.collect() })
        })
        .await
    }

    /// Reads everything and verifies every checksum.
    pub async fn scrub(&self, caller: &Caller) -> Result<ScrubReport> {
        self.scrub_at(caller, 0).await
    }

    /// As [`Engine::scrub`], reading no more than `rate` bytes a second; 0 is no limit. Ends where nobody waits for it;
    /// how far it is stands in [`Status`].
    pub async fn scrub_at(&self, caller: &Caller, rate: u64) -> Result<ScrubReport> {
        caller.must_everywhere(Action::Operate)?;
        let engine = self.clone();
        let used = {
            let catalog = self.inner.store.catalog.read();
            let subs = catalog.sub_accounts.values().map(|sub| &sub.stats);
            subs.chain(catalog.own_buckets.values().map(|own| &own.stats)).map(|s| s.bytes[0] + s.bytes[1]).sum()
        };
        let waited = Waited::begin(&self.inner.scrub, used);
        let given_up = waited.given_up();
        let report = blocking(move || {
            let names = engine.bucket_names();
            let mended = engine.inner.store.volumes.mend_identities();
            let mut report = ScrubReport { mended, ..ScrubReport::default() };
            let (mut objects, mut bytes, mut damaged) = (0, 0, Vec::new());
            let mut after = Some(Vec::new());
            let mut paced = Pace::new();
            let over = || given_up.load(Ordering::Relaxed) || engine.inner.ending.is_cancelled();
            while let Some(from) = after {
                let read = |n| {
                    objects += 1;
                    bytes += n;
                    if let Some(asked) = engine.inner.scrub.asked().as_mut() {
                        asked.objects += 1;
                    }
                };
                let pace = |n| {
                    paced.read(n, rate, over);
                    if let Some(asked) = engine.inner.scrub.asked().as_mut() {
                        asked.bytes += n;
                    }
                    !over()
                };
                after = engine.inner.store.scrub_page(&from, read, |damage| damaged.push(damage), pace)?;
                if over() {
                    return Err(Error::Busy("the scrub was given up"));
                }
            }
            report.objects = objects + damaged.len() as u64;
            report.bytes = bytes;
            report.damaged = damaged
                .into_iter()
                .map(|d| Damage {
                    bucket: names.get(&d.bucket).cloned().unwrap_or_else(|| unnamed(d.bucket)),
                    key: d.key,
                    reason: d.reason,
                })
                .collect();
            Ok(report)
        })
        .await;
        drop(waited);
        report
    }

    /// Makes everything up to now durable in the index.
    pub async fn checkpoint(&self) -> Result<()> {
        Ok(self.inner.store.queue.ask(crate::store::committer::Command::Checkpoint).await?)
    }
}

fn held_view(held: Held) -> HeldView {
    HeldView { path: held.path.display().to_string(), bytes: held.bytes, held_bytes: held.held, free_bytes: held.free }
}

/// The name of a bucket that is deleted, or whose sub-account is closed.
fn unnamed(id: BucketId) -> String {
    let owner = owner_of(id);
    if is_own(id) {
        return format!("(deleted own bucket {owner})");
    }
    format!("(closed sub-account {owner}, bucket {})", slot_of(id))
}

/// Long work that waits for disks, off the async threads. Rare: an operator asked for it.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Broken(Arc::from(error.to_string()))),
    }
}
