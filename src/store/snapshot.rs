//! The snapshot with which a journal file begins: everything that the records in the volumes do
//! not say themselves.

use redb::{ReadTransaction, ReadableTable};

use super::codec::{Decoder, Malformed};
use super::error::StoreError;
use super::event::Event;
use super::index::definitions;
use super::index::rows::{AccountRow, OwnBucketRow, Row, SubAccountRow, TrashRow, UploadRow};
use super::journal::{SNAPSHOT_AT, encode_frame};
use crate::domain::{AccountId, BucketId, Lock, ObjectId, SubAccountId, Timestamp, UploadId};

/// Ids of dead records that go into one frame.
const DEAD_PER_FRAME: usize = 10_000;

fn id(key: &[u8]) -> Result<u64, Malformed> {
    Decoder::new(key, "id").u64()
}

/// The frames of a snapshot at sequence `seq`.
pub fn frames(txn: &ReadTransaction, store_id: &[u8; 16], seq: u64, now: Timestamp) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    let mut put = |event: &Event| encode_frame(&mut out, store_id, SNAPSHOT_AT, seq, now, event);
    for entry in txn.open_table(definitions::accounts)?.iter()? {
        let (key, value) = entry?;
        put(&Event::PutAccount { id: AccountId::new(id(key.value())?), row: AccountRow::decode(value.value())? });
    }
    for entry in txn.open_table(definitions::sub_accounts)?.iter()? {
        let (key, value) = entry?;
        put(&Event::PutSubAccount {
            id: SubAccountId::new(id(key.value())?),
            row: SubAccountRow::decode(value.value())?,
        });
    }
    for entry in txn.open_table(definitions::own_buckets)?.iter()? {
        let (key, value) = entry?;
        put(&Event::PutOwnBucket {
            id: SubAccountId::new(id(key.value())?),
            row: OwnBucketRow::decode(value.value())?,
        });
    }
    for entry in txn.open_table(definitions::uploads)?.iter()? {
        let (key, value) = entry?;
        let mut input = Decoder::new(key.value(), "upload key");
        let (bucket, upload) = (BucketId::new(input.u64()?), UploadId::new(input.u128()?));
        put(&Event::CreateUpload { bucket, upload, row: UploadRow::decode(value.value())? });
    }
    for entry in txn.open_table(definitions::marks)?.iter()? {
        let (key, value) = entry?;
        let lock = if value.value() == [1] { Lock::Locked } else { Lock::Open };
        put(&Event::Mark { id: ObjectId::new(id(key.value())?), lock });
    }
    let mut dead = Vec::new();
    for entry in txn.open_table(definitions::trash)?.iter()? {
        dead.push(TrashRow::decode(entry?.1.value())?.id);
        if dead.len() == DEAD_PER_FRAME {
            put(&Event::Dead { ids: std::mem::take(&mut dead) });
        }
    }
    put(&Event::Dead { ids: dead });
    put(&Event::SnapshotEnd);
    Ok(out)
}
