//! The MD5 of small uploads: those of a group are hashed side by side, in the lanes of one register.

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use super::queue::{Command, Md5, Tag};
use crate::md5;
use crate::store::volume::writer::Written;

/// A digest that is being made is there sooner than this; to sleep for it would cost more.
const SOON: Duration = Duration::from_micros(300);

/// Hashes what the uploads of a group have in memory, and waits for what others hash.
pub(super) fn hash_together(batch: &mut [Command]) {
    let mut open = Vec::new();
    for command in batch {
        let (tag, records) = match command {
            Command::Object(new, _) => (&mut new.tag, &new.records),
            Command::Part(new, _) => (&mut new.tag, &new.records),
            _ => continue,
        };
        match &tag.md5 {
            Md5::Known(_) => {}
            Md5::OfTheGroup => open.push((tag, payload(records))),
            Md5::Coming(_) => await_digest(tag, payload(records)),
        }
    }
    let pieces: Vec<&[u8]> = open.iter().map(|(_, payload)| *payload).collect();
    for ((tag, _), md5) in open.iter_mut().zip(md5::digest_each(&pieces)) {
        tag.md5 = Md5::Known(md5);
    }
}

/// Waits for a digest that somebody makes; makes it where they have given up.
fn await_digest(tag: &mut Tag, payload: &[u8]) {
    let Md5::Coming(coming) = &tag.md5 else { return };
    let began = Instant::now();
    let made = loop {
        match coming.try_recv() {
            Ok(md5) => break Some(md5),
            Err(TryRecvError::Disconnected) => break None,
            Err(TryRecvError::Empty) if began.elapsed() < SOON => std::hint::spin_loop(),
            Err(TryRecvError::Empty) => break coming.recv().ok(),
        }
    };
    tag.md5 = Md5::Known(made.unwrap_or_else(|| md5::digest(payload)));
}

/// The payload of an upload that is in memory as a whole.
fn payload(records: &[Written]) -> &[u8] {
    match records {
        [record] => record.inline().map_or(&[], |(buffer, range)| &buffer.bytes()[range]),
        _ => &[],
    }
}
