//! 统计分析: what came, went and was refused over time, who did the most of it, and how what is used grows.

mod charts;
mod words;

pub(super) use words::refusal;

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};

use self::charts::Pictures;
use super::form::Form;
use super::guard::Session;
use super::overview::when_full;
use super::shell::{Shell, page};
use super::show::{self, Html};
use super::text::Lang;
use super::{Needs, Portal, Route};
use crate::domain::{AccountName, Action, Refusal};
use crate::engine::observe::{Counters, Growth, Period, Series, Top, TopBy};

/// A total with what became of it since the time before.
struct Tile {
    label: &'static str,
    value: Html,
    note: String,
    change: String,
    tone: &'static str,
}

struct Tab {
    href: String,
    label: &'static str,
    here: bool,
}

struct Column {
    href: String,
    label: &'static str,
    here: bool,
}

#[derive(Template)]
#[template(path = "statistics.html")]
struct View {
    shell: Shell,
    tabs: Vec<Tab>,
    period: &'static str,
    by: &'static str,
    /// Names of all accounts, for who may choose.
    accounts: Vec<String>,
    account: String,
    /// Whether one account is shown.
    one: bool,
    csv: String,
    from: Html,
    compared: String,
    tiles: Vec<Tile>,
    pictures: Pictures,
    growth: Growth,
    grows: String,
    full: String,
    columns: Vec<Column>,
    top_accounts: Vec<Top>,
    top_cameras: Vec<Top>,
}

pub(super) fn routes() -> Vec<Route> {
    let needs = Needs::Role(Action::SeeStatistics);
    vec![
        Route { path: "/statistics", needs, pages: get(show_page) },
        Route { path: "/statistics.csv", needs, pages: get(export) },
    ]
}

/// What is asked for; what cannot be read is what is shown first.
struct Asked {
    period: Period,
    by: TopBy,
    account: Option<AccountName>,
}

impl Asked {
    fn of(request: &Request<Body>) -> Result<Self, crate::engine::Error> {
        let query = Form::of_query(request.uri().query());
        let account = match query.get("account") {
            "" => None,
            name => Some(name.parse().map_err(|_| Refusal::NoAccount)?),
        };
        let period = query.get("period").parse().unwrap_or(Period::Day);
        Ok(Self { period, by: query.get("by").parse().unwrap_or_default(), account })
    }

    fn href(&self, path: &str, period: Period, by: TopBy) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("period", period.word());
        if let Some(account) = &self.account {
            query.append_pair("account", account.as_str());
        }
        if by != TopBy::Bytes {
            query.append_pair("by", by_word(by));
        }
        format!("{path}?{}", query.finish())
    }
}

fn by_word(by: TopBy) -> &'static str {
    match by {
        TopBy::Bytes => "bytes",
        TopBy::Uploads => "uploads",
        TopBy::Refused => "refused",
    }
}

async fn show_page(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = session.shell(&portal);
    let asked = match Asked::of(&request) {
        Ok(asked) => asked,
        Err(error) => return shell.failed(&error),
    };
    let caller = &session.signed.caller;
    let series = match portal.engine.statistics(caller, asked.account.as_ref(), asked.period, asked.by).await {
        Ok(series) => series,
        Err(error) => return shell.failed(&error),
    };
    if Form::of_query(request.uri().query()).get("as") == "csv" {
        return csv(&series);
    }
    let accounts = match session.signed.role.of_one_account() {
        true => Vec::new(),
        false => match portal.engine.account_names(caller).await {
            Ok(names) => names,
            Err(error) => return shell.failed(&error),
        },
    };
    page(StatusCode::OK, &view(shell, &asked, series, accounts))
}

async fn export(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = session.shell(&portal);
    let asked = match Asked::of(&request) {
        Ok(asked) => asked,
        Err(error) => return shell.failed(&error),
    };
    let caller = &session.signed.caller;
    match portal.engine.statistics(caller, asked.account.as_ref(), asked.period, asked.by).await {
        Ok(series) => csv(&series),
        Err(error) => shell.failed(&error),
    }
}

