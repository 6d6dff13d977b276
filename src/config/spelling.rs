//! Suggests a setting for a misspelt name.

/// The name nearest to `word`, if the edits between them are at most a quarter of the name's length.
pub(super) fn nearest(word: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let ranked = names.map(|name| (distance(word, &name), name));
    ranked.filter(|(distance, name)| *distance <= name.len() / 4).min().map(|(_, name)| name)
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), i + 1);
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn only_similar_names_are_suggested() {
        let names = || ["server.listen", "log.level"].map(str::to_owned).into_iter();
        assert_eq!(nearest("sever.listn", names()).as_deref(), Some("server.listen"));
        assert_eq!(nearest("database.url", names()), None);
    }
}
