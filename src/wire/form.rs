//! `multipart/form-data` as it comes, piece by piece: small fields whole, the file as a stream.

use bytes::{Bytes, BytesMut};

/// Bytes of one part's head.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// S3's own limit on all that comes before the file: 20 KiB; names count too.
const FIELDS_BYTES_MAX: usize = 20 << 10;
/// More fields than any form of S3 has.
const FIELDS_MAX: usize = 200;
/// RFC 2046 has 70; some write more.
const BOUNDARY_BYTES_MAX: usize = 200;

/// What a form is made of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A field before the file, with its value. The name as it was sent.
    Field(String, String),
    /// The file begins; its name in the form, where there is one.
    File(String),
    /// Bytes of the file.
    Data(Bytes),
    /// The file is whole. What follows it in the form counts for nothing.
    End,
}

/// A body that is no form that S3 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// S3 `MalformedPOSTRequest`.
    #[error("The body of your POST request is not well-formed multipart/form-data.")]
    Malformed,
    /// S3 `MaxPostPreDataLengthExceeded`.
    #[error("Your POST request fields preceding the upload file were too large.")]
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before a delimiter that ends nothing.
    Preamble,
    /// Behind a delimiter.
    Delimited,
    Head,
    Field(String),
    File,
    Done,
}

/// Reads a form: bytes in ([`Form::push`]), pieces out ([`Form::piece`]).
#[derive(Debug)]
pub struct Form {
    /// Line break, two hyphens, boundary.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    /// So much of the buffer has been searched for what is waited for.
    searched: usize,
    state: State,
    fields: usize,
    field_bytes: usize,
}

impl Form {
    /// A form whose request has this `Content-Type`; `None` where that is not of a form.
    pub fn new(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return None;
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter may begin the body: then there is no line before it to break.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Some(Self { delimiter, buffer, searched: 0, state: State::Preamble, fields: 0, field_bytes: 0 })
    }

    /// More of the body.
    pub fn push(&mut self, data: &[u8]) {
        if self.state != State::Done {
            self.buffer.extend_from_slice(data);
        }
    }

    /// The next piece; `None` where more of the body is needed.
    ///
    /// # Errors
    /// [`BadForm`]
    pub fn piece(&mut self) -> Result<Option<Piece>, BadForm> {
        loop {
            match &self.state {
                State::Preamble => {
                    let delimiter = self.delimiter.clone();
                    let Some(at) = self.find(&delimiter) else { return self.wait(HEAD_BYTES_MAX) };
                    // As if it had come byte by byte: what is too long is so however it is cut.
                    if at > HEAD_BYTES_MAX {
                        return Err(BadForm::TooLarge);
                    }
                    self.take(at + delimiter.len());
                    self.state = State::Delimited;
                }
                State::Delimited => {
                    let Some(at) = self.find(b"\r\n") else { return self.wait(HEAD_BYTES_MAX) };
                    if at > HEAD_BYTES_MAX {
                        return Err(BadForm::TooLarge);
                    }
                    let rest = self.take(at);
                    // `--` is the end of a form, and there was no file. Else: nothing but padding.
                    if !rest.iter().all(|b| matches!(b, b' ' | b'\t')) {
                        return Err(BadForm::Malformed);
                    }
                    self.state = State::Head;
                }
                State::Head => {
                    // The line break of the delimiter is still there: an empty head is one more.
                    let Some(at) = self.find(b"\r\n\r\n") else { return self.wait(HEAD_BYTES_MAX) };
                    if at > HEAD_BYTES_MAX {
                        return Err(BadForm::TooLarge);
                    }
                    let head = self.take(at + 4);
                    let (name, filename) = read_head(&head)?;
                    if name.eq_ignore_ascii_case("file") {
                        self.state = State::File;
                        return Ok(Some(Piece::File(filename.unwrap_or_default())));
                    }
                    self.state = State::Field(name);
                }
                State::Field(name) => {
                    let (name, delimiter) = (name.clone(), self.delimiter.clone());
                    let left = FIELDS_BYTES_MAX.saturating_sub(self.field_bytes + name.len());
                    let Some(at) = self.find(&delimiter) else { return self.wait(left + delimiter.len()) };
                    if at > left || self.fields >= FIELDS_MAX {
                        return Err(BadForm::TooLarge);
                    }
                    self.fields += 1;
                    self.field_bytes += at + name.len();
                    let value = self.take(at);
                    self.take(delimiter.len());
                    self.state = State::Delimited;
                    let value = String::from_utf8(value.to_vec()).map_err(|_| BadForm::Malformed)?;
                    return Ok(Some(Piece::Field(name, value)));
                }
                State::File => return Ok(self.data()),
                State::Done => return Ok(None),
            }
        }
    }

