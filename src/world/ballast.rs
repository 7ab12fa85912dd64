//! Room kept for the day when a disk is full: a file that takes space and is given up, bit by bit, so that what must be
//! written can be.
//!
//! Deleting and overwriting make room, and they themselves write: a frame to the journal, rows to the index. Where
//! somebody else has filled the disk there would be no way out. So the files that everything hangs on are opened through a
//! [`Ballast`]: where one of their writes finds no room, a piece of the ballast goes and the write is made again. From then
//! on uploads are refused ([`Ballast::is_spent`]) until the disk has room enough for the ballast to come back. It goes in
//! pieces because whoever filled the disk may still be at it, and would take what is not needed yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Disk, DiskFile};

/// So much goes at a time for a write that found no room: what it leaves over is whoever comes first.
const PIECE: u64 = if cfg!(test) { 16 << 10 } else { 64 << 10 };
/// A ballast is this part of its disk …
const PART_OF_DISK: u64 = 32;
/// … at least, and at most, so many bytes.
const BYTES_MIN: u64 = if cfg!(test) { 256 << 10 } else { 4 << 20 };
const BYTES_MAX: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// It is made by writing where a disk does not set room aside; so much at a time.
const STRIDE: u64 = 1 << 20;

/// A disk of which some room is held back, in a file of its own.
#[derive(Clone)]
pub struct Ballast(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Bytes of a whole ballast.
    bytes: u64,
    /// Bytes that are held.
    held: AtomicU64,
    /// One gives up or takes at a time.
    turn: Mutex<()>,
}

/// What is held back on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The file.
    pub path: PathBuf,
    /// Bytes of a whole one.
    pub bytes: u64,
    /// Bytes that are there.
    pub held: u64,
    /// Free bytes of the disk besides.
    pub free: u64,
}

/// A file whose writes may spend the ballast.
#[derive(Debug)]
struct Guarded {
    file: Arc<dyn DiskFile>,
    ballast: Ballast,
}

// === impl Ballast ===

impl std::fmt::Debug for Ballast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ballast").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Ballast {
    /// Holds room back in the file at `path`: a part of the disk that holds its directory. That there is no room for it
    /// is told by [`Ballast::is_spent`] and is no error: a start on a full disk is what it is for.
    pub fn hold(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        let total = disk.space(dir(&path)).map_or(0, |(total, _)| total);
        Self::hold_bytes(disk, path, (total / PART_OF_DISK).clamp(BYTES_MIN, BYTES_MAX))
    }

    fn hold_bytes(disk: Arc<dyn Disk>, path: PathBuf, bytes: u64) -> Self {
        let ballast = Self(Arc::new(Inner { disk, path, bytes, held: AtomicU64::new(0), turn: Mutex::new(()) }));
        let there = ballast.0.disk.open(&ballast.0.path).and_then(|file| file.len());
        ballast.0.held.store(there.unwrap_or(0).min(bytes), Ordering::Release);
        ballast.take(0);
        ballast
    }

    /// Whether some of the room is given up: no upload shall be taken.
    pub fn is_spent(&self) -> bool {
        self.0.held.load(Ordering::Acquire) < self.0.bytes
    }

    /// Whether so little is left that it is for what makes room, and for a start, alone.
    pub fn is_low(&self) -> bool {
        self.0.held.load(Ordering::Acquire) < self.0.bytes / 4
    }

    /// Bytes that are held back.
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Acquire)
    }

    /// What is held, and what the disk has besides.
    pub fn look(&self) -> Held {
        let free = self.0.disk.space(dir(&self.0.path)).map_or(0, |(_, free)| free);
        Held { path: self.0.path.clone(), bytes: self.0.bytes, held: self.held(), free }
    }

    /// Takes back what was given up, where the disk has as much again: else the next write would spend it once more.
    /// Blocks.
    pub fn come_back(&self) {
        if self.is_spent() {
            self.take(self.0.bytes);
        }
    }

    /// Makes the file whole, where that leaves `besides` free.
    fn take(&self, besides: u64) {
        let Inner { disk, path, bytes, held, turn } = &*self.0;
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || -> io::Result<()> {
            let missing = bytes.saturating_sub(held.load(Ordering::Acquire));
            if missing > 0 && disk.space(dir(path))?.1 < missing.saturating_add(besides) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let file = match disk.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(path)?,
                opened => opened?,
            };
            let before = file.len()?;
            // A copy of a backup may be as long and hold nothing; where all is there, this does nothing.
            let made =
                file.allocate(0, *bytes).and_then(|()| self.fill(&*file, before)).and_then(|()| file.sync_data());
            if made.is_err() {
                let _ = file.set_len(before);
            }
            made
        };
        match make() {
            Ok(()) => {
                if held.swap(*bytes, Ordering::AcqRel) < *bytes {
                    tracing::info!(path = %path.display(), bytes, "room is held back for a full disk");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::debug!(path = %path.display(), "there is no room to be held back");
            }
            Err(error) => tracing::warn!(%error, path = %path.display(), "no room can be held back for a full disk"),
        }
    }

    /// Writes what a file system without preallocation has not set aside.
    fn fill(&self, file: &dyn DiskFile, from: u64) -> io::Result<()> {
        let bytes = self.0.bytes;
        if from >= bytes || file.disk_usage()? >= bytes {
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(STRIDE).unwrap_or(0)];
        let mut at = from;
        while at < bytes {
            let step = STRIDE.min(bytes - at);
            file.write_all_at(&zeros[..usize::try_from(step).unwrap_or(0)], at)?;
            at += step;
        }
        Ok(())
    }

    /// Gives a piece of the room up; whether there was any.
    fn spend(&self) -> bool {
        let Inner { disk, path, bytes, held, turn } = &*self.0;
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = held.load(Ordering::Acquire);
        if now == 0 {
            return false;
        }
        if now == *bytes {
            tracing::error!(
                path = %path.display(),
                "the disk is full: room held back is given up for what must be written, uploads are refused until there is room again"
            );
        }
        let left = now.saturating_sub(PIECE);
        held.store(left, Ordering::Release);
        // Some file systems give a file's room to others only once its new length is durable.
        let gone = disk.open(path).and_then(|file| file.set_len(left).and_then(|()| file.sync_data()));
        if let Err(error) = &gone {
            tracing::error!(%error, path = %path.display(), "room held back cannot be given up");
        }
        gone.is_ok()
    }

    /// Does it; again and again while there was no room and some of the ballast could go.
    fn doing<T>(&self, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            match act() {
                Err(error) if error.kind() == io::ErrorKind::StorageFull && self.spend() => {}
                done => return done,
            }
        }
    }

    fn guard(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(Guarded { file, ballast: self.clone() })
    }
}

