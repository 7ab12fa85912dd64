//! Memory for payload: it begins where a disk can take it without a copy, and it is used again.

use std::sync::{Arc, Mutex, PoisonError};

use super::volume::record::SECTOR_LEN;

/// Sizes that are handed out: what has just begun, a block, a picture with its header, two blocks with
/// theirs, strides, pieces of a quick download.
const CLASSES: [usize; 10] =
    [4 << 10, 20 << 10, 24 << 10, 36 << 10, 64 << 10, 72 << 10, 136 << 10, 264 << 10, 512 << 10, 1 << 20];
/// Bytes that wait for their next use. What is over it goes back to the system.
const IDLE_MAX: usize = 16 << 20;
/// Larger ones are pieces of downloads: who uploads does not go easy because of them.
const LENT_COUNTED_MAX: usize = 512 << 10;

/// Buffers that nobody uses now.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    free: [Vec<Vec<u8>>; CLASSES.len()],
    /// How many of each nobody has needed since the last [`Pool::rest`].
    unused: [usize; CLASSES.len()],
    /// Bytes in `free`.
    waiting: usize,
    /// Bytes in use.
    lent: usize,
}

/// Bytes that begin at a multiple of a sector, with a fixed room. Dropped, it goes back to its pool.
#[derive(Debug)]
pub struct Buffer {
    /// Never grows, so it never moves; the bytes begin at `start`.
    memory: Vec<u8>,
    start: usize,
    len: usize,
    room: usize,
    pool: Arc<Pool>,
}

// === impl Pool ===

impl Pool {
    /// An empty buffer with room for `room` bytes.
    pub fn take(self: &Arc<Self>, room: usize) -> Buffer {
        let class = CLASSES.iter().position(|&class| class >= room);
        let size = class.map_or(room, |class| CLASSES[class]) + SECTOR_LEN;
        let used_before = class.and_then(|class| {
            let mut idle = self.idle();
            idle.lent += counted(class);
            let memory = idle.free[class].pop()?;
            idle.unused[class] = idle.unused[class].min(idle.free[class].len());
            idle.waiting -= size;
            Some(memory)
        });
        let memory = used_before.unwrap_or_else(|| vec![0; size]);
        let start = memory.as_ptr().align_offset(SECTOR_LEN).min(SECTOR_LEN);
        Buffer { memory, start, len: 0, room, pool: Arc::clone(self) }
    }

    /// As [`Pool::take`], with `len` bytes in it that are anything: for a read that fills all of them.
    pub fn take_to_fill(self: &Arc<Self>, len: usize) -> Buffer {
        let mut buffer = self.take(len);
        buffer.len = len;
        buffer
    }

    /// Gives back to the system what nobody has needed since the last time.
    pub fn rest(&self) {
        let mut idle = self.idle();
        let mut gone = Vec::new();
        for (class, size) in CLASSES.iter().enumerate() {
            let unused = idle.unused[class].min(idle.free[class].len());
            gone.extend(idle.free[class].drain(..unused));
            idle.waiting -= unused * (size + SECTOR_LEN);
            idle.unused[class] = idle.free[class].len();
        }
        drop(idle);
        // Not while others wait for the lock.
        drop(gone);
    }

    /// Bytes in use: what those who could do with less look at.
    pub fn lent(&self) -> usize {
        self.idle().lent
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        // Numbers and memory; a panic elsewhere leaves them as they were.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a buffer of this class adds to [`Pool::lent`].
fn counted(class: usize) -> usize {
    if CLASSES[class] <= LENT_COUNTED_MAX { CLASSES[class] + SECTOR_LEN } else { 0 }
}

// === impl Buffer ===

impl Buffer {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that still fit.
    pub fn left(&self) -> usize {
        self.room - self.len
    }

    /// Puts as much of `data` behind its bytes as fits; gives the rest.
    pub fn fill<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let (now, later) = data.split_at(self.left().min(data.len()));
        let end = self.start + self.len;
        self.memory[end..end + now.len()].copy_from_slice(now);
        self.len += now.len();
        later
    }

    /// Zeros up to `len` bytes.
    pub fn pad(&mut self, len: usize) {
        let len = len.min(self.room);
        if len > self.len {
            self.memory[self.start + self.len..self.start + len].fill(0);
            self.len = len;
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(class) = CLASSES.iter().position(|&class| class >= self.room) else { return };
        let size = CLASSES[class] + SECTOR_LEN;
        let mut idle = self.pool.idle();
        idle.lent = idle.lent.saturating_sub(counted(class));
        if idle.waiting + size <= IDLE_MAX {
            idle.waiting += size;
            idle.free[class].push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_sector_and_never_moves() {
        let pool = Arc::new(Pool::default());
        for room in [1, 4096, 20 << 10, 69_632, 1 << 20, 3 << 20] {
            let mut buffer = pool.take(room);
            let at = buffer.bytes().as_ptr();
            assert_eq!(at.align_offset(SECTOR_LEN), 0, "{room}");
            let data = vec![7; room + 5];
            assert_eq!(buffer.fill(&data).len(), 5);
            assert_eq!((buffer.len(), buffer.left()), (room, 0));
            assert_eq!(buffer.bytes().as_ptr(), at, "{room}");
            assert_eq!(buffer.bytes(), &data[..room]);
        }
    }

    #[test]
    fn what_is_dropped_is_used_again_and_holds_nothing_of_before() {
        let pool = Arc::new(Pool::default());
        let mut first = pool.take(100);
        first.fill(&[9; 100]);
        let at = first.bytes().as_ptr();
        assert!(pool.lent() >= 100);
        drop(first);
        assert_eq!(pool.lent(), 0);
        let mut second = pool.take(200);
        assert_eq!((second.bytes().as_ptr(), second.len()), (at, 0));
        second.pad(200);
        assert!(second.bytes().iter().all(|&b| b == 0), "zeros are zeros");
    }

    #[test]
    fn what_nobody_needs_is_given_back() {
        let pool = Arc::new(Pool::default());
        let many: Vec<_> = (0..8).map(|_| pool.take(1 << 20)).collect();
        drop(many);
        pool.rest();
        assert_eq!(pool.idle().waiting, 8 * ((1 << 20) + SECTOR_LEN), "they were needed a moment ago");
        drop([pool.take(1 << 20), pool.take(1 << 20)]);
        pool.rest();
        assert_eq!(pool.idle().waiting, 2 * ((1 << 20) + SECTOR_LEN), "two were needed since");
        pool.rest();
        assert_eq!(pool.idle().waiting, 0);
    }

    #[test]
    fn idle_memory_is_bounded() {
        let pool = Arc::new(Pool::default());
        let many: Vec<_> = (0..64).map(|_| pool.take(1 << 20)).collect();
        drop(many);
        assert!(pool.idle().waiting <= IDLE_MAX);
    }
}
