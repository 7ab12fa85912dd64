//! Published vectors, what botocore signs, and the ways in which a request may lie.

use std::time::Duration;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::sign::presign_v2;
use super::*;
use crate::domain::Secret;

const AK: &str = "AKIAIOSFODNN7EXAMPLE";
const SK: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const QUARTER: Duration = Duration::from_secs(900);
/// 2013-05-24T00:00:00Z, the day of AWS's examples.
const MAY: Timestamp = Timestamp::from_seconds(1_369_353_600);

/// A request as it came, for tests.
struct Came {
    method: Method,
    target: Target,
    headers: HeaderMap,
    host_bucket: Option<String>,
}

fn came(method: &str, target: &str, headers: &[(&str, &str)]) -> Came {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Came {
        method: method.parse().unwrap(),
        target: Target::parse(path, query).unwrap(),
        headers: map,
        host_bucket: None,
    }
}

impl Came {
    fn to(mut self, host_bucket: &str) -> Self {
        self.host_bucket = Some(host_bucket.to_owned());
        self
    }

    fn verify(&self, secret: &str, now: Timestamp) -> Result<Signed, SigError> {
        let request = Request {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            host_bucket: self.host_bucket.as_deref(),
        };
        let claim = read(&request)?.expect("there are credentials");
        claim.verify(&request, &Key::new(Secret::new(secret)), now, QUARTER)
    }

    fn code(&self, secret: &str, now: Timestamp) -> SigCode {
        self.verify(secret, now).expect_err("it must be refused").code
    }
}

fn v4(signed: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={AK}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
    )
}

fn get_object(authorization: &str) -> Came {
    came(
        "GET",
        "/test.txt",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            ("authorization", authorization),
        ],
    )
}

const GET_SIGNED: &str = "host;range;x-amz-content-sha256;x-amz-date";
const GET_SIGNATURE: &str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

#[test]
fn the_published_examples_of_v4_are_right() {
    let signed = get_object(&v4(GET_SIGNED, GET_SIGNATURE)).verify(SK, MAY).unwrap();
    assert_eq!(signed.verified.access_key().as_str(), AK);
    assert!(matches!(signed.payload, Payload::Sha256(_)) && !signed.presigned);
    let put = came(
        "PUT",
        "/test%24file.text",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            (
                "authorization",
                &v4(
                    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                ),
            ),
        ],
    );
    put.verify(SK, MAY).unwrap();
    for (target, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let list = came(
            "GET",
            target,
            &[
                ("host", "examplebucket.s3.amazonaws.com"),
                ("x-amz-content-sha256", EMPTY),
                ("x-amz-date", "20130524T000000Z"),
                ("authorization", &v4("host;x-amz-content-sha256;x-amz-date", signature)),
            ],
        );
        list.verify(SK, MAY).unwrap();
    }
}

fn presigned(more: &str, expires: &str, signature: &str) -> Came {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={AK}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}{more}"
    );
    came("GET", &format!("/test.txt?{query}"), &[("host", "examplebucket.s3.amazonaws.com")])
}

const PRESIGNED: &str = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn the_published_presigned_url_lives_for_its_day() {
    let url = presigned("", "86400", PRESIGNED);
    assert!(url.verify(SK, MAY).unwrap().presigned);
    url.verify(SK, MAY.plus(Duration::from_secs(86_400))).unwrap();
    let late = url.verify(SK, MAY.plus(Duration::from_secs(86_401))).unwrap_err();
    assert_eq!((late.code, &*late.message), (SigCode::AccessDenied, "Request has expired"));
    let early = Timestamp::from_seconds(MAY.seconds() - 901);
    assert_eq!(url.code(SK, early), SigCode::AccessDenied);
}

#[test]
fn a_life_is_digits_between_a_second_and_a_week() {
    for bad in ["%2B5", "1e3", "", "-", "--1"] {
        let code = presigned("", bad, PRESIGNED).code(SK, MAY);
        assert_eq!(code, SigCode::AuthorizationQueryParametersError, "{bad}");
    }
    for never in ["0", "604801", "-1", "99999999999999999999999"] {
        assert_eq!(presigned("", never, PRESIGNED).code(SK, MAY), SigCode::AccessDenied, "{never}");
    }
    assert_eq!(presigned("", "604800", PRESIGNED).code(SK, MAY), SigCode::SignatureDoesNotMatch);
}

