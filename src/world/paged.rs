//! redb over our own disk, so that databases live and die on the same (simulated) device as everything else.
//!
//! A sync that fails leaves bytes that are read and are on no disk, and no later sync says so. A database that goes on
//! after a restart would build on them, and a power cut then takes them away from under it. So a failed sync is noted
//! beside the file, in memory at least; whoever opens it next writes all of it once more before anything is built on it.

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::disk::read_through;
use super::{Disk, DiskFile};

/// A database up to this long is held against its checksums before it is opened, bytes: a tenth of a second.
const VERIFIED_MAX: u64 = 64 << 20;
/// So much is written once more at a time.
const STRIDE: u64 = 1 << 20;

/// A file that a database is in.
#[derive(Debug)]
pub struct Paged {
    file: Arc<dyn DiskFile>,
    /// Has a length from a failed sync on. Nothing of it need be durable: after a power cut what is read is what is
    /// there. `None` of a file that is just being made, of which nothing is kept unless all of it goes well.
    doubt: Option<Arc<dyn DiskFile>>,
}

// === impl Paged ===

impl Paged {
    /// A file that is just being made.
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, doubt: None }
    }

    /// The file at `path`, on which all is that is read.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path)?;
        let mut name = path.as_os_str().to_owned();
        name.push(".doubt");
        let name = PathBuf::from(name);
        let doubt = match disk.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&name)?,
            other => other?,
        };
        if !doubt.is_empty()? {
            write_again(&*file)?;
            doubt.set_len(0)?;
        }
        Ok(Self { file, doubt: Some(doubt) })
    }

    /// Whether every page of the database is what its checksum says, where it is short enough to be asked each time.
    /// Opening looks at few of them, and what is read later is believed. The file stays as it is: a copy is looked at.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_sound(&self) -> io::Result<bool> {
        let len = self.file.len()?;
        if len > VERIFIED_MAX {
            return Ok(true);
        }
        let copy = redb::backends::InMemoryBackend::new();
        redb::StorageBackend::set_len(&copy, len)?;
        read_through(&*self.file, |at, piece| redb::StorageBackend::write(&copy, at, piece))?;
        // An empty file would become a new database.
        let look = || redb::Database::builder().create_with_backend(copy).and_then(|mut db| db.check_integrity());
        Ok(len > 0 && without_panic(look).is_some_and(|looked| looked.is_ok_and(|sound| sound)))
    }
}

/// What came of `work`; `None` where it panicked, of which nothing is said: redb does that over pages that have rotted.
/// Whatever the work had is gone then, and must have been its own.
pub fn without_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    thread_local! {
        static EXPECTED: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !EXPECTED.get() {
                usual(panicked);
            }
        }));
    });
    EXPECTED.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(false);
    done.ok()
}

fn write_again(file: &dyn DiskFile) -> io::Result<()> {
    let len = file.len()?;
    // The length too may be on no disk. Before the bytes and durably: what is written past the disk's end would make the
    // file longer piece by piece, and a power cut leave a length that no database has.
    file.set_len(len)?;
    file.sync_data()?;
    let mut at = 0;
    while let Some(from) = file.next_data(at)? {
        let stride = STRIDE.min(len.saturating_sub(from));
        let mut bytes = vec![0; usize::try_from(stride).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from)?;
        file.write_all_at(&bytes, from)?;
        at = from.saturating_add(stride.max(1));
    }
    file.sync_data()
}

impl redb::StorageBackend for Paged {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.file.sync_data();
        if synced.is_err()
            && let Some(doubt) = &self.doubt
        {
            // Where not even that can be noted, the disk is lost and a restart finds no file.
            let _ = doubt.set_len(1);
        }
        synced
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, at)
    }
}

