//! The known word that an unknown one may stand for.

/// The known word that is spelled most like `wrong`, if any is close.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = letters(wrong);
    let near = known.into_iter().filter_map(|word| {
        let letters = letters(word);
        let limit = letters.chars().count() / 3;
        // Words of different lengths differ at least by that, and measuring takes its time.
        if wrong.chars().count().abs_diff(letters.chars().count()) > limit {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&wrong, &letters);
        (distance <= limit).then_some((distance, word))
    });
    Some(near.min_by_key(|(distance, _)| *distance)?.1)
}

/// The key that is meant by one that is not known, and the help: the nearest one, else all of them.
pub(super) fn suggest<'a>(wrong: &str, known: &[&'a str]) -> (Option<&'a str>, String) {
    let near = nearest(wrong, known.iter().copied());
    let help = match near {
        Some(word) => suggest_word(wrong, word),
        None if known.is_empty() => "remove it".into(),
        None => format!("remove it, or use one of: {}", list(known)),
    };
    (near, help)
}

/// The help for a value that is not known.
pub(super) fn suggest_value(wrong: &str, known: &[&str]) -> String {
    match (nearest(wrong, known.iter().copied()), known) {
        (Some(word), _) => suggest_word(wrong, word),
        (None, [word]) => format!("write `{word}`"),
        (None, _) => format!("use one of: {}", list(known)),
    }
}

fn suggest_word(wrong: &str, word: &str) -> String {
    if is_respelled(wrong, word) {
        format!("write `{word}`")
    } else {
        format!("did you mean `{word}`?")
    }
}

/// Whether two words differ at most in case, `_` and `-`: `usersPolicy` is `users_policy`.
pub(super) fn is_respelled(word: &str, other: &str) -> bool {
    letters(word) == letters(other)
}

/// Words in a row, each in backticks.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// A word without what spellings differ in: the time taken grows with its length, so that is bounded.
fn letters(word: &str) -> String {
    const LONGEST: usize = 100;
    let letters = word.chars().filter(|c| !matches!(c, '_' | '-'));
    letters
        .map(|c| c.to_ascii_lowercase())
        .take(LONGEST)
        .collect()
}
