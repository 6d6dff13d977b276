//! The crate `jsonwebtoken`, with its crypto backend `rust_crypto`, verifies tokens with its default options.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use oauth2::{AuthType, TokenResponse as _};
use serde_json::Value;

use crate::clients::fetch_token;
use crate::world::{Cell, World, get};

fn verify(cell: &Cell) -> Result<Value, String> {
    let token = fetch_token(cell, &cell.client_secret, AuthType::BasicAuth).unwrap();
    let token = token.access_token().secret();
    let keys: JwkSet = serde_json::from_value(get(cell.metadata()["jwks_uri"].as_str().unwrap())).unwrap();
    let header = decode_header(token).unwrap();
    let key = keys.find(&header.kid.unwrap()).expect("the key is published");
    let mut validation = Validation::new(cell.alg.parse().unwrap());
    validation.set_issuer(&[&cell.issuer]);
    validation.set_audience(&[&cell.audience]);
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
        .map(|token| token.claims)
        .map_err(|error| format!("{:?}", error.kind()))
}

#[test]
fn jsonwebtoken_gives_the_expected_verdicts() {
    let world = World::read();
    for (name, cell) in &world.cells {
        world.judge("jsonwebtoken (Rust)", name, verify(cell));
    }
}
