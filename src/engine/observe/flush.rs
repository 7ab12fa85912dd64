//! Writing down what has gathered, every minute and at the end, and forgetting what has served its time.

use std::sync::PoisonError;

use super::gone;
use super::rows::{
    AlertNoteRow, AttemptRow, CameraDayRow, CameraRow, Counters, DayRow, GoneFilesRow, GoneRow, HourRow, MonthRow,
    NameRow, UsedRow, day_of, hour_of, month_of,
};
use super::sums::Sums;
use super::{Observe, PARTS};
use crate::books::{Books, BooksError, Changes};
use crate::domain::forecast::DAY_MS;
use crate::domain::{SubAccountId, Timestamp};
use crate::engine::reconcilers::Step;
use crate::engine::status::blocking;
use crate::engine::{Engine, Error, Result};
use crate::store::index::{is_own, slot_of};
use crate::store::witness::Seen;

/// Hours are kept for 60 days, days for 13 months, months for three years, days of cameras for 60 days.
const HOURS_KEPT: u64 = 60 * 24;
const DAYS_KEPT: u64 = 396;
const MONTHS_KEPT: u64 = 36;
const CAMERA_DAYS_KEPT: u64 = 60;
/// Owners whose counters go into one change, at least where there are so many: the change of 10,000 takes half a second,
/// and pages with counters wait for it.
const WRITTEN_AT_ONCE: usize = 300;
/// Between two changes.
const BREATH: std::time::Duration = std::time::Duration::from_millis(3);
/// Attempts to deliver alerts are kept for 13 months.
const ATTEMPTS_KEPT_MS: i64 = 396 * DAY_MS;
/// What has served its time is looked for this often.
const PRUNE_EVERY_MS: i64 = 3_600_000;
/// Batches of files that are gone that are forgotten in one go at most.
const PRUNED_AT_ONCE: usize = 20_000;
/// Packed bytes of what is known of files that are gone; past it the oldest days go before their time.
const GONE_BYTES_MAX: u64 = 4 << 30;

/// What was taken out of memory of one owner of files.
struct Taken {
    owner: SubAccountId,
    pending: Vec<(u64, Counters)>,
    row: Option<CameraRow>,
}

/// How much is known of files that are gone, and since when, under 0.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct GoneTotalRow {
    bytes: u64,
    /// What went before is forgotten.
    cutoff_ms: i64,
    /// Since when it is noted at all.
    since_ms: i64,
}

impl crate::books::Row for GoneTotalRow {
    const TABLE: &'static str = "gone_total";
    type Key = u64;
}

/// The reconciler: writes what there is.
pub async fn step(engine: Engine) -> Result<Step> {
    blocking(move || flush(&engine, true)).await?;
    Ok(Step::Idle)
}

/// Writes everything that has gathered. Blocks. `runs`: the box serves, so that the present hour counts as one in which
/// it did; a command on a closed store does not.
pub fn flush(engine: &Engine, runs: bool) -> Result<()> {
    let inner = &engine.inner;
    inner.observe.know(engine);
    let (mut part, mut unnamed) = (0, 0);
    while part < PARTS {
        if part > 0 {
            // Who waits to read comes in between: a lock that is taken again at once would let nobody in.
            std::thread::sleep(BREATH);
        }
        let _writing = inner.observe.writing.write().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while part < PARTS && taken.len() < WRITTEN_AT_ONCE {
            inner.observe.take(part, &mut taken);
            part += 1;
        }
        let seen = inner.store.bells.witness.take();
        let now = engine.now();
        let mark = runs && inner.observe.is_new_hour(now);
        if (mark || !(taken.is_empty() && seen.gone.is_empty() && seen.raised.is_empty()))
            && let Err(error) = write(engine, &taken, &seen, mark)
        {
            inner.observe.put_back(taken);
            inner.store.bells.witness.put_back(seen);
            return Err(error);
        }
        inner.observe.written(now, &taken, mark);
        unnamed += seen.unnamed;
    }
    if unnamed > 0 {
        tracing::warn!(files = unnamed, "more files were deleted at once than their names could be kept");
    }
    prune(engine)
}

