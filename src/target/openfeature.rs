//! Toggles in memory: `serve` answers OpenFeature's SDKs and flagd itself.

mod evaluations;

use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Target, Type, one_by_one, plain_toggles};
use crate::address::Address;
use crate::check::{Answers, Told};
use crate::config::{Bind, Config, Context, Key, PeerType, Section, TargetType, Tls, ValueKind};
use crate::error::{Failure, Kind};
use crate::http::{Client, Request};
use crate::job::{Applied, Applies, Edit, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::metrics::Requests;
use crate::plan::{Environment, Observed, Present};
use crate::secret::Secret;
use evaluations::EVALUATE;
pub use evaluations::Evaluations;
pub(crate) use evaluations::{Asked, Reply};

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
            name: "openfeature",
            says: "No platform: `serve` holds the toggles and answers OpenFeature's SDKs (OFREP) and flagd \
                   itself, at `bind`.",
            keys: &[&[Key::optional("token", ValueKind::BearerToken("bind"), "\"${EVALUATION_TOKEN}\"")
                .says(
                    "The bearer token of those who ask. Without one, `bind` has to be a loopback address.",
                )]],
            check: check_token,
        },
        place: "",
        toggle_key: None,
        spec: super::flagd::SPEC,
        project: None,
        is_served: true,
        shows_revision: false,
        shares: |_| None,
    },
    open: |config, id, _, evaluations| {
        Ok(Box::new(OpenFeature {
            config: Arc::clone(config),
            id,
            evaluations: Arc::clone(evaluations),
        }))
    },
};

fn check_token(section: &mut Section, cx: &mut Context) {
    if !section.sets("token") && !cx.is_local {
        let message = "everyone who reaches `bind` can ask who has a toggle";
        let help =
            "set `token`, or bind to a loopback address, such as `bind = \"127.0.0.1:8080\"`";
        cx.error("unprotected", &section.place, message, help);
    }
}

/// Whether a user has a toggle, as the `serve` that runs on this machine answers.
pub(crate) fn ask(
    config: &Config,
    id: ToggleId,
    user: &str,
    requests: Requests,
) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Evaluated {
        value: bool,
    }
    let (Bind { host, port }, toggle) = (&config.bind, &config.toggles[id]);
    let host = match host.as_str() {
        "" | "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let setup = |words| Failure::new(Kind::Setup, format!("`bind`: {words}"));
    let address = Address::parse(&format!("http://{host}:{port}{EVALUATE}")).map_err(setup)?;
    let token = config.targets[toggle.target].settings.secret("token");
    let token = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
    let client = Client::new(config, 1, &Tls::default(), requests).map_err(setup)?;
    let url = address.join([&*toggle.key]);
    let request = Request::new(Method::POST, url, token.as_ref().ok());
    let body = json!({ "context": { "targetingKey": user } });
    let answer = client.send(request.json(&body)?)?.success()?;
    Ok(answer.json::<Evaluated>()?.value)
}

struct OpenFeature {
    config: Arc<Config>,
    id: TargetId,
    evaluations: Arc<Evaluations>,
}

impl OpenFeature {
    fn observed(&self, id: ToggleId) -> Observed {
        let users = self.evaluations.users(&self.config.toggles[id].key);
        Observed::Present(Present {
            described: true,
            environments: vec![Ok(Environment {
                // An empty set is set too: until then, the toggle is not evaluated.
                in_order: users.is_some(),
                users: Some(users.unwrap_or_default()),
                named: None,
            })],
        })
    }
}

impl Target for OpenFeature {
    fn terms(&self) -> TargetTerms {
        TargetTerms {
            readable: true,
            at_once: Some(1),
            reads_first: false,
            applies_together: true,
            finds_marked: false,
            toggles: plain_toggles(&self.config, self.id, Some(0)),
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        let read = |id: &ToggleId| (*id, Ok(self.observed(*id)));
        toggles.iter().map(read).collect()
    }

    fn apply(&self, edits: &[Edit]) -> Applies {
        one_by_one(edits, |edit| {
            Ok(match &edit.what {
                What::Create => Applied::Found(self.observed(edit.toggle)),
                What::Describe => Applied::Done,
                What::Update(_, users) => {
                    self.evaluations
                        .set(&self.config.toggles[edit.toggle].key, users);
                    Applied::Done
                }
            })
        })
    }

    fn check(&self) -> Answers {
        let Bind { host, port } = &self.config.bind;
        let told = Told::from(format!("`serve` answers at {host}:{port}"));
        vec![("bind".to_owned(), Ok(told))]
    }
}
