//! The console: a page from which the nine operations are called, with the alerts as they come.
//!
//! It asks for no password, so it is on loopback where nobody says otherwise; a page of somebody else can neither read it
//! nor post to it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;

use super::desk::{Desk, Kept, SubAccount};
use super::{Answer, Play, fill, with_type};
use crate::domain::Secret;
use crate::sim::client::operations::Operation;
use crate::sim::client::{Connection, Content, Endpoint, SoapVersion};

mod guard;
mod pages;

use pages::{ExchangePage, Front, Ui};

const FORM_BYTES_MAX: usize = 64 << 10;
const PERCENT_MAX: u32 = 200;
const COOKIE: &str = "kandian-console";
const STYLE: &str = concat!(include_str!("../../portal/assets/portal.css"), include_str!("console/console.css"));
const SCRIPT: &str = include_str!("console/console.js");
const ICON: &str = include_str!("../../portal/assets/icon.svg");
/// Recordings are played from where the storage is.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' http: https:; \
                      media-src http: https:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The console of a platform.
pub(super) struct Console {
    desk: Arc<Desk>,
    /// Where the platform takes alerts.
    callback: String,
}

/// What a form said, in its order.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl Console {
    pub(super) fn new(desk: Arc<Desk>, callback: String) -> Self {
        Self { desk, callback }
    }

    /// Answers whatever is asked.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut answer = match guard::look(request.method(), request.headers()) {
            Ok(()) => self.route(request).await,
            Err(why) => text(StatusCode::FORBIDDEN, why),
        };
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Not `no-referrer`: with it a browser names no origin for a form, and nobody could tell whose it is.
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let query = Form::read(head.uri.query().unwrap_or_default().as_bytes());
        let ui = Ui { zh: !wants_english(&head.headers) };
        let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
        if head.method == Method::POST {
            let Ok(body) = Limited::new(body, FORM_BYTES_MAX).collect().await else {
                return text(StatusCode::PAYLOAD_TOO_LARGE, "the form is broken or over 64 KiB");
            };
            let form = Form::read(&body.to_bytes());
            return match steps.as_slice() {
                ["call"] => self.call(&form).await,
                ["play"] => self.play(&form),
                ["accounts"] => self.add_account(&form),
                ["sub-accounts"] => self.add_sub_account(&form),
                ["fill"] => self.fill(&form).await.map_or_else(refused, |_| to_front(form.get("sub"))),
                ["api", "fill"] => match self.fill(&form).await {
                    Ok(filled) => as_json(StatusCode::OK, &json!(filled)),
                    Err(why) => as_json(StatusCode::BAD_REQUEST, &json!({ "error": why })),
                },
                _ => text(StatusCode::NOT_FOUND, "there is no such form"),
            };
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET or POST");
        }
        match steps.as_slice() {
            [""] => self.front(ui, &query),
            ["exchanges", number] => self.exchange(ui, number, &query),
            ["exchanges", number, "files", file] => self.download(number, file).await,
            ["lang", lang @ ("zh" | "en")] => with_cookie(to_front(query.get("sub")), lang),
            ["api", "state"] => as_json(StatusCode::OK, &self.state()),
            ["api", "news"] => {
                let after = query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
                as_json(StatusCode::OK, &json!(self.desk.news(after)))
            }
            ["console.css"] => with_type(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            ["console.js"] => with_type(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            ["icon.svg"] => with_type(StatusCode::OK, "image/svg+xml", ICON),
            _ => text(StatusCode::NOT_FOUND, "there is no such page"),
        }
    }

    fn front(&self, ui: Ui, query: &Form) -> Answer {
        let sub_accounts = self.desk.sub_accounts();
        let asked = query.get("sub").and_then(|which| self.desk.sub_account(which));
        let chosen = asked.or_else(|| sub_accounts.last().cloned());
        let (accounts, news) = (self.desk.accounts(), self.desk.news(0));
        let (playing, callback) = (self.desk.playing(), self.callback.clone());
        html(&Front::new(ui, accounts, sub_accounts, chosen, playing, news, callback))
    }

    /// Calls an operation with what the form says; an empty password is the one that is known.
    async fn call(&self, form: &Form) -> Answer {
        let Some(operation) = form.get("operation").and_then(Operation::find) else {
            return refused("section 7 has no such operation");
        };
        let version = if form.get("soap") == Some("1.2") { SoapVersion::V12 } else { SoapVersion::V11 };
        let number = self.desk.call(operation, &self.fields(operation, form), version).await;
        // Somebody who locks a file goes on looking at what was found.
        let again = form.get("again").and_then(|again| self.desk.exchange(again.parse().ok()?));
        let Some(search) = again.filter(|kept| kept.operation.name == "SearchSubAccountFiles") else {
            return see(&format!("/exchanges/{number}"));
        };
        let found = self.desk.call(search.operation, &search.fields, version).await;
        see(&format!("/exchanges/{found}?did={number}"))
    }

    fn fields(&self, operation: &Operation, form: &Form) -> Vec<(String, String)> {
        let account = form.get("Account").unwrap_or_default();
        let known = || {
            let known = self.desk.accounts().into_iter().find(|known| known.name == account);
            known.and_then(|known| known.password).map(|password| password.expose().to_owned())
        };
        let value = |name: &str| match (name, form.get(name)) {
            ("Password", None | Some("")) => known().unwrap_or_default(),
            (_, value) => value.unwrap_or_default().to_owned(),
        };
        operation.all_fields().map(|field| (field.name.to_owned(), value(field.name))).collect()
    }

    fn play(&self, form: &Form) -> Answer {
        let play: Play = match form.get("play").unwrap_or_default().parse() {
            Ok(play) => play,
            Err(why) => return refused(why),
        };
        let calls = match form.get("first").unwrap_or_default().trim() {
            "" => Ok(0),
            text => text.parse(),
        };
        let Ok(calls) = calls else { return refused("for how many calls is a number, or nothing for ever") };
        self.desk.play(play, calls);
        to_front(form.get("sub"))
    }

    fn add_account(&self, form: &Form) -> Answer {
        let name = form.get("name").unwrap_or_default().trim();
        if name.is_empty() {
            return refused("an account has a name");
        }
        let soap = match form.get("soap").map(str::trim).filter(|soap| !soap.is_empty()).map(Endpoint::parse) {
            None => None,
            Some(Ok(soap)) => Some(soap.or_path("/services/VideoCloudStorage")),
            Some(Err(error)) => return refused(error.to_string()),
        };
        let password = form.get("password").filter(|password| !password.is_empty()).map(Secret::new);
        self.desk.add_account(name, password, soap);
        to_front(None)
    }

    fn add_sub_account(&self, form: &Form) -> Answer {
        let field = |name: &str| form.get(name).unwrap_or_default().trim();
        if field("ak").is_empty() || field("sk").is_empty() {
            return refused("a sub-account has an AK and an SK");
        }
        let foreign = SubAccount::foreign(field("name"), field("account"), field("ak"), Secret::new(field("sk")));
        let number = self.desk.add_sub_account(foreign);
        to_front(Some(&number.to_string()))
    }

    async fn fill(&self, form: &Form) -> Result<fill::Filled, String> {
        let which = form.get("sub").unwrap_or_default();
        let of = self.desk.sub_account(which).ok_or_else(|| format!("no sub-account {which:?} is known here"))?;
        let percent = form.get("percent").and_then(|percent| percent.trim().parse().ok());
        let percent = percent.filter(|percent| *percent <= PERCENT_MAX);
        fill::fill(&self.desk, &of, percent.ok_or("percent is a number from 0 to 200")?).await
    }

    fn state(&self) -> serde_json::Value {
        let of = |sub: &SubAccount| {
            json!({
                "number": sub.number,
                "name": sub.name,
                "account": sub.account,
                "ak": sub.ak,
                "record_bucket": sub.opened.as_ref().map(|opened| opened.recordings.as_str()),
                "picture_bucket": sub.opened.as_ref().map(|opened| opened.pictures.as_str()),
                "space": sub.space,
                "loop": sub.looping,
            })
        };
        let accounts: Vec<String> = self.desk.accounts().into_iter().map(|account| account.name).collect();
        json!({
            "callback": self.callback,
            "playing": self.desk.playing().to_string(),
            "accounts": accounts,
            "sub_accounts": self.desk.sub_accounts().iter().map(of).collect::<Vec<_>>(),
        })
    }

    fn kept(&self, number: &str) -> Option<Arc<Kept>> {
        self.desk.exchange(number.parse().ok()?)
    }

    fn exchange(&self, ui: Ui, number: &str, query: &Form) -> Answer {
        let Some(kept) = self.kept(number) else {
            return text(StatusCode::NOT_FOUND, "that exchange is not kept any more");
        };
        let did = query.get("did").and_then(|did| self.kept(did));
        let of = kept.sub_account.and_then(|number| self.desk.sub_account(&number.to_string()));
        let playing = query.get("play").and_then(|file| file.parse().ok());
        html(&ExchangePage::new(ui, &kept, of, did.as_deref(), playing))
    }

    /// A file of a search, as its FileUrl gives it, to be kept.
    async fn download(&self, number: &str, file: &str) -> Answer {
        let found = self.kept(number).and_then(|kept| {
            let files = kept.exchange.as_ref().ok()?.items("FileInfo");
            files.get(file.parse::<usize>().ok()?).cloned()
        });
        let Some((url, name)) = found.and_then(|mut file| file.remove("FileUrl").zip(file.remove("FileName"))) else {
            return text(StatusCode::NOT_FOUND, "no such file was found");
        };
        let fetched = async {
            let endpoint = Endpoint::parse(&url)?;
            let path = endpoint.path().to_owned();
            Connection::new(endpoint, self.desk.trust.clone()).send("GET", &path, &[], Content::empty()).await
        };
        let answer = match fetched.await {
            Ok(answer) => answer,
            Err(error) => return text(StatusCode::BAD_GATEWAY, error.to_string()),
        };
        let (head, body) = answer.into_parts();
        let mut out = Answer::new(Either::Right(body));
        *out.status_mut() = head.status;
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            out.headers_mut().extend(head.headers.get(&name).cloned().map(|value| (name, value)));
        }
        let last = name.rsplit('/').next().unwrap_or_default();
        let encoded = percent_encoding::utf8_percent_encode(last, percent_encoding::NON_ALPHANUMERIC);
        let value = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}"));
        out.headers_mut().extend(value.ok().map(|value| (header::CONTENT_DISPOSITION, value)));
        out
    }
}

