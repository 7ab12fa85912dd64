//! Listeners, limits and drain: what stands between a socket and a plane's router.

mod cookie;
mod head;
mod io;
mod live;
mod serve;
mod unix;

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::limits;

pub use cookie::{SESSION_COOKIE, cookie};
pub use live::LiveRouter;
pub use serve::{Accept, serve};
pub use unix::{Answer, Coming, open, request};

/// The address of the socket's other end, in the extensions of every request that came over TCP.
/// Forwarding headers are never looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's head; more is answered 431.
    pub head_bytes: usize,
    /// Headers of a request; more are answered 431.
    pub headers: usize,
    /// A head arrives within this after its first byte, or the connection ends.
    pub head_time: Duration,
    /// A connection without a request ends after this.
    pub idle_time: Duration,
    /// An answer of which the client takes no byte for so long is cut.
    pub write_time: Duration,
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// How long requests under way may take to finish at a stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: limits::HTTP_HEAD_BYTES_MAX,
            headers: 128,
            head_time: Duration::from_secs(limits::HTTP_HEAD_SECONDS_MAX),
            idle_time: Duration::from_secs(limits::IDLE_SECONDS_MAX),
            write_time: Duration::from_secs(limits::IDLE_SECONDS_MAX),
            connections: 20_000,
            grace: Duration::from_secs(30),
        }
    }
}
