//! A backup: accounts, keys, users, settlement, settings and index, as they are at one instant, while everything goes on.
//! The media are not in it. `docs/storage-format.md` has its files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::status::blocking;
use super::{AuditEntry, Caller, Engine, Error, Result};
use crate::config::SELF_SIGNED;
use crate::domain::{Action, Timestamp};
use crate::store::backup::{copy_file, journal_name, sum_of};
use crate::store::event::Event;
use crate::store::layout::file_exists;
use crate::world::disk::{read_file, replace_file};
use crate::world::{Disk, World};

/// Version of a backup's format.
pub(super) const FORMAT: u32 = 1;
/// Written last: a directory without it is no backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// The configuration that held, for people: nothing reads it.
const SETTINGS: &str = "appliance.toml";

/// What a backup is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupManifest {
    /// Version of the backup's format.
    pub format: u32,
    /// The program that made it.
    pub program: String,
    /// The store that it is of, hex.
    pub store: String,
    /// Sequence of the last change in it.
    pub sequence: u64,
    /// Sequence of the last journal event before it: its own line in the audit log.
    pub last_event: u64,
    /// When, ms since 1970.
    pub taken_ms: i64,
    /// Files in the index.
    pub objects: u64,
    /// Accounts in the index.
    pub accounts: u64,
    /// Sub-accounts in the index.
    pub sub_accounts: u64,
    /// Whether the master key is in it.
    pub master_key: bool,
    /// The disks that the store had, in the order of their ids in the index.
    pub disks: Vec<BackupDisk>,
    /// The files beside this one.
    pub files: Vec<BackupFile>,
}

/// A disk of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDisk {
    /// Its directory.
    pub dir: String,
    /// Its id, hex.
    pub id: String,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// BLAKE3 of them, hex.
    pub blake3: String,
}

/// What stands in the manifest's file: the manifest, and a sum over its text.
#[derive(Serialize, Deserialize)]
struct Sealed {
    manifest: BackupManifest,
    sum: String,
}

/// What came of a backup.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// Where it is.
    pub dir: String,
    /// How long it took, ms.
    pub took_ms: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// What it is.
    #[serde(flatten)]
    pub manifest: BackupManifest,
}

impl Engine {
    /// Writes a backup into `dir`, which must not be there or be empty. Uploads wait for a checkpoint and no longer.
    pub async fn back_up(&self, caller: &Caller, dir: &Path, master_key: bool) -> Result<BackupReport> {
        caller.must_everywhere(Action::Operate)?;
        if !dir.is_absolute() {
            return Err(Error::Broken("a backup needs an absolute path".into()));
        }
        // Before the copy, so that it is in it: a journal that has this line goes on past the backup.
        let entry = AuditEntry {
            who: "operator".to_owned(),
            from: "control socket".to_owned(),
            what: "Backup".to_owned(),
            target: dir.display().to_string(),
            outcome: "ok".to_owned(),
        };
        let (engine, dir) = (self.clone(), dir.to_owned());
        let begun = self.inner.world.clock.ticking();
        begin(&*self.inner.world.disk, &dir)?;
        // A key that is exchanged meanwhile would leave secrets that neither file opens alone.
        let _no_exchange = self.inner.exchanging.lock().await;
        if self.inner.store.keys.old_id().is_some() {
            return Err(Error::Busy("the master key is being exchanged"));
        }
        let entry = serde_json::to_vec(&entry).map_err(|error| Error::Broken(error.to_string().into()))?;
        let last_event = if self.inner.store.salvage.is_some() {
            // No line can be written: whatever journal there is knows as much as the backup.
            0
        } else {
            self.change(false, move |_| Ok(vec![Event::Audit { entry }])).await?
        };
        let manifest = blocking(move || engine.write_backup(&dir, master_key, last_event).map(|done| (dir, done)));
        let (dir, manifest) = manifest.await?;
        let took_ms =
            u64::try_from(self.inner.world.clock.ticking().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX);
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        tracing::info!(dir = %dir.display(), sequence = manifest.sequence, bytes, took_ms, "a backup was written");
        Ok(BackupReport { dir: dir.display().to_string(), took_ms, bytes, manifest })
    }

