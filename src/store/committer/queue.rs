//! What is put into the committer's queue, and what comes back.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot, watch};

use super::running::ByHand;
use crate::domain::{BucketId, Checksum, ETag, Lock, Metadata, ObjectKey, Refusal, SubAccountId, Timestamp, UploadId};
use crate::store::buffer::Buffer;
use crate::store::catalog::Hold;
use crate::store::error::StoreError;
use crate::store::event::Event;
use crate::store::index::apply::Apply;
use crate::store::index::rows::TrashRow;
use crate::store::volume::writer::Written;
use crate::store::witness::Witness;

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
#[derive(Clone, Debug)]
pub struct Receipt {
    etag: ETag,
    created: Timestamp,
    checksum: Option<Checksum>,
}

/// Conditions that are checked at the moment of the commit.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// There must be no such key.
    pub must_not_exist: bool,
    /// The key's tag must not be this.
    pub must_differ: Option<String>,
    /// The key's tag must be this, or any at `*`.
    pub must_match: Option<String>,
}

/// The MD5 of an upload's payload.
#[derive(Debug)]
pub struct Tag {
    pub md5: Md5,
    /// What the client says that it is: another one is refused, and nothing is stored.
    pub declared: Option<[u8; 16]>,
}

/// Who makes it.
#[derive(Debug)]
pub enum Md5 {
    /// It is made.
    Known([u8; 16]),
    /// The committer, of a payload that is one record in memory, together with those of the other uploads
    /// in the group.
    OfTheGroup,
    /// Whoever sent the upload, while the committer wakes up: see [`Queue::hashing`].
    Coming(Receiver<[u8; 16]>),
}

/// A whole upload.
#[derive(Debug)]
pub struct NewObject {
    pub bucket: BucketId,
    pub key: ObjectKey,
    pub metadata: Metadata,
    pub lock: Lock,
    pub checksum: Option<Checksum>,
    pub tag: Tag,
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
    pub tag: Tag,
    pub checksum: Option<Checksum>,
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
    /// The object's checksum, made of those of these very parts: a part that is replaced meanwhile
    /// has another tag.
    pub checksum: Option<Checksum>,
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
        /// Whether the commands behind it must see its effects in the catalog: it ends its group.
        exclusive: bool,
        /// Whether what it is decided upon must be durable before it: it begins a group.
        settled: bool,
        reply: Option<Reply<u64>>,
    },
    /// Deletes some files of a closed sub-account; the answer says whether it was all.
    Purge(SubAccountId, Reply<bool>),
    /// These have been punched.
    Punched(Vec<(Vec<u8>, TrashRow)>, Reply<()>),
    /// Makes the index durable now.
    Checkpoint(Reply<()>),
    /// As [`Command::Checkpoint`], and begins the journal anew: what was changed since is in none of its files.
    Compact(Reply<()>),
    /// Makes the index durable and gives the state that it then has, to be looked at for as long as it takes.
    Snapshot(Reply<Snapshot>),
    /// The last command.
    Close(Reply<()>),
}

/// A state of the index.
pub struct Snapshot {
    /// The state.
    pub txn: redb::ReadTransaction,
    /// Sequence of the last change in it.
    pub seq: u64,
}

/// Rung when there is something to do in the background.
#[derive(Debug, Default)]
pub struct Bells {
    pub overwrite: Notify,
    pub alerts: Notify,
    pub trash: Notify,
    pub closing: Notify,
    /// What went and was raised, for the engine's record of it.
    pub witness: Witness,
    /// Sequence up to which the index is durable: what was deleted later is not punched yet.
    pub durable: AtomicU64,
    /// Sequence of the last change that was acknowledged, or might have been.
    pub acknowledged: AtomicU64,
    /// When the index was last made durable, ms since 1970; 0 while it was not since the start.
    pub checkpointed: std::sync::atomic::AtomicI64,
    /// How long groups took to be durable.
    pub commits: crate::telemetry::Histogram,
}

/// The committer's queue, for everybody else.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) commands: SyncSender<Command>,
    pub(super) waiting: Arc<AtomicUsize>,
    /// The committer has nothing to do.
    pub(super) asleep: Arc<AtomicBool>,
    pub(super) stopped: watch::Receiver<Option<String>>,
    pub(super) thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
    /// Where there is no thread.
    pub(super) by_hand: Option<Arc<ByHand>>,
}

/// What a command comes to.
#[derive(Debug)]
pub struct Answer<T> {
    answered: oneshot::Receiver<Result<T, Failure>>,
    by_hand: Option<Arc<ByHand>>,
}

/// A payload that its sender hashes, once the committer has been told of it.
#[derive(Debug)]
pub struct Hashing {
    payload: Arc<Buffer>,
    range: Range<usize>,
    made: SyncSender<[u8; 16]>,
}

// === impl Answer ===

