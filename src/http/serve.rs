//! The accept loop, one task a connection, and the drain.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Seen, answer};
use super::io::{Traffic, Watched};
use super::places::{Places, Seat, Spare, is_out_of_descriptors};
use super::{Limits, LiveRouter};
use crate::telemetry::Plane;

/// A socket that connections come from.
pub trait Accept: AsFd + Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection and, over TCP, who is there. What takes as long as the client does is left to the connection's
    /// own task.
    fn accept(
        &self,
        limits: &Limits,
        router: &LiveRouter,
    ) -> impl Future<Output = io::Result<(Opening<Self::Io>, Option<SocketAddr>)>> + Send;
}

/// What comes before the first byte of HTTP: nothing, or a handshake. It has [`Limits::head_time`].
pub type Opening<T> = Pin<Box<dyn Future<Output = io::Result<Opened<T>>> + Send>>;

/// A connection on which HTTP can begin.
#[derive(Debug)]
pub struct Opened<T> {
    /// The connection.
    pub io: T,
    /// Whether nobody in between can read it.
    pub secured: bool,
}

/// As it came.
fn plain<T: Send + 'static>(io: T) -> Opening<T> {
    Box::pin(std::future::ready(Ok(Opened { io, secured: false })))
}

/// The next connection of a socket.
pub(super) async fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    // Answers are small and whole; nothing is won by holding them back. A socket that is gone
    // already tells so at the first read.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer))
}

impl Accept for TcpListener {
    type Io = TcpStream;
    async fn accept(&self, _: &Limits, _: &LiveRouter) -> io::Result<(Opening<TcpStream>, Option<SocketAddr>)> {
        let (stream, peer) = accept_tcp(self).await?;
        Ok((plain(stream), Some(peer)))
    }
}

impl Accept for UnixListener {
    type Io = UnixStream;
    async fn accept(&self, _: &Limits, _: &LiveRouter) -> io::Result<(Opening<UnixStream>, Option<SocketAddr>)> {
        Ok((plain(UnixListener::accept(self).await?.0), None))
    }
}

/// Unsent bytes of a connection that the kernel takes at most. It would take megabytes: ten thousand slow readers would
/// fill its memory, and one that reads slowly would look as if it had stopped, because for a minute there is no room.
const UNSENT_MAX: u32 = 256 << 10;
/// How long a client that says nothing is told goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long whoever comes at a stop is told to come back, before the port is closed as the contract has it.
const PARTING: Duration = Duration::from_secs(5);
/// How long, after that, those are heard whose connection was taken and who have said nothing yet.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How often a plane that stops looks whether all is finished.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Connections that wait to be accepted: cameras that all come back after a power cut.
const QUEUE: u32 = 4096;

/// A socket that listens on `address`.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Connections have it from the socket that they come from. A kernel without it has only more to hold.
    let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_MAX);
    socket.listen(QUEUE)
}

/// A socket that listens already, and that somebody else has made.
pub fn adopt(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_MAX);
    TcpListener::from_std(socket)
}

/// Serves a plane until `shutdown`; then takes no more connections, lets requests under way finish
/// for at most [`Limits::grace`], and cuts what is left. Where [`LiveRouter::part_with`] has given words for it,
/// whoever comes in the first seconds hears them, while there is something to finish. Returns when no connection is open.
pub async fn serve<A: Accept>(
    listener: A,
    router: impl Into<LiveRouter>,
    limits: Limits,
    plane: Arc<Plane>,
    shutdown: CancellationToken,
) {
    let router = router.into();
    let connections = TaskTracker::new();
    let (shut, closes, cut) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let part = async {
        shutdown.cancelled().await;
        let (now, grace) = (Instant::now(), router.grace(&limits));
        let deadline = now + grace;
        if router.part() {
            let _ = tokio::time::timeout_at(now + grace.min(PARTING), finished(&plane)).await;
            shut.cancel();
            // Who came through the door just before it was shut is still about to speak.
            let _ = tokio::time::timeout(grace.min(LAST_WORDS), nobody(&plane)).await;
        }
        shut.cancel();
        closes.cancel();
        deadline
    };
    let accept = async {
        // The port is closed with the end of this block.
        let listener = listener;
        let places = Places::new(&plane, limits.connections);
        let mut spare = Spare::new(&listener);
        while let Some((opening, peer, seat)) =
            next(&listener, &places, &mut spare, (&limits, &router), &plane, &shut).await
        {
            let (plane, traffic) = (Arc::clone(&plane), Arc::clone(&seat.traffic));
            let of = Of { peer, router: router.clone(), limits, plane: Arc::clone(&plane), traffic };
            // Apart from what is wrapped around it: each wrap would have room for it twice.
            let connection = Box::pin(connection(opening, of, closes.clone()));
            let cut = cut.clone();
            connections.spawn(async move {
                let _seat = seat;
                let _open = plane.connection();
                let end = cut.run_until_cancelled_owned(AssertUnwindSafe(connection).catch_unwind()).await;
                if let Some(Err(_panic)) = end {
                    tracing::error!(plane = plane.name(), "a connection ended in a panic");
                }
            });
        }
    };
    let ((), deadline) = tokio::join!(accept, part);
    connections.close();
    if tokio::time::timeout_at(deadline, connections.wait()).await.is_err() {
        tracing::warn!(plane = plane.name(), open = connections.len(), "cutting connections that did not finish");
        cut.cancel();
        connections.wait().await;
    }
}

