//! What can go wrong below the engine.

use std::io;

use super::codec::Malformed;

/// A failure of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no. The store does not go on as if nothing had happened.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, present tense.
        doing: String,
        /// What the system said.
        source: std::sync::Arc<io::Error>,
    },
    /// The index said no.
    #[error("index: {0}")]
    Index(String),
    /// Bytes are not what their format says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Bytes are not those that were stored; they are not given out.
    #[error("damaged: {0}")]
    Damaged(String),
    /// No disk has room above its reserve.
    #[error("no disk has room above its reserve")]
    DiskFull,
    /// The disk that has these bytes is dead or does not read them.
    #[error("{0}")]
    Unreadable(String),
    /// An earlier failure stopped the store; nothing is acknowledged any more.
    #[error("the store has stopped after a failure: {0}")]
    Stopped(String),
    /// More work is waiting than can be held.
    #[error("too many changes are waiting")]
    Queue,
    /// The data directory is not one that this program may start on; the text says what to do.
    #[error("{0}")]
    Unusable(String),
}

/// Names what was being done when the disk said no.
pub trait Doing<T> {
    /// Adds the words.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StoreError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { doing: what(), source: source.into() })
    }
}

macro_rules! from_redb {
    ($($kind:ty),*) => {$(
        impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                Self::Index(error.to_string())
            }
        }
    )*};
}
from_redb!(
    redb::Error,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError
);
