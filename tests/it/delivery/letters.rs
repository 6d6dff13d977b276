//! One mail of each kind, with facts as the services queue them.

use mintmark::delivery::messages::{MailFacts, Message, Sender, render};
use mintmark::model::mail::MailKind;
use serde_json::{Map, Value, json};

/// 2026-09-21T14:13:20Z
pub(super) const AT: i64 = 1_790_000_000;
const CLIENT: &str = "cl_4fTq9Lk2vXw8Rb3nYc7ZaE";
const OPERATOR: &str = "019976a0-5a00-7000-8000-000000000001";

/// A mail as it was queued.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// The name of its files in `tests/vectors/mails`, without the ending.
    pub(super) name: &'static str,
    pub(super) kind: MailKind,
    pub(super) recipient: &'static str,
    pub(super) about_id: &'static str,
    pub(super) facts: Map<String, Value>,
    pub(super) occurrences: i64,
    pub(super) setup_link: Option<&'static str>,
}

pub(super) const SENDER: Sender<'static> =
    Sender { issuer: "https://tokens.example.com", console_url: Some("https://tokens.example.com") };

impl Letter {
    pub(super) fn render(&self) -> Message {
        render(&self.mail(), &SENDER).unwrap()
    }

    pub(super) fn mail(&self) -> MailFacts {
        MailFacts {
            kind: self.kind,
            recipient: self.recipient.to_owned(),
            about_id: self.about_id.to_owned(),
            facts: self.facts.clone(),
            occurrences: self.occurrences,
            // Earlier than the last change, as of a mail that was merged.
            queued_at: AT - 42,
            setup_link: self.setup_link.map(|link| link.to_owned().into()),
        }
    }
}

/// A mail to a contact of a client.
#[expect(clippy::needless_pass_by_value, reason = "the facts are written where it is called")]
fn of_client(name: &'static str, kind: MailKind, facts: Value) -> Letter {
    let mut all = json!({
        "label": "SAP S/4HANA production", "workspace_id": "acme-in", "at": AT, "source_ip": "203.0.113.9",
        "by": {"kind": "operator", "id": OPERATOR, "name": "Priya Sharma"},
    });
    let all = all.as_object_mut().unwrap();
    all.extend(facts.as_object().unwrap().clone());
    Letter {
        name,
        kind,
        recipient: "finance-it@acme.example",
        about_id: CLIENT,
        facts: all.clone(),
        occurrences: 1,
        setup_link: None,
    }
}

/// The same letter about something that the service itself did.
fn by_the_service(mut letter: Letter) -> Letter {
    letter.facts.insert("by".to_owned(), json!({"kind": "system"}));
    letter.facts.remove("source_ip");
    letter
}

fn to_operator(name: &'static str, kind: MailKind, facts: Value) -> Letter {
    let mut letter = of_client(name, kind, facts);
    letter.facts.remove("label");
    if kind != MailKind::WebhookDisabled {
        letter.facts.remove("workspace_id");
    }
    letter.facts.entry("name").or_insert_with(|| "Arjun Mehta".into());
    Letter { recipient: "arjun@acme.example", about_id: OPERATOR, ..letter }
}

