//! One camera: what it holds and does; its name, space and end; its key once again. What takes files away is looked at
//! first, and confirmed by the camera's name, or its AK where it has none.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::accounts::Slip;
use super::chart::{Chart, Kind, Series, Unit};
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Shell, page};
use super::show::Html;
use super::text::Lang;
use super::{Needs, Portal, Route, show};
use crate::domain::{Action, AtTheEnd, Gigabytes, account};
use crate::engine::observe::{CameraDay, CameraView, Forecast};
use crate::engine::{Error, Goes, NewSubAccount, SpaceChange, SpacePreview, SubAccountView};

/// A clock that is so far off is told, ms.
const SKEW_MAX_MS: u64 = 300_000;

#[derive(Template)]
#[template(path = "camera_new.html")]
struct NewPage {
    shell: Shell,
    error: String,
    left: u64,
    space: String,
    name: String,
    place: String,
    loops: bool,
}

#[derive(Template)]
#[template(path = "camera.html")]
struct CameraPage {
    shell: Shell,
    error: String,
    name: String,
    sub: SubAccountView,
    camera: CameraView,
    forecast: Forecast,
    bar: Html,
    full: bool,
    warned: bool,
    skew: Option<String>,
    skewed: bool,
    refusal: Option<&'static str>,
    chart: Html,
}

#[derive(Template)]
#[template(path = "camera_act.html")]
struct ActPage {
    shell: Shell,
    title: String,
    help: &'static str,
    ak: String,
    name: String,
    back: String,
    action: &'static str,
    button: &'static str,
    goes: Goes,
    change: Option<SpacePreview>,
    close: bool,
    must_type: bool,
    kept: Vec<(&'static str, String)>,
    error: String,
}

/// What is done with a camera that may take files away.
#[derive(Clone, Copy)]
enum Act {
    Resize(Gigabytes),
    Loop(bool),
    Clear,
    Close,
}

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeSpace);
    let manage = Needs::Role(Action::ManageSubAccounts);
    vec![
        Route { path: "/cameras/show", needs: see, pages: get(show_one) },
        Route { path: "/cameras/new", needs: manage, pages: get(ask_new).post(open) },
        Route { path: "/cameras/name", needs: manage, pages: post(name) },
        Route { path: "/cameras/resize", needs: manage, pages: get(ask_resize).post(resize) },
        Route { path: "/cameras/loop", needs: manage, pages: get(ask_loop).post(set_loop) },
        Route { path: "/cameras/clear", needs: manage, pages: get(ask_clear).post(clear) },
        Route { path: "/cameras/close", needs: manage, pages: get(ask_close).post(close) },
        Route { path: "/cameras/key", needs: Needs::Role(Action::SeeKeys), pages: post(key) },
    ]
}

fn gigabytes(lang: Lang, text: &str) -> Result<Gigabytes, String> {
    let bad = || lang.say("空间是 1 GB 以上的整数", "a space is a whole number of GB, 1 at least").to_owned();
    text.parse().ok().and_then(|number| account::space(number).ok()).ok_or_else(bad)
}

fn page_of(ak: &str) -> String {
    let ak: String = form_urlencoded::byte_serialize(ak.as_bytes()).collect();
    format!("/cameras/show?ak={ak}")
}

/// What a camera is called.
fn called(sub: &SubAccountView) -> String {
    show::called(&sub.name, &sub.ak).to_owned()
}

// --- opening ---

async fn new_page(portal: &Portal, session: &Session, form: &Form, error: String) -> Response<Body> {
    let shell = session.shell(portal);
    let left = match session.signed.account.as_ref().and_then(|name| name.parse().ok()) {
        Some(name) => portal.engine.account(&session.signed.caller, &name).await.map_or(0, |account| account.free_gb),
        None => return shell.refused(),
    };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let [space, name, place] = ["space", "name", "place"].map(|field| form.get(field).to_owned());
    page(status, &NewPage { shell, error, left, space, name, place, loops: form.is_set("loop") })
}

