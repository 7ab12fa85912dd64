//! A record: one object, one part, or one manifest of parts, as it lies in a volume.
//!
//! ```text
//! header   sectors of 4,096 bytes, so many as its fields need       (this file)
//! payload  the bytes as they came, padded to 4,096
//!
//! [0..8]     magic "kdrecord"
//! [8..10]    format version, 2                         u16 BE, as all numbers
//! [10]       kind: 1 object, 2 part, 3 manifest
//! [11]       flags: bit 0 = locked when it was put
//! [12..16]   bytes of the header, padding included     u32
//! [16..32]   BLAKE3 of the header, keyed with the volume's key, these 16 bytes zero
//! [32..48]   nonce: names the blocks of this record
//! [48..56]   sequence number of its commit             u64
//! [56..64]   bucket                                    u64
//! [64..72]   bytes of the payload                      u64
//! [72..80]   creation, ms since 1970                   i64
//! [80..96]   MD5 of the object or part
//! [96..98]   object, manifest: parts in the tag; part: its number    u16
//! [98..114]  upload id; zero for an object put whole   u128
//! [114..118] volume                                    u32
//! [118..126] offset of this header in the volume       u64
//! [126..134] bytes of the whole object, or of the whole part  u64
//! [134..142] sequence number of the first record of its upload or part  u64
//! [142..150] sequence number of the change before its group  u64
//! [150..166] BLAKE3 of [0..16] and [32..150], keyed with the volume's key
//! then       kind of checksum (u8, 0 = none, bit 7: it covers the parts' digests), its digest
//!            (bytes), key (text), number of kept headers (u32), each name (text) and value (bytes),
//!            number of blocks (u32), each block's checksums (16 and 8), number of segments (u32), each
//!            segment (54)
//! ```
//!
//! Version 1 had no bit 7 in the kind of checksum, its parts had none, and its blocks had one checksum,
//! made otherwise; else it is the same, and is read.
//!
//! `bytes` and `text` have their length in front as u32. A block is 64 KiB of payload, the last
//! one shorter. Its first checksum is BLAKE3 over the bytes, cut to 16, keyed with nonce, block number
//! (u64 BE) and eight zeros (version 1: not keyed, over nonce, number and bytes). Its second is their
//! CRC-64/NVME, with the first eight bytes of the nonce and the number added in (exclusive or): scrub, start and
//! rebuild hold a block against both, a download, which goes the same way a thousand times, against the second:
//! a block that was swapped, or belongs to another record, is seen. The header's key is random
//! and lies in the volume's first sector, so that no uploaded bytes can pass for a header; the
//! second checksum says so before the length of the header is believed.
//!
//! A part may have several records, whose sequence numbers follow each other: it is whole when all
//! from the first on are there and have its bytes together. Only records of the newest group may be
//! cut by a power failure: every group is synced before the next is begun.

use crc_fast::{CrcAlgorithm, Digest, checksum};

use crate::domain::{
    BucketId, Checksum, ChecksumKind, ChecksumType, ETag, Lock, Metadata, ObjectId, ObjectKey, Timestamp, UploadId,
    VolumeId,
};
use crate::store::codec::{Decoder, Encoder, Malformed};

/// Everything in a volume begins at a multiple of this.
pub const SECTOR: u64 = SECTOR_LEN as u64;
/// [`SECTOR`], for memory.
pub const SECTOR_LEN: usize = 4096;
/// Payload bytes that one block checksum covers.
pub const BLOCK: u64 = BLOCK_LEN as u64;
/// [`BLOCK`], for memory.
pub const BLOCK_LEN: usize = 64 << 10;
/// Bytes of a header before its variable fields.
pub const FIXED: usize = 166;
const _: () = assert!(8 + 2 + 1 + 1 + 4 + 16 + 16 + 8 + 8 + 8 + 8 + 16 + 2 + 16 + 4 + 8 + 8 + 8 + 8 + 16 == FIXED);
/// Where the checksum of the fixed fields stands.
const FIXED_SUM: usize = FIXED - 16;

/// What a record begins with.
pub const MAGIC: &[u8; 8] = b"kdrecord";
/// What is written.
pub const VERSION: u16 = 2;
/// The oldest version that is read.
const OLDEST: u16 = 1;
/// Set in the kind of a checksum that covers the digests of the parts in the tag.
const COMPOSITE: u8 = 0x80;
/// No header is longer: a manifest of more than a million records.
pub const HEADER_MAX: u32 = 64 << 20;
/// Room for a checksum that arrives only with the trailer.
const CHECKSUM_ROOM: usize = 1 + 4 + 32;
/// Bytes of a block's checksums.
const BLOCK_SUM: u64 = 16 + 8;
const SEGMENT: usize = 4 + 8 + 4 + 8 + 8 + 2 + 4 + 16;
const _: () = assert!(SEGMENT == 54, "the diagram above says 54");

