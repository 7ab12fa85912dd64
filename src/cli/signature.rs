//! `kandian doctor signature AK`: why the last requests of a key were not believed.

use serde_json::Value;

use super::output::{Done, Json, pairs, show, text, time};
use super::reach::server;
use crate::config::Config;

/// `kandian doctor signature`
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The access key (S3AK)
    ak: String,
    #[command(flatten)]
    json: Json,
}

pub async fn run(options: Options, config: &Config) -> Done {
    // It is memory of the running server.
    let reached = server(config).await?;
    let answer = reached.client.signature_failures(options.ak.trim()).await;
    show(options.json, &reached.end(answer).await?, page)
}

fn page(answer: &Value) -> String {
    let ak = text(&answer["ak"]);
    if answer["known"] == false {
        return format!(
            "there is no key {ak}: requests with it get InvalidAccessKeyId. Letters count as they are written; \
             `kandian sub-account list ACCOUNT` has the keys that there are\n"
        );
    }
    let failures = answer["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = match answer["suspended"] == true {
        true => format!("the account of {ak} is suspended: its requests get AccountProblem\n\n"),
        false => String::new(),
    };
    if failures.is_empty() {
        out += &format!("no signature of {ak} was refused since the server started\n");
    }
    failures.iter().for_each(|failure| out += &one(failure));
    out
}

fn one(failure: &Value) -> String {
    let said = |key: &str| text(&failure[key]);
    let date = match failure["seconds_ahead"].as_i64() {
        None => String::new(),
        Some(0) => ", clock as the box's".to_owned(),
        Some(seconds) if seconds > 0 => format!(", clock {seconds} s ahead of the box's"),
        Some(seconds) => format!(", clock {} s behind the box's", seconds.unsigned_abs()),
    };
    let cause = match failure["cause"].as_str() {
        Some(_) => said("cause"),
        None => format!(
            "not told: none of {} usual mistakes gives this signature. Most likely the SK is another one (type it anew; \
             `kandian sub-account show` and the portal have it), or a header among the signed ones was changed on the way",
            said("tried")
        ),
    };
    let mut out = pairs(&[
        ("when", format!("{}, request {}", time(&failure["at_ms"]), said("request_id"))),
        ("what", format!("{} {} at host {:?}, from {}", said("method"), said("path"), said("host"), said("from"))),
        ("answered", format!("{}: {}", said("code"), said("message"))),
        ("signature", format!("{}{date}", said("version"))),
        ("cause", cause),
    ]);
    let (here, there) = (&failure["here"], &failure["there"]);
    if !there.is_null() {
        out += "with that change the signature is right. Below: - what the box signs, + what the client has signed\n";
    }
    for (key, title) in [("canonical_request", "canonical request"), ("string_to_sign", "string to sign")] {
        if let Some(ours) = here[key].as_str() {
            out += &format!("{title}:\n{}", beside(ours, there[key].as_str()));
        }
    }
    out.push('\n');
    out
}

/// Lines of both; those that differ stand one below the other.
fn beside(ours: &str, theirs: Option<&str>) -> String {
    let line = |mark: &str, text: &str| {
        let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        format!("  {mark} {clean}\n")
    };
    let Some(theirs) = theirs else {
        return ours.split('\n').map(|text| line(" ", text)).collect();
    };
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.split('\n').collect(), theirs.split('\n').collect());
    let mut out = String::new();
    for at in 0..ours.len().max(theirs.len()) {
        match (ours.get(at), theirs.get(at)) {
            (Some(a), Some(b)) if a == b => out += &line(" ", a),
            (a, b) => {
                a.iter().for_each(|text| out += &line("-", text));
                b.iter().for_each(|text| out += &line("+", text));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_that_differ_stand_one_below_the_other() {
        assert_eq!(beside("PUT\n/a", Some("PUT\n/b")), "    PUT\n  - /a\n  + /b\n");
        assert_eq!(beside("a\u{1b}[2J", None), "    a\u{fffd}[2J\n", "nothing steers the terminal");
    }

    #[test]
    fn a_key_that_is_not_there_is_said_to_be_none() {
        assert!(page(&json!({"ak": "x", "known": false, "failures": []})).contains("no key x"));
        let quiet = page(&json!({"ak": "x", "known": true, "suspended": true, "failures": []}));
        assert!(quiet.contains("is suspended") && quiet.contains("no signature of x"), "{quiet}");
    }
}
