//! Why settlement says no.

use super::calendar::Month;

/// Why a tariff, an assignment or a statement was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillingRefusal {
    /// A tariff that makes no sense.
    #[error("the tariff is not right: {why}")]
    BadTariff {
        /// What is wrong.
        why: &'static str,
    },
    /// A version of this name begins on the same day.
    #[error("a version of this tariff begins on this day already")]
    TariffExists,
    /// No tariff of this name.
    #[error("there is no tariff of this name")]
    NoTariff,
    /// It would change a month that is issued.
    #[error("{month} of {account} is issued: what it was made from cannot be changed any more")]
    Locked {
        /// The month.
        month: Month,
        /// Whose.
        account: String,
    },
    /// The month has hours that are not sampled yet.
    #[error("{month} is not over yet")]
    NotOver {
        /// The month.
        month: Month,
    },
    /// Issuing twice.
    #[error("the statement is issued already")]
    Issued,
    /// No statement was issued.
    #[error("there is no such statement")]
    NoStatement,
    /// Adjusting what is settled, or settling twice.
    #[error("the statement is settled; nothing is changed any more")]
    Settled,
    /// A correction without a reason, or of nothing.
    #[error("a correction has a reason of 1 to 200 characters, and an amount that is not 0")]
    BadAdjustment,
    /// An amount past what can be named.
    #[error("an amount is larger than can be written")]
    TooLarge,
    /// A file of the CRM that cannot be read.
    #[error("the file cannot be read: {why}")]
    BadCrmFile {
        /// What is wrong, and where.
        why: String,
    },
}