/// A block's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSum {
    /// BLAKE3, cut.
    pub hash: [u8; 16],
    /// CRC-64/NVME with the block's name in it; zero in version 1.
    pub crc: u64,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extent {
    /// The volume.
    pub volume: VolumeId,
    /// Offset of its header.
    pub offset: u64,
    /// Bytes that are its own: header, payload, padding.
    pub len: u64,
}

/// Where a record lies, and how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The volume.
    pub volume: VolumeId,
    /// Offset of its header.
    pub offset: u64,
    /// Bytes of its header.
    pub header_len: u32,
    /// Bytes of its payload.
    pub payload_len: u64,
}

/// One record of an object that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies.
    pub place: Place,
    /// Sequence number of its commit.
    pub id: ObjectId,
    /// Its part number; several segments may make up one part.
    pub part: u16,
    /// Reserved, zero.
    pub reserved: u32,
    /// MD5 of the part.
    pub md5: [u8; 16],
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole object.
    Object,
    /// A part of a multipart upload, or a stretch of an upload too long for one record.
    Part,
    /// An object whose bytes lie in other records.
    Manifest,
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format version that it was written in: how its blocks are summed.
    pub version: u16,
    pub kind: Kind,
    pub lock: Lock,
    /// Bytes of the header with its padding.
    pub header_len: u32,
    pub nonce: [u8; 16],
    /// Sequence number of its commit.
    pub id: ObjectId,
    pub bucket: BucketId,
    pub payload_len: u64,
    pub created: Timestamp,
    pub md5: [u8; 16],
    /// Parts in the tag, or the number of this part.
    pub parts: u16,
    pub upload: UploadId,
    pub volume: VolumeId,
    pub offset: u64,
    /// Bytes of the whole object, or of the whole part.
    pub size: u64,
    /// The first record of the same part or upload; its own id where it is the only one.
    pub first: ObjectId,
    /// Sequence of the last change before the group in which it was committed.
    pub group: u64,
    pub checksum: Option<Checksum>,
    pub key: ObjectKey,
    pub metadata: Metadata,
    pub blocks: Vec<BlockSum>,
    pub segments: Vec<Segment>,
}

/// `len` rounded up to whole sectors.
pub const fn sectors(len: u64) -> u64 {
    len.div_ceil(SECTOR) * SECTOR
}

/// Bytes of the header of a record with these fields, padding included, whatever its checksum.
pub fn header_len(key: &ObjectKey, metadata: &Metadata, payload_max: u64, segments: usize) -> u64 {
    let names: usize = metadata.0.iter().map(|(n, v)| 8 + n.len() + v.len()).sum();
    let fields = FIXED + CHECKSUM_ROOM + 4 + key.as_bytes().len() + 4 + names + 4 + 4 + segments * SEGMENT;
    sectors(fields as u64 + payload_max.div_ceil(BLOCK) * BLOCK_SUM)
}

/// The checksums of block `number` of a record that is written now, with this nonce.
pub fn block_sum(nonce: &[u8; 16], number: u64, bytes: &[u8]) -> BlockSum {
    let hash = truncated(&blake3::keyed_hash(&block_key(nonce, number), bytes));
    BlockSum { hash, crc: block_crc(nonce, number, checksum(CrcAlgorithm::Crc64Nvme, bytes)) }
}

/// The CRC of a block's bytes, made that block's own.
fn block_crc(nonce: &[u8; 16], number: u64, crc: u64) -> u64 {
    let [first, ..] = nonce.as_chunks::<8>().0 else { return crc };
    // Each number changes other bits than a nonce that differs a little.
    crc ^ u64::from_be_bytes(*first) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn block_key(nonce: &[u8; 16], number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(nonce);
    key[16..24].copy_from_slice(&number.to_be_bytes());
    key
}

/// As [`block_sum`], of a block that comes in pieces.
#[derive(Debug)]
pub struct BlockSummer {
    nonce: [u8; 16],
    number: u64,
    hash: Box<blake3::Hasher>,
    crc: Digest,
}

impl BlockSummer {
    /// Of nothing so far.
    pub fn new(nonce: &[u8; 16], number: u64) -> Self {
        Self {
            nonce: *nonce,
            number,
            hash: Box::new(blake3::Hasher::new_keyed(&block_key(nonce, number))),
            crc: Digest::new(CrcAlgorithm::Crc64Nvme),
        }
    }

    /// Takes a piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.crc.update(bytes);
    }

    /// The checksums of all pieces.
    pub fn finish(&self) -> BlockSum {
        let crc = block_crc(&self.nonce, self.number, self.crc.finalize());
        BlockSum { hash: truncated(&self.hash.finalize()), crc }
    }
}

