//! What the engine takes and gives: the nouns between the planes and the use cases.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::books::BooksError;
use crate::domain::{
    AccessKey, AccountId, AccountName, AtTheEnd, BucketId, BucketName, Bytes, CallbackProfile, Checksum, ChecksumKind,
    ChecksumPlan, ChecksumType, ETag, Gigabytes, Lock, Media, Metadata, ObjectId, ObjectKey, Refusal, Role, Secret,
    SubAccountId, Timestamp, UploadId,
};
use crate::store::committer::{Failure, Receipt};
use crate::store::error::StoreError;
use crate::wire::sig::Key;

/// Why a use case did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The shop says no; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not now: a full queue, a server on its way out. Nothing was changed; S3 503.
    #[error("the appliance is busy: {0}")]
    Busy(&'static str),
    /// Not until there is room: a disk is full. Nothing was changed; S3 503.
    #[error("the disk is full: nothing was changed; it is taken again once there is room")]
    NoRoom,
    /// Not before an operator does something: a disk fails, and nothing is changed or this is not read; S3 503.
    #[error("{0}")]
    Unavailable(&'static str),
    /// Something broke. Logged where it is handled; callers are told a request id and no more.
    #[error("{0}")]
    Broken(Arc<str>),
}

/// What is said of a change while the box is in salvage mode.
pub const SALVAGE: &str = "the appliance is in salvage mode: a disk fails; what can be read is served, and nothing is stored, deleted or locked";
/// What is said of a file whose disk is dead.
pub const UNREADABLE: &str = "the disk that holds this file cannot be read";

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => Self::NoRoom,
            StoreError::Queue => Self::Busy("too many changes are waiting"),
            StoreError::Stopped(_) => Self::Unavailable(SALVAGE),
            StoreError::Unreadable(why) => {
                tracing::error!(why, "a file was not served");
                Self::Unavailable(UNREADABLE)
            }
            other => Self::Broken(other.to_string().into()),
        }
    }
}

impl From<BooksError> for Error {
    fn from(error: BooksError) -> Self {
        if matches!(error, BooksError::Frozen) {
            return Self::Unavailable(SALVAGE);
        }
        Self::Broken(error.to_string().into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Store(error) => error.into(),
        }
    }
}

/// What a use case gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Who calls. Only authentication makes one: a verified signature, a password, the local socket.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) who: Who,
    /// From where, for the audit log.
    pub(super) from: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// A camera's key.
    Camera { sub_account: SubAccountId },
    /// An account's administration key.
    Administrator { account: AccountId },
    /// The platform, with the account's password.
    Platform { account: AccountId },
    /// A user of the portals.
    User { name: Arc<str>, role: Role, account: Option<AccountId> },
    /// Operations staff through the Unix socket (mode 0600), or on a closed store.
    Operator,
}

/// A key pair on its way to a verification.
pub struct Credential {
    pub(super) key: std::sync::Arc<Key>,
    pub(super) who: Who,
    pub(super) sig_v2: bool,
    pub(super) attempt: Option<super::guesses::Attempt>,
    pub(super) engine: super::Engine,
}

/// A bucket that its caller may see. Only [`super::Engine::bucket`] and its like make one.
#[derive(Clone, Debug)]
pub struct BucketRef {
    pub(super) id: BucketId,
    /// Whose its files are: a sub-account, or the own bucket itself.
    pub(super) owner: SubAccountId,
    /// Its name.
    pub name: BucketName,
    /// What it holds; `None` of an account's own bucket.
    pub media: Option<Media>,
    /// When it was made.
    pub created: Timestamp,
}

/// A sub-account that the platform has named with its AK and SK.
#[derive(Clone, Debug)]
pub struct SubAccountRef {
    pub(super) id: SubAccountId,
}

/// What a list or a HEAD tells of a file.
#[derive(Clone, Debug)]
pub struct ObjectInfo {
    /// Its key.
    pub key: ObjectKey,
    /// Which commit stored it.
    pub id: ObjectId,
    /// Payload bytes.
    pub size: Bytes,
    /// When its upload was completed.
    pub created: Timestamp,
    /// Its tag.
    pub etag: ETag,
    /// Its lock.
    pub lock: Lock,
}

/// Conditions of a conditional PUT.
#[derive(Clone, Debug, Default)]
pub struct PutCondition {
    /// `If-None-Match: *`: only where there is no such key.
    pub must_not_exist: bool,
    /// `If-None-Match`: not where the key's tag is this one (as [`ETag`] displays).
    pub must_differ: Option<String>,
    /// `If-Match`: only where the key's tag is this one, or any at `*`.
    pub must_match: Option<String>,
}

