//! What monitoring asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode, header};

use super::gauges;
use super::reload::Live;
use crate::domain::Timestamp;
use crate::engine::{Caller, Engine};
use crate::telemetry::Metrics;
use crate::world::Clock;

/// What `/readyz` and `/metrics` look at. The engine comes once the store is open.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) metrics: Arc<Metrics>,
    pub(super) engine: Arc<OnceLock<Engine>>,
    /// What the listeners show; there once they are open.
    pub(super) live: Arc<OnceLock<Arc<Live>>>,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Timestamp,
}

/// `/metrics`, `/healthz` and `/readyz`.
pub(super) fn monitoring(health: Health) -> Router {
    let (ready, engine) = (Arc::clone(&health.ready), Arc::clone(&health.engine));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/readyz",
            get(async move || {
                let reads_only = engine.get().is_some_and(|engine| engine.salvage().is_some());
                readiness(ready.load(Ordering::Acquire), reads_only)
            }),
        )
        .route("/metrics", get(async move || metrics(&health).await))
}

fn readiness(ready: bool, reads_only: bool) -> (StatusCode, &'static str) {
    match (ready, reads_only) {
        (true, false) => (StatusCode::OK, "ready\n"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "salvage mode: reads are served, writes are refused\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(health: &Health) -> Response<Body> {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], metrics_text(health).await).into_response()
}

/// What `/metrics` says.
pub(super) async fn metrics_text(health: &Health) -> String {
    let numbers = match health.engine.get() {
        Some(engine) => match engine.numbers(&Caller::operator()).await {
            Ok(numbers) => Some((engine.clone(), numbers)),
            Err(error) => {
                tracing::warn!(%error, "the box could not be counted: its numbers are left out");
                None
            }
        },
        None => None,
    };
    let now = health.clock.now();
    let ready = health.ready.load(Ordering::Acquire);
    health.metrics.render(now.since(health.started), |text| {
        gauges::of_the_program(text, now, health.started, ready);
        if let Some((engine, numbers)) = &numbers {
            gauges::of_the_box(text, engine, numbers, now);
        }
        if let Some(live) = health.live.get() {
            gauges::of_certificates(text, &live.certificates());
        }
    })
}
