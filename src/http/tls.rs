//! The certificates and keys of the configuration, as ureq takes them.

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::config::Tls;

/// Checks everything: ureq ignores roots that do not parse.
pub(super) fn config(tls: &Tls) -> Result<TlsConfig, String> {
    let mut config = TlsConfig::builder();
    if let Some(ca) = &tls.ca {
        config = config.root_certs(RootCerts::new_with_certs(&certificates(ca, "ca_file")?));
    }
    if let Some(identity) = &tls.identity {
        let chain = certificates(&identity.cert, "cert_file")?;
        let key = PrivateKey::from_pem(identity.key.expose().as_bytes());
        let key = key.map_err(|_| "no PEM private key in key_file")?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn certificates(pem: &str, name: &str) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|_| format!("invalid PEM in {name}"))?
        {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(format!("no PEM certificate in {name}")),
        false => Ok(certificates),
    }
}
