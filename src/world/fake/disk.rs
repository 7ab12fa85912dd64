//! A disk in memory that forgets at a power cut what nobody synced, and fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod faults;

use self::faults::{Begun, Orders, Trace};
use super::chance::Chance;
use super::content::{Content, Operation, PAGE};
use super::names::{Inode, NameChange, Names};
use crate::world::{Disk, DiskFile};

pub use self::faults::Faults;

const SECTOR: u64 = 512;
/// The errno values that a real disk gives: input/output error and no space left.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A disk in memory. Clones are the same disk.
///
/// Per file it holds what programs see, what is synced, and the operations between; names likewise,
/// a directory at a time. Space is counted in pages of 4 KiB that are written or allocated.
#[derive(Clone, Debug)]
pub struct FakeDisk(Arc<Mutex<State>>);

/// Which unsynced operations a power cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// None.
    LoseAll,
    /// All.
    KeepAll,
    /// A subset by the seed, each operation whole.
    Random,
    /// A subset by the seed, and of some writes a subset of their 512-byte sectors.
    Torn,
}

/// What becomes of one unsynced operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// It never reached the disk.
    Lost,
    /// It reached the disk whole.
    Kept,
    /// Of a write, those of its sectors reached the disk that this seed chooses; else as `Lost`.
    Torn(u64),
}

/// An operation that a power cut asks about.
#[derive(Clone, Debug)]
pub struct Unsynced {
    /// The file's name; empty where the file has lost its last name.
    pub path: PathBuf,
    /// What was done.
    pub kind: UnsyncedKind,
}

/// What an unsynced operation did. Offsets and lengths in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnsyncedKind {
    /// Bytes were written.
    Write {
        /// Where.
        at: u64,
        /// How many.
        len: u64,
    },
    /// The length was set.
    SetLen(u64),
    /// Space was set aside.
    Allocate,
    /// Space was given back.
    Punch,
    /// A name was made.
    Made,
    /// A name was changed; `path` is the new one.
    Renamed,
    /// A name was removed.
    Removed,
}

#[derive(Debug)]
struct State {
    capacity: u64,
    names: Names,
    files: BTreeMap<Inode, FileState>,
    next_inode: Inode,
    /// Counts power cuts: a handle from before one is dead.
    boots: u64,
    operations: u64,
    cold: bool,
    orders: Orders,
    /// A sum over all operations, where somebody wants it.
    traced: Option<Trace>,
}

#[derive(Debug, Default)]
struct FileState {
    live: Content,
    synced: Content,
    pending: Vec<Operation>,
    handles: usize,
}

#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    inode: Inode,
    boot: u64,
}

// === impl FakeDisk: what a test does to it ===

impl FakeDisk {
    /// An empty disk with room for this many bytes, having the root and the working directory.
    pub fn new(capacity: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            capacity,
            names: Names::new(),
            files: BTreeMap::new(),
            next_inode: 1,
            boots: 0,
            operations: 0,
            cold: false,
            orders: Orders::default(),
            traced: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations that change or sync something were begun so far; reads do not count.
    pub fn ops(&self) -> u64 {
        self.state().operations
    }

    /// Whether everything must wait for the disk (`read_cached_at` gives `false`). At first all is in memory.
    pub fn set_cold(&self, cold: bool) {
        self.state().cold = cold;
    }

    /// Gives the disk another size, in bytes.
    pub fn set_capacity(&self, capacity: u64) {
        self.state().capacity = capacity;
    }

    /// Turns one byte of a file into another, on the disk and in memory, as a disk does that rots.
    pub fn rot(&self, path: &Path, at: u64) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.names.find(path)?;
        if let Some(file) = state.files.get_mut(&inode) {
            file.live.rot(at);
            file.synced.rot(at);
        }
        Ok(())
    }
}

impl From<&Operation> for UnsyncedKind {
    fn from(operation: &Operation) -> Self {
        match operation {
            Operation::Write { at, data } => Self::Write { at: *at, len: data.len() as u64 },
            Operation::SetLen(len) => Self::SetLen(*len),
            Operation::Allocate { .. } => Self::Allocate,
            Operation::Punch { .. } => Self::Punch,
        }
    }
}

