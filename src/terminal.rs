//! Colours on a terminal.

use std::env;
use std::fmt::Display;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

/// Whether a stream is a terminal with colours, without `NO_COLOR` (no-color.org).
pub(crate) fn is_colourful(stream: &impl IsTerminal) -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    let is_off = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_dumb && !is_off
}

/// The colour of a result. Its words say the same.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Quiet,
}

impl Tone {
    pub(crate) fn paint(self, words: &impl Display) -> String {
        let style = match self {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Quiet => Style::new().dimmed(),
        };
        format!("{style}{words}{style:#}")
    }
}
