//! What a recording or a picture is, told from its own bytes: container, codecs, length, size. Names and headers that
//! an uploader sent are not believed.
//!
//! A [`Probe`] reads nothing itself: it says which bytes it wants next and is given them, so that what lies at the end
//! of a large file costs two small reads. Bounded in reads and bytes; on no bytes does it panic. Absent: decoding.

mod mp4;
mod picture;
mod stream;

use std::ops::Range;

/// Bytes that are read at a time, but for an MP4's `moov`.
const CHUNK: u64 = 64 << 10;
/// Bytes at the end in which the last time stamp is looked for.
const TAIL: u64 = 256 << 10;
/// Reads for one file.
const READS_MAX: u32 = 48;

/// A container or picture format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// ISO base media (MP4, MOV).
    Mp4,
    /// MPEG transport stream.
    MpegTs,
    /// MPEG program stream, also behind a maker's header.
    MpegPs,
    /// Flash video.
    Flv,
    /// An H.264 byte stream without a container.
    RawH264,
    /// An H.265 byte stream without a container.
    RawH265,
    /// Matroska or WebM.
    Matroska,
    /// AVI.
    Avi,
    /// A maker's own (DHAV).
    Dhav,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// BMP.
    Bmp,
    /// None that we know.
    Unknown,
}

/// Why a browser does not play a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Browsers do not know the container.
    Container,
    /// Many browsers do not know the codec (H.265 and the like).
    Codec,
    /// An MP4 without its directory: the recording was cut short.
    NoDirectory,
    /// Neither a recording nor a picture.
    Unknown,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its container.
    pub container: Container,
    /// How long it plays, ms, where that is known.
    pub duration_ms: Option<u64>,
    /// The video's codec, as in RFC 6381 where it can be (`avc1.64001f`).
    pub video: Option<String>,
    /// The sound's codec.
    pub audio: Option<String>,
    /// Width and height, pixels.
    pub size: Option<(u32, u32)>,
    /// Why browsers do not play it; `None` where they do.
    pub obstacle: Option<Obstacle>,
}

/// What a probe wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes of the file; never empty, never past its end.
    Read(Range<u64>),
    /// It knows.
    Done(Info),
}

/// A file that is being looked at.
#[derive(Debug)]
pub struct Probe {
    size: u64,
    reads: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Head,
    /// Walking an MP4's boxes: what is read lies at this offset.
    Boxes(u64),
    /// Its `moov` comes.
    Moov,
    /// The end of a stream comes; what the head said of it.
    Tail(Info, Option<u64>),
    /// The length of the last tag of an FLV comes.
    FlvEnd(Info),
    /// That tag comes.
    FlvTag(Info),
}

impl Container {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::MpegTs => "MPEG-TS",
            Self::MpegPs => "MPEG-PS",
            Self::Flv => "FLV",
            Self::RawH264 => "H.264",
            Self::RawH265 => "H.265",
            Self::Matroska => "Matroska",
            Self::Avi => "AVI",
            Self::Dhav => "DHAV",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Unknown => "?",
        }
    }

    /// The `Content-Type` under which a browser may have it in place; everything else is only downloaded.
    pub const fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Mp4 => Some("video/mp4"),
            Self::Jpeg => Some("image/jpeg"),
            Self::Png => Some("image/png"),
            Self::Gif => Some("image/gif"),
            Self::WebP => Some("image/webp"),
            Self::Bmp => Some("image/bmp"),
            _ => None,
        }
    }

    /// Whether it is a picture.
    pub fn is_picture(self) -> bool {
        self.content_type().is_some_and(|kind| kind.starts_with("image/"))
    }
}

impl Info {
    /// A file of which no more is known than its container.
    pub fn of(container: Container) -> Self {
        let obstacle = match container {
            Container::Unknown => Some(Obstacle::Unknown),
            _ if container.content_type().is_some() => None,
            _ => Some(Obstacle::Container),
        };
        Self { container, duration_ms: None, video: None, audio: None, size: None, obstacle }
    }
}

