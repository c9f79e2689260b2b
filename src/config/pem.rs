//! Whether a file holds what its key promises: certificates, or a private key.
//!
//! ureq skips a certificate that the TLS library cannot read, and panics at a key that it cannot use.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, RootCertStore};

/// The bytes with which every certificate and key in DER begins: it is a sequence.
const DER_SEQUENCE: u8 = 0x30;

/// Why a PEM file cannot be used: what is wrong, and what to do.
pub(super) type Refusal = (&'static str, &'static str);

const DAMAGED: Refusal = (
    "holds a damaged certificate",
    "copy the file again, whole: `openssl x509 -noout -in FILE` has to accept it",
);

/// Checks that there is a certificate, and that each one is whole.
pub(super) fn check_certificates(text: &str) -> Result<(), Refusal> {
    let mut certificates = blocks(text)
        .filter(|block| block.label == "CERTIFICATE")
        .peekable();
    if certificates.peek().is_none() {
        return Err((
            "holds no certificate",
            "name a PEM file, which has a line `-----BEGIN CERTIFICATE-----`",
        ));
    }
    if certificates.all(|block| block.is_whole()) {
        Ok(())
    } else {
        Err(DAMAGED)
    }
}

/// Checks that each certificate can be trusted as an authority's.
pub(super) fn check_authorities(text: &str) -> Result<(), Refusal> {
    check_certificates(text)?;
    let mut roots = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    let is_read = certificates.all(|found| found.is_ok_and(|found| roots.add(found).is_ok()));
    if is_read { Ok(()) } else { Err(DAMAGED) }
}

/// Checks that a key belongs to the first of the certificates, and that both can be used.
pub(super) fn check_identity(certificates: &str, key: &str) -> Result<(), Refusal> {
    const UNKNOWN: Refusal = (
        "holds a private key of a kind that cannot be used",
        "have an ECDSA (P-256, P-384), Ed25519 or RSA (2048 bits or more) key made",
    );
    let chain = CertificateDer::pem_slice_iter(certificates.as_bytes());
    let chain = chain.filter_map(Result::ok).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| UNKNOWN)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let used = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_root_certificates(RootCertStore::empty());
            builder.with_client_auth_cert(chain, key)
        });
    match used {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(_)) => Err((
            "holds a private key that does not belong to the certificate in `cert_file`",
            "name the two files that were made together, our own certificate first in `cert_file`",
        )),
        Err(_) => Err(UNKNOWN),
    }
}

/// Checks that there is a private key, whole and not encrypted.
pub(super) fn check_private_key(text: &str) -> Result<(), Refusal> {
    let key = blocks(text).find(|block| block.label.ends_with("PRIVATE KEY"));
    let Some(key) = key else {
        return Err((
            "holds no private key",
            "name a PEM file, which has a line `-----BEGIN PRIVATE KEY-----`",
        ));
    };
    if key.label.starts_with("ENCRYPTED") || key.body.contains("ENCRYPTED") {
        return Err((
            "holds an encrypted private key",
            "decrypt it with `openssl pkey -in FILE -out NEW`, and guard it with `chmod 600 NEW`",
        ));
    }
    if key.is_whole() {
        Ok(())
    } else {
        Err((
            "holds a damaged private key",
            "copy the file again, whole: `openssl pkey -noout -in FILE` has to accept it",
        ))
    }
}

/// What stands between a `BEGIN` and its `END` line.
struct Block<'a> {
    label: &'a str,
    /// Empty where the `END` line is missing.
    body: &'a str,
}

impl Block<'_> {
    fn is_whole(&self) -> bool {
        let encoded: String = self.body.split_ascii_whitespace().collect();
        STANDARD
            .decode(encoded)
            .is_ok_and(|der| der.first() == Some(&DER_SEQUENCE))
    }
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("-----BEGIN ").skip(1).filter_map(|block| {
        let (label, rest) = block.split_once("-----")?;
        let end = format!("-----END {label}-----");
        let body = rest.split_once(&end).map_or("", |(body, _)| body);
        Some(Block { label, body })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn certificates_are_found_among_other_text() {
        let chain = format!(
            "subject: us\n{}{}",
            block("CERTIFICATE", "MIIB\r\nAAAA"),
            block("CERTIFICATE", "MIIB")
        );
        assert_eq!(check_certificates(&chain), Ok(()));
    }

    #[test]
    fn every_kind_of_private_key_is_taken() {
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert_eq!(check_private_key(&block(label, "MIIB")), Ok(()), "{label}");
        }
    }

    #[test]
    fn what_was_made_together_is_taken_and_nothing_else() {
        let make = || rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
        let (ours, other) = (make(), make());
        let (certificate, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
        assert_eq!(check_authorities(&certificate), Ok(()));
        assert_eq!(check_identity(&certificate, &key), Ok(()));
        let refused = |certificate: &str, key: &str| check_identity(certificate, key).unwrap_err();
        let alien = refused(&other.cert.pem(), &key).0;
        assert!(alien.contains("does not belong"), "{alien}");
        let unknown = refused(&certificate, &block("PRIVATE KEY", "MIIB")).0;
        assert!(unknown.contains("of a kind"), "{unknown}");
        let damaged = certificate + &block("CERTIFICATE", "MIIB");
        assert_eq!(check_authorities(&damaged), Err(DAMAGED));
    }

    #[test]
    fn what_the_tls_library_could_not_use_is_refused() {
        let certificate = block("CERTIFICATE", "MIIB");
        let damaged = certificate.clone() + &block("CERTIFICATE", "MII?");
        for (text, refusal) in [
            ("", "holds no certificate"),
            (&block("PRIVATE KEY", "MIIB"), "holds no certificate"),
            (&damaged, "holds a damaged certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB",
                "holds a damaged certificate",
            ),
        ] {
            assert_eq!(check_certificates(text).unwrap_err().0, refusal, "{text}");
        }
        for (text, refusal) in [
            (&certificate, "holds no private key"),
            (
                &block("ENCRYPTED PRIVATE KEY", "MIIB"),
                "holds an encrypted private key",
            ),
            (
                &block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nMIIB"),
                "holds an encrypted private key",
            ),
            (&block("PRIVATE KEY", "AAAA"), "holds a damaged private key"),
        ] {
            assert_eq!(check_private_key(text).unwrap_err().0, refusal, "{text}");
        }
    }
}
