//! Users of the portals: who there is, what they may be, and how the first of them comes in. Section 3.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use super::sessions::SessionRow;
use super::status::blocking;
use super::types::Who;
use super::{AuditEntry, Caller, Engine, Error, Result};
use crate::books::{Changes, Row};
use crate::domain::users::{UserName, UserRefusal, check_password};
use crate::domain::{AccountId, AccountName, Action, Refusal, Role, Secret};

const PASSWORD_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const SETUP_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Hashes of passwords that are made at a time: each takes 19 MiB.
pub(super) const HASHES_AT_A_TIME: usize = 2;

/// A user, under its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UserRow {
    pub(super) role: Role,
    /// The account's number, of a role that belongs to one.
    pub(super) account: Option<u64>,
    /// argon2id, as a PHC string.
    pub(super) password: String,
    /// The second factor's secret, sealed, in hex.
    #[serde(default)]
    pub(super) totp: Option<String>,
    /// The last step of the second factor that was used: none is taken twice.
    #[serde(default)]
    pub(super) totp_step: u64,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) created_ms: i64,
    #[serde(default)]
    pub(super) signed_in_ms: Option<i64>,
}

impl Row for UserRow {
    const TABLE: &'static str = "users";
    type Key = String;
}

/// The hash of the setup code, under 0, while there is no user.
#[derive(Serialize, Deserialize)]
struct SetupRow {
    code: String,
}

impl Row for SetupRow {
    const TABLE: &'static str = "setup";
    type Key = u64;
}

/// A user as the portals show it.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    /// Its name.
    pub user: String,
    /// Its role.
    pub role: Role,
    /// Its account's name, of a role that belongs to one.
    pub account: Option<String>,
    /// Whether it has a second factor.
    pub totp: bool,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// When it was made, ms since 1970.
    pub created_ms: i64,
    /// When it last signed in, ms since 1970.
    pub signed_in_ms: Option<i64>,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name.
    pub name: UserName,
    /// Its role.
    pub role: Role,
    /// Its account, of a role that belongs to one.
    pub account: Option<AccountName>,
    /// Its password; one is made up where `None`.
    pub password: Option<Secret>,
}

pub(super) fn refused<T>(refusal: UserRefusal) -> Result<T> {
    Err(Refusal::User(refusal).into())
}

fn argon2() -> Argon2<'static> {
    // OWASP's first choice for argon2id; tests have no attackers and no time.
    let params = if cfg!(test) { Params::new(8, 1, 1, None) } else { Params::new(19 * 1024, 2, 1, None) };
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.unwrap_or_default())
}

