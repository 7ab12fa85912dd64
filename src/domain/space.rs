//! The rules of space: admission, overwrite, episodes. Sections 3, 6.6, 6.9 and 8.1.
//!
//! Nothing here reads a clock or a disk. The engine fetches what these rules look at and does
//! what they say.

use super::units::{Bytes, Percent};

/// What happens at the end of the space. Serves 7.6 `SpaceLoop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AtTheEnd {
    /// Uploads are refused (`SpaceLoop` 0, the default of a new sub-account).
    #[default]
    Stop,
    /// The oldest unlocked files go (`SpaceLoop` 1).
    Overwrite,
}

/// The percentages of `[space]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Above it a sub-account that stops at the end is nearly full (alert 2). 80.
    pub warn: Percent,
    /// Above it a sub-account that overwrites is overwritten. 90.
    pub overwrite: Percent,
    /// The share of the space that one overwrite frees. 20.
    pub overwrite_free: Percent,
    /// An episode ends this many points below its threshold. 5.
    pub rearm: Percent,
}

/// The space of one sub-account at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What was granted by 7.2 or 7.5.
    pub granted: Bytes,
    /// Finished objects of both buckets, and stored parts of unfinished multipart uploads.
    pub used: Bytes,
    /// The share of `used` that no overwrite can free: locked files and stored parts.
    pub held: Bytes,
    /// Uploads under way.
    pub reserved: Bytes,
    /// What happens when it is full.
    pub at_the_end: AtTheEnd,
}

/// The answer to an upload that asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is room.
    Fits,
    /// There will be room once an overwrite has freed at least so much.
    AfterFreeing(Bytes),
    /// There is no room, and none can be made: alert 1.
    Full,
    /// It could never fit; nothing is deleted for it and nobody is alarmed.
    LargerThanTheSpace,
}

/// Whether an alert's state lasts: from its threshold until 5 points below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Episode {
    /// The alert is armed.
    #[default]
    Armed,
    /// The alert was raised, and is not raised again until the episode ends.
    Open,
}

/// What a step of an episode asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Raise the alert.
    Raise,
    /// The episode is over: withdraw what was not delivered.
    Withdraw,
}

// === impl Rules ===

impl Default for Rules {
    fn default() -> Self {
        Self {
            warn: Percent::new(80).unwrap_or(HUNDRED),
            overwrite: Percent::new(90).unwrap_or(HUNDRED),
            overwrite_free: Percent::new(20).unwrap_or(HUNDRED),
            rearm: Percent::new(5).unwrap_or(HUNDRED),
        }
    }
}

const HUNDRED: Percent = match Percent::new(100) {
    Some(percent) => percent,
    None => unreachable!(),
};

impl Rules {
    /// What one overwrite of `space` has to free: 20 % of the space, or `at_least` where more is
    /// needed to make room for one upload (so that one overwrite is enough and no second 20 % goes).
    pub fn sweep_size(&self, space: &Space, at_least: Bytes) -> Bytes {
        space.granted.percent_ceil(self.overwrite_free).max(at_least)
    }

    /// Whether a looping sub-account is due to be overwritten.
    pub fn overwrite_is_due(&self, space: &Space) -> bool {
        space.at_the_end == AtTheEnd::Overwrite && space.used.above(self.overwrite, space.granted)
    }

    /// What the overwrite has to free that is due now; `None` where none is.
    pub fn overwrite_now(&self, space: &Space) -> Option<Bytes> {
        self.overwrite_is_due(space).then(|| self.sweep_size(space, space.used.saturating_sub(space.granted)))
    }

    /// The threshold of alert 2.
    fn nearly_full_at(&self, at_the_end: AtTheEnd) -> Percent {
        match at_the_end {
            AtTheEnd::Stop => self.warn,
            AtTheEnd::Overwrite => self.overwrite,
        }
    }

    /// The next state of alert 2's episode.
    ///
    /// `stuck` says that an overwrite could not free its share because what is left is locked.
    /// `lowered` says that this change freed space or granted more: only then can an episode end.
    pub fn nearly_full(&self, episode: Episode, space: &Space, stuck: bool, lowered: bool) -> (Episode, Step) {
        let threshold = self.nearly_full_at(space.at_the_end);
        let above = space.used.above(threshold, space.granted) && (space.at_the_end == AtTheEnd::Stop || stuck);
        let below = lowered && !space.used.above(threshold.lowered_by(self.rearm), space.granted);
        episode.step(above, below)
    }

