//! Reads a JSON body: whole, within its limits, and strictly (`docs/management-api.md`). What two readers could read differently is
//! refused. What its members are is for [`super::fields`].

use std::fmt;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{Bytes, BytesMut, Data};
use futures_util::StreamExt as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::problem::{Kind, Problem};
use crate::config::Settings;

/// The largest body, in bytes.
const BODY_LIMIT: usize = 256 * 1024;
/// How long a body may take where no setting says it.
const PATIENCE: Duration = Duration::from_secs(10);
/// What PATCH takes (RFC 5789 §3.1).
const ACCEPT_PATCH: &str = "application/merge-patch+json, application/json";

/// A body as it came and as it was read.
#[derive(Debug)]
pub struct Body {
    /// The bytes, for telling one request from another.
    pub bytes: Bytes,
    /// What they say.
    pub json: Value,
}

/// Reads the body of `request`. `optional` takes a request without any body for `{}`.
///
/// # Errors
/// 415, 413 before more than the limit is read, 408 if the body does not come, and 400 for what is no JSON.
pub async fn read(request: &HttpRequest, payload: &mut Payload, optional: bool) -> Result<Body, Problem> {
    let headers = request.headers();
    if headers
        .get_all(header::CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(unsupported(request.method(), "Send the body without Content-Encoding"));
    }
    let typed = headers.contains_key(header::CONTENT_TYPE);
    if typed && !has_json_type(headers, request.method()) || !typed && !optional {
        let wanted = if request.method() == Method::PATCH { ACCEPT_PATCH } else { "application/json" };
        return Err(unsupported(request.method(), format!("Send Content-Type: {wanted} in UTF-8")));
    }
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    let patience =
        request.app_data::<Data<Settings>>().map_or(PATIENCE, |settings| settings.server.request_timeout);
    let bytes = timeout(patience, collect(payload)).await.map_err(|_| {
        let detail =
            format!("The body did not arrive within {} seconds: send it at once", patience.as_secs());
        Problem::new(Kind::RequestTimeout, detail)
    })??;
    if !typed && !bytes.is_empty() {
        return Err(unsupported(request.method(), "Send Content-Type: application/json with a body"));
    }
    let json = if optional && bytes.is_empty() { Value::Object(Map::new()) } else { parse(&bytes)? };
    Ok(Body { bytes, json })
}

async fn collect(payload: &mut Payload) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("The body could not be read to its end"))?;
        if bytes.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn has_json_type(headers: &HeaderMap, method: &Method) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE);
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let mut parts = only.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known = essence.eq_ignore_ascii_case("application/json")
        || (method == Method::PATCH && essence.eq_ignore_ascii_case("application/merge-patch+json"));
    // Another charset is refused rather than misread.
    known
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

fn unsupported(method: &Method, detail: impl Into<String>) -> Problem {
    let problem = Problem::new(Kind::UnsupportedMediaType, detail);
    if method == Method::PATCH {
        problem.with_header(HeaderName::from_static("accept-patch"), ACCEPT_PATCH)
    } else {
        problem
    }
}

fn too_large() -> Problem {
    Problem::new(Kind::PayloadTooLarge, format!("A body may have at most {BODY_LIMIT} bytes"))
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::MalformedJson, detail)
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("The body is not UTF-8"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        // The reader's own words may quote the body, which may hold a secret; a line and a column do not.
        let what = match error.classify() {
            serde_json::error::Category::Data => "names a member twice",
            _ => "is not valid JSON, or is nested too deep,",
        };
        malformed(format!("The body {what} at line {} column {}", error.line(), error.column()))
    })
}

/// Reads any JSON value, but no object that names a member twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bad in [
            "",
            " ",
            "{",
            "{}}",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"a":1,"\u0061":1}]"#,
            "{'a':1}",
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            "\u{feff}{}",
            r#"{"a":01}"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse(format!("{}1{}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
        assert!(parse(format!("{}{}", "[".repeat(200_000), "]".repeat(200)).as_bytes()).is_err());
        let value = json!({"a": [1, -1, 1.5, true, null, "ä"], "b": {"c": {}}});
        assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
    }

    #[test]
    fn a_refusal_quotes_nothing() {
        let problem = parse(br#"{"client_secret":"mms_x","client_secret":"mms_y"}"#).unwrap_err();
        assert!(problem.to_string().starts_with("The body names a member twice at line 1"), "{problem}");
    }

    #[test]
    fn media_types() {
        let is = |method: Method, value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
            has_json_type(&headers, &method)
        };
        for good in
            ["application/json", "APPLICATION/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
        {
            assert!(is(Method::POST, good) && is(Method::PATCH, good), "{good}");
        }
        assert!(is(Method::PATCH, "application/merge-patch+json"));
        for bad in [
            "application/merge-patch+json",
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "",
        ] {
            assert!(!is(Method::POST, bad), "{bad}");
        }
    }
}
