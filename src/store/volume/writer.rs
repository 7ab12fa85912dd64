//! Writing the payload of one record: blocks are summed as they fill, and written in strides.

use std::sync::Arc;

use super::record::{BLOCK_LEN, BlockSum, block_sum, header_len, sectors};
use super::{Reservation, Volumes};
use crate::domain::{Metadata, ObjectKey};
use crate::store::error::{Doing, StoreError};

/// Payloads up to this are kept in memory and written by the committer, together with their
/// header and with the other uploads of their group.
pub const INLINE_MAX: u64 = 128 << 10;
/// Longer ones are written in strides of this.
const STRIDE: usize = 256 << 10;

/// A record whose payload is coming.
#[derive(Debug)]
pub struct RecordWriter {
    volumes: Arc<Volumes>,
    reservation: Option<Reservation>,
    header_len: u64,
    payload_max: u64,
    nonce: [u8; 16],
    buffer: Vec<u8>,
    /// Payload bytes before the buffer.
    written: u64,
    blocks: Vec<BlockSum>,
    /// Bytes of the buffer that `blocks` covers.
    summed: usize,
}

/// A record whose payload is complete: with the kernel, or in memory; it may still be lost.
#[derive(Debug)]
pub struct Written {
    /// Its room; none where `inline` holds the payload.
    pub reservation: Option<Reservation>,
    /// The payload that the committer has yet to write.
    pub inline: Vec<u8>,
    pub header_len: u64,
    pub payload_len: u64,
    pub nonce: [u8; 16],
    pub blocks: Vec<BlockSum>,
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
        let reservation =
            if payload_max > INLINE_MAX { Some(volumes.reserve(header_len + sectors(payload_max))?) } else { None };
        let room = usize::try_from(payload_max).unwrap_or(STRIDE).min(STRIDE);
        Ok(Self {
            volumes: Arc::clone(volumes),
            reservation,
            header_len,
            payload_max,
            nonce,
            // A slow camera should not hold a stride's worth before it has sent one.
            buffer: Vec::with_capacity(room.min(16 << 10)),
            written: 0,
            blocks: Vec::new(),
            summed: 0,
        })
    }

    /// Payload bytes so far.
    pub fn payload_len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Payload bytes that there is still room for.
    pub fn room(&self) -> u64 {
        self.payload_max - self.payload_len()
    }

    /// More bytes, at most [`RecordWriter::room`].
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), StoreError> {
        while !data.is_empty() {
            let limit = if self.reservation.is_some() { STRIDE } else { usize::MAX };
            let step = data.len().min(limit - self.buffer.len());
            self.buffer.extend_from_slice(&data[..step]);
            data = &data[step..];
            self.sum(false);
            if self.reservation.is_some() && self.buffer.len() >= STRIDE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sums the blocks that are full, and the last one where there is no more to come.
    fn sum(&mut self, last: bool) {
        let block = BLOCK_LEN;
        while self.buffer.len() - self.summed >= block || (last && self.summed < self.buffer.len()) {
            let end = (self.summed + block).min(self.buffer.len());
            let number = self.blocks.len() as u64;
            self.blocks.push(block_sum(&self.nonce, number, &self.buffer[self.summed..end]));
            self.summed = end;
        }
    }

    /// Writes the buffer, all of which is summed: a stride is whole blocks, or the last.
    async fn flush(&mut self) -> Result<(), StoreError> {
        // It goes along with the write: where the upload is dropped meanwhile, its room is given back
        // only when nothing is written into it any more.
        let Some(reservation) = self.reservation.take() else { return Ok(()) };
        let volume = Arc::clone(&reservation.volume);
        let at = reservation.extent.offset + self.header_len + self.written;
        let data = std::mem::take(&mut self.buffer);
        let len = data.len();
        let lane = self.volumes.lane(&volume).clone();
        let (data, reservation, written) = lane
            .run(move || {
                let written = volume.file.write_all_at(&data, at).doing(|| format!("write volume {}", volume.id));
                (data, reservation, written)
            })
            .await?;
        self.reservation = Some(reservation);
        written?;
        self.buffer = data;
        self.buffer.clear();
        self.written += len as u64;
        self.summed = 0;
        Ok(())
    }

    /// No more bytes.
    pub async fn finish(mut self) -> Result<Written, StoreError> {
        self.sum(true);
        let payload_len = self.payload_len();
        if self.reservation.is_some() && !self.buffer.is_empty() {
            self.flush().await?;
        }
        Ok(Written {
            reservation: self.reservation.take(),
            inline: std::mem::take(&mut self.buffer),
            header_len: self.header_len,
            payload_len,
            nonce: self.nonce,
            blocks: std::mem::take(&mut self.blocks),
        })
    }
}

impl Written {
    /// The bytes of disk that the record takes.
    pub fn extent_len(&self) -> u64 {
        self.header_len + sectors(self.payload_len)
    }
}
