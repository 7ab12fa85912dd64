//! How long somebody waits who guesses passwords, secret keys or access keys, and what counts as one place.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// After how many failures one waits, how long, and when they are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failures that cost nothing: a hand slips.
    pub free: u32,
    /// The first wait; it doubles with each further failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// One failure is forgiven each time that this has passed.
    pub forgiven_every: Option<Duration>,
    /// So long after the last failure all of them are forgotten.
    pub forgotten_after: Duration,
}

/// Who signs in to a portal: a user's name from anywhere, and an address as a whole.
pub const USER: Patience =
    Patience { free: 5, first: Duration::from_secs(10), longest: HOUR, forgiven_every: None, forgotten_after: DAY };

/// One access key from one place.
pub const KEY: Patience = Patience {
    free: 10,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
    forgiven_every: None,
    forgotten_after: DAY,
};

/// One account's password from one place: the contract lets answers be late, but not be others, so that the longest
/// wait is one that a caller sits out.
pub const PASSWORD: Patience = Patience {
    free: 20,
    first: Duration::from_millis(250),
    longest: Duration::from_secs(1),
    forgiven_every: None,
    forgotten_after: DAY,
};

/// All keys and accounts from one place. What it forgives is more than one camera fails that was set up wrongly and
/// waits its turn as [`KEY`] has it.
pub const PLACE: Patience = Patience {
    free: 100,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forgiven_every: Some(Duration::from_secs(30)),
    forgotten_after: DAY,
};

/// Failures in a row, without a right one between, that cost nothing where the key or the password has been right
/// from the same place lately: there it is a client that signs one kind of request wrongly, and wants to be told so.
pub const PROVED_FREE: u32 = 50;

/// For so long what was right from a place counts for it.
pub const PROVED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

// === impl Patience ===

impl Patience {
    /// How long after the last of so many failures the next try may come.
    pub fn wait_after(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None | Some(0) => Duration::ZERO,
            Some(more) => self.first.saturating_mul(1 << (more - 1).min(20)).min(self.longest),
        }
    }

    /// How many of `failures` still count, so long after the last of them.
    pub fn left_of(&self, failures: u32, since: Duration) -> u32 {
        if since > self.forgotten_after {
            return 0;
        }
        let forgiven = self.forgiven_every.map_or(0, |every| since.as_millis() / every.as_millis().max(1));
        failures.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

/// The place that an address stands for: whoever has one address of IPv6 has its whole /64.
pub fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_waits_twice_as_long_each_time_but_never_for_ever() {
        assert_eq!([0, 1, 4, 5].map(|n| USER.wait_after(n)), [Duration::ZERO; 4]);
        assert_eq!([6, 7, 8].map(|n| USER.wait_after(n)), [10, 20, 40].map(Duration::from_secs));
        for patience in [USER, KEY, PASSWORD, PLACE] {
            assert_eq!([60 + patience.free, u32::MAX].map(|n| patience.wait_after(n)), [patience.longest; 2]);
        }
    }

    #[test]
    fn failures_are_forgiven_one_by_one_and_then_forgotten() {
        assert_eq!(PLACE.left_of(101, Duration::from_secs(29)), 101);
        assert_eq!(PLACE.left_of(101, Duration::from_secs(61)), 99);
        assert_eq!(PLACE.left_of(3, Duration::from_secs(3600)), 0);
        assert_eq!(KEY.left_of(11, DAY), 11);
        assert_eq!(KEY.left_of(11, DAY + Duration::from_secs(1)), 0);
    }

    #[test]
    fn one_camera_that_is_set_up_wrongly_never_slows_its_place() {
        // It tries again at once, all day: what it may try is told it, and counts for the place.
        let (mut now, mut key, mut of_place, mut last) = (0u64, 0, 0, 0u64);
        while now < 2 * 86_400 {
            of_place = PLACE.left_of(of_place, Duration::from_secs(now - last)) + 1;
            assert!(PLACE.wait_after(of_place).is_zero(), "after {now} s: {of_place}");
            (key, last) = (key + 1, now);
            now += KEY.wait_after(key).as_secs();
        }
        assert!(key > 500);
    }

    #[test]
    fn a_place_is_an_address_or_the_sixty_four_bits_that_one_line_is_given() {
        let of = |text: &str| place(text.parse().unwrap()).to_string();
        assert_eq!(of("10.1.2.3"), "10.1.2.3");
        assert_eq!(of("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
