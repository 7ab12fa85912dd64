//! The small planes: the portal's placeholder, and what monitoring asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode, header};

use super::ready::Listening;
use crate::api::Urls;
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
    let ready = Arc::clone(&health.ready);
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || readiness(ready.load(Ordering::Acquire))))
        .route("/metrics", get(async move || metrics(&health).await))
}

fn readiness(ready: bool) -> (StatusCode, &'static str) {
    if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
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
    ];
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

/// One calm page: what is where. The control API is not here, as nobody has signed in.
pub(super) fn portal(at: Listening, urls: &Urls) -> Router {
    let page = page(at, urls);
    Router::new().route("/", get(async move || html(page.clone()))).fallback(async || StatusCode::NOT_FOUND)
}

fn html(page: String) -> Response<Body> {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ),
    ];
    (headers, page).into_response()
}

fn page(at: Listening, urls: &Urls) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let row = |what: &str, value: String| {
        format!("<tr><th scope=\"row\">{what}</th><td><code>{}</code></td></tr>", escape(&value))
    };
    let rows = [
        row("摄像机与手机 · Cameras and phones (S3)", urls.s3.clone()),
        row("平台接口 · Platform (SOAP)", urls.soap_service()),
        row("接口描述 · WSDL", format!("{}?wsdl", urls.soap_service())),
        row("监控指标 · Metrics", format!("http://{}/metrics", super::address::reachable(at.metrics))),
    ];
    format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>看店云存储 · kandian</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>\
         :root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}\
         h1{{font-weight:600}}table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;padding:.5rem .75rem .5rem 0;\
         border-bottom:1px solid #8884;vertical-align:top}}th{{font-weight:400}}code{{overflow-wrap:anywhere}}</style></head><body>\
         <h1>看店云存储 <small>kandian {}</small></h1><p>服务正在运行。<br>The appliance is running.</p><table>{}</table>\
         <p>管理门户将在后续版本提供；目前请使用 <code>kandian</code> 命令行。<br>The portals come with a later version; \
         until then use the <code>kandian</code> command line.</p></body></html>\n",
        env!("CARGO_PKG_VERSION"),
        rows.concat()
    )
}