#[test]
fn doubled_and_mixed_credentials_are_refused() {
    let doubled = presigned("&X-Amz-Signature=00", "86400", PRESIGNED);
    assert_eq!(doubled.code(SK, MAY), SigCode::AuthorizationQueryParametersError);
    let mut mixed = presigned("", "86400", PRESIGNED);
    mixed.headers.insert("authorization", format!("AWS {AK}:AAAA").parse().unwrap());
    assert_eq!(mixed.code(SK, MAY), SigCode::InvalidArgument);
    let both = presigned("&AWSAccessKeyId=x&Signature=x&Expires=1", "86400", PRESIGNED);
    assert_eq!(both.code(SK, MAY), SigCode::InvalidArgument);
    let mut twice = get_object(&v4(GET_SIGNED, GET_SIGNATURE));
    twice.headers.append("x-amz-date", "20130524T000001Z".parse().unwrap());
    assert_eq!(twice.code(SK, MAY), SigCode::InvalidRequest);
}

#[test]
fn a_date_that_is_off_either_way_is_skewed() {
    let request = get_object(&v4(GET_SIGNED, GET_SIGNATURE));
    for seconds in [-901, 901] {
        let now = Timestamp::from_seconds(MAY.seconds() + seconds);
        assert_eq!(request.code(SK, now), SigCode::RequestTimeTooSkewed, "{seconds}");
    }
    for seconds in [-900, 900] {
        request.verify(SK, Timestamp::from_seconds(MAY.seconds() + seconds)).unwrap();
    }
}

#[test]
fn whatever_is_changed_spoils_the_signature() {
    let right = v4(GET_SIGNED, GET_SIGNATURE);
    assert_eq!(get_object(&right).code("another secret", MAY), SigCode::SignatureDoesNotMatch);
    let mut other = get_object(&right);
    other.headers.insert("range", "bytes=0-10".parse().unwrap());
    assert_eq!(other.code(SK, MAY), SigCode::SignatureDoesNotMatch);
    let mut other = get_object(&right);
    other.method = Method::DELETE;
    assert_eq!(other.code(SK, MAY), SigCode::SignatureDoesNotMatch);
    let mut other = get_object(&right);
    other.target = Target::parse("/test.txt", Some("acl")).unwrap();
    assert_eq!(other.code(SK, MAY), SigCode::SignatureDoesNotMatch);
}

#[test]
fn an_amz_header_that_is_not_signed_is_refused() {
    let mut request = get_object(&v4(GET_SIGNED, GET_SIGNATURE));
    request.headers.insert("x-amz-copy-source", "/other/key".parse().unwrap());
    assert_eq!(request.code(SK, MAY), SigCode::AccessDenied);
    let mut url = presigned("", "86400", PRESIGNED);
    url.headers.insert("x-amz-copy-source", "/other/key".parse().unwrap());
    assert_eq!(url.code(SK, MAY), SigCode::AccessDenied);
}

#[test]
fn a_header_that_cannot_be_read_says_so() {
    let scope = |text: &str| {
        format!("AWS4-HMAC-SHA256 Credential={text}, SignedHeaders={GET_SIGNED}, Signature={GET_SIGNATURE}")
    };
    for (authorization, wanted) in [
        ("Basic eDp5".to_owned(), SigCode::InvalidArgument),
        ("AWS4-HMAC-SHA256 Credential=x".to_owned(), SigCode::AuthorizationHeaderMalformed),
        ("AWS4-ECDSA-P256-SHA256 Credential=x".to_owned(), SigCode::NotImplemented),
        (scope(&format!("{AK}/20130525/us-east-1/s3/aws4_request")), SigCode::AuthorizationHeaderMalformed),
        (scope(&format!("{AK}/20130524/us-east-1/ec2/aws4_request")), SigCode::AuthorizationHeaderMalformed),
        (scope(&format!("{AK}/20130524/us-east-1/s3/aws4_request2")), SigCode::AuthorizationHeaderMalformed),
        (scope("A K/20130524/us-east-1/s3/aws4_request"), SigCode::InvalidAccessKeyId),
        (v4("range;x-amz-date", GET_SIGNATURE), SigCode::AccessDenied),
        (v4(GET_SIGNED, "00"), SigCode::AuthorizationHeaderMalformed),
    ] {
        assert_eq!(get_object(&authorization).code(SK, MAY), wanted, "{authorization}");
    }
    let mut token = get_object(&v4(GET_SIGNED, GET_SIGNATURE));
    token.headers.insert("x-amz-security-token", "abc".parse().unwrap());
    assert_eq!(token.code(SK, MAY), SigCode::InvalidToken);
    let mut kind = get_object(&v4(GET_SIGNED, GET_SIGNATURE));
    kind.headers.insert("x-amz-content-sha256", "STREAMING-SOMETHING".parse().unwrap());
    assert_eq!(kind.code(SK, MAY), SigCode::InvalidArgument);
}

