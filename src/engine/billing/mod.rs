//! Settlement: hourly samples, tariffs, statements. Section 3, business portal; the rules are in `domain::billing`.

mod exports;
mod rows;
mod sampling;
mod statements;
mod tariffs;
mod views;

pub use exports::{Export, charge_words};
pub use views::{
    AdjustmentView, AssignmentView, BillingAccount, MonthPage, MonthRow, SamplePage, SampleView, StatementView,
    TariffView, Verified,
};

use self::rows::{Sampled, StatementRow};
use super::types::Who;
use super::{Caller, Engine, Result};
use crate::books::Books;
use crate::domain::billing::{BillingRefusal, Month, zone_text};
use crate::domain::{AccountId, Refusal};

fn refused<T>(refusal: BillingRefusal) -> Result<T> {
    Err(Refusal::Billing(refusal).into())
}

/// A number of the calendar as a key: there are none before 1970.
fn key(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The first issued month of an account that ends after `from`.
fn locked(books: &Books, account: u64, from: Month) -> Result<Option<Month>> {
    let mut first = None;
    books.scan::<StatementRow>(&(account, key(from.get())), |&(of, month), _| {
        if of == account {
            first = i64::try_from(month).ok().and_then(Month::new);
        }
        false
    })?;
    Ok(first)
}

impl Engine {
    /// Who a caller is, as rows name it.
    fn billed_by(caller: &Caller) -> String {
        match &caller.who {
            Who::User { name, .. } => name.to_string(),
            Who::Camera { .. } | Who::Administrator { .. } | Who::Platform { .. } | Who::Operator => {
                "operator".to_owned()
            }
        }
    }

    fn zone(&self) -> String {
        zone_text(self.config().zone_minutes)
    }

    /// The name of an account that is open, or was when it was last sampled; else its number.
    pub(in crate::engine) fn name_of_account(&self, id: AccountId) -> Result<String> {
        match self.billed(&self.inner.books, &BillingAccount::Number(id.get())) {
            Ok((_, name)) => Ok(name),
            Err(super::Error::Refused(_)) => Ok(format!("@{}", id.get())),
            Err(error) => Err(error),
        }
    }

    /// The number and the name of an account that is open, or was when it was last sampled.
    fn billed(&self, books: &Books, account: &BillingAccount) -> Result<(AccountId, String)> {
        let open = {
            let catalog = self.inner.store.catalog.read();
            match account {
                BillingAccount::Name(name) => catalog.names.get(name).map(|id| (*id, name.clone())),
                BillingAccount::Number(number) => {
                    let id = AccountId::new(*number);
                    catalog.accounts.get(&id).map(|row| (id, row.name.as_str().to_owned()))
                }
            }
        };
        if let Some(open) = open {
            return Ok(open);
        }
        let closed = match account {
            BillingAccount::Number(number) => books.get::<Sampled>(number)?.map(|row| (*number, row.name)),
            // Of several closed ones of a name, the last.
            BillingAccount::Name(name) => {
                let all = books.all::<Sampled>()?.into_iter().rev();
                all.map(|(number, row)| (number, row.name)).find(|(_, known)| known == name)
            }
        };
        let (number, name) = closed.ok_or(Refusal::NoAccount)?;
        Ok((AccountId::new(number), name))
    }
}
