//! Which key files are accepted, and why others are refused. `openssl` generates the keys during the tests.

use super::super::sample::{GENERATE_EC, GENERATE_ED, RSA, openssl};
use super::*;

fn fault(alg: Alg, pem: &str) -> ImportFault {
    pkcs8_from_pem(alg, pem).expect_err("must be refused")
}

#[test]
fn keys_from_openssl_are_accepted() {
    for (alg, pem) in [
        (Alg::ES256, openssl(GENERATE_EC, "")),
        (Alg::EdDSA, openssl(GENERATE_ED, "")),
        (Alg::RS256, RSA.clone()),
        (Alg::PS256, RSA.replace('\n', "\r\n")),
        (Alg::RS256, format!("\n {}  \n\n", RSA.trim())),
    ] {
        assert!(pkcs8_from_pem(alg, &pem).is_ok(), "{alg}");
    }
}

#[test]
fn older_forms_are_refused_with_the_command_that_converts_them() {
    let ec = openssl(GENERATE_EC, "");
    for pem in [openssl("pkey -traditional", &ec), openssl("rsa -traditional", &RSA)] {
        let refused = fault(Alg::ES256, &pem);
        assert_eq!(refused, ImportFault::Label(Label::Traditional));
        assert!(refused.to_string().contains("openssl pkey -in FILE -out pkcs8.pem"), "{refused}");
        // The command does what the message promises.
        let alg = if pem.starts_with("-----BEGIN EC") { Alg::ES256 } else { Alg::RS256 };
        assert!(pkcs8_from_pem(alg, &openssl("pkey", &pem)).is_ok());
    }
}

#[test]
fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
    let pem = openssl("pkey -aes-256-cbc -passout pass:word", &openssl(GENERATE_ED, ""));
    assert_eq!(fault(Alg::EdDSA, &pem), ImportFault::Label(Label::Encrypted));
    assert!(pkcs8_from_pem(Alg::EdDSA, &openssl("pkey -passin pass:word", &pem)).is_ok());
}

#[test]
fn a_public_key_is_refused() {
    assert_eq!(fault(Alg::RS256, &openssl("pkey -pubout", &RSA)), ImportFault::Label(Label::Public));
}

#[test]
fn anything_but_a_single_block_is_refused() {
    let pem = openssl(GENERATE_ED, "");
    assert_eq!(fault(Alg::EdDSA, &format!("{pem}{pem}")), ImportFault::Several);
    // This command writes a block of parameters before that of the key.
    assert_eq!(fault(Alg::EdDSA, &openssl("ecparam -name prime256v1 -genkey", "")), ImportFault::Several);
    assert_eq!(fault(Alg::EdDSA, &format!("{pem}trailing")), ImportFault::Surrounded);
    assert_eq!(fault(Alg::EdDSA, &format!("leading\n{pem}")), ImportFault::Surrounded);
    assert_eq!(fault(Alg::EdDSA, &openssl("pkey -text", &pem)), ImportFault::Surrounded);
}

#[test]
fn text_that_is_not_pem_is_refused() {
    let pem = openssl(GENERATE_ED, "");
    for text in [
        "",
        "secret",
        "-----BEGIN PRIVATE KEY-----",
        &pem.replace('\n', ""),
        &pem.replace('\n', " "),
        &pem.replace('\n', "\\n"),
        // Every Ed25519 key begins with MC4.
        &pem.replace("MC4", "M!4"),
    ] {
        let refused = fault(Alg::EdDSA, text);
        assert!(matches!(refused, ImportFault::NotPem | ImportFault::Surrounded), "{text}: {refused:?}");
    }
    assert_eq!(fault(Alg::EdDSA, &pem.replace('\n', "\\n")), ImportFault::NotPem);
}

#[test]
fn a_key_of_another_kind_is_named_in_the_refusal() {
    let p384 = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "");
    let explicit = openssl(&format!("{GENERATE_EC} -pkeyopt ec_param_enc:explicit"), "");
    for (alg, pem, found) in [
        (Alg::ES256, p384, KeyKind::OtherCurve),
        (Alg::ES256, explicit, KeyKind::OtherCurve),
        (Alg::ES256, openssl(GENERATE_ED, ""), KeyKind::Ed25519),
        (Alg::EdDSA, openssl(GENERATE_EC, ""), KeyKind::P256),
        (Alg::EdDSA, openssl("genpkey -algorithm ED448", ""), KeyKind::Other),
        (Alg::EdDSA, RSA.clone(), KeyKind::Rsa { bits: 2048 }),
        (
            Alg::PS256,
            openssl("genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", ""),
            KeyKind::RsaPss,
        ),
    ] {
        let refused = fault(alg, &pem);
        assert_eq!(refused, ImportFault::OtherKind { alg, found });
        assert!(refused.to_string().contains("openssl genpkey"), "{refused}");
    }
}

#[test]
fn an_ec_key_without_its_public_key_is_refused_with_the_command_that_adds_it() {
    let pem = openssl("ec -no_public", &openssl(GENERATE_EC, ""));
    let pkcs8 = openssl("pkcs8 -topk8 -nocrypt", &pem);
    assert_eq!(fault(Alg::ES256, &pkcs8), ImportFault::EcWithoutPublic);
    assert!(pkcs8_from_pem(Alg::ES256, &openssl("pkey", &openssl("ec", &pkcs8))).is_ok());
}

#[test]
fn only_rsa_keys_of_2048_3072_and_4096_bits_are_accepted() {
    for bits in [1024, 2056, 2560] {
        let pem = openssl(&format!("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"), "");
        assert_eq!(fault(Alg::RS256, &pem), ImportFault::RsaSize(bits));
    }
    for (bits, taken) in
        [(2047, false), (2048, true), (3072, true), (3584, false), (4096, true), (4608, false)]
    {
        assert_eq!(pkcs8::is_rsa_size(bits), taken, "{bits}");
    }
}

#[test]
fn bytes_after_the_key_and_a_truncated_key_are_refused() {
    let pem = openssl(GENERATE_ED, "");
    let mut der = pkcs8_from_pem(Alg::EdDSA, &pem).unwrap();
    der.push(0);
    assert_eq!(pkcs8::kind(&der), None);
    der.truncate(20);
    assert_eq!(pkcs8::kind(&der), None);
}

#[test]
fn no_message_quotes_the_key() {
    let pem = openssl(GENERATE_EC, "");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for bad in [format!("{pem}x"), pem.replace("PRIVATE KEY", "ODD KEY"), pem.replace('\n', " ")] {
        let message = format!("{0} {0:?}", fault(Alg::EdDSA, &bad));
        assert!(!body.as_bytes().windows(8).any(|part| message.contains(std::str::from_utf8(part).unwrap())));
    }
}
