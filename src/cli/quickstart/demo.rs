//! The data of the demo: a workspace, two products, an API client with one secret. What an earlier run created is used again:
//! the workspace and the client are made active, and a new secret replaces the old one.

use crate::cli::Failure;
use crate::cli::host_user;
use crate::cli::opened::all_pages;
use crate::clients::{ClientChange, ClientFilter, ClientSort, NewSecret};
use crate::kernel::{Error, Manager, Precondition};
use crate::model::member::Member;
use crate::model::secret::PlainSecret;
use crate::services::Services;
use crate::tenants::{ProductChange, WorkspaceChange};

pub(super) const WORKSPACE: &str = "demo";
pub(super) const PRODUCTS: [&str; 2] = ["e-invoicing", "gst"];
const PRODUCT_NAMES: [&str; 2] = ["E-Invoicing", "GST"];
/// The label by which the API client of an earlier run is found.
const LABEL: &str = "Quickstart ERP";

/// The API client of the demo with its new secret.
pub(super) struct Demo {
    pub(super) client_id: String,
    pub(super) client_secret: PlainSecret,
    /// Whether the secret replaces one of an earlier run.
    pub(super) again: bool,
}

impl Demo {
    /// Creates what is missing, and a new secret.
    pub(super) async fn prepare(services: &Services) -> Result<Self, Failure> {
        let caller = host_user::manager();
        make_products(services, &caller).await?;
        make_workspace(services, &caller).await?;
        let wanted = ClientChange {
            label: text(LABEL),
            products: Member::Value(PRODUCTS.map(str::to_owned).to_vec()),
            status: text("active"),
            ..ClientChange::default()
        };
        let Some(client_id) = known_client(services, &caller).await? else {
            let made = services.clients.create_client(&caller, WORKSPACE, &wanted, None).await?;
            let client_id = made.record.client.client_id;
            return Ok(Self { client_id, client_secret: made.secret, again: false });
        };
        services.clients.change_client(&caller, &client_id, &Precondition::None, &wanted).await?;
        let replacing = NewSecret { expire_others_after_seconds: Some(0), ..NewSecret::default() };
        let made = services.clients.add_secret(&caller, &client_id, &replacing, None).await?;
        Ok(Self { client_id, client_secret: made.secret, again: true })
    }
}

async fn make_products(services: &Services, caller: &Manager) -> Result<(), Failure> {
    for (code, name) in PRODUCTS.into_iter().zip(PRODUCT_NAMES) {
        match services.tenants.product(caller, code).await {
            Err(Error::NotFound(_)) => {
                let named = ProductChange { name: text(name), ..ProductChange::default() };
                services.tenants.create_product(caller, &text(code), &named, None).await?;
            }
            found => drop(found?),
        }
    }
    Ok(())
}

async fn make_workspace(services: &Services, caller: &Manager) -> Result<(), Failure> {
    match services.tenants.workspace(caller, WORKSPACE).await {
        Err(Error::NotFound(_)) => {
            let named = WorkspaceChange { name: text("Demo"), ..WorkspaceChange::default() };
            services.tenants.create_workspace(caller, &text(WORKSPACE), &named, None).await?;
        }
        Ok(_) => {
            let active = WorkspaceChange { status: text("active"), ..WorkspaceChange::default() };
            services.tenants.change_workspace(caller, WORKSPACE, &Precondition::None, &active).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The API client of an earlier run.
async fn known_client(services: &Services, caller: &Manager) -> Result<Option<String>, Failure> {
    let filter = ClientFilter { label: Some(LABEL.to_owned()), ..ClientFilter::default() };
    let found = all_pages(async |page| {
        services.clients.clients(caller, Some(WORKSPACE), &filter, ClientSort::default(), &page).await
    })
    .await?;
    // The filter also finds labels that contain this one. Of several with this label, the oldest is ours; it comes last in
    // the list.
    Ok(found
        .into_iter()
        .rev()
        .map(|record| record.client)
        .find(|client| client.label == LABEL)
        .map(|c| c.client_id))
}

fn text(value: &str) -> Member<String> {
    Member::Value(value.to_owned())
}
