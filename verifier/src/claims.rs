//! The claims of an access token (RFC 9068 §2.2, RFC 7519 §4.1): names, types and member order, shared by the issuer
//! and the verifier. The issuer signs [`ClaimsRef`], which borrows everything; a verified token gives
//! [`AccessTokenClaims`]. The owned form serialises through the borrowed one, so both write the same JSON.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

use crate::VerifyError;

/// The `exp` of a never-expiring token in the form `far` (in the form `omit` it has none): 2200-01-01T00:00:00Z, in Unix
/// seconds. The year is not later because programs that count nanoseconds in 64 bits read an instant after 2262 as one in
/// the past. Earlier versions of Mintmark wrote a later `exp`; every one from this value to [`LAST_DATE`] is `far`.
pub const FAR_EXP: i64 = 7_258_118_400;

/// The last instant that a claim may have: 9999-12-31T23:59:59Z, in Unix seconds. A token with a later one is refused.
pub const LAST_DATE: i64 = 253_402_300_799;

/// The claims of a verified access token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessTokenClaims {
    /// The issuer: Mintmark's public URL.
    pub iss: String,
    /// The subject, equal to `client_id`: these tokens act for the API client itself (RFC 9068 §2.2).
    pub sub: String,
    /// The API client the token was issued to, `cl_…`.
    pub client_id: String,
    /// The audiences; on the wire a string when there is one (RFC 7519 §4.1.3).
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// When the token was issued, in Unix seconds.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    /// When the token expires, in Unix seconds. For a never-expiring token [`FAR_EXP`], a later instant, or absent.
    #[serde(default, deserialize_with = "present_date")]
    pub exp: Option<i64>,
    /// The token's own id.
    pub jti: String,
    /// The granted scope, space-separated (RFC 6749 §3.3).
    pub scope: String,
    /// The workspace (tenant) of the client.
    pub workspace_id: String,
    /// The products the token includes; always an array.
    pub products: Vec<String>,
    /// True for a token that does not expire.
    #[serde(default)]
    pub never_expires: bool,
    /// Where the status of the token is published.
    #[serde(default, deserialize_with = "present_object")]
    pub status: Option<Status>,
    /// The key whose possession the caller must prove (RFC 7800).
    #[serde(default, deserialize_with = "present_object")]
    pub cnf: Option<Confirmation>,
}

/// The claims to sign, borrowed. `aud` and `products` take a slice of strings of any kind (`&[&str]`,
/// `&[Arc<str>]`, `&[Box<str>]`, `&[String]`), or an iterator that can be cloned, so that a filtered list needs no
/// allocation.
///
/// ```
/// use mintmark_verifier::claims::ClaimsRef;
/// let claims = ClaimsRef {
///     iss: "https://tokens.example.com",
///     sub: "cl_1",
///     client_id: "cl_1",
///     aud: &["https://api.example.com"],
///     iat: 1_790_000_000,
///     exp: Some(1_790_003_600),
///     jti: "8Yy",
///     scope: "gst",
///     workspace_id: "acme-in",
///     products: ["e-invoicing", "gst"].iter().filter(|code| **code == "gst"),
///     never_expires: false,
///     status: None,
///     cnf: None,
/// };
/// assert!(serde_json::to_string(&claims)?.contains(r#""aud":"https://api.example.com""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Serialize)]
#[serde(bound(
    serialize = "A: Clone + IntoIterator, A::Item: AsRef<str>, P: Clone + IntoIterator, P::Item: AsRef<str>"
))]
pub struct ClaimsRef<'a, A, P> {
    /// See [`AccessTokenClaims::iss`].
    pub iss: &'a str,
    /// See [`AccessTokenClaims::sub`].
    pub sub: &'a str,
    /// See [`AccessTokenClaims::client_id`].
    pub client_id: &'a str,
    /// See [`AccessTokenClaims::aud`]; written as a string if there is exactly one.
    #[serde(serialize_with = "string_or_array")]
    pub aud: A,
    /// See [`AccessTokenClaims::iat`].
    pub iat: i64,
    /// See [`AccessTokenClaims::exp`]; left out when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// See [`AccessTokenClaims::jti`].
    pub jti: &'a str,
    /// See [`AccessTokenClaims::scope`].
    pub scope: &'a str,
    /// See [`AccessTokenClaims::workspace_id`].
    pub workspace_id: &'a str,
    /// See [`AccessTokenClaims::products`]; always written as an array.
    #[serde(serialize_with = "array")]
    pub products: P,
    /// See [`AccessTokenClaims::never_expires`]; written only when true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub never_expires: bool,
    /// See [`AccessTokenClaims::status`]; left out when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status<&'a str>>,
    /// See [`AccessTokenClaims::cnf`]; left out when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation<&'a str>>,
}