/// Conditions of a deletion. They say nothing of a key that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteCondition {
    /// The key's tag must be this one, or any at `*`.
    pub etag: Option<String>,
    /// It must have been stored in this second.
    pub modified: Option<Timestamp>,
    /// It must have so many bytes.
    pub size: Option<u64>,
}

/// What an upload says before its bytes.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Its key.
    pub key: ObjectKey,
    /// Payload bytes (decoded), where the client says.
    pub length: Option<u64>,
    /// Headers to keep.
    pub metadata: Metadata,
    /// `x-amz-object-lock-legal-hold`.
    pub lock: Lock,
    /// Which checksum a multipart upload is to have, where that was said.
    pub checksum: Option<ChecksumPlan>,
    /// Conditions.
    pub condition: PutCondition,
}

/// A part as a complete names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedPart {
    /// 1 to 10,000.
    pub number: u16,
    /// Its tag, as it was sent, without quotation marks.
    pub etag: String,
    /// Its checksums, as they were sent.
    pub checksums: Vec<(ChecksumKind, String)>,
}

/// What a complete says.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The parts, in the client's order.
    pub parts: Vec<NamedPart>,
    /// Conditions.
    pub condition: PutCondition,
    /// The checksum that the object shall have, as it was sent.
    pub checksum: Option<(ChecksumKind, String)>,
    /// `x-amz-checksum-type`
    pub covers: Option<ChecksumType>,
    /// `x-amz-mp-object-size`
    pub size: Option<u64>,
}

/// What an upload says after its bytes, all of it verified by the plane but `md5`.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    /// `Content-MD5`; the engine compares ([`Refusal::BadDigest`]).
    pub md5: Option<[u8; 16]>,
    /// A verified `x-amz-checksum-*`, to be kept.
    pub checksum: Option<Checksum>,
}

/// An upload that is committed and durable: a 200 is made from nothing else.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// Its tag.
    pub etag: ETag,
    /// When it was completed.
    pub created: Timestamp,
    /// The checksum kept with it.
    pub checksum: Option<Checksum>,
}

impl From<Receipt> for Stored {
    fn from(receipt: Receipt) -> Self {
        Self { etag: receipt.etag(), created: receipt.created(), checksum: receipt.checksum().cloned() }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// Files, by key.
    pub objects: Vec<ObjectInfo>,
    /// Common prefixes, by name.
    pub prefixes: Vec<String>,
    /// The last key or common prefix of the page where there is more: what `after` is next.
    pub next: Option<String>,
}

/// A part of a multipart upload.
#[derive(Clone, Debug)]
pub struct PartInfo {
    /// 1 to 10,000.
    pub number: u16,
    /// Payload bytes.
    pub size: Bytes,
    /// Its tag (no number behind it).
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// When it was stored.
    pub created: Timestamp,
}

/// A page of the parts of a multipart upload.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// By number.
    pub parts: Vec<PartInfo>,
    /// Whether there are more.
    pub more: bool,
    /// Which checksum the object is to have.
    pub checksum: Option<ChecksumPlan>,
}

/// A multipart upload under way.
#[derive(Clone, Debug)]
pub struct UploadInfo {
    /// The key that it will have.
    pub key: ObjectKey,
    /// Its id.
    pub id: UploadId,
    /// When it was begun.
    pub created: Timestamp,
    /// Which checksum it is to have.
    pub checksum: Option<ChecksumPlan>,
}

/// 7.1: space of the account, GB.
#[derive(Clone, Copy, Debug)]
pub struct UserSpace {
    /// The total.
    pub total: Gigabytes,
    /// What is left to hand out.
    pub free: Gigabytes,
}

/// 7.4: space of a sub-account, GB.
#[derive(Clone, Copy, Debug)]
pub struct SubAccountSpace {
    /// What was granted.
    pub total: Gigabytes,
    /// What is left, rounded down.
    pub free: Gigabytes,
}

/// 7.2: what the platform hands to the camera.
#[derive(Clone, Debug)]
pub struct OpenedSubAccount {
    /// `S3AK`
    pub access_key: AccessKey,
    /// `S3SK`
    pub secret: Secret,
    /// `S3URL`: `http(s)://host[:port]`.
    pub s3_url: String,
    /// `S3RecordBucket`
    pub record_bucket: BucketName,
    /// `S3PictureBucket`
    pub picture_bucket: BucketName,
}

