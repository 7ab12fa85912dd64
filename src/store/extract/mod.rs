//! Files out of the volumes of a dead box: no index, no data directory, no master key, and nothing is written to the
//! volumes. Records say themselves which bucket and key they are; what a journal beside them knows is used, and where
//! there is none, buckets have numbers for names, and what was deleted and not punched yet comes along.

mod names;
mod paths;
mod survey;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::names::{Names, by_number};
use self::paths::{INDEX, Paths};
use self::survey::{Survey, Version};
use super::error::{Doing, StoreError};
use super::journal;
use super::volume::reader::RecordReader;
use super::volume::record::{Header, Kind};
use crate::domain::{BucketId, Lock, ObjectKey};
use crate::md5::Md5;
use crate::world::{Disk, DiskFile, World};

/// What shall be extracted, and where to.
#[derive(Clone, Debug, Default)]
pub struct Extract {
    /// Volume files, or directories of them.
    pub volumes: Vec<PathBuf>,
    /// A directory with a journal, where it lies in none of those of the volumes.
    pub journal: Option<PathBuf>,
    /// A directory that is not there, or is empty.
    pub to: PathBuf,
    /// Only this account's.
    pub account: Option<String>,
    /// Only this bucket's.
    pub bucket: Option<String>,
    /// Files of which a part is damaged are written too, with zeros in its place.
    pub with_damaged: bool,
}

/// Something that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// The file's bucket, where it is known.
    pub bucket: Option<String>,
    /// The file's key, where it is known.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl Flaw {
    fn of(reason: String) -> Self {
        Self { bucket: None, key: None, reason }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExtractReport {
    /// Volumes that were looked through.
    pub volumes: u64,
    /// Files that were written, whole.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether a journal told the buckets' names, deletions and locks.
    pub names_known: bool,
    /// Versions of files that another upload has replaced, and files that were deleted: left out.
    pub replaced_or_deleted: u64,
    /// Uploads that the end of the box cut, and that were never acknowledged: left out.
    pub cut: u64,
    /// Files whose key is no name for a file: they are under a number, and `index.csv` says which is which.
    pub renamed: u64,
    /// Bytes that hold data and belong to no record: unfinished uploads, or damaged headers.
    pub skipped_bytes: u64,
    /// What is damaged.
    pub damaged: Vec<Flaw>,
}

/// One line of `index.csv`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: String,
    bucket: &'a str,
    account: &'a str,
    key: &'a str,
    bytes: u64,
    created: String,
    locked: bool,
    etag: String,
    md5: String,
    sha256: String,
    content_type: String,
    state: &'static str,
}

/// A file that is being written.
struct Out {
    file: Arc<dyn DiskFile>,
    at: u64,
    md5: Md5,
    sha256: Sha256,
    failed: std::io::Result<()>,
}

impl Out {
    fn take(&mut self, bytes: &[u8]) {
        if self.failed.is_ok() {
            self.failed = self.file.write_all_at(bytes, self.at);
        }
        self.at += bytes.len() as u64;
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }
}

struct Work<'a> {
    disk: &'a dyn Disk,
    what: &'a Extract,
    survey: Survey,
    names: Names,
    paths: Paths,
    made: HashSet<PathBuf>,
    index: csv::Writer<Vec<u8>>,
    report: ExtractReport,
}

/// Writes every file of these volumes into a directory. Blocks. `progress` is told of files done and of all files;
/// while the volumes are looked through, all is 0.
///
/// # Errors
///
/// The names are wrong, the directory is not empty, or it cannot be written. What is damaged is no error: the report
/// has it.
pub fn extract(world: &World, what: &Extract, mut progress: impl FnMut(u64, u64)) -> Result<ExtractReport, StoreError> {
    let disk = &*world.disk;
    let mut survey = Survey::default();
    for path in &what.volumes {
        survey.add(disk, path)?;
    }
    if disk.list(&what.to).is_ok_and(|files| !files.is_empty()) {
        return Err(StoreError::Unusable(format!("{} is not empty; name a new directory", what.to.display())));
    }
    let frames = match survey.store {
        Some(store) => find_journal(disk, what, &store)?,
        None => None,
    };
    if frames.is_none() && what.account.is_some() {
        return Err(StoreError::Unusable(
            "no journal lies beside these volumes, so that no account has a name; --journal names the directory of \
             one (a backup has one too), or choose by --bucket"
                .to_owned(),
        ));
    }
    let mut looked = 0;
    survey.look(|_| {
        looked += 1;
        progress(looked, 0);
    });
    disk.create_dir_all(&what.to).doing(|| format!("make {}", what.to.display()))?;
    let report = ExtractReport {
        volumes: survey.volumes.len() as u64,
        names_known: frames.is_some(),
        skipped_bytes: survey.skipped_bytes,
        damaged: std::mem::take(&mut survey.flaws),
        ..ExtractReport::default()
    };
    let mut work = Work {
        disk,
        what,
        names: frames.as_deref().map(Names::of).unwrap_or_default(),
        paths: Paths::default(),
        made: HashSet::new(),
        index: csv::Writer::from_writer(Vec::new()),
        report,
        survey,
    };
    let files = std::mem::take(&mut work.survey.files);
    let all = files.len() as u64;
    for (done, ((bucket, key), versions)) in (1..).zip(files) {
        work.file(bucket, &key, &versions)?;
        progress(done, all);
    }
    work.finish()
}

