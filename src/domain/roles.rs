//! Who may do what in the portals and over the JSON API: one table, and a test that reads like it.

use serde::{Deserialize, Serialize};

/// What a portal user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Operations staff (section 3, business portal): accounts, space, settlement, statistics of the whole box. They see
    /// no recordings: whose shop it is is none of their business.
    Operations,
    /// A province's administrator (section 3): everything of one account.
    Province,
    /// Looks at files of one account and changes nothing.
    Viewer,
    /// Looks at the whole box's books and changes nothing; sees no recordings.
    Auditor,
}

/// What can be done. A route, a command and an engine's use case name one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Health of the box, disks, totals.
    SeeOverview,
    /// Accounts and sub-accounts with their space and counters; never their secrets.
    SeeSpace,
    /// Open, change, suspend, close accounts; their passwords and administration keys.
    ManageAccounts,
    /// Open, resize, clear, close sub-accounts of an account; loop on and off; names of cameras.
    ManageSubAccounts,
    /// A sub-account's secret key, shown once again.
    SeeKeys,
    /// Search, play and download files.
    SeeFiles,
    /// Lock, unlock and delete files.
    ChangeFiles,
    /// Numbers over time.
    SeeStatistics,
    /// Statements.
    SeeBilling,
    /// Tariffs; trial, issue, adjust and settle statements.
    ManageBilling,
    /// The outbox and its history.
    SeeAlerts,
    /// Resend, acknowledge, comment; a test alert.
    ManageAlerts,
    /// The audit log.
    SeeAudit,
    /// Portal users and their sessions.
    ManageUsers,
    /// Scrub, index check, reload, backup.
    Operate,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Operations, Self::Province, Self::Viewer, Self::Auditor];

    /// Its word in commands and in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Province => "province",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// Whether its users belong to one account and see nothing of another.
    pub const fn of_one_account(self) -> bool {
        matches!(self, Self::Province | Self::Viewer)
    }

    /// Whether it may do this: everywhere, or in its own account where it is of one.
    pub const fn may(self, action: Action) -> bool {
        use Action::{
            ChangeFiles, ManageAccounts, ManageAlerts, ManageBilling, ManageSubAccounts, ManageUsers, Operate,
            SeeAlerts, SeeAudit, SeeBilling, SeeFiles, SeeKeys, SeeOverview, SeeSpace, SeeStatistics,
        };
        match self {
            Self::Operations => !matches!(action, SeeFiles | ChangeFiles | SeeKeys | ManageSubAccounts),
            Self::Province => {
                !matches!(action, SeeOverview | ManageAccounts | ManageBilling | ManageAlerts | ManageUsers | Operate)
            }
            Self::Viewer => matches!(action, SeeFiles | SeeSpace),
            Self::Auditor => {
                matches!(action, SeeOverview | SeeSpace | SeeStatistics | SeeBilling | SeeAlerts | SeeAudit)
            }
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or_else(|| format!("{text:?} is no role; there are operations, province, viewer and auditor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_who_may_what() {
        let table = [
            // action, operations, province, viewer, auditor
            (Action::SeeOverview, [true, false, false, true]),
            (Action::SeeSpace, [true, true, true, true]),
            (Action::ManageAccounts, [true, false, false, false]),
            (Action::ManageSubAccounts, [false, true, false, false]),
            (Action::SeeKeys, [false, true, false, false]),
            (Action::SeeFiles, [false, true, true, false]),
            (Action::ChangeFiles, [false, true, false, false]),
            (Action::SeeStatistics, [true, true, false, true]),
            (Action::SeeBilling, [true, true, false, true]),
            (Action::ManageBilling, [true, false, false, false]),
            (Action::SeeAlerts, [true, true, false, true]),
            (Action::ManageAlerts, [true, false, false, false]),
            (Action::SeeAudit, [true, true, false, true]),
            (Action::ManageUsers, [true, false, false, false]),
            (Action::Operate, [true, false, false, false]),
        ];
        for (action, allowed) in table {
            for (role, allowed) in Role::ALL.into_iter().zip(allowed) {
                assert_eq!(role.may(action), allowed, "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn a_role_is_found_by_its_word() {
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().unwrap_err().contains("auditor"));
    }
}
