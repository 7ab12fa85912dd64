//! Who calls, and what they may see.

use std::net::IpAddr;
use std::sync::Arc;

use super::guesses::{Attempt, What};
use super::types::Who;
use super::{BucketRef, Caller, Credential, Engine, Error, Result, SubAccountRef};
use crate::domain::{AccountId, AccountName, Action, Refusal, Secret};
use crate::store::catalog::{Bucket, Inner as Catalog, KeyOwner};
use crate::wire::sig::Key;

/// What a sealed secret belongs to: an envelope does not open in another's place.
pub(super) fn password_context(name: &AccountName) -> Vec<u8> {
    format!("accounts/password/{name}").into_bytes()
}

/// See [`password_context`].
pub(super) fn sk_context(ak: &str) -> Vec<u8> {
    format!("keys/{ak}").into_bytes()
}

/// A known key, whose it is, and the guess that it is asked for.
type Opened = (Arc<Key>, Who, Option<Attempt>);

impl Engine {
    pub(super) fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Secret> {
        let opened = self.inner.store.keys.open_secret(context, sealed);
        opened.map_err(|error| Error::Broken(format!("unseal a secret: {error}").into()))
    }

    /// The secret of an access key, to verify a signature with. `None`: the key is not known. [`Refusal::Suspended`]
    /// where its account is; [`Refusal::Slow`] where too much that came from there was wrong, so that nothing is looked
    /// at. `from` is the socket's address.
    pub fn credential(&self, key: &str, from: Option<IpAddr>) -> Result<Option<Credential>> {
        let Some((key, who, attempt)) = self.opened(key, from)? else {
            self.inner.keyring.forget(key);
            let attempt = self.attempt(What::Key, None, from)?;
            self.guessed_wrong(attempt.as_ref(), None)?;
            return Ok(None);
        };
        Ok(Some(Credential { key, who, sig_v2: self.config().s3.sig_v2, attempt, engine: self.clone() }))
    }

    /// The secret of a key, where there is such a key, for whoever only looks: it is no guess.
    pub(super) fn known_key(&self, key: &str) -> Result<Option<Arc<Key>>> {
        let catalog = self.inner.store.catalog.read();
        let sealed = match catalog.keys.get(key) {
            Some(KeyOwner::Camera(id)) => catalog.sub_accounts.get(id).map(|sub| &sub.row.sk),
            Some(KeyOwner::Administrator(id)) => {
                catalog.accounts.get(id).and_then(|a| a.admin.as_ref()).map(|(_, sk)| sk)
            }
            None => None,
        };
        let Some(sealed) = sealed else { return Ok(None) };
        self.inner.keyring.open(key, sealed, || self.unseal(&sk_context(key), sealed)).map(Some)
    }

    /// A known key and whose it is.
    fn opened(&self, key: &str, from: Option<IpAddr>) -> Result<Option<Opened>> {
        let catalog = self.inner.store.catalog.read();
        let (sealed, who, account) = match catalog.keys.get(key) {
            None => return Ok(None),
            Some(&KeyOwner::Camera(id)) => match catalog.sub_accounts.get(&id) {
                Some(sub) => (&sub.row.sk, Who::Camera { sub_account: id }, sub.row.account),
                None => return Ok(None),
            },
            Some(&KeyOwner::Administrator(id)) => match catalog.accounts.get(&id).and_then(|a| a.admin.as_ref()) {
                Some((_, sk)) => (sk, Who::Administrator { account: id }, id),
                None => return Ok(None),
            },
        };
        not_suspended(&catalog, account)?;
        let attempt = self.attempt(What::Key, Some(key), from)?;
        let opened = self.inner.keyring.open(key, sealed, || self.unseal(&sk_context(key), sealed))?;
        Ok(Some((opened, who, attempt)))
    }

    /// Whether there is an account of this name.
    pub fn knows_account(&self, name: &str) -> bool {
        self.inner.store.catalog.read().names.contains_key(name)
    }

    /// The platform, by the account's name and password. Serves 7.x results 1 and 2.
    pub fn sign_in(&self, account: &str, password: &str) -> Result<Caller> {
        let (id, name, sealed) = {
            let catalog = self.inner.store.catalog.read();
            let id = *catalog.names.get(account).ok_or(Refusal::NoAccount)?;
            let row = catalog.accounts.get(&id).ok_or(Refusal::NoAccount)?;
            (id, row.name.clone(), row.password.clone())
        };
        let right = self.unseal(&password_context(&name), &sealed)?;
        if right.matches(password) {
            // Last: whoever has not the password is not told.
            not_suspended(&self.inner.store.catalog.read(), id)?;
            Ok(Caller::new(Who::Platform { account: id }))
        } else {
            Err(Refusal::WrongPassword.into())
        }
    }

