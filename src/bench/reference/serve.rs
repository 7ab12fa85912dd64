//! HTTP of the reference server: a thread a connection, four methods, no checks.

use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};

use super::Limit;
use super::log::{ALIGN, Aligned, Log};

/// What is read and written at once; larger bodies go through in pieces.
const PIECE: usize = 1 << 20;
/// What a download reads and sends at once; the second-level cache holds it.
const DOWNLOAD: usize = 256 << 10;
const HEAD: usize = 16 << 10;

/// What is known of an object.
#[derive(Clone, Copy)]
struct Object {
    at: u64,
    len: u64,
    md5: [u8; 16],
}

type Index = Mutex<HashMap<String, Object>>;

struct Request {
    method: String,
    path: String,
    length: u64,
    /// How much of the body came with the head, at its end in the connection's buffer.
    from: usize,
    to: usize,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    filled: usize,
    piece: Option<Aligned>,
    log: Arc<Log>,
    index: Arc<Index>,
    limit: Limit,
}

/// Serves for ever.
pub(super) fn serve(listener: &TcpListener, log: &Arc<Log>, limit: Limit) {
    let index = Arc::new(Index::default());
    for stream in listener.incoming().map_while(Result::ok) {
        let mut connection = Connection {
            stream,
            head: vec![0; HEAD],
            filled: 0,
            piece: None,
            log: log.clone(),
            index: index.clone(),
            limit,
        };
        std::thread::spawn(move || {
            // How it ends is the client's to say.
            let _ = connection.run();
        });
    }
}

impl Connection {
    fn run(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some(request) = self.request()? {
            match request.method.as_str() {
                "PUT" => self.put(&request)?,
                "GET" => self.get(&request.path)?,
                "DELETE" => self.delete(&request.path)?,
                _ => self.stream.write_all(b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n")?,
            }
        }
        Ok(())
    }

    fn request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut head = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(end) = head.parse(&self.head[..self.filled]).map_err(io::Error::other)? {
                let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
                let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
                let request = Request {
                    method: head.method.unwrap_or_default().to_owned(),
                    path: head.path.unwrap_or_default().to_owned(),
                    length: length.unwrap_or(0),
                    from: end,
                    to: self.filled,
                };
                // Nobody sends the next request before this one is answered.
                self.filled = 0;
                return Ok(Some(request));
            }
            let received = self.stream.read(&mut self.head[self.filled..])?;
            if received == 0 {
                return Ok(None);
            }
            self.filled += received;
        }
    }

    fn put(&mut self, request: &Request) -> io::Result<()> {
        let at = self.log.place(request.length);
        let wanted = usize::try_from(request.length).unwrap_or(PIECE).clamp(1, PIECE);
        let mut piece = match self.piece.take() {
            Some(piece) if piece.len() >= wanted => piece,
            _ => Aligned::new(wanted),
        };
        let mut early = &self.head[request.from..request.to];
        let (mut hash, mut done) = (Md5::new(), 0);
        loop {
            let len = usize::try_from(request.length - done).unwrap_or(PIECE).min(PIECE);
            let bytes = &mut piece.bytes_mut()[..len];
            let (there, missing) = bytes.split_at_mut(early.len().min(len));
            there.copy_from_slice(&early[..there.len()]);
            early = &early[there.len()..];
            self.stream.read_exact(missing)?;
            hash.update(&piece.bytes()[..len]);
            if request.length <= PIECE as u64 {
                piece = self.log.append(piece, len, at)?;
                break;
            }
            self.log.write(&piece, len, at + done)?;
            done += len as u64;
            if done == request.length {
                self.log.sync()?;
                break;
            }
        }
        self.piece = Some(piece);
        let md5: [u8; 16] = hash.finalize().into();
        let object = Object { at, len: request.length, md5 };
        self.index.lock().unwrap_or_else(PoisonError::into_inner).insert(request.path.clone(), object);
        let answer = format!("HTTP/1.1 200 OK\r\netag: \"{}\"\r\ncontent-length: 0\r\n\r\n", hex::encode(md5));
        self.stream.write_all(answer.as_bytes())
    }

    fn get(&mut self, path: &str) -> io::Result<()> {
        let object = self.index.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        let Some(Object { at, len, md5 }) = object else { return self.not_found() };
        let head = format!("HTTP/1.1 200 OK\r\netag: \"{}\"\r\ncontent-length: {len}\r\n\r\n", hex::encode(md5));
        let (mut at, end) = (at, at + len);
        if self.limit == Limit::Sendfile {
            let mut head = head.as_bytes();
            while !head.is_empty() {
                head = &head[rustix::net::send(&self.stream, head, rustix::net::SendFlags::MORE)?..];
            }
            while at < end {
                let left = usize::try_from(end - at).unwrap_or(PIECE);
                if rustix::fs::sendfile(&self.stream, self.log.cached(), Some(&mut at), left)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(());
        }
        let mut piece =
            self.piece.take().filter(|piece| piece.len() >= DOWNLOAD).unwrap_or_else(|| Aligned::new(DOWNLOAD));
        let mut head = head.as_bytes();
        while at < end || !head.is_empty() {
            let len = usize::try_from(end - at).unwrap_or(DOWNLOAD).min(DOWNLOAD);
            let mut body = &mut piece.bytes_mut()[..len];
            self.log.cached().read_exact_at(body, at)?;
            at += len as u64;
            if !head.is_empty() {
                let sent = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
                let of_body = sent.saturating_sub(head.len());
                self.stream.write_all(&head[sent.min(head.len())..])?;
                body = &mut body[of_body..];
                head = &[];
            }
            self.stream.write_all(body)?;
        }
        self.piece = Some(piece);
        Ok(())
    }

    /// A removal is as durable as an upload, and as small as it can be.
    fn delete(&mut self, path: &str) -> io::Result<()> {
        if self.index.lock().unwrap_or_else(PoisonError::into_inner).remove(path).is_none() {
            return self.not_found();
        }
        let piece = self.piece.take().unwrap_or_else(|| Aligned::new(ALIGN));
        self.piece = Some(self.log.append(piece, ALIGN, self.log.place(ALIGN as u64))?);
        self.stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
    }

    fn not_found(&mut self) -> io::Result<()> {
        self.stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    }
}
