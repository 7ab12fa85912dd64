//! What a file of the fake disk holds: sparse pages, the space that they take, and operations on them.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGE: u64 = 4096;
const PAGE_BYTES: usize = 4096;

/// A change of a file's content, as it stands between a write and the sync after it.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write { at: u64, data: Arc<[u8]> },
    SetLen(u64),
    Allocate { at: u64, len: u64 },
    Punch { at: u64, len: u64 },
}

/// A sparse file. Pages in `data` are always in `taken` too; what is taken without data reads as zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    data: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
    taken: Ranges,
}

/// A set of page numbers as ranges that do not touch: first page to the page after the last.
#[derive(Clone, Debug, Default)]
struct Ranges {
    ranges: BTreeMap<u64, u64>,
    total: u64,
}

// === impl Content ===

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Pages of disk that the file takes.
    pub(super) fn pages(&self) -> u64 {
        self.taken.total
    }

    /// Pages that `operation` would take beyond what the file has.
    pub(super) fn more_pages(&self, operation: &Operation) -> u64 {
        let (at, len) = match operation {
            Operation::Write { data, .. } if data.is_empty() => return 0,
            Operation::Write { at, data } => (*at, data.len() as u64),
            Operation::Allocate { at, len } => (*at, *len),
            Operation::SetLen(_) | Operation::Punch { .. } => return 0,
        };
        let (first, after) = (at / PAGE, at.saturating_add(len).div_ceil(PAGE));
        after.saturating_sub(first) - self.taken.overlap(first, after)
    }

    /// Copies out; what lies in holes or past the end is zeros.
    pub(super) fn read(&self, out: &mut [u8], at: u64) {
        out.fill(0);
        let end = at.saturating_add(out.len() as u64);
        for (number, page) in self.data.range(at / PAGE..end.div_ceil(PAGE)) {
            let (from, to) = (at.max(number * PAGE), end.min((number + 1) * PAGE));
            let source = &page[index(from - number * PAGE)..index(to - number * PAGE)];
            out[index(from - at)..index(to - at)].copy_from_slice(source);
        }
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Write { at, data } => self.write(data, *at),
            Operation::SetLen(len) => self.set_len(*len),
            Operation::Allocate { at, len } => {
                let end = at.saturating_add(*len);
                self.taken.insert(at / PAGE, end.div_ceil(PAGE));
                self.len = self.len.max(end);
            }
            Operation::Punch { at, len } => self.punch(*at, at.saturating_add(*len)),
        }
    }

    fn write(&mut self, data: &[u8], at: u64) {
        if data.is_empty() {
            return;
        }
        let end = at.saturating_add(data.len() as u64);
        for number in at / PAGE..end.div_ceil(PAGE) {
            let (from, to) = (at.max(number * PAGE), end.min((number + 1) * PAGE));
            let page = Arc::make_mut(self.data.entry(number).or_insert_with(|| Arc::new([0; PAGE_BYTES])));
            page[index(from - number * PAGE)..index(to - number * PAGE)]
                .copy_from_slice(&data[index(from - at)..index(to - at)]);
        }
        self.taken.insert(at / PAGE, end.div_ceil(PAGE));
        self.len = self.len.max(end);
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            let kept = len.div_ceil(PAGE);
            self.data.split_off(&kept);
            self.taken.remove(kept, u64::MAX);
            self.zero_in_page(len, kept * PAGE);
        }
        self.len = len;
    }

    fn punch(&mut self, at: u64, end: u64) {
        let (first, after) = (at.div_ceil(PAGE), end / PAGE);
        if first > after {
            self.zero_in_page(at, end);
            return;
        }
        self.zero_in_page(at, first * PAGE);
        self.zero_in_page(after * PAGE, end);
        let mut beyond = self.data.split_off(&first);
        self.data.append(&mut beyond.split_off(&after));
        self.taken.remove(first, after);
    }

    /// Zeros a range that lies in one page.
    fn zero_in_page(&mut self, at: u64, end: u64) {
        let number = at / PAGE;
        if at < end
            && let Some(page) = self.data.get_mut(&number)
        {
            Arc::make_mut(page)[index(at - number * PAGE)..index(end - number * PAGE)].fill(0);
        }
    }

    pub(super) fn next_data(&self, at: u64) -> Option<u64> {
        let (number, _) = self.data.range(at / PAGE..).next()?;
        Some(at.max(number * PAGE)).filter(|found| *found < self.len)
    }

    /// Turns one byte into another, behind everybody's back.
    pub(super) fn rot(&mut self, at: u64) {
        if let Some(page) = self.data.get_mut(&(at / PAGE)) {
            Arc::make_mut(page)[index(at % PAGE)] ^= 0x40;
        }
    }
}