impl<T> Answer<T> {
    /// Waits for it.
    pub async fn come(self) -> Result<T, Failure> {
        if let Some(by_hand) = self.by_hand {
            // Those beside it put theirs in first, so that they share a group.
            tokio::task::yield_now().await;
            by_hand.work_off();
        }
        self.answered.await.map_err(|_| StoreError::Stopped("the committer has ended".to_owned()))?
    }
}

// === impl Hashing ===

impl Hashing {
    /// Does it.
    pub fn run(self) {
        let Self { payload, range, made } = self;
        let md5 = crate::md5::digest(&payload.bytes()[range]);
        // The committer wants the payload for itself.
        drop(payload);
        // Nobody listens where the store has stopped.
        let _ = made.send(md5);
    }
}

// === impl Tag ===

impl Tag {
    /// The MD5, where it is what was declared.
    pub(super) fn proved(&self) -> Result<[u8; 16], Failure> {
        let Md5::Known(md5) = self.md5 else {
            return Err(StoreError::Index("an upload was not hashed".to_owned()).into());
        };
        if self.declared.is_some_and(|declared| declared != md5) {
            return Err(Refusal::BadDigest.into());
        }
        Ok(md5)
    }
}

// === impl Check ===

impl Check {
    /// Whether they hold where the key has this tag, or is not there.
    pub fn holds(&self, old: Option<ETag>) -> Result<(), Refusal> {
        let tag = old.map(|tag| tag.to_string());
        if (self.must_not_exist && tag.is_some()) || (tag.is_some() && self.must_differ == tag) {
            return Err(Refusal::Precondition);
        }
        match (&self.must_match, &tag) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::NoFile),
            (Some(wanted), Some(tag)) if wanted == "*" || wanted == tag => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::Precondition),
        }
    }
}

// === impl Receipt ===

impl Receipt {
    /// For the committer alone, which answers with it only once its group is durable.
    pub(super) fn new(etag: ETag, created: Timestamp, checksum: Option<Checksum>) -> Self {
        Self { etag, created, checksum }
    }

    /// The object's tag.
    pub fn etag(&self) -> ETag {
        self.etag
    }

    /// When it was completed.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The checksum kept with it.
    pub fn checksum(&self) -> Option<&Checksum> {
        self.checksum.as_ref()
    }
}

// === impl Queue ===

impl Queue {
    /// A queue that takes nothing, for this reason.
    pub fn closed(reason: String) -> Self {
        let (commands, _) = sync_channel(1);
        let (_, stopped) = watch::channel(Some(reason));
        Self {
            commands,
            waiting: Arc::default(),
            asleep: Arc::new(AtomicBool::new(true)),
            stopped,
            thread: Arc::default(),
            by_hand: None,
        }
    }

    /// Puts a command in; [`StoreError::Queue`] where too many wait.
    pub fn send(&self, command: Command) -> Result<(), StoreError> {
        if let Some(reason) = self.stopped.borrow().clone() {
            return Err(StoreError::Stopped(reason));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => StoreError::Queue,
                TrySendError::Disconnected(_) => StoreError::Stopped("the committer has ended".to_owned()),
            }
        })
    }

    /// As [`Queue::begin`], and waits for the answer.
    pub async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        self.begin(command)?.come().await
    }

    /// Puts a command in; its answer is to be waited for. The command is carried out even where nobody
    /// waits any more.
    pub fn begin<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<Answer<T>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        Ok(Answer { answered: answer, by_hand: self.by_hand.clone() })
    }

    /// How a payload that is one record in memory is hashed: with its group; or, where the committer
    /// sleeps and there will be no group, by the sender, while the committer wakes up.
    pub fn hashing(&self, payload: &Arc<Buffer>, range: Range<usize>) -> (Md5, Option<Hashing>) {
        if !self.asleep.load(Ordering::Acquire) {
            return (Md5::OfTheGroup, None);
        }
        let (made, coming) = sync_channel(1);
        (Md5::Coming(coming), Some(Hashing { payload: Arc::clone(payload), range, made }))
    }

    /// As [`Queue::ask`], on a thread that may wait.
    pub fn ask_blocking<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        if let Some(by_hand) = &self.by_hand {
            by_hand.work_off();
        }
        answer.blocking_recv().map_err(|_| StoreError::Stopped("the committer has ended".to_owned()))?
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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

impl Command {
    /// Whether nothing may stand before it in its group.
    pub(super) fn begins_group(&self) -> bool {
        matches!(self, Self::Change { settled: true, .. })
    }

    /// Whether nothing may stand behind it in its group.
    pub(super) fn ends_group(&self) -> bool {
        match self {
            Self::Change { exclusive, .. } => *exclusive,
            Self::Checkpoint(_) | Self::Compact(_) | Self::Snapshot(_) => true,
            _ => false,
        }
    }
}
