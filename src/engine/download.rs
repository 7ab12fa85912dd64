//! Reading a file back, every block verified.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes as Buf;
use futures_util::Stream;
use tokio::time::Instant;

use super::pins::Pin;
use super::{BucketRef, Caller, Engine, Error, ObjectInfo, Result};
use crate::domain::{BucketId, Checksum, Metadata, ObjectId, ObjectKey, Refusal, SubAccountId};
use crate::store::index::rows::ObjectRow;
use crate::store::volume::reader::RecordReader;
use crate::store::volume::record::{BLOCK, Header, Place, Segment};

/// Blocks that are read at a time at first, and at most for a small file, which is read at once.
const BLOCKS_AT_FIRST: u64 = 4;
/// Blocks that are read at a time for a client that takes them quickly: fewer wake-ups for both.
const BLOCKS_MAX: u64 = 16;
/// A client that took what was read before within this gets twice as much at a time …
const QUICK: Duration = Duration::from_millis(20);
/// … and one that took longer than this gets one block: a phone on a thin line should not hold more than it can
/// take.
const SLOW: Duration = Duration::from_millis(100);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// What is known of it, and perhaps some of its bytes.
    Head,
    /// All of its bytes.
    All,
}

/// A file, open for reading: its bytes stay until this is dropped, whatever is deleted meanwhile.
pub struct ObjectReader {
    /// What a list tells of it.
    pub info: ObjectInfo,
    /// The headers kept with it.
    pub metadata: Metadata,
    /// The checksum kept with it.
    pub checksum: Option<Checksum>,
    /// Size of each part of a multipart object, in order; empty for an object put whole.
    pub parts: Vec<u64>,
    engine: Engine,
    head: RecordReader,
    segments: Vec<Segment>,
    pin: Pin,
    /// Whose it is.
    owner: SubAccountId,
}

impl Engine {
    /// Opens a file. [`Refusal::NoFile`] where there is none.
    pub async fn open_object(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey) -> Result<ObjectReader> {
        self.open_for(caller, bucket, key, Wanted::Head).await
    }

    /// As [`Engine::open_object`], by one who will want all of its bytes.
    pub async fn open_whole(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey) -> Result<ObjectReader> {
        self.open_for(caller, bucket, key, Wanted::All).await
    }

    async fn open_for(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        wanted: Wanted,
    ) -> Result<ObjectReader> {
        let _ = caller;
        loop {
            let now = self.inner.pins.now();
            let view = self.inner.store.view()?;
            let row = view.object(bucket.id, key)?.ok_or(Refusal::NoFile)?;
            let segments = if row.segmented { view.segments(row.id)? } else { Vec::new() };
            let ids = std::iter::once(row.id).chain(segments.iter().map(|s| s.id)).collect();
            if let Some(pin) = self.inner.pins.pin(ids, now) {
                return self.reader((key, bucket), row, segments, pin, wanted).await;
            }
        }
    }

    async fn reader(
        &self,
        (key, bucket): (&ObjectKey, &BucketRef),
        row: ObjectRow,
        segments: Vec<Segment>,
        pin: Pin,
        wanted: Wanted,
    ) -> Result<ObjectReader> {
        let all = wanted == Wanted::All;
        let head = RecordReader::open(&self.inner.store.volumes, row.place, row.id, all).await?;
        let header = head.header();
        // The index is only derived: where it was damaged, it must not pass one file off as another.
        if !is_of(header, bucket.id, key, &row, &segments) {
            return Err(Error::Broken(format!("the index and the record of commit {} disagree", row.id).into()));
        }
        let mut parts: Vec<(u16, u64)> = Vec::new();
        if row.etag.parts > 0 {
            for segment in &segments {
                match parts.last_mut() {
                    Some((number, size)) if *number == segment.part => *size += segment.place.payload_len,
                    _ => parts.push((segment.part, segment.place.payload_len)),
                }
            }
        }
        Ok(ObjectReader {
            info: super::listing::info(key.clone(), &row),
            metadata: header.metadata.clone(),
            checksum: header.checksum.clone(),
            parts: parts.into_iter().map(|(_, size)| size).collect(),
            engine: self.clone(),
            head,
            segments,
            pin,
            owner: bucket.owner,
        })
    }
}

/// Whether this is the record of this file, by all that index and record both tell of it.
fn is_of(header: &Header, bucket: BucketId, key: &ObjectKey, row: &ObjectRow, segments: &[Segment]) -> bool {
    (header.bucket, &header.key) == (bucket, key)
        && (header.size, header.created, header.etag()) == (row.size.get(), row.created, row.etag)
        && header.segments == segments
}

/// Where a stream is.
struct Reading {
    engine: Engine,
    _pin: Pin,
    /// Records with the offset of their first byte in the file.
    records: std::vec::IntoIter<(u64, Source)>,
    current: Option<(u64, RecordReader)>,
    at: u64,
    end: u64,
    /// When the last bytes were handed over …
    handed: Instant,
    /// … and how many blocks they were read as.
    blocks: u64,
    /// Where it began, and whose file it is: what was read is counted at the end.
    from: u64,
    owner: SubAccountId,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let read = self.at.saturating_sub(self.from);
        self.engine.inner.observe.downloaded(self.owner, read, self.engine.now());
    }
}

enum Source {
    Open(Box<RecordReader>),
    Closed(Place, ObjectId),
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Self::Open(reader) => reader.header().payload_len,
            Self::Closed(place, _) => place.payload_len,
        }
    }
}

