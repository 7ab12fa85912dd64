//! One request of a connection, from its head to the last byte of its answer: what it is called, what it is counted as,
//! and its line in the log.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::io::{Traffic, UnderWay};
use super::{LiveRouter, Peer, RequestId, Secured};
use crate::telemetry::{Answered, Asked, Plane, about};

/// What a connection is, for each of its requests.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) peer: Option<SocketAddr>,
    pub(super) secured: bool,
}

/// Serves one request: names it, counts it, and writes down what was refused.
pub(super) async fn answer(
    request: Request<Incoming>,
    seen: Seen,
    router: LiveRouter,
    plane: Arc<Plane>,
    traffic: Arc<Traffic>,
) -> Result<Response<Counted>, std::convert::Infallible> {
    // Counted before it is looked which router answers: a stop that sees no request has none of the old one's.
    let under_way = UnderWay::begin(&traffic);
    let (mut asked, id) = (plane.asked(), plane.request_id());
    if traffic.says_two_lengths() {
        let response = named(closing(StatusCode::BAD_REQUEST), id);
        asked.answer(response.status(), None);
        return Ok(response.map(|body| Counted { body, asked, _under_way: under_way }));
    }
    let body_of = Arc::clone(&plane);
    let mut request = request.map(|body| Body::new(Received { body, plane: body_of }));
    request.extensions_mut().insert(id);
    if let Some(peer) = seen.peer {
        request.extensions_mut().insert(Peer(peer));
    }
    if seen.secured {
        request.extensions_mut().insert(Secured);
    }
    let response = about(id, async {
        // Without the query: it may hold a signature that is good for a day.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let routed = AssertUnwindSafe(router.get().oneshot(request)).catch_unwind().await;
        let response =
            routed.map_or_else(|_panic| broken(), |answered| answered.unwrap_or_else(|never| match never {}));
        let (status, told) = (response.status(), response.extensions().get::<Answered>().copied());
        let took = asked.answer(status, told);
        if status.as_u16() < 400 {
            traffic.serve();
        }
        write_down((&*plane, &method, path.as_str(), seen.peer), status, told, took);
        response
    })
    .await;
    Ok(named(response, id).map(|body| Counted { body, asked, _under_way: under_way }))
}

/// A line in the log on what was refused or went wrong; on everything, where the log is that fine. What is not there,
/// or not so any more, is asked for all day and no news.
fn write_down(
    (plane, method, path, peer): (&Plane, &Method, &str, Option<SocketAddr>),
    status: StatusCode,
    told: Option<Answered>,
    took: Duration,
) {
    let (number, plane_name) = (status.as_u16(), plane.name());
    let refused = number >= 400 || told.is_some_and(|told| told.refused);
    let usual = matches!(number, 404 | 412) || plane_name == "metrics";
    if (!refused || usual) && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (operation, outcome) = told.map_or(("", ""), |told| (told.operation, told.outcome));
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
    if !refused || usual {
        tracing::debug!(plane = plane_name, %method, path, operation, status = number, outcome, peer, ms, "answered");
        return;
    }
    let Some(left_out) = plane.may_tell() else { return };
    if left_out > 0 {
        tracing::warn!(plane = plane_name, requests = left_out, "more was refused than is written down");
    }
    if number >= 500 {
        tracing::warn!(plane = plane_name, %method, path, operation, status = number, outcome, peer, ms, "failed");
    } else {
        tracing::info!(plane = plane_name, %method, path, operation, status = number, outcome, peer, ms, "refused");
    }
}

/// An answer that tells its request's name.
fn named(mut response: Response<Body>, id: RequestId) -> Response<Body> {
    if !response.headers().contains_key(&AMZ_REQUEST_ID)
        && let Ok(id) = HeaderValue::try_from(id.to_string())
    {
        response.headers_mut().insert(&REQUEST_ID, id);
    }
    response
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// What a client is told where a handler panicked. The panic's text went to the log by the hook.
fn broken() -> Response<Body> {
    tracing::error!("a request ended in a panic");
    closing(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An empty answer, and the end of the connection.
fn closing(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An answer's body that knows when it is over.
pub(super) struct Counted {
    body: Body,
    asked: Asked,
    _under_way: UnderWay,
}

/// A request's body whose bytes are counted.
struct Received {
    body: Incoming,
    plane: Arc<Plane>,
}

impl http_body::Body for Received {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.plane.received(frame.data_ref().map_or(0, bytes::Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for Counted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.asked.plane().sent(frame.data_ref().map_or(0, bytes::Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
