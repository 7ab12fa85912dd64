//! The last requests of a key that were not believed, and why: for whoever has to find out what is wrong with a camera.
//!
//! They are kept in memory alone, a few of each key and of few keys, and of keys that there are: who guesses fills
//! nothing. Absent: signatures and secrets; `wire::sig` explains without giving either away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::{Caller, Engine, Result};
use crate::domain::{Action, Refusal};
use crate::store::catalog::KeyOwner;
use crate::wire::sig::{Key, Signable};

/// Failures that are kept of one key.
const OF_A_KEY: usize = 8;
/// Keys of which failures are kept; past it the one that failed longest ago is forgotten.
const KEYS: usize = 256;

/// What is signed of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignedText {
    /// Of version 4.
    pub canonical_request: Option<String>,
    /// What the signature is made of.
    pub string_to_sign: String,
}

/// A request that was not believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignatureFailure {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// From where.
    pub from: String,
    /// Its name, as the client was told it.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// Its path, as it was sent.
    pub path: String,
    /// Its host, as it was sent.
    pub host: String,
    /// S3's code.
    pub code: &'static str,
    /// S3's words.
    pub message: String,
    /// `v2`, `v4`, either with `-presigned`; `None` where that could not be read.
    pub version: Option<&'static str>,
    /// By how many seconds the request's date is ahead of the box; behind where negative.
    pub seconds_ahead: Option<i64>,
    /// What is wrong, where it is known.
    pub cause: Option<String>,
    /// Usual mistakes that were tried and do not explain it, where it is not.
    pub tried: usize,
    /// What the box would have signed.
    pub here: Option<SignedText>,
    /// What the client has signed, where that could be told.
    pub there: Option<SignedText>,
}

/// What is known of a key's signatures.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureFailures {
    /// The key.
    pub ak: String,
    /// Whether there is such a key.
    pub known: bool,
    /// Whether its account is suspended.
    pub suspended: bool,
    /// The newest first.
    pub failures: Vec<SignatureFailure>,
}

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, VecDeque<SignatureFailure>>>);

impl From<Signable> for SignedText {
    fn from(signable: Signable) -> Self {
        Self { canonical_request: signable.canonical_request, string_to_sign: signable.string_to_sign }
    }
}

impl Memory {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, VecDeque<SignatureFailure>>> {
        // What is in it is whole, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, ak: &str, failure: SignatureFailure) {
        let mut keys = self.lock();
        if !keys.contains_key(ak) && keys.len() >= KEYS {
            let last = |failures: &VecDeque<SignatureFailure>| failures.front().map_or(0, |failure| failure.at_ms);
            let oldest = keys.iter().min_by_key(|(_, failures)| last(failures)).map(|(ak, _)| ak.clone());
            oldest.and_then(|ak| keys.remove(&ak));
        }
        let failures = keys.entry(ak.to_owned()).or_default();
        failures.truncate(OF_A_KEY - 1);
        failures.push_front(failure);
    }

    fn of(&self, ak: &str) -> Vec<SignatureFailure> {
        self.lock().get(ak).map(|failures| failures.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Engine {
    /// A request of this key was not believed. `explain` is asked where there is such a key; what it gives is kept.
    pub fn signature_failed(&self, ak: &str, explain: impl FnOnce(&Key) -> Option<SignatureFailure>) {
        let Ok(Some(key)) = self.known_key(ak) else { return };
        if let Some(failure) = explain(&key) {
            self.inner.signatures.keep(ak, failure);
        }
    }

    /// The last requests of a key that were not believed; `ak` need not be one.
    pub fn signature_failures(&self, caller: &Caller, ak: &str) -> Result<SignatureFailures> {
        caller.must_everywhere(Action::Operate)?;
        let catalog = self.inner.store.catalog.read();
        let account = match catalog.keys.get(ak) {
            Some(KeyOwner::Camera(id)) => catalog.sub_accounts.get(id).map(|sub| sub.row.account),
            Some(KeyOwner::Administrator(id)) => Some(*id),
            None => None,
        };
        let row = account.and_then(|account| catalog.accounts.get(&account));
        let (known, suspended) = (row.is_some(), row.is_some_and(|row| row.suspended.is_some()));
        drop(catalog);
        if ak.len() > crate::domain::limits::URL_BYTES_MAX {
            return Err(Refusal::NoKey.into());
        }
        Ok(SignatureFailures { ak: ak.to_owned(), known, suspended, failures: self.inner.signatures.of(ak) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_few_keys_are_kept_and_the_newest_come_first() {
        let memory = Memory::default();
        let at = |at_ms: i64| SignatureFailure { at_ms, ..SignatureFailure::default() };
        (0..20).for_each(|n| memory.keep("a", at(n)));
        let kept: Vec<_> = memory.of("a").iter().map(|failure| failure.at_ms).collect();
        assert_eq!(kept, [19, 18, 17, 16, 15, 14, 13, 12]);
        (0..300).for_each(|n| memory.keep(&format!("k{n}"), at(100 + n)));
        assert_eq!(memory.lock().len(), KEYS);
        assert!(memory.of("a").is_empty() && memory.of("k40").is_empty());
        assert_eq!(memory.of("k299").len(), 1);
    }
}
