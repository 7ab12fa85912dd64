//! How a stranger looks at the certificate of a server that it calls over https.

use std::io;
use std::path::PathBuf;

use crate::tls::Trust;

/// Options of commands that call a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TrustOptions {
    /// With https: roots (PEM) to trust beside the system's; a self-signed certificate is its own
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// With https: believe whoever answers
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

impl TrustOptions {
    /// Whom these options trust.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no certificate in it.
    pub fn trust(&self) -> io::Result<Trust> {
        let trust = if self.insecure { Trust::anybody() } else { Trust::of_system_and(self.ca.as_deref()) };
        trust.map_err(io::Error::other)
    }
}
