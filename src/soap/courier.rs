//! The client of section 8: one POST of one alert, and what came of it. Contract, section 6.
//!
//! Absent: repeats and schedules, which are the outbox's; redirects, because the body holds secrets.

use std::error::Error as _;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;

use axum::http::{HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::dial::Dial;
use crate::domain::Secret;
use crate::domain::limits;
use crate::engine::{Attempt, Courier, Delivery, Notice};
use crate::tls::{Trust, why_untrusted};
use crate::wire::soap::callback::{self, Whose};

/// Delivers alerts over HTTP or HTTPS, a connection each: a platform that hangs holds up nobody else's.
#[derive(Clone)]
pub struct SoapCourier {
    client: Client<Dial, Full<Bytes>>,
    dial: Dial,
}

impl SoapCourier {
    /// Ready to send to platforms that are trusted so, where their URL says https.
    pub fn new(trust: Trust) -> Self {
        let dial = Dial::new(trust);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            // The outbox repeats, and counts; nobody below it may.
            .retry_canceled_requests(false)
            // Platforms of these years look for `Content-Type`, not for `content-type`.
            .http1_title_case_headers(true)
            .build(dial.clone());
        Self { client, dial }
    }

    /// Trusts others from the next alert on.
    pub fn believe(&self, trust: Trust) {
        self.dial.believe(trust);
    }
}

impl Courier for SoapCourier {
    fn deliver(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        let attempt = self.attempt(notice);
        Box::pin(async move { attempt.await.delivery })
    }

    fn preview(&self, notice: &Notice) -> String {
        shown(notice)
    }

    fn attempt(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Attempt> + Send>> {
        let client = self.client.clone();
        Box::pin(async move {
            let timeout = notice.timeout;
            let mut trace = Trace { request: shown(&notice), status: None, answer: String::new() };
            let delivery = match tokio::time::timeout(timeout, exchange(client, notice, &mut trace)).await {
                Ok(Ok(0)) => Delivery::Delivered,
                Ok(Ok(number)) => Delivery::Result(number),
                Ok(Err(why)) => Delivery::Failed(why),
                Err(_) => Delivery::Failed(format!("no answer within {} ms", timeout.as_millis())),
            };
            let Trace { request, status, answer } = trace;
            Attempt { delivery, request, status, answer }
        })
    }
}

/// Bytes of an answer that are kept.
const ANSWER_SHOWN_MAX: usize = 1024;
/// Bytes of a request that are kept.
const REQUEST_SHOWN_MAX: usize = 4096;
const MASK: &str = "***";

/// What operators see of an exchange.
struct Trace {
    request: String,
    status: Option<u16>,
    answer: String,
}

/// The request as operators see it: the message is written anew with masks where the secrets are.
fn shown(notice: &Notice) -> String {
    let message = callback::write(
        &notice.profile,
        notice.alert,
        Whose {
            account: notice.account.as_str(),
            password: MASK,
            access_key: notice.access_key.as_str(),
            secret: MASK,
        },
    );
    // Whoever put a password into the URL's query has it masked with the query.
    let url = notice.url.split('?').next().unwrap_or_default();
    let url = match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{MASK}@{host}"),
        _ => url.to_owned(),
    };
    let action = message.soap_action.map(|action| format!("SOAPAction: {action}\n")).unwrap_or_default();
    let head = format!("POST {url}\nContent-Type: {}\n{action}\n", message.content_type);
    head + &start_of(&String::from_utf8_lossy(&message.body), REQUEST_SHOWN_MAX)
}

/// The first bytes of a text, cut between characters, control characters as spaces.
fn start_of(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let space = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text[..end].chars().map(space).collect()
}

/// The first bytes of an answer; a platform that sends our secrets back has them masked.
fn shown_answer(body: &[u8], password: &Secret, secret: &Secret) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for hidden in [password.expose(), secret.expose()].into_iter().filter(|hidden| !hidden.is_empty()) {
        text = text.replace(hidden, MASK);
    }
    start_of(&text, ANSWER_SHOWN_MAX)
}

