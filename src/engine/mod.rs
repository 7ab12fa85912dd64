//! Every use case, once. All faces call it and only it. Absent: XML, status codes, HTML.

mod accounts;
mod alerts;
mod audit;
mod audit_chain;
mod backup;
pub mod billing;
mod buckets;
pub mod courier;
mod deletion;
mod download;
mod guesses;
mod identity;
mod keyring;
mod listing;
mod media;
mod multipart;
mod names;
mod numbers;
pub mod observe;
mod pins;
mod preview;
mod reconcilers;
mod rescue;
mod rotation;
mod second_factor;
mod sessions;
mod signatures;
mod status;
mod sub_accounts;
mod survive;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
mod types;
mod upgrade;
mod upload;
mod users;

use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use alerts::{ALERT_KINDS, ALERT_STATES, AlertPage, AlertQuery, AlertTotals};
pub use audit::{AuditLine, AuditPage, AuditQuery, AuditVerdict};
pub use audit_chain::{ChainPage, ChainedLine, verify_export};
pub use backup::{BackupDisk, BackupFile, BackupManifest, BackupReport};
pub use courier::{Attempt, Courier, Delivery, Notice};
pub use download::ObjectReader;
pub use media::{
    ByteStream, Chosen, DayView, DeletionPreview, DeletionReport, FileFilter, FileName, FilePage, FileView, LockReason,
    Packed, Played, Reading,
};
pub use numbers::{AccountNumbers, Numbers};
pub use preview::{Goes, SpaceChange, SpacePreview};
#[doc(hidden)]
pub use reconcilers::Chore;
pub use rescue::RestoreReport;
pub use rotation::KeyRotation;
pub use second_factor::NewSecondFactor;
pub use sessions::{SessionView, SignedIn};
pub use signatures::{SignatureFailure, SignatureFailures, SignedText};
pub use survive::Abandoned;
pub use turns::Turn;
pub use types::{
    AccountChanges, AccountContents, AccountView, AlertView, AuditEntry, BucketRef, Caller, CheckReport, Completion,
    Credential, Damage, DeleteCondition, DiskView, Error, Finish, FoundFile, HeldView, ListPage, NamedPart, NewAccount,
    NewObject, NewSubAccount, ObjectInfo, OpenedSubAccount, PartInfo, PartPage, PutCondition, Result, SALVAGE,
    ScrubAsked, ScrubPass, ScrubReport, ScrubView, Search, SearchPage, SlowedView, Status, Stored, SubAccountRef,
    SubAccountSpace, SubAccountView, UNREADABLE, UploadInfo, UserSpace, Violation, loops,
};
pub use upgrade::{Formats, Preflight, WentBack, formats};
pub use upload::Upload;
pub use users::{NewUser, UserView};

use self::keyring::KeyRing;
use self::pins::Pins;
use crate::books::Books;
use crate::config::Config;
use crate::domain::{Refusal, Timestamp};
use crate::store::committer::{Command, Decide, Failure};
use crate::store::event::Event;
pub use crate::store::extract::{Extract, ExtractReport, Flaw};
use crate::store::index::apply::{Apply, Settings};
pub use crate::store::index::view::ListQuery;
pub use crate::store::recovery::{RebuildReport, RecoveryReport};
use crate::store::{Options, Store};
use crate::telemetry::RequestIds;
use crate::world::{Disk, World};

/// What cameras, phones and platforms are told of where we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrls {
    /// `http(s)://host[:port]` of the S3 plane.
    pub s3: String,
    /// `http(s)://host[:port]` of the SOAP plane.
    pub soap: String,
}

