//! Why is this file gone? The search in what is kept of files that went, and the answer where the file is still there.
//!
//! It is bounded: so many heads of batches are looked at, the same number of each camera, the newest first; so many
//! batches are opened. What it did not look at, it says.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::PoisonError;

use serde::Serialize;

use super::flush::known_from;
use super::gone::{batches, unfold};
use super::rows::{GoneFilesRow, GoneRow};
use crate::domain::{AccountId, Action, BucketId, Lock, Media, ObjectKey, Refusal, SubAccountId};
use crate::engine::status::blocking;
use crate::engine::{Caller, Engine, Error, Result};
use crate::store::index::{bucket_of, own_bucket_of};

/// Heads of batches that one search looks at, at most; of each camera at least [`LOOKED_AT_EACH`].
const LOOKED_AT_MAX: usize = 30_000;
/// See above.
const LOOKED_AT_EACH: usize = 3;
/// Batches that one search opens, at most.
const OPENED_MAX: usize = 500;
/// Files that one search finds, at most.
const FOUND_MAX: usize = 10_000;
/// Buckets that are looked into for a file that is still there, at most: of more the camera has to be named.
const PLACES_MAX: usize = 4_000;
/// No batch is of a longer time: it is written every minute.
const BATCH_MS_MAX: i64 = 3_600_000;

/// What is asked of the past.
#[derive(Clone, Debug, Default)]
pub struct GoneQuery {
    /// Of this camera, closed ones too.
    pub ak: Option<String>,
    /// Of this bucket.
    pub bucket: Option<String>,
    /// This file; ending with `*`, those that begin so; between two `*`, those with this in their names, whatever the
    /// case. Without it batches are listed.
    pub key: Option<String>,
    /// Gone from then on, ms since 1970.
    pub from_ms: Option<i64>,
    /// Gone until then, ms since 1970.
    pub to_ms: Option<i64>,
    /// Leave out so many.
    pub skip: usize,
    /// Files, or batches, at most.
    pub most: usize,
}

/// A file that is gone.
#[derive(Clone, Debug, Serialize)]
pub struct GoneFile {
    /// The camera's AK; empty of an own bucket.
    pub ak: String,
    /// The bucket's name.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When its upload was completed, ms since 1970.
    pub created_ms: i64,
    /// When it went, ms since 1970.
    pub gone_ms: i64,
    /// `overwrite`, `clear` (7.9), `asked` (S3 DELETE or a user), `closed`, `replaced` (another upload of its name).
    pub why: String,
    /// Who asked: an AK, `platform NAME`, `user NAME`, `operator`.
    pub by: Option<String>,
}

/// Files that went together.
#[derive(Clone, Debug, Serialize)]
pub struct GoneBatch {
    /// The camera's AK; empty of an own bucket.
    pub ak: String,
    /// The bucket's name.
    pub bucket: String,
    /// See [`GoneFile::why`].
    pub why: String,
    /// See [`GoneFile::by`].
    pub by: Option<String>,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first of them went, ms since 1970.
    pub from_ms: i64,
    /// When the last of them went, ms since 1970.
    pub until_ms: i64,
    /// When the oldest was made, ms since 1970.
    pub oldest_ms: i64,
    /// When the newest was made, ms since 1970.
    pub newest_ms: i64,
}

/// A file that is not gone.
#[derive(Clone, Debug, Serialize)]
pub struct ThereFile {
    /// The camera's AK; empty of an own bucket.
    pub ak: String,
    /// The bucket's name.
    pub bucket: String,
    /// `recording`, `picture`, or `other` of an own bucket.
    pub kind: &'static str,
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When its upload was completed, ms since 1970.
    pub created_ms: i64,
    /// Whether it is locked.
    pub locked: bool,
}

/// What is known.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GoneFound {
    /// Where one file was asked for by its whole name: where there is one now.
    pub there: Vec<ThereFile>,
    /// Where a key was asked for, the last to go first.
    pub files: Vec<GoneFile>,
    /// Where none was, the newest first.
    pub batches: Vec<GoneBatch>,
    /// How many files, or batches, were found; those of the page are among them.
    pub total: u64,
    /// Whether there may be more than this: the search came to its bound.
    pub cut: bool,
    /// What went before this is not known any more, or was never noted, ms since 1970.
    pub known_from_ms: i64,
}

/// What is looked for in a batch.
enum Wanted {
    Whole(String),
    Begin(String),
    /// In lower case.
    Part(String),
}

impl Wanted {
    fn read(key: &str) -> Self {
        match (key.strip_prefix('*').and_then(|rest| rest.strip_suffix('*')), key.strip_suffix('*')) {
            (Some(part), _) => Self::Part(part.to_lowercase()),
            (None, Some(begin)) => Self::Begin(begin.to_owned()),
            (None, None) => Self::Whole(key.to_owned()),
        }
    }

    fn is(&self, key: &str) -> bool {
        match self {
            Self::Whole(text) => key == text,
            Self::Begin(text) => key.starts_with(text),
            Self::Part(text) => key.to_lowercase().contains(text),
        }
    }

