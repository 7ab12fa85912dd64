//! Records that are being read: they are not punched before their readers are done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ObjectId;

/// How often each record is being read now.
#[derive(Debug, Default)]
pub struct Pins(Mutex<HashMap<ObjectId, usize>>);

/// Keeps records from being punched until it is dropped.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    ids: Vec<ObjectId>,
}

impl Pins {
    /// Pins records. Whoever pins looks afterwards whether they are still in the index: what is
    /// then there cannot be punched before the pin goes.
    pub fn pin(self: &Arc<Self>, ids: Vec<ObjectId>) -> Pin {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &ids {
            *pinned.entry(*id).or_default() += 1;
        }
        Pin { pins: Arc::clone(self), ids }
    }

    /// Whether a record is being read.
    pub fn is_pinned(&self, id: ObjectId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pins.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &self.ids {
            if let Some(count) = pinned.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    pinned.remove(id);
                }
            }
        }
    }
}