/// The engine: cheap to clone, one a store.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    store: Store,
    books: Arc<Books>,
    courier: Arc<dyn Courier>,
    config: RwLock<Arc<Config>>,
    urls: RwLock<PublicUrls>,
    pins: Arc<Pins>,
    keyring: KeyRing,
    guesses: guesses::Guesses,
    /// Read by who seals until it is written; written by the exchange of the master key.
    sealing: tokio::sync::RwLock<()>,
    exchanging: tokio::sync::Mutex<()>,
    media: media::Memory,
    turns: turns::Turns,
    request_ids: RequestIds,
    signatures: signatures::Memory,
    /// When it was opened.
    begun: Timestamp,
    /// Passwords that are being hashed take their turns: each fills memory.
    hashing: tokio::sync::Semaphore,
    /// What the box knows about itself over time.
    observe: observe::Observe,
    scrub: Arc<reconcilers::ScrubState>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// The rules of space that follow from the configuration.
fn settings(config: &Config) -> Settings {
    Settings { rules: config.space.rules, gigabyte: config.space.bytes_per_gb, notify_idle: config.alerts.notify_idle }
}

fn options(config: &Config) -> Options {
    Options {
        data_dir: config.storage.data_dir.clone(),
        master_key: config.storage.master_key.clone(),
        volumes: config.storage.volumes.clone(),
        volume_size: config.storage.volume_size,
        reserve: config.storage.reserve,
        index_cache: config.storage.index_cache,
        offline: config.storage.offline.clone(),
        read_only: config.storage.read_only.clone(),
        settings: settings(config),
    }
}

impl Engine {
    /// Opens the store, bringing it up to date after a crash. Blocks. Nothing runs in the
    /// background until [`Engine::start`].
    pub fn open(world: World, config: &Config, urls: PublicUrls, courier: Arc<dyn Courier>) -> Result<Self> {
        Self::open_after(world, config, urls, courier, None)
    }

    /// As [`Engine::open`], in the process in which the store has failed: `acknowledged` is the last sequence that it
    /// has acknowledged ([`Engine::acknowledged`]), and no record after it counts.
    pub fn open_after(
        world: World,
        config: &Config,
        urls: PublicUrls,
        courier: Arc<dyn Courier>,
        acknowledged: Option<u64>,
    ) -> Result<Self> {
        let (store, books) = if config.storage.salvage {
            let reason = "storage.salvage is set, or a disk has failed";
            let (store, over) = Store::salvage(&world, &options(config), reason, acknowledged)?;
            tracing::error!(reason, "salvage mode: what can be read is served, nothing is written");
            let books = Books::salvage(&*over.disk, &config.storage.data_dir)?;
            (store, books)
        } else {
            let store = Store::open(world.clone(), &options(config), acknowledged)?;
            // After the store: it holds the lock of the data directory.
            let books = Books::open(&store.spare, &config.storage.data_dir)?;
            (store, books)
        };
        let books = Arc::new(books);
        let observe = observe::Observe::load(&books)?;
        let guesses = guesses::Guesses::load(&books, &*world.entropy, world.clock.now())?;
        let recovery = &store.recovery;
        tracing::info!(
            records = recovery.records,
            events = recovery.events,
            torn = recovery.torn,
            freed_bytes = recovery.freed_bytes,
            sequence = recovery.sequence,
            "the store is open"
        );
        let (request_ids, begun) = (RequestIds::new(world.entropy.bytes()), world.clock.now());
        Ok(Self {
            inner: Arc::new(Inner {
                world,
                store,
                books,
                courier,
                config: RwLock::new(Arc::new(config.clone())),
                urls: RwLock::new(urls),
                pins: Arc::default(),
                keyring: KeyRing::default(),
                guesses,
                sealing: tokio::sync::RwLock::default(),
                exchanging: tokio::sync::Mutex::default(),
                media: media::Memory::default(),
                turns: turns::Turns::default(),
                request_ids,
                signatures: signatures::Memory::default(),
                begun,
                hashing: tokio::sync::Semaphore::new(users::HASHES_AT_A_TIME),
                observe,
                scrub: Arc::default(),
                tasks: TaskTracker::new(),
                ending: CancellationToken::new(),
            }),
        })
    }