impl From<&NameChange> for UnsyncedKind {
    fn from(change: &NameChange) -> Self {
        match change {
            NameChange::Made { .. } => Self::Made,
            NameChange::Renamed { .. } => Self::Renamed,
            NameChange::Removed { .. } => Self::Removed,
        }
    }
}

// === impl State ===

impl State {
    /// Bytes that files take which have a name or are open.
    fn used(&self) -> u64 {
        let named = |inode: &Inode| self.names.live.values().any(|other| other == inode);
        let takes = |(inode, file): (&Inode, &FileState)| {
            if file.handles > 0 || named(inode) { file.live.pages() * PAGE } else { 0 }
        };
        self.files.iter().map(takes).sum()
    }

    fn forget_nameless(&mut self) {
        let names = &self.names;
        self.files.retain(|inode, file| file.handles > 0 || names.knows(*inode));
    }

    fn note_change(&mut self, inode: Inode, operation: &Operation) {
        let (what, numbers, bytes): (_, _, &[u8]) = match operation {
            Operation::Write { at, data } => ("write", [*at, data.len() as u64], data),
            Operation::SetLen(len) => ("set length", [*len, 0], &[]),
            Operation::Allocate { at, len } => ("allocate", [*at, *len], &[]),
            Operation::Punch { at, len } => ("punch", [*at, *len], &[]),
        };
        self.note(what, |state| PathBuf::from(state.path(inode)), &numbers, bytes);
    }

