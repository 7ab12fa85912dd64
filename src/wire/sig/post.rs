//! The signature of a POST form: of its policy, V4 and V2.

use std::time::Duration;

use super::canonical::Scope;
use super::{SigCode, SigError, Verified, Version, hmac_sha1, hmac_sha256, same, v2, v4};
use crate::domain::{AccessKey, Secret, Timestamp};
use crate::wire::s3_time;

/// What a form says of who signed its policy, read but not believed.
#[derive(Clone, Debug)]
pub struct FormClaim {
    access_key: AccessKey,
    /// The policy as it was sent: this is what is signed.
    policy: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    V2(Vec<u8>),
    V4 { scope: Scope, date: Timestamp, signature: [u8; 32] },
}

fn unknown_key() -> SigError {
    SigError::new(SigCode::InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

fn bad(text: &'static str) -> SigError {
    SigError::new(SigCode::InvalidArgument, text)
}

impl FormClaim {
    /// Reads the fields of a form (`field` by its name in lower case). `None`: it has no policy, it
    /// is anonymous.
    ///
    /// # Errors
    /// 400 for what cannot be read, for two signatures, for a token.
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, SigError> {
        let four = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"].iter().any(|name| field(name).is_some());
        let two = ["awsaccesskeyid", "signature"].iter().any(|name| field(name).is_some());
        let Some(policy) = field("policy") else {
            return match four || two {
                true => Err(bad("Bucket POST must contain a field named 'policy'.")),
                false => Ok(None),
            };
        };
        if four && two {
            return Err(bad("Only one auth mechanism allowed in a form"));
        }
        if field("x-amz-security-token").is_some_and(|token| !token.is_empty()) {
            return Err(SigError::new(
                SigCode::InvalidToken,
                "The provided token is malformed or otherwise invalid: there are no session tokens here.",
            ));
        }
        let (key, kind) = if four { read_v4(field)? } else { read_v2(field)? };
        let access_key = key.parse().map_err(|_| unknown_key())?;
        Ok(Some(Self { access_key, policy: policy.to_owned(), kind }))
    }

    /// Whose secret it must be held against.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// Which family of signatures it uses.
    pub fn version(&self) -> Version {
        match self.kind {
            Kind::V2(_) => Version::V2,
            Kind::V4 { .. } => Version::V4,
        }
    }

    /// Holds the claim against the secret. How long it lives is the policy's to say.
    ///
    /// # Errors
    /// 403.
    pub fn verify(&self, secret: &Secret, now: Timestamp, skew: Duration) -> Result<Verified, SigError> {
        let right = match &self.kind {
            Kind::V4 { date, .. } if date.since(now) > skew => return Err(SigError::skewed()),
            Kind::V4 { scope, signature, .. } => {
                same(&hmac_sha256(&scope.key(secret), self.policy.as_bytes()), signature)
            }
            Kind::V2(signature) => same(&hmac_sha1(secret.expose().as_bytes(), self.policy.as_bytes()), signature),
        };
        if right { Ok(Verified { access_key: self.access_key.clone() }) } else { Err(SigError::mismatch()) }
    }
}

fn read_v4<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<(String, Kind), SigError> {
    let one = |name: &str, missing: &'static str| field(name).ok_or_else(|| bad(missing));
    if one("x-amz-algorithm", "Bucket POST must contain a field named 'X-Amz-Algorithm'.")? != "AWS4-HMAC-SHA256" {
        return Err(bad("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let credential = one("x-amz-credential", "Bucket POST must contain a field named 'X-Amz-Credential'.")?;
    let signature = one("x-amz-signature", "Bucket POST must contain a field named 'X-Amz-Signature'.")?;
    let date = one("x-amz-date", "Bucket POST must contain a field named 'X-Amz-Date'.")?;
    let (key, scope) = v4::read_credential(credential, bad)?;
    let date = s3_time::parse_basic(date)
        .ok_or_else(|| bad("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    v4::check_scope_date(&scope, date, bad)?;
    let signature = v4::read_signature(signature, bad)?;
    Ok((key, Kind::V4 { scope, date, signature }))
}

fn read_v2<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<(String, Kind), SigError> {
    let one = |name: &str, missing: &'static str| field(name).ok_or_else(|| bad(missing));
    let key = one(
        "awsaccesskeyid",
        "Bucket POST must contain a field named 'AWSAccessKeyId'.  If it is specified, please check the order of the fields.",
    )?;
    let signature = one("signature", "Bucket POST must contain a field named 'Signature'.")?;
    // A form's signature is made by nobody but its signer: one that cannot be read is a wrong one.
    Ok((key.to_owned(), Kind::V2(v2::read_signature(signature).map_err(|_| SigError::mismatch())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of "Browser-Based Uploads Using POST (AWS Signature Version 4)".
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";

    fn form(policy: &'static str, signature: &'static str) -> impl Fn(&str) -> Option<&'static str> {
        move |name| match name {
            "policy" => Some(policy),
            "x-amz-algorithm" => Some("AWS4-HMAC-SHA256"),
            "x-amz-credential" => Some("AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            "x-amz-date" => Some("20151229T000000Z"),
            "x-amz-signature" => Some(signature),
            _ => None,
        }
    }

    fn secret() -> Secret {
        Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    }

    const SKEW: Duration = Duration::from_secs(900);

    #[test]
    fn the_published_form_of_v4_is_believed() {
        let now = s3_time::parse_basic("20151229T000000Z").unwrap();
        let claim = FormClaim::read(form(POLICY, SIGNATURE)).unwrap().unwrap();
        assert_eq!(claim.verify(&secret(), now, SKEW).unwrap().access_key().as_str(), "AKIAIOSFODNN7EXAMPLE");
        let other = FormClaim::read(form("e30=", SIGNATURE)).unwrap().unwrap();
        assert_eq!(other.verify(&secret(), now, SKEW).unwrap_err().code, SigCode::SignatureDoesNotMatch);
        let early = s3_time::parse_basic("20151228T000000Z").unwrap();
        assert_eq!(claim.verify(&secret(), early, SKEW).unwrap_err().code, SigCode::RequestTimeTooSkewed);
    }

    #[test]
    fn a_form_of_v2_is_believed_and_half_a_signature_refused() {
        use base64::Engine as _;
        let right = base64::prelude::BASE64_STANDARD.encode(hmac_sha1(secret().expose().as_bytes(), b"e30="));
        let of = |signature: Option<String>| {
            FormClaim::read(|name| match name {
                "policy" => Some("e30="),
                "awsaccesskeyid" => Some("AKIAIOSFODNN7EXAMPLE"),
                "signature" => signature.as_deref(),
                _ => None,
            })
        };
        let claim = of(Some(right.clone())).unwrap().unwrap();
        assert!(claim.verify(&secret(), Timestamp::default(), SKEW).is_ok());
        assert!(of(Some("AAAA".into())).unwrap().unwrap().verify(&secret(), Timestamp::default(), SKEW).is_err());
        assert_eq!(of(None).unwrap_err().code, SigCode::InvalidArgument);
        assert!(FormClaim::read(|name| (name == "signature").then_some("AAAA")).is_err());
        assert!(FormClaim::read(|_| None).unwrap().is_none());
    }
}
