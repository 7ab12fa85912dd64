//! Contents that nobody has to keep: made by a seed while they are sent, checked while they come back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// How much of a content is the same in no other: a server that finds duplicates finds none.
const BLOCK: usize = 4096;
const STAMP: usize = 16;
const FRAME: usize = 64 << 10;

/// The bytes that a seed makes. All its contents differ in every block of 4 KiB.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<[u8]>);

/// A request's body, and what an answer's body must be. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes that are in memory.
    Whole(Bytes),
    /// Bytes that are made when they are needed.
    Made {
        /// By which pattern.
        pattern: Pattern,
        /// Which of its contents.
        number: u64,
        /// How far it was sent or checked, in bytes.
        at: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// One that ends in the middle, with the connection.
    Cut {
        /// What it would have been.
        whole: Box<Content>,
        /// How many bytes go out before the link is gone.
        left: u64,
        /// Whether what went out has had its chance to leave.
        flushed: bool,
    },
}

// === impl Pattern ===

impl Pattern {
    /// The pattern of a seed.
    pub fn new(seed: u64) -> Self {
        let mut bytes = vec![0; FRAME];
        let mut hasher = blake3::Hasher::new_derive_key("kandian content pattern");
        hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        Self(bytes.into())
    }

    /// The content of this number, `len` bytes long.
    pub fn content(&self, number: u64, len: u64) -> Content {
        Content::Made { pattern: self.clone(), number, at: 0, len }
    }

    /// The bytes from `at`, which is a multiple of the frame's size, to `to`.
    fn frame(&self, number: u64, at: u64, len: usize) -> BytesMut {
        let mut frame = BytesMut::from(self.0.get(..len).unwrap_or(&self.0));
        for (block, bytes) in (at / BLOCK as u64..).zip(frame.chunks_mut(BLOCK)) {
            let mut stamp = [0; STAMP];
            stamp[..8].copy_from_slice(&number.to_le_bytes());
            stamp[8..].copy_from_slice(&block.to_le_bytes());
            let length = bytes.len().min(STAMP);
            bytes[..length].copy_from_slice(&stamp[..length]);
        }
        frame
    }
}

// === impl Content ===

impl Content {
    /// Nothing.
    pub fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    /// How many bytes are left of it.
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Made { at, len, .. } => len.saturating_sub(*at),
            Self::Cut { whole, .. } => whole.len(),
        }
    }

    /// The bytes from `from` to `to`. Of made bytes `from` is a multiple of 64 KiB.
    #[must_use]
    pub fn part(&self, from: u64, to: u64) -> Self {
        match self {
            Self::Whole(bytes) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Self::Whole(bytes.slice(place(from).min(place(to))..place(to)))
            }
            Self::Made { pattern, number, at, len } => {
                let (from, to) = (at.saturating_add(from), at.saturating_add(to).min(*len));
                Self::Made { pattern: pattern.clone(), number: *number, at: from.min(to), len: to }
            }
            Self::Cut { whole, .. } => whole.part(from, to),
        }
    }

    /// The same as a link sends it that is cut after so many bytes.
    #[must_use]
    pub fn cut_after(self, bytes: u64) -> Self {
        Self::Cut { whole: Box::new(self), left: bytes, flushed: false }
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next bytes off, as they are sent.
    fn next_frame(&mut self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Made { pattern, number, at, len } => {
                let left = usize::try_from(len.saturating_sub(*at)).unwrap_or(FRAME).min(FRAME);
                if left == 0 {
                    return None;
                }
                let frame = pattern.frame(*number, *at, left).freeze();
                *at = at.saturating_add(frame.len() as u64);
                Some(frame)
            }
            Self::Cut { whole, left, .. } => {
                let mut frame = whole.next_frame().filter(|_| *left > 0)?;
                frame.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left = left.saturating_sub(frame.len() as u64);
                Some(frame)
            }
        }
    }

    /// Takes `received` off the front where that is what comes next; `false` where it is not.
    pub fn accept(&mut self, received: &[u8]) -> bool {
        match self {
            Self::Cut { whole, .. } => whole.accept(received),
            Self::Whole(bytes) => {
                let same = bytes.get(..received.len()) == Some(received);
                if same {
                    let _ = bytes.split_to(received.len());
                }
                same
            }
            Self::Made { pattern, number, at, len } => {
                let end = at.saturating_add(received.len() as u64);
                if end > *len {
                    return false;
                }
                let mut rest = received;
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(rest.len().min(BLOCK - within(*at, BLOCK)));
                    if !pattern.matches(*number, *at, piece) {
                        return false;
                    }
                    *at = at.saturating_add(piece.len() as u64);
                    rest = after;
                }
                true
            }
        }
    }
}