/// Until no request is under way. Who is told to come back is so for an instant only.
async fn finished(plane: &Plane) {
    while plane.under_way() > 0 {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Until no connection is open.
async fn nobody(plane: &Plane) {
    while plane.open_now() > 0 {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The next connection and its place; `None` at the shutdown.
async fn next<A: Accept>(
    listener: &A,
    places: &Arc<Places>,
    spare: &mut Spare,
    (limits, router): (&Limits, &LiveRouter),
    plane: &Plane,
    shutdown: &CancellationToken,
) -> Option<(Opening<A::Io>, Option<SocketAddr>, Seat)> {
    let accept = async {
        let mut pause = Duration::from_millis(5);
        loop {
            match listener.accept(limits, router).await {
                Ok((opening, peer)) => return Some((opening, peer, places.take().await?)),
                // The client gave up while it waited in the queue: nothing to wait for.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    plane.accept_failed();
                    tracing::warn!(plane = plane.name(), %error, "cannot accept a connection; waiting");
                    // A connection that ends makes room; spinning does not.
                    if is_out_of_descriptors(&error) && !places.make_room() {
                        spare.turn_away(listener, limits, router);
                    }
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

/// What a connection is served with.
struct Of {
    peer: Option<SocketAddr>,
    router: LiveRouter,
    limits: Limits,
    plane: Arc<Plane>,
    traffic: Arc<Traffic>,
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    opening: Opening<T>,
    of: Of,
    shutdown: CancellationToken,
) {
    let opened = tokio::time::timeout(of.limits.head_time, opening);
    let Opened { io, secured } = match shutdown.run_until_cancelled(opened).await {
        Some(Ok(Ok(opened))) => opened,
        Some(Ok(Err(error))) => {
            of.plane.handshake_failed();
            tracing::debug!(plane = of.plane.name(), peer = ?of.peer, %error, "a handshake failed");
            return;
        }
        Some(Err(_late)) => return of.plane.handshake_failed(),
        None => return,
    };
    let seen = Seen { peer: of.peer, secured };
    let mut io =
        Box::new(Watched::new(io, of.limits, Arc::clone(&of.plane), of.router.clone(), Arc::clone(&of.traffic)));
    loop {
        match shutdown.run_until_cancelled(io.begins()).await {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => {
                // With the words that a protocol below has for it; whoever has gone does not hear them.
                let _ = tokio::time::timeout(FAREWELL, io.shutdown()).await;
                return;
            }
            Some(Err(error)) => {
                tracing::debug!(plane = of.plane.name(), %error, "a connection ended without a request");
                return;
            }
        }
        let Some(rested) = talk(io, seen, &of, &shutdown).await else { return };
        io = rested;
    }
}

/// Serves requests until the connection ends; gives it back where it rests.
async fn talk<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: Box<Watched<T>>,
    seen: Seen,
    of: &Of,
    shutdown: &CancellationToken,
) -> Option<Box<Watched<T>>> {
    let router = of.router.clone();
    let (plane, traffic) = (Arc::clone(&of.plane), Arc::clone(&of.traffic));
    let service =
        service_fn(move |request| answer(request, seen, router.clone(), Arc::clone(&plane), Arc::clone(&traffic)));
    let connection = http1::Builder::new()
        .keep_alive(true)
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(of.limits.headers)
        .max_header_size(of.limits.head_bytes)
        .max_buf_size(of.limits.head_bytes.max(128 << 10))
        // Held-back flushes would lose the 431: hyper does not flush while unread bytes wait.
        .pipeline_flush(false)
        .serve_connection(TokioIo::new(io), service);
    // Apart from the task, so that a connection that rests does not hold its room.
    let mut connection = Box::new(connection);
    let mut stop = pin!(shutdown.cancelled());
    let mut stops = false;
    let ended = poll_fn(|cx| {
        if !stops && stop.as_mut().poll(cx).is_ready() {
            stops = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
        match Pin::new(&mut *connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if of.traffic.rests() && !stops => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    match ended.await {
        None => {
            let parts = connection.into_parts();
            let mut io = parts.io.into_inner();
            io.rested(parts.read_buf);
            Some(io)
        }
        Some(Ok(())) => None,
        Some(Err(error)) => {
            tracing::debug!(plane = of.plane.name(), %error, "a connection ended early");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::http::Peer;
    use crate::telemetry::Metrics;
    use axum::Router;
    use axum::routing::{any, get, put};
    use http::StatusCode;
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
            rest_after: Duration::from_millis(150),
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
                .render(Duration::ZERO, |_| {})
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
    async fn a_connection_that_rested_goes_on_where_it_was() {
        let server = start(Limits { rest_after: Duration::from_millis(50), ..Limits::default() }).await;
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        for _ in 0..3 {
            // The first bytes of a head end the rest, and belong to it.
            for part in ["G", "ET / HTTP/1.1\r\nHo", "st: a\r\n\r\n"] {
                tokio::time::sleep(Duration::from_millis(120)).await;
                stream.write_all(part.as_bytes()).await.expect("open");
            }
            read_until(&mut stream, "peer true").await;
        }
        let body = "x".repeat(10_000);
        let head = "PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n";
        tokio::time::sleep(Duration::from_millis(120)).await;
        stream.write_all(format!("{head}{body}GET /slow HTTP/1.1\r\n").as_bytes()).await.expect("open");
        read_until(&mut stream, "took 10000").await;
        // Half a head that came with the last request is not forgotten in the rest.
        tokio::time::sleep(Duration::from_millis(120)).await;
        stream.write_all(b"Host: a\r\n\r\n").await.expect("open");
        read_until(&mut stream, "slow").await;
    }

    #[tokio::test]
    async fn who_says_nothing_makes_room_for_who_does() {
        let server = start(Limits { connections: 3, ..Limits::default() }).await;
        let mut busy = TcpStream::connect(server.address).await.expect("it listens");
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        let mut half = TcpStream::connect(server.address).await.expect("it listens");
        half.write_all(b"GET / HT").await.expect("open");
        let mut silent = TcpStream::connect(server.address).await.expect("it listens");
        let mut others = Vec::new();
        for _ in 0..10 {
            let mut other = TcpStream::connect(server.address).await.expect("it listens");
            other.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
            read_until(&mut other, "peer true").await;
            others.push(other);
        }
        read_until(&mut busy, "slow").await;
        for gone in [&mut half, &mut silent, &mut others[0]] {
            assert_eq!(gone.read(&mut [0; 8]).await.unwrap_or(0), 0);
        }
        let told = server.metrics.render(Duration::ZERO, |_| {});
        assert!(told.contains("kandian_http_connections_made_room_total{plane=\"s3\"} 10\n"), "{told}");
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
    async fn whoever_comes_at_a_stop_is_told_to_come_back_until_the_last_request_is_done() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (metrics, shutdown) = (Arc::new(Metrics::default()), CancellationToken::new());
        let router = LiveRouter::from(routes());
        router.part_with(Router::new().fallback(|| async { (StatusCode::SERVICE_UNAVAILABLE, "come back") }));
        let (limits, plane) = (Limits::default(), Arc::clone(&metrics.s3));
        let task = tokio::spawn(serve(listener, router, limits, Arc::clone(&plane), shutdown.clone()));
        let server = Server { address, metrics, shutdown, task };

        let mut kept = TcpStream::connect(address).await.expect("it listens");
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        read_until(&mut kept, "peer true").await;
        let mut upload = TcpStream::connect(address).await.expect("it listens");
        upload.write_all(b"PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await.expect("open");
        while plane.under_way() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.shutdown.cancel();
        let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        while !exchange(&server, get).await.ends_with("come back") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        read_until(&mut kept, "come back").await;
        assert!(!server.task.is_finished(), "an upload is under way");

        upload.write_all(b"llo").await.expect("open");
        read_until(&mut upload, "took 5").await;
        server.task.await.expect("ended");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_request_that_does_not_end_is_cut_when_its_grace_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (metrics, shutdown) = (Arc::new(Metrics::default()), CancellationToken::new());
        let router = LiveRouter::from(routes());
        router.part_with(Router::new().fallback(|| async { (StatusCode::SERVICE_UNAVAILABLE, "come back") }));
        router.set_grace(Duration::from_millis(100));
        let plane = Arc::clone(&metrics.s3);
        let serving = tokio::spawn(serve(listener, router, Limits::default(), Arc::clone(&plane), shutdown.clone()));
        let mut long = TcpStream::connect(address).await.expect("it listens");
        long.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        while plane.under_way() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), serving).await.expect("a minute is not waited").expect("ended");
        assert_eq!(long.read(&mut [0; 8]).await.unwrap_or(0), 0);
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
