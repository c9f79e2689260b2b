//! What is only for terminals: colours, and a last line that is written over.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;

/// Whether a stream is a terminal with colours, which nobody has switched off (no-color.org).
pub fn is_colourful(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_clever(stream) && !is_set("NO_COLOR")
}

/// Whether a stream is a terminal that can go back in a line.
pub fn is_clever(stream: &impl IsTerminal) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !is_dumb
}

/// What a word tells, where it is told by a colour as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Good,
    /// Something failed, or was held back.
    Bad,
    /// Nothing to look at.
    Quiet,
}

impl Tone {
    /// The words in this tone.
    pub fn paint(self, words: &impl Display) -> String {
        let style = match self {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Quiet => Style::new().dimmed(),
        };
        format!("{style}{words}{style:#}")
    }
}

/// The last line of the terminal behind stderr; empty where there is none.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Shows this as the last line, in place of the one before; nothing: takes it away.
pub fn show_last_line(line: &str) {
    // A line that is wrapped could not be taken away again.
    let columns = tcgetwinsize(stderr()).map_or(0, |size| size.ws_col);
    let columns = if columns == 0 {
        usize::MAX
    } else {
        columns.into()
    };
    let line: String = line.chars().take(columns).collect();
    let mut last = last_line();
    if *last != line {
        write(&format!("{CLEAR}{line}"));
        *last = line;
    }
}

/// Writes to stderr, above the last line.
pub fn above_last_line(print: impl FnOnce()) {
    let last = last_line();
    if last.is_empty() {
        return print();
    }
    write(CLEAR);
    print();
    write(&last);
}

/// Back to the beginning of the line, and away with what stands there.
const CLEAR: &str = "\r\x1b[K";

fn last_line() -> MutexGuard<'static, String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where stderr is closed, there is nobody to show anything to.
fn write(text: &str) {
    let mut stderr = stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
