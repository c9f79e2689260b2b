//! Looking again whether things are as they were: polls, files and registrations.

use crate::error::{Failure, Kind};
use crate::job::SourceId;

use super::task::Trouble;
use super::{Cause, Engine, Key, Mode, Moment, Notice, Thing, Timer};

impl Engine {
    /// Looks now whether the registrations are still there.
    pub(super) fn look_at_registrations(&mut self) {
        for id in 0..self.sources.len() {
            if self.sources[id].registers && self.sources[id].has_registered {
                self.begin(Key::Watch(id));
            }
        }
    }

    /// `poll_interval` or `--interval` has passed, or it is time to look at a file: in `serve`, a
    /// file that holds the same needs no pass.
    pub(super) fn poll(&mut self, id: SourceId, now: Moment) {
        let source = &mut self.sources[id];
        if source.is_file && source.discover.is_running() {
            self.wait_for_look(id, now);
        } else if source.is_file && self.mode == Mode::Serve {
            source.looking_since = None;
            self.begin(Key::Discover(id));
        } else if source.is_file {
            source.looking_since = None;
            source.passes.waiting.get_or_insert(Cause::Poll);
            self.connect(id, now);
        } else {
            self.ask_for_pass(id, Cause::Poll, now);
        }
        self.set_poll(id, now);
    }

    /// A look at a file is out, and no call on a file has a deadline: where its file system hangs, what
    /// the file held is out of date after `http_timeout`. No other look is begun, which would hang too.
    fn wait_for_look(&mut self, id: SourceId, now: Moment) {
        let limit = self.config.http_timeout;
        let source = &mut self.sources[id];
        let since = *source.looking_since.get_or_insert(now.at);
        let is_told = source.discover.hung();
        if now.at - since < limit || is_told {
            return;
        }
        let what = "reading";
        let words = format!(
            "no answer from its file system within {limit:?} (http_timeout): nothing else is tried before it answers"
        );
        let failure = Failure::new(Kind::Timeout, words);
        source.origin = None;
        source.discover.trouble = Some(Trouble {
            what,
            failure: failure.clone(),
            count: 1,
        });
        self.outdate_answers(id);
        self.forget_users(id);
        self.touched.insert(Thing::Source(id));
        self.notices.push(Notice::Failing {
            name: self.source_name(id),
            what,
            failure,
            count: 1,
            retry_in: None,
        });
    }

    pub(super) fn set_poll(&mut self, id: SourceId, now: Moment) {
        if let Some(interval) = self.sources[id].interval {
            self.timers.set(Timer::Poll(id), now.at + interval);
        }
    }
}
