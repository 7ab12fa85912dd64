//! The audit log as it can be verified elsewhere: every line as it was written, with what chains it to the one before.
//!
//! ```text
//! {"kandian_audit_chain":1}
//! {"number":N,"at_ms":T,"entry":"…","chain":"hex"}      a line, oldest first
//! {"lines":N,"end":"hex"}
//! ```
//!
//! `chain` is BLAKE3 over the chain of the line before (32 zeros before the first), the number (u64) and the time in ms
//! (i64), both big-endian, and the entry's bytes. What is noted of `end` elsewhere shows whether a later export is of
//! the same log: a line with that chain is in it.

use serde::{Deserialize, Serialize};

use super::audit::AuditVerdict;
use super::status::blocking;
use super::{Caller, Engine, Result};
use crate::domain::{Action, Timestamp};

/// Lines of a page, most.
const PAGE_MAX: usize = 1000;

/// A line of the audit log as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedLine {
    /// Its number.
    pub number: u64,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What was written, JSON as text: the sum is over its bytes.
    pub entry: String,
    /// What chains it to the line before, in hex.
    pub chain: String,
}

/// Some lines, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPage {
    /// The lines.
    pub lines: Vec<ChainedLine>,
    /// The number behind which the next page begins; `None` at the end.
    pub next: Option<u64>,
    /// What the log ended in when the page was made, in hex.
    pub end: String,
}

impl Engine {
    /// Lines behind the line of number `after`, with their chain.
    pub async fn audit_chain(&self, caller: &Caller, after: Option<u64>) -> Result<ChainPage> {
        caller.must_everywhere(Action::SeeAudit)?;
        let engine = self.clone();
        blocking(move || {
            let view = engine.inner.store.view()?;
            let mut lines = Vec::new();
            let end = view.audit_after(after, |line| {
                lines.push(ChainedLine {
                    number: line.seq,
                    at_ms: line.time.millis(),
                    entry: String::from_utf8_lossy(line.json).into_owned(),
                    chain: hex::encode(line.chain),
                });
                lines.len() < PAGE_MAX
            })?;
            let next = if end { None } else { lines.last().map(|line| line.number) };
            Ok(ChainPage { lines, next, end: hex::encode(view.audit_end()?.unwrap_or([0; 32])) })
        })
        .await
    }
}

/// Holds an export against itself: no store is needed, and none is looked at.
///
/// # Errors
/// It is no export, in words.
pub fn verify_export(text: &str) -> std::result::Result<AuditVerdict, String> {
    #[derive(Deserialize)]
    struct Head {
        kandian_audit_chain: u32,
    }
    #[derive(Deserialize)]
    struct End {
        lines: u64,
        end: String,
    }
    let mut all = text.lines();
    let head = all.next().and_then(|line| serde_json::from_str::<Head>(line).ok());
    match head.map(|head| head.kandian_audit_chain) {
        Some(1) => {}
        Some(other) => return Err(format!("the export has format {other}; this program knows 1")),
        None => return Err("this is no export of an audit log with its chain".to_owned()),
    }
    let (mut verdict, mut chain, mut end) = (AuditVerdict::default(), [0; 32], None);
    for text in all.filter(|line| !line.trim().is_empty()) {
        if let Ok(said) = serde_json::from_str::<End>(text) {
            end = Some(said);
            break;
        }
        let line: ChainedLine =
            serde_json::from_str(text).map_err(|error| format!("a line cannot be read: {error}"))?;
        verdict.lines += 1;
        let time = Timestamp::from_millis(line.at_ms);
        let wanted = crate::store::index::audit_chain(&chain, line.number, time, line.entry.as_bytes());
        let told = hex::decode(&line.chain).ok().and_then(|chain| <[u8; 32]>::try_from(chain).ok());
        if told != Some(wanted) && verdict.broken_at.is_none() {
            verdict.broken_at = Some(line.number);
        }
        chain = told.unwrap_or(wanted);
    }
    verdict.cut_off = end.is_none_or(|said| said.lines != verdict.lines || said.end != hex::encode(chain));
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(lines: &[(u64, &str)]) -> Vec<String> {
        let mut all = vec![r#"{"kandian_audit_chain":1}"#.to_owned()];
        let mut chain = [0; 32];
        for (number, entry) in lines {
            chain = crate::store::index::audit_chain(&chain, *number, Timestamp::from_millis(7), entry.as_bytes());
            let line = ChainedLine { number: *number, at_ms: 7, entry: (*entry).to_owned(), chain: hex::encode(chain) };
            all.push(serde_json::to_string(&line).unwrap());
        }
        all.push(format!(r#"{{"lines":{},"end":"{}"}}"#, lines.len(), hex::encode(chain)));
        all
    }

    fn verdict(lines: &[String]) -> (u64, Option<u64>, bool) {
        let AuditVerdict { lines, broken_at, cut_off } = verify_export(&lines.join("\n")).unwrap();
        (lines, broken_at, cut_off)
    }

    #[test]
    fn an_export_that_was_changed_shows_where() {
        let whole = export(&[(3, "a"), (5, "b"), (9, "c")]);
        assert_eq!(verdict(&whole), (3, None, false));
        let without = |at: usize| {
            let mut lines = whole.clone();
            lines.remove(at);
            lines
        };
        assert_eq!(verdict(&without(2)), (2, Some(9), true));
        assert_eq!(verdict(&without(1)), (2, Some(5), true));
        assert_eq!(verdict(&without(3)), (2, None, true));
        assert_eq!(verdict(&without(4)), (3, None, true));
        let altered = whole.iter().map(|line| line.replace("\"b\"", "\"x\"")).collect::<Vec<_>>();
        assert_eq!(verdict(&altered), (3, Some(5), false));
        let moved = whole.iter().map(|line| line.replace("\"at_ms\":7", "\"at_ms\":8")).collect::<Vec<_>>();
        assert_eq!(verdict(&moved), (3, Some(3), false));
        assert!(verify_export("number,time,who\n1,2,3").is_err());
        assert!(verify_export(r#"{"kandian_audit_chain":2}"#).is_err());
        assert!(verify_export("").is_err());
    }
}
