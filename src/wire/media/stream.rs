//! Streams without a directory: MPEG-TS and -PS, FLV, bare H.264 and H.265. How long they play is the distance of the
//! last time stamp from the first.

use super::{Container, Info, number};

/// Time stamps of MPEG are of 90 kHz and 33 bits.
const CLOCK: u64 = 90;
const WRAP: u64 = 1 << 33;
const PACKET: usize = 188;
/// More than that is a stamp that jumped, not a recording.
const LONGEST_MS: u64 = 48 * 3600 * 1000;

/// What a stream begins as, with its first time stamp.
pub(super) fn begun(head: &[u8]) -> Option<(Info, Option<u64>)> {
    if head.starts_with(b"FLV\x01") {
        return Some((flv(head), None));
    }
    if is_ts(head) {
        let mut info = Info::of(Container::MpegTs);
        (info.video, info.audio) = ts_codecs(head);
        return Some((info, ts_stamps(head).next()));
    }
    // A maker's header (IMKH) of 40 bytes stands in front of many a program stream.
    let pack = head.windows(4).take(512).position(|four| four == [0, 0, 1, 0xba]);
    if pack == Some(0) || (pack.is_some() && head.starts_with(b"IMKH")) {
        let mut info = Info::of(Container::MpegPs);
        (info.video, info.audio) = ps_codecs(head);
        return Some((info, stamps(head).next()));
    }
    let container = if head.starts_with(b"DHAV") {
        Container::Dhav
    } else if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        Container::Matroska
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
        Container::Avi
    } else {
        raw(head)?
    };
    let mut info = Info::of(container);
    info.video = match container {
        Container::RawH264 => Some("H.264".to_owned()),
        Container::RawH265 => Some("H.265".to_owned()),
        _ => None,
    };
    Some((info, None))
}

/// What the end of a stream adds.
pub(super) fn ended(info: Info, first: Option<u64>, tail: &[u8]) -> Info {
    let last = match info.container {
        Container::MpegTs => (0..PACKET.min(tail.len()))
            .find(|&at| is_ts(tail.get(at..).unwrap_or_default()))
            .and_then(|at| ts_stamps(tail.get(at..).unwrap_or_default()).last()),
        _ => stamps(tail).last(),
    };
    let span = first.zip(last).map(|(first, last)| (last + WRAP - first) % WRAP / CLOCK);
    Info { duration_ms: span.filter(|ms| (1..LONGEST_MS).contains(ms)), ..info }
}

/// What the last tag of an FLV adds.
pub(super) fn flv_last(info: Info, tag: &[u8]) -> Info {
    let known = tag.first().is_some_and(|kind| [8, 9, 18].contains(kind));
    let stamp = number(tag, 4, 3).zip(number(tag, 7, 1)).map(|(low, high)| high << 24 | low);
    Info { duration_ms: stamp.filter(|ms| known && (1..LONGEST_MS).contains(ms)), ..info }
}

fn flv(head: &[u8]) -> Info {
    let mut info = Info::of(Container::Flv);
    let mut at = usize::try_from(number(head, 5, 4).unwrap_or(9)).unwrap_or(9).saturating_add(4);
    for _ in 0..64 {
        let Some((kind, length)) = head.get(at).zip(number(head, at.saturating_add(1), 3)) else { break };
        let first = head.get(at + 11).copied().unwrap_or(0);
        match kind {
            9 if info.video.is_none() => {
                let name = match first & 0x0f {
                    7 => "H.264",
                    12 => "H.265",
                    _ => "FLV",
                };
                info.video = Some(name.to_owned());
            }
            8 if info.audio.is_none() => {
                let name = match first >> 4 {
                    10 => "AAC",
                    2 => "MP3",
                    7 => "G.711A",
                    8 => "G.711U",
                    _ => "FLV",
                };
                info.audio = Some(name.to_owned());
            }
            _ => {}
        }
        at = at.saturating_add(15).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    }
    info
}

/// Bare video: a start code and a parameter set.
fn raw(head: &[u8]) -> Option<Container> {
    let nal = match head {
        [0, 0, 0, 1, rest @ ..] | [0, 0, 1, rest @ ..] => rest,
        _ => return None,
    };
    match nal {
        [0x40 | 0x42 | 0x46, 1, ..] => Some(Container::RawH265),
        // A sequence parameter set, or an access unit delimiter.
        [0x67 | 0x47 | 0x27 | 0x09, ..] => Some(Container::RawH264),
        _ => None,
    }
}

fn is_ts(bytes: &[u8]) -> bool {
    (0..3).all(|n| bytes.get(n * PACKET) == Some(&0x47))
}