fn csv(series: &Series) -> Response<Body> {
    let name = format!("attachment; filename=\"statistics-{}.csv\"", series.period.word());
    let mut response = (StatusCode::OK, series.to_csv()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment")));
    response
}

fn view(shell: Shell, asked: &Asked, series: Series, accounts: Vec<String>) -> View {
    let lang = shell.lang;
    let tab = |period: Period, zh, en| Tab {
        href: asked.href("/statistics", period, asked.by),
        label: lang.say(zh, en),
        here: period == series.period,
    };
    let column = |by: TopBy, zh, en| Column {
        href: format!("{}#top", asked.href("/statistics", series.period, by)),
        label: lang.say(zh, en),
        here: by == series.by,
    };
    let over = series.points.len().saturating_sub(1);
    let (steps_zh, steps_en) = match series.period {
        Period::Day => ("小时", "hours"),
        Period::Month => ("天", "days"),
        Period::Year => ("个月", "months"),
    };
    let compared = match series.before {
        Some(_) => lang.say(
            format!("变化：完整的 {over} {steps_zh}与之前 {over} {steps_zh}相比"),
            format!("Changes: the {over} {steps_en} that are over against the {over} before"),
        ),
        None => lang.say("数据尚短，暂无对比", "Too young to compare").to_owned(),
    };
    let growth = series.growth.clone();
    View {
        tabs: vec![
            tab(Period::Day, "24 小时", "24 hours"),
            tab(Period::Month, "30 天", "30 days"),
            tab(Period::Year, "12 个月", "12 months"),
        ],
        period: series.period.word(),
        by: by_word(series.by),
        accounts,
        account: asked.account.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        one: series.account.is_some(),
        csv: asked.href("/statistics.csv", series.period, TopBy::Bytes),
        from: series.points.first().map_or_else(|| shell.time(shell.now), |first| shell.time(first.at_ms)),
        compared,
        tiles: tiles(&shell, &series),
        pictures: Pictures::of(lang, &series, shell.now),
        grows: show::signed_bytes(growth.growth_per_day),
        full: when_full(&shell, &growth),
        growth,
        columns: vec![
            column(TopBy::Bytes, "上传量", "Ingest"),
            column(TopBy::Uploads, "文件", "Files"),
            column(TopBy::Refused, "拒绝", "Refused"),
        ],
        top_accounts: series.top_accounts,
        top_cameras: series.top_cameras,
        shell,
    }
}

fn tiles(shell: &Shell, series: &Series) -> Vec<Tile> {
    let (lang, total) = (shell.lang, &series.total);
    let tile = |label, value: Html, note: String, number: fn(&Counters) -> u64, tone| Tile {
        label,
        value,
        note,
        change: series.before.as_ref().map(|b| change(lang, number(&series.over), number(b))).unwrap_or_default(),
        tone,
    };
    let count = show::count;
    let gone = |c: &Counters| c.overwritten + c.deleted;
    let tone = |bad: bool| if bad { "warn" } else { "" };
    vec![
        tile(
            lang.say("上传量", "Ingest"),
            shell.bytes(total.bytes_in),
            lang.say(format!("{} 个文件", count(total.uploads())), format!("{} files", count(total.uploads()))),
            |c| c.bytes_in,
            "",
        ),
        tile(
            lang.say("上传文件", "Files uploaded"),
            shell.count(total.uploads()),
            lang.say(
                format!("录像 {} · 图片 {}", count(total.recordings), count(total.pictures)),
                format!("{} recordings · {} pictures", count(total.recordings), count(total.pictures)),
            ),
            Counters::uploads,
            "",
        ),
        tile(
            lang.say("读取量", "Downloads"),
            shell.bytes(total.bytes_out),
            lang.say(format!("{} 次", count(total.downloads)), format!("{} requests", count(total.downloads))),
            |c| c.bytes_out,
            "",
        ),
        tile(
            lang.say("覆盖与删除", "Overwritten and deleted"),
            shell.count(gone(total)),
            format!(
                "{} {} · {} {}",
                lang.say("覆盖", "overwritten"),
                show::bytes(total.overwritten_bytes),
                lang.say("删除", "deleted"),
                show::bytes(total.deleted_bytes)
            ),
            |c| c.overwritten + c.deleted,
            "",
        ),
        tile(
            lang.say("拒绝的请求", "Requests refused"),
            shell.count(total.refused()),
            most_refused(lang, total),
            Counters::refused,
            tone(total.refused() > 0),
        ),
        tile(
            lang.say("告警", "Alerts"),
            shell.count(total.alerts_raised),
            lang.say(
                format!("送达 {} · 放弃 {}", count(total.alerts_delivered), count(total.alerts_given_up)),
                format!("{} delivered · {} given up", count(total.alerts_delivered), count(total.alerts_given_up)),
            ),
            |c| c.alerts_raised,
            tone(total.alerts_given_up > 0),
        ),
    ]
}

/// The most frequent cause.
fn most_refused(lang: Lang, total: &Counters) -> String {
    let most = total.refusals.iter().max_by_key(|(_, times)| **times);
    most.map(|(code, times)| format!("{} {}", words::refusal(lang, code), show::count(*times))).unwrap_or_default()
}

/// What became of a number, in per cent of what it was.
fn change(lang: Lang, now: u64, before: u64) -> String {
    if before == 0 {
        return if now == 0 { String::new() } else { lang.say("此前为 0", "none before").to_owned() };
    }
    let (sign, part) = if now >= before { ('+', now - before) } else { ('−', before - now) };
    format!("{sign}{}", show::percent(part, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_share_of_what_was_before() {
        let said = |now, before| change(Lang::En, now, before);
        assert_eq!(said(150, 100), "+50.0 %");
        assert_eq!(said(50, 100), "−50.0 %");
        assert_eq!(said(7, 7), "+0.0 %");
        assert_eq!((said(0, 0), said(1, 0)), (String::new(), "none before".to_owned()));
    }

    #[test]
    fn what_is_asked_for_stays_in_the_links() {
        let request = Request::get("/statistics?period=30d&account=%E7%9C%81&by=refused").body(Body::empty()).unwrap();
        let asked = Asked::of(&request).unwrap();
        assert_eq!((asked.period, asked.by), (Period::Month, TopBy::Refused));
        assert_eq!(asked.href("/s", Period::Year, TopBy::Bytes), "/s?period=12m&account=%E7%9C%81");
        assert_eq!(asked.href("/s", Period::Day, asked.by), "/s?period=24h&account=%E7%9C%81&by=refused");
        let odd = Request::get("/statistics?period=x&by=y").body(Body::empty()).unwrap();
        let asked = Asked::of(&odd).unwrap();
        assert_eq!((asked.period, asked.by, asked.account), (Period::Day, TopBy::Bytes, None));
    }
}
