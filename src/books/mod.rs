//! The books: what the office writes down beside the store. Users and their sessions, tariffs, samples and statements,
//! names of cameras, notes on alerts.
//!
//! They are a database of their own, `books.redb`, because nothing of them can be made from volumes and journal, and
//! none of them is on the path of an upload. A change is durable when [`Books::change`] returns. Rows are JSON, so that
//! a later release can add fields; a row's type says its table and how its key is written. Absent: what a row means;
//! that is the engine's.

mod row;

use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

pub use self::row::{Key, Row};
use crate::world::Disk;
use crate::world::paged::{Paged, copy_tables, without_panic};

/// Version of the format, in the table `meta` under `format`.
pub const FORMAT: u32 = 1;
const META: Definition = Definition::new("meta");
const FORMAT_KEY: &[u8] = b"format";
/// Memory for pages.
const CACHE_BYTES: usize = 4 << 20;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Why the books could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BooksError {
    /// The disk, or the database on it.
    #[error("the books: {0}")]
    Broken(String),
    /// The box is in salvage mode, and this would be lost with it.
    #[error("the books are only read in salvage mode")]
    Frozen,
    /// A file of a newer release, or of something else.
    #[error("{0}")]
    Unusable(String),
}

/// The open books. Every call blocks; none is made on a thread that serves requests.
#[derive(Debug)]
pub struct Books {
    db: Database,
    /// Nothing is changed but what is to be forgotten at the end anyway.
    frozen: bool,
}

/// What is changed in frozen books too, in memory: who signs in and who guesses.
const PASSING: [&str; 4] = ["sessions", "guesses", "guess_key", "setup"];

/// One change under way: all of it is written, or nothing.
pub struct Changes {
    txn: WriteTransaction,
    frozen: bool,
}

fn broken(error: impl std::fmt::Display) -> BooksError {
    BooksError::Broken(error.to_string())
}

// === impl Books ===