async fn ask_new(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    new_page(&portal, &session, &Form::default(), String::new()).await
}

async fn open(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let space = match gigabytes(shell.lang, form.get("space")) {
        Ok(space) => space,
        Err(error) => return new_page(&portal, &session, &form, error).await,
    };
    let at_the_end = if form.is_set("loop") { AtTheEnd::Overwrite } else { AtTheEnd::Stop };
    let [name, place] = ["name", "place"].map(|field| form.get(field).to_owned());
    let new = NewSubAccount { account: None, space, at_the_end, name: name.clone(), place };
    let opened = portal.engine.add_sub_account(&session.signed.caller, new).await;
    let target = opened.as_ref().map_or_else(|_| space.to_string(), |opened| format!("{} {space}", opened.access_key));
    portal.engine.audit_by(&session.signed.caller, "OpenSubAccount", &target, &opened);
    match opened {
        Ok(opened) => {
            let back = page_of(opened.access_key.as_str());
            let mut lines = slip_lines(&shell, opened.access_key.as_str(), opened.secret.expose());
            lines.extend([
                ("S3URL", opened.s3_url),
                ("S3RecordBucket", opened.record_bucket.as_str().to_owned()),
                ("S3PictureBucket", opened.picture_bucket.as_str().to_owned()),
                (shell.say("空间", "Space"), space.to_string()),
            ]);
            if !name.is_empty() {
                lines.insert(0, (shell.say("名称", "Name"), name));
            }
            slip(shell, StatusCode::CREATED, lines, back)
        }
        Err(error) => new_page(&portal, &session, &form, shell.refusal(&error)).await,
    }
}

fn slip_lines(_: &Shell, ak: &str, secret: &str) -> Vec<(&'static str, String)> {
    vec![("S3AK", ak.to_owned()), ("S3SK", secret.to_owned())]
}

