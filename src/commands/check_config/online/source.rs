//! What a source is asked, in the order in which `serve` would.

use super::{Answer, Place, Told, in_parallel};
use crate::commands::check_config::count;
use crate::config::{Config, File, SourceKind};
use crate::error::{Failure, UNTOLD};
use crate::job::{Known, Origin, SourceId, ToggleId};
use crate::source::Source;

/// Asks OPAL, then OPA, then OPA for the users of each toggle, as far as each lets us to the next;
/// or reads the file, and looks them up there.
pub(super) fn ask(config: &Config, id: SourceId, source: &Source) -> Vec<Answer> {
    let kind = &config.sources[id].kind;
    let toggles: Vec<ToggleId> = (0..config.toggles.len())
        .filter(|toggle| config.toggles[*toggle].users_policy.source == id)
        .collect();
    let mut answers = Vec::new();
    let mut add = |asked: &str, result: Result<Told, Failure>| {
        answers.push((Place::Source(id), asked.to_owned(), result));
    };
    let origin = match kind {
        SourceKind::File(File { path: None }) => {
            add(
                "file",
                Ok("standard input (sync reads it)".to_owned().into()),
            );
            return answers;
        }
        SourceKind::File(_) => {
            let document = source.discover();
            let held = document.as_ref().map(|document| place(document).into());
            add("file", held.map_err(Clone::clone));
            document.map_err(|failure| not_asked("the file", &failure))
        }
        SourceKind::Opal(_) | SourceKind::Opa(_) => ask_opa(source, kind, &toggles, add),
    };
    let users = in_parallel(&toggles, config.concurrency, |toggle| {
        let rule = &config.toggles[*toggle].users_policy;
        let users = origin.as_ref().map_err(Clone::clone);
        let users = users.and_then(|origin| source.query(origin, rule));
        let result = users.map(|users| count(users.len(), "user").into());
        (Place::Toggle(*toggle), format!("rule {rule}"), result)
    });
    answers.extend(users);
    answers
}

/// Asks OPAL, where there is one, where OPA is, and OPA how it is.
fn ask_opa(
    source: &Source,
    kind: &SourceKind,
    toggles: &[ToggleId],
    mut add: impl FnMut(&str, Result<Told, Failure>),
) -> Result<Origin, Failure> {
    let opa = Origin::configured(kind).map_or_else(|| source.discover(), Ok);
    if let SourceKind::Opal(opal) = kind {
        let knows = opal.opa_url.as_ref().map_or("", |_| "opa_url says that ");
        let found = opa.as_ref().map(|opa| format!("{knows}{}", place(opa)));
        add("OPAL", found.map(Told::from).map_err(Clone::clone));
        add(
            "callbacks",
            callbacks(source, opa.as_ref().err()).map(Told::from),
        );
    }
    let opa = opa.map_err(|failure| not_asked("OPAL", &failure));
    let state = opa.as_ref().map_err(Clone::clone);
    let state = state.and_then(|opa| state_of(source, kind, opa, !toggles.is_empty()));
    let opa = match (opa, &state) {
        (Ok(_), Err(failure)) => Err(not_asked("OPA", failure)),
        (opa, _) => opa,
    };
    add("OPA", state);
    opa
}

/// Where OPA is, or how much the file holds.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Opa(opa) => format!("OPA is at {}", opa.url),
        Origin::File(document) => count(document.size, "byte"),
    }
}

/// Whether OPAL calls us back; `trouble` is what it failed with before.
fn callbacks(source: &Source, trouble: Option<&Failure>) -> Result<String, Failure> {
    if let Some(failure) = trouble.filter(|failure| failure.is_unreachable()) {
        return Err(not_asked("OPAL", failure));
    }
    Ok(match source.is_called_back()? {
        true => "registered".to_owned(),
        false => "not registered (serve does that)".to_owned(),
    })
}

/// Whether OPA answers, and has loaded everything where that is waited for.
fn state_of(
    source: &Source,
    kind: &SourceKind,
    opa: &Origin,
    has_rules: bool,
) -> Result<Told, Failure> {
    let answers = |words: &str| Told::from(words.to_owned());
    let is_opal = matches!(kind, SourceKind::Opal(_));
    let waits = match kind {
        SourceKind::Opal(opal) => opal.wait_until_ready,
        SourceKind::Opa(opa) => opa.wait_until_ready,
        SourceKind::File(_) => false,
    };
    let reached = match source.reach(opa) {
        // It may keep this from us and not the rules: these tell.
        Err(failure) if has_rules && failure.is_lasting() => Ok(()),
        reached => reached,
    };
    reached?;
    if !waits {
        return Ok(answers("answers"));
    }
    let anything = Known {
        tells_process: true,
        ..Known::default()
    };
    let evidence = source.ready(opa, &anything)?;
    let lacks_data = evidence.writes.is_some_and(|writes| writes.data == 0);
    match evidence.says {
        Some(false) if !is_opal => Err(Failure::bundles_missing()),
        Some(false) => Err(Failure::not_ready()),
        _ if lacks_data => Err(Failure::not_ready()),
        Some(true) => Ok(answers("answers, and says that all is loaded")),
        None if evidence.writes.is_some() => Ok(answers("answers, and data was written to it")),
        None if !is_opal => Ok(answers("answers")),
        None => Ok(Told {
            words: format!("answers, but {UNTOLD}"),
            is_warning: true,
        }),
    }
}

/// Nobody was asked, because somebody before them failed.
fn not_asked(who: &str, failure: &Failure) -> Failure {
    let words = format!("not asked: {who} failed ({})", failure.reason());
    Failure::new(failure.kind, words)
}
