//! A disk in memory that knows which of its writes were flushed, and what a power cut would leave of the others.

use std::sync::Arc;

use crate::dice::Dice;

/// Bytes of a page, the unit that images share.
pub const PAGE: usize = 4096;
/// Bytes of a sector: a disk writes one whole or not at all.
const SECTOR: usize = 512;
const SECTORS: usize = PAGE / SECTOR;
/// All sectors of a page.
const WHOLE: u8 = u8::MAX;

type Page = [u8; PAGE];

/// A page of zeros takes no memory; any other is shared by all images that have it.
type Slot = Option<Arc<Page>>;

/// What a power cut does to the writes since the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All are lost.
    Lose,
    /// All are there, as if the disk had no cache.
    Keep,
    /// They went to the disk in order, and the power went in the middle of one.
    Prefix,
    /// Some are there and some are not, in whatever order they came.
    Subset,
    /// As `Subset`, and of some a part of the sectors.
    Torn,
}

impl Mode {
    /// Any of them.
    pub fn any(dice: &mut Dice) -> Self {
        match dice.below(5) {
            0 => Self::Lose,
            1 => Self::Keep,
            2 => Self::Prefix,
            3 => Self::Subset,
            _ => Self::Torn,
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "lose" => Self::Lose,
            "keep" => Self::Keep,
            "prefix" => Self::Prefix,
            "subset" => Self::Subset,
            "torn" => Self::Torn,
            _ => return None,
        })
    }
}

/// What a disk is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Reads,
    Writes,
    Flushes,
}

impl Part {
    /// That of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "reads" => Self::Reads,
            "writes" => Self::Writes,
            "flushes" => Self::Flushes,
            _ => return None,
        })
    }
}

/// A page as one write left it, and which of its sectors the write was about.
struct Change {
    page: usize,
    sectors: u8,
    after: Slot,
}

/// One write or one discard.
type Write = Vec<Change>;

/// What a cut did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Writes since the last flush.
    pub writes: usize,
    /// Of them lost.
    pub lost: usize,
    /// Of them there in part.
    pub torn: usize,
}

/// How much a disk did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Writes.
    pub writes: u64,
    /// Discards, and ranges that were made zero.
    pub discards: u64,
    /// Flushes.
    pub flushes: u64,
}

/// A disk with a cache that a power cut empties.
pub struct Disk {
    /// As readers see it.
    now: Vec<Slot>,
    /// As it was at the last flush.
    flushed: Vec<Slot>,
    /// What came since, in order.
    since: Vec<Write>,
    counts: Counts,
    /// Whether it says that it has flushed, and has not.
    lies: bool,
    /// What fails.
    fails: Option<Part>,
}

impl Disk {
    /// A disk of so many bytes, all zero.
    pub fn new(bytes: usize) -> Self {
        Self::of(vec![None; bytes / PAGE])
    }

    fn of(pages: Vec<Slot>) -> Self {
        Self {
            now: pages.clone(),
            flushed: pages,
            since: Vec::new(),
            counts: Counts::default(),
            lies: false,
            fails: None,
        }
    }

    /// From now on no flush does anything, as with a disk that is not fit for its use: what a harness must find out.
    pub fn lie(&mut self) {
        self.lies = true;
    }

    /// From now on this fails, or nothing any more.
    pub fn fail(&mut self, what: Option<Part>) {
        self.fails = what;
    }

    /// Whether this fails.
    pub fn fails(&self, what: Part) -> bool {
        self.fails == Some(what)
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.now.len() * PAGE
    }