fn slip(shell: Shell, status: StatusCode, lines: Vec<(&'static str, String)>, back: String) -> Response<Body> {
    let title = shell.say("子账户凭证", "Sub-account slip").to_owned();
    let help =
        shell.say("请打印或抄录后填入摄像机，妥善保管。", "Print it for whoever sets the camera up, and keep it safe.");
    page(status, &Slip { w: PageWords::of(shell.lang), shell, title, help, lines, back })
}

async fn key(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let (ak, caller) = (form.get("ak"), &session.signed.caller);
    let shell = session.shell(&portal);
    let secret = portal.engine.sub_account_key(caller, ak).await;
    portal.engine.audit_by(caller, "SeeKey", &ak.chars().take(64).collect::<String>(), &secret);
    let shown = match secret {
        Ok(secret) => portal.engine.sub_account_view(caller, ak).await.map(|sub| (secret, sub)),
        Err(error) => Err(error),
    };
    match shown {
        Ok((secret, sub)) => {
            let mut lines = slip_lines(&shell, ak, secret.expose());
            lines.extend([
                ("S3URL", (portal.settings.addresses)().s3),
                ("S3RecordBucket", sub.record_bucket),
                ("S3PictureBucket", sub.picture_bucket),
            ]);
            slip(shell, StatusCode::OK, lines, page_of(ak))
        }
        Err(error) => shell.failed(&error),
    }
}

// --- the page ---

async fn show_one(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    one(&portal, &session, form.get("ak"), form.get("done"), String::new()).await
}

async fn one(portal: &Portal, session: &Session, ak: &str, done: &str, error: String) -> Response<Body> {
    let shell = session.shell(portal);
    let (engine, caller) = (&portal.engine, &session.signed.caller);
    let loaded = async {
        let sub = engine.sub_account_view(caller, ak).await?;
        let camera = engine.camera(caller, ak).await?;
        let forecast = engine.forecast(caller, ak).await?;
        let days = engine.camera_days(caller, &[ak.to_owned()]).await?;
        Ok::<_, Error>((sub, camera, forecast, days))
    };
    let (sub, camera, forecast, days) = match loaded.await {
        Ok(loaded) => loaded,
        // Another account's is not there.
        Err(Error::Refused(crate::domain::Refusal::Forbidden)) => return shell.not_found(),
        Err(error) => return shell.failed(&error),
    };
    let flash = match done {
        "saved" => Some(shell.t.saved),
        "cleared" => Some(shell.say("文件已清空", "Its files are cleared")),
        _ => None,
    };
    let shell = shell.saying(flash);
    let days = days.into_iter().next().map(|camera| camera.days).unwrap_or_default();
    let row =
        |name, count: fn(&CameraDay) -> u64| Series { name, values: days.iter().map(|day| Some(count(day))).collect() };
    let chart = Chart {
        kind: Kind::StackedColumns,
        title: shell.say("每天的录像和图片", "Recordings and pictures a day"),
        unit: Unit::Count,
        labels: days
            .iter()
            .map(|day| show::moment(day.at_ms, shell.zone_minutes).get(5..10).unwrap_or_default().to_owned())
            .collect(),
        series: vec![row(shell.say("录像", "Recordings"), |c| c.recordings), row(shell.t.pictures, |c| c.pictures)],
    };
    let skew = camera.skew_ms.map(|ms| {
        let sign = match ms {
            ..=-1000 => "−",
            1000.. => "+",
            _ => "",
        };
        format!("{sign}{}", shell.duration(ms.unsigned_abs() / 1000))
    });
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let view = CameraPage {
        error,
        name: called(&sub),
        bar: shell.space_bar(sub.used_bytes, sub.locked_bytes, sub.reserved_bytes, sub.space_bytes),
        full: sub.episodes.contains(&"full"),
        warned: sub.episodes.contains(&"nearly_full"),
        skewed: camera.skew_ms.is_some_and(|ms| ms.unsigned_abs() > SKEW_MAX_MS),
        refusal: camera.last_refusal.as_deref().and_then(|code| refusal_words(shell.lang, code)),
        chart: chart.html(shell.lang),
        skew,
        sub,
        camera,
        forecast,
        shell,
    };
    page(status, &view)
}

/// What S3's code of a refusal means for who looks after the camera.
fn refusal_words(lang: Lang, code: &str) -> Option<&'static str> {
    Some(match code {
        "QuotaExceeded" => lang.say("空间已满，无法覆盖", "the space is full and nothing may be overwritten"),
        "SignatureDoesNotMatch" => lang.say("签名不符：请检查密钥（SK）", "its secret key is wrong"),
        "RequestTimeTooSkewed" => lang.say("时钟偏差过大：请校时", "its clock is too far off"),
        "AccountProblem" => lang.say("账户已暂停", "the account is suspended"),
        "AccessDenied" => lang.say("该密钥无权执行此操作", "the key may not do that"),
        "NoSuchBucket" => lang.say("桶名错误", "its bucket's name is wrong"),
        "NoSuchKey" => lang.say("请求的文件不存在", "the file that it asked for is not there"),
        "SlowDown" => {
            lang.say("请求过多或磁盘已满，稍后会重试", "too many requests, or the disk is full; it tries again")
        }
        "BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => {
            lang.say("上传的数据不完整或已损坏", "what it sent was incomplete or damaged")
        }
        "EntityTooLarge" => lang.say("文件过大", "the file is too large"),
        "RequestTimeout" => lang.say("上传中断", "the upload stalled"),
        _ => return None,
    })
}

async fn name(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let (ak, caller) = (form.get("ak"), &session.signed.caller);
    let named = portal.engine.name_camera(caller, ak, form.get("name"), form.get("place")).await;
    portal.engine.audit_by(caller, "NameCamera", &ak.chars().take(64).collect::<String>(), &named);
    match named {
        Ok(()) => Redirect::to(&format!("{}&done=saved", page_of(ak))).into_response(),
        Err(error) => session.shell(&portal).failed(&error),
    }
}

