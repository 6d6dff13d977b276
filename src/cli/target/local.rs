//! Use cases answered by the services, over the configured database.

use serde_json::Value;

use super::use_case::{
    AuditList, ClientList, List, OnClient, OnKey, OnOperator, OnRecord, OnToken, OnWebhook, Sort, TokenList,
    TokenStatus, UseCase,
};
use crate::cli::host_user;
use crate::clients::{BatchChange, ClientChange, ClientFilter, ClientOrder, ClientSort, NewSecret};
use crate::issuance::NewToken;
use crate::kernel::{Error, Precondition, to_json};
use crate::ledger::AuditFilter;
use crate::model::page::{Items, Page};
use crate::operators::OperatorChange;
use crate::services::Services;
use crate::signing::NewSigningKey;
use crate::tenants::{ProductChange, WorkspaceChange};
use crate::tokens::{ListedTokens, TokenFilter};
use crate::usage::Period;
use crate::webhooks::{NoMembers, WebhookChange};

/// A page of a list.
pub(super) async fn page(services: &Services, list: &List, page: &Page) -> Result<Items<Value>, Error> {
    let caller = &host_user::manager();
    Ok(match list {
        List::Workspaces => json_of(services.tenants.workspaces(caller, page).await?),
        List::Products => json_of(services.tenants.products(caller, page).await?),
        List::Clients(wanted) => {
            let ClientList { workspace_id, label, product, status, metadata, sort, .. } = wanted.clone();
            let (secret_expires_before, unused_since) = (wanted.secret_expires_before, wanted.unused_since);
            let metadata = metadata.into_iter().collect();
            let filter =
                ClientFilter { label, product, status, metadata, secret_expires_before, unused_since };
            let sort = sort.map_or_else(ClientSort::default, order);
            json_of(services.clients.clients(caller, workspace_id.as_deref(), &filter, sort, page).await?)
        }
        List::Tokens(wanted) => match wanted.of_client() {
            Some(client_id) => json_of(services.tokens.access_tokens(caller, client_id, page).await?),
            None => json_of(services.tokens.all_access_tokens(caller, &filter(wanted), page).await?),
        },
        List::SigningKeys => json_of(services.signing.signing_keys(caller, page).await?),
        List::Operators => json_of(services.operators.operators(caller, page).await?),
        List::OperatorsOf(email) => {
            json_of(services.operators.operators_of(caller, Some(email), page).await?)
        }
        List::AuditEvents(wanted) => {
            let AuditList { workspace_id, client_id, action, since, until } = wanted.clone();
            let filter = AuditFilter { workspace_id, client_id, action, since, until };
            json_of(services.ledger.audit_events(caller, &filter, page).await?)
        }
        List::Webhooks { workspace_id } => {
            json_of(services.webhooks.webhooks(caller, workspace_id, page).await?)
        }
        List::Deliveries { webhook_id } => {
            json_of(services.webhooks.deliveries(caller, webhook_id, page).await?)
        }
        List::Failures { client_id: Some(client_id) } => {
            json_of(services.usage.failures(caller, client_id, page).await?)
        }
        List::Failures { client_id: None } => json_of(services.usage.all_failures(caller, page).await?),
    })
}

fn filter(wanted: &TokenList) -> TokenFilter {
    TokenFilter {
        client_id: wanted.client_id.clone(),
        expires_before: wanted.expires_before,
        never_expires: wanted.never_expires,
        status: match wanted.status() {
            TokenStatus::Live => ListedTokens::Live,
            TokenStatus::Revoked => ListedTokens::Revoked,
            TokenStatus::All => ListedTokens::All,
        },
    }
}

fn order(sort: Sort) -> ClientSort {
    let (by, descending) = match sort {
        Sort::Label => (ClientOrder::Label, false),
        Sort::LabelDescending => (ClientOrder::Label, true),
        Sort::CreatedAt => (ClientOrder::CreatedAt, false),
        Sort::CreatedAtDescending => (ClientOrder::CreatedAt, true),
        Sort::LastUsedAt => (ClientOrder::LastUsedAt, false),
        Sort::LastUsedAtDescending => (ClientOrder::LastUsedAt, true),
        Sort::ExpiresAt => (ClientOrder::ExpiresAt, false),
        Sort::ExpiresAtDescending => (ClientOrder::ExpiresAt, true),
    };
    ClientSort { by, descending }
}

fn json_of<T: serde::Serialize>(items: Items<T>) -> Items<Value> {
    items.map(|item| to_json(&item))
}

/// The answer to a use case: the record, the number of tokens that a change revoked, or `null`.
pub(super) async fn answer(services: &Services, use_case: UseCase) -> Result<Value, Error> {
    match use_case {
        UseCase::Workspace(on) => workspace(services, on).await,
        UseCase::Product(on) => product(services, on).await,
        UseCase::Client(on) => client(services, on).await,
        UseCase::Token(on) => token(services, on).await,
        UseCase::SigningKey(on) => signing_key(services, on).await,
        UseCase::Operator(on) => operator(services, on).await,
        UseCase::Webhook(on) => webhook(services, on).await,
    }
}

async fn workspace(services: &Services, on: OnRecord) -> Result<Value, Error> {
    let (caller, tenants) = (&host_user::manager(), &services.tenants);
    Ok(match on {
        OnRecord::Create(body) => {
            let (id, change) = WorkspaceChange::read_new(&body);
            to_json(&tenants.create_workspace(caller, &id, &change, None).await?)
        }
        OnRecord::Show(id) => to_json(&tenants.workspace(caller, &id).await?),
        OnRecord::Change(id, body) => {
            let change = WorkspaceChange::read(&body);
            to_json(&tenants.change_workspace(caller, &id, &Precondition::None, &change).await?)
        }
        OnRecord::Delete(id) => {
            tenants.delete_workspace(caller, &id, &Precondition::None).await?;
            Value::Null
        }
    })
}

