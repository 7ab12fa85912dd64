//! A connection that is watched: heads that dawdle, clients that sleep, readers that stopped.
//!
//! hyper has one time limit for "nothing came yet" and "the head is not whole yet". Here they are
//! two, because a camera may keep a connection for its next picture while nobody needs a minute
//! for a head.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::head::HeadScan;
use crate::telemetry::Plane;

/// What the two sides of a connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    under_way: AtomicUsize,
    ended: AtomicU64,
    /// The head that is there now says two lengths of its body.
    two_lengths: AtomicBool,
}

/// One request under way: from its head's last byte until its answer's last.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Traffic>);

/// How long, and for how many bytes, a client that is still sending is listened to after the last
/// answer. A socket closed with bytes unread is reset, and the reset takes the answer with it: a
/// camera whose upload was refused would see a broken connection and not the refusal.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 16 << 20);

/// Past so many open connections each reads no more than [`CROWDED_READ`] at a time: hyper's buffer grows
/// with what a read brings and never shrinks, and after a stall there is much to be read on all at once.
const CROWDED: i64 = 512;
/// See [`CROWDED`]. One less than hyper's first buffer, which it takes to be large enough until a read fills it.
const CROWDED_READ: usize = (8 << 10) - 1;

/// The connection, with its limits.
pub(super) struct Watched<T> {
    io: T,
    plane: Arc<Plane>,
    traffic: Arc<Traffic>,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    writing_until: Option<Pin<Box<Sleep>>>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    waiting: Waiting,
    ended_seen: u64,
    head: HeadScan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Requests are under way; the planes have limits of their own.
    No,
    /// For the first byte of a head.
    ForRequest,
    /// For the rest of a head.
    ForHead,
}

impl Traffic {
    /// Whether the head that has just been read says two lengths of its body.
    pub(super) fn says_two_lengths(&self) -> bool {
        self.two_lengths.swap(false, Ordering::Relaxed)
    }
}

impl UnderWay {
    pub(super) fn begin(traffic: &Arc<Traffic>) -> Self {
        traffic.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(traffic))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, limits: Limits, plane: Arc<Plane>) -> (Self, Arc<Traffic>) {
        let traffic = Arc::new(Traffic::default());
        let timer = Box::pin(tokio::time::sleep(limits.idle_time));
        let watched = Self {
            io,
            plane,
            traffic: Arc::clone(&traffic),
            limits,
            timer,
            writing_until: None,
            lingering: None,
            waiting: Waiting::ForRequest,
            ended_seen: 0,
            head: HeadScan::default(),
        };
        (watched, traffic)
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        let time = if waiting == Waiting::ForHead { self.limits.head_time } else { self.limits.idle_time };
        self.timer.as_mut().reset(Instant::now() + time);
    }

    /// Whether a read that found nothing has waited for too long.
    fn too_late(&mut self, cx: &mut Context<'_>) -> bool {
        if self.traffic.under_way.load(Ordering::Acquire) > 0 {
            self.waiting = Waiting::No;
            return false;
        }
        let ended = self.traffic.ended.load(Ordering::Relaxed);
        if self.waiting == Waiting::No || ended != self.ended_seen {
            self.ended_seen = ended;
            self.wait(Waiting::ForRequest);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    fn arrived(&mut self) {
        // Known here too: a socket that always has bytes is never found empty, and a head that came in
        // time must not be taken for late when its body is read long after.
        if self.traffic.under_way.load(Ordering::Acquire) > 0 {
            self.waiting = Waiting::No;
            return;
        }
        let ended = self.traffic.ended.load(Ordering::Relaxed);
        if self.waiting != Waiting::ForHead || ended != self.ended_seen {
            self.ended_seen = ended;
            self.wait(Waiting::ForHead);
            self.head = HeadScan::default();
        }
    }

    fn write_result<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.writing_until = None;
            return polled;
        }
        let time = self.limits.write_time;
        let timer = self.writing_until.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        match self.read_some(cx, out) {
            Poll::Ready(Ok(())) => {
                if out.filled().len() > before {
                    self.arrived();
                    if self.waiting == Waiting::ForHead && self.head.take(&out.filled()[before..]) {
                        self.traffic.two_lengths.store(true, Ordering::Relaxed);
                    }
                }
                // A head that comes a byte at a time never finds the socket empty for long.
                let dawdles = self.waiting == Waiting::ForHead && self.timer.is_elapsed();
                if dawdles { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Ready(Ok(())) }
            }
            Poll::Pending if self.too_late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            other => other,
        }
    }
}

impl<T: AsyncRead + Unpin> Watched<T> {
    /// Reads what there is; where it is crowded, not more than a little.
    fn read_some(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if out.remaining() <= CROWDED_READ || self.plane.open_now() <= CROWDED {
            return Pin::new(&mut self.io).poll_read(cx, out);
        }
        let mut part = ReadBuf::new(out.initialize_unfilled_to(CROWDED_READ));
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut part);
        let read = part.filled().len();
        out.advance(read);
        polled
    }

    /// Throws away what still comes, until the client closes or the limits are reached.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (timer, left) = self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER.0)), LINGER.1));
        let mut scratch = [0; 8 << 10];
        loop {
            if *left == 0 || timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut out = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut out) {
                Poll::Ready(Ok(())) if !out.filled().is_empty() => *left = left.saturating_sub(out.filled().len()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, data);
        self.write_result(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.write_result(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        // Between requests nothing is on its way.
        if self.waiting == Waiting::ForRequest { Poll::Ready(Ok(())) } else { self.poll_linger(cx).map(Ok) }
    }
}