/// An offset within something that is in memory.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset into memory fits a pointer")
}

// === impl Ranges ===

impl Ranges {
    /// How many of the pages `first..after` are in the set.
    fn overlap(&self, first: u64, after: u64) -> u64 {
        let before = self.ranges.range(..first).next_back();
        let within = self.ranges.range(first..after.max(first));
        before.into_iter().chain(within).map(|(from, to)| (*to).min(after).saturating_sub((*from).max(first))).sum()
    }

    fn insert(&mut self, first: u64, after: u64) {
        if first >= after {
            return;
        }
        let (mut from, mut to) = (first, after);
        if let Some((before, end)) = self.ranges.range(..=first).next_back().map(|(from, to)| (*from, *to))
            && end >= first
        {
            (from, to) = (before, to.max(end));
        }
        while let Some((start, end)) = self.ranges.range(from..=to).next().map(|(from, to)| (*from, *to)) {
            self.ranges.remove(&start);
            self.total -= end - start;
            to = to.max(end);
        }
        self.ranges.insert(from, to);
        self.total += to - from;
    }

    fn remove(&mut self, first: u64, after: u64) {
        if first >= after {
            return;
        }
        let touched: Vec<(u64, u64)> = self
            .ranges
            .range(..after)
            .rev()
            .take_while(|(_, to)| **to > first)
            .map(|(from, to)| (*from, *to))
            .collect();
        for (from, to) in touched {
            self.ranges.remove(&from);
            self.total -= to - from;
            for (from, to) in [(from, to.min(first)), (from.max(after), to)] {
                if from < to {
                    self.ranges.insert(from, to);
                    self.total += to - from;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

    fn operation() -> impl Strategy<Value = Operation> {
        let range = || (0..40_000_u64, 0..20_000_u64);
        prop_oneof![
            (range(), any::<u8>())
                .prop_map(|((at, len), byte)| Operation::Write { at, data: vec![byte; index(len)].into() }),
            (0..60_000_u64).prop_map(Operation::SetLen),
            range().prop_map(|(at, len)| Operation::Allocate { at, len: len + 1 }),
            range().prop_map(|(at, len)| Operation::Punch { at, len }),
        ]
    }

    /// The same by the plainest means: every byte in a vector.
    fn plainly(bytes: &mut Vec<u8>, operation: &Operation) {
        match operation {
            Operation::Write { data, .. } if data.is_empty() => {}
            Operation::Write { at, data } => {
                let end = index(*at) + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[index(*at)..end].copy_from_slice(data);
            }
            Operation::SetLen(len) => bytes.resize(index(*len), 0),
            Operation::Allocate { at, len } => bytes.resize(bytes.len().max(index(at + len)), 0),
            Operation::Punch { at, len } => {
                let end = index(at + len).min(bytes.len());
                let at = index(*at).min(end);
                bytes[at..end].fill(0);
            }
        }
    }

    proptest! {
        #[test]
        fn pages_hold_what_a_plain_vector_holds(operations in prop::collection::vec(operation(), 1..20)) {
            let (mut content, mut plain) = (Content::default(), Vec::new());
            for operation in &operations {
                let (before, more) = (content.pages(), content.more_pages(operation));
                content.apply(operation);
                plainly(&mut plain, operation);
                assert_eq!(content.len(), plain.len() as u64);
                let mut read = vec![1; plain.len()];
                content.read(&mut read, 0);
                assert_eq!(read, plain);
                if !matches!(operation, Operation::SetLen(_) | Operation::Punch { .. }) {
                    assert_eq!(content.pages(), before + more);
                }
                let counted: u64 = content.taken.ranges.iter().map(|(from, to)| to - from).sum();
                assert_eq!(content.pages(), counted);
                assert!(content.data.keys().all(|page| content.taken.overlap(*page, page + 1) == 1));
            }
        }
    }

    #[test]
    fn a_gibibyte_set_aside_costs_one_range_and_no_page_of_memory() {
        let mut content = Content::default();
        content.apply(&Operation::Allocate { at: 0, len: 1 << 30 });
        assert_eq!((content.pages(), content.taken.ranges.len(), content.data.len()), ((1 << 30) / PAGE, 1, 0));
        assert_eq!(content.next_data(0), None);
        content.apply(&Operation::Write { at: 70_000, data: vec![1; 5].into() });
        assert_eq!(content.next_data(0), Some(69_632));
        assert_eq!(content.next_data(69_999), Some(69_999));
        content.apply(&Operation::Punch { at: 65_536, len: 8192 });
        assert_eq!((content.pages(), content.next_data(0)), ((1 << 30) / PAGE - 2, None));
    }
}
