//! 告警: the outbox with every attempt; sent again, acknowledged, commented on.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::outcome::outcome;
use super::shell::{Shell, page};
use super::text::Lang;
use super::{Needs, Portal, Route};
use crate::domain::Action;
use crate::engine::observe::{AttemptView, CommentView, NoteView};
use crate::engine::{ALERT_KINDS, ALERT_STATES, AlertQuery, AlertTotals, AlertView};

/// Alerts on a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    shell: Shell,
    totals: AlertTotals,
    asked: AlertQuery,
    rows: Vec<AlertView>,
    /// Whether a role of the whole box looks.
    everywhere: bool,
    first: String,
    next: Option<String>,
    filtered: bool,
    /// Whether a disk fails, so that nothing is sent and written down.
    salvage: bool,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    shell: Shell,
    error: String,
    everywhere: bool,
    alert: AlertView,
    /// The newest first, with the number of each.
    attempts: Vec<(usize, AttemptView)>,
    acknowledged: Option<CommentView>,
    comments: Vec<CommentView>,
}

/// A kind's word.
pub(super) fn kind_word(lang: Lang, kind: &str) -> &'static str {
    match kind {
        "full" => lang.say("空间已满", "Full"),
        "nearly_full" => lang.say("空间将满", "Nearly full"),
        _ => lang.say("空间恢复", "Room again"),
    }
}

/// What the platform is told by it.
fn kind_help(lang: Lang, kind: &str) -> &'static str {
    match kind {
        "full" => {
            lang.say("8.1，AlertType 1：平台应让摄像机停止录像", "8.1, AlertType 1: the camera shall stop recording")
        }
        "nearly_full" => lang.say("8.1，AlertType 2：空间即将用尽", "8.1, AlertType 2: the space is nearly used up"),
        _ => lang.say("8.2：空间重新可用", "8.2: there is room again"),
    }
}

fn state_word(lang: Lang, state: &str) -> &'static str {
    match state {
        "pending" => lang.say("待送达", "Pending"),
        "delivered" => lang.say("已送达", "Delivered"),
        "withdrawn" => lang.say("已撤回", "Withdrawn"),
        "replaced" => lang.say("已被取代", "Replaced"),
        _ => lang.say("已放弃", "Given up"),
    }
}

fn state_help(lang: Lang, state: &str) -> &'static str {
    match state {
        "pending" => lang.say("尚未送达，按计划重试", "Not delivered yet; it is tried again by the schedule"),
        "delivered" => lang.say("平台已确认收到（Result 0）", "The platform took it (Result 0)"),
        "withdrawn" => lang.say("送达之前空间已恢复，不再需要通知", "The space was well again before it was delivered"),
        "replaced" => {
            lang.say("同一子账户有更新的告警，此条不再重试", "A newer alert of the sub-account took its place")
        }
        _ => {
            lang.say("多次重试仍未送达，只能手工重发", "Tried too long without success; it is sent again only by hand")
        }
    }
}

fn tone(state: &str) -> &'static str {
    match state {
        "pending" => "warn",
        "delivered" => "good",
        "given_up" => "bad",
        _ => "neutral",
    }
}

impl AlertsPage {
    fn nothing(&self) -> &'static str {
        if self.filtered { self.shell.t.nothing_found } else { self.shell.say("还没有告警", "No alerts yet") }
    }

    fn kind(&self, kind: &str) -> &'static str {
        kind_word(self.shell.lang, kind)
    }

    fn state(&self, state: &str) -> &'static str {
        state_word(self.shell.lang, state)
    }

    fn tone(&self, state: &str) -> &'static str {
        tone(state)
    }

    fn outcome(&self, text: &str) -> String {
        outcome(self.shell.lang, text)
    }
}

impl AlertPage {
    fn outcome(&self, text: &str) -> String {
        outcome(self.shell.lang, text)
    }

    fn kind(&self) -> &'static str {
        kind_word(self.shell.lang, self.alert.alert)
    }

    fn kind_help(&self) -> &'static str {
        kind_help(self.shell.lang, self.alert.alert)
    }

    fn state(&self) -> &'static str {
        state_word(self.shell.lang, self.alert.state)
    }

    fn state_help(&self) -> &'static str {
        state_help(self.shell.lang, self.alert.state)
    }

    fn tone(&self) -> &'static str {
        tone(self.alert.state)
    }

    fn state_of_attempt(&self, attempt: &AttemptView) -> String {
        self.outcome(&attempt.outcome)
    }

    fn can_be_resent(&self) -> bool {
        matches!(self.alert.state, "pending" | "given_up") && self.shell.may(Action::ManageAlerts)
    }
}

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeAlerts);
    let manage = Needs::Role(Action::ManageAlerts);
    vec![
        Route { path: "/alerts", needs: see, pages: get(list) },
        Route { path: "/alerts/show", needs: see, pages: get(show) },
        Route { path: "/alerts/resend", needs: manage, pages: post(resend) },
        Route { path: "/alerts/acknowledge", needs: manage, pages: post(acknowledge) },
        Route { path: "/alerts/comment", needs: manage, pages: post(comment) },
    ]
}