    /// Makes the index of a closed store anew from volumes and journal. Blocks.
    pub fn rebuild(world: World, config: &Config) -> Result<RebuildReport> {
        Ok(Store::rebuild(world, &options(config))?)
    }

    /// The disk of the data directory, on which a small file finds room even when it is full.
    pub fn disk(&self) -> &dyn Disk {
        &self.inner.store.spare
    }

    /// Starts the reconcilers on the current runtime.
    pub fn start(&self) {
        reconcilers::start(self);
    }

    /// Does what the reconcilers would do, until nothing is left to do: overwrites, purges, what
    /// can be punched. For tests, on an engine that was not started.
    #[doc(hidden)]
    pub async fn settle(&self) -> Result<()> {
        reconcilers::settle(self).await
    }

    /// One step of what is done in the background; whether there is more to do. For tests, on an engine that was not started.
    #[doc(hidden)]
    pub async fn tick(&self, chore: Chore) -> Result<bool> {
        reconcilers::tick(self, chore).await
    }

    /// What a start after a crash found.
    pub fn recovery(&self) -> RecoveryReport {
        self.inner.store.recovery.clone()
    }

    /// Tells callers other addresses from now on.
    pub fn set_public_urls(&self, urls: PublicUrls) {
        *self.inner.urls.write().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    fn urls(&self) -> PublicUrls {
        self.inner.urls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts in force what can change while running: the rules of space, alerts, `s3.allow_delete`
    /// and the like.
    pub fn reload(&self, config: &Config) {
        self.inner.store.catalog.set_settings(settings(config));
        self.inner.store.volumes.set_reserve(config.storage.reserve);
        *self.inner.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config.clone());
        self.inner.store.bells.alerts.notify_one();
    }

    /// What clients are told of where the S3 plane is.
    pub fn s3_url(&self) -> String {
        self.urls().s3
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.inner.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the reconcilers and the uploads that are being committed, makes everything durable and
    /// closes the store.
    pub async fn close(&self) -> Result<()> {
        self.inner.ending.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        let engine = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            if engine.inner.store.salvage.is_none()
                && let Err(error) = observe::flush(&engine, false)
            {
                tracing::warn!(%error, "the last minute's counters were not written down");
            }
            if let Err(error) = engine.inner.guesses.flush(&engine.inner.books) {
                tracing::warn!(%error, "the last failures to sign in were not written down");
            }
            engine.inner.store.close()
        })
        .await;
        match closed {
            Ok(closed) => Ok(closed?),
            Err(error) => Err(Error::Broken(error.to_string().into())),
        }
    }

    /// Why nothing is changed, where the box is in salvage mode or its store has stopped.
    pub fn salvage(&self) -> Option<String> {
        self.inner.store.queue.stopped().borrow().clone()
    }