fn write(engine: &Engine, taken: &[Taken], seen: &Seen, mark: bool) -> Result<()> {
    let (zone, now) = (engine.config().zone_minutes, engine.now());
    let owners =
        taken.iter().map(|t| t.owner).chain(seen.gone.iter().map(|g| g.owner)).chain(seen.raised.iter().copied());
    let accounts = engine.inner.observe.accounts(engine, owners);
    let mut sums = Sums::default();
    let account = |owner: SubAccountId| accounts.get(&owner).copied().unwrap_or(0);
    for Taken { owner, pending, .. } in taken {
        for (hour, counters) in pending {
            sums.add(*owner, account(*owner), *hour, zone, counters);
        }
    }
    for gone in &seen.gone {
        sums.add_gone(gone, account(gone.owner), zone);
    }
    for owner in &seen.raised {
        sums.add_raised(*owner, account(*owner), now, zone);
    }
    if mark {
        sums.running(now, zone);
        let day = day_of(now, zone);
        sums.used = engine.used_by_account().into_iter().map(|(of, used)| ((day, of), UsedRow { used })).collect();
    }
    let batches = gone::batches(&seen.gone, |gone| engine.inner.observe.bucket_name(engine, gone.owner, gone.bucket));
    engine.inner.books.change(|changes| {
        for (key, more) in sums.hours {
            let mut row: HourRow = changes.get(&key)?.unwrap_or_default();
            row.0.add(&more);
            changes.put(&key, &row)?;
        }
        for (key, more) in sums.days {
            let mut row: DayRow = changes.get(&key)?.unwrap_or_default();
            row.0.add(&more);
            changes.put(&key, &row)?;
        }
        for (key, more) in sums.months {
            let mut row: MonthRow = changes.get(&key)?.unwrap_or_default();
            row.0.add(&more);
            changes.put(&key, &row)?;
        }
        for (key, row) in sums.used {
            changes.put(&key, &row)?;
        }
        for (key, more) in sums.cameras {
            let mut row: CameraDayRow = changes.get(&key)?.unwrap_or_default();
            row.0.add(&more);
            changes.put(&key, &row)?;
        }
        for Taken { owner, row, .. } in taken {
            if let Some(row) = row {
                changes.put(&owner.get(), row)?;
            }
        }
        put_gone(changes, batches)
    })
}

fn put_gone(changes: &mut Changes, batches: Vec<gone::Packed>) -> Result<()> {
    if batches.is_empty() {
        return Ok(());
    }
    let mut total: GoneTotalRow = changes.get(&0)?.unwrap_or_default();
    for gone::Packed { owner, until_ms, row, files } in batches {
        let mut key = (owner, (until_ms, 0));
        while changes.get::<GoneRow>(&key)?.is_some() {
            key.1.1 += 1;
        }
        total.bytes += row.packed;
        changes.put(&key, &row)?;
        changes.put(&key, &GoneFilesRow { packed: files })?;
    }
    changes.put(&0, &total)?;
    Ok(())
}

/// Forgets, once an hour, what has served its time.
fn prune(engine: &Engine) -> Result<()> {
    let now = engine.now();
    {
        let mut last = engine.inner.observe.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        if now.millis().saturating_sub(*last) < PRUNE_EVERY_MS {
            return Ok(());
        }
        *last = now.millis();
    }
    let config = engine.config();
    let books = &engine.inner.books;
    let (hour, today) = (hour_of(now), day_of(now, config.zone_minutes));
    let old_attempts = books
        .scan::<AttemptRow>(&(0, 0), |_, row| row.at_ms < now.millis().saturating_sub(ATTEMPTS_KEPT_MS))?
        .into_iter()
        .map(|(key, _)| key)
        .collect::<Vec<_>>();
    let total: GoneTotalRow = books.get(&0)?.unwrap_or_default();
    let cutoff_ms = cutoff(&total, now, config.portal.gone_days);
    let (dead, left) = dead_batches(books, cutoff_ms)?;
    let forgotten = engine.inner.observe.closed_for_good(engine, &left);
    books.change(|changes| {
        changes.prune::<HourRow>(|(of, _)| of.saturating_add(HOURS_KEPT) < hour)?;
        changes.prune::<DayRow>(|(of, _)| of.saturating_add(DAYS_KEPT) < today)?;
        changes.prune::<MonthRow>(|(of, _)| of.saturating_add(MONTHS_KEPT) < month_of(today))?;
        changes.prune::<UsedRow>(|(of, _)| of.saturating_add(DAYS_KEPT) < today)?;
        changes.prune::<CameraDayRow>(|(of, _)| of.saturating_add(CAMERA_DAYS_KEPT) < today)?;
        for key in &old_attempts {
            changes.remove::<AttemptRow>(key)?;
            changes.remove::<AlertNoteRow>(&key.0)?;
        }
        let mut bytes = total.bytes;
        for (key, packed) in &dead {
            changes.remove::<GoneRow>(key)?;
            changes.remove::<GoneFilesRow>(key)?;
            bytes = bytes.saturating_sub(*packed);
        }
        for id in &forgotten {
            changes.remove::<CameraRow>(&id.get())?;
            changes.remove::<NameRow>(&id.get())?;
        }
        let since_ms = if total.since_ms == 0 { now.millis() } else { total.since_ms };
        changes.put(&0, &GoneTotalRow { bytes, cutoff_ms, since_ms })?;
        Ok::<_, Error>(())
    })?;
    engine.inner.observe.forget(&forgotten);
    Ok(())
}