impl Books {
    /// Opens the books in `data_dir`, which are begun where there are none.
    ///
    /// # Errors
    /// The file cannot be read, is of a newer release, or is none of ours.
    pub fn open(disk: &dyn Disk, data_dir: &Path) -> Result<Self, BooksError> {
        let path = data_dir.join("books.redb");
        let file = match Paged::open(disk, &path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::begin(disk, &path)?;
                Paged::open(disk, &path).map_err(broken)?
            }
            Err(error) => return Err(broken(error)),
        };
        if !file.is_sound().map_err(broken)? {
            return Err(broken(format!(
                "{} is damaged; restore it from a backup, or move it away: new books are begun, without users, tariffs and statistics",
                path.display()
            )));
        }
        let books = Self { db: database(file)?, frozen: false };
        let format = books.raw(META, FORMAT_KEY)?.and_then(|raw| Some(u32::from_be_bytes(raw.try_into().ok()?)));
        match format {
            Some(FORMAT) => Ok(books),
            Some(other) => Err(BooksError::Unusable(format!(
                "{} has format {other}; this program knows {FORMAT}: run the release that wrote it",
                path.display()
            ))),
            None => Err(BooksError::Unusable(format!("{} has no format; restore it from a backup", path.display()))),
        }
    }

    /// Opens the books to be read; begins empty ones where they cannot be. The disk forgets what is written.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn salvage(disk: &dyn Disk, data_dir: &Path) -> Result<Self, BooksError> {
        let books = match Self::open(disk, data_dir) {
            Ok(books) => books,
            Err(error) => {
                tracing::error!(%error, "the books cannot be read; the portals begin with empty ones");
                let _ = disk.remove(&data_dir.join("books.redb"));
                Self::open(disk, data_dir)?
            }
        };
        Ok(Self { frozen: true, ..books })
    }

    /// New books, under their name only when they are whole.
    fn begin(disk: &dyn Disk, path: &Path) -> Result<(), BooksError> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match disk.remove(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(broken(error)),
            _ => {}
        }
        let db = database(Paged::new(disk.create(&new).map_err(broken)?))?;
        let txn = begin_durable(&db)?;
        txn.open_table(META).map_err(broken)?.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice()).map_err(broken)?;
        txn.commit().map_err(broken)?;
        drop(db);
        disk.rename(&new, path).map_err(broken)?;
        path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir)).map_err(broken)
    }

    /// Writes a copy of the books as they are now, durable on return but for its name.
    ///
    /// # Errors
    /// The books cannot be read, or the copy not written; there must be no file of its name.
    pub fn copy_to(&self, disk: &dyn Disk, path: &Path) -> Result<(), BooksError> {
        let now = self.db.begin_read().map_err(broken)?;
        let copy = database(Paged::new(disk.create(path).map_err(broken)?))?;
        let txn = begin_durable(&copy)?;
        copy_tables(&now, &txn).map_err(broken)?;
        txn.commit().map_err(broken)
    }

    fn raw(&self, table: Definition, key: &[u8]) -> Result<Option<Vec<u8>>, BooksError> {
        let txn = self.db.begin_read().map_err(broken)?;
        match txn.open_table(table) {
            Ok(table) => Ok(table.get(key).map_err(broken)?.map(|value| value.value().to_vec())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }

    /// The row under `key`.
    pub fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, BooksError> {
        self.raw(Definition::new(R::TABLE), &key.to_bytes())?.map(|raw| decode(&raw)).transpose()
    }

    /// Rows from `from` (included) on, in the order of their keys, as long as `take` says so.
    pub fn scan<R: Row>(
        &self,
        from: &R::Key,
        take: impl FnMut(&R::Key, &R) -> bool,
    ) -> Result<Vec<(R::Key, R)>, BooksError> {
        let from = from.to_bytes();
        self.walk((Bound::Included(from.as_slice()), Bound::Unbounded), false, take)
    }

    /// Rows from `from` (included) backwards, as long as `take` says so.
    pub fn scan_back<R: Row>(
        &self,
        from: &R::Key,
        take: impl FnMut(&R::Key, &R) -> bool,
    ) -> Result<Vec<(R::Key, R)>, BooksError> {
        let from = from.to_bytes();
        self.walk((Bound::Unbounded, Bound::Included(from.as_slice())), true, take)
    }

    fn walk<R: Row>(
        &self,
        keys: (Bound<&[u8]>, Bound<&[u8]>),
        backwards: bool,
        mut take: impl FnMut(&R::Key, &R) -> bool,
    ) -> Result<Vec<(R::Key, R)>, BooksError> {
        let txn = self.db.begin_read().map_err(broken)?;
        let table = match txn.open_table(Definition::new(R::TABLE)) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(broken(error)),
        };
        let mut entries = table.range::<&[u8]>(keys).map_err(broken)?;
        let mut rows = Vec::new();
        while let Some(entry) = if backwards { entries.next_back() } else { entries.next() } {
            let (key, value) = entry.map_err(broken)?;
            let key = key_of::<R>(key.value())?;
            let row = decode(value.value())?;
            if !take(&key, &row) {
                break;
            }
            rows.push((key, row));
        }
        Ok(rows)
    }

    /// All rows of a kind.
    pub fn all<R: Row>(&self) -> Result<Vec<(R::Key, R)>, BooksError> {
        self.scan(&R::Key::first(), |_, _| true)
    }

    /// Makes one change, durable on return. Where `work` fails, nothing is changed.
    pub fn change<T, E: From<BooksError>>(&self, work: impl FnOnce(&mut Changes) -> Result<T, E>) -> Result<T, E> {
        let mut changes = Changes { txn: begin_durable(&self.db)?, frozen: self.frozen };
        let done = work(&mut changes)?;
        changes.txn.commit().map_err(broken)?;
        Ok(done)
    }
}

// === impl Changes ===

impl Changes {
    /// The row under `key`, as it is within this change.
    pub fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, BooksError> {
        let table = self.txn.open_table(Definition::new(R::TABLE)).map_err(broken)?;
        let found = table.get(key.to_bytes().as_slice()).map_err(broken)?;
        found.map(|value| decode(value.value())).transpose()
    }

    fn may_change<R: Row>(&self) -> Result<(), BooksError> {
        if self.frozen && !PASSING.contains(&R::TABLE) { Err(BooksError::Frozen) } else { Ok(()) }
    }

    /// Writes a row.
    pub fn put<R: Row>(&mut self, key: &R::Key, row: &R) -> Result<(), BooksError> {
        // A sign-in with a second factor notes in its user which code was taken.
        let noted = R::TABLE == "users" && self.get::<R>(key)?.is_some();
        if !noted {
            self.may_change::<R>()?;
        }
        let value = serde_json::to_vec(row).map_err(broken)?;
        let mut table = self.txn.open_table(Definition::new(R::TABLE)).map_err(broken)?;
        table.insert(key.to_bytes().as_slice(), value.as_slice()).map_err(broken)?;
        Ok(())
    }

