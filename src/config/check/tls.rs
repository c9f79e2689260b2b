//! `ca_file`, `cert_file` and `key_file`.

use crate::config::pem;
use crate::config::problem::{Place, Problem};
use crate::config::reader::Context;
use crate::config::table::Table;
use crate::config::{Identity, Tls};
use crate::secret::Secret;

/// Reads the three keys, and the files that they name.
pub(super) fn read(table: &mut Table, cx: &mut Context) -> Tls {
    let ca = pem_file(table, cx, "ca_file", pem::check_authorities);
    let cert = pem_file(table, cx, "cert_file", pem::check_certificates);
    let key = pem_file(table, cx, "key_file", pem::check_private_key);
    let lonely = match (&cert, &key) {
        (Some((at, _)), None) => Some((at, "key_file", "client.key")),
        (None, Some((at, _))) => Some((at, "cert_file", "client.pem")),
        _ => None,
    };
    if let Some((at, lacks, example)) = lonely {
        let message = format!("`{}` needs `{lacks}` beside it", at.name);
        let help = format!("write `{lacks} = \"{example}\"` beside it");
        let missing = Place {
            key: at.key.replace(&at.name, lacks),
            ..at.clone()
        };
        cx.report(Problem::error("missing-key", &missing, message, help));
    }
    if let (Some((_, Some(cert))), Some((at, Some(key)))) = (&cert, &key)
        && let Err(refusal) = pem::check_identity(cert, key)
    {
        refuse(cx, at, refusal);
    }
    let content = |file: Option<(Place, Option<String>)>| file.and_then(|(_, content)| content);
    let identity = content(cert).zip(content(key)).map(|(cert, key)| Identity {
        cert,
        key: Secret::new(key),
    });
    Tls {
        ca: content(ca),
        identity,
    }
}

fn refuse(cx: &mut Context, at: &Place, (what, help): pem::Refusal) {
    let message = format!("the file of `{}` {what}", at.name);
    cx.report(Problem::error("invalid-pem", at, message, help));
}

/// The place of a key that names a PEM file, and the file's content if it is right.
fn pem_file(
    table: &mut Table,
    cx: &mut Context,
    key: &'static str,
    check: fn(&str) -> Result<(), pem::Refusal>,
) -> Option<(Place, Option<String>)> {
    let node = table.optional(key)?;
    let content = cx.file(&node).filter(|content| match check(content) {
        Ok(()) => true,
        Err(refusal) => {
            refuse(cx, &node.place, refusal);
            false
        }
    });
    Some((node.place, content))
}
