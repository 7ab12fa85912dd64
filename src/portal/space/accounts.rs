//! 空间管理: the box's disks against what is promised of them, and its accounts.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::super::guard::Session;
use super::super::shell::{Pager, Shell};
use super::super::show::{self, Html};
use super::super::{Portal, shell};
use super::{Asked, Choice, in_numbers, length, sorts, until};
use crate::engine::observe::{AccountSpace, BoxForecast, SpaceSort};

/// Rows on a page.
const PAGE: u64 = 50;

/// A measure of the box against its disks.
struct Gauge {
    label: &'static str,
    value: String,
    share: String,
    bar: Html,
    over: bool,
}

/// An account as a row.
struct Row {
    name: String,
    suspended: bool,
    over: bool,
    bar: Html,
    numbers: String,
    space: String,
    handed_out: String,
    handed_out_share: String,
    share: String,
    cameras: u64,
    above: u64,
    full: u64,
    full_in: String,
    full_at: Option<Html>,
    kept: String,
}

#[derive(Template)]
#[template(path = "space_accounts.html")]
struct View {
    shell: Shell,
    of: BoxForecast,
    over: String,
    full_in: String,
    full_at: Option<Html>,
    grows: String,
    gauges: Vec<Gauge>,
    rows: Vec<Row>,
    sorts: Vec<Choice>,
    find: String,
    warn: u8,
    pager: Pager,
}

pub(super) async fn show_page(portal: &Portal, session: &Session, asked: Asked) -> Response<Body> {
    let shell = session.shell(portal);
    let caller = &session.signed.caller;
    let of = match portal.engine.box_forecast(caller).await {
        Ok(of) => of,
        Err(error) => return shell.failed(&error),
    };
    let mut query = asked.query(PAGE);
    let mut found = match portal.engine.account_spaces(caller, query.clone()).await {
        Ok(found) => found,
        Err(error) => return shell.failed(&error),
    };
    let pager = Pager::new(&shell.here, asked.page, found.total, PAGE);
    if pager.page != asked.page {
        query.skip = usize::try_from((pager.page - 1) * PAGE).unwrap_or(0);
        found = match portal.engine.account_spaces(caller, query).await {
            Ok(found) => found,
            Err(error) => return shell.failed(&error),
        };
    }
    let over = of.promised_bytes > of.capacity_bytes;
    let grows = u64::try_from(of.growth_per_day).map_or_else(
        |_| format!("−{}", show::bytes(of.growth_per_day.unsigned_abs())),
        |growth| format!("+{}", show::bytes(growth)),
    );
    let view = View {
        over: if over { show::percent(of.promised_bytes, of.capacity_bytes) } else { String::new() },
        full_in: until(&shell, of.full_ms, shell.say("已满", "full")),
        full_at: of.full_ms.map(|ms| shell.time(ms)),
        grows,
        gauges: gauges(&shell, &of),
        rows: found.rows.iter().map(|account| row(&shell, account)).collect(),
        sorts: sorts(shell.lang, true, asked.sort)
            .into_iter()
            .filter(|sort| sort.word != SpaceSort::Next.word())
            .collect(),
        find: asked.find,
        warn: found.warn_percent,
        pager,
        of,
        shell,
    };
    shell::page(StatusCode::OK, &view)
}

fn gauges(shell: &Shell, of: &BoxForecast) -> Vec<Gauge> {
    let gauge = |label, value: u64| {
        let (inside, above) = (value.min(of.capacity_bytes), value.saturating_sub(of.capacity_bytes));
        let share = show::percent(value, of.capacity_bytes);
        let said = format!("{label} {} {} {}", show::bytes(value), shell.t.of_total, show::bytes(of.capacity_bytes));
        let parts = [("used", label, inside), ("full", shell.t.above, above)];
        let bar = show::bar(&said, &parts, of.capacity_bytes);
        Gauge { label, value: show::bytes(value), share, bar, over: above > 0 }
    };
    vec![
        gauge(shell.say("已承诺给账户", "Promised to accounts"), of.promised_bytes),
        gauge(shell.say("已分配给子账户", "Handed out to sub-accounts"), of.handed_out_bytes),
        gauge(shell.say("已用", "Used"), of.used_bytes),
    ]
}

fn row(shell: &Shell, account: &AccountSpace) -> Row {
    let sums = &account.sums;
    let used = sums.used_bytes.saturating_add(account.own_bytes);
    Row {
        name: account.account.clone(),
        suspended: account.suspended,
        over: account.over,
        bar: shell.space_bar(used, sums.locked_bytes, sums.reserved_bytes, account.space_bytes),
        numbers: in_numbers(shell, used, sums.locked_bytes, sums.reserved_bytes, account.space_bytes),
        space: show::bytes(account.space_bytes),
        handed_out: show::bytes(account.handed_out_bytes),
        handed_out_share: show::percent(account.handed_out_bytes, account.space_bytes),
        share: show::percent(used, account.space_bytes),
        cameras: sums.cameras,
        above: sums.above,
        full: sums.full,
        full_in: until(shell, sums.full_ms, shell.say("已满", "full")),
        full_at: sums.full_ms.filter(|ms| *ms > shell.now).map(|ms| shell.time(ms)),
        kept: length(shell, sums.kept_ms),
    }
}
