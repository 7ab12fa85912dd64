//! The clauses, and how each is tried.

use super::run::{Camera, Missed, Run, Step, expect, keys, number, same, wrong};
use crate::sim::client::s3::Outcome;
use crate::sim::client::{Connection, Content, Exchange, Signature};

/// A clause of the specification.
pub(super) struct Clause {
    /// `7.1`; paragraphs of section 3 have letters.
    pub number: &'static str,
    /// What the specification calls it.
    pub title: &'static str,
    /// What is tried, in English.
    pub about: &'static str,
}

const fn clause(number: &'static str, title: &'static str, about: &'static str) -> Clause {
    Clause { number, title, about }
}

/// All that is tried, in the order of the specification.
pub(super) const CLAUSES: [Clause; 19] = [
    clause("3.a", "子账户文件自动覆盖", "past 90 % the oldest unlocked files make room, 20 % of the space"),
    clause("3.b", "文件无法删除则自动告警", "where all is locked, the platform is warned instead"),
    clause("4", "平台接口", "the WSDL names the nine operations, and each answers"),
    clause("6.3", "网络摄像机空间分配", "a new camera uploads with its keys, V2 and V4, to its own buckets only"),
    clause("6.4", "网络摄像机空间修改", "a camera's space is grown and shrunk, and the account's follows"),
    clause("6.5", "网络摄像机注销", "a closed camera's key and its files' URLs are dead at once"),
    clause("6.6", "循环录像参数设置", "a full camera is refused; set to overwrite, it records on"),
    clause("6.7", "文件下载/回放", "a file's URL gives it whole and in ranges"),
    clause("6.8", "文件锁定/删除", "a locked file is neither replaced nor cleared"),
    clause("6.9", "非循环录像空间满及预警", "warned at 80 % once, stopped when full, recording again when cleared"),
    clause("7.1", "用户空间查询", "total and free space, exactly; results 0, 1, 2"),
    clause("7.2", "子账户开户申请", "keys, URL and buckets; results 0, 1, 2, 3"),
    clause("7.3", "子账户注销", "results 0 to 4"),
    clause("7.4", "子账户空间查询", "total and free space; results 0 to 4"),
    clause("7.5", "子账户空间修改", "results 0 to 5"),
    clause("7.6", "子账户空间管理策略", "both policies; results 0 to 4"),
    clause("7.7", "子账户文件检索", "by date, kind and page; what is told of a file; results 0 to 4"),
    clause("7.8", "子账户文件锁定", "lock and unlock; results 0 to 5"),
    clause("7.9", "一键全部清除", "all but locked files; results 0 to 6"),
];

/// Tries a clause.
pub(super) async fn check(number: &str, run: &mut Run) -> Step<()> {
    match number {
        "3.a" => overwrite(run).await,
        "3.b" => nothing_to_overwrite(run).await,
        "4" => interface(run).await,
        "6.3" => allotted(run).await,
        "6.4" => resized(run).await,
        "6.5" => closed(run).await,
        "6.6" => full_then_looping(run).await,
        "6.7" => played(run).await,
        "6.8" => locked(run).await,
        "6.9" => warned_and_stopped(run).await,
        "7.1" => user_space(run).await,
        "7.2" => opened(run).await,
        "7.3" => codes_of(run, "CloseSubAccount", &[]).await,
        "7.4" => sub_account_space(run).await,
        "7.5" => modified(run).await,
        "7.6" => policy(run).await,
        "7.7" => searched(run).await,
        "7.8" => locking(run).await,
        "7.9" => cleared(run).await,
        other => Err(Missed::Impossible(format!("{other} is not tried"))),
    }
}

// === section 3 ===

/// A camera with 1 GB that overwrites.
async fn looping(run: &mut Run) -> Step<(Camera, u64)> {
    let gigabyte = run.fillable()?;
    let camera = run.open(1).await?;
    let fields = [keys(&camera)[0], keys(&camera)[1], ("SpaceLoop", "1")];
    run.expect("SetSubAccountSpacePolicy", &fields, 0).await?;
    Ok((camera, gigabyte))
}

/// Uploads `count` files of a tenth of the space each, and one byte more in the last where `over`.
async fn fill(run: &mut Run, camera: &Camera, tenth: u64, count: u64) -> Step<Vec<(String, Content)>> {
    let mut files = Vec::new();
    for n in 0..count {
        let key = format!("selftest/{n:02}.mp4");
        files.push((key.clone(), run.record(camera, &key, tenth).await?));
    }
    Ok(files)
}