/// Copies every table of one database into another: one state of it, however much it is changed meanwhile. All tables
/// have keys and values of bytes.
pub fn copy_tables(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), redb::Error> {
    for handle in from.list_tables()? {
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(handle.name());
        let mut copy = to.open_table(definition)?;
        for row in from.open_table(definition)?.iter()? {
            let (key, value) = row?;
            copy.insert(key.value(), value.value())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::{self, Fate};
    use redb::StorageBackend as _;

    #[test]
    fn a_panic_that_is_expected_is_an_answer_and_the_next_one_is_a_panic() {
        assert_eq!(without_panic(|| 7), Some(7));
        assert_eq!(without_panic(|| -> u8 { unreachable!("over a page that has rotted") }), None);
        let next = panic::catch_unwind(|| -> u8 { unreachable!("over nothing") });
        assert!(next.is_err());
    }

    #[test]
    fn whatever_page_has_rotted_a_database_is_refused_or_sound_and_never_a_panic() {
        let (world, ..) = fake::world(1);
        let path = Path::new("/database");
        let table = TableDefinition::<&[u8], &[u8]>::new("rows");
        {
            let db =
                redb::Database::builder().create_with_backend(Paged::new(world.disk.create(path).unwrap())).unwrap();
            let mut txn = db.begin_write().unwrap();
            txn.set_quick_repair(true);
            for row in 0..2_000_u64 {
                let key = blake3::hash(&row.to_be_bytes());
                txn.open_table(table).unwrap().insert(key.as_bytes().as_slice(), [7; 90].as_slice()).unwrap();
            }
            txn.commit().unwrap();
        }
        let file = Paged::open(&*world.disk, path).unwrap();
        assert!(file.is_sound().unwrap());
        let len = file.len().unwrap();
        let mut refused = 0;
        for at in (0..len).step_by(4096) {
            let mut page = [0; 4096];
            file.read(at, &mut page).unwrap();
            for rotten in [[0; 4096], [255; 4096], [3; 4096]] {
                file.write(at, &rotten).unwrap();
                refused += u32::from(!file.is_sound().unwrap());
            }
            file.write(at, &page).unwrap();
        }
        assert!(file.is_sound().unwrap() && refused > 100, "{refused} of {} were refused", len / 4096 * 3);
    }

    #[test]
    fn a_database_whose_sync_failed_has_a_length_that_it_had_after_any_power_cut() {
        let path = Path::new("/database");
        for fate in [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn] {
            for seed in 0..40 {
                let (world, disk, _) = fake::world(seed);
                world.disk.create(path).unwrap();
                world.disk.sync_dir(Path::new("/")).unwrap();
                let file = Paged::open(&*world.disk, path).unwrap();
                file.write(0, &[1; 8192]).unwrap();
                file.sync_data().unwrap();
                file.set_len(64 << 10).unwrap();
                disk.fail_sync_once("database");
                assert!(file.sync_data().is_err());
                disk.kill();
                // It is opened, and the power goes at each of its steps in turn.
                disk.fail_after(seed % 8);
                let _ = Paged::open(&*world.disk, path);
                disk.crash(seed, fate);
                let len = world.disk.open(path).unwrap().len().unwrap();
                assert!([8192, 64 << 10].contains(&len), "seed {seed}, {fate:?}: {len}");
            }
        }
    }

    #[test]
    fn what_a_failed_sync_left_in_memory_alone_is_on_the_disk_after_the_next_opening() {
        let (world, disk, _) = fake::world(1);
        let path = Path::new("/database");
        world.disk.create(path).unwrap();
        let file = Paged::open(&*world.disk, path).unwrap();
        world.disk.sync_dir(Path::new("/")).unwrap();
        file.set_len(3 << 20).unwrap();
        for at in [0, 70_000, 2 << 20, (3 << 20) - 5] {
            file.write(at, b"bytes").unwrap();
        }
        disk.fail_sync_once("database");
        assert!(file.sync_data().is_err());
        disk.kill();
        Paged::open(&*world.disk, path).unwrap();
        disk.crash(1, Fate::LoseAll);
        let file = Paged::open(&*world.disk, path).unwrap();
        assert_eq!(file.len().unwrap(), 3 << 20);
        for at in [0, 70_000, 2 << 20, (3 << 20) - 5] {
            let mut read = [0; 5];
            file.read(at, &mut read).unwrap();
            assert_eq!(&read, b"bytes", "at {at}");
        }
        let before = disk.ops();
        Paged::open(&*world.disk, path).unwrap();
        assert_eq!(disk.ops(), before, "where nothing failed, nothing is written");
    }
}
