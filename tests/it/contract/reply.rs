//! Checks that a reply is as `openapi.yaml` describes it: its headers, its media type and its body.

use serde_json::Value;

use super::schema;
use crate::support::{CONTRACT, Operation, Reply};

/// Headers that `openapi.yaml` need not describe: the date, those about the connection and the form of the body, and those that
/// restrict browsers.
const PASSED_OVER: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "date",
    "referrer-policy",
    "transfer-encoding",
    "x-content-type-options",
    "x-frame-options",
];

/// The faults of `reply`, compared with what `openapi.yaml` says about this status of `operation`.
pub(super) fn faults(operation: &Operation, reply: &Reply) -> Vec<String> {
    let Some(documented) = operation.replies.get(&reply.status) else {
        return vec![format!("the status {} is not documented", reply.status)];
    };
    let mut faults = headers(documented, reply);
    match documented.get("content").and_then(Value::as_object) {
        None if reply.body.is_empty() && reply.header("content-type").is_none() => {}
        None => faults.push("it has a body, and none is documented".to_owned()),
        Some(content) => match content.get(media_type(reply)) {
            None => faults.push(format!("the media type `{}` is not documented", media_type(reply))),
            Some(content) => faults.extend(schema::faults_of_body(content, &body(reply))),
        },
    }
    // The id in a problem must be the one in `X-Request-Id`, which the log has too.
    if let Some(id) = json(reply).as_ref().and_then(|body| body.get("request_id"))
        && Some(id.as_str().unwrap()) != reply.header("x-request-id")
    {
        faults.push(format!("the body has the request id {id}, and X-Request-Id another one"));
    }
    faults
}

/// The media type of a reply, without parameters.
pub(super) fn media_type(reply: &Reply) -> &str {
    reply.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// The body of a reply, if it is JSON.
pub(super) fn json(reply: &Reply) -> Option<Value> {
    media_type(reply).ends_with("json").then(|| reply.json())
}

/// The headers of a documented reply: each name in lower case, and its description.
pub(super) fn documented_headers(documented: &Value) -> impl Iterator<Item = (String, &Value)> {
    let headers = documented.get("headers").and_then(Value::as_object).into_iter().flatten();
    headers.map(|(name, header)| (name.to_ascii_lowercase(), CONTRACT.resolved(header)))
}

fn headers(documented: &Value, reply: &Reply) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, header) in documented_headers(documented) {
        let is_number = header.pointer("/schema/type").is_some_and(|of| of == "integer");
        match reply.header(&name) {
            Some(text) => {
                let number = text.parse::<u64>().ok().filter(|_| is_number);
                let value = number.map_or(Value::from(text), Value::from);
                let wrong = schema::faults(&header["schema"], &value);
                faults.extend(wrong.iter().map(|fault| format!("the header {name}{fault}")));
            }
            None if header.get("required").is_some_and(|required| required == true) => {
                faults.push(format!("the header {name} is not there"));
            }
            None => {}
        }
    }
    for (name, value) in &reply.headers {
        let is_documented = documented_headers(documented).any(|(known, _)| known == *name);
        if !is_documented && !PASSED_OVER.contains(&name.as_str()) {
            faults.push(format!("the header {name}: {value} is not documented"));
        }
    }
    faults
}

fn body(reply: &Reply) -> Value {
    json(reply).unwrap_or_else(|| reply.text().into())
}