async fn lock(run: &mut Run, camera: &Camera, key: &str, flag: &str, result: i32) -> Step<Exchange> {
    let [ak, sk] = keys(camera);
    run.expect("LockSubAccountFile", &[ak, sk, ("FileName", key), ("LockFlag", flag)], result).await
}

/// Names of the files of a kind, by 7.7.
async fn found(run: &mut Run, camera: &Camera, kind: &str) -> Step<Vec<String>> {
    let answer = search(run, camera, ("", ""), ("1", "1000"), kind).await?;
    Ok(answer.items("FileInfo").into_iter().filter_map(|mut file| file.remove("FileName")).collect())
}

async fn search(
    run: &mut Run,
    camera: &Camera,
    (start, end): (&str, &str),
    (page, size): (&str, &str),
    kind: &str,
) -> Step<Exchange> {
    let [ak, sk] = keys(camera);
    let fields =
        [ak, sk, ("StartDateTime", start), ("EndDateTime", end), ("PageNo", page), ("PageSize", size), ("Type", kind)];
    run.expect("SearchSubAccountFiles", &fields, 0).await
}

async fn overwrite(run: &mut Run) -> Step<()> {
    let (camera, gigabyte) = looping(run).await?;
    // Nine of them are past 90 %, and two are 20 % at least.
    let tenth = gigabyte / 10 + 1;
    fill(run, &camera, tenth, 8).await?;
    same("files before 90 % is passed", &found(run, &camera, "0").await?.len(), &8)?;
    lock(run, &camera, "selftest/00.mp4", "1", 0).await?;
    run.record(&camera, "selftest/08.mp4", tenth).await?;
    // It may go on behind the answer.
    let mut left = Vec::new();
    for _ in 0..50 {
        left = found(run, &camera, "0").await?;
        if left.len() <= 7 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let right: Vec<String> = [0, 3, 4, 5, 6, 7, 8].map(|n| format!("selftest/{n:02}.mp4")).to_vec();
    same("what is left (the oldest is locked, the next two are 20 % of the space)", &left, &right)
}

async fn nothing_to_overwrite(run: &mut Run) -> Step<()> {
    let gigabyte = run.fillable()?;
    let camera = run.open(1).await?;
    for (key, _) in fill(run, &camera, gigabyte / 10 + 1, 9).await? {
        lock(run, &camera, &key, "1", 0).await?;
    }
    // Of 80 %, while it does not overwrite.
    let warned = run.alert(&camera).await?;
    same("the warning past 80 %", &warned.alert, &"nearly_full")?;
    let [ak, sk] = keys(&camera);
    run.expect("SetSubAccountSpacePolicy", &[ak, sk, ("SpaceLoop", "1")], 0).await?;
    let alert = run.alert(&camera).await?;
    same("the alert where nothing can be deleted", &alert.alert, &"nearly_full")?;
    same("files, all of them locked", &found(run, &camera, "0").await?.len(), &9)
}

// === section 4 ===

async fn interface(run: &mut Run) -> Step<()> {
    let endpoint = run.stage.soap.clone();
    let target = format!("{}?wsdl", endpoint.path());
    let mut connection = Connection::new(endpoint, run.stage.trust.clone());
    let answer = connection.call("GET", &target, &[], Content::empty()).await;
    let answer = answer.or_else(|error| wrong(format!("GET {target}: {error}")))?;
    same("the status of ?wsdl", &answer.status, &200)?;
    let wsdl = String::from_utf8_lossy(&answer.body).into_owned();
    for operation in &crate::sim::client::operations::OPERATIONS {
        if !wsdl.contains(&format!("name=\"{}\"", operation.name)) {
            return wrong(format!("the WSDL has no {}", operation.name));
        }
        // Nobody's account: it is known, and does nothing.
        let mut fields = vec![("Account", "kandian-selftest-nobody"), ("Password", "x")];
        fields.extend(
            operation.fields.iter().map(|field| (field.name, if field.usual.is_empty() { "x" } else { field.usual })),
        );
        let exchange = run.exchange(operation.name, &fields).await?;
        expect(&exchange, 1)?;
    }
    Ok(())
}

// === section 6 ===

async fn allotted(run: &mut Run) -> Step<()> {
    let (one, other) = (run.open(1).await?, run.open(1).await?);
    for (n, signature) in [Signature::V2, Signature::V4].into_iter().enumerate() {
        for bucket in [&one.recordings, &one.pictures] {
            let content = run.content(100_000);
            let key = format!("selftest/{n}");
            let outcome = run.put((&one, bucket, signature), &key, content.clone()).await?;
            same("the answer to an upload", &outcome, &Outcome::Done)?;
            same("what comes back", &run.get(&one, bucket, &key, content).await?, &Outcome::Done)?;
        }
        let content = run.content(1000);
        let outcome = run.put((&one, &other.recordings, signature), "selftest/strange", content).await?;
        match outcome {
            Outcome::Refused(403, _) => {}
            seen => return wrong(format!("an upload to another camera's bucket is answered {seen:?}; 403 is right")),
        }
    }
    Ok(())
}

async fn space_of(run: &mut Run, operation: &str, fields: &[(&str, &str)]) -> Step<(i64, i64)> {
    let answer = run.expect(operation, fields, 0).await?;
    Ok((number(&answer.fields, "TotalSpace")?, number(&answer.fields, "FreeSpace")?))
}

async fn resized(run: &mut Run) -> Step<()> {
    let (_, free) = space_of(run, "QueryUserSpace", &[]).await?;
    let camera = run.open(2).await?;
    let [ak, sk] = keys(&camera);
    for space in [5, 1] {
        let wanted = space.to_string();
        run.expect("ModifySubAccountSpace", &[ak, sk, ("NewStorageSpace", &wanted)], 0).await?;
        let of_camera = space_of(run, "QuerySubAccountSpace", &[ak, sk]).await?;
        same("the camera's space", &of_camera, &(space, space))?;
        let (_, now) = space_of(run, "QueryUserSpace", &[]).await?;
        same("the account's free space", &now, &(free - space))?;
    }
    Ok(())
}

async fn closed(run: &mut Run) -> Step<()> {
    let (_, free) = space_of(run, "QueryUserSpace", &[]).await?;
    let camera = run.open(1).await?;
    let content = run.record(&camera, "selftest/a.mp4", 50_000).await?;
    let url = url_of(run, &camera, "selftest/a.mp4").await?;
    run.expect("CloseSubAccount", &keys(&camera), 0).await?;
    match run.get(&camera, &camera.recordings, "selftest/a.mp4", content).await? {
        Outcome::Refused(403, _) => {}
        seen => return wrong(format!("a closed camera's GET is answered {seen:?}; 403 is right")),
    }
    let answer = run.fetch(&url, &[]).await?;
    if answer.status == 200 {
        return wrong("a closed camera's FileUrl still gives the file");
    }
    run.expect("CloseSubAccount", &keys(&camera), 3).await?;
    let (_, now) = space_of(run, "QueryUserSpace", &[]).await?;
    same("the account's free space", &now, &free)
}

async fn full_then_looping(run: &mut Run) -> Step<()> {
    let gigabyte = run.fillable()?;
    let camera = run.open(1).await?;
    fill(run, &camera, gigabyte / 10, 10).await?;
    let content = run.content(gigabyte / 10);
    let at = (&camera, camera.recordings.as_str(), Signature::V4);
    let outcome = run.put(at, "selftest/more.mp4", content.clone()).await?;
    same("the answer to an upload when it is full", &outcome, &Outcome::Refused(403, "QuotaExceeded".to_owned()))?;
    let [ak, sk] = keys(&camera);
    run.expect("SetSubAccountSpacePolicy", &[ak, sk, ("SpaceLoop", "1")], 0).await?;
    let outcome = run.put(at, "selftest/more.mp4", content).await?;
    same("the answer to it when the oldest are overwritten", &outcome, &Outcome::Done)?;
    let left = found(run, &camera, "0").await?;
    match left.first().map(String::as_str) {
        Some("selftest/00.mp4") | None => wrong(format!("the oldest is still there: {left:?}")),
        Some(_) => Ok(()),
    }
}

/// The FileUrl of a file.
async fn url_of(run: &mut Run, camera: &Camera, key: &str) -> Step<String> {
    let answer = search(run, camera, ("", ""), ("1", "1000"), "0").await?;
    let mut files = answer.items("FileInfo").into_iter();
    let file = files.find(|file| file.get("FileName").is_some_and(|name| name == key));
    match file.and_then(|mut file| file.remove("FileUrl")) {
        Some(url) => Ok(url),
        None => wrong(format!("7.7 does not find {key}, or tells no FileUrl of it")),
    }
}

async fn played(run: &mut Run) -> Step<()> {
    let camera = run.open(1).await?;
    let content = run.record(&camera, "selftest/看 店.mp4", 300_000).await?;
    let url = url_of(run, &camera, "selftest/看 店.mp4").await?;
    if !url.is_ascii() {
        return wrong(format!("FileUrl is not ASCII: {url}"));
    }
    let whole = run.fetch(&url, &[]).await?;
    same("the status of a FileUrl", &whole.status, &200)?;
    let mut expected = content;
    if !expected.accept(&whole.body) || !expected.is_empty() {
        return wrong("the FileUrl gives other bytes than were recorded");
    }
    for (range, from, to) in
        [("bytes=0-0", 0, 1), ("bytes=100000-200001", 100_000, 200_002), ("bytes=-7", 299_993, 300_000)]
    {
        let part = run.fetch(&url, &[("range", range)]).await?;
        same(&format!("the status of {range}"), &part.status, &206)?;
        if whole.body.get(from..to) != Some(part.body.as_slice()) {
            return wrong(format!("{range} gives other bytes"));
        }
    }
    Ok(())
}

async fn locked(run: &mut Run) -> Step<()> {
    let camera = run.open(1).await?;
    let content = run.record(&camera, "selftest/kept.mp4", 50_000).await?;
    run.record(&camera, "selftest/other.mp4", 50_000).await?;
    lock(run, &camera, "selftest/kept.mp4", "1", 0).await?;
    let other = run.content(60_000);
    let at = (&camera, camera.recordings.as_str(), Signature::V4);
    let denied = Outcome::Refused(403, "AccessDenied".to_owned());
    same("the answer to an upload over it", &run.put(at, "selftest/kept.mp4", other).await?, &denied)?;
    let deleted = run.delete(&camera, &camera.recordings.clone(), "selftest/kept.mp4").await?;
    same("the answer to its deletion", &deleted, &denied)?;
    run.expect("ClearSubAccountFiles", &keys(&camera), 0).await?;
    same("what is left", &found(run, &camera, "0").await?, &vec!["selftest/kept.mp4".to_owned()])?;
    let back = run.get(&camera, &camera.recordings.clone(), "selftest/kept.mp4", content).await?;
    same("what comes back of it", &back, &Outcome::Done)
}

async fn warned_and_stopped(run: &mut Run) -> Step<()> {
    let gigabyte = run.fillable()?;
    let camera = run.open(1).await?;
    let tenth = gigabyte / 10;
    let at = (&camera, camera.recordings.as_str(), Signature::V4);
    for round in ["the first time", "the second time, armed again by 7.9"] {
        fill(run, &camera, tenth, 8).await?;
        run.no_alert(&camera).await?;
        run.record(&camera, "selftest/08.mp4", tenth).await?;
        let warned = run.alert(&camera).await?;
        same(&format!("the warning past 80 %, {round}"), &warned.alert, &"nearly_full")?;
        run.record(&camera, "selftest/09.mp4", tenth).await?;
        run.no_alert(&camera).await?;
        let content = run.content(tenth);
        let outcome = run.put(at, "selftest/more.mp4", content).await?;
        same("the answer to an upload over 100 %", &outcome, &Outcome::Refused(403, "QuotaExceeded".to_owned()))?;
        let full = run.alert(&camera).await?;
        same(&format!("the alert when it is full, {round}"), &full.alert, &"full")?;
        for (what, seen, right) in [
            ("Account", Some(&full.account), run.stage.account.as_str()),
            ("Password", full.password.as_ref(), run.stage.password.expose()),
            ("S3SK", full.s3sk.as_ref(), camera.secret.expose()),
        ] {
            if seen.map(String::as_str) != Some(right) {
                return wrong(format!("{what} of the alert is not what it was given as"));
            }
        }
        run.expect("ClearSubAccountFiles", &keys(&camera), 0).await?;
        // 8.2 was deleted: the platform tells the camera itself.
        run.no_alert(&camera).await?;
    }
    Ok(())
}

// === section 7 ===

/// Results 1 to 4, as every operation on a sub-account has them.
async fn refusals_of(run: &mut Run, camera: &Camera, operation: &str, more: &[(&str, &str)]) -> Step<()> {
    let (account, password) = (run.stage.account.clone(), run.stage.password.clone());
    let (account, password) = (("Account", account.as_str()), ("Password", password.expose()));
    let [ak, sk] = keys(camera);
    for (credentials, result) in [
        ([("Account", "kandian-selftest-nobody"), password, ak, sk], 1),
        ([account, ("Password", "wrong"), ak, sk], 2),
        ([account, password, ("S3AK", "NOBODY0000000000"), sk], 3),
        ([account, password, ak, ("S3SK", "wrong")], 4),
    ] {
        let all: Vec<_> = credentials.iter().chain(more).copied().collect();
        let exchange = run.exchange(operation, &all).await?;
        expect(&exchange, result)?;
    }
    Ok(())
}

/// Those, and 0 of a new camera.
async fn codes_of(run: &mut Run, operation: &str, more: &[(&str, &str)]) -> Step<()> {
    let camera = run.open(1).await?;
    refusals_of(run, &camera, operation, more).await?;
    let all: Vec<_> = keys(&camera).iter().chain(more).copied().collect();
    run.expect(operation, &all, 0).await.map(drop)
}

async fn account_codes(run: &mut Run, operation: &str, more: &[(&str, &str)]) -> Step<()> {
    let (account, password) = (run.stage.account.clone(), run.stage.password.clone());
    for (account, password, result) in
        [("kandian-selftest-nobody", password.expose(), 1), (account.as_str(), "wrong", 2)]
    {
        let mut all = vec![("Account", account), ("Password", password)];
        all.extend(more);
        let exchange = run.exchange(operation, &all).await?;
        expect(&exchange, result)?;
    }
    Ok(())
}

async fn user_space(run: &mut Run) -> Step<()> {
    account_codes(run, "QueryUserSpace", &[]).await?;
    let (total, free) = space_of(run, "QueryUserSpace", &[]).await?;
    if !(0..=total).contains(&free) {
        return wrong(format!("FreeSpace is {free} of TotalSpace {total}"));
    }
    run.open(3).await?;
    same("the space when 3 GB were handed out", &space_of(run, "QueryUserSpace", &[]).await?, &(total, free - 3))
}

async fn opened(run: &mut Run) -> Step<()> {
    account_codes(run, "OpenSubAccount", &[("StorageSpace", "1")]).await?;
    let (_, free) = space_of(run, "QueryUserSpace", &[]).await?;
    run.expect("OpenSubAccount", &[("StorageSpace", &(free + 1).to_string())], 3).await?;
    let camera = run.open(1).await?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain(camera.access_key.as_str()) || !plain(camera.secret.expose()) {
        return wrong("S3AK and S3SK are letters and digits alone");
    }
    if camera.recordings == camera.pictures {
        return wrong("S3RecordBucket and S3PictureBucket are the same");
    }
    let other = run.open(1).await?;
    if camera.access_key == other.access_key || camera.recordings == other.recordings {
        return wrong("two sub-accounts have the same key or bucket");
    }
    if !run.stage.own {
        return Ok(());
    }
    // On a server of our own, what an account may have is known: 20.
    for _ in 2..20 {
        run.open(1).await?;
    }
    run.expect("OpenSubAccount", &[("StorageSpace", "1")], 4).await.map(drop)
}

async fn sub_account_space(run: &mut Run) -> Step<()> {
    codes_of(run, "QuerySubAccountSpace", &[]).await?;
    let camera = run.open(2).await?;
    same("the space of a new camera", &space_of(run, "QuerySubAccountSpace", &keys(&camera)).await?, &(2, 2))?;
    run.record(&camera, "selftest/a.mp4", 1).await?;
    // What is promised exists: a part of a GB is none.
    same("its space with a byte in it", &space_of(run, "QuerySubAccountSpace", &keys(&camera)).await?, &(2, 1))
}

async fn modified(run: &mut Run) -> Step<()> {
    codes_of(run, "ModifySubAccountSpace", &[("NewStorageSpace", "1")]).await?;
    let camera = run.open(1).await?;
    let (_, free) = space_of(run, "QueryUserSpace", &[]).await?;
    let [ak, sk] = keys(&camera);
    run.expect("ModifySubAccountSpace", &[ak, sk, ("NewStorageSpace", &(free + 2).to_string())], 5).await?;
    same("its space after that", &space_of(run, "QuerySubAccountSpace", &[ak, sk]).await?, &(1, 1))
}

async fn policy(run: &mut Run) -> Step<()> {
    for flag in ["0", "1"] {
        codes_of(run, "SetSubAccountSpacePolicy", &[("SpaceLoop", flag)]).await?;
    }
    Ok(())
}

async fn searched(run: &mut Run) -> Step<()> {
    let all = [("StartDateTime", ""), ("EndDateTime", ""), ("PageNo", "1"), ("PageSize", "20"), ("Type", "0")];
    codes_of(run, "SearchSubAccountFiles", &all).await?;
    let camera = run.open(1).await?;
    let names: Vec<String> = (0..5).map(|n| format!("selftest/{n}.mp4")).collect();
    for (n, name) in names.iter().enumerate() {
        run.record(&camera, name, 1 + 1024 * n as u64).await?;
    }
    let picture = run.content(10);
    let at = (&camera, camera.pictures.as_str(), Signature::V2);
    same("the answer to a picture", &run.put(at, "selftest/p.jpg", picture).await?, &Outcome::Done)?;
    lock(run, &camera, &names[2], "1", 0).await?;
    same("recordings", &found(run, &camera, "0").await?, &names)?;
    same("pictures", &found(run, &camera, "1").await?, &vec!["selftest/p.jpg".to_owned()])?;
    let page = search(run, &camera, ("", ""), ("2", "2"), "0").await?;
    same("TotalFileNum on a page", &number(&page.fields, "TotalFileNum")?, &5)?;
    let files = page.items("FileInfo");
    let on_it: Vec<_> = files.iter().filter_map(|file| file.get("FileName")).collect();
    same("the second page of two", &on_it, &names[2..4].iter().collect())?;
    for (file, (size, lock)) in files.iter().zip([("3", "1"), ("4", "0")]) {
        same("FileSize, KB, rounded up", &file.get("FileSize").map(String::as_str), &Some(size))?;
        same("LockFlag", &file.get("LockFlag").map(String::as_str), &Some(lock))?;
        let date = file.get("FileDate").map_or("", String::as_str);
        let shape: String = date.chars().map(|c| if c.is_ascii_digit() { 'd' } else { c }).collect();
        same("the shape of FileDate", &shape.as_str(), &"dddd-dd-dd dd:dd:dd")?;
        let exactly = search(run, &camera, (date, date), ("1", "1000"), "0").await?;
        let there = exactly.items("FileInfo").iter().any(|found| found.get("FileName") == file.get("FileName"));
        if !there {
            return wrong(format!("{date} to {date} does not find the file of that second"));
        }
    }
    let past = search(run, &camera, ("", ""), ("9", "2"), "0").await?;
    same("files on a page past the end", &past.items("FileInfo").len(), &0)?;
    let before = search(run, &camera, ("2001-01-01 00:00:00", "2001-01-02 00:00:00"), ("1", "9"), "0").await?;
    same("files of another year", &number(&before.fields, "TotalFileNum")?, &0)
}

async fn locking(run: &mut Run) -> Step<()> {
    let camera = run.open(1).await?;
    run.record(&camera, "selftest/a.mp4", 10).await?;
    for (flag, in_list) in [("1", "1"), ("1", "1"), ("0", "0")] {
        lock(run, &camera, "selftest/a.mp4", flag, 0).await?;
        let answer = search(run, &camera, ("", ""), ("1", "9"), "0").await?;
        same("LockFlag in 7.7", &answer.fields.get("LockFlag").map(String::as_str), &Some(in_list))?;
    }
    lock(run, &camera, "selftest/nothing.mp4", "1", 5).await?;
    let file = [("FileName", "selftest/a.mp4"), ("LockFlag", "1")];
    refusals_of(run, &camera, "LockSubAccountFile", &file).await
}

async fn cleared(run: &mut Run) -> Step<()> {
    let camera = run.open(1).await?;
    let [ak, sk] = keys(&camera);
    run.expect("ClearSubAccountFiles", &[ak, sk], 5).await?;
    run.record(&camera, "selftest/a.mp4", 10).await?;
    run.record(&camera, "selftest/b.mp4", 10).await?;
    lock(run, &camera, "selftest/a.mp4", "1", 0).await?;
    run.expect("ClearSubAccountFiles", &[ak, sk], 0).await?;
    same("what is left", &found(run, &camera, "0").await?, &vec!["selftest/a.mp4".to_owned()])?;
    run.expect("ClearSubAccountFiles", &[ak, sk], 5).await?;
    run.expect("SetSubAccountSpacePolicy", &[ak, sk, ("SpaceLoop", "1")], 0).await?;
    run.expect("ClearSubAccountFiles", &[ak, sk], 6).await?;
    refusals_of(run, &camera, "ClearSubAccountFiles", &[]).await
}
