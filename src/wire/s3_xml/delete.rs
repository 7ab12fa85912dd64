//! `Delete` and its answer.

use super::{MalformedXml, Step, Writer, walk};
use crate::domain::limits;

/// One object of a `Delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doomed {
    /// Its key, as it was sent.
    pub key: String,
    /// `VersionId`, where it was sent.
    pub version: Option<String>,
    /// `ETag`: only where this is its tag.
    pub etag: Option<String>,
    /// `LastModifiedTime`: only where it was stored then.
    pub modified: Option<String>,
    /// `Size`: only where it has so many bytes.
    pub size: Option<String>,
}

/// Reads `Delete`: whether it is to be quiet, and what is to go, in the client's order.
///
/// # Errors
/// [`MalformedXml`]: not XML, nothing to delete, more than 1,000 keys, an object without a key.
pub fn read_delete(body: &[u8]) -> Result<(bool, Vec<Doomed>), MalformedXml> {
    let (mut quiet, mut objects) = (false, Vec::new());
    let mut now: Option<(Option<String>, Doomed)> = None;
    walk(body, |path, step| {
        match (path, step) {
            (["Delete", "Quiet"], Step::Close(text)) => {
                quiet = match text.trim() {
                    "true" | "1" => true,
                    "false" | "0" | "" => false,
                    _ => return Err(MalformedXml),
                };
            }
            (["Delete", "Object"], Step::Open) => now = Some((None, Doomed::default())),
            (["Delete", "Object"], Step::Close(_)) => {
                let (Some(key), doomed) = now.take().ok_or(MalformedXml)? else { return Err(MalformedXml) };
                if key.is_empty() || objects.len() >= limits::LIST_KEYS_MAX {
                    return Err(MalformedXml);
                }
                objects.push(Doomed { key, ..doomed });
            }
            (["Delete", "Object", name], Step::Close(text)) => {
                let (key, doomed) = now.as_mut().ok_or(MalformedXml)?;
                match *name {
                    "Key" if key.is_some() => return Err(MalformedXml),
                    "Key" => *key = Some(text.to_owned()),
                    "VersionId" => doomed.version = Some(text.trim().to_owned()),
                    "ETag" => doomed.etag = Some(text.trim().to_owned()),
                    "LastModifiedTime" => doomed.modified = Some(text.trim().to_owned()),
                    "Size" => doomed.size = Some(text.trim().to_owned()),
                    _ => {}
                }
            }
            ([root, ..], Step::Open) if *root != "Delete" => return Err(MalformedXml),
            _ => {}
        }
        Ok(())
    })?;
    if objects.is_empty() { Err(MalformedXml) } else { Ok((quiet, objects)) }
}

/// That an object went, or why it did not: code and words.
pub type Fate = Result<(), (&'static str, String)>;

/// `DeleteResult`: what became of each object.
pub fn deleted(quiet: bool, outcomes: &[(&Doomed, Fate)]) -> String {
    let mut w = Writer::new("DeleteResult");
    for (doomed, outcome) in outcomes {
        let element = match outcome {
            Ok(()) if quiet => continue,
            Ok(()) => "Deleted",
            Err(_) => "Error",
        };
        w.open(element).text("Key", &doomed.key);
        if let Some(version) = &doomed.version {
            w.text("VersionId", version);
        }
        if let Err((code, message)) = outcome {
            w.text("Code", code).text("Message", message);
        }
        w.close(element);
    }
    w.end("DeleteResult")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    #[test]
    fn a_key_keeps_its_white_space_and_a_condition_is_seen() {
        let body =
            b"<Delete xmlns=\"x\"><Quiet>true</Quiet><Object><Key> a&amp;b </Key><VersionId>null</VersionId></Object>\
            <Object><Size>1</Size><Key>c</Key></Object></Delete>";
        let (quiet, objects) = read_delete(body).unwrap();
        assert!(quiet);
        assert_eq!(
            objects,
            [
                Doomed { key: " a&b ".into(), version: Some("null".into()), ..Doomed::default() },
                Doomed { key: "c".into(), size: Some("1".into()), ..Doomed::default() },
            ]
        );
    }

    #[test]
    fn at_least_one_key_and_at_most_a_thousand() {
        let of = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
        assert_eq!(read_delete(of(1000).as_bytes()).unwrap().1.len(), 1000);
        for bad in [of(0), of(1001), of(1).replace("Delete", "Other"), "<Delete><Object/></Delete>".into()] {
            assert_eq!(read_delete(bad.as_bytes()), Err(MalformedXml));
        }
        assert!(read_delete(b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>").is_err());
    }

    #[test]
    fn a_quiet_answer_names_only_what_stayed() {
        let a = Doomed { key: "a".into(), ..Doomed::default() };
        let b = Doomed { key: "b".into(), version: Some("null".into()), ..Doomed::default() };
        let outcomes = [(&a, Ok(())), (&b, Err(("AccessDenied", "locked".to_owned())))];
        assert!(deleted(false, &outcomes).contains("<Deleted><Key>a</Key></Deleted>"));
        assert!(deleted(true, &outcomes).contains("<Error><Key>b</Key><VersionId>null</VersionId><Code>"));
        let quiet = deleted(true, &outcomes);
        assert!(!quiet.contains("<Deleted>") && quiet.contains("<Code>AccessDenied</Code>"), "{quiet}");
    }

    proptest! {
        #[test]
        fn no_markup_panics(body in "(</?(Delete|Object|Key|Quiet)/?>|[&#;a-z0-9]{0,5}){0,20}") {
            let _ = read_delete(body.as_bytes());
        }
    }
}
