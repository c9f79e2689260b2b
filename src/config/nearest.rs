//! What somebody may have meant by a word that is not known.

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

/// The help for a key that is not known: the nearest one, else all of them.
pub(super) fn suggest<'a>(wrong: &str, known: &[&'a str]) -> (Option<&'a str>, String) {
    let near = nearest(wrong, known.iter().copied());
    let help = near.map(|word| suggest_word(wrong, word));
    let help = help.unwrap_or_else(|| match known {
        [] => "take it away".into(),
        _ => {
            let known = list(known);
            format!("take it away, or write one that is known here: {known}")
        }
    });
    (near, help)
}

/// The same for a value, which nobody can take away.
pub(super) fn suggest_value<'a>(wrong: &str, known: &[&'a str]) -> (Option<&'a str>, String) {
    let near = nearest(wrong, known.iter().copied());
    let help = near.map(|word| suggest_word(wrong, word));
    let help = help.unwrap_or_else(|| match known {
        [] => "write one that there is".into(),
        [word] => format!("write `{word}`"),
        _ => format!("write one of: {}", list(known)),
    });
    (near, help)
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

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["users_policy", "url", "token", "opa_token"];

    #[test]
    fn a_word_in_another_spelling_is_named_as_what_to_write() {
        for wrong in ["usersPolicy", "users-policy", "UsersPolicy"] {
            let (near, help) = suggest(wrong, KNOWN);
            assert_eq!(near, Some("users_policy"), "{wrong}");
            assert_eq!(help, "write `users_policy`", "{wrong}");
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
        assert_eq!(
            help,
            "take it away, or write one that is known here: `url`, `token`"
        );
    }
}
