//! TLS: who we are (certificates and keys), whom we believe (roots), and the streams between.
//!
//! The one room that names `rustls`: TLS 1.2 and 1.3 by `ring`, nothing older. Absent: sockets, limits and timeouts,
//! which are the listener's; which plane has which certificate, which is the configuration's.

mod either;
mod files;
mod identity;
mod self_signed;
mod stream;
mod trust;
mod x509;

use std::sync::Arc;

pub use either::MaybeTls;
pub use files::{BadFile, Whose, identity, roots};
pub use identity::{BadIdentity, Identity};
pub use self_signed::{BadSelfSigned, Came, Names, RENEW_DAYS, keep_or_make};
pub use stream::{Acceptor, BlockingStream, ClientStream, ServerStream, begins_tls};
pub use trust::{BadRoots, Trust, why_untrusted};
pub use x509::Facts;

/// What both sides compute with. Made once a configuration, never the process's default: nothing depends on what was
/// installed first.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
