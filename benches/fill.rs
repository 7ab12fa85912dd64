//! Makes the index of a store one of many files, so that starts, searches and uploads can be measured beside them:
//! `cargo bench --bench fill -- DATA_DIR FILES`. The store is closed, and has a sub-account; its first one's recordings
//! are what is filled. The volumes are not: the files can be listed, found and deleted, and not be read.

mod synthetic;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use kandian::domain::{Media, SubAccountId};
use kandian::store::index::{self, bucket_of, definitions, meta};
use kandian::world::os::SystemDisk;
use redb::{Database, ReadableDatabase, ReadableTable};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(dir), Some(files)) = (arguments.next(), arguments.next()) else {
        writeln!(io::stderr(), "usage: cargo bench --bench fill -- DATA_DIR FILES")?;
        return Ok(());
    };
    let files: u64 = files.parse().map_err(io::Error::other)?;
    let path = Path::new(&dir).join("index.redb");
    let db = index::open_database(&SystemDisk, &path, 2 << 30, false).map_err(io::Error::other)?;
    let (seq, first) = begin(&db).map_err(io::Error::other)?;
    let started = Instant::now();
    let seq = synthetic::fill(&db, bucket_of(first, Media::Recording), seq, files, |done| {
        if done % 1_000_000 == 0 {
            eprintln!("{done} files, {:.0} s", started.elapsed().as_secs_f64());
        }
    });
    seq.map_err(io::Error::other)?;
    let bytes = std::fs::metadata(&path)?.len();
    writeln!(io::stdout(), "{files} files in {:.0} s, {} MiB", started.elapsed().as_secs_f64(), bytes >> 20)
}

/// The last sequence, and the first sub-account.
fn begin(db: &Database) -> Result<(u64, SubAccountId), Box<dyn std::error::Error + Send + Sync>> {
    let txn = db.begin_read()?;
    let seq = index::meta_u64(&txn.open_table(definitions::meta)?, meta::SEQ)?.ok_or("no sequence")?;
    let table = txn.open_table(definitions::sub_accounts)?;
    let (key, _) = table.first()?.ok_or("the store has no sub-account")?;
    let id = key.value().try_into().map(u64::from_be_bytes)?;
    Ok((seq, SubAccountId::new(id)))
}
