//! Who may take how much of what all keys share: requests under way, and memory that they fill.

/// How much there is, and how much of it one key may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// For all keys together.
    pub all: u64,
    /// For one of them.
    pub one: u64,
}

impl Share {
    /// Whether a key that has `own` may take `want` more, where all keys together have `taken`.
    ///
    /// Besides its own limit a key may have as much as it leaves free: one greedy key comes to a half, two come to
    /// a third each, and however many there are, something is left for a key that has nothing yet. Nothing has to
    /// be set aside for keys that are not there (the dynamic thresholds of switches with shared memory).
    pub fn admits(&self, own: u64, taken: u64, want: u64) -> bool {
        own.saturating_add(want) <= self.one.min(self.all.saturating_sub(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much each of `keys` has when all of them take what they get.
    fn greedy(share: Share, keys: usize) -> Vec<u64> {
        let mut had = vec![0; keys];
        for _ in 0..share.all {
            for key in 0..keys {
                let taken = had.iter().sum();
                had[key] += u64::from(share.admits(had[key], taken, 1));
            }
        }
        had
    }

    #[test]
    fn a_greedy_key_leaves_as_much_as_it_has() {
        let share = Share { all: 100, one: 100 };
        assert_eq!(greedy(share, 1), [50]);
        assert_eq!(greedy(share, 3), [25, 25, 25]);
        assert_eq!(greedy(Share { one: 10, ..share }, 2), [10, 10]);
    }

    #[test]
    fn a_key_that_has_nothing_gets_the_last_one() {
        let share = Share { all: 100, one: 100 };
        assert!(share.admits(0, 99, 1));
        assert!(!share.admits(1, 99, 1));
        assert!(!share.admits(0, 100, 1));
        assert_eq!(greedy(share, 100), [1; 100], "as many keys as places: one each");
    }

    #[test]
    fn nothing_overflows() {
        let share = Share { all: u64::MAX, one: u64::MAX };
        assert!(!share.admits(u64::MAX, u64::MAX, u64::MAX));
    }
}
