//! Query parameters and pages of lists (`docs/management-api.md`).
//!
//! A cursor is the position after which the next page begins, with a MAC over it, the list, the filters and the
//! caller. So it works only for the same list, filters and caller.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::auth::Authorized;
use super::problem::Problem;
use crate::kernel::Reader;
use crate::model::clock::{UnixSeconds, from_rfc3339};
use crate::model::page::{Items, Page};
use crate::vault::root::Subkeys;

const MAC_LEN: usize = 32;
/// The most parameters that a query may have. There is a limit because each is compared with all others.
const PARAMETERS_MAX: usize = 64;

/// The query parameters of a request, to be taken by name. Each may be sent once.
#[derive(Debug)]
pub struct Query {
    /// The parameters that were not taken yet.
    pairs: Vec<(String, String)>,
    /// The names that were asked for, which [`Query::finish`] lists.
    known: Vec<&'static str>,
}

impl Query {
    /// Reads the query.
    ///
    /// # Errors
    /// 400 for too many parameters or one given twice, and for control characters or bytes that are not UTF-8.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        if request.query_string().split('&').count() > PARAMETERS_MAX {
            return Err(Problem::parameter(format!("A query has at most {PARAMETERS_MAX} parameters")));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()).into_owned() {
            // The decoder replaces bytes that are not UTF-8 by U+FFFD.
            if name.chars().chain(value.chars()).any(|c| c.is_control() || c == '\u{fffd}') {
                return Err(Problem::parameter("The query must be UTF-8 without control characters"));
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Problem::parameter(format!(
                    "The parameter {} was sent twice: send it once",
                    shown(&name)
                )));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs, known: Vec::new() })
    }

    /// Takes a parameter.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let index = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.remove(index).1)
    }

    /// Takes all parameters `name.KEY` and `name[KEY]`, each as its KEY and value. [`Query::finish`] lists them as `shown`.
    pub fn take_by_key(&mut self, name: &str, shown: &'static str) -> Vec<(String, String)> {
        self.known.push(shown);
        let key_of = |parameter: &str| {
            let rest = parameter.strip_prefix(name)?;
            let key = rest.strip_prefix('.').or_else(|| rest.strip_prefix('[')?.strip_suffix(']'))?;
            Some(key.to_owned())
        };
        let taken = self.pairs.extract_if(.., |(parameter, _)| key_of(parameter).is_some());
        taken.filter_map(|(parameter, value)| Some((key_of(&parameter)?, value))).collect()
    }

    /// Takes a parameter for which `is` must be true; `wanted` says what it must be.
    ///
    /// # Errors
    /// 400 with `wanted`.
    pub fn take_checked(
        &mut self,
        name: &'static str,
        wanted: &str,
        is: impl FnOnce(&str) -> bool,
    ) -> Result<Option<String>, Problem> {
        match self.take(name) {
            Some(value) if !is(&value) => Err(Problem::parameter(format!("{name} must be {wanted}"))),
            value => Ok(value),
        }
    }

    /// Takes `true` or `false`; an absent parameter counts as `false`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        Ok(self.choice(name)?.unwrap_or_default())
    }

    /// Takes `true` or `false`; `None` if the parameter is absent.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn choice(&mut self, name: &'static str) -> Result<Option<bool>, Problem> {
        let value = self.take_checked(name, "true or false", |value| matches!(value, "true" | "false"))?;
        Ok(value.map(|value| value == "true"))
    }

    /// Takes an RFC 3339 instant.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn instant(&mut self, name: &'static str) -> Result<Option<UnixSeconds>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        // A plus sign of an offset that was not percent-encoded arrives as a space.
        from_rfc3339(&text.replace(' ', "+")).map(Some).ok_or_else(|| {
            Problem::parameter(format!("{name} must be an RFC 3339 instant like 2026-11-23T08:00:00Z"))
        })
    }

    /// Refuses parameters that were not taken. Call it last.
    ///
    /// # Errors
    /// 400 with the name of one of them and the names of the known parameters.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else { return Ok(()) };
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        Err(Problem::parameter(format!(
            "{} is not a parameter of this request; the parameters are: {known}",
            shown(name)
        )))
    }
}

/// The start of a name that the caller sent, in backticks.
fn shown(name: &str) -> String {
    format!("`{}`", name.chars().take(40).collect::<String>())
}

/// The page of a list that a request wants.
#[derive(Debug)]
pub struct PageRequest {
    /// The page.
    pub page: Page,
    /// What a cursor is valid for: the caller, the list and the filters.
    binding: Vec<String>,
    path: String,
    /// The query, without the cursor.
    query: Vec<(String, String)>,
}

