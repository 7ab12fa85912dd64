//! Files as people look for them: why a search, a download or a deletion is refused, and the day of a camera as spans.

use std::ops::Range;

use super::Bytes;

/// Why a use case of the files' pages said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesRefusal {
    /// More than one go takes.
    #[error("more than {most} files match; choose a shorter time")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// More than one archive takes.
    #[error("the files are more than {most} together; download fewer at a time")]
    TooLarge {
        /// The limit.
        most: Bytes,
    },
    /// The name that was typed to confirm is another.
    #[error("the name typed is not the camera's access key; nothing was changed")]
    NotConfirmed,
    /// A lock wants a reason of 1 to 200 characters.
    #[error("give a reason of 1 to 200 characters")]
    NoReason,
    /// Nothing was chosen.
    #[error("no file is chosen")]
    NothingChosen,
}

/// A recording on a camera's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Its FileDate: when its upload was completed, Unix seconds.
    pub end: i64,
    /// How long it plays, where that is known, seconds.
    pub duration: Option<i64>,
    /// Whether it is locked.
    pub locked: bool,
    /// Its name.
    pub key: String,
}

/// What a part of a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// There are recordings.
    Recorded,
    /// There are recordings, and one at least is locked.
    Locked,
    /// There are none.
    Missing,
}

/// A part of a day.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// From this second (Unix) …
    pub from: i64,
    /// … to this one, excluded.
    pub to: i64,
    /// What it is.
    pub part: Part,
    /// Files in it.
    pub files: u64,
    /// The first of them, where it is known.
    pub first: Option<String>,
}

/// A clip alone, of a camera whose cadence nobody knows, is drawn so long, seconds.
const UNKNOWN_LENGTH: i64 = 60;
/// Longer than that is no cadence.
const LONGEST_CADENCE: i64 = 2 * 3600;
/// Clips of a day that are drawn one by one; of more, neighbours share a span.
const DRAWN_ONE_BY_ONE: usize = 150;

/// The usual distance of a camera's uploads, seconds: the median, of three distances at least.
pub fn cadence(clips: &[Clip]) -> Option<i64> {
    let pairs = clips.iter().zip(clips.iter().skip(1));
    let mut gaps: Vec<i64> =
        pairs.map(|(a, b)| b.end - a.end).filter(|gap| (1..=LONGEST_CADENCE).contains(gap)).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().filter(|_| gaps.len() >= 3)
}

/// When a clip begins. Its duration says it; else it follows the one before, where that is no further away than one
/// and a half times the cadence; else it is as long as the cadence.
fn start(clip: &Clip, before: Option<i64>, cadence: Option<i64>) -> i64 {
    if let Some(duration) = clip.duration {
        return clip.end.saturating_sub(duration.max(1));
    }
    let usual = cadence.unwrap_or(UNKNOWN_LENGTH);
    match before {
        Some(before) if clip.end - before <= usual + usual / 2 + 2 => before,
        _ => clip.end.saturating_sub(usual),
    }
}

/// A day (in Unix seconds, up to now) as spans that follow one another without a hole. `clips` are in the order of
/// their ends, and those around the day may be among them.
pub fn spans(clips: &[Clip], day: Range<i64>) -> Vec<Span> {
    let cadence = cadence(clips);
    let shortest = if clips.len() > DRAWN_ONE_BY_ONE { (day.end - day.start) / 144 } else { 0 };
    let mut recorded: Vec<Span> = Vec::new();
    let mut before = None;
    for clip in clips {
        let from = start(clip, before, cadence).max(day.start);
        before = Some(clip.end);
        let part = if clip.locked { Part::Locked } else { Part::Recorded };
        let (from, to) = (from.max(recorded.last().map_or(day.start, |last| last.to)), clip.end.min(day.end));
        if from >= to {
            // Within the one before (several in a second), or outside of the day.
            if let Some(last) = recorded.last_mut().filter(|_| (day.start..day.end).contains(&clip.end)) {
                last.files += 1;
                if clip.locked {
                    last.part = Part::Locked;
                }
            }
            continue;
        }
        match recorded.last_mut() {
            Some(last) if to - last.from <= shortest => {
                last.to = to;
                last.files += 1;
                if clip.locked {
                    last.part = Part::Locked;
                }
            }
            _ => recorded.push(Span { from, to, part, files: 1, first: Some(clip.key.clone()) }),
        }
    }
    filled(recorded, day)
}

/// Puts what is missing between what is recorded.
pub fn filled(recorded: Vec<Span>, day: Range<i64>) -> Vec<Span> {
    let mut out = Vec::with_capacity(recorded.len() * 2 + 1);
    let mut at = day.start;
    let missing = |from, to| Span { from, to, part: Part::Missing, files: 0, first: None };
    for span in recorded {
        if span.from > at {
            out.push(missing(at, span.from));
        }
        at = span.to;
        out.push(span);
    }
    if at < day.end {
        out.push(missing(at, day.end));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clip(end: i64) -> Clip {
        Clip { end, duration: None, locked: false, key: end.to_string() }
    }

    fn drawn(spans: &[Span]) -> Vec<(i64, i64, Part)> {
        spans.iter().map(|span| (span.from, span.to, span.part)).collect()
    }

    #[test]
    fn a_clip_follows_the_one_before_within_the_cadence_and_a_gap_is_missing() {
        let mut clips: Vec<Clip> = [300, 600, 900, 1200, 3000, 3300].map(clip).into();
        clips[2].locked = true;
        let right = [
            (0, 300, Part::Recorded),
            (300, 600, Part::Recorded),
            (600, 900, Part::Locked),
            (900, 1200, Part::Recorded),
            (1200, 2700, Part::Missing),
            (2700, 3000, Part::Recorded),
            (3000, 3300, Part::Recorded),
            (3300, 4000, Part::Missing),
        ];
        assert_eq!(drawn(&spans(&clips, 0..4000)), right);
    }

    #[test]
    fn a_duration_that_is_known_counts_and_a_lone_clip_is_a_minute() {
        let known = Clip { duration: Some(250), ..clip(1000) };
        assert_eq!(drawn(&spans(&[known], 0..1000)), [(0, 750, Part::Missing), (750, 1000, Part::Recorded)]);
        assert_eq!(drawn(&spans(&[clip(1000)], 0..1000)), [(0, 940, Part::Missing), (940, 1000, Part::Recorded)]);
        assert_eq!(drawn(&spans(&[], 5..9)), [(5, 9, Part::Missing)]);
    }

    proptest! {
        #[test]
        fn a_day_has_no_hole_and_no_file_is_lost(mut ends in proptest::collection::vec((0i64..90_000, any::<bool>(), proptest::option::of(0i64..4000)), 0..600)) {
            ends.sort_unstable();
            let clips: Vec<Clip> = ends.iter().map(|&(end, locked, duration)| Clip { end, locked, duration, key: String::new() }).collect();
            let spans = spans(&clips, 1000..87_400);
            let mut at = 1000;
            for span in &spans {
                prop_assert!(span.from == at && span.to > at, "{span:?}");
                prop_assert_eq!(span.part == Part::Missing, span.files == 0);
                at = span.to;
            }
            prop_assert_eq!(at, 87_400);
            prop_assert!(spans.len() <= 2 * DRAWN_ONE_BY_ONE + 1, "{}", spans.len());
        }
    }
}
