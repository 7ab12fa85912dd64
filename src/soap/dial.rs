//! How the courier reaches a platform: over TCP, and TLS where the URL says https.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use axum::http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use crate::tls::{ClientStream, MaybeTls, Trust};

/// Makes connections. Clones believe the same platforms.
#[derive(Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    trust: Arc<RwLock<Trust>>,
}

/// A connection to a platform.
pub(super) type Line = MaybeTls<TcpStream, ClientStream<TcpStream>>;

impl Dial {
    pub(super) fn new(trust: Trust) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        Self { tcp, trust: Arc::new(RwLock::new(trust)) }
    }

    /// For all connections from now on.
    pub(super) fn believe(&self, trust: Trust) {
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = trust;
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Line>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner).clone();
        let secured = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().to_owned();
        let connecting = self.tcp.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            if !secured {
                return Ok(TokioIo::new(Line::Plain(stream)));
            }
            let stream = trust.connect(&host, stream).await?;
            Ok(TokioIo::new(Line::Tls(Box::new(stream))))
        })
    }
}