    /// The next state of alert 1's episode: used has reached the space, or an upload was `refused`.
    /// Where the oldest files are overwritten only a refusal counts: a camera is not told to stop
    /// because of a moment before room is made.
    pub fn full(&self, episode: Episode, space: &Space, refused: bool, lowered: bool) -> (Episode, Step) {
        let reached = space.used >= space.granted && space.used > Bytes::ZERO;
        let above = refused || (reached && space.at_the_end == AtTheEnd::Stop);
        let below = lowered && !space.used.above(HUNDRED.lowered_by(self.rearm), space.granted);
        episode.step(above, below)
    }
}

// === impl Space ===

impl Space {
    /// Used and reserved together: what admission counts, and what 7.4 takes off.
    pub fn taken(&self) -> Bytes {
        self.used.saturating_add(self.reserved)
    }

    /// What 7.4 calls free, in bytes: never negative.
    pub fn free(&self) -> Bytes {
        self.granted.saturating_sub(self.taken())
    }

    /// Whether `len` more bytes may be reserved. Serves sections 3 and 6.9.
    pub fn admit(&self, len: Bytes) -> Admission {
        if len > self.granted {
            return Admission::LargerThanTheSpace;
        }
        let over = self.taken().saturating_add(len).saturating_sub(self.granted);
        if over == Bytes::ZERO {
            return Admission::Fits;
        }
        match self.at_the_end {
            AtTheEnd::Stop => Admission::Full,
            // Room that an overwrite can make, now or once the uploads under way are files.
            AtTheEnd::Overwrite if self.taken().saturating_sub(self.held) >= over => Admission::AfterFreeing(over),
            AtTheEnd::Overwrite => Admission::Full,
        }
    }
}

// === impl Episode ===

impl Episode {
    fn step(self, above: bool, below_rearm: bool) -> (Self, Step) {
        match (self, above, below_rearm) {
            (Self::Armed, true, _) => (Self::Open, Step::Raise),
            (Self::Open, false, true) => (Self::Armed, Step::Withdraw),
            (episode, _, _) => (episode, Step::Nothing),
        }
    }
}

/// The overwrites that a space sets off one after another until none is due: what each of its files, the oldest
/// unlocked one first, comes to.
#[derive(Clone, Debug)]
pub struct Overwrites {
    rules: Rules,
    space: Space,
    left: Bytes,
}

impl Overwrites {
    /// Of this space; `under_way` is what an overwrite that has begun has yet to free.
    pub fn new(rules: Rules, space: Space, under_way: Bytes) -> Self {
        let mut all = Self { rules, space, left: Bytes::ZERO };
        if space.at_the_end == AtTheEnd::Overwrite {
            all.left = under_way;
            all.look();
        }
        all
    }

    /// Whether the next file goes, which has so many bytes.
    pub fn takes(&mut self, size: Bytes) -> bool {
        if self.left == Bytes::ZERO {
            return false;
        }
        self.space.used = self.space.used.saturating_sub(size);
        self.left = self.left.saturating_sub(size);
        self.look();
        true
    }

    fn look(&mut self) {
        if self.left == Bytes::ZERO {
            self.left = self.rules.overwrite_now(&self.space).unwrap_or(Bytes::ZERO);
        }
    }
}

