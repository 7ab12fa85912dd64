//! The MD5 of small uploads: those of a group are hashed side by side, in the lanes of one register.

use super::queue::Command;
use crate::md5;
use crate::store::volume::writer::Written;

/// Hashes what the uploads of a group have in memory.
pub(super) fn hash_together(batch: &mut [Command]) {
    let mut open = Vec::new();
    for command in batch {
        let (tag, records) = match command {
            Command::Object(new, _) => (&mut new.tag, &new.records),
            Command::Part(new, _) => (&mut new.tag, &new.records),
            _ => continue,
        };
        if tag.md5.is_none() {
            open.push((tag, payload(records)));
        }
    }
    let pieces: Vec<&[u8]> = open.iter().map(|(_, payload)| *payload).collect();
    for ((tag, _), md5) in open.iter_mut().zip(md5::digest_each(&pieces)) {
        tag.md5 = Some(md5);
    }
}

/// The payload of an upload that is in memory as a whole.
fn payload(records: &[Written]) -> &[u8] {
    match records {
        [record] => record.inline().map_or(&[], |(buffer, range)| &buffer.bytes()[range]),
        _ => &[],
    }
}
