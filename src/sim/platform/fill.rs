//! Fills a sub-account to a share of its space, as its camera would: real video over S3, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::desk::{Desk, SubAccount, quietly};
use crate::sim::client::s3::Outcome;
use crate::sim::client::{Content, Credentials, OpenedSubAccount, S3, Signature};

/// A recording of two seconds, that is made as long as is needed by a box of MP4 that players skip.
const CLIP: &[u8] = include_bytes!("../demo/media/clip-0.mp4");
/// Head of a box: its length and its name.
const BOX_HEAD: u64 = 8;
/// So many files fill a whole sub-account.
const FILES: u64 = 25;
/// How often is looked whether an overwrite goes on, and how long at most.
const LOOK: Duration = Duration::from_millis(150);
const LOOKS_MAX: usize = 40;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Filled {
    /// The sub-account.
    pub ak: String,
    /// What people call it.
    pub name: String,
    /// Its space in bytes.
    pub space: u64,
    /// Used bytes before.
    pub before: u64,
    /// Used bytes after, once nothing moves any more.
    pub after: u64,
    /// Percent of its space after, rounded down.
    pub percent: u64,
    /// Whether everything was cleared first (7.9), because there was more than wanted.
    pub cleared: bool,
    /// Files that were uploaded.
    pub uploaded: usize,
    /// The first refusal, if there was one.
    pub refused: Option<String>,
    /// Files that were there or were uploaded, and are gone: overwritten.
    pub overwritten: usize,
}

/// Fills it to this share of its space. Uploads of others go on meanwhile, and count.
///
/// # Errors
///
/// In words: what is not known of the sub-account, or what failed.
pub(super) async fn fill(desk: &Desk, of: &SubAccount, percent: u32) -> Result<Filled, String> {
    let done = go(desk, of, percent).await;
    match &done {
        Ok(filled) => {
            let Filled { ak, name, percent: now, uploaded, overwritten, .. } = filled;
            let refused = filled.refused.as_deref();
            let (no_zh, no_en) =
                refused.map(|why| (format!("；拒绝 {why}"), format!("; refused: {why}"))).unwrap_or_default();
            let zh = format!(
                "填充 {name} {ak} 到 {percent} %：上传 {uploaded} 个，覆盖 {overwritten} 个，现为 {now} %{no_zh}"
            );
            let en = format!(
                "filled {name} {ak} to {percent} %: {uploaded} files uploaded, {overwritten} overwritten, now {now} %{no_en}"
            );
            desk.tell("fill", refused.is_none(), (zh, en), None);
        }
        Err(why) => {
            let both = (format!("填充 {} 失败：{why}", of.ak), format!("{} was not filled: {why}", of.ak));
            desk.tell("fill", false, both, None);
        }
    }
    done
}

async fn go(desk: &Desk, of: &SubAccount, percent: u32) -> Result<Filled, String> {
    let unknown = || format!("{} was opened elsewhere: its buckets and its space are not known here", of.ak);
    let (opened, space) = of.opened.as_ref().zip(of.space).ok_or_else(unknown)?;
    let space = u64::from(space).saturating_mul(desk.bytes_per_gb);
    let credentials = Credentials {
        access_key: opened.access_key.clone(),
        secret: opened.secret.clone(),
        region: "kandian".to_owned(),
        signature: Signature::V4,
    };
    let mut s3 = S3::new(opened.s3.clone(), credentials, Arc::clone(&desk.clock), desk.trust.clone());
    // Not a byte less: at 90 % an overwrite is to be seen.
    let wanted = (u128::from(space) * u128::from(percent)).div_ceil(100);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let (mut files, before) = used(&mut s3, opened).await?;
    let (mut now, cleared) = (before, before > wanted);
    if cleared {
        clear(desk, of).await?;
        (files, now) = used(&mut s3, opened).await?;
        if now > wanted {
            return Err(format!(
                "{now} bytes are left after a clear (7.9): they are locked, or its camera is uploading"
            ));
        }
    }
    let stem = desk.now().replace([' ', ':'], "-");
    let (day, time) = stem.split_at(stem.len().min(10));
    // Two fills of one second are two.
    let millis = desk.clock.now().millis().rem_euclid(1000);
    let piece = (space / FILES).max(64 << 10);
    let (mut left, mut uploaded, mut refused) = (wanted.saturating_sub(now), 0, None);
    while left > 0 {
        let size = if left < piece.saturating_mul(2) { left } else { piece };
        let key = format!("{day}/fill{time}-{millis:03}-{uploaded:03}.mp4");
        let headers = [("content-type", "video/mp4")];
        let outcome = s3.put(&opened.recordings, &key, &headers, recording(size)).await;
        match outcome.map_err(|error| error.to_string())? {
            Outcome::Done => uploaded += 1,
            Outcome::Refused(status, code) => {
                refused = Some(format!("{status} {code}"));
                break;
            }
            Outcome::Damaged => {}
        }
        left = left.saturating_sub(size);
    }
    let (there, after) = settled(&mut s3, opened).await?;
    Ok(Filled {
        ak: of.ak.clone(),
        name: of.name.clone(),
        space,
        before,
        after,
        percent: after.saturating_mul(100).checked_div(space).unwrap_or(0),
        cleared,
        uploaded,
        refused,
        overwritten: (files + uploaded).saturating_sub(there),
    })
}

