//! `optoggles check-config`: says whether the configuration file is right.

use super::{Exit, Stop, print};
use crate::config::{Config, Target};

/// The file was right, or this would not have been called: says what is in it.
pub(super) fn run(config: &Config) -> Result<Exit, Stop> {
    let target = match config.target {
        Target::RestApi(_) => "restapi",
    };
    let (sources, toggles) = (config.sources.len(), config.toggles.len());
    let sources = count(sources, "source");
    let toggles = count(toggles, "toggle");
    print(&format!(
        "the configuration is right: {sources}, {toggles}, target {target}"
    ))?;
    Ok(Exit::Done)
}

fn count(number: usize, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {word}{ending}")
}
