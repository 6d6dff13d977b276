//! The view of the form of an API client, for a new one and for a change.

use super::client_form::{KINDS, PRESETS, UNITS};
use super::form::Form;
use super::moment;
use super::page::{Problem, Shell, has_problem};
use super::session::Inside;
use crate::kernel::Caller;
use crate::model::clock::UnixSeconds;
use crate::model::key::Alg;
use crate::model::product::Product;
use crate::model::scope::Permission;
use askama::Template;

/// The form.
#[derive(Template)]
#[template(path = "client_form.html")]
pub(super) struct ClientFormPage {
    pub(super) shell: Shell,
    pub(super) problems: Vec<Problem>,
    pub(super) action: String,
    pub(super) cancel: String,
    pub(super) is_new: bool,
    pub(super) heading: String,
    pub(super) workspace: String,
    /// The nonce of the form of a new client; empty for a change.
    pub(super) nonce: String,
    /// The version of the client that is changed; empty for a new client.
    pub(super) version: String,
    pub(super) typed: Form,
    pub(super) products: Vec<Choice>,
    pub(super) expirations: Vec<Choice>,
    pub(super) units: Vec<Choice>,
    pub(super) kinds: Vec<Choice>,
    pub(super) ways: Vec<Choice>,
    pub(super) permissions: Vec<Choice>,
    pub(super) algs: Vec<Choice>,
    pub(super) active: Vec<Choice>,
    pub(super) is_advanced_open: bool,
}

/// Something that can be chosen.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) value: String,
    pub(super) name: String,
    pub(super) hint: String,
    pub(super) is_checked: bool,
    pub(super) is_disabled: bool,
}

/// What the choices depend on.
pub(super) struct Around<'a> {
    pub(super) inside: &'a Inside,
    pub(super) caller: &'a Caller,
    pub(super) products: &'a [Product],
    /// The date in `exp` of a token that never expires; `None` if such a token has no `exp`.
    pub(super) never_expires_day: Option<String>,
    pub(super) now: UnixSeconds,
}

impl ClientFormPage {
    /// Whether the field with that `id` has a problem.
    fn has(&self, field: &str) -> bool {
        has_problem(&self.problems, field)
    }

    /// What was typed into a field.
    fn typed(&self, name: &str) -> &str {
        self.typed.one(name)
    }
}

fn choice(id: String, value: &str, name: &str, is_checked: bool) -> Choice {
    Choice {
        id,
        value: value.to_owned(),
        name: name.to_owned(),
        hint: String::new(),
        is_checked,
        is_disabled: false,
    }
}

/// The `id` of one of several choices. The first choice has the `id` of the field, to which problems of the field link.
fn id_of(field: &str, index: usize) -> String {
    if index == 0 { field.to_owned() } else { format!("{field}-{index}") }
}

/// The fields that can have a problem, from top to bottom.
const FIELDS: [&str; 15] = [
    "label",
    "products",
    "expiration",
    "custom_value",
    "emails",
    "how",
    "description",
    "allowed_ips",
    "active_tokens",
    "active_max",
    "grace",
    "expires_at",
    "signing_alg",
    "metadata",
    "permissions",
];

/// Problems in the order of their fields, so that people read both from top to bottom. Problems of the whole form come first.
pub(super) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| FIELDS.iter().position(|field| problem.is_of(field)));
    problems
}

/// The products to choose from, under their display names, with what they do not allow.
pub(super) fn products(typed: &Form, around: &Around<'_>) -> Vec<Choice> {
    let mut choices = Vec::new();
    for product in around.products {
        let mut limits = Vec::new();
        if !product.never_expires_allowed {
            limits.push("no tokens that never expire".to_owned());
        }
        if let Some(cap) = product.max_token_lifetime_seconds {
            limits.push(format!("tokens for at most {}", moment::span(cap)));
        }
        let is_checked = typed.all("product").any(|code| code == product.product);
        let is_allowed = around.inside.workspace.allows_product(&product.product);
        if !is_allowed {
            limits = vec!["not allowed in this workspace".to_owned()];
        }
        choices.push(Choice {
            hint: [product.product.clone()].into_iter().chain(limits).collect::<Vec<_>>().join(" · "),
            is_disabled: !is_allowed && !is_checked,
            ..choice(id_of("products", choices.len()), &product.product, &product.name, is_checked)
        });
    }
    choices
}