    fn data(&mut self) -> Option<Piece> {
        let delimiter = self.delimiter.clone();
        match self.find(&delimiter) {
            Some(0) => {
                self.state = State::Done;
                self.buffer.clear();
                Some(Piece::End)
            }
            Some(at) => Some(Piece::Data(self.take(at))),
            None => {
                // What may be the beginning of a delimiter waits.
                let at = self.buffer.len().saturating_sub(delimiter.len() - 1);
                (at > 0).then(|| Piece::Data(self.take(at)))
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Bytes {
        self.searched = 0;
        self.buffer.split_to(bytes.min(self.buffer.len())).freeze()
    }

    fn wait(&self, most: usize) -> Result<Option<Piece>, BadForm> {
        if self.buffer.len() > most + self.delimiter.len() { Err(BadForm::TooLarge) } else { Ok(None) }
    }

    /// Where `wanted` (which begins with CR) is in the buffer; what was searched once is not again.
    fn find(&mut self, wanted: &[u8]) -> Option<usize> {
        let mut from = self.searched;
        while let Some(at) = self.buffer.get(from..).and_then(|rest| rest.iter().position(|b| *b == b'\r')) {
            let rest = self.buffer.get(from + at..).unwrap_or(&[]);
            if rest.starts_with(wanted) {
                return Some(from + at);
            }
            if rest.len() < wanted.len() && wanted.starts_with(rest) {
                self.searched = from + at;
                return None;
            }
            from += at + 1;
        }
        self.searched = self.buffer.len();
        None
    }
}

/// Name and file name of a part.
fn read_head(head: &[u8]) -> Result<(String, Option<String>), BadForm> {
    let text = std::str::from_utf8(head).map_err(|_| BadForm::Malformed)?;
    let mut found = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(BadForm::Malformed)?;
        if !name.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        let (kind, parameters) = value.split_once(';').ok_or(BadForm::Malformed)?;
        if !kind.trim().eq_ignore_ascii_case("form-data") || found.is_some() {
            return Err(BadForm::Malformed);
        }
        let name = parameter(parameters, "name").filter(|n| !n.is_empty()).ok_or(BadForm::Malformed)?;
        found = Some((name, parameter(parameters, "filename")));
    }
    found.ok_or(BadForm::Malformed)
}

/// A parameter of a header, its quotation marks and backslashes undone. Browsers escape `"` as
/// `%22`, and that stays: nothing tells it from a name that has a `%22`.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text.trim_start_matches([';', ' ', '\t']);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after.get(..end)?.trim().to_owned(), after.get(end..)?)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start_matches([';', ' ', '\t']);
    }
    None
}

/// What stands before the closing quotation mark, and what behind it. A backslash escapes only a
/// quotation mark: old browsers send whole Windows paths.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, text.get(at + 1..)?)),
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                out.push('"');
                chars.next();
            }
            _ => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xyz\"";

    /// Fields, the file's name, its bytes, whether it ended.
    type Read = (Vec<(String, String)>, Option<String>, Vec<u8>, bool);

    fn read(body: &[u8], step: usize) -> Result<Read, BadForm> {
        let mut form = Form::new(TYPE).unwrap();
        let (mut fields, mut file, mut data, mut ended) = (Vec::new(), None, Vec::new(), false);
        for bytes in body.chunks(step) {
            form.push(bytes);
            while let Some(piece) = form.piece()? {
                match piece {
                    Piece::Field(name, value) => fields.push((name, value)),
                    Piece::File(name) => file = Some(name),
                    Piece::Data(bytes) => data.extend_from_slice(&bytes),
                    Piece::End => ended = true,
                }
            }
        }
        Ok((fields, file, data, ended))
    }

    fn body(file: &[u8]) -> Vec<u8> {
        let mut body = b"--xyz\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\nb\r\n--xyz  \r\n\
            content-disposition: form-data; name=file; filename=\"C:\\x\\\"y.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
            .to_vec();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--xyz\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nx\r\n--xyz--\r\n");
        body
    }

    #[test]
    fn a_form_comes_out_whole_however_it_is_cut() {
        let file = b"\r\n--xy\r\n--xy\r\r\n-binary\0\r";
        for step in [1, 2, 3, 7, 10_000] {
            let (fields, name, data, ended) = read(&body(file), step).unwrap();
            assert_eq!(fields, [("key".to_owned(), "a\r\nb".to_owned())]);
            assert_eq!((name.as_deref(), data.as_slice(), ended), (Some("C:\\x\"y.jpg"), &file[..], true), "{step}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_never_ends() {
        let whole = body(b"data");
        for cut in 0..whole.len() - 60 {
            if let Ok((.., data, ended)) = read(&whole[..cut], 5) {
                assert!(!ended || data == b"data", "{cut}");
            }
        }
        let head = whole.windows(4).position(|w| w == b"data").unwrap();
        assert!(!read(&whole[..head + 4], 5).unwrap().3);
    }

    #[test]
    fn fields_are_bounded_and_malformed_heads_refused() {
        let of = |head: &str, value: &str| format!("--xyz\r\n{head}\r\n\r\n{value}\r\n--xyz--\r\n").into_bytes();
        let good = "Content-Disposition: form-data; name=\"a\"";
        assert_eq!(read(&of(good, &"v".repeat(21 << 10)), 999), Err(BadForm::TooLarge));
        assert_eq!(read(&of(&format!("{good}\r\nx: {}", "y".repeat(9000)), "v"), 999), Err(BadForm::TooLarge));
        for bad in
            ["Content-Disposition: form-data", "Content-Type: x", "x", "Content-Disposition: form-data; name=\"a"]
        {
            assert_eq!(read(&of(bad, "v"), 999), Err(BadForm::Malformed), "{bad}");
        }
        assert_eq!(read(&[b'x'; 20_000], 999), Err(BadForm::TooLarge));
        for kind in ["text/plain; boundary=x", "multipart/form-data", "multipart/form-data; boundary=", "x"] {
            assert!(Form::new(kind).is_none(), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn every_file_comes_out_as_it_went_in(
            file in proptest::collection::vec(proptest::sample::select(&b"\r\n-xyz0"[..]), 0..200), step in 1usize..50
        ) {
            let clash = file.windows(7).any(|w| w == b"\r\n--xyz") || file.starts_with(b"--xyz");
            if !clash {
                let (_, _, data, ended) = read(&body(&file), step).unwrap();
                prop_assert_eq!((data, ended), (file, true));
            }
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..50) {
            let _ = read(&body, step);
        }

        #[test]
        fn no_header_panics(text in ".{0,80}") {
            let _ = (Form::new(&text), parameter(&text, "name"));
        }
    }
}
