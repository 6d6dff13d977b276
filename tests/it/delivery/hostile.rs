//! Labels, names and addresses that attack the reader of a mail: none of them becomes markup, a separate line, or hidden text.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use mintmark::delivery::messages::{MailFacts, render};
use mintmark::model::delivery::NewDelivery;
use serde_json::{Map, Value};

use super::letters::{self, AT, Letter, SENDER};
use crate::support::{Engine, MailServer, TestApp, on_both_engines};

/// Texts that an attacker may put into a field that a mail shows.
pub(super) fn attacks() -> Vec<String> {
    vec![
        "a\r\nBcc: victim@example.com".to_owned(),
        "a\nSubject: other\n\n<b>body</b>".to_owned(),
        "a\u{85}b\u{2028}c\u{2029}d\u{b}e\u{c}f\0g\u{7f}".to_owned(),
        "<script>alert(1)</script><img src=x onerror=alert(1)>".to_owned(),
        "\"><a href=\"https://evil.example\">click</a><!--".to_owned(),
        "' onmouseover='alert(1)".to_owned(),
        "</style></title><style>*{display:none}".to_owned(),
        "&lt;b&gt; &#60;i&#62; &amp;".to_owned(),
        "{{ 7 * 7 }} {% include \"x\" %}".to_owned(),
        "\u{202e}gnp.exe\u{2066}\u{200f}\u{61c}".to_owned(),
        "pay\u{200b}pal\u{feff}\u{2060}\u{ad}\u{e0061}".to_owned(),
        "=?utf-8?b?PHNjcmlwdD4=?=".to_owned(),
        "=?utf-8?q?=0D=0ABcc:_x@example.com?=".to_owned(),
        "x".repeat(10_000),
        "ü".repeat(10_000),
        "<".repeat(10_000),
        "a\u{301}".repeat(300),
    ]
}

/// Replaces every text in the facts by the attack, except those that only the service writes.
fn poisoned(value: &Value, attack: &str) -> Value {
    match value {
        Value::String(_) => attack.into(),
        Value::Array(items) => items.iter().map(|item| poisoned(item, attack)).collect(),
        Value::Object(members) => Value::Object(all_poisoned(members, attack)),
        other => other.clone(),
    }
}

fn all_poisoned(members: &Map<String, Value>, attack: &str) -> Map<String, Value> {
    let each = members.iter().map(|(name, value)| match (name.as_str(), value) {
        // Texts that only the service writes.
        ("kind" | "mode", value) => (name.clone(), value.clone()),
        (name, value) => (name.to_owned(), poisoned(value, attack)),
    });
    each.collect()
}

#[test]
fn hostile_text_becomes_neither_markup_nor_a_separate_line() {
    for letter in letters::all() {
        let harmless = letter.render();
        for attack in attacks() {
            let poisoned = Letter { facts: all_poisoned(&letter.facts, &attack), ..letter.clone() };
            let message = poisoned.render();
            let which = format!("{}: {:.60?}", letter.name, attack);
            assert!(!message.subject.chars().any(hides), "{which}: {:?}", message.subject);
            assert!(message.subject.chars().count() <= 80, "{which}");
            assert!(!message.subject.contains("=?"), "{which}: {}", message.subject);
            assert!(!message.text.replace('\n', "").chars().any(hides), "{which}");
            assert!(!message.html.replace('\n', "").chars().any(hides), "{which}");
            // Only kinds of tags that the harmless mail has too.
            let tags = tags(&message.html);
            for tag in &tags {
                assert!(tags_of(&harmless.html, tag) >= 1, "{which}: a new tag <{tag}");
            }
            assert!(!message.html.contains("evil.example\""), "{which}");
            // No line of the plain text looks like a header of the mail.
            for line in message.text.lines() {
                assert!(!line.starts_with("Bcc:") && !line.starts_with("Subject:"), "{which}: {line}");
            }
            assert!(
                message.text.len() < 60_000 && message.html.len() < 120_000,
                "{which}: {}",
                message.html.len()
            );
        }
    }
}

#[test]
fn the_address_of_the_recipient_is_text_too() {
    let letter = letters::all().remove(0);
    for attack in attacks() {
        let mail =
            MailFacts { recipient: attack.clone(), about_id: attack.clone(), queued_at: AT, ..letter.mail() };
        let message = render(&mail, &SENDER).unwrap();
        assert!(!message.html.replace('\n', "").chars().any(hides), "{attack:.60?}");
        for tag in tags(&message.html) {
            assert!(tags_of(&letter.render().html, &tag) >= 1, "{attack:.60?}: a new tag <{tag}");
        }
    }
}

/// Whether a character breaks a line, changes the reading direction or is not seen.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The names of the tags of a page. The name of a closing tag includes the slash.
fn tags(html: &str) -> Vec<String> {
    html.split('<').skip(1).map(|rest| rest.split([' ', '>', '\n']).next().unwrap().to_owned()).collect()
}

fn tags_of(html: &str, name: &str) -> usize {
    tags(html).iter().filter(|tag| *tag == name).count()
}

on_both_engines!(a_mail_with_hostile_text_is_parsed_as_intended);

/// What Python's parser reads in a mail as it came over the wire.
fn parsed(mail: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/delivery/read_mail.py");
    let mut python =
        Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(mail.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The mails are sent to a server, and Python's parser reads what it received.
async fn a_mail_with_hostile_text_is_parsed_as_intended(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let letter = letters::all().remove(0);
    let mails = attacks().into_iter().enumerate().map(|(number, attack)| NewDelivery {
        body: Value::Object(all_poisoned(&letter.facts, &attack)).to_string(),
        about_id: "cl_4fTq9Lk2vXw8Rb3nYc7ZaE".to_owned(),
        ..super::mail(number, "a@acme.example")
    });
    super::queue(&app.database.open().await, mails).await;
    while app.worker.run_once().await.unwrap() > 0 {}
    let received = server.received();
    assert_eq!(received.len(), attacks().len());
    for mail in received {
        let read = parsed(&mail.text);
        let expected = [
            "Auto-Submitted",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "References",
            "Subject",
            "To",
        ];
        let fields: Vec<&str> = read["fields"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(fields, expected, "{}", mail.text);
        assert_eq!(read["to"], serde_json::json!(["a@acme.example"]));
        assert_eq!(read["from"], serde_json::json!(["tokens@example.com"]));
        assert_eq!(read["defects"], serde_json::json!([]));
        let subject = read["subject"].as_str().unwrap();
        assert!(subject.starts_with("API client created: ") && !subject.chars().any(hides), "{subject:?}");
        assert!(subject.chars().count() <= 80, "{subject}");
        let parts = read["parts"].as_array().unwrap();
        let kinds: Vec<&str> = parts.iter().filter_map(|part| part[0].as_str()).collect();
        assert_eq!(kinds, ["text/plain", "text/html"]);
        let html = parts[1][1].as_str().unwrap();
        for tag in tags(html) {
            assert!(tags_of(&letter.render().html, &tag) >= 1, "a new tag <{tag}");
        }
        assert!(mail.text.lines().all(|line| line.len() <= 998), "a line is too long for SMTP");
    }
    app.stop().await;
}
