//! "Did you mean": the known word that is nearest to one that is not known.

/// The known word nearest to `word`, where one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(2);
    let distances = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    distances.filter(|(d, _)| *d <= most).min_by_key(|(d, _)| *d).map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, where `-` and `_` and the case of letters make no difference.
fn distance(a: &str, b: &str) -> usize {
    let letter = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    // A word longer than any key is not near one; the table stays small.
    let a: Vec<char> = a.chars().take(64).map(letter).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, right) in b.chars().map(letter).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (left_char, above) in a.iter().zip(row.iter().skip(1)) {
            let substituted = diagonal + usize::from(*left_char != right);
            left = substituted.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["listen", "public_url", "presign_ttl"];
        assert_eq!(nearest("listn", known), Some("listen"));
        assert_eq!(nearest("publicUrl", known), Some("public_url"));
        assert_eq!(nearest("presign-ttl", known), Some("presign_ttl"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn the_distance_is_levenshteins() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
