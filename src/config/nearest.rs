//! What somebody may have meant by a word that is not known.

/// The known word that is spelled most like `wrong`, if any is close.
///
/// Case, `_` and `-` don't count: `usersPolicy` is `users_policy`.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = letters(wrong);
    known
        .into_iter()
        .map(|word| {
            let letters = letters(word);
            let distance = strsim::damerau_levenshtein(&wrong, &letters);
            (distance, letters.chars().count(), word)
        })
        .filter(|&(distance, length, _)| distance <= length / 3)
        .min_by_key(|&(distance, ..)| distance)
        .map(|(.., word)| word)
}

/// The help for a word that is not known: the nearest one, else all of them.
pub(super) fn suggest<'a>(wrong: &str, known: &[&'a str]) -> (Option<&'a str>, Option<String>) {
    let near = nearest(wrong, known.iter().copied());
    let help = match near {
        Some(word) if letters(word) == letters(wrong) => Some(format!("write `{word}`")),
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", list(known))),
    };
    (near, help)
}

/// Words in a row, each in backticks.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// A word without what people vary: the time taken grows with its length, so that is bounded.
fn letters(word: &str) -> String {
    const LONGEST: usize = 100;
    word.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["users_policy", "url", "token", "opa_token"];

    #[test]
    fn a_word_in_another_spelling_is_named_as_what_to_write() {
        for wrong in ["usersPolicy", "users-policy", "UsersPolicy"] {
            let (near, help) = suggest(wrong, KNOWN);
            assert_eq!(near, Some("users_policy"), "{wrong}");
            assert_eq!(help.unwrap(), "write `users_policy`", "{wrong}");
        }
    }

    #[test]
    fn a_slip_finds_the_nearest_word() {
        assert_eq!(nearest("tokne", KNOWN.iter().copied()), Some("token"));
        assert_eq!(
            nearest("opatoken", KNOWN.iter().copied()),
            Some("opa_token")
        );
        assert_eq!(nearest("", KNOWN.iter().copied()), None);
    }

    #[test]
    fn a_word_far_from_all_gets_the_list_of_them() {
        let (near, help) = suggest("colour", &["url", "token"]);
        assert_eq!(near, None);
        assert_eq!(help.unwrap(), "known here: `url`, `token`");
    }
}
