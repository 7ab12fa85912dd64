//! Who stands before the API: the operator at the control socket, or a user of the portals with a session.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::middleware::Next;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::refusal::No;
use super::table::Needs;
use crate::domain::users::UserRefusal;
use crate::domain::{Refusal, limits};
use crate::engine::{Caller, Engine, Error, SignedIn};
use crate::http::{Peer, Secured, cookie, session_cookie_name};

/// What a request with the cookie carries beside it, so that no other site's page can have made it.
pub(super) const FORM_TOKEN: &str = "x-form-token";

/// Which listener the API is served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The control socket (mode 0600): whoever reaches it is the operator.
    Socket,
    /// The portal's listener: whoever has a session.
    Sessions,
}

/// What a door looks at before it opens.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) door: Door,
    pub(super) needs: Needs,
    pub(super) engine: Engine,
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Asker {
    /// For the use cases; nobody's where nobody has to be signed in.
    pub(super) caller: Option<Caller>,
    /// Who is signed in, and the session's token.
    pub(super) session: Option<(SignedIn, String)>,
    /// The other end's address, without its port.
    pub(super) from: String,
}

/// The caller of a route that needs one.
pub(super) struct By(pub(super) Caller);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = No;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, No> {
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = No;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        Self::of(&Asker::from_request_parts(parts, state).await?)
    }
}

impl By {
    /// The caller of who asks.
    pub(super) fn of(asker: &Asker) -> Result<Self, No> {
        asker.caller.clone().map(By).ok_or_else(nobody)
    }
}

fn nobody() -> No {
    Error::from(Refusal::User(UserRefusal::NoSession)).into()
}

/// Lets a request through to a route, with its [`Asker`].
pub(super) async fn admit(State(rule): State<Rule>, request: Request<Body>, next: Next) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let asker = match ask(&rule, &parts).await {
        Ok(asker) => asker,
        Err(no) => return no.into_response(),
    };
    parts.extensions.insert(asker);
    let response = next.run(Request::from_parts(parts, body)).await;
    if rule.door == Door::Sessions && response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        // The log has it; who is not the operator is told no more.
        return No::broken("something broke; the log of the appliance says what").into_response();
    }
    response
}

async fn ask(rule: &Rule, request: &Parts) -> Result<Asker, No> {
    if rule.door == Door::Socket {
        return Ok(Asker { caller: Some(Caller::operator()), session: None, from: "control socket".to_owned() });
    }
    let peer = request.extensions.get::<Peer>().map(|peer| peer.0);
    let from = peer.map_or_else(|| "-".to_owned(), |peer| peer.ip().to_string());
    if rule.needs == Needs::Nothing {
        return Ok(Asker { caller: None, session: None, from });
    }
    let (token, is_cookie) =
        token(&request.headers, request.extensions.get::<Secured>().is_some()).ok_or_else(nobody)?;
    let signed = rule.engine.session(token).await?;
    if is_cookie && !matches!(request.method, Method::GET | Method::HEAD) {
        let sent = request.headers.get(FORM_TOKEN).map(http::HeaderValue::as_bytes);
        if sent != Some(signed.form_token.as_bytes()) {
            return Err(No::forbidden("form_token", "a change with the cookie needs the header x-form-token"));
        }
    }
    if !rule.needs.are_met_by(signed.role) {
        return Err(Error::from(Refusal::Forbidden).into());
    }
    let caller = signed.caller.clone().seen_at(peer);
    Ok(Asker { caller: Some(caller), session: Some((signed, token.to_owned())), from })
}

/// The session's token, and whether it came as a cookie.
fn token(headers: &HeaderMap, secured: bool) -> Option<(&str, bool)> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        // One way at a time: a bearer that is wrong is not made good by a cookie.
        let (kind, token) = value.to_str().ok()?.split_once(' ')?;
        return kind.eq_ignore_ascii_case("bearer").then_some((token.trim(), false));
    }
    let found = cookie(headers, session_cookie_name(secured))?;
    (!found.is_empty() && found.len() <= limits::URL_BYTES_MAX).then_some((found, true))
}
