//! The index: a redb database derived from volumes and journal.
//!
//! It is committed without waiting for the disk and made durable by checkpoints; what came after
//! the last one is applied again from the records and frames themselves. So nothing in an
//! acknowledged upload waits for it, and all of it can be made anew.

pub mod apply;
pub mod rows;
pub mod time_counts;
pub mod view;

use std::path::Path;

use redb::{Database, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::codec::{Decoder, Encoder, ordered};
use super::error::{Doing, StoreError};
use super::journal::InJournal;
use super::volume::RoomMark;
use super::volume::record::Extent;
use crate::domain::{AlertId, BucketId, Media, ObjectId, ObjectKey, SubAccountId, Timestamp, UploadId, VolumeId};
use crate::world::Disk;
use crate::world::paged::{Paged, without_panic};

/// Version of every on-disk format together, as `status` shows it. 2: own buckets.
pub const FORMAT: u32 = 2;
/// The oldest index that this program brings up to date at a start, by making the tables that it lacks.
pub const FORMAT_OLDEST: u32 = 1;

/// Keys and values are our own bytes: how redb encodes types is none of our formats' business.
pub type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
/// An open table.
pub type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident = $name:literal;)*) => {
        /// Every table, open for writing.
        pub struct Tables<'t> {
            $($(#[$doc])* pub $field: Rows<'t>,)*
        }

        impl<'t> Tables<'t> {
            /// Opens them, making those that are not there.
            pub fn open(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
                Ok(Self { $($field: txn.open_table(definitions::$field)?,)* })
            }
        }

        /// The tables' definitions.
        #[expect(non_upper_case_globals, reason = "a definition is named as its field")]
        pub mod definitions {
            $(pub const $field: super::Definition = super::Definition::new($name);)*
        }
    };
}

tables! {
    /// Text → what it names: format, store id, sequence, room mark.
    meta = "meta";
    /// Account id → [`rows::AccountRow`].
    accounts = "accounts";
    /// Sub-account id → [`rows::SubAccountRow`].
    sub_accounts = "sub_accounts";
    /// Own bucket id → [`rows::OwnBucketRow`].
    own_buckets = "own_buckets";
    /// Sub-account or own bucket id → nothing: closed, its files are still being deleted.
    closing = "closing";
    /// Sub-account or own bucket id → [`rows::Stats`].
    stats = "stats";
    /// Bucket id, key → [`rows::ObjectRow`]: sorts as S3 lists.
    objects = "objects";
    /// Bucket id, second, key → nothing: sorts as 7.7 answers.
    by_time = "by_time";
    /// Bucket id, level, node → count: see [`time_counts`].
    time_counts = "time_counts";
    /// Sub-account or own bucket id, creation ms, object id → bucket id, size, key: the order of overwrite.
    unlocked = "unlocked";
    /// Object id, number → segment.
    segments = "segments";
    /// Bucket id, upload id → [`rows::UploadRow`].
    uploads = "uploads";
    /// Upload id, part number → [`rows::PartRow`].
    parts = "parts";
    /// Object id → lock: where it differs from the record's header.
    marks = "marks";
    /// Sequence, number → [`rows::TrashRow`]: oldest first.
    trash = "trash";
    /// Volume id → [`rows::VolumeRow`].
    volumes = "volumes";
    /// Alert id → [`rows::AlertRow`]: pending and given up.
    outbox = "outbox";
    /// Alert id → [`rows::AlertRow`]: what has come to its end.
    alert_log = "alert_log";
    /// Sequence → time (i64), chain (32), entry (JSON).
    audit = "audit";
}

/// Keys of the `meta` table.
pub mod meta {
    pub const FORMAT: &[u8] = b"format";
    pub const STORE: &[u8] = b"store";
    pub const SEQ: &[u8] = b"seq";
    pub const MARK: &[u8] = b"room";
    /// How far the journal was when the index was made durable: number of its file (u64), length (u64).
    pub const JOURNAL: &[u8] = b"journal";
    pub const AUDIT_CHAIN: &[u8] = b"audit-chain";
}

/// What stands with a line of the audit log: a sum over the line and what stands with the line before.
pub fn audit_chain(before: &[u8], seq: u64, time: Timestamp, entry: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&seq.to_be_bytes()).update(&time.millis().to_be_bytes()).update(entry);
    *hasher.finalize().as_bytes()
}

/// The bucket of a sub-account that holds this kind of file: its id carries the sub-account's.
pub fn bucket_of(sub_account: SubAccountId, media: Media) -> BucketId {
    BucketId::new(sub_account.get() * 4 + rows::slot(media) as u64)
}

/// What an own bucket's id has behind its owner's.
const OWN: u64 = 2;

/// The bucket id of an own bucket, which is the owner of its files.
pub fn own_bucket_of(owner: SubAccountId) -> BucketId {
    BucketId::new(owner.get() * 4 + OWN)
}

/// Whose the files of a bucket are: a sub-account, or an own bucket.
pub fn owner_of(bucket: BucketId) -> SubAccountId {
    SubAccountId::new(bucket.get() / 4)
}

/// Whether a bucket is one of an account's own.
pub fn is_own(bucket: BucketId) -> bool {
    bucket.get() % 4 == OWN
}

