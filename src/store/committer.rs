//! The committer: one thread, through which every change goes, in one order.
//!
//! It takes what has gathered while the last group was being synced, applies it to the index in
//! one transaction, makes journal and records durable (one sync each for all of them), commits,
//! publishes, and only then answers. There is no timer: alone, a change waits for nobody.
//!
//! The order within a group matters to a start after a crash: first the journal, then the
//! records' headers. So a record that is found says that the changes before it are found too.

mod group;
mod queue;
mod tags;
mod uploads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redb::{Database, ReadableTable};
use tokio::sync::watch;

use self::group::Group;
pub use self::queue::{
    Bells, Check, Command, Completion, Decide, Failure, Md5, NewObject, NewPart, Queue, Receipt, Reply, Snapshot, Tag,
};
use super::catalog::Catalog;
use super::error::StoreError;
use super::event::Event;
use super::index::apply::Apply;
use super::index::rows::{Row, VolumeRow};
use super::index::{begin_durable, begin_volatile, encode_mark, keys, meta};
use super::journal::{Journal, encode_frame};
use super::snapshot;
use super::volume::Volumes;
use crate::domain::limits;
use crate::world::World;
use crate::world::ballast::Ballast;

/// The index is made durable this long after its first change since the last time…
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// …or after so many bytes of uploads, which bounds what a start has to look through.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// The journal is begun anew past this length; in unit tests so soon that every crash meets it.
const JOURNAL_BYTES_MAX: u64 = if cfg!(test) { 8 << 10 } else { 16 << 20 };

/// The committer itself, on its thread.
pub struct Committer {
    pub world: World,
    pub db: Arc<Database>,
    pub volumes: Arc<Volumes>,
    pub journal: Journal,
    pub journal_dir: PathBuf,
    /// Room held back on the index's disk, and on the journal's.
    pub spare: Ballast,
    pub journal_spare: Ballast,
    pub catalog: Arc<Catalog>,
    pub bells: Arc<Bells>,
    /// Sequence of the last change.
    pub seq: u64,
}

// === impl Committer ===

