//! 空间监控: the sub-accounts of an account, what they hold, what their next overwrites take, what came to them.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::super::Portal;
use super::super::chart::{Shade, heat_strip};
use super::super::guard::Session;
use super::super::shell::{Pager, Shell, page};
use super::super::show::{self, Html};
use super::{Asked, Choice, View as Seen, in_numbers, length, sorts, until};
use crate::domain::Action;
use crate::engine::observe::{CameraDays, Forecast, SpacePage, SpaceQuery, SpaceRow, SpaceSort, SpaceState, SpaceSums};
use crate::engine::{AccountView, Result};

/// Who a row is about.
struct Camera {
    ak: String,
    name: String,
    place: String,
    /// Where its page is.
    href: Option<String>,
}

/// A sub-account as a row.
struct Row {
    camera: Camera,
    bar: Html,
    numbers: String,
    space: String,
    share: String,
    locked_share: String,
    state: (&'static str, &'static str),
    loops: bool,
    full_in: String,
    full_at: Option<Html>,
    kept: String,
    reaches: String,
}

/// What the next overwrite of a sub-account takes.
struct Next {
    camera: Camera,
    due_in: String,
    due_at: Option<Html>,
    files: u64,
    more: bool,
    bytes: u64,
    upto: Option<Html>,
    kept: String,
    /// Where the files that go can be looked at.
    files_href: Option<String>,
}

/// The last days of a sub-account.
struct Days {
    camera: Camera,
    strip: Html,
    bytes: u64,
    files: u64,
    without: u64,
}

/// What is shown below the tiles.
enum Table {
    List(Vec<Row>),
    Next(Vec<Next>),
    Days(Vec<Days>),
}

#[derive(Template)]
#[template(path = "space_cameras.html")]
struct View {
    shell: Shell,
    /// Of somebody who sees all accounts.
    of_box: bool,
    account: AccountView,
    space_bytes: u64,
    handed_out_bytes: u64,
    sums: SpaceSums,
    warn: u8,
    bar: Html,
    numbers: String,
    next_in: String,
    next_at: Option<Html>,
    next_href: String,
    above_href: String,
    full_href: String,
    locked_href: String,
    gone_href: Option<String>,
    tabs: Vec<Choice>,
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    here: &'static str,
    find: String,
    csv: String,
    table: Table,
    pager: Pager,
}

/// Rows on a page: a strip has thirty places.
const fn rows_of(view: Seen) -> u64 {
    match view {
        Seen::List => 50,
        Seen::Next | Seen::Days => 20,
    }
}

pub(super) async fn show_page(portal: &Portal, session: &Session, mut asked: Asked) -> Response<Body> {
    let shell = session.shell(portal);
    if session.signed.role.of_one_account() {
        // Its own; another's is refused below.
        asked.account = asked.account.or_else(|| session.signed.account.clone());
    }
    let Some(Ok(name)) = asked.account.as_ref().map(|name| name.parse()) else { return shell.not_found() };
    let account = match portal.engine.account(&session.signed.caller, &name).await {
        Ok(account) => account,
        Err(error) => return shell.failed(&error),
    };
    match view(portal, session, asked, account, shell).await {
        Ok(view) => page(StatusCode::OK, &view),
        Err(error) => session.shell(portal).failed(&error),
    }
}