    fn write_backup(&self, dir: &Path, master_key: bool, last_event: u64) -> Result<BackupManifest> {
        let world = &self.inner.world;
        let disk = &*world.disk;
        let copied = self.inner.store.copy_to(world, dir)?;
        self.inner.books.copy_to(disk, &dir.join("books.redb"))?;
        if master_key {
            copy_file(disk, &self.config().storage.master_key, &dir.join("master.key"))?;
        }
        let mut names = vec!["index.redb".to_owned(), "books.redb".to_owned(), SETTINGS.to_owned()];
        // A key of ours as the master key is: where that shall not be in it, this neither.
        let certificate = self.config().storage.data_dir.join(SELF_SIGNED);
        if master_key && file_exists(disk, &certificate)? {
            copy_file(disk, &certificate, &dir.join(SELF_SIGNED))?;
            names.push(SELF_SIGNED.to_owned());
        }
        let settings = crate::config::to_toml(&self.config());
        replace_file(disk, &dir.join(SETTINGS), settings.as_bytes()).map_err(|error| failed(dir, &error))?;
        names.extend(journal_name(disk, dir)?);
        names.extend(master_key.then(|| "master.key".to_owned()));
        let mut files = Vec::new();
        for name in names {
            let (bytes, sum) = sum_of(disk, &dir.join(&name))?;
            files.push(BackupFile { name, bytes, blake3: sum.to_hex().to_string() });
        }
        let dirs = self.config().storage.volumes.clone();
        let disks = dirs.iter().zip(&copied.disks);
        let catalog = self.inner.store.catalog.read();
        let stats = catalog.sub_accounts.values().map(|sub| &sub.stats);
        let stats = stats.chain(catalog.own_buckets.values().map(|own| &own.stats));
        let manifest = BackupManifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            store: hex::encode(copied.store),
            sequence: copied.sequence,
            last_event,
            taken_ms: world.clock.now().millis(),
            objects: stats.map(|stats| stats.files[0] + stats.files[1]).sum(),
            accounts: catalog.accounts.len() as u64,
            sub_accounts: catalog.sub_accounts.len() as u64,
            master_key,
            disks: disks.map(|(dir, id)| BackupDisk { dir: dir.display().to_string(), id: hex::encode(id) }).collect(),
            files,
        };
        drop(catalog);
        let text = seal(&manifest)?;
        disk.sync_dir(dir).map_err(|error| failed(dir, &error))?;
        replace_file(disk, &dir.join(MANIFEST), text.as_bytes()).map_err(|error| failed(dir, &error))?;
        Ok(manifest)
    }
}

fn failed(dir: &Path, error: &std::io::Error) -> Error {
    Error::Broken(format!("write the backup in {}: {error}", dir.display()).into())
}

/// Makes the directory of a backup; one that holds something is not touched.
fn begin(disk: &dyn Disk, dir: &Path) -> Result<()> {
    if let Ok(files) = disk.list(dir)
        && let Some(first) = files.first()
    {
        let what = if files.iter().any(|file| file.ends_with(MANIFEST)) {
            "holds a backup already".to_owned()
        } else {
            format!("is not empty ({})", first.display())
        };
        return Err(Error::Broken(format!("{} {what}; name a new directory", dir.display()).into()));
    }
    disk.create_dir_all(dir).map_err(|error| failed(dir, &error))
}

fn seal(manifest: &BackupManifest) -> Result<String> {
    let broken = |error: serde_json::Error| Error::Broken(error.to_string().into());
    let text = serde_json::to_string(manifest).map_err(broken)?;
    let sum = blake3::hash(text.as_bytes()).to_hex().to_string();
    let sealed = Sealed { manifest: manifest.clone(), sum };
    Ok(serde_json::to_string_pretty(&sealed).map_err(broken)? + "\n")
}

/// The manifest of a backup, once it and every file that it names are what they were when it was taken.
pub(super) fn verified(world: &World, dir: &Path) -> Result<BackupManifest> {
    let disk = &*world.disk;
    let bad = |what: String| Error::Broken(format!("{}: {what}", dir.display()).into());
    let path: PathBuf = dir.join(MANIFEST);
    let text = read_file(disk, &path).map_err(|error| bad(error.to_string()))?;
    let text = text
        .ok_or_else(|| bad("there is no manifest.json: this is no backup, or one that was not finished".to_owned()))?;
    let sealed: Sealed = serde_json::from_slice(&text).map_err(|error| bad(format!("manifest.json: {error}")))?;
    let manifest = sealed.manifest;
    if manifest.format != FORMAT {
        return Err(bad(format!("it has format {}, this program knows {FORMAT}", manifest.format)));
    }
    let again = serde_json::to_string(&manifest).map_err(|error| bad(error.to_string()))?;
    if blake3::hash(again.as_bytes()).to_hex().as_str() != sealed.sum {
        return Err(bad("manifest.json is damaged: its sum is another".to_owned()));
    }
    for file in &manifest.files {
        if file.name.contains('/') || file.name.starts_with('.') {
            return Err(bad(format!("manifest.json names {:?}", file.name)));
        }
        let (bytes, sum) = sum_of(disk, &dir.join(&file.name))?;
        if (bytes, sum.to_hex().as_str()) != (file.bytes, file.blake3.as_str()) {
            return Err(bad(format!("{} is damaged: it is not what was backed up", file.name)));
        }
    }
    Ok(manifest)
}

/// When a backup was taken, for people.
pub(super) fn taken(manifest: &BackupManifest) -> Timestamp {
    Timestamp::from_millis(manifest.taken_ms)
}
