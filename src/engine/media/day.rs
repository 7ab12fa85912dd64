//! A camera's day as a strip: when there are recordings, which of them are locked, what is missing.

use std::ops::Range;

use serde::Serialize;

use super::super::status::blocking;
use super::FileFilter;
use crate::domain::files::{Clip, Part, Span, cadence, filled, spans};
use crate::domain::{Action, Lock, Media, Timestamp};
use crate::engine::{Caller, Engine, Result};

/// Files of a day that are looked at one by one; of more, slots of 256 seconds are counted.
const ONE_BY_ONE_MAX: u64 = 2000;
/// Unlocked files of a day that are looked at to find slots with locks.
const UNLOCKED_MAX: usize = 30_000;
const SLOT: i64 = 256;

/// A day of a camera.
#[derive(Clone, Debug, Serialize)]
pub struct DayView {
    /// Its first second (Unix).
    pub from: i64,
    /// The second after its last, or now where it is not over.
    pub to: i64,
    /// Files whose FileDate is in it.
    pub files: u64,
    /// What follows what.
    pub spans: Vec<Span>,
    /// The usual distance of the day's uploads, seconds.
    pub cadence: Option<i64>,
    /// Whether it was counted by slots of 256 seconds, for there are so many files.
    pub rolled_up: bool,
}

impl Engine {
    /// A camera's day, `day` in Unix seconds.
    pub async fn day(&self, caller: &Caller, ak: &str, day: Range<i64>) -> Result<DayView> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, Media::Recording)?;
        let (engine, bucket) = (self.clone(), shelf.bucket.id);
        let to = day.end.min(self.now().seconds().max(day.start));
        blocking(move || {
            let view = engine.inner.store.view()?;
            let (first, last) = FileFilter::of("", Media::Recording).seconds();
            let (before, _) = view.search(bucket, first, day.start - 1, u64::MAX, 0)?;
            let (files, _) = view.search(bucket, day.start, day.end - 1, u64::MAX, 0)?;
            let mut out = DayView {
                from: day.start,
                to,
                files,
                spans: Vec::new(),
                cadence: None,
                rolled_up: files > ONE_BY_ONE_MAX,
            };
            if out.rolled_up {
                let open = |from, to| {
                    let [from, to] = [from, to].map(Timestamp::from_seconds);
                    view.unlocked_between(bucket, from, to, UNLOCKED_MAX)
                };
                let open = open(day.start, day.end)?;
                let mut recorded: Vec<Span> = Vec::new();
                for (slot, files) in view.slots(bucket, day.start, day.end - 1)? {
                    let within = |at: &&Timestamp| (slot..slot + SLOT).contains(&at.seconds());
                    let unlocked = open.iter().filter(within).count() as u64;
                    // At its edges a day shares a slot with its neighbours, and past the limit nothing is known.
                    let whole = slot >= day.start && slot + SLOT <= day.end && open.len() < UNLOCKED_MAX;
                    let part = if whole && unlocked < files { Part::Locked } else { Part::Recorded };
                    let (from, end) = (slot.max(day.start), (slot + SLOT).min(to));
                    match recorded.last_mut() {
                        _ if from >= end => {}
                        Some(last) if last.to == from && last.part == part && end - last.from <= 4 * SLOT => {
                            last.to = end;
                            last.files += files;
                        }
                        _ => recorded.push(Span { from, to: end, part, files, first: None }),
                    }
                }
                out.spans = filled(recorded, day.start..to);
                return Ok(out);
            }
            // The one before the day says where its first begins, the one after may have begun in it.
            let skip = before.saturating_sub(1);
            let (_, found) = view.search(bucket, first, last, skip, files + 2)?;
            let duration = |id| {
                let info = engine.inner.media.probed.get(&id)?;
                i64::try_from(info.duration_ms?.div_ceil(1000)).ok()
            };
            let clips: Vec<Clip> = found
                .into_iter()
                .map(|(key, row)| Clip {
                    end: row.created.seconds(),
                    duration: duration(row.id),
                    locked: row.lock == Lock::Locked,
                    key: key.as_str().to_owned(),
                })
                .collect();
            out.cadence = cadence(&clips);
            if to > day.start {
                out.spans = spans(&clips, day.start..to);
            }
            Ok(out)
        })
        .await
    }
}
