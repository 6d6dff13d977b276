//! Reads a JSON body: whole, strictly, and with every bad member named at once (`design.md` §4).
//!
//! [`read`] turns bytes into one JSON value and refuses what two readers could read differently. [`Fields`] takes the
//! members out of it by type, for a new record as for a merge patch (RFC 7396): left out, `null` and a value are three
//! things. Rules beyond the type are the core's.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::model::invalid::{Broken, pointer_token};
use crate::model::member::Member;

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
/// 415, 413 and 400, in this order, before more than the limit is read.
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
    let bytes = timeout(patience, collect(payload))
        .await
        .map_err(|_| malformed(format!("The body did not arrive within {} seconds", patience.as_secs())))??;
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

/// Takes members out of a JSON object by type, noting all that is wrong. What cannot be read counts as left out; what
/// can is handed on, so that the core finds the rules it breaks in the same go.
#[derive(Debug)]
pub struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    at: String,
    known: BTreeSet<&'static str>,
    broken: &'a mut Broken,
}

impl<'a> Fields<'a> {
    /// Lets `take` have the members of a whole body, and refuses those it does not ask for. What is wrong is noted in
    /// `broken`, for the core to add the rules it finds broken.
    pub fn read<T>(body: &'a Value, broken: &'a mut Broken, take: impl FnOnce(&mut Self) -> T) -> T {
        if !body.is_object() {
            broken.at("", "must be a JSON object");
        }
        let mut fields = Self { object: body.as_object(), at: String::new(), known: BTreeSet::new(), broken };
        let taken = take(&mut fields);
        fields.finish();
        taken
    }

    /// A text.
    pub fn string(&mut self, name: &'static str) -> Member<String> {
        self.take(name, "must be a string", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number.
    pub fn integer(&mut self, name: &'static str) -> Member<i64> {
        self.take(name, "must be a whole number", whole)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str) -> Member<bool> {
        self.take(name, "must be true or false", Value::as_bool)
    }

    /// An array of texts.
    pub fn strings(&mut self, name: &'static str) -> Member<Vec<String>> {
        let items = match self.take(name, "must be an array of strings", |value| value.as_array().cloned()) {
            Member::Absent => return Member::Absent,
            Member::Null => return Member::Null,
            Member::Value(items) => items,
        };
        // An empty text stands for one that cannot be read, so that the others keep their places for the core's rules. What
        // these say of the empty one is not noted again at the same pointer.
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if !item.is_string() {
                self.broken.at(format!("{}/{name}/{index}", self.at), "must be a string");
            }
            texts.push(item.as_str().unwrap_or_default().to_owned());
        }
        Member::Value(texts)
    }

    /// An object whose values are texts, or `null` for a pair to remove.
    pub fn string_pairs(&mut self, name: &'static str) -> Member<BTreeMap<String, Option<String>>> {
        let object = match self.take(name, "must be an object of strings", |value| value.as_object().cloned())
        {
            Member::Absent => return Member::Absent,
            Member::Null => return Member::Null,
            Member::Value(object) => object,
        };
        let mut pairs = BTreeMap::new();
        for (key, value) in object {
            match value {
                Value::String(text) => pairs.insert(key, Some(text)),
                Value::Null => pairs.insert(key, None),
                _ => {
                    let pointer = format!("{}/{name}/{}", self.at, pointer_token(&key));
                    self.broken.at(pointer, "must be a string");
                    continue;
                }
            };
        }
        Member::Value(pairs)
    }

    /// An object within: `read` takes its members; those it does not ask for are refused. `None` from `read` means that
    /// it noted why.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Member<T> {
        self.known.insert(name);
        match self.object.and_then(|object| object.get(name)) {
            None => Member::Absent,
            Some(Value::Null) => Member::Null,
            Some(Value::Object(inner)) => {
                let mut fields = Fields {
                    object: Some(inner),
                    at: format!("{}/{name}", self.at),
                    known: BTreeSet::new(),
                    broken: self.broken,
                };
                let value = read(&mut fields);
                fields.finish();
                value.map_or(Member::Absent, Member::Value)
            }
            Some(_) => {
                self.refuse(name, "must be an object");
                Member::Absent
            }
        }
    }

