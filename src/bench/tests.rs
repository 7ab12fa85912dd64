//! Loads against a small store in memory.

use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use clap::Parser;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Default)]
struct Server {
    objects: BTreeMap<String, Bytes>,
    requests: BTreeMap<String, u64>,
    full: bool,
    rots: bool,
}

type Shared = Arc<Mutex<Server>>;

async fn answer(State(server): State<Shared>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, Bytes) {
    let mut server = server.lock().unwrap();
    *server.requests.entry(method.to_string()).or_default() += 1;
    let path = uri.path().to_owned();
    match method.as_str() {
        "PUT" if server.full => {
            (StatusCode::FORBIDDEN, Bytes::from_static(b"<Error><Code>QuotaExceeded</Code></Error>"))
        }
        "PUT" => {
            server.objects.insert(path, body);
            (StatusCode::OK, Bytes::new())
        }
        "GET" if path == "/bucket/" => (StatusCode::OK, "<Key>".repeat(server.objects.len()).into()),
        "GET" => match server.objects.get(&path) {
            Some(object) if server.rots => (StatusCode::OK, object.slice(..object.len() - 1)),
            Some(object) => (StatusCode::OK, object.clone()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        },
        _ => match server.objects.remove(&path) {
            Some(_) => (StatusCode::NO_CONTENT, Bytes::new()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        },
    }
}

async fn serve() -> (Shared, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = Shared::default();
    let router =
        Router::new().fallback(answer).with_state(server.clone()).layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, endpoint)
}

fn options(endpoint: &str, more: &[&str]) -> BenchOptions {
    let usual = ["x", "--endpoint", endpoint, "--access-key", "AK", "--secret-key", "SK", "--bucket", "bucket"];
    let few = ["--connections", "3", "--objects", "10", "--size", "10000"];
    Cli::try_parse_from(usual.iter().chain(&few).chain(more)).unwrap().options
}

async fn measure(options: &BenchOptions) -> io::Result<Measured> {
    let target = Target::given(options, options.endpoint.as_deref().unwrap())?;
    target.load(options).run(|| process::usage(std::process::id()).map(Some)).await
}

#[tokio::test]
async fn each_operation_does_what_it_says_so_many_times() {
    for (operation, expected) in [
        ("put", vec![("PUT", 20)]),
        ("get", vec![("GET", 20), ("PUT", 10)]),
        ("list", vec![("GET", 20), ("PUT", 10)]),
        ("delete", vec![("DELETE", 20), ("PUT", 20)]),
    ] {
        let (server, endpoint) = serve().await;
        let measured = measure(&options(&endpoint, &["--op", operation, "--count", "20"])).await.unwrap();
        assert_eq!((measured.tally.done, measured.tally.damaged), (20, 0), "{operation}");
        let expected = expected.into_iter().map(|(method, count)| (method.to_owned(), count)).collect();
        assert_eq!(server.lock().unwrap().requests, expected, "{operation}");
        assert!(measured.usage.is_some());
    }
}

#[tokio::test]
async fn a_mixed_load_puts_and_gets() {
    let (server, endpoint) = serve().await;
    let measured = measure(&options(&endpoint, &["--op", "mixed", "--count", "100"])).await.unwrap();
    let server = server.lock().unwrap();
    assert_eq!((measured.tally.done, server.requests["PUT"] + server.requests["GET"]), (100, 100));
    assert!(server.requests["GET"] > 20 && server.requests["PUT"] > 20, "{:?}", server.requests);
}

#[tokio::test]
async fn a_load_ends_when_its_time_is_over() {
    let (_, endpoint) = serve().await;
    let measured = measure(&options(&endpoint, &["--duration", "200ms"])).await.unwrap();
    assert!(measured.tally.done > 0 && (0.2..5.0).contains(&measured.seconds), "{}", measured.seconds);
}

#[tokio::test]
async fn a_content_that_is_cut_is_not_called_done() {
    let (server, endpoint) = serve().await;
    server.lock().unwrap().rots = true;
    let options = options(&endpoint, &["--op", "get", "--count", "5", "--json"]);
    assert_eq!(measure(&options).await.unwrap().tally.damaged, 5);
    assert_eq!(run(options).await.unwrap_err().to_string(), "5 requests failed");
}

#[tokio::test]
async fn a_store_that_refuses_everything_is_no_result() {
    let (server, endpoint) = serve().await;
    server.lock().unwrap().full = true;
    let error = run(options(&endpoint, &["--count", "5"])).await.unwrap_err();
    assert_eq!(error.to_string(), "every request was refused");
    let error = run(options(&endpoint, &["--op", "get", "--count", "5"])).await.unwrap_err();
    assert!(error.to_string().contains("403 QuotaExceeded: 10"), "{error}");
}

#[test]
fn the_report_holds_rates_and_the_ratio_to_the_limit() {
    let options = options("http://h", &["--op", "put"]);
    let mut tally = crate::sim::client::Tally::default();
    for _ in 0..10 {
        tally.count(&Ok(crate::sim::client::s3::Outcome::Done), 10_000_000, Duration::from_millis(5));
    }
    let usage = Some(Usage { cpu_seconds: 0.5, peak_bytes: 1 << 20 });
    let measured = Measured { tally, seconds: 2.0, usage };
    let limit = Some(Limit { disk: 100e6, md5: 500e6, get: 1e9 });
    let report = Report { options: &options, measured, limit };
    let json = report.json();
    assert_eq!((json["ops_per_s"].as_f64(), json["mb_per_s"].as_f64()), (Some(5.0), Some(50.0)));
    assert_eq!(
        (json["ratio_to_limit"].as_f64(), json["server"]["cpu_seconds_per_gb"].as_f64()),
        (Some(0.5), Some(5.0))
    );
    assert!(report.line().contains("50 % of the limit (disk 100 MB/s"), "{}", report.line());
}

#[test]
fn half_a_target_is_refused_by_the_command_line() {
    for wrong in [
        &["x", "--endpoint", "http://h"][..],
        &["x", "--bucket", "b"],
        &["x", "--count", "5", "--duration", "5s"],
        &["x", "--self", "--endpoint", "http://h", "--access-key", "a", "--secret-key", "s", "--bucket", "b"],
    ] {
        assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
    }
    assert!(Cli::try_parse_from(["x"]).is_ok());
}
