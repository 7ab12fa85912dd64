//! 空间管理 of operations staff and 空间监控 of a province: who has how much, who is full when, what is overwritten next,
//! and why files are gone.

mod accounts;
mod cameras;
mod gone;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::shell::Shell;
use super::text::Lang;
use super::{Needs, Portal, Route, show};
use crate::domain::Action;
use crate::engine::observe::{SpaceQuery, SpaceSort, SpaceState};

/// Lines of a CSV at most.
const LINES_MAX: usize = 100_000;

pub(super) fn routes() -> Vec<Route> {
    let needs = Needs::Role(Action::SeeSpace);
    vec![
        Route { path: "/space", needs, pages: get(space) },
        Route { path: "/space.csv", needs, pages: get(export) },
        Route { path: "/space/gone", needs, pages: get(gone::show_page) },
    ]
}

/// What is shown of an account's sub-accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    List,
    Next,
    Days,
}

impl View {
    const ALL: [Self; 3] = [Self::List, Self::Next, Self::Days];

    const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Next => "next",
            Self::Days => "days",
        }
    }

    fn label(self, lang: Lang) -> &'static str {
        match self {
            Self::List => lang.say("子账户空间", "Sub-accounts"),
            Self::Next => lang.say("覆盖预告", "Next overwrites"),
            Self::Days => lang.say("近 30 天写入", "The last 30 days"),
        }
    }
}

/// What a query asks for; what cannot be read is as if it were not there.
struct Asked {
    /// The account that was opened, by who sees all of them.
    account: Option<String>,
    view: View,
    state: SpaceState,
    sort: SpaceSort,
    find: String,
    page: u64,
}

impl Asked {
    fn of(query: Option<&str>) -> Self {
        let form = Form::of_query(query);
        let find: String = form.get("find").chars().take(200).collect();
        Self {
            account: Some(form.get("account").to_owned()).filter(|name| !name.is_empty()),
            view: View::ALL.into_iter().find(|view| view.word() == form.get("view")).unwrap_or(View::List),
            state: form.get("state").parse().unwrap_or_default(),
            sort: form.get("sort").parse().unwrap_or_default(),
            find,
            page: form.get("page").parse().unwrap_or(1).max(1),
        }
    }

    /// A page of `size` rows.
    fn query(&self, size: u64) -> SpaceQuery {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        SpaceQuery {
            account: self.account.clone(),
            sort: self.sort,
            state: self.state,
            find: self.find.clone(),
            above_percent: None,
            skip: number((self.page - 1).saturating_mul(size)),
            most: number(size),
        }
    }

    /// The same with another view and state, from its first page.
    fn href(&self, path: &str, view: View, state: SpaceState) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(account) = &self.account {
            query.append_pair("account", account);
        }
        if view != View::List {
            query.append_pair("view", view.word());
        }
        if state != SpaceState::All {
            query.append_pair("state", state.word());
        }
        if self.sort != SpaceSort::default() {
            query.append_pair("sort", self.sort.word());
        }
        if !self.find.is_empty() {
            query.append_pair("find", &self.find);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// An entry of a select, or a tab.
struct Choice {
    word: &'static str,
    href: String,
    label: &'static str,
    here: bool,
}

async fn space(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let asked = Asked::of(request.uri().query());
    if session.signed.role.of_one_account() || asked.account.is_some() {
        cameras::show_page(&portal, &session, asked).await
    } else {
        accounts::show_page(&portal, &session, asked).await
    }
}

/// All rows of the table that is shown, as CSV.
async fn export(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = session.shell(&portal);
    let query = SpaceQuery { skip: 0, most: LINES_MAX, ..Asked::of(request.uri().query()).query(1) };
    let page = match portal.engine.spaces(&session.signed.caller, query).await {
        Ok(page) => page,
        Err(error) => return shell.failed(&error),
    };
    let mut response = (StatusCode::OK, page.to_csv()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"space.csv\""));
    response
}

fn sorts(lang: Lang, of_accounts: bool, now: SpaceSort) -> Vec<Choice> {
    let label = |sort| match (sort, of_accounts) {
        (SpaceSort::Full, false) => lang.say("最先写满", "First to be full"),
        (SpaceSort::Full, true) => lang.say("最先有子账户写满", "First to have one full"),
        (SpaceSort::Kept, _) => lang.say("保留最短", "Kept the shortest"),
        (SpaceSort::Used, _) => lang.say("使用率最高", "Fullest"),
        (SpaceSort::Name, _) => lang.say("名称", "Name"),
        (SpaceSort::Next, _) => lang.say("最先覆盖", "Next to overwrite"),
    };
    let choice =
        |sort: SpaceSort| Choice { word: sort.word(), href: String::new(), label: label(sort), here: sort == now };
    SpaceSort::ALL.into_iter().map(choice).collect()
}

/// How long until a moment, in words; a dash where it is not known.
fn until(shell: &Shell, ms: Option<i64>, at_once: &str) -> String {
    match ms.map(|ms| ms.saturating_sub(shell.now) / 1000) {
        None => "–".to_owned(),
        Some(seconds) if seconds <= 0 => at_once.to_owned(),
        Some(seconds) => far(shell, seconds),
    }
}

/// A length of time, never longer than can be meant.
fn far(shell: &Shell, seconds: i64) -> String {
    const FAR: i64 = 3650 * 86_400;
    if seconds > FAR {
        return shell.say("超过 10 年", "over 10 years").to_owned();
    }
    shell.duration(seconds)
}

/// A length of time in ms; a dash where it is not known.
fn length(shell: &Shell, ms: Option<i64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| far(shell, ms / 1000))
}

/// What a bar shows, in numbers.
fn in_numbers(shell: &Shell, used: u64, locked: u64, reserved: u64, space: u64) -> String {
    let free = space.saturating_sub(used).saturating_sub(reserved);
    let mut out = format!("{} {}", shell.t.used, show::bytes(used));
    for (word, number) in [(shell.t.locked, locked), (shell.t.reserved, reserved)] {
        if number > 0 {
            out.push_str(&format!(" · {word} {}", show::bytes(number)));
        }
    }
    out.push_str(&format!(" · {} {}", shell.t.free, show::bytes(free)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_what_it_was_asked_for_and_begins_at_its_first_page() {
        let asked = Asked::of(Some("account=%E6%B1%9F&state=full&sort=kept&find=a%26b&page=7&view=days"));
        assert_eq!((asked.page, asked.view, asked.state), (7, View::Days, SpaceState::Full));
        assert_eq!((asked.query(50).skip, asked.query(50).most), (300, 50));
        let href = asked.href("/space", View::Next, SpaceState::All);
        assert_eq!(href, "/space?account=%E6%B1%9F&view=next&sort=kept&find=a%26b");
        let nothing = Asked::of(Some("state=x&sort=x&view=x&page=-1"));
        assert_eq!(nothing.href("/space", View::List, SpaceState::All), "/space");
        assert_eq!(Asked::of(Some("page=18446744073709551615")).query(50).most, 50);
    }
}
