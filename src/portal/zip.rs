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
            let text = shell.refusal(&refusal);
            not_packed(shell, StatusCode::CONFLICT, text)
        }
        Err(Error::Refused(Refusal::NoFile)) => {
            let text = shell.say("选中的文件都已不存在。", "None of these files is there any more.").to_owned();
            not_packed(shell, StatusCode::NOT_FOUND, text)
        }
        Err(error) => shell.failed(&error),
    }
}

fn not_packed(shell: Shell, status: StatusCode, text: String) -> Response<Body> {
    let title = shell.say("没有打包", "Nothing was packed");
    page(status, &NotPacked { title, text, shell })
}
