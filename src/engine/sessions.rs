//! Sessions of portal users: signing in, who a request is from, signing out. A session is an opaque token; the books
//! have its hash, so that who reads them cannot use one.

use serde::{Deserialize, Serialize};

use super::status::blocking;
use super::types::Who;
use super::users::{UserRow, digest, refused};
use super::{AuditEntry, Caller, Engine, Error, Result};
use crate::books::{Changes, Row};
use crate::domain::users::{UserName, UserRefusal};
use crate::domain::{AccountId, Refusal, Role, Secret, Timestamp};

/// How often it is written down that a session was used.
const SEEN_EVERY_MS: i64 = 60_000;

/// A session, under the hash of its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SessionRow {
    pub(super) user: String,
    created_ms: i64,
    seen_ms: i64,
    from: String,
    agent: String,
}

impl Row for SessionRow {
    const TABLE: &'static str = "sessions";
    type Key = String;
}

/// Who a request is from.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// For the use cases.
    pub caller: Caller,
    /// The user's name.
    pub user: UserName,
    /// Its role.
    pub role: Role,
    /// Its account's name, of a role that belongs to one.
    pub account: Option<String>,
    /// Whether a second factor is switched on.
    pub second_factor: bool,
    /// What a form of this session carries, so that no other page can send it.
    pub form_token: String,
}

/// A session as its user sees it.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    /// A name for it that is not its token.
    pub id: String,
    /// Whose.
    pub user: String,
    /// When it was begun, ms since 1970.
    pub created_ms: i64,
    /// When it was last used, within a minute, ms since 1970.
    pub seen_ms: i64,
    /// From where.
    pub from: String,
    /// With which browser.
    pub agent: String,
    /// Whether it is the one that asks.
    pub own: bool,
}

