//! Reading payload, every block verified before a byte of it leaves.

use std::sync::Arc;

use bytes::Bytes as Buf;

use super::record::{BLOCK, BLOCK_LEN, Header};
use super::{Volume, Volumes};
use crate::domain::ObjectId;
use crate::store::buffer::Buffer;
use crate::store::error::{Doing, StoreError};
use crate::store::volume::record::Place;

/// A payload up to this is read together with its header, where all of it is wanted.
const WITH_HEADER_MAX: u64 = 4 * BLOCK;
/// So far the disk is told ahead of what will be read.
const AHEAD_MAX: u64 = 2 << 20;

/// One record, open for reading.
#[derive(Clone, Debug)]
pub struct RecordReader {
    volume: Arc<Volume>,
    header: Arc<Header>,
    /// The whole payload, not yet verified, where it was read along with the header.
    ahead: Option<Buf>,
}

impl RecordReader {
    /// Opens the record at `place`, which must be commit `id`'s: a header that belongs to another
    /// is damage, not an answer. Where all of it is wanted, a short payload is read in the same go.
    pub async fn open(volumes: &Volumes, place: Place, id: ObjectId, all: bool) -> Result<Self, StoreError> {
        let volume = volumes.get(place.volume).ok_or_else(|| not_there(volumes, place))?;
        if let Some(header) = volumes.headers.get(id, place) {
            return Ok(Self { volume, header, ahead: None });
        }
        let header_len = place.header_len as usize;
        let ahead = all && place.payload_len <= WITH_HEADER_MAX;
        let payload_len = if ahead { usize::try_from(place.payload_len).unwrap_or(0) } else { 0 };
        let soon = if all && !ahead { place.payload_len } else { 0 };
        let bytes = read(volumes, &volume, header_len + payload_len, place.offset, soon).await?;
        let header = Arc::new(Self::check(&volume, place, id, &bytes.bytes()[..header_len])?);
        volumes.headers.keep(&header);
        let ahead = ahead.then(|| Buf::from_owner(bytes).slice(header_len..));
        Ok(Self { volume, header, ahead })
    }

    /// As [`RecordReader::open`], on a thread that may wait.
    pub fn open_blocking(volumes: &Volumes, place: Place, id: ObjectId) -> Result<Self, StoreError> {
        let volume = volumes.get(place.volume).ok_or_else(|| not_there(volumes, place))?;
        let mut bytes = vec![0; place.header_len as usize];
        volume.file.read_exact_at(&mut bytes, place.offset).doing(|| format!("read volume {}", volume.id))?;
        let header = Self::check(&volume, place, id, &bytes)?;
        Ok(Self { volume, header: Arc::new(header), ahead: None })
    }

    fn check(volume: &Volume, place: Place, id: ObjectId, bytes: &[u8]) -> Result<Header, StoreError> {
        let header = Header::decode(bytes, &volume.key)
            .map_err(|e| StoreError::Damaged(format!("volume {} at {}: {e}", place.volume, place.offset)))?;
        if header.place() != place || header.id != id {
            return Err(StoreError::Damaged(format!(
                "volume {} at {}: another record's header",
                place.volume, place.offset
            )));
        }
        Ok(header)
    }

    /// A record whose header was read already.
    pub fn with_header(volume: Arc<Volume>, header: Header) -> Self {
        Self { volume, header: Arc::new(header), ahead: None }
    }

    /// The record's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many blocks the payload has.
    pub fn blocks(&self) -> u64 {
        self.header.payload_len.div_ceil(BLOCK)
    }

    /// Blocks `first` to `last` (included), verified; their bytes in one piece. `soon` is how many bytes
    /// behind them will be wanted next.
    pub async fn read(&self, volumes: &Volumes, first: u64, last: u64, soon: u64) -> Result<Buf, StoreError> {
        let (at, len) = self.span(first, last);
        let bytes = match &self.ahead {
            Some(payload) => {
                let from = usize::try_from(first * BLOCK).unwrap_or(usize::MAX).min(payload.len());
                payload.slice(from..(from + len).min(payload.len()))
            }
            None => Buf::from_owner(read(volumes, &self.volume, len, at, soon).await?),
        };
        self.verify(first, &bytes, Header::is_block_by_crc)?;
        Ok(bytes)
    }