impl PageRequest {
    /// Takes `limit`, `count` and `cursor` from the query, which must still have the filters, and binds the cursor to the
    /// filters, the list (its path) and the caller.
    ///
    /// # Errors
    /// 400 for an invalid `limit` or `count`, and for a cursor of another list, other filters or another caller.
    pub fn take(query: &mut Query, call: &Authorized<Reader>, subkeys: &Subkeys) -> Result<Self, Problem> {
        let whole = query.pairs.iter().filter(|(name, _)| name != "cursor").cloned().collect();
        let limit = query.take("limit").map_or(Some(Page::DEFAULT_LIMIT), |text| {
            let digits = text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|limit| digits && (1..=Page::MAX_LIMIT).contains(limit))
        });
        let limit = limit.ok_or_else(|| {
            Problem::parameter(format!("limit must be a number from 1 to {}", Page::MAX_LIMIT))
        })?;
        let count = query.flag("count")?;
        let cursor = query.take("cursor");
        let mut filters = query.pairs.clone();
        filters.sort_unstable();
        let path = call.request.path().to_owned();
        let mut binding = vec![call.caller.name().to_owned(), call.resource()];
        binding.extend(filters.into_iter().flat_map(|(name, value)| [name, value]));
        let after = cursor
            .map(|cursor| {
                open(subkeys, &binding, &cursor).ok_or_else(|| {
                    Problem::parameter(
                        "cursor is damaged, or belongs to another list, other filters or another caller: begin without a cursor",
                    )
                })
            })
            .transpose()?;
        Ok(Self { page: Page { limit, after, count }, binding, path, query: whole })
    }

    /// The reply: `items`, each as `json` writes it, the cursor of the next page, and how many items there are in all if
    /// they were counted. A `Link` leads to the next page (RFC 8288).
    pub fn reply<T>(&self, subkeys: &Subkeys, found: Items<T>, json: impl Fn(&T) -> Value) -> HttpResponse {
        let items: Vec<Value> = found.items.iter().map(json).collect();
        let next_cursor = found.next_after.map(|after| seal(subkeys, &self.binding, &after));
        let mut response = HttpResponse::Ok();
        response.content_type("application/json");
        if let Some(cursor) = &next_cursor {
            response.insert_header((header::LINK, format!("<{}>; rel=\"next\"", self.next(cursor))));
        }
        let mut body = json!({"items": items, "next_cursor": next_cursor});
        if let (Some(total), Some(members)) = (found.total, body.as_object_mut()) {
            members.insert("total".to_owned(), total.into());
        }
        response.body(body.to_string())
    }

    /// The URL of the next page, without scheme and host.
    fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query).append_pair("cursor", cursor);
        format!("{}?{}", self.path, query.finish())
    }
}

fn parts<'a>(binding: &'a [String], after: &'a [u8]) -> Vec<&'a [u8]> {
    binding.iter().map(String::as_bytes).chain([after]).collect()
}

fn seal(subkeys: &Subkeys, binding: &[String], after: &str) -> String {
    let mut cursor = subkeys.cursor_mac(&parts(binding, after.as_bytes())).to_vec();
    cursor.extend_from_slice(after.as_bytes());
    URL_SAFE_NO_PAD.encode(cursor)
}

fn open(subkeys: &Subkeys, binding: &[String], cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (tag, after) = bytes.split_at_checked(MAC_LEN)?;
    if !subkeys.is_cursor_mac(&parts(binding, after), tag) {
        return None;
    }
    String::from_utf8(after.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::vault::random::Random;
    use crate::vault::root::RootKey;

    fn query(uri: &str) -> Result<Query, Problem> {
        Query::of(&TestRequest::with_uri(uri).to_http_request())
    }

    #[test]
    fn parameters_are_taken_by_name_and_unknown_repeated_or_too_many_ones_are_refused() {
        let mut taken = query("/v1/x?label=a%20b&force=true&since=2026-11-23T08:00:00+05:30").unwrap();
        assert_eq!(taken.take("label").as_deref(), Some("a b"));
        assert!(taken.flag("force").unwrap());
        assert_eq!(taken.instant("since").unwrap(), from_rfc3339("2026-11-23T02:30:00Z"));
        assert_eq!(taken.take("absent"), None);
        taken.finish().unwrap();
        for bad in ["/?a=1&a=1", "/?a=%00", "/?a=%ff", "/?%0a=1"] {
            assert!(query(bad).is_err(), "{bad}");
        }
        let many = |count: usize| (0..count).map(|n| format!("p{n}=")).collect::<Vec<_>>().join("&");
        query(&format!("/?{}", many(PARAMETERS_MAX))).unwrap();
        for too_many in [many(PARAMETERS_MAX + 1), many(5_000), "&".repeat(60_000)] {
            let error = query(&format!("/?{too_many}")).unwrap_err().to_string();
            assert!(error.contains("at most 64 parameters"), "{error}");
        }
        let mut unknown = query("/?limits=1").unwrap();
        unknown.take("limit");
        assert!(unknown.finish().unwrap_err().to_string().contains("`limits`"));
        assert!(query("/?force=1").unwrap().flag("force").is_err());
        assert!(query("/?since=yesterday").unwrap().instant("since").is_err());
    }

    #[test]
    fn a_cursor_opens_only_with_its_caller_list_filters_and_root_key() {
        let subkeys = RootKey::generate(&Random::new()).unwrap().subkeys();
        let bound = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
        let here = bound(&["client:a", "/v1/products", "product", "gst"]);
        let cursor = seal(&subkeys, &here, "e-invoicing");
        assert_eq!(open(&subkeys, &here, &cursor).as_deref(), Some("e-invoicing"));
        for elsewhere in [
            &["client:b", "/v1/products", "product", "gst"][..],
            &["client:a", "/v1/workspaces", "product", "gst"],
            &["client:a", "/v1/products", "product", "e"],
            &["client:a", "/v1/products"],
            &["client:a", "/v1/products", "productgst"],
        ] {
            assert_eq!(open(&subkeys, &bound(elsewhere), &cursor), None, "{elsewhere:?}");
        }
        for bad in ["", "a", "e-invoicing", &cursor[1..], &format!("{cursor}A"), &"A".repeat(60)] {
            assert_eq!(open(&subkeys, &here, bad), None, "{bad}");
        }
        let other = RootKey::generate(&Random::new()).unwrap().subkeys();
        assert_eq!(open(&other, &here, &cursor), None);
    }
}
