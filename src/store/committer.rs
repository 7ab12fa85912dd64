//! The committer: one thread, through which every change goes, in one order.
//!
//! It takes what has gathered while the last group was being synced, applies it to the index in
//! one transaction, makes journal and records durable (one sync each for all of them), commits,
//! publishes, and only then answers. There is no timer: alone, a change waits for nobody.
//!
//! The order within a group matters to a start after a crash: first the journal, then the
//! records' headers. So a record that is found says that the changes before it are found too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redb::{Database, ReadableTable};
use tokio::sync::{Notify, oneshot, watch};

use super::catalog::{Catalog, Hold};
use super::error::StoreError;
use super::event::Event;
use super::index::apply::Apply;
use super::index::rows::{Row, TrashRow, VolumeRow};
use super::index::{begin_durable, begin_volatile, encode_mark, keys, meta};
use super::journal::{Journal, encode_frame};
use super::snapshot;
use super::volume::record::{HEADER_MAX, Header, Kind, Place, Segment, header_len};
use super::volume::writer::Written;
use super::volume::{Reservation, Volume, Volumes};
use crate::domain::{
    BucketId, Checksum, ETag, Lock, Metadata, ObjectId, ObjectKey, Refusal, SubAccountId, Timestamp, UploadId,
    VolumeId, limits,
};
use crate::world::World;

/// The index is made durable this long after its first change since the last time…
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// …or after so many bytes of uploads, which bounds what a start has to look through.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// The journal is begun anew past this length; in unit tests so soon that every crash meets it.
const JOURNAL_BYTES_MAX: u64 = if cfg!(test) { 8 << 10 } else { 16 << 20 };

/// Why a change did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// Proof that an upload is committed and durable. Only the committer makes one.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    etag: ETag,
    created: Timestamp,
}

/// Conditions that are checked at the moment of the commit.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// There must be no such key.
    pub must_not_exist: bool,
    /// The key's tag must be this.
    pub must_match: Option<String>,
}

/// A whole upload.
#[derive(Debug)]
pub struct NewObject {
    pub bucket: BucketId,
    pub key: ObjectKey,
    pub metadata: Metadata,
    pub lock: Lock,
    pub checksum: Option<Checksum>,
    pub md5: [u8; 16],
    pub check: Check,
    /// One record, or several of which a manifest is made.
    pub records: Vec<Written>,
    /// Names the records of an upload that has several; random.
    pub upload: UploadId,
    pub hold: Hold,
}

/// A part of a multipart upload.
#[derive(Debug)]
pub struct NewPart {
    pub bucket: BucketId,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub number: u16,
    pub md5: [u8; 16],
    pub records: Vec<Written>,
    pub hold: Hold,
}

/// A multipart upload that is to become an object.
#[derive(Debug)]
pub struct Completion {
    pub bucket: BucketId,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// Numbers and tags as the client names them.
    pub parts: Vec<(u16, String)>,
    pub check: Check,
    pub nonce: [u8; 16],
}

