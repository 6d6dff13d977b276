//! Refusals and broken connections: what is tried again, and what is given up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{error, mail, queue, states};
use crate::support::{Answer, Engine, Heard, MailServer, TestApp, on_both_engines};

on_both_engines!(
    what_is_refused_for_now_is_tried_again_and_what_is_refused_for_good_is_given_up,
    a_refused_recipient_does_not_affect_other_mails,
    a_failed_connection_or_sign_in_gives_up_no_mail,
    a_greylisted_mail_is_accepted_later,
    ten_attempts_are_made_over_three_days,
    a_mail_is_not_lost_if_its_connection_is_cut,
    giving_up_a_mail_is_an_audit_event,
    a_header_cannot_be_injected,
);

/// Lets more than two weeks pass, in steps so long that everything that waits is due after each.
async fn two_weeks(app: &TestApp) {
    for _ in 0..14 {
        app.clock.advance(86_400 + 86_400 / 5);
        app.worker.run_once().await.unwrap();
    }
}

/// A server that answers `reply` to commands that start with `verb`; if `verb` is `.`, to the content of a mail.
fn refusing(verb: &'static str, reply: &'static str) -> MailServer {
    MailServer::scripted(move |heard| match heard {
        Heard::Command(line) if line.starts_with(verb) => Answer::Say(reply),
        Heard::Mail(_) if verb == "." => Answer::Say(reply),
        _ => Answer::Usual,
    })
}

async fn what_is_refused_for_now_is_tried_again_and_what_is_refused_for_good_is_given_up(engine: Engine) {
    for (verb, reply, state, says) in [
        ("RCPT", "450 4.2.0 busy", "waits 1 450", "the mail server refuses the recipient: 450 4.2.0 busy"),
        ("RCPT", "452 4.2.2 mailbox full", "waits 1 452", "refuses the recipient: 452 4.2.2 mailbox full"),
        ("RCPT", "550 5.1.1 no such user", "dead 1 550", "refuses the recipient: 550 5.1.1 no such user"),
        ("RCPT", "552 5.2.2 mailbox full", "dead 1 552", "refuses the recipient: 552 5.2.2 mailbox full"),
        ("MAIL", "451 4.3.0 later", "waits 1 451", "refuses the sender (smtp.from): 451 4.3.0 later"),
        ("MAIL", "553 5.7.1 not yours", "dead 1 553", "refuses the sender (smtp.from): 553 5.7.1 not yours"),
        ("DATA", "421 4.3.2 going down", "waits 1 421", "refuses the mail: 421 4.3.2 going down"),
        (".", "451 4.7.1 later", "waits 1 451", "refuses the mail: 451 4.7.1 later"),
        (".", "554 5.6.0 spam\u{7}\u{1b}", "dead 1 554", "refuses the mail: 554 5.6.0 spam"),
    ] {
        let server = refusing(verb, reply);
        let app = TestApp::start_with(engine, &server.settings()).await;
        queue(&app.database.open().await, [mail(1, "a@acme.example")]).await;
        assert_eq!(app.worker.run_once().await.unwrap(), 1, "{verb} {reply}");
        assert_eq!(states(&app).await, [state], "{verb} {reply}");
        let said = error(&app).await;
        assert!(said.ends_with(says), "{verb} {reply}: {said}");
        // The next attempt is 5 s later, plus up to a fifth of that.
        app.clock.advance(4);
        assert_eq!(app.worker.run_once().await.unwrap(), 0);
        app.clock.advance(2);
        let again = usize::from(state.starts_with("waits"));
        assert_eq!(app.worker.run_once().await.unwrap(), again, "{verb} {reply}");
    }
}

