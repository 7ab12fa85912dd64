//! Both planes on one real engine, in one process: what the platform hands out is what a camera signs with, and the
//! clock is the test's.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hmac::{KeyInit, Mac};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kandian::config::{Config, Written, parse};
use kandian::domain::{AccessKey, Gigabytes, Secret, Timestamp};
use kandian::engine::{Caller, Courier, Delivery, Engine, NewAccount, Notice, PublicUrls, SubAccountView};
use kandian::soap::SoapSettings;
use kandian::wire::s3_time;
use kandian::wire::sig::{Content, ToSign, presign_v4, sign_v4};
use kandian::world::fake::{ManualClock, world};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tower::ServiceExt;

const HOST: &str = "s3.test:9000";
const PASSWORD: &str = "the-password-of-the-province";
const DAY: Duration = Duration::from_hours(24);

/// A platform that cannot be reached.
struct Nobody;

impl Courier for Nobody {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("nobody is there".to_owned()) })
    }
}

/// The appliance, and what its users know.
struct Shop {
    engine: Engine,
    clock: Arc<ManualClock>,
    s3: Router,
    soap: Router,
    /// What must never be seen but where it is asked for.
    secrets: Mutex<Vec<String>>,
    /// Every answer that was no success, with its headers.
    refusals: Mutex<Vec<String>>,
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

/// A camera: what 7.2 answered.
struct Camera {
    ak: String,
    sk: String,
    bucket: String,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Of an S3 error: its status and its code.
    fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), tag(&self.text(), "Code"))
    }

    /// Of a SOAP answer: its Result.
    fn result(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        tag(&self.text(), "Result")
    }
}

