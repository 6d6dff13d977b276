//! A small OpenID Connect provider on loopback, with its own key. The test says which account signs in there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::TestApp;

pub(super) const CLIENT: &str = "mintmark";
/// Has characters that form encoding changes.
pub(super) const SECRET: &str = "s3cret +/%:";

/// The provider. Its key, and whether it sends `iss`, can be changed at any time.
pub(super) struct Provider {
    pub(super) issuer: String,
    state: Arc<Mutex<State>>,
}

struct State {
    key: EcdsaKeyPair,
    kid: String,
    codes: BTreeMap<String, Grant>,
    /// Whether replies have `iss` (RFC 9207), and the metadata says so.
    announces_iss: bool,
    /// Path and body of every request.
    requests: Vec<String>,
}

/// What belongs to a code that was not exchanged yet.
struct Grant {
    challenge: String,
    redirect_uri: String,
    claims: Value,
}

impl Provider {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let state = State {
            key: new_key(),
            kid: "k1".to_owned(),
            codes: BTreeMap::new(),
            announces_iss: false,
            requests: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let (served, base) = (Arc::clone(&state), issuer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &base, &mut served.lock().unwrap());
            }
        });
        Self { issuer, state }
    }

    /// The settings of a service that uses this provider.
    pub(super) fn settings(&self, role_claim: &str) -> String {
        let issuer = &self.issuer;
        format!(
            "outbound.allow = [\"127.0.0.1\"]\n[[console.oidc]]\nname = \"corp\"\nissuer = \"{issuer}\"\n\
             client_id = \"{CLIENT}\"\nclient_secret = \"{SECRET}\"\nrole_claim = \"{role_claim}\"\n"
        )
    }

    /// From now on, replies have `iss`, and the metadata says so.
    pub(super) fn announce_iss(&self) {
        self.state.lock().unwrap().announces_iss = true;
    }

    /// Replaces the key by one with this `kid`.
    pub(super) fn rotate(&self, kid: &str) {
        let mut state = self.state.lock().unwrap();
        state.key = new_key();
        kid.clone_into(&mut state.kid);
    }

    /// How many requests have this text in their path or body; all, if it is empty.
    pub(super) fn count(&self, text: &str) -> usize {
        self.state.lock().unwrap().requests.iter().filter(|request| request.contains(text)).count()
    }

    /// Checks the authorization request in `location`, and signs in. `claims` replace those of a valid ID token or are added to
    /// them; null removes a claim. Returns the parameters of the reply.
    pub(super) fn sign_in(&self, app: &TestApp, location: &str, claims: &Value) -> Reply {
        let (endpoint, query) = location.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{}/auth", self.issuer));
        let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
        assert_eq!((get("response_type").as_str(), get("client_id").as_str()), ("code", CLIENT));
        assert_eq!(
            (get("code_challenge_method").as_str(), get("scope").as_str()),
            ("S256", "openid email profile")
        );
        assert_eq!(get("redirect_uri"), format!("{}/console/sign-in/oidc/corp/callback", app.base));
        for random in ["state", "nonce", "code_challenge"] {
            assert_eq!(get(random).len(), 43, "{random}");
        }
        let now = app.core.services.clock().now();
        let mut good = json!({"iss": self.issuer, "sub": "u1", "aud": CLIENT, "exp": now + 300, "iat": now,
            "nonce": get("nonce"), "email": "ada@example.com", "name": "Ada"});
        if get("max_age") == "0" {
            good["auth_time"] = json!(now);
        }
        for (claim, value) in claims.as_object().unwrap() {
            if value.is_null() {
                good.as_object_mut().unwrap().remove(claim);
            } else {
                good[claim] = value.clone();
            }
        }
        let mut state = self.state.lock().unwrap();
        let code = format!("code {}", state.codes.len());
        let grant =
            Grant { challenge: get("code_challenge"), redirect_uri: get("redirect_uri"), claims: good };
        state.codes.insert(code.clone(), grant);
        let mut reply = Reply(vec![("code".to_owned(), code), ("state".to_owned(), get("state"))]);
        if state.announces_iss {
            reply = reply.with("iss", &self.issuer);
        }
        reply
    }
}

/// The parameters with which the provider sends a browser back to the console.
#[derive(Clone)]
pub(super) struct Reply(Vec<(String, String)>);

impl Reply {
    /// Sets a parameter, or removes it if `value` is empty.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(super) fn path(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        format!("/console/sign-in/oidc/corp/callback?{query}")
    }
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

fn answer(mut stream: TcpStream, issuer: &str, state: &mut State) {
    let request = read(&mut stream);
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((&request, ""));
    let path = head.split(' ').nth(1).unwrap_or_default();
    state.requests.push(format!("{path} {body}"));
    let (status, reply) = match path {
        "/realm/.well-known/openid-configuration" => (
            200,
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
                "authorization_response_iss_parameter_supported": state.announces_iss,
            }),
        ),
        "/realm/jwks" => {
            let point = state.key.public_key().as_ref();
            let key = json!({"kty": "EC", "crv": "P-256", "kid": state.kid, "use": "sig", "alg": "ES256",
                "x": encode(&point[1..33]), "y": encode(&point[33..])});
            (200, json!({"keys": [key]}))
        }
        "/realm/token" => exchange(head, body, state),
        _ => (404, json!({})),
    };
    let reply = reply.to_string();
    let head =
        format!("HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {}", reply.len());
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{reply}").as_bytes()).unwrap();
}

fn exchange(head: &str, body: &str, state: &mut State) -> (u16, Value) {
    let sent: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET)));
    if !head.contains(&format!("Basic {basic}")) {
        return (401, json!({"error": "invalid_client"}));
    }
    let grant = sent.get("code").and_then(|code| state.codes.remove(code));
    let Some(grant) = grant else { return (400, json!({"error": "invalid_grant"})) };
    let challenge = encode(digest(&SHA256, sent["code_verifier"].as_bytes()));
    if challenge != grant.challenge
        || sent["redirect_uri"] != grant.redirect_uri
        || sent["grant_type"] != "authorization_code"
    {
        return (400, json!({"error": "invalid_grant"}));
    }
    let header = json!({"alg": "ES256", "kid": state.kid});
    let text = format!("{}.{}", encode(header.to_string()), encode(grant.claims.to_string()));
    let signature = state.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    let token = format!("{text}.{}", encode(signature));
    (200, json!({"access_token": "at", "token_type": "Bearer", "id_token": token}))
}

/// Reads a whole request.
fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let length = stream.read(&mut part).unwrap();
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let announced = text.to_ascii_lowercase();
        let announced =
            announced.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if length == 0 || body.is_some_and(|body| body >= announced.unwrap_or(0)) {
            return text;
        }
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
