//! `[target]`.

use super::Target;
use super::keys::{EVERY_TARGET, TARGET, TargetType};
use super::problem::Place;
use super::reader::Context;
use super::section::Section;

/// Reads `target` from the file's top: what its type is, and the target itself if it is right.
pub(super) fn read(
    root: &mut Section,
    cx: &mut Context,
) -> (Option<&'static TargetType>, Option<Target>) {
    root.forgive("target");
    let Some(node) = root.node("target") else {
        let help = "add a table `[target]` with `type = \"restapi\"` and an `endpoint_url`";
        cx.error(
            "no-target",
            &Place::default(),
            "there is no `[target]`",
            help,
        );
        return (None, None);
    };
    let Some(mut section) = cx.table(&node, &TARGET.help()) else {
        return (None, None);
    };
    section.read(cx, EVERY_TARGET);
    let named = section.get("type").and_then(|read| read.text.clone());
    let types = cx.catalog.targets.iter().map(|it| (it.name, *it));
    let Some(kind) = named.and_then(|named| cx.one_of(&named, "target", types)) else {
        // Which keys there are depends on the type.
        section.know(cx.groups.iter().find(|group| group.path == ["target"]));
        section.finish(cx);
        return (None, None);
    };
    for keys in kind.keys {
        section.read(cx, keys);
    }
    (kind.check)(&mut section, cx);
    let settings = section.finish(cx);
    let target = Target {
        id: kind.name.to_owned(),
        kind,
        settings,
    };
    (Some(kind), Some(target))
}
