//! Who is let in: where a form came from, whose session it is, whether the role may.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERER, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::shell::{Preferences, Shell};
use super::{Needs, Portal};
use crate::domain::Refusal;
use crate::domain::users::UserRefusal;
use crate::engine::{Error, SignedIn};
use crate::http::{Peer, Secured, cookie, session_cookie_name};
use crate::wire::form::{Form as MultipartForm, Piece};

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The largest form, a file with it.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Nothing from elsewhere, no inline script or style, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who asks for a page, and how it shall look.
#[derive(Clone)]
pub(super) struct Visitor {
    /// Who is signed in.
    pub(super) signed: Option<SignedIn>,
    /// The session's token.
    pub(super) token: Option<String>,
    /// Language and theme.
    pub(super) preferences: Preferences,
    /// Path and query.
    pub(super) here: String,
    /// The page to come back to from a form that every page has: of an answer to a form, the page of that form.
    pub(super) back: String,
    /// From where.
    pub(super) from: String,
    /// Whether over TLS.
    pub(super) secured: bool,
}

/// A visitor who is signed in.
pub(super) struct Session {
    pub(super) signed: SignedIn,
    pub(super) token: String,
    pub(super) visitor: Visitor,
}

impl Visitor {
    /// The frame of a page for this visitor.
    pub(super) fn shell(&self, portal: &Portal) -> Shell {
        Shell::new(portal, self)
    }
}

impl Session {
    /// The frame of a page for this user.
    pub(super) fn shell(&self, portal: &Portal) -> Shell {
        self.visitor.shell(portal)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        match (visitor.signed.clone(), visitor.token.clone()) {
            (Some(signed), Some(token)) => Ok(Self { signed, token, visitor }),
            _ => Err(StatusCode::FORBIDDEN),
        }
    }
}

/// Headers of every answer, and no form from another site.
pub(super) async fn protect(State(portal): State<Arc<Portal>>, request: Request<Body>, next: Next) -> Response<Body> {
    // A browser that is told so asks this host for nothing without TLS, on no port: only where what pages lead to has it.
    let only_tls =
        request.extensions().get::<Secured>().is_some() && (portal.settings.addresses)().s3.starts_with("https:");
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if safe || is_from_here(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "403 表单不是来自本门户 · this form does not come from this portal\n").into_response()
    };
    let headers = response.headers_mut();
    let page_headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in page_headers {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if only_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a browser says that the form is of a page of ours. What is no browser sends neither header, and has no
/// cookie that another site could make it send.
fn is_from_here(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(&SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    match (headers.get(ORIGIN).map(HeaderValue::to_str), headers.get(HOST).map(HeaderValue::to_str)) {
        (None, _) => true,
        (Some(Ok(origin)), Some(Ok(host))) => origin.split_once("://").is_some_and(|(_, named)| named == host),
        _ => false,
    }
}

/// Lets a request through to a page that `needs` this, with its [`Visitor`].
pub(super) async fn admit(
    State((portal, needs)): State<(Arc<Portal>, Needs)>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let secured = request.extensions().get::<Secured>().is_some();
    let token = cookie(request.headers(), session_cookie_name(secured)).map(str::to_owned);
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let signed = match &token {
        None => None,
        Some(token) => match portal.engine.session(token).await {
            Ok(signed) => Some(SignedIn { caller: signed.caller.seen_at(peer), ..signed }),
            Err(Error::Refused(Refusal::User(UserRefusal::NoSession))) => None,
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        },
    };
    let from = peer.map_or_else(String::new, |peer| peer.ip().to_string());
    let here = request.uri().path_and_query().map_or("/", |here| here.as_str()).to_owned();
    let preferences = Preferences::of(request.headers());
    let back = if request.method() == Method::POST { page_before(request.headers()) } else { here.clone() };
    let visitor = Visitor { token: token.filter(|_| signed.is_some()), signed, preferences, here, back, from, secured };
    match (needs, &visitor.signed) {
        (Needs::Nothing, _) | (Needs::SignIn, Some(_)) => {}
        (Needs::Role(action), Some(signed)) if signed.role.may(action) => {}
        (Needs::Everywhere(action), Some(signed)) if signed.role.may(action) && !signed.role.of_one_account() => {}
        (Needs::Role(_) | Needs::Everywhere(_), Some(_)) => return visitor.shell(&portal).refused(),
        (_, None) => return away(&portal, &visitor, request.method()).await,
    }
    let Some(signed) = visitor.signed.clone().filter(|_| request.method() == Method::POST) else {
        request.extensions_mut().insert(visitor);
        return next.run(request).await;
    };
    // A form of this session says so: the body is read here, once.
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let token = if kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        multipart(kind, &bytes).0.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token)
    } else {
        form_urlencoded::parse(&bytes).find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
    };
    if token.as_deref() != Some(signed.form_token.as_str()) {
        return visitor.shell(&portal).stale();
    }
    let mut request = Request::from_parts(parts, Body::from(bytes));
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Path and query of the page whose form this is; the first page where the browser does not say.
fn page_before(headers: &HeaderMap) -> String {
    let said = headers.get(REFERER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<Uri>().ok());
    let path = said.as_ref().and_then(|uri| uri.path_and_query()).map_or("/", |path| path.as_str());
    super::preferences::back(path).to_owned()
}

/// The fields that come before the file of a `multipart/form-data` body, and the file, whose field is named `file`. What
/// is malformed has none.
pub(super) fn multipart(content_type: &str, body: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let (mut fields, mut file) = (Vec::new(), Vec::new());
    let Some(mut form) = MultipartForm::new(content_type) else { return (fields, file) };
    form.push(body);
    while let Ok(Some(piece)) = form.piece() {
        match piece {
            Piece::Field(name, value) => fields.push((name, value)),
            Piece::File(_) => {}
            Piece::Data(data) => file.extend_from_slice(&data),
            Piece::End => break,
        }
    }
    (fields, file)
}

/// 404 in the frame.
pub(super) async fn not_found(State(portal): State<Arc<Portal>>, visitor: Visitor) -> Response<Body> {
    visitor.shell(&portal).not_found()
}

/// To the sign-in, or to the setup where there is nobody yet.
async fn away(portal: &Portal, visitor: &Visitor, method: &Method) -> Response<Body> {
    if portal.engine.is_to_be_set_up().await.unwrap_or(false) {
        return Redirect::to("/setup").into_response();
    }
    let back = if *method == Method::GET && visitor.here != "/" {
        let next: String = form_urlencoded::byte_serialize(visitor.here.as_bytes()).collect();
        format!("/sign-in?next={next}")
    } else {
        "/sign-in".to_owned()
    };
    Redirect::to(&back).into_response()
}