/// What is said to open a sub-account on a page, over the API or on the command line.
#[derive(Clone, Debug)]
pub struct NewSubAccount {
    /// Of this account; of the caller's where `None`.
    pub account: Option<AccountName>,
    /// Its space.
    pub space: Gigabytes,
    /// What happens when it is full.
    pub at_the_end: AtTheEnd,
    /// What people call the camera; may be empty.
    pub name: String,
    /// Where it is; may be empty.
    pub place: String,
}

/// 7.7: what is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Recordings or pictures.
    pub media: Media,
    /// First whole second (Unix) of `FileDate`, included; `None` is open.
    pub from: Option<i64>,
    /// Last whole second (Unix) of `FileDate`, included; `None` is open.
    pub to: Option<i64>,
    /// From 1.
    pub page: u64,
    /// From 1.
    pub page_size: u64,
}

/// 7.7: a page of files.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// All matches, on every page the same.
    pub total: u64,
    /// The page, by date, then by name.
    pub files: Vec<FoundFile>,
}

/// 7.7: one file.
#[derive(Clone, Debug)]
pub struct FoundFile {
    /// The file.
    pub info: ObjectInfo,
    /// A presigned GET, absolute and ASCII.
    pub url: String,
}

/// What operations staff say to open an account (6.1).
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name.
    pub name: AccountName,
    /// Its password; one is made up where `None`.
    pub password: Option<Secret>,
    /// Its space.
    pub space: Gigabytes,
    /// Where its platform takes alerts (http or https).
    pub alert_url: Option<String>,
    /// Its most sub-accounts; `space.max_sub_accounts` where `None`.
    pub max_sub_accounts: Option<u32>,
}

/// What operations staff change of an account; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChanges {
    /// A new password.
    pub password: Option<Secret>,
    /// A new total.
    pub space: Option<Gigabytes>,
    /// A new alert URL; `Some(None)` takes it away.
    pub alert_url: Option<Option<String>>,
    /// A new limit.
    pub max_sub_accounts: Option<u32>,
    /// A new way of writing callbacks.
    pub callback: Option<CallbackProfile>,
}

/// An account as operations staff see it.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// Total, GB.
    pub space_gb: u32,
    /// Handed out to sub-accounts, GB.
    pub handed_out_gb: u64,
    /// Left to hand out, GB.
    pub free_gb: u64,
    /// Bytes stored by all its sub-accounts.
    pub used_bytes: u64,
    /// Files stored by all its sub-accounts.
    pub files: u64,
    /// Buckets of its own, which its administration key made.
    pub own_buckets: u64,
    /// Bytes stored in them, uploads under way too.
    pub own_bytes: u64,
    /// Files stored in them.
    pub own_files: u64,
    /// Sub-accounts now.
    pub sub_accounts: u32,
    /// Sub-accounts at most.
    pub max_sub_accounts: u32,
    /// Where its platform takes alerts.
    pub alert_url: Option<String>,
    /// How its platform wants them written.
    pub callback: CallbackProfile,
    /// Whether it has an administration key, and which.
    pub admin_ak: Option<String>,
    /// When it was opened, ms since 1970.
    pub created_ms: i64,
    /// Since when it is suspended, ms since 1970.
    pub suspended_ms: Option<i64>,
}

/// What an account holds, locked files too: all that a close takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountContents {
    /// Its sub-accounts.
    pub sub_accounts: u64,
    /// Buckets of its own.
    pub own_buckets: u64,
    /// Files in all of them.
    pub files: u64,
    /// Their bytes, stored parts of uploads too.
    pub bytes: u64,
    /// Locked files among them.
    pub locked_files: u64,
    /// Their bytes.
    pub locked_bytes: u64,
    /// FileDate of the oldest file, to the second, ms since 1970.
    pub oldest_ms: Option<i64>,
    /// When the last upload was completed, ms since 1970.
    pub last_upload_ms: Option<i64>,
}

