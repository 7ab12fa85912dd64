//! Pictures: their kinds and sizes in pixels.

use super::{Container, Info, number};

/// What picture a file begins as.
pub(super) fn picture(head: &[u8]) -> Option<Info> {
    let side = |at, length| number(head, at, length).and_then(|side| u32::try_from(side).ok());
    let little = |at: usize| Some(u32::from(*head.get(at)?) | u32::from(*head.get(at + 1)?) << 8);
    let (container, size) = if head.starts_with(&[0xff, 0xd8, 0xff]) {
        (Container::Jpeg, jpeg(head))
    } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        (Container::Png, side(16, 4).zip(side(20, 4)))
    } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        (Container::Gif, little(6).zip(little(8)))
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        (Container::WebP, None)
    } else if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        (Container::Bmp, little(18).zip(little(22)))
    } else {
        return None;
    };
    Some(Info { size, ..Info::of(container) })
}

/// Width and height of a JPEG, from its frame header (SOF). ITU-T T.81, B.2.2.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *head.get(at + 1)?;
        if *head.get(at)? != 0xff {
            return None;
        }
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                let side = |at| number(head, at, 2).and_then(|side| u32::try_from(side).ok());
                return side(at + 7).zip(side(at + 5));
            }
            _ => at += 2 + usize::try_from(number(head, at + 2, 2)?.max(2)).ok()?,
        }
    }
}