impl Committer {
    /// Starts the thread.
    pub fn start(self) -> std::io::Result<Queue> {
        let (commands, queue) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let (stop, stopped) = watch::channel(None);
        let waiting = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let asleep = Arc::new(AtomicBool::new(false));
        let sleeps = Arc::clone(&asleep);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || self.run(&queue, &stop, &counter, &sleeps))?;
        Ok(Queue { commands, waiting, asleep, stopped, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    fn run(
        mut self,
        queue: &Receiver<Command>,
        stop: &watch::Sender<Option<String>>,
        waiting: &std::sync::atomic::AtomicUsize,
        asleep: &AtomicBool,
    ) {
        let mut since: Option<Instant> = None;
        let mut bytes = 0;
        loop {
            asleep.store(waiting.load(Ordering::Relaxed) == 0, Ordering::Release);
            let first = match since {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => queue.recv_timeout(CHECKPOINT_EVERY.saturating_sub(since.elapsed())),
            };
            asleep.store(false, Ordering::Release);
            let mut closing = None;
            let mut forced = None;
            let result = match first {
                Ok(Command::Close(reply)) => {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    closing = Some(reply);
                    Ok(0)
                }
                Ok(first) => {
                    let mut batch = vec![first];
                    while batch.len() < limits::COMMIT_BATCH_MAX && !batch.last().is_some_and(Command::ends_group) {
                        match queue.try_recv() {
                            Ok(Command::Close(reply)) => {
                                closing = Some(reply);
                                break;
                            }
                            Ok(command) => batch.push(command),
                            Err(_) => break,
                        }
                    }
                    waiting.fetch_sub(batch.len() + usize::from(closing.is_some()), Ordering::Relaxed);
                    since.get_or_insert_with(Instant::now);
                    if matches!(batch.last(), Some(Command::Checkpoint(_) | Command::Snapshot(_))) {
                        forced = batch.pop();
                    }
                    self.commit(batch)
                }
                Err(RecvTimeoutError::Timeout) => Ok(0),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let result = result.and_then(|more| {
                bytes += more;
                let due = closing.is_some()
                    || forced.is_some()
                    || bytes >= CHECKPOINT_BYTES
                    || since.is_some_and(|s| s.elapsed() >= CHECKPOINT_EVERY);
                if due {
                    since = None;
                    bytes = 0;
                    self.checkpoint()?;
                }
                Ok(())
            });
            if let Err(error) = &result {
                tracing::error!(%error, "the store has stopped: nothing more is acknowledged until it is restarted");
                stop.send_replace(Some(error.to_string()));
            }
            match forced {
                Some(Command::Checkpoint(reply)) => {
                    let _ = reply.send(result.clone().map_err(Failure::Store));
                }
                Some(Command::Snapshot(reply)) => {
                    let snapshot = result.clone().and_then(|()| self.snapshot());
                    let _ = reply.send(snapshot.map_err(Failure::Store));
                }
                _ => {}
            }
            if let Some(reply) = closing {
                let _ = reply.send(result.map_err(Failure::Store));
                return;
            }
            if result.is_err() {
                // Those who wait are told when the queue is dropped with the thread.
                return;
            }
        }
    }

    /// Commits one group; gives the bytes that it stored. An error stops the store.
    fn commit(&mut self, batch: Vec<Command>) -> Result<u64, StoreError> {
        let mut group = Group { after: self.seq, ..Group::default() };
        let done = self.commit_group(batch, &mut group);
        // Whoever waits is told that nothing was changed and nothing will be; what broke is in the log.
        let stopped = done.as_ref().err().map(|error| StoreError::Stopped(error.to_string()));
        for answer in group.answers {
            answer(stopped.as_ref());
        }
        done?;
        Ok(group.bytes)
    }

    fn commit_group(&mut self, mut batch: Vec<Command>, group: &mut Group) -> Result<(), StoreError> {
        let txn = begin_volatile(&self.db)?;
        let mut apply = Apply::new(&txn, self.catalog.settings())?;
        tags::hash_together(&mut batch);
        for command in batch {
            self.take(&mut apply, group, command)?;
        }
        let mut effects = apply.finish(self.seq)?;
        if !group.frames.is_empty() {
            self.journal.append(&group.frames)?;
        }
        let mut touched = BTreeMap::new();
        for run in group.runs.drain(..) {
            run.write()?;
            touched.insert(run.volume.id, run.volume);
        }
        for volume in touched.values() {
            volume.sync()?;
        }
        txn.commit()?;
        self.bells.acknowledged.store(self.seq, Ordering::Release);
        for (reservation, used) in group.keeps.drain(..) {
            reservation.keep(used);
        }
        let (overwrite, alerts, trash, closing) = (effects.overwrite, effects.alerts, effects.trash, effects.closing);
        self.bells.witness.add(std::mem::take(&mut effects.gone), std::mem::take(&mut effects.raised));
        self.catalog.publish(effects, std::mem::take(&mut group.holds));
        let bells = [
            (overwrite, &self.bells.overwrite),
            (alerts, &self.bells.alerts),
            (trash, &self.bells.trash),
            (closing, &self.bells.closing),
        ];
        for (ring, bell) in bells {
            if ring {
                bell.notify_one();
            }
        }
        Ok(())
    }

    /// Applies one command. A refusal is an answer; an error ends the group and the store.
    fn take(&mut self, apply: &mut Apply<'_>, group: &mut Group, command: Command) -> Result<(), StoreError> {
        match command {
            Command::Object(new, reply) => {
                let before = group.mark();
                let answer = self.object(apply, group, *new);
                group.undo(&before, &answer);
                group.answer(reply, answer)
            }
            Command::Part(new, reply) => {
                let before = group.mark();
                let answer = self.part(apply, group, *new);
                group.undo(&before, &answer);
                group.answer(reply, answer)
            }
            Command::Complete(new, reply) => {
                let before = group.mark();
                let answer = self.complete(apply, group, *new);
                group.undo(&before, &answer);
                group.answer(reply, answer)
            }
            Command::Change { decide, reply, .. } => {
                let answer = decide(apply).and_then(|events| {
                    // The last of the room is for what makes room, and for the next start.
                    if (self.spare.is_low() || self.journal_spare.is_low()) && events.iter().any(Event::adds) {
                        return Err(Failure::Store(StoreError::DiskFull));
                    }
                    let first = self.seq + 1;
                    for event in events {
                        self.event(apply, group, event)?;
                    }
                    Ok(first)
                });
                apply.on_behalf_of(None);
                match reply {
                    Some(reply) => group.answer(reply, answer),
                    None => match answer {
                        Err(Failure::Store(error)) => Err(error),
                        _ => Ok(()),
                    },
                }
            }
            Command::Purge(id, reply) => {
                self.seq += 1;
                apply.begin(self.seq, self.world.clock.now());
                let answer = apply.purge(id, limits::SWEEP_FILES_PER_STEP_MAX).map_err(Failure::Store);
                group.answer(reply, answer)
            }
            Command::Punched(rows, reply) => {
                let answer = apply.punched(&rows).map_err(Failure::Store);
                group.answer(reply, answer)
            }
            Command::Checkpoint(reply) | Command::Close(reply) => group.answer(reply, Ok(())),
            // Never in a group: it is answered after the checkpoint.
            Command::Snapshot(_) => Ok(()),
        }
    }

    fn event(&mut self, apply: &mut Apply<'_>, group: &mut Group, event: Event) -> Result<(), StoreError> {
        self.seq += 1;
        let now = self.world.clock.now();
        apply.begin(self.seq, now);
        apply.event(&event)?;
        encode_frame(&mut group.frames, &self.journal.store_id(), self.journal.bytes(), self.seq, now, &event);
        Ok(())
    }

    /// Makes the index durable, and what can only then be done.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        let mark = self.volumes.mark();
        let mut dead = Vec::new();
        let txn = begin_durable(&self.db)?;
        {
            let mut table = txn.open_table(super::index::definitions::meta)?;
            table.insert(meta::MARK, encode_mark(&mark).as_slice())?;
            table.insert(meta::SEQ, self.seq.to_be_bytes().as_slice())?;
            let mut volumes = txn.open_table(super::index::definitions::volumes)?;
            for volume in self.volumes.all() {
                let key = keys::volume(volume.id);
                let alive = match volumes.get(key.as_slice())? {
                    Some(row) => VolumeRow::decode(row.value())?.records > 0,
                    None => false,
                };
                if !alive && !self.volumes.is_active(volume.id) {
                    volumes.remove(key.as_slice())?;
                    dead.push(volume.id);
                }
            }
        }
        txn.commit()?;
        self.bells.durable.store(self.seq, Ordering::Release);
        self.bells.checkpointed.store(self.world.clock.now().millis(), Ordering::Relaxed);
        self.bells.trash.notify_one();
        for id in dead {
            self.volumes.remove(id)?;
        }
        if self.journal.bytes() > JOURNAL_BYTES_MAX && self.has_room_for_a_journal() {
            self.compact_journal()?;
        }
        Ok(())
    }

    /// Whether a second journal file has room until the old one goes: on a full disk the ballast must have it.
    fn has_room_for_a_journal(&self) -> bool {
        !self.journal_spare.is_spent() || self.journal_spare.held() > JOURNAL_BYTES_MAX.saturating_mul(2)
    }

    /// The state of the index now.
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        use redb::ReadableDatabase;
        Ok(Snapshot { txn: self.db.begin_read()?, seq: self.seq })
    }

    fn compact_journal(&mut self) -> Result<(), StoreError> {
        use redb::ReadableDatabase;
        let txn = self.db.begin_read()?;
        let frames = snapshot::frames(&txn, &self.journal.store_id(), self.seq, self.world.clock.now())?;
        self.seq += 1;
        self.journal =
            Journal::create(&self.journal_spare, &self.journal_dir, self.journal.store_id(), self.seq, &frames)?;
        Ok(())
    }
}
