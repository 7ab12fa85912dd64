//! Random bytes.

/// A source of bytes that nobody can guess (the real one) or everybody can repeat (a test's).
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Entropy {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// `length` characters of `alphabet` (at most 256 of them), each equally likely.
    pub fn text(&self, alphabet: &[u8], length: usize) -> String {
        let fair = 256 - 256 % alphabet.len().max(1);
        let mut out = String::with_capacity(length);
        while out.len() < length {
            let [byte] = self.bytes::<1>();
            if usize::from(byte) < fair {
                out.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
        out
    }
}
