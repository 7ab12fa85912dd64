//! What changes the state of the store besides an upload: one frame of the journal each.
//!
//! Uploads are not here: their records in the volumes are their own journal.

use crate::domain::{
    AccountId, AlertId, AtTheEnd, BucketId, Gigabytes, Lock, ObjectId, ObjectKey, SubAccountId, Timestamp, UploadId,
};

use super::codec::{Decoder, Encoder, Malformed};
use super::index::rows::{AccountRow, AlertRow, OwnBucketRow, Row, SubAccountRow, UploadRow};

/// Why files were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// S3 DELETE, or an administrator.
    Asked,
    /// 7.9.
    Clear,
    /// The overwrite of section 3.
    Overwrite,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account was opened or changed. Id 0: opened by this event, whose sequence is its id.
    PutAccount { id: AccountId, row: AccountRow },
    /// An account was closed.
    CloseAccount { id: AccountId },
    /// 7.2. Id 0: opened by this event, whose sequence is its id.
    PutSubAccount { id: SubAccountId, row: SubAccountRow },
    /// 7.5.
    SetSpace { sub_account: SubAccountId, space: Gigabytes },
    /// 7.6.
    SetAtTheEnd { sub_account: SubAccountId, at_the_end: AtTheEnd },
    /// 7.3. Its files are deleted in the background.
    CloseSubAccount { sub_account: SubAccountId },
    /// 7.8, and S3's legal hold.
    SetLock { bucket: BucketId, key: ObjectKey, id: ObjectId, lock: Lock },
    /// Unlocked files, by creation and id, are deleted. `exhausted`: an overwrite found no more.
    Delete { sub_account: SubAccountId, cause: Cause, files: Vec<(Timestamp, ObjectId)>, exhausted: bool },
    /// 7.9 has come to its end: the alerts are armed.
    Cleared { sub_account: SubAccountId },
    /// A multipart upload was begun.
    CreateUpload { bucket: BucketId, upload: UploadId, row: UploadRow },
    /// A multipart upload was given up, or its completed row has served its time.
    AbortUpload { bucket: BucketId, upload: UploadId },
    /// An upload needs an overwrite that frees so much.
    StartSweep { sub_account: SubAccountId, size: u64 },
    /// An upload was refused for want of space.
    RefusedFull { sub_account: SubAccountId },
    /// An alert was tried, delivered, given up or is to be sent again; number 0 is a new test.
    PutAlert { id: AlertId, row: AlertRow },
    /// A line of the audit log (JSON).
    Audit { entry: Vec<u8> },
    /// Snapshot: these records are deleted though they may not be punched yet.
    Dead { ids: Vec<ObjectId> },
    /// Snapshot: this object's lock is not what its header says.
    Mark { id: ObjectId, lock: Lock },
    /// Snapshot: everything before it in this file is complete.
    SnapshotEnd,
    /// An own bucket was made. Id 0: made by this event, whose sequence is its id.
    PutOwnBucket { id: SubAccountId, row: OwnBucketRow },
    /// An own bucket was deleted, or its account was closed. What it holds goes in the background.
    DeleteOwnBucket { id: SubAccountId },
}

impl Event {
    /// Whether it makes something that takes room and gives none back: an account, a sub-account, a bucket, an upload.
    pub fn adds(&self) -> bool {
        matches!(
            self,
            Self::PutAccount { .. }
                | Self::PutSubAccount { .. }
                | Self::PutOwnBucket { .. }
                | Self::CreateUpload { .. }
        )
    }

