//! Our amounts against those of the CRM.

use std::collections::BTreeMap;

use super::money::Money;

/// What one side has booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The account's name.
    pub account: String,
    /// How much.
    pub amount: Money,
}

/// What came of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Both have booked something else.
    Differs,
    /// The CRM has not booked it.
    OnlyOurs,
    /// We have not booked it.
    OnlyTheirs,
    /// Both have booked the same.
    Matches,
}

/// An account on both sides.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Match {
    /// Its name.
    pub account: String,
    /// What we have booked.
    pub ours_li: Option<Money>,
    /// What the CRM has booked.
    pub theirs_li: Option<Money>,
    /// Ours less theirs, where one is missing it counts as nothing.
    pub difference_li: Money,
    /// What came of it.
    pub outcome: Outcome,
}

/// Compares by name; several bookings of an account are added up. What does not match comes first, then by name.
/// `None` past what can be named.
pub fn reconcile(ours: &[Booked], theirs: &[Booked]) -> Option<Vec<Match>> {
    let mut both: BTreeMap<&str, [Option<Money>; 2]> = BTreeMap::new();
    for (side, booked) in [ours, theirs].into_iter().enumerate() {
        for Booked { account, amount } in booked {
            let sum = &mut both.entry(account.trim()).or_default()[side];
            *sum = Some(sum.unwrap_or_default().plus(*amount)?);
        }
    }
    let mut out = Vec::with_capacity(both.len());
    for (account, [ours, theirs]) in both {
        let outcome = match (ours, theirs) {
            (Some(a), Some(b)) if a == b => Outcome::Matches,
            (_, None) => Outcome::OnlyOurs,
            (None, _) => Outcome::OnlyTheirs,
            _ => Outcome::Differs,
        };
        let difference_li = ours.unwrap_or_default().minus(theirs.unwrap_or_default())?;
        out.push(Match { account: account.to_owned(), ours_li: ours, theirs_li: theirs, difference_li, outcome });
    }
    out.sort_by_key(|found| found.outcome);
    Some(out)
}
