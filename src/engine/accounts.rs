//! What operations staff do with accounts. Serves 6.1 and section 3's business portal.

use std::sync::Arc;

use super::identity::{password_context, sk_context};
use super::status::blocking;
use super::{
    AccountChanges, AccountContents, AccountView, Caller, Engine, Error, NewAccount, Result, SubAccountView, loops,
    refuse,
};
use crate::domain::{
    AccessKey, AccountId, AccountName, Action, BucketId, Episode, GigabyteSize, Gigabytes, Media, Refusal, Secret,
    Timestamp,
};
use crate::store::catalog::{Inner as Catalog, KeyOwner, SubAccount};
use crate::store::event::Event;
use crate::store::index::rows::{AccountRow, Stats};
use crate::store::index::{bucket_of, own_bucket_of};

const PASSWORD_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

impl Engine {
    /// Opens an account; gives it as it is and its password, which is shown this once.
    pub async fn open_account(&self, caller: &Caller, new: NewAccount) -> Result<(AccountView, Secret)> {
        caller.must(Action::ManageAccounts)?;
        let password = match new.password {
            Some(password) => password,
            None => Secret::new(self.inner.world.entropy.text(PASSWORD_ALPHABET, 16)),
        };
        let sealing = self.sealing().await;
        let row = AccountRow {
            password: sealing.seal(&password_context(&new.name), &password),
            space: new.space,
            max_sub_accounts: new.max_sub_accounts.unwrap_or(self.config().space.max_sub_accounts),
            alert_url: new.alert_url,
            callback: crate::domain::CallbackProfile::default(),
            admin: None,
            created: self.now(),
            suspended: None,
            name: new.name.clone(),
        };
        let (catalog, name) = (Arc::clone(&self.inner.store.catalog), new.name.clone());
        self.change(true, move |_| {
            if catalog.read().names.contains_key(name.as_str()) {
                return refuse(Refusal::AccountExists);
            }
            Ok(vec![Event::PutAccount { id: AccountId::new(0), row }])
        })
        .await?;
        Ok((self.account(caller, &new.name).await?, password))
    }

    /// All accounts that the caller may see, in the order in which they were opened.
    pub async fn accounts(&self, caller: &Caller) -> Result<Vec<AccountView>> {
        let scope = caller.must(Action::SeeSpace)?;
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let catalog = self.inner.store.catalog.read();
        let seen = catalog.accounts.iter().filter(|(id, _)| scope.is_none_or(|own| own == **id));
        Ok(seen.map(|(id, row)| account_view(&catalog, *id, row, gigabyte)).collect())
    }

    /// The names of all accounts, sorted.
    pub async fn account_names(&self, caller: &Caller) -> Result<Vec<String>> {
        caller.must_everywhere(Action::SeeSpace)?;
        let mut names: Vec<String> = self.inner.store.catalog.read().names.keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    /// One account.
    pub async fn account(&self, caller: &Caller, name: &AccountName) -> Result<AccountView> {
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let catalog = self.inner.store.catalog.read();
        let id = *catalog.names.get(name.as_str()).ok_or(Refusal::NoAccount)?;
        caller.must_on(Action::SeeSpace, id)?;
        let row = catalog.accounts.get(&id).ok_or(Refusal::NoAccount)?;
        Ok(account_view(&catalog, id, row, gigabyte))
    }

    pub(super) fn account_id(&self, name: &AccountName) -> Result<AccountId> {
        Ok(*self.inner.store.catalog.read().names.get(name.as_str()).ok_or(Refusal::NoAccount)?)
    }

    /// Changes an account. Less space than is handed out and taken by its own buckets is refused.
    pub async fn modify_account(
        &self,
        caller: &Caller,
        name: &AccountName,
        changes: AccountChanges,
    ) -> Result<AccountView> {
        caller.must(Action::ManageAccounts)?;
        let id = self.account_id(name)?;
        let sealing = self.sealing().await;
        let password = changes.password.as_ref().map(|p| sealing.seal(&password_context(name), p));
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |apply| {
            let row = catalog.read().accounts.get(&id).cloned();
            let Some(mut row) = row else { return refuse(Refusal::NoAccount) };
            if let Some(space) = changes.space {
                let less = row.space.get().saturating_sub(space.get());
                match catalog.grant(id, Gigabytes::new(less).unwrap_or_default()) {
                    Ok(hold) => apply.hold_until_published(hold),
                    Err(left) => {
                        let handed_out = row.space.get().saturating_sub(left.get());
                        return refuse(Refusal::HandedOut {
                            handed_out: Gigabytes::new(handed_out).unwrap_or_default(),
                        });
                    }
                }
                row.space = space;
            }
            row.password = password.unwrap_or(row.password);
            row.alert_url = changes.alert_url.unwrap_or(row.alert_url);
            row.max_sub_accounts = changes.max_sub_accounts.unwrap_or(row.max_sub_accounts);
            row.callback = changes.callback.unwrap_or(row.callback);
            Ok(vec![Event::PutAccount { id, row }])
        })
        .await?;
        self.account(caller, name).await
    }

