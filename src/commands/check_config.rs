//! `optoggles check-config`: says whether the configuration file is valid.

mod online;

use std::io;
use std::sync::Arc;

use super::{Exit, Stop, complain, print, shown};
use crate::cli::{CheckConfig, Format};
use crate::config::Config;
use crate::config::load::{LoadError, Loaded};
use crate::config::report::{Entry, Report, Severity, count};
use crate::terminal::is_colourful;
use online::Finding;

/// Reports what is wrong with the file, or how much is in it, and what the sources and targets
/// answer.
pub(super) fn run(loaded: Result<Loaded, LoadError>, options: &CheckConfig) -> Result<Exit, Stop> {
    let (config, mut report) = match (loaded, options.format) {
        (Ok(loaded), _) => (Some(loaded.config), loaded.warnings),
        (Err(LoadError::Invalid(report)), _) => (None, *report),
        (Err(error), Format::Human) => return Err(Stop::invalid(error)),
        (Err(LoadError::NoFile(entry)), Format::Json) => {
            print(&json(&[*entry])?)?;
            return Ok(Exit::Invalid);
        }
    };
    if options.strict {
        let problems = report.problems.iter_mut();
        for problem in problems.filter(|it| it.severity == Severity::Warning) {
            problem.severity = Severity::Error;
        }
    }
    let config = config.filter(|_| !report.has_errors()).map(Arc::new);
    if options.format == Format::Human {
        let problems = shown(&report);
        if !problems.is_empty() {
            complain(&problems);
        }
        if !report.has_errors() {
            print(&summary(config.as_deref(), &report))?;
        }
    }
    let asked = config.as_ref().filter(|_| options.online);
    let findings = asked.map(online::ask).transpose()?.unwrap_or_default();
    if options.format == Format::Json {
        let answers = findings.iter().map(Finding::entry);
        print(&json(&report.entries().chain(answers).collect::<Vec<_>>())?)?;
    } else if !findings.is_empty() {
        print(&online::human(&findings, is_colourful(&io::stdout())))?;
    }
    Ok(if report.has_errors() {
        Exit::Invalid
    } else if findings.iter().any(|finding| finding.result.is_err()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn json(entries: &[Entry]) -> Result<String, Stop> {
    serde_json::to_string_pretty(entries).map_err(Stop::failed_to("write the report as JSON"))
}

/// What is in a file without errors.
fn summary(config: Option<&Config>, report: &Report) -> String {
    let file = report.file.display();
    let Some(config) = config else {
        let unset = report.count_of(Severity::Note);
        return format!("{file} is valid, not counting {unset}:\n{}", report.notes());
    };
    let targets = match &config.targets[..] {
        [target] => format!("target {}", target.id),
        targets => count(targets.len(), "target"),
    };
    let sources = count(config.sources.len(), "source");
    let toggles = count(config.toggles.len(), "toggle");
    format!("{file} is valid: {sources}, {toggles}, {targets}")
}
