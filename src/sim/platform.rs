//! The simulated platform: serves the callback of section 8, and behaves as badly as it is told to.
//!
//! A stranger: it knows the wire and the WSDL, never the engine. It prints no password and no secret key unless told to.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::domain::limits;
use crate::tls::{self, MaybeTls, ServerStream};
use crate::wire::soap::callback::{ALERT_OPERATION, IDLE_OPERATION};
use crate::wire::soap::{self, CALLBACK_NAMESPACE, Fault, Value, Version, envelope, write};

const PATH: &str = "/services/AlertCallback";
const WSDL: &str = include_str!("../soap/wsdl/alert-callback.wsdl");
const PLACEHOLDER: &str = "http://localhost/services/AlertCallback";

/// How `kandian sim platform` is started.
#[derive(Clone, Debug, clap::Args)]
pub struct PlatformOptions {
    /// Where to serve the callback; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9004")]
    pub listen: SocketAddr,
    /// Speak https with this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// … and its key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The only account that is known; others get Result 1. Not given: any
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The password that is right; others get Result 2. Not given: any
    #[arg(long, value_name = "PW")]
    pub password: Option<String>,
    /// What to do with a call: answer, fail (HTTP 500), hang, refuse (close without an answer), fault, or result=N
    #[arg(long, value_name = "WHAT", default_value = "answer")]
    pub play: Play,
    /// Do so for the first N calls only, then answer as one should; 0 is for ever
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first: u64,
    /// Also append each call to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print lines of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Print passwords and secret keys too
    #[arg(long)]
    pub show_secrets: bool,
}

impl PlatformOptions {
    /// A platform that takes what is right, of this account, for whoever listens to its feed.
    pub fn quiet(listen: SocketAddr, account: &str) -> Self {
        Self {
            listen,
            cert: None,
            key: None,
            account: Some(account.to_owned()),
            password: None,
            play: Play::Answer,
            first: 0,
            out: None,
            json: true,
            show_secrets: true,
        }
    }
}

/// What the platform does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Checks account and password, and answers.
    Answer,
    /// HTTP 500 with a page of HTML.
    Fail,
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Refuse,
    /// A SOAP Fault.
    Fault,
    /// This Result, whatever came.
    Result(i32),
}

impl FromStr for Play {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "answer" => Ok(Self::Answer),
            "fail" => Ok(Self::Fail),
            "hang" => Ok(Self::Hang),
            "refuse" => Ok(Self::Refuse),
            "fault" => Ok(Self::Fault),
            _ => match text.strip_prefix("result=").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Result(number)),
                Some(Err(_)) | None => Err("one of answer, fail, hang, refuse, fault, result=N".to_owned()),
            },
        }
    }
}

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
    /// What was done with it.
    pub did: String,
    /// `Password`, where secrets are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// `S3SK`, where secrets are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3sk: Option<String>,
}

struct Platform {
    options: PlatformOptions,
    address: SocketAddr,
    calls: AtomicU64,
    out: Option<Mutex<File>>,
    /// Who is told of calls instead of standard output.
    feed: Option<UnboundedSender<Got>>,
}

/// The connection shall be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("refused as told")]
struct Refused;

type Answer = Response<Full<Bytes>>;

/// Serves until Ctrl-C or SIGTERM.
pub async fn run(options: PlatformOptions) -> io::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    let scheme = if options.cert.is_some() { "https" } else { "http" };
    say(&format!("listening on {scheme}://{}{PATH}", listener.local_addr()?));
    serve(listener, options, None, stop).await
}

/// A platform beside whoever asks for it: its URL, and the calls that it takes. It goes when nobody takes them any more.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn beside(options: PlatformOptions) -> io::Result<(String, UnboundedReceiver<Got>)> {
    let listener = TcpListener::bind(options.listen).await?;
    let url = format!("http://{}{PATH}", listener.local_addr()?);
    let (feed, calls) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let over = feed.clone();
        serve(listener, options, Some(feed), async move { over.closed().await }).await
    });
    Ok((url, calls))
}

