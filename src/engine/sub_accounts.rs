//! 7.1 to 7.6: what a platform, and a province's administrator, sees and does with an account's sub-accounts.

use std::sync::Arc;

use super::identity::sk_context;
use super::{
    Caller, Engine, Error, NewSubAccount, OpenedSubAccount, Result, SubAccountRef, SubAccountSpace, UserSpace, refuse,
};
use crate::domain::{AccessKey, AccountId, Action, AtTheEnd, BucketName, Gigabytes, Refusal, Secret, SubAccountId};
use crate::store::event::Event;
use crate::store::index::rows::SubAccountRow;

/// Letters and digits: contract, section 4.
const KEY_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BUCKET_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

impl Engine {
    /// A new key pair: 20 and 40 characters.
    pub(super) fn new_key(&self) -> Result<(AccessKey, Secret)> {
        let entropy = &self.inner.world.entropy;
        let ak =
            entropy.text(KEY_ALPHABET, 20).parse().map_err(|e| Error::Broken(format!("make a key: {e}").into()))?;
        Ok((ak, Secret::new(entropy.text(SECRET_ALPHABET, 40))))
    }

    fn new_bucket(&self, kind: &str) -> Result<BucketName> {
        let name = format!("{kind}-{}", self.inner.world.entropy.text(BUCKET_ALPHABET, 16));
        name.parse().map_err(|e| Error::Broken(format!("make a bucket name: {e}").into()))
    }

    /// 7.1. What is free is exactly what 7.2 can still give out.
    pub async fn query_user_space(&self, caller: &Caller) -> Result<UserSpace> {
        let account = caller.acting(Action::SeeSpace)?;
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let catalog = self.inner.store.catalog.read();
        let total = catalog.accounts.get(&account).ok_or(Refusal::NoAccount)?.space;
        Ok(UserSpace { total, free: catalog.left(account, gigabyte) })
    }

    /// 7.2.
    pub async fn open_sub_account(&self, caller: &Caller, space: Gigabytes) -> Result<OpenedSubAccount> {
        let account = caller.acting(Action::ManageSubAccounts)?;
        self.open_in(account, space, AtTheEnd::Stop).await
    }

    /// Opens a sub-account with all that people say of it: of the caller's account, or of the one that is named.
    pub async fn add_sub_account(&self, caller: &Caller, new: NewSubAccount) -> Result<OpenedSubAccount> {
        let account = match &new.account {
            None => caller.acting(Action::ManageSubAccounts)?,
            Some(name) => {
                caller.must(Action::ManageSubAccounts)?;
                let account = self.account_id(name)?;
                caller.must_on(Action::ManageSubAccounts, account)?;
                account
            }
        };
        let opened = self.open_in(account, new.space, new.at_the_end).await?;
        if !(new.name.trim().is_empty() && new.place.trim().is_empty()) {
            self.name_camera(caller, opened.access_key.as_str(), &new.name, &new.place).await?;
        }
        Ok(opened)
    }

