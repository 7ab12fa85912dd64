//! The real outside: the system's clock, the kernel's random bytes, the file system.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::process::{Resource, Rlimit};

use super::{Clock, Disk, DiskFile, Entropy, Grain, World};
use crate::domain::Timestamp;

/// The system's clock.
pub struct SystemClock;

/// The kernel's random bytes.
pub struct SystemEntropy;

/// The file system.
pub struct SystemDisk;

/// Pieces that the kernel takes in one call.
const PIECES_PER_CALL: usize = 1024;

#[derive(Debug)]
struct SystemFile {
    file: File,
    path: PathBuf,
    /// The same file, opened past the cache when it is first written that way; `None` inside where the
    /// file system cannot.
    direct: OnceLock<Option<File>>,
}

/// The real world.
pub fn world() -> World {
    World {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        disk: Arc::new(SystemDisk),
        grain: Grain::OF_A_BOX,
    }
}

/// How many files this process may have open, sockets among them: as many as the system lets it, from now on.
pub fn open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // Where it cannot be raised, what holds is enough to begin with.
    let raised = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let holds = if raised.is_ok() { limit.maximum } else { limit.current };
    holds.unwrap_or(u64::MAX)
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp::from_millis(millis)
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        // A kernel without random bytes can make no key and no secret; there is nothing to go on with.
        getrandom::fill(out).expect("the kernel gives random bytes");
    }
}

// === impl SystemDisk ===

impl Disk for SystemDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SystemFile::new(OpenOptions::new().read(true).write(true).open(path)?, path)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SystemFile::new(OpenOptions::new().read(true).open(path)?, path)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(SystemFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut made = Vec::new();
        let mut at = path;
        while !at.as_os_str().is_empty() && !at.try_exists()? {
            made.push(at);
            match at.parent() {
                Some(parent) => at = parent,
                None => break,
            }
        }
        std::fs::create_dir_all(path)?;
        for dir in made {
            let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            self.sync_dir(parent)?;
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(path)?;
        Ok((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

// === impl SystemFile ===

impl SystemFile {
    fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned(), direct: OnceLock::new() }
    }

    /// The handle past the cache, where there is one.
    fn direct(&self) -> Option<&File> {
        let open = || {
            let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
            let file = OpenOptions::new().write(true).custom_flags(direct).open(&self.path).ok()?;
            // Only ever the very same file, whatever became of its name.
            let (one, other) = (file.metadata().ok()?, self.file.metadata().ok()?);
            ((one.dev(), one.ino()) == (other.dev(), other.ino())).then_some(file)
        };
        self.direct.get_or_init(open).as_ref()
    }
}

/// Writes all pieces, however many calls it takes.
fn write_pieces(file: &File, pieces: &[&[u8]], at: u64) -> io::Result<()> {
    let mut slices: Vec<io::IoSlice<'_>> =
        pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| io::IoSlice::new(piece)).collect();
    let (mut rest, mut at) = (&mut slices[..], at);
    while !rest.is_empty() {
        let most = rest.len().min(PIECES_PER_CALL);
        match rustix::io::pwritev(file, &rest[..most], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at = at.saturating_add(written as u64);
                io::IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl DiskFile for SystemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(out, at)
    }

    fn read_cached_at(&self, out: &mut [u8], at: u64) -> io::Result<bool> {
        let wanted = out.len();
        let buffer = io::IoSliceMut::new(out);
        match rustix::io::preadv2(&self.file, &mut [buffer], at, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(read == wanted),
            // Not in memory, or a file system that cannot tell: the caller asks a thread that may wait.
            // Kernels before 4.6 have no such call, before 4.14 no such flag; what would be wrong with the rest of the
            // call is told by the read that waits.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS | Errno::INVAL) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn will_read(&self, at: u64, len: u64) {
        // Where the system takes no hints, the read itself waits.
        let _ = rustix::fs::fadvise(&self.file, at, NonZeroU64::new(len), rustix::fs::Advice::WillNeed);
    }

    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(data, at)
    }

    fn write_pieces_at(&self, pieces: &[&[u8]], at: u64) -> io::Result<()> {
        if let Some(direct) = self.direct() {
            match write_pieces(direct, pieces, at) {
                // Not this way after all; what was written of it is written once more.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                done => return done,
            }
        }
        write_pieces(&self.file, pieces, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), at, len) {
            // A file system without preallocation still stores; it only may run out later.
            Err(Errno::OPNOTSUPP) => {
                let end = at.saturating_add(len);
                if self.len()? < end { self.set_len(end) } else { Ok(()) }
            }
            other => Ok(other?),
        }
    }

    fn punch(&self, at: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len) {
            Err(Errno::OPNOTSUPP) => zero_range(&self.file, at, len),
            other => Ok(other?),
        }
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok((at < self.len()?).then_some(at)),
            Err(error) => Err(error.into()),
        }
    }

    fn disk_usage(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks().saturating_mul(512))
    }
}

/// What a punch means where the file system has none: the bytes are gone, the space is not.
fn zero_range(file: &File, at: u64, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let end = at.saturating_add(len).min(file.metadata()?.len());
    let mut at = at;
    while at < end {
        let step = usize::try_from(end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..step], at)?;
        at += step as u64;
    }
    Ok(())
}
