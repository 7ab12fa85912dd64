//! Values of the index and events of the journal. The first byte says which, the rest are its bytes.

use kandian::domain::{AtTheEnd, Bytes};
use kandian::store::event::Event;
use kandian::store::index::rows::{
    AccountRow, AlertRow, ObjectRow, OwnBucketRow, PartRow, Row, Stats, SubAccountRow, TrashRow, UploadRow, VolumeRow,
};

/// Decodes the bytes as the row or event that the first byte names.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind {
        b'a' => row::<AccountRow>(bytes),
        b's' => row::<SubAccountRow>(bytes),
        b'b' => row::<OwnBucketRow>(bytes),
        b'c' => {
            row::<Stats>(bytes);
            if let Ok(stats) = Stats::decode(bytes) {
                let space = stats.space(Bytes::new(0), AtTheEnd::Stop, 0);
                assert_eq!(
                    (space.used.get(), space.held.get()),
                    (stats.used(), stats.locked_bytes + stats.parts_bytes)
                );
            }
        }
        b'o' => {
            row::<ObjectRow>(bytes);
            if let Ok(object) = ObjectRow::decode(bytes) {
                let extent = object.place.extent();
                assert!(extent.offset.checked_add(extent.len).is_some(), "it ends somewhere");
            }
        }
        b'u' => row::<UploadRow>(bytes),
        b'p' => row::<PartRow>(bytes),
        b'l' => row::<AlertRow>(bytes),
        b't' => {
            row::<TrashRow>(bytes);
            if let Ok(TrashRow { extent, .. }) = TrashRow::decode(bytes) {
                assert!(extent.offset.checked_add(extent.len).is_some(), "it ends somewhere");
            }
        }
        b'v' => row::<VolumeRow>(bytes),
        _ => event(bytes),
    }
}

/// What is read is what was written, byte for byte; what an older program wrote is written anew and read alike.
fn row<R: Row + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(read) = R::decode(bytes) else { return };
    let written = read.encode();
    if bytes.first() == Some(&R::FORMAT) {
        assert_eq!(hex::encode(&written), hex::encode(bytes), "{read:?}");
    }
    assert_eq!(R::decode(&written), Ok(read));
}

fn event(bytes: &[u8]) {
    let Ok(read) = Event::decode(bytes) else { return };
    let written = read.encode();
    let older = matches!(read, Event::PutAccount { .. } | Event::CreateUpload { .. });
    if !older {
        assert_eq!(hex::encode(&written), hex::encode(bytes), "{read:?}");
    }
    assert_eq!(Event::decode(&written), Ok(read));
}
