//! Sample records, in which most members have a value, and a database with a few of them.

use std::collections::BTreeMap;

use mintmark::model::client::{ActiveTokens, ApiClient};
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::key::{Alg, Phase, SigningKey, UseFor};
use mintmark::model::page::Page;
use mintmark::model::product::Product;
use mintmark::model::scope::Permission;
use mintmark::model::secret::ClientSecret;
use mintmark::model::status::Slot;
use mintmark::model::token::RecordedToken;
use mintmark::model::workspace::Workspace;
use mintmark::storage::Storage;

use crate::support::{Engine, TestDatabase};

/// When the samples were created.
pub(super) const NOW: i64 = 1_790_000_000;

/// Runs an expression in a new transaction and commits it.
macro_rules! change {
    ($storage:expr, $tx:ident => $body:expr) => {{
        let mut $tx = $storage.begin().await.unwrap();
        let outcome = $body.await.unwrap();
        $tx.commit().await.unwrap();
        outcome
    }};
}

pub(super) use change;

pub(super) fn page(limit: u32, after: Option<&str>) -> Page {
    Page { after: after.map(str::to_owned), ..Page::first(limit) }
}

pub(super) fn product(code: &str) -> Product {
    Product {
        product: code.to_owned(),
        name: format!("Product {code} ✓"),
        description: Some(format!("What {code} does:\r\nall of it ✓")),
        audience: Some(format!("https://{code}.example.com")),
        max_token_lifetime_seconds: Some(7200),
        never_expires_allowed: false,
        created_at: NOW,
        updated_at: NOW + 1,
        version: 3,
    }
}

pub(super) fn workspace(id: &str) -> Workspace {
    Workspace {
        workspace_id: id.to_owned(),
        name: format!("Workspace {id} ✓"),
        description: Some(format!("The tenant\n{id} ✓")),
        suspended_at: None,
        never_expires_allowed: true,
        products_allowed: Some(vec!["gst".to_owned(), "e-invoicing".to_owned()]),
        created_at: NOW,
        updated_at: NOW + 1,
        version: 4,
    }
}

/// A client of `acme` that is granted both products of [`stocked`].
pub(super) fn client(client_id: &str) -> ApiClient {
    ApiClient {
        client_id: client_id.to_owned(),
        workspace_id: "acme".to_owned(),
        label: "SAP S/4HANA ✓".to_owned(),
        description: Some("Nightly run\n'finance' ✓".to_owned()),
        products: vec!["e-invoicing".to_owned(), "gst".to_owned()],
        permissions: vec![Permission::Manage, Permission::Read],
        token_expiry: TokenExpiry::After { seconds: 3600 },
        notification_emails: vec!["a@example.com".to_owned(), "\"b c\"@example.com".to_owned()],
        allowed_ips: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        signing_alg: Some(Alg::EdDSA),
        expires_at: Some(NOW + 1_000_000),
        metadata: BTreeMap::from([("cost centre".to_owned(), "\"4711\"\n\u{0}✓".to_owned())]),
        disabled_at: None,
        active_tokens: ActiveTokens::Replace { grace_seconds: 60 },
        generation: 7,
        slot: Some(Slot { list: 3, idx: 131_071 }),
        slots_suspended_at: Some(NOW + 3),
        created_at: NOW,
        updated_at: NOW + 1,
        version: 5,
    }
}

pub(super) fn secret(secret_id: &str, client_id: &str) -> ClientSecret {
    ClientSecret {
        secret_id: secret_id.to_owned(),
        client_id: client_id.to_owned(),
        mac: vec![0, 1, 0x80, 0xff],
        last_four: "x7Qa".to_owned(),
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
        last_used_from: None,
        first_used_at: None,
        used_last_24h: 0,
    }
}

pub(super) fn signing_key(kid: &str) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        alg: Alg::ES256,
        use_for: UseFor::Expiring,
        phase: Phase::Active,
        public_jwk: format!(r#"{{"kid":"{kid}"}}"#),
        sealed_private: Some(vec![0, 0xff, 7]),
        created_at: NOW,
        activates_at: NOW + 900,
        retired_at: None,
        version: 1,
    }
}

/// A token of the client `cl_1` in [`stocked`], signed with the key `k1`.
pub(super) fn token(jti: &str) -> RecordedToken {
    RecordedToken {
        jti: jti.to_owned(),
        client_id: "cl_1".to_owned(),
        workspace_id: "acme".into(),
        kid: "k1".into(),
        generation: 7,
        scope: "e-invoicing gst".into(),
        products: "e-invoicing gst".into(),
        issued_at: NOW,
        expires_at: Some(NOW + 100_000),
        revoked_at: None,
        revoke_at: None,
        slot: Some(Slot { list: 2, idx: 4711 }),
        last_introspected_at: None,
        issued_by: "client".into(),
    }
}

/// A database with the products `e-invoicing` and `gst`, the workspaces `acme` and `other`, in `acme` the client `cl_1`
/// with the secret `s1`, and the active key `k1`.
pub(super) async fn stocked(engine: Engine) -> (TestDatabase, Storage) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    for code in ["gst", "e-invoicing"] {
        assert!(tx.insert_product(&product(code)).await.unwrap());
    }
    for id in ["acme", "other"] {
        assert!(tx.insert_workspace(&workspace(id)).await.unwrap());
    }
    tx.insert_client(&client("cl_1"), "0001").await.unwrap();
    tx.insert_secret(&secret("s1", "cl_1")).await.unwrap();
    assert!(tx.insert_signing_key(&signing_key("k1")).await.unwrap());
    tx.commit().await.unwrap();
    (database, storage)
}
