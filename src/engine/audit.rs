//! The audit log, asked: by who, what, target and time, page by page; and its chain, held against itself.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use super::status::blocking;
use super::users::UserRow;
use super::{AuditEntry, Caller, Engine, Error, Result};
use crate::domain::{AccountId, Action, Timestamp};
use crate::store::catalog::{Inner as Catalog, KeyOwner};
use crate::store::index::view::AuditLine as Line;
use crate::wire::china_time;
use crate::wire::sheet::{Cell, MARK, csv_rows};

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
    /// An account's name: what its password, its keys and its users did, and what was done on it.
    pub account: String,
    /// Whether it was done; `false` is what was refused or failed.
    pub done: Option<bool>,
    /// A part of anything that the line says, in either case.
    pub text: String,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

/// Lines of an export that are read at a time.
const EXPORT_STEP: usize = 1000;

/// Whose lines somebody sees.
enum Scope {
    Everybody,
    /// An account's; names of users with their accounts.
    Account(AccountId, HashMap<String, Option<u64>>),
    /// Of an account that is closed: its name.
    Named(String),
}

impl Engine {
    /// A page of the audit log. Users of an account see what the account's password, its keys and its users did.
    pub async fn audit_page(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage> {
        let account = caller.must(Action::SeeAudit)?;
        let engine = self.clone();
        blocking(move || {
            let scope = engine.scope_of(account)?;
            let of = match query.account.as_str() {
                "" => Scope::Everybody,
                name => match engine.inner.store.catalog.read().names.get(name) {
                    Some(id) if account.is_none_or(|own| own == *id) => engine.scope_of(Some(*id))?,
                    // A closed account is known by its name alone.
                    None if account.is_none() => Scope::Named(name.to_owned()),
                    _ => return Ok(AuditPage::default()),
                },
            };
            let view = engine.inner.store.view()?;
            let most = query.most.clamp(1, PAGE_MAX);
            let [what, target, text] = [&query.what, &query.target, &query.text].map(|part| part.to_lowercase());
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
                                && entry.target.to_lowercase().contains(&target)
                                && query.done.is_none_or(|done| done == entry.is_done())
                                && entry.says(&text);
                            // Last, as they ask the catalog.
                            if wanted && engine.is_seen(&scope, &entry.who) && engine.is_about(&of, &entry) {
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

    /// The lines that [`Engine::audit_page`] would give, page after page, as CSV: UTF-8 with a mark, newest first, in
    /// pieces. A text that a spreadsheet would take for a formula is none.
    pub fn export_audit(
        &self,
        caller: &Caller,
        query: AuditQuery,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        caller.must(Action::SeeAudit)?;
        let (engine, caller, zone) = (self.clone(), caller.clone(), self.config().zone_minutes);
        let begun = futures_util::stream::once(async { Ok(Bytes::from(AuditPage::csv_head())) });
        let query = AuditQuery { most: EXPORT_STEP, ..query };
        let pages = futures_util::stream::try_unfold(Some(query), move |asked| {
            let (engine, caller) = (engine.clone(), caller.clone());
            async move {
                let Some(asked) = asked else { return Ok(None) };
                let page = engine.audit_page(&caller, asked.clone()).await?;
                let next = page.next.map(|before| AuditQuery { before: Some(before), ..asked });
                Ok(Some((Bytes::from(page.into_csv(zone)), next)))
            }
        });
        Ok(begun.chain(pages))
    }

    fn scope_of(&self, account: Option<AccountId>) -> Result<Scope> {
        let Some(account) = account else { return Ok(Scope::Everybody) };
        let users = self.inner.books.all::<UserRow>()?;
        Ok(Scope::Account(account, users.into_iter().map(|(name, row)| (name, row.account)).collect()))
    }

    /// Whether a line is about an account: it did it, or it was done on it or on a sub-account of it.
    fn is_about(&self, of: &Scope, entry: &AuditEntry) -> bool {
        if self.is_seen(of, &entry.who) {
            return true;
        }
        let first = entry.target.split(' ').next().unwrap_or_default();
        match of {
            Scope::Everybody => true,
            Scope::Account(account, _) => {
                let catalog = self.inner.store.catalog.read();
                let name = catalog.accounts.get(account).map(|row| row.name.as_str());
                owner(&catalog, first) == Some(*account) || name.is_some_and(|name| is_on(&entry.target, name))
            }
            Scope::Named(name) => is_on(&entry.target, name),
        }
    }

    fn is_seen(&self, scope: &Scope, who: &str) -> bool {
        match scope {
            Scope::Everybody => true,
            Scope::Named(name) => who == name,
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

/// Whether a line's target is this name, alone or before something more.
fn is_on(target: &str, name: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The heads of an export's columns.
const AUDIT_HEAD: [&str; 7] =
    ["编号 number", "时间 time", "谁 who", "来源 from", "操作 what", "对象 target", "结果 outcome"];

impl AuditPage {
    /// What a CSV of the log begins with: a mark, that spreadsheets know UTF-8, and the heads of the columns.
    pub fn csv_head() -> String {
        MARK.to_owned() + &csv_rows(&[AUDIT_HEAD.map(Cell::from).to_vec()])
    }

    /// The lines as rows of that CSV, times in a zone.
    pub fn into_csv(self, zone_minutes: i32) -> String {
        let rows: Vec<_> = self.lines.into_iter().map(|line| line.cells(zone_minutes)).collect();
        csv_rows(&rows)
    }
}

impl AuditLine {
    fn cells(self, zone_minutes: i32) -> Vec<Cell> {
        let AuditEntry { who, from, what, target, outcome } = self.entry;
        let at = china_time::format(Timestamp::from_millis(self.at_ms).seconds(), zone_minutes);
        let number = Cell::Count(i64::try_from(self.number).unwrap_or(i64::MAX));
        std::iter::once(number).chain([at, who, from, what, target, outcome].map(Cell::from)).collect()
    }
}

impl AuditEntry {
    /// Whether it was done: section 7 says 0, everybody else `ok`.
    pub fn is_done(&self) -> bool {
        matches!(self.outcome.as_str(), "ok" | "0")
    }

    /// Whether a text, in lower case, is part of anything that it says.
    fn says(&self, text: &str) -> bool {
        let all = [&self.who, &self.from, &self.what, &self.target, &self.outcome];
        text.is_empty() || all.into_iter().any(|part| part.to_lowercase().contains(text))
    }
}

impl Line<'_> {
    /// Whether the line is the one that was written after the line of this chain.
    fn follows(&self, before: &[u8; 32]) -> bool {
        crate::store::index::audit_chain(before, self.seq, self.time, self.json) == *self.chain
    }
}