async fn serve(
    listener: TcpListener,
    options: PlatformOptions,
    feed: Option<UnboundedSender<Got>>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let out = match &options.out {
        Some(path) => Some(Mutex::new(File::options().create(true).append(true).open(path)?)),
        None => None,
    };
    let address = listener.local_addr()?;
    let acceptor = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Some(tls::identity(cert, key).map_err(|(_, bad)| io::Error::other(bad))?.acceptor()),
        _ => None,
    };
    let platform = Arc::new(Platform { options, address, calls: AtomicU64::new(0), out, feed });
    let mut connections = tokio::task::JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: they come back as calls end.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (platform, acceptor) = (Arc::clone(&platform), acceptor.clone());
        connections.spawn(async move {
            let stream: MaybeTls<TcpStream, ServerStream<TcpStream>> = match acceptor {
                None => MaybeTls::Plain(stream),
                // Who agrees on no TLS has seen so himself.
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => MaybeTls::Tls(Box::new(stream)),
                    Err(_) => return,
                },
            };
            let service = service_fn(move |request| {
                let platform = Arc::clone(&platform);
                async move { platform.take(request).await }
            });
            // A caller that hangs up, and a refusal as told, both end here.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Platform {
    async fn take(&self, request: Request<Incoming>) -> Result<Answer, Refused> {
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
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let as_told = self.options.first == 0 || call <= self.options.first;
        let play = if as_told { self.options.play } else { Play::Answer };
        let (mut got, right) = self.look(call, read.as_ref().ok());
        let reply = match (play, &read) {
            (Play::Fail, _) => Reply::Page,
            (Play::Hang, _) => Reply::Nothing,
            (Play::Refuse, _) => Reply::HangUp,
            (Play::Fault, _) => Reply::Fault(Fault::server("told to answer with a fault")),
            (Play::Result(number), _) => Reply::Result(number),
            (Play::Answer, Err(unreadable)) => Reply::Fault(unreadable.fault.clone()),
            (Play::Answer, Ok(_)) => match right {
                Ok(number) => Reply::Result(number),
                Err(bad) => Reply::Fault(Fault::client(bad.to_string())),
            },
        };
        got.did = reply.words();
        self.keep(&got);
        let version = read.as_ref().map_or_else(|unreadable| unreadable.version, |request| request.version);
        reply.send(version, &got.operation).await
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
        let known = self.options.account.as_ref().is_none_or(|known| *known == account);
        let right = self.options.password.as_ref().is_none_or(|right| *right == password);
        if self.options.show_secrets {
            (got.password, got.s3sk) = (Some(password), Some(secret));
        }
        Ok(if !known {
            1
        } else if !right {
            2
        } else {
            0
        })
    }

    fn keep(&self, got: &Got) {
        let json = serde_json::to_string(got).unwrap_or_default();
        if let Some(out) = &self.out {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(why) = writeln!(out, "{json}") {
                say(&format!("the call was not kept: {why}"));
            }
        }
        if let Some(feed) = &self.feed {
            // Who does not listen any more does not want it.
            let _ = feed.send(got.clone());
            return;
        }
        if self.options.json {
            return say(&json);
        }
        let secrets = match (&got.password, &got.s3sk) {
            (Some(password), Some(secret)) => format!(" password {password:?} S3SK {secret:?}"),
            _ => String::new(),
        };
        say(&format!(
            "{} {} account {:?} S3AK {:?} alert {:?}{secrets}: {}",
            got.call, got.operation, got.account, got.s3ak, got.alert, got.did
        ));
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

    async fn send(self, version: Version, operation: &str) -> Result<Answer, Refused> {
        match self {
            Self::Result(number) => {
                let name_is_one =
                    !operation.is_empty() && operation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let operation = if name_is_one { operation } else { ALERT_OPERATION };
                let fields = [("Result", Value::Int(i64::from(number)))];
                let text = write::answer(version, CALLBACK_NAMESPACE, &format!("{operation}Response"), &fields);
                Ok(with_type(StatusCode::OK, version.content_type(), text))
            }
            Self::Fault(fault) => {
                let status = StatusCode::from_u16(fault.code.http_status(version));
                let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Ok(with_type(status, version.content_type(), write::fault(version, &fault)))
            }
            Self::Page => Ok(page(StatusCode::INTERNAL_SERVER_ERROR, "told to fail")),
            Self::Nothing => Ok(never(std::future::pending::<Infallible>().await)),
            Self::HangUp => Err(Refused),
        }
    }
}

fn never(never: Infallible) -> Answer {
    match never {}
}

fn page(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/html; charset=utf-8", format!("<html><body>{text}</body></html>\n"))
}

fn with_type(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A line on standard output; nobody there to read it is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    use super::*;
    use crate::domain::{Alert, CallbackProfile};
    use crate::wire::soap::callback::{self, Whose};

    fn options(play: &str) -> PlatformOptions {
        PlatformOptions {
            listen: "127.0.0.1:0".parse().expect("an address"),
            account: Some("jiangsu".to_owned()),
            password: Some("right".to_owned()),
            play: play.parse().expect("a play"),
            first: 1,
            out: None,
            json: true,
            show_secrets: false,
            cert: None,
            key: None,
        }
    }

    /// A platform in the background, and where it is.
    async fn started(options: PlatformOptions) -> String {
        let listener = TcpListener::bind(options.listen).await.expect("a port");
        let url = format!("http://{}{PATH}", listener.local_addr().expect("bound"));
        tokio::spawn(serve(listener, options, None, std::future::pending()));
        url
    }

    async fn send(url: &str, profile: &CallbackProfile, account: &str, password: &str) -> Result<(u16, String), ()> {
        let whose = Whose { account, password, access_key: "AK1", secret: "SK1" };
        let message = callback::write(profile, Alert::NearlyFull, whose);
        let request =
            Request::post(url).header("content-type", message.content_type).body(Full::new(Bytes::from(message.body)));
        let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        let response = client.request(request.expect("a request")).await.map_err(|_| ())?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| ())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    #[tokio::test]
    async fn account_and_password_are_checked() {
        let url = started(options("answer")).await;
        let own = CallbackProfile {
            namespace: Some("urn:own".to_owned()),
            operation: Some("Alarm".to_owned()),
            soap12: true,
            unqualified: true,
            gbk: true,
            ..CallbackProfile::default()
        };
        for profile in [CallbackProfile::default(), own] {
            for (account, password, number) in [("jiangsu", "right", 0), ("other", "right", 1), ("jiangsu", "wrong", 2)]
            {
                let (status, body) = send(&url, &profile, account, password).await.expect("an answer");
                assert_eq!(status, 200);
                assert_eq!(callback::read_answer(body.as_bytes(), None), Ok(number), "{body}");
            }
        }
    }

    #[tokio::test]
    async fn it_misbehaves_as_told_and_only_so_often() {
        for (play, first) in [("fail", 500), ("fault", 500), ("result=7", 200)] {
            let url = started(options(play)).await;
            let (status, body) = send(&url, &CallbackProfile::default(), "jiangsu", "right").await.expect("an answer");
            assert_eq!(status, first, "{play}");
            let read = callback::read_answer(body.as_bytes(), None);
            assert_eq!(read.ok(), (play == "result=7").then_some(7), "{play}");
            let (status, body) = send(&url, &CallbackProfile::default(), "jiangsu", "right").await.expect("an answer");
            assert_eq!((status, callback::read_answer(body.as_bytes(), None)), (200, Ok(0)), "{play}, the second time");
        }
        let url = started(options("refuse")).await;
        assert!(send(&url, &CallbackProfile::default(), "jiangsu", "right").await.is_err());
        assert!(send(&url, &CallbackProfile::default(), "jiangsu", "right").await.is_ok());
        let url = started(options("hang")).await;
        let profile = CallbackProfile::default();
        let hung =
            tokio::time::timeout(std::time::Duration::from_millis(200), send(&url, &profile, "jiangsu", "right"));
        assert!(hung.await.is_err());
        assert!("explode".parse::<Play>().is_err());
    }

    #[tokio::test]
    async fn what_came_is_kept_without_secrets() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("alerts.jsonl");
        let url = started(PlatformOptions { out: Some(path.clone()), ..options("answer") }).await;
        send(&url, &CallbackProfile::default(), "jiangsu", "right").await.expect("an answer");
        let kept = std::fs::read_to_string(path).expect("kept");
        assert_eq!(
            kept,
            "{\"call\":1,\"operation\":\"NotifySubAccountSpaceAlert\",\"account\":\"jiangsu\",\"s3ak\":\"AK1\",\
             \"alert\":\"nearly_full\",\"alert_type\":2,\"did\":\"result 0\"}\n"
        );
    }

    #[tokio::test]
    async fn its_wsdl_tells_where_it_is() {
        let url = started(options("answer")).await;
        let request = Request::get(format!("{url}?wsdl")).body(Full::<Bytes>::default()).expect("a request");
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(&format!("<soap12:address location=\"{url}\"/>")));
    }
}
