//! Statements: trial, issued, adjusted, settled.

use super::rows::{Adjustment, Sampled, StatementRow};
use super::sampling::{sampled_to, samples};
use super::tariffs::{assignments, versions};
use super::{AdjustmentView, BillingAccount, MonthPage, MonthRow, StatementView, Verified, key, refused};
use crate::books::{Books, Changes};
use crate::domain::billing::{
    BillingRefusal, Booked, Match, Money, Month, Period, Statement, Tariff, reconcile, spans,
};
use crate::domain::{AccountId, Action, GigabyteSize};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Error, Result};

/// Accounts on a page of a month: each is computed anew where it is not issued.
const PAGE_MOST: usize = 200;
/// Samples of a month, and some.
const MONTH_MOST: usize = 800;

impl Engine {
    /// A statement: as it was issued, or, for those who see all accounts, a trial.
    pub async fn statement(&self, caller: &Caller, account: &BillingAccount, month: Month) -> Result<StatementView> {
        let scope = caller.must(Action::SeeBilling)?;
        let (engine, caller, account) = (self.clone(), caller.clone(), account.clone());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, name) = engine.billed(books, &account)?;
            caller.must_on(Action::SeeBilling, id)?;
            match books.get::<StatementRow>(&(id.get(), key(month.get())))? {
                Some(row) => issued_view(row),
                None if scope.is_some() => refused(BillingRefusal::NoStatement),
                None => {
                    let statement = engine.trial(books, id, &name, month, &versions(books)?)?;
                    let canonical = statement.canonical();
                    Ok(StatementView {
                        state: "trial",
                        digest: Statement::digest(&canonical),
                        canonical,
                        over: sampled_to(books, month.end())?,
                        issued_ms: None,
                        issued_by: None,
                        adjustments: Vec::new(),
                        adjusted_li: Money::ZERO,
                        due_li: statement.total_li,
                        settled_ms: None,
                        settled_by: None,
                        statement,
                    })
                }
            }
        })
        .await
    }

    /// The issued statements of an account, the newest first.
    pub async fn statements(&self, caller: &Caller, account: &BillingAccount) -> Result<Vec<MonthRow>> {
        caller.must(Action::SeeBilling)?;
        let (engine, caller, account) = (self.clone(), caller.clone(), account.clone());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, name) = engine.billed(books, &account)?;
            caller.must_on(Action::SeeBilling, id)?;
            let rows = books.scan::<StatementRow>(&(id.get(), 0), |&(of, _), _| of == id.get())?;
            let row = |((_, month), row): ((u64, u64), StatementRow)| {
                let month = i64::try_from(month).ok().and_then(Month::new)?;
                month_row(id.get(), &name, month, &row).ok()
            };
            Ok(rows.into_iter().rev().filter_map(row).collect())
        })
        .await
    }

    /// A month over all accounts that had samples in it, a page of at most 200 after the account numbered `after`.
    pub async fn billing_month(&self, caller: &Caller, month: Month, after: u64, most: usize) -> Result<MonthPage> {
        caller.must_everywhere(Action::SeeBilling)?;
        let engine = self.clone();
        blocking(move || engine.month_page(month, after, most.clamp(1, PAGE_MOST))).await
    }

    fn month_page(&self, month: Month, after: u64, most: usize) -> Result<MonthPage> {
        let books = &self.inner.books;
        let (versions, end) = (versions(books)?, month.end().first_hour().get());
        let (mut rows, mut next, mut due_li, mut last) = (Vec::new(), None, Money::ZERO, after);
        for (id, sampled) in books.scan::<Sampled>(&after.saturating_add(1), |_, _| true)? {
            if sampled.first >= end {
                continue;
            }
            if rows.len() == most {
                next = Some(last);
                break;
            }
            let row = match books.get::<StatementRow>(&(id, key(month.get())))? {
                Some(row) => month_row(id, &sampled.name, month, &row)?,
                None => {
                    let trial = self.trial(books, AccountId::new(id), &sampled.name, month, &versions)?;
                    if trial.lines.is_empty() {
                        continue;
                    }
                    MonthRow {
                        account_id: id,
                        account: sampled.name,
                        month,
                        state: "trial",
                        total_li: trial.total_li,
                        adjusted_li: Money::ZERO,
                        due_li: trial.total_li,
                        digest: None,
                    }
                }
            };
            due_li = sum(due_li, row.due_li)?;
            last = id;
            rows.push(row);
        }
        Ok(MonthPage { month, over: sampled_to(books, month.end())?, rows, next, due_li })
    }

    /// How many accounts have samples in a month and no issued statement of it; 0 where there are no tariffs.
    pub(in crate::engine) fn unissued(&self, month: Month) -> Result<u64> {
        let books = &self.inner.books;
        if versions(books)?.is_empty() {
            return Ok(0);
        }
        let mut count = 0;
        for (id, sampled) in books.all::<Sampled>()? {
            let before = sampled.first < month.end().first_hour().get();
            if before
                && books.get::<StatementRow>(&(id, key(month.get())))?.is_none()
                && !samples(books, id, month.first_day(), month.end(), 1)?.is_empty()
            {
                count += 1;
            }
        }
        Ok(count)
    }

    /// A month of all accounts, for an export.
    pub async fn billing_month_whole(&self, caller: &Caller, month: Month) -> Result<MonthPage> {
        caller.must_everywhere(Action::SeeBilling)?;
        let engine = self.clone();
        blocking(move || engine.month_page(month, 0, usize::MAX)).await
    }

    /// Issues a month: its bytes are kept, and what they were made from is locked. Only once it is over.
    pub async fn issue_statement(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        month: Month,
    ) -> Result<StatementView> {
        caller.must_everywhere(Action::ManageBilling)?;
        let (engine, account) = (self.clone(), account.clone());
        let (issued_by, issued_ms) = (Self::billed_by(caller), self.now().millis());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, name) = engine.billed(books, &account)?;
            books.change(|changes: &mut Changes| {
                let at = (id.get(), key(month.get()));
                if changes.get::<StatementRow>(&at)?.is_some() {
                    return refused(BillingRefusal::Issued);
                }
                if !sampled_to(books, month.end())? {
                    return refused(BillingRefusal::NotOver { month });
                }
                // The writer is alone: no tariff changes between this and the commit.
                let statement = engine.trial(books, id, &name, month, &versions(books)?)?;
                if statement.lines.is_empty() {
                    return refused(BillingRefusal::NoStatement);
                }
                let canonical = statement.canonical();
                let row = StatementRow {
                    digest: Statement::digest(&canonical),
                    canonical,
                    total_li: statement.total_li,
                    issued_ms,
                    issued_by,
                    adjusted_li: Money::ZERO,
                    adjustments: Vec::new(),
                    settled_ms: None,
                    settled_by: None,
                };
                changes.put(&at, &row)?;
                issued_view(row)
            })
        })
        .await
    }

    /// Enters a correction. The issued lines stay as they are.
    pub async fn adjust_statement(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        month: Month,
        amount_li: Money,
        reason: &str,
    ) -> Result<StatementView> {
        let reason = reason.trim().to_owned();
        let written = (1..=200).contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
        let (by, at_ms) = (Self::billed_by(caller), self.now().millis());
        self.change_statement(caller, account, month, move |row| {
            if !written || amount_li == Money::ZERO {
                return refused(BillingRefusal::BadAdjustment);
            }
            row.adjusted_li = sum(row.adjusted_li, amount_li)?;
            sum(row.total_li, row.adjusted_li)?;
            row.adjustments.push(Adjustment { amount_li, reason, at_ms, by });
            Ok(())
        })
        .await
    }

    /// Settles a statement: nothing of it is changed any more.
    pub async fn settle_statement(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        month: Month,
    ) -> Result<StatementView> {
        let (by, at_ms) = (Self::billed_by(caller), self.now().millis());
        self.change_statement(caller, account, month, move |row| {
            (row.settled_ms, row.settled_by) = (Some(at_ms), Some(by));
            Ok(())
        })
        .await
    }

    async fn change_statement(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        month: Month,
        change: impl FnOnce(&mut StatementRow) -> Result<()> + Send + 'static,
    ) -> Result<StatementView> {
        caller.must_everywhere(Action::ManageBilling)?;
        let (engine, account) = (self.clone(), account.clone());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, _) = engine.billed(books, &account)?;
            books.change(|changes: &mut Changes| {
                let at = (id.get(), key(month.get()));
                let Some(mut row) = changes.get::<StatementRow>(&at)? else {
                    return refused(BillingRefusal::NoStatement);
                };
                if row.settled_ms.is_some() {
                    return refused(BillingRefusal::Settled);
                }
                change(&mut row)?;
                changes.put(&at, &row)?;
                issued_view(row)
            })
        })
        .await
    }

    /// Computes an issued month again and compares the bytes.
    pub async fn verify_statement(&self, caller: &Caller, account: &BillingAccount, month: Month) -> Result<Verified> {
        caller.must(Action::SeeBilling)?;
        let (engine, caller, account) = (self.clone(), caller.clone(), account.clone());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, _) = engine.billed(books, &account)?;
            caller.must_on(Action::SeeBilling, id)?;
            let Some(row) = books.get::<StatementRow>(&(id.get(), key(month.get())))? else {
                return refused(BillingRefusal::NoStatement);
            };
            let issued = read(&row)?;
            let gigabyte = GigabyteSize::new(issued.bytes_per_gb).unwrap_or(GigabyteSize::STANDARD);
            let terms = Terms { gigabyte, zone: &issued.zone, versions: &versions(books)? };
            let again = compute(books, id, &issued.account, month, &terms)?.canonical();
            Ok(Verified {
                same: again == row.canonical && Statement::digest(&row.canonical) == row.digest,
                issued_digest: row.digest,
                computed_digest: Statement::digest(&again),
            })
        })
        .await
    }

    /// What is due in a month, against what the CRM has booked.
    pub async fn reconcile_month(&self, caller: &Caller, month: Month, theirs: Vec<Booked>) -> Result<Vec<Match>> {
        let page = self.billing_month_whole(caller, month).await?;
        let ours: Vec<_> =
            page.rows.into_iter().map(|row| Booked { account: row.account, amount: row.due_li }).collect();
        match reconcile(&ours, &theirs) {
            Some(found) => Ok(found),
            None => refused(BillingRefusal::TooLarge),
        }
    }

    fn trial(
        &self,
        books: &Books,
        id: AccountId,
        name: &str,
        month: Month,
        versions: &[(u64, Tariff)],
    ) -> Result<Statement> {
        let (gigabyte, zone) = (self.inner.store.catalog.settings().gigabyte, self.zone());
        compute(books, id, name, month, &Terms { gigabyte, zone: &zone, versions })
    }
}

