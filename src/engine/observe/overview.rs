//! The box at a glance: its state, what comes in now, what wants to be looked at.

use std::sync::PoisonError;

use serde::Serialize;

use super::growth::Growth;
use super::rows::{Counters, HourRow, hour_of};
use super::sums::Sums;
use super::{Came, Observe, Point, SilentCamera};
use crate::domain::billing::{Hour, Month};
use crate::domain::{Action, Timestamp};
use crate::engine::status::blocking;
use crate::engine::{AuditLine, AuditQuery, Caller, Engine, Result, Status};
use crate::store::index::rows::AlertState;

/// "Now" is what came in so long, ms.
const NOW_MS: i64 = 300_000;
/// Silent cameras, and lines of the audit log, that are named.
const SILENT_NAMED: usize = 10;
const AUDIT_LINES: usize = 6;

/// What comes in.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ingest {
    /// Bytes that came within the last minutes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// How long that is, ms: some five minutes, less after a start.
    pub within_ms: u64,
    /// The last 24 hours, the oldest first; the last one is under way.
    pub hours: Vec<Point>,
}

/// Accounts whose last month has no statement yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ToIssue {
    /// The month.
    pub month: Month,
    /// How many accounts had samples in it and have no issued statement.
    pub accounts: u64,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Whether every disk works and has room, and nothing damaged was found.
    pub healthy: bool,
    /// Space, disks, queues, scrub.
    pub status: Status,
    /// When the index was last made durable, ms since 1970; `None` while it was not since the start.
    pub checkpoint_ms: Option<i64>,
    /// What is used, and when the disks are full.
    pub growth: Growth,
    /// What comes in.
    pub ingest: Ingest,
    /// Alerts that are not delivered: pending, or given up.
    pub alerts_open: u64,
    /// When the oldest of them was raised, ms since 1970.
    pub alerts_oldest_ms: Option<i64>,
    /// Cameras gone silent.
    pub silent: u64,
    /// Those that are silent the longest.
    pub silent_first: Vec<SilentCamera>,
    /// What is to be settled, where there are tariffs.
    pub to_issue: Option<ToIssue>,
    /// The last lines of the audit log, newest first.
    pub audit: Vec<AuditLine>,
}

impl Observe {
    /// So much was written down.
    pub(super) fn came(&self, now: Timestamp, bytes: u64, files: u64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let last = recent.back().copied().unwrap_or_default();
        recent.push_back(Came { at_ms: now.millis(), bytes: last.bytes + bytes, files: last.files + files });
        // One is kept from before, to count from.
        while recent.get(1).is_some_and(|second| second.at_ms <= now.millis().saturating_sub(NOW_MS)) {
            recent.pop_front();
        }
    }

    /// What came within the last minutes, with what has gathered since.
    fn now(&self, now: Timestamp, gathered: &Sums) -> Ingest {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (recent.front(), recent.back()) else { return Ingest::default() };
        let mut since = Counters::default();
        gathered.hours.iter().filter(|((_, of), _)| *of == 0).for_each(|(_, more)| since.add(more));
        Ingest {
            bytes: last.bytes - first.bytes + since.bytes_in,
            files: last.files - first.files + since.uploads(),
            within_ms: u64::try_from(now.millis().saturating_sub(first.at_ms)).unwrap_or(0),
            hours: Vec::new(),
        }
    }
}

impl Engine {
    /// The box at a glance.
    pub async fn overview(&self, caller: &Caller) -> Result<Overview> {
        caller.must_everywhere(Action::SeeOverview)?;
        let status = self.status(caller).await?;
        let silent = self.silent_cameras(caller).await?;
        let query = AuditQuery { most: AUDIT_LINES, ..AuditQuery::default() };
        let audit = self.audit_page(caller, query).await?.lines;
        let engine = self.clone();
        blocking(move || {
            let (growth, ingest) = engine.growth_and_ingest()?;
            let outbox = engine.inner.store.view()?.outbox()?;
            let open = |state| matches!(state, AlertState::Pending | AlertState::GivenUp);
            let raised = outbox.iter().filter(|(_, row)| open(row.state)).map(|(_, row)| row.raised.millis());
            let checkpointed = engine.inner.store.bells.checkpointed.load(std::sync::atomic::Ordering::Relaxed);
            let month = Hour::of(engine.now(), engine.config().zone_minutes).day().month().before();
            let accounts = engine.unissued(month)?;
            Ok(Overview {
                at_ms: engine.now().millis(),
                healthy: status.disks.iter().all(|disk| disk.state == "ok")
                    && status.no_room.is_none()
                    && status.scrub.damaged == 0,
                checkpoint_ms: (checkpointed > 0).then_some(checkpointed),
                growth,
                ingest,
                alerts_open: raised.clone().count() as u64,
                alerts_oldest_ms: raised.min(),
                silent: silent.len() as u64,
                silent_first: silent.into_iter().take(SILENT_NAMED).collect(),
                to_issue: (accounts > 0).then_some(ToIssue { month, accounts }),
                audit,
                status,
            })
        })
        .await
    }

    fn growth_and_ingest(&self) -> Result<(Growth, Ingest)> {
        let _still = self.inner.observe.writing.read().unwrap_or_else(PoisonError::into_inner);
        let sums = self.inner.observe.gathered(self);
        let now = self.now();
        let mut ingest = self.inner.observe.now(now, &sums);
        let present = hour_of(now);
        for hour in present.saturating_sub(23)..=present {
            let written = self.inner.books.get::<HourRow>(&(hour, 0))?.map(|row| row.0);
            let more = sums.hours.get(&(hour, 0));
            let measured = hour == present || written.is_some() || more.is_some();
            let mut counters = written.unwrap_or_default();
            more.into_iter().for_each(|more| counters.add(more));
            let at_ms = i64::try_from(hour).unwrap_or(0).saturating_mul(3_600_000);
            ingest.hours.push(Point { at_ms, measured, counters });
        }
        Ok((self.growth(None, &sums)?, ingest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_what_came_in_the_last_minutes() {
        let observe = Observe::default();
        let at = |minute: i64| Timestamp::from_seconds(1_000_000 + minute * 60);
        assert_eq!(observe.now(at(0), &Sums::default()).within_ms, 0, "nothing is known");
        for minute in 0..=20 {
            observe.came(at(minute), 100, 1);
        }
        let mut gathered = Sums::default();
        let more = Counters { bytes_in: 7, recordings: 1, ..Counters::default() };
        gathered.add(super::super::NOBODY, 3, 277, 0, &more);
        let now = observe.now(at(21), &gathered);
        // From minute 15, whose own 100 are before it, to minute 20, and what has gathered since.
        assert_eq!((now.bytes, now.files, now.within_ms), (507, 6, 360_000));
        assert!(observe.recent.lock().unwrap().len() <= 7);
    }
}
