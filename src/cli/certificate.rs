//! `kandian certificate`: what the listeners show, and the self-signed certificate for whoever shall trust it.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Done, Json, print, table, text, time};
use crate::app::{Source, self_signed_pem};

/// Certificates of the listeners
#[derive(Debug, clap::Args)]
pub struct Certificate {
    /// Print the self-signed certificate as PEM, for clients that shall trust it
    #[arg(long)]
    pem: bool,
    #[command(flatten)]
    json: Json,
}

pub fn run(command: &Certificate, source: &Source) -> Done {
    if command.pem {
        let config = super::load(source)?;
        let pem = self_signed_pem(&config).map_err(|error| error.to_string())?;
        print(&pem.ok_or("there is no self-signed certificate; the first start with tls = \"self-signed\" makes it")?);
        return Ok(ExitCode::SUCCESS);
    }
    let certificates = json!(source.check().map_err(|bad| bad.to_string())?);
    print(&if command.json.json {
        format!("{}\n", json!({"certificates": certificates}))
    } else {
        page(&certificates)
    });
    Ok(ExitCode::SUCCESS)
}

/// A table of certificates as the API tells them; a word where there are none.
pub fn page(certificates: &Value) -> String {
    let row = |one: &Value| {
        let names: Vec<_> = one["names"].as_array().into_iter().flatten().map(text).collect();
        let warning = one["warning"].as_str().map_or_else(|| "ok".to_owned(), str::to_owned);
        vec![
            text(&one["listener"]),
            text(&one["from"]),
            time(&one["valid_until_ms"]),
            warning,
            names.join(" "),
            text(&one["fingerprint"]),
        ]
    };
    let rows: Vec<_> = certificates.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "no listener speaks TLS\n".to_owned();
    }
    table(&["LISTENER", "FROM", "VALID UNTIL", "STATE", "NAMES", "SHA-256"], &rows)
}
