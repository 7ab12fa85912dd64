//! The console against a small storage that answers the nine operations and keeps what it is given.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use http_body_util::BodyExt;

use super::*;
use crate::sim::platform::{PlatformOptions, Stand};
use crate::tls::Trust;
use crate::wire::soap::callback::{self, Whose};
use crate::world::os;

/// A GB of this storage.
const GIGABYTE: u64 = 4 << 20;

#[derive(Default)]
struct Storage {
    address: String,
    opened: usize,
    objects: BTreeMap<String, Bytes>,
    /// Names and bodies of the calls.
    calls: Vec<(String, String)>,
}

type Stored = Arc<Mutex<Storage>>;

async fn serve(State(storage): State<Stored>, request: axum::http::Request<Body>) -> (StatusCode, Bytes) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let mut storage = storage.lock().unwrap();
    let path = head.uri.path().to_owned();
    if path == "/soap" {
        return (StatusCode::OK, soap(&mut storage, std::str::from_utf8(&body).unwrap()).into());
    }
    match (head.method.as_str(), head.uri.query()) {
        ("PUT", _) => {
            storage.objects.insert(path, body);
            (StatusCode::OK, Bytes::new())
        }
        (_, Some(query)) if query.contains("list-type=2") => {
            let inside = storage.objects.iter().filter(|(key, _)| key.starts_with(&path));
            let sizes: String = inside.map(|(_, bytes)| format!("<Size>{}</Size>", bytes.len())).collect();
            (StatusCode::OK, format!("<R>{sizes}</R>").into())
        }
        _ => storage.objects.get(&path).map_or((StatusCode::NOT_FOUND, Bytes::new()), |o| (StatusCode::OK, o.clone())),
    }
}

fn soap(storage: &mut Storage, body: &str) -> String {
    let operation = crate::sim::client::operations::OPERATIONS.iter().find(|o| body.contains(&format!("<{} ", o.name)));
    let name = operation.unwrap().name;
    storage.calls.push((name.to_owned(), body.to_owned()));
    let more = match name {
        _ if !body.contains("<Account>shop</Account><Password>right</Password>") => {
            return "<r><Result>2</Result></r>".into();
        }
        "OpenSubAccount" => {
            storage.opened += 1;
            let (n, at) = (storage.opened, &storage.address);
            format!(
                "<S3AK>AK{n}</S3AK><S3SK>secret{n}</S3SK><S3URL>http://{at}</S3URL><S3RecordBucket>rec-{n}</S3RecordBucket>\
                 <S3PictureBucket>pic-{n}</S3PictureBucket>"
            )
        }
        "QueryUserSpace" => "<TotalSpace>9</TotalSpace><FreeSpace>4</FreeSpace>".to_owned(),
        "SearchSubAccountFiles" => format!(
            "<TotalFileNum>1</TotalFileNum><FileInfoList><FileInfo><FileName>d/看.mp4</FileName><FileSize>7</FileSize>\
             <FileDate>2026-11-30 08:00:00</FileDate><FileUrl>http://{}/rec-1/a.mp4?a=1&amp;b=2</FileUrl><LockFlag>0</LockFlag>\
             </FileInfo></FileInfoList>",
            storage.address
        ),
        "ClearSubAccountFiles" => {
            storage.objects.clear();
            String::new()
        }
        _ => String::new(),
    };
    format!("<r><Result>0</Result>{more}</r>")
}

/// A storage, and a platform with a console that knows its account.
async fn started() -> (Stored, Stand) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let storage = Stored::new(Mutex::new(Storage { address: address.clone(), ..Storage::default() }));
    let router = Router::new().fallback(serve).with_state(storage.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = PlatformOptions {
        password: Some("right".to_owned()),
        soap: format!("http://{address}/soap"),
        console: Some("127.0.0.1:0".parse().unwrap()),
        no_console: false,
        bytes_per_gb: GIGABYTE,
        show_secrets: false,
        ..PlatformOptions::quiet("127.0.0.1:0".parse().unwrap(), "shop")
    };
    let (feed, _) = tokio::sync::mpsc::unbounded_channel();
    (storage, Stand::start(options, Some(feed), os::world().clock).await.unwrap())
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn location(&self) -> &str {
        self.headers["location"].to_str().unwrap()
    }
}

async fn ask(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let endpoint = Endpoint::parse(stand.console.as_ref().unwrap()).unwrap();
    let mut connection = Connection::new(endpoint, Trust::anybody().unwrap());
    let body = Content::Whole(body.to_owned().into());
    let answer = connection.send(method, path, headers, body).await.unwrap();
    let (head, body) = answer.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Got { status: head.status.as_u16(), headers: head.headers, text }
}

async fn get(stand: &Stand, path: &str) -> Got {
    ask(stand, "GET", path, &[("accept-language", "en-GB")], "").await
}

async fn post(stand: &Stand, path: &str, fields: &[(&str, &str)]) -> Got {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    ask(stand, "POST", path, &[("content-type", "application/x-www-form-urlencoded")], &body).await
}

