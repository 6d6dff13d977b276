//! Reads a status list as draft-ietf-oauth-status-list-21 §8.3 says, without code of Mintmark. Also makes clients, tokens and
//! replicas for the tests of status lists.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::ZlibDecoder;
use mintmark::kernel::Manager;
use reqwest::Method;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, reply_as};
use crate::support::{Administrator, Credentials, Reply, TestApp};

/// The media type of a list.
pub(super) const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// A list whose signature was verified with a published key.
#[derive(Debug)]
pub(super) struct List {
    pub(super) reply: Reply,
    pub(super) claims: Value,
    pub(super) kid: String,
    pub(super) bits: Vec<u8>,
}

impl List {
    /// The status in a slot.
    pub(super) fn status(&self, idx: u64) -> u8 {
        let idx = usize::try_from(idx).unwrap();
        (self.bits[idx / 4] >> ((idx % 4) * 2)) & 0b11
    }

    /// When the list was signed.
    pub(super) fn iat(&self) -> i64 {
        self.claims["iat"].as_i64().unwrap()
    }

    /// The entity tag of the reply.
    pub(super) fn etag(&self) -> &str {
        self.reply.header("etag").unwrap()
    }
}

/// The path of the list that a token names.
pub(super) fn path_of(token: &Token) -> String {
    let uri = token.claims["status"]["status_list"]["uri"].as_str().unwrap();
    let issuer = token.claims["iss"].as_str().unwrap();
    uri.strip_prefix(issuer).unwrap().to_owned()
}

/// The slot that a token names.
pub(super) fn idx_of(token: &Token) -> u64 {
    token.claims["status"]["status_list"]["idx"].as_u64().unwrap()
}

/// The reply to a GET of a list.
pub(super) async fn ask(app: &TestApp, path: &str) -> Reply {
    Reply::to(app.request(Method::GET, path).header("accept", MEDIA_TYPE)).await
}

/// The list at `path`, which must be there.
pub(super) async fn list_at(app: &TestApp, path: &str) -> List {
    let reply = ask(app, path).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(MEDIA_TYPE)), "{reply:?}");
    let text = reply.text();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
    let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
    let kid = header["kid"].as_str().unwrap().to_owned();
    assert_eq!(header, json!({"alg": "ES256", "kid": kid, "typ": "statuslist+jwt"}));
    let keys = Reply::of(app.get("/.well-known/jwks.json").await).await.json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str());
    let key = key.unwrap_or_else(|| panic!("the list is signed by {kid}, which is not in {keys}"));
    let point = |member: &str| decoded(key[member].as_str().unwrap());
    let public = [vec![4], point("x"), point("y")].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    public.verify(signed.as_bytes(), &decoded(signature)).expect("the signature of the list");
    let mut bits = Vec::new();
    let lst = decoded(claims["status_list"]["lst"].as_str().unwrap());
    ZlibDecoder::new(&*lst).read_to_end(&mut bits).unwrap();
    List { reply, claims, kid, bits }
}

/// The status of a token in its list.
pub(super) async fn status_of(app: &TestApp, token: &Token) -> u8 {
    list_at(app, &path_of(token)).await.status(idx_of(token))
}

/// How many lists were read from the database, and how many signed.
pub(super) fn read_and_signed(app: &TestApp) -> (u64, u64) {
    app.core.services.status_lists.read_and_signed()
}

/// A client of `platform` with the product `gst` and these other members.
pub(super) async fn client(admin: &Administrator<'_>, more: Value) -> Credentials {
    let mut members = json!({"products": ["gst"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.client("platform", members).await.0
}

/// Creates the product `gst`, and a client with it whose tokens never expire.
pub(super) async fn never_expiring(admin: &Administrator<'_>) -> Credentials {
    admin.product("gst", json!({})).await;
    client(admin, json!({"token_expiry": {"mode": "never"}})).await
}

/// A token of a client.
pub(super) async fn token(app: &TestApp, client: &Credentials) -> Token {
    issued(&reply_as(app, client, GRANT).await)
}

/// Revokes a recorded token on this replica. When this returns, the revocation is acknowledged.
pub(super) async fn revoke(app: &TestApp, token: &Token) {
    let claim = |name: &str| token.claims[name].as_str().unwrap();
    app.core
        .services
        .tokens
        .revoke_token(&Manager::command_line(), claim("client_id"), claim("jti"))
        .await
        .unwrap();
}

/// A second replica of the same issuer.
pub(super) async fn replica(app: &TestApp, settings: &str) -> TestApp {
    app.replica(&format!("server.public_url = {:?}\n{settings}", app.base)).await
}
