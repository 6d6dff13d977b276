//! Webhooks, their keys and deliveries, and which webhooks get an event.

mod deliveries;
mod listeners;
mod records;

use mintmark::model::webhook::{Disabled, Events, Webhook};

use super::samples::NOW;

/// A webhook of `acme` that is disabled.
fn webhook(webhook_id: &str) -> Webhook {
    Webhook {
        webhook_id: webhook_id.to_owned(),
        workspace_id: "acme".to_owned(),
        url: "https://hooks.example.com:8443/in?token=s3cret".to_owned(),
        host: "hooks.example.com:8443".to_owned(),
        events: named(&["client.*", "status_list.changed"]),
        description: Some("Pages\r\nthe person ✓".to_owned()),
        disabled: Some(Disabled::Gone),
        public_key: "whpk_AA==".to_owned(),
        failing_since: Some(NOW + 2),
        created_at: NOW,
        updated_at: NOW + 1,
        version: 3,
    }
}

fn active(webhook_id: &str, workspace_id: &str, events: Events) -> Webhook {
    Webhook {
        workspace_id: workspace_id.to_owned(),
        events,
        disabled: None,
        failing_since: None,
        ..webhook(webhook_id)
    }
}

/// A subscription to the events that match these patterns.
fn named(patterns: &[&str]) -> Events {
    Events::Named(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}
