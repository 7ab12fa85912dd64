//! Guessing is slowed down: of access keys on S3, of accounts' passwords and secret keys over SOAP, of passwords and
//! codes on the portals. Decision 16 says who waits, who never does, and why.
//!
//! What fails is counted by key and place (`table`), and by place; what was right is remembered (`proofs`), so that a
//! request whose signature is right costs a hash and one look into memory, and no lock. Both are of a fixed size. The
//! books are told in batches (`keep`).

mod keep;
mod proofs;
mod table;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::keep::{EVERY, step};
use self::proofs::Proofs;
use self::table::{Entry, Table};
use super::types::{AuditEntry, SlowedView};
use super::{Engine, Error, Result};
use crate::domain::guessing::{self, PROVED_FREE, Patience};
use crate::domain::{Refusal, Timestamp};

/// Calls that are held back at a time, of all places.
const HELD_MAX: usize = 256;
/// Lines an hour in the audit log, most: who comes from a million addresses shall not fill it.
const LINES_MAX: u32 = 60;
/// Of those who wait, so many are shown.
const SHOWN_MAX: usize = 10;

/// What is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// An access key from one place, on either plane.
    Key,
    /// An account's password from one place.
    Account,
    /// All keys and accounts from one place.
    Place,
    /// A portal's user from anywhere, or its sign-in from one address.
    User,
}

/// Who is counted: what, the place and the name, under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id([u8; 16]);

/// See the module.
#[derive(Debug)]
pub(super) struct Guesses {
    key: [u8; 32],
    proofs: Proofs,
    table: Mutex<Table>,
    /// Whether nothing has failed yet: then nobody looks into the table.
    empty: AtomicBool,
    held: Arc<Mutex<HashSet<Id>>>,
    lines: Mutex<Lines>,
    wrong: AtomicU64,
    refused: AtomicU64,
    /// Rung where somebody begins to wait.
    pub(super) bell: tokio::sync::Notify,
}

/// Lines of the audit log in this hour.
#[derive(Debug, Default)]
struct Lines {
    hour: i64,
    written: u32,
    left_out: u64,
}

/// A guess that may be made: the secret is looked at next, and then it is told what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    what: What,
    pair: Id,
    place: Id,
    from: IpAddr,
    proved: bool,
    /// A name that nobody has, from a place where others are right.
    lenient: bool,
}

// === impl What ===

impl What {
    fn patience(self) -> Patience {
        match self {
            Self::Key => guessing::KEY,
            Self::Account => guessing::PASSWORD,
            Self::Place => guessing::PLACE,
            Self::User => guessing::USER,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Key => "access key",
            Self::Account => "account",
            Self::Place => "address",
            Self::User => "portal",
        }
    }
}

// === impl Id ===

impl Id {
    fn of(key: &[u8; 32], what: What, place: Option<IpAddr>, name: &str) -> Self {
        let mut hash = blake3::Hasher::new_keyed(key);
        hash.update(&[what as u8]);
        match place {
            Some(IpAddr::V4(four)) => hash.update(&four.octets()),
            Some(IpAddr::V6(six)) => hash.update(&six.octets()),
            None => &mut hash,
        };
        hash.update(b"\0").update(name.as_bytes());
        let mut id = [0; 16];
        hash.finalize_xof().fill(&mut id);
        Self(id)
    }

    fn words(self) -> (u64, u64) {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest))
    }
}

// === impl Guesses ===

impl Guesses {
    fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            proofs: Proofs::default(),
            table: Mutex::default(),
            empty: AtomicBool::new(true),
            held: Arc::default(),
            lines: Mutex::default(),
            wrong: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bell: tokio::sync::Notify::new(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // What is in it is whole, whoever panicked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place_id(&self, place: IpAddr) -> Id {
        Id::of(&self.key, What::Place, Some(place), "")
    }

