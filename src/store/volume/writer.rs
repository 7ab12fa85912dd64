//! Writing the payload of one record: blocks are summed as they fill, and written in strides.
//!
//! While one stride is on its way to the disk and through the hasher, the next one fills: a camera
//! is never made to wait for either, and no more than two strides of an upload are in memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::lane::UnderWay;
use super::record::{BLOCK, BLOCK_LEN, BlockSum, BlockSummer, SECTOR_LEN, block_sum, header_len, sectors};
use super::{Reservation, Volumes};
use crate::domain::{Metadata, ObjectKey};
use crate::store::buffer::Buffer;
use crate::store::error::{Doing, StoreError};
use crate::store::hasher::Stream;

/// Payloads up to this are kept in memory and written by the committer, together with their
/// header and with the other uploads of their group.
pub const INLINE_MAX: u64 = 128 << 10;
/// Longer ones are written in strides: the first is this long …
const STRIDE_MIN: usize = 24 << 10;
/// … and as long as they fill quickly, each is twice the one before, up to this.
const STRIDE_MAX: usize = 512 << 10;
/// A stride that took longer than this to fill is a slow camera's: the next is no longer, so that
/// thousands of them fit in memory.
const QUICK: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 250 });
/// Memory for a small record of which nobody knows yet how quickly it comes. Full within [`AT_ONCE`],
/// it becomes the whole record's; later, it doubles.
const FIRST: usize = 16 << 10;
/// See [`FIRST`].
const AT_ONCE: Duration = Duration::from_millis(10);
/// Past so many bytes in buffers no stride grows any more.
const BUFFERS_MAX: usize = 24 << 20;

/// A record whose payload is coming.
#[derive(Debug)]
pub struct RecordWriter {
    volumes: Arc<Volumes>,
    reservation: Option<Arc<Reservation>>,
    header_len: u64,
    payload_max: u64,
    nonce: [u8; 16],
    buffer: Buffer,
    /// Bytes that the buffer may grow to hold: a stride, or a whole small record.
    stride: usize,
    /// Bytes at the beginning of the buffer that are no payload: room for the header, where the
    /// committer writes the record in one piece.
    front: usize,
    /// Payload bytes before the buffer.
    written: u64,
    blocks: Vec<BlockSum>,
    /// Payload bytes of the buffer that are summed.
    summed: usize,
    /// The block that a stride before has begun.
    begun: Option<BlockSummer>,
    /// When the buffer began to fill.
    since: Duration,
    /// The stride before, on its way to the disk.
    flying: Option<UnderWay<Result<(), StoreError>>>,
}

/// A record whose payload is complete: with the kernel, or in memory; it may still be lost.
#[derive(Debug)]
pub struct Written {
    pub payload: Payload,
    pub header_len: u64,
    pub payload_len: u64,
    pub nonce: [u8; 16],
    pub blocks: Vec<BlockSum>,
}

/// Where the payload of a record is.
#[derive(Debug)]
pub enum Payload {
    /// There is none.
    Nothing,
    /// With the kernel, in room of its own.
    OnDisk(Reservation),
    /// In memory, behind room for its header, padded to whole sectors.
    Inline(Arc<Buffer>),
}

impl RecordWriter {
    /// A record of at most `payload_max` bytes.
    pub fn new(
        volumes: &Arc<Volumes>,
        nonce: [u8; 16],
        key: &ObjectKey,
        metadata: &Metadata,
        payload_max: u64,
    ) -> Result<Self, StoreError> {
        let header_len = header_len(key, metadata, payload_max, 0);
        let inline = payload_max <= INLINE_MAX;
        let reservation =
            if inline { None } else { Some(Arc::new(volumes.reserve(header_len + sectors(payload_max))?)) };
        let front = if inline { length(header_len)? } else { 0 };
        let stride = if inline { front + length(sectors(payload_max))? } else { STRIDE_MIN };
        let first = if inline { front + FIRST } else { stride };
        let mut buffer = volumes.buffers.take(stride.min(first));
        buffer.pad(front);
        Ok(Self {
            volumes: Arc::clone(volumes),
            reservation,
            header_len,
            payload_max,
            nonce,
            buffer,
            stride,
            front,
            written: 0,
            blocks: Vec::new(),
            summed: 0,
            begun: None,
            since: volumes.ticking(),
            flying: None,
        })
    }

    /// Payload bytes so far.
    pub fn payload_len(&self) -> u64 {
        self.written + (self.buffer.len() - self.front) as u64
    }

    /// Payload bytes that there is still room for.
    pub fn room(&self) -> u64 {
        self.payload_max - self.payload_len()
    }

    /// More bytes, at most [`RecordWriter::room`]. What is written is taken into `md5`.
    pub async fn write(&mut self, mut data: &[u8], md5: &mut Stream) -> Result<(), StoreError> {
        while !data.is_empty() {
            if self.buffer.left() == 0 {
                if self.buffer.len() < self.stride { self.grow() } else { self.flush(md5).await? }
            }
            data = self.buffer.fill(data);
            self.sum(false);
        }
        Ok(())
    }

