//! What of a parsed file may be shown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::mask::words::{Show, show, show_in_spec};

/// A key or a single value of the file: where it stands, and what may be shown of it.
pub(in crate::config) type Piece = (Range<usize>, Show);

/// A text in one of these has strayed there from a line that is broken.
const LISTS_OF_TABLES: [&str; 2] = ["sources", "toggles"];

/// Where in the file a value stands, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Among the keys of the configuration.
    Ours,
    /// In a `spec`.
    Spec,
    /// In something that is secret whatever its keys are called.
    Secret,
}

/// The keys and single values of a file, in order.
pub(super) fn pieces(root: &DeTable) -> Vec<Piece> {
    let mut pieces = Vec::new();
    members(root, Within::Ours, &mut pieces);
    pieces.sort_by_key(|(span, _)| (span.start, span.end));
    pieces
}

fn members(table: &DeTable, within: Within, pieces: &mut Vec<Piece>) {
    for (name, value) in table.iter() {
        pieces.push((name.span(), Show::Whole));
        let name: &str = name.get_ref();
        let (show, within) = match within {
            Within::Secret => (Show::Nothing, Within::Secret),
            Within::Spec => (show_in_spec(name), Within::Spec),
            Within::Ours if name == "spec" => (Show::Whole, Within::Spec),
            Within::Ours => (show(name), Within::Ours),
        };
        let within = match show {
            Show::Nothing => Within::Secret,
            _ => within,
        };
        let strays =
            matches!(value.get_ref(), DeValue::Array(_)) && LISTS_OF_TABLES.contains(&name);
        let show = if strays { Show::NoText } else { show };
        single_values(value, show, within, pieces);
    }
}

/// The parser bounds how deep values go, so this may follow them down.
fn single_values(value: &Spanned<DeValue>, show: Show, within: Within, pieces: &mut Vec<Piece>) {
    match value.get_ref() {
        DeValue::Table(table) => members(table, within, pieces),
        DeValue::Array(array) => {
            for element in array.iter() {
                single_values(element, show, within, pieces);
            }
        }
        DeValue::String(_) if show == Show::NoText => pieces.push((value.span(), Show::Nothing)),
        _ if show == Show::NoText => pieces.push((value.span(), Show::Whole)),
        _ => pieces.push((value.span(), show)),
    }
}
