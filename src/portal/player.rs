//! A recording in the page: played with seeking, the next clip after it, what it is and where in its day it lies; where
//! a browser cannot play it, an honest word and the download.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use http::{Response, StatusCode};

use super::chart::{self, DaySpan};
use super::files::sought::{DAY, form_value};
use super::form::Form;
use super::guard::Session;
use super::media::{failed, media_href};
use super::shell::{Shell, page};
use super::show::{self, Html};
use super::text::Lang;
use super::{Needs, Portal, Route};
use crate::domain::files::{Part, Span};
use crate::domain::{Action, Media};
use crate::engine::{DayView, Error, FileName, FileView};
use crate::wire::china_time;
use crate::wire::media::{Info, Obstacle, codec_name, is_heard};

words! {
    /// The words of the player.
    struct PlayerWords;
    player: "播放", "Player";
    facts: "文件信息", "About the file";
    cannot: "浏览器不能播放这个文件", "A browser cannot play this file";
    try_anyway: "仍要试着播放", "Try to play it all the same";
    not_supported: "浏览器没能播放，请下载后用本地播放器观看：", "The browser could not play it; download it for a player of your own: ";
    broke_off: "没能读到文件末尾：网络中断，或文件有损坏。刷新后重试；仍不行时请联系运维。", "The file could not be read to its end: the connection broke, or it is damaged. Reload to try again; if it stays so, tell whoever runs the box.";
    download: "下载", "Download";
    previous: "上一段", "Previous clip";
    next: "下一段", "Next clip";
    is_first: "最早一段", "The first clip";
    is_last: "最新一段", "The last clip";
    go_on: "连续播放", "Keep playing";
    uploaded: "上传完成", "Uploaded";
    duration: "时长", "Length";
    size: "大小", "Size";
    container: "封装", "Container";
    codecs: "编码", "Codecs";
    resolution: "分辨率", "Resolution";
    lock: "锁定", "Lock";
    not_locked: "未锁定", "Not locked";
    reason: "原因", "Reason";
    do_lock: "锁定", "Lock";
    do_unlock: "解锁", "Unlock";
    do_delete: "删除…", "Delete…";
    all_of_day: "当天全部录像", "All recordings of the day";
    recorded: "有录像", "Recorded";
    missing: "缺失", "Missing";
}

/// A clip beside this one.
struct Beside {
    href: String,
    label: String,
}