    /// Whether it may be tried now; else how long it has to wait. `name` is `None` where nobody has it: all such names
    /// from one place are one.
    fn begin(
        &self,
        what: What,
        name: Option<&str>,
        from: IpAddr,
        now: Timestamp,
    ) -> std::result::Result<Attempt, Duration> {
        let from = guessing::place(from);
        let pair = Id::of(&self.key, what, Some(from), name.map_or("", |name| name));
        let mut attempt = Attempt { what, pair, place: self.place_id(from), from, proved: false, lenient: false };
        if self.proofs.has(pair, now) {
            attempt.proved = true;
            return Ok(attempt);
        }
        if self.empty.load(Ordering::Acquire) {
            return Ok(attempt);
        }
        let table = self.table();
        if table.is_proved(pair, now) {
            attempt.proved = true;
            return Ok(attempt);
        }
        let place_proved = self.proofs.has(attempt.place, now) || table.is_proved(attempt.place, now);
        attempt.lenient = name.is_none() && place_proved;
        let wait = match (attempt.lenient, place_proved) {
            (true, _) => table.get(pair).filter(|entry| entry.failures(now) > PROVED_FREE).and_then(|e| e.wait(now)),
            (false, true) => table.wait(pair, now),
            (false, false) => table.wait(pair, now).max(table.wait(attempt.place, now)),
        };
        drop(table);
        match wait {
            None => Ok(attempt),
            Some(wait) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(wait)
            }
        }
    }

    /// It was right.
    fn right(&self, attempt: &Attempt, now: Timestamp) {
        if !self.proofs.right(attempt.pair, now) {
            return;
        }
        self.proofs.right(attempt.place, now);
        if self.empty.load(Ordering::Acquire) {
            return;
        }
        let mut table = self.table();
        if let Some(entry) = table.change(attempt.pair) {
            (entry.failures, entry.proved) = (0, Some(now));
        }
        // What the place has failed stays: who has one key shall not wipe out by it what he guesses of others.
        if let Some(entry) = table.change(attempt.place) {
            entry.proved = Some(now);
        }
    }

    /// It was wrong; gives what the log is to be told.
    fn wrong(&self, attempt: &Attempt, name: Option<&str>, now: Timestamp) -> (u32, Vec<Noted>) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        self.proofs.wrong(attempt.pair);
        let proof = |id, proved: bool| (proved || self.proofs.has(id, now)).then_some(now);
        let mut notes = Vec::new();
        let mut table = self.table();
        let pair = Entry::new(attempt.pair, attempt.what, name, Some(attempt.from));
        let failures = table.count(pair, proof(attempt.pair, attempt.proved), now);
        let place = Entry::new(attempt.place, What::Place, None, Some(attempt.from));
        let of_place = table.count(place, proof(attempt.place, false), now);
        drop(table);
        self.empty.store(false, Ordering::Release);
        let free = if attempt.proved || attempt.lenient { PROVED_FREE } else { attempt.what.patience().free };
        let both = [(attempt.what, free, failures), (What::Place, guessing::PLACE.free, of_place)];
        for (what, free, failures) in both {
            if is_worth_a_line(free, failures) {
                notes.push(Noted { what, who: name.map(str::to_owned), from: Some(attempt.from), failures });
            }
        }
        if !notes.is_empty() {
            self.bell.notify_one();
        }
        (failures, notes)
    }

    /// How many failures from here, which is proved, are too many to be told which.
    fn is_too_much(attempt: &Attempt, failures: u32) -> bool {
        (attempt.proved || attempt.lenient) && failures > PROVED_FREE
    }
}

/// A line for the audit log.
struct Noted {
    what: What,
    who: Option<String>,
    from: Option<IpAddr>,
    failures: u32,
}

/// The first failure that somebody waits for, and then each power of ten.
fn is_worth_a_line(free: u32, failures: u32) -> bool {
    failures == free + 1 || (failures > free && failures >= 1000 && 10u32.pow(failures.ilog10()) == failures)
}

fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// A call that is held back; one a pair.
pub(super) struct Held {
    held: Arc<Mutex<HashSet<Id>>>,
    id: Id,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Engine {
    /// Whether a guess may be made from here: [`Refusal::Slow`] where it may not. `name` is that of a key or account
    /// which is known. `None` where nobody knows from where: that is a test, or ourselves.
    pub(super) fn attempt(&self, what: What, name: Option<&str>, from: Option<IpAddr>) -> Result<Option<Attempt>> {
        let Some(from) = from else { return Ok(None) };
        match self.inner.guesses.begin(what, name, from, self.now()) {
            Ok(attempt) => Ok(Some(attempt)),
            Err(wait) => Err(Refusal::Slow { seconds: seconds(wait) }.into()),
        }
    }

    /// As [`Engine::attempt`], but it waits where it may not be made at once: the codes of section 7 say nothing of
    /// waiting. [`Error::Busy`] where another waits for the same, or too many do.
    pub(super) async fn attempt_held(
        &self,
        what: What,
        name: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Option<Attempt>> {
        let Some(from) = from else { return Ok(None) };
        let guesses = &self.inner.guesses;
        let wait = match guesses.begin(what, name, from, self.now()) {
            Ok(attempt) => return Ok(Some(attempt)),
            Err(wait) => wait,
        };
        let place = guessing::place(from);
        let id = Id::of(&guesses.key, what, Some(place), name.map_or("", |name| name));
        let _held = {
            let mut held = guesses.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.len() >= HELD_MAX || !held.insert(id) {
                return Err(Error::Busy("too many failures; another call waits for the same"));
            }
            Held { held: Arc::clone(&guesses.held), id }
        };
        tokio::time::sleep(wait.min(guessing::PASSWORD.longest)).await;
        // The wait is over whatever the clock says: it was sat out.
        Ok(Some(Attempt { what, pair: id, place: guesses.place_id(place), from: place, proved: false, lenient: false }))
    }

    /// The secret was right.
    pub(super) fn guessed_right(&self, attempt: Option<&Attempt>) {
        if let Some(attempt) = attempt {
            self.inner.guesses.right(attempt, self.now());
        }
    }

    /// The secret was wrong. [`Refusal::Slow`] where there were so many that it is not said any more.
    pub(super) fn guessed_wrong(&self, attempt: Option<&Attempt>, name: Option<&str>) -> Result<()> {
        let Some(attempt) = attempt else { return Ok(()) };
        let (failures, notes) = self.inner.guesses.wrong(attempt, name, self.now());
        self.tell_of(notes);
        if Guesses::is_too_much(attempt, failures) {
            self.inner.guesses.refused.fetch_add(1, Ordering::Relaxed);
            let wait = attempt.what.patience().wait_after(failures);
            return Err(Refusal::Slow { seconds: seconds(wait) }.into());
        }
        Ok(())
    }

    fn tell_of(&self, notes: Vec<Noted>) {
        for Noted { what, who, from, failures } in notes {
            let hour = self.now().seconds().div_euclid(3600);
            let left_out = {
                let mut lines = self.inner.guesses.lines.lock().unwrap_or_else(PoisonError::into_inner);
                let left_out = if lines.hour == hour { 0 } else { lines.left_out };
                if lines.hour != hour {
                    *lines = Lines { hour, ..Lines::default() };
                }
                lines.written += 1;
                if lines.written > LINES_MAX {
                    lines.left_out += 1;
                    continue;
                }
                left_out
            };
            if left_out > 0 {
                self.slowed("-", None, "others", format!("{left_out} more in an hour before"));
            }
            let who = who.as_deref().unwrap_or("-");
            self.slowed(who, from, what.word(), format!("{failures} failures"));
        }
    }

    fn slowed(&self, who: &str, from: Option<IpAddr>, target: &str, outcome: String) {
        let from = from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        let (who, target, what) = (who.to_owned(), target.to_owned(), "GuessingSlowed".to_owned());
        self.audit(AuditEntry { who, from, what, target, outcome });
    }

    // --- the portals: by user, and by address ---

    /// Whether a user may sign in, or try a code, now. [`crate::domain::users::UserRefusal::Slow`] where not.
    pub(super) fn may_guess(&self, keys: &[String]) -> Result<()> {
        let (guesses, now) = (&self.inner.guesses, self.now());
        let table = guesses.table();
        let wait = keys.iter().filter_map(|key| table.wait(guesses.user_id(key), now)).max();
        drop(table);
        match wait {
            None => Ok(()),
            Some(wait) => {
                guesses.refused.fetch_add(1, Ordering::Relaxed);
                let slow = crate::domain::users::UserRefusal::Slow { seconds: seconds(wait) };
                Err(Refusal::User(slow).into())
            }
        }
    }

    /// Counts a wrong guess of a user's password or code.
    pub(super) fn user_guessed_wrong(&self, keys: &[String]) {
        let (guesses, now) = (&self.inner.guesses, self.now());
        guesses.wrong.fetch_add(1, Ordering::Relaxed);
        let mut notes = Vec::new();
        for key in keys {
            let from = key.strip_prefix("address:").and_then(|address| address.parse().ok());
            let entry = Entry::new(guesses.user_id(key), What::User, None, from);
            let failures = guesses.table().count(entry, None, now);
            if is_worth_a_line(guessing::USER.free, failures) {
                notes.push(Noted { what: What::User, who: None, from, failures });
            }
        }
        guesses.empty.store(false, Ordering::Release);
        if !notes.is_empty() {
            guesses.bell.notify_one();
        }
        self.tell_of(notes);
    }

    /// A user has signed in: what failed under its name is forgotten.
    pub(super) fn user_guessed_right(&self, key: &str) {
        let guesses = &self.inner.guesses;
        if !guesses.empty.load(Ordering::Acquire) {
            guesses.table().forget(guesses.user_id(key));
        }
    }

    /// Who waits, those first who failed most; wrong guesses since the start, and those that were not looked at.
    pub(super) fn slowed_down(&self) -> (Vec<SlowedView>, u64, u64) {
        let (guesses, now) = (&self.inner.guesses, self.now());
        let mut slowed: Vec<SlowedView> = if guesses.empty.load(Ordering::Acquire) {
            Vec::new()
        } else {
            let table = guesses.table();
            let waiting = table.entries().filter_map(|entry| Some((entry, entry.wait(now)?)));
            let view = |(entry, wait): (&Entry, Duration)| SlowedView {
                what: entry.what.word(),
                who: entry.who.as_deref().map(str::to_owned),
                from: entry.from.map(|from| from.to_string()),
                failures: entry.failures(now),
                seconds: seconds(wait),
            };
            waiting.map(view).collect()
        };
        slowed.sort_by_key(|view| std::cmp::Reverse(view.failures));
        slowed.truncate(SHOWN_MAX);
        (slowed, guesses.wrong.load(Ordering::Relaxed), guesses.refused.load(Ordering::Relaxed))
    }
}

impl Guesses {
    fn user_id(&self, key: &str) -> Id {
        let place = key.strip_prefix("address:").and_then(|address| address.parse().ok()).map(guessing::place);
        Id::of(&self.key, What::User, place, if place.is_some() { "" } else { key })
    }
}