// --- what may take files away ---

async fn ask_resize(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    match gigabytes(session.shell(&portal).lang, form.get("space")) {
        Ok(space) => ask(&portal, &session, &form, Act::Resize(space), String::new()).await,
        Err(error) => one(&portal, &session, form.get("ak"), "", error).await,
    }
}

async fn resize(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    match gigabytes(session.shell(&portal).lang, form.get("space")) {
        Ok(space) => act(&portal, &session, &form, Act::Resize(space)).await,
        Err(error) => one(&portal, &session, form.get("ak"), "", error).await,
    }
}

async fn ask_loop(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    ask(&portal, &session, &form, Act::Loop(form.get("loop") == "on"), String::new()).await
}

async fn set_loop(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    act(&portal, &session, &form, Act::Loop(form.get("loop") == "on")).await
}

async fn ask_clear(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    ask(&portal, &session, &form, Act::Clear, String::new()).await
}

async fn clear(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    act(&portal, &session, &form, Act::Clear).await
}

async fn ask_close(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    ask(&portal, &session, &form, Act::Close, String::new()).await
}

async fn close(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    act(&portal, &session, &form, Act::Close).await
}

fn at_the_end(loops: bool) -> AtTheEnd {
    if loops { AtTheEnd::Overwrite } else { AtTheEnd::Stop }
}

/// What an act would take now.
async fn preview(
    portal: &Portal,
    session: &Session,
    ak: &str,
    act: Act,
) -> crate::engine::Result<(Goes, Option<SpacePreview>)> {
    let (engine, caller) = (&portal.engine, &session.signed.caller);
    let change = match act {
        Act::Resize(space) => SpaceChange { space: Some(space), at_the_end: None },
        Act::Loop(loops) => SpaceChange { space: None, at_the_end: Some(at_the_end(loops)) },
        Act::Clear => return Ok((engine.preview_clear(caller, ak).await?, None)),
        Act::Close => return Ok((engine.preview_close(caller, ak).await?, None)),
    };
    let change = engine.preview_space(caller, ak, change).await?;
    Ok((change.goes.clone(), Some(change)))
}

/// Whether the name has to be typed.
fn must_type(act: Act, goes: &Goes) -> bool {
    matches!(act, Act::Clear | Act::Close) || goes.files > 0
}

/// The page on which an act is confirmed.
async fn ask(portal: &Portal, session: &Session, form: &Form, act: Act, error: String) -> Response<Body> {
    let (shell, ak) = (session.shell(portal), form.get("ak"));
    let (goes, change) = match preview(portal, session, ak, act).await {
        Ok(seen) => seen,
        Err(error @ Error::Refused(_)) => {
            let words = shell.refusal(&error);
            return one(portal, session, ak, "", words).await;
        }
        Err(error) => return shell.failed(&error),
    };
    let sub = match portal.engine.sub_account_view(&session.signed.caller, ak).await {
        Ok(sub) => sub,
        Err(error) => return shell.failed(&error),
    };
    let (action, title, help, button, kept) = words(&shell, act);
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let name = called(&sub);
    let view = ActPage {
        title: format!("{title} · {name}"),
        help,
        ak: ak.to_owned(),
        name,
        back: page_of(ak),
        action,
        button,
        close: matches!(act, Act::Close),
        must_type: must_type(act, &goes),
        goes,
        change,
        kept,
        error,
        shell,
    };
    page(status, &view)
}