    /// Whether a member is given any value. For those that are known here and not served.
    pub fn is_given(&mut self, name: &'static str) -> bool {
        self.known.insert(name);
        self.object.and_then(|object| object.get(name)).is_some_and(|value| !value.is_null())
    }

    /// Notes a rule that a member of this object breaks.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.broken.at(format!("{}/{}", self.at, pointer_token(name)), detail);
    }

    fn finish(self) {
        for name in self.object.into_iter().flat_map(Map::keys) {
            if !self.known.contains(name.as_str()) {
                self.broken.at(format!("{}/{}", self.at, pointer_token(name)), "is not a member this takes");
            }
        }
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Member<T> {
        self.known.insert(name);
        match self.object.and_then(|object| object.get(name)) {
            None => Member::Absent,
            Some(Value::Null) => Member::Null,
            Some(value) => read(value).map_or_else(
                || {
                    self.broken.at(format!("{}/{name}", self.at), wanted);
                    Member::Absent
                },
                Member::Value,
            ),
        }
    }
}

/// The whole number that a JSON number is, however it is written (`60`, `60.0`, `6e1`). One beyond 64 bits becomes the
/// nearest that is not, which is beyond every range there is.
fn whole(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    let beyond = if number < 0.0 { i64::MIN } else { i64::MAX };
    Some(format!("{number:.0}").parse().unwrap_or(beyond))
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
    fn all_bad_members_are_noted_at_once() {
        let body = json!({
            "s": 1, "i": "1", "f": 1.5, "b": 0, "l": ["a", 1, null], "p": {"k": 1, "a/b": [], "n": null},
            "o": {"in": [], "more": 1}, "x": 1, "a/b": 1
        });
        let mut broken = Broken::default();
        Fields::read(&body, &mut broken, |fields| {
            assert_eq!(fields.string("s"), Member::Absent);
            assert_eq!(fields.integer("i"), Member::Absent);
            assert_eq!(fields.integer("f"), Member::Absent);
            assert_eq!(fields.boolean("b"), Member::Absent);
            let readable = ["a", "", ""].map(str::to_owned);
            assert_eq!(fields.strings("l"), Member::Value(readable.into()));
            assert_eq!(fields.string_pairs("p"), Member::Value([("n".to_owned(), None)].into()));
            assert_eq!(fields.object("o", |inner| inner.boolean("in").value().copied()), Member::Absent);
        });
        let pointers: Vec<String> = broken.into_vec().into_iter().map(|b| b.pointer).collect();
        assert_eq!(
            pointers,
            ["/s", "/i", "/f", "/b", "/l/1", "/l/2", "/p/a~1b", "/p/k", "/o/in", "/o/more", "/a~1b", "/x"]
        );
    }

    #[test]
    fn left_out_null_and_value_are_three_things() {
        let body = json!({"null": null, "text": "", "big": u64::MAX, "low": -1e300, "float": 60.0, "pairs": {"a": "b", "c": null}});
        let mut broken = Broken::default();
        Fields::read(&body, &mut broken, |fields| {
            assert_eq!(fields.string("absent"), Member::Absent);
            assert_eq!(fields.string("null"), Member::Null);
            assert_eq!(fields.string("text"), Member::Value(String::new()));
            assert_eq!(fields.integer("big"), Member::Value(i64::MAX));
            assert_eq!(fields.integer("low"), Member::Value(i64::MIN));
            assert_eq!(fields.integer("float"), Member::Value(60));
            let pairs = [("a".to_owned(), Some("b".to_owned())), ("c".to_owned(), None)];
            assert_eq!(fields.string_pairs("pairs"), Member::Value(BTreeMap::from(pairs)));
        });
        assert!(broken.is_empty());
    }

    #[test]
    fn a_body_must_be_an_object() {
        for body in [json!([]), json!("x"), json!(null), json!(1)] {
            let mut broken = Broken::default();
            let name = Fields::read(&body, &mut broken, |fields| fields.string("name"));
            assert_eq!(name, Member::Absent);
            assert_eq!(broken.into_vec()[0].pointer, "", "{body}");
        }
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
