//! The committer at work: on its thread, or in the hands of whoever waits for an answer.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::queue::{Command, Failure};
use super::{CHECKPOINT_BYTES, CHECKPOINT_EVERY, Committer};
use crate::domain::limits;

/// A committer, its queue, and how far it is from its next checkpoint.
pub(super) struct Running {
    pub(super) committer: Committer,
    pub(super) queue: Receiver<Command>,
    pub(super) stop: watch::Sender<Option<String>>,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) asleep: Arc<AtomicBool>,
    /// When the index first changed since it was made durable.
    pub(super) since: Option<Duration>,
    /// Bytes of uploads since then.
    pub(super) bytes: u64,
}

/// A committer without a thread: its work is done by whoever waits for an answer.
pub(super) struct ByHand(Mutex<Option<Running>>);

// === impl Running ===

impl Running {
    /// Works until it is closed, fails, or nobody can send any more.
    pub(super) fn run(mut self) {
        loop {
            self.asleep.store(self.waiting.load(Ordering::Relaxed) == 0, Ordering::Release);
            let first = match self.since {
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => self.queue.recv_timeout(CHECKPOINT_EVERY.saturating_sub(self.elapsed(since))),
            };
            self.asleep.store(false, Ordering::Release);
            if self.turn(first).is_break() {
                return;
            }
        }
    }

    /// All that waits.
    fn work_off(&mut self) -> ControlFlow<()> {
        loop {
            match self.queue.try_recv() {
                Ok(command) => self.turn(Ok(command))?,
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
                Err(TryRecvError::Empty) if self.is_due() => self.turn(Err(RecvTimeoutError::Timeout))?,
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
            }
        }
    }

    fn elapsed(&self, since: Duration) -> Duration {
        self.committer.world.clock.ticking().saturating_sub(since)
    }

    fn is_due(&self) -> bool {
        self.since.is_some_and(|since| self.elapsed(since) >= CHECKPOINT_EVERY)
    }

    /// A group that begins with this command, or a checkpoint whose time has come; whether there is an end.
    fn turn(&mut self, first: Result<Command, RecvTimeoutError>) -> ControlFlow<()> {
        let mut closing = None;
        let mut forced = None;
        let result = match first {
            Ok(Command::Close(reply)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                closing = Some(reply);
                Ok(0)
            }
            Ok(first) => {
                let mut batch = vec![first];
                while batch.len() < limits::COMMIT_BATCH_MAX && !batch.last().is_some_and(Command::ends_group) {
                    match self.queue.try_recv() {
                        Ok(Command::Close(reply)) => {
                            closing = Some(reply);
                            break;
                        }
                        Ok(command) => batch.push(command),
                        Err(_) => break,
                    }
                }
                self.waiting.fetch_sub(batch.len() + usize::from(closing.is_some()), Ordering::Relaxed);
                if self.since.is_none() {
                    self.since = Some(self.committer.world.clock.ticking());
                }
                if matches!(batch.last(), Some(Command::Checkpoint(_) | Command::Compact(_) | Command::Snapshot(_))) {
                    forced = batch.pop();
                }
                self.committer.commit(batch)
            }
            Err(RecvTimeoutError::Timeout) => Ok(0),
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        };
        let result = result.and_then(|more| {
            self.bytes += more;
            if closing.is_some() || forced.is_some() || self.bytes >= CHECKPOINT_BYTES || self.is_due() {
                self.since = None;
                self.bytes = 0;
                self.committer.checkpoint()?;
            }
            // Where there is no room for it, the journal begins anew when there is.
            if matches!(forced, Some(Command::Compact(_))) && self.committer.has_room_for_a_journal() {
                self.committer.compact_journal()?;
            }
            Ok(())
        });
        if let Err(error) = &result {
            tracing::error!(%error, "the store has stopped: nothing more is acknowledged until it is restarted");
            self.stop.send_replace(Some(error.to_string()));
        }
        match forced {
            Some(Command::Checkpoint(reply) | Command::Compact(reply)) => {
                let _ = reply.send(result.clone().map_err(Failure::Store));
            }
            Some(Command::Snapshot(reply)) => {
                let snapshot = result.clone().and_then(|()| self.committer.snapshot());
                let _ = reply.send(snapshot.map_err(Failure::Store));
            }
            _ => {}
        }
        // Those who wait behind a failure are told when the queue is dropped with the committer.
        let end = closing.is_some() || result.is_err();
        if let Some(reply) = closing {
            let _ = reply.send(result.map_err(Failure::Store));
        }
        if end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

// === impl ByHand ===

impl ByHand {
    pub(super) fn new(running: Running) -> Self {
        Self(Mutex::new(Some(running)))
    }

    /// All that waits.
    pub(super) fn work_off(&self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_mut().is_some_and(|running| running.work_off().is_break()) {
            *running = None;
        }
    }
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByHand")
    }
}