/// 2007-03-27T19:40:00Z
const MARCH: Timestamp = Timestamp::from_seconds(1_175_024_202);

#[test]
fn the_published_examples_of_v2_are_right() {
    let v2 = |signature: &str| format!("AWS {AK}:{signature}");
    for (method, target, headers, signature, seconds) in [
        (
            "GET",
            "/photos/puppy.jpg",
            vec![("date", "Tue, 27 Mar 2007 19:36:42 +0000")],
            "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
            0,
        ),
        (
            "PUT",
            "/photos/puppy.jpg",
            vec![("content-type", "image/jpeg"), ("date", "Tue, 27 Mar 2007 21:15:45 +0000")],
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
            5943,
        ),
        (
            "GET",
            "/?prefix=photos&max-keys=50&marker=puppy",
            vec![("date", "Tue, 27 Mar 2007 19:42:41 +0000")],
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
            359,
        ),
        ("GET", "/?acl", vec![("date", "Tue, 27 Mar 2007 19:44:46 +0000")], "c2WLPFtWHVgbEmeEG93a4cG37dM=", 484),
    ] {
        let authorization = v2(signature);
        let mut headers = headers;
        headers.push(("authorization", &authorization));
        let request = came(method, target, &headers).to("johnsmith");
        let now = Timestamp::from_seconds(MARCH.seconds() + seconds);
        assert!(request.verify(SK, now).is_ok(), "{method} {target}");
        assert_eq!(request.code("another", now), SigCode::SignatureDoesNotMatch);
        assert_eq!(request.code(SK, now.plus(Duration::from_secs(901))), SigCode::RequestTimeTooSkewed);
    }
    let upload = came(
        "PUT",
        "/db-backup.dat.gz",
        &[
            ("date", "Tue, 27 Mar 2007 21:06:08 +0000"),
            ("x-amz-acl", "public-read"),
            ("content-type", "application/x-download"),
            ("content-md5", "4gJE4saaMU4BqNR0kLY+lw=="),
            ("x-amz-meta-reviewedby", "joe@johnsmith.net"),
            ("x-amz-meta-reviewedby", "jane@johnsmith.net"),
            ("x-amz-meta-filechecksum", "0x02661779"),
            ("x-amz-meta-checksumalgorithm", "crc32"),
            ("authorization", &v2("ilyl83RwaSoYIEdixDQcA4OnAnc=")),
        ],
    );
    upload.to("static.johnsmith.net").verify(SK, Timestamp::from_seconds(1_175_029_568)).unwrap();
    let unicode = came(
        "GET",
        "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
        &[("date", "Wed, 28 Mar 2007 01:49:49 +0000"), ("authorization", &v2("DNEZGsoieTZ92F3bUfSPQcbGmlM="))],
    );
    unicode.verify(SK, Timestamp::from_seconds(1_175_046_589)).unwrap();
}

#[test]
fn the_published_presigned_url_of_v2_lives_until_its_second() {
    let url = came(
        "GET",
        &format!("/photos/puppy.jpg?AWSAccessKeyId={AK}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"),
        &[],
    )
    .to("johnsmith");
    assert!(url.verify(SK, Timestamp::from_seconds(1_175_139_620)).unwrap().presigned);
    let late = url.verify(SK, Timestamp::from_seconds(1_175_139_621)).unwrap_err();
    assert_eq!(&*late.message, "Request has expired");
}

