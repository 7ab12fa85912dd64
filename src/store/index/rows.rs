//! The values of the index: our own bytes, a format number in front of each.
//!
//! `docs/storage-format.md` has the tables with their keys; the order of the fields is the order
//! in which `encode` writes them here.

use crate::domain::{
    AccessKey, AccountId, AccountName, Alert, AtTheEnd, BucketName, Bytes, CallbackProfile, Checksum, ChecksumKind,
    ChecksumPlan, ChecksumType, ETag, Episode, Gigabytes, Lock, Media, Metadata, ObjectId, ObjectKey, Space,
    SubAccountId, Timestamp,
};
use crate::store::codec::{Decoder, Encoder, Malformed};
use crate::store::volume::record::{Extent, Place, Segment, checksum_code};

/// A value of the index.
pub trait Row: Sized {
    /// Names it in errors.
    const WHAT: &'static str;
    /// The format that is written, its first byte.
    const FORMAT: u8 = 1;
    fn write(&self, out: &mut Encoder);
    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed>;

    /// Reads what an older format wrote.
    fn read_older(_format: u8, _input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Err(Malformed(Self::WHAT))
    }

    /// The value's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u8(Self::FORMAT);
        self.write(&mut out);
        out.take()
    }

    /// Reads the value's bytes, all of them.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Decoder::new(bytes, Self::WHAT);
        let format = input.u8()?;
        let row = if format == Self::FORMAT { Self::read(&mut input) } else { Self::read_older(format, &mut input) }?;
        input.end()?;
        Ok(row)
    }
}

/// A province's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub name: AccountName,
    /// Sealed under the master key.
    pub password: Vec<u8>,
    pub space: Gigabytes,
    pub max_sub_accounts: u32,
    pub alert_url: Option<String>,
    pub callback: CallbackProfile,
    /// The administration key: AK, and SK sealed under the master key.
    pub admin: Option<(AccessKey, Vec<u8>)>,
    pub created: Timestamp,
    /// Since when neither its password nor its keys are taken.
    pub suspended: Option<Timestamp>,
}

/// A camera's sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAccountRow {
    pub account: AccountId,
    pub ak: AccessKey,
    /// Sealed under the master key.
    pub sk: Vec<u8>,
    pub space: Gigabytes,
    pub at_the_end: AtTheEnd,
    pub record_bucket: BucketName,
    pub picture_bucket: BucketName,
    pub created: Timestamp,
}

/// A bucket that an account's administration key made. Its id is an owner's, as a sub-account's is: its files
/// are counted for it, and its account's space is what is left for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBucketRow {
    pub account: AccountId,
    pub name: BucketName,
    pub created: Timestamp,
}

/// What is kept of a sub-account, or of an own bucket, so that nothing has to be counted. Exact at every commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files: recordings, pictures.
    pub files: [u64; 2],
    /// Bytes of files: recordings, pictures.
    pub bytes: [u64; 2],
    pub locked_files: u64,
    pub locked_bytes: u64,
    /// Stored parts of multipart uploads under way.
    pub parts_bytes: u64,
    /// What the overwrite under way has yet to free; 0 where none is.
    pub sweep_left: u64,
    pub full: Episode,
    pub nearly_full: Episode,
    /// Overwrites that came to their end.
    pub overwrites: u64,
    pub last_upload: Option<Timestamp>,
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    pub id: ObjectId,
    pub size: Bytes,
    pub created: Timestamp,
    pub etag: ETag,
    pub lock: Lock,
    /// What the record's header says of the lock; where it differs, `marks` has a row.
    pub header_lock: Lock,
    /// Its record: the object, or the manifest.
    pub place: Place,
    /// Whether its bytes lie in the segments of the `segments` table.
    pub segmented: bool,
}

/// A multipart upload, under way or completed not long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    pub key: ObjectKey,
    pub metadata: Metadata,
    pub lock: Lock,
    pub created: Timestamp,
    /// Which checksum the object is to have, where that was said.
    pub checksum: Option<ChecksumPlan>,
    /// What completing it answered, so that a repeat is answered alike.
    pub done: Option<Done>,
}