    /// Reads and verifies all blocks, on a thread that may wait; gives `each` their bytes.
    pub fn read_all_blocking(&self, mut each: impl FnMut(&[u8])) -> Result<(), StoreError> {
        const STRIDE: u64 = 16;
        let mut first = 0;
        while first < self.blocks() {
            let last = (first + STRIDE - 1).min(self.blocks() - 1);
            let (at, len) = self.span(first, last);
            let mut bytes = vec![0; len];
            self.volume.file.read_exact_at(&mut bytes, at).doing(|| format!("read volume {}", self.volume.id))?;
            self.verify(first, &bytes, Header::is_block)?;
            each(&bytes);
            first = last + 1;
        }
        Ok(())
    }

    /// Reads block by block whatever can be read, on a thread that may wait; a block that is not what it was, or cannot
    /// be read, is given as zeros. Says how many of those there were.
    pub fn read_what_is_whole(&self, mut each: impl FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        for number in 0..self.blocks() {
            let (at, len) = self.span(number, number);
            let mut bytes = vec![0; len];
            let whole = self.volume.file.read_exact_at(&mut bytes, at).is_ok()
                && self.verify(number, &bytes, Header::is_block).is_ok();
            if !whole {
                bytes.fill(0);
                lost += 1;
            }
            each(&bytes);
        }
        lost
    }

    fn span(&self, first: u64, last: u64) -> (u64, usize) {
        let start = first * BLOCK;
        let end = ((last + 1) * BLOCK).min(self.header.payload_len);
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        (self.header.place().payload_at() + start, len)
    }

    fn verify(
        &self,
        first: u64,
        bytes: &[u8],
        is_block: impl Fn(&Header, u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        for (number, block) in (first..).zip(bytes.chunks(BLOCK_LEN)) {
            if !is_block(&self.header, number, block) {
                return Err(StoreError::Damaged(format!(
                    "volume {}, record at {}, block {number}: the bytes do not match their checksum",
                    self.volume.id, self.header.offset
                )));
            }
        }
        Ok(())
    }
}

/// Bytes of a volume: at once where they are in memory, else by a thread that may wait. `soon` is how
/// many bytes behind them will be wanted next: where the disk has to be asked, it is told of those too.
async fn read(volumes: &Volumes, volume: &Arc<Volume>, len: usize, at: u64, soon: u64) -> Result<Buffer, StoreError> {
    let mut bytes = volumes.buffers.take_to_fill(len);
    let unread = |error: std::io::Error| match error.kind() {
        // A header that says more than there is, which is no fault of the disk.
        std::io::ErrorKind::UnexpectedEof => StoreError::Damaged(format!("volume {} ends before {at}", volume.id)),
        _ => StoreError::Unreadable(format!("read volume {} at {at}: {error}", volume.id)),
    };
    if volume.file.read_cached_at(bytes.bytes_mut(), at).map_err(unread)? {
        return Ok(bytes);
    }
    let file = Arc::clone(volume);
    let read = move || {
        // The system's own looking ahead is for one reader a file, and here are many.
        file.file.will_read(at, len as u64 + soon.min(AHEAD_MAX));
        file.file.read_exact_at(bytes.bytes_mut(), at).map(|()| bytes)
    };
    volumes.lane(volume).run(read).await?.map_err(unread)
}

fn not_there(volumes: &Volumes, place: Place) -> StoreError {
    let what = format!("volume {} is not there", place.volume);
    if volumes.some_are_offline() { StoreError::Unreadable(what) } else { StoreError::Damaged(what) }
}
