//! Which webhooks get an event: the active ones of its workspaces, or those that subscribe to changed status lists or to audit
//! checkpoints, which belong to no workspace.

use mintmark::model::webhook::{Disabled, Events, Webhook};
use mintmark::storage::Listener;

use super::{active, named};
use crate::storage::samples::{change, stocked, workspace};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    the_active_webhooks_of_the_given_workspaces_are_found,
    webhooks_that_subscribe_to_status_lists_or_checkpoints_are_found_in_any_workspace
);

fn ids(listeners: &[Listener]) -> Vec<&str> {
    listeners.iter().map(|listener| listener.webhook_id.as_str()).collect()
}

async fn the_active_webhooks_of_the_given_workspaces_are_found(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_workspace(&workspace("platform")));
    let disabled = Webhook { disabled: Some(Disabled::Failing), ..active("w1", "acme", Events::Usual) };
    for hook in [
        disabled,
        active("w2", "acme", named(&["client.*"])),
        active("w3", "other", Events::Usual),
        active("w4", "platform", Events::Usual),
    ] {
        change!(storage, tx => tx.insert_webhook(&hook));
    }
    let listeners = change!(storage, tx => tx.webhooks_of(&["acme", "platform"]));
    assert_eq!(ids(&listeners), ["w2", "w4"]);
    assert_eq!(
        listeners[0],
        Listener {
            webhook_id: "w2".to_owned(),
            workspace_id: "acme".to_owned(),
            host: "hooks.example.com:8443".to_owned(),
            events: named(&["client.*"]),
        }
    );
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_of(&["none"]))), [""; 0]);
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_of(&[]))), [""; 0]);
}

async fn webhooks_that_subscribe_to_status_lists_or_checkpoints_are_found_in_any_workspace(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let disabled = Webhook { disabled: Some(Disabled::Administrator), ..active("w6", "acme", named(&["*"])) };
    for hook in [
        active("w1", "acme", Events::Usual),
        active("w2", "acme", named(&["*"])),
        active("w3", "other", named(&["status_list.changed"])),
        active("w4", "other", named(&["audit.*", "client.created"])),
        disabled,
    ] {
        change!(storage, tx => tx.insert_webhook(&hook));
    }
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_to_status_lists())), ["w2", "w3"]);
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_to_checkpoints())), ["w2", "w4"]);
    change!(storage, tx => tx.update_webhook(&active("w2", "acme", named(&["audit.checkpoint"]))));
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_to_status_lists())), ["w3"]);
    assert_eq!(ids(&change!(storage, tx => tx.webhooks_to_checkpoints())), ["w2", "w4"]);
}
