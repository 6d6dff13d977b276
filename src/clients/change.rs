//! A request to create or change an API client, and the rules that need no other record.
//!
//! One type serves creating and changing: creating applies the change to a client with defaults. Rules apply to the
//! members that the request names, so that a change of one member does not fail on another that was valid when it was set,
//! unless the two depend on each other (`rules`).

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::context::RuleContext;
use super::lists::{EMAILS, NETWORKS, PERMISSIONS, PRODUCTS, list};
use super::reserved::ReservedChange;
use crate::kernel::Fields;
use crate::model::client::{ActiveTokens, ApiClient};
use crate::model::clock::{UnixSeconds, YEAR_9999, from_rfc3339};
use crate::model::expiry::{LIFETIME_RANGE, TokenExpiry};
use crate::model::field_errors::{FieldErrors, pointer_token};
use crate::model::key::Alg;
use crate::model::member::{Member, WordOrNumber};
use crate::model::scope::Permission;
use crate::model::{description, networks, text};

const METADATA_MAX: usize = 16;
/// How long a replaced token may stay valid, in seconds.
const GRACE_RANGE: std::ops::RangeInclusive<i64> = 0..=86_400;
const METADATA_KEY_LENGTH: std::ops::RangeInclusive<usize> = 1..=64;
const METADATA_VALUE_LENGTH: std::ops::RangeInclusive<usize> = 0..=500;