/// A sub-account as operations staff see it.
#[derive(Clone, Debug, Serialize)]
pub struct SubAccountView {
    /// S3AK.
    pub ak: String,
    /// What people call it; empty where nobody has named it.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Its account's name.
    pub account: String,
    /// Granted, GB.
    pub space_gb: u32,
    /// Granted, bytes.
    pub space_bytes: u64,
    /// Finished objects and stored parts, bytes.
    pub used_bytes: u64,
    /// Uploads under way, bytes.
    pub reserved_bytes: u64,
    /// Locked files, bytes.
    pub locked_bytes: u64,
    /// Recordings.
    pub recordings: u64,
    /// Pictures.
    pub pictures: u64,
    /// Locked files.
    pub locked_files: u64,
    /// Whether the oldest files are overwritten.
    #[serde(rename = "loop")]
    pub loops: bool,
    /// Record bucket.
    pub record_bucket: String,
    /// Picture bucket.
    pub picture_bucket: String,
    /// Episodes that are open: `full`, `nearly_full`.
    pub episodes: Vec<&'static str>,
    /// Overwrites so far.
    pub overwrites: u64,
    /// When the last upload was completed, ms since 1970.
    pub last_upload_ms: Option<i64>,
    /// When it was opened, ms since 1970.
    pub created_ms: i64,
}

/// An alert as operations staff see it.
#[derive(Clone, Debug, Serialize)]
pub struct AlertView {
    /// Its number.
    pub id: u64,
    /// The account.
    pub account: String,
    /// The sub-account's AK.
    pub ak: String,
    /// What people call the camera; empty where nobody has named it.
    pub name: String,
    /// `full`, `nearly_full` or `idle`.
    pub alert: &'static str,
    /// `pending`, `delivered`, `withdrawn`, `replaced` or `given_up`.
    pub state: &'static str,
    /// When it was raised, ms since 1970.
    pub raised_ms: i64,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next, ms since 1970.
    pub next_ms: Option<i64>,
    /// What the last attempt came to.
    pub last: Option<String>,
    /// Whether it is a test that operations staff asked for.
    pub test: bool,
    /// When somebody acknowledged it, ms since 1970.
    pub acknowledged_ms: Option<i64>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// One disk as operations staff see it.
#[derive(Clone, Debug, Serialize)]
pub struct DiskView {
    /// Its directory.
    pub dir: String,
    /// Size of the disk.
    pub total_bytes: u64,
    /// Free on the disk.
    pub free_bytes: u64,
    /// What uploads may not touch.
    pub reserve_bytes: u64,
    /// Volume files.
    pub volumes: u32,
    /// `ok`, `full` (uploads get 503), `failed` (writes refused after an I/O error) or `offline`.
    pub state: &'static str,
}

/// Room that is held back for a full disk.
#[derive(Clone, Debug, Serialize)]
pub struct HeldView {
    /// The file that holds it.
    pub path: String,
    /// Bytes of a whole one.
    pub bytes: u64,
    /// Bytes that are there.
    pub held_bytes: u64,
    /// Free bytes of the disk besides.
    pub free_bytes: u64,
}

/// One page on the box's state.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Program version.
    pub version: &'static str,
    /// On-disk format version.
    pub format: u32,
    /// Accounts.
    pub accounts: u64,
    /// Sub-accounts.
    pub sub_accounts: u64,
    /// Files.
    pub files: u64,
    /// Bytes stored.
    pub used_bytes: u64,
    /// Bytes of uploads under way.
    pub reserved_bytes: u64,
    /// Promised to accounts, bytes.
    pub promised_bytes: u64,
    /// Handed out to sub-accounts, bytes.
    pub handed_out_bytes: u64,
    /// Disks.
    pub disks: Vec<DiskView>,
    /// Why no upload finds room; `None` while they do.
    pub no_room: Option<String>,
    /// What is held back for the day when a disk is full, the index's disk first.
    pub held_back: Vec<HeldView>,
    /// Changes waiting for the committer.
    pub commit_queue: usize,
    /// Extents waiting to be given back to the file system.
    pub trash: u64,
    /// Alerts not delivered yet.
    pub alerts_pending: u64,
    /// Alerts given up.
    pub alerts_given_up: u64,
    /// When the oldest of those that are not delivered yet was raised, ms since 1970.
    pub alerts_oldest_ms: Option<i64>,
    /// The scrub in the background.
    pub scrub: ScrubView,
    /// Wrong passwords, keys and signatures since the start.
    pub wrong_guesses: u64,
    /// What was not looked at since the start, because too much from there was wrong.
    pub refused_guesses: u64,
    /// Who waits for that, ten at most.
    pub slowed: Vec<SlowedView>,
    /// Why the box is in salvage mode, where it is.
    pub salvage: Option<String>,
}

/// Somebody who guessed too often and waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlowedView {
    /// `access key`, `account`, `address` or `portal`.
    pub what: &'static str,
    /// Which key or account, where it is one that there is.
    pub who: Option<String>,
    /// From where: an address, or the /64 of one.
    pub from: Option<String>,
    /// Failures that count.
    pub failures: u32,
    /// For how long still.
    pub seconds: u64,
}

