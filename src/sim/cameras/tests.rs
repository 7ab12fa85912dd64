//! Cameras against a small server that checks every signature and keeps what it is given.

use super::*;
use crate::wire::sig::{self, Target};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

// What a test says comes behind what is usual.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Cli {
    #[command(flatten)]
    options: CamerasOptions,
}

#[derive(Default)]
struct Server {
    opened: usize,
    looping: usize,
    objects: BTreeMap<String, Bytes>,
    signatures: BTreeSet<&'static str>,
    address: String,
    rots: bool,
    hosts: BTreeSet<String>,
    /// Uploads that broke off.
    broken: usize,
    parts: BTreeMap<String, BTreeMap<u32, Bytes>>,
}

type Served = Arc<Mutex<Server>>;

async fn answer(State(server): State<Served>, request: Request<Body>) -> (StatusCode, Bytes) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await;
    let mut server = server.lock().unwrap();
    let Ok(body) = body else {
        server.broken += 1;
        return (StatusCode::BAD_REQUEST, Bytes::new());
    };
    if head.uri.path() == "/soap" {
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("<Account>shop</Account><Password>pass&amp;word</Password>"), "{text}");
        if text.contains("<SetSubAccountSpacePolicy") {
            assert!(text.contains("<SpaceLoop>1</SpaceLoop>"));
            server.looping += 1;
            return (StatusCode::OK, Bytes::from_static(b"<r><Result>0</Result></r>"));
        }
        assert!(text.contains("<StorageSpace>3</StorageSpace>"), "{text}");
        server.opened += 1;
        let n = server.opened;
        let answer = format!(
            "<r><Result>0</Result><S3AK>AK{n}</S3AK><S3SK>secret</S3SK><S3URL>http://{}</S3URL>\
             <S3RecordBucket>rec-{n}</S3RecordBucket><S3PictureBucket>pic-{n}</S3PictureBucket></r>",
            server.address
        );
        return (StatusCode::OK, answer.into());
    }
    let target = Target::parse(head.uri.path(), head.uri.query()).unwrap();
    let host = head.headers["host"].to_str().unwrap().to_owned();
    let host_bucket = host.split_once(".s3.example:").map(|(bucket, _)| bucket);
    let request = sig::Request { method: &head.method, target: &target, headers: &head.headers, host_bucket };
    let claim = sig::read(&request).unwrap().unwrap();
    let now = os::world().clock.now();
    let key = sig::Key::new(Secret::new("secret"));
    if let Err(error) = claim.verify(&request, &key, now, Duration::from_secs(60)) {
        assert_eq!(error.code, sig::SigCode::RequestTimeTooSkewed, "{error}");
        return (StatusCode::FORBIDDEN, Bytes::from_static(b"<Error><Code>RequestTimeTooSkewed</Code></Error>"));
    }
    server.signatures.insert(if claim.version() == sig::Version::V2 { "v2" } else { "v4" });
    server.hosts.insert(host.clone());
    let path = match host_bucket {
        Some(bucket) => format!("/{bucket}{}", head.uri.path()),
        None => head.uri.path().to_owned(),
    };
    match (head.method.as_str(), target.get("uploadId")) {
        ("POST", None) => {
            assert!(target.has("uploads"));
            let id = format!("{path} {}", server.parts.len());
            let answer = format!("<R><UploadId>{id}</UploadId></R>");
            server.parts.insert(id, BTreeMap::new());
            (StatusCode::OK, answer.into())
        }
        ("PUT", Some(id)) => {
            let number = target.get("partNumber").unwrap().parse().unwrap();
            server.parts.get_mut(id).unwrap().insert(number, body);
            (StatusCode::OK, Bytes::new())
        }
        ("POST", Some(id)) => {
            let parts = server.parts.remove(id).unwrap();
            let named = String::from_utf8_lossy(&body).matches("<ETag>&quot;tag&quot;</ETag>").count();
            assert!(parts.keys().copied().eq(1..=3) && named == 3, "{parts:?}");
            server.objects.insert(path, parts.into_values().flatten().collect());
            (StatusCode::OK, Bytes::new())
        }
        ("PUT", None) if path.starts_with("/pic-2/") => {
            (StatusCode::FORBIDDEN, Bytes::from_static(b"<Error><Code>QuotaExceeded</Code></Error>"))
        }
        ("PUT", None) => {
            server.objects.insert(path, body);
            (StatusCode::OK, Bytes::new())
        }
        _ => match server.objects.get(&path) {
            Some(object) if server.rots => (StatusCode::OK, object.slice(1..)),
            Some(object) => (StatusCode::OK, object.clone()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        },
    }
}

async fn tagged(state: State<Served>, request: Request<Body>) -> impl IntoResponse {
    ([("etag", "\"tag\"")], answer(state, request).await)
}

async fn serve() -> (Served, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Served::new(Mutex::new(Server { address: address.clone(), ..Server::default() }));
    let router = Router::new().fallback(tagged).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, format!("http://{address}/soap"))
}