/// Calls an operation and gives the page that one is sent to.
async fn call(stand: &Stand, operation: &str, fields: &[(&str, &str)]) -> Got {
    let fields: Vec<_> = [("operation", operation), ("Account", "shop")].iter().chain(fields).copied().collect();
    let sent = post(stand, "/call", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    get(stand, sent.location()).await
}

#[tokio::test]
async fn the_nine_operations_are_called_and_what_they_say_is_learned() {
    let (storage, stand) = started().await;
    let of = [("S3AK", "AK1"), ("S3SK", "secret1")];
    let opened = call(&stand, "OpenSubAccount", &[("StorageSpace", "3")]).await;
    for said in ["Result 0: done", "secret1", "rec-1", "HTTP 200", "&#60;Password&#62;***"] {
        assert!(opened.text.contains(said), "{said}:\n{}", opened.text);
    }
    assert!(!opened.text.contains("right"), "no password is shown");
    for (operation, more) in [
        ("7.1", ("", "")),
        ("7.4", ("", "")),
        ("7.5", ("NewStorageSpace", "5")),
        ("7.6", ("SpaceLoop", "1")),
        ("7.7", ("Type", "0")),
        ("7.8", ("LockFlag", "1")),
        ("7.9", ("", "")),
    ] {
        let page = call(&stand, operation, &[of[0], of[1], more]).await;
        assert!(page.status == 200 && page.text.contains("Result 0: done"), "{operation}:\n{}", page.text);
    }
    let state: serde_json::Value = serde_json::from_str(&get(&stand, "/api/state").await.text).unwrap();
    let known = &state["sub_accounts"][0];
    assert_eq!(
        (known["space"].as_u64(), known["loop"].as_bool(), known["ak"].as_str()),
        (Some(5), Some(true), Some("AK1"))
    );
    let front = get(&stand, "/?sub=1").await.text;
    assert_eq!(front.matches("name=\"operation\"").count(), 9);
    assert!(front.contains("value=\"secret1\"") && !front.contains("\"right\""), "{front}");
    let closed = call(&stand, "7.3", &of).await;
    assert!(closed.text.contains("Result 0: done"));
    let state: serde_json::Value = serde_json::from_str(&get(&stand, "/api/state").await.text).unwrap();
    assert!(state["sub_accounts"].as_array().unwrap().is_empty());
    assert_eq!(storage.lock().unwrap().calls.len(), 9);
    let wrong = call(&stand, "7.1", &[("Password", "typed")]).await;
    assert!(wrong.text.contains("Result 2: the password is wrong"), "{}", wrong.text);
    assert_eq!(post(&stand, "/call", &[("operation", "8.1")]).await.status, 400);
}

#[tokio::test]
async fn what_is_found_is_played_downloaded_and_locked_in_place() {
    let (storage, stand) = started().await;
    storage.lock().unwrap().objects.insert("/rec-1/a.mp4".to_owned(), Bytes::from_static(b"moving"));
    call(&stand, "7.2", &[("StorageSpace", "1")]).await;
    let found = call(&stand, "7.7", &[("S3AK", "AK1"), ("S3SK", "secret1"), ("Type", "0")]).await.text;
    let number = stand.desk.news(0).len();
    assert!(found.contains("data-file=\"d/看.mp4\"") && found.contains("1 / 1"), "{found}");
    let played = get(&stand, &format!("/exchanges/{number}?play=0")).await;
    assert!(played.text.contains("/rec-1/a.mp4?a=1&#38;b=2\" controls"), "{}", played.text);
    assert!(played.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let kept = get(&stand, &format!("/exchanges/{number}/files/0")).await;
    assert_eq!((kept.status, kept.text.as_str()), (200, "moving"));
    assert_eq!(kept.headers["content-disposition"], "attachment; filename*=UTF-8''%E7%9C%8B%2Emp4");
    assert_eq!(get(&stand, &format!("/exchanges/{number}/files/1")).await.status, 404);
    let again = number.to_string();
    let lock = [("S3AK", "AK1"), ("S3SK", "secret1"), ("FileName", "d/看.mp4"), ("LockFlag", "1"), ("again", &again)];
    let page = call(&stand, "7.8", &lock).await.text;
    assert!(page.contains("role=\"status\">Result 0: done") && page.contains("data-file="), "{page}");
    let calls: Vec<_> = storage.lock().unwrap().calls.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(calls[2..], ["LockSubAccountFile", "SearchSubAccountFiles"]);
}

#[tokio::test]
async fn pages_of_others_can_neither_read_it_nor_post_to_it() {
    let (_, stand) = started().await;
    let foreign = [("origin", "http://evil.example"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(ask(&stand, "POST", "/play", &foreign, "play=fail").await.status, 403);
    assert_eq!(ask(&stand, "DELETE", "/", &[], "").await.status, 405);
    let endpoint = Endpoint::parse(stand.console.as_ref().unwrap()).unwrap();
    let mut connection = Connection::new(endpoint, Trust::anybody().unwrap());
    let answer = connection.send_to_host("evil.example", "GET", "/api/state", &[], Content::empty()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(stand.desk.news(0).is_empty(), "nothing was played");
    assert_eq!(get(&stand, "/nothing").await.status, 404);
    let huge = "a=".to_owned() + &"x".repeat(FORM_BYTES_MAX);
    assert_eq!(ask(&stand, "POST", "/play", &[], &huge).await.status, 413);
}

#[tokio::test]
async fn alerts_come_to_the_page_with_what_was_checked_and_misbehaviour_is_switched() {
    let (_, stand) = started().await;
    let alert = async |password: &str| {
        let whose = Whose { account: "shop", password, access_key: "AK9", secret: "s" };
        let profile = crate::domain::CallbackProfile::default();
        let message = callback::write(&profile, crate::domain::Alert::Full, whose);
        let endpoint = Endpoint::parse(&stand.callback).unwrap();
        let mut connection = Connection::new(endpoint, Trust::anybody().unwrap());
        let headers = [("content-type", message.content_type.as_str())];
        connection.call("POST", "/services/AlertCallback", &headers, Content::Whole(message.body.into())).await
    };
    assert_eq!(alert("right").await.unwrap().status, 200);
    assert_eq!(alert("other").await.unwrap().status, 200);
    let news = stand.desk.news(0);
    assert!(
        news[0].good && news[0].en.contains("AK9 full, stop recording; account and password right; result 0"),
        "{news:?}"
    );
    assert!(!news[1].good && news[1].zh.contains("密码错误"), "{news:?}");
    assert_eq!(post(&stand, "/play", &[("play", "fail"), ("first", "1")]).await.location(), "/");
    assert!(get(&stand, "/").await.text.contains("<span class=\"badge bad\">fail</span>"));
    assert_eq!(alert("right").await.unwrap().status, 500);
    assert_eq!(alert("right").await.unwrap().status, 200, "only one call");
    assert_eq!(post(&stand, "/play", &[("play", "explode")]).await.status, 400);
    post(&stand, "/play", &[("play", "refuse")]).await;
    assert!(alert("right").await.is_err());
    post(&stand, "/play", &[("play", "ok")]).await;
    assert_eq!(alert("right").await.unwrap().status, 200);
    let after: serde_json::Value = serde_json::from_str(&get(&stand, "/api/news?after=2").await.text).unwrap();
    let kinds: Vec<_> = after.as_array().unwrap().iter().map(|news| news["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["play", "alert", "alert", "play", "alert", "play", "alert"]);
    assert_eq!(after[1]["alert"]["check"], "right");
}

#[tokio::test]
async fn a_sub_account_is_filled_to_a_share_and_down_to_another() {
    let (storage, stand) = started().await;
    call(&stand, "7.2", &[("StorageSpace", "2")]).await;
    let used = || storage.lock().unwrap().objects.values().map(|object| object.len() as u64).sum::<u64>();
    for (percent, cleared) in [("81", false), ("90", false), ("79", true)] {
        let told = post(&stand, "/api/fill", &[("sub", "AK1"), ("percent", percent)]).await;
        let filled: serde_json::Value = serde_json::from_str(&told.text).unwrap();
        assert_eq!(
            (filled["percent"].to_string().as_str(), filled["cleared"].as_bool()),
            (percent, Some(cleared)),
            "{filled}"
        );
        assert_eq!(used(), (2 * GIGABYTE * percent.parse::<u64>().unwrap()).div_ceil(100));
    }
    let page = post(&stand, "/fill", &[("sub", "1"), ("percent", "100")]).await;
    assert_eq!((page.location(), used()), ("/?sub=1", 2 * GIGABYTE));
    for (sub, percent) in [("AK7", "81"), ("AK1", "-1"), ("AK1", "1000")] {
        assert_eq!(
            post(&stand, "/api/fill", &[("sub", sub), ("percent", percent)]).await.status,
            400,
            "{sub} {percent}"
        );
    }
    let foreign = [("account", "shop"), ("ak", "AKX"), ("sk", "s"), ("name", "旧")];
    assert_eq!(post(&stand, "/sub-accounts", &foreign).await.location(), "/?sub=2");
    let told = post(&stand, "/api/fill", &[("sub", "AKX"), ("percent", "81")]).await;
    assert!(told.status == 400 && told.text.contains("opened elsewhere"), "{}", told.text);
}

#[tokio::test]
async fn the_page_is_chinese_or_english() {
    let (_, stand) = started().await;
    let zh = ask(&stand, "GET", "/", &[], "").await.text;
    assert!(zh.contains("lang=\"zh-CN\"") && zh.contains("平台控制台"));
    let switched = get(&stand, "/lang/en").await;
    let cookie = switched.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let en = ask(&stand, "GET", "/", &[("cookie", cookie)], "").await.text;
    assert!(en.contains("lang=\"en\"") && en.contains("Console of the platform"));
    for file in ["/console.css", "/console.js", "/icon.svg"] {
        assert_eq!(get(&stand, file).await.status, 200, "{file}");
    }
}