#[test]
fn v2_takes_the_three_resources_and_both_date_forms() {
    let secret = Secret::new(SK);
    let sign = |resource: &str, amz_date: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", amz_date.parse().unwrap());
        let text = v2::string_to_sign("GET", &headers, None, "", resource);
        format!("AWS {AK}:{}", v2::encode(&hmac_sha1(secret.expose().as_bytes(), &text)))
    };
    for date in ["Fri, 24 May 2013 00:00:00 +0000", "Fri, 24 May 2013 00:00:00 GMT", "20130524T000000Z"] {
        for (target, resource) in [
            ("/bucket", "/bucket"),
            ("/bucket", "/bucket/"),
            ("/bucket/", "/bucket/"),
            ("/bucket?uploads", "/bucket/?uploads"),
            ("/bucket/%E5%BD%95%20b", "/bucket/%E5%BD%95%20b"),
            ("/bucket/%E5%BD%95%20b", "/bucket/录 b"),
        ] {
            let authorization = sign(resource, date);
            let stale = ("date", "Thu, 01 Jan 1970 00:00:00 GMT");
            let request = came("GET", target, &[("x-amz-date", date), stale, ("authorization", &authorization)]);
            assert!(request.verify(SK, MAY).is_ok(), "{target} signed as {resource} at {date}");
        }
    }
    let authorization = sign("/bucket/other", "20130524T000000Z");
    let request = came("GET", "/bucket/k", &[("x-amz-date", "20130524T000000Z"), ("authorization", &authorization)]);
    assert_eq!(request.code(SK, MAY), SigCode::SignatureDoesNotMatch);
    let dateless = came("GET", "/bucket/k", &[("authorization", &authorization)]);
    assert_eq!(dateless.code(SK, MAY), SigCode::AccessDenied);
}

#[test]
fn what_v2_signs_for_one_key_opens_no_other() {
    let (access_key, secret) = (AK.parse().unwrap(), Secret::new(SK));
    for (signed, sent) in [
        ("/b/a%20b", "/b/a%2520b"),
        ("/b/a%20b", "/b/a%25%32%30b"),
        ("/b/%E5%BD%95", "/b/%25E5%25BD%2595"),
        ("/b/100%25", "/b/100%2525"),
    ] {
        let url = presign_v2(&to_sign(&access_key, &secret, signed, ""), MAY.seconds() + 60);
        came("GET", &format!("{signed}?{url}"), &[]).verify(SK, MAY).unwrap();
        let other = came("GET", &format!("{sent}?{url}"), &[]);
        assert_eq!(other.code(SK, MAY), SigCode::SignatureDoesNotMatch, "{sent} by the signature of {signed}");
    }
    // One of two types is signed, and nobody says which.
    let url = presign_v2(&to_sign(&access_key, &secret, "/b/k", ""), MAY.seconds() + 60);
    for name in ["content-type", "content-md5"] {
        let twice = came("GET", &format!("/b/k?{url}"), &[(name, ""), (name, "text/html")]);
        assert_eq!(twice.code(SK, MAY), SigCode::InvalidRequest, "{name}");
    }
}

#[test]
fn a_sub_resource_cannot_be_added_to_a_url_that_v2_signed() {
    let (access_key, secret) = (AK.parse().unwrap(), Secret::new(SK));
    let sign = to_sign(&access_key, &secret, "/b/k", "");
    let url = presign_v2(&sign, MAY.seconds() + 60);
    came("GET", &format!("/b/k?{url}&x-id=GetObject"), &[]).verify(SK, MAY).unwrap();
    for sub in ["acl", "legal-hold", "uploadId=x", "delete", "response-content-type=text%2Fhtml", "versionId=x"] {
        let added = came("GET", &format!("/b/k?{url}&{sub}"), &[]);
        assert_eq!(added.code(SK, MAY), SigCode::SignatureDoesNotMatch, "{sub}");
    }
}