/// What completing a multipart upload answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub etag: ETag,
    pub created: Timestamp,
    pub checksum: Option<Checksum>,
}

/// A part of a multipart upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    pub size: u64,
    pub md5: [u8; 16],
    pub checksum: Option<Checksum>,
    pub created: Timestamp,
    pub segments: Vec<Segment>,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    Pending,
    Delivered,
    Withdrawn,
    Replaced,
    GivenUp,
}

/// An alert of section 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    pub sub_account: SubAccountId,
    pub account: AccountId,
    pub ak: AccessKey,
    pub alert: Alert,
    pub raised: Timestamp,
    pub state: AlertState,
    pub attempts: u32,
    /// When it is tried next; meaningless unless pending.
    pub next: Timestamp,
    /// What the last attempt came to, in words without secrets.
    pub last: Option<String>,
}

/// Bytes that are nobody's any more and have yet to be punched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrashRow {
    pub extent: Extent,
    /// The record's own commit.
    pub id: ObjectId,
}

/// How many records of a volume are alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeRow {
    pub records: u64,
    pub bytes: u64,
}

/// The place of a kind of file in pairs of counters.
pub const fn slot(media: Media) -> usize {
    match media {
        Media::Recording => 0,
        Media::Picture => 1,
    }
}

// === impl Stats ===

impl Stats {
    /// Bytes of finished objects and stored parts.
    pub fn used(&self) -> u64 {
        self.bytes[0] + self.bytes[1] + self.parts_bytes
    }

    /// The rules' view of the sub-account.
    pub fn space(&self, granted: Bytes, at_the_end: AtTheEnd, reserved: u64) -> Space {
        Space {
            granted,
            used: Bytes::new(self.used()),
            held: Bytes::new(self.locked_bytes + self.parts_bytes),
            reserved: Bytes::new(reserved),
            at_the_end,
        }
    }
}

impl AlertState {
    /// Its name for operators.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Withdrawn => "withdrawn",
            Self::Replaced => "replaced",
            Self::GivenUp => "given_up",
        }
    }
}

/// The name of an alert for operators.
pub const fn alert_word(alert: Alert) -> &'static str {
    match alert {
        Alert::Full => "full",
        Alert::NearlyFull => "nearly_full",
        Alert::Idle => "idle",
    }
}

// === the bytes ===

fn timestamp(input: &mut Decoder<'_>) -> Result<Timestamp, Malformed> {
    input.i64().map(Timestamp::from_millis)
}

fn lock(input: &mut Decoder<'_>) -> Result<Lock, Malformed> {
    Ok(if input.bool()? { Lock::Locked } else { Lock::Open })
}

fn put_lock(out: &mut Encoder, lock: Lock) {
    out.bool(lock == Lock::Locked);
}

fn gigabytes(input: &mut Decoder<'_>) -> Result<Gigabytes, Malformed> {
    Gigabytes::new(input.u32()?).ok_or(Malformed("number of GB"))
}

fn episode(input: &mut Decoder<'_>) -> Result<Episode, Malformed> {
    Ok(if input.bool()? { Episode::Open } else { Episode::Armed })
}

fn etag(input: &mut Decoder<'_>) -> Result<ETag, Malformed> {
    Ok(ETag { md5: input.array()?, parts: input.u16()? })
}

fn checksum_kind(input: &mut Decoder<'_>) -> Result<ChecksumKind, Malformed> {
    let code = input.u8()?;
    ChecksumKind::ALL.into_iter().find(|&kind| checksum_code(kind) == code).ok_or(Malformed("kind of checksum"))
}

fn checksum(input: &mut Decoder<'_>) -> Result<Option<Checksum>, Malformed> {
    input.option(|i| Ok(Checksum { kind: checksum_kind(i)?, parts: i.u16()?, digest: i.bytes()?.to_vec() }))
}

fn put_checksum(out: &mut Encoder, checksum: Option<&Checksum>) {
    out.option(checksum, |o, sum| {
        o.u8(checksum_code(sum.kind)).u16(sum.parts).bytes(&sum.digest);
    });
}

