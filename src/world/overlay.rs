//! A disk that is only read: what is written to it stays in memory, and is gone with it.
//!
//! With it a store is opened whose disk must not be written, or cannot be, and whatever a start does (journal, index,
//! punching) is done on a copy. Pages that are written as they are on the disk take no memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

const PAGE_LEN: usize = 4096;
const PAGE: u64 = PAGE_LEN as u64;

/// See the module.
pub struct Overlay {
    under: Arc<dyn Disk>,
    names: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    /// Files that were opened, made or given another name; `None`: removed.
    files: BTreeMap<PathBuf, Option<Arc<OverFile>>>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct OverFile {
    under: Option<Arc<dyn DiskFile>>,
    state: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Pages that are not as on the disk; `None`: zeros.
    changed: BTreeMap<u64, Option<Box<[u8]>>>,
    len: u64,
    /// Bytes of the file below that still show through.
    through: u64,
}

// === impl Overlay ===

impl Overlay {
    /// Nothing written yet.
    pub fn new(under: Arc<dyn Disk>) -> Self {
        Self { under, names: Mutex::default() }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, names: &mut Names, path: &Path) -> io::Result<Arc<OverFile>> {
        match names.files.get(path) {
            Some(Some(file)) => return Ok(Arc::clone(file)),
            Some(None) => return Err(io::ErrorKind::NotFound.into()),
            None => {}
        }
        let under = self.under.open_to_read(path)?;
        let len = under.len()?;
        let pages = Pages { changed: BTreeMap::new(), len, through: len };
        let file = Arc::new(OverFile { under: Some(under), state: Mutex::new(pages) });
        names.files.insert(path.to_owned(), Some(Arc::clone(&file)));
        Ok(file)
    }
}

impl Disk for Overlay {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.find(&mut self.names(), path)?;
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut names = self.names();
        match self.find(&mut names, path) {
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = Arc::new(OverFile { under: None, state: Mutex::default() });
        names.files.insert(path.to_owned(), Some(Arc::clone(&file)));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let file = self.find(&mut names, from)?;
        names.files.insert(from.to_owned(), None);
        names.files.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names();
        self.find(&mut names, path)?;
        names.files.insert(path.to_owned(), None);
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.names().dirs.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let names = self.names();
        let mut all: BTreeSet<PathBuf> = match self.under.list(path) {
            Ok(files) => files.into_iter().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && names.dirs.contains(path) => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        for (file, there) in names.files.iter().filter(|(file, _)| file.parent() == Some(path)) {
            if there.is_some() {
                all.insert(file.clone());
            } else {
                all.remove(file);
            }
        }
        Ok(all.into_iter().collect())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> {
        // Where there is no lock nobody works on it, and where one cannot be taken nobody can.
        let nobody = || -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> { Ok(Some(Box::new(()))) };
        if self.under.open_to_read(path).is_err() {
            return nobody();
        }
        self.under.lock(path).or_else(|_| nobody())
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.under.space(path)
    }
}

// === impl OverFile ===

impl OverFile {
    fn state(&self) -> MutexGuard<'_, Pages> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page as it is on the disk below.
    fn below(&self, through: u64, number: u64) -> io::Result<Vec<u8>> {
        let mut page = vec![0; PAGE_LEN];
        let at = number * PAGE;
        let there = usize::try_from(through.saturating_sub(at).min(PAGE)).unwrap_or(0);
        if let Some(under) = &self.under
            && there > 0
        {
            under.read_exact_at(&mut page[..there], at)?;
        }
        Ok(page)
    }

    fn read(&self, state: &Pages, out: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.saturating_add(out.len() as u64);
        if end > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The disk first, in one go, then what is other.
        let there = usize::try_from(state.through.saturating_sub(at).min(out.len() as u64)).unwrap_or(0);
        let whole_pages = state.changed.range(at / PAGE..end.div_ceil(PAGE)).count() as u64;
        let all_changed = whole_pages == end.div_ceil(PAGE) - at / PAGE;
        if let Some(under) = &self.under
            && there > 0
            && !all_changed
        {
            under.read_exact_at(&mut out[..there], at)?;
        }
        out[there..].fill(0);
        for (number, page) in state.changed.range(at / PAGE..end.div_ceil(PAGE)) {
            let begins = number * PAGE;
            let (from, to) = (begins.max(at), (begins + PAGE).min(end));
            let index = |offset: u64, base: u64| usize::try_from(offset - base).unwrap_or(0);
            let target = &mut out[index(from, at)..index(to, at)];
            match page {
                None => target.fill(0),
                Some(page) => target.copy_from_slice(&page[index(from, begins)..index(to, begins)]),
            }
        }
        Ok(())
    }
}

impl DiskFile for OverFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.state();
        if state.changed.is_empty()
            && at.saturating_add(out.len() as u64) <= state.through
            && let Some(under) = &self.under
        {
            // Nothing of it was changed: others may read meanwhile.
            drop(state);
            return under.read_exact_at(out, at);
        }
        self.read(&state, out, at)
    }

