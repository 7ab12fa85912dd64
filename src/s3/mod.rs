//! The data plane: S3 over HTTP. A thin face of the engine.
//!
//! A request goes through it in this order, and so do its errors: the target is read, the
//! signature verified (`auth`), the bucket looked up, the operation found (`route`), its
//! headers read, the engine asked for admission, and only then the body is polled (which is when
//! hyper sends `100 Continue`). Absent: storage, quota, locks; all that is the engine's.

mod auth;
mod body;
mod cors;
mod error;
mod ops;
mod parting;
mod route;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use http::header::{AsHeaderName, CONTENT_TYPE, HOST, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use crate::config;
use crate::engine::{Engine, Turn};
use crate::http::{Peer, RequestId, Secured};
use crate::telemetry::{Answered, OK, Words, asked_by};
use crate::wire::sig::Target;

use body::Incoming;
use error::{Code, S3Error, S3Result};
pub use parting::parting_router;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// What is counted of this plane.
pub const WORDS: Words = Words { operations: route::OPERATIONS, outcomes: error::OUTCOMES };

/// What every request needs.
pub struct Plane {
    engine: Engine,
    config: Arc<config::S3>,
}

/// A request without its body.
pub struct Head {
    /// Who is there.
    peer: Option<SocketAddr>,
    method: Method,
    target: Target,
    headers: HeaderMap,
    /// The Host header as it was sent.
    host: Option<String>,
    /// The bucket that it names, where a domain is set.
    host_bucket: Option<String>,
    /// Whether it came over TLS.
    secured: bool,
}

/// What the target and the host of a request name; see [`Head`].
struct Names {
    target: Target,
    host: Option<String>,
    host_bucket: Option<String>,
}

/// The S3 plane. It takes every request, whatever its path.
pub fn router(engine: Engine, config: Arc<config::S3>) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(Plane { engine, config }))
}

async fn handle(State(plane): State<Arc<Plane>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let request_id = request_id(&plane.engine, &parts.extensions);
    let mut incoming = Incoming::new(body, plane.config.idle_timeout);
    let uri = parts.uri;
    let mut headers = parts.headers;
    // A target in absolute form names the host, whatever the header says (RFC 9112, 3.2.2).
    if let Some(authority) = uri.authority()
        && let Ok(value) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(HOST, value);
    }
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let secured = parts.extensions.get::<Secured>().is_some();
    let mut operation = route::UNKNOWN;
    let (outcome, method, headers) = match Names::read(&plane, &uri, &headers) {
        Ok(Names { target, host, host_bucket }) => {
            let head = Head { peer, method: parts.method, target, headers, host, host_bucket, secured };
            let asked = route::asked(&head.method, &head.target, head.host_bucket.as_deref(), &head.headers);
            operation = route::name(&head.method, &asked);
            let outcome = ops::serve(&plane, &head, asked, &mut incoming).await;
            if let Err(error) = &outcome {
                auth::remember(&plane, &head, error, &request_id);
            }
            (outcome, head.method, head.headers)
        }
        Err(error) => (Err(error), parts.method, headers),
    };
    let mut told = Answered { operation, outcome: OK, refused: false };
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => {
            told = Answered { operation, outcome: error.cause(), refused: true };
            let ak = auth::claimed_key(&headers, uri.query().unwrap_or_default());
            let known = plane.engine.refused(ak.as_deref(), error.cause());
            // What no key is known by may be a secret in its place.
            if let Some(ak) = ak.filter(|_| known) {
                asked_by(ak);
            }
            error.response(uri.path(), &request_id, method == Method::HEAD)
        }
    };
    response.extensions_mut().insert(told);
    // What is sent is a part of the request's turn too.
    if let Some(turn) = incoming.end()
        && !response.body().is_end_stream()
    {
        response = response.map(|body| Body::new(Held { body, _turn: turn }));
    }
    incoming.settle(&headers, &mut response).await;
    signed(&request_id, &method, &headers, &mut response);
    response
}

/// What a request is called. One that came through no listener has no name yet.
fn request_id(engine: &Engine, extensions: &http::Extensions) -> String {
    extensions.get::<RequestId>().map_or_else(|| engine.request_id(), ToString::to_string)
}

/// What every answer has: who gave it, and its number.
fn signed(request_id: &str, method: &Method, headers: &HeaderMap, response: &mut Response<Body>) {
    let told = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(request_id) {
        told.insert(REQUEST_ID, id.clone());
        told.insert(HOST_ID, id);
    }
    told.insert(SERVER, HeaderValue::from_static("kandian"));
    cors::expose(method, headers, response);
}

impl Names {
    fn read(plane: &Plane, uri: &http::Uri, headers: &HeaderMap) -> S3Result<Self> {
        let target = Target::parse(uri.path(), uri.query())?;
        let host = match headers.get(HOST).map(HeaderValue::to_str) {
            None => None,
            Some(Ok(host)) => Some(host.to_owned()),
            Some(Err(_)) => return Err(S3Error::new(Code::InvalidRequest, "The Host header is not ASCII")),
        };
        let host_bucket = route::host_bucket(host.as_deref(), plane.config.domain.as_deref());
        Ok(Self { target, host, host_bucket })
    }
}

impl Head {
    /// Where an object is, under the name by which the caller has found us; `path` as it shall be written.
    fn location(&self, bucket: &str, path: &str) -> String {
        let scheme = if self.secured { "https" } else { "http" };
        match (&self.host, &self.host_bucket) {
            (Some(host), None) => format!("{scheme}://{host}/{bucket}/{path}"),
            (Some(host), Some(_)) => format!("{scheme}://{host}/{path}"),
            (None, _) => format!("/{bucket}/{path}"),
        }
    }

    /// A header's text; `None` where it was not sent or is not ASCII.
    fn text(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// An answer's body, and the turn of its request.
struct Held {
    body: Body,
    _turn: Turn,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// 200 with a document.
fn xml(document: String) -> Response<Body> {
    let mut response = Response::new(Body::from(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A header of text that we made ourselves; text that cannot be one is left out.
fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// An entity tag with its quotation marks.
fn quoted(etag: &crate::domain::ETag) -> String {
    format!("\"{etag}\"")
}