/// What stands in an element; empty where there is none.
fn tag(xml: &str, name: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let inside = xml.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    inside.map_or("", |(text, _)| text).replace("&amp;", "&")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = hmac::Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// One GB is 1 MiB; and `more`.
fn settings(more: &[&str]) -> Config {
    let mut sets = vec!["space.bytes_per_gb=1048576".to_owned()];
    sets.extend(more.iter().map(|set| (*set).to_owned()));
    parse(&Written { file: None, data: Some("/data".into()), sets }).unwrap()
}

/// A request whose body will be `body`, sent as `sent`.
fn sign(at: Timestamp, camera: &Camera, method: &str, path: &str, body: &[u8], sent: Body) -> Request<Body> {
    let access_key: AccessKey = camera.ak.parse().unwrap();
    let secret = Secret::new(camera.sk.as_str());
    let to_sign = ToSign {
        method,
        host: HOST,
        path,
        query: "",
        headers: &[],
        access_key: &access_key,
        secret: &secret,
        region: "kandian",
        now: at,
    };
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    request = request.header("content-length", body.len());
    for (name, value) in sign_v4(&to_sign, Content::Sha256(Sha256::digest(body).into())) {
        request = request.header(name, value);
    }
    request.body(sent).unwrap()
}

/// A body that says when it is asked for, and comes when it is let go.
struct Slow {
    polled: Arc<AtomicUsize>,
    gate: watch::Sender<bool>,
}

impl Slow {
    fn new() -> Self {
        Self { polled: Arc::default(), gate: watch::Sender::new(false) }
    }

    fn body(&self, data: &'static [u8]) -> Body {
        let (polled, mut gate) = (Arc::clone(&self.polled), self.gate.subscribe());
        Body::from_stream(futures_util::stream::once(async move {
            polled.fetch_add(1, Ordering::SeqCst);
            gate.wait_for(|open| *open).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(bytes::Bytes::from_static(data))
        }))
    }

    /// Waits until so many bodies were asked for.
    async fn asked_for(&self, bodies: usize) {
        for _ in 0..500 {
            if self.polled.load(Ordering::SeqCst) == bodies {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} bodies were asked for, not {bodies}", self.polled.load(Ordering::SeqCst));
    }
}

impl Shop {
    /// An appliance with the account `gd` of 10 GB; one GB is 1 MiB.
    async fn new(seed: u64) -> Self {
        Self::with(seed, &[]).await
    }

    /// The same, with more settings.
    async fn with(seed: u64, more: &[&str]) -> Self {
        let (world, _, clock) = world(seed);
        let config = settings(more);
        let urls = PublicUrls { s3: format!("http://{HOST}"), soap: "http://soap.test:9001".to_owned() };
        let engine = Engine::open(world, &config, urls, Arc::new(Nobody)).unwrap();
        let new = NewAccount {
            name: "gd".parse().unwrap(),
            password: Some(Secret::new(PASSWORD)),
            space: Gigabytes::new(10).unwrap(),
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&Caller::operator(), new).await.unwrap();
        let (_, admin) = engine.account_key(&Caller::operator(), &"gd".parse().unwrap()).await.unwrap();
        Self {
            s3: kandian::s3::router(engine.clone(), Arc::new(config.s3)),
            soap: kandian::soap::router(
                engine.clone(),
                Arc::new(SoapSettings { public_url: None, zone_minutes: config.zone_minutes }),
            ),
            engine,
            clock,
            secrets: Mutex::new(vec![PASSWORD.to_owned(), admin.expose().to_owned()]),
            refusals: Mutex::default(),
        }
    }

    /// Holds at the end of every run: no secret in any refusal or in the audit log.
    async fn close(self) {
        let secrets = self.secrets.into_inner().unwrap();
        assert!(secrets.len() > 1 && secrets.iter().all(|s| s.len() > 10));
        for text in self.refusals.into_inner().unwrap() {
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "a secret in {text}");
            }
        }
        self.engine.checkpoint().await.unwrap();
        let log = self.engine.audit_log(&Caller::operator(), 10_000).await.unwrap();
        assert!(!log.is_empty(), "an opened sub-account has its line");
        let log = serde_json::to_string(&log.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>()).unwrap();
        for secret in &secrets {
            assert!(!log.contains(secret.as_str()), "a secret in the audit log");
        }
        self.engine.close().await.unwrap();
    }

    async fn send(&self, router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes().to_vec()).unwrap_or_default();
        let answer = Answer { status: head.status, body };
        let is_result = answer.text().contains("<Result>") && tag(&answer.text(), "Result") != "0";
        if !head.status.is_success() || is_result {
            self.refusals.lock().unwrap().push(format!("{:?}{}", head.headers, answer.text()));
        }
        answer
    }

    async fn soap(&self, operation: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: String = fields.iter().map(|(n, v)| format!("<{n}>{v}</{n}>")).collect();
        let text = format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
             <{operation} xmlns=\"urn:sjkd:video-cloud-storage:v1_2\">{fields}</{operation}></e:Body></e:Envelope>"
        );
        let request = Request::post("/services/VideoCloudStorage")
            .header("host", "soap.test:9001")
            .header("content-type", "text/xml; charset=utf-8")
            .header("content-length", text.len());
        self.send(&self.soap, request.body(Body::from(text)).unwrap()).await
    }

    /// An operation of 7.3 to 7.9 on a camera's sub-account, with the right credentials.
    async fn of(&self, camera: &Camera, operation: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields = vec![("Account", "gd"), ("Password", PASSWORD), ("S3AK", &camera.ak), ("S3SK", &camera.sk)];
        fields.extend(more);
        self.soap(operation, &fields).await
    }

    /// 7.2.
    async fn camera(&self, space: u32) -> Camera {
        let space = space.to_string();
        let fields = [("Account", "gd"), ("Password", PASSWORD), ("StorageSpace", space.as_str())];
        let answer = self.soap("OpenSubAccount", &fields).await;
        assert_eq!(answer.result(), "0", "{}", answer.text());
        let field = |name| tag(&answer.text(), name);
        let camera = Camera { ak: field("S3AK"), sk: field("S3SK"), bucket: field("S3RecordBucket") };
        self.secrets.lock().unwrap().push(camera.sk.clone());
        camera
    }

    /// A request that `camera` signs at `at`.
    async fn signed_at(&self, at: Timestamp, camera: &Camera, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(&self.s3, sign(at, camera, method, path, body, Body::from(body.to_vec()))).await
    }

    async fn signed(&self, camera: &Camera, method: &str, path: &str, body: &[u8]) -> Answer {
        self.signed_at(self.engine.now(), camera, method, path, body).await
    }

    /// A GET of an absolute URL, without headers of its own.
    async fn get(&self, url: &str) -> Answer {
        let target = url.strip_prefix(&format!("http://{HOST}")).unwrap();
        self.send(&self.s3, Request::get(target).header("host", HOST).body(Body::empty()).unwrap()).await
    }

    /// A PUT whose body is framed as `kind` says. `frame` gets the key, the scope, the date and the request's own
    /// signature, and makes the body. Signed here and not by the crate: a second reading of the rules.
    async fn framed(
        &self,
        camera: &Camera,
        path: &str,
        kind: &str,
        trailer: Option<&str>,
        frame: impl FnOnce(&[u8], &str, &str, &str) -> String,
    ) -> Answer {
        let date = s3_time::basic(self.engine.now());
        let scope = format!("{}/kandian/s3/aws4_request", &date[..8]);
        let mut headers = vec![
            ("host", HOST),
            ("x-amz-content-sha256", kind),
            ("x-amz-date", &date),
            ("x-amz-decoded-content-length", "5"),
        ];
        headers.extend(trailer.map(|name| ("x-amz-trailer", name)));
        let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
        let names = headers.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
        let canonical = format!("PUT\n{path}\n\n{lines}\n{names}\n{kind}");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let key = ["kandian", "s3", "aws4_request"]
            .iter()
            .fold(hmac(format!("AWS4{}", camera.sk).as_bytes(), &date[..8]), |key, step| hmac(&key, step));
        let signature = hex::encode(hmac(&key, &text));
        let body = frame(&key, &scope, &date, &signature);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", camera.ak);
        let mut request = Request::put(path).header("authorization", authorization);
        request = request.header("content-length", body.len()).header("content-encoding", "aws-chunked");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send(&self.s3, request.body(Body::from(body)).unwrap()).await
    }

    async fn view(&self, camera: &Camera) -> SubAccountView {
        self.engine.sub_account_view(&Caller::operator(), &camera.ak).await.unwrap()
    }

    /// Waits until nothing is set aside any more: a dropped upload gives back in the background.
    async fn settled(&self, camera: &Camera) -> SubAccountView {
        for _ in 0..200 {
            let view = self.view(camera).await;
            if view.reserved_bytes == 0 {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("bytes stay set aside: {:?}", self.view(camera).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_url_needs_nothing_else_for_a_day_and_dies_with_its_sub_account() {
    let shop = Shop::new(1).await;
    let camera = shop.camera(1).await;
    let put = shop.signed(&camera, "PUT", &format!("/{}/day%201/%E5%BA%97&.ts", camera.bucket), b"moving").await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    let search = [("StartDateTime", ""), ("EndDateTime", ""), ("PageNo", "1"), ("PageSize", "9"), ("Type", "0")];
    let find = || shop.of(&camera, "SearchSubAccountFiles", &search);
    let found = find().await;
    assert_eq!((found.result(), tag(&found.text(), "FileName")), ("0".to_owned(), "day 1/店&.ts".to_owned()));
    let url = tag(&found.text(), "FileUrl");
    assert!(url.is_ascii());
    assert_eq!(shop.get(&url).await.body, b"moving");
    shop.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(shop.get(&url).await.body, b"moving", "a second before its end");
    shop.clock.advance(Duration::from_secs(2));
    assert_eq!(shop.get(&url).await.refusal(), (403, "AccessDenied".to_owned()));

    let url = tag(&find().await.text(), "FileUrl");
    assert_eq!(shop.get(&url).await.status, StatusCode::OK);
    let changed = url.replace("day%201", "day%202");
    assert_ne!(changed, url);
    assert_eq!(shop.get(&changed).await.refusal(), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(shop.of(&camera, "CloseSubAccount", &[]).await.result(), "0");
    assert_eq!(shop.get(&url).await.refusal(), (403, "InvalidAccessKeyId".to_owned()));
    assert_eq!(shop.of(&camera, "CloseSubAccount", &[]).await.result(), "3");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_key_opens_no_other_sub_account() {
    let shop = Shop::new(2).await;
    let (mine, other) = (shop.camera(1).await, shop.camera(1).await);
    let path = format!("/{}/a.ts", other.bucket);
    assert_eq!(shop.signed(&other, "PUT", &path, b"theirs").await.status, StatusCode::OK);
    let denied = (403, "AccessDenied".to_owned());
    for (method, path, body) in [
        ("PUT", path.clone(), &b"mine"[..]),
        ("GET", path.clone(), b""),
        ("DELETE", path.clone(), b""),
        ("GET", format!("/{}", other.bucket), b""),
    ] {
        assert_eq!(shop.signed(&mine, method, &path, body).await.refusal(), denied, "{method} {path}");
    }
    assert_eq!(shop.signed(&other, "GET", &path, b"").await.body, b"theirs");
    // A URL that another camera signs for the file is worth as little.
    let (access_key, secret) = (mine.ak.parse().unwrap(), Secret::new(mine.sk.as_str()));
    let query = presign_v4(
        &ToSign {
            method: "GET",
            host: HOST,
            path: &path,
            query: "",
            headers: &[],
            access_key: &access_key,
            secret: &secret,
            region: "kandian",
            now: shop.engine.now(),
        },
        60,
    );
    assert_eq!(shop.get(&format!("http://{HOST}{path}?{query}")).await.refusal(), denied);
    let forger = Camera { ak: other.ak.clone(), sk: mine.sk.clone(), bucket: other.bucket.clone() };
    let forged = shop.signed(&forger, "GET", &path, b"").await;
    assert_eq!(forged.refusal(), (403, "SignatureDoesNotMatch".to_owned()));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_whose_clock_is_a_quarter_of_an_hour_off_is_turned_away() {
    let shop = Shop::new(3).await;
    let camera = shop.camera(1).await;
    let path = format!("/{}/a.ts", camera.bucket);
    let now = shop.engine.now();
    let off = |seconds: i64| Timestamp::from_millis(now.millis() + seconds * 1000);
    for near in [14 * 60 + 59, -(14 * 60 + 59)] {
        let put = shop.signed_at(off(near), &camera, "PUT", &path, b"x").await;
        assert_eq!(put.status, StatusCode::OK, "{near} s: {}", put.text());
    }
    for far in [15 * 60 + 1, -(15 * 60 + 1)] {
        let put = shop.signed_at(off(far), &camera, "PUT", &path, b"y").await;
        assert_eq!(put.refusal(), (403, "RequestTimeTooSkewed".to_owned()), "{far} s");
    }
    assert_eq!(shop.signed(&camera, "GET", &path, b"").await.body, b"x");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_was_signed_leaves_nothing() {
    let shop = Shop::new(4).await;
    let camera = shop.camera(1).await;
    let chunks = |spoil: bool| {
        move |key: &[u8], scope: &str, date: &str, seed: &str| {
            let (mut previous, mut body) = (seed.to_owned(), String::new());
            for chunk in ["hello", ""] {
                let empty = sha256_hex(b"");
                let hash = sha256_hex(chunk.as_bytes());
                let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{empty}\n{hash}");
                previous = hex::encode(hmac(key, &text));
                let sent = if spoil && chunk == "hello" { "hellO" } else { chunk };
                body += &format!("{:x};chunk-signature={previous}\r\n{sent}\r\n", chunk.len());
            }
            body
        }
    };
    let trailer = |sum: &'static str| {
        move |_: &[u8], _: &str, _: &str, _: &str| format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n")
    };
    let (signed, unsigned) = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let path = |key: &str| format!("/{}/{key}", camera.bucket);
    let crc32 = Some("x-amz-checksum-crc32");

    let bad = shop.framed(&camera, &path("c"), signed, None, chunks(true)).await;
    assert_eq!(bad.refusal(), (403, "SignatureDoesNotMatch".to_owned()));
    let bad = shop.framed(&camera, &path("t"), unsigned, crc32, trailer("AAAAAA==")).await;
    assert_eq!(bad.refusal(), (400, "BadDigest".to_owned()));
    for key in ["c", "t"] {
        assert_eq!(shop.signed(&camera, "GET", &path(key), b"").await.refusal(), (404, "NoSuchKey".to_owned()));
    }
    let view = shop.settled(&camera).await;
    assert_eq!((view.recordings, view.used_bytes, view.reserved_bytes), (0, 0, 0));
    let check = shop.engine.check(&Caller::operator()).await.unwrap();
    assert_eq!((check.objects, check.violations), (0, vec![]));

    // The same bodies unspoilt: it was the spoiling that was refused.
    let good = shop.framed(&camera, &path("c"), signed, None, chunks(false)).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.text());
    let good = shop.framed(&camera, &path("t"), unsigned, crc32, trailer("NhCmhg==")).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.text());
    assert_eq!(shop.signed(&camera, "GET", &path("t"), b"").await.body, b"hello");
    assert_eq!(shop.settled(&camera).await.used_bytes, 10);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let shop = Shop::new(5).await;
    let camera = shop.camera(1).await;
    let path = |key: &str| format!("/{}/{key}", camera.bucket);
    let most = vec![7; 900_000];
    assert_eq!(shop.signed(&camera, "PUT", &path("a"), &most).await.status, StatusCode::OK);
    let full = (403, "QuotaExceeded".to_owned());
    for (key, len) in [("b", 200_000), ("a", 1_048_577), ("c", 3_000_000)] {
        assert_eq!(shop.signed(&camera, "PUT", &path(key), &vec![8; len]).await.refusal(), full, "{key}");
        let view = shop.settled(&camera).await;
        assert_eq!((view.used_bytes, view.recordings), (900_000, 1), "{key}");
    }
    assert_eq!(shop.signed(&camera, "GET", &path("a"), b"").await.body, most);
    let fits = vec![9; 1_048_576 - 900_000];
    assert_eq!(shop.signed(&camera, "PUT", &path("d"), &fits).await.status, StatusCode::OK, "to the last byte");
    assert_eq!(shop.settled(&camera).await.used_bytes, 1_048_576);
    assert_eq!(shop.signed(&camera, "PUT", &path("e"), b"x").await.refusal(), full);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_account_that_loops_is_not_cleared_at_once() {
    let shop = Shop::new(6).await;
    let camera = shop.camera(1).await;
    assert_eq!(shop.of(&camera, "ClearSubAccountFiles", &[]).await.result(), "5");
    assert_eq!(shop.of(&camera, "SetSubAccountSpacePolicy", &[("SpaceLoop", "1")]).await.result(), "0");
    assert_eq!(shop.of(&camera, "ClearSubAccountFiles", &[]).await.result(), "6", "before 5");
    let path = format!("/{}/a", camera.bucket);
    assert_eq!(shop.signed(&camera, "PUT", &path, b"x").await.status, StatusCode::OK);
    assert_eq!(shop.of(&camera, "ClearSubAccountFiles", &[]).await.result(), "6");
    assert_eq!(shop.signed(&camera, "GET", &path, b"").await.body, b"x");
    assert_eq!(shop.of(&camera, "SetSubAccountSpacePolicy", &[("SpaceLoop", "0")]).await.result(), "0");
    assert_eq!(shop.of(&camera, "ClearSubAccountFiles", &[]).await.result(), "0");
    assert_eq!(shop.signed(&camera, "GET", &path, b"").await.status, StatusCode::NOT_FOUND);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_in_the_order_of_the_tables() {
    let shop = Shop::new(7).await;
    let camera = shop.camera(1).await;
    let other = NewAccount {
        name: "fj".parse().unwrap(),
        password: Some(Secret::new("another-password")),
        space: Gigabytes::new(1).unwrap(),
        alert_url: None,
        max_sub_accounts: None,
    };
    shop.engine.open_account(&Caller::operator(), other).await.unwrap();
    shop.secrets.lock().unwrap().push("another-password".to_owned());
    let search = [("StartDateTime", ""), ("EndDateTime", ""), ("PageNo", "1"), ("PageSize", "9"), ("Type", "0")];
    let operations: [(&str, &[(&str, &str)]); 7] = [
        ("QuerySubAccountSpace", &[]),
        ("ModifySubAccountSpace", &[("NewStorageSpace", "99")]),
        ("SetSubAccountSpacePolicy", &[("SpaceLoop", "1")]),
        ("SearchSubAccountFiles", &search),
        ("LockSubAccountFile", &[("FileName", "none"), ("LockFlag", "1")]),
        ("ClearSubAccountFiles", &[]),
        ("CloseSubAccount", &[]),
    ];
    let (ak, sk) = (camera.ak.as_str(), camera.sk.as_str());
    let changed = sk.chars().rev().collect::<String>();
    for (operation, more) in operations {
        for (account, password, ak, sk, result) in [
            ("nobody", "wrong", "wrong", "wrong", "1"),
            ("GD", PASSWORD, ak, sk, "1"),
            ("", PASSWORD, ak, sk, "1"),
            ("gd", "wrong", "wrong", "wrong", "2"),
            ("gd", "another-password", ak, sk, "2"),
            ("gd", "", ak, sk, "2"),
            // A platform that mixes its fields up does not tell the audit log its secrets.
            (PASSWORD, "gd", ak, sk, "1"),
            ("gd", PASSWORD, sk, ak, "3"),
            ("gd", PASSWORD, "wrong", "wrong", "3"),
            ("gd", PASSWORD, "", sk, "3"),
            ("fj", "another-password", ak, sk, "3"),
            ("gd", PASSWORD, ak, changed.as_str(), "4"),
            ("gd", PASSWORD, ak, "", "4"),
        ] {
            let mut fields = vec![("Account", account), ("Password", password), ("S3AK", ak), ("S3SK", sk)];
            fields.extend(more);
            let answer = shop.soap(operation, &fields).await;
            assert_eq!(answer.result(), result, "{operation} as {account}");
        }
    }
    let of_account = |account: &'static str, password: &'static str| [("Account", account), ("Password", password)];
    assert_eq!(shop.soap("QueryUserSpace", &of_account("nobody", "wrong")).await.result(), "1");
    assert_eq!(shop.soap("QueryUserSpace", &of_account("gd", "wrong")).await.result(), "2");
    // What cannot be read is a Fault before anybody is asked who they are.
    let unreadable = [("Account", "nobody"), ("Password", "wrong"), ("StorageSpace", "0")];
    assert_eq!(shop.soap("OpenSubAccount", &unreadable).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let view = shop.view(&camera).await;
    assert_eq!((view.space_gb, view.loops), (1, false), "nothing of it was done");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administration_key_makes_buckets_of_its_own_and_a_camera_does_not() {
    let shop = Shop::new(8).await;
    let camera = shop.camera(1).await;
    let (ak, sk) = shop.engine.account_key(&Caller::operator(), &"gd".parse().unwrap()).await.unwrap();
    let admin = Camera { ak: ak.as_str().to_owned(), sk: sk.expose().to_owned(), bucket: "own".to_owned() };
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(shop.signed(&camera, "PUT", "/own", b"").await.refusal(), denied);
    assert_eq!(shop.signed(&admin, "GET", "/own", b"").await.refusal(), (404, "NoSuchBucket".to_owned()));
    let region = b"<CreateBucketConfiguration><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>";
    for body in [&b""[..], b"", region] {
        let made = shop.signed(&admin, "PUT", "/own", body).await;
        assert_eq!(made.status, StatusCode::OK, "one's own again too: {}", made.text());
    }
    for (name, code) in
        [("ab", "InvalidBucketName"), ("192.168.0.1", "InvalidBucketName"), ("own_", "InvalidBucketName")]
    {
        assert_eq!(
            shop.signed(&admin, "PUT", &format!("/{name}"), b"").await.refusal(),
            (400, code.to_owned()),
            "{name}"
        );
    }
    let malformed = shop.signed(&admin, "PUT", "/own2", b"<Other/>").await.refusal();
    assert_eq!(malformed, (400, "MalformedXML".to_owned()));
    let theirs = format!("/{}", camera.bucket);
    let yours = (409, "BucketAlreadyOwnedByYou".to_owned());
    assert_eq!(shop.signed(&admin, "PUT", &theirs, b"").await.refusal(), yours);
    assert_eq!(shop.signed(&camera, "PUT", &theirs, b"").await.refusal(), yours);
    assert_eq!(shop.signed(&admin, "DELETE", &theirs, b"").await.refusal(), denied);
    assert_eq!(shop.signed(&camera, "GET", "/own", b"").await.refusal(), denied);

    assert_eq!(shop.signed(&admin, "PUT", "/own/a", b"bytes").await.status, StatusCode::OK);
    assert_eq!(shop.signed(&admin, "DELETE", "/own", b"").await.refusal(), (409, "BucketNotEmpty".to_owned()));
    let listed = shop.signed(&admin, "GET", "/", b"").await.text();
    assert!(listed.contains("<Name>own</Name>") && listed.contains(&camera.bucket), "{listed}");
    assert!(!shop.signed(&camera, "GET", "/", b"").await.text().contains("<Name>own</Name>"));
    // 10 GB, of which one is the camera's: 9 MiB less what is there.
    let full = shop.signed(&admin, "PUT", "/own/b", &vec![0; 9 << 20]).await.refusal();
    assert_eq!(full, (403, "QuotaExceeded".to_owned()));
    assert_eq!(shop.signed(&admin, "DELETE", "/own/a", b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.signed(&admin, "DELETE", "/own", b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.signed(&admin, "DELETE", "/own", b"").await.refusal(), (404, "NoSuchBucket".to_owned()));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greedy_key_is_told_to_slow_down_before_its_body_and_another_is_served() {
    let shop = Shop::with(9, &["s3.max_requests=16"]).await;
    let (greedy, other) = (shop.camera(1).await, shop.camera(1).await);
    let slow = Slow::new();
    let mut under_way = Vec::new();
    let begin = |name: usize| {
        let path = format!("/{}/{name}", greedy.bucket);
        let mut request = sign(shop.engine.now(), &greedy, "PUT", &path, b"x", slow.body(b"x"));
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        shop.s3.clone().oneshot(request)
    };
    for name in 0..8 {
        under_way.push(tokio::spawn(begin(name)));
        slow.asked_for(name + 1).await;
    }
    // Half of all is the most that one key gets.
    for name in 8..20 {
        let refused = begin(name).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(tag(&String::from_utf8_lossy(&body), "Code"), "SlowDown");
    }
    assert_eq!(slow.polled.load(Ordering::SeqCst), 8, "nothing was read of what was refused");
    assert_eq!(shop.signed(&greedy, "GET", &format!("/{}", greedy.bucket), b"").await.status.as_u16(), 503);
    for name in 0..20 {
        let put = shop.signed(&other, "PUT", &format!("/{}/{name}", other.bucket), b"y").await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    }
    // A client that hangs up has its turn until what it sent is stored or cut.
    let hung_up = under_way.pop().unwrap();
    hung_up.abort();
    assert!(hung_up.await.is_err());
    assert_eq!(begin(20).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    slow.gate.send_replace(true);
    for put in under_way {
        assert_eq!(put.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    for _ in 0..500 {
        if shop.signed(&greedy, "GET", &format!("/{}/7", greedy.bucket), b"").await.body == b"x" {
            shop.close().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was whole was not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_being_sent_is_a_request_under_way() {
    let shop = Shop::with(10, &["s3.max_requests_per_key=1"]).await;
    let camera = shop.camera(5).await;
    let path = format!("/{}/a", camera.bucket);
    assert_eq!(shop.signed(&camera, "PUT", &path, &vec![7; 2 << 20]).await.status, StatusCode::OK);
    let get = || shop.s3.clone().oneshot(sign(shop.engine.now(), &camera, "GET", &path, b"", Body::empty()));
    let first = get().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(get().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes().len(), 2 << 20);
    assert_eq!(get().await.unwrap().status(), StatusCode::OK);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_busy_and_says_when_to_come_back() {
    let shop = Shop::new(11).await;
    let camera = shop.camera(5).await;
    let put = || async {
        let path = format!("/{}/a", camera.bucket);
        let body = vec![7; 1 << 20];
        let request = sign(shop.engine.now(), &camera, "PUT", &path, &body, Body::from(body.clone()));
        let answer = shop.s3.clone().oneshot(request).await.unwrap();
        let retry = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().parse::<u32>().unwrap());
        (answer.status().as_u16(), retry)
    };
    assert_eq!(put().await, (200, None));
    // What is set aside on the disk already is used up first.
    shop.engine.reload(&settings(&["storage.reserve=100%"]));
    let mut left = 100;
    while put().await == (200, None) {
        left -= 1;
        assert!(left > 0, "100 MiB went onto a full disk");
    }
    assert_eq!(put().await, (503, Some(10)));
    shop.engine.reload(&settings(&[]));
    assert_eq!(put().await, (200, None));
    shop.close().await;
}
