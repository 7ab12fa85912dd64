//! `kandian soap call`: one call of section 7 as a platform makes it, and what came of it.

use std::process::ExitCode;

use serde_json::json;

use super::output::{Done, print};
use crate::config::nearest;
use crate::domain::Secret;
use crate::sim::client::operations::{OPERATIONS, Operation};
use crate::sim::client::{Endpoint, Exchange, Platform, SoapVersion, TrustOptions};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Call an operation of section 7; exit code 0 where its Result is 0
    Call(Box<Call>),
    /// The operations, their fields and what their numbers mean
    Operations,
}

#[derive(Debug, clap::Args)]
pub struct Call {
    /// Its name, or its clause (7.1 … 7.9)
    #[arg(value_name = "OPERATION")]
    operation: String,
    /// Fields of the request, as NAME=VALUE; what is not named is not sent
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// URL of the SOAP service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9001/services/VideoCloudStorage")]
    soap: String,
    /// Speak SOAP 1.2
    #[arg(long)]
    soap12: bool,
    /// Print passwords and secret keys too
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    trust: TrustOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command) -> Done {
    match command {
        Command::Call(call) => call.make().await,
        Command::Operations => {
            OPERATIONS.iter().for_each(|operation| print(&sheet(operation)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// An operation for people.
fn sheet(operation: &Operation) -> String {
    let mut out = format!("{} {}  {}: {}\n", operation.clause, operation.name, operation.title, operation.about);
    for field in operation.all_fields() {
        let choices: Vec<String> =
            field.choices.iter().map(|(value, (zh, en))| format!("{value} {zh} / {en}")).collect();
        let usual = match (choices.is_empty(), field.usual) {
            (false, _) => format!(" ({})", choices.join(", ")),
            (true, "") => String::new(),
            (true, usual) => format!(" ({usual})"),
        };
        out += &format!("    {:<18}{} / {}{usual}\n", field.name, field.about.0, field.about.1);
    }
    for result in operation.results() {
        let (zh, en) = operation.meaning(result).unwrap_or_default();
        out += &format!("    Result {result:<11}{zh} / {en}\n");
    }
    out + "\n"
}

impl Call {
    async fn make(&self) -> Done {
        let operation = Operation::find(&self.operation).ok_or_else(|| {
            let near = nearest(&self.operation, OPERATIONS.iter().map(|operation| operation.name));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            format!("section 7 has no operation {:?}{near} (`kandian soap operations` lists them)", self.operation)
        })?;
        let mut fields = Vec::new();
        for text in &self.fields {
            let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not FIELD=VALUE"))?;
            fields.push((name_at_the_wire(operation, name)?, value));
        }
        let service = Endpoint::parse(&self.soap).map_err(|error| error.to_string())?;
        let service = service.or_path("/services/VideoCloudStorage");
        let trust = self.trust.trust().map_err(|error| error.to_string())?;
        let version = if self.soap12 { SoapVersion::V12 } else { SoapVersion::V11 };
        // It sends what was typed: no account of its own.
        let mut platform = Platform::new(service, "", Secret::new(""), trust).speaking(version);
        let exchange = platform.exchange(operation.name, &fields).await;
        let exchange = exchange.map_err(|error| format!("{}: {error}", self.soap))?;
        let shown = if self.show_secrets { exchange } else { exchange.veiled() };
        print(&if self.json { as_json(operation, &shown) } else { as_text(operation, &shown) });
        Ok(if shown.result() == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A field's name as the contract writes it. One that the operation has not is sent as it was typed, for that is what a
/// tester may want to see, unless it looks like a slip.
fn name_at_the_wire<'a>(operation: &Operation, name: &'a str) -> Result<&'a str, String> {
    let names: Vec<&'static str> = operation.all_fields().map(|field| field.name).collect();
    if let Some(known) = names.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(known);
    }
    if name.is_empty()
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!("{name:?} is no name of an element"));
    }
    match nearest(name, names.iter().copied()) {
        Some(near) => Err(format!("{} has no field {name}; did you mean {near}?", operation.name)),
        None => Ok(name),
    }
}

/// What the answer means, in a line.
fn words(operation: &Operation, exchange: &Exchange) -> String {
    if let Some(why) = &exchange.unreadable {
        return format!("the answer is no XML: {why}");
    }
    match (exchange.result(), exchange.fault()) {
        (Some(result), _) => match operation.meaning(result) {
            Some((zh, en)) => format!("Result {result}: {zh} / {en}"),
            None => format!("Result {result}: {} has no such number", operation.name),
        },
        (None, Some(fault)) => format!("Fault, the request cannot be answered as it is: {fault}"),
        (None, None) => "there is neither a Result nor a Fault in the answer".to_owned(),
    }
}

fn as_text(operation: &Operation, exchange: &Exchange) -> String {
    let mut out = format!("{} {} {}\n\nPOST {}\n", operation.clause, operation.name, operation.title, exchange.path);
    for (name, value) in &exchange.headers {
        out += &format!("{name}: {value}\n");
    }
    out += &format!("\n{}\n\n", exchange.request);
    out += &format!("HTTP {}\n\n{}\n\n", exchange.status, exchange.answer);
    out + &words(operation, exchange) + "\n"
}

fn as_json(operation: &Operation, exchange: &Exchange) -> String {
    let said = json!({
        "clause": operation.clause,
        "operation": operation.name,
        "request": exchange.request,
        "status": exchange.status,
        "answer": exchange.answer,
        "fields": exchange.fields,
        "result": exchange.result(),
        "fault": exchange.fault(),
        "meaning": words(operation, exchange),
    });
    format!("{said}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_in_any_case_a_slip_is_said_and_a_strange_one_is_sent() {
        let operation = Operation::find("7.5").unwrap();
        assert_eq!(name_at_the_wire(operation, "newstoragespace"), Ok("NewStorageSpace"));
        assert_eq!(name_at_the_wire(operation, "Comment"), Ok("Comment"));
        assert!(name_at_the_wire(operation, "NewStorageSpac").unwrap_err().contains("did you mean NewStorageSpace"));
        assert!(name_at_the_wire(operation, "a b").is_err() && name_at_the_wire(operation, "").is_err());
    }

    #[test]
    fn the_sheet_of_an_operation_has_its_fields_choices_and_numbers() {
        let sheet = sheet(Operation::find("7.6").unwrap());
        for said in ["7.6 SetSubAccountSpacePolicy", "SpaceLoop", "1 循环覆盖 / overwrite the oldest", "Result 4"] {
            assert!(sheet.contains(said), "{said}:\n{sheet}");
        }
    }
}