/// The Result that the platform answers with, or in words why there is none. The words hold nothing of message, URL or answer.
async fn exchange(client: Client<Dial, Full<Bytes>>, notice: Notice, trace: &mut Trace) -> Result<i32, String> {
    let request = request(&notice)?;
    let Notice { password, secret, .. } = notice;
    let response = client.request(request).await.map_err(|why| connection_words(&why))?;
    let status = response.status();
    trace.status = Some(status.as_u16());
    let content_type =
        response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), limits::CALLBACK_ANSWER_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    if let Ok(body) = &body {
        trace.answer = shown_answer(body, &password, &secret);
    }
    if status.is_redirection() {
        return Err(format!("HTTP {}: a redirect is not followed", status.as_u16()));
    }
    if !status.is_success() {
        return Err(format!("HTTP {}", status.as_u16()));
    }
    let body = body.map_err(|why| {
        let over = why.downcast_ref::<LengthLimitError>().is_some();
        if over { "the answer is over 64 KiB" } else { "the connection broke in the middle of the answer" }.to_owned()
    })?;
    callback::read_answer(&body, content_type.as_deref())
}

fn request(notice: &Notice) -> Result<Request<Full<Bytes>>, String> {
    let uri: Uri = notice.url.parse().map_err(|_| "the alert URL is not a URL".to_owned())?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) | None => return Err("the alert URL is neither http nor https".to_owned()),
    }
    let message = callback::write(
        &notice.profile,
        notice.alert,
        Whose {
            account: notice.account.as_str(),
            password: notice.password.expose(),
            access_key: notice.access_key.as_str(),
            secret: notice.secret.expose(),
        },
    );
    let value = |text: &str, what: &str| {
        HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| format!("the {what} of the account's callback is no header"))
    };
    let mut request = Request::new(Full::new(Bytes::from(message.body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, value(&message.content_type, "namespace or SOAPAction")?);
    if let Some(action) = &message.soap_action {
        headers.insert("soapaction", value(action, "SOAPAction")?);
    }
    Ok(request)
}

/// Why there was no answer, from the innermost cause that says.
fn connection_words(why: &hyper_util::client::legacy::Error) -> String {
    let mut cause = why.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            if let Some(words) = why_untrusted(io) {
                return format!("the platform's https cannot be used: {words}; alerts.ca names whom to trust");
            }
            return match io.kind() {
                ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "the host cannot be reached".to_owned(),
                ErrorKind::TimedOut => "the connection timed out".to_owned(),
                _ if why.is_connect() => "the host cannot be found or connected to".to_owned(),
                _ => "the connection broke".to_owned(),
            };
        }
        if let Some(hyper) = inner.downcast_ref::<hyper::Error>() {
            if hyper.is_incomplete_message() {
                return "the connection was closed without an answer".to_owned();
            }
            if hyper.is_parse() {
                return "the answer is not HTTP".to_owned();
            }
        }
        cause = inner.source();
    }
    if why.is_connect() { "the host cannot be found or connected to" } else { "the connection broke" }.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::{Alert, CallbackProfile};

    /// What the platform of a test does once it has the request.
    enum Plays {
        Says(String),
        Hangs,
        HangsUp,
    }

    fn notice(url: String, profile: CallbackProfile) -> Notice {
        Notice {
            url,
            profile,
            account: "jiangsu".parse().expect("a name"),
            password: Secret::new("pass-word-1"),
            access_key: "AK1".parse().expect("a key"),
            secret: Secret::new("secret-key-1"),
            alert: Alert::Full,
            timeout: Duration::from_millis(700),
        }
    }

    fn trust() -> Trust {
        Trust::of_system_and(None).expect("no file, no trouble")
    }

    /// One exchange: what the courier made of it, and what the platform got.
    async fn exchange_with(plays: Plays, profile: CallbackProfile) -> (Delivery, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/alerts?x=1", listener.local_addr().expect("bound"));
        let platform = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut got = Vec::new();
            while !whole(&got) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.expect("a request");
                assert!(read > 0, "the courier hung up");
                got.extend_from_slice(&piece[..read]);
            }
            match plays {
                Plays::Says(text) => {
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                Plays::Hangs => tokio::time::sleep(Duration::from_secs(2)).await,
                Plays::HangsUp => {}
            }
            String::from_utf8(got).expect("UTF-8")
        });
        let delivery = SoapCourier::new(trust()).deliver(notice(url, profile)).await;
        (delivery, platform.await.expect("the platform"))
    }

    fn whole(got: &[u8]) -> bool {
        let text = String::from_utf8_lossy(got);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        length.is_some_and(|length: usize| body.len() >= length)
    }

    fn http(status: &str, body: &str) -> Plays {
        Plays::Says(format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn soap(inside: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>{inside}</e:Body></e:Envelope>"
        )
    }

    #[tokio::test]
    async fn an_attempt_shows_what_was_sent_and_answered_and_no_secret() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://u:pass-word-1@{}/a?k=secret-key-1", listener.local_addr().expect("bound"));
        let platform = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut got = Vec::new();
            while !whole(&got) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.expect("a request");
                got.extend_from_slice(&piece[..read]);
            }
            let Plays::Says(text) = http("500 Oops", "we saw pass-word-1 and secret-key-1") else { return };
            let _ = stream.write_all(text.as_bytes()).await;
        });
        let attempt = SoapCourier::new(trust()).attempt(notice(url, CallbackProfile::default())).await;
        platform.await.expect("the platform");
        assert_eq!(attempt.delivery, Delivery::Failed("HTTP 500".to_owned()));
        assert_eq!(attempt.status, Some(500));
        assert_eq!(attempt.answer, "we saw *** and ***");
        assert!(attempt.request.contains("<Password>***</Password><S3AK>AK1</S3AK><S3SK>***</S3SK>"));
        assert!(!attempt.request.contains("pass-word-1") && !attempt.request.contains("secret-key-1"));
    }

    async fn came_of(plays: Plays) -> Delivery {
        exchange_with(plays, CallbackProfile::default()).await.0
    }

    #[tokio::test]
    async fn an_alert_is_one_post_with_the_headers_of_the_contract() {
        let answer = http("200 OK", &soap("<R><Result>0</Result></R>"));
        let (delivery, got) = exchange_with(answer, CallbackProfile::default()).await;
        assert_eq!(delivery, Delivery::Delivered);
        let (head, body) = got.split_once("\r\n\r\n").expect("head and body");
        let mut lines: Vec<_> = head.lines().map(str::to_lowercase).collect();
        assert_eq!(lines.remove(0), "post /alerts?x=1 http/1.1");
        lines.sort();
        let names: Vec<_> = lines.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(names, ["content-length", "content-type", "host", "soapaction"]);
        assert!(head.contains("\"urn:sjkd:alert-callback:v1_2#NotifySubAccountSpaceAlert\""), "{head}");
        assert!(
            body.contains("<Password>pass-word-1</Password><S3AK>AK1</S3AK><S3SK>secret-key-1</S3SK><AlertType>1<")
        );
    }

    #[tokio::test]
    async fn another_result_is_told_as_it_is() {
        assert_eq!(came_of(http("200 OK", &soap("<return>2</return>"))).await, Delivery::Result(2));
        assert_eq!(came_of(http("202 Accepted", &soap("<return>0</return>"))).await, Delivery::Delivered);
    }

    #[tokio::test]
    async fn everything_else_is_a_failure_without_secrets() {
        let good = soap("<Result>0</Result>");
        let cases = [
            (http("500 Internal Server Error", &soap("<e:Fault>pass-word-1</e:Fault>")), "HTTP 500"),
            (
                http("200 OK", &soap("<e:Fault><faultstring>pass-word-1</faultstring></e:Fault>")),
                "the platform answered with a Fault",
            ),
            (http("404 Not Found", &good), "HTTP 404"),
            (http("302 Found\r\nLocation: http://127.0.0.1:1/", &good), "HTTP 302: a redirect is not followed"),
            (http("200 OK", "<html><body>secret-key-1</body></html>"), "the answer is not a SOAP Envelope"),
            (http("200 OK", ""), "the answer is empty"),
            (http("204 No Content", ""), "the answer is empty"),
            (http("200 OK", &format!("<!DOCTYPE x>{good}")), "the answer cannot be read: a DOCTYPE is not accepted"),
            (http("200 OK", &format!("{good}{}", " ".repeat(64 << 10))), "the answer is over 64 KiB"),
            (
                Plays::Says(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{good}")),
                "the connection broke in the middle of the answer",
            ),
            (http("200 OK", &good[..good.len() - 3]), "the answer cannot be read: the document is not well-formed XML"),
            (Plays::Says("SSH-2.0-OpenSSH\r\n\r\n".to_owned()), "the answer is not HTTP"),
            (Plays::HangsUp, "the connection was closed without an answer"),
            (Plays::Hangs, "no answer within 700 ms"),
        ];
        for (plays, why) in cases {
            assert_eq!(came_of(plays).await, Delivery::Failed(why.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_platform_that_is_not_there_is_a_failure() {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
        for (url, why) in [
            (format!("http://127.0.0.1:{port}/"), "the connection was refused"),
            ("ftp://127.0.0.1/".to_owned(), "the alert URL is neither http nor https"),
            ("not a url".to_owned(), "the alert URL is not a URL"),
        ] {
            let delivery = SoapCourier::new(trust()).deliver(notice(url, CallbackProfile::default())).await;
            assert_eq!(delivery, Delivery::Failed(why.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_header_that_cannot_be_sent_is_a_failure_in_words() {
        let profile = CallbackProfile { soap_action: Some("a\nb".to_owned()), ..CallbackProfile::default() };
        let delivery = SoapCourier::new(trust()).deliver(notice("http://127.0.0.1:1/".to_owned(), profile)).await;
        assert_eq!(delivery, Delivery::Failed("the SOAPAction of the account's callback is no header".to_owned()));
    }

    /// A platform that speaks https as `name`, and its certificate.
    async fn secured(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("made");
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let acceptor = crate::tls::Identity::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair").acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/alerts", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            let Plays::Says(text) = http("200 OK", &soap("<Result>0</Result>")) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut got = Vec::new();
                while !whole(&got) {
                    let mut piece = [0; 4096];
                    let read = stream.read(&mut piece).await.expect("a request");
                    got.extend_from_slice(&piece[..read]);
                }
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (url, pem)
    }

    #[tokio::test]
    async fn https_goes_to_a_platform_that_is_trusted_and_to_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let (good, pem) = secured("127.0.0.1").await;
        let (misnamed, other) = secured("elsewhere.example").await;
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, pem + &other).expect("writable");
        let courier = SoapCourier::new(trust());
        let deliver = async |courier: &SoapCourier, url: &str| {
            courier.deliver(notice(url.to_owned(), CallbackProfile::default())).await
        };
        let Delivery::Failed(why) = deliver(&courier, &good).await else { panic!("delivered to a stranger") };
        assert!(why.contains("of nobody that is trusted here; alerts.ca names whom to trust"), "{why}");
        courier.believe(Trust::of_system_and(Some(&file)).expect("roots"));
        assert_eq!(deliver(&courier, &good).await, Delivery::Delivered);
        let Delivery::Failed(why) = deliver(&courier, &misnamed).await else { panic!("delivered to another") };
        assert!(why.contains("its certificate is for another name"), "{why}");
        let Delivery::Failed(why) = deliver(&courier, &good.replace("https", "http")).await else { panic!("plain") };
        assert!(!why.is_empty());
        // And https to who speaks plain HTTP.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        let Delivery::Failed(why) = deliver(&courier, &url).await else { panic!("no TLS") };
        assert!(why.contains("it does not speak TLS"), "{why}");
    }
}
