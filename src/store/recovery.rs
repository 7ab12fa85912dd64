//! Start after a crash, and rebuild: the index is brought up to the volumes and the journal.
//!
//! At a start only what came after the last checkpoint is looked at: the volumes behind their
//! marked tails, the extents that were open then, and the journal's end. Their records' payload is
//! read and verified, since the power may have gone before the sync: what does not verify was
//! never acknowledged. A rebuild looks at everything, with nothing known beforehand; only the
//! records of the newest group can be cut there, as each group is synced before the next.
//!
//! What verifies is written once more and synced before the index says that it is there: where a
//! sync failed and the program was started again without a power cut, the bytes that are read may
//! be on no disk. What does not verify is punched before that, so that it is never found again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable};
use serde::Serialize;

use super::codec::Decoder;
use super::error::{Doing, StoreError};
use super::event::Event;
use super::index::apply::{Apply, Foreknowledge, Settings};
use super::index::{begin_durable, begin_volatile, definitions, is_own, meta, owner_of};
use super::journal::Frame;
use super::restore::Stranger;
use super::volume::reader::RecordReader;
use super::volume::record::{Extent, Header, Kind, SECTOR, Segment};
use super::volume::{RoomMark, Volume, Volumes};
use crate::domain::{ObjectId, SubAccountId, Timestamp, VolumeId};

/// What a start found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecoveryReport {
    /// Uploads applied again.
    pub records: u64,
    /// Journal events applied again.
    pub events: u64,
    /// Records that were cut by the crash, never acknowledged, and dropped.
    pub torn: u64,
    /// Bytes of unfinished uploads given back.
    pub freed_bytes: u64,
    /// Sequence of the last change.
    pub sequence: u64,
}

/// What a rebuild found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RebuildReport {
    /// Files in the new index.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Accounts in the new index.
    pub accounts: u64,
    /// Sub-accounts in the new index.
    pub sub_accounts: u64,
    /// Records that were found in the volumes.
    pub records: u64,
    /// Sectors that hold data but belong to no record: unfinished uploads, or damaged headers.
    pub skipped_bytes: u64,
}

/// A record found in a volume, without its block checksums.
struct Found {
    id: ObjectId,
    volume: Arc<Volume>,
    offset: u64,
}

enum Change {
    Record(Found),
    Event(Box<Frame>),
}

/// Walks a volume from `from`: every header that is right goes to `each`; what lies between is
/// returned as gaps, holes left out. Leniently, what cannot be read is a gap too.
fn walk(volume: &Volume, from: u64, lenient: bool, mut each: impl FnMut(&Header)) -> Result<Vec<Extent>, StoreError> {
    let doing = || format!("read volume {}", volume.id);
    let end = volume.file.len().doing(doing)?;
    let mut gaps: Vec<Extent> = Vec::new();
    let mut at = from;
    while at < end {
        match volume.file.next_data(at) {
            Ok(None) => break,
            Ok(Some(data)) => at = (data / SECTOR * SECTOR).max(at),
            Err(_) if lenient => {}
            Err(error) => return Err(error).doing(doing),
        }
        let header = match volume.read_header(at) {
            Err(_) if lenient => None,
            other => other?,
        };
        if let Some(header) = header {
            each(&header);
            at += header.place().extent().len;
            continue;
        }
        match gaps.last_mut() {
            Some(last) if last.offset + last.len == at => last.len += SECTOR,
            _ => gaps.push(Extent { volume: volume.id, offset: at, len: SECTOR }),
        }
        at += SECTOR;
    }
    Ok(gaps)
}

/// Verifies a record, and makes sure of its bytes; `false` where it is cut. The caller syncs.
fn secure(volumes: &Volumes, volume: &Arc<Volume>, header: Header) -> Result<bool, StoreError> {
    let reader = RecordReader::with_header(Arc::clone(volume), header);
    let place = reader.header().place();
    // First all of it is looked at: of a record that is cut, nothing is written. A disk that cannot
    // read says nothing of what was acknowledged: the start fails, and nothing is punched.
    match reader.read_all_blocking(|_| {}) {
        Ok(()) => {}
        Err(StoreError::Damaged(_)) => return Ok(false),
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        // What may have been acknowledged is named; reading it will say what is wrong.
        Err(_) if volumes.is_read_only(volume) => return Ok(true),
        Err(error) => return Err(error),
    }
    if volumes.is_read_only(volume) {
        return Ok(true);
    }
    let doing = || format!("write volume {} again", volume.id);
    let mut header = vec![0; place.header_len as usize];
    volume.file.read_exact_at(&mut header, place.offset).doing(doing)?;
    volume.file.write_all_at(&header, place.offset).doing(doing)?;
    let mut at = place.payload_at();
    let mut written = Ok(());
    let read = reader.read_all_blocking(|bytes| {
        if written.is_ok() {
            written = volume.file.write_all_at(bytes, at);
        }
        at += bytes.len() as u64;
    });
    written.doing(doing)?;
    read.map(|()| true)
}

