//! What OPAL is told of us.

use super::{Source, SourceKind};
use crate::address::Address;

impl Source {
    /// Where OPAL is told to call; none where there is no OPAL.
    pub fn advertised_address(&self) -> Option<&Address> {
        match &self.kind {
            SourceKind::Opal(opal) => Some(&opal.advertised_address),
            SourceKind::Opa(_) | SourceKind::File(_) => None,
        }
    }

    /// Under which key our registration with which OPAL is kept: its address, and what the key is
    /// made of.
    pub fn registration(&self) -> Option<(&Address, &str, &str)> {
        match &self.kind {
            SourceKind::Opal(opal) => Some((&opal.url, &self.id, &opal.instance)),
            SourceKind::Opa(_) | SourceKind::File(_) => None,
        }
    }
}