impl Row for AccountRow {
    const WHAT: &'static str = "account row";
    const FORMAT: u8 = 2;

    fn write(&self, out: &mut Encoder) {
        out.text(self.name.as_str()).bytes(&self.password).u32(self.space.get()).u32(self.max_sub_accounts);
        out.option(self.alert_url.as_deref(), |o, v| {
            o.text(v);
        });
        for text in [&self.callback.namespace, &self.callback.operation, &self.callback.soap_action] {
            out.option(text.as_deref(), |o, v| {
                o.text(v);
            });
        }
        out.bool(self.callback.soap12).bool(self.callback.unqualified).bool(self.callback.gbk);
        out.option(self.admin.as_ref(), |o, (ak, sk)| {
            o.text(ak.as_str()).bytes(sk);
        });
        out.i64(self.created.millis());
        out.option(self.suspended, |o, since| {
            o.i64(since.millis());
        });
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Self::read_format(Self::FORMAT, input)
    }

    fn read_older(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        if format == 1 { Self::read_format(format, input) } else { Err(Malformed(Self::WHAT)) }
    }
}

impl AccountRow {
    /// Format 1 knew of no suspension.
    fn read_format(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: input.parsed()?,
            password: input.bytes()?.to_vec(),
            space: gigabytes(input)?,
            max_sub_accounts: input.u32()?,
            alert_url: input.option(|i| i.text().map(str::to_owned))?,
            callback: CallbackProfile {
                namespace: input.option(|i| i.text().map(str::to_owned))?,
                operation: input.option(|i| i.text().map(str::to_owned))?,
                soap_action: input.option(|i| i.text().map(str::to_owned))?,
                soap12: input.bool()?,
                unqualified: input.bool()?,
                gbk: input.bool()?,
            },
            admin: input.option(|i| Ok((i.parsed()?, i.bytes()?.to_vec())))?,
            created: timestamp(input)?,
            suspended: if format == 1 { None } else { input.option(timestamp)? },
        })
    }
}

impl Row for SubAccountRow {
    const WHAT: &'static str = "sub-account row";

    fn write(&self, out: &mut Encoder) {
        out.u64(self.account.get()).text(self.ak.as_str()).bytes(&self.sk).u32(self.space.get());
        out.bool(self.at_the_end == AtTheEnd::Overwrite);
        out.text(self.record_bucket.as_str()).text(self.picture_bucket.as_str()).i64(self.created.millis());
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            account: AccountId::new(input.u64()?),
            ak: input.parsed()?,
            sk: input.bytes()?.to_vec(),
            space: gigabytes(input)?,
            at_the_end: if input.bool()? { AtTheEnd::Overwrite } else { AtTheEnd::Stop },
            record_bucket: input.parsed()?,
            picture_bucket: input.parsed()?,
            created: timestamp(input)?,
        })
    }
}

impl Row for OwnBucketRow {
    const WHAT: &'static str = "own bucket row";

    fn write(&self, out: &mut Encoder) {
        out.u64(self.account.get()).text(self.name.as_str()).i64(self.created.millis());
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self { account: AccountId::new(input.u64()?), name: input.parsed()?, created: timestamp(input)? })
    }
}

impl Row for Stats {
    const WHAT: &'static str = "counters row";

    fn write(&self, out: &mut Encoder) {
        out.u64(self.files[0]).u64(self.files[1]).u64(self.bytes[0]).u64(self.bytes[1]);
        out.u64(self.locked_files).u64(self.locked_bytes).u64(self.parts_bytes).u64(self.sweep_left);
        out.bool(self.full == Episode::Open).bool(self.nearly_full == Episode::Open).u64(self.overwrites);
        out.option(self.last_upload, |o, t| {
            o.i64(t.millis());
        });
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let row = Self {
            files: [input.u64()?, input.u64()?],
            bytes: [input.u64()?, input.u64()?],
            locked_files: input.u64()?,
            locked_bytes: input.u64()?,
            parts_bytes: input.u64()?,
            sweep_left: input.u64()?,
            full: episode(input)?,
            nearly_full: episode(input)?,
            overwrites: input.u64()?,
            last_upload: input.option(timestamp)?,
        };
        // No disk holds so much: what cannot be added up was not counted.
        let sums = row.bytes.into_iter().chain([row.parts_bytes, row.locked_bytes]).try_fold(0, u64::checked_add);
        if sums.is_some() { Ok(row) } else { Err(Malformed(Self::WHAT)) }
    }
}

