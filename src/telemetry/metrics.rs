//! Counters, as a struct that is passed: two servers in one process have two.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

/// All counters of one server.
#[derive(Debug)]
pub struct Metrics {
    /// Cameras, phones, S3 clients.
    pub s3: Arc<Plane>,
    /// The platform.
    pub soap: Arc<Plane>,
    /// The portal.
    pub portal: Arc<Plane>,
    /// The metrics themselves.
    pub metrics: Arc<Plane>,
    /// The control socket.
    pub control: Arc<Plane>,
}

/// The counters of one plane.
#[derive(Debug)]
pub struct Plane {
    name: &'static str,
    answers: [AtomicU64; 5],
    open: AtomicI64,
    connections: AtomicU64,
    accept_failures: AtomicU64,
    handshake_failures: AtomicU64,
    made_room: AtomicU64,
    under_way: AtomicI64,
}

/// A request under way, counted until it is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Plane>);

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub struct Open(Arc<Plane>);

impl Default for Metrics {
    fn default() -> Self {
        let plane = |name| {
            Arc::new(Plane {
                name,
                answers: Default::default(),
                open: AtomicI64::new(0),
                connections: AtomicU64::new(0),
                accept_failures: AtomicU64::new(0),
                handshake_failures: AtomicU64::new(0),
                made_room: AtomicU64::new(0),
                under_way: AtomicI64::new(0),
            })
        };
        Self {
            s3: plane("s3"),
            soap: plane("soap"),
            portal: plane("portal"),
            metrics: plane("metrics"),
            control: plane("control"),
        }
    }
}

impl Plane {
    /// `s3`, `soap`, `portal`, `metrics` or `control`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts a connection until the value is dropped.
    pub fn connection(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Counts a request until the value is dropped.
    pub fn request(self: &Arc<Self>) -> Busy {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// Requests under way now, until the last byte of their answers.
    pub fn under_way(&self) -> i64 {
        self.under_way.load(Ordering::Acquire)
    }

    /// Connections that are open now.
    pub fn open_now(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts an answer by the class of its status.
    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a connection that could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that ended before TLS was agreed on.
    pub fn handshake_failed(&self) {
        self.handshake_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a quiet connection that was ended because another needed its place.
    pub fn made_room(&self) {
        self.made_room.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The Prometheus text format. `gauges` come from the engine, as name, help, labels and value;
    /// samples of one name follow one another.
    pub fn render(&self, gauges: Option<&[(&str, &str, String, f64)]>, uptime: Duration) -> String {
        let planes = [&self.s3, &self.soap, &self.portal, &self.metrics, &self.control];
        let mut out = String::with_capacity(4096);
        head(&mut out, "kandian_http_requests_total", "counter", "Requests answered, by plane and class of status.");
        for plane in planes {
            for (class, counter) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(&plane.answers) {
                let labels = format!("plane=\"{}\",status=\"{class}\"", plane.name);
                sample(&mut out, "kandian_http_requests_total", &labels, counter.load(Ordering::Relaxed));
            }
        }
        of_each(&mut out, &planes, "kandian_http_connections", "gauge", "Open connections.", |plane| {
            plane.open.load(Ordering::Relaxed)
        });
        of_each(&mut out, &planes, "kandian_http_connections_total", "counter", "Connections accepted.", |plane| {
            plane.connections.load(Ordering::Relaxed)
        });
        of_each(
            &mut out,
            &planes,
            "kandian_http_accept_failures_total",
            "counter",
            "Connections that could not be accepted.",
            |plane| plane.accept_failures.load(Ordering::Relaxed),
        );
        of_each(
            &mut out,
            &planes,
            "kandian_tls_handshake_failures_total",
            "counter",
            "Connections that ended before TLS was agreed on.",
            |plane| plane.handshake_failures.load(Ordering::Relaxed),
        );
        of_each(
            &mut out,
            &planes,
            "kandian_http_connections_made_room_total",
            "counter",
            "Quiet connections that were ended because others needed their places.",
            |plane| plane.made_room.load(Ordering::Relaxed),
        );
        head(&mut out, "kandian_uptime_seconds", "gauge", "Seconds since the start.");
        sample(&mut out, "kandian_uptime_seconds", "", uptime.as_secs());
        if let Some(bytes) = resident_bytes() {
            head(&mut out, "process_resident_memory_bytes", "gauge", "Resident memory.");
            sample(&mut out, "process_resident_memory_bytes", "", bytes);
        }
        let mut last = "";
        for (name, help, labels, value) in gauges.unwrap_or_default() {
            if *name != last {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                head(&mut out, name, kind, help);
                last = name;
            }
            sample(&mut out, name, labels, value);
        }
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// One number of each plane.
fn of_each<V: std::fmt::Display>(
    out: &mut String,
    planes: &[&Arc<Plane>],
    name: &str,
    kind: &str,
    help: &str,
    value: impl Fn(&Plane) -> V,
) {
    head(out, name, kind, help);
    for plane in planes {
        sample(out, name, &format!("plane=\"{}\"", plane.name), value(plane));
    }
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ =
        if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") };
}

/// A label's value, escaped.
pub fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_connections_are_counted_by_plane() {
        let metrics = Metrics::default();
        metrics.s3.answered(StatusCode::OK);
        metrics.s3.answered(StatusCode::FORBIDDEN);
        metrics.soap.answered(StatusCode::SERVICE_UNAVAILABLE);
        let open = metrics.s3.connection();
        drop(metrics.s3.connection());
        let gauges = [("kandian_files", "Files.", String::new(), 7.0)];
        let text = metrics.render(Some(&gauges), Duration::from_secs(5));
        for line in [
            "kandian_http_requests_total{plane=\"s3\",status=\"2xx\"} 1",
            "kandian_http_requests_total{plane=\"s3\",status=\"4xx\"} 1",
            "kandian_http_requests_total{plane=\"soap\",status=\"5xx\"} 1",
            "kandian_http_connections{plane=\"s3\"} 1",
            "kandian_http_connections_total{plane=\"s3\"} 2",
            "kandian_uptime_seconds 5",
            "kandian_files 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
        drop(open);
    }
}
