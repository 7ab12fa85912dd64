//! What is ordered of a fake disk: power cuts, kills, errors, and copies of it; and what it has had of them.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{EIO, FakeDisk, Fate, FileState, SECTOR, State, Survival, Unsynced, UnsyncedKind};
use crate::world::fake::chance::Chance;
use crate::world::fake::content::Operation;
use crate::world::fake::names::Inode;

/// Errors that were ordered and have not come, and how many came.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// The number of the first operation that finds the power gone.
    cut_at: Option<u64>,
    /// The number of an operation that fails, and what decides how much of it was done.
    fails_at: Option<(u64, u64)>,
    /// A directory on a disk that is dead from this operation on.
    dies_at: Option<(PathBuf, u64)>,
    pub(super) failing_syncs: Vec<String>,
    failing_reads: Vec<(String, Range<u64>)>,
    pub(super) had: Faults,
}

/// What was done, for whoever wants to know.
#[derive(Debug, Default)]
pub(super) struct Trace {
    sum: u64,
    told: bool,
    lines: Vec<String>,
}

/// How many errors a disk has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes, and changes of length and room, that failed.
    pub writes: u64,
    /// Syncs that failed, of files and of directories.
    pub syncs: u64,
    /// Reads that failed.
    pub reads: u64,
    /// Changes of names that failed.
    pub names: u64,
    /// Operations that found no room.
    pub full: u64,
    /// Operations that found their disk dead.
    pub dead: u64,
}

/// What comes of an operation that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is done.
    Well,
    /// It fails; the seed says how much of it was done all the same.
    Ill(u64),
}

impl FakeDisk {
    /// Lets `more` further operations through; then the power is gone and everything, reads too,
    /// fails with EIO until [`FakeDisk::crash`] or [`FakeDisk::power_cut`] boots again.
    pub fn fail_after(&self, more: u64) {
        let mut state = self.state();
        state.orders.cut_at = Some(state.operations.saturating_add(more));
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.state().is_cut()
    }

    /// The operation after `more` others fails with EIO. Of a write any of its sectors may be in the file all the
    /// same; of what a sync was to make durable any part may have become so, and the rest never will, though it is
    /// still read, as on Linux; a change of names has not happened.
    pub fn fail_operation(&self, more: u64, seed: u64) {
        let mut state = self.state();
        state.orders.fails_at = Some((state.operations.saturating_add(more), seed));
    }

    /// The disk with this directory dies after `more` operations (of all disks): what lies on it can be neither read
    /// nor written until [`FakeDisk::mend`].
    pub fn die_after(&self, directory: &Path, more: u64) {
        let mut state = self.state();
        state.orders.dies_at = Some((directory.to_owned(), state.operations.saturating_add(more)));
    }

    /// The next `sync_data` of a file whose name ends so fails with EIO, and as on Linux its unsynced
    /// writes never reach the disk, though they are still read.
    pub fn fail_sync_once(&self, suffix: &str) {
        self.state().orders.failing_syncs.push(suffix.to_owned());
    }

    /// Reads that touch this range of a file whose name ends so fail with EIO, from now on.
    pub fn fail_reads(&self, suffix: &str, range: Range<u64>) {
        self.state().orders.failing_reads.push((suffix.to_owned(), range));
    }

    /// Takes back every fault that was ordered and has not happened, and brings a dead disk back.
    pub fn mend(&self) {
        let mut state = self.state();
        let had = state.orders.had;
        state.orders = Orders { had, ..Orders::default() };
    }

    /// What it has had so far.
    pub fn faults(&self) -> Faults {
        self.state().orders.had
    }

    /// Another disk with what this one shows, all of it synced.
    pub fn fork(&self) -> Self {
        let state = self.state();
        let file = |(inode, file): (&Inode, &FileState)| {
            let (live, synced) = (file.live.clone(), file.live.clone());
            (*inode, FileState { live, synced, ..FileState::default() })
        };
        Self(Arc::new(Mutex::new(State {
            capacity: state.capacity,
            names: state.names.fork(),
            files: state.files.iter().map(file).collect(),
            next_inode: state.next_inode,
            boots: 0,
            operations: 0,
            cold: state.cold,
            orders: Orders::default(),
            traced: None,
        })))
    }

    /// From now on [`FakeDisk::trace`] sums what is done, and where `told`, [`FakeDisk::told`] names it.
    pub fn begin_trace(&self, told: bool) {
        self.state().traced = Some(Trace { told, ..Trace::default() });
    }

    /// A sum over all operations, their order, places and bytes; 0 where nobody asked for it.
    pub fn trace(&self) -> u64 {
        self.state().traced.as_ref().map_or(0, |trace| trace.sum)
    }

    /// A line for each operation since this was asked last.
    pub fn told(&self) -> Vec<String> {
        self.state().traced.as_mut().map(|trace| std::mem::take(&mut trace.lines)).unwrap_or_default()
    }

    /// Ends the process and begins another, as a kill does: handles from before give EIO, and what was written is
    /// read, synced or not.
    pub fn kill(&self) {
        let mut state = self.state();
        for file in state.files.values_mut() {
            file.handles = 0;
        }
        state.boots += 1;
        state.orders.cut_at = None;
        state.forget_nameless();
    }

    /// Cuts the power and boots again: handles from before give EIO, and of what was not synced
    /// `fate` leaves some.
    pub fn crash(&self, seed: u64, fate: Fate) {
        let mut chance = Chance(seed);
        self.power_cut(|_| match fate {
            Fate::LoseAll => Survival::Lost,
            Fate::KeepAll => Survival::Kept,
            Fate::Random => [Survival::Lost, Survival::Kept][usize::from(chance.coin())],
            Fate::Torn => match (chance.coin(), chance.coin()) {
                (true, _) => Survival::Torn(chance.word()),
                (_, kept) => [Survival::Lost, Survival::Kept][usize::from(kept)],
            },
        });
    }

