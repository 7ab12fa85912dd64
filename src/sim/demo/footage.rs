//! What the cameras of a demonstration have filmed: made by ffmpeg where it is there, else what is in the program.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Clips that are in the program, H.264 in MP4, and pictures.
const BUILT_IN: [(&str, &[u8]); 6] = [
    ("clip-0.mp4", include_bytes!("media/clip-0.mp4")),
    ("clip-1.mp4", include_bytes!("media/clip-1.mp4")),
    ("clip-2.mp4", include_bytes!("media/clip-2.mp4")),
    ("picture-0.jpg", include_bytes!("media/picture-0.jpg")),
    ("picture-1.jpg", include_bytes!("media/picture-1.jpg")),
    ("picture-2.jpg", include_bytes!("media/picture-2.jpg")),
];
/// What ffmpeg films: its own test pictures.
const SCENES: [&str; 4] = ["testsrc2", "testsrc", "smptehdbars", "mandelbrot"];

/// Where the footage is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Ffmpeg,
    BuiltIn,
}

impl From {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::BuiltIn => "built in",
        }
    }
}

/// Puts clips of about `seconds` and pictures into `dir`, which it makes. The burnt-in clock begins at `at`, in Unix
/// seconds. Blocks.
///
/// # Errors
///
/// The directory cannot be written; that there is no ffmpeg, or one that cannot do it, is none.
pub(super) fn film(dir: &Path, seconds: u64, at: i64, with_ffmpeg: bool) -> io::Result<From> {
    std::fs::create_dir(dir)?;
    if with_ffmpeg {
        // With a clock in the picture, where this ffmpeg can write letters.
        let clock =
            format!("drawtext=text='%{{pts\\:gmtime\\:{at}}}':fontcolor=white:box=1:boxcolor=black@0.6:x=8:y=h-28");
        if SCENES.iter().enumerate().all(|(n, scene)| scene_of(dir, n, scene, seconds, Some(&clock)).is_some())
            || SCENES.iter().enumerate().all(|(n, scene)| scene_of(dir, n, scene, seconds, None).is_some())
        {
            return Ok(From::Ffmpeg);
        }
        // What it left half done is no footage.
        std::fs::remove_dir_all(dir)?;
        std::fs::create_dir(dir)?;
    }
    for (name, bytes) in BUILT_IN {
        std::fs::write(dir.join(name), bytes)?;
    }
    Ok(From::BuiltIn)
}

/// A clip and a picture of it; `None` where ffmpeg is not there or fails.
fn scene_of(dir: &Path, number: usize, scene: &str, seconds: u64, clock: Option<&str>) -> Option<()> {
    let clip = dir.join(format!("clip-{number}.mp4"));
    let source = format!("{scene}=size=320x180:rate=10");
    let length = seconds.to_string();
    let mut words = vec!["-f", "lavfi", "-i", &source, "-t", &length];
    words.extend(clock.iter().flat_map(|clock| ["-vf", *clock]));
    words.extend(["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "96k", "-maxrate", "128k", "-bufsize", "128k"]);
    words.extend(["-g", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]);
    ffmpeg(&words, &clip)?;
    let from = clip.to_str()?.to_owned();
    ffmpeg(&["-ss", "1", "-i", &from, "-frames:v", "1", "-q:v", "6"], &dir.join(format!("picture-{number}.jpg")))
}

fn ffmpeg(words: &[&str], out: &Path) -> Option<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "quiet", "-y"]).args(words).arg(out);
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    (done.success() && std::fs::metadata(out).is_ok_and(|made| made.len() > 0)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_video_and_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let footage = dir.path().join("footage");
        assert_eq!(film(&footage, 2, 0, false).unwrap(), From::BuiltIn);
        let mut names: Vec<_> = std::fs::read_dir(&footage).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert_eq!(names.len(), 6);
        for path in names {
            let bytes = std::fs::read(&path).unwrap();
            let is = if path.extension().unwrap() == "mp4" {
                &bytes[4..8] == b"ftyp"
            } else {
                bytes.starts_with(b"\xff\xd8\xff")
            };
            assert!(is, "{}", path.display());
        }
        assert!(film(&footage, 2, 0, false).is_err(), "the directory is its own");
    }
}
