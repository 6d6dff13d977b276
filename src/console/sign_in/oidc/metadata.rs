//! What a provider publishes about itself (OpenID Connect Discovery 1.0 §3).

use serde::Deserialize;

use super::refused::Refused;

/// The part of the metadata that a sign-in needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    /// Whether every reply names the issuer (RFC 9207 §3).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Where the metadata of an issuer is (OpenID Connect Discovery 1.0 §4).
    pub(super) fn url(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads the metadata of `issuer`. It must name exactly this issuer, byte for byte (§4.3).
    pub(super) fn read(body: &[u8], issuer: &str) -> Result<Self, Refused> {
        let read: Self = serde_json::from_slice(body).map_err(|_| {
            Refused::Metadata(
                "it is not JSON with issuer, authorization_endpoint, token_endpoint and jwks_uri",
            )
        })?;
        if read.issuer != issuer {
            return Err(Refused::Metadata("its issuer is not the one in the settings"));
        }
        let endpoint = &read.authorization_endpoint;
        if endpoint.contains('#') || !endpoint.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refused::Metadata("its authorization_endpoint has a fragment or is no URL"));
        }
        Ok(read)
    }

    /// Fails if a reply does not come from this provider: its `iss` must be the issuer, and may be absent only if the metadata
    /// does not announce it (RFC 9207 §2.4).
    pub(super) fn check_reply_issuer(&self, iss: Option<&str>) -> Result<(), Refused> {
        match iss {
            Some(iss) if iss == self.issuer => Ok(()),
            None if !self.authorization_response_iss_parameter_supported => Ok(()),
            _ => Err(Refused::ReplyIssuer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example.com/realms/corp";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example.com/auth?x=1",
            "token_endpoint": "https://login.example.com/token",
            "jwks_uri": "https://login.example.com/keys",
            "grant_types_supported": ["authorization_code"],
        })
    }

    fn read(document: &Value) -> Result<Metadata, Refused> {
        Metadata::read(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn metadata_of_another_issuer_or_without_a_usable_url_is_refused() {
        assert_eq!(Metadata::url(ISSUER), format!("{ISSUER}/.well-known/openid-configuration"));
        assert_eq!(Metadata::url("https://a.example/"), "https://a.example/.well-known/openid-configuration");
        assert_eq!(read(&document()).unwrap().jwks_uri, "https://login.example.com/keys");
        for (member, value) in [
            ("issuer", json!("https://login.example.com/realms/other")),
            ("issuer", json!(format!("{ISSUER}/"))),
            ("issuer", json!("https://LOGIN.example.com/realms/corp")),
            ("issuer", Value::Null),
            ("token_endpoint", Value::Null),
            ("token_endpoint", json!(1)),
            ("jwks_uri", Value::Null),
            ("authorization_endpoint", json!("https://login.example.com/auth#x")),
            ("authorization_endpoint", json!("https://login.example.com/a\r\nb")),
        ] {
            let mut document = document();
            document[member] = value.clone();
            assert!(matches!(read(&document), Err(Refused::Metadata(_))), "{member}: {value}");
        }
        for body in [&b""[..], b"[]", b"<html>", br#"{"issuer": "a", "issuer": "b"}"#] {
            assert!(matches!(Metadata::read(body, ISSUER), Err(Refused::Metadata(_))));
        }
    }

    #[test]
    fn iss_of_a_reply_is_compared_if_it_is_there_and_required_if_announced() {
        let silent = read(&document()).unwrap();
        let mut announced = document();
        announced["authorization_response_iss_parameter_supported"] = json!(true);
        let announced = read(&announced).unwrap();
        for metadata in [&silent, &announced] {
            assert_eq!(metadata.check_reply_issuer(Some(ISSUER)), Ok(()));
            for wrong in ["https://evil.example", "", "https://login.example.com/realms/corp/"] {
                assert_eq!(metadata.check_reply_issuer(Some(wrong)), Err(Refused::ReplyIssuer), "{wrong}");
            }
        }
        assert_eq!(silent.check_reply_issuer(None), Ok(()));
        assert_eq!(announced.check_reply_issuer(None), Err(Refused::ReplyIssuer));
    }
}