/// Brings the index up to what lies behind `mark`; frees what was unfinished. Where it is known up to where changes were
/// acknowledged, records after that count as cut: a disk whose sync failed gives bytes that it may not have.
pub fn replay(
    db: &Database,
    volumes: &Arc<Volumes>,
    frames: Vec<Frame>,
    mark: &RoomMark,
    applied: u64,
    acknowledged: Option<u64>,
    settings: Settings,
) -> Result<RecoveryReport, StoreError> {
    let mut report = RecoveryReport { sequence: applied, ..RecoveryReport::default() };
    let mut changes: BTreeMap<u64, Change> = BTreeMap::new();
    let mut gaps = Vec::new();
    let mut tails: BTreeMap<VolumeId, u64> = mark.tails.iter().copied().collect();
    for volume in volumes.all() {
        if volume.id.get() >= mark.next_volume {
            tails.insert(volume.id, SECTOR);
        }
    }
    let mut headers = Vec::new();
    for (&id, tail) in &mut tails {
        let Some(volume) = volumes.get(id) else { continue };
        let mut end = *tail;
        gaps.extend(walk(&volume, *tail, volumes.is_read_only(&volume), |header| {
            end = end.max(header.offset + header.place().extent().len);
            headers.push((Arc::clone(&volume), header.clone()));
        })?);
        *tail = end;
    }
    for extent in &mark.open {
        let Some(volume) = volumes.get(extent.volume) else { continue };
        let mut used = 0;
        let header = match volume.read_header(extent.offset) {
            Err(_) if volumes.is_read_only(&volume) => None,
            other => other?,
        };
        if let Some(header) = header {
            used = header.place().extent().len;
            headers.push((volume, header));
        }
        if used < extent.len {
            gaps.push(Extent { offset: extent.offset + used, len: extent.len - used, ..*extent });
        }
    }
    let mut bad = HashSet::new();
    let (mut secured, mut unpunched) = (BTreeMap::new(), Vec::new());
    for (volume, header) in headers {
        let (id, place) = (header.id, header.place());
        if id.get() <= applied {
            continue;
        }
        // The number of a record that is cut is not given out again.
        report.sequence = report.sequence.max(id.get());
        let never = acknowledged.is_some_and(|last| id.get() > last);
        if never || !secure(volumes, &volume, header)? {
            bad.insert(id);
            if volumes.can_punch(volume.id) {
                gaps.push(place.extent());
            } else {
                // What cannot be punched now is trash until it can be: nobody shall take it for a file.
                unpunched.push((place, id));
            }
            continue;
        }
        if volumes.can_punch(volume.id) {
            secured.insert(volume.id, Arc::clone(&volume));
        }
        changes.insert(id.get(), Change::Record(Found { id, offset: place.offset, volume }));
    }
    for frame in frames {
        if frame.seq > applied {
            changes.insert(frame.seq, Change::Event(Box::new(frame)));
        }
    }
    report.torn = bad.len() as u64;
    let txn = begin_durable(db)?;
    let mut apply = Apply::new(&txn, settings)?;
    for (seq, change) in changes {
        report.sequence = report.sequence.max(seq);
        match change {
            Change::Event(frame) => {
                report.events += 1;
                apply.begin(frame.seq, frame.time);
                apply.event(&frame.event)?;
            }
            Change::Record(found) => {
                let Some(header) = found.volume.read_header(found.offset)? else { continue };
                let whole = header
                    .segments
                    .iter()
                    .all(|s| !bad.contains(&s.id) && segment_stands(volumes, s.place.volume, s.place.offset, s.id));
                if header.kind == Kind::Manifest && !whole {
                    report.torn += 1;
                    if volumes.can_punch(found.volume.id) {
                        gaps.push(header.place().extent());
                    } else {
                        unpunched.push((header.place(), header.id));
                    }
                    continue;
                }
                report.records += 1;
                apply.begin(header.id.get(), header.created);
                apply.record(&header)?;
            }
        }
    }
    // A number of its own: the trash of the last change has that change's.
    report.sequence += 1;
    apply.begin(report.sequence, Timestamp::default());
    apply.trash_orphans()?;
    unpunched.into_iter().try_for_each(|(place, id)| apply.trash_record(place, id))?;
    apply.finish(report.sequence)?;
    report.freed_bytes = gaps.iter().map(|g| g.len).sum();
    volumes.punch(&gaps)?;
    for volume in secured.values() {
        volume.sync()?;
    }
    txn.commit()?;
    // A volume of a dead disk keeps its number.
    volumes.never_below(mark.next_volume);
    for (id, tail) in tails {
        if let Some(volume) = volumes.get(id) {
            volumes.resume(&volume, tail);
        }
    }
    Ok(report)
}

