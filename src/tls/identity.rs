//! Who we are towards clients: a chain of certificates and the key of the first.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerConfig;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::x509::Facts;
use super::{Acceptor, provider};

/// A certificate that a listener can show, with its key. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    facts: Arc<Facts>,
    certificates: Arc<[CertificateDer<'static>]>,
    server: Arc<ServerConfig>,
}

/// Why a chain and a key are none of ours. The words say what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// There is no certificate.
    #[error("there is no certificate in it; it must be PEM, with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// It is a certificate, but not as text.
    #[error("it is DER, not PEM; openssl x509 -inform der -in FILE -out FILE.pem makes it so")]
    Der,
    /// The text between the lines is no certificate.
    #[error("the certificate in it cannot be read")]
    UnreadableCertificate,
    /// There is no key.
    #[error("there is no private key in it; it must be PEM, with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// The key is there, but only for who knows a passphrase.
    #[error("the key in it is encrypted; openssl pkey -in FILE -out FILE.plain writes it without its passphrase")]
    EncryptedKey,
    /// The text between the lines is no key, or one that we cannot use.
    #[error("the key in it cannot be used; it must be RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519")]
    UnusableKey,
    /// The key is another certificate's.
    #[error("the key is not the one of the certificate; its public half is another")]
    NotThePair,
    /// Whatever else.
    #[error("certificate and key cannot be used: {0}")]
    Other(String),
}

impl BadIdentity {
    /// Whether it is the key that is at fault, not the certificate.
    pub fn is_of_the_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::EncryptedKey | Self::UnusableKey | Self::NotThePair)
    }
}

impl Identity {
    /// From PEM; the first certificate is ours, those behind it lead to its root.
    ///
    /// # Errors
    ///
    /// One of them cannot be read or used, or they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, BadIdentity> {
        let certificates = read_certificates(certificates)?;
        let facts = certificates.first().and_then(|first| Facts::of(first));
        let facts = facts.ok_or(BadIdentity::UnreadableCertificate)?;
        let key = read_key(key)?;
        let provider = provider();
        let certified = CertifiedKey::from_der(certificates.clone(), key, &provider).map_err(unusable)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        // Cameras come again and again: a ticket saves them a handshake, and us a signature.
        server.ticketer = rustls::crypto::ring::Ticketer::new().map_err(other)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        Ok(Self { facts: Arc::new(facts), certificates: certificates.into(), server: Arc::new(server) })
    }

    /// What operators are told of the certificate.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What takes connections as this.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor::new(Arc::clone(&self.server))
    }

    /// The chain as PEM, without the key.
    pub fn to_pem(&self) -> String {
        use base64::Engine;
        let mut text = String::new();
        for certificate in self.certificates.iter() {
            let encoded = base64::engine::general_purpose::STANDARD.encode(certificate);
            text.push_str("-----BEGIN CERTIFICATE-----\n");
            for line in encoded.as_bytes().chunks(64) {
                text.push_str(&String::from_utf8_lossy(line));
                text.push('\n');
            }
            text.push_str("-----END CERTIFICATE-----\n");
        }
        text
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.facts.fingerprint)
    }
}

impl PartialEq for Identity {
    /// The same chain. The key of a certificate is always the same.
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) if Facts::of(pem).is_some() => Err(BadIdentity::Der),
        Ok(_) => Err(BadIdentity::NoCertificate),
        Err(_) => Err(BadIdentity::UnreadableCertificate),
    }
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, BadIdentity> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) if is_encrypted(pem) => {
            drop(key);
            Err(BadIdentity::EncryptedKey)
        }
        Ok(key) => Ok(key),
        Err(_) if is_encrypted(pem) => Err(BadIdentity::EncryptedKey),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(BadIdentity::NoKey),
        Err(_) => Err(BadIdentity::UnusableKey),
    }
}

/// PKCS #8 says it in its first line, the older kind in a header below it.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn unusable(error: Error) -> BadIdentity {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => BadIdentity::NotThePair,
        Error::InvalidCertificate(_) => BadIdentity::UnreadableCertificate,
        // What a key is refused with.
        Error::General(_) => BadIdentity::UnusableKey,
        error => other(error),
    }
}

fn other(error: Error) -> BadIdentity {
    BadIdentity::Other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["box.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn refused(certificates: &str, key: &str) -> BadIdentity {
        Identity::from_pem(certificates.as_bytes(), key.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_pair_is_taken_and_its_chain_is_written_as_it_was_read() {
        let (certificate, key) = pair();
        let (issuer, _) = pair();
        let chain = certificate + &issuer;
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(identity.facts().names, ["box.example"]);
        assert_eq!(identity.to_pem().replace('\r', ""), chain.replace('\r', ""));
        assert!(!format!("{identity:?}").contains("KEY"));
        // Both in one file, as some write it.
        let both = format!("{key}{chain}");
        assert!(Identity::from_pem(both.as_bytes(), both.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_told() {
        let ((certificate, key), (other, other_key)) = (pair(), pair());
        assert_eq!(refused(&certificate, &other_key), BadIdentity::NotThePair);
        assert_eq!(refused(&other, &key), BadIdentity::NotThePair);
        assert_eq!(refused("", &key), BadIdentity::NoCertificate);
        assert_eq!(refused(&key, &key), BadIdentity::NoCertificate);
        assert_eq!(refused(&certificate, ""), BadIdentity::NoKey);
        assert_eq!(refused(&certificate, &certificate), BadIdentity::NoKey);
        let encrypted = key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
        assert_eq!(refused(&certificate, &encrypted), BadIdentity::EncryptedKey);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(refused(&certificate, old), BadIdentity::EncryptedKey);
        let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(refused(&certificate, garbage), BadIdentity::UnusableKey);
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(garbage, &key), BadIdentity::UnreadableCertificate);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        assert_eq!(Identity::from_pem(&der, key.as_bytes()).unwrap_err(), BadIdentity::Der);
    }
}
