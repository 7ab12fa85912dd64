//! What the box knows about itself over time: counters, what each camera does, why files are gone, what became of
//! alerts.
//!
//! A request costs one short lock on one of 16 parts and a few additions, some 100 ns, and never a write to disk. What
//! gathers is written to the books every minute and at the end (`flush`); a crash loses a minute of it at most. Who asks
//! for numbers gets what is written and what has gathered since (`sums`), and never one of it twice. None of it decides
//! anything: quota, locks and alerts have their counters in the index.

mod attempts;
mod cameras;
mod days;
mod flush;
mod forecasts;
mod gone;
mod growth;
mod list;
mod overview;
mod rows;
mod series;
mod space_csv;
mod spaces;
mod sums;
mod why_gone;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use self::attempts::{AttemptView, CommentView, NoteView};
pub(super) use self::attempts::{Tried, acknowledged, keep_attempt};
pub use self::cameras::{CameraView, SilentCamera};
pub use self::days::{CameraDay, CameraDays};
pub(super) use self::flush::{flush, step};
pub use self::forecasts::{BoxForecast, Forecast};
pub use self::growth::{Growth, UsedPoint};
pub use self::list::{CameraLine, CameraPage, CameraQuery, CameraSort, CameraSpace, CameraState};
pub use self::overview::{Ingest, Overview, ToIssue};
pub use self::rows::Counters;
pub use self::series::{Period, Point, Series, Top, TopBy};
pub use self::spaces::{
    AccountSpace, AccountSpacePage, SpacePage, SpaceQuery, SpaceRow, SpaceSort, SpaceState, SpaceSums,
};
pub use self::why_gone::{GoneBatch, GoneFile, GoneFound, GoneQuery, ThereFile};

pub(super) use self::rows::NameRow as Named;
use self::rows::{CameraRow, NameRow, RefusalRow, hour_of};
use super::numbers::Tallies;
use super::types::Who;
use super::{Caller, Engine, Result};
use crate::books::Books;
use crate::domain::forecast::BURST;
use crate::domain::{SubAccountId, Timestamp};
use crate::store::index::{is_own, rows as index_rows, slot_of};

const PARTS: usize = 16;
/// Gaps between uploads that a cadence is learned from.
const GAPS_MAX: usize = 32;
/// Characters of a user agent that are kept.
const AGENT_CHARS_MAX: usize = 120;
/// Of what belongs to no account: a request with a key that is not known.
const NOBODY: SubAccountId = SubAccountId::new(0);

/// How a request was made, as the S3 plane sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// `v2`, `v4`, or either with `-presigned`.
    pub signature: &'static str,
    /// `User-Agent`.
    pub agent: Option<&'a str>,
    /// The date of the request, where it has one.
    pub date: Option<Timestamp>,
    /// Whether the bucket was named by the host.
    pub by_host: bool,
}

/// What an alert came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlertEnd {
    Delivered,
    GivenUp,
}

/// What is kept of one owner of files in memory.
#[derive(Debug, Default)]
struct Camera {
    row: CameraRow,
    /// Counters by the hour, not written yet.
    pending: Vec<(u64, Counters)>,
    /// Whether `row` is not written yet.
    dirty: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Observe {
    parts: [Mutex<HashMap<SubAccountId, Camera>>; PARTS],
    names: RwLock<HashMap<SubAccountId, NameRow>>,
    /// When rows past their time were last looked for, ms since 1970.
    pruned: Mutex<i64>,
    /// Held while what has gathered goes to the books: who reads both sees it in one of them.
    writing: RwLock<()>,
    /// The hour that is known to be one in which the box runs.
    marked: Mutex<Option<u64>>,
    /// What had come when it was written down last, the newest at the end.
    recent: Mutex<std::collections::VecDeque<Came>>,
    /// What happened since the start, for monitoring.
    pub(super) tallies: Tallies,
}

/// What came in since the start, up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Came {
    at_ms: i64,
    bytes: u64,
    files: u64,
}

