//! The XML bodies that S3 clients send, and what is written of their texts in answers.

use kandian::domain::object::is_xml_char;
use kandian::domain::{Lock, Timestamp, limits};
use kandian::wire::s3_xml::{
    CompletedPart, Doomed, Entry, ListVersion, Listing, deleted, error, legal_hold, list, read_complete,
    read_create_bucket, read_delete, read_legal_hold,
};
use quick_xml::Reader;
use quick_xml::events::Event;

/// Reads the bytes as each of the documents; what was read is written down anew and read alike.
pub fn run(data: &[u8]) {
    if let Ok(parts) = read_complete(data) {
        assert!(!parts.is_empty() && parts.len() <= usize::from(limits::PARTS_MAX));
        assert!(parts.iter().all(|part| (1..=limits::PARTS_MAX).contains(&part.number)));
        if !complete(&parts).contains("&#0;") {
            assert_eq!(read_complete(complete(&parts).as_bytes()), Ok(parts));
        }
    }
    if let Ok((quiet, doomed)) = read_delete(data) {
        assert!(!doomed.is_empty() && doomed.len() <= limits::LIST_KEYS_MAX);
        // Bytes that XML has no reference for come through raw; no such key is stored, so it is answered for each.
        let again = delete(quiet, &doomed);
        if !again.contains("&#0;") {
            assert_eq!(read_delete(again.as_bytes()).as_ref(), Ok(&(quiet, doomed.clone())));
        }
        let fates: Vec<_> = doomed.iter().map(|doomed| (doomed, Ok(()))).collect();
        let answer = texts(&deleted(false, &fates), "Key");
        assert_eq!(answer, doomed.iter().map(|doomed| clean(&doomed.key)).collect::<Vec<_>>());
        assert!(texts(&deleted(true, &fates), "Key").is_empty());
    }
    if let Ok(lock) = read_legal_hold(data) {
        assert_eq!(read_legal_hold(legal_hold(lock).as_bytes()), Ok(lock));
        let other = if lock == Lock::Locked { Lock::Open } else { Lock::Locked };
        assert_eq!(read_legal_hold(legal_hold(other).as_bytes()), Ok(other));
    }
    if let Ok(Some(region)) = read_create_bucket(data) {
        let again = format!(
            "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            escaped(&region)
        );
        if !again.contains("&#0;") {
            assert_eq!(read_create_bucket(again.as_bytes()), Ok(Some(region)));
        }
    }
    let text = String::from_utf8_lossy(data);
    echoed(&text.chars().take(1024).collect::<String>());
}

/// A text that comes back in an answer is read there as it was, but for what XML cannot carry.
fn echoed(text: &str) {
    let answer = error("NoSuchKey", text, text, text, text);
    for element in ["Message", "Resource", "RequestId", "HostId"] {
        assert_eq!(texts(&answer, element), [clean(text)], "{element}");
    }
    let entry = Entry { key: text, modified: Timestamp::from_millis(0), etag: "00".to_owned(), size: 1 };
    for url_encoded in [false, true] {
        for version in [
            ListVersion::V1 { marker: text, next_marker: Some(text) },
            ListVersion::V2 {
                start_after: Some(text),
                token: Some(text),
                next_token: Some(text.to_owned()),
                fetch_owner: true,
            },
        ] {
            let answer = list(&Listing {
                bucket: "bucket",
                prefix: text,
                delimiter: "/",
                max_keys: 1000,
                url_encoded,
                entries: vec![entry.clone()],
                prefixes: &[text.to_owned()],
                truncated: true,
                owner: "owner",
                version,
            });
            let keys = texts(&answer, "Key");
            if url_encoded {
                let keys: Vec<_> = keys.iter().map(|k| percent_encoding::percent_decode_str(k).decode_utf8()).collect();
                assert_eq!(keys, [Ok(text.into())]);
            } else {
                assert_eq!(keys, [clean(text)]);
            }
        }
    }
}

/// What can be said of a text in XML 1.0.
fn clean(text: &str) -> String {
    text.replace(|c| !is_xml_char(c), "\u{fffd}")
}

/// Every character as a reference.
fn escaped(text: &str) -> String {
    text.chars().map(|c| format!("&#{};", u32::from(c))).collect()
}

fn complete(parts: &[CompletedPart]) -> String {
    let mut out = String::from("<CompleteMultipartUpload>");
    for part in parts {
        out.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>&quot;", part.number));
        out.push_str(&escaped(&part.etag));
        out.push_str("&quot;</ETag>");
        for (kind, value) in &part.checksums {
            out.push_str(&format!("<Checksum{0}>{1}</Checksum{0}>", kind.name(), escaped(value)));
        }
        out.push_str("</Part>");
    }
    out + "</CompleteMultipartUpload>"
}

fn delete(quiet: bool, doomed: &[Doomed]) -> String {
    let mut out = format!("<Delete><Quiet>{quiet}</Quiet>");
    for one in doomed {
        out.push_str(&format!("<Object><Key>{}</Key>", escaped(&one.key)));
        for (name, value) in
            [("VersionId", &one.version), ("ETag", &one.etag), ("LastModifiedTime", &one.modified), ("Size", &one.size)]
        {
            if let Some(value) = value {
                out.push_str(&format!("<{name}>{}</{name}>", escaped(value)));
            }
        }
        out.push_str("</Object>");
    }
    out + "</Delete>"
}

/// The texts of all elements of this name, as a client's XML library reads them. The document is well-formed.
pub fn texts(document: &str, element: &str) -> Vec<String> {
    let mut reader = Reader::from_str(document);
    let (mut out, mut inside, mut open) = (Vec::new(), None::<String>, 0_usize);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => {
                open += 1;
                inside = (start.local_name().as_ref() == element).then(String::new);
            }
            Event::End(_) => {
                open -= 1;
                out.extend(inside.take());
            }
            Event::Text(text) => {
                if let Some(inside) = &mut inside {
                    inside.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(name) => {
                if let Some(inside) = &mut inside {
                    match name.resolve_char_ref().expect("a reference") {
                        Some(c) => inside.push(c),
                        None => {
                            inside.push_str(quick_xml::escape::resolve_predefined_entity(&name).expect("an entity"))
                        }
                    }
                }
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(open, 0, "well-formed");
    out
}
