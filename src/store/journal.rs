//! The journal: what changed besides uploads, in the order of its commits.
//!
//! ```text
//! journal-00000000000000000001.kdj     in `journal/` of the first volume directory
//! [0..8]    magic "kdjourna"
//! [8..10]   format version, 2           u16 BE, as all numbers
//! [10..26]  store id
//! [26..32]  zero
//! [32..]    frames, end to end:
//!   [0..4]      bytes of the body       u32
//!   [4..20]     BLAKE3 over store id and body, cut to 16
//!   [20..28]    body: sequence          u64
//!   [28..36]          time, ms          i64
//!   [36..44]          where in the file the write began that this frame is a part of, u64
//!   [44..]            event
//! ```
//!
//! Version 2 has the events of own buckets; a file of version 1 is read as it is, and is of version 2 from the
//! start on that opens it.
//!
//! Behind the last frame there may be zeros: room that was written ahead, for a sync that need not tell the disk
//! a new length of the file takes half as long. No frame begins with zeros, and a start cuts them off.
//!
//! Every file begins with a snapshot (accounts, sub-accounts, own buckets, uploads under way, records that are
//! dead but not punched, locks that differ from their headers) and an event that ends it; older
//! files are then of no use and are removed. A frame that is cut short at the end of the file was
//! never acknowledged, and neither is what the same write put behind it: a disk may keep the end of a
//! write and lose its beginning. A bad frame with one of a later write behind it is damage, and said
//! so, for a write is begun only when the one before is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{Decoder, Encoder};
use super::error::{Doing, StoreError};
use super::event::Event;
use crate::domain::Timestamp;
use crate::world::disk::remove_if_there;
use crate::world::{Disk, DiskFile, Grain};

const MAGIC: &[u8; 8] = b"kdjourna";
/// What is written.
pub const VERSION: u16 = 2;
/// The oldest version that is read.
pub const VERSION_OLDEST: u16 = 1;
const HEAD_LEN: usize = 32;
const HEAD: u64 = HEAD_LEN as u64;
const FRAME_HEAD: usize = 20;
const BODY_MAX: u32 = 64 << 20;

/// One change with its place in the order of all changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub seq: u64,
    pub time: Timestamp,
    pub event: Event,
}

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InJournal {
    /// The number in its file's name.
    pub file: u64,
    /// Bytes of the file before it.
    pub len: u64,
}

/// A journal that was read.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    /// What it says, but for what has rotted.
    pub frames: Vec<Frame>,
    /// Where a frame has rotted of which the index has what it said. Nothing may be appended: it has to be made anew.
    pub rotten_at: Option<u64>,
}

/// The journal file that is being appended to.
#[derive(Debug)]
pub struct Journal {
    file: Arc<dyn DiskFile>,
    number: u64,
    path: PathBuf,
    store_id: [u8; 16],
    /// Where the last frame ends.
    len: u64,
    /// Where the file ends.
    ahead: u64,
    /// So many zeros are written ahead at a time.
    ahead_by: u64,
    failed: bool,
}

fn frame_sum(store_id: &[u8; 16], body: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(store_id).update(body);
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}

/// Where the first write of a file begins, which is its snapshot.
pub const SNAPSHOT_AT: u64 = HEAD;

