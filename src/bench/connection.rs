//! One keep-alive connection of plain HTTP/1.1 on blocking sockets: as few system calls and copies as there can be,
//! because client and server share the machine.
//!
//! Absent: redirects, retries, pipelining.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::sim::client::told;
use crate::tls::{BlockingStream, MaybeTls, Trust};

/// No server that works takes longer for one read or write.
const TIMEOUT: Duration = Duration::from_secs(120);
/// What is read at once; the second-level cache holds it together with what it is compared to.
const BUFFER: usize = 256 << 10;
const HEADERS_MAX: usize = 64;
/// Heads, and the lines between chunks, are short.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A connection that is made when it is needed and kept while the server keeps it.
pub(super) struct Connection {
    address: String,
    /// With https: whom to trust, and what the server is called.
    tls: Option<(Trust, String)>,
    stream: Option<MaybeTls<TcpStream, BlockingStream>>,
    buffer: Vec<u8>,
    /// What was received and not yet used: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// What follows the head that was read last.
    body: Body,
    /// Whether the server takes another request behind this answer.
    keeps: bool,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    Rest,
}

impl Connection {
    /// A connection to `host:port` that is not made yet.
    pub(super) fn new(address: &str, tls: Option<(Trust, String)>) -> Self {
        Self {
            address: address.to_owned(),
            tls,
            stream: None,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            body: Body::Length(0),
            keeps: false,
        }
    }

    /// Sends a head together with the beginning of its body, or more of a body.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                (self.start, self.end) = (0, 0);
                none.insert(match &self.tls {
                    None => MaybeTls::Plain(stream),
                    Some((trust, name)) => MaybeTls::Tls(Box::new(trust.connect_blocking(name, stream).map_err(told)?)),
                })
            }
        };
        let (mut head, mut body) = (head, body);
        while !head.is_empty() {
            let sent = stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_head = sent.min(head.len());
            head = &head[of_head..];
            body = &body[sent - of_head..];
        }
        stream.write_all(body)?;
        stream.flush()
    }

    /// The status of the answer. Its body has to be read before the next request.
    pub(super) fn status(&mut self) -> io::Result<u16> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&self.buffer[self.start..self.end]).map_err(unreadable)? {
                httparse::Status::Complete(length) => {
                    let status = head.code.unwrap_or(0);
                    let mut keeps = head.version == Some(1);
                    let mut body = Body::Rest;
                    for header in head.headers.iter() {
                        let value = std::str::from_utf8(header.value).unwrap_or("").trim();
                        if header.name.eq_ignore_ascii_case("content-length") {
                            body = Body::Length(value.parse().map_err(unreadable)?);
                        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                            body = Body::Chunked;
                        } else if header.name.eq_ignore_ascii_case("connection") {
                            keeps = !value.eq_ignore_ascii_case("close");
                        }
                    }
                    self.start += length;
                    if (100..200).contains(&status) {
                        continue;
                    }
                    self.body = if status == 204 || status == 304 { Body::Length(0) } else { body };
                    self.keeps = keeps && self.body != Body::Rest;
                    return Ok(status);
                }
                httparse::Status::Partial if self.end - self.start > HEAD_BYTES_MAX => {
                    return Err(unreadable("a head without an end"));
                }
                httparse::Status::Partial => self.more()?,
            }
        }
    }

    /// Gives the whole body of the answer to `take`, in pieces, and the connection to the next request.
    pub(super) fn body(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        match self.body {
            Body::Length(length) => self.exactly(length, &mut take)?,
            Body::Chunked => loop {
                let size = self.line()?;
                let digits = size.split(';').next().unwrap_or("").trim();
                let size = u64::from_str_radix(digits, 16).map_err(unreadable)?;
                if size == 0 {
                    // Trailers, up to the empty line.
                    while !self.line()?.is_empty() {}
                    break;
                }
                self.exactly(size, &mut take)?;
                if !self.line()?.is_empty() {
                    return Err(unreadable("a chunk that is longer than it says"));
                }
            },
            Body::Rest => loop {
                take(&self.buffer[self.start..self.end]);
                self.start = self.end;
                match self.more() {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                    more => more?,
                }
            },
        }
        if !self.keeps {
            self.close();
        }
        Ok(())
    }

    /// Makes the connection anew for the next request.
    pub(super) fn close(&mut self) {
        self.stream = None;
    }

    fn exactly(&mut self, length: u64, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                self.more()?;
            }
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            take(&self.buffer[self.start..self.start + here]);
            self.start += here;
            left -= here as u64;
        }
        Ok(())
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<String> {
        loop {
            let here = &self.buffer[self.start..self.end];
            if let Some(length) = here.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&here[..length]).trim_end().to_owned();
                self.start += length + 1;
                return Ok(line);
            }
            if here.len() > HEAD_BYTES_MAX {
                return Err(unreadable("a line without an end"));
            }
            self.more()?;
        }
    }

    /// Receives more behind what is there.
    fn more(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let received = loop {
            match stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => break received?,
            }
        };
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += received;
        Ok(())
    }
}

fn unreadable(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one connection with these bytes, some at a time, and closes it.
    fn answered(bytes: &'static str, step: usize) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            for piece in bytes.as_bytes().chunks(step) {
                stream.write_all(piece).unwrap();
            }
        });
        let mut connection = Connection::new(&address, None);
        connection.send(b"head", b"").unwrap();
        connection
    }

    fn read(connection: &mut Connection) -> (u16, String) {
        let status = connection.status().unwrap();
        let mut body = Vec::new();
        connection.body(|piece| body.extend_from_slice(piece)).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    #[test]
    fn bodies_of_every_kind_are_read_to_their_end() {
        for step in [1, 7, 1000] {
            let mut connection = answered(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\
                 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nt: v\r\n\r\n\
                 HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nto the end",
                step,
            );
            assert_eq!(read(&mut connection), (200, "abc".to_owned()));
            assert_eq!(read(&mut connection), (200, "abc0123456789".to_owned()));
            assert_eq!(read(&mut connection), (204, String::new()));
            assert!(connection.stream.is_some());
            assert_eq!(read(&mut connection), (404, "to the end".to_owned()));
            assert!(connection.stream.is_none());
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_no_answer_is_an_error() {
        assert!(answered("HTTP/1.1 200 OK\r\n", 100).status().is_err());
        assert!(answered("no HTTP\r\n\r\n", 100).status().is_err());
        for cut in ["content-length: 3\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n"] {
            let text: &'static str = format!("HTTP/1.1 200 OK\r\n{cut}").leak();
            let mut connection = answered(text, 100);
            assert_eq!(connection.status().unwrap(), 200);
            assert!(connection.body(|_| {}).is_err());
        }
    }

    #[test]
    fn a_server_that_closes_is_called_anew() {
        let mut connection = answered("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", 100);
        assert_eq!(read(&mut connection), (200, String::new()));
        assert!(connection.stream.is_none());
    }
}
