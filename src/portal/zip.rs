//! Many files as one archive, made while it is sent.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use http::{Request, Response, StatusCode};

use super::files::sought::chosen;
use super::form::Form;
use super::guard::Session;
use super::shell::{Shell, page};
use super::{Needs, Portal, Route};
use crate::domain::files::FilesRefusal;
use crate::domain::{Action, Refusal};
use crate::engine::Error;
use crate::wire::file_head;

#[derive(Template)]
#[template(path = "message.html")]
struct NotPacked {
    shell: Shell,
    title: &'static str,
    text: String,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/files/zip", needs: Needs::Role(Action::SeeFiles), pages: post(zip) }]
}

async fn zip(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let chosen = match chosen(&form, portal.engine.now().seconds(), shell.zone_minutes, shell.lang) {
        Ok(chosen) => chosen,
        Err(misread) => return not_packed(shell, StatusCode::BAD_REQUEST, misread.text),
    };
    match portal.engine.pack_files(&session.signed.caller, &chosen).await {
        Ok(packed) => {
            let headers = file_head::made(&packed.name, "application/zip");
            let mut response = Response::new(Body::from_stream(packed.stream));
            *response.headers_mut() = headers;
            response
        }
        Err(Error::Refused(Refusal::Files(refusal))) => {
            let text = in_words(&shell, &refusal);
            not_packed(shell, StatusCode::CONFLICT, text)
        }
        Err(Error::Refused(Refusal::NoFile)) => {
            let text = shell.say("选中的文件都已不存在。", "None of these files is there any more.").to_owned();
            not_packed(shell, StatusCode::NOT_FOUND, text)
        }
        Err(error) => shell.failed(&error),
    }
}

/// What an archive is refused for, in its own words; the rest as every page says it.
fn in_words(shell: &Shell, refusal: &FilesRefusal) -> String {
    let (zh, en) = match refusal {
        FilesRefusal::NothingChosen => {
            ("没有选择文件。请先勾选。".to_owned(), "No file is chosen. Tick some first.".to_owned())
        }
        FilesRefusal::TooMany { most } => (
            format!("符合条件的文件超过 {most} 个，一次最多打包 {most} 个。请缩短时间范围。"),
            format!("More than {most} files match, and an archive has {most} at most. Choose a shorter time."),
        ),
        FilesRefusal::TooLarge { most } => (
            format!("选中的文件合计超过 {most}。请分几次下载。"),
            format!("The files are more than {most} together. Download fewer at a time."),
        ),
        FilesRefusal::NotConfirmed | FilesRefusal::NoReason => return shell.refusal(refusal),
    };
    shell.lang.say(zh, en)
}

fn not_packed(shell: Shell, status: StatusCode, text: String) -> Response<Body> {
    let title = shell.say("没有打包", "Nothing was packed");
    page(status, &NotPacked { title, text, shell })
}
