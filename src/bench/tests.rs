//! Loads against a small store in memory.

use super::load::Measured;
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
        "GET" if path == "/bucket/" => {
            let asked = uri.query().unwrap().replace("%2F", "/");
            let of = |name: &str| asked.split('&').find_map(|pair| pair.strip_prefix(name));
            let after = format!("/bucket/{}", of("start-after=").unwrap_or(""));
            assert!(server.objects.keys().all(|key| key.starts_with(&format!("/bucket/{}", of("prefix=").unwrap()))));
            let keys = server.objects.keys().filter(|key| **key > after).count().min(1000);
            (StatusCode::OK, "<Key>x</Key>".repeat(keys).into())
        }
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

/// One round, prepared, as far from the server's threads as a client is.
async fn measure(options: &BenchOptions) -> io::Result<Measured> {
    let mut target = Target::given(options, options.endpoint.as_deref().unwrap())?;
    target.pids = vec![std::process::id()];
    let load = Load::new(options, target);
    let round = move || load.prepare().and_then(|()| load.round());
    tokio::task::spawn_blocking(round).await.unwrap()
}

#[tokio::test]
async fn each_operation_does_what_it_says_so_many_times() {
    for (operation, expected) in [
        ("put", vec![("PUT", 20)]),
        ("get", vec![("GET", 30), ("PUT", 10)]),
        ("list", vec![("GET", 20), ("PUT", 10)]),
        ("delete", vec![("DELETE", 20), ("PUT", 20)]),
    ] {
        let (server, endpoint) = serve().await;
        let measured = measure(&options(&endpoint, &["--op", operation, "--count", "20"])).await.unwrap();
        assert_eq!((measured.tally.done, measured.tally.damaged), (20, 0), "{operation}");
        let expected = expected.into_iter().map(|(method, count)| (method.to_owned(), count)).collect();
        assert_eq!(server.lock().unwrap().requests, expected, "{operation}");
        assert!(measured.server.is_some_and(|used| used.processes.peak_bytes > 0));
    }
}

#[tokio::test]
async fn a_list_of_many_pages_is_read_from_anywhere() {
    let (server, endpoint) = serve().await;
    let mut options = options(&endpoint, &["--op", "list", "--count", "40"]);
    (options.objects, options.size) = (1100, 1);
    let measured = measure(&options).await.unwrap();
    assert_eq!((measured.tally.done, measured.tally.damaged), (40, 0));
    assert_eq!(server.lock().unwrap().requests["GET"], 40);
}

#[tokio::test]
async fn a_mixed_load_puts_and_gets_in_the_shares_that_were_asked_for() {
    let (server, endpoint) = serve().await;
    let more = ["--op", "mixed", "--count", "1000", "--put-percent", "70"];
    let measured = measure(&options(&endpoint, &more)).await.unwrap();
    let server = server.lock().unwrap();
    assert_eq!((measured.tally.done, server.requests["PUT"] + server.requests["GET"]), (1000, 1000));
    assert!((650..750).contains(&server.requests["PUT"]), "{:?}", server.requests);
}

#[tokio::test]
async fn rounds_find_objects_of_their_own() {
    for (operation, put, left) in [("put", 15, 15), ("get", 10, 10), ("delete", 15, 0)] {
        let (server, endpoint) = serve().await;
        run(options(&endpoint, &["--op", operation, "--count", "5", "--rounds", "3", "--json"])).await.unwrap();
        let server = server.lock().unwrap();
        assert_eq!((server.requests["PUT"], server.objects.len()), (put, left), "{operation}");
    }
}

#[tokio::test]
async fn a_drawing_shows_runs_beside_each_other() {
    let (_, endpoint) = serve().await;
    let dir = tempfile::tempdir().unwrap();
    let (earlier, svg) = (dir.path().join("earlier"), dir.path().join("svg"));
    let report = serde_json::json!({ "name": "an earlier run", "percentiles": [[0.0, 1.0], [50.0, 2.0]] });
    std::fs::write(&earlier, format!("text\n{report}\n")).unwrap();
    let mut options = options(&endpoint, &["--count", "5", "--name", "this run"]);
    (options.svg, options.beside) = (Some(svg.clone()), vec![earlier]);
    run(options.clone()).await.unwrap();
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert!(drawn.contains("an earlier run") && drawn.contains("this run"), "{drawn}");
    options.beside = vec![svg];
    assert!(run(options).await.unwrap_err().to_string().contains("no output of a run"));
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
fn the_report_holds_medians_and_the_ratio_to_the_limit() {
    let options = options("http://h", &["--op", "put"]);
    let round = |requests: u32, cpu_seconds| {
        let mut tally = crate::sim::client::Tally::default();
        for _ in 0..requests {
            tally.count(&Ok(crate::sim::client::s3::Outcome::Done), 10_000_000, Duration::from_millis(5));
        }
        let processes = process::Usage { cpu_seconds, peak_bytes: 3 << 20, written_bytes: 20_000_000 };
        let device = Some(process::Device { flushes: 5, written_bytes: 30_000_000 });
        Measured { tally, seconds: 2.0, server: Some(process::Used { processes, device }), client_cpu: 0.1 }
    };
    let (mut run, mut limit) = (Summary::new("run".to_owned()), Summary::new("limit".to_owned()));
    for (requests, cpu_seconds) in [(10, 0.5), (20, 0.5), (8, 0.5)] {
        run.add(Operation::Put, &round(requests, cpu_seconds));
        limit.add(Operation::Put, &round(40, 0.1));
    }
    let report = Report { options: &options, run, limit: Some(limit) };
    let json = report.json();
    for (figure, expected) in [
        ("ops_per_s", 5.0),
        ("mb_per_s", 50.0),
        ("ratio_to_limit", 0.25),
        ("server_cpu_s_per_gb", 5.0),
        ("server_cpu_s_per_1000", 50.0),
        ("server_peak_mib", 3.0),
        ("client_cpu_s_per_1000", 10.0),
        ("device_flushes_per_request", 0.5),
        ("device_written_per_byte", 0.3),
        ("server_written_per_byte", 0.2),
    ] {
        assert!((json[figure].as_f64().unwrap() - expected).abs() < 1e-9, "{figure}: {}", json[figure]);
    }
    assert_eq!(json["rounds"]["ops_per_s"], serde_json::json!([5.0, 10.0, 4.0]));
    assert_eq!((&json["done"], &json["limit"]["done"]), (&38.into(), &120.into()));
    let text = report.text();
    assert!(text.starts_with("run: 5 op/s [4..10], 50.0 MB/s; p50 5.0"), "{text}");
    assert!(text.contains("\nlimit: 20 op/s, 200.0 MB/s") && text.contains("; 25 % reached\n"), "{text}");
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
    for right in [&["x"][..], &["x", "--limit", "--json"], &["x", "--limit=sendfile", "--server-pid", "1,2"]] {
        assert!(Cli::try_parse_from(right).is_ok(), "{right:?}");
    }
}
