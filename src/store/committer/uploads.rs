//! Uploads as the committer takes them: checked against the present, numbered, placed, applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Committer;
use super::group::Group;
use super::queue::{Check, Completion, Failure, NewObject, NewPart, Receipt};
use crate::domain::{
    BucketId, Checksum, ETag, Lock, Metadata, ObjectId, ObjectKey, Refusal, Timestamp, UploadId, VolumeId, limits,
};
use crate::store::error::StoreError;
use crate::store::index::apply::Apply;
use crate::store::index::rows::PartRow;
use crate::store::volume::record::{HEADER_MAX, Header, Kind, Place, Segment, VERSION, header_len};
use crate::store::volume::writer::{Payload, Written};

impl Committer {
    pub(super) fn object(
        &mut self,
        apply: &mut Apply<'_>,
        group: &mut Group,
        new: NewObject,
    ) -> Result<Receipt, Failure> {
        let md5 = new.tag.proved()?;
        check(apply, new.bucket, &new.key, &new.check)?;
        let now = self.world.clock.now();
        let mut records = new.records;
        let single = records.len() == 1;
        let mut header = Header {
            kind: if single { Kind::Object } else { Kind::Manifest },
            lock: new.lock,
            md5,
            parts: 0,
            upload: new.upload,
            size: records.iter().map(|r| r.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            checksum: new.checksum,
            metadata: new.metadata,
            ..unplaced(new.bucket, new.key, now)
        };
        let record = if single {
            records.remove(0)
        } else {
            let nonce = records.first().map_or([0; 16], |r| r.nonce);
            header.segments = self.segments(group, &header, None, records)?;
            manifest_record(&header, nonce)
        };
        self.place(group, &mut header, record)?;
        apply.begin(self.seq, now);
        apply.record(&header)?;
        group.holds.push(new.hold);
        Ok(Receipt::new(header.etag(), now, header.checksum))
    }

    pub(super) fn part(&mut self, apply: &mut Apply<'_>, group: &mut Group, new: NewPart) -> Result<Receipt, Failure> {
        let md5 = new.tag.proved()?;
        if !apply.has_bucket(new.bucket)? {
            return Err(Refusal::NoBucket.into());
        }
        match apply.upload(new.bucket, new.upload)? {
            Some(row) if row.done.is_none() && row.key == new.key => {}
            _ => return Err(Refusal::NoUpload.into()),
        }
        let now = self.world.clock.now();
        let header = Header {
            kind: Kind::Part,
            md5,
            parts: new.number,
            upload: new.upload,
            size: new.records.iter().map(|r| r.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            ..unplaced(new.bucket, new.key, now)
        };
        let segments = self.segments(group, &header, new.checksum.as_ref(), new.records)?;
        apply.begin(self.seq, now);
        let size = segments.iter().map(|s| s.place.payload_len).sum();
        let row = PartRow { size, md5, checksum: new.checksum, created: now, segments };
        apply.put_part(new.bucket, new.upload, new.number, &row)?;
        group.holds.push(new.hold);
        Ok(Receipt::new(ETag { md5, parts: 0 }, now, row.checksum))
    }

    pub(super) fn complete(
        &mut self,
        apply: &mut Apply<'_>,
        group: &mut Group,
        new: Completion,
    ) -> Result<Receipt, Failure> {
        let row = match apply.upload(new.bucket, new.upload)? {
            Some(row) if row.key == new.key => row,
            _ => return Err(Refusal::NoUpload.into()),
        };
        if let Some(done) = row.done {
            return Ok(Receipt::new(done.etag, done.created, done.checksum));
        }
        let stored: BTreeMap<u16, _> = apply.upload_parts(new.upload)?.into_iter().collect();
        let mut segments = Vec::new();
        let mut md5s = Vec::new();
        let mut before = 0;
        let mut too_small = None;
        for (index, (number, tag)) in new.parts.iter().enumerate() {
            let number = *number;
            if number <= before {
                return Err(Refusal::PartOrder.into());
            }
            before = number;
            let part = stored.get(&number).ok_or(Refusal::BadPart { number })?;
            if !tag.eq_ignore_ascii_case(&hex::encode(part.md5)) {
                return Err(Refusal::BadPart { number }.into());
            }
            if part.size < limits::PART_BYTES_MIN && index + 1 < new.parts.len() {
                too_small.get_or_insert(number);
            }
            md5s.extend_from_slice(&part.md5);
            segments.extend(part.segments.iter().map(|s| Segment { part: number, md5: part.md5, ..*s }));
        }
        // A part that is wrong is said before one that is small, whatever their order.
        if let Some(number) = too_small {
            return Err(Refusal::PartTooSmall { number }.into());
        }
        check(apply, new.bucket, &new.key, &new.check)?;
        let now = self.world.clock.now();
        let mut header = Header {
            kind: Kind::Manifest,
            lock: row.lock,
            md5: crate::md5::digest(&md5s),
            parts: u16::try_from(new.parts.len()).unwrap_or(u16::MAX),
            upload: new.upload,
            size: segments.iter().map(|s| s.place.payload_len).sum(),
            first: ObjectId::new(self.seq + 1),
            group: group.after,
            checksum: new.checksum,
            metadata: row.metadata,
            segments,
            ..unplaced(new.bucket, new.key, now)
        };
        let record = manifest_record(&header, new.nonce);
        if record.header_len > u64::from(HEADER_MAX) {
            return Err(Refusal::TooLarge.into());
        }
        self.place(group, &mut header, record)?;
        apply.begin(self.seq, now);
        apply.record(&header)?;
        Ok(Receipt::new(header.etag(), now, header.checksum))
    }

    /// Places the records of an upload that has several; their parts of the manifest. Each record
    /// of a part carries the part's checksum.
    fn segments(
        &mut self,
        group: &mut Group,
        like: &Header,
        checksum: Option<&Checksum>,
        records: Vec<Written>,
    ) -> Result<Vec<Segment>, StoreError> {
        let mut segments = Vec::new();
        for record in records {
            let mut header =
                Header { kind: Kind::Part, metadata: Metadata::default(), checksum: checksum.cloned(), ..like.clone() };
            let place = self.place(group, &mut header, record)?;
            segments.push(Segment { place, id: header.id, part: like.parts, reserved: 0, md5: like.md5 });
        }
        Ok(segments)
    }

    /// Gives a record its sequence and its room; its bytes go with the group.
    fn place(&mut self, group: &mut Group, header: &mut Header, record: Written) -> Result<Place, StoreError> {
        let used = record.extent_len();
        let (reservation, inline) = match record.payload {
            Payload::OnDisk(reservation) => (reservation, None),
            Payload::Inline(buffer) => (self.volumes.reserve(used)?, Some(buffer)),
            Payload::Nothing => (self.volumes.reserve(used)?, None),
        };
        self.seq += 1;
        header.id = ObjectId::new(self.seq);
        header.header_len =
            u32::try_from(record.header_len).map_err(|_| StoreError::Index("a header is too long".to_owned()))?;
        header.nonce = record.nonce;
        header.payload_len = record.payload_len;
        header.volume = reservation.volume.id;
        header.offset = reservation.extent.offset;
        header.blocks = record.blocks;
        let bytes = header.encode(&reservation.volume.key);
        let piece = match inline {
            // The hasher has let go of it: what is waited for is its answer.
            Some(buffer) => {
                let mut buffer =
                    Arc::into_inner(buffer).ok_or_else(|| StoreError::Index("a payload has two owners".to_owned()))?;
                buffer.bytes_mut()[..bytes.len()].copy_from_slice(&bytes);
                buffer
            }
            None => {
                let mut buffer = self.volumes.buffers.take(bytes.len());
                buffer.fill(&bytes);
                buffer
            }
        };
        group.bytes += used;
        group.write(&reservation.volume, header.offset, piece);
        group.keeps.push((reservation, used));
        Ok(header.place())
    }
}

/// A header before its record has a number and a place.
fn unplaced(bucket: BucketId, key: ObjectKey, created: Timestamp) -> Header {
    Header {
        version: VERSION,
        kind: Kind::Object,
        lock: Lock::Open,
        header_len: 0,
        nonce: [0; 16],
        id: ObjectId::new(0),
        bucket,
        payload_len: 0,
        created,
        md5: [0; 16],
        parts: 0,
        upload: UploadId::new(0),
        volume: VolumeId::new(0),
        offset: 0,
        size: 0,
        first: ObjectId::new(0),
        group: 0,
        checksum: None,
        key,
        metadata: Metadata::default(),
        blocks: Vec::new(),
        segments: Vec::new(),
    }
}

/// A manifest's own record: a header and no payload.
fn manifest_record(header: &Header, nonce: [u8; 16]) -> Written {
    Written {
        payload: Payload::Nothing,
        header_len: header_len(&header.key, &header.metadata, 0, header.segments.len()),
        payload_len: 0,
        nonce,
        blocks: Vec::new(),
    }
}

/// What must hold of a key at the moment its object is replaced.
fn check(apply: &mut Apply<'_>, bucket: BucketId, key: &ObjectKey, check: &Check) -> Result<(), Failure> {
    if !apply.has_bucket(bucket)? {
        return Err(Refusal::NoBucket.into());
    }
    let old = apply.object(bucket, key)?;
    check.holds(old.as_ref().map(|old| old.etag))?;
    match old {
        Some(old) if old.lock == Lock::Locked => Err(Refusal::Locked.into()),
        _ => Ok(()),
    }
}
