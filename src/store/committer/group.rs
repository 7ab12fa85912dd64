//! A group: what is committed together, and what waits for it.

use std::sync::Arc;

use super::queue::{Failure, Reply};
use crate::store::buffer::Buffer;
use crate::store::catalog::Hold;
use crate::store::error::{Doing, StoreError};
use crate::store::volume::{Reservation, Volume};

/// An answer that waits for its group: it is given the group's failure, if there is one.
pub(super) type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// A group under way.
#[derive(Default)]
pub(super) struct Group {
    pub(super) frames: Vec<u8>,
    pub(super) runs: Vec<Run>,
    pub(super) keeps: Vec<(Reservation, u64)>,
    pub(super) holds: Vec<Hold>,
    pub(super) answers: Vec<Answer>,
    pub(super) bytes: u64,
    /// Sequence of the last change before the group.
    pub(super) after: u64,
}

/// How far a group is; what a refused command has put in behind it is taken out again.
pub(super) struct Mark {
    keeps: usize,
    runs: usize,
    /// Pieces of the last run.
    tail: usize,
    bytes: u64,
}

/// Pieces that go to one stretch of a volume, one behind the other.
pub(super) struct Run {
    pub(super) volume: Arc<Volume>,
    pub(super) offset: u64,
    pieces: Vec<Buffer>,
}

// === impl Group ===

impl Group {
    /// An answer, given once the group is durable. A failure of the store ends the group.
    pub(super) fn answer<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        answer: Result<T, Failure>,
    ) -> Result<(), StoreError> {
        match answer {
            Ok(value) => {
                self.answers.push(Box::new(move |error| {
                    // Whoever asked may be gone.
                    let _ = reply.send(error.map_or(Ok(value), |e| Err(Failure::Store(e.clone()))));
                }));
                Ok(())
            }
            Err(Failure::Store(StoreError::DiskFull)) => {
                let _ = reply.send(Err(Failure::Store(StoreError::DiskFull)));
                Ok(())
            }
            Err(Failure::Store(error)) => {
                let _ = reply.send(Err(Failure::Store(error.clone())));
                Err(error)
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
                Ok(())
            }
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            keeps: self.keeps.len(),
            runs: self.runs.len(),
            tail: self.runs.last().map_or(0, |run| run.pieces.len()),
            bytes: self.bytes,
        }
    }

    /// Gives the room of an upload back that failed half-way, and writes none of its records: a
    /// record that is found is one that happened.
    pub(super) fn undo<T>(&mut self, before: &Mark, answer: &Result<T, Failure>) {
        if answer.is_err() {
            self.keeps.truncate(before.keeps);
            self.runs.truncate(before.runs);
            if let Some(last) = self.runs.last_mut() {
                last.pieces.truncate(before.tail);
            }
            self.bytes = before.bytes;
        }
    }

    /// A piece to be written with the group, joined to the stretch before where it follows it.
    pub(super) fn write(&mut self, volume: &Arc<Volume>, offset: u64, piece: Buffer) {
        if let Some(last) = self.runs.last_mut()
            && last.volume.id == volume.id
            && last.offset + last.len() == offset
        {
            last.pieces.push(piece);
            return;
        }
        self.runs.push(Run { volume: Arc::clone(volume), offset, pieces: vec![piece] });
    }
}

// === impl Run ===

impl Run {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Writes it.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        let pieces: Vec<&[u8]> = self.pieces.iter().map(Buffer::bytes).collect();
        let written = self.volume.file.write_pieces_at(&pieces, self.offset);
        if written.is_err() {
            self.volume.fail();
        }
        written.doing(|| format!("write volume {}", self.volume.id))
    }
}
