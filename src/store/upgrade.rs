//! From one format to the next, and back: what a store is written in, the copy that is kept before a start changes that,
//! and the way back from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::ReadableDatabase;
use serde::{Deserialize, Serialize};

use super::backup::{copy_file, sum_of};
use super::error::{Doing, StoreError};
use super::layout::{Layout, file_exists};
use super::{Options, index, journal};
use crate::world::disk::{read_file, replace_file};
use crate::world::overlay::Overlay;
use crate::world::{Disk, World};

/// Version of a copy's own format.
const FORMAT: u32 = 1;
/// Written last: a directory without it is no copy.
const MANIFEST: &str = "manifest.json";
/// What the directory of a copy begins with, in the data directory.
const PREFIX: &str = "before-format-";
/// What is put aside by a way back ends so.
const ASIDE: &str = ".newer";
/// Bytes that stay free beside a copy, for the start itself.
pub const ROOM_LEFT: u64 = 64 << 20;

/// What a closed store is written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Formats {
    /// Of the index.
    pub index: u32,
    /// Of the journal's newest file; `None` where there is none.
    pub journal: Option<u16>,
    /// Sequence of the last change that the index knows durably.
    pub sequence: u64,
    /// What a copy of index, journal and books takes, bytes.
    pub copy_bytes: u64,
    /// Copies that starts of newer programs have kept, the oldest first.
    pub copies: Vec<PathBuf>,
}

/// What a copy is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Version of the copy's own format.
    pub format: u32,
    /// The program that made it, which is the newer one.
    pub program: String,
    /// When, ms since 1970.
    pub taken_ms: i64,
    /// The index's format before.
    pub index: u32,
    /// The journal's version before.
    pub journal: u16,
    /// Sequence of the last change in the index.
    pub sequence: u64,
    /// Its files.
    pub files: Vec<CopiedFile>,
}

/// A file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Its name, in the copy and where it belongs.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// BLAKE3 of them, hex.
    pub blake3: String,
}

/// What a way back did.
#[derive(Clone, Debug, Serialize)]
pub struct WentBack {
    /// The copy that was put back.
    pub from: PathBuf,
    /// What it is of.
    pub copy: Copy,
    /// Changes since then that only the newer files know.
    pub changes_since: u64,
    /// Where those are now.
    pub kept_aside: Vec<PathBuf>,
}

/// What this program writes: the index's format, the journal's version.
pub const fn written() -> (u32, u16) {
    (index::FORMAT, journal::VERSION)
}

/// What this program still reads, the oldest.
pub const fn oldest() -> (u32, u16) {
    (index::FORMAT_OLDEST, journal::VERSION_OLDEST)
}

impl Formats {
    /// Whether a start of this program writes something that the release which wrote the store cannot read.
    pub fn would_change(&self) -> bool {
        self.index < index::FORMAT || self.journal.is_some_and(|journal| journal < journal::VERSION)
    }

    /// Whether this program reads it.
    pub fn is_known(&self) -> bool {
        let journal = self.journal.unwrap_or(journal::VERSION);
        (index::FORMAT_OLDEST..=index::FORMAT).contains(&self.index)
            && (journal::VERSION_OLDEST..=journal::VERSION).contains(&journal)
    }
}

/// Looks at a closed store and writes nothing; `None` where there is no index. Blocks.
///
/// # Errors
/// Another process has the store, or it cannot be read.
pub fn look(world: &World, options: &Options) -> Result<Option<Formats>, StoreError> {
    let layout = Layout::new(options);
    let disk = &*world.disk;
    if !file_exists(disk, &layout.index)? {
        return Ok(None);
    }
    let _lock = layout.take_lock(world)?;
    let (index, sequence) = index_of(world, options, &layout)?;
    let journal = journal_of(disk, &layout.journal)?;
    let files = files(disk, options, &layout)?;
    let mut copy_bytes = 0u64;
    for (_, path) in &files {
        let doing = || format!("look at {}", path.display());
        copy_bytes = copy_bytes.saturating_add(disk.open_to_read(path).doing(doing)?.len().doing(doing)?);
    }
    Ok(Some(Formats { index, journal, sequence, copy_bytes, copies: copies(disk, &options.data_dir)? }))
}