fn segment_stands(volumes: &Volumes, volume: VolumeId, offset: u64, id: ObjectId) -> bool {
    match volumes.get(volume) {
        Some(volume) => matches!(volume.read_header(offset), Ok(Some(header)) if header.id == id),
        // It may lie on a disk that is dead: that says nothing of whether it was acknowledged.
        None => volumes.some_are_offline(),
    }
}

/// Of the newest group, which may be cut, what is not whole is punched and taken out.
fn drop_cut_records(volumes: &Arc<Volumes>, changes: &mut Vec<(u64, Change)>, newest: u64) -> Result<(), StoreError> {
    let mut bad = HashSet::new();
    let mut manifests = Vec::new();
    let mut gaps = Vec::new();
    let mut secured = BTreeMap::new();
    for (seq, change) in changes.iter() {
        let Change::Record(found) = change else { continue };
        if *seq <= newest {
            continue;
        }
        let Some(header) = found.volume.read_header(found.offset)? else { continue };
        let extent = header.place().extent();
        if header.kind == Kind::Manifest {
            manifests.push((*seq, extent, header.segments.clone()));
        }
        if secure(volumes, &found.volume, header)? {
            secured.insert(found.volume.id, Arc::clone(&found.volume));
        } else {
            bad.insert(*seq);
            gaps.push(extent);
        }
    }
    for (seq, extent, segments) in manifests {
        // Segments of earlier groups are not looked for: where they are gone, their object is
        // deleted or damaged, which is another matter.
        let cut = |s: &Segment| {
            bad.contains(&s.id.get())
                || (s.id.get() > newest && !segment_stands(volumes, s.place.volume, s.place.offset, s.id))
        };
        if segments.iter().any(cut) {
            bad.insert(seq);
            gaps.push(extent);
        }
    }
    changes.retain(|(seq, change)| !(matches!(change, Change::Record(_)) && bad.contains(seq)));
    volumes.punch(&gaps)?;
    secured.values().try_for_each(|volume| volume.sync())
}

/// What a rebuild begins with besides volumes and journal.
#[derive(Default)]
pub struct Beginning<'a> {
    /// An older index: its audit log and its alerts that have come to their end are taken over.
    pub history: Option<&'a Database>,
    /// What becomes of files whose owner the journal does not know; `None`: the owner was closed, and they are trash.
    pub strangers: Option<Strangers<'a>>,
}

/// Owners that came after the journal's end.
pub struct Strangers<'a> {
    /// The last sequence that the journal knows of.
    pub after: u64,
    /// Makes accounts and sub-accounts for them; the number is free for an account's id.
    pub adopt: AdoptFrom<'a>,
}

/// See [`Strangers::adopt`].
pub type AdoptFrom<'a> = &'a mut dyn FnMut(u64, &BTreeMap<SubAccountId, Stranger>) -> Vec<Event>;

/// Takes audit log and ended alerts of an older index over; gives the sequence of the last line.
fn take_history(txn: &redb::WriteTransaction, history: &Database) -> Result<u64, StoreError> {
    let old = history.begin_read()?;
    let mut last = 0;
    for definition in [definitions::alert_log, definitions::audit] {
        let mut table = txn.open_table(definition)?;
        last = 0;
        for row in old.open_table(definition)?.iter()? {
            let (key, value) = row?;
            last = Decoder::new(key.value(), "number").u64()?;
            table.insert(key.value(), value.value())?;
        }
    }
    // Of the table looked at last: the audit log.
    if let Some(chain) = old.open_table(definitions::meta)?.get(meta::AUDIT_CHAIN)? {
        txn.open_table(definitions::meta)?.insert(meta::AUDIT_CHAIN, chain.value())?;
    }
    Ok(last)
}

