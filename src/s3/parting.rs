//! What is said while a stop waits for the last uploads: come back, and not all at once.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Method, Response};

use super::error::{Code, S3Error};
use super::{request_id, route, signed};
use crate::domain::limits;
use crate::engine::Engine;
use crate::telemetry::Answered;

/// Answers every request with 503 and when to come back; it looks at no signature and reads no body.
pub fn parting_router(engine: Engine) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(engine))
}

async fn handle(State(engine): State<Arc<Engine>>, request: Request) -> Response<Body> {
    let request_id = request_id(&engine, request.extensions());
    // A request's name is as good as chance.
    let chance = request_id.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or(0);
    let wait = limits::COME_BACK_SECONDS_MIN + chance % limits::COME_BACK_SECONDS_SPREAD;
    let error = S3Error::new(Code::ServiceUnavailable, "The server is being restarted. Please try again.")
        .with(RETRY_AFTER, HeaderValue::from(wait))
        .with(CONNECTION, HeaderValue::from_static("close"));
    let (path, head) = (request.uri().path(), request.method() == Method::HEAD);
    let told = Answered { operation: route::UNKNOWN, outcome: error.cause(), refused: true };
    let mut response = error.response(path, &request_id, head);
    response.extensions_mut().insert(told);
    signed(&request_id, request.method(), request.headers(), &mut response);
    response
}