    /// Removes a row; whether there was one.
    pub fn remove<R: Row>(&mut self, key: &R::Key) -> Result<bool, BooksError> {
        self.may_change::<R>()?;
        let mut table = self.txn.open_table(Definition::new(R::TABLE)).map_err(broken)?;
        let removed = table.remove(key.to_bytes().as_slice()).map_err(broken)?;
        Ok(removed.is_some())
    }

    /// Removes rows from the first on, as long as `dead` says so; how many.
    pub fn prune<R: Row>(&mut self, mut dead: impl FnMut(&R::Key) -> bool) -> Result<usize, BooksError> {
        let mut table = self.txn.open_table(Definition::new(R::TABLE)).map_err(broken)?;
        let mut gone = 0;
        loop {
            match table.first().map_err(broken)? {
                Some((key, _)) if dead(&key_of::<R>(key.value())?) => {}
                _ => return Ok(gone),
            }
            table.pop_first().map_err(broken)?;
            gone += 1;
        }
    }
}

fn database(file: Paged) -> Result<Database, BooksError> {
    let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file);
    // Books that are too long to be looked at whole may have rotted all the same.
    without_panic(open).ok_or_else(|| broken("they are damaged; restore them from a backup"))?.map_err(broken)
}

fn begin_durable(db: &Database) -> Result<WriteTransaction, BooksError> {
    let mut txn = db.begin_write().map_err(broken)?;
    txn.set_durability(redb::Durability::Immediate).map_err(broken)?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}

fn decode<R: Row>(raw: &[u8]) -> Result<R, BooksError> {
    serde_json::from_slice(raw).map_err(|error| broken(format!("a row of {}: {error}", R::TABLE)))
}

fn key_of<R: Row>(raw: &[u8]) -> Result<R::Key, BooksError> {
    R::Key::from_bytes(raw).ok_or_else(|| broken(format!("a key of {} is malformed", R::TABLE)))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::world::fake::{self, Fate};

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Row for Note {
        const TABLE: &'static str = "notes";
        type Key = (u64, String);
    }

    fn note(text: &str) -> Note {
        Note { text: text.to_owned() }
    }

    #[test]
    fn rows_are_found_in_the_order_of_their_keys_and_a_failed_change_leaves_none() {
        let (world, ..) = fake::world(1);
        world.disk.create_dir_all(Path::new("/data")).unwrap();
        let books = Books::open(&*world.disk, Path::new("/data")).unwrap();
        let key = |number, name: &str| (number, name.to_owned());
        assert_eq!(books.get::<Note>(&key(1, "a")).unwrap(), None);
        books
            .change(|changes| {
                for (number, name) in [(2, "b"), (1, "a"), (2, "a"), (300, "")] {
                    changes.put(&key(number, name), &note(name))?;
                }
                changes.remove::<Note>(&key(300, "")).map(|there| assert!(there))
            })
            .unwrap();
        let failed = books.change(|changes| {
            changes.put(&key(9, ""), &note("never"))?;
            Err::<(), _>(BooksError::Broken("no".into()))
        });
        assert!(failed.is_err());
        drop(books);
        let books = Books::open(&*world.disk, Path::new("/data")).unwrap();
        let keys: Vec<_> = books.all::<Note>().unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [key(1, "a"), key(2, "a"), key(2, "b")]);
        let seconds = books.scan::<Note>(&key(2, ""), |(number, _), _| *number == 2).unwrap();
        assert_eq!(seconds.len(), 2);
        assert_eq!(books.change(|changes| changes.prune::<Note>(|(number, _)| *number < 2)).unwrap(), 1);
        assert_eq!(books.all::<Note>().unwrap().len(), 2);
    }

    #[test]
    fn what_was_changed_survives_a_power_cut_at_any_moment_after_and_is_whole_before() {
        for cut in 1..120 {
            let (world, disk, _) = fake::world(cut);
            world.disk.create_dir_all(Path::new("/data")).unwrap();
            world.disk.sync_dir(Path::new("/")).unwrap();
            disk.fail_after(cut);
            let mut known = 0;
            if let Ok(books) = Books::open(&*world.disk, Path::new("/data")) {
                for n in 1..20_u64 {
                    if books.change(|c| c.put(&(n, String::new()), &note("x"))).is_ok() {
                        known = n;
                    }
                }
            }
            disk.crash(
                cut,
                [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn][usize::try_from(cut % 4).unwrap()],
            );
            let books = Books::open(&*world.disk, Path::new("/data")).unwrap();
            let there = books.all::<Note>().unwrap().len() as u64;
            assert!(there == known || there == known + 1, "cut {cut}: {there} of {known}");
        }
    }
}
