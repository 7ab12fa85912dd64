//! Turns: how many requests a key may have under way, and how much memory they may fill, so that one key with
//! hundreds of connections does not starve the others.
//!
//! A turn is taken when it is known who calls, before the body is read, and is over when the answer is sent or the
//! upload is committed, whichever is later. Since no key has more than `s3.max_requests_per_key`, which by default
//! is what one group of the committer takes, nobody waits behind more than that of any other key's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::types::Who;
use super::{Caller, Engine, Error, Result};
use crate::domain::share::Share;

/// What a key, or all of them, have under way.
#[derive(Clone, Copy, Debug, Default)]
struct Had {
    requests: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    all: Had,
    keys: HashMap<Who, Had>,
}

/// A request under way; over when it is dropped.
pub struct Turn {
    engine: Engine,
    who: Who,
    bytes: u64,
}

impl Engine {
    /// Takes a turn for one request. [`Error::Busy`] where the key, or the box, has its most under way.
    pub fn turn(&self, caller: &Caller) -> Result<Turn> {
        let config = self.config();
        let share = Share { all: config.s3.max_requests, one: config.s3.max_requests_per_key };
        let mut ledger = self.inner.turns.lock();
        let taken = ledger.all.requests;
        let own = ledger.keys.get(&caller.who).map_or(0, |had| had.requests);
        if !share.admits(own, taken, 1) {
            return Err(Error::Busy("this key has its most requests under way"));
        }
        ledger.all.requests += 1;
        ledger.keys.entry(caller.who.clone()).or_default().requests += 1;
        drop(ledger);
        Ok(Turn { engine: self.clone(), who: caller.who.clone(), bytes: 0 })
    }

    /// Requests that are under way, of all keys.
    #[cfg(test)]
    pub(super) fn turns_taken(&self) -> (u64, u64, usize) {
        let ledger = self.inner.turns.lock();
        (ledger.all.requests, ledger.all.bytes, ledger.keys.len())
    }
}

impl Turns {
    fn lock(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // A panic elsewhere leaves whole numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Says that the request is going to fill so much more memory. [`Error::Busy`] where that is not to be had.
    pub fn fill(&mut self, bytes: u64) -> Result<()> {
        let all = self.engine.config().s3.buffer_memory;
        let mut ledger = self.engine.inner.turns.lock();
        let taken = ledger.all.bytes;
        let own = ledger.keys.get(&self.who).map_or(0, |had| had.bytes);
        if !(Share { all, one: all }).admits(own, taken, bytes) {
            return Err(Error::Busy("the requests of this key fill too much memory"));
        }
        ledger.all.bytes += bytes;
        ledger.keys.entry(self.who.clone()).or_default().bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut ledger = self.engine.inner.turns.lock();
        ledger.all.requests = ledger.all.requests.saturating_sub(1);
        ledger.all.bytes = ledger.all.bytes.saturating_sub(self.bytes);
        if let Some(had) = ledger.keys.get_mut(&self.who) {
            had.requests = had.requests.saturating_sub(1);
            had.bytes = had.bytes.saturating_sub(self.bytes);
            if had.requests == 0 {
                ledger.keys.remove(&self.who);
            }
        }
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("who", &self.who).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