/// Format of the index, and the last change in it. The disk below is only read.
fn index_of(world: &World, options: &Options, layout: &Layout) -> Result<(u32, u64), StoreError> {
    let reading = Overlay::new(Arc::clone(&world.disk));
    let db = index::open_database(&reading, &layout.index, options.index_cache, false)?;
    let txn = db.begin_read()?;
    let table = txn.open_table(index::definitions::meta)?;
    let number = |key: &[u8]| Ok::<_, StoreError>(index::meta_u64(&table, key)?.unwrap_or(0));
    Ok((u32::try_from(number(index::meta::FORMAT)?).unwrap_or(u32::MAX), number(index::meta::SEQ)?))
}

/// Version of the journal: that of its newest file with a head. A crash may have left one that has none yet.
fn journal_of(disk: &dyn Disk, dir: &Path) -> Result<Option<u16>, StoreError> {
    let mut head = [0; 10];
    for (_, path) in journal::files(disk, dir)?.iter().rev() {
        let doing = || format!("read {}", path.display());
        let file = disk.open_to_read(path).doing(doing)?;
        if file.len().doing(doing)? >= head.len() as u64 {
            file.read_exact_at(&mut head, 0).doing(doing)?;
            if let Some(version) = journal::version_of(&head) {
                return Ok(Some(version));
            }
        }
    }
    Ok(None)
}

/// What a copy has: name, and where it is.
fn files(disk: &dyn Disk, options: &Options, layout: &Layout) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let mut all = vec![layout.index.clone()];
    let books = options.data_dir.join("books.redb");
    if file_exists(disk, &books)? {
        all.push(books);
    }
    all.extend(journal::files(disk, &layout.journal)?.into_iter().map(|(_, path)| path));
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    Ok(all.into_iter().filter_map(|path| Some((name(&path)?, path))).collect())
}

/// Copies that are whole, the oldest first.
fn copies(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for dir in disk.list(data_dir).doing(|| format!("list {}", data_dir.display()))? {
        let ours = dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        if ours && let Ok(copy) = read_manifest(disk, &dir) {
            found.push((copy.taken_ms, dir));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, dir)| dir).collect())
}

/// Whether a start writes another format than an index of this one, and its journal, have.
pub fn is_due(disk: &dyn Disk, layout: &Layout, format: u32) -> Result<bool, StoreError> {
    let journal = journal_of(disk, &layout.journal)?;
    Ok(format < index::FORMAT || journal.is_some_and(|version| version < journal::VERSION))
}

/// Keeps a copy of index, journal and books as they are, where a start is about to write another format. They are closed.
///
/// # Errors
/// There is no room for it; nothing was changed.
pub fn keep(world: &World, options: &Options, layout: &Layout) -> Result<(), StoreError> {
    let disk = &*world.disk;
    let Some(journal) = journal_of(disk, &layout.journal)? else { return Ok(()) };
    let (index, sequence) = index_of(world, options, layout)?;
    let dir = options.data_dir.join(format!("{PREFIX}{}-{sequence}", index::FORMAT));
    if read_manifest(disk, &dir).is_ok() {
        // A start that was cut behind it, before it had changed anything.
        return Ok(());
    }
    disk.create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
    let mut copied = Vec::new();
    for (name, path) in files(disk, options, layout)? {
        let (bytes, sum) = sum_of(disk, &path)?;
        let (_, free) = disk.space(&options.data_dir).doing(|| format!("measure {}", options.data_dir.display()))?;
        if free < bytes.saturating_add(ROOM_LEFT) {
            return Err(StoreError::Unusable(format!(
                "this release writes another format, and there is no room for a copy of {name} ({bytes} bytes, {free} free) to \
                 go back with; make room on the disk of {}. Nothing was changed",
                options.data_dir.display()
            )));
        }
        copy_file(disk, &path, &dir.join(&name))?;
        copied.push(CopiedFile { name, bytes, blake3: sum.to_hex().to_string() });
    }
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let taken_ms = world.clock.now().millis();
    let copy = Copy { format: FORMAT, program, taken_ms, index, journal, sequence, files: copied };
    let text = seal(&copy)?;
    replace_file(disk, &dir.join(MANIFEST), text.as_bytes()).doing(|| format!("write {}", dir.display()))?;
    tracing::warn!(
        copy = %dir.display(),
        from = index,
        to = index::FORMAT,
        "the store gets another format; `kandian upgrade back` goes back to the release before by this copy"
    );
    Ok(())
}

