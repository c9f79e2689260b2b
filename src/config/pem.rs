//! Whether a file holds what its key promises: certificates, or a private key.
//!
//! The TLS library skips a certificate that it cannot read, and panics at a key that it cannot use.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The bytes with which every certificate and key in DER begins: it is a sequence.
const DER_SEQUENCE: u8 = 0x30;

/// Why a PEM file cannot be used: what is wrong, and what to do.
pub(super) type Refusal = (&'static str, &'static str);

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
        Err((
            "holds a damaged certificate",
            "copy the file again, whole: `openssl x509 -noout -in FILE` has to accept it",
        ))
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