    /// More memory for the stride that fills.
    fn grow(&mut self) {
        let room = if self.volumes.ticking().saturating_sub(self.since) < AT_ONCE {
            self.stride
        } else {
            self.stride.min(self.buffer.len() * 2)
        };
        let mut larger = self.volumes.buffers.take(room);
        larger.fill(self.buffer.bytes());
        self.buffer = larger;
    }

    /// Sums the blocks that lie in the buffer as a whole; at its end also what is left of it.
    fn sum(&mut self, end: bool) {
        let payload = &self.buffer.bytes()[self.front..];
        while self.summed < payload.len() {
            let rest = &payload[self.summed..];
            let number = self.blocks.len() as u64;
            if self.begun.is_none() && rest.len() >= BLOCK_LEN {
                self.blocks.push(block_sum(&self.nonce, number, &rest[..BLOCK_LEN]));
                self.summed += BLOCK_LEN;
                continue;
            }
            let missing = BLOCK_LEN - within_block(self.written + self.summed as u64);
            if !end && rest.len() < missing {
                return;
            }
            let piece = &rest[..missing.min(rest.len())];
            let begun = self.begun.get_or_insert_with(|| BlockSummer::new(&self.nonce, number));
            begun.update(piece);
            self.summed += piece.len();
            if piece.len() == missing {
                self.blocks.push(begun.finish());
                self.begun = None;
            }
        }
    }

    /// Sends the buffer to the disk and to the hasher: a stride is whole sectors, or the last.
    async fn flush(&mut self, md5: &mut Stream) -> Result<(), StoreError> {
        self.sum(true);
        let Some(reservation) = self.reservation.as_ref().map(Arc::clone) else { return Ok(()) };
        let payload = self.buffer.len();
        let left = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let quick = self.volumes.ticking().saturating_sub(self.since) <= QUICK;
        self.stride = self.next_stride(payload, quick).min(left.next_multiple_of(SECTOR_LEN));
        let next = self.volumes.buffers.take(self.stride);
        let mut full = std::mem::replace(&mut self.buffer, next);
        full.pad(length(sectors(payload as u64))?);
        let full = Arc::new(full);
        // One at a time: what is in memory is bounded, and a disk that fails is noticed.
        self.landed().await?;
        md5.update(Arc::clone(&full), 0..payload).await?;
        let volume = Arc::clone(&reservation.volume);
        let lane = self.volumes.lane(&volume).clone();
        let at = reservation.extent.offset + self.header_len + self.written;
        let write = move || {
            let done = volume.file.write_pieces_at(&[full.bytes()], at).doing(|| format!("write volume {}", volume.id));
            // It went along: where the upload is dropped meanwhile, its room is given back only now that
            // nothing is written into it any more.
            drop(reservation);
            done
        };
        self.flying = Some(lane.begin(write).await?);
        self.written += payload as u64;
        self.summed = 0;
        self.since = self.volumes.ticking();
        Ok(())
    }

    /// How long the stride after one of `len` bytes is.
    fn next_stride(&self, len: usize, quick: bool) -> usize {
        let longer = (len * 2).next_multiple_of(BLOCK_LEN).min(STRIDE_MAX);
        if !quick || self.volumes.buffers.lent() + longer > BUFFERS_MAX {
            return STRIDE_MIN;
        }
        // It ends with a block, so that those behind it lie in their strides as a whole.
        longer - within_block(self.written + len as u64)
    }

    /// Waits until the stride before is with the kernel.
    async fn landed(&mut self) -> Result<(), StoreError> {
        match self.flying.take() {
            Some(flying) => flying.done().await?,
            None => Ok(()),
        }
    }

    /// No more bytes.
    pub async fn finish(mut self, md5: &mut Stream) -> Result<Written, StoreError> {
        self.sum(true);
        if let Some(begun) = self.begun.take() {
            self.blocks.push(begun.finish());
        }
        let payload_len = self.payload_len();
        if self.reservation.is_some() && !self.buffer.is_empty() {
            self.flush(md5).await?;
        }
        self.landed().await?;
        let payload = match self.reservation.take() {
            // The stride's handle was dropped before its answer came.
            Some(reservation) => Payload::OnDisk(
                Arc::into_inner(reservation)
                    .ok_or_else(|| StoreError::Stopped("a write went on behind its answer".to_owned()))?,
            ),
            None => {
                let whole = self.front + length(sectors(payload_len))?;
                if self.buffer.len() + self.buffer.left() < whole {
                    self.grow();
                }
                self.buffer.pad(whole);
                Payload::Inline(Arc::new(self.buffer))
            }
        };
        Ok(Written { payload, header_len: self.header_len, payload_len, nonce: self.nonce, blocks: self.blocks })
    }
}

impl Written {
    /// The bytes of disk that the record takes.
    pub fn extent_len(&self) -> u64 {
        self.header_len + sectors(self.payload_len)
    }

    /// The payload, where it is in memory, and which bytes of the buffer it is.
    pub fn inline(&self) -> Option<(&Arc<Buffer>, Range<usize>)> {
        let Payload::Inline(buffer) = &self.payload else { return None };
        let front = usize::try_from(self.header_len).ok()?;
        let len = usize::try_from(self.payload_len).ok()?;
        Some((buffer, front..front + len))
    }
}

