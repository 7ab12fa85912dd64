//! Whom we believe when we are the client: platforms, and the servers of `sim` and `bench`.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};

use super::files::{BadFile, read, roots};
use super::{BlockingStream, ClientStream, provider, stream};

/// What a server's certificate is held against. Cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Why a file holds no roots.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] BadFile),
    /// There is no certificate in it, or one that cannot be read.
    #[error(
        "{0}: there is no certificate in it that can be believed; it must be PEM, with -----BEGIN CERTIFICATE-----"
    )]
    Nothing(String),
    /// TLS itself.
    #[error("{0}")]
    Tls(String),
}

impl Trust {
    /// The system's roots, and those of this file beside them.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no certificate in it. A system without roots is none.
    pub fn of_system_and(file: Option<&Path>) -> Result<Self, BadRoots> {
        let mut store = RootCertStore::empty();
        // A bundle of the system may hold what nobody can read any more; that is not this operator's affair.
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(&roots()).flatten());
        if let Some(path) = file {
            let nothing = || BadRoots::Nothing(path.display().to_string());
            let pem = read(path)?;
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let certificates = certificates.map_err(|_| nothing())?;
            if certificates.is_empty() {
                return Err(nothing());
            }
            for certificate in certificates {
                store.add(certificate).map_err(|_| nothing())?;
            }
        }
        let builder = builder()?;
        Ok(Self(Arc::new(builder.with_root_certificates(store).with_no_client_auth())))
    }

    /// Whoever answers is believed: for testers (`--insecure`), never for the appliance itself.
    ///
    /// # Errors
    ///
    /// TLS itself cannot be set up.
    pub fn anybody() -> Result<Self, BadRoots> {
        let verifier = Anybody(provider().signature_verification_algorithms);
        let builder = builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Self(Arc::new(builder.with_no_client_auth())))
    }

    /// Speaks TLS on a connection to this host (a name or an address).
    ///
    /// # Errors
    ///
    /// The server is not believed ([`why_untrusted`] says why), speaks no TLS, or goes away.
    pub async fn connect<T: AsyncRead + AsyncWrite + Unpin>(&self, host: &str, io: T) -> io::Result<ClientStream<T>> {
        stream::connect(&self.0, host, io).await
    }

    /// As [`Trust::connect`], for a client that waits.
    ///
    /// # Errors
    ///
    /// As [`Trust::connect`].
    pub fn connect_blocking(&self, host: &str, io: std::net::TcpStream) -> io::Result<BlockingStream> {
        stream::connect_blocking(&self.0, host, io)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder() -> Result<Builder, BadRoots> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    builder.map_err(|error| BadRoots::Tls(error.to_string()))
}

/// Why a handshake failed, in words for whoever runs the other side too; `None` where TLS is not to blame.
pub fn why_untrusted(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let words = match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has ended",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer => "its certificate is of nobody that is trusted here",
            _ => "its certificate cannot be trusted",
        },
        Error::AlertReceived(_) => "it refused the TLS handshake",
        Error::PeerIncompatible(_) => "it speaks neither TLS 1.2 nor 1.3",
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "it does not speak TLS"
        }
        _ => "the TLS handshake failed",
    };
    Some(words.to_owned())
}

/// Believes every certificate, but still wants its key used.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
