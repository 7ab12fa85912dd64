//! Numbers of files by time, so that any page of any range is found without a scan.
//!
//! A tree of base 256 over whole seconds: a node of level *l* counts the files of 256^l seconds.
//! A file is counted once at each of four levels; a count or a rank reads at most some 255 nodes a
//! level, whatever the number of files. Serves 7.7.

use std::collections::BTreeMap;

use redb::ReadableTable;

use crate::domain::BucketId;
use crate::store::codec::{Decoder, Encoder, ordered, unordered};
use crate::store::error::StoreError;

/// Levels of the tree; above the last one lies a scan of few nodes (194 days each).
const LEVELS: u8 = 4;
const BITS: u32 = 8;

type Key = &'static [u8];

/// Changes of a transaction, gathered so that a group of uploads touches each node once.
#[derive(Debug, Default)]
pub struct Deltas(BTreeMap<(BucketId, u8, u64), i64>);

fn node(bucket: BucketId, level: u8, number: u64) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u64(bucket.get()).u8(level).u64(number);
    out.take()
}

fn shift(level: u8) -> u32 {
    u32::from(level) * BITS
}

fn count_of(value: &[u8]) -> Result<u64, StoreError> {
    Ok(Decoder::new(value, "time count").u64()?)
}

impl Deltas {
    /// One file more (`1`) or less (`-1`) in this whole second.
    pub fn add(&mut self, bucket: BucketId, second: i64, delta: i64) {
        for level in 0..LEVELS {
            *self.0.entry((bucket, level, ordered(second) >> shift(level))).or_default() += delta;
        }
    }

    /// Writes them.
    pub fn flush(&mut self, table: &mut redb::Table<'_, Key, Key>) -> Result<(), StoreError> {
        for ((bucket, level, number), delta) in std::mem::take(&mut self.0) {
            if delta == 0 {
                continue;
            }
            let key = node(bucket, level, number);
            let before = match table.get(key.as_slice())? {
                Some(value) => count_of(value.value())?,
                None => 0,
            };
            let after = before
                .checked_add_signed(delta)
                .ok_or_else(|| StoreError::Index("a count by time fell below zero".to_owned()))?;
            if after == 0 {
                table.remove(key.as_slice())?;
            } else {
                table.insert(key.as_slice(), after.to_be_bytes().as_slice())?;
            }
        }
        Ok(())
    }
}

/// Sum of the nodes `from..to` of a level.
fn sum(
    table: &impl ReadableTable<Key, Key>,
    bucket: BucketId,
    level: u8,
    from: u64,
    to: u64,
) -> Result<u64, StoreError> {
    let mut total = 0;
    for entry in table.range(node(bucket, level, from).as_slice()..node(bucket, level, to).as_slice())? {
        total += count_of(entry?.1.value())?;
    }
    Ok(total)
}

/// Files before this whole second.
pub fn before(table: &impl ReadableTable<Key, Key>, bucket: BucketId, second: i64) -> Result<u64, StoreError> {
    let at = ordered(second);
    let mut total = 0;
    let mut from = 0;
    for level in (0..LEVELS).rev() {
        let to = at >> shift(level);
        total += sum(table, bucket, level, from, to)?;
        from = to << BITS;
    }
    Ok(total)
}

/// The slots of 256 seconds that touch these seconds (both included) and have files: where each begins, how many.
pub fn slots(
    table: &impl ReadableTable<Key, Key>,
    bucket: BucketId,
    from: i64,
    to: i64,
) -> Result<Vec<(i64, u64)>, StoreError> {
    let (first, last) = (ordered(from) >> shift(1), ordered(to) >> shift(1));
    let mut out = Vec::new();
    for entry in table.range(node(bucket, 1, first).as_slice()..=node(bucket, 1, last).as_slice())? {
        let (key, value) = entry?;
        let mut input = Decoder::new(key.value(), "time count key");
        input.raw(9)?;
        out.push((unordered(input.u64()? << BITS), count_of(value.value())?));
    }
    Ok(out)
}

/// The second in which the file of this rank (from 0, oldest first) lies, and how many files of
/// that second come before it; `None` past the last.
pub fn find(
    table: &impl ReadableTable<Key, Key>,
    bucket: BucketId,
    rank: u64,
) -> Result<Option<(i64, u64)>, StoreError> {
    let mut left = rank;
    let mut range = (0, u64::MAX);
    for level in (0..LEVELS).rev() {
        let mut hit = None;
        for entry in table.range(node(bucket, level, range.0).as_slice()..=node(bucket, level, range.1).as_slice())? {
            let (key, value) = entry?;
            let count = count_of(value.value())?;
            if left < count {
                let mut input = Decoder::new(key.value(), "time count key");
                input.raw(9)?;
                hit = Some(input.u64()?);
                break;
            }
            left -= count;
        }
        let Some(number) = hit else { return Ok(None) };
        range = (number << BITS, (number << BITS) | 0xff);
        if level == 0 {
            return Ok(Some((unordered(number), left)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::{ReadableDatabase, TableDefinition};

    const TABLE: TableDefinition<'static, Key, Key> = TableDefinition::new("counts");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn counts_and_ranks_are_those_of_a_sorted_list(mut seconds in proptest::collection::vec(prop_oneof![0i64..600, 1_390_000_000i64..1_400_000_000, -70_000i64..70_000], 1..120), gone in 0usize..50, probe in -80_000i64..1_400_000_100) {
            let db = redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
            let bucket = BucketId::new(4);
            let txn = db.begin_write().unwrap();
            {
                let mut table = txn.open_table(TABLE).unwrap();
                let mut deltas = Deltas::default();
                for &s in &seconds {
                    deltas.add(bucket, s, 1);
                    deltas.add(BucketId::new(5), s, 1);
                }
                deltas.flush(&mut table).unwrap();
                for s in seconds.drain(..gone.min(seconds.len())) {
                    deltas.add(bucket, s, -1);
                }
                deltas.flush(&mut table).unwrap();
            }
            txn.commit().unwrap();
            seconds.sort_unstable();
            let txn = db.begin_read().unwrap();
            let table = txn.open_table(TABLE).unwrap();
            prop_assert_eq!(before(&table, bucket, probe).unwrap(), seconds.iter().filter(|&&s| s < probe).count() as u64);
            for (rank, &second) in seconds.iter().enumerate() {
                let first = seconds.iter().position(|&s| s == second).unwrap();
                prop_assert_eq!(find(&table, bucket, rank as u64).unwrap(), Some((second, (rank - first) as u64)));
            }
            prop_assert_eq!(find(&table, bucket, seconds.len() as u64).unwrap(), None);
        }
    }
}