    /// How much it did.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The bytes at `offset`, fewer at the end of the disk.
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let end = offset.saturating_add(len).min(self.len());
        let mut out = Vec::with_capacity(end.saturating_sub(offset));
        for (page, from, to) in spans(offset, end) {
            match &self.now[page] {
                Some(bytes) => out.extend_from_slice(&bytes[from..to]),
                None => out.resize(out.len() + to - from, 0),
            }
        }
        out
    }

    /// Writes; gives how many bytes there was room for.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> usize {
        self.counts.writes += 1;
        let end = offset.saturating_add(data.len()).min(self.len());
        let (mut rest, mut write) = (data, Write::new());
        for (page, from, to) in spans(offset, end) {
            let (these, others) = rest.split_at(to - from);
            rest = others;
            let mut bytes = self.now[page].as_deref().copied().unwrap_or([0; PAGE]);
            bytes[from..to].copy_from_slice(these);
            write.push(Change { page, sectors: sectors(from, to), after: Some(Arc::new(bytes)) });
        }
        self.take(write);
        end.saturating_sub(offset)
    }

    /// Makes a range zero; whole pages of it take no memory any more.
    pub fn discard(&mut self, offset: usize, len: usize) {
        self.counts.discards += 1;
        let end = offset.saturating_add(len).min(self.len());
        let mut write = Write::new();
        for (page, from, to) in spans(offset, end) {
            let after = match (&self.now[page], to - from) {
                (None, _) | (_, PAGE) => None,
                (Some(bytes), _) => {
                    let mut bytes = **bytes;
                    bytes[from..to].fill(0);
                    Some(Arc::new(bytes))
                }
            };
            write.push(Change { page, sectors: sectors(from, to), after });
        }
        self.take(write);
    }

    fn take(&mut self, write: Write) {
        for change in &write {
            self.now[change.page].clone_from(&change.after);
        }
        self.since.push(write);
    }

    /// From here on a power cut leaves what was written before.
    pub fn flush(&mut self) {
        self.counts.flushes += 1;
        if self.lies {
            return;
        }
        for change in self.since.drain(..).flatten() {
            self.flushed[change.page].clone_from(&self.now[change.page]);
        }
    }

    /// The disk that somebody finds who switches the power on again, had it gone now.
    pub fn cut(&self, mode: Mode, dice: &mut Dice) -> (Self, Left) {
        let mut pages = self.flushed.clone();
        let mut left = Left { writes: self.since.len(), ..Left::default() };
        // How much of the cache reached the disk differs from cut to cut.
        let share = dice.below(91) + 5;
        let last = dice.below(self.since.len() as u64 + 1);
        for (number, write) in (0_u64..).zip(&self.since) {
            let fate = match mode {
                Mode::Lose => Fate::Lost,
                Mode::Keep => Fate::There,
                Mode::Prefix if number < last => Fate::There,
                Mode::Prefix if number == last => Fate::Torn,
                Mode::Prefix => Fate::Lost,
                Mode::Torn if dice.below(3) == 0 => Fate::Torn,
                Mode::Subset | Mode::Torn if dice.below(100) < share => Fate::There,
                Mode::Subset | Mode::Torn => Fate::Lost,
            };
            match fate {
                Fate::Lost => left.lost += 1,
                Fate::There => {}
                Fate::Torn => left.torn += 1,
            }
            for change in write {
                let arrived = match fate {
                    Fate::Lost => 0,
                    Fate::There => WHOLE,
                    Fate::Torn => dice.byte(),
                };
                settle(&mut pages[change.page], change, arrived);
            }
        }
        (Self::of(pages), left)
    }
}

/// What becomes of a write.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    There,
    Torn,
}

/// Brings those sectors of a change into a page that it was about and that arrived.
fn settle(slot: &mut Slot, change: &Change, arrived: u8) {
    let sectors = change.sectors & arrived;
    if sectors == WHOLE {
        slot.clone_from(&change.after);
    } else if sectors != 0 {
        let mut bytes = slot.as_deref().copied().unwrap_or([0; PAGE]);
        for sector in (0..SECTORS).filter(|sector| sectors & (1 << sector) != 0) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            match &change.after {
                Some(after) => bytes[range.clone()].copy_from_slice(&after[range]),
                None => bytes[range].fill(0),
            }
        }
        *slot = Some(Arc::new(bytes));
    }
}

/// The pages of a range, each with where it begins and ends in it.
fn spans(offset: usize, end: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let pages = if offset < end { offset / PAGE..end.div_ceil(PAGE) } else { 0..0 };
    pages.map(move |page| (page, offset.saturating_sub(page * PAGE), (end - page * PAGE).min(PAGE)))
}

