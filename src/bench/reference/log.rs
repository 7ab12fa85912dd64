//! One preallocated file that is appended to, and one sync for all who wait for it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use rustix::fs::{FallocateFlags, Mode, OFlags};

/// What `O_DIRECT` wants of addresses, offsets and lengths.
pub(super) const ALIGN: usize = 4096;
/// As many buffers as one system call takes.
const GROUP_MAX: usize = 512;

/// The file and its one writer.
pub(super) struct Log {
    file: File,
    /// The same for reads by way of the page cache.
    cached: File,
    /// So long it is; when it is full, it is written again from its front.
    bytes: u64,
    end: AtomicU64,
    queue: Sender<Wait>,
}

/// Somebody who waits for a sync.
struct Wait {
    /// What is to be written before, and where; nothing where it has been written.
    write: Option<(Aligned, usize, u64)>,
    done: SyncSender<io::Result<Option<Aligned>>>,
}

/// Memory that `O_DIRECT` takes.
pub(super) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

// === impl Log ===

impl Log {
    /// A file of so many bytes in `dir` that has no name any more, and the thread that writes it.
    pub(super) fn create(dir: &Path, bytes: u64, buffered: bool) -> io::Result<Self> {
        let path = dir.join(format!("kandian-bench-reference-{}", std::process::id()));
        let open = |flags| rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC | flags, Mode::RUSR | Mode::WUSR);
        let cached = File::from(open(OFlags::CREATE | OFlags::EXCL)?);
        let direct = if buffered { OFlags::empty() } else { OFlags::DIRECT };
        let file = open(direct).or_else(|_| open(OFlags::empty())).map(File::from);
        std::fs::remove_file(&path)?;
        let file = file?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        file.sync_all()?;
        let (queue, waiting) = channel();
        let writer = file.try_clone()?;
        std::thread::spawn(move || commit(&writer, &waiting));
        Ok(Self { file, cached, bytes, end: AtomicU64::new(0), queue })
    }

    /// The file, to be read.
    pub(super) fn cached(&self) -> &File {
        &self.cached
    }

    /// Room for so many bytes.
    pub(super) fn place(&self, len: u64) -> u64 {
        let len = len.next_multiple_of(ALIGN as u64);
        let at = self.end.fetch_add(len, Ordering::Relaxed) % self.bytes;
        // What would go over the end begins at the front; both ends stay within the file.
        if at + len > self.bytes { 0 } else { at }
    }

    /// Writes the beginning of a buffer now; it is durable with the next [`Log::sync`].
    pub(super) fn write(&self, buffer: &Aligned, len: usize, at: u64) -> io::Result<()> {
        self.file.write_all_at(&buffer.bytes()[..len.next_multiple_of(ALIGN)], at)
    }

    /// Waits until the beginning of `buffer` is durable at `at`, together with others.
    pub(super) fn append(&self, buffer: Aligned, len: usize, at: u64) -> io::Result<Aligned> {
        let back = self.wait(Some((buffer, len.next_multiple_of(ALIGN), at)))?;
        back.ok_or_else(|| io::Error::other("a buffer got lost"))
    }

    /// Waits until what was written is durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.wait(None).map(drop)
    }

    fn wait(&self, write: Option<(Aligned, usize, u64)>) -> io::Result<Option<Aligned>> {
        let (done, answer) = sync_channel(1);
        let gone = || io::Error::other("the writer is gone");
        self.queue.send(Wait { write, done }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// While one group is synced, the next gathers; there is no timer.
fn commit(file: &File, waiting: &Receiver<Wait>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP_MAX - 1));
        let written = write(file, &mut group).and_then(|()| file.sync_data());
        for wait in group {
            let buffer = wait.write.map(|(buffer, _, _)| buffer);
            let answer = match &written {
                Ok(()) => Ok(buffer),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Whose client hung up does not listen any more.
            let _ = wait.done.send(answer);
        }
    }
}

/// Writes what lies side by side at once.
fn write(file: &File, group: &mut [Wait]) -> io::Result<()> {
    group.sort_by_key(|wait| wait.write.as_ref().map(|(_, _, at)| *at));
    let writes: Vec<(&[u8], u64)> = group
        .iter()
        .filter_map(|wait| wait.write.as_ref().map(|(buffer, len, at)| (&buffer.bytes()[..*len], *at)))
        .collect();
    for run in writes.chunk_by(|(bytes, at), (_, next)| at + bytes.len() as u64 == *next) {
        let Some((_, start)) = run.first() else { continue };
        let slices: Vec<IoSlice<'_>> = run.iter().map(|(bytes, _)| IoSlice::new(bytes)).collect();
        let all: usize = run.iter().map(|(bytes, _)| bytes.len()).sum();
        if rustix::io::pwritev(file, &slices, *start)? < all {
            for (bytes, at) in run {
                file.write_all_at(bytes, *at)?;
            }
        }
    }
    Ok(())
}

// === impl Aligned ===

impl Aligned {
    pub(super) fn new(len: usize) -> Self {
        let len = len.next_multiple_of(ALIGN);
        let memory = vec![0; len + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self { memory, start, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}