    fn read_cached_at(&self, out: &mut [u8], at: u64) -> io::Result<bool> {
        let state = self.state();
        let end = at.saturating_add(out.len() as u64);
        let changed = state.changed.range(at / PAGE..end.div_ceil(PAGE)).next().is_some();
        match &self.under {
            Some(under) if !changed && end <= state.through => {
                let under = Arc::clone(under);
                drop(state);
                under.read_cached_at(out, at)
            }
            _ => self.read(&state, out, at).map(|()| true),
        }
    }

    fn will_read(&self, at: u64, len: u64) {
        if let Some(under) = &self.under {
            under.will_read(at, len);
        }
    }

    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state();
        let (mut at, mut data) = (at, data);
        while !data.is_empty() {
            let (number, inside) = (at / PAGE, usize::try_from(at % PAGE).unwrap_or(0));
            let len = data.len().min(PAGE_LEN - inside);
            let (now, rest) = data.split_at(len);
            let below = self.below(state.through, number);
            let mut page = match (state.changed.remove(&number), &below) {
                (Some(Some(page)), _) => page.into_vec(),
                (Some(None), _) => vec![0; PAGE_LEN],
                (None, Ok(below)) => below.clone(),
                // All of it is written: what cannot be read below it does not matter.
                (None, Err(_)) if len == PAGE_LEN => vec![0; PAGE_LEN],
                (None, Err(error)) => return Err(io::Error::new(error.kind(), error.to_string())),
            };
            page[inside..inside + len].copy_from_slice(now);
            if below.as_ref().ok() != Some(&page) {
                state.changed.insert(number, Some(page.into_boxed_slice()));
            }
            at += len as u64;
            state.len = state.len.max(at);
            data = rest;
        }
        Ok(())
    }

