//! The crate `oauth2` gets tokens with `client_secret_basic`, where it form-encodes id and secret (RFC 6749 §2.3.1), and
//! with `client_secret_post`.

use std::time::Duration;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{AuthType, ClientId, ClientSecret, RequestTokenError, Scope, TokenResponse as _, TokenUrl};

use crate::world::{Cell, World};

type Failed = RequestTokenError<oauth2::HttpClientError<reqwest::Error>, oauth2::basic::BasicErrorResponse>;

/// Gets a token with the crate, as its documentation shows.
pub fn fetch_token(cell: &Cell, secret: &str, method: AuthType) -> Result<BasicTokenResponse, Failed> {
    let endpoint = cell.metadata()["token_endpoint"].as_str().unwrap().to_owned();
    let http = oauth2::reqwest::blocking::ClientBuilder::new()
        .redirect(oauth2::reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    BasicClient::new(ClientId::new(cell.client_id.clone()))
        .set_client_secret(ClientSecret::new(secret.to_owned()))
        .set_token_uri(TokenUrl::new(endpoint).unwrap())
        .set_auth_type(method)
        .exchange_client_credentials()
        .add_scope(Scope::new(cell.scope.clone()))
        .request(&http)
}

fn check(method: &AuthType) {
    for cell in World::read().cells.values() {
        let reply = fetch_token(cell, &cell.client_secret, method.clone()).unwrap();
        assert_eq!(reply.scopes(), Some(&vec![Scope::new(cell.scope.clone())]));
        // For a token that never expires, the reply says one year.
        let seconds = if cell.kind == "normal" { 3600 } else { 31_536_000 };
        assert_eq!(reply.expires_in(), Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn oauth2_gets_tokens_with_basic() {
    check(&AuthType::BasicAuth);
}

#[test]
fn oauth2_gets_tokens_with_post() {
    check(&AuthType::RequestBody);
}

#[test]
fn oauth2_understands_the_refusal_of_a_wrong_secret() {
    let world = World::read();
    let mut cells = world.cells.values();
    let (cell, other) = (cells.next().unwrap(), cells.next().unwrap());
    let refusal = fetch_token(cell, &other.client_secret, AuthType::BasicAuth).unwrap_err();
    let RequestTokenError::ServerResponse(said) = refusal else { panic!("not understood: {refusal}") };
    assert_eq!(*said.error(), oauth2::basic::BasicErrorResponseType::InvalidClient);
}
