//! The accept loop, one task a connection, and the drain.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::io::{Traffic, UnderWay, Watched};
use super::{Limits, LiveRouter, Peer};
use crate::telemetry::Plane;

/// A socket that connections come from.
pub trait Accept: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection and, over TCP, who is there.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;
    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers are small and whole; nothing is won by holding them back. A socket that is gone
        // already tells so at the first read.
        let _ = stream.set_nodelay(true);
        Ok((stream, Some(peer)))
    }
}

impl Accept for UnixListener {
    type Io = UnixStream;
    async fn accept(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        Ok((UnixListener::accept(self).await?.0, None))
    }
}

/// Serves a plane until `shutdown`; then takes no more connections, lets requests under way finish
/// for at most [`Limits::grace`], and cuts what is left. Returns when no connection is open.
pub async fn serve<A: Accept>(
    listener: A,
    router: impl Into<LiveRouter>,
    limits: Limits,
    plane: Arc<Plane>,
    shutdown: CancellationToken,
) {
    let router = router.into();
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    while let Some((io, peer, place)) = next(&listener, &places, &plane, &shutdown).await {
        let connection = connection(io, peer, router.clone(), limits, Arc::clone(&plane), shutdown.clone());
        let (plane, cut) = (Arc::clone(&plane), cut.clone());
        connections.spawn(async move {
            let _place = place;
            let _open = plane.connection();
            let end = cut.run_until_cancelled_owned(AssertUnwindSafe(connection).catch_unwind()).await;
            if let Some(Err(_panic)) = end {
                tracing::error!(plane = plane.name(), "a connection ended in a panic");
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.grace, connections.wait()).await.is_err() {
        tracing::warn!(plane = plane.name(), open = connections.len(), "cutting connections that did not finish");
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection; `None` at the shutdown.
async fn next<A: Accept>(
    listener: &A,
    places: &Arc<Semaphore>,
    plane: &Plane,
    shutdown: &CancellationToken,
) -> Option<(A::Io, Option<SocketAddr>, tokio::sync::OwnedSemaphorePermit)> {
    let accept = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        let mut pause = Duration::from_millis(5);
        loop {
            match listener.accept().await {
                Ok((io, peer)) => return Some((io, peer, place)),
                // The client gave up while it waited in the queue: nothing to wait for.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    // Mostly: too many open files. Connections that end make room; spinning does not.
                    plane.accept_failed();
                    tracing::warn!(plane = plane.name(), %error, "cannot accept a connection; waiting");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    };
    shutdown.run_until_cancelled(accept).await.flatten()
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: T,
    peer: Option<SocketAddr>,
    router: LiveRouter,
    limits: Limits,
    plane: Arc<Plane>,
    shutdown: CancellationToken,
) {
    let (io, traffic) = Watched::new(io, limits, Arc::clone(&plane));
    let name = plane.name();
    let service =
        service_fn(move |request| answer(request, peer, router.get(), Arc::clone(&plane), Arc::clone(&traffic)));
    let connection = http1::Builder::new()
        .keep_alive(true)
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(128 << 10))
        // Held-back flushes would lose the 431: hyper does not flush while unread bytes wait.
        .pipeline_flush(false)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(plane = name, %error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Option<SocketAddr>,
    router: axum::Router,
    plane: Arc<Plane>,
    traffic: Arc<Traffic>,
) -> Result<Response<Counted>, std::convert::Infallible> {
    let under_way = UnderWay::begin(&traffic);
    if traffic.says_two_lengths() {
        let response = closing(StatusCode::BAD_REQUEST);
        plane.answered(response.status());
        return Ok(response.map(|body| Counted { body, _under_way: under_way }));
    }
    let mut request = request.map(Body::new);
    if let Some(peer) = peer {
        request.extensions_mut().insert(Peer(peer));
    }
    // Without the query: it may hold a signature that is good for a day.
    let told =
        tracing::enabled!(tracing::Level::DEBUG).then(|| (request.method().clone(), request.uri().path().to_owned()));
    let routed = AssertUnwindSafe(router.oneshot(request)).catch_unwind().await;
    let response = routed.map_or_else(|_panic| broken(), |answered| answered.unwrap_or_else(|never| match never {}));
    plane.answered(response.status());
    if let Some((method, path)) = told {
        tracing::debug!(plane = plane.name(), %method, path, status = response.status().as_u16(), "answered");
    }
    Ok(response.map(|body| Counted { body, _under_way: under_way }))
}

/// What a client is told where a handler panicked. The panic's text went to the log by the hook.
fn broken() -> Response<Body> {
    tracing::error!("a request ended in a panic");
    closing(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An empty answer, and the end of the connection.
fn closing(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An answer's body that knows when it is over.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl http_body::Body for Counted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::telemetry::Metrics;
    use axum::Router;
    use axum::routing::{any, get, put};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Server {
        address: SocketAddr,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    fn routes() -> Router {
        Router::new()
            .route(
                "/",
                get(|request: axum::extract::Request| async move {
                    format!("peer {}", request.extensions().get::<Peer>().is_some())
                }),
            )
            .route("/refuse", put(|| async { StatusCode::FORBIDDEN }))
            .route("/take", put(|body: bytes::Bytes| async move { format!("took {}", body.len()) }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    "slow"
                }),
            )
            .route(
                "/ponder",
                put(|request: axum::extract::Request| async move {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    match axum::body::to_bytes(request.into_body(), 100).await {
                        Ok(body) => format!("took {}", body.len()),
                        Err(why) => format!("failed: {why}"),
                    }
                }),
            )
            .route(
                "/long",
                get(|| async {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    "long"
                }),
            )
            .route("/panic", any(async || -> StatusCode { panic!("a test's panic") }))
    }

    async fn start(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let metrics = Arc::new(Metrics::default());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, routes(), limits, Arc::clone(&metrics.s3), shutdown.clone()));
        Server { address, metrics, shutdown, task }
    }

    fn short() -> Limits {
        Limits {
            head_time: Duration::from_millis(200),
            idle_time: Duration::from_millis(600),
            grace: Duration::from_millis(500),
            ..Limits::default()
        }
    }

    async fn exchange(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.contains(wanted) {
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
            let read = read.expect("in time").expect("open");
            assert!(read > 0, "closed after {text:?}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        text
    }

    #[tokio::test]
    async fn a_request_knows_its_peer_and_is_counted() {
        let server = start(Limits::default()).await;
        let answer = exchange(&server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("peer true"), "{answer}");
        assert!(
            server
                .metrics
                .render(None, Duration::ZERO)
                .contains("kandian_http_requests_total{plane=\"s3\",status=\"2xx\"} 1\n")
        );
    }

    #[tokio::test]
    async fn a_request_with_two_lengths_is_refused_and_what_follows_is_nobodys() {
        let server = start(Limits::default()).await;
        let smuggled = "0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for lengths in [
            "Content-Length: 45\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 45\r\n",
            "Content-Length: 45\r\nContent-Length: 45\r\n",
            "Content-Length: 45\r\nContent-Length: 4\r\n",
            "Content-Length: 45, 45\r\n",
            "Content-Length: +45\r\n",
            "Content-Length: 4 5\r\n",
            "Content-Length : 45\r\n",
            "Content-Length:\r\n 45\r\n",
            "Content-Length: 45\0\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            // Behind one that was served: every head of a connection is looked at.
            let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            let mut stream = TcpStream::connect(server.address).await.expect("it listens");
            stream.write_all(first.as_bytes()).await.expect("open");
            read_until(&mut stream, "peer true").await;
            let head = format!("PUT /take HTTP/1.1\r\nHost: a\r\n{lengths}\r\n{smuggled}");
            stream.write_all(head.as_bytes()).await.expect("open");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("closed in order");
            assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lengths:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn http_1_0_is_answered_and_closed() {
        let server = start(Limits::default()).await;
        let begun = Instant::now();
        let answer = exchange(&server, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.ends_with("peer true"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn requests_in_a_pipeline_are_answered_in_order() {
        let server = start(Limits::default()).await;
        let three = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nPUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
                     GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = exchange(&server, three).await;
        let at = |text: &str| answer.find(text).unwrap_or_else(|| panic!("{text} in {answer}"));
        assert!(at("slow") < at("403 Forbidden") && at("403 Forbidden") < at("peer true"), "{answer}");
    }

    #[tokio::test]
    async fn a_refused_upload_is_not_told_to_go_on() {
        let server = start(Limits::default()).await;
        let head =
            |path: &str| format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        let answer = exchange(&server, &head("/refuse")).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(head("/take").as_bytes()).await.expect("open");
        read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
        stream.write_all(b"hello").await.expect("open");
        read_until(&mut stream, "took 5").await;
    }

    #[tokio::test]
    async fn a_refused_upload_that_is_under_way_still_sees_its_refusal() {
        let server = start(Limits::default()).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(b"PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n").await.expect("open");
        let block = vec![0; 100_000];
        for _ in 0..40 {
            stream.write_all(&block).await.expect("not reset");
        }
        read_until(&mut stream, "403 Forbidden").await;
    }

    #[tokio::test]
    async fn a_client_that_closes_its_side_still_gets_its_answer() {
        let server = start(Limits::default()).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        stream.shutdown().await.expect("open");
        read_until(&mut stream, "slow").await;
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_answered_431() {
        let server = start(Limits::default()).await;
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000));
        let answer = exchange(&server, &long).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let many: String = (0..129).map(|i| format!("X-{i}: 1\r\n")).collect();
        let answer = exchange(&server, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let most: String = (0..126).map(|i| format!("X-{i}: 1\r\n")).collect();
        let answer = exchange(&server, &format!("GET / HTTP/1.1\r\nHost: a\r\n{most}Connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let answer = exchange(&server, "nonsense\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[tokio::test]
    async fn a_head_that_dawdles_ends_the_connection() {
        let server = start(short()).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let begun = Instant::now();
        // A byte each 50 ms: the socket is never quiet for long, and still it is over in time.
        for _ in 0..40 {
            if stream.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_head_that_came_in_time_is_not_late_because_its_body_is_read_later() {
        let server = start(short()).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(b"PUT /ponder HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await.expect("open");
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The first read after the head finds bytes: nobody has seen the socket empty in between.
        stream.write_all(b"llo").await.expect("open");
        read_until(&mut stream, "took 5").await;
    }

    #[tokio::test]
    async fn an_idle_connection_lives_longer_than_a_slow_head_but_not_for_ever() {
        let server = start(short()).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        read_until(&mut stream, "peer true").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        read_until(&mut stream, "slow").await;
        let begun = Instant::now();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert!((400..1500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_request_only() {
        let server = start(Limits::default()).await;
        let answer = exchange(&server, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        let answer = exchange(&server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(answer.ends_with("peer true"), "{answer}");
    }

    #[tokio::test]
    async fn a_stop_lets_requests_finish_and_cuts_those_that_do_not() {
        let server = start(short()).await;
        let mut idle = TcpStream::connect(server.address).await.expect("it listens");
        let mut slow = TcpStream::connect(server.address).await.expect("it listens");
        let mut long = TcpStream::connect(server.address).await.expect("it listens");
        slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        long.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        server.shutdown.cancel();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
        read_until(&mut slow, "slow").await;
        server.task.await.expect("it ends");
        assert!((400..2000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert_eq!(long.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