    /// The event's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        match self {
            Self::PutAccount { id, row } => {
                out.u8(1).u64(id.get()).raw(&row.encode());
            }
            Self::CloseAccount { id } => {
                out.u8(2).u64(id.get());
            }
            Self::PutSubAccount { id, row } => {
                out.u8(3).u64(id.get()).raw(&row.encode());
            }
            Self::SetSpace { sub_account, space } => {
                out.u8(4).u64(sub_account.get()).u32(space.get());
            }
            Self::SetAtTheEnd { sub_account, at_the_end } => {
                out.u8(5).u64(sub_account.get()).bool(*at_the_end == AtTheEnd::Overwrite);
            }
            Self::CloseSubAccount { sub_account } => {
                out.u8(6).u64(sub_account.get());
            }
            Self::SetLock { bucket, key, id, lock } => {
                out.u8(7).u64(bucket.get()).text(key.as_str()).u64(id.get()).bool(*lock == Lock::Locked);
            }
            Self::Delete { sub_account, cause, files, exhausted } => {
                let cause = match cause {
                    Cause::Asked => 0,
                    Cause::Clear => 1,
                    Cause::Overwrite => 2,
                };
                out.u8(8).u64(sub_account.get()).u8(cause).bool(*exhausted);
                out.u32(u32::try_from(files.len()).unwrap_or(u32::MAX));
                for (created, id) in files {
                    out.i64(created.millis()).u64(id.get());
                }
            }
            Self::Cleared { sub_account } => {
                out.u8(9).u64(sub_account.get());
            }
            Self::CreateUpload { bucket, upload, row } => {
                out.u8(10).u64(bucket.get()).u128(upload.get()).raw(&row.encode());
            }
            Self::AbortUpload { bucket, upload } => {
                out.u8(11).u64(bucket.get()).u128(upload.get());
            }
            Self::StartSweep { sub_account, size } => {
                out.u8(12).u64(sub_account.get()).u64(*size);
            }
            Self::RefusedFull { sub_account } => {
                out.u8(13).u64(sub_account.get());
            }
            Self::PutAlert { id, row } => {
                out.u8(14).u64(id.get()).raw(&row.encode());
            }
            Self::Audit { entry } => {
                out.u8(15).bytes(entry);
            }
            Self::Dead { ids } => {
                out.u8(16).u32(u32::try_from(ids.len()).unwrap_or(u32::MAX));
                for id in ids {
                    out.u64(id.get());
                }
            }
            Self::Mark { id, lock } => {
                out.u8(17).u64(id.get()).bool(*lock == Lock::Locked);
            }
            Self::SnapshotEnd => {
                out.u8(18);
            }
            Self::PutOwnBucket { id, row } => {
                out.u8(19).u64(id.get()).raw(&row.encode());
            }
            Self::DeleteOwnBucket { id } => {
                out.u8(20).u64(id.get());
            }
        }
        out.take()
    }

    /// Reads an event's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "journal event";
        let lock = |locked| if locked { Lock::Locked } else { Lock::Open };
        let mut input = Decoder::new(bytes, WHAT);
        let event = match input.u8()? {
            1 => {
                return Ok(Self::PutAccount {
                    id: AccountId::new(input.u64()?),
                    row: AccountRow::decode(input.rest())?,
                });
            }
            2 => Self::CloseAccount { id: AccountId::new(input.u64()?) },
            3 => {
                return Ok(Self::PutSubAccount {
                    id: SubAccountId::new(input.u64()?),
                    row: SubAccountRow::decode(input.rest())?,
                });
            }
            4 => Self::SetSpace {
                sub_account: SubAccountId::new(input.u64()?),
                space: Gigabytes::new(input.u32()?).ok_or(Malformed(WHAT))?,
            },
            5 => Self::SetAtTheEnd {
                sub_account: SubAccountId::new(input.u64()?),
                at_the_end: if input.bool()? { AtTheEnd::Overwrite } else { AtTheEnd::Stop },
            },
            6 => Self::CloseSubAccount { sub_account: SubAccountId::new(input.u64()?) },
            7 => Self::SetLock {
                bucket: BucketId::new(input.u64()?),
                key: input.parsed()?,
                id: ObjectId::new(input.u64()?),
                lock: lock(input.bool()?),
            },
            8 => {
                let sub_account = SubAccountId::new(input.u64()?);
                let cause = match input.u8()? {
                    0 => Cause::Asked,
                    1 => Cause::Clear,
                    2 => Cause::Overwrite,
                    _ => return Err(Malformed(WHAT)),
                };
                let exhausted = input.bool()?;
                let mut files = Vec::new();
                for _ in 0..input.u32()? {
                    files.push((Timestamp::from_millis(input.i64()?), ObjectId::new(input.u64()?)));
                }
                Self::Delete { sub_account, cause, files, exhausted }
            }
            9 => Self::Cleared { sub_account: SubAccountId::new(input.u64()?) },
            10 => {
                let (bucket, upload) = (BucketId::new(input.u64()?), UploadId::new(input.u128()?));
                return Ok(Self::CreateUpload { bucket, upload, row: UploadRow::decode(input.rest())? });
            }
            11 => Self::AbortUpload { bucket: BucketId::new(input.u64()?), upload: UploadId::new(input.u128()?) },
            12 => Self::StartSweep { sub_account: SubAccountId::new(input.u64()?), size: input.u64()? },
            13 => Self::RefusedFull { sub_account: SubAccountId::new(input.u64()?) },
            14 => return Ok(Self::PutAlert { id: AlertId::new(input.u64()?), row: AlertRow::decode(input.rest())? }),
            15 => Self::Audit { entry: input.bytes()?.to_vec() },
            16 => {
                let mut ids = Vec::new();
                for _ in 0..input.u32()? {
                    ids.push(ObjectId::new(input.u64()?));
                }
                Self::Dead { ids }
            }
            17 => Self::Mark { id: ObjectId::new(input.u64()?), lock: lock(input.bool()?) },
            18 => Self::SnapshotEnd,
            19 => {
                return Ok(Self::PutOwnBucket {
                    id: SubAccountId::new(input.u64()?),
                    row: OwnBucketRow::decode(input.rest())?,
                });
            }
            20 => Self::DeleteOwnBucket { id: SubAccountId::new(input.u64()?) },
            _ => return Err(Malformed(WHAT)),
        };
        input.end()?;
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own_bucket() -> OwnBucketRow {
        OwnBucketRow { account: AccountId::new(2), name: "abc".parse().unwrap(), created: Timestamp::from_millis(4) }
    }

    #[test]
    fn the_events_of_own_buckets_have_the_bytes_of_the_page() {
        let made = Event::PutOwnBucket { id: SubAccountId::new(3), row: own_bucket() };
        let bytes = "13 0000000000000003 01 0000000000000002 00000003616263 0000000000000004".replace(' ', "");
        assert_eq!(hex::encode(made.encode()), bytes);
        let gone = Event::DeleteOwnBucket { id: SubAccountId::new(3) };
        assert_eq!(hex::encode(gone.encode()), "140000000000000003");
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let sub_account = SubAccountId::new(3);
        for event in [
            Event::Delete {
                sub_account,
                cause: Cause::Overwrite,
                files: vec![(Timestamp::from_millis(-1), ObjectId::new(9))],
                exhausted: true,
            },
            Event::SetLock {
                bucket: BucketId::new(1),
                key: "a/b".parse().unwrap(),
                id: ObjectId::new(2),
                lock: Lock::Locked,
            },
            Event::StartSweep { sub_account, size: 77 },
            Event::Dead { ids: vec![ObjectId::new(1), ObjectId::new(2)] },
            Event::SnapshotEnd,
            Event::PutOwnBucket { id: sub_account, row: own_bucket() },
            Event::DeleteOwnBucket { id: sub_account },
        ] {
            assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Event::decode(&bytes);
        }
    }
}