/// Puts the newest copy back, for the release before; what is there now is put aside. The store is closed. Blocks.
///
/// # Errors
/// Another process has the store; there is no copy, or it is damaged; something has changed since and `force` is not set.
pub fn back(world: &World, options: &Options, force: bool) -> Result<WentBack, StoreError> {
    let layout = Layout::new(options);
    let disk = &*world.disk;
    let _lock = layout.take_lock(world)?;
    let Some(from) = copies(disk, &options.data_dir)?.pop() else {
        return Err(StoreError::Unusable(format!(
            "there is no copy in {}: no start has changed a format here, so the release before starts on what is there",
            options.data_dir.display()
        )));
    };
    let copy = read_manifest(disk, &from)?;
    for file in &copy.files {
        let (_, sum) = sum_of(disk, &from.join(&file.name))?;
        if sum.to_hex().as_str() != file.blake3 {
            return Err(StoreError::Damaged(format!(
                "{} of the copy {}; nothing was changed",
                file.name,
                from.display()
            )));
        }
    }
    let (_, now) = index_of(world, options, &layout)?;
    let changes_since = now.saturating_sub(copy.sequence);
    if changes_since > 0 && !force {
        return Err(StoreError::Unusable(format!(
            "{changes_since} changes came after the copy {}: uploads among them come back from the volumes, but accounts, locks, \
             deletions and settings would be as they were; --force goes back all the same",
            from.display()
        )));
    }
    let place = |name: &str| {
        let dir = if name.ends_with(".kdj") { &layout.journal } else { &options.data_dir };
        dir.join(name)
    };
    let mut kept_aside = Vec::new();
    for (_, path) in files(disk, options, &layout)? {
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        disk.rename(&path, &aside).doing(|| format!("put {} aside", path.display()))?;
        kept_aside.push(aside);
    }
    // The index last: without it a start of either release says what is missing and does nothing.
    for file in copy.files.iter().rev() {
        copy_file(disk, &from.join(&file.name), &place(&file.name))?;
    }
    Ok(WentBack { from, copy, changes_since, kept_aside })
}

/// What stands in the manifest's file: what it says, and a sum over its text.
#[derive(Serialize, Deserialize)]
struct Sealed {
    copy: Copy,
    sum: String,
}

fn seal(copy: &Copy) -> Result<String, StoreError> {
    let broken = |error: serde_json::Error| StoreError::Index(error.to_string());
    let sum = blake3::hash(serde_json::to_string(copy).map_err(broken)?.as_bytes()).to_hex().to_string();
    Ok(serde_json::to_string_pretty(&Sealed { copy: copy.clone(), sum }).map_err(broken)? + "\n")
}

fn read_manifest(disk: &dyn Disk, dir: &Path) -> Result<Copy, StoreError> {
    let path = dir.join(MANIFEST);
    let damaged = || StoreError::Damaged(path.display().to_string());
    let bytes = read_file(disk, &path).doing(|| format!("read {}", path.display()))?.ok_or_else(damaged)?;
    let Sealed { copy, sum } = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    let text = serde_json::to_string(&copy).map_err(|_| damaged())?;
    let right = copy.format == FORMAT && blake3::hash(text.as_bytes()).to_hex().as_str() == sum;
    // Names are ours, and paths are none of them.
    let plain = |file: &CopiedFile| !file.name.is_empty() && !file.name.contains('/');
    if right && copy.files.iter().all(plain) { Ok(copy) } else { Err(damaged()) }
}
