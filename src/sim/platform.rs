//! The simulated platform: serves the callback of section 8, and behaves as badly as it is told to; with a console in
//! the browser, from which the nine operations are called.
//!
//! A stranger: it knows the wire and the WSDL, never the engine. It prints no password and no secret key unless told to.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::client::{TrustOptions, units};
use crate::tls::{self, MaybeTls, ServerStream};
use crate::world::{Clock, os};

mod callback;
mod console;
mod desk;
mod fill;
mod play;

pub use callback::Got;
pub use desk::{Desk, SubAccount};
pub use play::Play;

const PATH: &str = "/services/AlertCallback";
/// Where the console is, where nobody says and nobody else is.
const CONSOLE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9005));

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
    /// Where the console calls the operations of section 7
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9001/services/VideoCloudStorage")]
    pub soap: String,
    /// Where the console is; it asks for no password [default: 127.0.0.1:9005, where that is free]
    #[arg(long, value_name = "ADDR")]
    pub console: Option<SocketAddr>,
    /// Have no console
    #[arg(long, conflicts_with = "console")]
    pub no_console: bool,
    /// What the server takes for a GB (space.bytes_per_gb), for the buttons that fill a sub-account
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = units::size)]
    pub bytes_per_gb: u64,
    /// What to do with a call: answer, fail (HTTP 500), hang, refuse (close without an answer), fault, result=N,
    /// charset (GBK where it says UTF-8), or slow=SECONDS
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
    /// Whom the console trusts
    #[command(flatten)]
    pub trust: TrustOptions,
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
            soap: "http://127.0.0.1:9001/services/VideoCloudStorage".to_owned(),
            console: None,
            no_console: true,
            bytes_per_gb: 1 << 30,
            play: Play::Answer,
            first: 0,
            out: None,
            json: true,
            show_secrets: true,
            trust: TrustOptions::default(),
        }
    }
}

struct Platform {
    options: PlatformOptions,
    address: SocketAddr,
    desk: Arc<Desk>,
    out: Option<Mutex<File>>,
    /// Who is told of calls instead of standard output.
    feed: Option<UnboundedSender<Got>>,
}

/// The connection shall be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("refused as told")]
struct Refused;

type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// A platform that stands; it goes when it is dropped.
pub struct Stand {
    /// URL of its callback.
    pub callback: String,
    /// URL of its console, where it has one.
    pub console: Option<String>,
    /// What it knows.
    pub desk: Arc<Desk>,
    listeners: JoinSet<()>,
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
///
/// An address cannot be listened on, or a file cannot be read or written.
pub async fn run(options: PlatformOptions) -> io::Result<()> {
    let stop = stop_signal()?;
    let stand = Stand::start(options, None, os::world().clock).await?;
    say(&format!("listening on {}", stand.callback));
    if let Some(console) = &stand.console {
        say(&format!("console on {console}"));
    }
    tokio::select! {
        () = stop => {}
        () = stand.last() => {}
    }
    Ok(())
}

/// Ctrl-C or SIGTERM.
///
/// # Errors
///
/// The system takes no handler.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A platform beside whoever asks for it: its URL, and the calls that it takes. It goes when nobody takes them any more.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn beside(options: PlatformOptions) -> io::Result<(String, UnboundedReceiver<Got>)> {
    let (feed, calls) = tokio::sync::mpsc::unbounded_channel();
    let over = feed.clone();
    let stand = Stand::start(options, Some(feed), os::world().clock).await?;
    let url = stand.callback.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = over.closed() => {}
            () = stand.last() => {}
        }
    });
    Ok((url, calls))
}

// === impl Stand ===

