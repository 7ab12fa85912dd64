//! What is known of guessers, in the books: written at most a few times a second however many guess, and at once where
//! somebody begins to wait. A crash loses two seconds of failures at most.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Entry, Guesses, Id, What};
use crate::books::{Books, BooksError, Changes, Row};
use crate::domain::Timestamp;
use crate::engine::reconcilers::Step;
use crate::engine::status::blocking;
use crate::engine::{Engine, Result};
use crate::world::Entropy;

/// The least time between two writes.
const BREATH: Duration = Duration::from_millis(200);

/// Failures, under the hex of an id; of earlier releases under `user:NAME` and `address:IP`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GuessRow {
    failures: u32,
    last_ms: i64,
    #[serde(default = "user")]
    what: What,
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    from: Option<IpAddr>,
    #[serde(default)]
    proved_ms: Option<i64>,
}

fn user() -> What {
    What::User
}

impl Row for GuessRow {
    const TABLE: &'static str = "guesses";
    type Key = String;
}

/// The key of the ids, under 0, in hex: it keeps who writes a password where a name belongs from being read here, and
/// who guesses from choosing his place in the table.
#[derive(Serialize, Deserialize)]
struct GuessKeyRow {
    key: String,
}

impl Row for GuessKeyRow {
    const TABLE: &'static str = "guess_key";
    type Key = u64;
}

impl Guesses {
    /// What the books know.
    pub(in crate::engine) fn load(books: &Books, entropy: &dyn Entropy, now: Timestamp) -> Result<Self> {
        let known = books.get::<GuessKeyRow>(&0)?.and_then(|row| hex::decode(row.key).ok()?.try_into().ok());
        let key = match known {
            Some(key) => key,
            None => {
                let key: [u8; 32] = entropy.bytes();
                books.change(|changes| changes.put(&0, &GuessKeyRow { key: hex::encode(key) }))?;
                key
            }
        };
        let guesses = Self::new(key);
        let mut old = Vec::new();
        {
            let mut table = guesses.table();
            for (name, row) in books.all::<GuessRow>()? {
                let id = hex::decode(&name).ok().and_then(|bytes| Some(Id(bytes.try_into().ok()?)));
                let entry = Entry {
                    id: id.unwrap_or_else(|| guesses.user_id(&name)),
                    what: row.what,
                    who: row.who.map(Into::into),
                    from: row.from,
                    failures: row.failures,
                    last: Timestamp::from_millis(row.last_ms),
                    proved: row.proved_ms.map(Timestamp::from_millis),
                    dirty: id.is_none(),
                    kept: id.is_some(),
                };
                if id.is_none() {
                    old.push(name);
                } else if now.since(entry.last) > entry.what.patience().forgotten_after {
                    old.push(name);
                    continue;
                }
                if let Some(then) = entry.proved {
                    guesses.proofs.restore(entry.id, then);
                }
                table.insert(entry, now);
            }
            guesses.empty.store(table.is_empty(), Ordering::Release);
        }
        if !old.is_empty() {
            // Those of an earlier release come back under their ids by the first write.
            books.change(|changes: &mut Changes| {
                for name in &old {
                    changes.remove::<GuessRow>(name)?;
                }
                Ok::<_, BooksError>(())
            })?;
        }
        Ok(guesses)
    }

    /// Writes what the books do not have. Blocks.
    pub(in crate::engine) fn flush(&self, books: &Books) -> Result<()> {
        let Some((changed, gone)) = self.table().take_changes() else { return Ok(()) };
        let written = books.change(|changes: &mut Changes| {
            for id in &gone {
                changes.remove::<GuessRow>(&hex::encode(id.0))?;
            }
            for entry in &changed {
                let row = GuessRow {
                    failures: entry.failures,
                    last_ms: entry.last.millis(),
                    what: entry.what,
                    who: entry.who.as_deref().map(str::to_owned),
                    from: entry.from,
                    proved_ms: entry.proved.map(Timestamp::millis),
                };
                changes.put(&hex::encode(entry.id.0), &row)?;
            }
            Ok::<_, BooksError>(())
        });
        if let Err(error) = written {
            self.table().put_back(&changed, gone);
            return Err(error.into());
        }
        Ok(())
    }
}

/// Writes what there is to write, and takes a breath.
pub(in crate::engine) async fn step(engine: Engine) -> Result<Step> {
    let writing = engine.clone();
    blocking(move || writing.inner.guesses.flush(&writing.inner.books)).await?;
    tokio::time::sleep(BREATH).await;
    Ok(Step::Idle)
}

/// The most that a write waits for, with what a breath takes.
pub(in crate::engine) const EVERY: Duration = Duration::from_secs(2);