/// As [`block_sum`], in records of version 1.
fn block_sum_of_version_1(nonce: &[u8; 16], number: u64, bytes: &[u8]) -> BlockSum {
    let mut hasher = blake3::Hasher::new();
    hasher.update(nonce).update(&number.to_be_bytes()).update(bytes);
    BlockSum { hash: truncated(&hasher.finalize()), crc: 0 }
}

/// The checksum of the fixed fields, which are the first bytes of a header.
fn fixed_sum(key: &[u8; 32], fixed: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&fixed[..16]).update(&fixed[32..]);
    truncated(&hasher.finalize())
}

fn truncated(hash: &blake3::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash.as_bytes()[..16]);
    out
}

// === impl Place ===

impl Place {
    /// The bytes that the record takes.
    pub fn extent(&self) -> Extent {
        Extent { volume: self.volume, offset: self.offset, len: u64::from(self.header_len) + sectors(self.payload_len) }
    }

    /// Where the payload begins.
    pub fn payload_at(&self) -> u64 {
        self.offset + u64::from(self.header_len)
    }

    /// Itself, where it ends at a number; nobody may count on past that.
    fn ending_somewhere(self) -> Result<Self, Malformed> {
        let payload = self.payload_len.checked_next_multiple_of(SECTOR);
        let len = payload.and_then(|payload| payload.checked_add(self.header_len.into()));
        match len.and_then(|len| len.checked_add(self.offset)) {
            Some(_) => Ok(self),
            None => Err(Malformed("place of a record: it has no end")),
        }
    }

    pub fn encode(&self, out: &mut Encoder) {
        out.u32(self.volume.get()).u64(self.offset).u32(self.header_len).u64(self.payload_len);
    }

    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let place = Self {
            volume: VolumeId::new(input.u32()?),
            offset: input.u64()?,
            header_len: input.u32()?,
            payload_len: input.u64()?,
        };
        place.ending_somewhere()
    }
}

// === impl Segment ===

impl Segment {
    pub fn encode(&self, out: &mut Encoder) {
        self.place.encode(out);
        out.u64(self.id.get()).u16(self.part).u32(self.reserved).raw(&self.md5);
    }

    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            place: Place::decode(input)?,
            id: ObjectId::new(input.u64()?),
            part: input.u16()?,
            reserved: input.u32()?,
            md5: input.array()?,
        })
    }
}

// === impl Kind ===

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Object => 1,
            Self::Part => 2,
            Self::Manifest => 3,
        }
    }
}

/// The byte that stands for a kind of checksum; 0 is none.
pub const fn checksum_code(kind: ChecksumKind) -> u8 {
    match kind {
        ChecksumKind::Crc32 => 1,
        ChecksumKind::Crc32c => 2,
        ChecksumKind::Crc64Nvme => 3,
        ChecksumKind::Sha1 => 4,
        ChecksumKind::Sha256 => 5,
    }
}

// === impl Header ===

impl Header {
    /// Where the record lies.
    pub fn place(&self) -> Place {
        Place { volume: self.volume, offset: self.offset, header_len: self.header_len, payload_len: self.payload_len }
    }

    /// Whether these are the bytes of block `number`: by all its checksums.
    pub fn is_block(&self, number: u64, bytes: &[u8]) -> bool {
        self.sum_of(number) == Some(self.block_sum(number, bytes))
    }

    /// As [`Header::is_block`], by the checksum that costs least: what a download can afford for each block.
    pub fn is_block_by_crc(&self, number: u64, bytes: &[u8]) -> bool {
        if self.version == 1 {
            return self.is_block(number, bytes);
        }
        let crc = block_crc(&self.nonce, number, checksum(CrcAlgorithm::Crc64Nvme, bytes));
        self.sum_of(number).is_some_and(|sum| sum.crc == crc)
    }

