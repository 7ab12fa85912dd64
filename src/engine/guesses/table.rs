//! Failures, in a table of a fixed size: whoever comes from a million addresses fills it, and it stays as large.
//!
//! A place in it depends on a key that nobody outside knows. Where a set is full, the one that matters least goes:
//! whoever fails once from each of many addresses does not wipe out what is known of who fails a lot.

use std::net::IpAddr;
use std::time::Duration;

use super::{Id, What};
use crate::domain::Timestamp;
use crate::domain::guessing::{PROVED_FOR, Patience};

const SETS: usize = 2048;
const WAYS: usize = 8;

/// Failures of one kind from one place.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) what: What,
    /// The key or account, where it is one that there is; nobody else's text is kept.
    pub(super) who: Option<Box<str>>,
    pub(super) from: Option<IpAddr>,
    pub(super) failures: u32,
    pub(super) last: Timestamp,
    /// When it was right last, where that is known.
    pub(super) proved: Option<Timestamp>,
    /// Whether the books have it otherwise.
    pub(super) dirty: bool,
    /// Whether the books have it.
    pub(super) kept: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    sets: Vec<Vec<Entry>>,
    /// Gone from here and still in the books.
    gone: Vec<Id>,
    dirty: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { sets: vec![Vec::new(); SETS], gone: Vec::new(), dirty: false }
    }
}

impl Entry {
    pub(super) fn new(id: Id, what: What, who: Option<&str>, from: Option<IpAddr>) -> Self {
        let who = who.map(Into::into);
        let last = Timestamp::from_millis(0);
        Self { id, what, who, from, failures: 0, last, proved: None, dirty: true, kept: false }
    }

    /// Failures that still count.
    pub(super) fn failures(&self, now: Timestamp) -> u32 {
        self.what.patience().left_of(self.failures, now.since(self.last))
    }

    /// How long the next try has to wait still.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        self.wait_with(self.what.patience(), now)
    }

    fn wait_with(&self, patience: Patience, now: Timestamp) -> Option<Duration> {
        let wait = patience.wait_after(self.failures(now));
        // A clock that was set back holds nobody: `last` lies ahead of it.
        let passed = if self.last > now { wait } else { now.since(self.last) };
        wait.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn is_proved(&self, now: Timestamp) -> bool {
        self.proved.is_some_and(|then| then <= now && now.since(then) < PROVED_FOR)
    }

    /// What there is to lose with it: nothing, or so many failures.
    fn weight(&self, now: Timestamp) -> (u32, Timestamp) {
        (self.failures(now), self.last)
    }
}

impl Table {
    fn set(id: Id) -> usize {
        usize::try_from(id.words().0 >> 32).unwrap_or(0) % SETS
    }

    pub(super) fn get(&self, id: Id) -> Option<&Entry> {
        self.sets[Self::set(id)].iter().find(|entry| entry.id == id)
    }

    /// The entry, to be changed; the books are told of it.
    pub(super) fn change(&mut self, id: Id) -> Option<&mut Entry> {
        let entry = self.sets[Self::set(id)].iter_mut().find(|entry| entry.id == id)?;
        (entry.dirty, self.dirty) = (true, true);
        Some(entry)
    }

    pub(super) fn wait(&self, id: Id, now: Timestamp) -> Option<Duration> {
        self.get(id)?.wait(now)
    }

    pub(super) fn is_proved(&self, id: Id, now: Timestamp) -> bool {
        self.get(id).is_some_and(|entry| entry.is_proved(now))
    }

    /// Counts a failure; gives how many there are now.
    pub(super) fn count(&mut self, new: Entry, proved: Option<Timestamp>, now: Timestamp) -> u32 {
        let id = new.id;
        if self.get(id).is_none() {
            self.insert(new, now);
        }
        let Some(entry) = self.change(id) else { return 0 };
        entry.failures = entry.failures(now).saturating_add(1);
        entry.last = now;
        entry.proved = proved.or(entry.proved);
        entry.failures
    }

    /// Puts in what is not there, in the place of what matters least where the set is full.
    pub(super) fn insert(&mut self, new: Entry, now: Timestamp) {
        let set = &mut self.sets[Self::set(new.id)];
        if set.len() >= WAYS {
            let least = set.iter().enumerate().min_by_key(|(_, entry)| entry.weight(now)).map(|(at, _)| at);
            if let Some(at) = least {
                let old = set.swap_remove(at);
                if old.kept {
                    self.gone.push(old.id);
                }
            }
        }
        set.push(new);
        self.dirty = true;
    }

    /// Forgets the failures of one.
    pub(super) fn forget(&mut self, id: Id) {
        let set = &mut self.sets[Self::set(id)];
        if let Some(at) = set.iter().position(|entry| entry.id == id) {
            let old = set.swap_remove(at);
            if old.kept {
                self.gone.push(old.id);
                self.dirty = true;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.iter().all(Vec::is_empty)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sets.iter().flatten()
    }

    /// What the books do not have as it is: what has changed, and what is gone. They are taken to have it from now on.
    pub(super) fn take_changes(&mut self) -> Option<(Vec<Entry>, Vec<Id>)> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        let mut changed = Vec::new();
        for entry in self.sets.iter_mut().flatten().filter(|entry| entry.dirty) {
            (entry.dirty, entry.kept) = (false, true);
            changed.push(entry.clone());
        }
        Some((changed, std::mem::take(&mut self.gone)))
    }

    /// The books did not take them.
    pub(super) fn put_back(&mut self, changed: &[Entry], gone: Vec<Id>) {
        for entry in changed {
            self.change(entry.id);
        }
        self.gone.extend(gone);
        // Books that take nothing for long: a row too many is put in again at the next start, and goes then.
        self.gone.truncate(2 * SETS * WAYS);
        self.dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Id {
        Id::of(&[9; 32], What::Place, None, &n.to_string())
    }

    fn now(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn a_million_addresses_fill_a_table_that_does_not_grow_and_wipe_out_nobody_who_fails_a_lot() {
        let mut table = Table::default();
        let bad = id(u64::MAX);
        for _ in 0..50 {
            table.count(Entry::new(bad, What::Key, None, None), None, now(0));
        }
        for n in 0..100_000 {
            table.count(Entry::new(id(n), What::Place, None, None), None, now(1));
            if n % 5000 == 0 {
                table.take_changes();
            }
        }
        assert_eq!(table.get(bad).map(|entry| entry.failures), Some(50));
        assert!(table.entries().count() <= SETS * WAYS);
        let (changed, gone) = table.take_changes().unwrap();
        assert!(changed.len() <= SETS * WAYS && gone.len() <= SETS * WAYS, "what goes to the books is bounded too");
    }

    #[test]
    fn what_the_books_did_not_take_comes_again() {
        let mut table = Table::default();
        table.count(Entry::new(id(1), What::Key, None, None), None, now(0));
        let (changed, gone) = table.take_changes().unwrap();
        assert!(table.take_changes().is_none());
        table.put_back(&changed, gone);
        assert_eq!(table.take_changes().unwrap().0.len(), 1);
        table.forget(id(1));
        assert_eq!(table.take_changes().unwrap().1, [id(1)]);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody() {
        let mut table = Table::default();
        for _ in 0..30 {
            table.count(Entry::new(id(1), What::Key, None, None), None, now(0));
        }
        assert_eq!(table.wait(id(1), now(0)), Some(Duration::from_secs(300)));
        assert_eq!(table.wait(id(1), now(299)), Some(Duration::from_secs(1)));
        assert_eq!(table.wait(id(1), now(300)), None);
        assert_eq!(table.wait(id(1), now(-86_400)), None);
    }
}