impl Pattern {
    /// Whether `piece`, which lies in one block, is what stands at `at`.
    fn matches(&self, number: u64, at: u64, piece: &[u8]) -> bool {
        let (in_block, in_frame) = (within(at, BLOCK), within(at, FRAME));
        let mut stamp = [0; STAMP];
        stamp[..8].copy_from_slice(&number.to_le_bytes());
        stamp[8..].copy_from_slice(&(at / BLOCK as u64).to_le_bytes());
        let stamped = stamp.get(in_block..).unwrap_or(&[]);
        let (head, tail) = piece.split_at(piece.len().min(stamped.len()));
        stamped.starts_with(head) && self.0.get(in_frame + head.len()..in_frame + piece.len()) == Some(tail)
    }
}

fn within(at: u64, size: usize) -> usize {
    usize::try_from(at % size as u64).unwrap_or(0)
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Self::Cut { left: 0, flushed, .. } = &mut *self {
            // Who waits is flushed; what went out before is to be with the server when the link goes.
            if !std::mem::replace(flushed, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        Poll::Ready(self.next_frame().map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty() && !matches!(self, Self::Cut { .. })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, proptest};

    fn bytes(mut content: Content) -> Vec<u8> {
        std::iter::from_fn(|| content.next_frame()).flatten().collect()
    }

    proptest! {
        #[test]
        fn what_was_sent_is_accepted_in_pieces_of_any_size(
            len in 0..200_000_u64,
            pieces in prop::collection::vec(1..70_000_usize, 1..10),
        ) {
            let content = Pattern::new(1).content(5, len);
            let sent = bytes(content.clone());
            assert_eq!(sent.len() as u64, len);
            let (mut back, mut rest) = (content, sent.as_slice());
            for size in pieces.iter().cycle().take_while(|_| true) {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*size));
                assert!(back.accept(piece));
                rest = after;
            }
            assert!(back.is_empty());
        }

        #[test]
        fn a_byte_that_is_wrong_is_seen_wherever_it_is(len in 1..100_000_u64, at: prop::sample::Index) {
            let mut content = Pattern::new(1).content(5, len);
            let mut sent = bytes(content.clone());
            let at = at.index(sent.len());
            sent[at] ^= 1;
            assert!(!content.accept(&sent));
        }
    }

    #[test]
    fn no_block_is_twice_in_a_content_or_in_two() {
        let pattern = Pattern::new(1);
        let mut seen = std::collections::HashSet::new();
        for number in 0..3 {
            for block in bytes(pattern.content(number, 300_000)).chunks(BLOCK) {
                assert!(seen.insert(block.to_vec()));
            }
        }
    }

    #[test]
    fn parts_put_together_are_the_whole() {
        for content in [Pattern::new(1).content(3, 200_000), Content::Whole(Bytes::from(vec![7; 200_000]))] {
            let parts: Vec<u8> = [(0, 65_536), (65_536, 131_072), (131_072, 400_000)]
                .into_iter()
                .flat_map(|(from, to)| bytes(content.part(from, to)))
                .collect();
            assert_eq!(parts, bytes(content));
        }
    }

    #[test]
    fn what_is_cut_announces_all_of_it_and_sends_the_beginning() {
        let content = Pattern::new(1).content(3, 200_000);
        let cut = content.clone().cut_after(100_001);
        assert_eq!(cut.len(), 200_000);
        assert_eq!(bytes(cut), bytes(content)[..100_001]);
    }

    #[test]
    fn one_byte_too_many_is_not_accepted_and_one_too_few_is_left() {
        for content in [Pattern::new(1).content(0, 10), Content::Whole(Bytes::from_static(b"0123456789"))] {
            let sent = bytes(content.clone());
            assert!(!content.clone().accept(&[sent.as_slice(), b"x"].concat()));
            let mut short = content;
            assert!(short.accept(&sent[..9]) && short.len() == 1);
        }
    }
}