#[derive(Template)]
#[template(path = "player.html")]
struct PlayerPage {
    shell: Shell,
    w: &'static PlayerWords,
    file: FileView,
    /// The camera's name, else its AK.
    camera: String,
    place: String,
    /// From when to when it plays, or when it was uploaded.
    title: String,
    day: String,
    day_href: String,
    src: String,
    download: String,
    size_text: String,
    /// Why a browser cannot play it.
    cannot: Option<String>,
    try_href: Option<String>,
    is_picture: bool,
    autoplay: bool,
    previous: Option<Beside>,
    next: Option<Beside>,
    container: &'static str,
    codecs: String,
    /// What is to be known of the codecs.
    note: &'static str,
    duration: Option<String>,
    resolution: Option<String>,
    strip: Html,
    may_change: bool,
    form_value: String,
    here: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct NothingThen {
    shell: Shell,
    title: &'static str,
    text: String,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/recordings/play", needs: Needs::Role(Action::SeeFiles), pages: get(player) }]
}

/// The page of a recording that plays as soon as it is there.
pub(super) fn play_href(ak: &str, key: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("ak", ak).append_pair("key", key).append_pair("play", "1");
    format!("/recordings/play?{}", query.finish())
}

async fn player(State(portal): State<Arc<Portal>>, session: Session, RawQuery(query): RawQuery) -> Response<Body> {
    let query = Form::of_query(query.as_deref());
    let (ak, caller) = (query.get("ak").to_owned(), &session.signed.caller);
    let at: Option<i64> = if query.is_set("key") { None } else { query.get("at").parse().ok() };
    let found = match at {
        None => portal.engine.file(caller, &ak, Media::Recording, query.raw("key")).await,
        Some(at) => match portal.engine.files_around(caller, &ak, Media::Recording, at).await {
            Ok([_, Some(here), _]) => Ok(here),
            Ok([_, None, _]) => return nothing_then(session.shell(&portal), at),
            Err(error) => Err(error),
        },
    };
    let file = match found {
        Ok(file) => file,
        Err(error) => return failed(&portal, &session, &error, &ak, query.raw("key")),
    };
    match shown(&portal, &session, &query, file, at).await {
        Ok(view) => page(StatusCode::OK, &view),
        Err(error) => failed(&portal, &session, &error, &ak, query.raw("key")),
    }
}

fn nothing_then(shell: Shell, at: i64) -> Response<Body> {
    let title = shell.say("这个时刻之后没有录像", "There is no recording at that time or after it");
    let text = show::moment(at.clamp(-FAR, FAR).saturating_mul(1000), shell.zone_minutes);
    page(StatusCode::NOT_FOUND, &NothingThen { title, text, shell })
}

/// Further than any recording, and nearer than what can be counted with.
const FAR: i64 = 1 << 37;

async fn shown(
    portal: &Portal,
    session: &Session,
    query: &Form,
    file: FileView,
    at: Option<i64>,
) -> Result<PlayerPage, Error> {
    let (shell, caller) = (session.shell(portal), &session.signed.caller);
    let (w, zone, lang) = (PlayerWords::of(shell.lang), shell.zone_minutes, shell.lang);
    let camera = portal.engine.camera(caller, &file.ak).await?;
    let info = portal.engine.file_info(caller, &file.ak, Media::Recording, &file.key).await?;
    let [previous, next] = portal.engine.neighbours(caller, &file).await?;
    let end = file.created_ms.div_euclid(1000);
    let start = day_start(end, zone);
    let day_view = portal.engine.day(caller, &file.ak, start..start + DAY).await?;
    let seconds = info.duration_ms.and_then(|ms| i64::try_from(ms.div_ceil(1000)).ok());
    let from = seconds.map(|seconds| end.saturating_sub(seconds));
    let name = FileName { ak: file.ak.clone(), media: Media::Recording, key: file.key.clone() };

    let day = show::moment(file.created_ms, zone).split(' ').next().unwrap_or_default().to_owned();
    let clock = |second: i64| show::moment(second.saturating_mul(1000), zone);
    let title = match from {
        Some(from) => format!("{} – {}", clock(from), time_of(&clock(end))),
        None => clock(end),
    };
    let strip_label = format!("{} {day}", show::called(&camera.name, &file.ak));
    let place = place_of(&day_view, end, from);
    let spans: Vec<DaySpan> =
        day_view.spans.iter().map(|span| drawn(span, &day_view, start, &file.ak, zone, lang)).collect();
    let of_day = |second: i64| u32::try_from((second - start).clamp(0, DAY)).unwrap_or(0);
    let mark = ((of_day(place.0), of_day(place.1)), lang.say("这一段", "This clip"));
    let strip = chart::day_strip_marked(&strip_label, &spans, Some(mark));

    let beside = |file: FileView| Beside {
        href: play_href(&file.ak, &file.key),
        label: format!("{} · {}", show::moment(file.created_ms, zone), show::bytes(file.size)),
    };
    let tried = query.is_set("try");
    let mut src = media_href(&name, false);
    // Where a moment within the clip was chosen, playing begins there: a fragment of the media (W3C).
    if let (Some(at), Some(from)) = (at, from)
        && at > from
        && at < end
    {
        src.push_str(&format!("#t={}", at - from));
    }
    let day_href = {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("/recordings?{}", query.append_pair("ak", &file.ak).append_pair("day", &day).finish())
    };
    let cannot = info.obstacle.filter(|_| !tried).map(|obstacle| why_not(&info, obstacle, lang));
    // What browsers lack is the codec: some have it.
    let can_be_tried =
        cannot.is_some() && info.obstacle == Some(Obstacle::Codec) && info.container.content_type().is_some();
    Ok(PlayerPage {
        w,
        title,
        day_href,
        day,
        src,
        download: media_href(&name, true),
        size_text: show::bytes(file.size),
        cannot,
        try_href: can_be_tried.then(|| format!("{}&try=1", play_href(&file.ak, &file.key))),
        is_picture: info.container.is_picture(),
        autoplay: at.is_some() || query.get("play") == "1",
        previous: previous.map(beside),
        next: next.map(beside),
        container: info.container.name(),
        codecs: codecs(&info, lang),
        note: note(&info, lang),
        duration: seconds.map(|seconds| shell.duration(seconds)),
        resolution: info.size.map(|(wide, high)| format!("{wide} × {high}")),
        strip,
        may_change: shell.may(Action::ChangeFiles) && portal.paths.contains(&"/files/lock"),
        form_value: form_value(&file.ak, Media::Recording, &file.key),
        here: {
            let mut query = form_urlencoded::Serializer::new(String::new());
            format!("/recordings/play?{}", query.append_pair("ak", &file.ak).append_pair("key", &file.key).finish())
        },
        camera: show::called(&camera.name, &camera.ak).to_owned(),
        place: camera.place,
        file,
        shell,
    })
}

/// The first second of a second's day in a zone.
pub(super) fn day_start(second: i64, zone_minutes: i32) -> i64 {
    let east = i64::from(zone_minutes) * 60;
    (second + east).div_euclid(DAY) * DAY - east
}

/// `HH:MM:SS` of a written moment.
fn time_of(moment: &str) -> &str {
    moment.split(' ').nth(1).unwrap_or(moment)
}

/// Where a clip lies: as it plays, else as the day's view has it.
fn place_of(day: &DayView, end: i64, from: Option<i64>) -> (i64, i64) {
    let drawn = day.spans.iter().find(|span| span.part != Part::Missing && span.from < end && end <= span.to);
    match (from, drawn) {
        (Some(from), _) => (from, end),
        (None, Some(span)) if !day.rolled_up => (span.from, span.to),
        _ => (end - 60, end),
    }
}

/// A span of a day as a strip draws it; a click plays it.
pub(super) fn drawn(span: &Span, day: &DayView, start: i64, ak: &str, zone_minutes: i32, lang: Lang) -> DaySpan {
    let of_day = |second: i64| u32::try_from((second - start).clamp(0, DAY)).unwrap_or(0);
    let clock = |second: i64| {
        let moment = china_time::format(second, zone_minutes);
        if second == start + DAY { "24:00:00".to_owned() } else { time_of(&moment).to_owned() }
    };
    let (what, word) = match span.part {
        Part::Recorded => (chart::Span::Recorded, lang.say("有录像", "recorded")),
        Part::Locked => (chart::Span::Locked, lang.say("有锁定", "locked")),
        Part::Missing => (chart::Span::Missing, lang.say("缺失", "missing")),
    };
    let mut label = format!("{}–{} {word}", clock(span.from), clock(span.to));
    if span.files > 1 {
        label.push_str(&format!(" · {} {}", show::count(span.files), lang.say("个文件", "files")));
    }
    let href = (span.part != Part::Missing).then(|| match &span.first {
        Some(key) => play_href(ak, key),
        // A span ends with its file; a slot of seconds begins with its first.
        None => {
            let at = if day.rolled_up { span.from } else { span.from + 1 };
            let mut query = form_urlencoded::Serializer::new(String::new());
            format!("/recordings/play?{}", query.append_pair("ak", ak).append_pair("at", &at.to_string()).finish())
        }
    });
    DaySpan { from: of_day(span.from), to: of_day(span.to), what, label, href }
}

/// What a file is made of: `H.264 (avc1.64001f) · AAC`.
fn codecs(info: &Info, lang: Lang) -> String {
    let named = |code: &String| {
        let name = codec_name(code);
        if name == code { name.to_owned() } else { format!("{name} ({code})") }
    };
    let known: Vec<String> = info.video.iter().chain(&info.audio).map(named).collect();
    if known.is_empty() { lang.say("未知", "unknown").to_owned() } else { known.join(" · ") }
}

/// What a browser leaves out without a word.
fn note(info: &Info, lang: Lang) -> &'static str {
    match &info.audio {
        Some(audio) if info.obstacle.is_none() && !is_heard(audio) => {
            lang.say("浏览器不能播放这种声音，画面正常", "Browsers play no such sound; the picture is there")
        }
        _ => "",
    }
}

