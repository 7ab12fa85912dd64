//! HTTP's rules for the plane, before and around SOAP's. Contract, sections 3 and 5.
//!
//! HTTP/1.0, `Expect`, pipelining, heads and idle connections are the listener's.

use std::future::Future;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tracing::Instrument;

use super::{SoapSettings, wsdl};
use crate::domain::limits;
use crate::http::RequestId;
use crate::telemetry::Answered;
use crate::wire::soap::{Fault, Request, Version, envelope, media_type, write};

/// Where the nine operations are served.
pub(super) const STORAGE_PATH: &str = "/services/VideoCloudStorage";
const ALERT_PATH: &str = "/services/AlertCallback";

/// A body that is refused for its size is still read up to here, so that its sender sees the answer instead of a reset.
const DRAIN_BYTES_MAX: usize = 8 << 20;

/// Short under test, so that it can be reached.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { limits::SOAP_REQUEST_SECONDS_MAX });

/// Where a request that was understood is taken to.
pub(super) trait Dispatch: Clone + Send + Sync + 'static {
    /// Does it, and says what came of it. Goes on to its end even where the caller has hung up.
    fn take(&self, request: Request, origin: Origin) -> impl Future<Output = (Reply, Answered)> + Send;
}

/// Where a call comes from, and what it is called in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// The socket's address: what a header says of it counts for nothing.
    pub(super) peer: Option<SocketAddr>,
    /// `None` where it came through no listener.
    pub(super) request_id: Option<RequestId>,
}

/// What comes of a request that names no operation.
pub(super) const UNREAD: Answered = Answered { operation: "", outcome: FAULT, refused: true };
/// What a Fault is counted as.
pub(super) const FAULT: &str = "fault";

/// What comes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Fields, after a Result or not: HTTP 200.
    Answer(String),
    /// A Fault.
    Fault(Fault),
    /// Not now: HTTP 503.
    Busy,
}

/// The plane's routes.
pub(super) fn router<D: Dispatch>(dispatch: D, settings: Arc<SoapSettings>) -> Router {
    let storage = move |request: HttpRequest| storage(dispatch.clone(), Arc::clone(&settings), request);
    Router::new()
        .route(STORAGE_PATH, any(storage))
        .route(ALERT_PATH, any(alert))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "there is nothing here") })
}

async fn storage<D: Dispatch>(dispatch: D, settings: Arc<SoapSettings>, request: HttpRequest) -> Response {
    if is_get(request.method()) && asks_for_wsdl(&request) {
        let secured = request.extensions().get::<crate::http::Secured>().is_some();
        return match wsdl::storage(&settings, request.uri(), request.headers(), secured) {
            Ok(text) => xml(StatusCode::OK, Version::Soap11, text),
            Err(wsdl::BadHost) => plain(StatusCode::BAD_REQUEST, "the Host header is not valid"),
        };
    }
    match *request.method() {
        Method::POST => {
            let mut response = post(dispatch, request).await.unwrap_or_else(|refused| *refused);
            response.extensions_mut().get_or_insert(UNREAD);
            response
        }
        Method::GET | Method::HEAD => not_allowed("POST"),
        _ => not_allowed("GET, HEAD, POST"),
    }
}

async fn alert(request: HttpRequest) -> Response {
    match (is_get(request.method()), asks_for_wsdl(&request)) {
        (true, true) => xml(StatusCode::OK, Version::Soap11, wsdl::alert()),
        (true, false) => plain(StatusCode::NOT_FOUND, "the platform serves this; its contract is at ?wsdl"),
        (false, _) => not_allowed("GET, HEAD"),
    }
}