/// What the scrub in the background has read since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScrubView {
    /// Times that it came through all files.
    pub passes: u64,
    /// Files read and found sound.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged files found; the log names them.
    pub damaged: u64,
    /// The pass under way, or the last one while none is; it goes on after a restart.
    pub now: ScrubPass,
    /// The last pass that came through all files.
    pub last: Option<ScrubPass>,
    /// A scrub that somebody has asked for.
    pub asked: Option<ScrubAsked>,
}

/// One pass of the scrub through all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ScrubPass {
    /// When it began, ms since 1970.
    pub begun_ms: i64,
    /// When it came through.
    pub ended_ms: Option<i64>,
    /// Files read and found sound.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damaged files found.
    pub damaged: u64,
}

/// How far a scrub is that somebody has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScrubAsked {
    /// Files read, damaged ones too.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes that there were when it began.
    pub of_bytes: u64,
}

/// One finding of `index check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which invariant is broken, in words.
    pub what: String,
    /// The bucket, where there is one.
    pub bucket: Option<String>,
    /// The key, where there is one.
    pub key: Option<String>,
}

/// What `index check` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Objects looked at.
    pub objects: u64,
    /// What is wrong.
    pub violations: Vec<Violation>,
}

/// One damaged object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What `scrub` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScrubReport {
    /// Objects read.
    pub objects: u64,
    /// Payload bytes read.
    pub bytes: u64,
    /// What is wrong.
    pub damaged: Vec<Damage>,
    /// First sectors of volumes, and copies of them, that had rotted: what was done about it. No file was touched by that.
    pub mended: Vec<String>,
}

/// What happened, for the audit log: never a password or an SK.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// Who: an account's name as it was sent (cut to 64 characters), an AK, or `operator`.
    pub who: String,
    /// From where: the peer's address.
    pub from: String,
    /// What: an operation's name, as in section 7.
    pub what: String,
    /// On what: an AK, a file name, sizes.
    pub target: String,
    /// What came of it: `0` … `6` for SOAP, a word elsewhere.
    pub outcome: String,
}

// === impl Credential ===

impl Credential {
    /// The key that a signature is checked with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Whether SigV2 is accepted for this key.
    pub fn sig_v2(&self) -> bool {
        self.sig_v2
    }

    /// The caller, once `proof` shows that the signature was made with the secret.
    pub fn caller(self, _proof: &crate::wire::sig::Verified) -> Caller {
        self.engine.guessed_right(self.attempt.as_ref());
        Caller::new(self.who)
    }

    /// The signature was not made with the secret. [`crate::domain::Refusal::Slow`] where there were so many of them
    /// that this is not said any more. `name` is the key.
    pub fn wrong(self, name: &str) -> Result<()> {
        self.engine.guessed_wrong(self.attempt.as_ref(), Some(name))
    }
}

// === impl Caller ===

impl From<PutCondition> for crate::store::committer::Check {
    fn from(condition: PutCondition) -> Self {
        let PutCondition { must_not_exist, must_differ, must_match } = condition;
        Self { must_not_exist, must_differ, must_match }
    }
}

impl DeleteCondition {
    /// Whether a file is the one that was meant.
    pub(super) fn holds(&self, etag: ETag, modified: Timestamp, size: Bytes) -> bool {
        self.etag.as_ref().is_none_or(|tag| tag == "*" || *tag == etag.to_string())
            && self.modified.is_none_or(|at| at.seconds() == modified.seconds())
            && self.size.is_none_or(|wanted| wanted == size.get())
    }
}

impl Caller {
    /// Operations staff. The control socket (mode 0600) and the commands that work on a closed
    /// store are the only places that may say so; `tests/it/tidy.rs` holds them to it.
    pub fn operator() -> Self {
        Self::new(Who::Operator)
    }

    pub(super) fn new(who: Who) -> Self {
        Self { who, from: None }
    }

    /// The same, with the address that the request came from.
    #[must_use]
    pub fn seen_at(mut self, from: Option<SocketAddr>) -> Self {
        self.from = from;
        self
    }

    /// Whether this is an account's administration key, which makes buckets of its own.
    pub fn administers(&self) -> bool {
        matches!(self.who, Who::Administrator { .. })
    }
}

/// The word for [`AtTheEnd`] at our own edges.
pub fn loops(at_the_end: AtTheEnd) -> bool {
    at_the_end == AtTheEnd::Overwrite
}
