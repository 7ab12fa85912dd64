//! The names of the fake disk's files: what they are now, and what a reboot would find.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// A file, whatever its name.
pub(super) type Inode = u64;

/// A change of names that no sync of its directory has made durable.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Made { path: PathBuf, inode: Inode },
    Renamed { from: PathBuf, to: PathBuf, inode: Inode },
    Removed { path: PathBuf, inode: Inode },
}

/// Every name: as programs see it, as the disk has it, and the changes between, oldest first.
#[derive(Debug)]
pub(super) struct Names {
    directories: BTreeSet<PathBuf>,
    pub(super) live: BTreeMap<PathBuf, Inode>,
    synced: BTreeMap<PathBuf, Inode>,
    pending: Vec<NameChange>,
}

// === impl NameChange ===

impl NameChange {
    /// The name that it is about, as programs last knew it.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Made { path, .. } | Self::Removed { path, .. } => path,
            Self::Renamed { to, .. } => to,
        }
    }

    fn inode(&self) -> Inode {
        match self {
            Self::Made { inode, .. } | Self::Renamed { inode, .. } | Self::Removed { inode, .. } => *inode,
        }
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        let other = if let Self::Renamed { from, .. } = self { Some(from.as_path()) } else { None };
        std::iter::once(self.path()).chain(other)
    }

    /// Whether it cannot be durable without `earlier` being so: a journal keeps the order of what
    /// concerns one file or one name.
    fn rests_on(&self, earlier: &Self) -> bool {
        self.inode() == earlier.inode() || self.paths().any(|path| earlier.paths().any(|other| other == path))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Made { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Renamed { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Self::Removed { path, inode } => {
                if names.get(path) == Some(inode) {
                    names.remove(path);
                }
            }
        }
    }
}

// === impl Names ===

impl Names {
    pub(super) fn new() -> Self {
        let directories = [PathBuf::new(), PathBuf::from("/")].into();
        Self { directories, live: BTreeMap::new(), synced: BTreeMap::new(), pending: Vec::new() }
    }

    /// The same names, all of them synced.
    pub(super) fn fork(&self) -> Self {
        let (directories, live) = (self.directories.clone(), self.live.clone());
        Self { directories, synced: live.clone(), live, pending: Vec::new() }
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let path = plain(path);
        if path.ancestors().any(|at| self.live.contains_key(at)) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.directories.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn directory(&self, path: &Path) -> io::Result<PathBuf> {
        let path = plain(path);
        if self.directories.contains(&path) { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The inode of a name.
    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        let path = plain(path);
        if self.directories.contains(&path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.live.get(&path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = self.directory(path)?;
        let within = |at: &&PathBuf| at.parent() == Some(&directory);
        Ok(self.live.keys().filter(within).chain(self.directories.iter().filter(within)).cloned().collect())
    }

    pub(super) fn make(&mut self, path: &Path, inode: Inode) -> io::Result<()> {
        let path = plain(path);
        self.directory(parent(&path))?;
        if self.live.contains_key(&path) || self.directories.contains(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(NameChange::Made { path, inode });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (inode, from, to) = (self.find(from)?, plain(from), plain(to));
        self.directory(parent(&to))?;
        if self.directories.contains(&to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if from != to {
            self.change(NameChange::Renamed { from, to, inode });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        self.change(NameChange::Removed { path: plain(path), inode });
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self, directory: &Path) -> io::Result<()> {
        let directory = self.directory(directory)?;
        let mut durable: Vec<bool> =
            self.pending.iter().map(|change| change.paths().any(|path| parent(path) == directory)).collect();
        self.keep(&mut durable);
        let mut durable = durable.into_iter();
        self.pending.retain(|_| !durable.next().unwrap_or(false));
        Ok(())
    }

    /// Makes the chosen changes durable, and with each all that it rests on.
    fn keep(&mut self, chosen: &mut [bool]) {
        for later in (0..self.pending.len().min(chosen.len())).rev() {
            for earlier in 0..later {
                if chosen[later] && self.pending[later].rests_on(&self.pending[earlier]) {
                    chosen[earlier] = true;
                }
            }
        }
        for (change, chosen) in self.pending.iter().zip(chosen) {
            if *chosen {
                change.apply(&mut self.synced);
            }
        }
    }

    /// What a reboot finds where `survives` says which of the changes had reached the disk.
    pub(super) fn power_cut(&mut self, survives: impl FnMut(&NameChange) -> bool) {
        let mut chosen: Vec<bool> = self.pending.iter().map(survives).collect();
        self.keep(&mut chosen);
        self.pending.clear();
        self.live = self.synced.clone();
    }

    /// Whether a file has a name now, or would have one after some power cut.
    pub(super) fn knows(&self, inode: Inode) -> bool {
        self.live.values().chain(self.synced.values()).any(|other| *other == inode)
            || self.pending.iter().any(|change| change.inode() == inode)
    }
}

/// A path without `.` in it, so that one file has one spelling.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// The directory of a name; the working directory's name is empty.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
