//! The pages of the console about workspaces, products, operators, signing keys, never-expiring tokens, the audit trail,
//! deliveries and webhooks, and the help page.

use actix_web::web::ServiceConfig;

use super::at;
use crate::console::pages::{
    audit, audit_csv, audit_verify, deliveries, help, never_expiring, operator_end, operator_link, operators,
    products, signing_keys, webhook, webhook_secret, webhooks, workspace_end, workspaces,
};

/// Adds the routes of these pages to the scope of the console.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(at("/workspaces").get(workspaces::get).page())
        .service(at("/workspaces/new").get(workspaces::get_new).post(workspaces::post_new).page())
        .service(at("/workspaces/{w}").get(workspaces::get_one).post(workspaces::post_one).page())
        .service(
            at("/workspaces/{w}/suspend")
                .get(workspace_end::get_suspend)
                .post(workspace_end::post_suspend)
                .page(),
        )
        .service(at("/workspaces/{w}/resume").post(workspace_end::post_resume).page())
        .service(
            at("/workspaces/{w}/delete")
                .get(workspace_end::get_delete)
                .post(workspace_end::post_delete)
                .page(),
        )
        .service(at("/products").get(products::get).page())
        .service(at("/products/new").get(products::get_new).post(products::post_new).page())
        .service(at("/products/{product}").get(products::get_one).post(products::post_one).page())
        .service(
            at("/products/{product}/delete").get(products::get_delete).post(products::post_delete).page(),
        )
        .service(at("/operators").get(operators::get).page())
        .service(at("/operators/new").get(operators::get_new).post(operators::post_new).page())
        .service(at("/operators/links/{nonce}").get(operator_link::get).page())
        .service(at("/operators/links/{nonce}/stored").post(operator_link::stored).page())
        .service(at("/operators/{id}").get(operators::get_one).post(operators::post_one).page())
        .service(at("/operators/{id}/setup-link").post(operator_link::post).page())
        .service(at("/operators/{id}/disable").post(operator_end::disable).page())
        .service(at("/operators/{id}/enable").post(operator_end::enable).page())
        .service(
            at("/operators/{id}/delete").get(operator_end::get_delete).post(operator_end::post_delete).page(),
        )
        .service(at("/signing-keys").get(signing_keys::get).page())
        .service(at("/signing-keys/new").get(signing_keys::get_new).post(signing_keys::post_new).page())
        .service(
            at("/signing-keys/{kid}/delete")
                .get(signing_keys::get_delete)
                .post(signing_keys::post_delete)
                .page(),
        )
        .service(at("/never-expiring").get(never_expiring::get).page())
        .service(
            at("/never-expiring/{client_id}/{jti}/revoke")
                .get(never_expiring::get_revoke)
                .post(never_expiring::post_revoke)
                .page(),
        )
        .service(at("/audit").get(audit::get).page())
        .service(at("/audit.csv").get(audit_csv::get).page())
        .service(at("/audit/verify").get(audit_verify::get).page())
        .service(at("/deliveries").get(deliveries::get).page())
        .service(at("/deliveries/{delivery_id}/send-again").post(deliveries::post_again).page())
        .service(at("/webhooks").get(webhooks::get).page())
        .service(at("/webhooks/new").get(webhooks::get_new).post(webhooks::post_new).page())
        .service(at("/webhooks/secrets/{nonce}").get(webhook_secret::get).page())
        .service(at("/webhooks/secrets/{nonce}/stored").post(webhook_secret::stored).page())
        .service(at("/webhooks/{id}").get(webhook::get).page())
        .service(at("/webhooks/{id}/edit").get(webhooks::get_edit).post(webhooks::post_edit).page())
        .service(at("/webhooks/{id}/test").post(webhook::test).page())
        .service(at("/webhooks/{id}/secrets").post(webhook::replace_keys).page())
        .service(at("/webhooks/{id}/disable").post(webhook::disable).page())
        .service(at("/webhooks/{id}/enable").post(webhook::enable).page())
        .service(at("/webhooks/{id}/delete").get(webhook::get_delete).post(webhook::post_delete).page())
        .service(at("/webhooks/{id}/deliveries/{delivery_id}").get(webhook::get_delivery).page())
        .service(at("/webhooks/{id}/deliveries/{delivery_id}/resend").post(webhook::resend).page())
        .service(at("/help").get(help::get).page());
}
