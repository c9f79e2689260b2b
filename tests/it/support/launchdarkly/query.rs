//! What stands behind the question mark.

use percent_encoding::percent_decode_str;

use super::{Answer, refusal};

/// Names and values, in order; a name can come more than once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes it the way forms are encoded.
    pub(super) fn parse(text: &str) -> Query {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Query(
            pairs
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Refuses what the stand-in does not know.
    pub(super) fn allow(&self, names: &[&str]) -> Result<(), Answer> {
        match self.names().find(|name| !names.contains(name)) {
            Some(name) => Err(refusal(400, format!("no parameter {name:?} is known here"))),
            None => Ok(()),
        }
    }

    /// All values with this name; none: it does not occur.
    pub(super) fn all(&self, name: &str) -> Option<Vec<String>> {
        let pairs = self.0.iter().filter(|(one, _)| one == name);
        let values: Vec<String> = pairs.map(|(_, value)| value.clone()).collect();
        (!values.is_empty()).then_some(values)
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A number with this name, or the default.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, Answer> {
        let number = self.one(name).map(str::parse).transpose();
        let number = number.map_err(|_| refusal(400, format!("{name} is not a number")))?;
        Ok(number.unwrap_or(default))
    }
}
