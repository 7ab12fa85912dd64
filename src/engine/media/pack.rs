//! Many files as one ZIP, written while it is read: a manifest with the SHA-256 of each is its last members.

use bytes::Bytes as Buf;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};

use super::find::Found;
use super::play::ByteStream;
use super::{CHOSEN_MAX, Chosen, Reading, Shelf};
use crate::domain::files::FilesRefusal;
use crate::domain::{Action, Bytes, Refusal};
use crate::engine::{Caller, Engine, Error, Result};
use crate::wire::china_time;
use crate::wire::zip::{Archive, Names, dos_time};

/// Bytes of one archive.
const BYTES_MAX: u64 = 64 << 30;

/// An archive, to be read to its end or dropped.
pub struct Packed {
    /// A name for it.
    pub name: String,
    /// Its files.
    pub files: usize,
    /// Its bytes.
    pub stream: ByteStream,
}

/// A member that is being read.
struct Current {
    stream: ByteStream,
    crc: Crc,
    sha: Sha256,
    size: u64,
    line: Line,
}

/// A line of the manifest.
struct Line {
    name: String,
    date: String,
    ak: String,
    kind: &'static str,
    key: String,
}

struct Packing {
    engine: Engine,
    caller: Caller,
    zone_minutes: i32,
    files: std::vec::IntoIter<(std::sync::Arc<Shelf>, Found)>,
    current: Option<Box<Current>>,
    zip: Archive,
    names: Names,
    sums: String,
    table: String,
    over: bool,
}

impl Engine {
    /// Puts the chosen files into an archive; 1,000 files and 64 GB at most. A file that is deleted before its turn is
    /// named in the manifest as missing.
    pub async fn pack_files(&self, caller: &Caller, chosen: &Chosen) -> Result<Packed> {
        let shelves = match chosen {
            Chosen::Matching(filter) => {
                let shelf = self.shelf(caller, Action::SeeFiles, &filter.ak, filter.media)?;
                let mut files = self.matching(&shelf, filter, CHOSEN_MAX).await?;
                files.reverse();
                vec![(shelf, files)]
            }
            Chosen::Names(names) => self.named(caller, Action::SeeFiles, names)?,
        };
        let mut all = Vec::new();
        let mut bytes = 0_u64;
        for (shelf, files) in shelves {
            let shelf = std::sync::Arc::new(shelf);
            bytes = files.iter().fold(bytes, |sum, (_, row)| sum.saturating_add(row.size.get()));
            all.extend(files.into_iter().map(|file| (std::sync::Arc::clone(&shelf), file)));
        }
        if bytes > BYTES_MAX {
            return Err(Refusal::from(FilesRefusal::TooLarge { most: Bytes::new(BYTES_MAX) }).into());
        }
        let Some((shelf, _)) = all.first() else { return Err(Refusal::NoFile.into()) };
        let zone_minutes = self.config().zone_minutes;
        let stamp: String =
            china_time::format(self.now().seconds(), zone_minutes).chars().filter(char::is_ascii_digit).collect();
        let name = format!("{}-{stamp}.zip", shelf.ak.as_str());
        let mut names = Names::default();
        // The manifest's own names are taken.
        let _ = (names.name("manifest.csv"), names.name("SHA256SUMS"));
        let files = all.len();
        let packing = Packing {
            engine: self.clone(),
            caller: caller.clone(),
            zone_minutes,
            files: all.into_iter(),
            current: None,
            zip: Archive::default(),
            names,
            sums: String::new(),
            table: "\u{feff}name,sha256,size_bytes,file_date,camera,kind,key\r\n".to_owned(),
            over: false,
        };
        let stream = futures_util::stream::try_unfold(packing, |mut packing| async move {
            Ok::<_, Error>(packing.next().await?.map(|bytes| (bytes, packing)))
        });
        Ok(Packed { name, files, stream: Box::pin(stream) })
    }
}

impl Packing {
    async fn next(&mut self) -> Result<Option<Buf>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(piece) = current.stream.next().await {
                    let piece = piece?;
                    current.crc.update(&piece);
                    current.sha.update(&piece);
                    current.size += piece.len() as u64;
                    return Ok(Some(piece));
                }
                if let Some(done) = self.current.take() {
                    let crc = u32::try_from(done.crc.finalize()).unwrap_or(0);
                    let sha = hex::encode(done.sha.finalize());
                    self.sums.push_str(&format!("{sha}  {}\n", done.line.name));
                    self.line(&done.line, &sha, done.size);
                    return Ok(Some(Buf::from(self.zip.end(done.size, crc))));
                }
            }
            if let Some((shelf, (key, row))) = self.files.next() {
                let date = china_time::format(row.created.seconds(), self.zone_minutes);
                let name = self.names.name(key.as_str());
                let line = Line {
                    name,
                    date,
                    ak: shelf.ak.as_str().to_owned(),
                    kind: shelf.media.word(),
                    key: key.as_str().to_owned(),
                };
                let played = self.engine.read_file(
                    &self.caller,
                    shelf.ak.as_str(),
                    shelf.media,
                    key.as_str(),
                    Reading::Download,
                );
                let reader = match played.await {
                    Ok(played) => played.reader,
                    Err(Error::Refused(_)) => {
                        self.line(&line, "missing", 0);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let size = reader.info.size.get();
                let head = self.zip.begin(&line.name, size, dos_time(&line.date));
                let stream = Box::pin(reader.read(0..size));
                let crc = Crc::new(CrcAlgorithm::Crc32IsoHdlc);
                self.current = Some(Box::new(Current { stream, crc, sha: Sha256::new(), size: 0, line }));
                return Ok(Some(Buf::from(head)));
            }
            if self.over {
                return Ok(None);
            }
            self.over = true;
            return Ok(Some(self.manifest()));
        }
    }

    fn line(&mut self, line: &Line, sha: &str, size: u64) {
        let Line { name, date, ak, kind, key } = line;
        let fields = [name, sha, &size.to_string(), date, ak, kind, key];
        let quoted = fields.map(quoted).join(",");
        self.table.push_str(&quoted);
        self.table.push_str("\r\n");
    }

    /// The last members and the directory.
    fn manifest(&mut self) -> Buf {
        let stamp = dos_time(&china_time::format(self.engine.now().seconds(), self.zone_minutes));
        let mut out = Vec::new();
        for (name, text) in [("manifest.csv", &self.table), ("SHA256SUMS", &self.sums)] {
            let mut crc = Crc::new(CrcAlgorithm::Crc32IsoHdlc);
            crc.update(text.as_bytes());
            out.extend(self.zip.begin(name, text.len() as u64, stamp));
            out.extend(text.as_bytes());
            out.extend(self.zip.end(text.len() as u64, u32::try_from(crc.finalize()).unwrap_or(0)));
        }
        out.extend(std::mem::take(&mut self.zip).finish());
        Buf::from(out)
    }
}

/// A field of a CSV that a spreadsheet takes for text, never for a formula.
fn quoted(field: &str) -> String {
    let safe = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{field}") } else { field.to_owned() };
    if safe.contains([',', '"', '\n', '\r']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}
