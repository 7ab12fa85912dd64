//! Who sees which page, and what a form from elsewhere comes to: through the router, as a browser would.

mod desk;
mod large;

use std::collections::BTreeSet;

use http::header::{CONTENT_SECURITY_POLICY, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use tower::ServiceExt;

use axum::body::Body;

use super::*;
use crate::domain::{Gigabytes, Role, Secret};
use crate::engine::{Caller, NewAccount, NewUser};
use crate::http::SESSION_COOKIE;

const GOOD: &str = "correct horse battery";

pub(super) struct Site {
    pub(super) engine: Engine,
    router: Router,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Site {
    pub(super) fn open() -> Self {
        Self::over(crate::engine::tests::on_a_fake_world(7))
    }

    pub(super) fn over(engine: Engine) -> Self {
        let addresses = Arc::new(|| Addresses { s3: "http://s3.example".into(), soap: "http://soap.example".into() });
        let settings = Settings { addresses, zone_minutes: 480, gigabyte: GigabyteSize::STANDARD };
        Self { router: router(engine.clone(), settings), engine }
    }

    pub(super) async fn ask(&self, method: Method, path: &str, token: Option<&str>, form: &[(&str, &str)]) -> Answer {
        let origin = (method == Method::POST).then_some("http://portal.example");
        self.ask_from(method, path, token, form, origin).await
    }

    async fn ask_from(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        form: &[(&str, &str)],
        origin: Option<&str>,
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::builder().method(method).uri(path).header("host", "portal.example");
        if let Some(token) = token {
            request = request.header(COOKIE, format!("other=1; {SESSION_COOKIE}={token}"));
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What a request with these headers is answered, to the last byte; the error where the answer is cut.
    pub(super) async fn fetch(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Result<Vec<u8>, axum::Error>) {
        let mut request = Request::builder().method(method).uri(path).header("host", "portal.example");
        if let Some(token) = token {
            request = request.header(COOKIE, format!("{SESSION_COOKIE}={token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, axum::body::to_bytes(body, 64 << 20).await.map(|bytes| bytes.to_vec()))
    }

    async fn account(&self, name: &str) {
        let new = NewAccount {
            name: name.parse().unwrap(),
            password: None,
            space: Gigabytes::new(10).unwrap(),
            alert_url: None,
            max_sub_accounts: None,
        };
        self.engine.open_account(&Caller::operator(), new).await.unwrap();
    }

    /// A session of a new user of this role.
    pub(super) async fn signed_in(&self, role: Role) -> String {
        self.user_of("jiangsu", role, &format!("user-{}", role.word())).await
    }

    /// A session of a user of another account, which is opened for it.
    pub(super) async fn signed_in_to(&self, account: &str, role: Role) -> String {
        self.account(account).await;
        self.user_of(account, role, &format!("{account}-{}", role.word())).await
    }

    async fn user_of(&self, account: &str, role: Role, name: &str) -> String {
        let account = role.of_one_account().then(|| account.parse().unwrap());
        let new = NewUser { name: name.parse().unwrap(), role, account, password: Some(Secret::new(GOOD)) };
        self.engine.add_user(&Caller::operator(), new).await.unwrap();
        let token = self.engine.sign_in_user(name, &Secret::new(GOOD), None, "10.0.0.1", "").await.unwrap();
        token.expose().to_owned()
    }

    pub(super) async fn form_token(&self, token: &str) -> String {
        self.engine.session(token).await.unwrap().form_token
    }
}

fn location(answer: &Answer) -> &str {
    answer.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap())
}

pub(super) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn every_route_lets_in_those_whom_the_table_names_and_nobody_else() {
    run(async {
        let site = Site::open();
        site.account("jiangsu").await;
        let mut seen = BTreeSet::new();
        for Route { path, needs, .. } in routes() {
            seen.insert(path);
            for method in [Method::GET, Method::POST] {
                let answer = site.ask(method.clone(), path, None, &[]).await;
                match needs {
                    Needs::Nothing => assert_ne!(answer.status, StatusCode::FORBIDDEN, "{method} {path}"),
                    _ => {
                        let away = location(&answer);
                        assert!(away.starts_with("/sign-in") || away == "/setup", "{method} {path} let a stranger in");
                    }
                }
            }
        }
        assert!(seen.len() > 15, "the table is there");
        for role in Role::ALL {
            let token = site.signed_in(role).await;
            for Route { path, needs, .. } in routes() {
                if path == "/sign-out" {
                    continue;
                }
                let answer = site.ask(Method::GET, path, Some(&token), &[]).await;
                let refused = answer.status == StatusCode::FORBIDDEN;
                let may = match needs {
                    Needs::Nothing | Needs::SignIn => true,
                    Needs::Role(action) => role.may(action),
                    Needs::Everywhere(action) => role.may(action) && !role.of_one_account(),
                };
                assert_eq!(!refused, may, "{role:?} {path} {}", answer.status);
            }
        }
    });
}

#[test]
fn a_form_of_another_site_or_of_another_session_changes_nothing() {
    run(async {
        let site = Site::open();
        let token = site.signed_in(Role::Operations).await;
        let right = site.form_token(&token).await;
        let send = async |form_token: &str, name: &str, origin: Option<&str>| {
            let fields = [("token", form_token), ("name", name), ("space", "5")];
            site.ask_from(Method::POST, "/accounts/new", Some(&token), &fields, origin).await.status
        };
        let ours = Some("http://portal.example");
        assert_eq!(send(&right, "a", Some("http://evil.example")).await, StatusCode::FORBIDDEN);
        assert_eq!(send(&right, "a", Some("null")).await, StatusCode::FORBIDDEN);
        assert_eq!(send("", "a", ours).await, StatusCode::FORBIDDEN);
        assert_eq!(send(&right.replace(|_| true, "0"), "a", ours).await, StatusCode::FORBIDDEN);
        assert!(site.engine.accounts(&Caller::operator()).await.unwrap().is_empty());
        assert_eq!(send(&right, "a", ours).await, StatusCode::CREATED);
        assert_eq!(site.engine.accounts(&Caller::operator()).await.unwrap().len(), 1);
    });
}

#[test]
fn the_first_user_sets_up_signs_in_and_out() {
    run(async {
        let site = Site::open();
        let code = site.engine.setup_code().await.unwrap().unwrap();
        assert_eq!(location(&site.ask(Method::GET, "/sign-in", None, &[]).await), "/setup");
        let fields = [("code", "WRONG"), ("user", "ops"), ("password", GOOD)];
        let wrong = site.ask(Method::POST, "/setup", None, &fields).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        assert!(
            wrong.body.contains("设置码错误") && wrong.body.contains("value=\"ops\"") && !wrong.body.contains(GOOD)
        );
        let fields = [("code", code.as_str()), ("user", "ops"), ("password", GOOD)];
        let done = site.ask(Method::POST, "/setup", None, &fields).await;
        let cookie = done.headers[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let token = cookie.split(['=', ';']).nth(1).unwrap();
        let page = site.ask(Method::GET, "/overview", Some(token), &[]).await;
        assert!(page.status == StatusCode::OK && page.body.contains("总览") && page.body.contains("http://s3.example"));
        assert!(page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
        let form_token = site.form_token(token).await;
        site.ask(Method::POST, "/sign-out", Some(token), &[("token", &form_token)]).await;
        assert_eq!(location(&site.ask(Method::GET, "/overview", Some(token), &[]).await), "/sign-in?next=%2Foverview");
        let fields = [("user", "ops"), ("password", GOOD), ("next", "//evil.example")];
        assert_eq!(location(&site.ask(Method::POST, "/sign-in", None, &fields).await), "/");
    });
}

#[test]
fn over_tls_a_session_is_never_sent_without_and_browsers_are_told_to_stay() {
    run(async {
        let site = Site::open();
        let code = site.engine.setup_code().await.unwrap().unwrap();
        let ask = async |method: Method, path: &str, cookie: &str, form: &[(&str, &str)], secured: bool| {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let mut request = Request::builder().method(method).uri(path).header("host", "portal.example");
            request = request.header(COOKIE, cookie);
            let mut request = request.body(Body::from(body)).unwrap();
            if secured {
                request.extensions_mut().insert(crate::http::Secured);
            }
            site.router.clone().oneshot(request).await.unwrap()
        };
        let fields = [("code", code.as_str()), ("user", "ops"), ("password", GOOD)];
        let done = ask(Method::POST, "/setup", "", &fields, true).await;
        let cookie = done.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.starts_with("__Host-kandian=") && cookie.contains("; Path=/;"), "{cookie}");
        assert!(cookie.contains("; Secure") && cookie.contains("; HttpOnly") && !cookie.contains("Domain"), "{cookie}");
        // What pages lead to is plain here: a browser that stays on TLS could not open it.
        assert!(!done.headers().contains_key("strict-transport-security"));
        let cookie = cookie.split(';').next().unwrap();
        let status = async |cookie: &str, secured| ask(Method::GET, "/overview", cookie, &[], secured).await.status();
        assert_eq!(status(cookie, true).await, StatusCode::OK);
        // Neither name stands for the other: what a plain connection was given is nothing over TLS.
        assert_eq!(status(cookie, false).await, StatusCode::SEE_OTHER);
        assert_eq!(status(&cookie.replace("__Host-", ""), true).await, StatusCode::SEE_OTHER);
    });
}

#[test]
fn an_account_is_closed_only_by_its_name_and_a_script_in_a_name_is_text() {
    run(async {
        let site = Site::open();
        let token = site.signed_in(Role::Operations).await;
        let form_token = site.form_token(&token).await;
        let name = "<script>alert(1)</script>";
        site.account(name).await;
        for path in ["/accounts", "/users", "/accounts/show?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E"] {
            let page = site.ask(Method::GET, path, Some(&token), &[]).await;
            assert!(page.status == StatusCode::OK && !page.body.contains(name), "{path}");
            assert!(page.body.contains("alert(1)"), "{path}");
        }
        let close = async |typed: &str| {
            let fields = [("token", form_token.as_str()), ("confirm", typed)];
            let path = "/accounts/close?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E";
            site.ask(Method::POST, path, Some(&token), &fields).await.status
        };
        assert_eq!(close("another").await, StatusCode::BAD_REQUEST);
        assert_eq!(site.engine.accounts(&Caller::operator()).await.unwrap().len(), 1);
        assert_eq!(close(name).await, StatusCode::SEE_OTHER);
        assert!(site.engine.accounts(&Caller::operator()).await.unwrap().is_empty());
    });
}

#[test]
fn a_page_is_in_the_language_that_was_chosen() {
    run(async {
        let site = Site::open();
        site.signed_in(Role::Operations).await;
        let page = site.ask(Method::GET, "/sign-in", None, &[]).await.body;
        assert!(page.contains("lang=\"zh-CN\"") && page.contains("登录"));
        let chosen = site.ask(Method::POST, "/language", None, &[("to", "en"), ("back", "/sign-in")]).await;
        assert_eq!(location(&chosen), "/sign-in");
        assert!(chosen.headers[SET_COOKIE].to_str().unwrap().starts_with("kandian-lang=en;"));
        let request = Request::builder().uri("/sign-in").header(COOKIE, "kandian-lang=en; kandian-theme=dark");
        let response = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let page = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("lang=\"en\" data-theme=\"dark\"") && page.contains("Sign in"));
    });
}
