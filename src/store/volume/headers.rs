//! Headers that were read lately. A player asks for one recording in a hundred ranges, and the header of a long one is
//! much more than the blocks that a range needs.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::record::{Header, Place};
use crate::domain::ObjectId;

/// Memory for all of them, bytes.
const BYTES_MAX: u64 = 4 << 20;
/// About what a header takes with a row of the cache, beside its lists, bytes.
const FIXED: usize = 512;

/// A cache of verified headers. What is in it never goes stale: an id is given out once, and a header is written once.
#[derive(Debug)]
pub(super) struct Headers(Cache<ObjectId, Arc<Header>, Weight>);

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<ObjectId, Arc<Header>> for Weight {
    fn weight(&self, _id: &ObjectId, header: &Arc<Header>) -> u64 {
        let metadata: usize = header.metadata.0.iter().map(|(name, value)| 64 + name.len() + value.len()).sum();
        let lists = size_of_val(header.blocks.as_slice()) + size_of_val(header.segments.as_slice());
        (FIXED + header.key.as_bytes().len() + metadata + lists) as u64
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self(Cache::with_weighter((BYTES_MAX / 1024) as usize, BYTES_MAX, Weight))
    }
}

impl Headers {
    /// The header of commit `id` at `place`, where it was read lately.
    pub(super) fn get(&self, id: ObjectId, place: Place) -> Option<Arc<Header>> {
        self.0.get(&id).filter(|header| header.place() == place)
    }

    /// Keeps a header that was verified, for a while.
    pub(super) fn keep(&self, header: &Arc<Header>) {
        self.0.insert(header.id, Arc::clone(header));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::volume::record::tests::header;

    #[test]
    fn a_header_is_found_only_where_it_stands() {
        let headers = Headers::default();
        let header = Arc::new(super::super::record::tests::header());
        let place = header.place();
        assert!(headers.get(header.id, place).is_none());
        headers.keep(&header);
        assert_eq!(headers.get(header.id, place), Some(Arc::clone(&header)));
        assert!(headers.get(header.id, Place { offset: place.offset + 4096, ..place }).is_none());
        assert!(headers.get(ObjectId::new(header.id.get() + 1), place).is_none());
    }

    #[test]
    fn the_headers_of_long_recordings_do_not_fill_the_memory() {
        let headers = Headers::default();
        let block = crate::store::volume::record::block_sum(&[0; 16], 0, b"");
        for id in 0..200 {
            headers.keep(&Arc::new(Header { id: ObjectId::new(id), blocks: vec![block; 8192], ..header() }));
            assert!(headers.0.weight() <= BYTES_MAX);
        }
        assert!(headers.0.len() > 1);
    }
}
