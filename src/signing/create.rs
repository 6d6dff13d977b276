//! Creates a signing key: generates one, or imports the private key that an administrator sends.

use std::fmt;

use serde_json::Value;

use super::key::{KeyError, NewKey};
use super::{KeyRecord, Signing, rotation};
use crate::kernel::{Error, Fields, Manager};
use crate::ledger::SaveReply;
use crate::model::field_errors::FieldErrors;
use crate::model::key::{Alg, UseFor};
use crate::model::member::Member;

/// The members of a request for a new key.
#[derive(Default)]
pub struct NewSigningKey {
    /// Its algorithm; default `tokens.signing_alg`. Required for a key to import.
    pub alg: Member<String>,
    /// The class of tokens it will sign; default `expiring`.
    pub use_for: Member<String>,
    /// The private key to import, as PKCS#8 PEM; without it a key is generated.
    pub private_key_pem: Member<String>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

/// Without the private key.
impl fmt::Debug for NewSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSigningKey")
            .field("alg", &self.alg)
            .field("use_for", &self.use_for)
            .finish_non_exhaustive()
    }
}

impl NewSigningKey {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value) -> Self {
        let (new, parse_errors) = Fields::read(body, |fields| Self {
            alg: fields.string("alg"),
            use_for: fields.string("use_for"),
            private_key_pem: fields.string("private_key_pem"),
            parse_errors: FieldErrors::default(),
        });
        Self { parse_errors, ..new }
    }

    /// Generates or parses the key. A key that is generated has the algorithm `default` if the request names none.
    fn make(&self, default: Alg) -> Result<(UseFor, NewKey), Error> {
        let mut errors = self.parse_errors.clone();
        let alg = match &self.alg {
            Member::Absent | Member::Null if self.private_key_pem.value().is_none() => Some(default),
            alg => alg.value().and_then(|name| name.parse().ok()),
        };
        if alg.is_none() {
            errors.add(
                "/alg",
                match self.alg.value() {
                    Some(_) => "must be ES256, EdDSA, RS256 or PS256",
                    None => "is required with a private key: ES256, EdDSA, RS256 or PS256",
                },
            );
        }
        let use_for = match &self.use_for {
            Member::Absent | Member::Null => Some(UseFor::Expiring),
            Member::Value(name) => name.parse().ok(),
        };
        if use_for.is_none() {
            errors.add("/use_for", "must be expiring or never_expiring");
        }
        let made = match (alg, &self.private_key_pem) {
            (None, _) => None,
            (Some(alg), Member::Value(pem)) => Some(NewKey::import(alg, pem)),
            (Some(alg), _) => Some(NewKey::generate(alg)),
        };
        let made = match made {
            Some(Err(KeyError::Import(fault))) => {
                errors.add("/private_key_pem", fault.to_string());
                None
            }
            Some(Err(error @ KeyError::NotGenerated(_))) => {
                errors.add("/private_key_pem", error.to_string());
                None
            }
            Some(Err(other)) => return Err(Error::Crypto(other.to_string())),
            Some(Ok(made)) => Some(made),
            None => None,
        };
        match (use_for, made) {
            (Some(use_for), Some(made)) if errors.is_empty() => Ok((use_for, made)),
            _ => Err(Error::Invalid(errors.into_vec())),
        }
    }
}

impl Signing {
    /// Generates or imports a key. The first of its algorithm and class signs at once; a later one is published before
    /// it signs.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`]; [`Error::Conflict`] while another key of the same
    /// algorithm and class is pending, or for a private key that was imported before; [`Error::Clock`] while the clock is
    /// doubtful; [`Error::AlreadyAnswered`], [`Error::Crypto`], [`Error::Storage`].
    pub async fn create_signing_key(
        &self,
        caller: &Manager,
        new: &NewSigningKey,
        save: Option<SaveReply<'_, KeyRecord>>,
    ) -> Result<KeyRecord, Error> {
        caller.must_manage_platform("signing keys")?;
        self.ledger.trusted_now()?;
        // Generating or parsing a key takes time, so it is done before the transaction begins.
        let (use_for, made) = new.make(self.kernel.policy.signing_alg)?;
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.ledger.trusted_now()?;
        self.take_due_steps(&mut tx, now).await?;
        let keys = tx.signing_keys().await?;
        let placement = rotation::place(&keys, made.alg(), use_for, now, &self.rotation_policy())
            .map_err(|pending| Error::Conflict(pending.to_string()))?;
        let key = self.store_new_key(&mut tx, caller, made, use_for, placement, now).await?;
        let record = KeyRecord { key, live_tokens: 0 };
        self.ledger.save_reply(&mut tx, save.as_ref(), &record, None).await?;
        self.commit_keys(tx).await?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_algorithm_is_refused_and_an_import_must_name_one() {
        for (body, detail) in [
            (json!({"alg": "HS256"}), "must be ES256, EdDSA, RS256 or PS256"),
            (json!({"private_key_pem": "x"}), "is required with a private key: ES256, EdDSA, RS256 or PS256"),
        ] {
            let Err(Error::Invalid(errors)) = NewSigningKey::read(&body).make(Alg::ES256) else {
                panic!("{body}");
            };
            assert!(
                errors.iter().any(|error| error.pointer == "/alg" && error.detail == detail),
                "{errors:?}"
            );
        }
    }
}