/// A letter of every kind, and of some kinds more than one.
#[expect(clippy::too_many_lines, reason = "a table with an entry for each mail")]
pub(super) fn all() -> Vec<Letter> {
    let change = |old: Value, new: Value| json!({"old": old, "new": new});
    vec![
        of_client(
            "client-created",
            MailKind::ClientCreated,
            json!({
                "products": ["e-invoicing", "gst"], "permissions": [], "token_expiry": {"mode": "never"},
                "allowed_ips": ["203.0.113.0/24", "2001:db8::/48"], "expires_at": null, "status": "active",
            }),
        ),
        of_client(
            "client-updated",
            MailKind::ClientUpdated,
            json!({"revoked_tokens": null, "taken": [], "changed": {
                "label": change(json!("SAP test"), json!("SAP S/4HANA production")),
                "token_expiry": change(json!({"mode": "after", "seconds": 3600}), json!({"mode": "never"})),
                "allowed_ips": change(json!(["203.0.113.0/24"]), json!([])),
                "notification_emails": change(json!(["old@acme.example"]), json!(["finance-it@acme.example"])),
            }}),
        ),
        Letter {
            occurrences: 3,
            ..of_client(
                "client-updated-often",
                MailKind::ClientUpdated,
                json!({"by": {"kind": "client", "id": "cl_0000000000000000000001", "name": "Terraform"}, "changed": {
                    "expires_at": change(json!(null), json!("2027-01-01T00:00:00Z")),
                    "metadata": change(json!({}), json!({"cost-centre": "4711"})),
                }}),
            )
        },
        of_client(
            "client-disabled",
            MailKind::ClientDisabled,
            json!({"changed": {"status": change(json!("active"), json!("disabled"))}}),
        ),
        of_client(
            "client-enabled",
            MailKind::ClientEnabled,
            json!({"by": {"kind": "cli"}, "source_ip": null, "changed": {"status": change(json!("disabled"), json!("active"))}}),
        ),
        of_client(
            "products-taken",
            MailKind::ProductsTaken,
            json!({"taken": ["gst", "mintmark:read"], "revoked_tokens": 2, "changed": {
                "products": change(json!(["e-invoicing", "gst"]), json!(["e-invoicing"])),
                "permissions": change(json!(["mintmark:read"]), json!([])),
            }}),
        ),
        of_client("client-deleted", MailKind::ClientDeleted, json!({"revoked_tokens": 14})),
        of_client(
            "secret-created",
            MailKind::SecretCreated,
            json!({"last_four": "x7Qa", "expires_at": "2027-09-21T14:13:20Z", "others_expire_at": "2026-09-28T14:13:20Z",
                "revoked_tokens": null}),
        ),
        of_client(
            "secret-deleted",
            MailKind::SecretDeleted,
            json!({"last_four": "x7Qa", "live_secrets_left": 1}),
        ),
        of_client(
            "secret-deleted-last",
            MailKind::SecretDeleted,
            json!({"last_four": "x7Qa", "live_secrets_left": 0, "by": {"kind": "client", "id": CLIENT, "name": "SAP"}}),
        ),
        of_client(
            "secret-first-used",
            MailKind::SecretFirstUsed,
            json!({"last_four": "x7Qa", "is_first": true, "network": "203.0.113.0/24",
                "by": {"kind": "client", "id": CLIENT, "name": "SAP S/4HANA production"}}),
        ),
        of_client(
            "secret-new-network",
            MailKind::SecretFirstUsed,
            json!({"last_four": "x7Qa", "is_first": false, "network": "2001:db8:1::/48", "source_ip": "2001:db8:1:2::3",
                "by": {"kind": "client", "id": CLIENT, "name": "SAP S/4HANA production"}}),
        ),
        by_the_service(of_client(
            "secret-expiring",
            MailKind::SecretExpiring,
            json!({"last_four": "x7Qa", "ends_at": "2026-09-28T14:13:20Z", "last_used_at": "2026-09-21T14:11:00Z"}),
        )),
        by_the_service(of_client(
            "client-expiring",
            MailKind::ClientExpiring,
            json!({"ends_at": "2026-10-21T14:13:20Z", "is_disabled": true}),
        )),
        by_the_service(of_client(
            "token-expiring",
            MailKind::TokenExpiring,
            json!({"ends_at": "2026-09-22T14:13:20Z", "scope": "e-invoicing gst", "jti": "BJzGYQ3GTnKPp2YyhFSk1g",
                "issued_at": "2026-06-24T14:13:20Z"}),
        )),
        of_client(
            "token-created",
            MailKind::TokenCreated,
            json!({"scope": "e-invoicing gst", "expires_at": null, "jti": "BJzGYQ3GTnKPp2YyhFSk1g"}),
        ),
        of_client(
            "token-revoked",
            MailKind::TokenRevoked,
            json!({"scope": "e-invoicing gst", "jti": "BJzGYQ3GTnKPp2YyhFSk1g"}),
        ),
        of_client("tokens-revoked", MailKind::TokensRevoked, json!({"generation": 2, "revoked_tokens": 5})),
        of_client(
            "key-revoked",
            MailKind::KeyRevoked,
            json!({"kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "revoked_tokens": 1}),
        ),
        to_operator(
            "ways-in-replaced",
            MailKind::WaysInReplaced,
            json!({"by": {"kind": "operator", "id": OPERATOR, "name": "Arjun Mehta"}}),
        ),
        Letter {
            setup_link: Some(
                "https://tokens.example.com/console/setup/0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
            ),
            ..to_operator("setup-link", MailKind::SetupLink, json!({"expires_at": "2026-09-22T14:13:20Z"}))
        },
        to_operator(
            "webhook-disabled",
            MailKind::WebhookDisabled,
            json!({"url": "https://hooks.acme.example/mintmark", "webhook_id": "019976a0-5a00-7000-8000-000000000002",
                "workspace_id": "acme-in", "reason": "failing", "name": "hooks.acme.example",
                "by": {"kind": "system"}, "source_ip": null}),
        ),
        to_operator(
            "webhook-failed",
            MailKind::DeliveryFailed,
            json!({"url": "https://hooks.acme.example/mintmark", "webhook_id": "019976a0-5a00-7000-8000-000000000002",
                "workspace_id": "acme-in", "event": "client.created", "error": "the receiver answered 500",
                "name": "hooks.acme.example", "by": {"kind": "system"}, "source_ip": null}),
        ),
        Letter {
            occurrences: 1_437,
            recipient: "",
            ..of_client("summary", MailKind::Summary, json!({"by": null, "source_ip": null}))
        },
    ]
}