    /// The last sequence that was acknowledged, or might have been.
    pub fn acknowledged(&self) -> u64 {
        self.inner.store.bells.acknowledged.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Directories of disks on which a write or a sync has failed since the start.
    pub fn failing_disks(&self) -> Vec<std::path::PathBuf> {
        self.inner.store.volumes.failing()
    }

    /// Resolves, with the reason, when the store has stopped after a failure.
    pub async fn failed(&self) -> String {
        if self.inner.store.salvage.is_some() {
            // It was never meant to change anything.
            std::future::pending::<()>().await;
        }
        let mut stopped = self.inner.store.queue.stopped();
        loop {
            if let Some(reason) = stopped.borrow_and_update().clone() {
                return reason;
            }
            if stopped.changed().await.is_err() {
                // The committer ended in good order; nothing has failed.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.inner.world.clock.now()
    }

    /// A name for a request: 16 hex digits, as S3's request ids look.
    pub fn request_id(&self) -> String {
        self.inner.request_ids.next().to_string()
    }

    /// Writes to the audit log; does not wait for it. It is durable with the next change or
    /// within a second.
    pub fn audit(&self, entry: AuditEntry) {
        if self.inner.store.salvage.is_some() {
            return;
        }
        let Ok(entry) = serde_json::to_vec(&entry) else { return };
        let decide = Box::new(move |_: &mut Apply<'_>| Ok(vec![Event::Audit { entry }]));
        if let Err(error) =
            self.inner.store.queue.send(Command::Change { decide, exclusive: false, settled: false, reply: None })
        {
            tracing::warn!(%error, "an audit entry was not written");
        }
    }

    /// Writes to the audit log what a user of the portals, or the operator, did or wanted to do, and what came of it.
    /// `target` is never a secret.
    pub fn audit_by<T>(&self, caller: &Caller, what: &str, target: &str, result: &Result<T>) {
        let who = match &caller.who {
            types::Who::User { name, .. } => name.to_string(),
            types::Who::Operator => "operator".to_owned(),
            // Their lines come from their own planes.
            types::Who::Camera { .. } | types::Who::Administrator { .. } | types::Who::Platform { .. } => return,
        };
        let from = match caller.from {
            Some(from) => from.ip().to_string(),
            None => "control socket".to_owned(),
        };
        let outcome = result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
        self.audit(AuditEntry { who, from, what: what.to_owned(), target: target.to_owned(), outcome });
    }

    /// The line that a change by a key leaves in the audit log, as an event of the change itself: it is written with
    /// it, by the same sync. So do those of a user of the portals and of the operator; a platform has its lines from its
    /// own plane.
    fn audited(&self, caller: &Caller, what: &str, target: String) -> Option<Event> {
        let who = {
            let catalog = self.inner.store.catalog.read();
            match caller.who {
                types::Who::Camera { sub_account } => {
                    catalog.sub_accounts.get(&sub_account)?.row.ak.as_str().to_owned()
                }
                types::Who::Administrator { account } => {
                    catalog.accounts.get(&account)?.admin.as_ref()?.0.as_str().to_owned()
                }
                types::Who::User { ref name, .. } => name.to_string(),
                types::Who::Operator => "operator".to_owned(),
                types::Who::Platform { .. } => return None,
            }
        };
        let nowhere = || if matches!(caller.who, types::Who::Operator) { "control socket" } else { "-" }.to_owned();
        let entry = AuditEntry {
            who,
            from: caller.from.map_or_else(nowhere, |from| from.to_string()),
            what: what.to_owned(),
            target,
            outcome: "ok".to_owned(),
        };
        serde_json::to_vec(&entry).ok().map(|entry| Event::Audit { entry })
    }

    /// Lets the committer decide on the present state; gives the sequence of the first event.
    /// `exclusive`: what comes after must see the effects in the catalog.
    async fn change(
        &self,
        exclusive: bool,
        decide: impl FnOnce(&mut Apply<'_>) -> std::result::Result<Vec<Event>, Failure> + Send + 'static,
    ) -> Result<u64> {
        self.decided(Box::new(decide), exclusive, false).await
    }

    /// As [`Engine::change`], once all is durable that the decision sees: a group's journal is on the disk before its
    /// records, so that a power cut may keep the change and lose an upload of the same group that it was decided upon.
    async fn change_when_settled(
        &self,
        decide: impl FnOnce(&mut Apply<'_>) -> std::result::Result<Vec<Event>, Failure> + Send + 'static,
    ) -> Result<u64> {
        self.decided(Box::new(decide), false, true).await
    }

    async fn decided(&self, decide: Decide, exclusive: bool, settled: bool) -> Result<u64> {
        let queue = &self.inner.store.queue;
        Ok(queue.ask(|reply| Command::Change { decide, exclusive, settled, reply: Some(reply) }).await?)
    }
}

/// A refusal as the committer's decisions give it.
fn refuse<T>(refusal: Refusal) -> std::result::Result<T, Failure> {
    Err(Failure::Refused(refusal))
}