/// As the last switch said, else as the browser does.
fn wants_english(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let cookie = text(header::COOKIE).split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    match cookie {
        Some(lang) => lang == "en",
        None => text(header::ACCEPT_LANGUAGE).to_ascii_lowercase().starts_with("en"),
    }
}

fn html(page: &impl askama::Template) -> Answer {
    match page.render() {
        Ok(text) => with_type(StatusCode::OK, "text/html; charset=utf-8", text),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn as_json(status: StatusCode, value: &serde_json::Value) -> Answer {
    with_type(status, "application/json", value.to_string())
}

fn text(status: StatusCode, said: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", said)
}

fn refused(why: impl Into<String>) -> Answer {
    text(StatusCode::BAD_REQUEST, why.into())
}

fn see(path: &str) -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "");
    answer.headers_mut().extend(HeaderValue::from_str(path).ok().map(|path| (header::LOCATION, path)));
    answer
}

/// The front page, with this sub-account chosen.
fn to_front(sub: Option<&str>) -> Answer {
    let number = sub.and_then(|sub| sub.parse::<usize>().ok());
    see(&number.map_or_else(|| "/".to_owned(), |number| format!("/?sub={number}")))
}

fn with_cookie(mut answer: Answer, lang: &str) -> Answer {
    let value = HeaderValue::from_str(&format!("{COOKIE}={lang}; Path=/; SameSite=Strict"));
    answer.headers_mut().extend(value.ok().map(|value| (header::SET_COOKIE, value)));
    answer
}

#[cfg(test)]
mod tests;
