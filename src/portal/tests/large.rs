//! Pages of a box with many cameras and files are pages: none grows with what there is. Times are measured elsewhere
//! (`scripts/bench-portal`); a test that a busy machine fails would say nothing.

use super::*;
use crate::domain::Lock;
use crate::engine::tests::{ACCOUNT, PASSWORD, put_file};

const CAMERAS: usize = 3000;
/// Files of one camera.
const FILES: usize = 1200;
/// Issue 4's bar, before any compression.
const BYTES_MOST: usize = 150_000;
/// Cameras on a page, at most.
const ROWS_MOST: usize = 200;

/// An account with many cameras, some with a long name and place; their AKs, of which the last has files.
async fn fill(site: &Site) -> Vec<String> {
    let new = NewAccount {
        name: ACCOUNT.parse().unwrap(),
        password: Some(Secret::new(PASSWORD)),
        space: Gigabytes::new(1_000_000).unwrap(),
        alert_url: None,
        max_sub_accounts: Some(10_000),
    };
    site.engine.open_account(&Caller::operator(), new).await.unwrap();
    let platform = site.engine.sign_in(ACCOUNT, PASSWORD).unwrap();
    let (mut aks, mut last) = (Vec::new(), None);
    for number in 0..CAMERAS {
        let opened = site.engine.open_sub_account(&platform, Gigabytes::new(10).unwrap()).await.unwrap();
        if number < ROWS_MOST {
            let (name, place) = ("摄".repeat(60), "号".repeat(60));
            site.engine.name_camera(&Caller::operator(), opened.access_key.as_str(), &name, &place).await.unwrap();
        }
        aks.push(opened.access_key.to_string());
        last = Some(opened);
    }
    let camera = last.unwrap();
    for number in 0..FILES {
        let lock = if number % 3 == 0 { Lock::Locked } else { Lock::Open };
        for bucket in [&camera.record_bucket, &camera.picture_bucket] {
            put_file(&site.engine, bucket.as_str(), &format!("2026/01/01/{}-{number}", "n".repeat(100)), lock).await;
        }
    }
    aks
}

/// What every page of this path is, first and last: small, and with few of the cameras. How many the first one has.
async fn is_paged(site: &Site, token: &str, path: &str, aks: &BTreeSet<&str>) -> usize {
    let mut first = None;
    let join = if path.contains('?') { '&' } else { '?' };
    for page in ["", "page=2", "page=1000000"] {
        let here = format!("{path}{join}{page}");
        let answer = site.ask(Method::GET, &here, Some(token), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{here}");
        assert!(answer.body.len() <= BYTES_MOST, "{here} has {} bytes", answer.body.len());
        let words = answer.body.split(|c: char| !c.is_ascii_alphanumeric());
        let shown = words.filter(|word| aks.contains(word)).collect::<BTreeSet<_>>().len();
        assert!(shown <= ROWS_MOST, "{here} shows {shown} cameras");
        first.get_or_insert(shown);
    }
    first.unwrap()
}

#[test]
fn no_page_grows_with_the_number_of_cameras_or_files() {
    run(async {
        let site = Site::open();
        let aks = fill(&site).await;
        let (ak, aks) = (aks.last().unwrap(), aks.iter().map(String::as_str).collect());
        let operations = site.signed_in(Role::Operations).await;
        let province = site.signed_in(Role::Province).await;
        let there: BTreeSet<&str> = routes().into_iter().map(|route| route.path).collect();
        let mut looked_at = 0;
        for (token, path) in [
            (&operations, "/overview".to_owned()),
            (&operations, "/accounts".to_owned()),
            (&operations, format!("/accounts/show?name={ACCOUNT}")),
            (&operations, "/users".to_owned()),
            (&operations, "/audit".to_owned()),
            (&operations, "/billing".to_owned()),
            (&operations, "/statistics".to_owned()),
            (&operations, "/alerts".to_owned()),
            (&operations, "/space".to_owned()),
            (&operations, format!("/space?account={ACCOUNT}")),
            (&province, "/cameras".to_owned()),
            (&province, format!("/cameras/show?ak={ak}")),
            (&province, "/space".to_owned()),
            (&province, "/space?view=next".to_owned()),
            (&province, "/space?view=days&sort=name".to_owned()),
            (&province, "/space/gone".to_owned()),
            (&province, format!("/space/gone?ak={ak}")),
            (&province, "/recordings".to_owned()),
            (&province, format!("/recordings?ak={ak}")),
            (&province, format!("/pictures?ak={ak}")),
        ] {
            // Sets of pages land one by one; one that is there is held to it.
            if there.contains(path.split('?').next().unwrap()) {
                let shown = is_paged(&site, token, &path, &aks).await;
                let lists_cameras = path == "/cameras"
                    || path.starts_with("/accounts/show")
                    || (path.starts_with("/space?") && !path.contains("next"));
                assert!(shown >= 20 || !lists_cameras, "{path} shows {shown} cameras");
                looked_at += 1;
            }
        }
        assert!(looked_at >= 7, "only {looked_at} pages are there");
    });
}