impl Row for ObjectRow {
    const WHAT: &'static str = "object row";

    fn write(&self, out: &mut Encoder) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags =
            bit(self.lock == Lock::Locked, 1) | bit(self.header_lock == Lock::Locked, 2) | bit(self.segmented, 4);
        out.u8(flags).u64(self.id.get()).u64(self.size.get()).i64(self.created.millis());
        out.raw(&self.etag.md5).u16(self.etag.parts);
        self.place.encode(out);
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let flags = input.u8()?;
        if flags & !7 != 0 {
            return Err(Malformed(Self::WHAT));
        }
        let lock = |bit: u8| if flags & bit == 0 { Lock::Open } else { Lock::Locked };
        Ok(Self {
            lock: lock(1),
            header_lock: lock(2),
            segmented: flags & 4 != 0,
            id: ObjectId::new(input.u64()?),
            size: Bytes::new(input.u64()?),
            created: timestamp(input)?,
            etag: etag(input)?,
            place: Place::decode(input)?,
        })
    }
}

impl UploadRow {
    /// Format 1 knew of no checksums.
    fn read_format(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let key = input.parsed()?;
        let mut metadata = Metadata::default();
        for _ in 0..input.u32()? {
            metadata.0.push((input.text()?.to_owned(), input.bytes()?.to_vec()));
        }
        Ok(Self {
            key,
            metadata,
            lock: lock(input)?,
            created: timestamp(input)?,
            checksum: if format == 1 { None } else { input.option(plan)? },
            done: input.option(|i| {
                let (etag, created) = (etag(i)?, timestamp(i)?);
                Ok(Done { etag, created, checksum: if format == 1 { None } else { checksum(i)? } })
            })?,
        })
    }
}

fn plan(input: &mut Decoder<'_>) -> Result<ChecksumPlan, Malformed> {
    let kind = checksum_kind(input)?;
    Ok(ChecksumPlan { kind, covers: if input.bool()? { ChecksumType::Composite } else { ChecksumType::FullObject } })
}

impl Row for UploadRow {
    const WHAT: &'static str = "upload row";
    const FORMAT: u8 = 2;