fn options(soap: &str, more: &[&str]) -> CamerasOptions {
    let usual = ["x", "--soap", soap, "--account", "shop", "--password", "pass&word", "--space", "3", "--cameras", "2"];
    let sizes = ["--clips", "3", "--clip-size", "100KB", "--picture-size", "5KiB", "--verify"];
    Cli::try_parse_from(usual.iter().chain(&sizes).chain(more)).unwrap().options
}

#[tokio::test]
async fn cameras_of_both_signatures_upload_and_get_back_what_they_recorded() {
    let (server, soap) = serve().await;
    run(options(&soap, &["--loop"])).await.unwrap();
    let server = server.lock().unwrap();
    assert_eq!((server.opened, server.looping), (2, 2));
    assert_eq!(server.signatures, ["v2", "v4"].into());
    let of = |prefix: &str| -> Vec<usize> {
        server.objects.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, object)| object.len()).collect()
    };
    assert_eq!((of("/rec-1/"), of("/rec-2/"), of("/pic-1/")), (vec![100_000; 3], vec![100_000; 3], vec![5120; 3]));
    assert!(of("/pic-2/").is_empty());
    assert!(server.objects.contains_key("/rec-1/2014-03-28/14-30-05.mp4"));
    assert!(server.objects.contains_key("/pic-1/2014-03-28/14-30-05.jpg"));
}

