//! Full disks: why no upload is taken, and when they are taken again.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Volumes;
use super::writer::INLINE_MAX;
use crate::world::ballast::{Ballast, Held};

impl Volumes {
    /// Takes no uploads while one of these is spent: what is left of the disk is for what makes room.
    pub fn spare(self, spare: Vec<Ballast>) -> Self {
        Self { spare, ..self }
    }

    /// Whether room that was held back is given up.
    pub(super) fn is_spent(&self) -> bool {
        self.spare.iter().any(Ballast::is_spent)
    }

    /// What is held back for full disks, the index's first.
    pub fn held(&self) -> Vec<Held> {
        self.spare.iter().map(Ballast::look).collect()
    }

    /// Why no upload finds room, for operators; `None` while they do.
    pub fn no_room(&self) -> Option<String> {
        if let Some(spent) = self.spare.iter().find(|spare| spare.is_spent()).map(Ballast::look) {
            return Some(format!(
                "the disk of {} is full, {} of {} bytes held back there are left; make room: they come back once it has {} free",
                spent.path.display(),
                spent.held,
                spent.bytes,
                spent.bytes.saturating_mul(2).saturating_sub(spent.held)
            ));
        }
        // What an active volume has set aside is room, too.
        let set_aside: Vec<u64> =
            self.room().active.iter().map(|active| active.as_ref().map_or(0, |a| a.allocated - a.tail)).collect();
        let full = |(dir, &aside): (usize, &u64)| {
            aside <= INLINE_MAX && self.free(dir).is_ok_and(|(free, reserve)| free <= reserve)
        };
        set_aside
            .iter()
            .enumerate()
            .all(full)
            .then(|| "no disk of storage.volumes has room above storage.reserve; make room, or lower it".to_owned())
    }

    /// Takes back what was held, where there is room again, and tells the log what has changed for uploads. Blocks.
    pub fn look_for_room(&self) {
        for spare in &self.spare {
            spare.come_back();
        }
        self.say(self.no_room().as_deref());
    }

    /// Tells the log what has changed since it was told last.
    pub(super) fn say(&self, no_room: Option<&str>) {
        match (no_room, self.said_full.swap(no_room.is_some(), Ordering::AcqRel)) {
            (Some(why), false) => tracing::error!(why, "uploads get 503: the disk is full"),
            (None, true) => tracing::info!("there is room on the disks again; uploads are taken"),
            _ => {}
        }
    }

    /// Another part of each disk is free space that uploads may not touch.
    pub fn set_reserve(&self, reserve: crate::config::Reserve) {
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = reserve;
    }
}