/// Requests of boto3 1.44 as they went out, signed on 2026-11-23 with keys made up for this file.
#[test]
fn what_botocore_signs_is_believed() {
    let now = Timestamp::from_seconds(1_795_475_749);
    let mut seen = 0;
    for line in include_str!("botocore.jsonl").lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = vector["name"].as_str().unwrap();
        let url = vector["url"].as_str().unwrap();
        let target = &url[url.find(":9000").unwrap() + 5..];
        let headers: Vec<(&str, &str)> =
            vector["headers"].as_object().unwrap().iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
        let request = came(vector["method"].as_str().unwrap(), target, &headers);
        let verified = request.verify("kandian-secret-0001", now);
        assert!(verified.is_ok(), "{name}: {verified:?}");
        assert_eq!(request.code("kandian-secret-0002", now), SigCode::SignatureDoesNotMatch, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 22);
}

fn to_sign<'a>(access_key: &'a AccessKey, secret: &'a Secret, path: &'a str, query: &'a str) -> ToSign<'a> {
    ToSign {
        method: "GET",
        host: "10.0.0.1:9000",
        path,
        query,
        headers: &[],
        access_key,
        secret,
        region: "kandian",
        now: MAY,
    }
}

#[test]
fn a_file_url_is_ascii_and_opens_the_file() {
    let (access_key, secret) = (AK.parse().unwrap(), Secret::new(SK));
    let url = presign_get(&PresignGet {
        endpoint: "http://kandian.example:80",
        bucket: "rec-1",
        key: "录像/a b+c?#%.mp4",
        access_key: &access_key,
        secret: &secret,
        region: "kandian",
        now: MAY,
        expires: 86_400,
    });
    assert!(url.is_ascii());
    let target = url.strip_prefix("http://kandian.example").unwrap();
    assert!(target.starts_with("/rec-1/%E5%BD%95%E5%83%8F/a%20b%2Bc%3F%23%25.mp4?"), "{target}");
    let request = came("GET", target, &[("host", "kandian.example")]);
    assert_eq!(request.target.split(), Ok(("rec-1".into(), "录像/a b+c?#%.mp4".into())));
    assert!(request.verify(SK, MAY.plus(Duration::from_secs(86_400))).unwrap().presigned);
}

proptest! {
    #[test]
    fn what_we_sign_we_believe_and_nothing_else(
        key in "[ -~录像é]{1,20}", prefix in "[ -~录]{0,10}", secret in "[ -~]{1,40}", flip in any::<bool>(),
    ) {
        let (access_key, hidden) = (AK.parse().unwrap(), Secret::new(secret.clone()));
        let path = canonical::encode_path(&format!("/b/{key}"));
        let query = format!("prefix={}", canonical::encode(&prefix));
        let sign = to_sign(&access_key, &hidden, &path, &query);
        let (other, target) = (format!("{secret}x"), format!("{path}?{query}"));
        for headers in [sign_v4(&sign, Content::Unsigned), sign_v2(&sign)] {
            let mut all: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            all.push(("host", "10.0.0.1:9000"));
            let request = came("GET", &target, &all);
            prop_assert!(request.verify(&secret, MAY).is_ok());
            prop_assert_eq!(request.code(&other, MAY), SigCode::SignatureDoesNotMatch);
        }
        let presigned = if flip { presign_v4(&sign, 60) } else { presign_v2(&sign, MAY.seconds() + 60) };
        let request = came("GET", &format!("{path}?{presigned}"), &[("host", "10.0.0.1:9000")]);
        prop_assert!(request.verify(&secret, MAY).is_ok());
        prop_assert_eq!(request.code(&other, MAY), SigCode::SignatureDoesNotMatch);
    }

    #[test]
    fn no_authorization_panics(text in "(AWS4-HMAC-SHA256 |AWS )?[ -~]{0,120}", query in "[ -~]{0,80}") {
        let Ok(target) = Target::parse("/b/k", Some(&query)) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert("authorization", text.parse().unwrap());
        let request = Request { method: &Method::GET, target: &target, headers: &headers, host_bucket: None };
        if let Ok(Some(claim)) = read(&request) {
            prop_assert!(claim.verify(&request, &Key::new(Secret::new(SK)), MAY, QUARTER).is_err());
        }
    }
}