    fn write_pieces_at(&self, pieces: &[&[u8]], mut at: u64) -> io::Result<()> {
        for piece in pieces {
            self.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if len < state.len {
            state.through = state.through.min(len);
            let _ = state.changed.split_off(&len.div_ceil(PAGE));
            let inside = usize::try_from(len % PAGE).unwrap_or(0);
            if let Some(Some(page)) = state.changed.get_mut(&(len / PAGE)) {
                page[inside..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.len = state.len.max(at.saturating_add(len));
        Ok(())
    }

    fn punch(&self, at: u64, len: u64) -> io::Result<()> {
        let end = at.saturating_add(len).min(self.len()?);
        let mut at = at;
        while at < end {
            let next = (at / PAGE + 1) * PAGE;
            if at.is_multiple_of(PAGE) && next <= end {
                self.state().changed.insert(at / PAGE, None);
            } else {
                let zeros = vec![0; usize::try_from(next.min(end) - at).unwrap_or(0)];
                self.write_all_at(&zeros, at)?;
            }
            at = next.min(end);
        }
        Ok(())
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        let state = self.state();
        let changed = state.changed.range(at / PAGE..).find(|(_, page)| page.is_some());
        let changed = changed.map(|(number, _)| (number * PAGE).max(at)).filter(|found| *found < state.len);
        let below = match &self.under {
            Some(under) if at < state.through => under.next_data(at)?.filter(|found| *found < state.through),
            _ => None,
        };
        Ok(match (changed, below) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        })
    }

    fn disk_usage(&self) -> io::Result<u64> {
        self.under.as_ref().map_or(Ok(0), |under| under.disk_usage())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, proptest};

    use super::*;
    use crate::world::disk::{read_file, replace_file};

    fn disks() -> (Arc<dyn Disk>, Overlay) {
        let (world, ..) = crate::world::fake::world(1);
        world.disk.create_dir_all(Path::new("/d")).unwrap();
        (Arc::clone(&world.disk), Overlay::new(world.disk))
    }

    #[test]
    fn what_is_done_to_names_is_seen_above_and_not_below() {
        let (under, over) = disks();
        for name in ["/d/a", "/d/b"] {
            replace_file(&*under, Path::new(name), name.as_bytes()).unwrap();
        }
        replace_file(&over, Path::new("/d/c"), b"new").unwrap();
        over.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
        assert_eq!(read_file(&over, Path::new("/d/a")).unwrap(), None);
        assert_eq!(read_file(&over, Path::new("/d/b")).unwrap().as_deref(), Some(b"/d/a".as_slice()));
        assert_eq!(over.list(Path::new("/d")).unwrap(), [Path::new("/d/b"), Path::new("/d/c")]);
        assert!(over.create(Path::new("/d/c")).is_err() && over.remove(Path::new("/d/a")).is_err());
        assert_eq!(read_file(&*under, Path::new("/d/b")).unwrap().as_deref(), Some(b"/d/b".as_slice()));
        let mut below = under.list(Path::new("/d")).unwrap();
        below.sort();
        assert_eq!(below, [Path::new("/d/a"), Path::new("/d/b")]);
    }

    #[test]
    fn what_is_written_as_it_was_takes_no_memory() {
        let (under, over) = disks();
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        replace_file(&*under, Path::new("/d/a"), &bytes).unwrap();
        let file = over.find(&mut over.names(), Path::new("/d/a")).unwrap();
        file.write_all_at(&bytes[100..9000], 100).unwrap();
        assert!(file.state().changed.is_empty());
        file.write_all_at(&[9], 4096).unwrap();
        assert_eq!(file.state().changed.len(), 1);
    }

    #[derive(Clone, Debug)]
    enum Do {
        Write(u64, Vec<u8>),
        Punch(u64, u64),
        SetLen(u64),
    }

    proptest! {
        #[test]
        fn a_file_above_is_what_was_done_to_it_and_below_it_is_as_it_was(
            begun in proptest::collection::vec(any::<u8>(), 0..12_000),
            steps in proptest::collection::vec((0..3_u8, 0..14_000_u64, 1..6_000_u64).prop_map(|(what, at, len)| match what {
                0 => Do::Write(at, vec![u8::try_from(len % 251).unwrap(); usize::try_from(len).unwrap()]),
                1 => Do::Punch(at, len),
                _ => Do::SetLen(at),
            }), 0..12),
        ) {
            let (under, over) = disks();
            replace_file(&*under, Path::new("/d/a"), &begun).unwrap();
            let (file, mut model) = (over.open(Path::new("/d/a")).unwrap(), begun.clone());
            let index = |n: u64| usize::try_from(n).unwrap();
            for step in steps {
                match step {
                    Do::Write(at, data) => {
                        let end = index(at) + data.len();
                        model.resize(model.len().max(end), 0);
                        model[index(at)..end].copy_from_slice(&data);
                        file.write_all_at(&data, at).unwrap();
                    }
                    Do::Punch(at, len) => {
                        let end = index(at + len).min(model.len());
                        model[index(at).min(end)..end].fill(0);
                        file.punch(at, len).unwrap();
                    }
                    Do::SetLen(len) => {
                        model.resize(index(len), 0);
                        file.set_len(len).unwrap();
                    }
                }
                assert_eq!(read_file(&over, Path::new("/d/a")).unwrap().unwrap(), model);
                let mut at = 0;
                while let Some(data) = file.next_data(at).unwrap() {
                    assert!(model[index(at)..index(data)].iter().all(|b| *b == 0));
                    at = data / PAGE * PAGE + PAGE;
                }
                assert!(model[index(at).min(model.len())..].iter().all(|b| *b == 0));
            }
            assert_eq!(read_file(&*under, Path::new("/d/a")).unwrap().unwrap(), begun);
        }
    }
}