/// The `status` claim (Token Status List, draft-21 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "S: DeserializeOwned"))]
pub struct Status<S = String> {
    /// The entry of the token in a status list.
    #[serde(deserialize_with = "object")]
    pub status_list: StatusList<S>,
}

/// An entry in a status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusList<S = String> {
    /// The index in the list.
    pub idx: u64,
    /// The URI of the list.
    pub uri: S,
}

/// The `cnf` claim (RFC 7800 §3.1): the token is valid only together with a proof of this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation<S = String> {
    /// SHA-256 of the client certificate, base64url (RFC 8705 §3.1).
    #[serde(rename = "x5t#S256", default = "none", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<S>,
    /// Thumbprint of the `DPoP` key (RFC 9449 §6.1).
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub jkt: Option<S>,
}

impl AccessTokenClaims {
    /// The same claims, borrowed.
    pub fn as_claims_ref(&self) -> ClaimsRef<'_, &[String], &[String]> {
        ClaimsRef {
            iss: &self.iss,
            sub: &self.sub,
            client_id: &self.client_id,
            aud: &self.aud,
            iat: self.iat,
            exp: self.exp,
            jti: &self.jti,
            scope: &self.scope,
            workspace_id: &self.workspace_id,
            products: &self.products,
            never_expires: self.never_expires,
            status: self.status.as_ref().map(|status| Status {
                status_list: StatusList { idx: status.status_list.idx, uri: status.status_list.uri.as_str() },
            }),
            cnf: self
                .cnf
                .as_ref()
                .map(|cnf| Confirmation { x5t_s256: cnf.x5t_s256.as_deref(), jkt: cnf.jkt.as_deref() }),
        }
    }

    /// Whether the token includes this product.
    pub fn has_product(&self, product: &str) -> bool {
        self.products.iter().any(|granted| granted == product)
    }

    /// Whether this scope token was granted (RFC 6749 §3.3: case-sensitive, whole tokens).
    pub fn has_scope(&self, scope: &str) -> bool {
        !scope.is_empty() && self.scope.split(' ').any(|granted| granted == scope)
    }

    /// Requires a product: [`VerifyError::MissingProduct`] (403 `insufficient_scope`) if the token does not
    /// include it.
    pub fn require_product(&self, product: &str) -> Result<(), VerifyError> {
        if self.has_product(product) { Ok(()) } else { Err(VerifyError::MissingProduct(product.to_owned())) }
    }
}

impl Serialize for AccessTokenClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_claims_ref().serialize(serializer)
    }
}

/// `#[serde(default)]` alone would require `S: Default`.
fn none<S>() -> Option<S> {
    None
}

fn string_or_array<A, S>(list: &A, serializer: S) -> Result<S::Ok, S::Error>
where
    A: Clone + IntoIterator<Item: AsRef<str>>,
    S: Serializer,
{
    let mut items = list.clone().into_iter();
    match (items.next(), items.next()) {
        (Some(only), None) => serializer.serialize_str(only.as_ref()),
        _ => array(list, serializer),
    }
}

fn array<A, S>(list: &A, serializer: S) -> Result<S::Ok, S::Error>
where
    A: Clone + IntoIterator<Item: AsRef<str>>,
    S: Serializer,
{
    let mut seq = serializer.serialize_seq(None)?;
    for item in list.clone() {
        seq.serialize_element(item.as_ref())?;
    }
    seq.end()
}

/// For optional members: a member that is present must have its type, so `null` is an error and not "absent".
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// [`present`] for an object.
fn present_object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// A struct from a JSON object only: serde would also take an array of the members' values.
pub(crate) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: DeserializeOwned> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object(PhantomData))
}

/// A `NumericDate` (RFC 7519 §2) as Mintmark writes it: a whole number of seconds, not negative, not past
/// year 9999.
pub(crate) fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let seconds = i64::deserialize(deserializer)?;
    if (0..=LAST_DATE).contains(&seconds) { Ok(seconds) } else { Err(D::Error::custom("time out of range")) }
}

pub(crate) fn present_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    numeric_date(deserializer).map(Some)
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or an array of strings")
        }
        fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<Self::Value, E> {
            Ok(vec![one.to_owned()])
        }
        fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
            let mut many = Vec::new();
            while let Some(one) = seq.next_element()? {
                many.push(one);
            }
            Ok(many)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}