async fn view(portal: &Portal, session: &Session, asked: Asked, account: AccountView, shell: Shell) -> Result<View> {
    let size = rows_of(asked.view);
    let mut query = asked.query(size);
    if asked.view == Seen::Next {
        (query.state, query.sort) = (SpaceState::Loops, SpaceSort::Next);
    }
    let mut found = portal.engine.spaces(&session.signed.caller, query.clone()).await?;
    let pager = Pager::new(&shell.here, asked.page, found.total, size);
    if pager.page != asked.page {
        query.skip = usize::try_from((pager.page - 1) * size).unwrap_or(0);
        found = portal.engine.spaces(&session.signed.caller, SpaceQuery { ..query }).await?;
    }
    let table = table(portal, session, &shell, asked.view, &found).await?;
    let sums = found.sums;
    let gigabyte = portal.settings.gigabyte.get();
    let space_bytes = u64::from(account.space_gb).saturating_mul(gigabyte);
    let used = sums.used_bytes.saturating_add(account.own_bytes);
    let lang = shell.lang;
    let tab = |view: Seen| Choice {
        word: view.word(),
        href: asked.href("/space", view, if view == Seen::Next { SpaceState::All } else { asked.state }),
        label: view.label(lang),
        here: view == asked.view,
    };
    let only = |state| {
        Asked { find: String::new(), account: asked.account.clone(), ..asked }.href("/space", Seen::List, state)
    };
    let gone = portal.paths.contains(&"/space/gone");
    Ok(View {
        of_box: !session.signed.role.of_one_account(),
        space_bytes,
        handed_out_bytes: account.handed_out_gb.saturating_mul(gigabyte),
        warn: found.warn_percent,
        bar: shell.space_bar(used, sums.locked_bytes, sums.reserved_bytes, space_bytes),
        numbers: in_numbers(&shell, used, sums.locked_bytes, sums.reserved_bytes, space_bytes),
        next_in: until(&shell, sums.overwrite_ms, shell.say("即将", "about now")),
        next_at: sums.overwrite_ms.filter(|ms| *ms > shell.now).map(|ms| shell.time(ms)),
        next_href: asked.href("/space", Seen::Next, SpaceState::All),
        above_href: only(SpaceState::Above),
        full_href: only(SpaceState::Full),
        locked_href: only(SpaceState::Locked),
        gone_href: gone.then(|| "/space/gone".to_owned()),
        tabs: Seen::ALL.into_iter().map(tab).collect(),
        states: states(&shell, found.warn_percent, asked.state),
        sorts: sorts(shell.lang, false, asked.sort),
        here: asked.view.word(),
        csv: asked.href("/space.csv", Seen::List, asked.state),
        find: asked.find,
        sums,
        account,
        table,
        pager,
        shell,
    })
}

async fn table(portal: &Portal, session: &Session, shell: &Shell, view: Seen, found: &SpacePage) -> Result<Table> {
    let aks: Vec<String> = found.rows.iter().map(|row| row.ak.clone()).collect();
    let rows = || found.rows.iter();
    let one = session.signed.role.of_one_account();
    let show = one && portal.paths.contains(&"/cameras/show");
    let files = one && shell.may(Action::SeeFiles) && portal.paths.contains(&"/recordings");
    let camera = |row: &SpaceRow| camera(row, show);
    Ok(match view {
        Seen::List => Table::List(rows().map(|row| list_row(shell, camera(row), row)).collect()),
        Seen::Next => {
            let all = portal.engine.forecasts(&session.signed.caller, &aks).await?;
            let of = |row: &SpaceRow| all.iter().find(|one| one.ak == row.ak);
            let next = |row: &SpaceRow| of(row).map(|one| next(shell, camera(row), one, files));
            Table::Next(rows().filter_map(next).collect())
        }
        Seen::Days => {
            let all = portal.engine.camera_days(&session.signed.caller, &aks).await?;
            Table::Days(rows().zip(&all).map(|(row, days)| strip(shell, camera(row), days)).collect())
        }
    })
}

fn states(shell: &Shell, warn: u8, now: SpaceState) -> Vec<Choice> {
    let label = |state| match state {
        SpaceState::All => shell.say("全部", "All"),
        SpaceState::Above if warn == 80 => shell.say("超过 80 %", "Above 80 %"),
        SpaceState::Above => shell.say("超过预警线", "Above the warning"),
        SpaceState::Full => shell.say("已满", "Full"),
        SpaceState::Loops => shell.say("循环覆盖", "Overwrite"),
        SpaceState::Stops => shell.say("写满即停", "Stop when full"),
        SpaceState::Locked => shell.say("有锁定文件", "With locked files"),
    };
    let choice =
        |state: SpaceState| Choice { word: state.word(), href: String::new(), label: label(state), here: state == now };
    SpaceState::ALL.into_iter().map(choice).collect()
}