/// Looks at the present state and says what shall change.
pub type Decide = Box<dyn FnOnce(&mut Apply<'_>) -> Result<Vec<Event>, Failure> + Send>;

/// One thing for the committer to do.
pub enum Command {
    Object(Box<NewObject>, Reply<Receipt>),
    Part(Box<NewPart>, Reply<Receipt>),
    Complete(Box<Completion>, Reply<Receipt>),
    /// The answer is the sequence of the first event.
    Change {
        decide: Decide,
        exclusive: bool,
        reply: Option<Reply<u64>>,
    },
    /// Deletes some files of a closed sub-account; the answer says whether it was all.
    Purge(SubAccountId, Reply<bool>),
    /// These have been punched.
    Punched(Vec<(Vec<u8>, TrashRow)>, Reply<()>),
    /// Makes the index durable now.
    Checkpoint(Reply<()>),
    /// The last command.
    Close(Reply<()>),
}

/// Rung when there is something to do in the background.
#[derive(Debug, Default)]
pub struct Bells {
    pub overwrite: Notify,
    pub alerts: Notify,
    pub trash: Notify,
    pub closing: Notify,
    /// Sequence up to which the index is durable: what was deleted later is not punched yet.
    pub durable: std::sync::atomic::AtomicU64,
}

/// The committer's queue, for everybody else.
#[derive(Clone, Debug)]
pub struct Queue {
    commands: SyncSender<Command>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    stopped: watch::Receiver<Option<String>>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

/// The committer itself, on its thread.
pub struct Committer {
    pub world: World,
    pub db: Arc<Database>,
    pub volumes: Arc<Volumes>,
    pub journal: Journal,
    pub journal_dir: PathBuf,
    pub catalog: Arc<Catalog>,
    pub bells: Arc<Bells>,
    /// Sequence of the last change.
    pub seq: u64,
}

/// An answer that waits for its group: it is given the group's failure, if there is one.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// A group under way.
struct Group {
    frames: Vec<u8>,
    runs: Vec<Run>,
    keeps: Vec<(Reservation, u64)>,
    holds: Vec<Hold>,
    answers: Vec<Answer>,
    bytes: u64,
    /// Sequence of the last change before the group.
    after: u64,
}

/// How far a group is; what a refused command has put in behind it is taken out again.
struct Mark {
    keeps: usize,
    runs: usize,
    /// Bytes of the last run.
    tail: usize,
    bytes: u64,
}

/// Bytes that go to one stretch of a volume.
struct Run {
    volume: Arc<Volume>,
    offset: u64,
    bytes: Vec<u8>,
}

// === impl Receipt ===

impl Receipt {
    /// The object's tag.
    pub fn etag(&self) -> ETag {
        self.etag
    }

    /// When it was completed.
    pub fn created(&self) -> Timestamp {
        self.created
    }
}

// === impl Queue ===

impl Queue {
    /// Puts a command in; [`StoreError::Queue`] where too many wait.
    pub fn send(&self, command: Command) -> Result<(), StoreError> {
        if let Some(reason) = self.stopped.borrow().clone() {
            return Err(StoreError::Stopped(reason));
        }
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => StoreError::Queue,
                TrySendError::Disconnected(_) => StoreError::Stopped("the committer has ended".to_owned()),
            }
        })
    }

    /// Puts a command in and waits for its answer. The command is carried out even where nobody
    /// waits any more.
    pub async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| StoreError::Stopped("the committer has ended".to_owned()))?
    }

    /// As [`Queue::ask`], on a thread that may wait.
    pub fn ask_blocking<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped("the committer has ended".to_owned()))?
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Changes to a reason when the store has stopped after a failure.
    pub fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.stopped.clone()
    }

    /// Waits for the thread after [`Command::Close`].
    pub fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been printed; there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

// === impl Committer ===