type ActWords = (&'static str, &'static str, &'static str, &'static str, Vec<(&'static str, String)>);

fn words(shell: &Shell, act: Act) -> ActWords {
    match act {
        Act::Resize(space) => (
            "/cameras/resize",
            shell.say("调整空间", "Resize"),
            shell.say(
                "循环覆盖的子账户缩小后，最旧的未锁定文件会被立即覆盖。",
                "Where the oldest are overwritten, a smaller space overwrites them at once.",
            ),
            shell.say("确认调整", "Resize"),
            vec![("space", space.get().to_string())],
        ),
        Act::Loop(true) => (
            "/cameras/loop",
            shell.say("改为循环覆盖", "Overwrite when full"),
            shell
                .say("超过 90 % 时最旧的未锁定文件会被覆盖。", "Above 90 % the oldest unlocked files are overwritten."),
            shell.say("确认", "Switch it on"),
            vec![("loop", "on".to_owned())],
        ),
        Act::Loop(false) => (
            "/cameras/loop",
            shell.say("改为写满即停", "Stop when full"),
            shell.say("写满后拒绝上传。", "Uploads are refused when it is full."),
            shell.say("确认", "Switch it off"),
            vec![("loop", "off".to_owned())],
        ),
        Act::Clear => (
            "/cameras/clear",
            shell.say("清空文件", "Clear its files"),
            shell.say("删除所有未锁定的文件，锁定的保留。", "All files that are not locked are deleted."),
            shell.say("清空", "Clear"),
            Vec::new(),
        ),
        Act::Close => (
            "/cameras/close",
            shell.say("销户", "Close it"),
            shell.say(
                "密钥立即失效，空间归还，全部文件（包括已锁定的）删除。",
                "Its key is dead at once, its space handed back, all its files deleted, the locked ones too.",
            ),
            shell.say("销户", "Close"),
            Vec::new(),
        ),
    }
}

/// Does what was confirmed, unless more would go now than was shown.
async fn act(portal: &Portal, session: &Session, form: &Form, act: Act) -> Response<Body> {
    let (shell, ak, caller) = (session.shell(portal), form.get("ak"), &session.signed.caller);
    let goes = match preview(portal, session, ak, act).await {
        Ok((goes, _)) => goes,
        Err(_) => return ask(portal, session, form, act, String::new()).await,
    };
    let sub = match portal.engine.sub_account_view(caller, ak).await {
        Ok(sub) => sub,
        Err(error) => return shell.failed(&error),
    };
    if must_type(act, &goes) {
        if form.get("confirm") != called(&sub) {
            return ask(portal, session, form, act, shell.t.type_name_wrong.to_owned()).await;
        }
        if form.get("shown").parse::<u64>().unwrap_or(0) < goes.files {
            let more = shell
                .say("又有文件到达，请重新确认；未做任何更改", "More files have come; look again. Nothing was changed");
            return ask(portal, session, form, act, more.to_owned()).await;
        }
    }
    let engine = &portal.engine;
    let found = match engine.sub_account_for(caller, Action::ManageSubAccounts, ak) {
        Ok(found) => found,
        Err(error) => return shell.failed(&error),
    };
    let (what, target, done) = match act {
        Act::Resize(space) => (
            "ModifySubAccountSpace",
            format!("{ak} {space}"),
            engine.modify_sub_account_space(caller, &found, space).await,
        ),
        Act::Loop(loops) => (
            "SetSubAccountSpacePolicy",
            format!("{ak} {}", if loops { "overwrite" } else { "stop" }),
            engine.set_sub_account_space_policy(caller, &found, at_the_end(loops)).await,
        ),
        Act::Clear => ("ClearSubAccountFiles", ak.to_owned(), engine.clear_sub_account_files(caller, &found).await),
        Act::Close => ("CloseSubAccount", ak.to_owned(), engine.close_sub_account(caller, &found).await),
    };
    engine.audit_by(caller, what, &target, &done);
    match (done, act) {
        (Ok(()), Act::Close) => Redirect::to("/cameras?done=closed").into_response(),
        (Ok(()), Act::Clear) => Redirect::to(&format!("{}&done=cleared", page_of(ak))).into_response(),
        (Ok(()), _) => Redirect::to(&format!("{}&done=saved", page_of(ak))).into_response(),
        (Err(error), _) => ask(portal, session, form, act, shell.refusal(&error)).await,
    }
}
