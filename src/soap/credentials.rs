//! Who calls, and for which sub-account: results 1 to 4, in this order.

use super::calls::From;
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
    pub(super) async fn sign_in(&self, engine: &Engine, from: From) -> Result<Caller> {
        self.sign_in_with(async |name, password| engine.sign_in_from(name, password, from).await).await
    }

    async fn sign_in_with<T>(&self, ask: impl AsyncFnOnce(&str, &str) -> Result<T>) -> Result<T> {
        let name = self.name.as_deref().ok_or(Error::Refused(Refusal::NoAccount))?;
        let caller = ask(name, self.password.as_ref().map_or("", Secret::expose)).await?;
        // Asked even so: an account that is not there comes first.
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
    pub(super) async fn sign_in(&self, engine: &Engine, from: From) -> Result<(Caller, SubAccountRef)> {
        let caller = self.account.sign_in(engine, from).await?;
        let ask = async |key: &str, secret: &str| engine.sub_account_from(&caller, key, secret, from).await;
        let sub_account = self.check_with(ask).await?;
        Ok((caller, sub_account))
    }

    async fn check_with<T>(&self, ask: impl AsyncFnOnce(&str, &str) -> Result<T>) -> Result<T> {
        let key = self.access_key.as_deref().ok_or(Error::Refused(Refusal::NoSubAccount))?;
        let sub_account = ask(key, self.secret.as_ref().map_or("", Secret::expose)).await?;
        if self.secret.is_none() { Err(Error::Refused(Refusal::WrongSecret)) } else { Ok(sub_account) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T>) -> Option<Refusal> {
        match result {
            Err(Error::Refused(why)) => Some(why),
            Ok(_) | Err(Error::Busy(_) | Error::NoRoom | Error::Unavailable(_) | Error::Broken(_)) => None,
        }
    }

    fn login(name: Option<&str>, password: Option<&str>) -> AccountLogin {
        AccountLogin { name: name.map(str::to_owned), password: password.map(Secret::new) }
    }

    #[tokio::test]
    async fn a_credential_that_is_missing_is_its_failure() {
        let lets_in = async |_: &str, _: &str| Ok(());
        let knows_nobody = async |_: &str, _: &str| Err::<(), _>(Error::Refused(Refusal::NoAccount));
        assert_eq!(refused(login(None, Some("p")).sign_in_with(lets_in).await), Some(Refusal::NoAccount));
        assert_eq!(refused(login(None, None).sign_in_with(lets_in).await), Some(Refusal::NoAccount));
        assert_eq!(refused(login(Some("a"), None).sign_in_with(lets_in).await), Some(Refusal::WrongPassword));
        assert_eq!(refused(login(Some("a"), None).sign_in_with(knows_nobody).await), Some(Refusal::NoAccount));
        assert!(login(Some("a"), Some("p")).sign_in_with(lets_in).await.is_ok());
        let keys = |key: Option<&str>, secret: Option<&str>| SubAccountLogin {
            account: login(Some("a"), Some("p")),
            access_key: key.map(str::to_owned),
            secret: secret.map(Secret::new),
        };
        let knows_none = async |_: &str, _: &str| Err::<(), _>(Error::Refused(Refusal::NoSubAccount));
        assert_eq!(refused(keys(None, Some("s")).check_with(lets_in).await), Some(Refusal::NoSubAccount));
        assert_eq!(refused(keys(Some("k"), None).check_with(lets_in).await), Some(Refusal::WrongSecret));
        assert_eq!(refused(keys(Some("k"), None).check_with(knows_none).await), Some(Refusal::NoSubAccount));
        assert!(keys(Some("k"), Some("s")).check_with(lets_in).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_sent_is_what_is_asked_for() {
        let asked = login(Some("a"), Some(" p"))
            .sign_in_with(async |name: &str, password: &str| Ok((name.to_owned(), password.to_owned())))
            .await;
        assert_eq!(asked.ok(), Some(("a".to_owned(), " p".to_owned())));
    }
}
