use super::*;
use proptest::prelude::*;

/// Probes bytes at hand, holding the probe to its bounds; also how many bytes it read.
fn probe(bytes: &[u8]) -> (Info, u64) {
    let size = bytes.len() as u64;
    let (mut probe, mut step) = Probe::new(size);
    let mut read = 0;
    for _ in 0..=READS_MAX + 4 {
        match step {
            Step::Done(info) => return (info, read),
            Step::Read(range) => {
                assert!(!range.is_empty() && range.end <= size, "{range:?} of {size}");
                assert!(range.end - range.start <= mp4::MOOV_MAX);
                read += range.end - range.start;
                let within = |at: u64| usize::try_from(at).unwrap();
                step = probe.take(&bytes[within(range.start)..within(range.end)]);
            }
        }
    }
    panic!("it never ends");
}

/// A real file made by ffmpeg; `None` where there is no ffmpeg, or it lacks the codec.
fn real(name: &str, options: &[&str]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let source = "testsrc=size=320x180:rate=25:duration=4";
    let run = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=duration=4"])
        .args(options)
        .arg(&path)
        .output();
    let run = run.ok()?;
    if !run.status.success() {
        eprintln!("ffmpeg does not make {name}: {}", String::from_utf8_lossy(&run.stderr));
        return None;
    }
    std::fs::read(&path).ok()
}

const H264: [&str; 6] = ["-c:v", "libx264", "-profile:v", "high", "-pix_fmt", "yuv420p"];

fn near(info: &Info, ms: u64) {
    let found = info.duration_ms.unwrap_or_else(|| panic!("no duration: {info:?}"));
    assert!(found.abs_diff(ms) <= 250, "{info:?}");
}

#[test]
fn mp4_with_its_directory_behind_and_in_front() {
    for extra in [&["-c:a", "aac"][..], &["-c:a", "aac", "-movflags", "+faststart"]] {
        let Some(bytes) = real("a.mp4", &[&H264[..], extra].concat()) else { return };
        let (info, _) = probe(&bytes);
        near(&info, 4000);
        assert_eq!((info.container, info.size, info.obstacle), (Container::Mp4, Some((320, 180)), None));
        assert!(info.video.as_deref().unwrap().starts_with("avc1.6400"), "{info:?}");
        assert_eq!(info.audio.as_deref(), Some("mp4a"));
        // Cut before its directory it says so, wherever it is cut.
        let half = probe(&bytes[..bytes.len() / 2]).0;
        assert!(half.obstacle == Some(Obstacle::NoDirectory) || half.video.is_some(), "{half:?}");
    }
}

#[test]
fn a_large_mp4_costs_small_reads() {
    let Some(bytes) = real("a.mp4", &H264) else { return };
    // A box of 32 MiB between ftyp and the rest.
    let ftyp = usize::try_from(number(&bytes, 0, 4).unwrap()).unwrap();
    let mut large = bytes[..ftyp].to_vec();
    large.extend((32_u32 << 20).to_be_bytes());
    large.extend(b"free");
    large.resize(ftyp + (32 << 20), 0);
    large.extend(&bytes[ftyp..]);
    let (info, read) = probe(&large);
    near(&info, 4000);
    assert!(read < 256 << 10, "{read}");
}

#[test]
fn h265_is_named_and_not_promised() {
    let options = ["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p"];
    let Some(bytes) = real("a.mp4", &options) else { return };
    let info = probe(&bytes).0;
    assert!(info.video.as_deref().unwrap().starts_with("hvc1.1.6.L"), "{info:?}");
    assert_eq!(info.obstacle, Some(Obstacle::Codec));
}

#[test]
fn streams_are_named_and_measured() {
    for (name, format, container, video) in [
        ("a.ts", "mpegts", Container::MpegTs, "H.264"),
        ("a.flv", "flv", Container::Flv, "H.264"),
        ("a.ps", "vob", Container::MpegPs, ""),
    ] {
        let sound = if format == "vob" { "mp2" } else { "aac" };
        let Some(bytes) = real(name, &[&H264[..], &["-c:a", sound, "-ar", "44100", "-f", format]].concat()) else {
            return;
        };
        let info = probe(&bytes).0;
        assert_eq!((info.container, info.obstacle), (container, Some(Obstacle::Container)), "{name}");
        assert_eq!(info.video.as_deref().unwrap_or_default(), video, "{name}");
        near(&info, 4000);
        if container == Container::MpegPs {
            let behind = probe(&[&b"IMKH"[..], &[1; 36], &bytes].concat()).0;
            assert_eq!(behind.container, Container::MpegPs);
            near(&behind, 4000);
        }
    }
    for (name, options, container) in [
        ("a.h264", &H264[..], Container::RawH264),
        ("a.hevc", &["-c:v", "libx265", "-x265-params", "log-level=error"][..], Container::RawH265),
        ("a.mkv", &H264[..], Container::Matroska),
        ("a.avi", &H264[..], Container::Avi),
    ] {
        let options = [options, if name.ends_with('4') || name.ends_with('c') { &["-an"] } else { &[] }].concat();
        let Some(bytes) = real(name, &options) else { continue };
        assert_eq!(probe(&bytes).0.container, container, "{name}");
    }
}

#[test]
fn pictures_have_their_sizes() {
    for (name, container) in [("a.jpg", Container::Jpeg), ("a.png", Container::Png), ("a.gif", Container::Gif)] {
        let Some(bytes) = real(name, &["-frames:v", "1"]) else { return };
        let info = probe(&bytes).0;
        assert_eq!((info.container, info.size, info.obstacle), (container, Some((320, 180)), None), "{name}");
    }
}

#[test]
fn what_could_run_is_never_given_a_type() {
    for bytes in [&b"<!DOCTYPE html><script>alert(1)</script>"[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b""] {
        let info = probe(bytes).0;
        assert_eq!((info.container.content_type(), info.obstacle), (None, Some(Obstacle::Unknown)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_break_it(start in 0usize..12, mut bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in any::<proptest::sample::Index>()) {
        let starts: [&[u8]; 12] = [
            b"", b"\0\0\0\x18ftypisom\0\0\0\0isomavc1\0\0\0\x08\0\0\0\x01moov", b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
            b"FLV\x01\x05\0\0\0\x09", b"\0\0\x01\xba\0\0\x01\xbc", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n", b"IMKH\0\0\x01\xba",
            b"\0\0\0\x01\x67", b"BM", b"RIFF\0\0\0\0WEBP", b"\0\0\0\0ftyp",
        ];
        let mut all = starts[start].to_vec();
        all.append(&mut bytes);
        probe(&all);
        if !all.is_empty() {
            // As a transport stream, too.
            let cut = at.index(all.len());
            let mut stream: Vec<u8> = all.iter().copied().cycle().skip(cut).take(188 * 6).collect();
            for packet in stream.chunks_exact_mut(188) {
                packet[0] = 0x47;
            }
            probe(&stream);
        }
    }

    #[test]
    fn a_broken_directory_breaks_nothing(at in any::<proptest::sample::Index>(), value in any::<u8>(), cut in any::<proptest::sample::Index>()) {
        use std::sync::OnceLock;
        static FILE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
        if let Some(file) = FILE.get_or_init(|| real("a.mp4", &H264)) {
            let mut bytes = file.clone();
            let directory = bytes.windows(4).position(|four| four == b"moov").unwrap_or(0);
            let place = directory + at.index(bytes.len() - directory);
            bytes[place] = value;
            bytes.truncate(directory + cut.index(bytes.len() - directory).max(1));
            probe(&bytes);
        }
    }
}
