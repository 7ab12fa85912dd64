//! The JSON API as a stranger, each role and another account's user find it: the table of who may what is read from the
//! OpenAPI document that is served, and tried.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kandian::api::{Control, Urls, portal_router, router};
use kandian::config::{Written, parse};
use kandian::domain::{Gigabytes, Lock, Metadata, Role};
use kandian::engine::{
    Caller, Courier, Delivery, Engine, Finish, NewAccount, NewObject, Notice, PublicUrls, PutCondition,
};
use kandian::world::fake::world;
use serde_json::{Value, json};
use tower::ServiceExt;

const PASSWORD: &str = "correct horse battery";

struct Nobody;

impl Courier for Nobody {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("nobody is there".to_owned()) })
    }
}

struct Shop {
    engine: Engine,
    /// As the operator has it.
    socket: Router,
    /// As a browser has it.
    portal: Router,
}

impl Shop {
    /// Two accounts, `gd` and `js`, and a user of each role; those of one account belong to `gd`.
    async fn new(seed: u64) -> Self {
        let (world, ..) = world(seed);
        let sets = vec!["space.bytes_per_gb=1048576".to_owned()];
        let config = parse(&Written { file: None, data: Some("/data".into()), sets }).unwrap();
        world.disk.create_dir_all(&config.storage.data_dir).unwrap();
        let engine = Engine::open(world, &config, PublicUrls::default(), Arc::new(Nobody)).unwrap();
        let urls = Arc::new(|| Urls { s3: "http://s3".to_owned(), soap: "http://soap".to_owned() });
        let control = Control {
            engine: engine.clone(),
            urls,
            reload: None,
            pending: None,
            metrics: None,
            certificates: Arc::new(Vec::new),
        };
        let shop = Self { engine, socket: router(control.clone()), portal: portal_router(control) };
        for name in ["gd", "js"] {
            let (name, space) = (name.parse().unwrap(), Gigabytes::new(10).unwrap());
            let new = NewAccount { name, password: None, space, alert_url: None, max_sub_accounts: None };
            shop.engine.open_account(&Caller::operator(), new).await.unwrap();
        }
        for role in Role::ALL {
            let account = role.of_one_account().then_some("gd");
            let user = json!({"user": role.word(), "role": role.word(), "account": account, "password": PASSWORD});
            let (status, answer) = ask(&shop.socket, Method::POST, "/api/v1/users", &[], &user).await;
            assert_eq!(status, StatusCode::CREATED, "{answer}");
        }
        shop
    }

    /// A camera with these recordings, of four bytes each; its AK.
    async fn camera(&self, province: &[(&str, String)], recordings: &[&str]) -> String {
        let space = json!({"space_gb": 3});
        let opened = ask(&self.portal, Method::POST, "/api/v1/sub-accounts", province, &space).await.1;
        let bucket = self.engine.bucket(&Caller::operator(), opened["record_bucket"].as_str().unwrap()).unwrap();
        for name in recordings {
            let new = NewObject {
                key: name.parse().unwrap(),
                length: Some(4),
                metadata: Metadata::default(),
                lock: Lock::Open,
                checksum: None,
                condition: PutCondition::default(),
            };
            let mut upload = self.engine.put(&Caller::operator(), &bucket, new).await.unwrap();
            upload.write(b"clip".as_slice().into()).await.unwrap();
            upload.finish(Finish::default()).await.unwrap();
        }
        opened["ak"].as_str().unwrap().to_owned()
    }

    /// The headers of a session of the user who is called as its role is.
    async fn sign_in(&self, role: Role) -> [(&'static str, String); 1] {
        let body = json!({"user": role.word(), "password": PASSWORD});
        let (status, answer) = ask(&self.portal, Method::POST, "/api/v1/session", &[], &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        [("authorization", format!("Bearer {}", answer["token"].as_str().unwrap()))]
    }
}

async fn ask(
    router: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, String)],
    body: &Value,
) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A path of the table with something in its places.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{name}" => "js",
        "{ak}" => "NOSUCHKEY",
        "{id}" => "7",
        "{month}" => "2014-03",
        "samples" => "samples?from=2014-03-01&to=2014-03-02",
        other => other,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A route as the document has it.