/// What is the same for all accounts.
struct Terms<'a> {
    gigabyte: GigabyteSize,
    zone: &'a str,
    versions: &'a [(u64, Tariff)],
}

fn compute(books: &Books, id: AccountId, name: &str, month: Month, terms: &Terms<'_>) -> Result<Statement> {
    let samples = samples(books, id.get(), month.first_day(), month.end(), MONTH_MOST)?;
    let assigned = assignments(books, id.get())?;
    let spans = spans(month, &assigned, terms.versions);
    let period = Period {
        account_id: id.get(),
        account: name,
        month,
        zone: terms.zone,
        gigabyte: terms.gigabyte,
        spans: &spans,
        samples: &samples,
    };
    match Statement::compute(&period) {
        Ok(statement) => Ok(statement),
        Err(_) => refused(BillingRefusal::TooLarge),
    }
}

fn sum(a: Money, b: Money) -> Result<Money> {
    a.plus(b).map_or_else(|| refused(BillingRefusal::TooLarge), Ok)
}

fn read(row: &StatementRow) -> Result<Statement> {
    serde_json::from_str(&row.canonical).map_err(|error| Error::Broken(format!("read a statement: {error}").into()))
}

fn month_row(id: u64, name: &str, month: Month, row: &StatementRow) -> Result<MonthRow> {
    Ok(MonthRow {
        account_id: id,
        account: name.to_owned(),
        month,
        state: row.state(),
        total_li: row.total_li,
        adjusted_li: row.adjusted_li,
        due_li: sum(row.total_li, row.adjusted_li)?,
        digest: Some(row.digest.clone()),
    })
}

fn issued_view(row: StatementRow) -> Result<StatementView> {
    let view = |a: Adjustment| AdjustmentView { amount_li: a.amount_li, reason: a.reason, at_ms: a.at_ms, by: a.by };
    Ok(StatementView {
        state: row.state(),
        statement: read(&row)?,
        over: true,
        issued_ms: Some(row.issued_ms),
        issued_by: Some(row.issued_by),
        adjusted_li: row.adjusted_li,
        due_li: sum(row.total_li, row.adjusted_li)?,
        adjustments: row.adjustments.into_iter().map(view).collect(),
        settled_ms: row.settled_ms,
        settled_by: row.settled_by,
        digest: row.digest,
        canonical: row.canonical,
    })
}
