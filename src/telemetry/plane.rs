//! The counters of one plane: who is connected, what was asked for, what came of it, how long it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::histogram::Histogram;
use super::request_ids::{RequestId, RequestIds};

/// What of a plane is told apart: its operations, and what can come of them. Both are closed lists, so that no client
/// makes a number of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    /// Names of operations.
    pub operations: &'static [&'static str],
    /// What comes of them: codes, results.
    pub outcomes: &'static [&'static str],
}

/// What a plane says of an answer, in the answer's extensions: what was asked for, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// One of [`Words::operations`]; anything else counts as `other`.
    pub operation: &'static str,
    /// One of [`Words::outcomes`]; anything else counts as `other`.
    pub outcome: &'static str,
    /// Whether it is a no.
    pub refused: bool,
}

/// What stands for what is in no list.
pub(super) const OTHER: &str = "other";

/// The counters of one plane.
#[derive(Debug)]
pub struct Plane {
    name: &'static str,
    words: Words,
    ids: Arc<RequestIds>,
    answers: [AtomicU64; 5],
    pub(super) took: Histogram,
    /// By operation, the last for others.
    pub(super) took_by: Vec<Histogram>,
    /// By operation and outcome, each with one for others.
    outcomes: Vec<AtomicU64>,
    pub(super) open: AtomicI64,
    pub(super) connections: AtomicU64,
    pub(super) accept_failures: AtomicU64,
    pub(super) handshake_failures: AtomicU64,
    pub(super) made_room: AtomicU64,
    pub(super) under_way: AtomicI64,
    pub(super) left: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    lines: Lines,
}

/// Lines in the log that a plane may write in a second of what it has refused: who is refused a thousand times a second
/// shall not fill a disk.
const LINES_A_SECOND: u64 = 20;

/// See [`LINES_A_SECOND`].
#[derive(Debug)]
struct Lines {
    began: Instant,
    /// Which second it is.
    second: AtomicU64,
    written: AtomicU64,
    left_out: AtomicU64,
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub struct Open(Arc<Plane>);

/// A request under way: from its head until the last byte of its answer.
#[derive(Debug)]
pub struct Asked {
    plane: Arc<Plane>,
    since: Instant,
    answered: bool,
}

impl Plane {
    pub(super) fn new(name: &'static str, words: Words, ids: Arc<RequestIds>) -> Arc<Self> {
        let operations = words.operations.len() + 1;
        Arc::new(Self {
            name,
            words,
            ids,
            answers: Default::default(),
            took: Histogram::default(),
            took_by: std::iter::repeat_with(Histogram::default).take(operations).collect(),
            outcomes: std::iter::repeat_with(AtomicU64::default)
                .take(operations * (words.outcomes.len() + 1))
                .collect(),
            open: AtomicI64::new(0),
            connections: AtomicU64::new(0),
            accept_failures: AtomicU64::new(0),
            handshake_failures: AtomicU64::new(0),
            made_room: AtomicU64::new(0),
            under_way: AtomicI64::new(0),
            left: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            lines: Lines {
                began: Instant::now(),
                second: AtomicU64::new(0),
                written: AtomicU64::new(0),
                left_out: AtomicU64::new(0),
            },
        })
    }

    /// `s3`, `soap`, `portal`, `metrics` or `control`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A name for a request.
    pub fn request_id(&self) -> RequestId {
        self.ids.next()
    }

    /// Counts a connection until the value is dropped.
    pub fn connection(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Connections that are open now.
    pub fn open_now(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a request until the value is dropped; where it was not answered until then, its client has left.
    pub fn asked(self: &Arc<Self>) -> Asked {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Asked { plane: Arc::clone(self), since: Instant::now(), answered: false }
    }

    /// Requests under way now, until the last byte of their answers.
    pub fn under_way(&self) -> i64 {
        self.under_way.load(Ordering::Acquire)
    }

    /// Bytes of a request's body that came.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of an answer's body that went.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether a line on a refusal may be written now, and how many were left out since the last one.
    pub fn may_tell(&self) -> Option<u64> {
        let Lines { began, second, written, left_out } = &self.lines;
        let now = began.elapsed().as_secs();
        // Two that find a new second at once begin it twice: a few lines more, and nothing is lost.
        if second.swap(now, Ordering::Relaxed) != now {
            written.store(0, Ordering::Relaxed);
        }
        if written.fetch_add(1, Ordering::Relaxed) < LINES_A_SECOND {
            return Some(left_out.swap(0, Ordering::Relaxed));
        }
        left_out.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Counts a connection that could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that ended before TLS was agreed on.
    pub fn handshake_failed(&self) {
        self.handshake_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a quiet connection that was ended because another needed its place.
    pub fn made_room(&self) {
        self.made_room.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, status: StatusCode, told: Option<Answered>, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.took.observe(took);
        let Some(told) = told else { return };
        let of = |words: &[&str], word: &str| words.iter().position(|w| *w == word).unwrap_or(words.len());
        let operation = of(self.words.operations, told.operation);
        let outcome = of(self.words.outcomes, told.outcome);
        if let Some(took_by) = self.took_by.get(operation) {
            took_by.observe(took);
        }
        if let Some(counter) = self.outcomes.get(operation * (self.words.outcomes.len() + 1) + outcome) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers by the class of their status, from 1xx on.
    pub(super) fn by_class(&self) -> [u64; 5] {
        self.answers.each_ref().map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Operations with how long they took.
    pub(super) fn by_operation(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        self.words.operations.iter().copied().chain([OTHER]).zip(&self.took_by)
    }

    /// Operation, outcome, how often.
    pub(super) fn by_outcome(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let operations = self.words.operations.iter().copied().chain([OTHER]);
        let pairs = operations.flat_map(|o| self.words.outcomes.iter().copied().chain([OTHER]).map(move |w| (o, w)));
        pairs.zip(&self.outcomes).map(|((operation, outcome), n)| (operation, outcome, n.load(Ordering::Relaxed)))
    }
}

impl Asked {
    /// The answer begins: counts it, and gives how long it took to come to that.
    pub fn answer(&mut self, status: StatusCode, told: Option<Answered>) -> Duration {
        let took = self.since.elapsed();
        self.answered = true;
        self.plane.count(status, told, took);
        took
    }

    /// The plane that was asked.
    pub fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.plane.under_way.fetch_sub(1, Ordering::AcqRel);
        if !self.answered {
            self.plane.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_few_lines_and_their_number() {
        let plane = Plane::new("s3", Words::default(), Arc::new(RequestIds::new([1; 8])));
        let told = (0..1000).filter_map(|_| plane.may_tell()).count();
        assert!((20..=60).contains(&told), "{told} lines of a thousand refusals");
        plane.lines.second.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(plane.may_tell(), Some(1000 - told as u64));
    }
}
