//! Users of the portals on paper: their names, and what a password must be.

use std::fmt;
use std::str::FromStr;

use super::ids::BadName;

/// Characters of a password, least and most.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 10..=256;
/// Passwords that everybody tries first, long enough to pass for one; in lower case.
const COMMON: [&str; 24] = [
    "1234567890",
    "0123456789",
    "0987654321",
    "1111111111",
    "0000000000",
    "8888888888",
    "6666666666",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "q1w2e3r4t5",
    "qwertyuiop",
    "qwerty123456",
    "asdfghjkl;",
    "abcdefghij",
    "abcd123456",
    "abc1234567890",
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "admin123456",
    "administrator",
    "woaini1314520",
    "iloveyou123",
];

/// A portal user's name: 1 to 64 letters, digits and `._-@`, in any script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why a use case of users and sessions said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserRefusal {
    /// Signing in: which of the two is wrong is not said.
    #[error("the user name or the password is wrong")]
    WrongSignIn,
    /// Signing in, with the second factor on and no code sent.
    #[error("the code of the authenticator is needed")]
    CodeNeeded,
    /// The code is wrong, or was used.
    #[error("the code of the authenticator is wrong or was used already")]
    WrongCode,
    /// Guessed too often.
    #[error("too many failures; try again in {seconds} seconds")]
    Slow {
        /// How long, rounded up.
        seconds: u64,
    },
    /// The session is over, or there never was one.
    #[error("nobody is signed in; the session may be over")]
    NoSession,
    /// The setup code is wrong.
    #[error("the setup code is wrong; the server prints it at its start")]
    WrongSetupCode,
    /// There are users already.
    #[error("the appliance is set up already; sign in")]
    SetUp,
    /// No such user.
    #[error("there is no user of this name")]
    NoUser,
    /// The name is taken.
    #[error("a user of this name exists already")]
    UserExists,
    /// The password will not do.
    #[error(transparent)]
    WeakPassword(PasswordFault),
    /// A role of one account without an account, or the other way round.
    #[error("users of the roles province and viewer belong to one account, those of operations and auditor to none")]
    AccountOfRole,
    /// The last user who could make users.
    #[error("this is the last user of the role operations who can sign in")]
    LastOperations,
}

/// Why a password will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Too short, or endless.
    #[error("a password has 10 to 256 characters")]
    Length,
    /// The user's name is in it.
    #[error("a password does not contain the user's name")]
    HasName,
    /// Fewer than four different characters, or one of those that everybody uses.
    #[error("this password is one of those that everybody tries first")]
    Common,
}

/// Whether a password will do for this user.
///
/// # Errors
/// What is wrong with it.
pub fn check_password(name: &UserName, password: &str) -> Result<(), UserRefusal> {
    let refuse = |what| Err(UserRefusal::WeakPassword(what));
    if !PASSWORD_CHARS.contains(&password.chars().count()) {
        return refuse(PasswordFault::Length);
    }
    let lower = password.to_lowercase();
    if lower.contains(&name.as_str().to_lowercase()) && name.as_str().chars().count() > 2 {
        return refuse(PasswordFault::HasName);
    }
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 4 || COMMON.contains(&lower.as_str()) {
        return refuse(PasswordFault::Common);
    }
    Ok(())
}

// === impl UserName ===

impl UserName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let fine = |c: char| c.is_alphanumeric() || "._-@".contains(c);
        if !(1..=64).contains(&text.chars().count()) || !text.chars().all(fine) {
            return Err(BadName::UserName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_the_first_that_one_would_try() {
        let name: UserName = "zhangsan".parse().unwrap();
        for good in ["correct horse battery", "看店云存储的口令一二三", "x7!Kq0_pL2"] {
            assert_eq!(check_password(&name, good), Ok(()), "{good}");
        }
        for bad in ["short", "Password123", "1234567890", "aaaaaaaaaaaaa", "ZhangSan2026!!", &"x1y2".repeat(65)] {
            assert!(check_password(&name, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_name_is_a_word() {
        for good in ["a", "张三", "ops-1@gd.example"] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "<a>", &"x".repeat(65)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
    }
}
