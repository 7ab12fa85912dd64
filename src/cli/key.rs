//! `kandian key`

use super::output::{Done, Json, pairs, patiently, show, text};
use super::reach::either;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The id and the file of the master key; never the key
    Show(Json),
    /// Make a new master key and seal every secret anew, while the server runs or is stopped
    Rotate(Json),
}

pub async fn run(command: Command, config: &Config) -> Done {
    let reached = either(config).await?;
    match command {
        Command::Show(json) => {
            let answer = reached.client.master_key().await;
            show(json, &reached.end(answer).await?, |key| {
                let state = if key["exchange_under_way"] == true { "being exchanged" } else { "in use" };
                pairs(&[("id", text(&key["id"])), ("file", text(&key["file"])), ("state", state.to_owned())])
            })
        }
        Command::Rotate(json) => {
            let answer = patiently("sealing every secret anew", reached.client.rotate_key()).await;
            show(json, &reached.end(answer).await?, |done| {
                pairs(&[
                    ("master key", text(&done["new"])),
                    ("in the place of", text(&done["old"])),
                    ("secrets sealed anew", text(&done["secrets"])),
                ])
            })
        }
    }
}
