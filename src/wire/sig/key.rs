//! A secret key, and what was last derived from it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::canonical::Scope;
use crate::domain::Secret;

/// A secret key. A camera signs all day for the same day and region: the signing key of version 4 is
/// derived once.
pub struct Key {
    secret: Secret,
    derived: Mutex<Option<(Scope, Zeroizing<[u8; 32]>)>>,
}

/// What is derived from it signs for a day: it is not printed either.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl Key {
    /// The key with this secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret, derived: Mutex::new(None) }
    }

    /// The secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The signing key for `scope`.
    pub(super) fn signing(&self, scope: &Scope) -> [u8; 32] {
        // What is in it is whole, whoever panicked.
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        match &*derived {
            Some((of, key)) if of == scope => **key,
            _ => {
                let key = scope.key(&self.secret);
                *derived = Some((scope.clone(), Zeroizing::new(key)));
                key
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_key_nor_what_is_derived_from_it_is_printed() {
        let key = Key::new(Secret::new("hunter2"));
        key.signing(&Scope { date: "20140328".to_owned(), region: "kandian".to_owned() });
        assert_eq!(format!("{key:?}"), "[key]");
    }

    #[test]
    fn another_day_or_region_has_another_signing_key() {
        let scope = |date: &str, region: &str| Scope { date: date.to_owned(), region: region.to_owned() };
        let key = Key::new(Secret::new("sk"));
        for (date, region) in
            [("20140328", "kandian"), ("20140328", "kandian"), ("20140329", "kandian"), ("20140329", "us-east-1")]
        {
            let scope = scope(date, region);
            assert_eq!(key.signing(&scope), scope.key(&Secret::new("sk")), "{date} {region}");
        }
    }
}
