//! Tariffs, and who has which. Nothing that an issued month was made from is changed.

use super::rows::{AssignmentRow, Sampled, TariffRow};
use super::{AssignmentView, BillingAccount, TariffView, key, locked, refused};
use crate::books::{Books, Changes};
use crate::domain::billing::{Assignment, BillingRefusal, Day, Tariff, TariffFault};
use crate::domain::{AccountId, Action};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};

impl Engine {
    /// All versions of all tariffs, in the order in which they were entered.
    pub async fn tariffs(&self, caller: &Caller) -> Result<Vec<TariffView>> {
        caller.must_everywhere(Action::SeeBilling)?;
        let books = self.inner.books.clone();
        let rows = blocking(move || Ok(books.all::<TariffRow>()?)).await?;
        Ok(rows.into_iter().map(|(version, row)| view(version, row)).collect())
    }

    /// Enters a version of a tariff, which takes over at its first day where there is one of its name.
    pub async fn add_tariff(&self, caller: &Caller, tariff: Tariff) -> Result<TariffView> {
        caller.must_everywhere(Action::ManageBilling)?;
        if let Err(refusal) = tariff.check() {
            return refused(refusal);
        }
        let (engine, by, now) = (self.clone(), Self::billed_by(caller), self.now());
        blocking(move || {
            let books = &engine.inner.books;
            books.change(|changes: &mut Changes| {
                // The writer is alone: what is read now is what there is.
                let all = books.all::<TariffRow>()?;
                if all.iter().any(|(_, row)| row.tariff.name == tariff.name && row.tariff.from == tariff.from) {
                    return refused(BillingRefusal::TariffExists);
                }
                let having = books.all::<AssignmentRow>()?;
                for ((account, _), _) in having.iter().filter(|(_, row)| row.tariff.as_ref() == Some(&tariff.name)) {
                    engine.must_be_open(books, *account, tariff.from)?;
                }
                let version = all.last().map_or(1, |(last, _)| last + 1);
                let row = TariffRow { tariff, created_ms: now.millis(), by };
                changes.put(&version, &row)?;
                Ok(view(version, row))
            })
        })
        .await
    }

    /// Who has which tariff from which day on; of one account, or of all.
    pub async fn tariff_assignments(
        &self,
        caller: &Caller,
        account: Option<&BillingAccount>,
    ) -> Result<Vec<AssignmentView>> {
        caller.must_everywhere(Action::SeeBilling)?;
        let (engine, account) = (self.clone(), account.cloned());
        blocking(move || {
            let books = &engine.inner.books;
            let rows = match &account {
                None => books.all::<AssignmentRow>()?,
                Some(account) => {
                    let id = engine.billed(books, account)?.0.get();
                    books.scan::<AssignmentRow>(&(id, 0), |&(of, _), _| of == id)?
                }
            };
            rows.into_iter().map(|(at, row)| engine.assignment_view(books, at, row)).collect()
        })
        .await
    }

    /// Gives an account a tariff from a day on (`None`: none), until the next assignment, or before `to`.
    pub async fn assign_tariff(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        tariff: Option<String>,
        from: Day,
        to: Option<Day>,
    ) -> Result<AssignmentView> {
        caller.must_everywhere(Action::ManageBilling)?;
        if to.is_some_and(|to| to <= from) {
            return refused(BillingRefusal::BadTariff { why: TariffFault::Ends });
        }
        let (engine, account) = (self.clone(), account.clone());
        let (by, created_ms) = (Self::billed_by(caller), self.now().millis());
        blocking(move || {
            let books = &engine.inner.books;
            let id = engine.billed(books, &account)?.0.get();
            let row = books.change(|changes: &mut Changes| {
                if let Some(name) = &tariff
                    && !books.all::<TariffRow>()?.iter().any(|(_, row)| row.tariff.name == *name)
                {
                    return refused(BillingRefusal::NoTariff);
                }
                engine.must_be_open(books, id, from)?;
                let before = assignments(books, id)?;
                // What held before holds again after `to`, where nothing begins there.
                if let Some(to) = to
                    && !before.iter().any(|a| a.from == to)
                {
                    let held = before.iter().filter(|a| a.from <= to).max_by_key(|a| a.from);
                    let tariff = held.and_then(|a| a.tariff.clone());
                    changes.put(&(id, key(to.get())), &AssignmentRow { tariff, created_ms, by: by.clone() })?;
                }
                let row = AssignmentRow { tariff, created_ms, by };
                changes.put(&(id, key(from.get())), &row)?;
                Ok(row)
            })?;
            engine.assignment_view(books, (id, key(from.get())), row)
        })
        .await
    }

    fn assignment_view(&self, books: &Books, (id, from): (u64, u64), row: AssignmentRow) -> Result<AssignmentView> {
        let open = self.account_name(AccountId::new(id));
        let name = if open.is_empty() { books.get::<Sampled>(&id)?.map(|row| row.name) } else { Some(open) };
        Ok(AssignmentView {
            account_id: id,
            account: name.unwrap_or_default(),
            from: Day::new(i64::try_from(from).unwrap_or(0)),
            tariff: row.tariff,
            created_ms: row.created_ms,
            by: row.by,
        })
    }

    /// Whether nothing from this day on is issued to the account.
    fn must_be_open(&self, books: &Books, account: u64, from: Day) -> Result<()> {
        let Some(month) = locked(books, account, from.month())? else { return Ok(()) };
        let name = self.account_name(AccountId::new(account));
        refused(BillingRefusal::Locked { month, account: name })
    }
}

/// An account's assignments, by day.
pub(super) fn assignments(books: &Books, account: u64) -> Result<Vec<Assignment>> {
    let rows = books.scan::<AssignmentRow>(&(account, 0), |&(of, _), _| of == account)?;
    let read = |((_, from), row): ((u64, u64), AssignmentRow)| Assignment {
        from: Day::new(i64::try_from(from).unwrap_or(0)),
        tariff: row.tariff,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// All versions of all tariffs.
pub(super) fn versions(books: &Books) -> Result<Vec<(u64, Tariff)>> {
    Ok(books.all::<TariffRow>()?.into_iter().map(|(version, row)| (version, row.tariff)).collect())
}

fn view(version: u64, row: TariffRow) -> TariffView {
    TariffView { version, tariff: row.tariff, created_ms: row.created_ms, by: row.by }
}
