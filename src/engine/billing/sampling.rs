//! Counting, once an hour, what each account has. What is counted stays when the account is closed.

use super::rows::{SampleRow, Sampled, SampledUntil};
use super::{BillingAccount, SamplePage, SampleView, key, locked, refused};
use crate::books::{Books, Changes};
use crate::domain::billing::{BillingRefusal, Day, Hour, Sample};
use crate::domain::{AccountId, Action, Bytes, Gigabytes};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Result};

/// Hours that nobody counted are made up for so far back: 400 days. Older ones have no samples.
const CARRIED_MOST: i64 = 400 * 24;
/// Hours made up for in one change.
const CARRIED_AT_A_TIME: i64 = 24;
/// Samples that are read in one go.
const SAMPLES_MOST: usize = 800;

/// An account's number, its name, and what is counted of it.
type Counted = (u64, String, Sample);

impl Engine {
    /// Brings the samples up to the present hour; whether there is more to do. However often it is called in an
    /// hour, the hour has one sample: the first.
    pub(in crate::engine) async fn sample(&self) -> Result<bool> {
        let hour = Hour::of(self.now(), self.config().zone_minutes);
        let (books, counted) = (self.inner.books.clone(), self.counted(hour));
        blocking(move || sample(&books, hour, &counted)).await
    }

    /// What each open account has now.
    fn counted(&self, hour: Hour) -> Vec<Counted> {
        let catalog = self.inner.store.catalog.read();
        let of = |id: &AccountId| {
            let subs = catalog.of_account.get(id).into_iter().flatten();
            let subs = subs.filter_map(|sub| catalog.sub_accounts.get(sub)).map(|sub| &sub.stats);
            let area = catalog.areas.get(id).into_iter().flat_map(|area| &area.buckets);
            let own = area.filter_map(|own| catalog.own_buckets.get(own)).map(|own| &own.stats);
            let (mut used, mut files) = (0_u64, 0_u64);
            for stats in subs.chain(own) {
                used = used.saturating_add(stats.used());
                files = files.saturating_add(stats.files[0]).saturating_add(stats.files[1]);
            }
            let handed_out = catalog.handed_out.get(id).and_then(|gb| u32::try_from(*gb).ok());
            let handed_out = Gigabytes::new(handed_out.unwrap_or(0)).unwrap_or(Gigabytes::MAX);
            Sample { hour, handed_out, used: Bytes::new(used), files, carried: false }
        };
        catalog.accounts.iter().map(|(id, row)| (id.get(), row.name.as_str().to_owned(), of(id))).collect()
    }

    /// The samples of days of an account, at most 800. A province sees those of months that are issued to it.
    pub async fn billing_samples(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        from: Day,
        to: Day,
    ) -> Result<SamplePage> {
        let scope = caller.must(Action::SeeBilling)?;
        let (engine, caller, account) = (self.clone(), caller.clone(), account.clone());
        blocking(move || {
            let books = &engine.inner.books;
            let (id, name) = engine.billed(books, &account)?;
            caller.must_on(Action::SeeBilling, id)?;
            if scope.is_some() && locked(books, id.get(), from.month())? != Some(from.month()) {
                return refused(BillingRefusal::NoStatement);
            }
            // One month for a province: the one that was looked at.
            let to = if scope.is_some() { to.min(from.month().end()) } else { to };
            let samples = samples(books, id.get(), from, to, SAMPLES_MOST)?;
            let view = |sample: Sample| SampleView {
                hour: sample.hour.get(),
                at: sample.hour.to_string(),
                handed_out_gb: sample.handed_out.get(),
                used_bytes: sample.used.get(),
                files: sample.files,
                carried: sample.carried,
            };
            Ok(SamplePage { account_id: id.get(), account: name, samples: samples.into_iter().map(view).collect() })
        })
        .await
    }
}

/// See [`Engine::sample`].
fn sample(books: &Books, hour: Hour, counted: &[Counted]) -> Result<bool> {
    let until = books.get::<SampledUntil>(&0)?.map(|row| row.hour);
    let Some(until) = until else {
        return write(books, hour, counted.iter().map(|(id, name, sample)| (*id, name, *sample)).collect());
    };
    if until >= hour.get() {
        return Ok(false);
    }
    if until + 1 < hour.get() {
        let first = (until + 1).max(hour.get() - CARRIED_MOST);
        let end = Hour::new((first + CARRIED_AT_A_TIME).min(hour.get()));
        let mut carried = Vec::new();
        for (id, name, _) in counted {
            if let Some(row) = books.get::<SampleRow>(&(*id, key(until)))? {
                let last = row.sample(key(until));
                carried.extend(last.carried_until(end, end.get() - first).map(|sample| (*id, name, sample)));
            }
        }
        tracing::info!(from = %Hour::new(first), to = %end, "hours that nobody counted have the values before them");
        write(books, Hour::new(end.get() - 1), carried)?;
        return Ok(true);
    }
    write(books, hour, counted.iter().map(|(id, name, sample)| (*id, name, *sample)).collect())
}

fn write(books: &Books, until: Hour, samples: Vec<(u64, &String, Sample)>) -> Result<bool> {
    books.change(|changes: &mut Changes| {
        for (id, name, sample) in samples {
            if changes.get::<Sampled>(&id)?.is_none() {
                changes.put(&id, &Sampled { name: name.clone(), first: sample.hour.get() })?;
            }
            changes.put(&(id, key(sample.hour.get())), &SampleRow::of(&sample))?;
        }
        changes.put(&0, &SampledUntil { hour: until.get() })?;
        Ok(false)
    })
}

/// The samples of an account from a day to another (excluded), at most `most`.
pub(super) fn samples(books: &Books, account: u64, from: Day, to: Day, most: usize) -> Result<Vec<Sample>> {
    let end = key(to.first_hour().get());
    let mut left = most;
    let rows = books.scan::<SampleRow>(&(account, key(from.first_hour().get())), |&(of, hour), _| {
        let there = of == account && hour < end && left > 0;
        left = left.saturating_sub(1);
        there
    })?;
    Ok(rows.into_iter().map(|((_, hour), row)| row.sample(hour)).collect())
}

/// Whether every hour before this day is sampled.
pub(super) fn sampled_to(books: &Books, day: Day) -> Result<bool> {
    let until = books.get::<SampledUntil>(&0)?;
    Ok(until.is_some_and(|row| row.hour >= day.first_hour().get()))
}
