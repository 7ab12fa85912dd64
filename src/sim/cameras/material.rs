//! What the cameras have to upload, and the chance that decides over it: by the seed alone, whatever the time.

use std::io;
use std::path::Path;

use super::CamerasOptions;
use crate::sim::client::units::SizeRange;
use crate::sim::client::{Content, Pattern};
use crate::world::Disk;
use crate::world::disk::read_file;

/// What the cameras have to upload.
pub(super) struct Material {
    pattern: Pattern,
    dice: Dice,
    clip_sizes: SizeRange,
    picture_sizes: SizeRange,
    clips: Vec<File>,
    pictures: Vec<File>,
}

/// A file as a camera has it.
#[derive(Clone)]
pub(super) struct File {
    /// Of its name, without the dot.
    pub(super) extension: String,
    /// What is in it.
    pub(super) content: Content,
}

/// Which of a camera's two buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The record bucket.
    Recording,
    /// The picture bucket.
    Picture,
}

/// Numbers that are the same for the same seed and question, in whatever order they are asked for.
#[derive(Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The number of this question about the `turn`-th recording of a camera.
    pub(super) fn roll(self, question: &str, camera: usize, turn: u64) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("kandian simulated cameras");
        for number in [self.0, camera as u64, turn] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(question.as_bytes());
        let mut out = [0; 8];
        hasher.finalize_xof().fill(&mut out);
        u64::from_le_bytes(out)
    }

    /// The same as a share, from 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are as fine as a share is")]
    pub(super) fn share(self, question: &str, camera: usize, turn: u64) -> f64 {
        (self.roll(question, camera, turn) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Material {
    /// Reads the files of `--files`, where they are wanted.
    pub(super) fn gather(options: &CamerasOptions, disk: &dyn Disk) -> io::Result<Self> {
        let (mut clips, mut pictures) = (Vec::new(), Vec::new());
        if let Some(directory) = &options.files {
            let mut paths = disk.list(directory)?;
            paths.sort();
            for path in paths {
                let extension = extension(&path);
                // A directory, or a file that only looks at us: cameras have neither.
                let Ok(Some(bytes)) = read_file(disk, &path) else { continue };
                let into = if media_type(&extension).starts_with("image/") { &mut pictures } else { &mut clips };
                into.push(File { extension, content: Content::Whole(bytes.into()) });
            }
            if clips.is_empty() && pictures.is_empty() {
                return Err(io::Error::other(format!("{} has no files", directory.display())));
            }
        }
        Ok(Self {
            pattern: Pattern::new(options.seed),
            dice: Dice::new(options.seed),
            clip_sizes: options.clip_sizes(),
            picture_sizes: options.picture_size,
            clips,
            pictures,
        })
    }

    /// What a camera uploads as its `turn`-th recording or picture.
    pub(super) fn file(&self, kind: Kind, camera: usize, turn: u64) -> Option<File> {
        let (files, sizes, extension, question) = match kind {
            Kind::Recording => (&self.clips, self.clip_sizes, "mp4", "size of a recording"),
            Kind::Picture => (&self.pictures, self.picture_sizes, "jpg", "size of a picture"),
        };
        if !self.clips.is_empty() || !self.pictures.is_empty() {
            let nth = usize::try_from(turn).unwrap_or(0).wrapping_add(camera);
            return nth.checked_rem(files.len()).and_then(|nth| files.get(nth)).cloned();
        }
        let size = sizes.pick(self.dice.roll(question, camera, turn));
        let number = (camera as u64).wrapping_shl(40) ^ turn.wrapping_shl(1) ^ u64::from(kind == Kind::Picture);
        (size > 0).then(|| File { extension: extension.to_owned(), content: self.pattern.content(number, size) })
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// What a file of this extension is called at the wire.
pub(super) fn media_type(extension: &str) -> &'static str {
    match extension {
        "mp4" => "video/mp4",
        "ts" => "video/mp2t",
        "avi" => "video/x-msvideo",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}
