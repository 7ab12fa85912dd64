//! What must be true: buckets, files, locks, space, episodes and alerts, as far as it is known.

use std::collections::BTreeMap;

use kandian::domain::{AtTheEnd, Checksum, ChecksumPlan, ChecksumType, Lock, Timestamp, UploadId};
use kandian::engine::{OpenedSubAccount, Result, Stored};
use kandian::wire::s3_checksum::Hasher;

use super::chance::{content, write_content};
use super::rig::{is_full, is_refused};

/// A file as it may be: pieces by seed and length.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub pieces: Vec<(u64, usize)>,
    /// The checksum with which it was uploaded in parts, a piece a part.
    pub plan: Option<ChecksumPlan>,
    pub lock: Lock,
}

/// One key: every state in which it may be found.
#[derive(Clone, Debug)]
pub struct Slot {
    pub may: Vec<Option<File>>,
    pub created: Option<Timestamp>,
    /// Its lock was changed since it was looked at last: an overwrite may have passed it over.
    pub relocked: bool,
}

/// The files of some buckets: which of them, and the key.
pub type Files = BTreeMap<(usize, String), Slot>;

#[derive(Clone, Debug)]
pub struct Multipart {
    pub upload: UploadId,
    pub media: usize,
    pub name: String,
    pub plan: Option<ChecksumPlan>,
    /// Acknowledged parts: number to tag, seed and length.
    pub parts: BTreeMap<u16, (String, u64, usize)>,
    /// A part, a completion or an abort has an unknown end.
    pub unsure: bool,
}

/// Whether the alerts `nearly_full` and `full` have been raised and not ended.
pub type Episodes = [bool; 2];
/// The alerts in the order of [`Episodes`].
pub const KINDS: [&str; 2] = ["nearly_full", "full"];

#[derive(Clone, Debug)]
pub struct Sub {
    pub ak: String,
    pub sk: String,
    pub buckets: [String; 2],
    pub spaces: Vec<u32>,
    pub at_the_end: Vec<AtTheEnd>,
    /// It looped at some time since it was looked at last.
    pub looped: bool,
    /// Whether it may be open, whether it may be closed.
    pub open: (bool, bool),
    pub files: Files,
    pub multiparts: Vec<Multipart>,
    /// The episodes, where they are known.
    pub episodes: Option<Episodes>,
    /// It was cleared and not changed since: what locked files alone take is told of at the next change.
    pub cleared: bool,
    /// Alerts raised so far, at least; exactly where the episodes are known.
    pub raised: [u64; 2],
}

/// An own bucket of the account, by name; a name may be deleted and made again.
#[derive(Clone, Debug)]
pub struct Own {
    pub name: String,
    /// Whether it may be there, whether it may be gone.
    pub there: (bool, bool),
    pub files: Files,
    /// Bytes of parts of uploads under way; `None` where they are not known.
    pub parts: Option<u64>,
}

/// An alert as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub ak: String,
    pub kind: &'static str,
    pub state: &'static str,
}

#[derive(Debug, Default)]
pub struct Model {
    pub subs: Vec<Sub>,
    pub own: Vec<Own>,
    /// Accounts beside the one that has everything: the space that each may have, none where it may not be there.
    pub accounts: BTreeMap<String, Vec<Option<u32>>>,
    /// Sub-accounts whose opening has an unknown end.
    pub strays: bool,
    /// Every alert that was seen, by number.
    pub alarms: BTreeMap<u64, Alarm>,
    /// How often a platform took an alert: by AK and kind.
    pub taken: BTreeMap<(String, &'static str), u64>,
}

/// What a change says of the space.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Space was freed, or more was granted.
    pub lowered: bool,
    /// An upload was refused for want of space.
    pub refused: bool,
}

pub fn sum(kind: kandian::domain::ChecksumKind, data: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(kind);
    hasher.update(data);
    hasher.finish()
}

// === impl File ===

impl File {
    pub fn whole(seed: u64, len: usize, lock: Lock) -> Self {
        Self { pieces: vec![(seed, len)], plan: None, lock }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for &(seed, len) in &self.pieces {
            write_content(&mut out, seed, len);
        }
        out
    }

    pub fn size(&self) -> u64 {
        self.pieces.iter().map(|(_, len)| *len as u64).sum()
    }

