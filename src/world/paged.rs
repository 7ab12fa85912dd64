//! redb over our own disk, so that databases live and die on the same (simulated) device as everything else.

use std::io;
use std::sync::Arc;

use super::DiskFile;

/// A file that a database is in.
#[derive(Debug)]
pub struct Paged(pub Arc<dyn DiskFile>);

/// A database up to this long is held against its checksums before it is opened, bytes: a tenth of a second.
const VERIFIED_MAX: u64 = 64 << 20;
/// So much is read at a time.
const STRIDE: u64 = 1 << 20;

/// Whether every page of the database in this file is what its checksum says, where it is short enough to be asked each
/// time. Opening looks at few of them, and what is read later is believed. The file stays as it is: a copy is looked at.
///
/// # Errors
/// The file cannot be read.
pub fn is_sound(file: &dyn DiskFile) -> io::Result<bool> {
    let len = file.len()?;
    if len > VERIFIED_MAX {
        return Ok(true);
    }
    let copy = redb::backends::InMemoryBackend::new();
    redb::StorageBackend::set_len(&copy, len)?;
    let mut at = 0;
    while at < len {
        let mut piece = vec![0; usize::try_from(STRIDE.min(len - at)).unwrap_or(0)];
        file.read_exact_at(&mut piece, at)?;
        redb::StorageBackend::write(&copy, at, &piece)?;
        at += piece.len() as u64;
    }
    // An empty file would become a new database.
    Ok(len > 0
        && redb::Database::builder()
            .create_with_backend(copy)
            .is_ok_and(|mut database| database.check_integrity().is_ok_and(|sound| sound)))
}

impl redb::StorageBackend for Paged {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, at)
    }
}
