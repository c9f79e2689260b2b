//! What gets in and out: TLS, tokens, redirects, proxies, and what is shown.

mod callbacks;
mod oauth;
mod proxies;
mod redirects;
mod routes;
mod tls;
mod tls_mistakes;
mod warnings;

use crate::support::opa::Opa;
use crate::support::opal::Opal;
use crate::support::program::{Daemon, Program};
use crate::support::store::Store;
use crate::support::world::{FLAGS_TOKEN, OPA_TOKEN, OPAL_TOKEN};
use crate::support::{Server, Stage};

/// OPAL, OPA and a REST target, each with its token, and a policy that allows `ann`. How the
/// program gets there is up to the test.
struct House {
    opal: Opal,
    opa: Opa,
    store: Store,
    stage: Stage,
    timeout: &'static str,
}

impl House {
    fn new() -> House {
        let stage = Stage::new();
        for secret in [OPAL_TOKEN, OPA_TOKEN, FLAGS_TOKEN] {
            stage.add_secret(secret);
        }
        let opa = Opa::start(&stage, Some(OPA_TOKEN));
        opa.allow("us", &["ann"]);
        let opal = Opal::start(&stage, Some(OPAL_TOKEN), &opa.http.url(), Some(OPA_TOKEN));
        let store = Store::start(&stage, Some(FLAGS_TOKEN));
        House {
            opal,
            opa,
            store,
            stage,
            timeout: "5s",
        }
    }

    /// The program with this source, named `main`, and one toggle.
    fn program(&self, source: &str, env: &[(&str, &str)]) -> Program {
        let (timeout, target) = (self.timeout, self.store.url());
        let config = format!(
            "bind = \"127.0.0.1:{{port}}\"\nhttp_timeout = \"{timeout}\"\n\
             [[sources]]\nid = \"main\"\n{source}\n\
             [target]\ntype = \"restapi\"\nendpoint_url = \"{target}\"\n\
             extra_headers = {{ Authorization = \"Bearer ${{FLAGS_TOKEN}}\" }}\n\
             [[toggles]]\nkey = \"us\"\nusers_policy = {{ source = \"main\", \
             package = \"app.rbac\", rule = \"us\" }}\n[toggles.spec]\n"
        );
        let tokens = [
            ("OPAL_TOKEN", OPAL_TOKEN),
            ("OPA_TOKEN", OPA_TOKEN),
            ("FLAGS_TOKEN", FLAGS_TOKEN),
        ];
        Program::new(&self.stage, &config, &[&tokens, env].concat())
    }

    #[track_caller]
    fn wait_for_users(&self, users: &[&str]) {
        let what = format!("the target has {users:?}");
        self.stage.wait_until(&what, || self.store.has("us", users));
    }

    /// The policy changes, OPAL says so, and the target follows.
    #[track_caller]
    fn change(&self, users: &[&str]) {
        self.opa.allow("us", users);
        assert!(!self.opal.call_back().is_empty(), "nothing is registered");
        self.wait_for_users(users);
    }

    /// Waits until `/health` gives a reason that holds this.
    #[track_caller]
    fn wait_for_reason(&self, daemon: &Daemon, reason: &str) {
        self.stage
            .wait_until(&format!("/health says {reason:?}"), || {
                let health = daemon.get("/health");
                health.status == 500 && health.text().contains(reason)
            });
    }
}

fn opal_source(url: &str, lines: &str) -> String {
    format!(
        "url = \"{url}\"\ntoken = \"${{OPAL_TOKEN}}\"\n\
         advertised_address = \"127.0.0.1:{{port}}\"\n{lines}"
    )
}

fn opa_source(url: &str, lines: &str) -> String {
    format!("type = \"opa\"\nurl = \"{url}\"\ntoken = \"${{OPA_TOKEN}}\"\n{lines}")
}

/// A stand-in that must not be asked anything.
fn bystander(stage: &Stage) -> Server {
    let handler = Box::new(|_: &_| crate::support::Answer::json(200, &serde_json::json!({})));
    Server::start_new(stage, "bystander", handler)
}