    /// The checksum that it must have: of its bytes, or of its pieces' digests.
    pub fn checksum(&self) -> Option<Checksum> {
        let plan = self.plan?;
        if plan.covers == ChecksumType::FullObject {
            return Some(sum(plan.kind, &self.bytes()));
        }
        let digests: Vec<u8> =
            self.pieces.iter().flat_map(|&(seed, len)| sum(plan.kind, &content(seed, len)).digest).collect();
        Some(Checksum { parts: u16::try_from(self.pieces.len()).unwrap_or(u16::MAX), ..sum(plan.kind, &digests) })
    }
}

// === impl Slot ===

impl Slot {
    pub fn empty() -> Self {
        Self { may: vec![None], created: None, relocked: false }
    }

    /// What it is, where there is no doubt.
    pub fn surely(&self) -> Option<&File> {
        match self.may.as_slice() {
            [Some(file)] => Some(file),
            _ => None,
        }
    }

    pub fn is_surely_locked(&self) -> bool {
        self.may.iter().all(|file| file.as_ref().is_some_and(|file| file.lock == Lock::Locked))
    }

    /// An upload of `file` ended so.
    pub fn stored(&mut self, file: File, result: &Result<Stored>) {
        match result {
            Ok(stored) => *self = Self { may: vec![Some(file)], created: Some(stored.created), relocked: false },
            Err(error) if is_refused(error) || is_full(error) => {}
            Err(_) => {
                self.may.push(Some(file));
                self.created = None;
            }
        }
    }

    /// A deletion ended so.
    pub fn deleted(&mut self, result: &Result<()>) {
        match result {
            Ok(()) => *self = Self::empty(),
            Err(error) if is_refused(error) => {}
            Err(_) => self.may.push(None),
        }
    }
}

pub fn slot<'f>(files: &'f mut Files, media: usize, name: &str) -> &'f mut Slot {
    files.entry((media, name.to_owned())).or_insert_with(Slot::empty)
}

// === impl Sub ===

impl Sub {
    pub fn new(opened: &OpenedSubAccount, space: u32) -> Self {
        Self {
            ak: opened.access_key.as_str().to_owned(),
            sk: opened.secret.expose().to_owned(),
            buckets: [opened.record_bucket.as_str().to_owned(), opened.picture_bucket.as_str().to_owned()],
            spaces: vec![space],
            at_the_end: vec![AtTheEnd::Stop],
            looped: false,
            open: (true, false),
            files: Files::new(),
            multiparts: Vec::new(),
            episodes: Some([false, false]),
            cleared: false,
            raised: [0, 0],
        }
    }

    pub fn slot(&mut self, media: usize, name: &str) -> &mut Slot {
        slot(&mut self.files, media, name)
    }

    pub fn may_loop(&self) -> bool {
        self.looped || self.at_the_end.contains(&AtTheEnd::Overwrite)
    }

    /// Whether it stops at its end, without doubt and since it was looked at last.
    pub fn stops(&self) -> bool {
        !self.looped && self.at_the_end == [AtTheEnd::Stop]
    }

    /// Bytes used, where all that is in it is known.
    pub fn used(&self) -> Option<u64> {
        let mut used = 0;
        for slot in self.files.values() {
            let [file] = slot.may.as_slice() else { return None };
            used += file.as_ref().map_or(0, File::size);
        }
        for multi in &self.multiparts {
            if multi.unsure {
                return None;
            }
            used += multi.parts.values().map(|(.., len)| *len as u64).sum::<u64>();
        }
        Some(used)
    }

    /// Bytes granted, where they are known.
    pub fn granted(&self, gigabyte: u64) -> Option<u64> {
        match self.spaces.as_slice() {
            [space] => Some(u64::from(*space) * gigabyte),
            _ => None,
        }
    }

    /// Nothing is known any more of its episodes.
    pub fn doubt(&mut self) {
        self.episodes = None;
    }

    /// An acknowledged change of a sub-account that stops at its end: the rules of section 8.1, once more.
    pub fn evaluate(&mut self, gigabyte: u64, change: Change) {
        self.cleared = false;
        let (Some(used), Some(granted), true) = (self.used(), self.granted(gigabyte), self.stops()) else {
            return self.doubt();
        };
        let Some(episodes) = &mut self.episodes else { return };
        let above = [used * 100 > granted * 80, change.refused || (used >= granted && used > 0)];
        let below = [used * 100 <= granted * 75, used * 100 <= granted * 95];
        for alert in [0, 1] {
            if !episodes[alert] && above[alert] {
                episodes[alert] = true;
                self.raised[alert] += 1;
            } else if episodes[alert] && !above[alert] && below[alert] && change.lowered {
                episodes[alert] = false;
            }
        }
    }
}
