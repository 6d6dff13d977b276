//! The service as it is deployed: an optimised binary with default settings on SQLite, in a folder of its own. Only its address
//! and the number of workers, which is one, are set.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mintmark::app::Core;
use mintmark::clients::ClientChange;
use mintmark::config::Settings;
use mintmark::kernel::Manager;
use mintmark::model::clock::SystemClock;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::member::{Member, WordOrNumber};
use mintmark::tenants::{ProductChange, WorkspaceChange};
use tempfile::TempDir;

use crate::generate;
use crate::process::{Server, pinned, shortest_ms};

/// An API client.
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// A running service with clients.
pub(crate) struct Mintmark {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    /// A client whose tokens never expire, so that each of them is recorded.
    pub(crate) never_expiring: Client,
    _folder: TempDir,
}

impl Mintmark {
    /// Makes the clients and starts the service.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut clients = make_clients(folder.path(), crate::CLIENTS);
        let never_expiring = clients.pop().expect("the last one");
        let address = free_address();
        let server = Server::spawn(command(folder.path(), &address), address);
        Self { server, clients, never_expiring, _folder: folder }
    }

    /// How many tokens were recorded, and in how many commits, according to the metrics of the service.
    pub(crate) fn recorded_tokens_and_commits(&self) -> (f64, f64) {
        let text = generate::metrics(&self.server.address);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the metric is there");
            line.trim().parse::<f64>().expect("a number")
        };
        (value("mintmark_recorded_tokens_total"), value("mintmark_recorded_token_commits_total"))
    }

    /// Gets a token for every client. Returns the number of clients.
    pub(crate) fn use_every_client(&self) -> usize {
        for client in &self.clients {
            let status = generate::one(&self.server.address, &client.client_id, &client.client_secret);
            assert_eq!(status, "HTTP/1.1 200 OK");
        }
        self.clients.len()
    }
}

/// The time in ms from the start of the process to the first token, with an existing database.
pub(crate) fn cold_start_ms() -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let client = make_clients(folder.path(), 1).remove(0);
    let address = free_address();
    shortest_ms(|| {
        let mut server = Server::spawn(command(folder.path(), &address), address.clone());
        while generate::one(&server.address, &client.client_id, &client.client_secret) != "HTTP/1.1 200 OK" {
            server.check_runs();
            std::hint::spin_loop();
        }
    })
}

fn command(folder: &Path, address: &str) -> Command {
    let mut command = pinned("0", env!("CARGO_BIN_EXE_mintmark"));
    command
        .current_dir(folder)
        .env("MINTMARK__SERVER__LISTEN", address)
        .env("MINTMARK__SERVER__WORKERS", "1");
    command
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").to_string()
}

/// Makes `count` clients, and one more whose tokens never expire.
fn make_clients(folder: &Path, count: usize) -> Vec<Client> {
    let data = folder.join("data");
    let settings = format!(
        "database.url = \"sqlite://{0}/mintmark.db\"\nkeys.master_key_file = \"{0}/master.key\"\n",
        data.display()
    );
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("master.key"), [0x5a_u8, 0xa5].repeat(16)).expect("a master key");
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(data.join("master.key"), owner_only).expect("its mode");
    let settings = Settings::from_toml_layers(&[&settings]).expect("settings");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let core = Core::open(&settings, Arc::new(SystemClock)).await.expect("a database");
        let caller = Manager::command_line();
        let services = &core.services;
        let text = |text: &str| Member::Value(text.to_owned());
        for code in ["e-invoicing", "gst"] {
            let product = ProductChange { name: text(code), ..ProductChange::default() };
            services.tenants.create_product(&caller, &text(code), &product, None).await.expect("a product");
        }
        let workspace = WorkspaceChange { name: text("Acme"), ..WorkspaceChange::default() };
        services
            .tenants
            .create_workspace(&caller, &text("acme-in"), &workspace, None)
            .await
            .expect("a workspace");
        let mut wanted = ClientChange {
            label: text("ERP"),
            products: Member::Value(vec!["e-invoicing".to_owned(), "gst".to_owned()]),
            ..ClientChange::default()
        };
        let mut clients = Vec::with_capacity(count + 1);
        for number in 0..=count {
            if number == count {
                wanted.token_expiry = Member::Value(TokenExpiry::Never {});
                // By default the 21st token would revoke the first, and each later token another one.
                wanted.active_tokens = Member::Value(WordOrNumber::Word("many".to_owned()));
            }
            let made =
                services.clients.create_client(&caller, "acme-in", &wanted, None).await.expect("a client");
            let (client_id, client_secret) = (made.record.client.client_id, made.secret.expose().to_owned());
            clients.push(Client { client_id, client_secret });
        }
        core.services.close().await;
        clients
    })
}