/// The members of an API client that a request sets, and the errors found while they were read. `null` sets the default,
/// which for lists is the empty list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientChange {
    /// The client's name; required.
    pub label: Member<String>,
    /// Free text about the client; default none.
    pub description: Member<String>,
    /// The codes of the products that the client is granted.
    pub products: Member<Vec<String>>,
    /// Permissions on Mintmark itself, by name.
    pub permissions: Member<Vec<String>>,
    /// How long its tokens are valid; default `tokens.default_lifetime_seconds`.
    pub token_expiry: Member<TokenExpiry>,
    /// The addresses that get mails about the client.
    pub notification_emails: Member<Vec<String>>,
    /// Addresses and networks it may authenticate from; empty for any.
    pub allowed_ips: Member<Vec<String>>,
    /// Its own signing algorithm; default the platform's.
    pub signing_alg: Member<String>,
    /// When the client expires, RFC 3339; default never.
    pub expires_at: Member<String>,
    /// String pairs, merged into the existing ones; a pair set to `None` is removed (RFC 7396).
    pub metadata: Member<BTreeMap<String, Option<String>>>,
    /// `active` (default) or `disabled`.
    pub status: Member<String>,
    /// `many`; `replace`: a new token revokes the one before it; or a number: a new token beyond this number revokes the
    /// oldest. [`ActiveTokens::default_for`] has the default.
    pub active_tokens: Member<WordOrNumber>,
    /// For how many seconds a replaced token stays valid; default 0.
    pub replace_grace_seconds: Member<i64>,
    /// Members of which only the defaults are supported so far.
    pub reserved: ReservedChange,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl ClientChange {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, Self::members);
        Self { parse_errors, ..change }
    }

    /// Reads the members of a JSON object. What cannot be read is noted in `fields`.
    pub(super) fn members(fields: &mut Fields<'_>) -> Self {
        Self {
            label: fields.string("label"),
            description: fields.string("description"),
            products: fields.strings("products"),
            permissions: fields.strings("permissions"),
            token_expiry: read_token_expiry(fields),
            notification_emails: fields.strings("notification_emails"),
            allowed_ips: fields.strings("allowed_ips"),
            signing_alg: fields.string("signing_alg"),
            expires_at: fields.string("expires_at"),
            metadata: fields.string_pairs("metadata"),
            status: fields.string("status"),
            active_tokens: fields.word_or_number("active_tokens"),
            replace_grace_seconds: fields.integer("replace_grace_seconds"),
            reserved: ReservedChange::read(fields),
            parse_errors: FieldErrors::default(),
        }
    }

    /// Applies the change to `client`. Adds an error to `errors` for each member that breaks a rule; then the caller must not
    /// store `client`. `is_new` says that the client is being created, so that what is left out takes its default.
    pub(super) fn apply(
        &self,
        client: &mut ApiClient,
        is_new: bool,
        context: &RuleContext<'_>,
        errors: &mut FieldErrors,
    ) {
        text::apply_name("/label", &self.label, &mut client.label, errors);
        description::apply(&self.description, &mut client.description, errors);
        let granted = std::mem::take(&mut client.products);
        let products = list(&self.products, PRODUCTS, errors, |code| {
            // A product that is granted already stays, even if it could not be granted again.
            if !granted.iter().any(|had| had == code) {
                context.may_grant(code)?;
            }
            Ok(code.to_owned())
        });
        client.products = products.unwrap_or(granted);
        client.products.sort_unstable();
        if let Some(permissions) = list(&self.permissions, PERMISSIONS, errors, permission) {
            client.permissions = permissions;
            client.permissions.sort_unstable();
        }
        match &self.token_expiry {
            Member::Absent => {}
            Member::Null => client.token_expiry = context.policy.default_expiry(),
            Member::Value(TokenExpiry::After { seconds }) if !LIFETIME_RANGE.contains(seconds) => errors.add(
                "/token_expiry/seconds",
                format!("must be from {} to {}", LIFETIME_RANGE.start(), LIFETIME_RANGE.end()),
            ),
            Member::Value(expiry) => client.token_expiry = *expiry,
        }
        if let Some(emails) = list(&self.notification_emails, EMAILS, errors, |address| {
            let address = address.trim();
            text::check_address(address).map(|()| address.to_owned())
        }) {
            client.notification_emails = emails;
        }
        if let Some(mut networks) = list(&self.allowed_ips, NETWORKS, errors, networks::parse) {
            // The same network written in two ways is not an error.
            let mut seen = HashSet::new();
            networks.retain(|network| seen.insert(*network));
            client.allowed_ips = networks;
        }
        self.apply_single_values(client, context.now, errors);
        self.apply_active_tokens(client, is_new, errors);
        self.apply_metadata(&mut client.metadata, errors);
        self.reserved.check(errors);
    }

    /// Applies `active_tokens` (the mode) and `replace_grace_seconds`. If the change names only one of them, the other stays as
    /// it was, but a change from `replace` to another mode drops the grace. The default mode depends on
    /// `client.token_expiry`, so that must be applied before.
    fn apply_active_tokens(&self, client: &mut ApiClient, is_new: bool, errors: &mut FieldErrors) {
        let grace_seconds = client.active_tokens.grace_seconds();
        let wanted = match &self.active_tokens {
            Member::Absent if !is_new => Some(client.active_tokens),
            Member::Absent | Member::Null => Some(ActiveTokens::default_for(client.token_expiry)),
            Member::Value(WordOrNumber::Word(word)) => match word.as_str() {
                "many" => Some(ActiveTokens::Many),
                "replace" => Some(ActiveTokens::Replace { grace_seconds }),
                _ => None,
            },
            Member::Value(WordOrNumber::Number(max)) => {
                Some(ActiveTokens::AtMost(*max)).filter(|_| ActiveTokens::RANGE.contains(max))
            }
        };
        if wanted.is_none() {
            let (min, max) = (ActiveTokens::RANGE.start(), ActiveTokens::RANGE.end());
            errors.add(
                "/active_tokens",
                format!("must be many, replace or a whole number from {min} to {max}"),
            );
        }
        let replaces = wanted.map(|wanted| matches!(wanted, ActiveTokens::Replace { .. }));
        let grace_seconds = match self.replace_grace_seconds {
            Member::Absent => grace_seconds,
            Member::Null => 0,
            Member::Value(seconds) if !GRACE_RANGE.contains(&seconds) => {
                let range = format!("must be from {} to {}", GRACE_RANGE.start(), GRACE_RANGE.end());
                return errors.add("/replace_grace_seconds", range);
            }
            Member::Value(seconds) if replaces == Some(false) && seconds != 0 => {
                let mode = wanted.map(|wanted| wanted.to_string()).unwrap_or_default();
                return errors.add(
                    "/replace_grace_seconds",
                    format!("belongs to active_tokens \"replace\", not to {mode}"),
                );
            }
            Member::Value(seconds) => seconds,
        };
        match wanted {
            Some(ActiveTokens::Replace { .. }) => {
                client.active_tokens = ActiveTokens::Replace { grace_seconds }
            }
            Some(other) => client.active_tokens = other,
            None => {}
        }
    }

    fn apply_single_values(&self, client: &mut ApiClient, now: UnixSeconds, errors: &mut FieldErrors) {
        match &self.signing_alg {
            Member::Absent => {}
            Member::Null => client.signing_alg = None,
            Member::Value(name) => match name.parse::<Alg>() {
                Ok(alg) => client.signing_alg = Some(alg),
                Err(()) => errors.add("/signing_alg", format!("must be null or one of {}", names(&Alg::ALL))),
            },
        }
        match &self.expires_at {
            Member::Absent => {}
            Member::Null => client.expires_at = None,
            Member::Value(instant) => match future(instant, now) {
                Ok(at) => client.expires_at = Some(at),
                // The value that is set already may be repeated, even when it has passed.
                Err(_) if from_rfc3339(instant).is_some_and(|at| client.expires_at == Some(at)) => {}
                Err(why) => errors.add("/expires_at", why),
            },
        }
        match &self.status {
            Member::Absent => {}
            Member::Null => client.disabled_at = None,
            Member::Value(status) => match status.as_str() {
                "active" => client.disabled_at = None,
                "disabled" => client.disabled_at = client.disabled_at.or(Some(now)),
                _ => errors.add("/status", "must be active or disabled"),
            },
        }
    }

    fn apply_metadata(&self, metadata: &mut BTreeMap<String, String>, errors: &mut FieldErrors) {
        match &self.metadata {
            Member::Absent => {}
            Member::Null => metadata.clear(),
            Member::Value(pairs) => {
                for (key, value) in pairs {
                    let pointer = || format!("/metadata/{}", pointer_token(key));
                    let Some(value) = value else {
                        metadata.remove(key);
                        continue;
                    };
                    let key_rule =
                        text::check_name(key, METADATA_KEY_LENGTH).map_err(|why| format!("its key {why}"));
                    match key_rule.and_then(|()| text::check(value, METADATA_VALUE_LENGTH)) {
                        Ok(()) => {
                            metadata.insert(key.clone(), value.clone());
                        }
                        Err(why) => errors.add(pointer(), why),
                    }
                }
                if metadata.len() > METADATA_MAX {
                    errors.add("/metadata", format!("must have at most {METADATA_MAX} pairs"));
                }
            }
        }
    }
}