#[tokio::test]
async fn the_same_seed_records_the_same_and_another_does_not() {
    let mut runs = Vec::new();
    for seed in ["7", "7", "8"] {
        let (server, soap) = serve().await;
        run(options(&soap, &["--seed", seed, "--json"])).await.unwrap();
        runs.push(std::mem::take(&mut server.lock().unwrap().objects));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_server_that_gives_back_something_else_is_found_out() {
    let (server, soap) = serve().await;
    server.lock().unwrap().rots = true;
    let error = run(options(&soap, &[])).await.unwrap_err();
    assert_eq!(error.to_string(), "9 requests failed");
}

#[tokio::test]
async fn files_of_a_directory_are_uploaded_as_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.ts"), b"moving").unwrap();
    std::fs::write(directory.path().join("b.JPG"), b"still").unwrap();
    std::fs::create_dir(directory.path().join("c")).unwrap();
    let (server, soap) = serve().await;
    run(options(&soap, &["--files", directory.path().to_str().unwrap()])).await.unwrap();
    let server = server.lock().unwrap();
    assert_eq!(server.objects["/rec-1/2014-03-28/14-30-05.ts"], "moving");
    assert_eq!(server.objects["/pic-1/2014-03-28/14-30-05.jpg"], "still");
    assert_eq!(server.objects.len(), 9);
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_an_error() {
    let error = run(options("http://127.0.0.1:1/soap", &[])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// A run that is to be looked into.
async fn summary(options: CamerasOptions) -> (Value, io::Result<()>) {
    let (_tell, stop) = watch::channel(false);
    let fleet = Fleet::open(options, os::world().clock).await.unwrap();
    let summary = fleet.run(stop).await.unwrap();
    let (json, text) = (summary.json(), summary.text());
    for operation in json["operations"].as_object().unwrap().keys() {
        assert!(text.contains(operation.as_str()), "{text}");
    }
    (json, summary.verdict())
}

#[tokio::test]
async fn buckets_are_in_the_host_where_that_is_asked_for_with_both_signatures() {
    let (server, soap) = serve().await;
    let (json, verdict) =
        summary(options(&soap, &["--style", "mixed", "--domain", "s3.example", "--cameras", "4"])).await;
    verdict.unwrap();
    let of = |n: usize, what: &str| json["cameras"][n][what].as_str().unwrap().to_owned();
    let styles: Vec<_> = (0..4).map(|n| of(n, "signature") + " " + &of(n, "style")).collect();
    assert_eq!(styles, ["V4 path", "V2 path", "V4 domain", "V2 domain"]);
    let server = server.lock().unwrap();
    assert!(server.hosts.iter().any(|host| host.starts_with("rec-3.s3.example:")), "{:?}", server.hosts);
    assert_eq!(server.objects.keys().filter(|path| path.starts_with("/rec-4/")).count(), 3);
}

#[tokio::test]
async fn what_a_cut_link_kept_back_is_sent_later_and_is_whole() {
    let (server, soap) = serve().await;
    let more = ["--drop", "50%", "--offline", "5ms", "--picture-size", "0", "--cameras", "3"];
    let (json, verdict) = summary(options(&soap, &more)).await;
    verdict.unwrap();
    let happened = &json["happened"];
    assert!(happened["links_cut"].as_u64() > Some(0) && happened["resumed"].as_u64() > Some(0), "{happened}");
    assert_eq!((happened["uploaded"].as_u64(), happened["left"].as_u64()), (Some(9), Some(0)));
    assert_eq!((json["verified"]["done"].as_u64(), json["uploads"]["errors"].as_u64()), (Some(9), Some(0)));
    let (_, soap) = serve().await;
    let (again, _) = summary(options(&soap, &more)).await;
    assert_eq!(&again["happened"]["links_cut"], &happened["links_cut"], "the seed decides over links too");
    assert!(server.lock().unwrap().broken > 0);
}

#[tokio::test]
async fn a_backlog_that_is_full_loses_its_oldest() {
    let (_, soap) = serve().await;
    let more = ["--drop", "1", "--offline", "1ms", "--backlog", "2", "--picture-size", "0", "--cameras", "1"];
    let (json, _) = summary(options(&soap, &more)).await;
    let happened = &json["happened"];
    assert_eq!((happened["lost"].as_u64(), happened["left"].as_u64()), (Some(1), Some(2)), "{happened}");
}

#[tokio::test]
async fn what_is_large_is_sent_in_parts_that_go_on_where_they_stopped() {
    let (server, soap) = serve().await;
    let parts = ["--multipart-above", "1MiB", "--part-size", "5MiB", "--picture-size", "0", "--offline", "1ms"];
    let usual =
        ["x", "--soap", &soap, "--account", "shop", "--password", "pass&word", "--space", "3", "--cameras", "2"];
    let size = ["--clips", "2", "--clip-size", "11MiB..13MiB", "--verify", "--drop", "90%"];
    let options = Cli::try_parse_from(usual.iter().chain(&size).chain(&parts)).unwrap().options;
    let (json, verdict) = summary(options).await;
    verdict.unwrap();
    assert_eq!((json["verified"]["done"].as_u64(), json["verified"]["damaged"].as_u64()), (Some(4), Some(0)));
    assert_eq!(json["operations"]["put part"]["done"].as_u64(), Some(12), "no part is sent twice");
    assert!(json["happened"]["parts_continued"].as_u64() > Some(0), "{}", json["happened"]);
    let sizes: BTreeSet<_> = server.lock().unwrap().objects.values().map(Bytes::len).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| (11 << 20..=13 << 20).contains(size)), "{sizes:?}");
}

#[tokio::test]
async fn a_wrong_clock_is_experienced_or_set() {
    for (correct, done) in [(false, false), (true, true)] {
        let (_, soap) = serve().await;
        let mut more = vec!["--clock-skew", "3h", "--cameras", "1", "--picture-size", "0"];
        more.extend(correct.then_some("--correct-clock"));
        let (json, verdict) = summary(options(&soap, &more)).await;
        verdict.unwrap();
        let refused = json["uploads"]["refused_by_code"]["403 RequestTimeTooSkewed"].as_u64();
        assert_eq!(refused, Some(if done { 1 } else { 3 }), "{}", json["uploads"]);
        assert_eq!(json["uploads"]["done"].as_u64(), Some(if done { 3 } else { 0 }));
        assert_eq!(json["happened"]["clocks_corrected"].as_u64(), Some(u64::from(done)));
    }
}

#[tokio::test]
async fn many_cameras_take_turns_over_few_connections() {
    let (server, soap) = serve().await;
    let more = ["--every", "10s", "--bit-rate", "8kbit", "--speed", "1000", "--connections", "3"];
    let usual = ["x", "--soap", &soap, "--account", "shop", "--password", "pass&word", "--space", "3"];
    let size = ["--cameras", "120", "--clips", "2", "--picture-size", "0"];
    let options = Cli::try_parse_from(usual.iter().chain(&size).chain(&more)).unwrap().options;
    let (json, verdict) = summary(options).await;
    verdict.unwrap();
    assert_eq!(json["operations"]["put recording"]["done"].as_u64(), Some(240));
    assert!(server.lock().unwrap().objects.values().all(|object| object.len() == 10_000));
}

#[test]
fn what_does_not_go_together_is_said() {
    let refused = |more: &[&str]| {
        let usual = ["x", "--account", "a", "--password", "p"];
        match Cli::try_parse_from(usual.iter().chain(more)) {
            Ok(cli) => cli.options.check().unwrap_err(),
            Err(error) => error.to_string(),
        }
    };
    for (more, said) in [
        (vec!["--cameras", "0"], "--cameras"),
        (vec!["--style", "domain"], "--domain"),
        (vec!["--every", "500ms"], "--every is at least 1s"),
        (vec!["--bit-rate", "1M"], "--every"),
        (vec!["--part-size", "1MiB"], "5MiB"),
        (vec!["--drop", "2"], "from 0 to 1"),
        (vec!["--every", "1s", "--speed", "0"], "--speed"),
        (vec!["--from", "yesterday"], "--from"),
    ] {
        let text = refused(&more);
        assert!(text.contains(said), "{more:?}: {text}");
    }
}

#[test]
fn what_is_usual_is_what_the_command_line_gives() {
    let given = Cli::try_parse_from(["x", "--account", "a", "--password", "p"]).unwrap().options;
    let usual = CamerasOptions::usual(&given.soap, "a", &Secret::new("p"));
    assert_eq!(format!("{given:?}"), format!("{usual:?}"));
}
