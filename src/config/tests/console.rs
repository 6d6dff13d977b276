//! Tests the settings of OpenID Connect providers, the second factor and `outbound.allow`, and the default URLs.

use super::*;

const CORP: &str =
    "[[console.oidc]]\nname = \"corp\"\nissuer = \"https://login.example.com/\"\nclient_id = \"mm\"\n";

#[test]
fn providers_of_operators_are_read_and_their_secrets_are_not_shown() {
    let file = format!(
        "{CORP}client_secret = \"canary\"\nrole_claim = \"roles\"\n{}client_secret = \"canary2\"\n",
        CORP.replace("corp", "other-1")
    );
    let settings = load(&file, &[]).unwrap();
    let [corp, other] = settings.console.oidc.as_slice() else { panic!("{:?}", settings.console) };
    assert_eq!((corp.name.as_str(), corp.issuer.as_str()), ("corp", "https://login.example.com/"));
    assert_eq!((corp.client_id.as_str(), corp.client_secret.expose()), ("mm", "canary"));
    assert_eq!((corp.role_claim.as_deref(), other.role_claim.as_deref()), (Some("roles"), None));
    let (value, source) = shown(&settings, "console.oidc");
    assert_eq!((value[0]["client_secret"].as_str(), source), (Some(REDACTED), Source::File));
    assert_eq!(value[0]["issuer"], "https://login.example.com/");
    assert!(!format!("{settings:?}").contains("canary"));
    assert_eq!(load("", &[]).unwrap().console.oidc.len(), 0);
}

#[test]
fn a_secret_of_a_provider_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let file = format!("{CORP}client_secret_file = \"{}\"\n", path.display());
    assert_eq!(load(&file, &[]).unwrap().console.oidc[0].client_secret.expose(), "s3cret");
    let (key, text) = problem(&format!("{file}client_secret = \"canary\"\n"));
    assert_eq!(key, "console.oidc.client_secret");
    assert!(text.contains("only one secret") && !text.contains("canary"), "{text}");
    let (key, text) = problem(&format!("{CORP}client_secret_file = \"/nowhere/secret\"\n"));
    assert_eq!(key, "console.oidc.client_secret_file");
    assert!(text.contains("/nowhere/secret cannot be read"), "{text}");
    std::fs::write(&path, "s3cret\nand another line\n").unwrap();
    let (key, text) = problem(&file);
    assert_eq!(key, "console.oidc.client_secret_file");
    assert!(text.contains("with only the secret") && !text.contains("s3cret"), "{text}");
}

#[test]
fn providers_may_come_from_the_environment() {
    let written =
        "[{name = \"corp\", issuer = \"https://l.example\", client_id = \"mm\", client_secret = \"s\"}]";
    let settings = load("", &[("MINTMARK__CONSOLE__OIDC", written)]).unwrap();
    assert_eq!(settings.console.oidc[0].issuer, "https://l.example");
    assert_eq!(shown(&settings, "console.oidc").1, Source::Env);
    assert_eq!(load(CORP, &[("MINTMARK__CONSOLE__OIDC", "")]).unwrap().console.oidc.len(), 0);
    for (text, reason) in [
        ("corp", "cannot be read"),
        ("[{name = canary}]", "cannot be read"),
        ("[]\nx = 1", "more than a list"),
        ("[\"corp\"]", "it must be a list of tables"),
        ("1", "it must be a list of tables"),
    ] {
        let found = problems("", &[("MINTMARK__CONSOLE__OIDC", text)]);
        let [only] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert!(only.to_string().contains(reason), "{text}: {only}");
        assert!(!only.to_string().contains("canary"), "{only}");
    }
}

