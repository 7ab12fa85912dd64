//! The disks as files of a FUSE file system: what a loop device needs of a file, and no more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};

use crate::dice::Dice;
use crate::pages::{Counts, Disk, Left, Mode, PAGE, Part};

/// Nothing is remembered by the kernel: files come and go behind its back.
const AT_ONCE: Duration = Duration::ZERO;
/// `fallocate`: the size stays, or only room is asked for.
const KEEP_SIZE: i32 = 0x01;
/// `fallocate`: a hole is made.
const PUNCH_HOLE: i32 = 0x02;
/// `fallocate`: a range is made zero.
const ZERO_RANGE: i32 = 0x10;

/// So long a cut waits for the writes that it shall come after.
const PATIENCE: Duration = Duration::from_millis(250);

/// All disks.
pub struct Disks {
    state: Mutex<State>,
    /// Rings when a cut was made.
    made: Condvar,
}

struct State {
    /// By the number of their file.
    files: BTreeMap<u64, (String, Disk)>,
    /// The cut that waits for its moment.
    armed: Option<Armed>,
    /// The cut that was made, until it is fetched.
    made: Option<Cut>,
}

/// What a cut left of each disk, in the order in which they were named.
pub type Cut = Vec<(String, Left)>;

/// A cut to come.
struct Armed {
    /// The disks that lose their power all at once.
    numbers: Vec<u64>,
    /// So many writes from now, on any of them.
    after: u64,
    /// What becomes of their writes; where it is not given, something else on each disk.
    mode: Option<Mode>,
    seed: u64,
}

impl State {
    /// After each write: the moment of the cut may have come. The write is not answered yet.
    fn written(&mut self, number: u64) -> bool {
        let Some(armed) = self.armed.as_mut().filter(|armed| armed.numbers.contains(&number)) else { return false };
        armed.after = armed.after.saturating_sub(1);
        armed.after == 0 && self.cut()
    }

    fn cut(&mut self) -> bool {
        let Some(armed) = self.armed.take() else { return false };
        let mut dice = Dice::new(armed.seed);
        let mut made = Cut::new();
        for number in armed.numbers {
            let Some((_, disk)) = self.files.get(&number) else { continue };
            let (disk, left) = disk.cut(armed.mode.unwrap_or_else(|| Mode::any(&mut dice)), &mut dice);
            // Numbers are not used again, so the kernel never takes one image for another.
            let next = self.files.last_key_value().map_or(number, |(last, _)| *last) + 1;
            let name = format!("cut-{next}.img");
            self.files.insert(next, (name.clone(), disk));
            made.push((name, left));
        }
        self.made = Some(made);
        true
    }
}

