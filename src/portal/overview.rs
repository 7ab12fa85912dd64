//! 总览: the health of the box, its space and when it is full, what comes in, what wants to be looked at. Read only; it
//! works as well for who has no script.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Response, StatusCode};

use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route, chart, show};
use crate::domain::Action;
use crate::engine::DiskView;
use crate::engine::observe::{Growth, Overview, Point};

struct Disk {
    dir: String,
    state: &'static str,
    class: &'static str,
    bar: Html,
    free: String,
    total: String,
}

/// A share of the disks.
struct Gauge {
    label: &'static str,
    help: &'static str,
    value: Html,
    share: String,
    bar: Html,
}

/// A number that leads somewhere.
struct Tile {
    href: &'static str,
    label: &'static str,
    value: Html,
    unit: &'static str,
    note: Html,
    tone: &'static str,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    w: &'static PageWords,
    all: Overview,
    tiles: Vec<Tile>,
    gauges: Vec<Gauge>,
    /// Bytes that the disks hold for files.
    room: u64,
    over_promised: bool,
    full: String,
    grows: String,
    disks: Vec<Disk>,
    s3: String,
    soap: String,
}

impl OverviewPage {
    fn refusal(&self, code: &str) -> String {
        super::statistics::refusal(self.shell.lang, code)
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/overview", needs: Needs::Role(Action::SeeOverview), pages: get(overview) }]
}

async fn overview(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let shell = session.shell(&portal);
    let all = match portal.engine.overview(&session.signed.caller).await {
        Ok(all) => all,
        Err(error) => return shell.failed(&error),
    };
    let addresses = (portal.settings.addresses)();
    let status = &all.status;
    let room = status.used_bytes.saturating_add(all.growth.left_bytes);
    let there: Vec<&'static str> = portal.paths.clone();
    let view = OverviewPage {
        w: PageWords::of(shell.lang),
        tiles: tiles(&shell, &all, &there),
        gauges: gauges(&shell, &all, room),
        room,
        over_promised: status.promised_bytes > room,
        full: when_full(&shell, &all.growth),
        grows: show::signed_bytes(all.growth.growth_per_day),
        disks: status.disks.iter().map(|disk| disk_row(&shell, disk)).collect(),
        s3: addresses.s3,
        soap: addresses.soap,
        all,
        shell,
    };
    page(StatusCode::OK, &view)
}

/// The tiles; one leads to its page where that is there.
fn tiles(shell: &Shell, all: &Overview, there: &[&'static str]) -> Vec<Tile> {
    let (lang, w) = (shell.lang, PageWords::of(shell.lang));
    let to = |href: &'static str| if there.contains(&href) { href } else { "" };
    let text = |text: String| askama::filters::Safe(show::escape(&text));
    let ingest = &all.ingest;
    let (a_second, a_minute) = rates(ingest.bytes, ingest.files, ingest.within_ms);
    let hours: Vec<u64> = ingest.hours.iter().map(|hour: &Point| hour.counters.bytes_in).collect();
    let spark = chart::sparkline(lang.say("24 小时上传量", "Ingest over 24 hours"), &hours);
    let bad = |is_bad: bool, tone: &'static str| if is_bad { tone } else { "" };
    let oldest = match all.alerts_oldest_ms {
        Some(at) => askama::filters::Safe(format!("{} {}", lang.say("最早", "oldest"), shell.time(at).0)),
        None => text(lang.say("全部已送达", "all delivered").to_owned()),
    };
    let silent = match all.silent_first.first() {
        Some(camera) => {
            let seconds = u64::try_from(camera.silent_ms / 1000).unwrap_or(0);
            text(format!("{} {}", lang.say("最长", "longest"), show::duration(seconds, lang)))
        }
        None => text(lang.say("均按节奏上传", "all upload as usual").to_owned()),
    };
    let state = lang
        .say(if all.healthy { "正常" } else { "需要处理" }, if all.healthy { "Healthy" } else { "Needs attention" });
    let bad_disks = all.status.disks.iter().filter(|disk| disk.state != "ok").count();
    vec![
        Tile {
            href: "#disks",
            label: lang.say("系统状态", "State of the box"),
            value: text(state.to_owned()),
            unit: "",
            note: text(match (bad_disks, all.status.scrub.damaged) {
                _ if all.status.no_room.is_some() => {
                    lang.say("磁盘已满，拒收上传", "the disk is full: uploads are refused").to_owned()
                }
                (0, 0) => lang.say("磁盘与巡检均正常", "disks and scrub are fine").to_owned(),
                (0, damaged) => format!("{} {}", w.scrub_damaged, show::count(damaged)),
                (disks, _) => lang.say(format!("{disks} 块磁盘异常"), format!("{disks} disks in trouble")),
            }),
            tone: if all.healthy { "good" } else { "bad" },
        },
        Tile {
            href: to("/statistics"),
            label: lang.say("当前上传", "Ingest now"),
            value: text(show::bytes(a_second)),
            unit: lang.say("/秒", "/s"),
            note: askama::filters::Safe(format!(
                "{} {} {}",
                show::count(a_minute),
                lang.say("个/分", "files/min"),
                spark.0
            )),
            tone: "",
        },
        Tile {
            href: to("/alerts"),
            label: lang.say("未送达告警", "Open alerts"),
            value: shell.count(all.alerts_open),
            unit: "",
            note: oldest,
            tone: bad(all.status.alerts_given_up > 0, "bad"),
        },
        Tile {
            href: bad(all.silent > 0, "#silent"),
            label: lang.say("静默摄像机", "Cameras gone silent"),
            value: shell.count(all.silent),
            unit: "",
            note: silent,
            tone: bad(all.silent > 0, "warn"),
        },
        Tile {
            href: to("/accounts"),
            label: lang.say("账户", "Accounts"),
            value: shell.count(all.status.accounts),
            unit: "",
            note: text(format!("{} {}", show::count(all.status.sub_accounts), w.sub_accounts)),
            tone: "",
        },
        match all.to_issue {
            Some(due) => Tile {
                href: to("/billing"),
                label: lang.say("待出账", "Statements to issue"),
                value: shell.count(due.accounts),
                unit: "",
                note: text(format!("{} {}", due.month, lang.say("账期", "accounts not issued"))),
                tone: "warn",
            },
            None => Tile {
                href: to("/billing"),
                label: shell.t.billing,
                value: text(lang.say("无待办", "Nothing due").to_owned()),
                unit: "",
                note: text(lang.say("上月账单", "last month's statements").to_owned()),
                tone: "",
            },
        },
    ]
}

/// What is used, handed out and promised, of what the disks hold.
fn gauges(shell: &Shell, all: &Overview, room: u64) -> Vec<Gauge> {
    let (w, status) = (PageWords::of(shell.lang), &all.status);
    let gauge = |label, help, bytes: u64| {
        let class = if bytes > room { "full" } else { "used" };
        let share = show::percent(bytes, room);
        let bar = show::bar(&format!("{label} {share}"), &[(class, label, bytes.min(room))], room);
        Gauge { label, help, value: shell.bytes(bytes), share, bar }
    };
    vec![
        gauge(shell.t.used, "", status.used_bytes),
        gauge(w.handed_out, w.handed_out_help, status.handed_out_bytes),
        gauge(w.promised, w.promised_help, status.promised_bytes),
    ]
}

/// When something is full, in words: in so many days, and the day.
pub(super) fn when_full(shell: &Shell, growth: &Growth) -> String {
    let lang = shell.lang;
    match growth.full_ms {
        _ if growth.left_bytes == 0 => lang.say("已满", "full").to_owned(),
        None if growth.within_ms < 3_600_000 => lang.say("数据尚短，暂无预测", "too early to tell").to_owned(),
        None => lang.say("按此趋势不会写满", "never at this rate").to_owned(),
        Some(at) => {
            let seconds = u64::try_from(at.saturating_sub(shell.now) / 1000).unwrap_or(0);
            // Hours matter only where there are few days.
            let seconds = if seconds > 10 * 86_400 { seconds / 86_400 * 86_400 } else { seconds };
            let day = show::moment(at, shell.zone_minutes);
            let day = day.get(..10).unwrap_or_default();
            let left = show::duration(seconds, lang);
            lang.say(format!("{left}后（{day}）"), format!("in {left} ({day})"))
        }
    }
}

/// Bytes a second and files a minute.
fn rates(bytes: u64, files: u64, within_ms: u64) -> (u64, u64) {
    let rate = |number: u64, unit_ms: u128| {
        let rate = (u128::from(number) * unit_ms).checked_div(u128::from(within_ms)).unwrap_or(0);
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    (rate(bytes, 1000), rate(files, 60_000))
}

fn disk_row(shell: &Shell, disk: &DiskView) -> Disk {
    let (t, w) = (shell.t, PageWords::of(shell.lang));
    let (state, class) = match disk.state {
        "ok" => (w.disk_ok, "good"),
        "full" => (w.disk_full, "bad"),
        "offline" => (w.disk_offline, "bad"),
        _ => (w.disk_failed, "bad"),
    };
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    let label = format!("{} {}", t.used, show::percent(used, disk.total_bytes));
    Disk {
        dir: disk.dir.clone(),
        state,
        class,
        bar: show::bar(&label, &[("used", t.used, used)], disk.total_bytes),
        free: show::bytes(disk.free_bytes),
        total: show::bytes(disk.total_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_that_was_looked_at() {
        assert_eq!(rates(600, 12, 60_000), (10, 12));
        assert_eq!(rates(600, 12, 0), (0, 0), "nothing is known right after a start");
        assert_eq!(rates(u64::MAX, 1, 1), (u64::MAX, 60_000));
    }
}