#[test]
fn bad_providers_are_reported_with_entry_and_member() {
    let with = |member: &str, value: &str| {
        let whole = format!("{CORP}client_secret = \"s\"\nrole_claim = \"r\"\n");
        let lines = whole.lines().map(|line| match line.split_once(" = ") {
            Some((name, _)) if name == member => format!("{member} = {value}\n"),
            _ => format!("{line}\n"),
        });
        lines.collect::<String>() + "[server]\npublic_url = \"https://tokens.example.com\"\n"
    };
    for (member, value, reason) in [
        ("name", "\"\"", "is not a valid name"),
        ("name", "\"Corp\"", "is not a valid name"),
        ("name", "\"a/b\"", "is not a valid name"),
        ("name", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "is not a valid name"),
        ("name", "1", "it must be a string"),
        ("issuer", "\"login.example.com\"", "not a URL"),
        ("issuer", "\"http://login.example.com\"", "https URL"),
        ("issuer", "\"http://127.0.0.1\"", "https URL"),
        ("issuer", "\"https://me@login.example.com\"", "user name"),
        ("issuer", "\"https://login.example.com?x\"", "query"),
        ("issuer", "\"https://login.example.com/{tenantid}/v2.0\"", "template"),
        ("client_id", "\"\"", "empty"),
        ("client_id", "\"ä\"", "characters"),
        ("client_secret", "\"\"", "empty"),
        ("client_secret", "\"canary\\u0007\"", "characters"),
        ("role_claim", "\"a\\nb\"", "control"),
    ] {
        let (key, text) = problem(&with(member, value));
        assert_eq!(key, format!("console.oidc.{member}"), "{value}");
        assert!(text.contains(reason) && !text.contains("canary"), "{member} = {value}: {text}");
    }
    let (key, text) = problem(&format!("{CORP}client_secret = \"s\"\n{CORP}client_secret = \"s\"\n"));
    assert_eq!(key, "console.oidc.name");
    assert!(text.contains("entry 2: \"corp\" is already the name of an earlier entry"), "{text}");
    let (key, text) = problem(&format!("{CORP}client_secret = \"s\"\nissuerr = \"x\"\n"));
    assert_eq!(key, "console.oidc.issuerr");
    assert!(text.contains("Did you mean issuer?"), "{text}");
    let (key, text) = problem("[console.oidc]\nname = \"corp\"\n");
    assert_eq!(key, "console.oidc.name");
    assert!(text.contains("write [[console.oidc]] above each"), "{text}");
}

#[test]
fn outbound_allow_is_read_and_may_not_allow_every_address() {
    let settings =
        load("outbound.allow = [\"10.0.0.0/8\"]", &[("MINTMARK__OUTBOUND__ALLOW", "127.0.0.1, a.internal")])
            .unwrap();
    let allow = &settings.outbound.allow;
    assert!(allow.has_address("127.0.0.1".parse().unwrap()) && allow.has_host("a.internal"));
    assert!(!allow.has_address("10.0.0.1".parse().unwrap()), "the environment replaces the list");
    let (key, text) = problem("outbound.allow = [\"0.0.0.0/0\"]");
    assert_eq!(key, "outbound.allow");
    assert!(text.contains("allows every address"), "{text}");
}

#[test]
fn an_optional_second_factor_needs_a_loopback_issuer() {
    let required = |file: &str| load(file, &[]).unwrap().console.second_factor_required;
    assert!(required(""));
    assert!(required("server.public_url = \"https://t.example\""));
    assert!(!required("console.second_factor = \"optional\""));
    let (key, text) =
        problem("console.second_factor = \"optional\"\nserver.public_url = \"https://t.example\"\n");
    assert_eq!(key, "console.second_factor");
    assert!(text.contains("that others can reach"), "{text}");
    let (key, text) = problem("console.second_factor = \"off\"");
    assert_eq!(key, "console.second_factor");
    assert!(text.contains("required or optional"), "{text}");
}

#[test]
fn links_to_the_console_have_the_path_of_the_issuer() {
    for (file, base) in [
        ("", "http://127.0.0.1:8080"),
        ("server.public_url = \"https://t.example/tenant\"", "https://t.example/tenant"),
        (
            "server.public_url = \"https://t.example/tenant\"\nserver.management_listen = \"0.0.0.0:8081\"\n\
             server.management_url = \"https://m.example\"",
            "https://m.example/tenant",
        ),
    ] {
        assert_eq!(load(file, &[]).unwrap().server.console_base(), base, "{file}");
    }
}

#[test]
fn default_urls_are_derived_from_the_addresses_of_the_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("some.pem");
    std::fs::write(&pem, "").unwrap();
    let pem = pem.display();
    let tls = format!(
        "server.public_url = \"https://t.example\"\nserver.tls = {{ cert_file = \"{pem}\", key_file = \"{pem}\" }}\n"
    );
    for (listen, tls, origin) in [
        ("127.0.0.1:8081", "", "http://127.0.0.1:8081"),
        ("127.0.0.1:80", "", "http://127.0.0.1"),
        ("127.0.0.1:443", "", "http://127.0.0.1:443"),
        ("[::1]:80", "", "http://[::1]"),
        ("127.0.0.1:8081", &tls, "https://127.0.0.1:8081"),
        ("127.0.0.1:443", &tls, "https://127.0.0.1"),
        ("127.0.0.1:80", &tls, "https://127.0.0.1:80"),
        ("[::1]:443", &tls, "https://[::1]"),
    ] {
        let file = format!("{tls}server.management_listen = \"{listen}\"");
        assert_eq!(load(&file, &[]).unwrap().server.console_origin(), origin, "{file}");
    }
    for (listen, issuer) in [
        ("127.0.0.1:80", "http://127.0.0.1"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("192.0.2.1:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://127.0.0.1:8080"),
        ("127.0.0.2:8080", "http://127.0.0.2:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::1]:80", "http://[::1]"),
    ] {
        let settings = load(&format!("server.listen = \"{listen}\""), &[]).unwrap();
        assert_eq!(settings.server.public_url.as_str(), issuer, "{listen}");
    }
}
