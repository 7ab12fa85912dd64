//! Who calls, and for which sub-account: results 1 to 4, in this order.

use crate::domain::{Refusal, Secret};
use crate::engine::{Caller, Engine, Error, Result, SubAccountRef};
use crate::wire::soap::{BadField, Fields};

/// `Account` and `Password` as they were sent. What is absent, empty or nil is its failure, not a Fault.
#[derive(Debug)]
pub(super) struct AccountLogin {
    name: Option<String>,
    password: Option<Secret>,
}

/// The account's login with `S3AK` and `S3SK`.
#[derive(Debug)]
pub(super) struct SubAccountLogin {
    account: AccountLogin,
    access_key: Option<String>,
    secret: Option<Secret>,
}

// === impl AccountLogin ===

impl AccountLogin {
    pub(super) fn read(fields: &Fields) -> std::result::Result<Self, BadField> {
        Ok(Self { name: fields.text("Account")?.map(str::to_owned), password: fields.secret("Password")? })
    }

    /// Results 1 and 2.
    pub(super) fn sign_in(&self, engine: &Engine) -> Result<Caller> {
        let name = self.name.as_deref().ok_or(Error::Refused(Refusal::NoAccount))?;
        let caller = engine.sign_in(name, self.password.as_ref().map_or("", Secret::expose))?;
        // The engine was asked even so: an account that is not there comes first.
        if self.password.is_none() { Err(Error::Refused(Refusal::WrongPassword)) } else { Ok(caller) }
    }
}

// === impl SubAccountLogin ===

impl SubAccountLogin {
    pub(super) fn read(fields: &Fields) -> std::result::Result<Self, BadField> {
        Ok(Self {
            account: AccountLogin::read(fields)?,
            access_key: fields.text("S3AK")?.map(str::to_owned),
            secret: fields.secret("S3SK")?,
        })
    }

    /// Results 1 to 4.
    pub(super) fn sign_in(&self, engine: &Engine) -> Result<(Caller, SubAccountRef)> {
        let caller = self.account.sign_in(engine)?;
        let key = self.access_key.as_deref().ok_or(Error::Refused(Refusal::NoSubAccount))?;
        let sub_account = engine.sub_account(&caller, key, self.secret.as_ref().map_or("", Secret::expose))?;
        if self.secret.is_none() { Err(Error::Refused(Refusal::WrongSecret)) } else { Ok((caller, sub_account)) }
    }

    /// The key, for the audit log.
    pub(super) fn target(&self) -> String {
        self.access_key.as_deref().unwrap_or_default().chars().take(128).collect()
    }
}

#[cfg(test)]
impl SubAccountLogin {
    /// What a golden request has to have said.
    pub(super) fn is(&self, account: &str, password: &str, access_key: &str, secret: &str) -> bool {
        self.account.is(account, password)
            && self.access_key.as_deref() == Some(access_key)
            && self.secret.as_ref().is_some_and(|s| s.matches(secret))
    }
}

#[cfg(test)]
impl AccountLogin {
    pub(super) fn is(&self, account: &str, password: &str) -> bool {
        self.name.as_deref() == Some(account) && self.password.as_ref().is_some_and(|p| p.matches(password))
    }
}
