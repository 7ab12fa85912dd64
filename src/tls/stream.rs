//! Connections that speak TLS, from either side.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A connection that a client made.
pub type ServerStream<T> = tokio_rustls::server::TlsStream<T>;
/// A connection that we made.
pub type ClientStream<T> = tokio_rustls::client::TlsStream<T>;
/// A connection that we made, of a client that waits.
pub type BlockingStream = StreamOwned<ClientConnection, TcpStream>;

/// Takes connections as one [`Identity`](super::Identity). Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

/// Whether a client that begins with this byte speaks TLS: 22 is a handshake. No method of HTTP begins so.
pub fn begins_tls(first: u8) -> bool {
    first == 22
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        Self(config.into())
    }

    /// The handshake. It takes as long as the client does: who calls sets the limit.
    ///
    /// # Errors
    ///
    /// The client speaks no TLS that we speak, or goes away.
    pub async fn accept<T: AsyncRead + AsyncWrite + Unpin>(&self, io: T) -> io::Result<ServerStream<T>> {
        self.0.accept(io).await
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// A host as certificates name it: without the brackets of an address of IPv6.
fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))
}

pub(super) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    config: &Arc<ClientConfig>,
    host: &str,
    io: T,
) -> io::Result<ClientStream<T>> {
    TlsConnector::from(Arc::clone(config)).connect(server_name(host)?, io).await
}

pub(super) fn connect_blocking(config: &Arc<ClientConfig>, host: &str, io: TcpStream) -> io::Result<BlockingStream> {
    let connection = ClientConnection::new(Arc::clone(config), server_name(host)?).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, io);
    // Here, not at the first write: what is wrong with a certificate is no trouble of a request.
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}