impl Stand {
    /// Listens, and serves until it is dropped.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on, or a file cannot be read or written.
    pub async fn start(
        options: PlatformOptions,
        feed: Option<UnboundedSender<Got>>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::new(&options, clock)?);
        let out = match &options.out {
            Some(path) => Some(Mutex::new(File::options().create(true).append(true).open(path)?)),
            None => None,
        };
        let acceptor = match (&options.cert, &options.key) {
            (Some(cert), Some(key)) => {
                Some(tls::identity(cert, key).map_err(|(_, bad)| io::Error::other(bad))?.acceptor())
            }
            _ => None,
        };
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let callback = format!("{scheme}://{address}{PATH}");
        let mut listeners = JoinSet::new();
        let mut console_url = None;
        if let Some(listener) = console_listener(&options).await? {
            console_url = Some(format!("http://{}/", listener.local_addr()?));
            let console = Arc::new(console::Console::new(Arc::clone(&desk), callback.clone()));
            listeners.spawn(serve(listener, None, move |request| {
                let console = Arc::clone(&console);
                async move { Ok(console.answer(request).await) }
            }));
        }
        let platform = Arc::new(Platform { options, address, desk: Arc::clone(&desk), out, feed });
        listeners.spawn(serve(listener, acceptor, move |request| {
            let platform = Arc::clone(&platform);
            async move { platform.take(request).await }
        }));
        Ok(Self { callback, console: console_url, desk, listeners })
    }

    /// As long as it serves.
    pub async fn last(mut self) {
        while self.listeners.join_next().await.is_some() {}
    }
}

/// An address that somebody named must be free; the usual one is taken where it is.
async fn console_listener(options: &PlatformOptions) -> io::Result<Option<TcpListener>> {
    match options.console {
        _ if options.no_console => Ok(None),
        Some(address) => TcpListener::bind(address).await.map(Some),
        None => Ok(TcpListener::bind(CONSOLE).await.ok()),
    }
}

async fn serve<Served, Answering>(listener: TcpListener, acceptor: Option<tls::Acceptor>, answer: Served)
where
    Served: Fn(Request<Incoming>) -> Answering + Clone + Send + Sync + 'static,
    Answering: Future<Output = Result<Answer, Refused>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: they come back as calls end.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (answer, acceptor) = (answer.clone(), acceptor.clone());
        connections.spawn(async move {
            let stream: MaybeTls<TcpStream, ServerStream<TcpStream>> = match acceptor {
                None => MaybeTls::Plain(stream),
                // Who agrees on no TLS has seen so himself.
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => MaybeTls::Tls(Box::new(stream)),
                    Err(_) => return,
                },
            };
            // A caller that hangs up, and a refusal as told, both end here.
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

impl Platform {
    fn keep(&self, got: &Got) {
        self.desk.alert(got);
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
            "{} {} account {:?} S3AK {:?} alert {:?}{secrets}: {}, {}",
            got.call, got.operation, got.account, got.s3ak, got.alert, got.check, got.did
        ));
    }
}

fn page(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/html; charset=utf-8", format!("<html><body>{text}</body></html>\n"))
}

fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
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
    use http_body_util::BodyExt;
    use hyper::Request;

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
            ..PlatformOptions::quiet("127.0.0.1:0".parse().expect("an address"), "jiangsu")
        }
    }

    /// A platform in the background, and where it is.
    async fn started(options: PlatformOptions) -> String {
        let stand = Stand::start(options, None, os::world().clock).await.expect("a port");
        let url = stand.callback.clone();
        tokio::spawn(stand.last());
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
        let url = started(options("charset")).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let message = callback::write(
            &profile,
            Alert::Full,
            Whose { account: "jiangsu", password: "right", access_key: "A", secret: "S" },
        );
        let request =
            Request::post(&url).header("content-type", message.content_type).body(Full::new(Bytes::from(message.body)));
        let answer = client.request(request.expect("a request")).await.expect("an answer");
        assert!(answer.headers()["content-type"].to_str().expect("text").contains("utf-8"));
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(std::str::from_utf8(&body).is_err(), "it says UTF-8 and is not");
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
             \"alert\":\"nearly_full\",\"alert_type\":2,\"check\":\"right\",\"did\":\"result 0\"}\n"
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