impl Disks {
    /// The disks at first, of so many bytes each: `disk-0.img` and so on.
    pub fn new(sizes: &[usize]) -> Arc<Self> {
        let names = (0..).map(|n| format!("disk-{n}.img"));
        let files = (INodeNo::ROOT.0 + 1..).zip(names.zip(sizes.iter().map(|bytes| Disk::new(*bytes)))).collect();
        Arc::new(Self { state: Mutex::new(State { files, armed: None, made: None }), made: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power of disks, all at once, after so many more writes, or when there were none for a while: what would be
    /// left of each is another file, `cut-N.img`. The disks themselves go on.
    pub fn cut(&self, names: &[&str], mode: Option<Mode>, seed: u64, after: u64) -> Option<Cut> {
        let mut state = self.lock();
        let number = |name: &&str| state.files.iter().find(|(_, (known, _))| known == name).map(|(number, _)| *number);
        let numbers = names.iter().map(number).collect::<Option<Vec<u64>>>()?;
        state.armed = Some(Armed { numbers, after, mode, seed });
        if after > 0 {
            let waiting = self.made.wait_timeout_while(state, PATIENCE, |state| state.made.is_none());
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.cut();
        state.made.take()
    }

    /// Removes a disk, but never the newest: its number shall not be used again.
    pub fn remove(&self, name: &str) -> bool {
        let mut state = self.lock();
        let files = &mut state.files;
        let Some(number) = files.iter().find(|(_, (known, _))| known == name).map(|(number, _)| *number) else {
            return false;
        };
        let newest = files.last_key_value().is_some_and(|(last, _)| *last == number);
        if newest && let Some(file) = files.get_mut(&number) {
            *file = (String::new(), Disk::new(0));
        } else {
            let gone = files.remove(&number);
            drop(state);
            drop(gone);
        }
        true
    }

    /// From now on a disk's flushes do nothing.
    pub fn lie(&self, name: &str) -> bool {
        let mut state = self.lock();
        let found = state.files.values_mut().find(|(known, _)| known == name);
        found.map(|(_, disk)| disk.lie()).is_some()
    }

    /// From now on this part of what a disk is asked for fails.
    pub fn fail(&self, name: &str, what: Option<Part>) -> bool {
        let mut state = self.lock();
        let found = state.files.values_mut().find(|(known, _)| known == name);
        found.map(|(_, disk)| disk.fail(what)).is_some()
    }

    /// How much a disk did.
    pub fn counts(&self, name: &str) -> Option<Counts> {
        self.lock().files.values().find(|(known, _)| known == name).map(|(_, disk)| disk.counts())
    }
}

/// The file system.
pub struct Files(pub Arc<Disks>);

impl Filesystem for Files {
    fn lookup(&self, _req: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.0.lock();
        match state.files.iter().find(|(_, (known, _))| !known.is_empty() && known.as_str() == name) {
            Some((number, (_, disk))) => reply.entry(&AT_ONCE, &attributes(*number, disk.len()), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        if ino == INodeNo::ROOT {
            return reply.attr(&AT_ONCE, &directory());
        }
        match self.0.lock().files.get(&ino.0) {
            Some((_, disk)) => reply.attr(&AT_ONCE, &attributes(ino.0, disk.len())),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // Every read and every write comes here, whoever makes it: no page cache in between.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let (Ok(offset), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) else {
            return reply.error(Errno::EINVAL);
        };
        match self.0.lock().files.get(&ino.0) {
            Some((_, disk)) if disk.fails(Part::Reads) => reply.error(Errno::EIO),
            Some((_, disk)) => reply.data(&disk.read(offset, size)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let Ok(offset) = usize::try_from(offset) else { return reply.error(Errno::EINVAL) };
        let mut state = self.0.lock();
        let Some((_, disk)) = state.files.get_mut(&ino.0) else { return reply.error(Errno::ENOENT) };
        if disk.fails(Part::Writes) {
            return reply.error(Errno::EIO);
        }
        let written = disk.write(offset, data);
        if state.written(ino.0) {
            self.0.made.notify_one();
        }
        drop(state);
        match u32::try_from(written) {
            Ok(0) | Err(_) => reply.error(Errno::ENOSPC),
            Ok(written) => reply.written(written),
        }
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        // A file was closed: that is no flush of a disk.
        reply.ok();
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        match self.0.lock().files.get_mut(&ino.0) {
            Some((_, disk)) if disk.fails(Part::Flushes) => reply.error(Errno::EIO),
            Some((_, disk)) => {
                disk.flush();
                reply.ok();
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
            return reply.error(Errno::EINVAL);
        };
        let mut state = self.0.lock();
        let Some((_, disk)) = state.files.get_mut(&ino.0) else { return reply.error(Errno::ENOENT) };
        if disk.fails(Part::Writes) {
            return reply.error(Errno::EIO);
        }
        match mode & !KEEP_SIZE {
            0 => {}
            PUNCH_HOLE | ZERO_RANGE => disk.discard(offset, length),
            _ => return reply.error(Errno::EOPNOTSUPP),
        }
        if state.written(ino.0) {
            self.0.made.notify_one();
        }
        reply.ok();
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        for (number, (name, _)) in self.0.lock().files.range(offset.max(INodeNo::ROOT.0) + 1..) {
            if !name.is_empty() && reply.add(INodeNo(*number), *number, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}

fn directory() -> FileAttr {
    FileAttr { kind: FileType::Directory, perm: 0o755, nlink: 2, ..attributes(INodeNo::ROOT.0, 0) }
}

fn attributes(number: u64, len: usize) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: len as u64,
        blocks: (len / 512) as u64,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0o600,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: u32::try_from(PAGE).unwrap_or_default(),
        flags: 0,
    }
}