/// The journal: where it was said to be, or beside the volumes.
fn find_journal(disk: &dyn Disk, what: &Extract, store: &[u8; 16]) -> Result<Option<Vec<journal::Frame>>, StoreError> {
    if let Some(dir) = &what.journal {
        let found = journal::read(disk, dir, store)?;
        let none = || StoreError::Unusable(format!("{} holds no journal", dir.display()));
        return found.map(|(frames, _)| Some(frames)).ok_or_else(none);
    }
    let beside = |path: &PathBuf| [Some(path.join("journal")), path.parent().map(|dir| dir.join("journal"))];
    for dir in what.volumes.iter().flat_map(beside).flatten() {
        if journal::exists(disk, &dir)
            && let Ok(Some((frames, _))) = journal::read(disk, &dir, store)
        {
            return Ok(Some(frames));
        }
    }
    Ok(None)
}

impl Work<'_> {
    /// Writes the newest version of a file that was not deleted.
    fn file(&mut self, bucket: BucketId, key: &ObjectKey, versions: &[Version]) -> Result<(), StoreError> {
        let named = self.names.bucket(bucket);
        let name = named.as_ref().map_or_else(|| by_number(bucket), |named| named.bucket.clone());
        let account = named.map(|named| named.account).unwrap_or_default();
        let wanted = |filter: &Option<String>, is: &str| filter.as_ref().is_none_or(|filter| filter == is);
        if !wanted(&self.what.account, &account) || !wanted(&self.what.bucket, &name) {
            return Ok(());
        }
        let mut older = versions.len() as u64;
        for version in versions.iter().rev() {
            older -= 1;
            if self.report.names_known && self.names.is_gone(bucket, version.id) {
                // What it has replaced went before it.
                self.report.replaced_or_deleted += older + 1;
                return Ok(());
            }
            let Some(volume) = self.survey.volumes.get(&version.volume).cloned() else { continue };
            let header = match volume.read_header(version.offset) {
                Ok(Some(header)) => header,
                other => {
                    let why = other.err().map_or_else(|| "its header has gone".to_owned(), |error| error.to_string());
                    self.flaw(&name, key, why);
                    continue;
                }
            };
            let may_be_cut = version.id.get() > self.survey.newest_group;
            let records = self.records(&header);
            let whole = records.as_ref().map_err(Clone::clone).and_then(|records| {
                if may_be_cut { records.iter().try_for_each(|record| record.read_all_blocking(|_| {})) } else { Ok(()) }
            });
            if may_be_cut && whole.is_err() && older > 0 {
                // As a start does: what was cut was never acknowledged, and what was there before stands.
                self.report.cut += 1;
                continue;
            }
            self.report.replaced_or_deleted += older;
            return match records {
                Ok(records) => self.write(&name, &account, &header, &records),
                Err(error) => {
                    self.flaw(&name, key, error.to_string());
                    Ok(())
                }
            };
        }
        Ok(())
    }

    fn flaw(&mut self, bucket: &str, key: &ObjectKey, reason: String) {
        self.report.damaged.push(Flaw { bucket: Some(bucket.to_owned()), key: Some(key.to_string()), reason });
    }

    /// The records that have a file's bytes, in their order.
    fn records(&self, header: &Header) -> Result<Vec<RecordReader>, StoreError> {
        let volume = |id| self.survey.volumes.get(&id).cloned();
        let gone = |what: String| StoreError::Damaged(what);
        let mut out = Vec::new();
        if let Some(volume) = volume(header.volume) {
            out.push(RecordReader::with_header(volume, header.clone()));
        }
        for segment in &header.segments {
            let place = segment.place;
            let Some(volume) = volume(place.volume) else {
                return Err(gone(format!("a part of it lies in volume {}, which was not named", place.volume)));
            };
            match volume.read_header(place.offset)? {
                Some(part) if part.id == segment.id => out.push(RecordReader::with_header(volume, part)),
                _ => return Err(gone(format!("a part of it is not at {} of volume {}", place.offset, place.volume))),
            }
        }
        Ok(out)
    }

    fn write(
        &mut self,
        bucket: &str,
        account: &str,
        header: &Header,
        records: &[RecordReader],
    ) -> Result<(), StoreError> {
        let (path, mut out) = self.create(bucket, header)?;
        let mut broken = None;
        for record in records {
            let read = record.read_all_blocking(|bytes| out.take(bytes));
            if let Err(error) = read {
                broken = Some(error.to_string());
                break;
            }
        }
        let md5 = std::mem::take(&mut out.md5).finish();
        if broken.is_none() && header.kind == Kind::Object && md5 != header.md5 {
            broken = Some("its bytes do not have the MD5 that it was stored with".to_owned());
        }
        if broken.is_none() && out.at != header.size {
            broken = Some(format!("{} bytes are there of {}", out.at, header.size));
        }
        let written = std::mem::replace(&mut out.failed, Ok(()));
        written.doing(|| format!("write {}", self.what.to.join(&path).display()))?;
        let Some(reason) = broken else {
            self.report.objects += 1;
            self.report.bytes += out.at;
            return self.line(&path, bucket, account, header, &out, md5, "whole");
        };
        self.flaw(bucket, &header.key, reason);
        let full = self.what.to.join(&path);
        self.disk.remove(&full).doing(|| format!("remove {}", full.display()))?;
        if !self.what.with_damaged {
            return Ok(());
        }
        let marked = PathBuf::from(format!("{}.damaged", path.to_string_lossy()));
        let file = self.disk.create(&self.what.to.join(&marked)).doing(|| format!("make {}", marked.display()))?;
        let mut out = Out { file, ..out };
        (out.at, out.sha256) = (0, Sha256::new());
        for record in records {
            record.read_what_is_whole(|bytes| out.take(bytes));
        }
        let md5 = std::mem::take(&mut out.md5).finish();
        std::mem::replace(&mut out.failed, Ok(())).doing(|| format!("write {}", marked.display()))?;
        self.line(&marked, bucket, account, header, &out, md5, "damaged")
    }

    /// A new file for this record: under its key, or under a number where the system does not take that.
    fn create(&mut self, bucket: &str, header: &Header) -> Result<(PathBuf, Out), StoreError> {
        let id = header.id.get();
        let mut path = self.paths.take(bucket, header.key.as_str(), id);
        let number = self.paths.number(bucket, id);
        let file = match self.open(&path) {
            Ok(file) => file,
            Err(_) if path != number => {
                path.clone_from(&number);
                self.open(&path).doing(|| format!("make {}", self.what.to.join(&path).display()))?
            }
            Err(error) => return Err(error).doing(|| format!("make {}", self.what.to.join(&path).display())),
        };
        self.report.renamed += u64::from(path == number);
        Ok((path, Out { file, at: 0, md5: Md5::new(), sha256: Sha256::new(), failed: Ok(()) }))
    }

    fn open(&mut self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        let full = self.what.to.join(path);
        if let Some(dir) = full.parent()
            && !self.made.contains(dir)
        {
            self.disk.create_dir_all(dir)?;
            self.made.insert(dir.to_owned());
        }
        self.disk.create(&full)
    }

    #[expect(clippy::too_many_arguments, reason = "a line has many columns, and they come from here and there")]
    fn line(
        &mut self,
        path: &Path,
        bucket: &str,
        account: &str,
        header: &Header,
        out: &Out,
        md5: [u8; 16],
        state: &'static str,
    ) -> Result<(), StoreError> {
        let created = jiff::Timestamp::from_millisecond(header.created.millis()).unwrap_or_default();
        let kept = header.metadata.0.iter().find(|(name, _)| name == "content-type");
        let line = Line {
            path: path.to_string_lossy().into_owned(),
            bucket,
            account,
            key: header.key.as_str(),
            bytes: out.at,
            created: created.to_string(),
            locked: self.names.lock(header.id).unwrap_or(header.lock) == Lock::Locked,
            etag: header.etag().to_string(),
            md5: hex::encode(md5),
            sha256: hex::encode(out.sha256.clone().finalize()),
            content_type: kept.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default(),
            state,
        };
        self.index.serialize(line).map_err(|error| StoreError::Unusable(format!("index.csv: {error}")))
    }

    /// Writes the index of what was written.
    fn finish(self) -> Result<ExtractReport, StoreError> {
        let path = self.what.to.join(INDEX);
        let bytes = self.index.into_inner().map_err(|error| StoreError::Unusable(format!("index.csv: {error}")))?;
        crate::world::disk::replace_file(self.disk, &path, &bytes).doing(|| format!("write {}", path.display()))?;
        Ok(self.report)
    }
}
