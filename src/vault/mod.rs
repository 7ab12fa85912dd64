//! Secrets that must be recoverable but not readable at rest: the master key and what it seals.
//!
//! 8.1 sends account passwords and signatures need secret keys, so a hash will not do: both lie in
//! the index sealed with XChaCha20-Poly1305 under a key that is not in the index. Absent: what is
//! sealed and where it lies (`store`), and whether a missing key is a first start or a disaster.

pub mod keys;
pub mod master_key;
pub mod sealed;

pub use keys::Keys;
pub use master_key::MasterKey;

use std::io;

/// Why a key or a sealed secret is of no use.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be read or written.
    #[error("the master key file: {0}")]
    Io(#[from] io::Error),
    /// The key file is of a format that this program does not know.
    #[error("the master key file has format {0}; this program knows 1")]
    UnknownKeyFormat(u8),
    /// The key file was cut, changed, or is something else.
    #[error("the master key file is damaged, or is no master key file")]
    DamagedKey,
    /// There is a key already, and another would make all that it sealed unreadable.
    #[error("there is a master key already")]
    KeyExists,
    /// What was sealed is of a format that this program does not know.
    #[error("a secret is sealed with format {0}; this program knows 1")]
    UnknownSeal(u8),
    /// It was sealed under another master key: the key file is not the one of this index.
    #[error("a secret is sealed under master key {sealed:08x}, and this is master key {this:08x}")]
    OtherKey {
        /// The id of the key that sealed.
        sealed: u32,
        /// The id of the key at hand.
        this: u32,
    },
    /// It was cut, changed, or moved here from another row.
    #[error("a sealed secret is damaged or in the wrong place")]
    DamagedSeal,
}