impl Camera {
    fn counters(&mut self, now: Timestamp) -> &mut Counters {
        let hour = hour_of(now);
        let at = match self.pending.iter().rposition(|(of, _)| *of == hour) {
            Some(at) => at,
            None => {
                self.pending.push((hour, Counters::default()));
                self.pending.len() - 1
            }
        };
        &mut self.pending[at].1
    }
}

impl Observe {
    /// What the books know.
    pub(super) fn load(books: &Books) -> Result<Self> {
        let observe = Self::default();
        for (id, row) in books.all::<CameraRow>()? {
            let id = SubAccountId::new(id);
            observe.part(id).insert(id, Camera { row, ..Camera::default() });
        }
        let names = books.all::<NameRow>()?.into_iter().map(|(id, row)| (SubAccountId::new(id), row)).collect();
        Ok(Self { names: RwLock::new(names), ..observe })
    }

    fn part(&self, id: SubAccountId) -> MutexGuard<'_, HashMap<SubAccountId, Camera>> {
        self.part_at(usize::try_from(id.get() % PARTS as u64).unwrap_or(0))
    }

    fn part_at(&self, at: usize) -> MutexGuard<'_, HashMap<SubAccountId, Camera>> {
        self.parts[at % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload is durable.
    pub(super) fn uploaded(&self, owner: SubAccountId, bucket: crate::domain::BucketId, bytes: u64, now: Timestamp) {
        let mut part = self.part(owner);
        let camera = part.entry(owner).or_default();
        let counters = camera.counters(now);
        counters.bytes_in += bytes;
        let kind = match (is_own(bucket), slot_of(bucket)) {
            (true, _) => 2,
            (false, slot) => usize::from(slot != index_rows::slot(crate::domain::Media::Recording)),
        };
        Tallies::add(&self.tallies.files[kind], 1);
        Tallies::add(&self.tallies.bytes_in, bytes);
        match kind {
            0 => counters.recordings += 1,
            1 => counters.pictures += 1,
            _ => counters.others += 1,
        }
        camera.row.learn(now);
        camera.row.arrived(now, kind, bytes);
        camera.dirty = true;
    }

    /// Bytes of a part are durable; the upload counts when it is complete.
    pub(super) fn part_stored(&self, owner: SubAccountId, bytes: u64, now: Timestamp) {
        let mut part = self.part(owner);
        part.entry(owner).or_default().counters(now).bytes_in += bytes;
        Tallies::add(&self.tallies.bytes_in, bytes);
    }

    /// A file, or a part of it, was read.
    pub(super) fn downloaded(&self, owner: SubAccountId, bytes: u64, now: Timestamp) {
        let mut part = self.part(owner);
        let counters = part.entry(owner).or_default().counters(now);
        counters.downloads += 1;
        counters.bytes_out += bytes;
        Tallies::add(&self.tallies.downloads, 1);
        Tallies::add(&self.tallies.bytes_out, bytes);
    }

    /// An alert came to its end.
    pub(super) fn alert_ended(&self, owner: SubAccountId, end: AlertEnd, now: Timestamp) {
        let mut part = self.part(owner);
        let counters = part.entry(owner).or_default().counters(now);
        match end {
            AlertEnd::Delivered => {
                counters.alerts_delivered += 1;
                Tallies::add(&self.tallies.alerts_delivered, 1);
            }
            AlertEnd::GivenUp => {
                counters.alerts_given_up += 1;
                Tallies::add(&self.tallies.alerts_given_up, 1);
            }
        }
    }
}

impl CameraRow {
    /// An upload came now.
    fn learn(&mut self, now: Timestamp) {
        let now = now.millis();
        let gap = self.anchor_ms.map(|before| now.saturating_sub(before));
        match gap {
            Some(gap) if (0..i64::try_from(BURST.as_millis()).unwrap_or(0)).contains(&gap) => {}
            Some(gap) => {
                if gap > 0 {
                    if self.gaps.len() >= GAPS_MAX {
                        self.gaps.remove(0);
                    }
                    self.gaps.push(u32::try_from(gap / 1000).unwrap_or(u32::MAX));
                }
                self.anchor_ms = Some(now);
            }
            None => self.anchor_ms = Some(now),
        }
        self.last_upload_ms = Some(now);
    }
}

