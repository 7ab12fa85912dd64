//! What an account's password, space, limit and alert URL may be: one rule for pages, API and command line. Serves 6.1.

use super::ids::BadName;
use super::{Gigabytes, Secret, limits};

/// A password goes over SOAP as text: what XML cannot carry would never match.
///
/// # Errors
/// What is wrong with it.
pub fn password(text: &str) -> Result<Secret, BadName> {
    let fine = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control) && text.trim() == text;
    if fine { Ok(Secret::new(text)) } else { Err(BadName::AccountPassword) }
}

/// A space that can be handed out: 1 GB at least.
///
/// # Errors
/// What would be right.
pub fn space(number: u32) -> Result<Gigabytes, BadName> {
    let right = Gigabytes::new(number).filter(|space| *space > Gigabytes::default());
    right.ok_or(BadName::Space(number))
}

/// The most sub-accounts of an account: 1 at least.
///
/// # Errors
/// What would be right.
pub fn sub_accounts(number: u32) -> Result<u32, BadName> {
    if number == 0 { Err(BadName::SubAccounts) } else { Ok(number) }
}

/// Where a platform takes alerts: `http` or `https`, with a host.
///
/// # Errors
/// What would be right.
pub fn alert_url(text: &str) -> Result<String, BadName> {
    let uri = text.parse::<http::Uri>().ok();
    let called = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if called && text.len() <= limits::URL_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err(BadName::AlertUrl(text.to_owned()))
    }
}