    /// As [`Engine::sign_in`], from an address (the socket's): where too much that came from there was wrong it waits
    /// first. [`Error::Busy`] where another call waits for the same.
    pub async fn sign_in_from(&self, account: &str, password: &str, from: Option<IpAddr>) -> Result<Caller> {
        let name = self.knows_account(account).then_some(account);
        let attempt = self.attempt_held(What::Account, name, from).await?;
        let done = self.sign_in(account, password);
        match &done {
            Ok(_) | Err(Error::Refused(Refusal::Suspended)) => self.guessed_right(attempt.as_ref()),
            // Section 7 has a number for it, whoever asks how often: the next call waits.
            Err(Error::Refused(_)) => drop(self.guessed_wrong(attempt.as_ref(), name)),
            Err(_) => {}
        }
        done
    }

    /// As [`Engine::sub_account`], from an address, as [`Engine::sign_in_from`].
    pub async fn sub_account_from(
        &self,
        caller: &Caller,
        ak: &str,
        sk: &str,
        from: Option<IpAddr>,
    ) -> Result<SubAccountRef> {
        if matches!(self.sub_account(caller, ak, ""), Err(Error::Refused(Refusal::NoSubAccount))) {
            return Err(Refusal::NoSubAccount.into());
        }
        let attempt = self.attempt_held(What::Key, Some(ak), from).await?;
        let done = self.sub_account(caller, ak, sk);
        match &done {
            Ok(_) => self.guessed_right(attempt.as_ref()),
            Err(Error::Refused(Refusal::WrongSecret)) => drop(self.guessed_wrong(attempt.as_ref(), Some(ak))),
            Err(_) => {}
        }
        done
    }

    /// A sub-account by AK and SK. Serves 7.x results 3 and 4: another account's is not there.
    pub fn sub_account(&self, caller: &Caller, ak: &str, sk: &str) -> Result<SubAccountRef> {
        let account = caller.acting(Action::SeeSpace)?;
        let (id, sealed) = {
            let catalog = self.inner.store.catalog.read();
            let Some(&KeyOwner::Camera(id)) = catalog.keys.get(ak) else { return Err(Refusal::NoSubAccount.into()) };
            match catalog.sub_accounts.get(&id) {
                Some(sub) if sub.row.account == account => (id, sub.row.sk.clone()),
                _ => return Err(Refusal::NoSubAccount.into()),
            }
        };
        let right = self.unseal(&sk_context(ak), &sealed)?;
        if right.matches(sk) { Ok(SubAccountRef { id }) } else { Err(Refusal::WrongSecret.into()) }
    }

    /// A sub-account by its AK alone, for a user of the portal who may do this in its account.
    pub fn sub_account_for(&self, caller: &Caller, action: Action, ak: &str) -> Result<SubAccountRef> {
        let catalog = self.inner.store.catalog.read();
        let Some(&KeyOwner::Camera(id)) = catalog.keys.get(ak) else { return Err(Refusal::NoSubAccount.into()) };
        let account = catalog.sub_accounts.get(&id).ok_or(Refusal::NoSubAccount)?.row.account;
        // Another account's is not there, as over SOAP.
        caller.must_on(action, account).map_err(|_| Refusal::NoSubAccount)?;
        Ok(SubAccountRef { id })
    }

    /// The account of a sub-account in which the caller may do this.
    pub(super) fn account_for(&self, caller: &Caller, action: Action, sub: &SubAccountRef) -> Result<AccountId> {
        let account = self.inner.store.catalog.read().sub_accounts.get(&sub.id).map(|sub| sub.row.account);
        match account {
            Some(account) => caller.must_act_on(action, account).map(|()| account),
            // Closed since: who may do it nowhere is not told even that.
            None => match &caller.who {
                Who::Platform { .. } => Err(Refusal::NoSubAccount.into()),
                _ => caller.must(action).and(Err(Refusal::NoSubAccount.into())),
            },
        }
    }