    fn write(&self, out: &mut Encoder) {
        out.text(self.key.as_str()).u32(u32::try_from(self.metadata.0.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.metadata.0 {
            out.text(name).bytes(value);
        }
        put_lock(out, self.lock);
        out.i64(self.created.millis());
        out.option(self.checksum, |o, plan| {
            o.u8(checksum_code(plan.kind)).bool(plan.covers == ChecksumType::Composite);
        });
        out.option(self.done.as_ref(), |o, done| {
            o.raw(&done.etag.md5).u16(done.etag.parts).i64(done.created.millis());
            put_checksum(o, done.checksum.as_ref());
        });
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Self::read_format(Self::FORMAT, input)
    }

    fn read_older(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        if format == 1 { Self::read_format(format, input) } else { Err(Malformed(Self::WHAT)) }
    }
}

impl PartRow {
    /// Format 1 knew of no checksums.
    fn read_format(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let (size, md5, created) = (input.u64()?, input.array()?, timestamp(input)?);
        let checksum = if format == 1 { None } else { checksum(input)? };
        let mut segments = Vec::new();
        for _ in 0..input.u32()? {
            segments.push(Segment::decode(input)?);
        }
        Ok(Self { size, md5, checksum, created, segments })
    }
}

impl Row for PartRow {
    const WHAT: &'static str = "part row";
    const FORMAT: u8 = 2;

    fn write(&self, out: &mut Encoder) {
        out.u64(self.size).raw(&self.md5).i64(self.created.millis());
        put_checksum(out, self.checksum.as_ref());
        out.u32(u32::try_from(self.segments.len()).unwrap_or(u32::MAX));
        for segment in &self.segments {
            segment.encode(out);
        }
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Self::read_format(Self::FORMAT, input)
    }

    fn read_older(format: u8, input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        if format == 1 { Self::read_format(format, input) } else { Err(Malformed(Self::WHAT)) }
    }
}

impl Row for AlertRow {
    const WHAT: &'static str = "alert row";

    fn write(&self, out: &mut Encoder) {
        out.u64(self.sub_account.get()).u64(self.account.get()).text(self.ak.as_str());
        out.u8(match self.alert {
            Alert::Full => 1,
            Alert::NearlyFull => 2,
            Alert::Idle => 3,
        });
        out.i64(self.raised.millis());
        out.u8(match self.state {
            AlertState::Pending => 0,
            AlertState::Delivered => 1,
            AlertState::Withdrawn => 2,
            AlertState::Replaced => 3,
            AlertState::GivenUp => 4,
        });
        out.u32(self.attempts).i64(self.next.millis());
        out.option(self.last.as_deref(), |o, v| {
            o.text(v);
        });
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            sub_account: SubAccountId::new(input.u64()?),
            account: AccountId::new(input.u64()?),
            ak: input.parsed()?,
            alert: match input.u8()? {
                1 => Alert::Full,
                2 => Alert::NearlyFull,
                3 => Alert::Idle,
                _ => return Err(Malformed(Self::WHAT)),
            },
            raised: timestamp(input)?,
            state: match input.u8()? {
                0 => AlertState::Pending,
                1 => AlertState::Delivered,
                2 => AlertState::Withdrawn,
                3 => AlertState::Replaced,
                4 => AlertState::GivenUp,
                _ => return Err(Malformed(Self::WHAT)),
            },
            attempts: input.u32()?,
            next: timestamp(input)?,
            last: input.option(|i| i.text().map(str::to_owned))?,
        })
    }
}

impl Row for TrashRow {
    const WHAT: &'static str = "trash row";

    fn write(&self, out: &mut Encoder) {
        out.u32(self.extent.volume.get()).u64(self.extent.offset).u64(self.extent.len).u64(self.id.get());
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let volume = crate::domain::VolumeId::new(input.u32()?);
        let extent = Extent { volume, offset: input.u64()?, len: input.u64()? };
        extent.offset.checked_add(extent.len).ok_or(Malformed(Self::WHAT))?;
        Ok(Self { extent, id: ObjectId::new(input.u64()?) })
    }
}

impl Row for VolumeRow {
    const WHAT: &'static str = "volume row";

    fn write(&self, out: &mut Encoder) {
        out.u64(self.records).u64(self.bytes);
    }