impl Committer {
    /// Starts the thread.
    pub fn start(self) -> std::io::Result<Queue> {
        let (commands, queue) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let (stop, stopped) = watch::channel(None);
        let waiting = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || self.run(&queue, &stop, &counter))?;
        Ok(Queue { commands, waiting, stopped, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    fn run(
        mut self,
        queue: &Receiver<Command>,
        stop: &watch::Sender<Option<String>>,
        waiting: &std::sync::atomic::AtomicUsize,
    ) {
        let mut since: Option<Instant> = None;
        let mut bytes = 0;
        loop {
            let first = match since {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => queue.recv_timeout(CHECKPOINT_EVERY.saturating_sub(since.elapsed())),
            };
            let mut closing = None;
            let mut forced = None;
            let result = match first {
                Ok(Command::Close(reply)) => {
                    waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
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
                    waiting
                        .fetch_sub(batch.len() + usize::from(closing.is_some()), std::sync::atomic::Ordering::Relaxed);
                    since.get_or_insert_with(Instant::now);
                    if matches!(batch.last(), Some(Command::Checkpoint(_))) {
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
            if let Some(Command::Checkpoint(reply)) = forced {
                let _ = reply.send(result.clone().map_err(Failure::Store));
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
        let mut group = Group {
            frames: Vec::new(),
            runs: Vec::new(),
            keeps: Vec::new(),
            holds: Vec::new(),
            answers: Vec::new(),
            bytes: 0,
            after: self.seq,
        };
        let done = self.commit_group(batch, &mut group);
        let error = done.as_ref().err();
        for answer in group.answers {
            answer(error);
        }
        done?;
        Ok(group.bytes)
    }

    fn commit_group(&mut self, batch: Vec<Command>, group: &mut Group) -> Result<(), StoreError> {
        let txn = begin_volatile(&self.db)?;
        let mut apply = Apply::new(&txn, self.catalog.settings())?;
        for command in batch {
            self.take(&mut apply, group, command)?;
        }
        let effects = apply.finish(self.seq)?;
        if !group.frames.is_empty() {
            self.journal.append(&group.frames)?;
        }
        let mut touched = BTreeMap::new();
        for run in group.runs.drain(..) {
            use super::error::Doing;
            run.volume.file.write_all_at(&run.bytes, run.offset).doing(|| format!("write volume {}", run.volume.id))?;
            touched.insert(run.volume.id, run.volume);
        }
        for volume in touched.values() {
            volume.sync()?;
        }
        txn.commit()?;
        for (reservation, used) in group.keeps.drain(..) {
            reservation.keep(used);
        }
        let (overwrite, alerts, trash, closing) = (effects.overwrite, effects.alerts, effects.trash, effects.closing);
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
                    let first = self.seq + 1;
                    for event in events {
                        self.event(apply, group, event)?;
                    }
                    Ok(first)
                });
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

    fn object(&mut self, apply: &mut Apply<'_>, group: &mut Group, new: NewObject) -> Result<Receipt, Failure> {
        check(apply, new.bucket, &new.key, &new.check)?;
        let now = self.world.clock.now();
        let mut records = new.records;
        let single = records.len() == 1;
        let mut header = Header {
            kind: if single { Kind::Object } else { Kind::Manifest },
            lock: new.lock,
            header_len: 0,
            nonce: [0; 16],
            id: ObjectId::new(0),
            bucket: new.bucket,
            payload_len: 0,
            created: now,
            md5: new.md5,
            parts: 0,
            upload: new.upload,
            volume: VolumeId::new(0),
            offset: 0,
            size: records.iter().map(|r| r.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            checksum: new.checksum,
            key: new.key,
            metadata: new.metadata,
            blocks: Vec::new(),
            segments: Vec::new(),
        };
        let record = if single {
            records.remove(0)
        } else {
            let nonce = records.first().map_or([0; 16], |r| r.nonce);
            header.segments = self.segments(group, &header, records)?;
            manifest_record(&header, nonce)
        };
        self.place(group, &mut header, record)?;
        apply.begin(self.seq, now);
        apply.record(&header)?;
        group.holds.push(new.hold);
        Ok(Receipt { etag: header.etag(), created: now })
    }

    fn part(&mut self, apply: &mut Apply<'_>, group: &mut Group, new: NewPart) -> Result<Receipt, Failure> {
        if apply.sub_account(super::index::owner_of(new.bucket).0)?.is_none() {
            return Err(Refusal::NoBucket.into());
        }
        match apply.upload(new.bucket, new.upload)? {
            Some(row) if row.done.is_none() && row.key == new.key => {}
            _ => return Err(Refusal::NoUpload.into()),
        }
        let now = self.world.clock.now();
        let header = Header {
            kind: Kind::Part,
            lock: Lock::Open,
            header_len: 0,
            nonce: [0; 16],
            id: ObjectId::new(0),
            bucket: new.bucket,
            payload_len: 0,
            created: now,
            md5: new.md5,
            parts: new.number,
            upload: new.upload,
            volume: VolumeId::new(0),
            offset: 0,
            size: new.records.iter().map(|r| r.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            checksum: None,
            key: new.key,
            metadata: Metadata::default(),
            blocks: Vec::new(),
            segments: Vec::new(),
        };
        let segments = self.segments(group, &header, new.records)?;
        apply.begin(self.seq, now);
        let size = segments.iter().map(|s| s.place.payload_len).sum();
        apply.put_part(new.bucket, new.upload, new.number, segments, size, new.md5, now)?;
        group.holds.push(new.hold);
        Ok(Receipt { etag: ETag { md5: new.md5, parts: 0 }, created: now })
    }

    fn complete(&mut self, apply: &mut Apply<'_>, group: &mut Group, new: Completion) -> Result<Receipt, Failure> {
        let row = match apply.upload(new.bucket, new.upload)? {
            Some(row) if row.key == new.key => row,
            _ => return Err(Refusal::NoUpload.into()),
        };
        if let Some((etag, created)) = row.done {
            return Ok(Receipt { etag, created });
        }
        let stored: BTreeMap<u16, _> = apply.upload_parts(new.upload)?.into_iter().collect();
        let mut segments = Vec::new();
        let mut md5s = Vec::new();
        let mut before = 0;
        let mut too_small = None;
        for (index, (number, tag)) in new.parts.iter().enumerate() {
            let number = *number;
            if number <= before {
                return Err(Refusal::PartOrder.into());
            }
            before = number;
            let part = stored.get(&number).ok_or(Refusal::BadPart { number })?;
            if !tag.eq_ignore_ascii_case(&hex::encode(part.md5)) {
                return Err(Refusal::BadPart { number }.into());
            }
            if part.size < limits::PART_BYTES_MIN && index + 1 < new.parts.len() {
                too_small.get_or_insert(number);
            }
            md5s.extend_from_slice(&part.md5);
            segments.extend(part.segments.iter().map(|s| Segment { part: number, md5: part.md5, ..*s }));
        }
        // A part that is wrong is said before one that is small, whatever their order.
        if let Some(number) = too_small {
            return Err(Refusal::PartTooSmall { number }.into());
        }
        check(apply, new.bucket, &new.key, &new.check)?;
        let now = self.world.clock.now();
        let mut header = Header {
            kind: Kind::Manifest,
            lock: row.lock,
            header_len: 0,
            nonce: [0; 16],
            id: ObjectId::new(0),
            bucket: new.bucket,
            payload_len: 0,
            created: now,
            md5: md5_of(&md5s),
            parts: u16::try_from(new.parts.len()).unwrap_or(u16::MAX),
            upload: new.upload,
            volume: VolumeId::new(0),
            offset: 0,
            size: segments.iter().map(|s| s.place.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            checksum: None,
            key: new.key,
            metadata: row.metadata,
            blocks: Vec::new(),
            segments,
        };
        let record = manifest_record(&header, new.nonce);
        if record.header_len > u64::from(HEADER_MAX) {
            return Err(Refusal::TooLarge.into());
        }
        self.place(group, &mut header, record)?;
        apply.begin(self.seq, now);
        apply.record(&header)?;
        Ok(Receipt { etag: header.etag(), created: now })
    }

    /// Places the records of an upload that has several; their parts of the manifest.
    fn segments(
        &mut self,
        group: &mut Group,
        like: &Header,
        records: Vec<Written>,
    ) -> Result<Vec<Segment>, StoreError> {
        let mut segments = Vec::new();
        for record in records {
            let mut header = Header { kind: Kind::Part, metadata: Metadata::default(), checksum: None, ..like.clone() };
            let place = self.place(group, &mut header, record)?;
            segments.push(Segment { place, id: header.id, part: like.parts, reserved: 0, md5: like.md5 });
        }
        Ok(segments)
    }

    /// Gives a record its sequence and its room; its bytes go with the group.
    fn place(&mut self, group: &mut Group, header: &mut Header, record: Written) -> Result<Place, StoreError> {
        let used = record.extent_len();
        let reservation = match record.reservation {
            Some(reservation) => reservation,
            None => self.volumes.reserve(used)?,
        };
        self.seq += 1;
        header.id = ObjectId::new(self.seq);
        header.header_len =
            u32::try_from(record.header_len).map_err(|_| StoreError::Index("a header is too long".to_owned()))?;
        header.nonce = record.nonce;
        header.payload_len = record.payload_len;
        header.volume = reservation.volume.id;
        header.offset = reservation.extent.offset;
        header.blocks = record.blocks;
        let mut bytes = header.encode(&reservation.volume.key);
        if !record.inline.is_empty() {
            bytes.extend_from_slice(&record.inline);
            bytes.resize(usize::try_from(used).unwrap_or(bytes.len()), 0);
        }
        group.bytes += used;
        group.write(&reservation.volume, header.offset, bytes);
        group.keeps.push((reservation, used));
        Ok(header.place())
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
        self.bells.durable.store(self.seq, std::sync::atomic::Ordering::Release);
        self.bells.trash.notify_one();
        for id in dead {
            self.volumes.remove(id)?;
        }
        if self.journal.bytes() > JOURNAL_BYTES_MAX {
            self.compact_journal()?;
        }
        Ok(())
    }

    fn compact_journal(&mut self) -> Result<(), StoreError> {
        use redb::ReadableDatabase;
        let txn = self.db.begin_read()?;
        let frames = snapshot::frames(&txn, &self.journal.store_id(), self.seq, self.world.clock.now())?;
        self.seq += 1;
        self.journal =
            Journal::create(&*self.world.disk, &self.journal_dir, self.journal.store_id(), self.seq, &frames)?;
        Ok(())
    }
}

impl Command {
    /// Whether the commands behind it must see its effects in the catalog.
    fn ends_group(&self) -> bool {
        match self {
            Self::Change { exclusive, .. } => *exclusive,
            Self::Checkpoint(_) => true,
            _ => false,
        }
    }
}

// === impl Group ===

impl Group {
    /// An answer, given once the group is durable. A failure of the store ends the group.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, Failure>) -> Result<(), StoreError> {
        match answer {
            Ok(value) => {
                self.answers.push(Box::new(move |error| {
                    // Whoever asked may be gone.
                    let _ = reply.send(error.map_or(Ok(value), |e| Err(Failure::Store(e.clone()))));
                }));
                Ok(())
            }
            Err(Failure::Store(StoreError::DiskFull)) => {
                let _ = reply.send(Err(Failure::Store(StoreError::DiskFull)));
                Ok(())
            }
            Err(Failure::Store(error)) => {
                let _ = reply.send(Err(Failure::Store(error.clone())));
                Err(error)
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
                Ok(())
            }
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            keeps: self.keeps.len(),
            runs: self.runs.len(),
            tail: self.runs.last().map_or(0, |run| run.bytes.len()),
            bytes: self.bytes,
        }
    }

    /// Gives the room of an upload back that failed half-way, and writes none of its records: a
    /// record that is found is one that happened.
    fn undo<T>(&mut self, before: &Mark, answer: &Result<T, Failure>) {
        if answer.is_err() {
            self.keeps.truncate(before.keeps);
            self.runs.truncate(before.runs);
            if let Some(last) = self.runs.last_mut() {
                last.bytes.truncate(before.tail);
            }
            self.bytes = before.bytes;
        }
    }

    /// Bytes to be written with the group, joined to the stretch before where they follow it.
    fn write(&mut self, volume: &Arc<Volume>, offset: u64, bytes: Vec<u8>) {
        if let Some(last) = self.runs.last_mut()
            && last.volume.id == volume.id
            && last.offset + last.bytes.len() as u64 == offset
        {
            last.bytes.extend_from_slice(&bytes);
            return;
        }
        self.runs.push(Run { volume: Arc::clone(volume), offset, bytes });
    }
}

/// A manifest's own record: a header and no payload.
fn manifest_record(header: &Header, nonce: [u8; 16]) -> Written {
    Written {
        reservation: None,
        inline: Vec::new(),
        header_len: header_len(&header.key, &header.metadata, 0, header.segments.len()),
        payload_len: 0,
        nonce,
        blocks: Vec::new(),
    }
}

/// What must hold of a key at the moment its object is replaced.
fn check(apply: &mut Apply<'_>, bucket: BucketId, key: &ObjectKey, check: &Check) -> Result<(), Failure> {
    if apply.sub_account(super::index::owner_of(bucket).0)?.is_none() {
        return Err(Refusal::NoBucket.into());
    }
    let old = apply.object(bucket, key)?;
    if check.must_not_exist && old.is_some() {
        return Err(Refusal::Precondition.into());
    }
    if let Some(tag) = &check.must_match {
        match &old {
            None => return Err(Refusal::NoFile.into()),
            Some(old) if tag != "*" && *tag != old.etag.to_string() => return Err(Refusal::Precondition.into()),
            Some(_) => {}
        }
    }
    match old {
        Some(old) if old.lock == Lock::Locked => Err(Refusal::Locked.into()),
        _ => Ok(()),
    }
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(bytes).into()
}
