//! The callback of section 8: what comes is looked at, kept, and answered as the platform is told to.

use std::convert::Infallible;

use bytes::Bytes;
use encoding_rs::GBK;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode, header};
use serde::Serialize;

use super::desk::Known;
use super::{Answer, PATH, Platform, Play, Refused, page, with_type};
use crate::domain::limits;
use crate::wire::soap::callback::{ALERT_OPERATION, IDLE_OPERATION};
use crate::wire::soap::{self, CALLBACK_NAMESPACE, Fault, Value, Version, envelope, write};

const WSDL: &str = include_str!("../../soap/wsdl/alert-callback.wsdl");
const PLACEHOLDER: &str = "http://localhost/services/AlertCallback";

/// One call, as it is printed and kept.
#[derive(Clone, Debug, Serialize)]
pub struct Got {
    /// 1, 2, 3 …
    pub call: u64,
    /// Name of the element in Body; empty where that could not be read.
    pub operation: String,
    /// `Account`.
    pub account: String,
    /// `S3AK`.
    pub s3ak: String,
    /// `full`, `nearly_full`, `idle`; empty where that could not be read.
    pub alert: &'static str,
    /// `AlertType`.
    pub alert_type: Option<i32>,
    /// What became of account and password: `right`, `no such account`, `wrong password`, or `unreadable`.
    pub check: &'static str,
    /// What was done with it.
    pub did: String,
    /// `Password`, where secrets are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// `S3SK`, where secrets are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3sk: Option<String>,
}

impl Platform {
    pub(super) async fn take(&self, request: Request<Incoming>) -> Result<Answer, Refused> {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return Ok(self.wsdl(&request));
        }
        if request.method() != Method::POST {
            return Ok(page(StatusCode::METHOD_NOT_ALLOWED, "POST, or GET ?wsdl"));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let Ok(body) = Limited::new(request.into_body(), limits::SOAP_BODY_BYTES_MAX).collect().await else {
            return Ok(page(StatusCode::BAD_REQUEST, "the body is broken or over 1 MiB"));
        };
        let read = envelope::read(&body.to_bytes(), content_type.as_deref());
        let (call, play) = self.desk.next_call();
        let (mut got, right) = self.look(call, read.as_ref().ok());
        let checked = || match (&read, &right) {
            (Err(unreadable), _) => Reply::Fault(unreadable.fault.clone()),
            (Ok(_), Ok(number)) => Reply::Result(*number),
            (Ok(_), Err(bad)) => Reply::Fault(Fault::client(bad.to_string())),
        };
        let reply = match play {
            Play::Fail => Reply::Page,
            Play::Hang => Reply::Nothing,
            Play::Refuse => Reply::HangUp,
            Play::Fault => Reply::Fault(Fault::server("told to answer with a fault")),
            Play::Result(number) => Reply::Result(number),
            Play::Answer | Play::Slow(_) | Play::Charset => checked(),
        };
        got.did = reply.words();
        match play {
            Play::Charset => got.did += ", in GBK where it says UTF-8",
            Play::Slow(pause) => got.did += &format!(", after {} s", pause.as_secs()),
            _ => {}
        }
        self.keep(&got);
        if let Play::Slow(pause) = play {
            tokio::time::sleep(pause).await;
        }
        let version = read.as_ref().map_or_else(|unreadable| unreadable.version, |request| request.version);
        reply.send(version, &got.operation, play == Play::Charset).await
    }

    /// What came, and the Result that it deserves.
    fn look(&self, call: u64, request: Option<&soap::Request>) -> (Got, Result<i32, soap::BadField>) {
        let mut got = Got {
            call,
            operation: String::new(),
            account: String::new(),
            s3ak: String::new(),
            alert: "",
            alert_type: None,
            check: "unreadable",
            did: String::new(),
            password: None,
            s3sk: None,
        };
        let Some(request) = request else { return (got, Ok(0)) };
        got.operation.clone_from(&request.operation);
        let right = self.check(request, &mut got);
        (got, right)
    }

    fn check(&self, request: &soap::Request, got: &mut Got) -> Result<i32, soap::BadField> {
        let text = |name| request.fields.text(name).map(|text| text.unwrap_or_default().to_owned());
        let (account, password, secret) = (text("Account")?, text("Password")?, text("S3SK")?);
        got.account.clone_from(&account);
        got.s3ak = text("S3AK")?;
        // A platform with a WSDL of its own has another name for 8.1, but 8.2 alone has no type.
        got.alert_type = match request.operation == IDLE_OPERATION {
            true => None,
            false => Some(request.fields.int("AlertType", 1..=2)?),
        };
        got.alert = match got.alert_type {
            Some(1) => "full",
            Some(_) => "nearly_full",
            None => "idle",
        };
        let known = self.desk.knows(&account, &password);
        if self.options.show_secrets {
            (got.password, got.s3sk) = (Some(password), Some(secret));
        }
        let (result, check) = match known {
            Known::Yes => (0, "right"),
            Known::NoAccount => (1, "no such account"),
            Known::WrongPassword => (2, "wrong password"),
        };
        got.check = check;
        Ok(result)
    }

    fn wsdl(&self, request: &Request<Incoming>) -> Answer {
        if !request.uri().query().is_some_and(|query| query.eq_ignore_ascii_case("wsdl")) {
            return page(StatusCode::NOT_FOUND, "POST an alert, or GET ?wsdl");
        }
        let sent = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        let host = sent.filter(|host| host.chars().all(plain)).map_or_else(|| self.address.to_string(), str::to_owned);
        with_type(
            StatusCode::OK,
            Version::Soap11.content_type(),
            WSDL.replace(PLACEHOLDER, &format!("http://{host}{PATH}")),
        )
    }
}

/// What is done with a call.
enum Reply {
    Result(i32),
    Fault(Fault),
    Page,
    Nothing,
    HangUp,
}

impl Reply {
    fn words(&self) -> String {
        match self {
            Self::Result(number) => format!("result {number}"),
            Self::Fault(fault) => format!("fault: {}", fault.text),
            Self::Page => "HTTP 500".to_owned(),
            Self::Nothing => "no answer".to_owned(),
            Self::HangUp => "hung up".to_owned(),
        }
    }

    async fn send(self, version: Version, operation: &str, in_gbk: bool) -> Result<Answer, Refused> {
        let (status, text) = match self {
            Self::Result(number) => {
                let name_is_one =
                    !operation.is_empty() && operation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let operation = if name_is_one { operation } else { ALERT_OPERATION };
                let fields = [("Result", Value::Int(i64::from(number)))];
                let text = write::answer(version, CALLBACK_NAMESPACE, &format!("{operation}Response"), &fields);
                (StatusCode::OK, text)
            }
            Self::Fault(fault) => {
                let status = StatusCode::from_u16(fault.code.http_status(version));
                (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), write::fault(version, &fault))
            }
            Self::Page => return Ok(page(StatusCode::INTERNAL_SERVER_ERROR, "told to fail")),
            Self::Nothing => return Ok(never(std::future::pending::<Infallible>().await)),
            Self::HangUp => return Err(Refused),
        };
        let bytes = if in_gbk { gbk(&text) } else { Bytes::from(text) };
        Ok(with_type(status, version.content_type(), bytes))
    }
}

/// With a remark that every charset writes otherwise, in GBK.
fn gbk(text: &str) -> Bytes {
    let remarked = format!("{text}<!-- 手机看店平台 -->");
    Bytes::from(GBK.encode(&remarked).0.into_owned())
}

fn never(never: Infallible) -> Answer {
    match never {}
}
