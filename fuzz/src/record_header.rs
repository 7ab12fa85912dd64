//! A record's header, as a volume that rots or that somebody wrote may have it. The checksums are made right, or no input
//! would come past them.

use kandian::store::volume::record::{BLOCK, FIXED, HEADER_MAX, Header, SECTOR_LEN, VERSION};

const KEY: [u8; 32] = [5; 32];

/// Reads the bytes as they are, then as a header whose checksums are right, whose length is its own and whose version is
/// one of ours.
pub fn run(data: &[u8]) {
    let _ = Header::peek_len(data, &KEY);
    if let Ok(header) = Header::decode(data, &KEY) {
        check(&header, data);
    }
    let mut bytes = data.to_vec();
    bytes.resize(data.len().max(FIXED).next_multiple_of(SECTOR_LEN), 0);
    bytes[..8].copy_from_slice(b"kdrecord");
    bytes[8] = 0;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes[12..16].copy_from_slice(&length.to_be_bytes());
    let mut fixed = blake3::Hasher::new_keyed(&KEY);
    fixed.update(&bytes[..16]).update(&bytes[32..FIXED - 16]);
    bytes[FIXED - 16..FIXED].copy_from_slice(&fixed.finalize().as_bytes()[..16]);
    bytes[16..32].fill(0);
    let sum = blake3::keyed_hash(&KEY, &bytes);
    bytes[16..32].copy_from_slice(&sum.as_bytes()[..16]);
    if let Ok(header) = Header::decode(&bytes, &KEY) {
        check(&header, &bytes);
    }
    assert!(Header::decode(&bytes, &[6; 32]).is_err(), "another volume's key");
}

fn check(header: &Header, bytes: &[u8]) {
    assert!(bytes.len() <= HEADER_MAX as usize);
    assert_eq!(header.header_len as usize, bytes.len());
    assert_eq!(Header::peek_len(&bytes[..SECTOR_LEN], &KEY), Some(header.header_len));
    assert_eq!(header.blocks.len() as u64, header.payload_len.div_ceil(BLOCK));
    let place = header.place();
    let extent = place.extent();
    assert_eq!((extent.offset, place.payload_at()), (header.offset, header.offset + u64::from(header.header_len)));
    assert!(extent.offset.checked_add(extent.len).is_some(), "it ends somewhere");
    for segment in &header.segments {
        let extent = segment.place.extent();
        assert!(extent.offset.checked_add(extent.len).is_some(), "it ends somewhere");
    }
    assert!(!header.is_block(header.blocks.len() as u64, b""), "there is no such block");
    // What an older program wrote has less room for checksums.
    if header.version == VERSION {
        let again = header.encode(&KEY);
        assert_eq!(Header::decode(&again, &KEY).as_ref(), Ok(header));
    }
}