/// One call. The error is the answer too, boxed because it is large.
async fn post<D: Dispatch>(dispatch: D, request: HttpRequest) -> Result<Response, Box<Response>> {
    let origin = Origin {
        peer: request.extensions().get::<crate::http::Peer>().map(|peer| peer.0),
        request_id: request.extensions().get::<RequestId>().copied(),
    };
    let (head, body) = request.into_parts();
    let content_type =
        head.headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let media = content_type.as_deref().map(media_type).unwrap_or_default().to_ascii_lowercase();
    if media.starts_with("multipart/") || media == "application/json" {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "SOAP is text/xml or application/soap+xml");
    }
    let Some(gzip) = is_gzip(&head.headers) else {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Encoding is neither gzip nor identity");
    };
    let Ok(read) = tokio::time::timeout(REQUEST_TIME_MAX, read_body(&head.headers, body)).await else {
        return Err(Box::new(closing(plain(StatusCode::REQUEST_TIMEOUT, "the request took too long"))));
    };
    let mut body = read?;
    let guess = Version::by_content_type(content_type.as_deref());
    if gzip {
        body = match gunzip(&body) {
            Ok(unpacked) if unpacked.len() > limits::SOAP_BODY_BYTES_MAX => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE);
            }
            Ok(unpacked) => unpacked.into(),
            Err(_) => return Ok(fault(guess, &Fault::client("the gzip body cannot be unpacked"))),
        };
    }
    let request = match envelope::read(&body, content_type.as_deref()) {
        Ok(request) => request,
        Err(unreadable) => return Ok(fault(unreadable.version, &unreadable.fault)),
    };
    let version = request.version;
    // A task of its own: a caller that hangs up must not leave a change without its line in the audit log.
    let work = async move { dispatch.take(request, origin).await };
    let (reply, told) = match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(_) => (Reply::Fault(Fault::server("the appliance failed")), UNREAD),
    };
    let mut response = match reply {
        Reply::Answer(text) => xml(StatusCode::OK, version, text),
        Reply::Fault(why) => fault(version, &why),
        Reply::Busy => busy(),
    };
    response.extensions_mut().insert(told);
    Ok(response)
}

const TOO_LARGE: &str = "a request has at most 1 MiB";

async fn read_body(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Box<Response>> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_none() && !headers.contains_key(header::TRANSFER_ENCODING) {
        return refuse(StatusCode::LENGTH_REQUIRED, "a Content-Length is needed");
    }
    let too_large =
        announced.is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limits::SOAP_BODY_BYTES_MAX));
    if too_large && headers.contains_key(header::EXPECT) {
        return Err(Box::new(closing(plain(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE))));
    }
    let (mut kept, mut seen) = (BytesMut::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Box::new(closing(plain(StatusCode::BAD_REQUEST, "the body is broken"))));
        };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limits::SOAP_BODY_BYTES_MAX && !too_large {
            kept.extend_from_slice(&data);
        } else if seen > DRAIN_BYTES_MAX {
            break;
        }
    }
    if too_large || seen > limits::SOAP_BODY_BYTES_MAX {
        return Err(Box::new(closing(plain(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE))));
    }
    Ok(kept.freeze())
}

/// Whether the body is packed; `None` for an encoding that we do not know.
fn is_gzip(headers: &HeaderMap) -> Option<bool> {
    let mut gzip = false;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => {}
            "gzip" | "x-gzip" if !gzip => gzip = true,
            _ => return None,
        }
    }
    Some(gzip)
}

/// Unpacks one byte more than is allowed, at most.
fn gunzip(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(limits::SOAP_BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

fn is_get(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn asks_for_wsdl(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("wsdl")))
}

fn fault(version: Version, why: &Fault) -> Response {
    let status = StatusCode::from_u16(why.code.http_status(version)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    xml(status, version, write::fault(version, why))
}

fn xml(status: StatusCode, version: Version, text: String) -> Response {
    with_type(status, version.content_type(), text)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    with_type(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn with_type(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refuse<T>(status: StatusCode, text: &'static str) -> Result<T, Box<Response>> {
    Err(Box::new(plain(status, text)))
}

fn not_allowed(allow: &'static str) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "this method is not for this address");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn busy() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
