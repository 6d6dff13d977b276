//! Checks values with the part of JSON Schema (`OpenAPI` 3.1 §4.8.24) that `openapi.yaml` uses: types, members, items, bounds,
//! choices. It is stricter than JSON Schema in one point: an object whose schema names members may have only these, unless
//! `additionalProperties` is a schema for others.

use serde_json::{Map, Value};

use crate::support::CONTRACT;

/// Keywords that are not checked here: descriptions, and rules that schemathesis checks (`tests/interop/openapi`).
const PASSED_OVER: [&str; 10] = [
    "default",
    "description",
    "example",
    "format",
    "not",
    "pattern",
    "propertyNames",
    "readOnly",
    "title",
    "writeOnly",
];

/// The faults of a body, compared with its schema and with `x-only`, which names the values that a member has in this reply.
/// (A narrower schema could name them too, but generators make another type of each schema.)
pub(super) fn faults_of_body(content: &Value, body: &Value) -> Vec<String> {
    let mut faults = faults(&content["schema"], body);
    for (name, values) in content.get("x-only").and_then(Value::as_object).into_iter().flatten() {
        if !values.as_array().unwrap().contains(&body[name]) {
            faults.push(format!("/{name}: is not one of {values}: {body}"));
        }
    }
    faults
}

/// The faults of `value`, compared with `schema`, each with its place.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    walk(schema, value, "", &mut faults);
    faults
}

fn walk(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let parts = parts(schema);
    for part in &parts {
        for (keyword, rule) in *part {
            if let Err(why) = holds(part, keyword, rule, value, at, faults) {
                faults.push(format!("{at}: {why}: {value}"));
            }
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        of_member(&parts, name, member, &format!("{at}/{name}"), faults);
    }
}

/// A schema with all its parts by `$ref` and `allOf`: the value must match each of them.
fn parts(schema: &Value) -> Vec<&Map<String, Value>> {
    let own = schema.as_object().unwrap();
    let mut all = vec![own];
    if let Some(reference) = own.get("$ref") {
        all.extend(parts(CONTRACT.target(reference.as_str().unwrap())));
    }
    all.extend(items(own.get("allOf")).flat_map(parts));
    all
}

/// A member must match every part that names it. `additionalProperties` applies to a member that no part names; without
/// it, an object that names its members may have only these.
fn of_member(parts: &[&Map<String, Value>], name: &str, member: &Value, at: &str, faults: &mut Vec<String>) {
    let naming: Vec<&Value> = parts
        .iter()
        .filter_map(|part| part.get("properties").and_then(|members| members.get(name)))
        .chain(parts.iter().flat_map(|part| matching(part, name)))
        .collect();
    for schema in &naming {
        walk(schema, member, at, faults);
    }
    if naming.is_empty() {
        let is_closed = |part: &&&Map<String, Value>| {
            part.get("type").is_some_and(|name| name == "object") && part.contains_key("properties")
        };
        match parts.iter().find_map(|part| part.get("additionalProperties")) {
            Some(Value::Object(schema)) => walk(&Value::Object(schema.clone()), member, at, faults),
            None if !parts.iter().any(|part| is_closed(&part)) => {}
            _ => faults.push(format!("{at}: is not documented: {member}")),
        }
    }
}

/// The schemas of `patternProperties` for a member. A pattern is the beginning of a name, with escaped dots.
fn matching<'a>(part: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    let patterns = part.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    patterns.filter_map(move |(pattern, schema)| {
        let start = pattern.strip_prefix('^').unwrap().replace("\\.", ".");
        name.starts_with(&start).then_some(schema)
    })
}

/// Checks one keyword of a schema. The error says what is wrong with the value itself; faults in its items go to `faults`.
fn holds(
    parent: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
    at: &str,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    let length = value.as_str().map(|text| text.chars().count());
    let count = value.as_array().map(Vec::len).or(value.as_object().map(Map::len));
    let holds = match keyword {
        "type" => items(Some(rule)).any(|name| is_of_type(value, name.as_str().unwrap())),
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minLength" => length.is_none_or(|length| length >= number(rule)),
        "maxLength" => length.is_none_or(|length| length <= number(rule)),
        "minItems" => count.is_none_or(|count| count >= number(rule)),
        "maxItems" | "maxProperties" => count.is_none_or(|count| count <= number(rule)),
        "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|value| value <= rule.as_f64().unwrap()),
        "uniqueItems" => value.as_array().is_none_or(|all| {
            all.iter().enumerate().all(|(n, item)| !all.iter().take(n).any(|before| before == item))
        }),
        "required" => value.as_object().is_none_or(|object| {
            rule.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
        }),
        "items" => {
            for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                walk(rule, item, &format!("{at}/{n}"), faults);
            }
            true
        }
        "oneOf" => items(Some(rule)).filter(|schema| is(schema, value)).count() == 1,
        "anyOf" => items(Some(rule)).any(|schema| is(schema, value)),
        "if" => {
            let branch = parent.get(if is(rule, value) { "then" } else { "else" });
            branch.is_none_or(|schema| is(schema, value))
        }
        // `parts` and `of_member` handle the first five; `if` handles `then` and `else`.
        "$ref" | "allOf" | "properties" | "patternProperties" | "additionalProperties" | "then" | "else" => {
            true
        }
        _ if PASSED_OVER.contains(&keyword) => true,
        _ => return Err(format!("the keyword {keyword} is not known here")),
    };
    if holds { Ok(()) } else { Err(format!("{keyword} {rule} does not hold")) }
}

