//! TLS in front of a listener: the handshake in the connection's own task, and what is told to who speaks none.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::serve::{Accept, Opened, Opening, accept_tcp};
use super::{Limits, LiveRouter, Stalls};
use crate::tls::{Acceptor, MaybeTls, ServerStream, begins_tls};

/// What a listener shows to clients from now on: a certificate, or none, where it speaks plain HTTP. A reload puts
/// another in; connections that are open keep theirs.
#[derive(Clone, Debug, Default)]
pub struct LiveTls(Arc<RwLock<Option<Acceptor>>>);

impl LiveTls {
    /// As a listener begins.
    pub fn new(acceptor: Option<Acceptor>) -> Self {
        Self(Arc::new(RwLock::new(acceptor)))
    }

    /// For all connections that come from now on.
    pub fn replace(&self, acceptor: Option<Acceptor>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
    }

    fn get(&self) -> Option<Acceptor> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A listener that speaks TLS while it has a certificate.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    tls: LiveTls,
}

/// A connection from a [`Door`].
pub type DoorStream = MaybeTls<TcpStream, ServerStream<Stalls<TcpStream>>>;

/// For who speaks HTTP where TLS is spoken.
const SPEAKS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 37\r\nConnection: close\r\n\r\nthis port speaks TLS; call https://\r\n";
/// How long, and for how many bytes, such a client is listened to behind that: see `LINGER` in `io`.
const LINGER: (Duration, u64) = (Duration::from_secs(1), 1 << 20);

impl Door {
    /// In front of this listener.
    pub fn new(listener: TcpListener, tls: LiveTls) -> Self {
        Self { listener, tls }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Accept for Door {
    type Io = DoorStream;
    async fn accept(
        &self,
        limits: &Limits,
        router: &LiveRouter,
    ) -> io::Result<(Opening<DoorStream>, Option<SocketAddr>)> {
        let (stream, peer) = accept_tcp(&self.listener).await?;
        let opening: Opening<DoorStream> = match self.tls.get() {
            None => Box::pin(async { Ok(Opened { io: DoorStream::Plain(stream), secured: false }) }),
            Some(acceptor) => Box::pin(open(stream, acceptor, *limits, router.clone())),
        };
        Ok((opening, Some(peer)))
    }
}

async fn open(
    stream: TcpStream,
    acceptor: Acceptor,
    limits: Limits,
    router: LiveRouter,
) -> io::Result<Opened<DoorStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !begins_tls(first[0]) && first[0].is_ascii_alphabetic() {
        refuse(stream).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on a port that speaks TLS"));
    }
    let stream = acceptor.accept(Stalls::new(stream, limits, router)).await?;
    Ok(Opened { io: DoorStream::Tls(Box::new(stream)), secured: true })
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(SPEAKS_TLS).await?;
    stream.shutdown().await?;
    let (time, bytes) = LINGER;
    let mut rest = stream.take(bytes);
    let mut scratch = [0; 4 << 10];
    let listen = async { while matches!(rest.read(&mut scratch).await, Ok(read) if read > 0) {} };
    // Whether the client has gone or the time is over: it has been told.
    let _ = tokio::time::timeout(time, listen).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{get, put};
    use tokio::io::AsyncRead;
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::{Secured, serve};
    use crate::telemetry::Metrics;
    use crate::tls::{ClientStream, Identity, Trust};

    struct Server {
        address: SocketAddr,
        metrics: Arc<Metrics>,
        tls: LiveTls,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    }

    fn identity() -> Identity {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).expect("a pair")
    }