    /// As [`FakeDisk::crash`], with the fate of each operation told one by one: oldest first within
    /// a file, then names. A kept change of names keeps the earlier ones that it rests on (of the
    /// same file or name); a torn one is lost.
    pub fn power_cut(&self, mut fate: impl FnMut(&Unsynced) -> Survival) {
        let mut state = self.state();
        let paths: BTreeMap<Inode, PathBuf> =
            state.names.live.iter().map(|(path, inode)| (*inode, path.clone())).collect();
        for (inode, file) in &mut state.files {
            let path = paths.get(inode).cloned().unwrap_or_default();
            for operation in std::mem::take(&mut file.pending) {
                let survival = fate(&Unsynced { path: path.clone(), kind: UnsyncedKind::from(&operation) });
                survival.apply(&operation, |part| file.synced.apply(part));
            }
            file.live = file.synced.clone();
            file.handles = 0;
        }
        state.names.power_cut(|change| {
            fate(&Unsynced { path: change.path().to_owned(), kind: UnsyncedKind::from(change) }) == Survival::Kept
        });
        state.boots += 1;
        state.orders.cut_at = None;
        state.forget_nameless();
    }
}

impl Survival {
    /// Gives `each` what is left of an operation.
    pub(super) fn apply(self, operation: &Operation, mut each: impl FnMut(&Operation)) {
        match (self, operation) {
            (Self::Kept, _) => each(operation),
            (Self::Torn(seed), Operation::Write { at, data }) => tear(*at, data, seed, each),
            (Self::Lost | Self::Torn(_), _) => {}
        }
    }

    /// What a seed makes of an operation that failed.
    pub(super) fn of_failed(chance: &mut Chance) -> Self {
        match (chance.coin(), chance.coin()) {
            (true, true) => Self::Kept,
            (true, false) => Self::Torn(chance.word()),
            (false, _) => Self::Lost,
        }
    }
}

/// The sectors of a write that the seed chooses.
fn tear(at: u64, data: &[u8], seed: u64, mut each: impl FnMut(&Operation)) {
    let mut chance = Chance(seed);
    let mut from = 0;
    while from < data.len() {
        let to_boundary = SECTOR - (at + from as u64) % SECTOR;
        let to = data.len().min(from + usize::try_from(to_boundary).unwrap_or(data.len()));
        if chance.coin() {
            each(&Operation::Write { at: at + from as u64, data: data[from..to].into() });
        }
        from = to;
    }
}

impl State {
    fn is_cut(&self) -> bool {
        self.orders.cut_at.is_some_and(|at| self.operations >= at)
    }

    pub(super) fn powered(&self) -> io::Result<()> {
        if self.is_cut() { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }

    /// Counts an operation on a file or a directory, or finds the power gone, or the disk dead.
    pub(super) fn operate(&mut self, path: impl FnOnce(&Self) -> PathBuf) -> io::Result<Begun> {
        self.powered()?;
        self.lives(path)?;
        let number = self.operations;
        self.operations += 1;
        match self.orders.fails_at {
            Some((at, seed)) if at == number => {
                self.orders.fails_at = None;
                Ok(Begun::Ill(seed))
            }
            _ => Ok(Begun::Well),
        }
    }

    /// As [`State::operate`], of a change of names, or a sync of them.
    pub(super) fn operate_on_names(&mut self, path: &Path, count: impl FnOnce(&mut Faults)) -> io::Result<()> {
        match self.operate(|_| path.to_owned())? {
            Begun::Well => Ok(()),
            Begun::Ill(_) => {
                count(&mut self.orders.had);
                Err(io::Error::from_raw_os_error(EIO))
            }
        }
    }

    /// Finds out whether the disk of a file or a directory is dead.
    pub(super) fn lives(&mut self, path: impl FnOnce(&Self) -> PathBuf) -> io::Result<()> {
        let Some((directory, at)) = &self.orders.dies_at else { return Ok(()) };
        if self.operations < *at || !path(self).starts_with(directory) {
            return Ok(());
        }
        self.orders.had.dead += 1;
        Err(io::Error::from_raw_os_error(EIO))
    }

    pub(super) fn read_fails(&mut self, inode: Inode, at: u64, len: u64) -> bool {
        if self.orders.failing_reads.is_empty() {
            return false;
        }
        let (path, end) = (self.path(inode), at.saturating_add(len));
        self.orders
            .failing_reads
            .iter()
            .any(|(suffix, range)| path.ends_with(suffix.as_str()) && at < range.end && range.start < end)
    }

    /// Takes an operation into the trace: what it is, on which file, and numbers and bytes that it has.
    pub(super) fn note(&mut self, what: &str, path: impl FnOnce(&Self) -> PathBuf, numbers: &[u64], data: &[u8]) {
        if self.traced.is_none() {
            return;
        }
        let path = path(self);
        let number = self.operations;
        let Some(trace) = &mut self.traced else { return };
        let mut mix = |word: u64| {
            trace.sum = (trace.sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        };
        what.bytes().map(u64::from).for_each(&mut mix);
        path.as_os_str().as_encoded_bytes().iter().copied().map(u64::from).for_each(&mut mix);
        numbers.iter().copied().for_each(&mut mix);
        for word in data.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            mix(u64::from_le_bytes(bytes));
        }
        if trace.told {
            let len = data.len();
            trace.lines.push(format!("{number}: {what} {} {numbers:?} {len} bytes", path.display()));
        }
    }
}