/// Appends a frame's bytes to `out`. `began`: where in the file `out` will begin.
pub fn encode_frame(out: &mut Vec<u8>, store_id: &[u8; 16], began: u64, seq: u64, time: Timestamp, event: &Event) {
    let mut body = Encoder::default();
    body.u64(seq).i64(time.millis()).u64(began).raw(&event.encode());
    out.extend_from_slice(&u32::try_from(body.0.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&frame_sum(store_id, &body.0));
    out.extend_from_slice(&body.0);
}

/// The frame at `at`, where the next one begins, and where its write began; `None` where none is
/// whole and right.
fn decode_frame(bytes: &[u8], at: usize, store_id: &[u8; 16]) -> Option<(Frame, usize, u64)> {
    let mut input = Decoder::new(bytes.get(at..)?, "journal frame");
    let len = input.u32().ok()?;
    if len > BODY_MAX {
        return None;
    }
    let sum: [u8; 16] = input.array().ok()?;
    let body = input.raw(len as usize).ok()?;
    if frame_sum(store_id, body) != sum {
        return None;
    }
    let mut input = Decoder::new(body, "journal frame");
    let (seq, time) = (input.u64().ok()?, Timestamp::from_millis(input.i64().ok()?));
    let began = input.u64().ok()?;
    let event = Event::decode(input.rest()).ok()?;
    Some((Frame { seq, time, event }, at + FRAME_HEAD + len as usize, began))
}

/// Whether a whole frame of a later write stands anywhere after a bad one: then the bad one, which
/// was durable before that write was begun, is damage.
fn later_write_follows(bytes: &[u8], bad: usize, store_id: &[u8; 16]) -> bool {
    const LOOK_AHEAD: usize = 1 << 20;
    let end = bytes.len().min(bad.saturating_add(LOOK_AHEAD));
    (bad + 1..end).any(|at| {
        // The cheap part first: a length that fits.
        let len = bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        len.is_some_and(|l| l >= 25 && (l as usize) <= bytes.len() - at)
            && decode_frame(bytes, at, store_id).is_some_and(|(_, _, began)| began > bad as u64)
    })
}

/// The journal's files in `dir`, oldest first.
pub fn files(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for path in disk.list(dir).doing(|| format!("list {}", dir.display()))? {
        let number = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.strip_prefix("journal-")?.strip_suffix(".kdj")?.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether there is any journal file in `dir`.
pub fn exists(disk: &dyn Disk, dir: &Path) -> bool {
    files(disk, dir).is_ok_and(|f| !f.is_empty())
}

/// The version that a file's first bytes name; `None` where they are no head, as a crash leaves them.
pub fn version_of(head: &[u8; 10]) -> Option<u16> {
    let [magic @ .., high, low] = head;
    (magic == MAGIC).then(|| u16::from_be_bytes([*high, *low]))
}

/// What a journal file says, as far as it can be read.
struct Said {
    head_ok: bool,
    frames: Vec<Frame>,
    /// Where the last good frame ends.
    at: usize,
    complete: bool,
}

/// The frames that stand end to end from `at` on, and where the last of them ends.
fn frames_from(bytes: &[u8], mut at: usize, store_id: &[u8; 16]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    while let Some((frame, next, _)) = decode_frame(bytes, at, store_id) {
        frames.push(frame);
        at = next;
    }
    (frames, at)
}

/// Reads the bytes of a journal file; an error where it is another store's.
fn said(bytes: &[u8], path: &Path, store_id: &[u8; 16]) -> Result<Said, StoreError> {
    let version = bytes.get(8..10).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let head_ok = bytes.get(..8) == Some(MAGIC.as_slice())
        && version.is_some_and(|version| (VERSION_OLDEST..=VERSION).contains(&version));
    if head_ok && bytes.get(10..26) != Some(store_id.as_slice()) {
        return Err(StoreError::Unusable(format!("{} belongs to another store; move it away", path.display())));
    }
    let (frames, at) = if head_ok { frames_from(bytes, HEAD_LEN, store_id) } else { (Vec::new(), HEAD_LEN) };
    let complete = frames.iter().any(|f| f.event == Event::SnapshotEnd);
    Ok(Said { head_ok, frames, at, complete })
}

/// What the newest file of a journal says, which is only looked at; and whether nothing in it is damaged. `None` where
/// there is none whose snapshot is whole.
pub fn read(disk: &dyn Disk, dir: &Path, store_id: &[u8; 16]) -> Result<Option<(Vec<Frame>, bool)>, StoreError> {
    let mut found = files(disk, dir)?;
    while let Some((_, path)) = found.pop() {
        let doing = || format!("read journal {}", path.display());
        let file = disk.open_to_read(&path).doing(doing)?;
        let mut bytes = vec![0; usize::try_from(file.len().doing(doing)?).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0).doing(doing)?;
        let said = said(&bytes, &path, store_id)?;
        if said.complete {
            let whole = !later_write_follows(&bytes, said.at, store_id);
            return Ok(Some((said.frames, whole)));
        }
    }
    Ok(None)
}

impl Journal {
    /// Begins a new file with `snapshot` (which ends in [`Event::SnapshotEnd`]) and removes the
    /// older ones. `first` is larger than every sequence before.
    pub fn create(
        disk: &dyn Disk,
        dir: &Path,
        store_id: [u8; 16],
        first: u64,
        snapshot: &[u8],
    ) -> Result<Self, StoreError> {
        let path = dir.join(format!("journal-{first:020}.kdj"));
        let doing = || format!("make journal {}", path.display());
        remove_if_there(disk, &path).doing(doing)?;
        let file = disk.create(&path).doing(doing)?;
        let mut head = Encoder::default();
        head.raw(MAGIC).u16(VERSION).raw(&store_id).raw(&[0; 6]);
        file.write_all_at(&head.0, 0).doing(doing)?;
        file.write_all_at(snapshot, HEAD).doing(doing)?;
        file.sync_data().doing(doing)?;
        disk.sync_dir(dir).doing(doing)?;
        for (_, old) in files(disk, dir)? {
            if old != path {
                disk.remove(&old).doing(doing)?;
            }
        }
        disk.sync_dir(dir).doing(doing)?;
        let len = HEAD + snapshot.len() as u64;
        let ahead_by = Grain::OF_A_BOX.journal_ahead;
        Ok(Self { file, number: first, path, store_id, len, ahead: len, ahead_by, failed: false })
    }

    /// Reads the newest file that is whole and makes it ready to be appended to. `known`: up to where an index has what
    /// the journal says; what has rotted before that is passed over.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        store_id: [u8; 16],
        known: Option<InJournal>,
    ) -> Result<Option<Opened>, StoreError> {
        // The newest file's name too may be on no disk, after a process that ended when it had made it.
        disk.sync_dir(dir).doing(|| format!("sync {}", dir.display()))?;
        let mut found = files(disk, dir)?;
        while let Some((number, path)) = found.pop() {
            let doing = || format!("read journal {}", path.display());
            let file = disk.open(&path).doing(doing)?;
            let mut bytes = vec![0; usize::try_from(file.len().doing(doing)?).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0).doing(doing)?;
            let known = known.filter(|known| known.file == number).map_or(0, |known| known.len);
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            let Said { head_ok, mut frames, at, complete } = said(&bytes, &path, &store_id)?;
            if known > 0 && (!head_ok || at < known) && known <= bytes.len() {
                // It was durable when the index was, so that no crash has cut it.
                let (later, end) = frames_from(&bytes, known, &store_id);
                if !later_write_follows(&bytes, end, &store_id) {
                    frames.extend(later);
                    let (len, ahead_by) = (end as u64, Grain::OF_A_BOX.journal_ahead);
                    let journal = Self { file, number, path, store_id, len, ahead: len, ahead_by, failed: true };
                    let rotten_at = Some(if head_ok { at as u64 } else { 0 });
                    return Ok(Some(Opened { journal, frames, rotten_at }));
                }
            }
            if !complete && !found.is_empty() {
                // The crash came while it was being made; the one before still has everything.
                continue;
            }
            if !head_ok || !complete || later_write_follows(&bytes, at, &store_id) {
                return Err(StoreError::Unusable(format!(
                    "{} is damaged at byte {at}; restore it from a backup, or run `kandian index rebuild` on a copy",
                    path.display()
                )));
            }
            // A sync that failed before a restart leaves bytes that are read and are not on the disk:
            // they are written again before anything is built on them, under the version that is appended.
            bytes.truncate(at);
            bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
            file.set_len(at as u64).doing(doing)?;
            file.write_all_at(&bytes, 0).doing(doing)?;
            file.sync_data().doing(doing)?;
            let (len, ahead_by) = (at as u64, Grain::OF_A_BOX.journal_ahead);
            let journal = Self { file, number, path, store_id, len, ahead: len, ahead_by, failed: false };
            return Ok(Some(Opened { journal, frames, rotten_at: None }));
        }
        Ok(None)
    }

    /// So many zeros are written ahead at a time from now on.
    #[must_use]
    pub fn ahead_by(self, bytes: u64) -> Self {
        Self { ahead_by: bytes, ..self }
    }

    /// Appends whole frames, durable on return. After a failure, never again.
    pub fn append(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Stopped("an earlier write to the journal failed".to_owned()));
        }
        let end = self.len + frames.len() as u64;
        if end > self.ahead {
            self.ahead = self.write_ahead(end);
        }
        let doing = || format!("append to journal {}", self.path.display());
        let done = self.file.write_all_at(frames, self.len).and_then(|()| self.file.sync_data()).doing(doing);
        self.failed = done.is_err();
        done?;
        self.len = end;
        Ok(())
    }

    /// Makes room past `end`; gives how far. Where there is none, frames make the file longer themselves, or fail.
    fn write_ahead(&self, end: u64) -> u64 {
        let upto = end.next_multiple_of(self.ahead_by) + self.ahead_by;
        let zeros = vec![0; usize::try_from(upto - end).unwrap_or(0)];
        // Room is set aside first: for zeros no room that is held back shall go.
        match self.file.allocate(end, upto - end).and_then(|()| self.file.write_all_at(&zeros, end)) {
            Ok(()) => upto,
            Err(error) => {
                tracing::debug!(%error, "no room ahead in the journal");
                end
            }
        }
    }

    /// Bytes of the frames, and of what is before them.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Its end.
    pub fn place(&self) -> InJournal {
        InJournal { file: self.number, len: self.len }
    }

    /// The store that it belongs to.
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SubAccountId;

    #[test]
    fn room_is_written_ahead_and_cut_off_at_a_start() {
        let (world, ..) = crate::world::fake::world(1);
        let (disk, dir, store) = (&*world.disk, Path::new("/journal"), [3; 16]);
        disk.create_dir_all(dir).unwrap();
        let event = Event::CloseSubAccount { sub_account: SubAccountId::new(7) };
        let encode = |journal: Option<&Journal>, seq, event: &Event| {
            let mut out = Vec::new();
            let began = journal.map_or(SNAPSHOT_AT, Journal::bytes);
            encode_frame(&mut out, &store, began, seq, Timestamp::from_millis(5), event);
            out
        };
        let mut journal = Journal::create(disk, dir, store, 1, &encode(None, 1, &Event::SnapshotEnd)).unwrap();
        journal.append(&encode(Some(&journal), 2, &event)).unwrap();
        let long = journal.file.len().unwrap();
        assert!(long >= journal.bytes() + Grain::OF_A_BOX.journal_ahead);
        journal.append(&encode(Some(&journal), 3, &event)).unwrap();
        assert_eq!(journal.file.len().unwrap(), long, "the second frame needed no new length");
        let Opened { journal: open, frames, .. } = Journal::open(disk, dir, store, None).unwrap().unwrap();
        assert_eq!(frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((open.bytes(), open.file.len().unwrap()), (journal.bytes(), journal.bytes()));
    }

    #[test]
    fn what_has_rotted_of_what_the_index_knows_is_no_crash_and_is_passed_over() {
        let (world, ..) = crate::world::fake::world(1);
        let (disk, dir, store) = (&*world.disk, Path::new("/journal"), [3; 16]);
        disk.create_dir_all(dir).unwrap();
        let event = |id| Event::CloseSubAccount { sub_account: SubAccountId::new(id) };
        let encode = |began, seq, event: &Event| {
            let mut out = Vec::new();
            encode_frame(&mut out, &store, began, seq, Timestamp::from_millis(5), event);
            out
        };
        let mut journal = Journal::create(disk, dir, store, 1, &encode(SNAPSHOT_AT, 1, &Event::SnapshotEnd)).unwrap();
        let mut ends = vec![journal.place()];
        for seq in 2..5 {
            journal.append(&encode(journal.bytes(), seq, &event(seq))).unwrap();
            ends.push(journal.place());
        }
        let file = disk.open(&journal.path).unwrap();
        let sequences = |opened: &Opened| opened.frames.iter().map(|frame| frame.seq).collect::<Vec<_>>();
        let flip = |at: u64| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        };
        // The head, the snapshot, a frame in the middle, the last one: as far as the index knows them.
        for (at, known, left) in [
            (3, 3, vec![]),
            (40, 3, vec![]),
            (ends[1].len + 5, 3, vec![1, 2]),
            (ends[1].len + 5, 2, vec![1, 2, 4]),
            (ends[2].len + 5, 3, vec![1, 2, 3]),
        ] {
            flip(at);
            let opened = Journal::open(disk, dir, store, Some(ends[known])).unwrap().unwrap();
            assert_eq!((sequences(&opened), opened.journal.place().len), (left, ends[3].len), "byte {at}");
            assert!(opened.rotten_at.is_some_and(|rotten| rotten <= at), "byte {at}");
            flip(at);
        }
        // A newer file that a crash left before anything was in it is none that the index knows.
        let begun = dir.join("journal-00000000000000000009.kdj");
        disk.create(&begun).unwrap();
        for known in [None, Some(ends[3])] {
            let opened = Journal::open(disk, dir, store, known).unwrap().unwrap();
            assert_eq!((sequences(&opened), opened.rotten_at), (vec![1, 2, 3, 4], None), "{known:?}");
        }
        disk.remove(&begun).unwrap();
        // Nobody knows it, and a later write follows: it is damage, and the file stays as it is.
        flip(ends[1].len + 5);
        for known in [None, Some(ends[1]), Some(InJournal { file: 9, ..ends[3] })] {
            assert!(Journal::open(disk, dir, store, known).is_err(), "{known:?}");
        }
        flip(ends[1].len + 5);
        // The last one, that nobody knows, may be what a crash has cut.
        flip(ends[2].len + 5);
        let opened = Journal::open(disk, dir, store, Some(ends[2])).unwrap().unwrap();
        assert_eq!((sequences(&opened), opened.rotten_at), (vec![1, 2, 3], None));
    }
}