    /// Suspends an account, or lets it go on. While it is suspended its password and all its keys are refused
    /// ([`Refusal::Suspended`]); files stay, and are overwritten and alerted on as before. Users of the portals that
    /// belong to it come in still: what is theirs to see does not go away with a bill.
    pub async fn suspend_account(&self, caller: &Caller, name: &AccountName, suspended: bool) -> Result<AccountView> {
        caller.must_everywhere(Action::ManageAccounts)?;
        let (id, now) = (self.account_id(name)?, self.now());
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |_| {
            let Some(mut row) = catalog.read().accounts.get(&id).cloned() else { return refuse(Refusal::NoAccount) };
            if row.suspended.is_some() == suspended {
                return Ok(Vec::new());
            }
            row.suspended = suspended.then_some(now);
            Ok(vec![Event::PutAccount { id, row }])
        })
        .await?;
        self.account(caller, name).await
    }

    /// What would go with an account if it were closed now, for whoever is asked whether they mean it.
    pub async fn account_contents(&self, caller: &Caller, name: &AccountName) -> Result<AccountContents> {
        let id = self.account_id(name)?;
        caller.must_on(Action::ManageAccounts, id)?;
        let engine = self.clone();
        blocking(move || {
            let (mut contents, buckets) = engine.contents_of(id);
            let oldest = engine.inner.store.view()?.oldest(&buckets)?;
            contents.oldest_ms = oldest.map(|second| Timestamp::from_seconds(second).millis());
            Ok(contents)
        })
        .await
    }

    /// What an account has, by its counters, and its buckets that have files.
    fn contents_of(&self, id: AccountId) -> (AccountContents, Vec<BucketId>) {
        let catalog = self.inner.store.catalog.read();
        let (mut contents, mut buckets) = (AccountContents::default(), Vec::new());
        let mut add = |stats: &Stats| {
            contents.files += stats.files[0] + stats.files[1];
            contents.bytes += stats.used();
            contents.locked_files += stats.locked_files;
            contents.locked_bytes += stats.locked_bytes;
            contents.last_upload_ms = contents.last_upload_ms.max(stats.last_upload.map(|time| time.millis()));
        };
        let (mut sub_accounts, mut own_buckets) = (0, 0);
        for id in catalog.of_account.get(&id).into_iter().flatten() {
            let Some(sub) = catalog.sub_accounts.get(id) else { continue };
            sub_accounts += 1;
            add(&sub.stats);
            let with_files = [Media::Recording, Media::Picture].into_iter().zip(sub.stats.files);
            buckets.extend(with_files.filter(|(_, files)| *files > 0).map(|(media, _)| bucket_of(*id, media)));
        }
        for id in catalog.areas.get(&id).into_iter().flat_map(|area| &area.buckets) {
            let Some(bucket) = catalog.own_buckets.get(id) else { continue };
            own_buckets += 1;
            add(&bucket.stats);
            buckets.push(own_bucket_of(*id));
        }
        (AccountContents { sub_accounts, own_buckets, ..contents }, buckets)
    }

    /// Closes an account, all its sub-accounts and its own buckets.
    pub async fn close_account(&self, caller: &Caller, name: &AccountName) -> Result<()> {
        caller.must(Action::ManageAccounts)?;
        let id = self.account_id(name)?;
        let catalog = Arc::clone(&self.inner.store.catalog);
        {
            let catalog = catalog.read();
            let subs = catalog.of_account.get(&id).into_iter().flatten();
            subs.filter_map(|sub| catalog.sub_accounts.get(sub))
                .for_each(|sub| self.inner.observe.know_sub_account(sub));
        }
        self.change(true, move |_| {
            let catalog = catalog.read();
            let subs = catalog.of_account.get(&id).into_iter().flatten();
            let mut events: Vec<Event> = subs.map(|&sub_account| Event::CloseSubAccount { sub_account }).collect();
            let own = catalog.areas.get(&id).into_iter().flat_map(|area| &area.buckets);
            events.extend(own.map(|&id| Event::DeleteOwnBucket { id }));
            events.push(Event::CloseAccount { id });
            Ok(events)
        })
        .await?;
        Ok(())
    }

    /// The administration key; made at the first call, the same ever after.
    pub async fn account_key(&self, caller: &Caller, name: &AccountName) -> Result<(AccessKey, Secret)> {
        caller.must(Action::ManageAccounts)?;
        let id = self.account_id(name)?;
        let (ak, secret) = self.new_key()?;
        let sealing = self.sealing().await;
        let sealed = sealing.seal(&sk_context(ak.as_str()), &secret);
        let catalog = Arc::clone(&self.inner.store.catalog);
        self.change(true, move |_| {
            let catalog = catalog.read();
            let Some(mut row) = catalog.accounts.get(&id).cloned() else { return refuse(Refusal::NoAccount) };
            if row.admin.is_some() {
                return Ok(Vec::new());
            }
            row.admin = Some((ak, sealed));
            Ok(vec![Event::PutAccount { id, row }])
        })
        .await?;
        let admin = self.inner.store.catalog.read().accounts.get(&id).and_then(|row| row.admin.clone());
        let (ak, sealed) = admin.ok_or(Refusal::NoAccount)?;
        let secret = self.unseal(&sk_context(ak.as_str()), &sealed)?;
        Ok((ak, secret))
    }

    /// A sub-account's secret key once again, for whoever may see it.
    pub async fn sub_account_key(&self, caller: &Caller, ak: &str) -> Result<Secret> {
        let sub = self.sub_account_for(caller, Action::SeeKeys, ak)?;
        let sealed = self.inner.store.catalog.read().sub_accounts.get(&sub.id).map(|sub| sub.row.sk.clone());
        self.unseal(&sk_context(ak), &sealed.ok_or(Refusal::NoSubAccount)?)
    }

    /// An account's sub-accounts, in the order in which they were opened.
    pub async fn sub_accounts(&self, caller: &Caller, name: &AccountName) -> Result<Vec<SubAccountView>> {
        let id = self.account_id(name)?;
        caller.must_on(Action::SeeSpace, id)?;
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let catalog = self.inner.store.catalog.read();
        let subs = catalog.of_account.get(&id).into_iter().flatten();
        Ok(subs
            .filter_map(|id| catalog.sub_accounts.get(id))
            .map(|sub| sub_account_view(&catalog, sub, gigabyte, self.inner.observe.name(sub.id)))
            .collect())
    }

    /// One sub-account, by its AK.
    pub async fn sub_account_view(&self, caller: &Caller, ak: &str) -> Result<SubAccountView> {
        let gigabyte = self.inner.store.catalog.settings().gigabyte;
        let catalog = self.inner.store.catalog.read();
        let Some(KeyOwner::Camera(id)) = catalog.keys.get(ak) else { return Err(Refusal::NoSubAccount.into()) };
        let sub = catalog.sub_accounts.get(id).ok_or(Error::Refused(Refusal::NoSubAccount))?;
        caller.must_on(Action::SeeSpace, sub.row.account)?;
        Ok(sub_account_view(&catalog, sub, gigabyte, self.inner.observe.name(sub.id)))
    }
}

