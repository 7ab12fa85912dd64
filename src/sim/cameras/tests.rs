//! Cameras against a small server that checks every signature and keeps what it is given.

use super::*;
use crate::wire::sig::{self, Target};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

#[derive(Parser)]
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
}

type Shared = Arc<Mutex<Server>>;

async fn answer(State(server): State<Shared>, request: Request<Body>) -> (StatusCode, Bytes) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let mut server = server.lock().unwrap();
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
    let request = sig::Request { method: &head.method, target: &target, headers: &head.headers, host_bucket: None };
    let claim = sig::read(&request).unwrap().unwrap();
    let now = os::world().clock.now();
    claim.verify(&request, &sig::Key::new(Secret::new("secret")), now, Duration::from_secs(60)).unwrap();
    server.signatures.insert(if claim.version() == sig::Version::V2 { "v2" } else { "v4" });
    let path = head.uri.path().to_owned();
    match head.method.as_str() {
        "PUT" if path.starts_with("/pic-2/") => {
            (StatusCode::FORBIDDEN, Bytes::from_static(b"<Error><Code>QuotaExceeded</Code></Error>"))
        }
        "PUT" => {
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

async fn serve() -> (Shared, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Shared::new(Mutex::new(Server { address: address.clone(), ..Server::default() }));
    let router = Router::new().fallback(answer).with_state(server.clone());
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
