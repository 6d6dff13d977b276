//! A signing key as requests use it: parsed, with its class and its JWT headers in base64url (RFC 7515 §7.1).
//!
//! A compact JWS is built in one buffer of the right size; nothing else is allocated, except inside the library for RSA.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key::KeyPair;
use super::private_key::{MAX_SIGNATURE_LEN, SignError};
use crate::model::key::{Alg, UseFor};

/// The `typ` of a JWT header (RFC 7519 §5.1), which keeps kinds of tokens apart (RFC 8725 §3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTyp {
    /// `at+jwt`: an access token by RFC 9068.
    AccessToken,
    /// `JWT`: an access token without `exp`, which RFC 9068 does not allow.
    Jwt,
    /// `statuslist+jwt`: a Token Status List (draft-ietf-oauth-status-list-21 §5.1).
    StatusList,
    /// `token-introspection+jwt`: an introspection response (RFC 9701 §5).
    Introspection,
}

impl TokenTyp {
    /// The value of `typ`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::Jwt => "JWT",
            Self::StatusList => "statuslist+jwt",
            Self::Introspection => "token-introspection+jwt",
        }
    }
}

/// A key as requests use it. All requests share it, so it is parsed only once.
pub struct SigningHandle {
    pair: KeyPair,
    kid: Arc<str>,
    use_for: UseFor,
    access_token_header: Box<str>,
    jwt_header: Box<str>,
    status_list_header: Box<str>,
    introspection_header: Box<str>,
}

impl SigningHandle {
    /// A handle for a parsed key, with its headers.
    pub fn new(pair: KeyPair, use_for: UseFor) -> Arc<Self> {
        let header = |typ: TokenTyp| {
            let json =
                format!(r#"{{"alg":"{}","kid":"{}","typ":"{}"}}"#, pair.alg(), pair.kid(), typ.as_str());
            URL_SAFE_NO_PAD.encode(json).into_boxed_str()
        };
        Arc::new(Self {
            access_token_header: header(TokenTyp::AccessToken),
            jwt_header: header(TokenTyp::Jwt),
            status_list_header: header(TokenTyp::StatusList),
            introspection_header: header(TokenTyp::Introspection),
            kid: pair.kid().into(),
            pair,
            use_for,
        })
    }

    /// The RFC 7638 thumbprint of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// [`SigningHandle::kid`] without a copy of the text, for the rows of tokens.
    pub fn shared_kid(&self) -> Arc<str> {
        Arc::clone(&self.kid)
    }

    /// The algorithm it signs with.
    pub fn alg(&self) -> Alg {
        self.pair.alg()
    }

    /// The class of tokens it signs.
    pub fn use_for(&self) -> UseFor {
        self.use_for
    }

    /// The key itself.
    pub fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// The header of that kind in base64url: `{"alg","kid","typ"}`, in this order.
    pub fn header(&self, typ: TokenTyp) -> &str {
        match typ {
            TokenTyp::AccessToken => &self.access_token_header,
            TokenTyp::Jwt => &self.jwt_header,
            TokenTyp::StatusList => &self.status_list_header,
            TokenTyp::Introspection => &self.introspection_header,
        }
    }

    /// The length of a JWT in compact form, in characters. `claims` is the length of its claims in bytes.
    pub fn jwt_len(&self, typ: TokenTyp, claims: usize) -> usize {
        self.header(typ).len() + 1 + encoded_len(claims) + 1 + encoded_len(self.pair.signature_len())
    }

    /// Signs `claims` (a JSON object in UTF-8) as a JWT in compact form.
    pub fn sign_jwt(&self, typ: TokenTyp, claims: &[u8]) -> Result<String, SignError> {
        let mut jwt = String::with_capacity(self.jwt_len(typ, claims.len()));
        jwt.push_str(self.header(typ));
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
        let mut buffer = [0; MAX_SIGNATURE_LEN];
        let signature = self.pair.sign(jwt.as_bytes(), &mut buffer)?;
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        Ok(jwt)
    }
}

impl fmt::Debug for SigningHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningHandle")
            .field("pair", &self.pair)
            .field("use_for", &self.use_for)
            .finish_non_exhaustive()
    }
}

/// The length of `bytes` bytes in base64url without padding (RFC 4648 §5).
const fn encoded_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::{Value, json};

    use super::super::key::NewKey;
    use super::super::sample::RSA;
    use super::*;

    #[test]
    fn a_jwt_is_built_in_one_buffer_of_the_right_size() {
        for key in
            [NewKey::generate(Alg::ES256), NewKey::generate(Alg::EdDSA), NewKey::import(Alg::PS256, &RSA)]
        {
            let handle = SigningHandle::new(key.unwrap().into_pair(), UseFor::Expiring);
            for length in [0, 1, 2, 3, 500, 2000] {
                let jwt = handle.sign_jwt(TokenTyp::AccessToken, &vec![b' '; length]).unwrap();
                assert_eq!(jwt.len(), jwt.capacity(), "{length} bytes by {}", handle.alg());
            }
        }
    }

    #[test]
    fn jsonwebtoken_accepts_the_signatures_and_refuses_forged_ones() {
        mintmark_verifier::provider::install();
        // This `exp` is the last second of the year 9999.
        let claims = json!({"sub": "cl_x", "exp": 253_402_300_799_i64, "aud": "https://api.example.com"});
        for (key, algorithm) in [
            (NewKey::generate(Alg::ES256), Algorithm::ES256),
            (NewKey::generate(Alg::EdDSA), Algorithm::EdDSA),
            (NewKey::import(Alg::RS256, &RSA), Algorithm::RS256),
            (NewKey::import(Alg::PS256, &RSA), Algorithm::PS256),
        ] {
            let handle = SigningHandle::new(key.unwrap().into_pair(), UseFor::Expiring);
            let jwk: Jwk = serde_json::from_str(&handle.pair().public().json).unwrap();
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&["https://api.example.com"]);
            let token = handle.sign_jwt(TokenTyp::AccessToken, claims.to_string().as_bytes()).unwrap();
            let decoded = decode::<Value>(&token, &key, &validation).unwrap();
            assert_eq!(decoded.claims, claims);
            assert_eq!(decoded.header.kid.as_deref(), Some(handle.kid()));
            assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
            let forged = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
            assert!(decode::<Value>(&forged, &key, &validation).is_err(), "{}", handle.alg());
        }
    }

    #[test]
    fn the_header_names_algorithm_key_and_type_in_this_order() {
        let handle =
            SigningHandle::new(NewKey::generate(Alg::ES256).unwrap().into_pair(), UseFor::NeverExpiring);
        for (typ, name) in [
            (TokenTyp::AccessToken, "at+jwt"),
            (TokenTyp::Jwt, "JWT"),
            (TokenTyp::StatusList, "statuslist+jwt"),
            (TokenTyp::Introspection, "token-introspection+jwt"),
        ] {
            let jwt = handle.sign_jwt(typ, b"{}").unwrap();
            let header = URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
            let text = String::from_utf8(header).unwrap();
            assert_eq!(text, format!(r#"{{"alg":"ES256","kid":"{}","typ":"{name}"}}"#, handle.kid()));
            let parsed: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(parsed, json!({"alg": "ES256", "kid": handle.kid(), "typ": name}));
        }
    }
}
