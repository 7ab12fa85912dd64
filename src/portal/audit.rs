//! 审计: who did what: filtered, page by page; held against its chain; taken away as CSV.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Shell, page};
use super::text::Lang;
use super::{Needs, Portal, Route};
use crate::domain::{Action, Timestamp};
use crate::engine::{AuditLine, AuditQuery, AuditVerdict};
use crate::wire::china_time::{self, Edge};

/// Lines on a page.
const PAGE: usize = 50;
/// The fields of the filter.
const FIELDS: [&str; 8] = ["who", "what", "target", "account", "outcome", "from", "to", "text"];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    w: &'static PageWords,
    form: Form,
    problem: String,
    verdict: Option<AuditVerdict>,
    rows: Vec<AuditLine>,
    everywhere: bool,
    later: bool,
    next: Option<u64>,
    kept: String,
}

impl AuditPage {
    fn what(&self, what: &str) -> &'static str {
        if self.shell.lang == Lang::Zh { chinese(what) } else { "" }
    }

    /// Why it was not done; empty for what was done.
    fn why(&self, line: &AuditLine) -> String {
        match line.entry.outcome.as_str() {
            _ if line.entry.is_done() => String::new(),
            number if number.bytes().all(|b| b.is_ascii_digit()) => format!("Result {number}"),
            text => text.to_owned(),
        }
    }

    fn is(&self, field: &str, value: &str) -> bool {
        self.form.get(field) == value
    }
}

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeAudit);
    vec![
        Route { path: "/audit", needs: see, pages: get(list) },
        Route { path: "/audit/export", needs: see, pages: get(export) },
        Route { path: "/audit/verify", needs: Needs::Everywhere(Action::SeeAudit), pages: post(verify) },
    ]
}

/// What a filter asks for; the name of the field that cannot be read.
fn asked(portal: &Portal, form: &Form) -> Result<AuditQuery, &'static str> {
    let zone = portal.settings.zone_minutes;
    let at = |field: &'static str, edge: Edge| match form.get(field) {
        "" => Ok(None),
        text => china_time::parse(text, edge, zone).map(Some).map_err(|_| field),
    };
    Ok(AuditQuery {
        who: form.get("who").to_owned(),
        what: form.get("what").to_owned(),
        target: form.get("target").to_owned(),
        account: form.get("account").to_owned(),
        text: form.get("text").to_owned(),
        done: match form.get("outcome") {
            "done" => Some(true),
            "refused" => Some(false),
            _ => None,
        },
        from: at("from", Edge::Start)?.map(Timestamp::from_seconds),
        // The last second that is meant, whole.
        until: at("to", Edge::End)?.map(|second| Timestamp::from_seconds(second.saturating_add(1))),
        before: form.get("before").parse().ok(),
        most: PAGE,
    })
}

async fn list(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    shown(&portal, &session, form, None).await
}

/// The page of the log.
async fn shown(portal: &Portal, session: &Session, form: Form, verdict: Option<AuditVerdict>) -> Response<Body> {
    let shell = session.shell(portal);
    let (found, problem) = match asked(portal, &form) {
        Ok(query) => match portal.engine.audit_page(&session.signed.caller, query).await {
            Ok(found) => (found, String::new()),
            Err(error) => return shell.failed(&error),
        },
        Err(field) => {
            let zh = format!("“{}”不是日期；应如 2026-11-25", form.get(field));
            let en = format!("{:?} is no date; write one like 2026-11-25", form.get(field));
            (crate::engine::AuditPage::default(), shell.lang.say(zh, en))
        }
    };
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let given = FIELDS.iter().map(|name| (*name, form.get(name))).filter(|(_, value)| !value.is_empty());
    let kept = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let view = AuditPage {
        w: PageWords::of(shell.lang),
        everywhere: shell.role.is_some_and(|role| !role.of_one_account()),
        later: form.is_set("before"),
        form,
        problem,
        verdict,
        rows: found.lines,
        next: found.next,
        kept,
        shell,
    };
    page(status, &view)
}

async fn verify(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let verdict = portal.engine.verify_audit(&session.signed.caller).await;
    portal.engine.audit_by(&session.signed.caller, "VerifyAudit", "", &verdict);
    match verdict {
        Ok(verdict) => shown(&portal, &session, Form::default(), Some(verdict)).await,
        Err(error) => session.shell(&portal).failed(&error),
    }
}

async fn export(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_query(request.uri().query());
    let query = match asked(&portal, &form) {
        Ok(query) => AuditQuery { before: None, ..query },
        Err(_) => return shown(&portal, &session, form, None).await,
    };
    let lines = portal.engine.export_audit(&session.signed.caller, query);
    portal.engine.audit_by(&session.signed.caller, "ExportAudit", "", &lines);
    match lines {
        Ok(lines) => {
            let mut response = Response::new(Body::from_stream(lines));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.csv\""));
            response
        }
        Err(error) => session.shell(&portal).failed(&error),
    }
}

/// What was done, in Chinese; empty for what has no word here.
fn chinese(what: &str) -> &'static str {
    match what {
        "OpenAccount" => "开户",
        "ModifyAccount" => "修改账户",
        "SuspendAccount" => "暂停账户",
        "ResumeAccount" => "恢复账户",
        "CloseAccount" => "销户",
        "AccountKey" => "查看管理密钥",
        "OpenSubAccount" | "CreateSubAccount" => "开通子账户",
        "CloseSubAccount" | "DeleteSubAccount" => "关闭子账户",
        "ModifySubAccountSpace" => "修改子账户空间",
        "SetSubAccountSpacePolicy" => "设置写满后策略",
        "ClearSubAccountFiles" => "清空子账户文件",
        "LockSubAccountFile" | "LockFiles" | "LockFile" => "锁定文件",
        "UnlockFiles" => "解锁文件",
        "QueryUserSpace" => "查询账户空间",
        "QuerySubAccountSpace" => "查询子账户空间",
        "QuerySubAccountFile" | "QuerySubAccountFiles" => "查询文件",
        "SeeKey" => "查看密钥",
        "DeleteFile" | "DeleteFiles" | "DeleteObject" | "DeleteObjects" => "删除文件",
        "DownloadFile" | "DownloadFiles" => "下载文件",
        "CreateBucket" => "创建存储桶",
        "DeleteBucket" => "删除存储桶",
        "SetUp" => "首次设置",
        "SignIn" => "登录",
        "SignOut" => "退出",
        "AddUser" => "添加用户",
        "RemoveUser" => "删除用户",
        "DisableUser" => "停用用户",
        "EnableUser" => "启用用户",
        "ChangePassword" => "修改密码",
        "ResetPassword" => "重置密码",
        "EndSession" => "结束会话",
        "SecondFactor" | "SecondFactorOn" => "启用动态验证码",
        "SecondFactorOff" | "RemoveSecondFactor" => "停用动态验证码",
        "AddTariff" => "录入资费",
        "AssignTariff" => "指定资费",
        "IssueStatement" => "出账",
        "AdjustStatement" => "调整账单",
        "SettleStatement" => "结清账单",
        "ResendAlert" => "重发告警",
        "AcknowledgeAlert" => "确认告警",
        "UnacknowledgeAlert" => "撤销确认",
        "CommentOnAlert" => "记录告警处理",
        "TestAlert" => "测试告警",
        "ExportAudit" => "导出审计日志",
        "VerifyAudit" => "校验审计日志",
        _ => "",
    }
}
