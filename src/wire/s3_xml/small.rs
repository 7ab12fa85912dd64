//! Documents of a line or two: legal hold, what a copy and what a form came to.

use super::{MalformedXml, Step, Writer, quoted, s3_time, walk};
use crate::domain::{Checksum, Lock, Timestamp};

/// Reads `LegalHold`.
///
/// # Errors
/// [`MalformedXml`]: not XML, no status, one that is neither ON nor OFF.
pub fn read_legal_hold(body: &[u8]) -> Result<Lock, MalformedXml> {
    let mut lock = None;
    walk(body, |path, step| {
        if let (["LegalHold", "Status"], Step::Close(text)) = (path, step) {
            let status = match text.trim() {
                "ON" => Lock::Locked,
                "OFF" => Lock::Open,
                _ => return Err(MalformedXml),
            };
            if lock.replace(status).is_some() {
                return Err(MalformedXml);
            }
        }
        Ok(())
    })?;
    lock.ok_or(MalformedXml)
}

/// Reads `CreateBucketConfiguration`, which may name a region and much that is not for this store.
///
/// # Errors
/// [`MalformedXml`]: not XML, or of another kind.
pub fn read_create_bucket(body: &[u8]) -> Result<Option<String>, MalformedXml> {
    let mut region = None;
    walk(body, |path, step| match (path, step) {
        (["CreateBucketConfiguration", "LocationConstraint"], Step::Close(text)) => {
            region = Some(text.trim().to_owned());
            Ok(())
        }
        ([root, ..], Step::Open) if *root != "CreateBucketConfiguration" => Err(MalformedXml),
        _ => Ok(()),
    })?;
    Ok(region)
}

/// `LegalHold`.
pub fn legal_hold(lock: Lock) -> String {
    let mut w = Writer::new("LegalHold");
    w.text("Status", if lock == Lock::Locked { "ON" } else { "OFF" });
    w.end("LegalHold")
}

/// `CopyObjectResult`, or `CopyPartResult` where a part was copied.
pub fn copied(part: bool, etag: &str, modified: Timestamp, checksum: Option<&Checksum>) -> String {
    let root = if part { "CopyPartResult" } else { "CopyObjectResult" };
    let mut w = Writer::new(root);
    w.text("LastModified", &s3_time::iso(modified)).text("ETag", &quoted(etag));
    if let Some(checksum) = checksum {
        w.checksum(checksum).text("ChecksumType", checksum.covers().word());
    }
    w.end(root)
}

/// `AccessControlPolicy` of what is its owner's alone.
pub fn private_acl(owner: &str) -> String {
    let mut w = Writer::new("AccessControlPolicy");
    w.owner("Owner", owner).open("AccessControlList").open("Grant");
    w.0.push_str("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">");
    w.text("ID", owner).text("DisplayName", owner).close("Grantee").text("Permission", "FULL_CONTROL");
    w.close("Grant").close("AccessControlList");
    w.end("AccessControlPolicy")
}

/// `PostResponse`.
pub fn posted(location: &str, bucket: &str, key: &str, etag: &str) -> String {
    let mut w = Writer::new("PostResponse");
    w.text("Location", location).text("Bucket", bucket).text("Key", key).text("ETag", &quoted(etag));
    w.end("PostResponse")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_bucket_may_name_its_region() {
        let named = b"<CreateBucketConfiguration xmlns=\"x\"><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(read_create_bucket(named), Ok(Some("eu".to_owned())));
        assert_eq!(read_create_bucket(b"<CreateBucketConfiguration/>"), Ok(None));
        for bad in [&b"<Other/>"[..], b"<CreateBucketConfiguration>", b"eu"] {
            assert_eq!(read_create_bucket(bad), Err(MalformedXml));
        }
    }

    #[test]
    fn a_hold_is_on_or_off_and_reads_as_it_is_written() {
        for lock in [Lock::Locked, Lock::Open] {
            assert_eq!(read_legal_hold(legal_hold(lock).as_bytes()), Ok(lock));
        }
        for bad in [
            "<LegalHold/>",
            "<LegalHold><Status>on</Status></LegalHold>",
            "<Other><Status>ON</Status></Other>",
            "<LegalHold><Status>ON</Status><Status>OFF</Status></LegalHold>",
        ] {
            assert_eq!(read_legal_hold(bad.as_bytes()), Err(MalformedXml), "{bad}");
        }
    }
}
