//! Whom the load is put on: an endpoint that was named, a server of our own, or the reference server.

use std::io;
use std::path::{Path, PathBuf};

use super::BenchOptions;
use super::request::{Identity, Signing};
use crate::domain::{BucketName, Secret};
use crate::sim::client::Endpoint;
use crate::sim::own_server::{OwnAccount, OwnServer};
use crate::tls::Trust;

/// A server, and as whom it is called.
pub(super) struct Target {
    /// `host:port`, to connect to.
    pub(super) address: String,
    /// With https: whom to trust, and what it is called.
    pub(super) tls: Option<(Trust, String)>,
    pub(super) identity: Identity,
    pub(super) bucket: String,
    /// Its processes, where they are on this machine.
    pub(super) pids: Vec<u32>,
    /// A directory on the disk that it writes to.
    pub(super) dir: Option<PathBuf>,
}

impl Target {
    /// The endpoint of the command line.
    pub(super) fn given(options: &BenchOptions, endpoint: &str) -> io::Result<Self> {
        let unsigned = (options.signing == Signing::None).then(|| "none".to_owned());
        let access_key = options.access_key.clone().or_else(|| unsigned.clone());
        let secret = options.secret_key.clone().or(unsigned);
        let (Some(access_key), Some(secret), Some(bucket)) = (access_key, secret, &options.bucket) else {
            return Err(io::Error::other("--endpoint wants --bucket, and --access-key and --secret-key to sign with"));
        };
        let bucket: BucketName = bucket.parse().map_err(io::Error::other)?;
        let endpoint = Endpoint::parse(endpoint)?;
        let tls = if endpoint.is_secured() { Some((options.trust.trust()?, endpoint.name().to_owned())) } else { None };
        Ok(Self {
            tls,
            address: endpoint.address().to_owned(),
            identity: Identity {
                host: endpoint.host().to_owned(),
                access_key: access_key.parse().map_err(io::Error::other)?,
                secret: Secret::new(secret),
                region: options.region.clone(),
                signing: options.signing,
            },
            bucket: bucket.to_string(),
            pids: options.server_pid.clone(),
            dir: options.dir.clone(),
        })
    }

    /// A new sub-account of this many GB on a server of our own.
    pub(super) async fn own(
        options: &BenchOptions,
        server: &OwnServer,
        account: &OwnAccount,
        dir: &Path,
    ) -> io::Result<Self> {
        let sub_account = account.platform()?.open_sub_account(options.space).await?;
        // A server that we have started ourselves is the one that answers.
        let tls = if sub_account.s3.is_secured() {
            Some((Trust::anybody().map_err(io::Error::other)?, sub_account.s3.name().to_owned()))
        } else {
            None
        };
        Ok(Self {
            tls,
            address: sub_account.s3.address().to_owned(),
            identity: Identity {
                host: sub_account.s3.host().to_owned(),
                access_key: sub_account.access_key,
                secret: sub_account.secret,
                region: options.region.clone(),
                signing: options.signing,
            },
            bucket: sub_account.recordings,
            pids: vec![server.pid()],
            dir: Some(dir.to_owned()),
        })
    }

    /// The reference server at this address. It is sent the same bytes and does not look at the signature.
    pub(super) fn reference(options: &BenchOptions, address: String, pid: u32, dir: &Path) -> io::Result<Self> {
        Ok(Self {
            identity: Identity {
                host: address.clone(),
                access_key: "REFERENCE".parse().map_err(io::Error::other)?,
                secret: Secret::new("REFERENCE"),
                region: options.region.clone(),
                signing: options.signing,
            },
            address,
            tls: None,
            bucket: "reference".to_owned(),
            pids: vec![pid],
            dir: Some(dir.to_owned()),
        })
    }
}