fn dir(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

impl Disk for Ballast {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.guard(self.0.disk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.guard(self.doing(|| self.0.disk.create(path))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.doing(|| self.0.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.disk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.doing(|| self.0.disk.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.disk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> {
        self.0.disk.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.0.disk.space(path)
    }
}

// === impl Guarded ===

impl DiskFile for Guarded {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(out, at)
    }

    fn read_cached_at(&self, out: &mut [u8], at: u64) -> io::Result<bool> {
        self.file.read_cached_at(out, at)
    }

    fn will_read(&self, at: u64, len: u64) {
        self.file.will_read(at, len);
    }

    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        self.ballast.doing(|| self.file.write_all_at(data, at))
    }

    fn write_pieces_at(&self, pieces: &[&[u8]], at: u64) -> io::Result<()> {
        self.ballast.doing(|| self.file.write_pieces_at(pieces, at))
    }

    /// A sync that fails is not made again, whatever it says: nothing may be assumed of the writes before it.
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.ballast.doing(|| self.file.set_len(len))
    }

    /// Room that is set aside can be done without: nothing is given up for it.
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        self.file.allocate(at, len)
    }

    fn punch(&self, at: u64, len: u64) -> io::Result<()> {
        self.ballast.doing(|| self.file.punch(at, len))
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        self.file.next_data(at)
    }

    fn disk_usage(&self) -> io::Result<u64> {
        self.file.disk_usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::{self, FakeDisk};

    const HELD: u64 = 4 * PIECE;

    fn fill(disk: &FakeDisk) {
        let (total, free) = disk.space(Path::new("/")).unwrap();
        disk.set_capacity(total - free);
    }

    fn full() -> (Arc<FakeDisk>, Ballast, Arc<dyn DiskFile>) {
        let (world, disk, _) = fake::world(1);
        let ballast = Ballast::hold_bytes(world.disk, PathBuf::from("/ballast"), HELD);
        assert!(!ballast.is_spent());
        let file = ballast.create(Path::new("/file")).unwrap();
        fill(&disk);
        (disk, ballast, file)
    }

    #[test]
    fn a_write_to_a_full_disk_is_made_in_the_room_that_was_held_back_and_takes_no_more_of_it_than_it_needs() {
        let (disk, ballast, file) = full();
        file.write_all_at(&[7; 4096], 0).unwrap();
        assert!(ballast.is_spent() && !ballast.is_low());
        assert_eq!(ballast.held(), HELD - PIECE);
        let mut read = [0; 4096];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, [7; 4096]);
        let (total, free) = disk.space(Path::new("/")).unwrap();
        disk.set_capacity(total - free + PIECE);
        ballast.come_back();
        assert!(ballast.is_spent(), "there is room, and it would soon be spent again");
        disk.set_capacity(total - free + PIECE + HELD);
        ballast.come_back();
        assert!(!ballast.is_spent());
    }

    #[test]
    fn when_the_room_is_used_up_too_the_disk_says_so() {
        let (disk, ballast, file) = full();
        let error = (0..).find_map(|n| {
            fill(&disk);
            file.write_all_at(&[7; 4096], n * 4096).err()
        });
        assert_eq!((error.unwrap().kind(), ballast.held()), (io::ErrorKind::StorageFull, 0));
        assert!(ballast.is_low());
    }

    #[test]
    fn a_start_on_a_full_disk_holds_what_is_left_and_goes_on() {
        let (world, disk, _) = fake::world(1);
        disk.set_capacity(0);
        assert!(Ballast::hold_bytes(world.disk, PathBuf::from("/ballast"), HELD).is_spent());
        let (disk, ballast, file) = full();
        file.write_all_at(&[7; 4096], 0).unwrap();
        fill(&disk);
        let again = Ballast::hold_bytes(Arc::clone(&ballast.0.disk), PathBuf::from("/ballast"), HELD);
        assert_eq!(again.held(), HELD - PIECE);
    }
}