/// What went before this is forgotten: by age, and a day more each time where there is too much of it.
fn cutoff(total: &GoneTotalRow, now: Timestamp, days: u32) -> i64 {
    let by_age = now.millis().saturating_sub(i64::from(days).saturating_mul(DAY_MS));
    let too_much = total.bytes > GONE_BYTES_MAX;
    let before = if too_much { total.cutoff_ms.saturating_add(DAY_MS) } else { total.cutoff_ms };
    by_age.max(before.min(now.millis()))
}

/// What went before this is not known, ms since 1970.
pub fn known_from(engine: &Engine) -> Result<i64> {
    let (now, days) = (engine.now(), engine.config().portal.gone_days);
    let total: GoneTotalRow = engine.inner.books.get(&0)?.unwrap_or_default();
    let since_ms = if total.since_ms == 0 { now.millis() } else { total.since_ms };
    Ok(cutoff(&GoneTotalRow { bytes: 0, ..total }, now, days).max(since_ms))
}

type GoneKey = (u64, (u64, u64));
type DeadAndLeft = (Vec<(GoneKey, u64)>, Vec<u64>);

/// Batches before `cutoff_ms` with their packed bytes, and the owners of which some are left or were not looked at.
fn dead_batches(books: &Books, cutoff_ms: i64) -> std::result::Result<DeadAndLeft, BooksError> {
    let before = u64::try_from(cutoff_ms).unwrap_or(0);
    let (mut dead, mut left) = (Vec::new(), Vec::new());
    let mut from: GoneKey = (0, (0, 0));
    loop {
        let room = PRUNED_AT_ONCE.saturating_sub(dead.len());
        let (mut next, mut taken) = (None, 0);
        let rows = books.scan::<GoneRow>(&from, |key, _| {
            if key.1.0 < before && taken < room {
                taken += 1;
                return true;
            }
            next = Some(key.0);
            false
        })?;
        dead.extend(rows.into_iter().map(|(key, row)| (key, row.packed)));
        match next.and_then(|owner| owner.checked_add(1).map(|after| (owner, after))) {
            Some((owner, after)) => {
                left.push(owner);
                from = (after, (0, 0));
            }
            None => return Ok((dead, left)),
        }
    }
}

impl Observe {
    /// Learns who there is.
    pub(super) fn know(&self, engine: &Engine) {
        let catalog = engine.inner.store.catalog.read();
        for sub in catalog.sub_accounts.values() {
            self.know_sub_account(sub);
        }
        for (id, own) in &catalog.own_buckets {
            let mut part = self.part(*id);
            let camera = part.entry(*id).or_default();
            if camera.row.record_bucket.is_empty() {
                camera.row.account = own.row.account.get();
                camera.row.record_bucket = own.row.name.as_str().to_owned();
                camera.dirty = true;
            }
        }
    }

    /// Learns of one, before it is closed: what goes with it is found under its name.
    pub(in crate::engine) fn know_sub_account(&self, sub: &crate::store::catalog::SubAccount) {
        let mut part = self.part(sub.id);
        let camera = part.entry(sub.id).or_default();
        if camera.row.ak.is_empty() {
            camera.row.ak = sub.row.ak.as_str().to_owned();
            camera.row.account = sub.row.account.get();
            camera.row.record_bucket = sub.row.record_bucket.as_str().to_owned();
            camera.row.picture_bucket = sub.row.picture_bucket.as_str().to_owned();
            camera.dirty = true;
        }
    }