    fn routes() -> Router {
        let secured = async |request: axum::extract::Request| {
            format!("secured {}", request.extensions().get::<Secured>().is_some())
        };
        Router::new()
            .route("/", get(secured))
            .route("/take", put(|body: bytes::Bytes| async move { format!("took {}", body.len()) }))
            .route("/large", get(async || vec![7_u8; 64 << 20]))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    "slow"
                }),
            )
    }

    async fn start(limits: Limits) -> Server {
        start_with(limits, routes()).await
    }

    async fn start_with(limits: Limits, routes: impl Into<LiveRouter>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (metrics, shutdown) = (Arc::new(Metrics::default()), CancellationToken::new());
        let tls = LiveTls::new(Some(identity().acceptor()));
        let door = Door::new(listener, tls.clone());
        let task = tokio::spawn(serve(door, routes.into(), limits, Arc::clone(&metrics.s3), shutdown.clone()));
        Server { address, metrics, tls, shutdown, task }
    }

    async fn connect(server: &Server) -> ClientStream<TcpStream> {
        let stream = TcpStream::connect(server.address).await.expect("it listens");
        Trust::anybody().expect("ring").connect("localhost", stream).await.expect("it speaks TLS")
    }

    async fn read_until(stream: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains(wanted) {
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
            let read = read.expect("in time").expect("open");
            assert!(read > 0, "closed after {text:?}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        text
    }

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test]
    async fn a_request_over_tls_is_known_as_one_and_no_other_is() {
        let server = start(Limits::default()).await;
        let mut stream = connect(&server).await;
        stream.write_all(ASK).await.expect("open");
        read_until(&mut stream, "secured true").await;
        server.tls.replace(None);
        let mut plain = TcpStream::connect(server.address).await.expect("it listens");
        plain.write_all(ASK).await.expect("open");
        read_until(&mut plain, "secured false").await;
        // What was open before goes on as it was.
        stream.write_all(ASK).await.expect("open");
        read_until(&mut stream, "secured true").await;
    }

    #[tokio::test]
    async fn another_certificate_is_for_new_connections() {
        let server = start(Limits::default()).await;
        let shown = |stream: &ClientStream<TcpStream>| stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        let mut old = connect(&server).await;
        server.tls.replace(Some(identity().acceptor()));
        let new = connect(&server).await;
        assert_ne!(shown(&old), shown(&new));
        old.write_all(ASK).await.expect("open");
        read_until(&mut old, "secured true").await;
    }

    #[tokio::test]
    async fn plain_http_is_told_that_the_port_speaks_tls() {
        let server = start(Limits::default()).await;
        for request in [ASK, b"PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"] {
            let mut stream = TcpStream::connect(server.address).await.expect("it listens");
            stream.write_all(request).await.expect("open");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("not reset");
            let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
            assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert_eq!(body, "this port speaks TLS; call https://\r\n");
        }
    }

    #[tokio::test]
    async fn who_says_nothing_or_nonsense_is_cut_and_holds_up_nobody() {
        let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
        let server = start(limits).await;
        let mut silent = TcpStream::connect(server.address).await.expect("it listens");
        let mut dawdling = TcpStream::connect(server.address).await.expect("it listens");
        dawdling.write_all(&[22, 3, 1]).await.expect("open");
        let mut nonsense = TcpStream::connect(server.address).await.expect("it listens");
        nonsense.write_all(&[0; 64]).await.expect("open");
        let mut good = connect(&server).await;
        good.write_all(ASK).await.expect("open");
        read_until(&mut good, "secured true").await;
        for stream in [&mut silent, &mut dawdling, &mut nonsense] {
            let mut rest = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
            assert!(end.is_ok(), "still open");
        }
        let text = server.metrics.render(Duration::ZERO, |_| {});
        assert!(text.contains("kandian_tls_handshake_failures_total{plane=\"s3\"} 3\n"), "{text}");
    }

    #[tokio::test]
    async fn a_client_that_closes_its_side_still_gets_its_answer() {
        let server = start(Limits::default()).await;
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        stream.shutdown().await.expect("open");
        read_until(&mut stream, "slow").await;
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_cut_though_everything_is_sealed_already() {
        let limits = Limits { write_time: Duration::from_millis(300), ..Limits::default() };
        is_cut(start(limits).await).await;
    }

    #[tokio::test]
    async fn what_was_set_while_it_runs_holds_for_readers_over_tls_too() {
        let live = LiveRouter::from(routes());
        let server = start_with(Limits::default(), live.clone()).await;
        live.set_stall_time(Duration::from_millis(300));
        is_cut(server).await;
    }

    async fn is_cut(server: Server) {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        read_until(&mut stream, "HTTP/1.1 200").await;
        let open = || server.metrics.s3.open_now();
        for _ in 0..500 {
            if open() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} still open", open());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_handshakes() {
        let server = start(Limits::default()).await;
        let mut idle = connect(&server).await;
        let silent = TcpStream::connect(server.address).await.expect("it listens");
        while server.metrics.s3.open_now() < 2 {
            tokio::task::yield_now().await;
        }
        server.shutdown.cancel();
        assert_eq!(idle.read(&mut [0; 8]).await.expect("closed with words"), 0);
        tokio::time::timeout(Duration::from_secs(8), server.task).await.expect("in time").expect("it ends");
        drop(silent);
    }
}
