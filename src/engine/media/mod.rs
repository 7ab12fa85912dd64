//! Files as a province's administrators use them (section 3): looked for, played, downloaded, locked, deleted. The
//! portal, the JSON API and the command line call these and nothing else of files.

mod change;
mod day;
mod find;
mod pack;
mod play;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::{BucketRef, Caller, Engine, Result};
use crate::books::Row;
use crate::domain::{AccessKey, Action, Lock, Media, ObjectId, ObjectKey, Refusal};
use crate::store::index::bucket_of;
use crate::wire::media::Info;

pub use change::{DeletionPreview, DeletionReport};
pub use day::DayView;
pub use pack::Packed;
pub use play::{ByteStream, Played, Reading};

/// What is known of the insides of so many files, the last ones asked for.
const PROBED_MAX: usize = 20_000;

/// Files of one go: downloads, locks, deletions by choice.
pub(super) const CHOSEN_MAX: usize = 1000;

/// An hour, and what was read in it by whom.
type Noted = (i64, HashSet<(String, ObjectId, Reading)>);

/// What is remembered between requests, none of it for ever.
pub(super) struct Memory {
    probed: quick_cache::sync::Cache<ObjectId, Arc<Info>>,
    /// Readings of this hour that have their line in the audit log.
    noted: Mutex<Noted>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { probed: quick_cache::sync::Cache::new(PROBED_MAX), noted: Mutex::default() }
    }
}

/// Why a file was locked, under its commit's number. It counts while that very file is locked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockReason {
    /// Why.
    pub reason: String,
    /// By whom.
    pub who: String,
    /// When, ms since 1970.
    pub at_ms: i64,
}

impl Row for LockReason {
    const TABLE: &'static str = "lock_reasons";
    type Key = u64;
}

/// A file by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// Its camera's AK.
    pub ak: String,
    /// Recordings or pictures.
    pub media: Media,
    /// Its key.
    pub key: String,
}

/// What is looked for, in one bucket of one camera.
#[derive(Clone, Debug)]
pub struct FileFilter {
    /// The camera's AK.
    pub ak: String,
    /// Recordings or pictures.
    pub media: Media,
    /// First whole second (Unix) of FileDate, included.
    pub from: Option<i64>,
    /// Last whole second (Unix) of FileDate, included.
    pub to: Option<i64>,
    /// Only with this lock.
    pub lock: Option<Lock>,
    /// Only names that have this in them, whatever the case.
    pub name: String,
}

/// Files that are chosen for something.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// These.
    Names(Vec<FileName>),
    /// All that match.
    Matching(FileFilter),
}

/// A file as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct FileView {
    /// Its camera's AK.
    pub ak: String,
    /// `recording` or `picture`.
    pub kind: &'static str,
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// FileDate: when its upload was completed, ms since 1970.
    pub created_ms: i64,
    /// Its tag.
    pub etag: String,
    /// Whether it is locked.
    pub locked: bool,
    /// Why, where the portal or the API locked it.
    pub reason: Option<LockReason>,
    #[serde(skip)]
    pub(super) id: ObjectId,
}

/// A page of what was found.
#[derive(Clone, Debug, Serialize)]
pub struct FilePage {
    /// Files of the time, whatever their lock and name.
    pub in_time: u64,
    /// Those that match, the newest first.
    pub files: Vec<FileView>,
    /// Where the next page begins, where there may be more.
    pub next: Option<u64>,
}

/// A camera's bucket that the caller may do something with.
struct Shelf {
    ak: AccessKey,
    media: Media,
    bucket: BucketRef,
}

impl Shelf {
    fn view(&self, key: &ObjectKey, row: &crate::store::index::rows::ObjectRow) -> FileView {
        FileView {
            ak: self.ak.as_str().to_owned(),
            kind: self.media.word(),
            key: key.as_str().to_owned(),
            size: row.size.get(),
            created_ms: row.created.millis(),
            etag: row.etag.to_string(),
            locked: row.lock == Lock::Locked,
            reason: None,
            id: row.id,
        }
    }
}

impl FileFilter {
    /// All of a camera's files of a kind.
    pub fn of(ak: &str, media: Media) -> Self {
        Self { ak: ak.to_owned(), media, from: None, to: None, lock: None, name: String::new() }
    }

    /// The time, far inside of what can be counted with.
    fn seconds(&self) -> (i64, i64) {
        const FAR: i64 = 1 << 40;
        (self.from.unwrap_or(-FAR).clamp(-FAR, FAR), self.to.unwrap_or(FAR).clamp(-FAR, FAR))
    }

    fn is_of_all(&self) -> bool {
        self.lock.is_none() && self.name.is_empty()
    }

    /// Whether a file in the time is meant.
    fn takes(&self, name: &str, key: &ObjectKey, lock: Lock) -> bool {
        self.lock.is_none_or(|wanted| wanted == lock) && (name.is_empty() || key.as_str().to_lowercase().contains(name))
    }
}

impl Engine {
    /// A camera's bucket, where the caller may do this with its files.
    fn shelf(&self, caller: &Caller, action: Action, ak: &str, media: Media) -> Result<Shelf> {
        let sub = self.sub_account_for(caller, action, ak)?;
        let catalog = self.inner.store.catalog.read();
        let row = &catalog.sub_accounts.get(&sub.id).ok_or(Refusal::NoSubAccount)?.row;
        let name = match media {
            Media::Recording => row.record_bucket.clone(),
            Media::Picture => row.picture_bucket.clone(),
        };
        let bucket =
            BucketRef { id: bucket_of(sub.id, media), owner: sub.id, name, media: Some(media), created: row.created };
        Ok(Shelf { ak: row.ak.clone(), media, bucket })
    }
}