/// Writes down what has gathered, for a test that does not wait for its minute.
#[cfg(test)]
pub(super) fn flush_now(engine: &Engine) {
    flush(engine, true).unwrap();
}

/// Up to so many characters.
fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

impl Engine {
    /// How a camera's request was made; asked for its uploads.
    pub fn seen(&self, caller: &Caller, seen: Seen<'_>) {
        let Who::Camera { sub_account } = caller.who else { return };
        let now = self.now();
        let mut part = self.inner.observe.part(sub_account);
        let camera = part.entry(sub_account).or_default();
        let row = &mut camera.row;
        if row.signature != seen.signature {
            seen.signature.clone_into(&mut row.signature);
        }
        let agent = cut(seen.agent.unwrap_or_default(), AGENT_CHARS_MAX);
        if row.agent != agent {
            agent.clone_into(&mut row.agent);
        }
        row.by_host = seen.by_host;
        if let Some(date) = seen.date {
            row.skew_ms = Some(date.millis().saturating_sub(now.millis()));
        }
    }

    /// A request was refused on the S3 plane; `cause` is S3's code. `ak` is what the request claims: it need not have
    /// been believed. Gives whether there is such a key.
    pub fn refused(&self, ak: Option<&str>, cause: &'static str) -> bool {
        use crate::store::catalog::KeyOwner;
        let (owner, known) = match ak.and_then(|ak| self.inner.store.catalog.read().keys.get(ak).copied()) {
            Some(KeyOwner::Camera(id)) => (Some(id), true),
            Some(KeyOwner::Administrator(_)) => (None, true),
            None => (None, false),
        };
        let now = self.now();
        let owner = owner.unwrap_or(NOBODY);
        let mut part = self.inner.observe.part(owner);
        let camera = part.entry(owner).or_default();
        *camera.counters(now).refusals.entry(cause.to_owned()).or_default() += 1;
        if owner != NOBODY {
            camera.row.refused(now);
            camera.row.last_refusal = Some(RefusalRow { at_ms: now.millis(), cause: cause.to_owned() });
            camera.dirty = true;
        }
        known
    }

    /// The word for a caller in what is kept of its deeds.
    pub(super) fn who_asks(&self, caller: &Caller) -> Option<Arc<str>> {
        let catalog = self.inner.store.catalog.read();
        match &caller.who {
            Who::Camera { sub_account } => Some(catalog.sub_accounts.get(sub_account)?.row.ak.as_str().into()),
            Who::Administrator { account } => {
                Some(catalog.accounts.get(account)?.admin.as_ref().map(|(ak, _)| ak.as_str())?.into())
            }
            Who::Platform { account } => {
                Some(format!("platform {}", catalog.accounts.get(account)?.name.as_str()).into())
            }
            Who::User { name, .. } => Some(format!("user {name}").into()),
            Who::Operator => Some("operator".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::forecast;

    #[test]
    fn a_recording_and_its_picture_are_one_step_of_the_cadence() {
        let mut row = CameraRow::default();
        for n in 0..6 {
            row.learn(Timestamp::from_seconds(n * 600));
            row.learn(Timestamp::from_seconds(n * 600 + 2));
        }
        assert_eq!(row.gaps, [600; 5]);
        assert_eq!(forecast::cadence(&row.gaps), Some(600));
        for n in 0..100 {
            row.learn(Timestamp::from_seconds(10_000 + n * 60));
        }
        assert_eq!(row.gaps.len(), GAPS_MAX);
        assert_eq!(forecast::cadence(&row.gaps), Some(60));
    }

    #[test]
    fn a_clock_that_goes_back_teaches_nothing_and_breaks_nothing() {
        let mut row = CameraRow::default();
        row.learn(Timestamp::from_seconds(5000));
        row.learn(Timestamp::from_seconds(1000));
        row.learn(Timestamp::from_seconds(1060));
        assert_eq!(row.gaps, [60]);
    }

    #[test]
    fn a_long_agent_is_cut_between_characters() {
        assert_eq!(cut("摄像机", 2), "摄像");
        assert_eq!(cut("abc", 9), "abc");
    }
}
