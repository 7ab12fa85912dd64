//! Who calls, and what they may see.

use super::types::Who;
use super::{BucketRef, Caller, Credential, Engine, Error, Result, SubAccountRef};
use crate::domain::{AccountId, AccountName, Action, Refusal, Secret};
use crate::store::catalog::{Bucket, Inner as Catalog, KeyOwner};

/// What a sealed secret belongs to: an envelope does not open in another's place.
pub(super) fn password_context(name: &AccountName) -> Vec<u8> {
    format!("accounts/password/{name}").into_bytes()
}

/// See [`password_context`].
pub(super) fn sk_context(ak: &str) -> Vec<u8> {
    format!("keys/{ak}").into_bytes()
}

impl Engine {
    pub(super) fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Secret> {
        let opened = self.inner.store.master_key.open_secret(context, sealed);
        opened.map_err(|error| Error::Broken(format!("unseal a secret: {error}").into()))
    }

    pub(super) fn seal(&self, context: &[u8], secret: &Secret) -> Vec<u8> {
        self.inner.store.master_key.seal_secret(&*self.inner.world.entropy, context, secret)
    }

    /// The secret of an access key, to verify a signature with. `None`: the key is not known. [`Refusal::Suspended`]
    /// where its account is.
    pub fn credential(&self, key: &str) -> Result<Option<Credential>> {
        let sig_v2 = self.config().s3.sig_v2;
        let catalog = self.inner.store.catalog.read();
        let (sealed, who) = match catalog.keys.get(key) {
            None => {
                self.inner.keyring.forget(key);
                return Ok(None);
            }
            Some(&KeyOwner::Camera(id)) => match catalog.sub_accounts.get(&id) {
                Some(sub) => {
                    not_suspended(&catalog, sub.row.account)?;
                    (&sub.row.sk, Who::Camera { sub_account: id })
                }
                None => return Ok(None),
            },
            Some(&KeyOwner::Administrator(id)) => match catalog.accounts.get(&id).and_then(|a| a.admin.as_ref()) {
                Some((_, sk)) => {
                    not_suspended(&catalog, id)?;
                    (sk, Who::Administrator { account: id })
                }
                None => return Ok(None),
            },
        };
        let key = self.inner.keyring.open(key, sealed, || self.unseal(&sk_context(key), sealed))?;
        Ok(Some(Credential { key, who, sig_v2 }))
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