async fn product(services: &Services, on: OnRecord) -> Result<Value, Error> {
    let (caller, tenants) = (&host_user::manager(), &services.tenants);
    Ok(match on {
        OnRecord::Create(body) => {
            let (code, change) = ProductChange::read_new(&body);
            to_json(&tenants.create_product(caller, &code, &change, None).await?)
        }
        OnRecord::Show(code) => to_json(&tenants.product(caller, &code).await?),
        OnRecord::Change(code, body) => {
            let change = ProductChange::read(&body);
            to_json(&tenants.change_product(caller, &code, &Precondition::None, &change).await?)
        }
        OnRecord::Delete(code) => {
            tenants.delete_product(caller, &code, &Precondition::None).await?;
            Value::Null
        }
    })
}

async fn client(services: &Services, on: OnClient) -> Result<Value, Error> {
    let (caller, clients) = (&host_user::manager(), &services.clients);
    Ok(match on {
        OnClient::Create { workspace_id, body } => {
            let wanted = ClientChange::read(&body);
            to_json(&clients.create_client(caller, &workspace_id, &wanted, None).await?)
        }
        OnClient::Show(id) => to_json(&clients.client(caller, &id).await?),
        OnClient::Change(id, body) => {
            let change = ClientChange::read(&body);
            to_json(&clients.change_client(caller, &id, &Precondition::None, &change).await?)
        }
        OnClient::ChangeMany(body) => {
            to_json(&clients.change_clients(caller, &BatchChange::read(&body)).await?)
        }
        OnClient::Delete(id) => {
            clients.delete_client(caller, &id, &Precondition::None).await?;
            Value::Null
        }
        OnClient::AddSecret(id, body) => {
            to_json(&clients.add_secret(caller, &id, &NewSecret::read(&body), None).await?)
        }
        OnClient::DeleteSecret { client_id, secret_id, force } => {
            clients.delete_secret(caller, &client_id, &secret_id, force).await?;
            Value::Null
        }
        OnClient::Usage { client_id, since, until } => {
            to_json(&services.usage.usage(caller, &client_id, Period { since, until }).await?)
        }
    })
}

async fn token(services: &Services, on: OnToken) -> Result<Value, Error> {
    let (caller, tokens) = (&host_user::manager(), &services.tokens);
    Ok(match on {
        OnToken::Create { client_id, body } => {
            let wanted = NewToken::read(&body);
            to_json(&services.issuer.generate(caller, &client_id, &wanted, None).await?)
        }
        OnToken::Show { client_id, jti } => to_json(&tokens.access_token(caller, &client_id, &jti).await?),
        OnToken::Revoke { client_id, jti } => {
            tokens.revoke_token(caller, &client_id, &jti).await?;
            Value::Null
        }
        OnToken::RevokeAll { client_id } => tokens.revoke_tokens(caller, &client_id).await?.into(),
    })
}

async fn signing_key(services: &Services, on: OnKey) -> Result<Value, Error> {
    let (caller, signing) = (&host_user::manager(), &services.signing);
    Ok(match on {
        OnKey::Create(body) => {
            to_json(&signing.create_signing_key(caller, &NewSigningKey::read(&body), None).await?)
        }
        OnKey::Show(kid) => to_json(&signing.signing_key(caller, &kid).await?),
        OnKey::Delete { kid, revoke_tokens } => {
            signing.delete_signing_key(caller, &kid, revoke_tokens, &Precondition::None).await?.into()
        }
    })
}

async fn operator(services: &Services, on: OnOperator) -> Result<Value, Error> {
    let (caller, operators) = (&host_user::manager(), &services.operators);
    Ok(match on {
        OnOperator::Create(body) => {
            to_json(&operators.create_operator(caller, &OperatorChange::read_new(&body), None).await?)
        }
        OnOperator::Show(id) => to_json(&operators.operator(caller, &id).await?),
        OnOperator::Change(id, body) => {
            let change = OperatorChange::read(&body);
            to_json(&operators.change_operator(caller, &id, &Precondition::None, &change).await?)
        }
        OnOperator::Delete(id) => {
            operators.delete_operator(caller, &id, &Precondition::None).await?;
            Value::Null
        }
        OnOperator::SetupLink(id) => to_json(&operators.new_setup_link(caller, &id).await?),
    })
}

async fn webhook(services: &Services, on: OnWebhook) -> Result<Value, Error> {
    let (caller, webhooks) = (&host_user::manager(), &services.webhooks);
    Ok(match on {
        OnWebhook::Create { workspace_id, body } => {
            let change = WebhookChange::read(&body);
            to_json(&webhooks.create_webhook(caller, &workspace_id, &change, None).await?)
        }
        OnWebhook::Show(id) => to_json(&webhooks.webhook(caller, &id).await?),
        OnWebhook::Change(id, body) => {
            let change = WebhookChange::read(&body);
            to_json(&webhooks.change_webhook(caller, &id, &Precondition::None, &change).await?)
        }
        OnWebhook::Delete(id) => {
            webhooks.delete_webhook(caller, &id, &Precondition::None).await?;
            Value::Null
        }
        OnWebhook::ReplaceKeys(id) => {
            to_json(&webhooks.replace_keys(caller, &id, &NoMembers::default(), None).await?)
        }
        OnWebhook::Test(id) => to_json(&webhooks.test(caller, &id, &NoMembers::default(), None).await?),
        OnWebhook::Resend { webhook_id, delivery_id } => {
            to_json(&webhooks.resend(caller, &webhook_id, &delivery_id, &NoMembers::default()).await?)
        }
    })
}