    fn may_be_in(&self, row: &GoneRow) -> bool {
        match self {
            Self::Whole(text) | Self::Begin(text) => {
                let not_after = row.first <= *text || row.first.starts_with(text);
                not_after && row.last >= *text
            }
            Self::Part(_) => true,
        }
    }
}

/// Whose past is looked at: those with their AK.
type Owners = Vec<(SubAccountId, String)>;

impl Engine {
    /// Why files are gone: [`GoneQuery::key`]'s, or the batches of a time. Names of files are for those who may see
    /// files; batches have none, and are for those who may see the space. Known up to a minute ago.
    pub async fn why_gone(&self, caller: &Caller, query: GoneQuery) -> Result<GoneFound> {
        let scope = caller.must(if query.key.is_some() { Action::SeeFiles } else { Action::SeeSpace })?;
        // One that was opened since has no name there yet.
        self.inner.observe.know(self);
        let owners = self.inner.observe.owners(|row| {
            scope.is_none_or(|own| own.get() == row.account)
                && query.ak.as_ref().is_none_or(|ak| *ak == row.ak)
                && query.bucket.as_ref().is_none_or(|name| *name == row.record_bucket || *name == row.picture_bucket)
        });
        if owners.is_empty() && (query.ak.is_some() || query.bucket.is_some()) {
            return Err(if query.ak.is_some() { Refusal::NoSubAccount } else { Refusal::NoBucket }.into());
        }
        let engine = self.clone();
        blocking(move || engine.look_for(scope, &query, &owners)).await
    }

    fn look_for(&self, scope: Option<AccountId>, query: &GoneQuery, owners: &Owners) -> Result<GoneFound> {
        let wanted = query.key.as_deref().map(Wanted::read);
        let from = u64::try_from(query.from_ms.unwrap_or(0)).unwrap_or(0);
        let to = query.to_ms.unwrap_or(i64::MAX);
        let upto = u64::try_from(to.saturating_add(BATCH_MS_MAX)).unwrap_or(0);
        let each = (LOOKED_AT_MAX / owners.len().max(1)).max(LOOKED_AT_EACH);
        let mut found = GoneFound { known_from_ms: known_from(self)?, ..GoneFound::default() };
        // What is being written down is neither here nor there.
        let _still = self.inner.observe.writing.read().unwrap_or_else(PoisonError::into_inner);
        self.add_unwritten(query, wanted.as_ref(), owners, &mut found);
        let mut opened = 0;
        for (owner, ak) in owners {
            let mut looked_at = 0;
            let rows = self.inner.books.scan_back::<GoneRow>(&(owner.get(), (upto, u64::MAX)), |key, _| {
                let here = key.0 == owner.get() && key.1.0 >= from;
                looked_at += usize::from(here);
                here && looked_at <= each
            })?;
            found.cut |= looked_at > each;
            for (key, row) in rows {
                if row.from_ms > to || query.bucket.as_ref().is_some_and(|name| *name != row.bucket) {
                    continue;
                }
                let Some(wanted) = &wanted else {
                    found.batches.push(batch(ak, key.1.0, row));
                    continue;
                };
                if !wanted.may_be_in(&row) {
                    continue;
                }
                opened += 1;
                if opened > OPENED_MAX || found.files.len() >= FOUND_MAX {
                    found.cut = true;
                    break;
                }
                let packed: Option<GoneFilesRow> = self.inner.books.get(&key)?;
                let files = packed.and_then(|files| unfold(row.from_ms, &files.packed));
                let files = files.ok_or_else(|| Error::Broken("a batch of files that are gone is damaged".into()))?;
                for (key, size, created_ms, gone_ms) in files {
                    if wanted.is(&key) && gone_ms <= to && u64::try_from(gone_ms).unwrap_or(0) >= from {
                        found.files.push(file(ak, &row, key, (size, created_ms, gone_ms)));
                    }
                }
            }
        }
        found.total = (found.files.len() + found.batches.len()) as u64;
        found.files.sort_by_key(|file| Reverse(file.gone_ms));
        found.batches.sort_by_key(|batch| Reverse(batch.until_ms));
        found.files = found.files.into_iter().skip(query.skip).take(query.most).collect();
        found.batches = found.batches.into_iter().skip(query.skip).take(query.most).collect();
        if let Some(Wanted::Whole(key)) = &wanted
            && let Ok(key) = key.parse()
        {
            found.cut |= self.where_is(scope, query, &key, &mut found.there)?;
        }
        Ok(found)
    }