/// Reads `token_expiry`: `{"mode":"after","seconds":…}` or `{"mode":"never"}`, replaced whole.
pub(crate) fn read_token_expiry(fields: &mut Fields<'_>) -> Member<TokenExpiry> {
    fields.object("token_expiry", |fields| {
        let (mode, seconds) = (fields.string("mode"), fields.integer("seconds"));
        match (mode.value().map(String::as_str), seconds.value()) {
            (Some("after"), Some(&seconds)) => return Some(TokenExpiry::After { seconds }),
            (Some("after"), None) => fields.refuse("seconds", "is required with mode \"after\""),
            (Some("never"), None) => return Some(TokenExpiry::Never {}),
            (Some("never"), Some(_)) => {
                fields.refuse("seconds", "belongs to mode \"after\", not to \"never\"");
            }
            _ => fields.refuse("mode", "must be \"after\" or \"never\""),
        }
        None
    })
}

fn permission(name: &str) -> Result<Permission, String> {
    name.parse().map_err(|()| format!("must be one of {}", names(&Permission::ALL)))
}

/// Reads an instant in the future.
pub(super) fn future(instant: &str, now: UnixSeconds) -> Result<UnixSeconds, &'static str> {
    match from_rfc3339(instant) {
        None => Err("must be an RFC 3339 instant like 2027-01-31T00:00:00Z"),
        Some(at) if at <= now => Err("must be in the future"),
        Some(at) if at > YEAR_9999 => Err("must be before the year 10000"),
        Some(at) => Ok(at),
    }
}

fn names<T: std::fmt::Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
