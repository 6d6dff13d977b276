//! What the mails say, kind by kind. Their full texts are in `tests/vectors/mails`; `MINTMARK_WRITE_VECTORS=1` writes them.
//! `tests/browser/mails.test.mjs` checks the same files in a browser.

use std::fs;
use std::path::Path;

use mintmark::delivery::messages::{MailFacts, Sender, render};
use mintmark::model::mail::MailKind;
use serde_json::Map;

use super::letters::{self, AT, SENDER};

#[test]
fn every_mail_is_as_it_was_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mails");
    let writes = std::env::var_os("MINTMARK_WRITE_VECTORS").is_some();
    let mut differing = Vec::new();
    let mut names = Vec::new();
    for letter in letters::all() {
        let message = letter.render();
        let text = format!("Subject: {}\n\n{}", message.subject, message.text);
        for (ending, now) in [("txt", text), ("html", message.html)] {
            let name = format!("{}.{ending}", letter.name);
            let path = folder.join(&name);
            if writes {
                fs::write(&path, &now).unwrap();
            } else if fs::read_to_string(&path).ok().as_deref() != Some(&now) {
                differing.push(name.clone());
            }
            names.push(name);
        }
    }
    assert!(
        differing.is_empty(),
        "these mails differ from tests/vectors/mails: review them and set MINTMARK_WRITE_VECTORS=1: {differing:?}"
    );
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "no mail is written as {name}");
    }
}

#[test]
fn there_is_a_mail_of_every_kind() {
    for kind in MailKind::ALL {
        assert!(letters::all().iter().any(|letter| letter.kind == kind), "{kind:?}");
        assert_eq!(MailKind::from_name(kind.as_str()), Some(kind));
    }
}

#[test]
fn a_mail_says_what_happened_to_which_client_by_whom_from_where_and_when() {
    for letter in letters::all() {
        let message = letter.render();
        let said = |fact: &str| {
            assert!(message.text.contains(fact), "{}: the text lacks {fact}\n{}", letter.name, message.text);
            let escaped = fact.replace('&', "&#38;");
            assert!(message.html.contains(&escaped), "{}: the HTML lacks {fact}", letter.name);
        };
        said("21 Sep 2026, 14:1");
        said(" UTC");
        said("https://tokens.example.com");
        let of_client = letter.kind.is_about_client();
        if of_client {
            said("SAP S/4HANA production");
            said("cl_4fTq9Lk2vXw8Rb3nYc7ZaE");
            said("acme-in");
            assert!(message.subject.ends_with(": SAP S/4HANA production"), "{}", message.subject);
        }
        for (kind, words) in [
            ("operator", " signed in to the console"),
            ("client", "the API client"),
            ("cli", "the command line"),
            ("system", "the service itself"),
        ] {
            let is_reminder = letter.kind.as_str().ends_with(".expiring");
            if letter.facts["by"]["kind"] == kind && !is_reminder {
                said(words);
            }
        }
        if let Some(address) = letter.facts.get("source_ip").and_then(|address| address.as_str()) {
            said(address);
        }
        let advises =
            ["If you did not expect this", "What to do"].iter().any(|title| message.html.contains(title));
        assert!(advises, "{}: the mail does not say what to do", letter.name);
        assert!((10..=80).contains(&message.subject.chars().count()), "{}", message.subject);
        for line in message.text.lines() {
            assert_eq!(line.trim_end(), line, "{}", letter.name);
        }
        assert!(!message.text.contains("\n\n\n"), "{}:\n{}", letter.name, message.text);
    }
}

#[test]
fn links_lead_to_pages_and_nothing_is_loaded() {
    for letter in letters::all() {
        let html = letter.render().html;
        for banned in [
            "<img",
            "<script",
            "<form",
            "<input",
            "<link",
            "<iframe",
            "url(",
            "@import",
            "src=",
            "http://",
            "onclick",
            "background=\"",
        ] {
            assert!(!html.contains(banned), "{}: {banned}", letter.name);
        }
        let links: Vec<&str> =
            html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        for link in &links {
            let page = link.strip_prefix("https://tokens.example.com/console/").unwrap();
            let known = ["api-clients/cl_4fTq9Lk2vXw8Rb3nYc7ZaE", "account", "webhooks"].contains(&page)
                || (letter.kind == MailKind::SetupLink && page.starts_with("setup/"));
            assert!(known, "{}: {link}", letter.name);
        }
        let nowhere = matches!(letter.kind, MailKind::ClientDeleted);
        assert_eq!(links.is_empty(), nowhere, "{}", letter.name);
    }
}

#[test]
fn without_a_console_mails_have_no_links_to_it() {
    let sender = Sender { console_url: None, ..SENDER };
    // The mail with a setup link is left out: the service gives it the whole link.
    for letter in letters::all().iter().filter(|letter| letter.kind != MailKind::SetupLink) {
        let message = render(&letter.mail(), &sender).unwrap();
        assert!(!message.html.contains("href="), "{}", letter.name);
        assert!(!message.text.contains("/console"), "{}", letter.name);
    }
}

#[test]
fn merged_mails_say_how_often_and_when_something_happened() {
    let often = letters::all().into_iter().find(|letter| letter.occurrences == 3).unwrap();
    let message = often.render();
    let words = "This happened 3 times from 21 Sep 2026, 14:12:38 UTC to 21 Sep 2026, 14:13:20 UTC.";
    assert!(message.text.contains(words) && message.html.contains(words), "{}", message.text);
    let summary = letters::all().into_iter().find(|letter| letter.kind == MailKind::Summary).unwrap();
    assert_eq!(summary.render().subject, "1437 more changes to an API client: SAP S/4HANA production");
}

#[test]
fn a_mail_that_an_earlier_version_queued_with_fewer_facts_is_rendered() {
    let facts =
        Map::from_iter([("label".to_owned(), "SAP".into()), ("changed".to_owned(), vec!["label"].into())]);
    for facts in [&facts, &Map::new()] {
        for kind in MailKind::ALL {
            let mail = MailFacts {
                kind,
                recipient: "a@b.example".to_owned(),
                about_id: "cl_4fTq9Lk2vXw8Rb3nYc7ZaE".to_owned(),
                facts: facts.clone(),
                occurrences: 1,
                queued_at: AT,
                setup_link: None,
            };
            let message = render(&mail, &SENDER).unwrap();
            assert!(message.text.contains("21 Sep 2026, 14:13:20 UTC"), "{kind:?}");
            assert!(!message.text.contains("null"), "{kind:?}: {}", message.text);
        }
    }
}

#[test]
fn a_reminder_says_how_long_is_left() {
    let secret = letters::all().into_iter().find(|letter| letter.kind == MailKind::SecretExpiring).unwrap();
    for (end, headline) in [
        ("2026-10-21T14:13:20Z", "Client secret expires in 30 days"),
        // Queued half a minute late.
        ("2026-10-21T14:12:50Z", "Client secret expires in 30 days"),
        // Two days and a part of one, which counts as a day.
        ("2026-09-23T15:00:00Z", "Client secret expires in 3 days"),
        ("2026-09-22T14:13:20Z", "Client secret expires within a day"),
        ("2026-09-21T15:00:00Z", "Client secret expires within a day"),
    ] {
        let mut letter = secret.clone();
        letter.facts.insert("ends_at".to_owned(), end.into());
        assert_eq!(letter.render().subject, format!("{headline}: SAP S/4HANA production"), "{end}");
    }
}