    async fn open_in(&self, account: AccountId, space: Gigabytes, at_the_end: AtTheEnd) -> Result<OpenedSubAccount> {
        let (access_key, secret) = self.new_key()?;
        let (record_bucket, picture_bucket) = (self.new_bucket("rec")?, self.new_bucket("pic")?);
        let sealing = self.sealing().await;
        let row = SubAccountRow {
            account,
            ak: access_key.clone(),
            sk: sealing.seal(&sk_context(access_key.as_str()), &secret),
            space,
            at_the_end,
            record_bucket: record_bucket.clone(),
            picture_bucket: picture_bucket.clone(),
            created: self.now(),
        };
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |apply| {
            let gigabyte = catalog.settings().gigabyte;
            {
                let catalog = catalog.read();
                let Some(owner) = catalog.accounts.get(&account) else { return refuse(Refusal::NoAccount) };
                // 3 comes before 4. What is refused holds nothing: its answer does not wait for the commit.
                let free = catalog.left(account, gigabyte);
                if space > free {
                    return refuse(Refusal::AccountSpace { free });
                }
                let now = catalog.of_account.get(&account).map_or(0, |s| s.len());
                if u32::try_from(now).unwrap_or(u32::MAX) >= owner.max_sub_accounts {
                    return refuse(Refusal::TooManySubAccounts { most: owner.max_sub_accounts });
                }
            }
            match catalog.grant(account, space) {
                Ok(hold) => apply.hold_until_published(hold),
                Err(free) => return refuse(Refusal::AccountSpace { free }),
            }
            Ok(vec![Event::PutSubAccount { id: SubAccountId::new(0), row }])
        })
        .await?;
        Ok(OpenedSubAccount { access_key, secret, s3_url: self.urls().s3, record_bucket, picture_bucket })
    }

    /// 7.3. The key is dead and the space handed back when it returns; the files go in the
    /// background.
    pub async fn close_sub_account(&self, caller: &Caller, sub: &SubAccountRef) -> Result<()> {
        self.account_for(caller, Action::ManageSubAccounts, sub)?;
        self.close_by_id(sub.id).await
    }

    pub(super) async fn close_by_id(&self, id: SubAccountId) -> Result<()> {
        if let Some(sub) = self.inner.store.catalog.read().sub_accounts.get(&id) {
            self.inner.observe.know_sub_account(sub);
        }
        self.change(true, move |apply| match apply.sub_account(id)? {
            Some(_) => Ok(vec![Event::CloseSubAccount { sub_account: id }]),
            None => refuse(Refusal::NoSubAccount),
        })
        .await?;
        Ok(())
    }

    /// 7.4.
    pub async fn query_sub_account_space(&self, caller: &Caller, sub: &SubAccountRef) -> Result<SubAccountSpace> {
        caller.acting(Action::SeeSpace)?;
        let catalog = &self.inner.store.catalog;
        let gigabyte = catalog.settings().gigabyte;
        let total = catalog.read().sub_accounts.get(&sub.id).ok_or(Refusal::NoSubAccount)?.row.space;
        let space = catalog.space(sub.id).ok_or(Refusal::NoSubAccount)?;
        Ok(SubAccountSpace { total, free: gigabyte.floor(space.free()) })
    }

    /// 7.5. Smaller than what is used is allowed; the rules of space do the rest.
    pub async fn modify_sub_account_space(&self, caller: &Caller, sub: &SubAccountRef, space: Gigabytes) -> Result<()> {
        let account = self.account_for(caller, Action::ManageSubAccounts, sub)?;
        let id = sub.id;
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |apply| {
            let Some(row) = apply.sub_account(id)? else { return refuse(Refusal::NoSubAccount) };
            let before = row.space;
            if !catalog.read().accounts.contains_key(&account) {
                return refuse(Refusal::NoAccount);
            }
            let more = space.get().saturating_sub(before.get());
            match catalog.grant(account, Gigabytes::new(more).unwrap_or_default()) {
                Ok(hold) => apply.hold_until_published(hold),
                Err(left) => {
                    let free = left.get().saturating_add(before.get());
                    return refuse(Refusal::AccountSpace { free: Gigabytes::new(free).unwrap_or(Gigabytes::MAX) });
                }
            }
            Ok(vec![Event::SetSpace { sub_account: id, space }])
        })
        .await?;
        Ok(())
    }

    /// 7.6.
    pub async fn set_sub_account_space_policy(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        at_the_end: AtTheEnd,
    ) -> Result<()> {
        self.account_for(caller, Action::ManageSubAccounts, sub)?;
        let id = sub.id;
        self.change(false, move |apply| match apply.sub_account(id)? {
            Some(_) => Ok(vec![Event::SetAtTheEnd { sub_account: id, at_the_end }]),
            None => refuse(Refusal::NoSubAccount),
        })
        .await?;
        Ok(())
    }
}