/// How far into its block the payload's byte `at` is.
fn within_block(at: u64) -> usize {
    // Less than a block.
    usize::try_from(at % BLOCK).unwrap_or(0)
}

/// A length that memory has.
fn length(len: u64) -> Result<usize, StoreError> {
    usize::try_from(len).map_err(|_| StoreError::Index("a record is longer than memory".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Reserve;
    use crate::store::hasher::Hasher;
    use crate::world::fake;

    /// Writes `data` in pieces, waiting where `slow` says so before each; what came of it, and the bytes
    /// on the disk.
    async fn write(data: &[u8], max: u64, piece: usize, slow: impl Fn(usize) -> bool) -> (Written, [u8; 16], Vec<u8>) {
        let (world, _, _) = fake::world(1);
        let dir = std::path::PathBuf::from("/v");
        world.disk.create_dir_all(&dir).unwrap();
        let volumes =
            Volumes::open(world, &[dir], [1; 16], 64 << 20, Reserve::Bytes(0), &crate::store::volume::Dead::default())
                .unwrap();
        let volumes = Arc::new(volumes);
        let mut md5 = Hasher::start(crate::world::Threads::Own).unwrap().stream();
        let key = "a/录像.mp4".parse().unwrap();
        let mut writer = RecordWriter::new(&volumes, [7; 16], &key, &Metadata::default(), max).unwrap();
        for (number, piece) in data.chunks(piece).enumerate() {
            if slow(number) {
                tokio::time::sleep(QUICK * 2).await;
            }
            writer.write(piece, &mut md5).await.unwrap();
        }
        let written = writer.finish(&mut md5).await.unwrap();
        let mut on_disk = vec![0; data.len()];
        match &written.payload {
            Payload::OnDisk(room) => {
                room.volume.file.read_exact_at(&mut on_disk, room.extent.offset + written.header_len).unwrap();
            }
            Payload::Inline(buffer) => {
                let payload = written.inline().unwrap().1;
                assert_eq!(buffer.len() as u64, written.extent_len());
                on_disk.copy_from_slice(&buffer.bytes()[payload]);
                md5.update(Arc::clone(buffer), written.inline().unwrap().1).await.unwrap();
            }
            Payload::Nothing => {}
        }
        (written, md5.finish().await.unwrap(), on_disk)
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| u8::try_from((at ^ (at >> 7) ^ (at >> 15)) & 255).unwrap()).collect()
    }

    #[tokio::test]
    async fn every_length_and_pace_is_summed_and_stored_as_it_came() {
        let block = BLOCK_LEN;
        let lengths =
            [0, 1, 4096, block - 1, block, 2 * block, 2 * block + 1, 300_000, 7 * block / 2, 1_000_003, 3 << 20];
        for len in lengths {
            for piece in [1_000, 4_096, 50_000, 1 << 20] {
                // Quick; slow in all strides; slow, then quick, and again.
                for pace in 0..3 {
                    let data = content(len);
                    let slow = |number: usize| match pace {
                        0 => false,
                        1 => number.is_multiple_of((STRIDE_MIN / piece).max(1)) && len <= 300_000,
                        _ => number * piece / (256 << 10) == 1 && number.is_multiple_of((STRIDE_MIN / piece).max(1)),
                    };
                    let (written, md5, on_disk) = write(&data, len as u64, piece, slow).await;
                    let said = format!("{len} bytes in pieces of {piece}, pace {pace}");
                    let sums: Vec<_> =
                        data.chunks(block).zip(0..).map(|(bytes, number)| block_sum(&[7; 16], number, bytes)).collect();
                    assert_eq!(written.payload_len, len as u64, "{said}");
                    assert!(written.blocks == sums, "{said}: sums");
                    assert!(on_disk == data, "{said}: bytes");
                    assert_eq!(md5, crate::md5::digest(&data), "{said}: MD5");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_slow_camera_holds_little_memory() {
        let (world, _, _) = fake::world(1);
        let dir = std::path::PathBuf::from("/v");
        world.disk.create_dir_all(&dir).unwrap();
        let volumes = Arc::new(
            Volumes::open(world, &[dir], [1; 16], 64 << 20, Reserve::Bytes(0), &crate::store::volume::Dead::default())
                .unwrap(),
        );
        let mut md5 = Hasher::start(crate::world::Threads::Own).unwrap().stream();
        let key = "k".parse().unwrap();
        let mut writer = RecordWriter::new(&volumes, [7; 16], &key, &Metadata::default(), 3 << 20).unwrap();
        let mut most = 0;
        for _ in 0..60 {
            tokio::time::sleep(QUICK).await;
            writer.write(&content(8_000), &mut md5).await.unwrap();
            most = most.max(volumes.buffers.lent());
        }
        // A stride that fills, and the one before on its way to the disk.
        assert!(most <= 80 << 10, "{most}");
        writer.finish(&mut md5).await.unwrap();
        drop(md5);
    }
}
