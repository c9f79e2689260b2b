//! The list of a project's flags.

use serde_json::{Value, json};

use super::super::wire::Answer;
use super::flag::{Flag, View};
use super::platform::Project;
use super::query::Query;
use super::refusal;

impl Project {
    pub(super) fn list(&self, query: &Query) -> Result<Answer, Answer> {
        query.allow(&["env", "limit", "offset", "summary", "filter"])?;
        let (limit, offset) = (query.number("limit", 20)?, query.number("offset", 0)?);
        let filters = filters(query.one("filter").unwrap_or_default())?;
        let wanted = |flag: &&Flag| filters.iter().all(|filter| filter.takes(flag));
        let flags: Vec<&Flag> = self.flags.values().filter(wanted).collect();
        let summary = !matches!(query.one("summary"), Some("0" | "false"));
        let only = query.all("env");
        let show = |flag: &&Flag| {
            let view = View {
                only: Some(only.as_deref().unwrap_or_default()),
                summary,
            };
            let mut shown = flag.show(&self.key, &view);
            if let (None, Some(members)) = (&only, shown.as_object_mut()) {
                members.remove("environments");
            }
            shown
        };
        let items: Vec<Value> = flags.iter().skip(offset).take(limit).map(show).collect();
        let links = self.links(query, limit, offset, flags.len());
        let page = json!({ "items": items, "totalCount": flags.len(), "_links": links });
        Ok(Answer::json(200, &page))
    }

    /// Links to pages that do not exist are left out.
    fn links(&self, query: &Query, limit: usize, offset: usize, total: usize) -> Value {
        let others = query.text_without(&["limit", "offset"]);
        let link = |offset: usize| {
            let path = format!("/api/v2/flags/{}", self.key);
            let href = format!("{path}?limit={limit}&offset={offset}{others}");
            json!({ "href": href, "type": "application/json" })
        };
        let mut links = json!({ "self": link(offset) });
        if offset > 0 {
            links["first"] = link(0);
            links["prev"] = link(offset.saturating_sub(limit));
        }
        if limit > 0 && offset + limit < total {
            links["next"] = link(offset + limit);
            links["last"] = link((total - 1) / limit * limit);
        }
        links
    }
}

/// Which flags are wanted.
enum Filter {
    Archived(bool),
    Query(String),
    Tags(Vec<String>),
}

impl Filter {
    fn takes(&self, flag: &Flag) -> bool {
        match self {
            Filter::Archived(archived) => flag.archived == *archived,
            Filter::Query(part) => [&flag.key, &flag.name]
                .iter()
                .any(|text| text.to_lowercase().contains(part)),
            Filter::Tags(tags) => tags.iter().all(|tag| flag.tags.contains(tag)),
        }
    }
}

/// `field:value`, with commas between them. Archived flags come only to those who ask for them.
fn filters(text: &str) -> Result<Vec<Filter>, Answer> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let filters = parts.map(|part| match part.split_once(':') {
        Some(("state", "live")) => Ok(Filter::Archived(false)),
        Some(("state", "archived")) => Ok(Filter::Archived(true)),
        Some(("query", part)) => Ok(Filter::Query(part.to_lowercase())),
        Some(("tags", tags)) => Ok(Filter::Tags(tags.split('+').map(str::to_owned).collect())),
        _ => Err(refusal(400, format!("the stand-in has no filter {part:?}"))),
    });
    let mut filters = filters.collect::<Result<Vec<Filter>, Answer>>()?;
    if !filters
        .iter()
        .any(|filter| matches!(filter, Filter::Archived(_)))
    {
        filters.push(Filter::Archived(false));
    }
    Ok(filters)
}
