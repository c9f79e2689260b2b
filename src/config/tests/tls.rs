//! Certificates and keys that can be used together.

use super::*;

#[test]
fn what_was_made_together_is_taken_and_nothing_else() {
    let make = || rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
    let (ours, other) = (make(), make());
    let (certificate, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
    let chain = format!("subject: us\n{certificate}{}", other.cert.pem());
    assert_eq!(authorities(&chain), Ok(()));
    assert_eq!(identity(&chain, &key), Ok(()));
    assert!(identity(&other.cert.pem(), &key).is_err());
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    assert!(identity(&certificate, &encrypted).is_err());
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert!(authorities(&(certificate.clone() + damaged)).is_err());
    let unknown = damaged.replace("CERTIFICATE", "PRIVATE KEY");
    assert!(identity(&certificate, &unknown).is_err());
}
