//! `openapi.yaml` as the tests read it: every operation with its replies, and a check that it names every reply that an app
//! sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// `openapi.yaml` of this repository.
pub(crate) static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::read(include_str!("../../../openapi.yaml")));

/// The members of a path that are operations (`OpenAPI` 3.1 §4.8.9).
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The value of the label `route` in `/metrics` for a request to no route.
const UNMATCHED: &str = "unmatched";

/// The content of `openapi.yaml`.
pub(crate) struct Contract {
    pub(crate) root: Value,
    /// One for each path and method.
    pub(crate) operations: Vec<Operation>,
}

/// A method of a path.
pub(crate) struct Operation {
    /// `operationId`.
    pub(crate) id: String,
    /// The path, with its parameters in braces.
    pub(crate) path: String,
    pub(crate) method: Method,
    /// The parameters of the operation and of its path.
    pub(crate) parameters: Vec<Value>,
    /// Media types of the request, with schema and examples.
    pub(crate) takes: Map<String, Value>,
    /// Whether it accepts an access token as a bearer token.
    pub(crate) is_for_bearers: bool,
    /// The replies by status.
    pub(crate) replies: BTreeMap<u16, Value>,
}

impl Contract {
    fn read(text: &str) -> Self {
        let mut documents = YamlLoader::load_from_str(text).unwrap();
        assert_eq!(documents.len(), 1);
        let root = json_of(documents.remove(0));
        let mut contract = Self { root, operations: Vec::new() };
        let paths = contract.root["paths"].as_object().unwrap();
        contract.operations = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
                methods.map(|method| contract.operation_of(path, method, item)).collect::<Vec<_>>()
            })
            .collect();
        contract
    }

    fn operation_of(&self, path: &str, method: &str, item: &Value) -> Operation {
        let operation = &item[method];
        let shared = [item, operation].into_iter().filter_map(|holder| holder.get("parameters"));
        let parameters = shared.flat_map(|list| list.as_array().unwrap());
        let body = operation.get("requestBody").map(|body| self.resolved(body));
        let is_bearer = |way: &Value| way.get("bearer").is_some();
        let replies = operation["responses"].as_object().unwrap().iter();
        Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            path: path.to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            parameters: parameters.map(|parameter| self.resolved(parameter).clone()).collect(),
            takes: body.map(|body| body["content"].as_object().unwrap().clone()).unwrap_or_default(),
            is_for_bearers: operation["security"].as_array().unwrap().iter().any(is_bearer),
            replies: replies
                .map(|(status, reply)| (status.parse().unwrap(), self.resolved(reply).clone()))
                .collect(),
        }
    }

    /// The target of a `$ref`; any other value unchanged.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        value.get("$ref").map_or(value, |reference| self.resolved(self.target(reference.as_str().unwrap())))
    }

    /// The value at a `#/…` reference in `openapi.yaml`.
    pub(crate) fn target(&self, reference: &str) -> &Value {
        let pointer = reference.strip_prefix('#').unwrap();
        self.root.pointer(pointer).unwrap_or_else(|| panic!("there is nothing at {reference}"))
    }

    /// Every path.
    pub(crate) fn paths(&self) -> BTreeSet<&str> {
        self.operations.iter().map(|operation| operation.path.as_str()).collect()
    }

    /// Whether a path accepts any method and answers it like GET.
    pub(crate) fn takes_any_method(&self, path: &str) -> bool {
        self.root["paths"][path].get("x-any-method").is_some_and(|any| *any == true)
    }

    /// The operations of a path.
    pub(crate) fn of_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.operations.iter().filter(move |operation| operation.path == path)
    }

    /// Checks that `openapi.yaml` names every reply that was counted in `metrics` (the text of `/metrics`). `issuer_path` is
    /// the path under which everything is served a second time.
    pub(crate) fn must_name_all(&self, metrics: &str, issuer_path: &str) {
        let unnamed: Vec<_> = counted(metrics)
            .filter(|reply| !self.names(reply, issuer_path))
            .map(|reply| format!("{reply:?}"))
            .collect();
        assert!(unnamed.is_empty(), "replies that openapi.yaml does not name:\n{}", unnamed.join("\n"));
    }

    fn names(&self, reply: &Counted<'_>, issuer_path: &str) -> bool {
        // Replies that belong to no operation: 404 for an unknown path, and the redirect from the root to the start page.
        if reply.route == UNMATCHED {
            return reply.status == 404 || reply.status == 303 && matches!(reply.method, "GET" | "HEAD");
        }
        // Pages are for people, and openapi.yaml for programs. A page may answer with any status except 500.
        if reply.route.strip_prefix(issuer_path).unwrap_or(reply.route).starts_with("/console") {
            return reply.status != 500;
        }
        let Some(path) = self.path_of(reply.route, issuer_path) else { return false };
        // HEAD is GET without the body (RFC 9110 §9.3.2), so `openapi.yaml` does not repeat it.
        let method = if reply.method == "HEAD" || self.takes_any_method(path) { "GET" } else { reply.method };
        match self.of_path(path).find(|operation| operation.method == method) {
            Some(operation) => reply.status != 405 && operation.replies.contains_key(&reply.status),
            // `openapi.yaml` has no entry for a method that a path does not accept, so every operation of the path lists 405.
            None => {
                reply.status == 405
                    && self.of_path(path).all(|operation| operation.replies.contains_key(&405))
            }
        }
    }

    /// The path in `openapi.yaml` that a route serves.
    fn path_of<'a>(&self, route: &'a str, issuer_path: &str) -> Option<&'a str> {
        // RFC 8414 §3.1 puts the path of the issuer after the well-known path.
        let inserted =
            route.strip_suffix(issuer_path).filter(|path| path.ends_with("/oauth-authorization-server"));
        [Some(route), route.strip_prefix(issuer_path), inserted]
            .into_iter()
            .flatten()
            .find(|path| self.paths().contains(path))
    }
}