impl Engine {
    /// Makes a hash of a password, on a thread that may take its time.
    pub(super) async fn hash_password(&self, password: &Secret) -> Result<String> {
        let _turn = self.inner.hashing.acquire().await;
        let (password, salt) = (password.clone(), self.inner.world.entropy.bytes::<16>());
        blocking(move || {
            let hash = argon2().hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|error| Error::Broken(format!("hash a password: {error}").into()))
        })
        .await
    }

    /// Whether a password is the one of this hash. Where there is no hash the answer takes as long, and is no. Whose
    /// `guesses` they are is asked once more when it is their turn: of hundreds that wait for it many have been wrong.
    pub(super) async fn is_password(
        &self,
        password: &Secret,
        hash: Option<String>,
        guesses: &[String],
    ) -> Result<bool> {
        let Some(hash) = hash else {
            self.hash_password(password).await?;
            self.may_guess(guesses)?;
            return Ok(false);
        };
        let _turn = self.inner.hashing.acquire().await;
        self.may_guess(guesses)?;
        let password = password.clone();
        blocking(move || Ok(argon2().verify_password(password.expose().as_bytes(), hash.as_str()).is_ok())).await
    }

    /// A new setup code, where nobody can sign in yet: the last one is void. Shown to whoever starts the server.
    pub async fn setup_code(&self) -> Result<Option<String>> {
        let code = self.inner.world.entropy.text(SETUP_ALPHABET, 20);
        let (books, hash) = (self.inner.books.clone(), digest(&code));
        blocking(move || {
            if !books.all::<UserRow>()?.is_empty() {
                return Ok(None);
            }
            books.change(|changes| changes.put(&0, &SetupRow { code: hash }))?;
            Ok(Some(code))
        })
        .await
    }

    /// Whether there is no user yet.
    pub async fn is_to_be_set_up(&self) -> Result<bool> {
        let books = self.inner.books.clone();
        blocking(move || Ok(books.scan::<UserRow>(&String::new(), |_, _| true)?.is_empty())).await
    }

    /// Makes the first user, of the role operations, for whoever has the setup code. `from` counts guesses.
    pub async fn set_up(&self, code: &str, name: UserName, password: Secret, from: &str) -> Result<()> {
        self.may_guess(&[format!("address:{from}")])?;
        check_password(&name, password.expose()).map_err(Refusal::User)?;
        let hash = self.hash_password(&password).await?;
        let row = UserRow {
            role: Role::Operations,
            account: None,
            password: hash,
            totp: None,
            totp_step: 0,
            disabled: false,
            created_ms: self.now().millis(),
            signed_in_ms: None,
        };
        let (books, key, code) = (self.inner.books.clone(), name.as_str().to_owned(), digest(code));
        let made: Result<()> = blocking(move || {
            if !books.all::<UserRow>()?.is_empty() {
                return refused(UserRefusal::SetUp);
            }
            books.change(|changes: &mut Changes| {
                let known = changes.get::<SetupRow>(&0)?;
                if !known.is_some_and(|known| Secret::new(known.code).matches(&code)) {
                    return refused(UserRefusal::WrongSetupCode);
                }
                changes.remove::<SetupRow>(&0)?;
                Ok(changes.put(&key, &row)?)
            })
        })
        .await;
        if matches!(made, Err(Error::Refused(Refusal::User(UserRefusal::WrongSetupCode)))) {
            self.user_guessed_wrong(&[format!("address:{from}")]);
        }
        let outcome = made.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
        self.audit(AuditEntry {
            who: name.as_str().to_owned(),
            from: from.to_owned(),
            what: "SetUp".to_owned(),
            target: name.as_str().to_owned(),
            outcome,
        });
        made
    }

    /// Makes a user; gives its password, which is shown this once.
    pub async fn add_user(&self, caller: &Caller, new: NewUser) -> Result<(UserView, Secret)> {
        caller.must_everywhere(Action::ManageUsers)?;
        if new.role.of_one_account() != new.account.is_some() {
            return refused(UserRefusal::AccountOfRole);
        }
        let account = new.account.as_ref().map(|name| self.account_id(name)).transpose()?;
        let password = match new.password {
            Some(password) => password,
            None => Secret::new(self.inner.world.entropy.text(PASSWORD_ALPHABET, 16)),
        };
        check_password(&new.name, password.expose()).map_err(Refusal::User)?;
        let row = UserRow {
            role: new.role,
            account: account.map(AccountId::get),
            password: self.hash_password(&password).await?,
            totp: None,
            totp_step: 0,
            disabled: false,
            created_ms: self.now().millis(),
            signed_in_ms: None,
        };
        let view = self.user_view(new.name.as_str(), &row);
        let (books, key) = (self.inner.books.clone(), new.name.as_str().to_owned());
        blocking(move || {
            books.change(|changes: &mut Changes| {
                if changes.get::<UserRow>(&key)?.is_some() {
                    return refused(UserRefusal::UserExists);
                }
                // Who may set up is decided with the first user, however it came.
                changes.remove::<SetupRow>(&0)?;
                Ok(changes.put(&key, &row)?)
            })
        })
        .await?;
        Ok((view, password))
    }

    /// All users, by name.
    pub async fn users(&self, caller: &Caller) -> Result<Vec<UserView>> {
        caller.must_everywhere(Action::ManageUsers)?;
        let books = self.inner.books.clone();
        let rows = blocking(move || Ok(books.all::<UserRow>()?)).await?;
        Ok(rows.into_iter().map(|(name, row)| self.user_view(&name, &row)).collect())
    }

    /// Gives a user another password (its own: with the old one) and ends all its sessions; gives the new one.
    pub async fn change_password(
        &self,
        caller: &Caller,
        name: &UserName,
        old: Option<&Secret>,
        new: Option<Secret>,
    ) -> Result<Secret> {
        let own = matches!(&caller.who, Who::User { name: own, .. } if **own == *name.as_str());
        if !own {
            caller.must_everywhere(Action::ManageUsers)?;
        }
        let key = name.as_str().to_owned();
        if own {
            let guesses = [format!("user:{key}")];
            self.may_guess(&guesses)?;
            let (books, looked_up) = (self.inner.books.clone(), key.clone());
            let row = blocking(move || Ok(books.get::<UserRow>(&looked_up)?)).await?;
            let none = Secret::new("");
            if !self.is_password(old.unwrap_or(&none), row.map(|row| row.password), &guesses).await? {
                self.user_guessed_wrong(&guesses);
                return refused(UserRefusal::WrongSignIn);
            }
        }
        let password = new.unwrap_or_else(|| Secret::new(self.inner.world.entropy.text(PASSWORD_ALPHABET, 16)));
        check_password(name, password.expose()).map_err(Refusal::User)?;
        let hash = self.hash_password(&password).await?;
        self.change_user(key, move |row| {
            row.password = hash;
            Ok(())
        })
        .await?;
        Ok(password)
    }

    /// Lets a user sign in no more, or again; its sessions end.
    pub async fn disable_user(&self, caller: &Caller, name: &UserName, disabled: bool) -> Result<()> {
        caller.must_everywhere(Action::ManageUsers)?;
        if disabled {
            self.must_not_be_the_last(name).await?;
        }
        self.change_user(name.as_str().to_owned(), move |row| {
            row.disabled = disabled;
            Ok(())
        })
        .await
    }

    /// Removes a user and its sessions.
    pub async fn remove_user(&self, caller: &Caller, name: &UserName) -> Result<()> {
        caller.must_everywhere(Action::ManageUsers)?;
        self.must_not_be_the_last(name).await?;
        let (books, key) = (self.inner.books.clone(), name.as_str().to_owned());
        blocking(move || {
            let sessions = books.all::<SessionRow>()?;
            books.change(|changes: &mut Changes| {
                if !changes.remove::<UserRow>(&key)? {
                    return refused(UserRefusal::NoUser);
                }
                end_sessions(changes, &sessions, &key)
            })
        })
        .await
    }

    /// The last one who could make users must stay: else only the control socket could.
    async fn must_not_be_the_last(&self, name: &UserName) -> Result<()> {
        let (books, name) = (self.inner.books.clone(), name.as_str().to_owned());
        blocking(move || {
            let able = |row: &UserRow| row.role == Role::Operations && !row.disabled;
            let all = books.all::<UserRow>()?;
            let is_one = all.iter().any(|(key, row)| *key == name && able(row));
            let others = all.iter().any(|(key, row)| *key != name && able(row));
            if is_one && !others { refused(UserRefusal::LastOperations) } else { Ok(()) }
        })
        .await
    }

    /// Changes a user's row, and ends its sessions.
    async fn change_user(
        &self,
        key: String,
        change: impl FnOnce(&mut UserRow) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let books = self.inner.books.clone();
        blocking(move || {
            let sessions = books.all::<SessionRow>()?;
            books.change(|changes: &mut Changes| {
                let Some(mut row) = changes.get::<UserRow>(&key)? else { return refused(UserRefusal::NoUser) };
                change(&mut row)?;
                changes.put(&key, &row)?;
                end_sessions(changes, &sessions, &key)
            })
        })
        .await
    }

    fn user_view(&self, name: &str, row: &UserRow) -> UserView {
        UserView {
            user: name.to_owned(),
            role: row.role,
            account: row.account.map(|id| self.account_name(AccountId::new(id))),
            totp: row.totp.is_some(),
            disabled: row.disabled,
            created_ms: row.created_ms,
            signed_in_ms: row.signed_in_ms,
        }
    }

    /// An account's name; empty where it was closed.
    pub(super) fn account_name(&self, id: AccountId) -> String {
        let catalog = self.inner.store.catalog.read();
        catalog.accounts.get(&id).map(|row| row.name.as_str().to_owned()).unwrap_or_default()
    }
}

fn end_sessions(changes: &mut Changes, sessions: &[(String, SessionRow)], user: &str) -> Result<()> {
    for (id, _) in sessions.iter().filter(|(_, session)| session.user == user) {
        changes.remove::<SessionRow>(id)?;
    }
    Ok(())
}

/// What is kept of a code or a session's token: it is long and random, so that a plain hash will do.
pub(super) fn digest(text: &str) -> String {
    blake3::hash(text.trim().as_bytes()).to_hex().to_string()
}