impl ObjectReader {
    /// The checksum of a part of a multipart object, by its place among [`ObjectReader::parts`].
    pub async fn part_checksum(&self, index: usize) -> Result<Option<Checksum>> {
        let mut starts = self.segments.iter().scan(0, |before, segment| {
            let new = *before != segment.part;
            *before = segment.part;
            Some((new, segment))
        });
        let Some((_, first)) = starts.by_ref().filter(|(new, _)| *new).nth(index) else { return Ok(None) };
        let reader = RecordReader::open(&self.engine.inner.store.volumes, first.place, first.id, false).await?;
        Ok(reader.header().checksum.clone())
    }

    /// The bytes of `range` (within the file), verified, where they are few and lie in one record.
    pub async fn read_at_once(&self, range: &Range<u64>) -> Result<Option<Buf>> {
        let (first, last) = (range.start / BLOCK, range.end.saturating_sub(1) / BLOCK);
        if !self.segments.is_empty() || range.is_empty() || last - first >= BLOCKS_AT_FIRST {
            return Ok(None);
        }
        let bytes = self.head.read(&self.engine.inner.store.volumes, first, last, 0).await?;
        self.engine.inner.observe.downloaded(self.owner, range.end - range.start, self.engine.now());
        Ok(Some(cut(&bytes, first, range)))
    }

    /// The bytes of `range` (within the file), verified block by block; a damaged block ends the
    /// stream with an error.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Buf>> + Send + 'static {
        let mut records = Vec::new();
        let mut offset = 0;
        let sources: Vec<Source> = if self.segments.is_empty() {
            vec![Source::Open(Box::new(self.head))]
        } else {
            self.segments.iter().map(|s| Source::Closed(s.place, s.id)).collect()
        };
        for source in sources {
            let len = source.len();
            if offset < range.end && offset + len > range.start {
                records.push((offset, source));
            }
            offset += len;
        }
        let reading = Reading {
            engine: self.engine,
            _pin: self.pin,
            records: records.into_iter(),
            current: None,
            at: range.start,
            end: range.end.min(self.info.size.get()),
            handed: Instant::now(),
            blocks: BLOCKS_AT_FIRST / 2,
            from: range.start,
            owner: self.owner,
        };
        futures_util::stream::try_unfold(reading, |mut reading| async move {
            match reading.next().await {
                Ok(Some(bytes)) => Ok(Some((bytes, reading))),
                Ok(None) => Ok(None),
                Err(error) => {
                    tracing::error!(%error, "a read was cut");
                    Err(error)
                }
            }
        })
    }
}

/// Blocks to read for a client that took `elapsed` for the last `blocks`.
fn next_blocks(blocks: u64, elapsed: Duration) -> u64 {
    if elapsed > SLOW {
        1
    } else if elapsed <= QUICK {
        (blocks * 2).min(BLOCKS_MAX)
    } else {
        blocks
    }
}

/// What of `wanted` (bytes of a record) is in `bytes`, which are its blocks from `first` on.
fn cut(bytes: &Buf, first: u64, wanted: &Range<u64>) -> Buf {
    let within = |at: u64| usize::try_from(at.saturating_sub(first * BLOCK)).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(within(wanted.start)..within(wanted.end))
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Buf>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let volumes = &self.engine.inner.store.volumes;
        let passed = self.current.as_ref().is_none_or(|(start, reader)| self.at >= start + reader.header().payload_len);
        if passed {
            let Some((start, source)) = self.records.next() else {
                return Err(Error::Broken("a file ends before its size".into()));
            };
            let reader = match source {
                Source::Open(reader) => *reader,
                Source::Closed(place, id) => RecordReader::open(volumes, place, id, false).await?,
            };
            self.current = Some((start, reader));
        }
        let Some((start, reader)) = &self.current else { return Ok(None) };
        let within = self.at - start;
        let record_end = reader.header().payload_len.min(self.end - start);
        let first = within / BLOCK;
        self.blocks = next_blocks(self.blocks, self.handed.elapsed());
        let last = ((record_end - 1) / BLOCK).min(first + self.blocks - 1);
        let soon = record_end.saturating_sub((last + 1) * BLOCK);
        let bytes = reader.read(volumes, first, last, soon).await?;
        let out = cut(&bytes, first, &(within..record_end));
        self.at += out.len() as u64;
        self.handed = Instant::now();
        Ok(Some(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_quickly_gets_more_at_a_time_and_who_takes_slowly_one_block() {
        let after = |blocks, ms| next_blocks(blocks, Duration::from_millis(ms));
        assert_eq!(after(BLOCKS_AT_FIRST / 2, 0), BLOCKS_AT_FIRST);
        assert_eq!([after(4, 20), after(8, 5), after(16, 0)], [8, 16, 16]);
        assert_eq!([after(4, 21), after(16, 100)], [4, 16]);
        assert_eq!([after(16, 101), after(1, 10_000)], [1, 1]);
        assert_eq!(after(1, 1), 2, "a line that is better again");
    }

    #[test]
    fn what_was_asked_for_is_cut_out_of_the_blocks_that_were_read() {
        let bytes = Buf::from_iter((0..2 * BLOCK).map(|n| (n % 251) as u8));
        let wanted = BLOCK + 5..3 * BLOCK - 7;
        assert_eq!(cut(&bytes, 1, &wanted), bytes.slice(5..bytes.len() - 7));
        assert_eq!(cut(&bytes, 1, &(BLOCK..BLOCK)), Buf::new());
        assert_eq!(cut(&bytes, 3, &(0..BLOCK)), Buf::new(), "nothing of it is there");
    }
}