/// Takes the oldest first until `wanted` is freed; says what was taken and how much that frees.
pub fn plan_sweep<T>(wanted: Bytes, oldest_unlocked: impl IntoIterator<Item = (T, Bytes)>) -> (Vec<T>, Bytes) {
    let mut freed = Bytes::ZERO;
    let mut taken = Vec::new();
    let mut oldest = oldest_unlocked.into_iter();
    while freed < wanted {
        let Some((file, size)) = oldest.next() else { break };
        freed += size;
        taken.push(file);
    }
    (taken, freed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn space(granted: u64, used: u64, at_the_end: AtTheEnd) -> Space {
        Space { granted: Bytes::new(granted), used: Bytes::new(used), at_the_end, ..Space::default() }
    }

    #[test]
    fn ninety_percent_is_not_yet_over() {
        let rules = Rules::default();
        assert!(!rules.overwrite_is_due(&space(1000, 900, AtTheEnd::Overwrite)));
        assert!(rules.overwrite_is_due(&space(1000, 901, AtTheEnd::Overwrite)));
        assert!(!rules.overwrite_is_due(&space(1000, 1000, AtTheEnd::Stop)));
    }

    #[test]
    fn an_episode_is_raised_once_and_ends_five_points_below() {
        let rules = Rules::default();
        let at = |used, lowered, episode| rules.nearly_full(episode, &space(100, used, AtTheEnd::Stop), false, lowered);
        assert_eq!(at(80, false, Episode::Armed), (Episode::Armed, Step::Nothing));
        assert_eq!(at(81, false, Episode::Armed), (Episode::Open, Step::Raise));
        assert_eq!(at(99, false, Episode::Open), (Episode::Open, Step::Nothing));
        assert_eq!(at(76, true, Episode::Open), (Episode::Open, Step::Nothing));
        assert_eq!(at(75, true, Episode::Open), (Episode::Armed, Step::Withdraw));
    }

    #[test]
    fn a_refusal_opens_an_episode_that_only_freeing_ends() {
        let rules = Rules::default();
        let half = space(100, 60, AtTheEnd::Stop);
        assert_eq!(rules.full(Episode::Armed, &half, true, false), (Episode::Open, Step::Raise));
        assert_eq!(rules.full(Episode::Open, &half, false, false), (Episode::Open, Step::Nothing));
        assert_eq!(rules.full(Episode::Open, &half, false, true), (Episode::Armed, Step::Withdraw));
    }

    #[test]
    fn a_looping_sub_account_warns_only_when_stuck() {
        let rules = Rules::default();
        let s = space(100, 95, AtTheEnd::Overwrite);
        assert_eq!(rules.nearly_full(Episode::Armed, &s, false, false).1, Step::Nothing);
        assert_eq!(rules.nearly_full(Episode::Armed, &s, true, false).1, Step::Raise);
    }

    #[test]
    fn one_overwrite_follows_another_until_none_is_due() {
        let files = |granted, used, end, under_way| {
            let mut all = Overwrites::new(Rules::default(), space(granted, used, end), Bytes::new(under_way));
            (0..100).take_while(|_| all.takes(Bytes::new(10))).count()
        };
        // 20 % of the space, or what is above it where that is more.
        assert_eq!(files(1000, 901, AtTheEnd::Overwrite, 0), 20);
        assert_eq!(files(100, 500, AtTheEnd::Overwrite, 0), 40 + 2, "at 100 of 100 another is due");
        assert_eq!(files(1000, 900, AtTheEnd::Overwrite, 0), 0);
        assert_eq!(files(1000, 900, AtTheEnd::Overwrite, 35), 4, "what has begun comes to its end");
        assert_eq!(files(100, 500, AtTheEnd::Stop, 35), 0);
    }

    proptest! {
        #[test]
        fn what_is_admitted_never_passes_what_is_granted(granted in 0u64..1000, used in 0u64..1000, held in 0u64..1000, reserved in 0u64..1000, len in 0u64..1000, stop: bool) {
            let s = Space {
                granted: Bytes::new(granted), used: Bytes::new(used), held: Bytes::new(held.min(used)), reserved: Bytes::new(reserved),
                at_the_end: if stop { AtTheEnd::Stop } else { AtTheEnd::Overwrite },
            };
            match s.admit(Bytes::new(len)) {
                Admission::Fits => prop_assert!(used + reserved + len <= granted),
                Admission::AfterFreeing(n) => {
                    prop_assert!(!stop);
                    prop_assert!(n.get() <= used + reserved - held.min(used), "more than an overwrite can ever free");
                    prop_assert!(used + reserved + len - n.get() <= granted);
                    prop_assert!(n.get() > 0 && len <= granted);
                }
                Admission::Full => prop_assert!(used + reserved + len > granted && len <= granted),
                Admission::LargerThanTheSpace => prop_assert!(len > granted),
            }
        }

        #[test]
        fn a_sweep_takes_no_more_than_it_needs(wanted in 0u64..500, sizes in proptest::collection::vec(0u64..100, 0..20)) {
            let files: Vec<_> = sizes.iter().enumerate().map(|(i, &s)| (i, Bytes::new(s))).collect();
            let (taken, freed) = plan_sweep(Bytes::new(wanted), files);
            prop_assert_eq!(&taken, &(0..taken.len()).collect::<Vec<_>>(), "oldest first, none skipped");
            prop_assert_eq!(freed.get(), sizes[..taken.len()].iter().sum::<u64>());
            if taken.len() < sizes.len() {
                prop_assert!(freed.get() >= wanted);
            }
            if let Some(last) = taken.last() {
                prop_assert!(freed.get() - sizes[*last] < wanted, "one file less would have been enough");
            }
        }
    }
}
