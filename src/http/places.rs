//! How many may be connected at once, and who makes room for whom.
//!
//! A connection without a request under way is quiet: nothing was said yet, a head is not whole, or
//! the last answer is taken and the next request has not begun. Where every place is taken, the one
//! that has been quiet longest leaves for the newcomer, who was served before leaves later. Whoever comes with a request is served, however
//! many there are that say nothing; a request under way is never cut for it.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::io::Traffic;
use super::serve::Accept;
use super::{Limits, LiveRouter};
use crate::telemetry::Plane;

/// Those that have been quiet longest are looked for so many at a time, and an eighth of all at most: a look goes over all
/// places, and who falls silent after it is not in it.
const LEAVING_AT_A_LOOK: usize = 64;
/// Where everybody has a request under way, how long until it is looked again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The places of a plane.
pub(super) struct Places {
    plane: Arc<Plane>,
    count: usize,
    free: Arc<Semaphore>,
    began: Instant,
    next: AtomicU64,
    seated: Mutex<HashMap<u64, Arc<Traffic>>>,
    /// The quietest of the last look, the quietest last, with when they fell silent.
    quiet: Mutex<Vec<(u64, Arc<Traffic>)>>,
    /// Whether operators have been told that all places are taken.
    said_full: AtomicBool,
}

/// A connection's place, until it is dropped.
pub(super) struct Seat {
    places: Arc<Places>,
    number: u64,
    pub(super) traffic: Arc<Traffic>,
    _place: OwnedSemaphorePermit,
}

/// A descriptor that is held for the time when there is no other: with it a client that cannot be
/// served is at least told so.
pub(super) struct Spare(Option<OwnedFd>);

impl Places {
    pub(super) fn new(plane: &Arc<Plane>, count: usize) -> Arc<Self> {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            plane: Arc::clone(plane),
            count,
            free: Arc::new(Semaphore::new(count)),
            began: Instant::now(),
            next: AtomicU64::new(0),
            seated: Mutex::default(),
            quiet: Mutex::default(),
            said_full: AtomicBool::new(false),
        })
    }

    /// A place; where there is none, the first that somebody leaves. `None` never comes while the plane runs.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Seat> {
        let place = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(place) => {
                if self.free.available_permits() > self.count / 4 {
                    self.said_full.store(false, Ordering::Relaxed);
                }
                place
            }
            Err(_) => self.wait().await?,
        };
        let traffic = Arc::new(Traffic::new(self.began));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.seated().insert(number, Arc::clone(&traffic));
        Some(Seat { places: Arc::clone(self), number, traffic, _place: place })
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        if !self.said_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                plane = self.plane.name(),
                connections = self.count,
                "every place is taken; connections that say nothing make room for new ones"
            );
        }
        loop {
            self.make_room();
            let place = Arc::clone(&self.free).acquire_owned();
            if let Ok(place) = tokio::time::timeout(LOOK_AGAIN, place).await {
                return place.ok();
            }
        }
    }

    /// Lets the connection that has been quiet longest go; whether there was one.
    pub(super) fn make_room(&self) -> bool {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some((since, traffic)) = quiet.pop() {
                if traffic.leave(since) {
                    self.plane.made_room();
                    return true;
                }
            }
            *quiet = self.quietest();
            if quiet.is_empty() {
                return false;
            }
        }
    }

    fn quietest(&self) -> Vec<(u64, Arc<Traffic>)> {
        let seated = self.seated();
        let mut found: Vec<_> =
            seated.iter().filter_map(|(number, traffic)| Some((traffic.quiet_since()?, *number))).collect();
        let most = LEAVING_AT_A_LOOK.min(found.len() / 8).max(1);
        if found.len() > most {
            found.select_nth_unstable(most - 1);
            found.truncate(most);
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.into_iter().filter_map(|(since, number)| Some((since, Arc::clone(seated.get(&number)?)))).collect()
    }

    fn seated(&self) -> MutexGuard<'_, HashMap<u64, Arc<Traffic>>> {
        // Whole after every change: each is one call.
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self.places.seated();
        seated.remove(&self.number);
        // After a flood the table is as small as before it.
        if seated.capacity() > 1024 && seated.len() < seated.capacity() / 8 {
            seated.shrink_to(1024);
        }
    }
}

