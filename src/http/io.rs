//! A connection that is watched: heads that dawdle, clients that sleep, readers that stopped.
//!
//! hyper has one time limit for "nothing came yet" and "the head is not whole yet". Here they are
//! two, because a camera may keep a connection for its next picture while nobody needs a minute
//! for a head. hyper also holds 16 KiB and more for a connection on which nothing is said: one that
//! rests is taken back from it, and given to it again with the bytes that ended the rest.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::head::HeadScan;
use super::stall::StallTimer;
use super::{Limits, LiveRouter};
use crate::telemetry::Plane;

/// What the two sides of a connection tell each other, and the accept loop.
#[derive(Debug)]
pub(super) struct Traffic {
    under_way: AtomicUsize,
    ended: AtomicU64,
    /// Milliseconds from `began` to when the connection fell quiet; else [`TALKS`] or [`LEAVES`].
    quiet: AtomicU64,
    began: Instant,
    /// Whether it was ever given what it asked for.
    served: AtomicBool,
    /// Whether hyper is to give the connection back.
    rests: AtomicBool,
    task: AtomicWaker,
    /// The head that is there now says two lengths of its body.
    two_lengths: AtomicBool,
}

/// A request is under way, or the last answer is.
const TALKS: u64 = u64::MAX;
/// Who was given what it asked for counts as quiet so many milliseconds later than it is: a flood of connections that
/// say nothing, or ask for what they may not have, gives way to itself before it takes a camera's connection.
const SERVED_LATER: u64 = 10_000;
/// It was quiet when its place was needed.
const LEAVES: u64 = u64::MAX - 1;

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
/// What ends a rest is read in pieces of at most this: most heads are shorter.
const FIRST_READ: usize = 2 << 10;
/// See [`CROWDED`]. One less than hyper's first buffer, which it takes to be large enough until a read fills it.
const CROWDED_READ: usize = (8 << 10) - 1;

/// The connection, with its limits.
pub(super) struct Watched<T> {
    io: T,
    plane: Arc<Plane>,
    router: LiveRouter,
    traffic: Arc<Traffic>,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    writing: StallTimer,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    waiting: Waiting,
    ended_seen: u64,
    /// What ended the rest, until it is read.
    ahead: Bytes,
    head: HeadScan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Requests are under way; the planes have limits of their own.
    No,
    /// For the first byte of a head.
    ForRequest,
    /// For the same, and for so long that nothing is held for it any more.
    Resting,
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
        traffic.quiet.store(TALKS, Ordering::Relaxed);
        Self(Arc::clone(traffic))
    }
}

impl Traffic {
    /// For a connection that has said nothing yet; `began` is where its plane's time begins.
    pub(super) fn new(began: Instant) -> Self {
        let traffic = Self {
            under_way: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            quiet: AtomicU64::new(TALKS),
            began,
            served: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            two_lengths: AtomicBool::new(false),
            task: AtomicWaker::new(),
        };
        traffic.fell_quiet();
        traffic
    }

    pub(super) fn fell_quiet(&self) {
        self.quiet_from(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(LEAVES - 1));
    }

    /// It was given what it asked for.
    pub(super) fn serve(&self) {
        self.served.store(true, Ordering::Relaxed);
    }

    /// `since` in milliseconds of the plane's time.
    pub(super) fn quiet_from(&self, since: u64) {
        let later = if self.served.load(Ordering::Relaxed) { SERVED_LATER } else { 0 };
        self.quiet.store(since.saturating_add(later).min(LEAVES - 1), Ordering::Relaxed);
    }

    /// Since when no request is under way, as its place counts; `None` where one is, or where it leaves already.
    pub(super) fn quiet_since(&self) -> Option<u64> {
        Some(self.quiet.load(Ordering::Relaxed)).filter(|since| *since < LEAVES)
    }

    /// Ends the connection where it is still quiet since `since`; whether it was.
    pub(super) fn leave(&self, since: u64) -> bool {
        let leaves = self.quiet.compare_exchange(since, LEAVES, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if leaves {
            self.task.wake();
        }
        leaves
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.quiet.load(Ordering::Acquire) == LEAVES
    }

    /// Whether hyper is to give the connection back.
    pub(super) fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, limits: Limits, plane: Arc<Plane>, router: LiveRouter, traffic: Arc<Traffic>) -> Self {
        Self {
            io,
            plane,
            router,
            traffic,
            limits,
            timer: Box::pin(tokio::time::sleep(limits.idle_time)),
            writing: StallTimer::default(),
            lingering: None,
            waiting: Waiting::Resting,
            ended_seen: 0,
            ahead: Bytes::new(),
            head: HeadScan::default(),
        }
    }

    /// The connection again, with what hyper had read of it beyond the last request.
    pub(super) fn rested(&mut self, ahead: Bytes) {
        self.traffic.rests.store(false, Ordering::Relaxed);
        self.ahead = ahead;
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        let time = match waiting {
            Waiting::ForHead => self.limits.head_time,
            Waiting::ForRequest => self.limits.idle_time.min(self.limits.rest_after),
            Waiting::Resting | Waiting::No => self.limits.idle_time.saturating_sub(self.limits.rest_after),
        };
        self.timer.as_mut().reset(Instant::now() + time);
    }

    /// Whether a read that found nothing has waited for too long, or somebody else needs the place.
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
        // The end of an answer that is not taken yet is no silence.
        if !self.writing.runs() && self.traffic.quiet.load(Ordering::Relaxed) == TALKS {
            self.traffic.fell_quiet();
        }
        self.traffic.task.register(cx.waker());
        if self.traffic.is_leaving() {
            return true;
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        if self.waiting != Waiting::ForRequest || self.limits.idle_time <= self.limits.rest_after {
            return true;
        }
        self.wait(Waiting::Resting);
        self.traffic.rests.store(!self.writing.runs(), Ordering::Relaxed);
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
            self.traffic.rests.store(false, Ordering::Relaxed);
            self.head = HeadScan::default();
        }
    }

    fn write_result<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        let Self { limits, router, writing, .. } = self;
        writing.watch(cx, polled, || router.stall_time(limits))
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
    /// Waits for a request to begin: its first bytes are kept. `false` where the client has closed instead.
    pub(super) async fn begins(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_begins(cx)).await
    }

    fn poll_begins(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut scratch = [0; FIRST_READ];
        let mut first = ReadBuf::new(&mut scratch);
        match Pin::new(&mut self.io).poll_read(cx, &mut first) {
            Poll::Ready(Ok(())) => {
                self.ahead = Bytes::copy_from_slice(first.filled());
                if !self.ahead.is_empty() {
                    self.arrived();
                }
                Poll::Ready(Ok(!self.ahead.is_empty()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if self.too_late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads what there is; where it is crowded, not more than a little.
    fn read_some(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let now = self.ahead.len().min(out.remaining());
            out.put_slice(&self.ahead[..now]);
            self.ahead.advance(now);
            return Poll::Ready(Ok(()));
        }
        if out.remaining() <= CROWDED_READ || self.plane.open_now() <= CROWDED {
            return Pin::new(&mut self.io).poll_read(cx, out);
        }
        let mut scratch = [0; CROWDED_READ];
        let mut part = ReadBuf::new(&mut scratch);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut part);
        // No page of hyper's buffer is touched that holds nothing.
        out.put_slice(part.filled());
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
        let between = matches!(self.waiting, Waiting::ForRequest | Waiting::Resting);
        if between { Poll::Ready(Ok(())) } else { self.poll_linger(cx).map(Ok) }
    }
}