    /// What went within the last minute, and is not written down yet.
    fn add_unwritten(&self, query: &GoneQuery, wanted: Option<&Wanted>, owners: &Owners, found: &mut GoneFound) {
        let of: HashMap<SubAccountId, &String> = owners.iter().map(|(id, ak)| (*id, ak)).collect();
        let (from, to) = (query.from_ms.unwrap_or(0), query.to_ms.unwrap_or(i64::MAX));
        let mut fresh = Vec::new();
        // The committer waits for this lock: nothing else is looked up under it.
        self.inner.store.bells.witness.look(|seen| {
            let meant = seen.gone.iter().filter(|gone| {
                of.contains_key(&gone.owner)
                    && (from..=to).contains(&gone.when.millis())
                    && wanted.is_none_or(|wanted| wanted.is(gone.key.as_str()))
            });
            fresh.extend(meant.take(FOUND_MAX).cloned());
        });
        let ak = |owner: SubAccountId| of.get(&owner).map(|ak| (*ak).clone()).unwrap_or_default();
        for pack in batches(&fresh, |gone| self.inner.observe.bucket_name(self, gone.owner, gone.bucket)) {
            let row = pack.row;
            if query.bucket.as_ref().is_some_and(|name| *name != row.bucket) {
                continue;
            }
            let ak = ak(SubAccountId::new(pack.owner));
            if wanted.is_none() {
                found.batches.push(batch(&ak, pack.until_ms, row));
                continue;
            }
            for (key, size, created_ms, gone_ms) in unfold(row.from_ms, &pack.files).unwrap_or_default() {
                found.files.push(file(&ak, &row, key, (size, created_ms, gone_ms)));
            }
        }
    }

    /// Where there is a file of this name now; whether there are more places than are looked at.
    fn where_is(
        &self,
        scope: Option<AccountId>,
        query: &GoneQuery,
        key: &ObjectKey,
        out: &mut Vec<ThereFile>,
    ) -> Result<bool> {
        let mut places = self.places(scope, query);
        let cut = places.len() > PLACES_MAX;
        places.truncate(PLACES_MAX);
        let buckets: Vec<BucketId> = places.iter().map(|(id, ..)| *id).collect();
        for (at, row) in self.inner.store.view()?.named(&buckets, key)? {
            let Some((_, kind, ak, bucket)) = places.get(at) else { continue };
            out.push(ThereFile {
                ak: ak.clone(),
                bucket: bucket.clone(),
                kind,
                key: key.as_str().to_owned(),
                size: row.size.get(),
                created_ms: row.created.millis(),
                locked: row.lock == Lock::Locked,
            });
        }
        Ok(cut)
    }

    /// The buckets that are meant: each with its kind, its camera's AK and its name.
    fn places(&self, scope: Option<AccountId>, query: &GoneQuery) -> Vec<(BucketId, &'static str, String, String)> {
        let catalog = self.inner.store.catalog.read();
        let mine = |account: AccountId| scope.is_none_or(|own| own == account);
        let meant = |ak: &str, bucket: &str| {
            query.ak.as_ref().is_none_or(|asked| asked == ak)
                && query.bucket.as_ref().is_none_or(|asked| asked == bucket)
        };
        let mut out = Vec::new();
        for sub in catalog.sub_accounts.values().filter(|sub| mine(sub.row.account)) {
            for (media, kind, name) in [
                (Media::Recording, "recording", &sub.row.record_bucket),
                (Media::Picture, "picture", &sub.row.picture_bucket),
            ] {
                if meant(sub.row.ak.as_str(), name.as_str()) {
                    let (ak, name) = (sub.row.ak.as_str().to_owned(), name.as_str().to_owned());
                    out.push((bucket_of(sub.id, media), kind, ak, name));
                }
            }
        }
        for (id, own) in catalog.own_buckets.iter().filter(|(_, own)| mine(own.row.account)) {
            if query.ak.is_none() && meant("", own.row.name.as_str()) {
                out.push((own_bucket_of(*id), "other", String::new(), own.row.name.as_str().to_owned()));
            }
        }
        out
    }
}

fn file(ak: &str, row: &GoneRow, key: String, (size, created_ms, gone_ms): (u64, i64, i64)) -> GoneFile {
    let (ak, bucket) = (ak.to_owned(), row.bucket.clone());
    GoneFile { ak, bucket, key, size, created_ms, gone_ms, why: row.why.clone(), by: row.by.clone() }
}

fn batch(ak: &str, until: u64, row: GoneRow) -> GoneBatch {
    GoneBatch {
        ak: ak.to_owned(),
        bucket: row.bucket,
        why: row.why,
        by: row.by,
        files: row.files,
        bytes: row.bytes,
        from_ms: row.from_ms,
        until_ms: i64::try_from(until).unwrap_or(i64::MAX),
        oldest_ms: row.oldest_ms,
        newest_ms: row.newest_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_opened_only_where_the_file_may_be_in_it() {
        let row = GoneRow { first: "b/1".to_owned(), last: "b/9".to_owned(), ..GoneRow::default() };
        for (key, may) in [("b/5", true), ("b/1", true), ("b/9", true), ("a", false), ("c", false), ("b/*", true)] {
            assert_eq!(Wanted::read(key).may_be_in(&row), may, "{key}");
        }
        assert!(!Wanted::read("c*").may_be_in(&row) && Wanted::read("*c*").may_be_in(&row));
        assert!(Wanted::read("b*").is("b/5") && !Wanted::read("b").is("b/5"));
        assert!(Wanted::read("*MP4*").is("b/5.mp4") && !Wanted::read("*MP4*").is("b/5.jpg"));
        assert!(Wanted::read("*").is("b/5") && Wanted::read("**").is("b/5"));
    }
}