impl Spare {
    pub(super) fn new(listener: &impl AsFd) -> Self {
        Self(listener.as_fd().try_clone_to_owned().ok())
    }

    /// Takes the next connection and closes it.
    pub(super) fn turn_away(&mut self, listener: &impl Accept, limits: &Limits, router: &LiveRouter) {
        drop(self.0.take());
        // Somebody waits, or accepting had not failed: nothing is waited for here.
        drop(listener.accept(limits, router).now_or_never());
        *self = Self::new(listener);
    }
}

/// Whether the process (EMFILE, 24) or the whole system (ENFILE, 23) has no descriptor left.
pub(super) fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::io::UnderWay;
    use crate::telemetry::Metrics;

    fn places(count: usize) -> Arc<Places> {
        Places::new(&Metrics::default().s3, count)
    }

    async fn take(places: &Arc<Places>, quiet_from: u64) -> Seat {
        let seat = places.take().await.expect("a place");
        seat.traffic.quiet_from(quiet_from);
        seat
    }

    #[tokio::test]
    async fn the_one_that_has_been_quiet_longest_leaves() {
        let places = places(200);
        let mut seats = Vec::new();
        for n in 0..200 {
            seats.push(take(&places, 10 * n).await);
        }
        let talking = UnderWay::begin(&seats[0].traffic);
        drop(UnderWay::begin(&seats[1].traffic));
        seats[1].traffic.quiet_from(5000);
        let mut left = Vec::new();
        while places.make_room() {
            let gone: Vec<_> = (0..200).filter(|&n| seats[n].traffic.is_leaving() && !left.contains(&n)).collect();
            assert_eq!(gone.len(), 1, "one at a time");
            left.extend(gone);
        }
        let expected: Vec<_> = (2..200).chain([1]).collect();
        assert_eq!(left, expected, "those with requests under way stay");
        drop(talking);
    }

    #[tokio::test]
    async fn who_says_something_in_the_last_moment_stays() {
        let places = places(3);
        let seats = [take(&places, 1).await, take(&places, 2).await, take(&places, 3).await];
        assert!(places.make_room() && seats[0].traffic.is_leaving());
        let _talks = UnderWay::begin(&seats[1].traffic);
        assert!(places.make_room());
        assert!(!seats[1].traffic.is_leaving() && seats[2].traffic.is_leaving());
        assert!(!places.make_room());
    }

    #[tokio::test]
    async fn a_flood_gives_way_to_itself_before_it_takes_the_place_of_who_was_served() {
        let places = places(100);
        let camera = take(&places, 0).await;
        camera.traffic.serve();
        camera.traffic.quiet_from(0);
        let mut flood = Vec::new();
        for n in 0..99 {
            flood.push(take(&places, 100 * n).await);
        }
        for _ in 0..99 {
            assert!(places.make_room() && !camera.traffic.is_leaving());
        }
        assert!(places.make_room() && camera.traffic.is_leaving());
    }

    #[tokio::test]
    async fn who_cannot_be_served_is_told_so_by_the_spare_descriptor() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut client =
            tokio::net::TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let mut spare = Spare::new(&listener);
        assert!(spare.0.is_some());
        while client.try_read(&mut [0; 8]).is_err() {
            spare.turn_away(&listener, &Limits::default(), &axum::Router::new().into());
            tokio::task::yield_now().await;
        }
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert!(spare.0.is_some(), "there is one for the next time");
        for (code, is) in [(23, true), (24, true), (104, false)] {
            assert_eq!(is_out_of_descriptors(&std::io::Error::from_raw_os_error(code)), is, "{code}");
        }
    }

    #[tokio::test]
    async fn a_newcomer_waits_while_everybody_is_served() {
        let places = places(1);
        let only = places.take().await.expect("a place");
        let talks = UnderWay::begin(&only.traffic);
        let mut newcomer = std::pin::pin!(places.take());
        assert!(newcomer.as_mut().now_or_never().is_none());
        drop(talks);
        only.traffic.fell_quiet();
        let leaves = async {
            while !only.traffic.is_leaving() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(only);
        };
        let (newcomer, ()) = tokio::join!(newcomer, leaves);
        assert!(newcomer.is_some());
    }
}
