//! Listeners, limits and drain: what stands between a socket and a plane's router.

mod answer;
mod cookie;
mod head;
mod io;
mod live;
mod places;
mod secure;
mod serve;
mod stall;
mod unix;

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::limits;

pub use cookie::{SECURED_SESSION_COOKIE, SESSION_COOKIE, cookie, session_cookie_name};
pub use live::LiveRouter;
pub use secure::{Door, DoorStream, LiveTls};
pub use serve::{Accept, Opened, Opening, adopt, listen, serve};
pub use stall::Stalls;
pub use unix::{Answer, Coming, open, request};

/// The name of a request, in the extensions of every one that came through a listener. Every line of the log that is
/// about it has it, and so has the answer: in the plane's own header, or in `x-request-id`.
pub use crate::telemetry::RequestId;

/// The address of the socket's other end, in the extensions of every request that came over TCP.
/// Forwarding headers are never looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// In the extensions of every request that came over TLS, and of no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's head; more is answered 431.
    pub head_bytes: usize,
    /// Headers of a request; more are answered 431.
    pub headers: usize,
    /// A head arrives within this after its first byte, a handshake within this from the connection on, or it ends.
    pub head_time: Duration,
    /// A connection without a request ends after this.
    pub idle_time: Duration,
    /// A connection without a request rests after this: no buffer is held for it any more. Longer than the pauses of
    /// whoever is at work, because to begin again costs some allocations.
    pub rest_after: Duration,
    /// An answer of which the client takes no byte for so long is cut.
    pub write_time: Duration,
    /// Connections at once. A further one gets the place of that which has been quiet longest; where none is quiet,
    /// it waits.
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
            rest_after: Duration::from_secs(limits::REST_AFTER_SECONDS),
            write_time: Duration::from_secs(limits::IDLE_SECONDS_MAX),
            connections: limits::CONNECTIONS_MAX,
            grace: Duration::from_secs(30),
        }
    }
}
