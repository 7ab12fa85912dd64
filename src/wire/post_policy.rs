//! The policy of a POST form: what its signer allows to be uploaded, and until when.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::s3_time;
use crate::domain::Timestamp;

/// Fields that need no condition: the signature cannot cover itself, and the file has its own.
const EXEMPT: [&str; 5] = ["awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"];

/// A policy, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    expires: Timestamp,
    conditions: Vec<Condition>,
    /// Bytes that the file may have.
    length: Option<RangeInclusive<u64>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    /// Lower case.
    field: String,
    value: String,
    prefix: bool,
}

/// Why a form does not follow its policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// S3 `InvalidPolicyDocument`.
    #[error("Invalid Policy: {0}.")]
    Malformed(&'static str),
    /// S3 `AccessDenied`.
    #[error("Invalid according to Policy: Policy expired.")]
    Expired,
    /// S3 `AccessDenied`.
    #[error("Invalid according to Policy: Policy Condition failed: {0}")]
    Failed(String),
    /// S3 `AccessDenied`.
    #[error("Invalid according to Policy: Extra input fields: {0}")]
    Extra(String),
}

impl Policy {
    /// Reads a policy as the form carries it.
    ///
    /// # Errors
    /// [`BadPolicy::Malformed`]
    pub fn parse(base64: &str) -> Result<Self, BadPolicy> {
        use BadPolicy::Malformed;
        let compact: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let json = BASE64_STANDARD.decode(compact).map_err(|_| Malformed("it is not base64"))?;
        let json: Value = serde_json::from_slice(&json).map_err(|_| Malformed("Invalid JSON"))?;
        let expires = json.get("expiration").and_then(Value::as_str).ok_or(Malformed("missing expiration"))?;
        let expires = s3_time::parse_any(expires).ok_or(Malformed("Invalid 'expiration' value"))?;
        let list = json.get("conditions").and_then(Value::as_array).ok_or(Malformed("missing conditions"))?;
        let mut policy = Self { expires, conditions: Vec::new(), length: None };
        for condition in list {
            policy.condition(condition).ok_or(Malformed("Invalid Condition"))?;
        }
        Ok(policy)
    }