impl Operation {
    /// The path with a value for each of its parameters.
    pub(crate) fn path_with(&self, value: impl Fn(&str) -> String) -> String {
        let filled = self.path.split('/').map(|part| {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            name.map_or(part.to_owned(), &value)
        });
        filled.collect::<Vec<_>>().join("/")
    }

    /// The examples of requests, each with its media type.
    pub(crate) fn examples(&self) -> Vec<(&str, &Value)> {
        let mut found = Vec::new();
        for (media_type, content) in &self.takes {
            let examples = content.get("examples").and_then(Value::as_object).into_iter().flatten();
            found.extend(examples.map(|(_, example)| (media_type.as_str(), &example["value"])));
        }
        found
    }
}

/// A reply as `/metrics` counts it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted<'a> {
    /// The pattern of the path.
    pub(crate) route: &'a str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
}

/// The replies counted in the text of `/metrics`.
pub(crate) fn counted(metrics: &str) -> impl Iterator<Item = Counted<'_>> {
    metrics.lines().filter_map(|line| {
        let labels = line.strip_prefix("mintmark_http_requests_total{route=\"")?;
        let (route, rest) = labels.split_once("\",method=\"").unwrap();
        let (method, rest) = rest.split_once("\",status=\"").unwrap();
        let (status, _) = rest.split_once('"').unwrap();
        Some(Counted { route, method, status: status.parse().unwrap() })
    })
}

fn json_of(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => value.into(),
        Yaml::Integer(value) => value.into(),
        Yaml::Real(text) => text.parse::<f64>().unwrap().into(),
        Yaml::String(text) => text.into(),
        Yaml::Array(items) => items.into_iter().map(json_of).collect(),
        Yaml::Hash(members) => {
            let named = |(name, value)| match name {
                Yaml::String(name) => (name, json_of(value)),
                other => panic!("a member is named {other:?}: put it in quotes"),
            };
            Value::Object(members.into_iter().map(named).collect())
        }
        Yaml::Alias(_) | Yaml::BadValue => panic!("openapi.yaml has an alias (`*name`) or invalid YAML"),
    }
}