/// Why a browser cannot play a file, and what to do.
fn why_not(info: &Info, obstacle: Obstacle, lang: Lang) -> String {
    let (container, video) = (info.container.name(), info.video.as_deref().map(codec_name));
    let codecs = codecs(info, lang);
    match obstacle {
        Obstacle::Codec => match video {
            Some(video) => match lang {
                Lang::Zh => format!("视频编码是 {video}（{codecs}），多数浏览器不支持。请下载后用支持 {video} 的播放器观看。"),
                Lang::En => format!("The video is {video} ({codecs}), which most browsers do not know. Download it for a player that does."),
            },
            None => lang.say("这个文件里没有画面。请下载后播放。", "There is no video in this file. Download it to play it.").to_owned(),
        },
        Obstacle::Container => match lang {
            Lang::Zh => format!("文件的封装是 {container}（编码：{codecs}），浏览器不认识这种封装。请下载后用本地播放器观看。"),
            Lang::En => format!("The file is a {container} (codecs: {codecs}); browsers do not know that container. Download it for a player of your own."),
        },
        Obstacle::NoDirectory => match lang {
            Lang::Zh => format!("这个 {container} 没有目录（moov），录制时可能中断了，播放器找不到画面。可以下载后尝试修复。"),
            Lang::En => format!("This {container} has no directory (moov): its recording was probably cut short, and no player finds the pictures. Download it to have it mended."),
        },
        Obstacle::Unknown => lang
            .say(
                "从内容看不出这是录像，浏览器不能播放。可以下载后查看。",
                "Its bytes are those of no recording that we know; a browser cannot play it. Download it to look at it.",
            )
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::media::Container;

    #[test]
    fn an_obstacle_is_told_by_name_in_both_languages() {
        let hevc = Info { video: Some("hvc1.1.6.L93.B0".into()), ..Info::of(Container::Mp4) };
        let flv = Info { video: Some("H.264".into()), audio: Some("AAC".into()), ..Info::of(Container::Flv) };
        for lang in [Lang::Zh, Lang::En] {
            let told = why_not(&hevc, Obstacle::Codec, lang);
            assert!(told.contains("H.265") && told.contains("hvc1.1.6.L93.B0"), "{told}");
            let told = why_not(&flv, Obstacle::Container, lang);
            assert!(told.contains("FLV") && told.contains("H.264 · AAC"), "{told}");
            assert!(why_not(&hevc, Obstacle::NoDirectory, lang).contains("moov"));
        }
        let deaf = Info { video: Some("avc1.64001f".into()), audio: Some("alaw".into()), ..Info::of(Container::Mp4) };
        assert!(!note(&deaf, Lang::Zh).is_empty() && note(&flv, Lang::Zh).is_empty());
        assert_eq!(codecs(&deaf, Lang::En), "H.264 (avc1.64001f) · G.711A (alaw)");
    }

    #[test]
    fn a_span_of_a_day_leads_to_what_it_shows() {
        let start = day_start(1_764_068_400, 480);
        assert_eq!(start, 1_764_000_000);
        let day =
            DayView { from: start, to: start + DAY, files: 1, spans: Vec::new(), cadence: None, rolled_up: false };
        let span =
            Span { from: start + 60, to: start + DAY, part: Part::Locked, files: 2, first: Some("a|b&c".into()) };
        let shown = drawn(&span, &day, start, "AK", 480, Lang::En);
        assert_eq!((shown.from, shown.to), (60, 86_400));
        assert_eq!(shown.label, "00:01:00–24:00:00 locked · 2 files");
        assert_eq!(shown.href.as_deref(), Some("/recordings/play?ak=AK&key=a%7Cb%26c&play=1"));
        let slot = Span { first: None, ..span.clone() };
        let at = |day: &DayView| drawn(&slot, day, start, "AK", 480, Lang::En).href.unwrap();
        assert!(at(&day).ends_with(&format!("at={}", start + 61)));
        assert!(at(&DayView { rolled_up: true, ..day }).ends_with(&format!("at={}", start + 60)));
    }
}
