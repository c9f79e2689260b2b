//! `ca_file`, `cert_file` and `key_file`: ureq ignores a certificate that it cannot read, and panics at a
//! key that it cannot use, so that both are tried here.

use std::sync::Arc;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::interpolate::Text;
use super::keys::{Key, ValueKind};
use super::report::{Place, Severity};
use super::section::{Context, Section, Setting, Settings};
use super::{Identity, Tls};

impl Key {
    /// The content of a PEM file that can be used.
    pub(super) fn pem(&self, cx: &mut Context, path: &Text) -> Option<String> {
        if path.value.starts_with("-----BEGIN") {
            let name = self.name;
            let message = format!("`{name}` must be the path of a file, not its content");
            cx.error("not-a-path", &path.place, message, self.help());
            return None;
        }
        let pem = cx.read_text(&path.value, &path.quoted(), &path.place, Severity::Error)?;
        let checked = match self.kind {
            ValueKind::CaFile => authorities(&pem),
            ValueKind::CertFile => certificates(&pem).map(drop),
            _ => private_key(&pem).map(drop),
        };
        checked.map_err(|why| refuse(cx, &path.place, &why)).ok()?;
        Some(pem)
    }
}

/// Checks that a certificate and its key are there together, and belong together.
pub(super) fn check(section: &Section, cx: &mut Context) {
    for (name, lacks, example) in [
        ("cert_file", "key_file", "client.key"),
        ("key_file", "cert_file", "client.pem"),
    ] {
        let (Some(node), None) = (section.node(name), section.node(lacks)) else {
            continue;
        };
        let at = &node.place;
        let missing = Place {
            key: at.key.replace(&at.name, lacks),
            ..at.clone()
        };
        let message = format!("`{}` needs `{lacks}` beside it", at.name);
        let help = format!("write `{lacks} = \"{example}\"` beside it");
        cx.error("missing-key", &missing, message, help);
    }
    if let (Some(cert), Some(read)) = (section.get("cert_file"), section.get("key_file"))
        && let (Setting::Text(cert), Setting::Secret(key)) = (&cert.setting, &read.setting)
        && let Err(why) = identity(cert, key.expose())
    {
        refuse(cx, &read.place, &why);
    }
}

impl Settings {
    /// The certificates and keys, where there are any.
    pub(crate) fn tls(&self) -> Tls {
        let text = |key| self.text(key).ok().map(str::to_owned);
        let key = self.secret("key_file").ok().cloned();
        let identity = text("cert_file").zip(key);
        Tls {
            ca: text("ca_file"),
            identity: identity.map(|(cert, key)| Identity { cert, key }),
        }
    }
}

fn refuse(cx: &mut Context, at: &Place, why: &str) {
    let message = format!("the file of `{}` cannot be used: {why}", at.name);
    let help = match &*at.name {
        "key_file" => "name a PEM file with the private key of `cert_file`, not encrypted",
        _ => "name a PEM file with complete certificates, in `cert_file` our own first",
    };
    cx.error("invalid-pem", at, message, help);
}

fn authorities(pem: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
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
        Error::NoItemsFound => "it holds no unencrypted private key".into(),
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
#[path = "tests/tls.rs"]
mod tests;
