//! A first configuration, made of the tables of keys: what has to be filled in is `${NAME}`.

use super::keys::{
    EVERY_SOURCE, EVERY_TOGGLE, Key, NAMED_TARGET, Need, ONLY_TARGET, POLICY, PeerType, SPEC, Spec,
    TOP, TargetType, USERS_POLICY, ValueKind,
};

/// Where comments stand, and where their lines end.
const COLUMN: usize = 45;
const END: usize = 118;

/// A commented file with a source, a target and a toggle.
pub(crate) fn draft(source: &PeerType, target: &TargetType) -> String {
    let (from, to) = (source.name, target.peer.name);
    let takes_input = source.input().is_none();
    let policy = POLICY
        .iter()
        .filter(|key| takes_input || key.name != "input");
    let toggle = EVERY_TOGGLE
        .iter()
        .filter(|key| key.name != NAMED_TARGET.name);
    [
        format!(
            "# optoggles.toml: a source of type {from}, a target of type {to}.\n#\n\
             # Replace each ${{…}} with its value. Keep secrets out of this file: leave their ${{…}}, and set the\n\
             # environment variable, or write ${{file:PATH}}. Commented lines show a default or an example;\n\
             # optoggles.toml(5) describes all keys.\n\n"
        ),
        lines(TOP.iter(), "", &[]),
        header("Source: where the users of toggles come from", source.says),
        "[[sources]]\n".into(),
        lines(
            EVERY_SOURCE.iter().chain(source.keys()),
            from,
            &[("id", from), ("type", from)],
        ),
        header("Target: what holds the toggles", target.peer.says),
        "[target]\n".into(),
        lines(
            ONLY_TARGET.iter().chain(target.peer.keys()),
            to,
            &[("type", to)],
        ),
        header("Toggles: one [[toggles]] for each feature flag", ""),
        "[[toggles]]\n".into(),
        lines(toggle, "toggle", &[]),
        format!("\n{}", line("[toggles.users_policy]", &first_sentence(&USERS_POLICY))),
        lines(policy, "toggle", &[("source", from)]),
        spec(&target.spec),
        next(target),
    ]
    .concat()
}

/// What a part of the file is about.
fn header(title: &str, says: &str) -> String {
    let says = match says {
        "" => String::new(),
        says => format!("#\n{}", comment(0, says)),
    };
    format!("\n# --- {title}.\n{says}\n")
}

fn spec(spec: &Spec) -> String {
    let keys = match spec {
        Spec::Keys(keys) => *keys,
        Spec::Free(_) => &[],
    };
    let (table, says) = ("[toggles.spec]", first_sentence(&SPEC));
    let table = match keys.iter().any(is_asked_for) {
        true => table.to_owned(),
        false => format!("# {table}"),
    };
    let example = match spec {
        Spec::Keys(_) => String::new(),
        Spec::Free(_) => line(
            "# name = \"US only\"",
            "Any keys: they become JSON as they are",
        ),
    };
    let keys = lines(keys.iter(), "toggle", &[]);
    format!("\n{}{keys}{example}", line(&table, &says))
}

fn next(target: &TargetType) -> String {
    let steps = [
        ("check-config", "what is still to be filled in, or wrong"),
        (
            "check-config --online",
            "what the source and the target answer",
        ),
        ("sync --dry-run", "what would change"),
        ("serve", "keeps the toggles in sync"),
    ];
    let steps = steps
        .iter()
        .filter(|(step, _)| !target.is_served || !step.starts_with("sync"));
    let steps = steps.map(|(step, says)| line(&format!("#   optoggles {step}"), says));
    format!("\n# --- Next:\n#\n{}", steps.collect::<String>())
}

/// The keys of a table: those that have to be set with these values, or as variables that begin with a
/// word; all others commented out.
fn lines<'k>(keys: impl Iterator<Item = &'k Key>, word: &str, values: &[(&str, &str)]) -> String {
    let keys = keys.filter(|key| {
        !matches!(
            key.kind,
            ValueKind::Table | ValueKind::Tables | ValueKind::Spec
        )
    });
    let lines = keys.map(|key| {
        let says = first_sentence(key);
        let (name, example) = (key.name, key.example);
        if let Some((_, value)) = values.iter().find(|(it, _)| *it == name) {
            let says = if name == "type" { "" } else { &says };
            return line(&format!("{name} = \"{value}\""), says);
        }
        if !is_asked_for(key) {
            return line(&format!("# {name} = {example}"), &says);
        }
        if example.contains("${") {
            return line(&format!("{name} = {example}"), &says);
        }
        let variable = format!("{word}_{name}").to_uppercase();
        let value = match key.kind {
            ValueKind::Set(_) | ValueKind::Words(_) => {
                format!("[\"${{{}}}\"]", variable.trim_end_matches('S'))
            }
            _ => format!("\"${{{variable}}}\""),
        };
        line(
            &format!("{name} = {value}"),
            &format!("{says}, such as {example}"),
        )
    });
    lines.collect()
}

/// Whether a first configuration sets a key. What is served here is not left open to everyone.
fn is_asked_for(key: &Key) -> bool {
    key.need == Need::Required || matches!(key.kind, ValueKind::BearerToken("bind"))
}

/// What is said of a key first, without its full stop and its example.
fn first_sentence(key: &Key) -> String {
    let first = key.says.split(". ").next().unwrap_or_default();
    let example = format!(", such as `{}`", key.example.trim_matches('"'));
    first.trim_end_matches('.').replace(&example, "")
}

/// A line of the file, with a comment behind it, or above it where that leaves no room.
fn line(setting: &str, says: &str) -> String {
    let width = setting.chars().count();
    if says.is_empty() {
        return format!("{setting}\n");
    }
    if width + 2 > COLUMN {
        return format!("{}{setting}\n", comment(0, says));
    }
    let says = comment(COLUMN, says);
    format!("{setting}{}", &says[width..])
}

/// A comment in lines that begin behind so many blanks.
fn comment(column: usize, says: &str) -> String {
    let blank = " ".repeat(column);
    let mut lines = format!("{blank}#");
    let mut width = column + 1;
    for word in says.split(' ') {
        let of_word = word.chars().count() + 1;
        if width + of_word > END {
            lines += &format!("\n{blank}#");
            width = column + 1;
        }
        lines += &format!(" {word}");
        width += of_word;
    }
    lines + "\n"
}
