//! A plain HTTP/1.1 client over a Unix socket, for the command line.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Coming {
    /// Its status.
    pub status: StatusCode,
    /// Its body; one that ends too soon ends with an error.
    pub body: UnsyncBoxBody<Bytes, io::Error>,
}

/// One request over the socket at `path`. No time limit: a scrub reads everything.
/// Errors of the kinds `NotFound` and `ConnectionRefused` mean that nobody listens.
pub async fn request(path: &Path, method: Method, target: &str, body: Bytes) -> io::Result<Answer> {
    let Coming { status, body } = open(path, method, target, body).await?;
    Ok(Answer { status, body: body.collect().await?.to_bytes() })
}

/// As [`request`], for an answer that is too large to be held.
pub async fn open(path: &Path, method: Method, target: &str, body: Bytes) -> io::Result<Coming> {
    let stream = UnixStream::connect(path).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with the answer: the connection is closed behind it.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    Ok(Coming { status, body: response.into_body().map_err(io::Error::other).boxed_unsync() })
}
