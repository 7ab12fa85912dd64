//! Keys that were used lately, opened: to unseal one for each picture would be to unseal it a hundred
//! times a second.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Result;
use crate::domain::Secret;
use crate::wire::sig::Key;

/// Keys in memory; past it all are forgotten, and opened again as they are used.
const KEYS_MAX: usize = 65_536;

/// Opened keys, by access key.
#[derive(Default)]
pub(super) struct KeyRing(RwLock<HashMap<String, Opened>>);

struct Opened {
    /// The envelope.
    sealed: Vec<u8>,
    /// What was in it.
    key: Arc<Key>,
}

impl KeyRing {
    /// The key in the envelope `sealed`, which `unseal` opens where that was not done before. Another
    /// envelope under the same name is another key.
    pub(super) fn open(&self, name: &str, sealed: &[u8], unseal: impl FnOnce() -> Result<Secret>) -> Result<Arc<Key>> {
        // What is in it is whole, whoever panicked.
        if let Some(opened) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name)
            && opened.sealed == sealed
        {
            return Ok(Arc::clone(&opened.key));
        }
        let key = Arc::new(Key::new(unseal()?));
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(name.to_owned(), Opened { sealed: sealed.to_vec(), key: Arc::clone(&key) });
        Ok(key)
    }

    /// Forgets a key that is known no more.
    pub(super) fn forget(&self, name: &str) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(name);
        if known {
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_opened_once_and_another_one_again() {
        let ring = KeyRing::default();
        let opened = std::cell::Cell::new(0);
        let open = |sealed: &[u8], secret: &str| {
            let unseal = || {
                opened.set(opened.get() + 1);
                Ok(Secret::new(secret))
            };
            ring.open("AK", sealed, unseal).map(|key| key.secret().expose().to_owned()).ok()
        };
        assert_eq!(open(b"one", "first").as_deref(), Some("first"));
        assert_eq!(open(b"one", "first").as_deref(), Some("first"));
        assert_eq!(opened.get(), 1);
        assert_eq!(open(b"two", "second").as_deref(), Some("second"));
        ring.forget("AK");
        assert_eq!(open(b"two", "second").as_deref(), Some("second"));
        assert_eq!(opened.get(), 3);
    }
}
