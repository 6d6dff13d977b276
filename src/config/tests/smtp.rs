//! Tests the settings of the mail server, and of the worker that sends mails and webhook requests.

use super::*;

fn with(url: &str, more: &str) -> String {
    format!("smtp.url = {url:?}\nsmtp.from = \"Tokens of Example <tokens@example.com>\"\n{more}")
}

#[test]
fn no_server_is_set_by_default_and_the_worker_is_on() {
    let settings = load("", &[]).unwrap();
    assert_eq!((settings.smtp, settings.delivery.worker), (None, true));
    assert!(!load("delivery.worker = \"off\"", &[]).unwrap().delivery.worker);
    let (key, text) = problem("delivery.worker = \"never\"");
    assert_eq!(key, "delivery.worker");
    assert!(text.contains("on or off"), "{text}");
}

#[test]
fn servers_are_read_and_their_passwords_are_not_shown() {
    for (url, host, port, security, user) in [
        ("smtps://me:can%40ary@mail.example.com", "mail.example.com", 465, SmtpSecurity::Tls, Some("me")),
        ("smtps://mail.example.com:4465", "mail.example.com", 4465, SmtpSecurity::Tls, None),
        (
            "smtp://a%2Fb%40c:can%40ary@mail.example.com?tls=required",
            "mail.example.com",
            587,
            SmtpSecurity::StartTls,
            Some("a/b@c"),
        ),
        ("smtp://[::1]:2525/?tls=none", "::1", 2525, SmtpSecurity::Plain, None),
        ("smtp://me:can%40ary@127.0.0.1?tls=none", "127.0.0.1", 25, SmtpSecurity::Plain, Some("me")),
        ("smtp://mailpit:1025?tls=none", "mailpit", 1025, SmtpSecurity::Plain, None),
    ] {
        let settings = load(&with(url, "smtp.reply_to = \"help@example.com\""), &[]).unwrap();
        let smtp = settings.smtp.clone().unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.security), (host, port, security), "{url}");
        let credentials =
            smtp.credentials.as_ref().map(|(user, password)| (user.as_str(), password.expose()));
        assert_eq!(credentials, user.map(|user| (user, "can@ary")), "{url}");
        assert_eq!(smtp.from.name.as_deref(), Some("Tokens of Example"));
        assert_eq!(smtp.reply_to.map(|mailbox| mailbox.address).as_deref(), Some("help@example.com"));
        let (value, _) = shown(&settings, "smtp.url");
        let shown = value.as_str().unwrap();
        assert_eq!(shown.contains(REDACTED), user.is_some(), "{shown}");
        assert!(!format!("{shown}{settings:?}").contains("ary"), "{shown}");
    }
}

#[test]
fn wrong_servers_are_refused_without_being_quoted() {
    for (url, says) in [
        ("mail.example.com", "not the URL of a mail server"),
        ("https://mail.example.com", "not the URL of a mail server"),
        ("smtp://mail.example.com", "does not say whether the connection is encrypted"),
        ("smtp://mail.example.com?tls=maybe", "does not say whether the connection is encrypted"),
        ("smtps://mail.example.com?tls=required", "takes no options"),
        ("smtps://", "no host"),
        ("smtps://me:ca/nary@mail.example.com", "percent-encoded"),
        ("smtps://me:ca nary@mail.example.com", "percent-encoded"),
        ("smtps://me:ca%zznary@mail.example.com", "percent-encoded"),
        ("smtps://me@mail.example.com", "user name or password is empty"),
        ("smtps://:canary@mail.example.com", "user name or password is empty"),
        ("smtp://me:canary@mail.example.com?tls=none", "in plain text"),
    ] {
        let problems = problems(&with(url, ""), &[]);
        let [problem] = problems.as_slice() else { panic!("{url}: {problems:?}") };
        let text = problem.to_string();
        assert_eq!(problem.key, "smtp.url", "{url}");
        assert!(text.contains(says) && !text.contains("nary"), "{url}: {text}");
    }
}

#[test]
fn a_server_needs_a_sender_and_addresses_must_be_valid() {
    let (key, text) = problem("smtp.url = \"smtps://mail.example.com\"");
    assert_eq!(key, "smtp.from");
    assert!(text.contains("no sender"), "{text}");
    for (key, value) in [("from", "nobody"), ("from", "a@b\\r\\nBcc: x@y"), ("reply_to", "A <a@b>, c@d")] {
        let (named, _) = problem(&format!("smtp.{key} = \"{value}\""));
        assert_eq!(named, format!("smtp.{key}"));
    }
}

#[test]
fn certificates_are_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for (text, says) in [(None, "cannot be read"), (Some("no certificate"), "no certificate in PEM form")] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let (key, said) = problem(&format!("smtp.ca_file = {path:?}"));
        assert_eq!(key, "smtp.ca_file");
        assert!(said.contains(says), "{said}");
    }
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, pem).unwrap();
    let file = with("smtps://mail.example.com", &format!("smtp.ca_file = {path:?}"));
    assert_eq!(load(&file, &[]).unwrap().smtp.unwrap().ca.as_deref(), Some(pem));
}
