//! 我的账户: a user's password, second factor and sessions.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Shell, page, session_cookie};
use super::sign_in::status;
use super::{Needs, Portal, Route};
use crate::domain::{Action, Secret};
use crate::engine::{Error, SessionView};

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    shell: Shell,
    w: &'static PageWords,
    error: Option<String>,
    /// Whether the sessions are everybody's.
    everybody: bool,
    sessions: Vec<SessionView>,
    /// A secret for an authenticator, where none is switched on.
    secret: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let own = |path, pages| Route { path, needs: Needs::SignIn, pages };
    vec![
        own("/me", get(me)),
        own("/me/password", post(password)),
        own("/me/factor-on", post(factor_on)),
        own("/me/factor-off", post(factor_off)),
        own("/me/end-session", post(end_session)),
    ]
}

async fn me(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    shown(&portal, &session, None).await
}

async fn shown(portal: &Portal, session: &Session, error: Option<Error>) -> Response<Body> {
    let shell = PageWords::flash(session.shell(portal));
    let (status, error) = match error {
        None => (StatusCode::OK, None),
        Some(error) => match status(&error) {
            Some(status) => (status, Some(shell.refusal(&error))),
            None => return shell.failed(&error),
        },
    };
    let engine = &portal.engine;
    let sessions = match engine.sessions(&session.signed.caller, Some(&session.token)).await {
        Ok(sessions) => sessions,
        Err(error) => return shell.failed(&error),
    };
    let secret = if session.signed.second_factor {
        None
    } else {
        match engine.new_second_factor(&session.signed.caller) {
            Ok(new) => Some(new.secret.expose().to_owned()),
            Err(error) => return shell.failed(&error),
        }
    };
    let everybody = shell.may(Action::ManageUsers);
    page(status, &MePage { w: PageWords::of(shell.lang), shell, error, everybody, sessions, secret })
}

async fn password(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let (old, new) = (Secret::new(form.raw("old")), Secret::new(form.raw("new")));
    let user = &session.signed.user;
    let done = portal.engine.change_password(&session.signed.caller, user, Some(&old), Some(new)).await;
    portal.engine.audit_by(&session.signed.caller, "ChangePassword", user.as_str(), &done);
    match done {
        Ok(_) => {
            let mut response = Redirect::to("/sign-in?done=password").into_response();
            session_cookie(&mut response, "", session.visitor.secured);
            response
        }
        Err(error) => shown(&portal, &session, Some(error)).await,
    }
}

async fn factor_on(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let secret = Secret::new(form.get("secret"));
    let done = portal.engine.confirm_second_factor(&session.signed.caller, &secret, form.get("code")).await;
    portal.engine.audit_by(&session.signed.caller, "SecondFactorOn", session.signed.user.as_str(), &done);
    match done {
        Ok(()) => Redirect::to("/me?done=factor-on").into_response(),
        Err(error) => shown(&portal, &session, Some(error)).await,
    }
}

async fn factor_off(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let user = session.signed.user.as_str();
    let done = portal.engine.remove_second_factor(&session.signed.caller, user, Some(form.get("code"))).await;
    portal.engine.audit_by(&session.signed.caller, "SecondFactorOff", user, &done);
    match done {
        Ok(()) => Redirect::to("/me?done=factor-off").into_response(),
        Err(error) => shown(&portal, &session, Some(error)).await,
    }
}

async fn end_session(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let done = portal.engine.end_session(&session.signed.caller, form.get("id")).await;
    portal.engine.audit_by(&session.signed.caller, "EndSession", form.get("id"), &done);
    match done {
        Ok(()) => Redirect::to("/me?done=session").into_response(),
        Err(error) => shown(&portal, &session, Some(error)).await,
    }
}
