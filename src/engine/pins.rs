//! Records that are being read: they are not punched before their readers are done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ObjectId;

/// What is being read now.
#[derive(Debug, Default)]
pub struct Pins(Mutex<Pinned>);

#[derive(Debug, Default)]
struct Pinned {
    /// How often each record is being read.
    readers: HashMap<ObjectId, usize>,
    /// How often it was decided what is punched.
    decisions: u64,
}

/// Between two decisions of what is punched: what is in the index now can be pinned until the next.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

/// Keeps records from being punched until it is dropped.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    ids: Vec<ObjectId>,
}

impl Pins {
    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now. Whoever will pin takes this first, and looks into the index then.
    pub fn now(&self) -> Moment {
        Moment(self.pinned().decisions)
    }

    /// Pins records that were in the index after `since`. `None` where it was decided meanwhile what
    /// is punched: these may be among it, and are to be looked up again.
    pub fn pin(self: &Arc<Self>, ids: Vec<ObjectId>, since: Moment) -> Option<Pin> {
        let mut pinned = self.pinned();
        if pinned.decisions != since.0 {
            return None;
        }
        for id in &ids {
            *pinned.readers.entry(*id).or_default() += 1;
        }
        drop(pinned);
        Some(Pin { pins: Arc::clone(self), ids })
    }

    /// Decides what is punched: those of `dead`, which are out of the index already, that nobody reads.
    pub fn let_go<T>(&self, dead: Vec<T>, id: impl Fn(&T) -> ObjectId) -> Vec<T> {
        let mut pinned = self.pinned();
        pinned.decisions += 1;
        dead.into_iter().filter(|one| !pinned.readers.contains_key(&id(one))).collect()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pins.pinned();
        for id in &self.ids {
            if let Some(count) = pinned.readers.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    pinned.readers.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_passed_over_and_what_may_be_gone_is_not_pinned() {
        let pins = Arc::new(Pins::default());
        let (one, other) = (ObjectId::new(1), ObjectId::new(2));
        let early = pins.now();
        let pin = pins.pin(vec![one], early).expect("nothing was decided");
        assert_eq!(pins.let_go(vec![one, other], |id| *id), [other]);
        assert!(pins.pin(vec![other], early).is_none(), "it may be gone");
        assert!(pins.pin(vec![other], pins.now()).is_some());
        drop(pin);
        assert_eq!(pins.let_go(vec![one], |id| *id), [one]);
    }
}
