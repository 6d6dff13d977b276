//! Tests that call the services directly, because they need more than HTTP: the stored records, or an exact order of steps.

mod audit_tree;
mod bootstrap;
mod cache;
mod clients;
mod heartbeat;
mod key_deletion;
mod lives;
mod operators;
mod recording;
mod reminders;
mod secrets;
mod signing_failures;
mod year;

use std::sync::Arc;

use mintmark::app::Core;
use mintmark::clients::{ClientChange, CreatedClient};
use mintmark::config::Settings;
use mintmark::kernel::Manager;
use mintmark::model::clock::ManualClock;
use mintmark::model::member::Member;
use mintmark::model::product::Product;
use mintmark::model::workspace::Workspace;
use mintmark::services::Services;
use mintmark::storage::{Change, Storage};

use crate::support::{Engine, TestDatabase};

/// The time at which every test starts.
const START: i64 = 1_790_000_000;

/// A database with a clock, for any number of processes.
struct Place {
    database: TestDatabase,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new(engine: Engine) -> Self {
        Self { database: TestDatabase::new(engine), clock: Arc::new(ManualClock::at(START)) }
    }

    /// Starts a process on the database, with the default settings.
    async fn core(&self) -> Core {
        self.core_with("").await
    }

    /// Starts a process on the database, with these settings over the defaults.
    async fn core_with(&self, more: &str) -> Core {
        let own = format!(
            "server.public_url = \"http://127.0.0.1:1\"\ndatabase.url = {:?}\n\
             keys.master_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n{more}\n",
            self.database.url()
        );
        let settings = Settings::from_toml_layers(&[&own]).unwrap();
        Core::open(&settings, self.clock.clone()).await.unwrap()
    }

    /// Starts a process and returns its services.
    async fn services(&self) -> Arc<Services> {
        self.core().await.services
    }

    /// Starts a process with these settings and returns its services.
    async fn services_with(&self, more: &str) -> Arc<Services> {
        self.core_with(more).await.services
    }

    /// The database itself, without a process.
    async fn storage(&self) -> Storage {
        self.database.open().await
    }

    /// Adds the workspace `acme` and the products `gst` and `e-invoicing`.
    async fn furnish(&self) {
        let storage = self.storage().await;
        let mut tx = storage.begin().await.unwrap();
        assert!(tx.insert_workspace(&workspace("acme")).await.unwrap());
        for code in ["gst", "e-invoicing"] {
            assert!(tx.insert_product(&product(code)).await.unwrap());
            tx.changed(Change::Product(code.to_owned()));
        }
        tx.commit().await.unwrap();
    }
}

fn workspace(id: &str) -> Workspace {
    Workspace {
        workspace_id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        suspended_at: None,
        never_expires_allowed: true,
        products_allowed: None,
        created_at: START,
        updated_at: START,
        version: 1,
    }
}

fn product(code: &str) -> Product {
    Product {
        product: code.to_owned(),
        name: code.to_owned(),
        description: None,
        audience: None,
        max_token_lifetime_seconds: None,
        never_expires_allowed: true,
        created_at: START,
        updated_at: START,
        version: 1,
    }
}

fn admin() -> Manager {
    Manager::command_line()
}

/// A change that sets the label and the products.
fn wanted(label: &str, products: &[&str]) -> ClientChange {
    ClientChange {
        label: Member::Value(label.to_owned()),
        products: Member::Value(products.iter().map(|&code| code.to_owned()).collect()),
        ..ClientChange::default()
    }
}

/// A new client of `acme` with the products `gst` and `e-invoicing`.
async fn erp(services: &Services) -> CreatedClient {
    services
        .clients
        .create_client(&admin(), "acme", &wanted("ERP", &["gst", "e-invoicing"]), None)
        .await
        .unwrap()
}
