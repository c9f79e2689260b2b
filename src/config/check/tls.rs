//! `ca_file`, `cert_file` and `key_file`: ureq ignores a certificate that it cannot read, and panics at a
//! key that it cannot use, so that both are tried here.

use std::sync::Arc;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::problem::{Place, Problem};
use crate::config::reader::Context;
use crate::config::table::Table;
use crate::config::{Identity, Tls};
use crate::secret::Secret;

/// Reads the three keys, and the files that they name.
pub(super) fn read(table: &mut Table, cx: &mut Context) -> Tls {
    let ca = pem_file(table, cx, "ca_file", |pem| {
        let mut roots = RootCertStore::empty();
        let added = certificates(pem)?.into_iter().map(|it| roots.add(it));
        added
            .collect::<Result<(), _>>()
            .map_err(|it| it.to_string())
    });
    let cert = pem_file(table, cx, "cert_file", |pem| certificates(pem).map(drop));
    let key = pem_file(table, cx, "key_file", |pem| private_key(pem).map(drop));
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
        && let Err(why) = identity(cert, key)
    {
        refuse(cx, at, &why);
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

/// The place of a key that names a PEM file, and the file's content if it can be used.
fn pem_file(
    table: &mut Table,
    cx: &mut Context,
    key: &'static str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<(Place, Option<String>)> {
    let node = table.optional(key)?;
    let content = cx.file(&node).filter(|content| match check(content) {
        Ok(()) => true,
        Err(why) => {
            refuse(cx, &node.place, &why);
            false
        }
    });
    Some((node.place, content))
}

fn refuse(cx: &mut Context, at: &Place, why: &str) {
    let message = format!("the file of `{}` cannot be used: {why}", at.name);
    let help = match &*at.name {
        "key_file" => "name a PEM file with the private key of `cert_file`, not encrypted",
        _ => "name a PEM file with whole certificates; `cert_file` begins with our own",
    };
    cx.report(Problem::error("invalid-pem", at, message, help));
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    let certificates = certificates.collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| "a certificate is damaged")?;
    match certificates.is_empty() {
        true => Err("it holds no certificate".into()),
        false => Ok(certificates),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        Error::NoItemsFound => "it holds no private key that is not encrypted".into(),
        // Its own words can quote the file.
        _ => "the private key is damaged or encrypted".into(),
    })
}

fn identity(cert: &str, key: &str) -> Result<(), String> {
    let (chain, key) = (certificates(cert)?, private_key(key)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let used = builder
        .with_safe_default_protocol_versions()
        .and_then(|it| {
            let builder = it.with_root_certificates(RootCertStore::empty());
            builder.with_client_auth_cert(chain, key)
        });
    used.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_together_is_taken_and_nothing_else() {
        let make = || rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
        let (ours, other) = (make(), make());
        let (certificate, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
        let chain = format!("subject: us\n{certificate}{}", other.cert.pem());
        assert_eq!(identity(&chain, &key), Ok(()));
        assert!(identity(&other.cert.pem(), &key).is_err());
        assert!(identity(&certificate, &key.replace("PRIVATE", "ENCRYPTED PRIVATE")).is_err());
        let unknown = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        assert!(identity(&certificate, unknown).is_err());
    }
}
