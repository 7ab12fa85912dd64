//! Clients that take no byte for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Limits, LiveRouter};

/// How long a write has been waiting for room; nothing is held while none does.
#[derive(Debug, Default)]
pub(super) struct StallTimer(Option<Pin<Box<Sleep>>>);

/// A socket below TLS whose client takes no byte for too long.
///
/// Above TLS that cannot be seen: a write is done when the bytes are sealed, and a flush waits for all of them, however
/// well they move.
pub struct Stalls<T> {
    io: T,
    limits: Limits,
    router: LiveRouter,
    timer: StallTimer,
}

// === impl StallTimer ===

impl StallTimer {
    /// What a write came to, or its end where it has waited for `time`.
    pub(super) fn watch<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
        time: impl FnOnce() -> Duration,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.0 = None;
            return polled;
        }
        let until = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(time())));
        until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether a write waits.
    pub(super) fn runs(&self) -> bool {
        self.0.is_some()
    }
}

// === impl Stalls ===

impl<T> Stalls<T> {
    pub(super) fn new(io: T, limits: Limits, router: LiveRouter) -> Self {
        Self { io, limits, router, timer: StallTimer::default() }
    }

    fn watch<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        let Self { limits, router, timer, .. } = self;
        timer.watch(cx, polled, || router.stall_time(limits))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stalls<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, out)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stalls<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, data);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