    fn path(&self, inode: Inode) -> String {
        let named = self.names.live.iter().find(|(_, other)| **other == inode);
        named.map(|(path, _)| path.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

// === impl Disk for FakeDisk ===

impl FakeDisk {
    fn handle(&self, state: &mut State, inode: Inode) -> Arc<dyn DiskFile> {
        state.files.entry(inode).or_default().handles += 1;
        Arc::new(FakeFile { disk: self.clone(), inode, boot: state.boots })
    }
}

impl Disk for FakeDisk {
    /// One process owns a fake disk, so every lock is free.
    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> {
        Ok(Some(Box::new(())))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.powered()?;
        state.lives(|_| path.to_owned())?;
        let inode = state.names.find(path)?;
        Ok(self.handle(&mut state, inode))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.operate_on_names(path, |had| had.names += 1)?;
        let inode = state.next_inode;
        state.note("make", |_| path.to_owned(), &[], &[]);
        state.names.make(path, inode)?;
        state.next_inode += 1;
        Ok(self.handle(&mut state, inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate_on_names(to, |had| had.names += 1)?;
        state.note("rename to", |_| to.to_owned(), &[], &[]);
        state.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate_on_names(path, |had| had.names += 1)?;
        state.note("remove", |_| path.to_owned(), &[], &[]);
        state.names.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate_on_names(path, |had| had.names += 1)?;
        state.names.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        state.powered()?;
        state.lives(|_| path.to_owned())?;
        state.names.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate_on_names(path, |had| had.syncs += 1)?;
        state.note("sync", |_| path.to_owned(), &[], &[]);
        state.names.sync(path)?;
        state.forget_nameless();
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let mut state = self.state();
        state.powered()?;
        state.lives(|_| path.to_owned())?;
        state.names.list(path)?;
        Ok((state.capacity, state.capacity.saturating_sub(state.used())))
    }
}

// === impl DiskFile for FakeFile ===

impl FakeFile {
    /// Does something with the file, unless the handle is from before a power cut.
    fn with<T>(&self, act: impl FnOnce(&mut State, Inode) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.boots != self.boot {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        state.powered()?;
        let inode = self.inode;
        state.lives(|state| PathBuf::from(state.path(inode)))?;
        act(&mut state, inode)
    }

    fn look<T>(&self, act: impl FnOnce(&FileState) -> T) -> io::Result<T> {
        self.with(|state, inode| state.files.get(&inode).map(act).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn change(&self, operation: Operation) -> io::Result<()> {
        self.with(|state, inode| {
            let begun = state.operate(|state| PathBuf::from(state.path(inode)))?;
            let more = state.files.get(&inode).map_or(0, |file| file.live.more_pages(&operation));
            if more > 0 && state.used().saturating_add(more.saturating_mul(PAGE)) > state.capacity {
                state.orders.had.full += 1;
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            state.note_change(inode, &operation);
            let file = state.files.entry(inode).or_default();
            let Begun::Ill(seed) = begun else {
                file.live.apply(&operation);
                file.pending.push(operation);
                return Ok(());
            };
            Survival::of_failed(&mut Chance(seed)).apply(&operation, |part| {
                file.live.apply(part);
                file.pending.push(part.clone());
            });
            state.orders.had.writes += 1;
            state.note("it failed", |_| PathBuf::new(), &[], &[]);
            Err(io::Error::from_raw_os_error(EIO))
        })
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boots != self.boot {
            return;
        }
        if let Some(file) = state.files.get_mut(&self.inode) {
            file.handles = file.handles.saturating_sub(1);
        }
        state.forget_nameless();
    }
}

impl DiskFile for FakeFile {
    fn len(&self) -> io::Result<u64> {
        self.look(|file| file.live.len())
    }

    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.with(|state, inode| {
            let len = out.len() as u64;
            if state.read_fails(inode, at, len) {
                state.orders.had.reads += 1;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let file = state.files.entry(inode).or_default();
            if at.checked_add(len).is_none_or(|end| end > file.live.len()) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.live.read(out, at);
            Ok(())
        })
    }

    fn read_cached_at(&self, out: &mut [u8], at: u64) -> io::Result<bool> {
        let len = out.len() as u64;
        let waits = self.with(|state, inode| Ok(state.cold || state.read_fails(inode, at, len)))?;
        if waits {
            return Ok(false);
        }
        match self.read_exact_at(out, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn will_read(&self, _: u64, _: u64) {}

    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        if at.checked_add(data.len() as u64).is_none() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.change(Operation::Write { at, data: data.into() })
    }

    fn write_pieces_at(&self, pieces: &[&[u8]], at: u64) -> io::Result<()> {
        let odd = |n: usize| !(n as u64).is_multiple_of(PAGE);
        if !at.is_multiple_of(PAGE) || pieces.iter().any(|p| odd(p.len()) || odd(p.as_ptr().addr())) {
            // What a disk says that is written to past the cache.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // The system may write each on its own, so each may be lost on its own.
        let mut at = at;
        for piece in pieces {
            self.write_all_at(piece, at)?;
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, inode| {
            let begun = state.operate(|state| PathBuf::from(state.path(inode)))?;
            state.note("sync", |state| PathBuf::from(state.path(inode)), &[], &[]);
            let ordered = if state.orders.failing_syncs.is_empty() {
                None
            } else {
                let path = state.path(inode);
                state.orders.failing_syncs.iter().position(|suffix| path.ends_with(suffix.as_str()))
            };
            let file = state.files.entry(inode).or_default();
            if let Some(at) = ordered {
                file.pending.clear();
                state.orders.failing_syncs.remove(at);
            } else if let Begun::Ill(seed) = begun {
                let mut chance = Chance(seed);
                for operation in std::mem::take(&mut file.pending) {
                    Survival::of_failed(&mut chance).apply(&operation, |part| file.synced.apply(part));
                }
            } else {
                for operation in std::mem::take(&mut file.pending) {
                    file.synced.apply(&operation);
                }
                return Ok(());
            }
            state.orders.had.syncs += 1;
            state.note("it failed", |_| PathBuf::new(), &[], &[]);
            Err(io::Error::from_raw_os_error(EIO))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Operation::SetLen(len))
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        if len == 0 || at.checked_add(len).is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.change(Operation::Allocate { at, len })
    }

    fn punch(&self, at: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.change(Operation::Punch { at, len })
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        self.look(|file| file.live.next_data(at))
    }

    fn disk_usage(&self) -> io::Result<u64> {
        self.look(|file| file.live.pages() * PAGE)
    }
}

#[cfg(test)]
mod tests;
