//! The master key is exchanged while the box serves: every secret is sealed anew, and then the old key is gone.
//!
//! From the moment that the new key's file is durable everything is sealed under it, and both keys open what they have
//! sealed. Accounts' passwords, administration keys and SKs are sealed anew by events of the journal, a few a commit;
//! second factors in the books, by one change. When nothing is left the journal is begun anew, so that no file holds
//! what the old key opens, and the new key takes the old one's name. A crash at any moment leaves both keys or one, and
//! they open everything; the next start goes on.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::RwLockReadGuard;

use super::identity::{password_context, sk_context};
use super::reconcilers::Step;
use super::status::blocking;
use super::users::UserRow;
use super::{Caller, Engine, Error, Result, second_factor};
use crate::books::Changes;
use crate::domain::{Action, Secret};
use crate::store::committer::Command;
use crate::store::event::Event;
use crate::vault::VaultError;

/// Rows that are sealed anew in one commit.
const AT_A_TIME: usize = 64;

/// What an exchange came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRotation {
    /// The id of the key that is gone, in hex.
    pub old: String,
    /// The id of the key that seals now, in hex.
    pub new: String,
    /// Passwords, administration keys, SKs and second factors that were sealed anew.
    pub secrets: u64,
}

/// Leave to seal: while it is held the master key is not exchanged, so that nothing is written under a key that is
/// taken away meanwhile. To be held until what was sealed is written.
pub(super) struct Sealing<'a> {
    engine: &'a Engine,
    _turn: RwLockReadGuard<'a, ()>,
}

impl Sealing<'_> {
    pub(super) fn seal(&self, context: &[u8], secret: &Secret) -> Vec<u8> {
        self.engine.seal_now(context, secret)
    }
}

fn broken(error: VaultError) -> Error {
    Error::Broken(format!("exchange the master key: {error}").into())
}

/// A row sealed anew, and how many secrets it has; nothing where all of it is sealed so already.
type Resealed = Option<(Event, u64)>;

