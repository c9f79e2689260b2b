//! What can be wrong with an answer, or with its coming.

use serde_json::json;

use crate::support::{Answer, Fault, Server};

/// A user who is in wrong answers only.
const MALLORY: &str = "mallory";

/// Where redirects lead: nobody may ever go there.
const ELSEWHERE: &str = "/elsewhere";

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nobody listens.
    Refused,
    /// No answer comes.
    Hanging,
    /// The connection is reset in the middle of the answer.
    Reset,
    /// The connection ends in the middle of the answer.
    CutOff,
    /// The answer is not HTTP.
    NotHttp,
    /// The JSON of a whole answer is cut off.
    CutJson,
    /// The members are there, and are not what they should be.
    OtherTypes,
    /// A list of lists of strings, where an object should be.
    List,
    /// It is to be found elsewhere; the body would do.
    Moved,
    /// The token is refused.
    Unauthorized,
    /// It cannot be done now.
    Unavailable,
}

impl Wrong {
    /// What a request that writes can meet: its body needs to make no sense where it is a 2xx.
    pub(crate) const WRITING: [Wrong; 8] = [
        Wrong::Refused,
        Wrong::Hanging,
        Wrong::Reset,
        Wrong::CutOff,
        Wrong::NotHttp,
        Wrong::Moved,
        Wrong::Unauthorized,
        Wrong::Unavailable,
    ];

    /// What only an answer that is read can have wrong.
    pub(crate) const READING: [Wrong; 3] = [Wrong::CutJson, Wrong::OtherTypes, Wrong::List];

    /// From here on all requests of this kind meet it.
    pub(crate) fn begin(self, server: &Server, which: &str) {
        let said = json!({ "result": [MALLORY], "users": [MALLORY], "url": "http://127.0.0.1:9" });
        let fault = match self {
            Wrong::Refused => return server.stop(),
            Wrong::Hanging => Fault::Hang,
            Wrong::Reset => Fault::Reset,
            Wrong::CutOff => Fault::Truncate,
            Wrong::NotHttp => Fault::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
            Wrong::CutJson => Fault::Answer(Answer {
                body: format!("{{\"result\": [\"{MALLORY}\"").into_bytes(),
                ..Answer::json(200, &said)
            }),
            Wrong::OtherTypes => {
                let said = json!({ "result": { MALLORY: true }, "url": 7 });
                Fault::Answer(Answer::json(200, &said))
            }
            Wrong::List => Fault::Answer(Answer::json(200, &json!([[MALLORY]]))),
            Wrong::Moved => {
                let answer = Answer::json(307, &said);
                Fault::Answer(answer.with("location", ELSEWHERE))
            }
            Wrong::Unauthorized => Fault::status(401),
            Wrong::Unavailable => Fault::status(503),
        };
        server.always(which, fault);
    }

    /// All is well again.
    pub(crate) fn end(self, server: &Server) {
        match self {
            Wrong::Refused => server.start(),
            _ => server.heal(),
        }
        assert_eq!(
            server.count(&format!("* {ELSEWHERE}")),
            0,
            "it was followed"
        );
    }
}
