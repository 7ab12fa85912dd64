//! Which operation a request asks for. Sub-resources that S3 has and this store lacks are found
//! before the plain PUT, GET and DELETE: `PUT key?acl` must not replace the object.

use http::{HeaderMap, Method};

use super::error::{Code, S3Error, S3Result};
use crate::domain::ObjectKey;
use crate::wire::sig::Target;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/`
    Service,
    /// `/bucket`
    Bucket(String),
    /// `/bucket/key`
    Object(String, ObjectKey),
}

/// What a preflight is called.
pub const PREFLIGHT: &str = "Preflight";
/// What is asked for and not there, or not read so far.
pub const UNKNOWN: &str = "Unknown";

macro_rules! operations {
    ($($name:ident,)*) => {
        /// What it asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($name,)*
            /// Something of S3 that we lack, by name.
            NotImplemented(&'static str),
        }

        /// Names of all operations.
        pub const OPERATIONS: &[&str] = &[$(stringify!($name),)* PREFLIGHT, "NotImplemented"];

        impl Operation {
            /// Its name, as S3's documentation has it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::NotImplemented(_) => "NotImplemented",
                }
            }
        }
    };
}

operations! {
    ListBuckets,
    HeadBucket,
    CreateBucket,
    GetBucketLocation,
    GetBucketVersioning,
    DeleteBucket,
    DeleteObjects,
    ListObjects,
    ListObjectsV2,
    ListObjectVersions,
    ListMultipartUploads,
    PostObject,
    GetObject,
    HeadObject,
    PutObject,
    CopyObject,
    DeleteObject,
    GetAcl,
    GetObjectAttributes,
    GetObjectTagging,
    GetObjectLegalHold,
    PutObjectLegalHold,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
}

/// Parameters that turn a request into another operation; all others are ignored.
const SUB_RESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// What a request is about, and what it asks for.
pub type Asked = S3Result<(Place, S3Result<Operation>)>;

/// Reads both of a request.
pub fn asked(method: &Method, target: &Target, host_bucket: Option<&str>, headers: &HeaderMap) -> Asked {
    let place = place(target, host_bucket)?;
    let operation = operation(method, &place, target, headers);
    Ok((place, operation))
}

/// What it is called where it is counted.
pub fn name(method: &Method, asked: &Asked) -> &'static str {
    match asked {
        Ok((_, Ok(operation))) => operation.name(),
        _ if method == Method::OPTIONS => PREFLIGHT,
        _ => UNKNOWN,
    }
}

/// The bucket that a host names, where `domain` is set: `bucket.DOMAIN[:port]`.
pub fn host_bucket(host: Option<&str>, domain: Option<&str>) -> Option<String> {
    let (host, domain) = (host?.to_ascii_lowercase(), domain?.to_ascii_lowercase());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host.as_str(),
    };
    let bucket = name.strip_suffix(domain.as_str())?.strip_suffix('.')?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

/// What a target is about.
///
/// # Errors
/// 400 for a key that cannot be.
pub fn place(target: &Target, host_bucket: Option<&str>) -> S3Result<Place> {
    let (bucket, key) = match host_bucket {
        Some(bucket) => {
            let path = target.decoded_path();
            (bucket.to_owned(), path.strip_prefix('/').unwrap_or(path).to_owned())
        }
        None => target.split()?,
    };
    if bucket.is_empty() {
        return if key.is_empty() {
            Ok(Place::Service)
        } else {
            Err(S3Error::new(Code::InvalidURI, "The path names no bucket."))
        };
    }
    if key.is_empty() {
        return Ok(Place::Bucket(bucket));
    }
    Ok(Place::Object(bucket, object_key(&key)?))
}

/// A key from outside.
///
/// # Errors
/// 400 for one that cannot be.
pub fn object_key(key: &str) -> S3Result<ObjectKey> {
    key.parse::<ObjectKey>().map_err(|why| {
        if key.len() > crate::domain::limits::OBJECT_KEY_BYTES_MAX {
            S3Error::new(Code::KeyTooLongError, "Your key is too long")
        } else {
            S3Error::new(Code::InvalidArgument, why.to_string())
        }
    })
}

/// What a request asks for.
///
/// # Errors
/// 405 where S3 has no such method.
pub fn operation(method: &Method, place: &Place, target: &Target, headers: &HeaderMap) -> S3Result<Operation> {
    let mut subs: Vec<&'static str> = SUB_RESOURCES.iter().copied().filter(|name| target.has(name)).collect();
    subs.sort_unstable();
    match place {
        Place::Service => match *method {
            Method::GET if subs.is_empty() => Ok(Operation::ListBuckets),
            Method::GET => Ok(lacking(&subs)),
            _ => Err(not_allowed()),
        },
        Place::Bucket(_) => bucket_operation(method, &subs, target),
        Place::Object(..) => object_operation(method, &subs, target, headers),
    }
}

fn bucket_operation(method: &Method, subs: &[&'static str], target: &Target) -> S3Result<Operation> {
    match (method.as_str(), subs) {
        ("GET", []) if target.get("list-type") == Some("2") => Ok(Operation::ListObjectsV2),
        ("GET", []) => Ok(Operation::ListObjects),
        ("GET", ["versions"]) => Ok(Operation::ListObjectVersions),
        ("GET", ["acl"]) => Ok(Operation::GetAcl),
        ("GET", ["location"]) => Ok(Operation::GetBucketLocation),
        ("GET", ["versioning"]) => Ok(Operation::GetBucketVersioning),
        ("GET", ["uploads"]) => Ok(Operation::ListMultipartUploads),
        ("HEAD", []) => Ok(Operation::HeadBucket),
        ("PUT", []) => Ok(Operation::CreateBucket),
        ("DELETE", []) => Ok(Operation::DeleteBucket),
        ("POST", []) => Ok(Operation::PostObject),
        ("POST", ["delete"]) => Ok(Operation::DeleteObjects),
        ("GET" | "HEAD" | "PUT" | "DELETE" | "POST", _) => Ok(lacking(subs)),
        _ => Err(not_allowed()),
    }
}

fn object_operation(
    method: &Method,
    subs: &[&'static str],
    target: &Target,
    headers: &HeaderMap,
) -> S3Result<Operation> {
    let current = matches!(target.get("versionId"), None | Some("null" | ""));
    let plain: Vec<&'static str> = subs.iter().copied().filter(|s| *s != "versionId").collect();
    if !current && plain.is_empty() {
        return match *method {
            Method::GET | Method::HEAD | Method::DELETE => {
                Err(S3Error::new(Code::NoSuchVersion, "The specified version does not exist."))
            }
            _ => Ok(Operation::NotImplemented("versionId")),
        };
    }
    let copies = headers.contains_key("x-amz-copy-source");
    match (method.as_str(), plain.as_slice()) {
        ("GET", [] | ["partNumber"]) => Ok(Operation::GetObject),
        ("HEAD", [] | ["partNumber"]) => Ok(Operation::HeadObject),
        ("GET", ["acl"]) => Ok(Operation::GetAcl),
        ("GET", ["attributes"]) => Ok(Operation::GetObjectAttributes),
        ("GET", ["tagging"]) => Ok(Operation::GetObjectTagging),
        ("GET", ["uploadId"]) => Ok(Operation::ListParts),
        ("GET", ["legal-hold"]) => Ok(Operation::GetObjectLegalHold),
        ("PUT", ["legal-hold"]) => Ok(Operation::PutObjectLegalHold),
        // Presigners that move headers into the query mean a copy, and a plain PUT would store nothing
        // over the target.
        ("PUT", _) if !copies && target.params().iter().any(|p| p.name.eq_ignore_ascii_case("x-amz-copy-source")) => {
            Ok(Operation::NotImplemented("x-amz-copy-source as a parameter"))
        }
        ("PUT", []) if copies => Ok(Operation::CopyObject),
        ("PUT", ["partNumber", "uploadId"]) if copies => Ok(Operation::UploadPartCopy),
        ("PUT", []) => Ok(Operation::PutObject),
        ("PUT", ["partNumber", "uploadId"]) => Ok(Operation::UploadPart),
        ("PUT", ["partNumber"] | ["uploadId"]) => {
            Err(S3Error::new(Code::InvalidArgument, "An upload of a part needs both partNumber and uploadId"))
        }
        ("DELETE", []) => Ok(Operation::DeleteObject),
        ("DELETE", ["uploadId"]) => Ok(Operation::AbortMultipartUpload),
        ("POST", ["uploads"]) => Ok(Operation::CreateMultipartUpload),
        ("POST", ["uploadId"]) => Ok(Operation::CompleteMultipartUpload),
        ("POST", []) => Err(not_allowed()),
        ("GET" | "HEAD" | "PUT" | "DELETE" | "POST", _) => Ok(lacking(&plain)),
        _ => Err(not_allowed()),
    }
}

fn lacking(subs: &[&'static str]) -> Operation {
    Operation::NotImplemented(subs.first().copied().unwrap_or("this request"))
}

fn not_allowed() -> S3Error {
    S3Error::new(Code::MethodNotAllowed, "The specified method is not allowed against this resource.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> S3Result<Operation> {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let target = Target::parse(path, query).unwrap();
        let place = place(&target, None)?;
        operation(&method.parse().unwrap(), &place, &target, &HeaderMap::new())
    }

    #[test]
    fn each_request_finds_its_operation() {
        for (method, target, wanted) in [
            ("GET", "/", Operation::ListBuckets),
            ("GET", "/?x-id=ListBuckets", Operation::ListBuckets),
            ("GET", "/b", Operation::ListObjects),
            ("GET", "/b/", Operation::ListObjects),
            ("GET", "/b?list-type=2&prefix=x", Operation::ListObjectsV2),
            ("GET", "/b?location", Operation::GetBucketLocation),
            ("GET", "/b?versioning", Operation::GetBucketVersioning),
            ("GET", "/b/?uploads", Operation::ListMultipartUploads),
            ("GET", "/b?versions&prefix=x", Operation::ListObjectVersions),
            ("GET", "/b?acl", Operation::GetAcl),
            ("GET", "/b/k?acl", Operation::GetAcl),
            ("GET", "/b/k?attributes&versionId=null", Operation::GetObjectAttributes),
            ("HEAD", "/b", Operation::HeadBucket),
            ("PUT", "/b", Operation::CreateBucket),
            ("DELETE", "/b", Operation::DeleteBucket),
            ("POST", "/b", Operation::PostObject),
            ("POST", "/b/?delete", Operation::DeleteObjects),
            ("GET", "/b/k?legal-hold", Operation::GetObjectLegalHold),
            ("PUT", "/b/k?legal-hold&versionId=null", Operation::PutObjectLegalHold),
            ("PUT", "/b/k?X-Amz-Copy-Source=b%2Fx", Operation::NotImplemented("x-amz-copy-source as a parameter")),
            ("GET", "/b/k", Operation::GetObject),
            ("GET", "/b//", Operation::GetObject),
            ("GET", "/b/k?versionId=null", Operation::GetObject),
            ("GET", "/b/k?partNumber=1", Operation::GetObject),
            ("HEAD", "/b/k", Operation::HeadObject),
            ("PUT", "/b/k?x-id=PutObject&vendor=1", Operation::PutObject),
            ("PUT", "/b/k?partNumber=1&uploadId=x", Operation::UploadPart),
            ("DELETE", "/b/k", Operation::DeleteObject),
            ("DELETE", "/b/k?uploadId=x", Operation::AbortMultipartUpload),
            ("POST", "/b/k?uploads", Operation::CreateMultipartUpload),
            ("POST", "/b/k?uploadId=x", Operation::CompleteMultipartUpload),
            ("GET", "/b/k?uploadId=x&max-parts=1", Operation::ListParts),
            ("GET", "/b/k?tagging", Operation::GetObjectTagging),
        ] {
            assert_eq!(asked(method, target).unwrap(), wanted, "{method} {target}");
        }
    }

    #[test]
    fn a_sub_resource_that_we_lack_never_becomes_a_plain_request() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
            for sub in SUB_RESOURCES {
                for path in ["/b", "/b/k"] {
                    let plain = [Operation::PutObject, Operation::DeleteObject, Operation::CreateBucket];
                    let known = ["versionId", "partNumber", "uploadId", "uploads"].contains(sub);
                    if let Ok(operation) = asked(method, &format!("{path}?{sub}")) {
                        assert!(known || !plain.contains(&operation), "{method} {path}?{sub}: {operation:?}");
                    }
                }
            }
        }
        for target in ["/b/k?acl", "/b/k?renameObject", "/b/k?encryption", "/b/k?tagging", "/b?policy", "/b/k?acl&x=1"]
        {
            assert!(matches!(asked("PUT", target), Ok(Operation::NotImplemented(_))), "{target}");
        }
        assert!(matches!(asked("DELETE", "/b/k?tagging&uploadId=x"), Ok(Operation::NotImplemented(_))));
        assert!(matches!(asked("PUT", "/b/k?partNumber=1"), Err(e) if e.code() == Code::InvalidArgument));
    }

    #[test]
    fn a_version_that_is_not_null_does_not_exist() {
        assert_eq!(asked("DELETE", "/b/k?versionId=abc").unwrap_err().code(), Code::NoSuchVersion);
    }

    #[test]
    fn keys_are_opaque_and_impossible_ones_refused() {
        let key = |path: &str| match place(&Target::parse(path, None).unwrap(), None).unwrap() {
            Place::Object(_, key) => key.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(key("/b/../x"), "../x");
        assert_eq!(key("/b//"), "/");
        assert_eq!(key("/b/a%2Fb+c/"), "a/b+c/");
        assert_eq!(asked("GET", "/b/%00").unwrap_err().code(), Code::InvalidArgument);
        let long = format!("/b/{}", "k".repeat(1025));
        assert_eq!(asked("PUT", &long).unwrap_err().code(), Code::KeyTooLongError);
        assert_eq!(asked("GET", "//k").unwrap_err().code(), Code::InvalidURI);
    }

    #[test]
    fn a_host_names_a_bucket_only_below_the_domain() {
        let domain = Some("s3.example");
        assert_eq!(host_bucket(Some("rec-1.S3.example:9000"), domain), Some("rec-1".into()));
        assert_eq!(host_bucket(Some("s3.example"), domain), None);
        assert_eq!(host_bucket(Some("xs3.example"), domain), None);
        assert_eq!(host_bucket(Some("10.0.0.1:9000"), domain), None);
        assert_eq!(host_bucket(Some("rec-1.s3.example"), None), None);
        let target = Target::parse("/k/x", None).unwrap();
        assert_eq!(place(&target, Some("rec-1")).unwrap(), Place::Object("rec-1".into(), "k/x".parse().unwrap()));
    }
}