/// The sectors of a page that a range of it touches.
fn sectors(from: usize, to: usize) -> u8 {
    (from / SECTOR..to.div_ceil(SECTOR)).fold(0, |mask, sector| mask | 1 << sector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let mut disk = Disk::new(4 * PAGE);
        disk.write(0, &[1; 2 * PAGE]);
        disk.flush();
        disk
    }

    fn cut(disk: &Disk, mode: Mode, seed: u64) -> Vec<u8> {
        disk.cut(mode, &mut Dice::new(seed)).0.read(0, disk.len())
    }

    #[test]
    fn what_is_written_is_read_across_pages_and_up_to_the_end() {
        let mut disk = disk();
        assert_eq!(disk.write(PAGE - 100, &[2; 200]), 200);
        assert_eq!(disk.read(PAGE - 101, 202), [&[1][..], &[2; 200], &[1]].concat());
        assert_eq!(disk.write(4 * PAGE - 10, &[3; 20]), 10);
        assert_eq!(disk.read(4 * PAGE - 12, 100), [&[0; 2][..], &[3; 10]].concat());
        assert!(disk.read(5 * PAGE, 100).is_empty());
        disk.discard(512, 2 * PAGE);
        assert_eq!(disk.read(0, 3 * PAGE), [vec![1; 512], vec![0; 3 * PAGE - 512]].concat());
    }

    #[test]
    fn a_cut_leaves_what_was_flushed_and_of_the_rest_what_its_mode_says() {
        let mut disk = disk();
        let before = disk.read(0, disk.len());
        disk.write(0, &[2; PAGE]);
        disk.discard(PAGE, PAGE);
        let after = disk.read(0, disk.len());
        assert_eq!(cut(&disk, Mode::Lose, 1), before);
        assert_eq!(cut(&disk, Mode::Keep, 1), after);
        disk.flush();
        assert_eq!(cut(&disk, Mode::Lose, 1), after);
    }

    #[test]
    fn by_seed_every_mixture_of_the_writes_since_the_last_flush_is_found() {
        let mut disk = disk();
        disk.write(0, &[2; PAGE]);
        disk.write(PAGE, &[3; PAGE]);
        let found: std::collections::BTreeSet<(u8, u8)> = (0..200)
            .map(|seed| {
                let bytes = cut(&disk, Mode::Subset, seed);
                (bytes[0], bytes[PAGE])
            })
            .collect();
        assert_eq!(found, [(1, 1), (1, 3), (2, 1), (2, 3)].into());
        // In order the second is never there without the first.
        let in_order = (0..200).map(|seed| cut(&disk, Mode::Prefix, seed));
        assert!(in_order.filter(|bytes| bytes[PAGE] == 3).all(|bytes| bytes[..PAGE] == [2; PAGE]));
    }

    #[test]
    fn a_torn_write_is_there_by_whole_sectors() {
        let mut disk = disk();
        disk.write(0, &[2; PAGE]);
        let mut torn = 0;
        for seed in 0..100 {
            let (cut, left) = disk.cut(Mode::Torn, &mut Dice::new(seed));
            let bytes = cut.read(0, PAGE);
            assert!(bytes.chunks(SECTOR).all(|sector| sector == [1; SECTOR] || sector == [2; SECTOR]));
            torn += left.torn;
        }
        assert!((10..90).contains(&torn), "{torn}");
    }

    #[test]
    fn a_disk_that_lies_loses_what_it_said_was_flushed() {
        let mut disk = disk();
        disk.lie();
        disk.write(0, &[2; PAGE]);
        disk.flush();
        assert_eq!((cut(&disk, Mode::Lose, 1)[0], disk.read(0, 1)[0]), (1, 2));
    }

    #[test]
    fn a_cut_is_a_disk_of_its_own_that_can_be_cut_again() {
        let mut disk = disk();
        disk.write(0, &[2; PAGE]);
        let (mut second, left) = disk.cut(Mode::Keep, &mut Dice::new(1));
        assert_eq!(left, Left { writes: 1, lost: 0, torn: 0 });
        second.write(0, &[3; PAGE]);
        assert_eq!(disk.read(0, 1), [2]);
        assert_eq!(cut(&second, Mode::Lose, 1)[0], 2, "what the power left is on the disk");
    }
}
