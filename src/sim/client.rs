//! The client that strangers share: one keep-alive connection, S3 signing, SOAP calls, contents that can be checked.
//!
//! Absent: redirects and retries. What a server answers is what is reported.

use std::io;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::tls::{ClientStream, MaybeTls, Trust, why_untrusted};

pub mod content;
pub mod operations;
pub mod s3;
pub mod soap;
pub mod tally;
pub mod trust;
pub mod units;

pub use content::{Content, Pattern};
pub use s3::{Credentials, S3, Signature};
pub use soap::{Exchange, OpenedSubAccount, Platform, SoapVersion};
pub use tally::Tally;
pub use trust::TrustOptions;

/// No server that works takes longer for one request.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Answers that are read whole are short: an error, a listing, an envelope.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Why there is no answer, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one that this client can call.
    #[error("{0:?} is not http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")]
    Endpoint(String),
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// HTTP failed.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// A path, a header or a key cannot be sent.
    #[error("cannot be sent: {0}")]
    Unsendable(String),
    /// Nothing was answered in two minutes.
    #[error("no answer in {} seconds", TIMEOUT.as_secs())]
    Timeout,
    /// The answer is not what was asked for.
    #[error("{0}")]
    Answer(String),
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`, to connect to.
    address: String,
    /// `host[:port]`, as the Host header has it.
    host: String,
    /// The path of the URL with its query; `/` where it has none.
    path: String,
    /// Whether it is called over TLS.
    secured: bool,
}

/// A connection that is made when it is needed and kept while the server keeps it.
#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    trust: Trust,
    sender: Option<SendRequest<Content>>,
}

/// An answer that was read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

// === impl Endpoint ===

impl Endpoint {
    /// From `http://host[:port][/path]`, or the same with https.
    ///
    /// # Errors
    ///
    /// The text is no such URL.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Endpoint(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let secured = uri.scheme() == Some(&Scheme::HTTPS);
        let authority = uri.authority().filter(|_| secured || uri.scheme() == Some(&Scheme::HTTP)).ok_or_else(wrong)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(wrong());
        }
        let usual = if secured { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        let host = if port == usual { authority.host().to_owned() } else { format!("{}:{port}", authority.host()) };
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        Ok(Self { address: format!("{}:{port}", authority.host()), host, path, secured })
    }

    /// With this path where the URL named none.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if self.path == "/" {
            path.clone_into(&mut self.path);
        }
        self
    }

    /// `host:port`, to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host[:port]`, as it is sent and signed.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is called over TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The host alone, as a certificate names it.
    pub fn name(&self) -> &str {
        self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host)
    }

    /// The path of the URL.
    pub fn path(&self) -> &str {
        &self.path
    }
}

// === impl Connection ===

impl Connection {
    /// A connection that is not made yet.
    pub fn new(endpoint: Endpoint, trust: Trust) -> Self {
        Self { endpoint, trust, sender: None }
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and gives the answer as soon as its head is there. The body must be read to
    /// its end, or the connection is made anew for the next request.
    ///
    /// # Errors
    ///
    /// There is no connection, or it breaks; the request is not sent twice.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let host = self.endpoint.host.clone();
        self.send_to_host(&host, method, target, headers, body).await
    }

    /// As [`Connection::send`], with another Host header than the URL's.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub async fn send_to_host(
        &mut self,
        host: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::new(body);
        *request.method_mut() = method.parse().map_err(|_| ClientError::Unsendable(method.to_owned()))?;
        *request.uri_mut() = target.parse().map_err(|_| ClientError::Unsendable(target.to_owned()))?;
        for (name, value) in std::iter::once(&("host", host)).chain(headers) {
            let unsendable = || ClientError::Unsendable((*name).to_owned());
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unsendable())?;
            request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?, value);
        }
        let answer = tokio::time::timeout(TIMEOUT, async {
            let mut sender = self.ready().await?;
            let answer = sender.send_request(request).await?;
            Ok::<_, ClientError>((sender, answer))
        });
        let (sender, answer) = answer.await.map_err(|_| ClientError::Timeout)??;
        self.sender = Some(sender);
        Ok(answer)
    }

    /// As [`Connection::send`], with the answer read whole.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and where the answer is longer than 8 MiB.
    pub async fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Content,
    ) -> Result<Answer, ClientError> {
        let answer = self.send(method, target, headers, body).await?;
        read_whole(answer).await
    }

    /// Ends the connection; the next request makes another.
    pub fn hang_up(&mut self) {
        self.sender = None;
    }

    async fn ready(&mut self) -> Result<SendRequest<Content>, ClientError> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.endpoint.address).await?;
        stream.set_nodelay(true)?;
        let stream: MaybeTls<TcpStream, ClientStream<TcpStream>> = if self.endpoint.secured {
            MaybeTls::Tls(Box::new(self.trust.connect(self.endpoint.name(), stream).await.map_err(told)?))
        } else {
            MaybeTls::Plain(stream)
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with its sender; what went wrong is told to who waits for the answer.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// With words of what is wrong with the server's certificate, and what helps.
pub fn told(error: io::Error) -> io::Error {
    match why_untrusted(&error) {
        Some(words) => io::Error::other(format!("the server's https cannot be used: {words} (--ca FILE, --insecure)")),
        None => error,
    }
}

/// The whole of an answer.
///
/// # Errors
///
/// The connection breaks, or the answer is longer than 8 MiB.
pub async fn read_whole(answer: Response<Incoming>) -> Result<Answer, ClientError> {
    let status = answer.status().as_u16();
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    while let Some(frame) = tokio::time::timeout(TIMEOUT, incoming.frame()).await.map_err(|_| ClientError::Timeout)? {
        if let Ok(data) = frame?.into_data() {
            if body.len().saturating_add(data.len()) > ANSWER_BYTES_MAX {
                return Err(ClientError::Answer("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_host_port_and_path() {
        let parse = |text| Endpoint::parse(text).unwrap();
        let with_port = parse("http://127.0.0.1:9001/services/VideoCloudStorage");
        assert_eq!((with_port.host(), with_port.path()), ("127.0.0.1:9001", "/services/VideoCloudStorage"));
        let usual = parse("http://store.example:80");
        assert_eq!((usual.host(), usual.address.as_str(), usual.path()), ("store.example", "store.example:80", "/"));
        assert_eq!(parse("http://[::1]:9000").address, "[::1]:9000");
        let secured = parse("https://store.example/a");
        assert_eq!(
            (secured.host(), secured.address(), secured.name()),
            ("store.example", "store.example:443", "store.example")
        );
        assert!(secured.is_secured() && !usual.is_secured());
        assert_eq!(parse("https://[::1]:9000").name(), "[::1]");
    }

    #[test]
    fn what_cannot_be_called_is_no_endpoint() {
        for text in ["", "https://", "a:9000", "ftp://a", "http://", "http://u:p@a/", "http://a b"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
