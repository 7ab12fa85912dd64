//! All counters, as a struct that is passed: two servers in one process have two.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::plane::{Plane, Words};
use super::process;
use super::request_ids::RequestIds;
use super::text::Text;

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

/// What comes of an S3 request that is no error.
pub const OK: &str = "ok";

impl Default for Metrics {
    fn default() -> Self {
        Self::new([0; 8], Words::default(), Words::default())
    }
}

impl Metrics {
    /// Counters at zero, for the operations and outcomes of the two planes that have any. Requests are named from
    /// `start` on, which is random.
    pub fn new(start: [u8; 8], s3: Words, soap: Words) -> Self {
        let ids = Arc::new(RequestIds::new(start));
        let plane = |name, words| Plane::new(name, words, Arc::clone(&ids));
        let none = Words::default();
        Self {
            s3: plane("s3", s3),
            soap: plane("soap", soap),
            portal: plane("portal", none),
            metrics: plane("metrics", none),
            control: plane("control", none),
        }
    }

    /// The Prometheus text format; `more` adds what others count.
    pub fn render(&self, uptime: Duration, more: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::default();
        self.write_planes(&mut text);
        self.write_operations(&mut text);
        text.one("kandian_uptime_seconds", "Time since the start, seconds.", uptime.as_secs());
        process::write(&mut text);
        more(&mut text);
        text.into_string()
    }

    fn planes(&self) -> [&Arc<Plane>; 5] {
        [&self.s3, &self.soap, &self.portal, &self.metrics, &self.control]
    }

    fn write_planes(&self, text: &mut Text) {
        let name = "kandian_http_requests_total";
        text.head(name, "Requests answered, by plane and class of status.");
        for plane in self.planes() {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(plane.by_class()) {
                text.sample(name, &format!("plane=\"{}\",status=\"{class}\"", plane.name()), count);
            }
        }
        let name = "kandian_http_request_seconds";
        let help = "From a request's last byte of head to its answer's head, by plane, seconds.";
        text.typed(name, "histogram", help);
        for plane in self.planes() {
            plane.took.write(text, name, &format!("plane=\"{}\"", plane.name()));
        }
        type Of = fn(&Plane) -> i64;
        let gauges: [(&str, &str, Of); 2] = [
            ("kandian_http_connections", "Open connections, by plane.", |p| p.open.load(Ordering::Relaxed)),
            (
                "kandian_http_requests_under_way",
                "Requests from their head to the last byte of their answer, by plane.",
                |p| p.under_way.load(Ordering::Relaxed),
            ),
        ];
        for (name, help, of) in gauges {
            text.head(name, help);
            self.planes().into_iter().for_each(|p| text.sample(name, &format!("plane=\"{}\"", p.name()), of(p)));
        }
        type Counted = fn(&Plane) -> u64;
        let counters: [(&str, &str, Counted); 7] = [
            ("kandian_http_connections_total", "Connections accepted, by plane.", |p| {
                p.connections.load(Ordering::Relaxed)
            }),
            ("kandian_http_accept_failures_total", "Connections that could not be accepted, by plane.", |p| {
                p.accept_failures.load(Ordering::Relaxed)
            }),
            (
                "kandian_tls_handshake_failures_total",
                "Connections that ended before TLS was agreed on, by plane.",
                |p| p.handshake_failures.load(Ordering::Relaxed),
            ),
            (
                "kandian_http_connections_made_room_total",
                "Quiet connections that were ended because others needed their places, by plane.",
                |p| p.made_room.load(Ordering::Relaxed),
            ),
            (
                "kandian_http_requests_left_total",
                "Requests whose client had left before the answer began, by plane.",
                |p| p.left.load(Ordering::Relaxed),
            ),
            ("kandian_http_received_bytes_total", "Bytes of request bodies that came, by plane.", |p| {
                p.received.load(Ordering::Relaxed)
            }),
            ("kandian_http_sent_bytes_total", "Bytes of answer bodies that went, by plane.", |p| {
                p.sent.load(Ordering::Relaxed)
            }),
        ];
        for (name, help, of) in counters {
            text.head(name, help);
            self.planes().into_iter().for_each(|p| text.sample(name, &format!("plane=\"{}\"", p.name()), of(p)));
        }
    }