/// 7.9, which a sub-account does not know that overwrites: so it stops that for the moment.
async fn clear(desk: &Desk, of: &SubAccount) -> Result<(), String> {
    let told = |error: crate::sim::client::ClientError| error.to_string();
    if of.looping {
        quietly(desk, of, "SetSubAccountSpacePolicy", &[("SpaceLoop", "0")]).await.map_err(told)?;
    }
    let cleared = quietly(desk, of, "ClearSubAccountFiles", &[]).await.map_err(told);
    if of.looping {
        quietly(desk, of, "SetSubAccountSpacePolicy", &[("SpaceLoop", "1")]).await.map_err(told)?;
    }
    cleared
}

/// How many files it has, and their bytes.
async fn used(s3: &mut S3, opened: &OpenedSubAccount) -> Result<(usize, u64), String> {
    let (mut files, mut bytes) = (0, 0_u64);
    for bucket in [&opened.recordings, &opened.pictures] {
        let (here, size) = s3.usage(bucket).await.map_err(|error| error.to_string())?;
        files += here;
        bytes = bytes.saturating_add(size);
    }
    Ok((files, bytes))
}

/// The same, once it does not get less any more.
async fn settled(s3: &mut S3, opened: &OpenedSubAccount) -> Result<(usize, u64), String> {
    let (mut last, mut same) = (used(s3, opened).await?, 0);
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK).await;
        let now = used(s3, opened).await?;
        same = if now.1 >= last.1 { same + 1 } else { 0 };
        last = now;
        if same == 3 {
            break;
        }
    }
    Ok(last)
}

/// A recording of this many bytes: the clip, and behind it nothing, in a box that says how much of it there is.
fn recording(bytes: u64) -> Content {
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut out = BytesMut::with_capacity(size);
    let clip = CLIP.len() as u64;
    let rest = if bytes >= clip + BOX_HEAD {
        out.put_slice(CLIP);
        bytes - clip
    } else {
        bytes
    };
    if let Some(length) = u32::try_from(rest).ok().filter(|length| u64::from(*length) >= BOX_HEAD) {
        out.put_u32(length);
        out.put_slice(b"free");
    }
    out.resize(size, 0);
    Content::Whole(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_as_long_as_is_wanted_and_its_boxes_add_up() {
        let clip = CLIP.len() as u64;
        for bytes in [0, 3, 8, 100, clip, clip + 7, clip + 8, 1 << 20] {
            let Content::Whole(made) = recording(bytes) else { panic!("not whole") };
            assert_eq!(made.len() as u64, bytes);
            let (mut at, mut names) = (0, Vec::new());
            while bytes >= BOX_HEAD && at < made.len() {
                let length = u32::from_be_bytes(made[at..at + 4].try_into().unwrap()) as usize;
                names.push(String::from_utf8_lossy(&made[at + 4..at + 8]).into_owned());
                at += length;
            }
            assert!(bytes < BOX_HEAD || at == made.len(), "{bytes}: {names:?}");
            assert_eq!(names.iter().any(|name| name == "moov"), bytes >= clip + BOX_HEAD, "{bytes}: {names:?}");
        }
    }
}
