//! A request to create or change a product, and the rules for its members.

use serde_json::Value;

use crate::kernel::Fields;
use crate::model::expiry::LIFETIME_RANGE;
use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;
use crate::model::product::{Product, is_audience};
use crate::model::{description, text};

/// A request to create or change a product. `null` sets the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChange {
    /// Display name; a product must have one.
    pub name: Member<String>,
    /// Free text about it; default none.
    pub description: Member<String>,
    /// Audience URI of its tokens; default `tokens.default_audience`.
    pub audience: Member<String>,
    /// A cap on token lifetime, in seconds; default none.
    pub max_token_lifetime_seconds: Member<i64>,
    /// Whether never-expiring tokens may carry it; default yes.
    pub never_expires_allowed: Member<bool>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl ProductChange {
    /// Reads the body of a request to create a product: its code, and the other members.
    pub(crate) fn read_new(body: &Value) -> (Member<String>, Self) {
        let ((id, change), parse_errors) =
            Fields::read(body, |fields| (fields.string("product"), Self::members(fields)));
        (id, Self { parse_errors, ..change })
    }

    /// Reads the body of a request to change a product.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, Self::members);
        Self { parse_errors, ..change }
    }

    fn members(fields: &mut Fields<'_>) -> Self {
        Self {
            name: fields.string("name"),
            description: fields.string("description"),
            audience: fields.string("audience"),
            max_token_lifetime_seconds: fields.integer("max_token_lifetime_seconds"),
            never_expires_allowed: fields.boolean("never_expires_allowed"),
            parse_errors: FieldErrors::default(),
        }
    }

    /// Applies the change. Members that break a rule are added to `errors` and stay as they were.
    pub(super) fn apply(&self, product: &mut Product, issuer: &str, errors: &mut FieldErrors) {
        text::apply_name("/name", &self.name, &mut product.name, errors);
        description::apply(&self.description, &mut product.description, errors);
        match &self.audience {
            Member::Absent => {}
            Member::Null => product.audience = None,
            // An unchanged audience is accepted, even if the issuer has been changed to the same URL since.
            Member::Value(audience) if product.audience.as_ref() == Some(audience) => {}
            Member::Value(audience) if !is_audience(audience) => errors.add(
                "/audience",
                "must be an absolute URI without a fragment, of at most 2000 characters, like https://api.example.com",
            ),
            Member::Value(audience) if audience == issuer => {
                errors.add("/audience", "must not be the issuer: it is the audience of tokens for the management API");
            }
            Member::Value(audience) => product.audience = Some(audience.clone()),
        }
        match self.max_token_lifetime_seconds {
            Member::Absent => {}
            Member::Null => product.max_token_lifetime_seconds = None,
            Member::Value(seconds) if !LIFETIME_RANGE.contains(&seconds) => errors.add(
                "/max_token_lifetime_seconds",
                format!("must be null or from {} to {}", LIFETIME_RANGE.start(), LIFETIME_RANGE.end()),
            ),
            Member::Value(seconds) => product.max_token_lifetime_seconds = Some(seconds),
        }
        match self.never_expires_allowed {
            Member::Absent => {}
            Member::Null => product.never_expires_allowed = true,
            Member::Value(allowed) => product.never_expires_allowed = allowed,
        }
    }
}
