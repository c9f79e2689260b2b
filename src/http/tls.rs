//! The certificates and keys of the configuration, as ureq takes them.

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::config::Tls;

/// The configuration has tried all of them (`config/tls.rs`), so that nothing is skipped here.
pub(super) fn config(tls: &Tls) -> Result<TlsConfig, String> {
    let mut config = TlsConfig::builder();
    if let Some(ca) = &tls.ca {
        config = config.root_certs(RootCerts::new_with_certs(&certificates(ca)));
    }
    if let Some(identity) = &tls.identity {
        let key = PrivateKey::from_pem(identity.key.expose().as_bytes());
        let key = key.map_err(|_| "no PEM private key in key_file")?;
        let chain = certificates(&identity.cert);
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn certificates(pem: &str) -> Vec<Certificate<'static>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    parse_pem(pem.as_bytes()).filter_map(certificate).collect()
}
