//! The known word that an unknown one may stand for.

/// The known word that is spelled most like `wrong`, if any is close.
///
/// Case, `_` and `-` don't count: `usersPolicy` is `users_policy`.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong: String = letters(wrong).collect();
    let length = wrong.chars().count();
    known
        .into_iter()
        .filter_map(|word| {
            let limit = letters(word).count() / 3;
            // Words of different lengths differ at least by that, and measuring takes its time.
            let may_be_near = length.abs_diff(letters(word).count()) <= limit;
            let measure =
                || strsim::damerau_levenshtein(&wrong, &letters(word).collect::<String>());
            let distance = may_be_near.then(measure)?;
            (distance <= limit).then_some((distance, word))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
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

/// Whether two words differ at most in what people vary: `usersPolicy` is `users_policy`.
pub(super) fn is_respelled(word: &str, other: &str) -> bool {
    letters(word).eq(letters(other))
}

/// Words in a row, each in backticks.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// A word without what people vary: the time taken grows with its length, so that is bounded.
fn letters(word: &str) -> impl Iterator<Item = char> {
    const LONGEST: usize = 100;
    word.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .map(|c| c.to_ascii_lowercase())
        .take(LONGEST)
}