impl Probe {
    /// Begins with a file of `size` bytes.
    pub fn new(size: u64) -> (Self, Step) {
        let probe = Self { size, reads: 0, state: State::Head };
        let step = match size {
            0 => Step::Done(Info::of(Container::Unknown)),
            _ => Step::Read(0..size.min(CHUNK)),
        };
        (probe, step)
    }

    /// Takes the bytes that were asked for.
    pub fn take(&mut self, bytes: &[u8]) -> Step {
        self.reads += 1;
        match std::mem::replace(&mut self.state, State::Head) {
            State::Head if self.reads == 1 => self.head(bytes),
            State::Boxes(at) => self.boxes(at, bytes),
            State::Moov => Step::Done(mp4::moov(bytes)),
            State::Tail(info, first) => Step::Done(stream::ended(info, first, bytes)),
            State::FlvEnd(info) => {
                let tag = number(bytes, 0, 4).unwrap_or(0).saturating_add(4);
                if tag < 15 || tag > self.size {
                    return Step::Done(info);
                }
                self.state = State::FlvTag(info);
                let at = self.size - tag;
                Step::Read(at..(at + 11).min(self.size))
            }
            State::FlvTag(info) => Step::Done(stream::flv_last(info, bytes)),
            State::Head => Step::Done(Info::of(Container::Unknown)),
        }
    }

    fn head(&mut self, head: &[u8]) -> Step {
        if let Some(info) = picture::picture(head) {
            return Step::Done(info);
        }
        if mp4::is_mp4(head) {
            return self.boxes(0, head);
        }
        let Some((info, first)) = stream::begun(head) else { return Step::Done(Info::of(Container::Unknown)) };
        match info.container {
            Container::Flv if self.size > 15 => {
                self.state = State::FlvEnd(info);
                Step::Read(self.size - 4..self.size)
            }
            Container::MpegTs | Container::MpegPs if first.is_some() => {
                self.state = State::Tail(info, first);
                Step::Read(self.size.saturating_sub(TAIL)..self.size)
            }
            _ => Step::Done(info),
        }
    }

    /// Walks the boxes from `at` on, of which `bytes` are at hand.
    fn boxes(&mut self, at: u64, bytes: &[u8]) -> Step {
        let mut offset = at;
        loop {
            if offset >= self.size || self.reads >= READS_MAX {
                let info = Info::of(Container::Mp4);
                return Step::Done(Info { obstacle: Some(Obstacle::NoDirectory), ..info });
            }
            let within = usize::try_from(offset - at).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
            let Some(found) = mp4::header(within) else {
                // Not at hand, or what is there is too short for a header.
                if self.size - offset < 8 || (offset == at && !bytes.is_empty()) {
                    let info = Info::of(Container::Mp4);
                    return Step::Done(Info { obstacle: Some(Obstacle::NoDirectory), ..info });
                }
                self.state = State::Boxes(offset);
                return Step::Read(offset..(offset + 4096).min(self.size));
            };
            let length = if found.size == 0 { self.size - offset } else { found.size };
            if &found.kind == b"moov" {
                self.state = State::Moov;
                return Step::Read(offset..(offset + length.min(mp4::MOOV_MAX)).min(self.size));
            }
            let Some(next) = offset.checked_add(length.max(8)) else {
                return Step::Done(Info { obstacle: Some(Obstacle::NoDirectory), ..Info::of(Container::Mp4) });
            };
            offset = next;
        }
    }
}

/// A codec as people call it: `avc1.64001f` is H.264. One that we have no name for is its code.
pub fn codec_name(code: &str) -> &str {
    match code.split('.').next().unwrap_or_default() {
        "avc1" | "avc3" => "H.264",
        "hvc1" | "hev1" => "H.265",
        "av01" => "AV1",
        "vp08" => "VP8",
        "vp09" => "VP9",
        "mp4v" => "MPEG-4",
        "mp4a" => "AAC",
        "alaw" => "G.711A",
        "ulaw" => "G.711U",
        _ => code,
    }
}

/// Whether browsers know a sound's codec in an MP4.
pub fn is_heard(code: &str) -> bool {
    ["mp4a", "Opus", "fLaC", ".mp3"].iter().any(|known| code.starts_with(known))
}

/// A big-endian number of up to 8 bytes; `None` past the end.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