    fn condition(&mut self, condition: &Value) -> Option<()> {
        match condition {
            Value::Object(pairs) if !pairs.is_empty() => {
                for (field, value) in pairs {
                    let value = value.as_str()?.to_owned();
                    self.conditions.push(Condition { field: field.to_ascii_lowercase(), value, prefix: false });
                }
            }
            Value::Array(parts) => {
                let [operator, first, second] = parts.as_slice() else { return None };
                match operator.as_str()?.to_ascii_lowercase().as_str() {
                    "content-length-range" => {
                        let (least, most) = (number(first)?, number(second)?);
                        // Several ranges hold all at once.
                        let before = self.length.clone().unwrap_or(0..=u64::MAX);
                        self.length = Some(least.max(*before.start())..=most.min(*before.end()));
                    }
                    operator @ ("eq" | "starts-with") => {
                        let field = first.as_str()?.strip_prefix('$')?.to_ascii_lowercase();
                        let (value, prefix) = (second.as_str()?.to_owned(), operator == "starts-with");
                        self.conditions.push(Condition { field, value, prefix });
                    }
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Holds a form against the policy: `fields` by their names in lower case, `bucket` among them.
    /// Gives how many bytes the file may have.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, now: Timestamp, fields: &[(String, String)]) -> Result<RangeInclusive<u64>, BadPolicy> {
        if now > self.expires {
            return Err(BadPolicy::Expired);
        }
        for Condition { field, value, prefix } in &self.conditions {
            let sent = fields.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value);
            let holds = if *prefix { sent.starts_with(value.as_str()) } else { sent == value };
            if !holds {
                let operator = if *prefix { "starts-with" } else { "eq" };
                return Err(BadPolicy::Failed(format!("[\"{operator}\", \"${field}\", \"{value}\"]")));
            }
        }
        for (name, _) in fields {
            // A checksum changes nothing of what the policy allows.
            let free = ["x-ignore-", "x-amz-checksum-"].iter().any(|prefix| name.starts_with(prefix));
            let exempt = EXEMPT.contains(&name.as_str()) || free;
            if !exempt && !self.conditions.iter().any(|condition| condition.field == *name) {
                return Err(BadPolicy::Extra(name.clone()));
            }
        }
        Ok(self.length.clone().unwrap_or(0..=u64::MAX))
    }
}

/// A size as JSON has it: a number, or the text of one.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_451_476_800);

    fn policy(conditions: &str) -> Result<Policy, BadPolicy> {
        let json = format!("{{\"expiration\": \"2015-12-30T12:00:00.000Z\", \"conditions\": [{conditions}]}}");
        Policy::parse(&BASE64_STANDARD.encode(json))
    }

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_field_is_covered_and_every_condition_holds() {
        let policy =
            policy("{\"bUcKeT\": \"b\"}, [\"StArTs-WiTh\", \"$KeY\", \"user/\"], [\"eq\", \"$acl\", \"private\"]");
        let policy = policy.unwrap();
        let good = [("bucket", "b"), ("key", "user/x"), ("acl", "private"), ("x-ignore-y", "1"), ("signature", "s")];
        let summed = [&good[..], &[("x-amz-checksum-crc32", "AAAAAA==")]].concat();
        assert_eq!(policy.check(NOW, &fields(&summed)), Ok(0..=u64::MAX));
        assert_eq!(policy.check(NOW, &fields(&good)), Ok(0..=u64::MAX));
        let extra = policy.check(NOW, &fields(&[&good[..], &[("x-amz-meta-a", "1")]].concat()));
        assert_eq!(extra, Err(BadPolicy::Extra("x-amz-meta-a".into())));
        for broken in [("bucket", "c"), ("key", "other/x"), ("acl", "")] {
            let form: Vec<_> = good.iter().map(|f| if f.0 == broken.0 { broken } else { *f }).collect();
            assert!(matches!(policy.check(NOW, &fields(&form)), Err(BadPolicy::Failed(_))), "{broken:?}");
        }
        assert!(matches!(policy.check(NOW, &fields(&good[..2])), Err(BadPolicy::Failed(_))));
    }

    #[test]
    fn a_policy_dies_at_its_second() {
        let policy = policy("{\"key\": \"k\"}").unwrap();
        let form = fields(&[("key", "k")]);
        assert!(policy.check(NOW, &form).is_ok());
        assert_eq!(policy.check(Timestamp::from_millis(NOW.millis() + 1), &form), Err(BadPolicy::Expired));
    }

    #[test]
    fn ranges_hold_all_at_once() {
        let policy = policy("[\"content-length-range\", 1, 10], [\"content-length-range\", \"5\", 100]").unwrap();
        assert_eq!(policy.check(NOW, &[]), Ok(5..=10));
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_none() {
        for bad in [
            "{}",
            "[\"eq\", \"$key\"]",
            "[\"eq\", \"key\", \"k\"]",
            "[\"like\", \"$key\", \"k\"]",
            "[\"content-length-range\", 1]",
            "[\"content-length-range\", -1, 10]",
            "[\"content-length-range\", \"a\", 10]",
            "{\"key\": 1}",
            "1",
        ] {
            assert!(matches!(policy(bad), Err(BadPolicy::Malformed(_))), "{bad}");
        }
        for bad in [
            "{\"conditions\": []}",
            "{\"expiration\": \"2015-12-30T12:00:00.000Z\"}",
            "{\"expiration\": \"tomorrow\", \"conditions\": []}",
            "{\"EXPIRATION\": \"2015-12-30T12:00:00.000Z\", \"conditions\": []}",
            "[]",
            "x",
        ] {
            assert!(Policy::parse(&BASE64_STANDARD.encode(bad)).is_err(), "{bad}");
        }
        assert!(Policy::parse("%").is_err());
    }
}