    fn sum_of(&self, number: u64) -> Option<BlockSum> {
        usize::try_from(number).ok().and_then(|number| self.blocks.get(number)).copied()
    }

    fn block_sum(&self, number: u64, bytes: &[u8]) -> BlockSum {
        if self.version > 1 {
            block_sum(&self.nonce, number, bytes)
        } else {
            block_sum_of_version_1(&self.nonce, number, bytes)
        }
    }

    /// The object's tag.
    pub fn etag(&self) -> ETag {
        ETag { md5: self.md5, parts: self.parts }
    }

    /// The header's bytes. The caller chose `header_len` by [`header_len`].
    pub fn encode(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut out = Encoder(Vec::with_capacity(self.header_len as usize));
        out.raw(MAGIC).u16(VERSION).u8(self.kind.code()).u8(u8::from(self.lock == Lock::Locked));
        out.u32(self.header_len).raw(&[0; 16]).raw(&self.nonce).u64(self.id.get()).u64(self.bucket.get());
        out.u64(self.payload_len).i64(self.created.millis()).raw(&self.md5).u16(self.parts);
        out.u128(self.upload.get()).u32(self.volume.get()).u64(self.offset).u64(self.size);
        out.u64(self.first.get()).u64(self.group);
        let fixed_sum = fixed_sum(key, &out.0);
        out.raw(&fixed_sum);
        match &self.checksum {
            Some(sum) => {
                let composite = if sum.covers() == ChecksumType::Composite { COMPOSITE } else { 0 };
                out.u8(checksum_code(sum.kind) | composite).bytes(&sum.digest)
            }
            None => out.u8(0).bytes(&[]),
        };
        out.text(self.key.as_str());
        out.u32(u32::try_from(self.metadata.0.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.metadata.0 {
            out.text(name).bytes(value);
        }
        out.u32(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        for sum in &self.blocks {
            out.raw(&sum.hash).u64(sum.crc);
        }
        out.u32(u32::try_from(self.segments.len()).unwrap_or(u32::MAX));
        for segment in &self.segments {
            segment.encode(&mut out);
        }
        let mut bytes = out.0;
        debug_assert!(bytes.len() <= self.header_len as usize, "header_len() was asked for these fields");
        bytes.resize(self.header_len as usize, 0);
        let sum = truncated(&blake3::keyed_hash(key, &bytes));
        bytes[16..32].copy_from_slice(&sum);
        bytes
    }

    /// How many bytes the header has whose first sector this is; `None` where it is no header of
    /// the volume with this key.
    pub fn peek_len(first: &[u8], key: &[u8; 32]) -> Option<u32> {
        if !first.starts_with(MAGIC) || *first.get(FIXED_SUM..FIXED)? != fixed_sum(key, first.get(..FIXED_SUM)?) {
            return None;
        }
        let mut input = Decoder::new(first, "record header");
        if input.raw(8).ok()? != MAGIC || !(OLDEST..=VERSION).contains(&input.u16().ok()?) {
            return None;
        }
        input.raw(2).ok()?;
        let len = input.u32().ok()?;
        (len > 0 && u64::from(len).is_multiple_of(SECTOR) && len <= HEADER_MAX).then_some(len)
    }

    /// Reads a header and checks its checksum. Whether it stands where it says is for the caller.
    pub fn decode(bytes: &[u8], key: &[u8; 32]) -> Result<Self, Malformed> {
        const WHAT: &str = "record header";
        if bytes.len() < FIXED {
            return Err(Malformed(WHAT));
        }
        let mut zeroed = bytes.to_vec();
        zeroed[16..32].fill(0);
        if truncated(&blake3::keyed_hash(key, &zeroed)) != bytes[16..32] {
            return Err(Malformed("record header: its checksum does not match"));
        }
        let mut input = Decoder::new(bytes, WHAT);
        if input.raw(8)? != MAGIC {
            return Err(Malformed(WHAT));
        }
        let version = input.u16()?;
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(Malformed(WHAT));
        }
        let kind = match input.u8()? {
            1 => Kind::Object,
            2 => Kind::Part,
            3 => Kind::Manifest,
            _ => return Err(Malformed(WHAT)),
        };
        let lock = if input.u8()? & 1 == 1 { Lock::Locked } else { Lock::Open };
        let header_len = input.u32()?;
        if header_len as usize != bytes.len() {
            return Err(Malformed(WHAT));
        }
        input.raw(16)?;
        let nonce = input.array()?;
        let id = ObjectId::new(input.u64()?);
        let bucket = BucketId::new(input.u64()?);
        let payload_len = input.u64()?;
        let created = Timestamp::from_millis(input.i64()?);
        let md5 = input.array()?;
        let parts = input.u16()?;
        let upload = UploadId::new(input.u128()?);
        let volume = VolumeId::new(input.u32()?);
        let offset = input.u64()?;
        let size = input.u64()?;
        let first = ObjectId::new(input.u64()?);
        let group = input.u64()?;
        input.raw(16)?;
        let code = input.u8()?;
        let digest = input.bytes()?.to_vec();
        let composite = version > 1 && code & COMPOSITE != 0;
        let code = if composite { code & !COMPOSITE } else { code };
        let checksum = match ChecksumKind::ALL.into_iter().find(|&k| checksum_code(k) == code) {
            Some(kind) => Some(Checksum { kind, digest, parts: if composite { parts } else { 0 } }),
            None if code == 0 && !composite => None,
            None => return Err(Malformed(WHAT)),
        };
        let key = input.parsed()?;
        let mut metadata = Metadata::default();
        for _ in 0..input.u32()? {
            metadata.0.push((input.text()?.to_owned(), input.bytes()?.to_vec()));
        }
        let mut blocks = Vec::new();
        for _ in 0..input.u32()? {
            let hash = input.array()?;
            blocks.push(BlockSum { hash, crc: if version > 1 { input.u64()? } else { 0 } });
        }
        let mut segments = Vec::new();
        for _ in 0..input.u32()? {
            segments.push(Segment::decode(&mut input)?);
        }
        if blocks.len() as u64 != payload_len.div_ceil(BLOCK) {
            return Err(Malformed("record header: it has not as many checksums as blocks"));
        }
        Place { volume, offset, header_len, payload_len }.ending_somewhere()?;
        Ok(Self {
            version,
            kind,
            lock,
            header_len,
            nonce,
            id,
            bucket,
            payload_len,
            created,
            md5,
            parts,
            upload,
            volume,
            offset,
            size,
            first,
            group,
            checksum,
            key,
            metadata,
            blocks,
            segments,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header with something in each field.
    pub(in crate::store::volume) fn header() -> Header {
        let key: ObjectKey = "2014-03-28/录像.mp4".parse().unwrap();
        let metadata = Metadata(vec![("content-type".to_owned(), b"video/mp4".to_vec())]);
        let len = header_len(&key, &metadata, 100_000, 1);
        Header {
            version: VERSION,
            kind: Kind::Object,
            lock: Lock::Locked,
            header_len: u32::try_from(len).unwrap(),
            nonce: [7; 16],
            id: ObjectId::new(42),
            bucket: BucketId::new(9),
            payload_len: 100_000,
            created: Timestamp::from_millis(1_395_000_000_123),
            md5: [1; 16],
            parts: 0,
            upload: UploadId::new(0),
            volume: VolumeId::new(3),
            offset: 8192,
            size: 100_000,
            first: ObjectId::new(42),
            group: 40,
            checksum: Some(Checksum { kind: ChecksumKind::Crc32c, digest: vec![1, 2, 3, 4], parts: 0 }),
            key,
            metadata,
            blocks: vec![BlockSum { hash: [2; 16], crc: 2 }, BlockSum { hash: [3; 16], crc: 3 }],
            segments: vec![Segment {
                place: Place { volume: VolumeId::new(1), offset: 4096, header_len: 4096, payload_len: 5 },
                id: ObjectId::new(5),
                part: 1,
                reserved: 0,
                md5: [9; 16],
            }],
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let key = [5; 32];
        let bytes = header().encode(&key);
        assert_eq!(Header::peek_len(&bytes, &key), Some(4096));
        assert_eq!(Header::decode(&bytes, &key), Ok(header()));
    }

    #[test]
    fn a_header_of_version_one_is_still_read() {
        let bytes = include_bytes!("../../../tests/data/format/v1/record-header.bin");
        assert_eq!(
            blake3::hash(bytes).to_hex().as_str(),
            include_str!("../../../tests/data/format/v1/record-header.blake3").trim()
        );
        assert_eq!(Header::peek_len(bytes, &[5; 32]), Some(4096));
        assert_eq!(Header::decode(bytes, &[5; 32]), Ok(of_version_1()));
    }

    /// [`header`], as version 1 has it: without a second checksum.
    fn of_version_1() -> Header {
        let blocks = header().blocks.into_iter().map(|sum| BlockSum { crc: 0, ..sum }).collect();
        Header { version: 1, blocks, ..header() }
    }

    /// A multipart object with a checksum over its parts' digests.
    fn composite() -> Header {
        let checksum = Some(Checksum { kind: ChecksumKind::Sha256, digest: vec![8; 32], parts: 2 });
        Header { kind: Kind::Manifest, parts: 2, checksum, ..header() }
    }

    #[test]
    fn version_two_is_frozen() {
        let bytes = composite().encode(&[5; 32]);
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            include_str!("../../../tests/data/format/v2/record-header.blake3").trim()
        );
        assert_eq!(Header::decode(&bytes, &[5; 32]), Ok(composite()));
    }

    #[test]
    fn a_version_of_the_future_is_no_header() {
        let key = [5; 32];
        let mut bytes = header().encode(&key);
        bytes[8..10].copy_from_slice(&(VERSION + 1).to_be_bytes());
        let fixed = fixed_sum(&key, &bytes[..FIXED_SUM]);
        bytes[FIXED_SUM..FIXED].copy_from_slice(&fixed);
        bytes[16..32].fill(0);
        let sum = truncated(&blake3::keyed_hash(&key, &bytes));
        bytes[16..32].copy_from_slice(&sum);
        assert_eq!(Header::peek_len(&bytes, &key), None);
        assert_eq!(Header::decode(&bytes, &key), Err(Malformed("record header")));
    }

    #[test]
    fn a_header_under_another_key_is_no_header() {
        let bytes = header().encode(&[5; 32]);
        assert!(Header::decode(&bytes, &[6; 32]).is_err());
        assert_eq!(Header::peek_len(&bytes, &[6; 32]), None);
    }

    #[test]
    fn a_block_has_another_checksum_elsewhere() {
        let bytes = [1; 100];
        let here = block_sum(&[1; 16], 0, &bytes);
        assert_ne!(here, block_sum(&[1; 16], 1, &bytes));
        assert_ne!(here, block_sum(&[2; 16], 0, &bytes));
        let mut in_pieces = BlockSummer::new(&[1; 16], 0);
        in_pieces.update(&bytes[..33]);
        in_pieces.update(&bytes[33..]);
        assert_eq!(in_pieces.finish(), here);
        // Both ways are frozen: what was written stays readable.
        assert_eq!(
            (hex::encode(here.hash).as_str(), here.crc),
            ("a6ac3bf7db1f775a7f8ee36d5c8a4471", 12_137_435_039_305_468_337)
        );
        let one = Header { version: 1, nonce: [1; 16], ..header() };
        assert_eq!(hex::encode(one.block_sum(0, &bytes).hash), "8274b5b3ab448736357ef44a8f8929ca");
        assert_eq!(Header { version: 2, ..one }.block_sum(0, &bytes), here);
    }

    #[test]
    fn a_download_sees_every_flip_and_every_block_in_another_place() {
        for version in [1, 2] {
            let mut bytes = vec![7; 1000];
            let mut header = Header { version, nonce: [1; 16], blocks: Vec::new(), ..header() };
            header.blocks = (0..2).map(|number| header.block_sum(number, &bytes)).collect();
            assert!(
                header.is_block(0, &bytes) && header.is_block_by_crc(0, &bytes) && header.is_block_by_crc(1, &bytes)
            );
            for (at, bit) in [(0, 0), (1, 7), (500, 3), (999, 7)] {
                bytes[at] ^= 1 << bit;
                assert!(!header.is_block_by_crc(0, &bytes) && !header.is_block(0, &bytes), "{at} {bit}");
                bytes[at] ^= 1 << bit;
            }
            header.blocks.swap(0, 1);
            assert!(!header.is_block_by_crc(0, &bytes), "another block of the record");
            header.blocks.swap(0, 1);
            header.nonce = [2; 16];
            assert!(!header.is_block_by_crc(0, &bytes), "another record's block");
            assert!(!header.is_block_by_crc(2, &bytes), "no such block");
            assert!(!header.is_block_by_crc(0, &vec![0; 1000]), "a hole");
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_seen(at in 0usize..4096, bit in 0u8..8) {
            let key = [5; 32];
            let mut bytes = header().encode(&key);
            bytes[at] ^= 1 << bit;
            prop_assert!(Header::decode(&bytes, &key).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::peek_len(&bytes, &[0; 32]);
            let _ = Header::decode(&bytes, &[0; 32]);
        }
    }
}
