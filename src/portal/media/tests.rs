//! The bytes of files through the router: parts, headers, rights, what is asked badly.

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};

use crate::domain::Role;
use crate::engine::tests::{camera_with, content, on_disks_that_rot};
use crate::portal::tests::{Site, run};

/// The head of a PNG: enough to be told from others.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0\x1f\xf3\xffa";
const PAGE: &[u8] = b"<!doctype html><script>alert(1)</script>";

fn long() -> Vec<u8> {
    content(7, 700_000)
}

/// A site with a camera, its AK, and who may what.
async fn site() -> (Site, String, String) {
    let site = Site::open();
    let long = long();
    let files: [(&str, &[u8]); 3] = [("a b.png", PNG), ("x.html", PAGE), ("long.bin", &long)];
    let ak = camera_with(&site.engine, &files).await;
    let token = site.signed_in(Role::Province).await;
    (site, ak, token)
}

#[test]
fn parts_of_a_file_are_the_bytes_that_were_uploaded() {
    run(async {
        let (site, ak, token) = site().await;
        let path = format!("/media?ak={ak}&kind=recording&key=long.bin");
        let get = async |headers: &[(&str, &str)]| {
            let (status, headers, body) = site.fetch(Method::GET, &path, Some(&token), headers).await;
            (status, headers, body.unwrap())
        };
        let (status, headers, body) = get(&[]).await;
        assert!(status == StatusCode::OK && body == long(), "{status} {}", body.len());
        let tag = headers[ETAG].to_str().unwrap().to_owned();
        // Over the borders of blocks, at both ends, and one byte.
        for (range, part) in
            [("0-0", 0..1), ("65530-65545", 65_530..65_546), ("131072-", 131_072..700_000), ("-7", 699_993..700_000)]
        {
            let (status, headers, body) = get(&[("range", &format!("bytes={range}"))]).await;
            assert_eq!(status, StatusCode::PARTIAL_CONTENT, "{range}");
            assert!(body == long()[part.clone()], "{range}");
            let told = format!("bytes {}-{}/700000", part.start, part.end - 1);
            assert_eq!(headers[CONTENT_RANGE], told.as_str());
        }
        let (status, headers, body) = get(&[("range", "bytes=700000-")]).await;
        assert_eq!((status, body.len()), (StatusCode::RANGE_NOT_SATISFIABLE, 0));
        assert_eq!(headers[CONTENT_RANGE], "bytes */700000");
        assert_eq!(get(&[("if-none-match", &tag)]).await.0, StatusCode::NOT_MODIFIED);
        assert_eq!(get(&[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await.0, StatusCode::OK);
        let (status, headers, body) = site.fetch(Method::HEAD, &path, Some(&token), &[]).await;
        assert_eq!((status, body.unwrap().len()), (StatusCode::OK, 0));
        assert_eq!(headers["content-length"], "700000");
    });
}

#[test]
fn what_was_uploaded_runs_nowhere() {
    run(async {
        let (site, ak, token) = site().await;
        let get = async |key: &str, more: &str| {
            let path = format!("/media?ak={ak}&kind=recording&key={key}{more}");
            let (status, headers, _) = site.fetch(Method::GET, &path, Some(&token), &[]).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers[CONTENT_SECURITY_POLICY], "sandbox; default-src 'none'");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            let text = |name| headers[name].to_str().unwrap().to_owned();
            (text(CONTENT_TYPE), text(CONTENT_DISPOSITION), text(CACHE_CONTROL))
        };
        let (kind, how, cached) = get("x.html", "").await;
        assert_eq!((kind.as_str(), cached.as_str()), ("application/octet-stream", "private, no-store"));
        assert!(how.starts_with("attachment; "), "{how}");
        let (kind, how, cached) = get("a+b.png", "").await;
        assert_eq!((kind.as_str(), cached.as_str()), ("image/png", "private, no-cache"));
        assert!(how.starts_with("inline; ") && how.ends_with("filename*=UTF-8''a%20b.png"), "{how}");
        let (_, how, cached) = get("a+b.png", "&as=download").await;
        assert!(how.starts_with("attachment; ") && cached == "private, no-store", "{how} {cached}");
    });
}

#[test]
fn only_users_of_the_account_get_bytes_and_the_audit_log_says_who() {
    run(async {
        let (site, ak, token) = site().await;
        let path = format!("/media?ak={ak}&kind=recording&key=long.bin");
        let status = async |token: Option<&str>, path: &str| site.fetch(Method::GET, path, token, &[]).await.0;
        assert_eq!(status(None, &path).await, StatusCode::SEE_OTHER, "a stranger signs in first");
        for role in [Role::Operations, Role::Auditor] {
            let token = site.signed_in(role).await;
            assert_eq!(status(Some(&token), &path).await, StatusCode::FORBIDDEN, "{role:?}");
        }
        let viewer = site.signed_in(Role::Viewer).await;
        assert_eq!(status(Some(&viewer), &path).await, StatusCode::OK);
        let other = site.signed_in_to("zhejiang", Role::Province).await;
        assert_eq!(status(Some(&other), &path).await, StatusCode::NOT_FOUND, "another account's is not there");
        for bad in [
            "/media".to_owned(),
            format!("/media?ak={ak}&kind=recording"),
            format!("/media?ak={ak}&kind=sound&key=long.bin"),
            format!("/media?ak={ak}&kind=picture&key=long.bin"),
            format!("/media?ak={ak}&kind=recording&key=gone"),
            format!("/media?ak={ak}&kind=recording&key=%00"),
            format!("/media?ak={ak}&kind=recording&key={}", "x".repeat(3000)),
            "/media?ak=%27&kind=recording&key=long.bin".to_owned(),
        ] {
            assert_eq!(status(Some(&token), &bad).await, StatusCode::NOT_FOUND, "{bad}");
        }
        let log = site.engine.audit_log(&crate::engine::Caller::operator(), 100).await.unwrap();
        let lines: Vec<_> =
            log.iter().filter(|(_, line)| line.what == "PlayFile").map(|(_, line)| line.who.as_str()).collect();
        assert_eq!(lines, ["user-viewer"], "one a user and file, none for who was refused");
    });
}

#[test]
fn damaged_bytes_are_never_sent() {
    run(async {
        let (engine, rot) = on_disks_that_rot(8);
        let site = Site::over(engine);
        let ak = camera_with(&site.engine, &[("long.bin", &long())]).await;
        let token = site.signed_in(Role::Viewer).await;
        rot(&long()[600_000..600_016]);
        let path = format!("/media?ak={ak}&kind=recording&key=long.bin");
        let get = async |range: &str| site.fetch(Method::GET, &path, Some(&token), &[("range", range)]).await;
        let (status, _, body) = get("bytes=0-65535").await;
        assert!(status == StatusCode::PARTIAL_CONTENT && body.unwrap() == long()[..65_536], "what is whole is given");
        let (status, _, body) = get("bytes=600000-600010").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "damage that is met first is told");
        assert!(body.unwrap().starts_with(b"<!doctype html>"), "in words");
        let (status, _, body) = get("all of it").await;
        assert!(status == StatusCode::OK && body.is_err(), "an answer that has begun is cut");
    });
}