struct Route {
    method: Method,
    path: String,
    /// Who may; `None`: whoever is signed in.
    roles: Option<Vec<String>>,
    is_open: bool,
    takes_a_body: bool,
}

async fn routes(shop: &Shop) -> Vec<Route> {
    let (status, document) = ask(&shop.portal, Method::GET, "/api/v1/openapi.json", &[], &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let roles = operation["x-roles"].as_array();
            all.push(Route {
                method: method.to_ascii_uppercase().parse().unwrap(),
                path: path.clone(),
                roles: roles.map(|roles| roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect()),
                is_open: operation["security"].is_null(),
                takes_a_body: !operation["requestBody"].is_null(),
            });
        }
    }
    all
}

#[tokio::test]
async fn a_stranger_and_each_role_try_every_route_and_get_what_the_document_says() {
    let shop = Shop::new(1).await;
    let routes = routes(&shop).await;
    let open: Vec<_> = routes.iter().filter(|route| route.is_open).map(|route| route.path.as_str()).collect();
    assert_eq!(open, ["/api/v1/openapi.json", "/api/v1/session", "/api/v1/setup"]);
    for route in routes.iter().filter(|route| !route.is_open) {
        let strangers =
            [vec![], vec![("authorization", "Bearer 00".to_owned())], vec![("cookie", "kandian=00".to_owned())]];
        for headers in strangers {
            let answer = ask(&shop.portal, route.method.clone(), &filled(&route.path), &headers, &Value::Null).await;
            assert_eq!(answer.0, StatusCode::UNAUTHORIZED, "{} {}", route.method, route.path);
        }
    }
    let mut tried = 0;
    for role in Role::ALL {
        let session = shop.sign_in(role).await;
        for route in &routes {
            let Some(roles) = &route.roles else { continue };
            let (path, may) = (filled(&route.path), roles.iter().any(|word| word == role.word()));
            if may && route.method != Method::GET && !route.takes_a_body && path.contains("js") {
                // It would be done.
                continue;
            }
            // A body that no route takes: what a role may do is not done, only not forbidden.
            let body = json!({"nothing": true});
            let (status, answer) = ask(&shop.portal, route.method.clone(), &path, &session, &body).await;
            let forbidden = answer["error"]["code"] == "forbidden";
            let of_another = role.of_one_account() && path.contains("js");
            assert_eq!(forbidden, !may || of_another, "{role:?} {} {path}: {answer}", route.method);
            assert_eq!(forbidden, status == StatusCode::FORBIDDEN, "{role:?} {} {path}: {answer}", route.method);
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
    // None of this changed anything.
    assert_eq!(shop.engine.accounts(&Caller::operator()).await.unwrap().len(), 2);
    assert_eq!(shop.engine.users(&Caller::operator()).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_province_has_its_account_and_nothing_of_another() {
    let shop = Shop::new(2).await;
    let session = shop.sign_in(Role::Province).await;
    let get = async |path: &str| ask(&shop.portal, Method::GET, path, &session, &Value::Null).await;
    let (status, accounts) = get("/api/v1/accounts").await;
    assert_eq!((status, accounts.as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{accounts}");
    assert_eq!(accounts[0]["account"], "gd");
    assert_eq!(get("/api/v1/accounts/js").await.0, StatusCode::FORBIDDEN);
    assert_eq!(get("/api/v1/accounts/js/sub-accounts").await.0, StatusCode::FORBIDDEN);

    let (status, opened) =
        ask(&shop.portal, Method::POST, "/api/v1/sub-accounts", &session, &json!({"space_gb": 3})).await;
    assert_eq!(status, StatusCode::CREATED, "{opened}");
    let ak = opened["ak"].as_str().unwrap();
    let path = format!("/api/v1/sub-accounts/{ak}");
    let change = json!({"space_gb": 4, "loop": true});
    let (status, changed) = ask(&shop.portal, Method::PATCH, &path, &session, &change).await;
    assert_eq!(
        (status, &changed["space_gb"], &changed["loop"]),
        (StatusCode::OK, &json!(4), &json!(true)),
        "{changed}"
    );
    let (status, key) = ask(&shop.portal, Method::POST, &format!("{path}/key"), &session, &Value::Null).await;
    assert_eq!((status, &key["sk"]), (StatusCode::OK, &opened["sk"]));
    let viewer = shop.sign_in(Role::Viewer).await;
    let (status, _) = ask(&shop.portal, Method::POST, &format!("{path}/key"), &viewer, &Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // A user of the other account does not even learn that it is there.
    let user = json!({"user": "js-admin", "role": "province", "account": "js", "password": PASSWORD});
    ask(&shop.socket, Method::POST, "/api/v1/users", &[], &user).await;
    let body = json!({"user": "js-admin", "password": PASSWORD});
    let (_, answer) = ask(&shop.portal, Method::POST, "/api/v1/session", &[], &body).await;
    let other = [("authorization", format!("Bearer {}", answer["token"].as_str().unwrap()))];
    for (method, path) in
        [(Method::PATCH, path.clone()), (Method::DELETE, path.clone()), (Method::POST, format!("{path}/key"))]
    {
        let (status, answer) = ask(&shop.portal, method, &path, &other, &change).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::NOT_FOUND, &json!("no_sub_account")));
    }
    let (status, _) = ask(&shop.portal, Method::DELETE, &path, &session, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    // Who did it is in the log, and the key that was shown is not.
    shop.engine.checkpoint().await.unwrap();
    let log = shop.engine.audit_log(&Caller::operator(), 100).await.unwrap();
    for what in ["OpenSubAccount", "ModifySubAccountSpace", "SetSubAccountSpacePolicy", "SeeKey", "CloseSubAccount"] {
        assert!(
            log.iter().any(|(_, line)| line.what == what && line.who == "province" && line.outcome == "ok"),
            "{what}"
        );
    }
    let written = serde_json::to_string(&log.iter().map(|(_, line)| line).collect::<Vec<_>>()).unwrap();
    let secret = opened["sk"].as_str().unwrap();
    assert!(!written.contains(secret) && !written.contains(PASSWORD));
}

#[tokio::test]
async fn a_session_by_cookie_changes_nothing_without_its_form_token_and_ends_for_good() {
    let shop = Shop::new(3).await;
    let bearer = shop.sign_in(Role::Operations).await;
    let (_, me) = ask(&shop.portal, Method::GET, "/api/v1/session", &bearer, &Value::Null).await;
    assert_eq!((&me["user"], &me["role"], &me["account"]), (&json!("operations"), &json!("operations"), &Value::Null));
    let cookie = ("cookie", format!("a=b; kandian={}", bearer[0].1.trim_start_matches("Bearer ")));
    let new = json!({"account": "bj", "space_gb": 5});
    let open =
        async |headers: &[(&str, String)]| ask(&shop.portal, Method::POST, "/api/v1/accounts", headers, &new).await;
    let (status, no) = open(std::slice::from_ref(&cookie)).await;
    assert_eq!((status, &no["error"]["code"]), (StatusCode::FORBIDDEN, &json!("form_token")));
    let wrong = ("x-form-token", "0".repeat(32));
    assert_eq!(open(&[cookie.clone(), wrong]).await.0, StatusCode::FORBIDDEN);
    let right = ("x-form-token", me["form_token"].as_str().unwrap().to_owned());
    assert_eq!(open(&[cookie.clone(), right]).await.0, StatusCode::CREATED);
    // A bearer that is wrong is not made good by a cookie beside it.
    let both = [("authorization", "Bearer 00".to_owned()), cookie.clone()];
    assert_eq!(
        ask(&shop.portal, Method::GET, "/api/v1/session", &both, &Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );

    let (status, _) = ask(&shop.portal, Method::DELETE, "/api/v1/session", &bearer, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        ask(&shop.portal, Method::GET, "/api/v1/session", &bearer, &Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json_and_the_portal_cannot_reload() {
    let shop = Shop::new(4).await;
    let session = shop.sign_in(Role::Operations).await;
    for path in ["/api/v1/nothing", "/api/v2", "/api/v1/config/reload"] {
        let (status, answer) = ask(&shop.portal, Method::POST, path, &session, &Value::Null).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{path}");
    }
    let (status, _) = ask(&shop.portal, Method::PUT, "/api/v1/accounts", &session, &Value::Null).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, document) = ask(&shop.portal, Method::GET, "/api/v1/openapi.json", &[], &Value::Null).await;
    assert_eq!((status, &document["openapi"]), (StatusCode::OK, &json!("3.1.0")));
    let wrong = json!({"user": "operations", "password": "not this one"});
    let (status, no) = ask(&shop.portal, Method::POST, "/api/v1/session", &[], &wrong).await;
    assert_eq!((status, &no["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!("wrong_sign_in")));
}

#[tokio::test]
async fn a_province_finds_locks_and_deletes_files_and_a_viewer_only_finds_them() {
    let shop = Shop::new(5).await;
    let province = shop.sign_in(Role::Province).await;
    let ak = shop.camera(&province, &["a.mp4", "看店.mp4"]).await;
    let files = format!("/api/v1/sub-accounts/{ak}/files");
    let viewer = shop.sign_in(Role::Viewer).await;
    let find = async |session: &[(&str, String)], query: &str| {
        ask(&shop.portal, Method::GET, &format!("{files}?{query}"), session, &Value::Null).await
    };
    let (status, found) = find(&viewer, "media=recording&most=1&page=2").await;
    assert_eq!(
        (status, &found["total"], found["files"].as_array().map(Vec::len)),
        (StatusCode::OK, &json!(2), Some(1))
    );
    assert_eq!(find(&viewer, "media=picture").await.1["total"], 0);
    assert_eq!(find(&viewer, "to_ms=0").await.1["total"], 0);
    assert_eq!(find(&viewer, "page=0").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(find(&viewer, "media=x").await.0, StatusCode::BAD_REQUEST);

    let post = async |session: &[(&str, String)], what: &str, body: Value| {
        ask(&shop.portal, Method::POST, &format!("{files}/{what}"), session, &body).await
    };
    let lock = json!({"name": "看店.mp4", "locked": true, "reason": "case 7"});
    let delete = json!({"media": "recording", "names": ["a.mp4", "看店.mp4"]});
    assert_eq!(post(&viewer, "lock", lock.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&viewer, "delete", delete.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&province, "lock", lock).await.0, StatusCode::OK);
    let (status, gone) = post(&province, "delete", delete).await;
    assert_eq!(
        (status, &gone[0]["deleted"], &gone[1]["deleted"]),
        (StatusCode::OK, &json!(true), &json!(false)),
        "{gone}"
    );
    let left = find(&province, "").await.1;
    assert_eq!((&left["files"][0]["name"], &left["files"][0]["locked"]), (&json!("看店.mp4"), &json!(true)), "{left}");
    assert_eq!(left["total"], 1);
    shop.engine.checkpoint().await.unwrap();
    let log = shop.engine.audit_log(&Caller::operator(), 100).await.unwrap();
    let line = |what: &str, end: &str| log.iter().any(|(_, line)| line.what == what && line.target.ends_with(end));
    assert!(line("LockFile", "看店.mp4 case 7") && line("DeleteFile", "a.mp4"));
}

#[tokio::test]
async fn files_are_found_told_of_locked_and_deleted_after_a_preview_by_their_users_and_by_the_operator() {
    let shop = Shop::new(8).await;
    let province = shop.sign_in(Role::Province).await;
    let ak = shop.camera(&province, &["a.mp4", "b.mp4", "看店.mp4"]).await;
    let at = |what: &str| format!("/api/v1/sub-accounts/{ak}/{what}");
    let get = async |what: &str| ask(&shop.portal, Method::GET, &at(what), &province, &Value::Null).await;
    let post = async |what: &str, body: Value| ask(&shop.portal, Method::POST, &at(what), &province, &body).await;

    let first = get("files/find?most=2").await.1;
    assert_eq!((first["in_time"].clone(), first["files"].as_array().unwrap().len()), (json!(3), 2), "{first}");
    let rest = get(&format!("files/find?most=2&at={}", first["next"])).await.1;
    assert_eq!((rest["files"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_eq!(get("files/find?name=A.MP").await.1["files"][0]["key"], "a.mp4");
    for bad in ["files/find?most=0", "files/find?locked=1", "files/find?kind=x", "files/day", "files/day?from_ms=x"] {
        assert_eq!(get(bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let far = i64::MAX;
    for bad in [format!("files/day?from_ms={far}"), "files/day?from_ms=0&to_ms=90001000".to_owned()] {
        assert_eq!(get(&bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let now = shop.engine.now().millis();
    let day = get(&format!("files/day?from_ms={}", now - 3_600_000)).await.1;
    assert_eq!((&day["files"], &day["rolled_up"]), (&json!(3), &json!(false)), "{day}");
    let told = get("files/info?key=a.mp4").await.1;
    assert_eq!(
        (&told["container"], &told["obstacle"], &told["file"]["size"]),
        (&json!("?"), &json!("unknown"), &json!(4))
    );
    assert_eq!(get("files/info?key=gone").await.0, StatusCode::NOT_FOUND);

    let locked = post("files/locks", json!({"names": ["看店.mp4", "gone"], "locked": true, "reason": "案 7"})).await.1;
    assert_eq!((&locked[0]["done"], &locked[1]["done"]), (&json!(true), &json!(false)), "{locked}");
    let (status, no) = post("files/locks", json!({"names": ["a.mp4"], "locked": true, "reason": " "})).await;
    assert_eq!((status, &no["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("no_reason")));
    let found = get("files/find?locked=true").await.1;
    assert_eq!(found["files"][0]["reason"]["reason"], "案 7", "{found}");
    assert_eq!(found["files"][0]["reason"]["who"], "province");

    for bad in [json!({}), json!({"names": ["a.mp4"], "all": true}), json!({"all": true, "kind": "film"})] {
        assert_eq!(post("files/preview-deletion", bad.clone()).await.0, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(post("zip", bad.clone()).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let (status, no) = post("zip", json!({"all": true, "name": "nothing is called so"})).await;
    assert_eq!((status, &no["error"]["code"]), (StatusCode::NOT_FOUND, &json!("no_file")));
    let preview = post("files/preview-deletion", json!({"all": true})).await.1;
    assert_eq!((&preview["files"], &preview["bytes"], &preview["locked"]), (&json!(2), &json!(8), &json!(1)));
    let mut body = json!({"all": true, "upto": preview["upto"], "typed": "another"});
    assert_eq!(post("files/confirm-deletion", body.clone()).await.1["error"]["code"], "not_confirmed");
    body["typed"] = json!(ak);
    let gone = post("files/confirm-deletion", body).await.1;
    assert_eq!(gone, json!({"files": 2, "bytes": 8, "kept": 1}));

    // The operator may the same, and it is in the log.
    let unlock = json!({"names": ["看店.mp4"], "locked": false, "reason": "归档"});
    let (status, _) = ask(&shop.socket, Method::POST, &at("files/locks"), &[], &unlock).await;
    assert_eq!(status, StatusCode::OK);
    shop.engine.checkpoint().await.unwrap();
    let log = shop.engine.audit_log(&Caller::operator(), 100).await.unwrap();
    let lines: Vec<_> = log.iter().map(|(_, line)| (line.who.as_str(), line.what.as_str())).collect();
    for line in [("province", "LockFiles"), ("province", "DeleteObjects"), ("operator", "UnlockFiles")] {
        assert!(lines.contains(&line), "{line:?} {lines:?}");
    }
}

#[tokio::test]
async fn the_bytes_of_a_file_come_whole_in_part_or_not_at_all() {
    let shop = Shop::new(9).await;
    let province = shop.sign_in(Role::Province).await;
    let ak = shop.camera(&province, &["a.mp4"]).await;
    let path = format!("/api/v1/sub-accounts/{ak}/media?key=a.mp4");
    let get = async |method: Method, path: &str, session: &[(&str, String)], headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in session {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = shop.portal.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    };
    let (status, headers, body) = get(Method::GET, &path, &province, &[]).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, b"clip".as_slice()));
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(headers["content-security-policy"], "sandbox; default-src 'none'");
    let (status, headers, body) = get(Method::GET, &path, &province, &[("range", "bytes=1-2")]).await;
    assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, b"li".as_slice()));
    assert_eq!(headers["content-range"], "bytes 1-2/4");
    let (status, headers, _) = get(Method::GET, &path, &province, &[("range", "bytes=4-")]).await;
    assert_eq!((status, headers["content-range"].to_str().unwrap()), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */4"));
    let (status, headers, body) = get(Method::HEAD, &path, &province, &[]).await;
    assert_eq!((status, body.len(), headers["content-length"].to_str().unwrap()), (StatusCode::OK, 0, "4"));
    // Another's account's is not there, and operations see none.
    let other = format!("{path}&kind=picture");
    assert_eq!(get(Method::GET, &other, &province, &[]).await.0, StatusCode::NOT_FOUND);
    let operations = shop.sign_in(Role::Operations).await;
    assert_eq!(get(Method::GET, &path, &operations, &[]).await.0, StatusCode::FORBIDDEN);
    assert_eq!(get(Method::GET, &path, &[], &[]).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn operations_enters_a_tariff_and_gives_it_and_a_province_sees_none_of_it() {
    let shop = Shop::new(6).await;
    let operations = shop.sign_in(Role::Operations).await;
    let province = shop.sign_in(Role::Province).await;
    let tariff = json!({
        "name": "标准", "basis": "handed_out", "rule": {"kind": "per_gb", "price_li": 150}, "from": "2014-01-01",
    });
    let post = async |session: &[(&str, String)], path: &str, body: &Value| {
        ask(&shop.portal, Method::POST, path, session, body).await
    };
    assert_eq!(post(&province, "/api/v1/tariffs", &tariff).await.0, StatusCode::FORBIDDEN);
    let (status, entered) = post(&operations, "/api/v1/tariffs", &tariff).await;
    assert_eq!((status, &entered["name"]), (StatusCode::CREATED, &json!("标准")), "{entered}");
    assert_eq!(post(&operations, "/api/v1/tariffs", &tariff).await.1["error"]["code"], "tariff_exists");
    let given = json!({"account": "gd", "tariff": "标准", "from": "2014-02-01"});
    assert_eq!(post(&operations, "/api/v1/tariff-assignments", &given).await.0, StatusCode::CREATED);
    let get = async |session: &[(&str, String)], path: &str| {
        ask(&shop.portal, Method::GET, path, session, &Value::Null).await
    };
    let (status, all) = get(&operations, "/api/v1/tariff-assignments?account=gd").await;
    assert_eq!(
        (status, &all[0]["tariff"], &all[0]["from"]),
        (StatusCode::OK, &json!("标准"), &json!("2014-02-01")),
        "{all}"
    );
    for path in ["/api/v1/tariffs", "/api/v1/tariff-assignments", "/api/v1/billing/2014-02"] {
        assert_eq!(get(&operations, path).await.0, StatusCode::OK, "{path}");
        assert_eq!(get(&province, path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    // A province sees what is issued to it, and no trial.
    assert_eq!(get(&operations, "/api/v1/accounts/gd/statements/2014-02").await.1["state"], "trial");
    assert_eq!(get(&province, "/api/v1/accounts/gd/statements/2014-02").await.1["error"]["code"], "no_statement");
    assert_eq!(get(&province, "/api/v1/accounts/gd/statements").await, (StatusCode::OK, json!([])));
    assert_eq!(get(&operations, "/api/v1/billing/2014-13").await.0, StatusCode::BAD_REQUEST);
    let (_, no) = post(&operations, "/api/v1/accounts/gd/statements/2014-02/issue", &Value::Null).await;
    assert!(["period_not_over", "no_statement"].contains(&no["error"]["code"].as_str().unwrap()), "{no}");
}