/// Fills an empty index from everything that volumes and journal hold.
pub fn rebuild(
    db: &Database,
    volumes: &Arc<Volumes>,
    frames: Vec<Frame>,
    settings: Settings,
    beginning: Beginning<'_>,
    now: Timestamp,
) -> Result<(RebuildReport, u64), StoreError> {
    let mut audit_until = 0;
    if let Some(history) = beginning.history {
        let txn = begin_volatile(db)?;
        audit_until = take_history(&txn, history)?;
        txn.commit()?;
    }
    let mut report = RebuildReport::default();
    let mut foreknowledge = Foreknowledge::default();
    let mut catalog = Vec::new();
    let mut changes: Vec<(u64, Change)> = Vec::new();
    let mut in_snapshot = true;
    // Of all of them: what is passed over here is not for the next start either.
    let last_frame = frames.iter().map(|frame| frame.seq).max().unwrap_or(0);
    for frame in frames {
        match &frame.event {
            Event::SnapshotEnd => in_snapshot = false,
            Event::Dead { ids } => foreknowledge.dead.extend(ids),
            Event::Mark { id, lock } => {
                foreknowledge.marks.insert(*id, *lock);
            }
            _ if in_snapshot => catalog.push(frame),
            Event::Delete { files, .. } => {
                // Their records may be gone, or not: either way they are dead.
                foreknowledge.dead.extend(files.iter().map(|(_, id)| *id));
                changes.push((frame.seq, Change::Event(Box::new(frame))));
            }
            // Alerts that were tried and sweeps that were begun are about a state that is counted
            // anew; what is due is raised again.
            Event::PutAlert { .. } | Event::StartSweep { .. } | Event::RefusedFull { .. } => {}
            Event::Audit { .. } if frame.seq <= audit_until => {}
            _ => changes.push((frame.seq, Change::Event(Box::new(frame)))),
        }
    }
    let mut newest = 0;
    let mut unknown = BTreeMap::new();
    for volume in volumes.all() {
        let gaps = walk(&volume, SECTOR, volumes.is_read_only(&volume), |header| {
            report.records += 1;
            newest = newest.max(header.group);
            let owner = owner_of(header.bucket);
            if beginning.strangers.as_ref().is_some_and(|strangers| owner.get() > strangers.after) {
                let stranger = unknown.entry(owner).or_insert(Stranger { own: is_own(header.bucket), bytes: 0 });
                stranger.bytes += if header.kind == Kind::Part { 0 } else { header.size };
            }
            changes.push((
                header.id.get(),
                Change::Record(Found { id: header.id, offset: header.offset, volume: Arc::clone(&volume) }),
            ));
        })?;
        report.skipped_bytes += gaps.iter().map(|g| g.len).sum::<u64>();
    }
    changes.sort_by_key(|(seq, _)| *seq);
    let mut last = changes.last().map_or(0, |(seq, _)| *seq).max(last_frame) + 1;
    if let Some(strangers) = beginning.strangers
        && !unknown.is_empty()
    {
        let events = (strangers.adopt)(last, &unknown);
        catalog.extend(events.into_iter().map(|event| Frame { seq: last, time: now, event }));
        last += 1;
    }
    drop_cut_records(volumes, &mut changes, newest)?;
    let mut carried = (foreknowledge, BTreeMap::new());
    {
        let txn = begin_volatile(db)?;
        let mut apply = Apply::new(&txn, settings)?;
        for frame in catalog {
            apply.begin(frame.seq, frame.time);
            apply.event(&frame.event)?;
        }
        apply.finish(0)?;
        txn.commit()?;
    }
    let mut changes = changes.into_iter().peekable();
    while changes.peek().is_some() {
        let txn = begin_volatile(db)?;
        let mut apply = Apply::new(&txn, settings)?;
        apply.carried(carried);
        for (_, change) in changes.by_ref().take(volumes.grain().rebuild_step) {
            match change {
                Change::Event(frame) => {
                    apply.begin(frame.seq, frame.time);
                    apply.event(&frame.event)?;
                }
                Change::Record(found) => {
                    let Some(header) = found.volume.read_header(found.offset)? else { continue };
                    apply.begin(found.id.get(), header.created);
                    apply.record(&header)?;
                }
            }
        }
        carried = apply.carry();
        apply.finish(0)?;
        txn.commit()?;
    }
    let txn = begin_durable(db)?;
    {
        let mut apply = Apply::new(&txn, settings)?;
        apply.carried(carried);
        apply.begin(last, Timestamp::default());
        apply.trash_orphans()?;
        apply.settle()?;
        apply.finish(last)?;
        let mut table = txn.open_table(definitions::meta)?;
        let next_volume = volumes.all().last().map_or(1, |v| v.id.get() + 1);
        let mark = RoomMark { next_volume, ..RoomMark::default() };
        table.insert(meta::MARK, super::index::encode_mark(&mark).as_slice())?;
    }
    txn.commit()?;
    Ok((report, last))
}