async fn a_refused_recipient_does_not_affect_other_mails(engine: Engine) {
    let server = MailServer::scripted(|heard| match heard {
        Heard::Command(line) if line.contains("<b@") => Answer::Say("550 5.1.1 no such user"),
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    let recipients = ["a@acme.example", "b@acme.example", "c@acme.example", "not an address"];
    let mails = recipients.iter().enumerate().map(|(number, recipient)| mail(number, recipient));
    queue(&app.database.open().await, mails).await;
    assert_eq!(app.worker.run_once().await.unwrap(), 4);
    assert_eq!(states(&app).await, ["sent 1 250", "dead 1 550", "sent 1 250", "dead 1 0"]);
    let mut taken = server.recipients();
    taken.sort();
    assert_eq!(taken, ["a@acme.example", "c@acme.example"]);
    let (_, at_once) = server.connections();
    assert!(at_once <= 2, "{at_once} connections at once");
}

async fn a_failed_connection_or_sign_in_gives_up_no_mail(engine: Engine) {
    let closed = MailServer::scripted(|heard| match heard {
        Heard::Connection => Answer::Close,
        _ => Answer::Usual,
    });
    let closed_at = |verb: &'static str| {
        MailServer::scripted(move |heard| match heard {
            Heard::Command(line) if line.starts_with(verb) => Answer::Close,
            _ => Answer::Usual,
        })
    };
    for (server, says) in [
        (refusing("EHLO", "550 5.7.1 go away"), "cannot connect to the mail server 127.0.0.1:"),
        (closed, "cannot connect to the mail server 127.0.0.1:"),
        (closed_at("MAIL"), "the connection to the mail server broke while sending the sender (smtp.from): "),
        (closed_at("RCPT"), "the connection to the mail server broke while sending the recipient: "),
        (closed_at("DATA"), "the connection to the mail server broke while sending the mail: "),
    ] {
        let app = TestApp::start_with(engine, &server.settings()).await;
        queue(&app.database.open().await, [mail(1, "a@acme.example")]).await;
        app.worker.run_once().await.unwrap();
        assert!(states(&app).await[0].starts_with("waits 1"), "{says}");
        let said = error(&app).await;
        assert!(said.starts_with(says), "{said}");
    }
    // A user name and a password for a server that does not support authentication.
    let server = MailServer::start();
    let settings = server.settings().replace("smtp://", "smtp://me:canary@");
    let app = TestApp::start_with(engine, &settings).await;
    queue(&app.database.open().await, [mail(1, "a@acme.example")]).await;
    app.worker.run_once().await.unwrap();
    assert!(states(&app).await[0].starts_with("waits 1"));
    let said = error(&app).await;
    assert!(said.contains("does not accept user name and password") && !said.contains("canary"), "{said}");
    assert_eq!(server.recipients(), [""; 0]);
}

async fn a_greylisted_mail_is_accepted_later(engine: Engine) {
    let seen = Mutex::new(HashSet::new());
    let server = MailServer::scripted(move |heard| match heard {
        Heard::Command(line) if line.starts_with("RCPT") && seen.lock().unwrap().insert(line.to_owned()) => {
            Answer::Say("451 4.7.1 greylisted, come back later")
        }
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    queue(&app.database.open().await, (0..3).map(|number| mail(number, &format!("{number}@acme.example"))))
        .await;
    app.worker.run_once().await.unwrap();
    assert_eq!(states(&app).await, ["waits 1 451"; 3]);
    app.clock.advance(6);
    app.worker.run_once().await.unwrap();
    assert_eq!(states(&app).await, ["sent 2 250"; 3]);
    assert_eq!(server.received().len(), 3);
}

async fn ten_attempts_are_made_over_three_days(engine: Engine) {
    let server = refusing("RCPT", "450 4.2.0 busy");
    let app = TestApp::start_with(engine, &server.settings()).await;
    queue(&app.database.open().await, [mail(1, "a@acme.example")]).await;
    let mut at = Vec::new();
    let begin = "SELECT MIN(queued_at) FROM deliveries";
    let start = app.database.number(begin).await;
    while states(&app).await[0].starts_with("waits") {
        let next = app.database.number("SELECT next_attempt_at FROM deliveries").await;
        app.clock.advance(next - start - at.last().copied().unwrap_or(0));
        at.push(next - start);
        assert_eq!(app.worker.run_once().await.unwrap(), 1);
    }
    assert_eq!(states(&app).await, ["dead 10 450"]);
    let delays: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let regular = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (delay, regular) in delays.iter().zip(regular) {
        assert!((regular..=regular + regular / 5).contains(delay), "{delays:?}");
    }
    assert_eq!((at[0], delays.len()), (0, regular.len()));
}

async fn a_mail_is_not_lost_if_its_connection_is_cut(engine: Engine) {
    let cut_at = Arc::new(AtomicUsize::new(0));
    let cutting = Arc::clone(&cut_at);
    let server = MailServer::scripted(move |heard| match heard {
        Heard::Bytes(heard) if heard == cutting.load(Ordering::SeqCst) => Answer::Close,
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    let storage = app.database.open().await;
    // A connection that is not cut shows about how many bytes a session has: the mail, and commands of about 150 bytes.
    queue(&storage, [mail(0, "0@acme.example")]).await;
    app.worker.run_once().await.unwrap();
    let length = server.received()[0].text.len() + 150;
    for number in 1..=100 {
        cut_at.store(number * length / 100, Ordering::SeqCst);
        let recipient = format!("{number}@acme.example");
        queue(&storage, [mail(number, &recipient)]).await;
        app.worker.run_once().await.unwrap();
        cut_at.store(0, Ordering::SeqCst);
        app.clock.advance(400);
        app.worker.run_once().await.unwrap();
        let came = server.received().into_iter().filter(|mail| mail.to == recipient).collect::<Vec<_>>();
        assert!((1..=2).contains(&came.len()), "cut at {number} %: {}", came.len());
        assert!(came.iter().all(|mail| mail == &came[0]), "a mail that arrives twice is the same twice");
    }
    assert!(states(&app).await.iter().all(|state| state.starts_with("sent")));
}

async fn giving_up_a_mail_is_an_audit_event(engine: Engine) {
    let server = refusing("RCPT", "550 5.1.1 no such user");
    let app = TestApp::start_with(engine, &server.settings()).await;
    let of_kind = |number, kind: &str| mintmark::model::delivery::NewDelivery {
        kind: kind.to_owned(),
        workspace_id: Some("acme".to_owned()),
        about_id: "cl_0000000000000000000000".to_owned(),
        ..mail(number, "a@acme.example")
    };
    queue(&app.database.open().await, [of_kind(1, "client.created")]).await;
    app.worker.run_once().await.unwrap();
    // Later, nothing more happens to the mail.
    two_weeks(&app).await;
    let admin = app.administrator().await;
    let events: serde_json::Value =
        admin.get("/v1/audit-events?action=delivery.failed").await.json().await.unwrap();
    let [event] = events["items"].as_array().unwrap().as_slice() else { panic!("{events}") };
    assert_eq!(event["target"], "00000000-0000-7000-8000-000000000001");
    assert_eq!((&event["actor"], &event["workspace_id"]), (&"system".into(), &"acme".into()));
    assert_eq!(event["client_id"], "cl_0000000000000000000000");
    let expected = serde_json::json!({
        "channel": "mail", "kind": "client.created", "recipient": "a@acme.example", "attempts": 1,
        "error": "the mail server refuses the recipient: 550 5.1.1 no such user",
    });
    assert_eq!(event["detail"], expected);
    // A mail that reports a failed delivery causes no event when it fails itself.
    queue(&app.database.open().await, [of_kind(2, "delivery.failed")]).await;
    app.worker.run_once().await.unwrap();
    assert!(states(&app).await[1].starts_with("dead"));
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'delivery.failed'";
    assert_eq!(app.database.number(events).await, 1);
}

async fn a_header_cannot_be_injected(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let labels = [
        "ERP\r\nBcc: evil@example.com",
        "ERP\nBcc: evil@example.com\n\n<script>",
        "=?utf-8?q?=0d=0aBcc:_evil@example.com?=",
        "ERP\r\n.\r\nMAIL FROM:<evil@example.com>",
        "\u{202e}PRE ✓ Ä",
    ];
    let labelled = labels.iter().enumerate().map(|(number, label)| mintmark::model::delivery::NewDelivery {
        body: serde_json::json!({ "label": label }).to_string(),
        ..mail(number, "a@acme.example")
    });
    // Addresses that would end their command early.
    let recipients = ["a@b> NOTIFY=NEVER", "a@b>\r\nRCPT TO:<evil@example.com", "a@b\r\nDATA"];
    let addressed = recipients.iter().enumerate().map(|(number, to)| mail(10 + number, to));
    queue(&app.database.open().await, labelled.chain(addressed)).await;
    app.worker.run_once().await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), labels.len());
    for mail in &received {
        let head = mail.text.split("\r\n\r\n").next().unwrap();
        assert_eq!((mail.header("Bcc"), mail.to.as_str()), (None, "a@acme.example"), "{head}");
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let expected = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "References",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expected, "{head}");
    }
    let dead = states(&app).await.into_iter().filter(|state| state.starts_with("dead 1")).count();
    assert_eq!(dead, recipients.len());
}