/// Packets of a transport stream: whether a unit begins, the PID, the payload.
fn packets(bytes: &[u8]) -> impl Iterator<Item = (bool, u16, &[u8])> {
    bytes.chunks_exact(PACKET).filter(|packet| packet.first() == Some(&0x47)).filter_map(|packet| {
        let flags = u16::try_from(number(packet, 1, 2)?).ok()?;
        let adaptation = usize::from(*packet.get(4)?);
        let payload = match *packet.get(3)? >> 4 & 3 {
            1 => packet.get(4..)?,
            3 => packet.get(5 + adaptation..)?,
            _ => return None,
        };
        Some((flags & 0x4000 != 0, flags & 0x1fff, payload))
    })
}

fn ts_stamps(bytes: &[u8]) -> impl Iterator<Item = u64> {
    packets(bytes).filter(|(begins, ..)| *begins).filter_map(|(_, _, payload)| pes_stamp(payload))
}

/// Codecs of a transport stream, from its first program map.
fn ts_codecs(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let section = |pid: u16| {
        let (_, _, payload) = packets(bytes).find(|(begins, found, _)| *begins && *found == pid)?;
        payload.get(1 + usize::from(*payload.first()?)..)
    };
    let map = section(0).and_then(|table| {
        let length = usize::try_from(number(table, 1, 2)? & 0xfff).ok()?;
        // Programs, four bytes each; number 0 is the network's.
        let programs = table.get(8..(length + 3).checked_sub(4)?.min(table.len()))?;
        let program = programs.chunks_exact(4).find(|program| number(program, 0, 2) != Some(0))?;
        section(u16::try_from(number(program, 2, 2)? & 0x1fff).ok()?)
    });
    let Some(map) = map else { return (None, None) };
    let mut found = (None, None);
    let mut at = 12 + usize::try_from(number(map, 10, 2).unwrap_or(0) & 0xfff).unwrap_or(0);
    let end = usize::try_from(number(map, 1, 2).unwrap_or(0) & 0xfff).unwrap_or(0).saturating_sub(1).min(map.len());
    while at + 5 <= end {
        found = noted(found, map.get(at).copied().unwrap_or(0));
        at += 5 + usize::try_from(number(map, at + 3, 2).unwrap_or(0) & 0xfff).unwrap_or(0);
    }
    found
}

/// Codecs of a program stream, from its stream map where it has one.
fn ps_codecs(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let Some(at) = bytes.windows(4).position(|four| four == [0, 0, 1, 0xbc]) else { return (None, None) };
    let map = bytes.get(at + 6..).unwrap_or_default();
    let length = |at| usize::try_from(number(map, at, 2).unwrap_or(0)).unwrap_or(0);
    let mut at = 4 + length(2);
    let end = at.saturating_add(2 + length(at)).min(map.len());
    at += 2;
    let mut found = (None, None);
    while at + 4 <= end {
        found = noted(found, map.get(at).copied().unwrap_or(0));
        at += 4 + length(at + 2);
    }
    found
}

type Codecs = (Option<String>, Option<String>);

/// Adds the stream type of MPEG's tables (ISO/IEC 13818-1, 2.4.4.9; 0x90 and up as GB/T 28181 uses them).
fn noted((video, audio): Codecs, kind: u8) -> Codecs {
    let (is_video, name) = match kind {
        0x01 | 0x02 => (true, "MPEG-2"),
        0x10 => (true, "MPEG-4"),
        0x1b => (true, "H.264"),
        0x24 => (true, "H.265"),
        0x80 => (true, "SVAC"),
        0x03 | 0x04 => (false, "MP2"),
        0x0f | 0x11 => (false, "AAC"),
        0x90 => (false, "G.711"),
        0x92 => (false, "G.722.1"),
        0x93 => (false, "G.723.1"),
        0x99 => (false, "G.729"),
        _ => return (video, audio),
    };
    let name = Some(name.to_owned());
    if is_video { (video.or(name), audio) } else { (video, audio.or(name)) }
}

/// The time stamps of a program stream's packets.
fn stamps(bytes: &[u8]) -> impl Iterator<Item = u64> {
    (0..bytes.len().saturating_sub(14)).filter_map(|at| pes_stamp(bytes.get(at..)?))
}

/// The time stamp (PTS) of the packet that `bytes` begin with, of video or sound.
fn pes_stamp(bytes: &[u8]) -> Option<u64> {
    let (start, rest) = bytes.split_first_chunk::<4>()?;
    if start.starts_with(&[0, 0, 1]) && matches!(start[3], 0xbd | 0xc0..=0xef) && *rest.get(2)? & 0xc0 == 0x80 {
        let pts = rest.get(5..10)?;
        if rest.get(3)? & 0x80 == 0 || pts[0] & 1 == 0 || pts[2] & 1 == 0 || pts[4] & 1 == 0 {
            return None;
        }
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|n: usize| u64::from(pts.get(n).copied().unwrap_or(0)));
        return Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1);
    }
    None
}
