//! POST form upload: a browser's form, or a camera's that can only post. Who may upload what is in
//! the policy that the form carries; nothing of it is stored before the last check.

use std::ops::RangeInclusive;

use axum::body::Body;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::put::{KEPT, buffer, new_object};
use crate::domain::{Checksum, ObjectKey, Refusal};
use crate::engine::{Caller, Engine, Finish, Stored, Upload};
use crate::md5::Md5;
use crate::s3::auth::authenticate_form;
use crate::s3::body::{Incoming, content_md5};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{Head, Plane, empty, quoted, route, set, xml};
use crate::wire::form::{BadForm, Form, Piece};
use crate::wire::post_policy::Policy;
use crate::wire::s3_checksum::{self, Declared, Hasher};
use crate::wire::s3_xml;
use crate::wire::sig;

const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// Fields that are taken as they were sent; all others may name `${filename}`.
const LITERAL: [&str; 8] = [
    "awsaccesskeyid",
    "policy",
    "signature",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
];

/// The fields of a form, names in lower case, in their order.
struct Fields(Vec<(String, String)>);

pub(super) async fn post(
    plane: &Plane,
    head: &Head,
    bucket: &str,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let request = sig::Request {
        method: &head.method,
        target: &head.target,
        headers: &head.headers,
        host_bucket: head.host_bucket.as_deref(),
    };
    if sig::read(&request)?.is_some() {
        return Err(S3Error::new(
            Code::InvalidArgument,
            "Only one auth mechanism allowed; the policy of a form is the only one of a POST.",
        ));
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut form = Form::new(content_type).ok_or_else(|| {
        S3Error::new(Code::PreconditionFailed, "Bucket POST must be of the enclosure-type multipart/form-data")
    })?;
    let mut whole = Whole::read(&head.headers)?;
    let fields = Fields::read(&mut form, bucket, incoming, &mut whole).await?;
    let key = fields.get("key").filter(|key| !key.is_empty()).ok_or_else(|| {
        S3Error::new(
            Code::InvalidArgument,
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
        )
    })?;
    let (caller, length) = allowed(plane, head, &fields)?;
    incoming.begin(&plane.engine, &caller)?;
    let bucket = plane.engine.bucket(&caller, bucket)?;
    let key = route::object_key(key)?;
    let headers = fields.headers()?;
    let wanted = match s3_checksum::declared(&headers, false)? {
        Declared::Header(checksum) => Some(checksum),
        Declared::None | Declared::Trailer(_) => None,
    };
    let md5 = content_md5(&headers)?;
    incoming.fill(buffer(None))?;
    let upload = plane.engine.put(&caller, &bucket, new_object(&headers, &key, None)?).await?;
    let stored = store(&plane.engine, incoming, Arriving { form, whole, upload, wanted, md5, length }).await?;
    Ok(answer(head, &fields, bucket.name.as_str(), &key, &stored))
}

/// What `Content-MD5` of the request says of the whole form, framing and all. As a field it speaks of the file.
struct Whole(Option<([u8; 16], Md5)>);

impl Whole {
    fn read(headers: &HeaderMap) -> S3Result<Self> {
        Ok(Self(content_md5(headers)?.map(|wanted| (wanted, Md5::new()))))
    }

    fn update(&mut self, data: &[u8]) {
        if let Some((_, md5)) = &mut self.0 {
            md5.update(data);
        }
    }

    /// After the file: what follows it belongs to the form too.
    async fn check(self, body: &mut Incoming) -> S3Result<()> {
        let Some((wanted, mut md5)) = self.0 else { return Ok(()) };
        while let Some(data) = body.next().await? {
            md5.update(&data);
        }
        if md5.finish() == wanted { Ok(()) } else { Err(Refusal::BadDigest.into()) }
    }
}

/// Who signed the form, and how many bytes the file may have.
fn allowed(plane: &Plane, head: &Head, fields: &Fields) -> S3Result<(Caller, RangeInclusive<u64>)> {
    let caller = authenticate_form(plane, head.peer, |name| fields.get(name))?;
    let policy = Policy::parse(fields.get("policy").unwrap_or(""))?;
    Ok((caller, policy.check(plane.engine.now(), &fields.0)?))
}

impl Fields {
    /// Reads up to the file. The bucket of the request is a field like another: policies name it.
    async fn read(form: &mut Form, bucket: &str, incoming: &mut Incoming, whole: &mut Whole) -> S3Result<Self> {
        let mut fields = Self(vec![("bucket".to_owned(), bucket.to_owned())]);
        loop {
            while let Some(piece) = form.piece()? {
                match piece {
                    Piece::Field(name, value) => {
                        let name = name.to_ascii_lowercase();
                        match fields.get(&name) {
                            None => fields.0.push((name, value)),
                            // Some forms say the bucket once more.
                            Some(before) if name == "bucket" && before == value => {}
                            Some(_) if name == "bucket" => {
                                return Err(S3Error::new(
                                    Code::AccessDenied,
                                    "Invalid according to Policy: the form is for another bucket.",
                                ));
                            }
                            Some(_) => {
                                return Err(S3Error::new(
                                    Code::InvalidArgument,
                                    format!("POST requires exactly one field named {name}"),
                                ));
                            }
                        }
                    }
                    Piece::File(name) => {
                        fields.name_the_file(&name);
                        return Ok(fields);
                    }
                    Piece::Data(_) | Piece::End => return Err(BadForm::Malformed.into()),
                }
            }
            match incoming.next().await? {
                Some(data) => {
                    whole.update(&data);
                    form.push(&data);
                }
                None => {
                    return Err(S3Error::new(
                        Code::InvalidArgument,
                        "POST requires exactly one file upload per request.",
                    ));
                }
            }
        }
    }

    /// `${filename}` in any field becomes the last part of the name that the browser sent.
    fn name_the_file(&mut self, sent: &str) {
        let name = sent.rsplit(['/', '\\']).next().unwrap_or("");
        for (field, value) in &mut self.0 {
            if !LITERAL.contains(&field.as_str()) && value.contains("${filename}") {
                *value = value.replace("${filename}", name);
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// What the fields say of the object, under the names that a PUT has for it.
    fn headers(&self) -> S3Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (field, value) in &self.0 {
            let name = match field.as_str() {
                "acl" => "x-amz-acl",
                "tagging" => "x-amz-tagging",
                name if LITERAL.contains(&name) => continue,
                name if KEPT.contains(&name) || name == "content-md5" || name.starts_with("x-amz-") => name,
                _ => continue,
            };
            let wrong = || S3Error::new(Code::InvalidArgument, format!("The field {field} cannot be a header"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?);
        }
        Ok(headers)
    }
}

/// A file on its way in.
struct Arriving {
    form: Form,
    whole: Whole,
    upload: Upload,
    wanted: Option<Checksum>,
    md5: Option<[u8; 16]>,
    length: RangeInclusive<u64>,
}

/// Takes the file into the engine: see [`super::put::store`].
async fn store(engine: &Engine, incoming: &mut Incoming, arriving: Arriving) -> S3Result<Stored> {
    let mut body = incoming.take();
    let work = |_| async move {
        let outcome = arriving.pump(&mut body).await;
        (body, outcome)
    };
    let (body, outcome) = engine.survive(work).await;
    *incoming = body;
    outcome
}

impl Arriving {
    async fn pump(mut self, body: &mut Incoming) -> S3Result<Stored> {
        let mut hasher = self.wanted.as_ref().map(|checksum| Hasher::new(checksum.kind));
        let mut received = 0u64;
        loop {
            while let Some(piece) = self.form.piece()? {
                match piece {
                    Piece::Data(data) => {
                        received = received.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                        if received > *self.length.end() {
                            return Err(S3Error::new(
                                Code::EntityTooLarge,
                                "Your proposed upload exceeds the maximum allowed size",
                            ));
                        }
                        if let Some(hasher) = &mut hasher {
                            hasher.update(&data);
                        }
                        self.upload.write(data).await?;
                    }
                    Piece::End => return self.finish(received, hasher, body).await,
                    Piece::Field(..) | Piece::File(_) => return Err(BadForm::Malformed.into()),
                }
            }
            match body.next().await? {
                Some(data) => {
                    self.whole.update(&data);
                    self.form.push(&data);
                }
                None => {
                    return Err(S3Error::new(Code::IncompleteBody, "The form ended before its file did."));
                }
            }
        }
    }

    async fn finish(self, received: u64, hasher: Option<Hasher>, body: &mut Incoming) -> S3Result<Stored> {
        if received < *self.length.start() {
            return Err(S3Error::new(
                Code::EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size",
            ));
        }
        if hasher.map(Hasher::finish) != self.wanted {
            return Err(S3Error::new(Code::BadDigest, "The checksum you specified did not match the file's."));
        }
        self.whole.check(body).await?;
        Ok(self.upload.finish(Finish { md5: self.md5, checksum: self.wanted }).await?)
    }
}

/// What the form asked for: a redirect, a status, or 204.
fn answer(head: &Head, fields: &Fields, bucket: &str, key: &ObjectKey, stored: &Stored) -> Response<Body> {
    let path = utf8_percent_encode(key.as_str(), PATH);
    let location = head.location(bucket, &path.to_string());
    let tag = stored.etag.to_string();
    let wanted = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
    let mut response = match wanted.and_then(|url| redirect(url, bucket, key.as_str(), &tag)) {
        Some(url) => {
            let mut response = empty(StatusCode::SEE_OTHER);
            response.headers_mut().insert(LOCATION, url);
            response
        }
        None => {
            let mut response = match fields.get("success_action_status") {
                Some("200") => empty(StatusCode::OK),
                Some("201") => {
                    let mut response = xml(s3_xml::posted(&location, bucket, key.as_str(), &tag));
                    *response.status_mut() = StatusCode::CREATED;
                    response
                }
                _ => empty(StatusCode::NO_CONTENT),
            };
            set(&mut response, LOCATION, &location);
            response
        }
    };
    set(&mut response, ETAG, &quoted(&stored.etag));
    response
}

/// Where to send the browser; `None` for what is no web address.
fn redirect(url: &str, bucket: &str, key: &str, tag: &str) -> Option<HeaderValue> {
    let (page, fragment) = url.split_once('#').map_or((url, None), |(page, fragment)| (page, Some(fragment)));
    let parsed = page.parse::<http::Uri>().ok()?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
        return None;
    }
    let encoded = |text: &str| utf8_percent_encode(text, VALUE).to_string();
    let join = if parsed.query().is_some() { '&' } else { '?' };
    let mut out = format!("{page}{join}bucket={}&key={}&etag=%22{tag}%22", encoded(bucket), encoded(key));
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    HeaderValue::from_str(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn the_name_of_the_file_is_its_last_part_and_never_goes_into_the_signature() {
        for (sent, key) in [("x.jpg", "a/x.jpg"), ("C:\\p\\x.jpg", "a/x.jpg"), ("/etc/x", "a/x"), ("", "a/")] {
            let mut fields = fields(&[("key", "a/${filename}"), ("policy", "${filename}")]);
            fields.name_the_file(sent);
            assert_eq!((fields.get("key"), fields.get("policy")), (Some(key), Some("${filename}")), "{sent}");
        }
    }

    #[test]
    fn fields_become_the_headers_of_a_put() {
        let form = fields(&[
            ("key", "k"),
            ("acl", "private"),
            ("content-type", "image/jpeg"),
            ("x-amz-meta-a", "录"),
            ("x-amz-date", "20260101T000000Z"),
            ("x-ignore-me", "1"),
        ]);
        let headers = form.headers().unwrap();
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["x-amz-acl"], "private");
        assert!(fields(&[("x-amz-meta-a", "1\n2")]).headers().is_err());
        assert!(fields(&[("x-amz-meta-a b", "1")]).headers().is_err());
    }

    #[test]
    fn a_redirect_goes_to_a_web_page_and_tells_what_was_stored() {
        let of = |url| redirect(url, "b", "a b/c", "00").map(|v| v.to_str().unwrap().to_owned());
        let tail = "bucket=b&key=a%20b%2Fc&etag=%2200%22";
        assert_eq!(of("http://x.example/done").unwrap(), format!("http://x.example/done?{tail}"));
        assert_eq!(of("https://x.example/?a=1#top").unwrap(), format!("https://x.example/?a=1&{tail}#top"));
        for bad in ["javascript:alert(1)", "/here", "", "http://x\r\nset-cookie: a"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
