//! Files, as the store needs them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading alone, where it cannot be written too. What is written to it fails.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }
    /// Makes a new, empty file with mode 0600; an error where there is one already. Its name is
    /// durable only after [`Disk::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what has it. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory and its parents, all of them durable on return.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The files of a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes names made, changed and removed in this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the file at `path` (made where it is not there) for this process until the guard is
    /// dropped; `None` where another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>>;
    /// Whole bytes and free bytes of the disk that holds this directory.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)>;
}

/// An open file. Offsets and lengths are in bytes.
pub trait DiskFile: Send + Sync + std::fmt::Debug + 'static {
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `out` from `at`; `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()>;
    /// As [`DiskFile::read_exact_at`] where all of it is in memory; `Ok(false)` where that would
    /// have to wait for the disk, and `out` then holds nothing of use.
    fn read_cached_at(&self, out: &mut [u8], at: u64) -> io::Result<bool>;
    /// Says that a range will be read soon. A hint: nothing waits for it, and nothing fails.
    fn will_read(&self, at: u64, len: u64);
    /// Writes all of `data` at `at`.
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()>;
    /// Writes pieces one behind the other from `at` on, past the cache where the system can. `at`, where
    /// each piece begins in memory, and each length are multiples of 4,096.
    fn write_pieces_at(&self, pieces: &[&[u8]], at: u64) -> io::Result<()>;
    /// Makes what was written durable. After an error nothing may be assumed of any write since
    /// the last success, and a later success says nothing of them.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or grows (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets disk space aside for a range, growing the file where it ends before.
    fn allocate(&self, at: u64, len: u64) -> io::Result<()>;
    /// Gives a range's disk space back; it reads as zeros.
    fn punch(&self, at: u64, len: u64) -> io::Result<()>;
    /// The first offset at or after `at` that may hold data; `None` where only holes are left.
    fn next_data(&self, at: u64) -> io::Result<Option<u64>>;
    /// Bytes of disk that the file takes.
    fn disk_usage(&self) -> io::Result<u64>;
}

/// Bytes that are read of a file at a time.
const STRIDE: u64 = 1 << 20;

/// Replaces `path` with `data` so that a crash leaves the old file or the new one, whole.
pub fn replace_file(disk: &dyn Disk, path: &Path, data: &[u8]) -> io::Result<()> {
    replace_with(disk, path, |file| file.write_all_at(data, 0))
}

/// As [`replace_file`], with what is in another file.
pub fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    let source = disk.open_to_read(from)?;
    replace_with(disk, to, |file| read_through(&*source, |at, bytes| file.write_all_at(bytes, at)).map(|_| ()))
}

fn replace_with(disk: &dyn Disk, path: &Path, write: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    remove_if_there(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    write(&*file)?;
    file.sync_data()?;
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

/// Removes a file that may not be there.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives all of a file, piece by piece with where it stands; says how long it is.
pub fn read_through(file: &dyn DiskFile, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<u64> {
    let (len, mut at) = (file.len()?, 0);
    let mut bytes = vec![0; usize::try_from(STRIDE.min(len)).unwrap_or(0)];
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(bytes.len()).min(bytes.len());
        file.read_exact_at(&mut bytes[..step], at)?;
        each(at, &bytes[..step])?;
        at += step as u64;
    }
    Ok(len)
}

/// The whole of a file; `None` where there is none.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut out = vec![0; len];
    file.read_exact_at(&mut out, 0)?;
    Ok(Some(out))
}
