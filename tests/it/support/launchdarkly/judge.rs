//! LaunchDarkly's own evaluation engine: what a flag of the stand-in serves to whom.

use launchdarkly_server_sdk_evaluation::{
    ContextBuilder, Flag as SdkFlag, MultiContextBuilder, Segment, Store, evaluate,
};
use serde_json::{Value, json};

use super::flag::{Config, Flag};
use super::platform::{Platform, Project};

impl Platform {
    /// What the SDKs serve to contexts of these kinds; none: the default of the application's code.
    pub(crate) fn serves_with(
        &self,
        project: &str,
        key: &str,
        place: &str,
        contexts: &[(&str, &str)],
    ) -> Option<Value> {
        let delivery = self.delivery(project, place)?;
        delivery.serves(&delivery.flag(key)?, contexts)
    }

    /// Whether these users get `true`, and the others `false`.
    pub(crate) fn is_on_for(
        &self,
        project: &str,
        key: &str,
        place: &str,
        users: &[&str],
        others: &[&str],
    ) -> bool {
        let delivery = self.delivery(project, place);
        let Some((delivery, flag)) = delivery.and_then(|it| it.flag(key).map(|flag| (it, flag)))
        else {
            return false;
        };
        let get = |users: &[&str], value: bool| {
            let serves = |user: &&str| delivery.serves(&flag, &[("user", *user)]);
            users.iter().all(|user| serves(user) == Some(json!(value)))
        };
        get(users, true) && get(others, false)
    }

    fn delivery<'a>(&'a self, project: &str, place: &'a str) -> Option<Delivery<'a>> {
        let project = self.projects.get(project)?;
        Some(Delivery { project, place })
    }
}

/// What the SDKs of an environment get.
struct Delivery<'a> {
    project: &'a Project,
    place: &'a str,
}

impl Delivery<'_> {
    fn serves(&self, flag: &SdkFlag, contexts: &[(&str, &str)]) -> Option<Value> {
        let mut all = MultiContextBuilder::new();
        for (kind, key) in contexts {
            let context = ContextBuilder::new(*key).kind(*kind).build();
            all.add_context(context.expect("a kind and a key"));
        }
        let context = all.build().expect("contexts of different kinds");
        let detail = evaluate(self, flag, &context, None);
        detail.value.map(|value| json!(value))
    }
}

impl Store for Delivery<'_> {
    fn flag(&self, key: &str) -> Option<SdkFlag> {
        let flag = self.project.flags.get(key).filter(|flag| !flag.archived)?;
        let config = flag.environments.get(self.place)?;
        Some(deliver(flag, config))
    }

    fn segment(&self, key: &str) -> Option<Segment> {
        let place = (self.place.to_owned(), key.to_owned());
        let mut delivered = json!(self.project.segments.get(&place)?);
        delivered["salt"] = json!(key);
        Some(serde_json::from_value(delivered).expect("a segment as the SDKs know it"))
    }
}

fn deliver(flag: &Flag, config: &Config) -> SdkFlag {
    let values: Vec<&Value> = flag.variations.iter().map(|one| &one.value).collect();
    let mut delivered = json!(config);
    delivered["key"] = json!(flag.key);
    delivered["salt"] = json!(flag.key);
    delivered["variations"] = json!(values);
    delivered["clientSideAvailability"] = json!(flag.client_side);
    serde_json::from_value(delivered).expect("a flag as the SDKs know it")
}
