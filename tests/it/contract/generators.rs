//! `openapi.yaml` uses nothing that client generators cannot read. Each rule is about something on which a generator failed.
//! `tests/interop/generators` runs the generators and compiles their output.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::CONTRACT;

/// Classes that generators add to the classes of the schemas, in at least one language.
const RUNTIME_CLASSES: [&str; 16] = [
    "ApiClient",
    "ApiException",
    "ApiKeyAuth",
    "ApiResponse",
    "AuthenticatedClient",
    "Client",
    "Configuration",
    "Error",
    "Errors",
    "Exception",
    "File",
    "JSON",
    "Pair",
    "Response",
    "ServerConfiguration",
    "ServerVariable",
];

/// What generators cannot read in an `OpenAPI` document, each with where it is.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    walk(document, "#", &mut faults);
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    names(schemas.into_iter().flatten(), &mut faults);
    faults
}

/// Looks at each object of the document, except in examples and defaults, which are values and not schemas.
fn walk(value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        faults.extend(of_object(object).into_iter().map(|fault| format!("{at}: {fault}")));
        for (name, member) in
            object.iter().filter(|(name, _)| !["example", "examples", "default"].contains(&name.as_str()))
        {
            walk(member, &format!("{at}/{name}"), faults);
        }
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        walk(item, &format!("{at}/{n}"), faults);
    }
}

fn of_object(object: &Map<String, Value>) -> Vec<&'static str> {
    let types = types(object);
    let alternatives: Vec<&Map<String, Value>> = ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|keyword| object.get(keyword)?.as_array())
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    let values = object.get("enum").and_then(Value::as_array);
    let is_list = |schema: &&Map<String, Value>| self::types(schema).contains(&"array");
    let rules = [
        (
            object.contains_key("operationId")
                && object.get("requestBody").is_some_and(is_body_of_a_link_and_not_a_string),
            "the body of a link must be a string",
        ),
        (types == ["null"], "null alone is not a type: name the type that it replaces"),
        (
            values.into_iter().flatten().any(Value::is_boolean),
            "booleans may not be enumerated: say in words which one is refused",
        ),
        (
            object.contains_key("$ref") && object.contains_key("properties"),
            "`$ref` may not have `properties` beside it: use `x-only` to narrow a reply",
        ),
        (
            alternatives.iter().any(is_list)
                || types.contains(&"array") && types.iter().any(|name| !["array", "null"].contains(name)),
            "a list cannot be an alternative to another type: leave the type out",
        ),
        (
            object.get("uniqueItems").is_some_and(|unique| *unique == true)
                && object.get("items").is_some_and(|items| items.get("enum").is_some()),
            "the items of a set may not be enumerated in it: refer to a schema",
        ),
    ];
    rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, rule)| rule).collect()
}

/// Operations have a `requestBody` too, which is an object with `content`, or a reference: that is not the body of a link.
fn is_body_of_a_link_and_not_a_string(body: &Value) -> bool {
    !body.is_string() && body.get("content").is_none() && body.get("$ref").is_none()
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Schemas that have a name become classes; the values of named enumerations become constants, which share one
/// namespace in Go.
fn names<'a>(schemas: impl Iterator<Item = (&'a String, &'a Value)>, faults: &mut Vec<String>) {
    let mut constants = BTreeMap::new();
    for (name, schema) in schemas {
        note_defaults(schema, name, faults);
        if RUNTIME_CLASSES.contains(&name.as_str()) {
            faults.push(format!("{name}: generated clients have a class of this name"));
        }
        for value in
            schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if let Some(other) = constants.insert(value, name) {
                faults.push(format!(
                    "{name}: {other} has the value {value} too: enumerate it where it is used"
                ));
            }
        }
    }
}

/// Adds a fault for each default: some clients would send the value and others require it, so that the default of the service
/// would never be used.
fn note_defaults(schema: &Value, at: &str, faults: &mut Vec<String>) {
    for (name, member) in schema.as_object().into_iter().flatten() {
        if name == "default" {
            faults.push(format!("{at}: say the default in words"));
        }
        note_defaults(member, &format!("{at}/{name}"), faults);
    }
}

/// What generators cannot read in the schemas of requests, which they turn into parameters or into classes with members.
fn faults_of_requests<'a>(requests: impl Iterator<Item = (&'a str, &'a Value)>) -> Vec<String> {
    let mut faults = Vec::new();
    for (media_type, content) in requests {
        let schema = CONTRACT.resolved(&content["schema"]);
        if ["anyOf", "oneOf", "allOf"].iter().any(|keyword| schema.get(keyword).is_some()) {
            faults.push(format!("a request may not use anyOf, oneOf or allOf: {schema}"));
        }
        if media_type.ends_with("urlencoded") && schema.get("additionalProperties").is_some() {
            faults.push(format!("a form may not have `additionalProperties`: {schema}"));
        }
    }
    faults
}

#[test]
fn generators_can_read_openapi_yaml() {
    let requests = CONTRACT.operations.iter().flat_map(|operation| &operation.takes);
    let mut faults = faults(&CONTRACT.root);
    faults.extend(faults_of_requests(requests.map(|(media_type, content)| (media_type.as_str(), content))));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_generators_break_on_is_found() {
    for (at, fault) in [
        ("/components/links/a", json!({"operationId": "requestToken", "requestBody": {"grant_type": "x"}})),
        ("/components/schemas/A", json!({"type": "null"})),
        ("/components/schemas/A", json!({"oneOf": [{"type": "string"}, {"type": "null"}]})),
        ("/components/schemas/A", json!({"type": ["boolean", "null"], "enum": [false, null]})),
        (
            "/components/schemas/A",
            json!({"$ref": "#/components/schemas/B", "properties": {"a": {"const": 1}}}),
        ),
        ("/components/schemas/A", json!({"properties": {"a": {"type": "array", "default": []}}})),
        ("/components/schemas/A", json!({"oneOf": [{"type": "string"}, {"type": "array"}]})),
        ("/components/schemas/A", json!({"type": ["string", "array"]})),
        ("/components/schemas/A", json!({"type": "array", "uniqueItems": true, "items": {"enum": ["a"]}})),
        ("/components/schemas/ApiClient", json!({"type": "object"})),
        ("/components/schemas/A", json!({"enum": ["active"]})),
    ] {
        let mut document = json!({"components": {"links": {}, "schemas": {"B": {"enum": ["active"]}}}});
        let (holder, name) = at.rsplit_once('/').unwrap();
        document.pointer_mut(holder).unwrap()[name] = fault.clone();
        assert_eq!(faults(&document).len(), 1, "{fault}");
    }
    for (media_type, schema) in [
        ("application/json", json!({"type": "object", "anyOf": [{"required": ["a"]}]})),
        (
            "application/x-www-form-urlencoded",
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
        ),
    ] {
        let content = json!({"schema": schema});
        assert_eq!(faults_of_requests([(media_type, &content)].into_iter()).len(), 1, "{schema}");
    }
}
