//! The composition root: the only room that knows all the others.

mod activation;
mod address;
mod certificates;
mod descriptors;
mod driven;
mod gauges;
mod notify;
mod pages;
mod ready;
mod reload;
mod seam;
mod serve;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;

use crate::api::{self, CertificateView, Urls};
use crate::config::{Config, Places, Problems, Written, parse_with_places};
use crate::engine::{self, Engine};
use crate::world::driven::Drive;

pub use crate::engine::{RebuildReport, RestoreReport, formats};
pub use seam::{go_back, preflight, rebuild, restore};
pub use serve::{Stop, serve, serve_until};

/// Where the configuration comes from; read again at a reload.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `--config FILE`; `./appliance.toml` where it is there and none is named.
    pub file: Option<PathBuf>,
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--set section.key=value`
    pub sets: Vec<String>,
    /// Another clock than the system's, for `kandian demo`.
    pub drive: Option<Drive>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum BadSource {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// What is written is wrong.
    #[error(transparent)]
    Written(#[from] Problems),
}

impl Source {
    /// The file in use; `None` where the built-in defaults are.
    pub fn path(&self) -> Option<PathBuf> {
        let default = Path::new("appliance.toml");
        self.file.clone().or_else(|| default.exists().then(|| default.to_owned()))
    }

    /// The same, with nothing written to the disks.
    #[must_use]
    pub fn in_salvage_mode(mut self) -> Self {
        self.sets.push("storage.salvage=true".to_owned());
        self
    }

    /// Reads and checks. The certificates that it names are the server's to read: a command beside it does without.
    pub fn load(&self) -> Result<Config, BadSource> {
        self.load_with_places().map(|(config, _)| config)
    }

    /// As [`Source::load`], with what the files of the certificates say.
    pub fn check(&self) -> Result<Vec<CertificateView>, BadSource> {
        let (config, places) = self.load_with_places()?;
        Ok(certificates::look(&crate::world::os::world(), &config, &places)?)
    }

    fn load_with_places(&self) -> Result<(Config, Places), BadSource> {
        let file = match self.path() {
            None => None,
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some((path.display().to_string(), text)),
                Err(error) => return Err(BadSource::File { path: path.display().to_string(), error }),
            },
        };
        Ok(parse_with_places(&Written { file, data: self.data.clone(), sets: self.sets.clone() })?)
    }
}

/// The self-signed certificate as PEM, without its key; `None` where none was made.
pub fn self_signed_pem(config: &Config) -> Result<Option<String>, String> {
    let file = certificates::self_signed_file(config);
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let pem = crate::world::disk::read_file(&*crate::world::os::world().disk, &file).map_err(|error| wrong(&error))?;
    let Some(pem) = pem.map(zeroize::Zeroizing::new) else { return Ok(None) };
    let identity = crate::tls::Identity::from_pem(&pem, &pem).map_err(|bad| wrong(&bad))?;
    Ok(Some(identity.to_pem()))
}

/// The control socket of a data directory.
pub fn control_socket(config: &Config) -> PathBuf {
    config.storage.data_dir.join("control.sock")
}

/// The control API on a store that no server has open. Whoever has asked closes the engine after.
pub async fn open_closed(config: &Config) -> Result<(Engine, Router), engine::Error> {
    let urls = address::public_urls(config, config.s3.listen, config.soap.listen);
    let (engine_urls, engine_config) = (urls.clone(), config.clone());
    let opened = tokio::task::spawn_blocking(move || {
        // Nothing is delivered from a closed store but a test that somebody asks for.
        let trust = crate::tls::Trust::of_system_and(engine_config.alerts.ca.as_deref());
        let trust = trust.map_err(|bad| engine::Error::Broken(bad.to_string().into()))?;
        seam::open(crate::world::os::world(), &engine_config, engine_urls, Arc::new(seam::courier(trust)), None)
    });
    let engine = opened.await.map_err(|error| engine::Error::Broken(error.to_string().into()))??;
    let told = move || -> Urls { urls.clone() };
    let shown = config.clone();
    let certificates =
        move || certificates::look(&crate::world::os::world(), &shown, &Places::default()).unwrap_or_default();
    let control = api::Control {
        engine: engine.clone(),
        urls: Arc::new(told),
        reload: None,
        pending: None,
        metrics: None,
        certificates: Arc::new(certificates),
    };
    Ok((engine, api::router(control)))
}

/// Ends what [`open_closed`] has begun.
pub async fn close(engine: Engine) {
    seam::close(&engine).await;
}
