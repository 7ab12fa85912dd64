//! Which store a command talks to: a running server's, or the closed one itself.

use tokio::net::UnixStream;

use crate::api::{Client, Failure};
use crate::app;
use crate::config::Config;
use crate::engine::Engine;

/// A way to the control API, and what is to be closed after.
pub struct Reached {
    pub client: Client,
    engine: Option<Engine>,
}

impl Reached {
    /// Gives the answer on, once a store that was opened for it is closed.
    pub async fn end<T>(self, answer: Result<T, Failure>) -> Result<T, String> {
        if let Some(engine) = self.engine {
            app::close(engine).await;
        }
        answer.map_err(|failure| failure.to_string())
    }
}

/// Whether a server runs on this data directory.
pub async fn is_running(config: &Config) -> Result<bool, String> {
    let socket = app::control_socket(config);
    match UnixStream::connect(&socket).await {
        Ok(_) => Ok(true),
        Err(error) => match Failure::from(error) {
            Failure::NotRunning => Ok(false),
            other => Err(format!("{}: {other}", socket.display())),
        },
    }
}

/// The running server; where there is none, the command cannot be done.
pub async fn server(config: &Config) -> Result<Reached, String> {
    if is_running(config).await? {
        Ok(Reached { client: Client::Socket(app::control_socket(config)), engine: None })
    } else {
        Err(format!(
            "the server is not running on {}; start it with `kandian serve`",
            config.storage.data_dir.display()
        ))
    }
}

/// The running server, or the closed store.
pub async fn either(config: &Config) -> Result<Reached, String> {
    if is_running(config).await? {
        return server(config).await;
    }
    let dir = config.storage.data_dir.display();
    let (engine, router) =
        app::open_closed(config).await.map_err(|error| format!("cannot open the store in {dir}: {error}"))?;
    Ok(Reached { client: Client::Direct(router), engine: Some(engine) })
}
