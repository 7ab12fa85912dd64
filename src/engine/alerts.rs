//! The outbox, asked: which alerts, page by page; one sent again by hand; one sent as a test.

use serde::Serialize;

use super::status::blocking;
use super::{AlertView, Caller, Engine, Error, Notice, Result, refuse};
use crate::domain::{AccountId, AccountName, Action, Alert, AlertId, AlertRefusal, CallbackProfile, Refusal, Secret};
use crate::store::catalog::{Inner as Catalog, KeyOwner};
use crate::store::event::Event;
use crate::store::index::rows::{AlertRow, AlertState, alert_word};

/// Alerts looked at for one page, most: then the page is short and says where to go on.
const LOOKED_AT_MAX: usize = 50_000;
/// Notes read for one page, most, where those that are acknowledged are asked for, or the others.
const NOTES_MAX: usize = 5_000;
/// Alerts of a page, most.
const PAGE_MAX: usize = 1000;

/// The states of an alert, by their words.
pub const ALERT_STATES: [&str; 5] = ["pending", "delivered", "withdrawn", "replaced", "given_up"];
/// The kinds of an alert, by their words.
pub const ALERT_KINDS: [&str; 3] = ["full", "nearly_full", "idle"];

/// Which alerts are asked for; what is empty or `None` is any.
#[derive(Clone, Debug, Default)]
pub struct AlertQuery {
    /// One of [`ALERT_STATES`].
    pub state: String,
    /// One of [`ALERT_KINDS`].
    pub kind: String,
    /// The account's name.
    pub account: String,
    /// The sub-account's AK.
    pub ak: String,
    /// Whether somebody acknowledged it.
    pub acknowledged: Option<bool>,
    /// Whether it is a test.
    pub test: Option<bool>,
    /// Older than the alert of this number: [`AlertPage::next`] of the page before.
    pub before: Option<u64>,
    /// Alerts on a page, 1 to 1,000.
    pub most: usize,
}

/// A page of alerts, newest first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AlertPage {
    /// The alerts. They may be fewer than were asked for, or none, and more be found further on.
    pub alerts: Vec<AlertView>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

/// How many alerts wait for somebody. Tests are none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertTotals {
    /// On their way, or tried again later.
    pub pending: u64,
    /// Given up: sent again only by hand.
    pub given_up: u64,
    /// Those given up that nobody has acknowledged, among the newest 5,000 given up.
    pub unseen: u64,
    /// When the oldest of the pending was raised, ms since 1970.
    pub oldest_pending_ms: Option<i64>,
}

