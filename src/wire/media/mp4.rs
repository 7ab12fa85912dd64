//! MP4: boxes, and of `moov` how long it plays and what is in it. ISO/IEC 14496-12 and -15.

use super::{Container, Info, Obstacle, number};

/// Bytes of a `moov` that are read at most. Sample tables of what is behind them are not looked for.
pub(super) const MOOV_MAX: u64 = 4 << 20;
/// Boxes looked at in one `moov`.
const BOXES_MAX: u32 = 4096;

/// A box's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: [u8; 4],
    /// Bytes with the head; 0: to the end of the file.
    pub(super) size: u64,
    /// Bytes of the head.
    length: usize,
}

/// A track, as far as it matters.
#[derive(Debug, Default)]
struct Track {
    video: Option<(String, (u32, u32))>,
    audio: Option<String>,
}

/// Whether a file begins as an MP4 does.
pub(super) fn is_mp4(head: &[u8]) -> bool {
    let kind = head.get(4..8).unwrap_or_default();
    [b"ftyp", b"moov", b"styp", b"mdat", b"moof"].iter().any(|known| kind == *known)
        || ([b"free", b"skip", b"wide"].iter().any(|known| kind == *known) && header(head).is_some_and(|h| h.size >= 8))
}

/// The head of the box that `bytes` begin with; `None` where they are too few, or it is none.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let kind = bytes.get(4..8)?.try_into().ok()?;
    match number(bytes, 0, 4)? {
        1 => {
            let size = number(bytes, 8, 8)?;
            (size >= 16).then_some(Header { kind, size, length: 16 })
        }
        2..=7 => None,
        size => Some(Header { kind, size, length: 8 }),
    }
}

/// The boxes that follow one another in `bytes`: kind and content, which may be cut where `bytes` are.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let found = header(bytes)?;
        let size = if found.size == 0 { bytes.len() } else { usize::try_from(found.size).unwrap_or(usize::MAX) };
        let content = bytes.get(found.length..size.min(bytes.len()))?;
        bytes = bytes.get(size..).unwrap_or_default();
        Some((found.kind, content))
    })
}

fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).take(256).find(|(found, _)| found == kind).map(|(_, content)| content)
}

/// Reads a whole `moov` with its head, or as much of it as there is.
pub(super) fn moov(bytes: &[u8]) -> Info {
    let mut info = Info::of(Container::Mp4);
    let content = header(bytes).and_then(|head| bytes.get(head.length..)).unwrap_or_default();
    let mut left = BOXES_MAX;
    for (kind, content) in boxes(content) {
        left -= 1;
        if left == 0 {
            break;
        }
        match &kind {
            b"mvhd" => info.duration_ms = duration(content),
            b"trak" => {
                let track = track(content);
                if let Some((codec, size)) = track.video.filter(|_| info.video.is_none()) {
                    (info.video, info.size) = (Some(codec), Some(size));
                }
                info.audio = info.audio.take().or(track.audio);
            }
            _ => {}
        }
    }
    info.obstacle = match (&info.video, &info.audio) {
        (None, None) => Some(Obstacle::Codec),
        (Some(video), _) if !plays(video) => Some(Obstacle::Codec),
        _ => None,
    };
    info
}

/// Whether browsers know a codec.
fn plays(codec: &str) -> bool {
    ["avc1", "avc3", "av01", "vp08", "vp09"].iter().any(|known| codec.starts_with(known))
}

/// Milliseconds of an `mvhd`; `None` where it says nothing.
fn duration(mvhd: &[u8]) -> Option<u64> {
    let (scale, length, unknown) = match mvhd.first()? {
        1 => (number(mvhd, 20, 4)?, number(mvhd, 24, 8)?, u64::MAX),
        _ => (number(mvhd, 12, 4)?, number(mvhd, 16, 4)?, u64::from(u32::MAX)),
    };
    if length == 0 || length == unknown {
        return None;
    }
    u64::try_from((u128::from(length) * 1000).checked_div(u128::from(scale))?).ok()
}

fn track(trak: &[u8]) -> Track {
    let mut track = Track::default();
    let Some(mdia) = child(trak, b"mdia") else { return track };
    let handler = child(mdia, b"hdlr").and_then(|hdlr| hdlr.get(8..12)).unwrap_or_default();
    let stsd = child(mdia, b"minf").and_then(|minf| child(minf, b"stbl")).and_then(|stbl| child(stbl, b"stsd"));
    let Some((kind, entry)) = stsd.and_then(|stsd| boxes(stsd.get(8..).unwrap_or_default()).next()) else {
        return track;
    };
    let word = String::from_utf8_lossy(&kind).trim().to_owned();
    match handler {
        b"vide" => {
            let side = |at| number(entry, at, 2).and_then(|side| u32::try_from(side).ok()).unwrap_or(0);
            let inner = entry.get(78..).unwrap_or_default();
            track.video = Some((codec(&word, inner), (side(24), side(26))));
        }
        b"soun" => track.audio = Some(word),
        _ => {}
    }
    track
}

/// The codec as RFC 6381 writes it, from the entry's word and the boxes in it.
fn codec(word: &str, inner: &[u8]) -> String {
    match word {
        "avc1" | "avc3" => match child(inner, b"avcC").and_then(|avcc| avcc.get(1..4)) {
            Some(profile) => format!("{word}.{}", hex::encode(profile)),
            None => word.to_owned(),
        },
        "hvc1" | "hev1" => match child(inner, b"hvcC") {
            Some(hvcc) => hevc(word, hvcc).unwrap_or_else(|| word.to_owned()),
            None => word.to_owned(),
        },
        _ => word.to_owned(),
    }
}

/// ISO/IEC 14496-15, E.3.
fn hevc(word: &str, hvcc: &[u8]) -> Option<String> {
    let first = *hvcc.get(1)?;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::try_from(number(hvcc, 2, 4)?).ok()?.reverse_bits();
    let level = hvcc.get(12)?;
    let mut out = format!("{word}.{space}{}.{compatible:X}.{tier}{level}", first & 0x1f);
    let constraints = hvcc.get(6..12)?;
    let last = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(last) {
        out.push_str(&format!(".{byte:X}"));
    }
    Some(out)
}
