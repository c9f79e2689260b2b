//! `optoggles check-config`: says whether the configuration file is right.

mod online;

use std::sync::Arc;

use super::{Exit, Stop, complain, print, shown};
use crate::cli::{CheckConfig, Format};
use crate::config::Config;
use crate::config::load::{LoadError, Loaded};
use crate::config::report::{Entry, Report, Severity};
use crate::terminal::is_colourful;
use online::Finding;

/// Reports what is wrong with the file, or how much is in it, and what the sources and the target
/// say to it.
pub(super) fn run(loaded: Result<Loaded, LoadError>, options: &CheckConfig) -> Result<Exit, Stop> {
    let (config, report) = match loaded {
        Ok(Loaded {
            config, warnings, ..
        }) => (Some(config), warnings),
        Err(LoadError::Invalid(report)) => (None, *report),
        Err(error) => return no_file(&error, options.format),
    };
    let report = if options.strict {
        report.strict()
    } else {
        report
    };
    let config = config.filter(|_| !has_errors(&report)).map(Arc::new);
    if options.format == Format::Human {
        show(config.as_deref(), &report)?;
    }
    let findings = match &config {
        Some(config) if options.online => online::ask(config)?,
        _ => Vec::new(),
    };
    match options.format {
        Format::Human if findings.is_empty() => {}
        Format::Human => print(&online::human(&findings, is_colourful(&std::io::stdout())))?,
        Format::Json => {
            let answers = findings.iter().map(Finding::entry);
            print(&json(&report.entries().chain(answers).collect::<Vec<_>>())?)?;
        }
    }
    Ok(if config.is_none() {
        Exit::Invalid
    } else if findings.iter().any(|finding| finding.result.is_err()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn show(config: Option<&Config>, report: &Report) -> Result<(), Stop> {
    if !report.problems().is_empty() {
        complain(&shown(report));
    }
    match config {
        Some(config) => print(&summary(config, report)),
        None => Ok(()),
    }
}

fn no_file(error: &LoadError, format: Format) -> Result<Exit, Stop> {
    match format {
        Format::Human => Err(Stop::invalid(error)),
        Format::Json => {
            print(&json(&error.entries())?)?;
            Ok(Exit::Invalid)
        }
    }
}

fn has_errors(report: &Report) -> bool {
    let mut problems = report.problems().iter();
    problems.any(|problem| problem.severity == Severity::Error)
}

fn json(entries: &[Entry]) -> Result<String, Stop> {
    serde_json::to_string_pretty(entries).map_err(Stop::failed_to("write the report as JSON"))
}

/// What is in a file that can be used.
fn summary(config: &Config, report: &Report) -> String {
    let target = config.target.kind.name;
    let sources = count(config.sources.len(), "source");
    let toggles = count(config.toggles.len(), "toggle");
    let file = report.file().display();
    format!("{file} is right: {sources}, {toggles}, target {target}")
}

fn count(number: usize, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {word}{ending}")
}