fn is(schema: &Value, value: &Value) -> bool {
    faults(schema, value).is_empty()
}

/// The items of an array; any other value is its own only item.
fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let many = value.and_then(Value::as_array);
    many.into_iter().flatten().chain(value.filter(|_| many.is_none()))
}

fn number(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{name} is not a type of JSON Schema"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_matches_its_schema_exactly() {
        let open = json!({"type": "object"});
        let closed =
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {}}});
        let narrowed = json!({"allOf": [closed, {"properties": {"a": {"const": 1}}}]});
        let pairs = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let list = json!({"type": ["array", "null"], "maxItems": 2, "uniqueItems": true, "items": {"enum": ["x", "y", null]}});
        let choice = json!({"oneOf": [{"type": "string", "minLength": 2}, {"type": "number", "minimum": 1}, {"type": "integer", "maximum": 5}]});
        let conditional = json!({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"maxProperties": 1}});
        let secret = json!({"$ref": "#/components/schemas/ClientSecret", "readOnly": true});
        for (passes, schema, value) in [
            (true, &open, json!({"any": 1})),
            (false, &open, json!([])),
            (true, &closed, json!({"a": 1, "b": null})),
            (false, &closed, json!({"b": 1})),
            (false, &closed, json!({"a": 1.5})),
            (false, &closed, json!({"a": 1, "c": 1})),
            (true, &narrowed, json!({"a": 1, "b": 2})),
            (false, &narrowed, json!({"a": 2})),
            (false, &narrowed, json!({"a": 1, "c": 2})),
            (true, &pairs, json!({"any": "text"})),
            (false, &pairs, json!({"any": 1})),
            (true, &list, Value::Null),
            (true, &list, json!(["x", null])),
            (false, &list, json!(["x", "z"])),
            (false, &list, json!(["x", "x"])),
            (false, &list, json!(["x", "y", null])),
            (true, &choice, json!(7)),
            (false, &choice, json!(3)),
            (false, &choice, json!("a")),
            (true, &conditional, json!({"a": 1, "b": 2})),
            (false, &conditional, json!({"a": 1})),
            (true, &conditional, json!({"a": 2})),
            (false, &conditional, json!({"a": 2, "b": 2})),
            (true, &secret, json!("mms_")),
            (false, &secret, json!(1)),
            (false, &json!({"kind": "object"}), json!({})),
        ] {
            assert_eq!(faults(schema, &value).is_empty(), passes, "{schema} {value}");
        }
    }

    #[test]
    fn a_member_has_only_the_values_that_its_reply_names() {
        let content = json!({"schema": {"type": "object"}, "x-only": {"status": [404, 405]}});
        for (passes, body) in
            [(true, json!({"status": 405})), (false, json!({"status": 400})), (false, json!({}))]
        {
            assert_eq!(faults_of_body(&content, &body).is_empty(), passes, "{body}");
        }
    }

    /// The service reads the same filters (`tests/it/manage/batches.rs`).
    #[test]
    fn a_filter_of_a_batch_may_name_metadata_in_two_ways() {
        let filter = json!({"$ref": "#/components/schemas/ApiClientFilter"});
        for (passes, value) in [
            (true, json!({"metadata": {"of": "acme"}})),
            (true, json!({"metadata.of": "acme"})),
            (false, json!({"metadata.of": 1})),
            (false, json!({"metadata.of": null})),
            (false, json!({"metadata.of": "acme", "status": "gone"})),
        ] {
            assert_eq!(faults(&filter, &value).is_empty(), passes, "{value}");
        }
    }

    #[test]
    fn every_example_of_a_body_matches_its_schema() {
        let mut seen = 0;
        let mut wrong = Vec::new();
        for operation in &CONTRACT.operations {
            let of_replies = operation.replies.values().filter_map(|reply| reply.get("content")?.as_object());
            for (media_type, content) in of_replies.chain([&operation.takes]).flatten() {
                for (name, example) in
                    content.get("examples").and_then(Value::as_object).into_iter().flatten()
                {
                    let value = &CONTRACT.resolved(example)["value"];
                    let at = format!("{} {media_type} {name}", operation.id);
                    wrong.extend(faults_of_body(content, value).iter().map(|fault| format!("{at}: {fault}")));
                    seen += 1;
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(seen > 100, "{seen}");
    }
}
