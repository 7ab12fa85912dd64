//! What hyper forgives in a head and we do not: two lengths of one body, by `Content-Length` and `Transfer-Encoding` or
//! by `Content-Length` twice. Whoever stands between may believe the other one, and take for a request of its own what
//! is a part of somebody's body.

/// Looks at the bytes of a head as they come, without keeping them.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The name of the line under way, in lower case, as far as it can still be one of the two.
    name: [u8; NAME_MAX],
    /// Bytes of it; more than [`NAME_MAX`] where it is behind its colon, or none that matters.
    len: usize,
    /// Bytes of the line that are no end of line.
    line: usize,
    /// Whether the request's own line has come.
    begun: bool,
    lengths: u8,
    chunked: bool,
    over: bool,
}

const NAME_MAX: usize = 17;
const LENGTH: &[u8] = b"content-length";
const CHUNKED: &[u8] = b"transfer-encoding";

impl HeadScan {
    /// Takes what came; whether the head has come to its end with it, and says two lengths.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        if self.over {
            return false;
        }
        for &byte in bytes {
            match byte {
                b'\r' => {}
                b'\n' => {
                    // Empty lines before a request are none of its head.
                    if self.line == 0 && self.begun {
                        self.over = true;
                        return self.lengths > 1 || self.lengths > 0 && self.chunked;
                    }
                    self.begun |= self.line > 0;
                    (self.len, self.line) = (0, 0);
                }
                b':' if self.len <= NAME_MAX => {
                    self.line += 1;
                    let name = &self.name[..self.len];
                    if name == LENGTH {
                        self.lengths = self.lengths.saturating_add(1);
                    }
                    self.chunked |= name == CHUNKED;
                    self.len = NAME_MAX + 1;
                }
                other => {
                    self.line += 1;
                    if let Some(place) = self.name.get_mut(self.len) {
                        *place = other.to_ascii_lowercase();
                    }
                    self.len = self.len.saturating_add(1);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says_two(head: &str) -> bool {
        let mut whole = HeadScan::default();
        let at_once = whole.take(head.as_bytes());
        assert!(
            !whole.take(b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "the body is not looked at"
        );
        let mut slowly = HeadScan::default();
        let by_bytes = head.bytes().filter(|byte| slowly.take(&[*byte])).count() == 1;
        assert_eq!(at_once, by_bytes, "{head:?}");
        at_once
    }

    #[test]
    fn two_lengths_of_one_body_are_seen_in_any_order_case_and_pieces() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nHost: a\r\nCONTENT-LENGTH: 5\r\n\r\n",
            "POST / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: identity\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        ] {
            assert!(says_two(head), "{head:?}");
        }
    }

    #[test]
    fn one_length_is_one_wherever_the_names_stand_besides() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            "POST /content-length:transfer-encoding: HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nX-Amz-Decoded-Content-Length: 4\r\nTE: Transfer-Encoding:\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encodings: 1\r\nX: a\rContent-Length: 1\r\n\r\n",
        ] {
            assert!(!says_two(head), "{head:?}");
        }
    }
}
