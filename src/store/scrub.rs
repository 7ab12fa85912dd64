//! Scrub: everything is read and every checksum verified, so that rot is found before it is asked
//! for.

use super::Store;
use super::error::StoreError;
use super::index::apply::object_key;
use super::index::rows::ObjectRow;
use super::volume::reader::RecordReader;
use crate::domain::BucketId;
use crate::store::codec::Decoder;

/// Files looked up at a time.
const PAGE: usize = 256;

/// One damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub bucket: BucketId,
    pub key: String,
    pub reason: String,
}

impl Store {
    /// Reads files after `after` (empty: from the start); gives where to go on, or `None` at the
    /// end. Blocks. Files and bytes go to `read`, damage to `damaged`. `pace` is told of every stride of
    /// bytes that was read and may hold the thread up; where it says no, the page ends early.
    pub fn scrub_page(
        &self,
        after: &[u8],
        mut read: impl FnMut(u64),
        mut damaged: impl FnMut(Damage),
        mut pace: impl FnMut(u64) -> bool,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        // Not held while files are read: that may take minutes, and redb keeps what a reader may see.
        let rows = self.view()?.objects_after(after, PAGE)?;
        let mut next = None;
        for (raw, row) in rows {
            let result = self.verify(&row, &mut pace);
            // What was deleted or replaced while it was read proves nothing.
            let still_there = || -> Result<bool, StoreError> {
                let now = self.view()?.raw(super::index::definitions::objects, &raw)?;
                Ok(now.is_some_and(|v| super::index::rows::Row::decode(&v).is_ok_and(|r: ObjectRow| r.id == row.id)))
            };
            match result {
                Ok(bytes) => read(bytes),
                Err(StoreError::Damaged(reason)) if still_there()? => {
                    damaged(Damage {
                        bucket: BucketId::new(Decoder::new(&raw, "object key").u64()?),
                        key: object_key(&raw)?.to_string(),
                        reason,
                    });
                }
                Err(StoreError::Damaged(_)) => {}
                Err(error) if still_there()? => {
                    damaged(Damage {
                        bucket: BucketId::new(Decoder::new(&raw, "object key").u64()?),
                        key: object_key(&raw)?.to_string(),
                        reason: error.to_string(),
                    });
                }
                Err(_) => {}
            }
            next = Some(raw);
            if !pace(0) {
                break;
            }
        }
        Ok(next)
    }

    /// Reads all of a file; gives its bytes' number.
    fn verify(&self, row: &ObjectRow, pace: &mut impl FnMut(u64) -> bool) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let mut count = |stride: &[u8]| {
            bytes += stride.len() as u64;
            pace(stride.len() as u64);
        };
        let main = RecordReader::open_blocking(&self.volumes, row.place, row.id)?;
        main.read_all_blocking(&mut count)?;
        if row.segmented {
            for segment in self.view()?.segments(row.id)? {
                RecordReader::open_blocking(&self.volumes, segment.place, segment.id)?.read_all_blocking(&mut count)?;
            }
        }
        if bytes == row.size.get() {
            Ok(bytes)
        } else {
            Err(StoreError::Damaged(format!("{bytes} bytes are there of {}", row.size)))
        }
    }
}
