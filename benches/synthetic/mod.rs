//! Records of files that were never uploaded: what a shop's cameras would have written. They go into an index by the
//! same step that an upload, a start and a rebuild use, so the index is a real one; only the volumes lack their bytes.

use kandian::domain::{
    BucketId, GigabyteSize, Lock, Metadata, ObjectId, ObjectKey, Rules, Timestamp, UploadId, VolumeId,
};
use kandian::store::error::StoreError;
use kandian::store::index;
use kandian::store::index::apply::{Apply, Settings};
use kandian::store::volume::record::{Header, Kind, VERSION};
use redb::Database;

/// Cameras that take turns.
pub const CAMERAS: u64 = 1000;
/// When the first picture was taken.
pub const FIRST: i64 = 1_767_225_600;
/// Pictures of all cameras together in a second: 1,000 cameras with a picture every four minutes.
pub const PER_SECOND: i64 = 4;
/// Small enough that ten million of them fit into a modest space.
const SIZE: u64 = 4096;
/// Files of one transaction.
const AT_ONCE: u64 = 50_000;

/// As `appliance.toml` has them where it says nothing.
pub fn settings() -> Settings {
    Settings { rules: Rules::default(), gigabyte: GigabyteSize::STANDARD, notify_idle: false }
}

/// The second in which file `number` was taken.
pub fn second(number: u64) -> i64 {
    FIRST + i64::try_from(number).expect("a number of files") / PER_SECOND
}

/// The key of file `number`: a folder a camera and day, as cameras name their files.
pub fn key(number: u64) -> ObjectKey {
    let (second, camera) = (second(number) - FIRST, number % CAMERAS);
    format!("camera-{camera:04}/{:03}/{:05}-{number}.jpg", second / 86_400, second % 86_400)
        .parse()
        .expect("a key like any other")
}

/// The record of file `number` with this sequence.
pub fn header(bucket: BucketId, seq: u64, number: u64) -> Header {
    let mut md5 = [0; 16];
    md5[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Header {
        version: VERSION,
        kind: Kind::Object,
        lock: Lock::Open,
        header_len: 4096,
        nonce: [7; 16],
        id: ObjectId::new(seq),
        bucket,
        payload_len: SIZE,
        created: Timestamp::from_millis(second(number) * 1000),
        md5,
        parts: 0,
        upload: UploadId::new(0),
        volume: VolumeId::new(1),
        offset: 4096 + number * 2 * SIZE,
        size: SIZE,
        first: ObjectId::new(seq),
        group: seq - 1,
        checksum: None,
        key: key(number),
        metadata: Metadata(vec![("content-type".to_owned(), b"image/jpeg".to_vec())]),
        blocks: Vec::new(),
        segments: Vec::new(),
    }
}

/// Files `0..count` of a bucket, with the sequences behind `seq`; gives the last one.
pub fn fill(
    db: &Database,
    bucket: BucketId,
    seq: u64,
    count: u64,
    mut progress: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let mut done = 0;
    while done < count {
        let txn = index::begin_durable(db)?;
        let mut apply = Apply::new(&txn, settings())?;
        let end = count.min(done + AT_ONCE);
        for number in done..end {
            let header = header(bucket, seq + 1 + number, number);
            apply.begin(header.id.get(), header.created);
            apply.record(&header)?;
        }
        apply.finish(seq + end)?;
        txn.commit()?;
        done = end;
        progress(done);
    }
    Ok(seq + count)
}
