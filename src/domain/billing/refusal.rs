//! Why settlement says no.

use super::calendar::Month;

/// Why a tariff, an assignment or a statement was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillingRefusal {
    /// A tariff that makes no sense.
    #[error("the tariff is not right: {why}")]
    BadTariff {
        /// What is wrong.
        why: TariffFault,
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
}

/// What is wrong with a tariff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TariffFault {
    /// Its name.
    #[error("a name has 1 to 64 characters, and no white space at its ends")]
    Name,
    /// Its days, or those of an assignment.
    #[error("it ends before it begins")]
    Ends,
    /// The least that a month costs.
    #[error("the minimum is from 0 to 1,000,000,000 元")]
    Minimum,
    /// A price of a GB-month.
    #[error("a price of a GB-month is from 0 to 1,000,000 元")]
    Price,
    /// What a package includes.
    #[error("a package has at most 4294967295 GB")]
    Package,
    /// What a package costs.
    #[error("a package costs from 0 to 1,000,000,000 元")]
    PackagePrice,
    /// None, or too many.
    #[error("there are 1 to 20 tiers")]
    TierCount,
    /// Where they end.
    #[error("tiers end in ascending order, and the last one has no end")]
    TierOrder,
}