/// Where a bucket's files are counted: pictures by themselves, the rest together.
pub fn slot_of(bucket: BucketId) -> usize {
    rows::slot(if bucket.get() % 4 == 1 { Media::Picture } else { Media::Recording })
}

/// Keys of the tables.
pub mod keys {
    use super::{
        AlertId, BucketId, Encoder, ObjectId, ObjectKey, SubAccountId, Timestamp, UploadId, VolumeId, ordered,
    };

    pub fn number(id: u64) -> Vec<u8> {
        id.to_be_bytes().to_vec()
    }

    pub fn object(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
        prefixed(bucket, key.as_bytes())
    }

    pub fn prefixed(bucket: BucketId, rest: &[u8]) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(bucket.get()).raw(rest);
        out.take()
    }

    pub fn by_time(bucket: BucketId, second: i64, key: &[u8]) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(bucket.get()).u64(ordered(second)).raw(key);
        out.take()
    }

    pub fn unlocked(sub_account: SubAccountId, created: Timestamp, id: ObjectId) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(sub_account.get()).u64(ordered(created.millis())).u64(id.get());
        out.take()
    }

    pub fn segment(id: ObjectId, number: u32) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(id.get()).u32(number);
        out.take()
    }

    pub fn upload(bucket: BucketId, upload: UploadId) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(bucket.get()).u128(upload.get());
        out.take()
    }

    pub fn part(upload: UploadId, number: u16) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u128(upload.get()).u16(number);
        out.take()
    }

    pub fn trash(seq: u64, number: u32) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(seq).u32(number);
        out.take()
    }

    pub fn volume(id: VolumeId) -> Vec<u8> {
        id.get().to_be_bytes().to_vec()
    }

    pub fn alert(id: AlertId) -> Vec<u8> {
        number(id.get())
    }
}

/// The first key after all that begin with `prefix`; `None` where there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The number that a row of `meta` holds.
pub fn meta_u64(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<u64>, StoreError> {
    match table.get(key)? {
        Some(value) => Ok(Some(Decoder::new(value.value(), "meta row").u64()?)),
        None => Ok(None),
    }
}

/// The room mark's bytes.
pub fn encode_mark(mark: &RoomMark) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u32(mark.next_volume);
    out.u32(u32::try_from(mark.tails.len()).unwrap_or(u32::MAX));
    for (volume, tail) in &mark.tails {
        out.u32(volume.get()).u64(*tail);
    }
    out.u32(u32::try_from(mark.open.len()).unwrap_or(u32::MAX));
    for extent in &mark.open {
        out.u32(extent.volume.get()).u64(extent.offset).u64(extent.len);
    }
    out.take()
}

/// The bytes of a place in the journal.
pub fn encode_place(place: InJournal) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u64(place.file).u64(place.len);
    out.take()
}

/// Reads the bytes of a place in the journal.
pub fn decode_place(bytes: &[u8]) -> Result<InJournal, StoreError> {
    let mut input = Decoder::new(bytes, "place in the journal");
    Ok(InJournal { file: input.u64()?, len: input.u64()? })
}

/// Reads the room mark's bytes.
pub fn decode_mark(bytes: &[u8]) -> Result<RoomMark, StoreError> {
    let mut input = Decoder::new(bytes, "room mark");
    let mut mark = RoomMark { next_volume: input.u32()?, ..RoomMark::default() };
    for _ in 0..input.u32()? {
        mark.tails.push((VolumeId::new(input.u32()?), input.u64()?));
    }
    for _ in 0..input.u32()? {
        mark.open.push(Extent { volume: VolumeId::new(input.u32()?), offset: input.u64()?, len: input.u64()? });
    }
    Ok(mark)
}

/// Opens the database at `path`; makes a new one where `create`.
pub fn open_database(disk: &dyn Disk, path: &Path, cache: u64, create: bool) -> Result<Database, StoreError> {
    let doing = || format!("open index {}", path.display());
    let file = match create {
        true => Paged::new(disk.create(path).doing(doing)?),
        false => Paged::open(disk, path).doing(doing)?,
    };
    let damaged = || {
        StoreError::Unusable(format!(
            "the index {} is damaged; run `kandian index rebuild` to make it anew from volumes and journal",
            path.display()
        ))
    };
    if !create && !file.is_sound().doing(doing)? {
        return Err(damaged());
    }
    if create && let Some(dir) = path.parent() {
        disk.sync_dir(dir).doing(doing)?;
    }
    let mut builder = Database::builder();
    builder.set_cache_size(usize::try_from(cache).unwrap_or(usize::MAX));
    // One that is too long to be looked at whole may have rotted all the same.
    Ok(without_panic(|| builder.create_with_backend(file)).ok_or_else(damaged)??)
}

/// Begins a transaction that is in memory only until a later one is durable.
pub fn begin_volatile(db: &Database) -> Result<WriteTransaction, StoreError> {
    let mut txn = db.begin_write()?;
    txn.set_durability(redb::Durability::None)?;
    Ok(txn)
}

/// Begins a transaction that is durable when its commit returns, and after which a start need not
/// walk the whole file.
pub fn begin_durable(db: &Database) -> Result<WriteTransaction, StoreError> {
    let mut txn = db.begin_write()?;
    txn.set_durability(redb::Durability::Immediate)?;
    txn.set_quick_repair(true);
    Ok(txn)
}
