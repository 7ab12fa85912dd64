//! Settlement (费用结算, section 3) on paper: what a month costs an account, from samples and a tariff.
//!
//! Money is in 厘 (1/1000 元), quantities are byte-hours; nothing here is a fraction until a line's amount is rounded,
//! once, half up. `docs/billing.md` has the rules with worked examples, which a test computes. Absent: clocks, rows,
//! who may see what.

mod calendar;
mod money;
mod reconcile;
mod refusal;
mod sample;
mod statement;
mod tariff;
#[cfg(test)]
mod tests;

pub use calendar::{Day, Hour, Month, zone_text};
pub use money::Money;
pub use reconcile::{Booked, Match, Outcome, reconcile};
pub use refusal::{BillingRefusal, TariffFault};
pub use sample::Sample;
pub use statement::{Charge, Line, Period, Statement, TooLarge, gb_months};
pub use tariff::{Assignment, Basis, PRICE_MAX, Rule, Span, Tariff, Tier, spans};
