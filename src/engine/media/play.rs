//! A file in the hands of a user: what it is, its bytes, and the line in the audit log.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use bytes::Bytes as Buf;
use futures_util::{Stream, StreamExt};

use super::Shelf;
use crate::domain::{Action, Media, ObjectKey, Refusal};
use crate::engine::types::Who;
use crate::engine::{Caller, Engine, ObjectReader, Result};
use crate::wire::file_head::File;
use crate::wire::media::{Info, Probe, Step};

/// Lines remembered of an hour; past that a file may have a second one.
const NOTED_MAX: usize = 50_000;

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// To be played, or looked at.
    Play,
    /// To be kept.
    Download,
}

/// A file, open, with what is known of its insides.
pub struct Played {
    /// Its bytes.
    pub reader: ObjectReader,
    /// What it is.
    pub info: Arc<Info>,
}

/// Bytes that come piece by piece, each verified.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Buf>> + Send>>;

impl Played {
    /// What the head of an answer says of it.
    pub fn file(&self) -> File<'_> {
        let info = &self.reader.info;
        File {
            key: info.key.as_str(),
            etag: info.etag.to_string(),
            modified: info.created,
            size: info.size.get(),
            container: self.info.container,
        }
    }

    /// The bytes of `range`. The first of them are verified before this gives anything: what is damaged there is an
    /// error, and no answer that breaks. Damage further on ends the stream with an error.
    pub async fn bytes(self, range: Range<u64>) -> Result<ByteStream> {
        let mut stream = Box::pin(self.reader.read(range));
        match stream.next().await {
            None => Ok(Box::pin(futures_util::stream::empty())),
            Some(first) => {
                let first = first?;
                Ok(Box::pin(futures_util::stream::once(async { Ok(first) }).chain(stream)))
            }
        }
    }
}

impl Engine {
    /// Opens a file to be played or downloaded. It has a line in the audit log, one a user, file and hour: a player
    /// asks for many ranges.
    pub async fn read_file(
        &self,
        caller: &Caller,
        ak: &str,
        media: Media,
        key: &str,
        reading: Reading,
    ) -> Result<Played> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, media)?;
        let key: ObjectKey = key.parse().map_err(|_| Refusal::NoFile)?;
        let reader = self.open_object(caller, &shelf.bucket, &key).await?;
        let info = self.probed(caller, &shelf, &key, &reader).await?;
        self.note(caller, &shelf, &reader, reading);
        Ok(Played { reader, info })
    }

    /// What a file is, told from its bytes.
    pub async fn file_info(&self, caller: &Caller, ak: &str, media: Media, key: &str) -> Result<Arc<Info>> {
        let shelf = self.shelf(caller, Action::SeeFiles, ak, media)?;
        let key: ObjectKey = key.parse().map_err(|_| Refusal::NoFile)?;
        let reader = self.open_object(caller, &shelf.bucket, &key).await?;
        self.probed(caller, &shelf, &key, &reader).await
    }

    async fn probed(
        &self,
        caller: &Caller,
        shelf: &Shelf,
        key: &ObjectKey,
        reader: &ObjectReader,
    ) -> Result<Arc<Info>> {
        let id = reader.info.id;
        if let Some(info) = self.inner.media.probed.get(&id) {
            return Ok(info);
        }
        let (mut probe, mut step) = Probe::new(reader.info.size.get());
        let info = loop {
            match step {
                Step::Done(info) => break Arc::new(info),
                Step::Read(range) => {
                    let part = self.open_object(caller, &shelf.bucket, key).await?;
                    if part.info.id != id {
                        return Err(Refusal::NoFile.into());
                    }
                    let mut bytes = Vec::new();
                    let mut stream = Box::pin(part.read(range));
                    while let Some(piece) = stream.next().await {
                        bytes.extend_from_slice(&piece?);
                    }
                    step = probe.take(&bytes);
                }
            }
        };
        self.inner.media.probed.insert(id, Arc::clone(&info));
        Ok(info)
    }

    fn note(&self, caller: &Caller, shelf: &Shelf, reader: &ObjectReader, reading: Reading) {
        let who = self.name_of(caller);
        let hour = self.now().seconds().div_euclid(3600);
        {
            let mut noted = self.inner.media.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.0 != hour || noted.1.len() >= NOTED_MAX {
                *noted = (hour, std::collections::HashSet::new());
            }
            if !noted.1.insert((who, reader.info.id, reading)) {
                return;
            }
        }
        let what = match reading {
            Reading::Play => "PlayFile",
            Reading::Download => "DownloadFile",
        };
        let target = format!("{} {} {}", shelf.ak.as_str(), shelf.media.word(), reader.info.key);
        self.audit_by(caller, what, &target, &Ok(()));
    }

    /// How a caller is called in the audit log and beside a lock.
    pub(super) fn name_of(&self, caller: &Caller) -> String {
        match &caller.who {
            Who::User { name, .. } => name.to_string(),
            _ => "operator".to_owned(),
        }
    }
}
