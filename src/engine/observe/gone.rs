//! Why is this file gone? Batches of files that went together, packed.
//!
//! A batch holds up to 500 files of one bucket that went for one reason at one asker's wish within a minute. Its files
//! are sorted by key and packed (see [`pack`]): some 20 bytes a file where keys look alike. Its head says the smallest
//! and largest key and the times, so that a search opens only what may hold the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::rows::GoneRow;
use crate::domain::{BucketId, SubAccountId};
use crate::store::witness::{Gone, WhyGone};

/// Files of one batch.
const BATCH_FILES: usize = 500;

/// A batch ready to be written.
pub(super) struct Packed {
    pub owner: u64,
    pub until_ms: u64,
    pub row: GoneRow,
    /// Base64 of [`pack`].
    pub files: String,
}

/// What went, in batches.
pub(super) fn batches(gone: &[Gone], bucket_name: impl Fn(&Gone) -> String) -> Vec<Packed> {
    type Together = (SubAccountId, BucketId, WhyGone, Option<Arc<str>>);
    let mut groups: BTreeMap<Together, Vec<&Gone>> = BTreeMap::new();
    for one in gone {
        groups.entry((one.owner, one.bucket, one.why, one.by.clone())).or_default().push(one);
    }
    let mut out = Vec::new();
    for ((owner, _, why, by), mut files) in groups {
        files.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
        let Some(name) = files.first().map(|first| bucket_name(first)) else { continue };
        for some in files.chunks(BATCH_FILES) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else { continue };
            let ms = |of: fn(&Gone) -> i64| some.iter().map(move |gone| of(gone));
            let (created, when) = (|gone: &Gone| gone.created.millis(), |gone: &Gone| gone.when.millis());
            let from_ms = ms(when).min().unwrap_or(0);
            let packed = pack(from_ms, some);
            let row = GoneRow {
                bucket: name.clone(),
                why: why.word().to_owned(),
                by: by.as_deref().map(str::to_owned),
                from_ms,
                files: some.len() as u64,
                bytes: some.iter().map(|gone| gone.size.get()).sum(),
                first: first.key.as_str().to_owned(),
                last: last.key.as_str().to_owned(),
                oldest_ms: ms(created).min().unwrap_or(0),
                newest_ms: ms(created).max().unwrap_or(0),
                packed: packed.len() as u64,
            };
            let until_ms = u64::try_from(ms(when).max().unwrap_or(0)).unwrap_or(0);
            let files = BASE64_STANDARD_NO_PAD.encode(packed);
            out.push(Packed { owner: owner.get(), until_ms, row, files });
        }
    }
    out
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Each file: bytes of the key shared with the one before, bytes that follow, those bytes, size, creation less that of
/// the one before (ms), time of deletion less `from_ms`. Numbers are LEB128, those with a sign zigzag.
fn pack(from_ms: i64, files: &[&Gone]) -> Vec<u8> {
    let mut out = Vec::with_capacity(files.len() * 24);
    let (mut before, mut created): (&[u8], i64) = (&[], 0);
    for file in files {
        let key = file.key.as_bytes();
        let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
        put(&mut out, shared as u64);
        put(&mut out, (key.len() - shared) as u64);
        out.extend_from_slice(&key[shared..]);
        put(&mut out, file.size.get());
        put(&mut out, zigzag(file.created.millis().wrapping_sub(created)));
        put(&mut out, zigzag(file.when.millis().wrapping_sub(from_ms)));
        (before, created) = (key, file.created.millis());
    }
    out
}

/// Key, size, creation, deletion; `None` where the bytes are none of ours.
pub(super) type Unpacked = Vec<(String, u64, i64, i64)>;

/// The files of a row of `gone_files` whose batch begins at `from_ms`.
pub(super) fn unfold(from_ms: i64, packed: &str) -> Option<Unpacked> {
    unpack(from_ms, &BASE64_STANDARD_NO_PAD.decode(packed).ok()?)
}

fn unpack(from_ms: i64, packed: &[u8]) -> Option<Unpacked> {
    let mut input = Input(packed);
    let (mut out, mut key, mut created) = (Unpacked::new(), Vec::new(), 0_i64);
    while !input.0.is_empty() {
        let shared = usize::try_from(input.number()?).ok()?;
        let more = usize::try_from(input.number()?).ok()?;
        let (bytes, after) = input.0.split_at_checked(more)?;
        input.0 = after;
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(bytes);
        let size = input.number()?;
        created = created.wrapping_add(unzigzag(input.number()?));
        let when = from_ms.wrapping_add(unzigzag(input.number()?));
        out.push((String::from_utf8(key.clone()).ok()?, size, created, when));
    }
    Some(out)
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut out = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, after) = self.0.split_first()?;
            self.0 = after;
            out |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(out);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bytes, Timestamp};
    use proptest::prelude::*;

    fn gone(key: &str, created: i64, when: i64) -> Gone {
        Gone {
            owner: SubAccountId::new(1),
            bucket: BucketId::new(4),
            key: key.parse().unwrap(),
            size: Bytes::new(77),
            created: Timestamp::from_millis(created),
            when: Timestamp::from_millis(when),
            why: WhyGone::Overwrite,
            by: None,
        }
    }

    #[test]
    fn a_thousand_files_of_a_camera_are_two_batches_of_some_twenty_bytes_a_file() {
        let all: Vec<_> = (0..1000)
            .map(|n| gone(&format!("2026/11/25/camera-{n:06}.mp4"), 1_764_000_000_000 + n * 60_000, 1_765_000_000_000))
            .collect();
        let packed = batches(&all, |_| "rec-1".to_owned());
        assert_eq!(packed.iter().map(|p| p.row.files).collect::<Vec<_>>(), [500, 500]);
        assert!(packed.iter().all(|p| p.row.packed < 500 * 20), "{}", packed[0].row.packed);
        let files = BASE64_STANDARD_NO_PAD.decode(&packed[1].files).unwrap();
        let files = unpack(packed[1].row.from_ms, &files).unwrap();
        assert_eq!(files[7], ("2026/11/25/camera-000507.mp4".to_owned(), 77, 1_764_030_420_000, 1_765_000_000_000));
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(files in proptest::collection::vec(("[a-c/摄]{1,6}", any::<i64>(), any::<i64>()), 0..30), from: i64) {
            let all: Vec<_> = files.iter().filter(|(key, ..)| key.parse::<crate::domain::ObjectKey>().is_ok())
                .map(|(key, created, when)| gone(key, *created, *when)).collect();
            let some: Vec<&Gone> = all.iter().collect();
            let back = unpack(from, &pack(from, &some)).unwrap();
            let right: Unpacked = all.iter().map(|g| (g.key.as_str().to_owned(), 77, g.created.millis(), g.when.millis())).collect();
            prop_assert_eq!(back, right);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = unpack(0, &bytes);
        }
    }
}