fn part(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn camera(row: &SpaceRow, show: bool) -> Camera {
    Camera {
        ak: row.ak.clone(),
        name: row.name.clone(),
        place: row.place.clone(),
        href: show.then(|| format!("/cameras/show?ak={}", part(&row.ak))),
    }
}

fn list_row(shell: &Shell, camera: Camera, row: &SpaceRow) -> Row {
    let reaches = row.oldest_ms.map(|ms| shell.now.saturating_sub(ms));
    let at_once = if row.loops { shell.say("随时", "about now") } else { shell.say("已满", "full") };
    Row {
        camera,
        bar: shell.space_bar(row.used_bytes, row.locked_bytes, row.reserved_bytes, row.granted_bytes),
        numbers: in_numbers(shell, row.used_bytes, row.locked_bytes, row.reserved_bytes, row.granted_bytes),
        space: show::bytes(row.granted_bytes),
        share: show::percent(row.used_bytes, row.granted_bytes),
        locked_share: show::percent(row.locked_bytes, row.granted_bytes),
        state: match (row.full, row.above, row.loops) {
            (true, ..) => ("bad", shell.say("已满", "Full")),
            (_, true, false) => ("warn", shell.say("偏高", "High")),
            (_, true, true) => ("info", shell.say("将覆盖", "To overwrite")),
            _ => ("good", shell.say("正常", "Fine")),
        },
        loops: row.loops,
        full_in: until(shell, row.full_ms, at_once),
        full_at: row.full_ms.filter(|ms| *ms > shell.now).map(|ms| shell.time(ms)),
        kept: if row.loops { length(shell, row.window_ms) } else { "–".to_owned() },
        reaches: length(shell, reaches),
    }
}

fn next(shell: &Shell, camera: Camera, forecast: &Forecast, files: bool) -> Next {
    let href = forecast.overwrite_upto_ms.filter(|_| files).map(|ms| {
        let day = show::moment(ms, shell.zone_minutes);
        format!("/recordings?ak={}&day={}", part(&camera.ak), &day[..day.len().min(10)])
    });
    Next {
        camera,
        due_in: until(shell, forecast.overwrite_ms, shell.say("随时", "about now")),
        due_at: forecast.overwrite_ms.filter(|ms| *ms > shell.now).map(|ms| shell.time(ms)),
        files: forecast.overwrite_files,
        more: forecast.overwrite_more,
        bytes: forecast.overwrite_bytes,
        upto: forecast.overwrite_upto_ms.map(|ms| shell.time(ms)),
        kept: length(shell, forecast.kept_ms),
        files_href: href,
    }
}

fn strip(shell: &Shell, camera: Camera, days: &CameraDays) -> Days {
    let days = &days.days;
    let files = days.iter().map(|day| day.recordings + day.pictures).sum();
    let bytes = days.iter().map(|day| day.bytes_in).sum();
    let without = days.iter().filter(|day| day.bytes_in == 0).count() as u64;
    let shade = |day: &crate::engine::observe::CameraDay| {
        let date = show::moment(day.at_ms, shell.zone_minutes);
        Shade {
            value: day.bytes_in,
            title: format!(
                "{} {} · {} {}",
                &date[..date.len().min(10)],
                show::bytes(day.bytes_in),
                day.recordings + day.pictures,
                shell.say("个文件", "files")
            ),
        }
    };
    let label = format!(
        "{} {}: {}, {without} {}",
        shell.say("近 30 天写入", "The last 30 days"),
        show::called(&camera.name, &camera.ak),
        show::bytes(bytes),
        shell.say("天没有写入", "days without any")
    );
    let shades: Vec<Shade> = days.iter().map(shade).collect();
    Days { strip: heat_strip(&label, &shades), camera, bytes, files, without }
}
