//! What a finished process left, and questions to it that explain themselves when they fail.

use std::process::ExitStatus;

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) command: String,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Output {
        let actual = self.status.and_then(|status| status.code());
        assert!(
            actual == Some(code),
            "exit status is not {code}\n{}",
            self.picture()
        );
        self
    }

    /// Fails unless stdout says this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Output {
        let found = self.stdout.contains(text);
        assert!(found, "stdout lacks {text:?}\n{}", self.picture());
        self
    }

    /// Fails if stdout says this.
    #[track_caller]
    pub(crate) fn says_not(self, text: &str) -> Output {
        let found = self.stdout.contains(text);
        assert!(!found, "stdout has {text:?}\n{}", self.picture());
        self
    }

    /// Fails unless stderr says this.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Output {
        let found = self.stderr.contains(text);
        assert!(found, "stderr lacks {text:?}\n{}", self.picture());
        self
    }

    /// Fails unless the line of this toggle is this, where blanks count once.
    #[track_caller]
    pub(crate) fn reports(self, line: &str) -> Output {
        let found = self.line_of(line) == line;
        assert!(found, "no line {line:?}\n{}", self.picture());
        self
    }

    /// Fails unless the line of this toggle starts like this, where blanks count once.
    #[track_caller]
    pub(crate) fn reports_start(self, start: &str) -> Output {
        let found = self.line_of(start).starts_with(start);
        assert!(found, "no line {start:?}…\n{}", self.picture());
        self
    }

    /// The line that starts with the same word.
    fn line_of(&self, line: &str) -> String {
        let key = line.split_whitespace().next();
        let mut lines = self.stdout.lines();
        let found = lines.find(|line| line.split_whitespace().next() == key);
        let words: Vec<&str> = found.unwrap_or("").split_whitespace().collect();
        words.join(" ")
    }

    /// Fails unless the last line is this summary, the time left out: `2 toggles: 2 updated`.
    #[track_caller]
    pub(crate) fn sums_up(self, summary: &str) -> Output {
        let last = self.stdout.lines().last().unwrap_or("");
        let parts = last.rsplit_once(" (");
        let seconds = parts.and_then(|(_, time)| time.strip_suffix("s)"));
        let timed = seconds.is_some_and(|text| {
            let decimals = text.split_once('.').map(|(_, decimals)| decimals.len());
            decimals == Some(2) && text.parse::<f64>().is_ok()
        });
        assert!(timed, "no time like (0.21s) at the end\n{}", self.picture());
        let found = parts.is_some_and(|(text, _)| text == summary);
        assert!(found, "the summary is not {summary:?}\n{}", self.picture());
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout);
        document.unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{}", self.picture()))
    }

    pub(crate) fn picture(&self) -> String {
        format!(
            "{}\n{:?}\n-- stdout\n{}-- stderr\n{}",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}