    fn write_operations(&self, text: &mut Text) {
        let name = "kandian_s3_request_seconds";
        let help = "From an S3 request's last byte of head to its answer's head, by operation, seconds: an upload's \
                    time has its client's sending in it, a download's has not.";
        text.typed(name, "histogram", help);
        for (operation, took) in self.s3.by_operation() {
            took.write(text, name, &format!("operation=\"{operation}\""));
        }
        let name = "kandian_s3_errors_total";
        text.head(name, "S3 requests answered with an error, by S3's code.");
        let mut by_code: Vec<(&str, u64)> = Vec::new();
        for (_, code, count) in self.s3.by_outcome().filter(|(_, code, _)| *code != OK) {
            match by_code.iter_mut().find(|(of, _)| *of == code) {
                Some((_, sum)) => *sum += count,
                None => by_code.push((code, count)),
            }
        }
        for (code, count) in by_code {
            text.sample(name, &format!("code=\"{code}\""), count);
        }
        let name = "kandian_soap_request_seconds";
        text.typed(
            name,
            "histogram",
            "From a SOAP call's last byte of head to its answer's head, by operation, seconds.",
        );
        for (operation, took) in self.soap.by_operation() {
            took.write(text, name, &format!("operation=\"{operation}\""));
        }
        let name = "kandian_soap_results_total";
        let help = "SOAP calls answered, by operation and Result: a number of section 7, fault, or busy (HTTP 503).";
        text.head(name, help);
        for (operation, result, count) in self.soap.by_outcome() {
            text.sample(name, &format!("operation=\"{operation}\",result=\"{result}\""), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::plane::Answered;
    use super::*;

    #[test]
    fn answers_connections_and_operations_are_counted() {
        let s3 = Words { operations: &["PutObject", "GetObject"], outcomes: &["ok", "NoSuchKey"] };
        let metrics = Metrics::new([0; 8], s3, Words { operations: &["QueryUserSpace"], outcomes: &["0", "1"] });
        let told = |operation, outcome| Some(Answered { operation, outcome, refused: outcome != "ok" });
        let mut asked = metrics.s3.asked();
        asked.answer(StatusCode::OK, told("PutObject", "ok"));
        metrics.s3.asked().answer(StatusCode::NOT_FOUND, told("GetObject", "NoSuchKey"));
        metrics.s3.asked().answer(StatusCode::NOT_FOUND, told("Nonsense", "What"));
        metrics.s3.asked().answer(StatusCode::BAD_REQUEST, None);
        metrics.soap.asked().answer(StatusCode::SERVICE_UNAVAILABLE, told("QueryUserSpace", "1"));
        drop(metrics.soap.asked());
        let open = metrics.s3.connection();
        drop(metrics.s3.connection());
        metrics.s3.received(7);
        metrics.s3.sent(9);
        let text = metrics.render(Duration::from_secs(5), |text| text.one("kandian_files", "Files.", 7));
        for line in [
            "kandian_http_requests_total{plane=\"s3\",status=\"2xx\"} 1",
            "kandian_http_requests_total{plane=\"s3\",status=\"4xx\"} 3",
            "kandian_http_requests_total{plane=\"soap\",status=\"5xx\"} 1",
            "kandian_http_request_seconds_count{plane=\"s3\"} 4",
            "kandian_http_requests_under_way{plane=\"s3\"} 1",
            "kandian_http_requests_left_total{plane=\"soap\"} 1",
            "kandian_http_connections{plane=\"s3\"} 1",
            "kandian_http_connections_total{plane=\"s3\"} 2",
            "kandian_http_received_bytes_total{plane=\"s3\"} 7",
            "kandian_http_sent_bytes_total{plane=\"s3\"} 9",
            "kandian_s3_request_seconds_count{operation=\"PutObject\"} 1",
            "kandian_s3_request_seconds_count{operation=\"other\"} 1",
            "kandian_s3_errors_total{code=\"NoSuchKey\"} 1",
            "kandian_s3_errors_total{code=\"other\"} 1",
            "kandian_soap_results_total{operation=\"QueryUserSpace\",result=\"1\"} 1",
            "kandian_soap_results_total{operation=\"QueryUserSpace\",result=\"0\"} 0",
            "kandian_uptime_seconds 5",
            "kandian_files 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        assert!(!text.contains("code=\"ok\""), "what went well is no error");
        drop((open, asked));
        assert_eq!(metrics.s3.open_now(), 0);
    }
}