    fn read(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self { records: input.u64()?, bytes: input.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::VolumeId;
    use proptest::prelude::*;

    fn object() -> ObjectRow {
        ObjectRow {
            id: ObjectId::new(7),
            size: Bytes::new(65536),
            created: Timestamp::from_millis(1_395_000_000_123),
            etag: ETag { md5: [3; 16], parts: 0 },
            lock: Lock::Locked,
            header_lock: Lock::Open,
            place: Place { volume: VolumeId::new(1), offset: 4096, header_len: 4096, payload_len: 65536 },
            segmented: false,
        }
    }

    #[test]
    fn an_object_row_is_frozen() {
        assert_eq!(
            hex::encode(object().encode()),
            "01010000000000000007000000000001000000000144cc7abe7b030303030303030303030303030303030000000000010000000000001000000010000000000000010000"
        );
        assert_eq!(ObjectRow::decode(&object().encode()), Ok(object()));
    }

    #[test]
    fn an_upload_and_a_part_of_format_one_are_still_read() {
        let old = "01000000016b00000000010000000000000005010303030303030303030303030303030300020000000000000006";
        let done = Done { etag: ETag { md5: [3; 16], parts: 2 }, created: Timestamp::from_millis(6), checksum: None };
        let upload = UploadRow {
            key: "k".parse().unwrap(),
            metadata: Metadata::default(),
            lock: Lock::Locked,
            created: Timestamp::from_millis(5),
            checksum: None,
            done: Some(done),
        };
        assert_eq!(UploadRow::decode(&hex::decode(old).unwrap()), Ok(upload));
        let old = "010000000000000007030303030303030303030303030303030000000000000005".to_owned()
            + "00000001000000010000000000001000000010000000000000000007000000000000000900020000000003030303030303030303030303030303";
        let segment = Segment {
            place: Place { volume: VolumeId::new(1), offset: 4096, header_len: 4096, payload_len: 7 },
            id: ObjectId::new(9),
            part: 2,
            reserved: 0,
            md5: [3; 16],
        };
        let part = PartRow {
            size: 7,
            md5: [3; 16],
            checksum: None,
            created: Timestamp::from_millis(5),
            segments: vec![segment],
        };
        assert_eq!(PartRow::decode(&hex::decode(old).unwrap()), Ok(part));
    }

    #[test]
    fn an_upload_and_a_part_of_format_two_are_frozen() {
        let checksum = Checksum { kind: ChecksumKind::Crc32, digest: vec![1, 2, 3, 4], parts: 2 };
        let done = Done {
            etag: ETag { md5: [3; 16], parts: 2 },
            created: Timestamp::from_millis(6),
            checksum: Some(checksum.clone()),
        };
        let upload = UploadRow {
            key: "k".parse().unwrap(),
            metadata: Metadata::default(),
            lock: Lock::Open,
            created: Timestamp::from_millis(5),
            checksum: Some(ChecksumPlan { kind: ChecksumKind::Crc32, covers: ChecksumType::Composite }),
            done: Some(done),
        };
        assert_eq!(
            hex::encode(upload.encode()),
            "02000000016b00000000000000000000000005010101010303030303030303030303030303030300020000000000000006\
             010100020000000401020304"
        );
        assert_eq!(UploadRow::decode(&upload.encode()), Ok(upload));
        let part = PartRow {
            size: 7,
            md5: [3; 16],
            checksum: Some(Checksum { parts: 0, ..checksum }),
            created: Timestamp::from_millis(5),
            segments: Vec::new(),
        };
        assert_eq!(
            hex::encode(part.encode()),
            "020000000000000007030303030303030303030303030303030000000000000005010100000000000401020304\
             00000000"
        );
        assert_eq!(PartRow::decode(&part.encode()), Ok(part));
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let account = AccountRow {
            name: "江苏".parse().unwrap(),
            password: vec![1, 2],
            space: Gigabytes::new(100).unwrap(),
            max_sub_accounts: 5,
            alert_url: Some("http://platform/".to_owned()),
            callback: CallbackProfile { gbk: true, ..CallbackProfile::default() },
            admin: Some(("AK".parse().unwrap(), vec![3])),
            created: Timestamp::from_millis(1),
            suspended: Some(Timestamp::from_millis(2)),
        };
        assert_eq!(AccountRow::decode(&account.encode()), Ok(account.clone()));
        // Format 1 ended before the suspension.
        let mut old = AccountRow { suspended: None, ..account.clone() }.encode();
        assert_eq!((old.first().copied(), old.pop()), (Some(2), Some(0)));
        old[0] = 1;
        assert_eq!(AccountRow::decode(&old), Ok(AccountRow { suspended: None, ..account }));
        old[0] = 3;
        assert!(AccountRow::decode(&old).is_err());
        let alert = AlertRow {
            sub_account: SubAccountId::new(1),
            account: AccountId::new(2),
            ak: "AK".parse().unwrap(),
            alert: Alert::NearlyFull,
            raised: Timestamp::from_millis(3),
            state: AlertState::GivenUp,
            attempts: 4,
            next: Timestamp::from_millis(5),
            last: Some("refused".to_owned()),
        };
        assert_eq!(AlertRow::decode(&alert.encode()), Ok(alert));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = AccountRow::decode(&bytes);
            let _ = SubAccountRow::decode(&bytes);
            let _ = Stats::decode(&bytes);
            let _ = ObjectRow::decode(&bytes);
            let _ = UploadRow::decode(&bytes);
            let _ = PartRow::decode(&bytes);
            let _ = AlertRow::decode(&bytes);
            let _ = TrashRow::decode(&bytes);
        }
    }
}
