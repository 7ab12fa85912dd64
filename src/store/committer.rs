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
mod running;
mod tags;
mod uploads;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::{Database, ReadableTable};
use tokio::sync::watch;

use self::group::Group;
pub use self::queue::{
    Bells, Check, Command, Completion, Decide, Failure, Md5, NewObject, NewPart, Queue, Receipt, Reply, Snapshot, Tag,
};
use self::running::{ByHand, Running};
use super::catalog::Catalog;
use super::error::StoreError;
use super::event::Event;
use super::index::apply::Apply;
use super::index::rows::{Row, VolumeRow};
use super::index::{begin_durable, begin_volatile, encode_mark, encode_place, keys, meta};
use super::journal::{Journal, encode_frame};
use super::snapshot;
use super::volume::Volumes;
use crate::domain::limits;
use crate::world::ballast::Ballast;
use crate::world::{Threads, World};

/// The index is made durable this long after its first change since the last time…
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// …or after so many bytes of uploads, which bounds what a start has to look through.
const CHECKPOINT_BYTES: u64 = 64 << 20;

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
    /// Starts the thread, where there is to be one.
    pub fn start(self) -> std::io::Result<Queue> {
        let (commands, queue) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let (stop, stopped) = watch::channel(None);
        let waiting = Arc::new(AtomicUsize::new(0));
        let asleep = Arc::new(AtomicBool::new(false));
        let threads = self.world.grain.threads;
        let running = Running {
            committer: self,
            queue,
            stop,
            waiting: Arc::clone(&waiting),
            asleep: Arc::clone(&asleep),
            since: None,
            bytes: 0,
        };
        let (thread, by_hand) = match threads {
            Threads::Own => {
                let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
                    let stop = running.stop.clone();
                    // Without its committer the server would go on and answer nothing: it has to end.
                    if catch_unwind(AssertUnwindSafe(|| running.run())).is_err() {
                        stop.send_replace(Some("the committer has panicked".to_owned()));
                    }
                })?;
                (Some(thread), None)
            }
            Threads::Callers => (None, Some(Arc::new(ByHand::new(running)))),
        };
        Ok(Queue { commands, waiting, asleep, stopped, thread: Arc::new(Mutex::new(thread)), by_hand })
    }

    /// Commits what has gathered, as one group or as few as there must be; gives the bytes that were stored. An error
    /// stops the store.
    fn commit(&mut self, mut batch: Vec<Command>) -> Result<u64, StoreError> {
        let mut bytes = 0;
        while let Some(next) = batch.iter().skip(1).position(Command::begins_group) {
            let rest = batch.split_off(next + 1);
            bytes += self.commit_one(std::mem::replace(&mut batch, rest))?;
        }
        Ok(bytes + self.commit_one(batch)?)
    }

    fn commit_one(&mut self, batch: Vec<Command>) -> Result<u64, StoreError> {
        let (begun, changes) = (self.world.clock.ticking(), !batch.is_empty());
        let mut group = Group { after: self.seq, ..Group::default() };
        let done = self.commit_group(batch, &mut group);
        if changes {
            self.bells.commits.observe(self.world.clock.ticking().saturating_sub(begun));
        }
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
        let (gone, raised) = (std::mem::take(&mut effects.gone), std::mem::take(&mut effects.raised));
        self.bells.witness.saw(gone, raised, effects.overwrites);
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
            Command::Checkpoint(reply) | Command::Compact(reply) | Command::Close(reply) => group.answer(reply, Ok(())),
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
            table.insert(meta::JOURNAL, encode_place(self.journal.place()).as_slice())?;
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
        if self.journal.bytes() > self.world.grain.journal_max && self.has_room_for_a_journal() {
            self.compact_journal()?;
        }
        Ok(())
    }

    /// Whether a second journal file has room until the old one goes: on a full disk the ballast must have it.
    fn has_room_for_a_journal(&self) -> bool {
        !self.journal_spare.is_spent() || self.journal_spare.held() > self.world.grain.journal_max.saturating_mul(2)
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
        let journal =
            Journal::create(&self.journal_spare, &self.journal_dir, self.journal.store_id(), self.seq, &frames)?;
        self.journal = journal.ahead_by(self.world.grain.journal_ahead);
        Ok(())
    }
}
