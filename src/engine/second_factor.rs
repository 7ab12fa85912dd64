//! The second factor of portal users: a code that changes every 30 seconds (RFC 6238), if they want one.

use totp_rs::{Builder, Totp};

use super::types::Who;
use super::users::{UserRow, refused};
use super::{Caller, Engine, Error, Result};
use crate::books::Changes;
use crate::domain::users::UserRefusal;
use crate::domain::{Refusal, Secret};

/// What an authenticator is told.
#[derive(Clone, Debug)]
pub struct NewSecondFactor {
    /// The secret, base32, to be typed in.
    pub secret: Secret,
    /// The same as an `otpauth:` address.
    pub url: Secret,
}

pub(super) fn context(user: &str) -> Vec<u8> {
    format!("users/{user}/totp").into_bytes()
}

pub(super) fn totp(user: &str, secret: &Secret) -> Result<Totp> {
    let broken = |error: String| Error::Broken(format!("a second factor: {error}").into());
    let secret = totp_rs::Secret::try_from_base32(secret.expose()).map_err(|error| broken(error.to_string()))?;
    let builder = Builder::new().with_secret(secret).with_account_name(user).with_issuer(Some("kandian"));
    builder.build().map_err(|error| broken(error.to_string()))
}

fn own_name(caller: &Caller) -> Result<String> {
    match &caller.who {
        Who::User { name, .. } => Ok(name.to_string()),
        _ => Err(Refusal::Forbidden.into()),
    }
}

impl Engine {
    /// A secret for the authenticator of the user who asks. Nothing is kept before [`Engine::confirm_second_factor`].
    pub fn new_second_factor(&self, caller: &Caller) -> Result<NewSecondFactor> {
        let user = own_name(caller)?;
        let secret = totp_rs::Secret::from(self.inner.world.entropy.bytes::<20>());
        let secret = Secret::new(secret.to_base32());
        let url = totp(&user, &secret)?.to_url().map_err(|error| Error::Broken(error.to_string().into()))?;
        Ok(NewSecondFactor { secret, url: Secret::new(url) })
    }

    /// Switches the second factor of the user who asks on: `code` shows that the authenticator has `secret`.
    pub async fn confirm_second_factor(&self, caller: &Caller, secret: &Secret, code: &str) -> Result<()> {
        let user = own_name(caller)?;
        let now = u64::try_from(self.now().seconds()).unwrap_or(0);
        let step = totp(&user, secret).map_err(|_| Refusal::User(UserRefusal::WrongCode))?.check(code.trim(), now);
        let Some(step) = step else { return refused(UserRefusal::WrongCode) };
        let sealing = self.sealing().await;
        let sealed = hex::encode(sealing.seal(&context(&user), secret));
        self.set_second_factor(user, Some(sealed), step).await
    }

    /// Switches it off: for oneself with a code, for another by whoever manages users.
    pub async fn remove_second_factor(&self, caller: &Caller, user: &str, code: Option<&str>) -> Result<()> {
        if own_name(caller).is_ok_and(|own| own == user) {
            let guesses = [format!("user:{user}")];
            self.may_guess(&guesses)?;
            let (books, key) = (self.inner.books.clone(), user.to_owned());
            let row = super::status::blocking(move || Ok(books.get::<UserRow>(&key)?)).await?;
            let Some(UserRow { totp: Some(sealed), totp_step, .. }) = row else { return Ok(()) };
            if self.totp_step(user, &sealed, code.unwrap_or_default(), totp_step)?.is_none() {
                self.user_guessed_wrong(&guesses);
                return refused(UserRefusal::WrongCode);
            }
        } else {
            caller.must_everywhere(crate::domain::Action::ManageUsers)?;
        }
        self.set_second_factor(user.to_owned(), None, 0).await
    }

    /// The step of a right code that is newer than `last`.
    pub(super) fn totp_step(&self, user: &str, sealed: &str, code: &str, last: u64) -> Result<Option<u64>> {
        let sealed = hex::decode(sealed).map_err(|_| Error::Broken("a second factor in the books is no hex".into()))?;
        let secret = self.unseal(&context(user), &sealed)?;
        let now = u64::try_from(self.now().seconds()).unwrap_or(0);
        Ok(totp(user, &secret)?.check(code.trim(), now).filter(|step| *step > last))
    }

    async fn set_second_factor(&self, user: String, sealed: Option<String>, step: u64) -> Result<()> {
        let books = self.inner.books.clone();
        super::status::blocking(move || {
            books.change(|changes: &mut Changes| {
                let Some(mut row) = changes.get::<UserRow>(&user)? else { return refused(UserRefusal::NoUser) };
                row.totp = sealed;
                row.totp_step = step;
                Ok(changes.put(&user, &row)?)
            })
        })
        .await
    }
}
