//! redb over our own disk, so that databases live and die on the same (simulated) device as everything else.

use std::io;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::DiskFile;

/// A file that a database is in.
#[derive(Debug)]
pub struct Paged(pub Arc<dyn DiskFile>);

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