/// How long tokens are valid, with the date on which a token made now would end.
pub(super) fn expirations(typed: &Form, around: &Around<'_>, is_new: bool) -> Vec<Choice> {
    let chosen = typed.one("expiration");
    let mut choices: Vec<Choice> = Vec::new();
    for (seconds, name) in PRESETS {
        let value = seconds.to_string();
        let end = around.now.saturating_add(seconds);
        choices.push(Choice {
            hint: format!("a token made now ends {}", moment::exact(end)),
            ..choice(id_of("expiration", choices.len()), &value, name, chosen == value)
        });
    }
    choices.push(choice("expiration-custom".to_owned(), "custom", "Custom", chosen == "custom"));
    let workspace = &around.inside.workspace;
    let in_token = around.never_expires_day.as_ref().map_or_else(
        || "The token has no end in it.".to_owned(),
        |end| format!("In the token the end reads {end}, since many programs need a date."),
    );
    let (hint, is_disabled) = if !workspace.never_expires_allowed {
        (
            format!(
                "The workspace {} does not allow it. A platform administrator can change that.",
                workspace.name
            ),
            true,
        )
    } else if !around.products.is_empty()
        && around.products.iter().all(|product| !product.never_expires_allowed)
    {
        ("None of the products allows it.".to_owned(), true)
    } else {
        // The limit of 20 is the default for a new client. A later change of the expiration does not set it.
        let how_many = if is_new {
            "If the client requests more than 20, the oldest is revoked, unless you choose otherwise under Active tokens."
        } else {
            "For a program that requests a token at every call, choose under Active tokens how many are valid at a time."
        };
        (format!("A token is valid until you revoke it. {in_token} {how_many}"), false)
    };
    choices.push(Choice {
        hint,
        is_disabled: is_disabled && chosen != "never",
        ..choice("expiration-never".to_owned(), "never", "Never Expires", chosen == "never")
    });
    choices
}

/// Units of a lifetime.
pub(super) fn units(typed: &Form) -> Vec<Choice> {
    let chosen = typed.one("custom_unit");
    UNITS.iter().map(|(unit, _)| choice(String::new(), unit, unit, *unit == chosen)).collect()
}

/// Kinds of ERP.
pub(super) fn kinds(typed: &Form) -> Vec<Choice> {
    let chosen = typed.one("erp");
    let kinds = KINDS.iter().enumerate();
    kinds.map(|(index, (kind, name))| choice(id_of("erp", index), kind, name, *kind == chosen)).collect()
}

/// How the ERP gets tokens.
pub(super) fn ways(typed: &Form) -> Vec<Choice> {
    let chosen = typed.one("how");
    vec![
        Choice {
            hint: "Recommended. It signs in with the client id and secret whenever it needs a token.".to_owned(),
            ..choice("how".to_owned(), "itself", "It asks by itself", chosen != "paste")
        },
        Choice {
            hint: "For programs like Tally that have one field for a token. You generate it here and copy it over.".to_owned(),
            ..choice("how-paste".to_owned(), "paste", "I paste one token", chosen == "paste")
        },
    ]
}

/// Permissions on Mintmark itself. The operator cannot tick those that they do not hold, but can untick them.
pub(super) fn permissions(typed: &Form, around: &Around<'_>) -> Vec<Choice> {
    let hints = [
        (Permission::Manage, "creates and changes what is in its workspace"),
        (Permission::Read, "reads what is in its workspace"),
        (Permission::Introspect, "asks whether tokens of others are valid"),
    ];
    let mut choices: Vec<Choice> = Vec::new();
    for (permission, hint) in hints {
        let is_checked = typed.all("permission").any(|name| name == permission.as_str());
        choices.push(Choice {
            hint: hint.to_owned(),
            is_disabled: !around.caller.holds(permission) && !is_checked,
            ..choice(
                id_of("permissions", choices.len()),
                permission.as_str(),
                permission.as_str(),
                is_checked,
            )
        });
    }
    choices
}

/// Signing algorithms.
pub(super) fn algs(typed: &Form) -> Vec<Choice> {
    let chosen = typed.one("signing_alg");
    let usual = choice(String::new(), "", "The usual one", chosen.is_empty());
    let own = Alg::ALL.iter().map(|alg| {
        let name = alg.to_string();
        choice(String::new(), &name, &name, name == chosen)
    });
    std::iter::once(usual).chain(own).collect()
}

/// How many tokens are active at a time.
pub(super) fn active(typed: &Form, is_new: bool) -> Vec<Choice> {
    let chosen = typed.one("active_tokens");
    let mut choices = Vec::new();
    if is_new {
        choices.push(Choice {
            hint: "any number; at most 20 for tokens that never expire".to_owned(),
            ..choice(
                "active_tokens".to_owned(),
                "default",
                "As usual",
                !matches!(chosen, "many" | "number" | "replace"),
            )
        });
    }
    for (value, name, hint) in [
        ("many", "Any number", ""),
        ("number", "At most a number", "if the client requests more, the oldest is revoked"),
        ("replace", "One", "a new token revokes the one before it"),
    ] {
        choices.push(Choice {
            hint: hint.to_owned(),
            ..choice(id_of("active_tokens", choices.len()), value, name, chosen == value)
        });
    }
    choices
}