fn account_view(catalog: &Catalog, id: AccountId, row: &AccountRow, gigabyte: GigabyteSize) -> AccountView {
    let handed_out = catalog.handed_out.get(&id).copied().unwrap_or(0);
    let subs: Vec<&SubAccount> =
        catalog.of_account.get(&id).into_iter().flatten().filter_map(|id| catalog.sub_accounts.get(id)).collect();
    let own = || catalog.areas.get(&id).into_iter().flat_map(|area| &area.buckets);
    let own_stats = own().filter_map(|id| catalog.own_buckets.get(id)).map(|own| &own.stats);
    AccountView {
        account: row.name.as_str().to_owned(),
        space_gb: row.space.get(),
        handed_out_gb: handed_out,
        free_gb: u64::from(catalog.left(id, gigabyte).get()),
        used_bytes: subs.iter().map(|s| s.stats.used()).sum(),
        files: subs.iter().map(|s| s.stats.files[0] + s.stats.files[1]).sum(),
        own_buckets: own().count() as u64,
        own_bytes: catalog.own_bytes(id),
        own_files: own_stats.map(|s| s.files[0] + s.files[1]).sum(),
        sub_accounts: u32::try_from(subs.len()).unwrap_or(u32::MAX),
        max_sub_accounts: row.max_sub_accounts,
        alert_url: row.alert_url.clone(),
        callback: row.callback.clone(),
        admin_ak: row.admin.as_ref().map(|(ak, _)| ak.as_str().to_owned()),
        created_ms: row.created.millis(),
        suspended_ms: row.suspended.map(|since| since.millis()),
    }
}

fn sub_account_view(
    catalog: &Catalog,
    sub: &SubAccount,
    gigabyte: GigabyteSize,
    named: super::observe::Named,
) -> SubAccountView {
    let mut episodes = Vec::new();
    if sub.stats.full == Episode::Open {
        episodes.push("full");
    }
    if sub.stats.nearly_full == Episode::Open {
        episodes.push("nearly_full");
    }
    SubAccountView {
        ak: sub.row.ak.as_str().to_owned(),
        name: named.name,
        place: named.place,
        account: catalog.accounts.get(&sub.row.account).map(|a| a.name.as_str().to_owned()).unwrap_or_default(),
        space_gb: sub.row.space.get(),
        space_bytes: gigabyte.bytes(sub.row.space).get(),
        used_bytes: sub.stats.used(),
        reserved_bytes: sub.reserved,
        locked_bytes: sub.stats.locked_bytes,
        recordings: sub.stats.files[0],
        pictures: sub.stats.files[1],
        locked_files: sub.stats.locked_files,
        loops: loops(sub.row.at_the_end),
        record_bucket: sub.row.record_bucket.as_str().to_owned(),
        picture_bucket: sub.row.picture_bucket.as_str().to_owned(),
        episodes,
        overwrites: sub.stats.overwrites,
        last_upload_ms: sub.stats.last_upload.map(|t| t.millis()),
        created_ms: sub.row.created.millis(),
    }
}