    /// The buckets that the caller may see, by name.
    pub fn buckets(&self, caller: &Caller) -> Result<Vec<BucketRef>> {
        let catalog = self.inner.store.catalog.read();
        let seen = catalog.buckets.iter().filter(|(_, bucket)| caller.may_see(&catalog, bucket));
        let mut out: Vec<_> = seen.filter_map(|(name, bucket)| bucket_ref(&catalog, name, bucket)).collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// A bucket by name: [`Refusal::NoBucket`], or [`Refusal::Forbidden`] where it is another's.
    pub fn bucket(&self, caller: &Caller, name: &str) -> Result<BucketRef> {
        let catalog = self.inner.store.catalog.read();
        let bucket = catalog.buckets.get(name).ok_or(Refusal::NoBucket)?;
        if !caller.may_see(&catalog, bucket) {
            return Err(Refusal::Forbidden.into());
        }
        bucket_ref(&catalog, name, bucket).ok_or(Error::Refused(Refusal::NoBucket))
    }
}

fn not_suspended(catalog: &Catalog, id: AccountId) -> Result<()> {
    match catalog.accounts.get(&id) {
        Some(row) if row.suspended.is_some() => Err(Refusal::Suspended.into()),
        _ => Ok(()),
    }
}

fn bucket_ref(catalog: &Catalog, name: &str, bucket: &Bucket) -> Option<BucketRef> {
    let created = match catalog.own_buckets.get(&bucket.owner) {
        Some(own) => own.row.created,
        None => catalog.sub_accounts.get(&bucket.owner)?.row.created,
    };
    let name = name.parse().ok()?;
    Some(BucketRef { id: bucket.id, owner: bucket.owner, name, media: bucket.media, created })
}

impl Caller {
    /// The account that a platform, or a user of the portal who may do this, acts for.
    pub(super) fn acting(&self, action: Action) -> Result<AccountId> {
        match &self.who {
            Who::Platform { account } => Ok(*account),
            Who::User { role, account: Some(account), .. } if role.may(action) => Ok(*account),
            Who::User { .. } | Who::Camera { .. } | Who::Administrator { .. } | Who::Operator => {
                Err(Refusal::Forbidden.into())
            }
        }
    }

    /// Whether this may be done at all: in the one account that it gives, or everywhere.
    pub(super) fn must(&self, action: Action) -> Result<Option<AccountId>> {
        match &self.who {
            Who::Operator => Ok(None),
            Who::User { role, account, .. } if role.may(action) => Ok(*account),
            Who::User { .. } | Who::Camera { .. } | Who::Administrator { .. } | Who::Platform { .. } => {
                Err(Refusal::Forbidden.into())
            }
        }
    }

    /// Whether this may be done in `account`.
    pub(super) fn must_on(&self, action: Action, account: AccountId) -> Result<()> {
        match self.must(action)? {
            Some(own) if own != account => Err(Refusal::Forbidden.into()),
            _ => Ok(()),
        }
    }

    /// Whether a platform acts for `account`, or this may be done in it.
    pub(super) fn must_act_on(&self, action: Action, account: AccountId) -> Result<()> {
        match &self.who {
            Who::Platform { account: own } if *own == account => Ok(()),
            _ => self.must_on(action, account),
        }
    }

    /// Whether this may be done with the whole box.
    pub(super) fn must_everywhere(&self, action: Action) -> Result<()> {
        match self.must(action)? {
            Some(_) => Err(Refusal::Forbidden.into()),
            None => Ok(()),
        }
    }

    /// Whether the caller may change files in a bucket that it sees.
    pub(super) fn may_change(&self) -> bool {
        match &self.who {
            Who::User { role, .. } => role.may(Action::ChangeFiles),
            Who::Camera { .. } | Who::Administrator { .. } | Who::Operator | Who::Platform { .. } => true,
        }
    }

    fn may_see(&self, catalog: &Catalog, bucket: &Bucket) -> bool {
        match &self.who {
            Who::Camera { sub_account } => bucket.owner == *sub_account,
            Who::Administrator { account } => catalog.account_of(bucket.owner) == Some(*account),
            Who::User { role, account, .. } => {
                role.may(Action::SeeFiles) && account.is_some() && catalog.account_of(bucket.owner) == *account
            }
            Who::Operator => true,
            Who::Platform { .. } => false,
        }
    }

    /// Whether the caller may delete in a bucket that it sees.
    pub(super) fn may_delete(&self, allow_delete: bool) -> bool {
        match self.who {
            Who::Camera { .. } => allow_delete,
            Who::Administrator { .. } | Who::Operator => true,
            Who::User { .. } => self.may_change(),
            Who::Platform { .. } => false,
        }
    }
}
