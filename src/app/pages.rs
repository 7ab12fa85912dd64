//! What monitoring asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode, header};

use crate::domain::Timestamp;
use crate::engine::{Caller, Engine, Status};
use crate::telemetry::{Metrics, label};
use crate::world::Clock;

/// What `/readyz` and `/metrics` look at. The engine comes once the store is open.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) metrics: Arc<Metrics>,
    pub(super) engine: Arc<OnceLock<Engine>>,
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
    let status = match health.engine.get() {
        Some(engine) => engine.status(&Caller::operator()).await.ok(),
        None => None,
    };
    let gauges = status.as_ref().map(gauges);
    let text = health.metrics.render(gauges.as_deref(), health.clock.now().since(health.started));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
fn gauges(status: &Status) -> Vec<(&'static str, &'static str, String, f64)> {
    let none = String::new;
    let mut all = vec![
        ("kandian_accounts", "Accounts.", none(), status.accounts as f64),
        ("kandian_sub_accounts", "Sub-accounts.", none(), status.sub_accounts as f64),
        ("kandian_files", "Files stored.", none(), status.files as f64),
        ("kandian_used_bytes", "Bytes stored.", none(), status.used_bytes as f64),
        ("kandian_reserved_bytes", "Bytes of uploads under way.", none(), status.reserved_bytes as f64),
        ("kandian_promised_bytes", "Bytes promised to accounts.", none(), status.promised_bytes as f64),
        ("kandian_handed_out_bytes", "Bytes handed out to sub-accounts.", none(), status.handed_out_bytes as f64),
        ("kandian_commit_queue", "Changes waiting for the committer.", none(), status.commit_queue as f64),
        ("kandian_trash_extents", "Extents waiting to be given back.", none(), status.trash as f64),
        ("kandian_alerts_pending", "Alerts not delivered yet.", none(), status.alerts_pending as f64),
        ("kandian_alerts_given_up", "Alerts given up.", none(), status.alerts_given_up as f64),
        ("kandian_wrong_guesses_total", "Wrong passwords, keys and signatures.", none(), status.wrong_guesses as f64),
        (
            "kandian_refused_guesses_total",
            "Requests not looked at because too much from there was wrong.",
            none(),
            status.refused_guesses as f64,
        ),
        (
            "kandian_scrub_damaged",
            "Damaged files in the scrub's last pass that came through, and in the one under way.",
            none(),
            {
                let last = status.scrub.last.map_or(0, |pass| pass.damaged);
                last.max(status.scrub.now.damaged) as f64
            },
        ),
        (
            "kandian_scrub_pass_bytes",
            "Bytes read in the scrub's pass under way.",
            none(),
            status.scrub.now.bytes as f64,
        ),
        (
            "kandian_scrub_last_pass_seconds",
            "When the scrub last came through all files, seconds since 1970; 0: never.",
            none(),
            status.scrub.last.and_then(|pass| pass.ended_ms).map_or(0.0, |ended| ended as f64 / 1000.0),
        ),
        (
            "kandian_salvage",
            "1 where the box only reads: a disk fails, or it was asked for.",
            none(),
            f64::from(u8::from(status.salvage.is_some())),
        ),
    ];
    let taken = if status.no_room.is_some() { 0.0 } else { 1.0 };
    all.push(("kandian_uploads_taken", "1 while there is room for uploads.", none(), taken));
    for held in &status.held_back {
        let file = format!("file=\"{}\"", label(&held.path));
        all.push(("kandian_held_back_bytes", "Room held back for a full disk.", file, held.held_bytes as f64));
    }
    type Of = fn(&crate::engine::DiskView) -> f64;
    let disks: [(&str, &str, Of); 4] = [
        ("kandian_disk_total_bytes", "Size of the disk.", |disk| disk.total_bytes as f64),
        ("kandian_disk_free_bytes", "Free on the disk.", |disk| disk.free_bytes as f64),
        ("kandian_disk_reserve_bytes", "What uploads may not touch.", |disk| disk.reserve_bytes as f64),
        ("kandian_disk_ok", "1 where the disk takes uploads.", |disk| if disk.state == "ok" { 1.0 } else { 0.0 }),
    ];
    for (name, help, of) in disks {
        for disk in &status.disks {
            all.push((name, help, format!("dir=\"{}\"", label(&disk.dir)), of(disk)));
        }
    }
    all
}