async fn list(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = session.shell(&portal);
    let form = Form::of_query(request.uri().query());
    let is = |name: &str| match form.get(name) {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let one_of = |name: &str, all: &[&str]| Some(form.get(name)).filter(|word| all.contains(word)).unwrap_or_default();
    let asked = AlertQuery {
        state: one_of("state", &ALERT_STATES).to_owned(),
        kind: one_of("kind", &ALERT_KINDS).to_owned(),
        account: form.get("account").to_owned(),
        ak: form.get("ak").to_owned(),
        acknowledged: is("acknowledged"),
        test: is("test"),
        before: form.get("before").parse().ok(),
        most: PAGE,
    };
    let caller = &session.signed.caller;
    let totals = match portal.engine.alert_totals(caller).await {
        Ok(totals) => totals,
        Err(error) => return shell.failed(&error),
    };
    let found = match portal.engine.alert_page(caller, asked.clone()).await {
        Ok(found) => found,
        Err(error) => return shell.failed(&error),
    };
    let kept: String = {
        let all = ["state", "kind", "account", "ak", "acknowledged", "test"];
        let given = all.iter().map(|name| (*name, form.get(name))).filter(|(_, value)| !value.is_empty());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
    };
    let view = AlertsPage {
        totals,
        rows: found.alerts,
        everywhere: shell.role.is_some_and(|role| !role.of_one_account()),
        next: found.next.map(|before| format!("/alerts?{kept}&before={before}")),
        first: format!("/alerts?{kept}"),
        filtered: !kept.is_empty(),
        salvage: portal.engine.salvage().is_some(),
        asked,
        shell,
    };
    page(StatusCode::OK, &view)
}

async fn show(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    one(&portal, &session, query.get("id"), String::new()).await
}

/// The page of an alert; `error` says what was not done.
async fn one(portal: &Portal, session: &Session, id: &str, error: String) -> Response<Body> {
    let shell = session.shell(portal);
    let flash = match Form::of_query(shell.here.split_once('?').map(|(_, query)| query)).get("done") {
        "resent" => Some(shell.say("已安排立即重发", "It is being sent now")),
        "tested" => Some(shell.say("测试告警已进入发件箱", "The test is in the outbox")),
        "saved" => Some(shell.t.saved),
        _ => None,
    };
    let shell = shell.saying(flash);
    let Ok(id) = id.parse() else { return shell.not_found() };
    let caller = &session.signed.caller;
    let alert = match portal.engine.alert(caller, id).await {
        Ok(alert) => alert,
        Err(error) => return shell.failed(&error),
    };
    let NoteView { attempts, acknowledged, comments } = match portal.engine.alert_note(caller, id).await {
        Ok(note) => note,
        Err(error) => return shell.failed(&error),
    };
    let mut attempts: Vec<_> = (1..).zip(attempts).collect();
    attempts.reverse();
    let everywhere = shell.role.is_some_and(|role| !role.of_one_account());
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    page(status, &AlertPage { shell, error, everywhere, alert, attempts, acknowledged, comments })
}

/// Does something about the alert that the form names, and shows it again.
async fn act<F>(portal: &Portal, session: &Session, form: &Form, what: &str, done: &str, work: F) -> Response<Body>
where
    F: AsyncFnOnce(u64) -> crate::engine::Result<()>,
{
    let Ok(id) = form.get("id").parse::<u64>() else { return session.shell(portal).not_found() };
    let result = work(id).await;
    portal.engine.audit_by(&session.signed.caller, what, &id.to_string(), &result);
    match result {
        Ok(()) => Redirect::to(&format!("/alerts/show?id={id}&done={done}")).into_response(),
        Err(error) => one(portal, session, form.get("id"), session.shell(portal).refusal(&error)).await,
    }
}

async fn resend(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let caller = &session.signed.caller;
    let work = async |id| portal.engine.resend_alert(caller, id).await;
    act(&portal, &session, &form, "ResendAlert", "resent", work).await
}

async fn acknowledge(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let on = form.get("acknowledged") == "yes";
    let caller = &session.signed.caller;
    let work = async |id| portal.engine.acknowledge_alert(caller, id, on).await;
    let what = if on { "AcknowledgeAlert" } else { "UnacknowledgeAlert" };
    act(&portal, &session, &form, what, "saved", work).await
}

async fn comment(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    if form.get("text").is_empty() {
        let empty = session.shell(&portal).say("请填写内容", "Write something").to_owned();
        return one(&portal, &session, form.get("id"), empty).await;
    }
    let caller = &session.signed.caller;
    let work = async |id| portal.engine.comment_on_alert(caller, id, form.get("text")).await;
    act(&portal, &session, &form, "CommentOnAlert", "saved", work).await
}