    /// Whether the present hour is not known yet to be one in which the box runs.
    fn is_new_hour(&self, now: Timestamp) -> bool {
        *self.marked.lock().unwrap_or_else(PoisonError::into_inner) != Some(hour_of(now))
    }

    /// What was taken is in the books.
    fn written(&self, now: Timestamp, taken: &[Taken], mark: bool) {
        if mark {
            *self.marked.lock().unwrap_or_else(PoisonError::into_inner) = Some(hour_of(now));
        }
        let counters = taken.iter().flat_map(|taken| &taken.pending).map(|(_, counters)| counters);
        let (mut bytes, mut files) = (0, 0);
        for counters in counters {
            bytes += counters.bytes_in;
            files += counters.uploads();
        }
        self.came(now, bytes, files);
    }

    /// What has gathered in a part.
    fn take(&self, at: usize, out: &mut Vec<Taken>) {
        for (owner, camera) in self.part_at(at).iter_mut() {
            if camera.dirty || !camera.pending.is_empty() {
                let row = std::mem::take(&mut camera.dirty).then(|| camera.row.clone());
                out.push(Taken { owner: *owner, pending: std::mem::take(&mut camera.pending), row });
            }
        }
    }

    fn put_back(&self, taken: Vec<Taken>) {
        for Taken { owner, pending, row } in taken {
            let mut part = self.part(owner);
            let camera = part.entry(owner).or_default();
            camera.dirty |= row.is_some();
            for (hour, counters) in pending {
                match camera.pending.iter_mut().find(|(of, _)| *of == hour) {
                    Some((_, mine)) => mine.add(&counters),
                    None => camera.pending.insert(0, (hour, counters)),
                }
            }
        }
    }

    pub(super) fn bucket_name(&self, engine: &Engine, owner: SubAccountId, bucket: crate::domain::BucketId) -> String {
        let picture = slot_of(bucket) != crate::store::index::rows::slot(crate::domain::Media::Recording);
        {
            let catalog = engine.inner.store.catalog.read();
            if let Some(sub) = catalog.sub_accounts.get(&owner) {
                let name = if picture { &sub.row.picture_bucket } else { &sub.row.record_bucket };
                return name.as_str().to_owned();
            }
        }
        let part = self.part(owner);
        let Some(camera) = part.get(&owner) else { return String::new() };
        let pictures = picture && !is_own(bucket);
        if pictures { camera.row.picture_bucket.clone() } else { camera.row.record_bucket.clone() }
    }

    /// Those that are closed and of which nothing is told any more.
    fn closed_for_good(&self, engine: &Engine, told: &[u64]) -> Vec<SubAccountId> {
        let closing: Vec<SubAccountId> = engine.inner.store.view().and_then(|v| v.closing()).unwrap_or_default();
        let catalog = engine.inner.store.catalog.read();
        let there = |id: &SubAccountId| catalog.sub_accounts.contains_key(id) || catalog.own_buckets.contains_key(id);
        let mut out = Vec::new();
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            out.extend(part.iter().filter_map(|(id, camera)| {
                let done = !there(id)
                    && *id != super::NOBODY
                    && camera.pending.is_empty()
                    && !camera.dirty
                    && !closing.contains(id)
                    && told.binary_search(&id.get()).is_err();
                done.then_some(*id)
            }));
        }
        out
    }

    fn forget(&self, ids: &[SubAccountId]) {
        for id in ids {
            self.part(*id).remove(id);
            self.names.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_of_the_past_goes_a_day_at_a_time() {
        let now = Timestamp::from_millis(1000 * DAY_MS);
        let total = |bytes, day: i64| GoneTotalRow { bytes, cutoff_ms: day * DAY_MS, since_ms: 0 };
        assert_eq!(cutoff(&total(0, 0), now, 180), 820 * DAY_MS);
        assert_eq!(cutoff(&total(GONE_BYTES_MAX + 1, 820), now, 180), 821 * DAY_MS);
        assert_eq!(cutoff(&total(0, 821), now, 180), 821 * DAY_MS, "what is forgotten stays forgotten");
        assert_eq!(cutoff(&total(u64::MAX, 1000), now, 180), 1000 * DAY_MS, "not past now");
    }
}
