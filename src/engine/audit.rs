//! The audit log, asked: by who, what, target and time, page by page; and its chain, held against itself.

use std::collections::HashMap;

use serde::Serialize;

use super::status::blocking;
use super::users::UserRow;
use super::{AuditEntry, Caller, Engine, Error, Result};
use crate::domain::{AccountId, Action, Timestamp};
use crate::store::catalog::{Inner as Catalog, KeyOwner};
use crate::store::index::view::AuditLine as Line;

/// Lines looked at for one page, most: then the page is short and says where to go on.
const LOOKED_AT_MAX: usize = 200_000;
/// Lines read for one page, most: those of the time that is asked for.
const READ_MAX: usize = 20_000;
/// Lines of a page, most.
const PAGE_MAX: usize = 1000;

/// Which lines of the audit log are asked for; what is empty or `None` is any.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Who: the whole name or key.
    pub who: String,
    /// What: a part of the operation's name, in either case.
    pub what: String,
    /// On what: a part of it, in either case.
    pub target: String,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Older than the line of this number: [`AuditPage::next`] of the page before.
    pub before: Option<u64>,
    /// Lines on a page, 1 to 1,000.
    pub most: usize,
}

/// A line of the audit log with its place.
#[derive(Clone, Debug, Serialize)]
pub struct AuditLine {
    /// Its number: it grows, with gaps.
    pub number: u64,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// A page of the audit log, newest first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditPage {
    /// The lines. They may be fewer than were asked for, or none, and more be found further on.
    pub lines: Vec<AuditLine>,
    /// Where to go on; `None` at the end of the log.
    pub next: Option<u64>,
}

/// What came of holding the log against its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditVerdict {
    /// Lines that were looked at.
    pub lines: u64,
    /// The first line that is not as it was written, or follows one that is missing.
    pub broken_at: Option<u64>,
    /// Whether lines at the end are missing: the last is not the one that the chain ends in.
    pub cut_off: bool,
}

/// Whose lines somebody sees.
enum Scope {
    Everybody,
    /// An account's; names of users with their accounts.
    Account(AccountId, HashMap<String, Option<u64>>),
}

impl Engine {
    /// A page of the audit log. Users of an account see what the account's password, its keys and its users did.
    pub async fn audit_page(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage> {
        let account = caller.must(Action::SeeAudit)?;
        let engine = self.clone();
        blocking(move || {
            let scope = match account {
                None => Scope::Everybody,
                Some(account) => {
                    let users = engine.inner.books.all::<UserRow>()?;
                    Scope::Account(account, users.into_iter().map(|(name, row)| (name, row.account)).collect())
                }
            };
            let view = engine.inner.store.view()?;
            let most = query.most.clamp(1, PAGE_MAX);
            let (what, target) = (query.what.to_lowercase(), query.target.to_lowercase());
            let mut page = AuditPage::default();
            let (mut looked_at, mut read, mut broken) = (0usize, 0usize, None);
            let end = view.audit_before(query.before, |line| {
                looked_at += 1;
                let in_time = query.from.is_none_or(|from| line.time >= from)
                    && query.until.is_none_or(|until| line.time < until);
                if in_time {
                    read += 1;
                    match serde_json::from_slice::<AuditEntry>(line.json) {
                        Ok(entry) => {
                            let wanted = (query.who.is_empty() || entry.who == query.who)
                                && entry.what.to_lowercase().contains(&what)
                                && entry.target.to_lowercase().contains(&target);
                            // Last, as it asks the catalog.
                            if wanted && engine.is_seen(&scope, &entry.who) {
                                page.lines.push(AuditLine { number: line.seq, at_ms: line.time.millis(), entry });
                            }
                        }
                        Err(error) => broken = Some(error.to_string()),
                    }
                }
                page.next = Some(line.seq);
                page.lines.len() < most && looked_at < LOOKED_AT_MAX && read < READ_MAX && broken.is_none()
            })?;
            if let Some(error) = broken {
                return Err(Error::Broken(format!("read the audit log: {error}").into()));
            }
            if end {
                page.next = None;
            }
            Ok(page)
        })
        .await
    }

    /// Holds every line of the audit log against the chain that was written with it.
    pub async fn verify_audit(&self, caller: &Caller) -> Result<AuditVerdict> {
        caller.must_everywhere(Action::SeeAudit)?;
        let engine = self.clone();
        blocking(move || {
            let view = engine.inner.store.view()?;
            let (mut verdict, mut chain) = (AuditVerdict::default(), [0; 32]);
            view.audit_all(|line| {
                verdict.lines += 1;
                let right = line.follows(&chain);
                chain = *line.chain;
                if !right && verdict.broken_at.is_none() {
                    verdict.broken_at = Some(line.seq);
                }
                true
            })?;
            verdict.cut_off = view.audit_end()?.unwrap_or([0; 32]) != chain;
            Ok(verdict)
        })
        .await
    }

    fn is_seen(&self, scope: &Scope, who: &str) -> bool {
        match scope {
            Scope::Everybody => true,
            Scope::Account(account, users) => {
                let named = users.get(who).copied().flatten().map(AccountId::new);
                let catalog = self.inner.store.catalog.read();
                match (owner(&catalog, who), users.contains_key(who)) {
                    (Some(owner), false) => owner == *account,
                    (None, true) => named == Some(*account) && who != OPERATOR,
                    // A user that is named like an account or a key: who of them it was is not written.
                    (Some(owner), true) => owner == *account && named == Some(*account),
                    (None, false) => false,
                }
            }
        }
    }
}

/// What the lines of the control socket say.
const OPERATOR: &str = "operator";

/// The account whose name or key this is.
fn owner(catalog: &Catalog, who: &str) -> Option<AccountId> {
    if let Some(id) = catalog.names.get(who) {
        return Some(*id);
    }
    match catalog.keys.get(who)? {
        KeyOwner::Administrator(id) => Some(*id),
        KeyOwner::Camera(id) => catalog.sub_accounts.get(id).map(|sub| sub.row.account),
    }
}

impl Line<'_> {
    /// Whether the line is the one that was written after the line of this chain.
    fn follows(&self, before: &[u8; 32]) -> bool {
        crate::store::index::audit_chain(before, self.seq, self.time, self.json) == *self.chain
    }
}