impl Engine {
    /// Signs a user in; gives the token of a new session. `from` is an address, `agent` what the browser calls itself.
    pub async fn sign_in_user(
        &self,
        name: &str,
        password: &Secret,
        code: Option<&str>,
        from: &str,
        agent: &str,
    ) -> Result<Secret> {
        let cut: String = name.chars().take(64).collect();
        let guesses = [format!("user:{cut}"), format!("address:{from}")];
        let done = self.sign_in_with(name, password, code, from, agent, &guesses).await;
        let outcome = match &done {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        let (who, what) = (cut.clone(), "SignIn".to_owned());
        self.audit(AuditEntry { who, from: from.to_owned(), what, target: cut, outcome });
        done
    }

    async fn sign_in_with(
        &self,
        name: &str,
        password: &Secret,
        code: Option<&str>,
        from: &str,
        agent: &str,
        guesses: &[String],
    ) -> Result<Secret> {
        self.may_guess(guesses)?;
        let (books, key) = (self.inner.books.clone(), name.to_owned());
        let row = blocking(move || Ok(books.get::<UserRow>(&key)?)).await?;
        let hash = row.as_ref().filter(|row| !row.disabled).map(|row| row.password.clone());
        let right = self.is_password(password, hash, guesses).await?;
        let Some(row) = row.filter(|_| right) else {
            self.user_guessed_wrong(guesses);
            return refused(UserRefusal::WrongSignIn);
        };
        let step = match (&row.totp, code.map(str::trim).filter(|code| !code.is_empty())) {
            (None, _) => None,
            (Some(_), None) => return refused(UserRefusal::CodeNeeded),
            (Some(sealed), Some(code)) => match self.totp_step(name, sealed, code, row.totp_step)? {
                Some(step) => Some(step),
                None => {
                    self.user_guessed_wrong(guesses);
                    return refused(UserRefusal::WrongCode);
                }
            },
        };
        let token = hex::encode(self.inner.world.entropy.bytes::<32>());
        let now = self.now();
        let session = SessionRow {
            user: name.to_owned(),
            created_ms: now.millis(),
            seen_ms: now.millis(),
            from: from.to_owned(),
            agent: agent.chars().filter(|c| !c.is_control()).take(200).collect(),
        };
        let limits = self.session_limits();
        let (books, id, user) = (self.inner.books.clone(), digest(&token), name.to_owned());
        blocking(move || {
            let old = books.all::<SessionRow>()?;
            books.change(|changes: &mut Changes| {
                // Once more: it may have been changed while the password was looked at.
                let Some(mut row) = changes.get::<UserRow>(&user)?.filter(|row| !row.disabled) else {
                    return refused(UserRefusal::WrongSignIn);
                };
                if let Some(step) = step {
                    if step <= row.totp_step {
                        return refused(UserRefusal::WrongCode);
                    }
                    row.totp_step = step;
                }
                row.signed_in_ms = Some(now.millis());
                changes.put(&user, &row)?;
                for (id, _) in old.iter().filter(|(_, session)| session.is_over(now, limits)) {
                    changes.remove::<SessionRow>(id)?;
                }
                Ok::<_, Error>(changes.put(&id, &session)?)
            })
        })
        .await?;
        if let Some(own) = guesses.first() {
            self.user_guessed_right(own);
        }
        Ok(Secret::new(token))
    }

    /// Who has this token. [`UserRefusal::NoSession`] where its session is over.
    pub async fn session(&self, token: &str) -> Result<SignedIn> {
        let (books, id, now, limits) = (self.inner.books.clone(), digest(token), self.now(), self.session_limits());
        let found = blocking(move || {
            let Some(mut session) = books.get::<SessionRow>(&id)? else { return Ok(None) };
            if session.is_over(now, limits) {
                books.change(|changes: &mut Changes| changes.remove::<SessionRow>(&id))?;
                return Ok(None);
            }
            let Some(row) = books.get::<UserRow>(&session.user)?.filter(|row| !row.disabled) else { return Ok(None) };
            if now.millis() - session.seen_ms >= SEEN_EVERY_MS {
                session.seen_ms = now.millis();
                books.change(|changes: &mut Changes| match changes.get::<SessionRow>(&id)? {
                    // Ended meanwhile: it must not come back.
                    None => Ok(()),
                    Some(_) => changes.put(&id, &session),
                })?;
            }
            Ok(Some((session.user, row)))
        })
        .await?;
        let Some((user, row)) = found else { return refused(UserRefusal::NoSession) };
        let account = row.account.map(AccountId::new);
        if let Some(id) = account
            && self.account_name(id).is_empty()
        {
            return refused(UserRefusal::NoSession);
        }
        let who = Who::User { name: user.as_str().into(), role: row.role, account };
        Ok(SignedIn {
            caller: Caller::new(who),
            user: user.parse().map_err(|_| Error::Broken("a user's name in the books cannot be one".into()))?,
            role: row.role,
            second_factor: row.totp.is_some(),
            account: account.map(|id| self.account_name(id)),
            form_token: blake3::derive_key("kandian 2026-11 form token of a session", token.as_bytes())
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    /// Ends the session of this token.
    pub async fn sign_out(&self, token: &str) -> Result<()> {
        let (books, id) = (self.inner.books.clone(), digest(token));
        blocking(move || {
            books.change(|changes: &mut Changes| changes.remove::<SessionRow>(&id))?;
            Ok(())
        })
        .await
    }

    /// How many sessions are not over. Blocks.
    pub(super) fn sessions_open(&self) -> Result<u64> {
        let (now, limits) = (self.now(), self.session_limits());
        let rows = self.inner.books.all::<SessionRow>()?;
        Ok(rows.iter().filter(|(_, row)| !row.is_over(now, limits)).count() as u64)
    }

    /// The sessions of the user who asks; of everybody where the caller manages users. `token` is the asker's.
    pub async fn sessions(&self, caller: &Caller, token: Option<&str>) -> Result<Vec<SessionView>> {
        let all = caller.must_everywhere(crate::domain::Action::ManageUsers).is_ok();
        let own = match &caller.who {
            Who::User { name, .. } => Some(name.clone()),
            _ if all => None,
            _ => return Err(Refusal::Forbidden.into()),
        };
        let (books, now, limits) = (self.inner.books.clone(), self.now(), self.session_limits());
        let rows = blocking(move || Ok(books.all::<SessionRow>()?)).await?;
        let asking = token.map(digest);
        let mut views: Vec<SessionView> = rows
            .into_iter()
            .filter(|(_, row)| all || own.as_deref() == Some(row.user.as_str()))
            .filter(|(_, row)| !row.is_over(now, limits))
            .map(|(id, row)| SessionView {
                own: asking.as_ref() == Some(&id),
                id: id.chars().take(16).collect(),
                user: row.user,
                created_ms: row.created_ms,
                seen_ms: row.seen_ms,
                from: row.from,
                agent: row.agent,
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.seen_ms));
        Ok(views)
    }

    /// Ends a session by the name that [`Engine::sessions`] gives it.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<()> {
        if !self.sessions(caller, None).await?.iter().any(|session| session.id == id) {
            return refused(UserRefusal::NoSession);
        }
        let (books, id) = (self.inner.books.clone(), id.to_owned());
        blocking(move || {
            let rows = books.scan::<SessionRow>(&id, |key, _| key.starts_with(&id))?;
            books.change(|changes: &mut Changes| {
                for (key, _) in &rows {
                    changes.remove::<SessionRow>(key)?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
    }

    fn session_limits(&self) -> Limits {
        let config = self.config();
        let ms = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Limits { idle_ms: ms(config.portal.idle_timeout), all_ms: ms(config.portal.session_timeout) }
    }
}

/// How long a session lasts, ms.
#[derive(Clone, Copy)]
struct Limits {
    idle_ms: i64,
    all_ms: i64,
}

impl SessionRow {
    fn is_over(&self, now: Timestamp, limits: Limits) -> bool {
        now.millis() - self.seen_ms > limits.idle_ms.saturating_add(SEEN_EVERY_MS)
            || now.millis() - self.created_ms > limits.all_ms
    }
}