impl Engine {
    /// See [`Sealing`].
    pub(super) async fn sealing(&self) -> Sealing<'_> {
        Sealing { engine: self, _turn: self.inner.sealing.read().await }
    }

    fn seal_now(&self, context: &[u8], secret: &Secret) -> Vec<u8> {
        self.inner.store.keys.seal_secret(&*self.inner.world.entropy, context, secret)
    }

    /// Exchanges the master key; goes on with an exchange that was begun. While it runs everything is served.
    pub async fn rotate_master_key(&self, caller: &Caller) -> Result<KeyRotation> {
        caller.must_everywhere(Action::Operate)?;
        let done = self.exchange(true).await;
        let target = done.as_ref().map_or_else(|_| String::new(), |done| format!("{} to {}", done.old, done.new));
        self.audit_by(caller, "RotateMasterKey", &target, &done);
        done
    }

    /// Under which key secrets are sealed, and where it lies: its id in hex, its file, and whether an exchange is under
    /// way.
    pub fn master_key(&self, caller: &Caller) -> Result<(String, String, bool)> {
        caller.must_everywhere(Action::Operate)?;
        let keys = &self.inner.store.keys;
        let file = self.config().storage.master_key.display().to_string();
        Ok((format!("{:08x}", keys.id()), file, keys.old_id().is_some()))
    }

    /// `begin`: a new key is made where no exchange is under way.
    pub(super) async fn exchange(&self, begin: bool) -> Result<KeyRotation> {
        // One at a time.
        let _one = self.inner.exchanging.lock().await;
        if !begin && self.inner.store.keys.old_id().is_none() {
            return Ok(KeyRotation { old: String::new(), new: String::new(), secrets: 0 });
        }
        let engine = self.clone();
        let (old, new) = {
            // Who has sealed under the old key has written it before this is had.
            let _all = self.inner.sealing.write().await;
            blocking(move || {
                let world = &engine.inner.world;
                engine.inner.store.keys.begin_exchange(&*world.disk, &*world.entropy).map_err(broken)
            })
            .await?
        };
        tracing::info!(old = format!("{old:08x}"), new = format!("{new:08x}"), "the master key is being exchanged");
        let secrets = self.reseal_accounts().await? + self.reseal_keys().await? + self.reseal_books().await?;
        // Nothing but the snapshot of what is now is left in the journal, and the index is durable with it.
        self.inner.store.queue.ask(Command::Compact).await?;
        let engine = self.clone();
        blocking(move || engine.inner.store.keys.end_exchange(&*engine.inner.world.disk).map_err(broken)).await?;
        tracing::info!(new = format!("{new:08x}"), secrets, "the master key was exchanged");
        Ok(KeyRotation { old: format!("{old:08x}"), new: format!("{new:08x}"), secrets })
    }

    /// What is sealed in this row, sealed anew; `None` where it is already.
    fn resealed(&self, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.inner.store.keys.is_current(sealed) {
            return Ok(None);
        }
        Ok(Some(self.seal_now(context, &self.unseal(context, sealed)?)))
    }

    /// Passwords and administration keys.
    async fn reseal_accounts(&self) -> Result<u64> {
        let all = self.inner.store.catalog.read().accounts.keys().copied().collect();
        self.reseal(all, |engine, id| {
            let row = engine.inner.store.catalog.read().accounts.get(&id).cloned();
            let Some(mut row) = row else { return Ok(None) };
            let mut secrets = 0;
            if let Some(sealed) = engine.resealed(&password_context(&row.name), &row.password)? {
                row.password = sealed;
                secrets += 1;
            }
            if let Some((ak, sk)) = &mut row.admin
                && let Some(sealed) = engine.resealed(&sk_context(ak.as_str()), sk)?
            {
                *sk = sealed;
                secrets += 1;
            }
            Ok((secrets > 0).then_some((Event::PutAccount { id, row }, secrets)))
        })
        .await
    }

    /// SKs.
    async fn reseal_keys(&self) -> Result<u64> {
        let all = self.inner.store.catalog.read().sub_accounts.keys().copied().collect();
        self.reseal(all, |engine, id| {
            let row = engine.inner.store.catalog.read().sub_accounts.get(&id).map(|sub| sub.row.clone());
            let Some(mut row) = row else { return Ok(None) };
            let sealed = engine.resealed(&sk_context(row.ak.as_str()), &row.sk)?;
            Ok(sealed.map(|sealed| {
                row.sk = sealed;
                (Event::PutSubAccount { id, row }, 1)
            }))
        })
        .await
    }

    /// Some rows a commit, each sealed anew by `one` from what is in the catalog when it is the change's turn; says how
    /// many secrets those were.
    async fn reseal<I: Copy + Ord + Send + 'static>(
        &self,
        mut all: Vec<I>,
        one: fn(&Self, I) -> Result<Resealed>,
    ) -> Result<u64> {
        all.sort_unstable();
        let mut secrets = 0;
        for some in all.chunks(AT_A_TIME) {
            let (engine, some) = (self.clone(), some.to_vec());
            let told = Arc::new(Mutex::new(Ok(0)));
            let tells = Arc::clone(&told);
            self.change(true, move |_| {
                let sealed: Result<Vec<_>> = some.iter().filter_map(|id| one(&engine, *id).transpose()).collect();
                let (events, count) = match sealed {
                    Ok(sealed) => {
                        let (events, counts): (Vec<_>, Vec<u64>) = sealed.into_iter().unzip();
                        (events, Ok(counts.iter().sum()))
                    }
                    Err(error) => (Vec::new(), Err(error)),
                };
                *tells.lock().unwrap_or_else(PoisonError::into_inner) = count;
                Ok(events)
            })
            .await?;
            secrets += std::mem::replace(&mut *told.lock().unwrap_or_else(PoisonError::into_inner), Ok(0))?;
        }
        Ok(secrets)
    }

    /// Second factors.
    async fn reseal_books(&self) -> Result<u64> {
        let engine = self.clone();
        blocking(move || {
            let books = &engine.inner.books;
            let users = books.all::<UserRow>()?;
            books.change(|changes: &mut Changes| {
                let mut secrets = 0;
                for (name, _) in users.iter().filter(|(_, row)| row.totp.is_some()) {
                    // As it is within this change.
                    let Some(mut row) = changes.get::<UserRow>(name)? else { continue };
                    let Some(sealed) = row.totp.as_deref().and_then(|hex| hex::decode(hex).ok()) else { continue };
                    if let Some(sealed) = engine.resealed(&second_factor::context(name), &sealed)? {
                        row.totp = Some(hex::encode(sealed));
                        changes.put(name, &row)?;
                        secrets += 1;
                    }
                }
                Ok::<_, Error>(secrets)
            })
        })
        .await
    }
}

/// Goes on with an exchange that a crash has interrupted.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    engine.exchange(false).await?;
    Ok(Step::Idle)
}