impl Engine {
    /// Alerts, newest first.
    pub async fn alerts(&self, caller: &Caller, most: usize) -> Result<Vec<AlertView>> {
        let mut query = AlertQuery { most: most.clamp(1, PAGE_MAX), ..AlertQuery::default() };
        let mut all = Vec::new();
        while all.len() < most {
            let page = self.alert_page(caller, query.clone()).await?;
            all.extend(page.alerts);
            query.before = page.next;
            if query.before.is_none() {
                break;
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// A page of alerts. Users of an account see its own.
    pub async fn alert_page(&self, caller: &Caller, query: AlertQuery) -> Result<AlertPage> {
        let scope = caller.must(Action::SeeAlerts)?;
        let engine = self.clone();
        blocking(move || {
            let account = {
                let catalog = engine.inner.store.catalog.read();
                match (query.account.as_str(), scope) {
                    ("", scope) => scope,
                    (name, scope) => match catalog.names.get(name) {
                        Some(id) if scope.is_none_or(|own| own == *id) => Some(*id),
                        _ => return Ok(AlertPage::default()),
                    },
                }
            };
            let view = engine.inner.store.view()?;
            let most = query.most.clamp(1, PAGE_MAX);
            let open = ["", "pending", "given_up"].contains(&query.state.as_str());
            let ended = !["pending", "given_up"].contains(&query.state.as_str());
            let mut page = AlertPage::default();
            let (mut looked_at, mut notes, mut broken) = (0usize, 0usize, None);
            let end = view.alerts_before(query.before.map(AlertId::new), [open, ended], |id, row| {
                looked_at += 1;
                page.next = Some(id.get());
                let wanted = account.is_none_or(|account| account == row.account)
                    && (query.state.is_empty() || row.state.word() == query.state)
                    && (query.kind.is_empty() || alert_word(row.alert) == query.kind)
                    && (query.ak.is_empty() || row.ak.as_str() == query.ak)
                    && query.test.is_none_or(|test| id.is_test() == test);
                if wanted {
                    notes += 1;
                    match engine.alert_view(id, row) {
                        Ok(alert) if query.acknowledged.is_none_or(|is| is == alert.acknowledged_ms.is_some()) => {
                            page.alerts.push(alert);
                        }
                        Ok(_) => {}
                        Err(error) => broken = Some(error),
                    }
                }
                page.alerts.len() < most && looked_at < LOOKED_AT_MAX && notes < NOTES_MAX && broken.is_none()
            })?;
            if let Some(error) = broken {
                return Err(error);
            }
            if end {
                page.next = None;
            }
            Ok(page)
        })
        .await
    }

    /// One alert. [`Refusal::NoFile`] where there is none of this number.
    pub async fn alert(&self, caller: &Caller, id: u64) -> Result<AlertView> {
        let scope = caller.must(Action::SeeAlerts)?;
        let engine = self.clone();
        blocking(move || {
            let id = AlertId::new(id);
            let row = engine.inner.store.view()?.alert(id)?.filter(|row| scope.is_none_or(|own| own == row.account));
            engine.alert_view(id, row.ok_or(Refusal::NoFile)?)
        })
        .await
    }

    /// How many alerts wait, of those that the caller sees.
    pub async fn alert_totals(&self, caller: &Caller) -> Result<AlertTotals> {
        let scope = caller.must(Action::SeeAlerts)?;
        let engine = self.clone();
        blocking(move || {
            let mut totals = AlertTotals::default();
            for (id, row) in engine.inner.store.view()?.outbox()?.into_iter().rev() {
                if id.is_test() || scope.is_some_and(|own| own != row.account) {
                    continue;
                }
                if row.state == AlertState::Pending {
                    totals.pending += 1;
                    let raised = row.raised.millis();
                    totals.oldest_pending_ms = Some(totals.oldest_pending_ms.map_or(raised, |ms| ms.min(raised)));
                } else {
                    totals.given_up += 1;
                    let looked_at = totals.given_up <= NOTES_MAX as u64;
                    totals.unseen += u64::from(looked_at && super::observe::acknowledged(&engine, id)?.is_none());
                }
            }
            Ok(totals)
        })
        .await
    }

    /// An alert as people see it. Blocks.
    fn alert_view(&self, id: AlertId, row: AlertRow) -> Result<AlertView> {
        let acknowledged = super::observe::acknowledged(self, id)?;
        let catalog = self.inner.store.catalog.read();
        Ok(AlertView {
            id: id.get(),
            account: catalog.accounts.get(&row.account).map(|a| a.name.as_str().to_owned()).unwrap_or_default(),
            ak: row.ak.as_str().to_owned(),
            name: self.inner.observe.name(row.sub_account).name,
            alert: alert_word(row.alert),
            state: row.state.word(),
            raised_ms: row.raised.millis(),
            attempts: row.attempts,
            next_ms: (row.state == AlertState::Pending).then_some(row.next.millis()),
            last: row.last,
            test: id.is_test(),
            acknowledged_ms: acknowledged.as_ref().map(|said| said.at_ms),
            acknowledged_by: acknowledged.map(|said| said.by),
        })
    }

    /// Sends an alert that is pending or given up now. [`Refusal::NoFile`] where there is none.
    pub async fn resend_alert(&self, caller: &Caller, id: u64) -> Result<()> {
        caller.must_everywhere(Action::ManageAlerts)?;
        let id = AlertId::new(id);
        let found = self.inner.store.view()?.alert(id)?;
        let Some(mut row) = found.filter(|row| matches!(row.state, AlertState::Pending | AlertState::GivenUp)) else {
            return Err(Refusal::NoFile.into());
        };
        row.state = AlertState::Pending;
        row.attempts = 0;
        row.raised = self.now();
        row.next = self.now();
        self.change(false, move |_| Ok(vec![Event::PutAlert { id, row }])).await?;
        Ok(())
    }

    /// Sends an alert of a sub-account as a test, by the outbox, at once; gives its number. No field of section 8 says
    /// that it is one: the platform takes it as it takes any other. It is no alert of the space's: it begins and ends
    /// none, is counted nowhere, and no real one waits for it, replaces it or withdraws it.
    pub async fn test_alert(&self, caller: &Caller, name: &AccountName, ak: &str, kind: Alert) -> Result<u64> {
        caller.must_everywhere(Action::ManageAlerts)?;
        if kind == Alert::Idle && !self.config().alerts.notify_idle {
            return Err(Refusal::from(AlertRefusal::NoIdle).into());
        }
        let account = self.account_id(name)?;
        let row = self.test_row(account, ak, kind)?;
        let catalog = std::sync::Arc::clone(&self.inner.store.catalog);
        let sequence = self
            .change(false, move |_| {
                if !catalog.read().sub_accounts.contains_key(&row.sub_account) {
                    return refuse(Refusal::NoSubAccount);
                }
                Ok(vec![Event::PutAlert { id: AlertId::new(0), row }])
            })
            .await?;
        Ok(AlertId::test(sequence).get())
    }

    /// The request by which an account would be alerted with this profile, secrets masked; [`None`] where the account has no
    /// alert URL. The profile is taken as it is given: nothing is written down.
    pub async fn callback_preview(
        &self,
        caller: &Caller,
        name: &AccountName,
        profile: CallbackProfile,
    ) -> Result<Option<String>> {
        caller.must_everywhere(Action::ManageAccounts)?;
        let account = self.account_id(name)?;
        let url = self.inner.store.catalog.read().accounts.get(&account).and_then(|row| row.alert_url.clone());
        let Some(url) = url else { return Ok(None) };
        let first = {
            let catalog = self.inner.store.catalog.read();
            let sub = catalog.of_account.get(&account).and_then(|subs| catalog.sub_accounts.get(subs.first()?));
            sub.map(|sub| sub.row.ak.clone())
        };
        let access_key = match first {
            Some(ak) => ak,
            None => "AK".parse().map_err(|bad: crate::domain::ids::BadName| Error::Broken(bad.to_string().into()))?,
        };
        let notice = Notice {
            url,
            profile,
            account: name.clone(),
            password: Secret::new(""),
            access_key,
            secret: Secret::new(""),
            alert: Alert::NearlyFull,
            timeout: self.config().alerts.timeout,
        };
        Ok(Some(self.inner.courier.preview(&notice)))
    }

    /// The AK of an account's oldest sub-account.
    pub fn first_sub_account(&self, caller: &Caller, name: &AccountName) -> Result<String> {
        let account = self.account_id(name)?;
        caller.must_on(Action::SeeSpace, account)?;
        let catalog = self.inner.store.catalog.read();
        let sub = catalog.of_account.get(&account).and_then(|subs| catalog.sub_accounts.get(subs.first()?));
        Ok(sub.ok_or(Refusal::NoSubAccount)?.row.ak.as_str().to_owned())
    }

    fn test_row(&self, account: AccountId, ak: &str, alert: Alert) -> Result<AlertRow> {
        let catalog: &Catalog = &self.inner.store.catalog.read();
        if catalog.accounts.get(&account).ok_or(Refusal::NoAccount)?.alert_url.is_none() {
            return Err(Refusal::from(AlertRefusal::NoAlertUrl).into());
        }
        let Some(&KeyOwner::Camera(sub_account)) = catalog.keys.get(ak) else {
            return Err(Refusal::NoSubAccount.into());
        };
        let sub = catalog.sub_accounts.get(&sub_account).filter(|sub| sub.row.account == account);
        let now = self.now();
        Ok(AlertRow {
            sub_account,
            account,
            ak: sub.ok_or(Refusal::NoSubAccount)?.row.ak.clone(),
            alert,
            raised: now,
            state: AlertState::Pending,
            attempts: 0,
            next: now,
            last: None,
        })
    }
}
