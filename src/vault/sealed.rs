//! Sealing: format byte, key id, nonce, then XChaCha20-Poly1305 of the secret.
//!
//! ```text
//! offset  size
//!      0     1  format, 1
//!      1     4  key id, little-endian
//!      5    24  nonce, random
//!     29     n  ciphertext
//!   29+n    16  tag, over format, key id, context and ciphertext
//! ```

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{MasterKey, VaultError};
use crate::domain::Secret;
use crate::world::Entropy;

const FORMAT: u8 = 1;
const HEAD: usize = 5;
const NONCE: usize = 24;

impl MasterKey {
    /// Seals `plain` so that only this key opens it, and only in this context (table and key of its
    /// row: a seal that is moved to another row does not open there).
    pub fn seal(&self, entropy: &dyn Entropy, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let [a, b, c, d] = self.id().to_le_bytes();
        let head = [FORMAT, a, b, c, d];
        let nonce: [u8; NONCE] = entropy.bytes();
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &associated(&head, context) })
            .expect("the cipher refuses only what is longer than 256 GiB");
        [head.as_slice(), &nonce, &sealed].concat()
    }

    /// What was sealed in this context.
    ///
    /// # Errors
    ///
    /// It was sealed under another key, in another context or format, or was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let format = *sealed.first().ok_or(VaultError::DamagedSeal)?;
        if format != FORMAT {
            return Err(VaultError::UnknownSeal(format));
        }
        let (head, rest) = sealed.split_first_chunk::<HEAD>().ok_or(VaultError::DamagedSeal)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(VaultError::DamagedSeal)?;
        let [_, id @ ..] = *head;
        let id = u32::from_le_bytes(id);
        if id != self.id() {
            return Err(VaultError::OtherKey { sealed: id, this: self.id() });
        }
        let payload = Payload { msg: ciphertext, aad: &associated(head, context) };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::DamagedSeal)?;
        Ok(Zeroizing::new(plain))
    }

    /// The id of the key under which this is sealed; `None` where it is no seal.
    pub fn id_of(sealed: &[u8]) -> Option<u32> {
        let [_, id @ ..] = *sealed.first_chunk::<HEAD>()?;
        Some(u32::from_le_bytes(id))
    }

    /// As [`MasterKey::seal`], of a password or a secret key.
    pub fn seal_secret(&self, entropy: &dyn Entropy, context: &[u8], secret: &Secret) -> Vec<u8> {
        self.seal(entropy, context, secret.expose().as_bytes())
    }

    /// As [`MasterKey::open`], of a password or a secret key.
    ///
    /// # Errors
    ///
    /// As [`MasterKey::open`].
    pub fn open_secret(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, VaultError> {
        let plain = self.open(context, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::DamagedSeal)?;
        Ok(Secret::new(text))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes().into())
    }
}

fn associated(head: &[u8; HEAD], context: &[u8]) -> Vec<u8> {
    [head, context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::SeededEntropy;
    use proptest::prelude::{any, prop, proptest};

    const ROW: &[u8] = b"account_secrets/1";

    fn key(seed: u64) -> (MasterKey, SeededEntropy) {
        let entropy = SeededEntropy::new(seed);
        (MasterKey::generate(&entropy), entropy)
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(plain in prop::collection::vec(any::<u8>(), 0..200), context: Vec<u8>) {
            let (key, entropy) = key(1);
            let sealed = key.seal(&entropy, &context, &plain);
            assert_eq!(sealed.len(), HEAD + NONCE + plain.len() + 16);
            assert_eq!(*key.open(&context, &sealed).unwrap(), plain);
        }

        #[test]
        fn garbage_opens_nothing_and_breaks_nothing(garbage: Vec<u8>) {
            assert!(key(1).0.open(ROW, &garbage).is_err());
        }
    }

    #[test]
    fn the_cipher_is_the_published_one() {
        // draft-irtf-cfrg-xchacha-03, A.3.1.
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key: [u8; 32] =
            bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f").try_into().unwrap();
        let nonce: [u8; 24] = bytes("404142434445464748494a4b4c4d4e4f5051525354555657").try_into().unwrap();
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
        let aad = bytes("50515253c0c1c2c3c4c5c6c7");
        let sealed = XChaCha20Poly1305::new(&key.into())
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .unwrap();
        assert_eq!(hex::encode(&sealed[..16]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(hex::encode(&sealed[sealed.len() - 16..]), "c0875924c1c7987947deafd8780acf49");
    }

    #[test]
    fn a_seal_opens_in_its_own_row_only() {
        let (key, entropy) = key(1);
        let sealed = key.seal(&entropy, ROW, b"password");
        assert!(matches!(key.open(b"account_secrets/2", &sealed), Err(VaultError::DamagedSeal)));
        assert!(key.open(ROW, &sealed).is_ok());
    }

    #[test]
    fn a_seal_that_was_cut_or_changed_anywhere_does_not_open() {
        let (key, entropy) = key(1);
        let sealed = key.seal(&entropy, ROW, b"password");
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 0x10;
            assert!(key.open(ROW, &flipped).is_err(), "byte {at}");
            assert!(key.open(ROW, &sealed[..at]).is_err(), "cut at {at}");
        }
        let mut later = sealed;
        later[0] = 2;
        assert!(matches!(key.open(ROW, &later), Err(VaultError::UnknownSeal(2))));
    }

    #[test]
    fn another_key_does_not_open_it_and_says_which_key_would() {
        let ((key, entropy), (other, _)) = (key(1), key(2));
        let sealed = key.seal(&entropy, ROW, b"password");
        let error = other.open(ROW, &sealed).unwrap_err();
        assert!(matches!(error, VaultError::OtherKey { sealed, this } if sealed == key.id() && this == other.id()));
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let (key, entropy) = key(1);
        assert_ne!(key.seal(&entropy, ROW, b"password"), key.seal(&entropy, ROW, b"password"));
    }

    #[test]
    fn a_secret_comes_back_as_one() {
        let (key, entropy) = key(1);
        let sealed = key.seal_secret(&entropy, ROW, &Secret::new("密码 hunter2"));
        assert!(key.open_secret(ROW, &sealed).unwrap().matches("密码 hunter2"));
        let no_text = key.seal(&entropy, ROW, &[0xff, 0xfe]);
        assert!(matches!(key.open_secret(ROW, &no_text), Err(VaultError::DamagedSeal)));
    }
}
