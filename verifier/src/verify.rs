//! [`Verifier`]: the main type of the crate, which checks a token with the caches of keys, status lists and known tokens.

use std::fmt;
use std::sync::Arc;

use crate::checks::Checked;
use crate::clock::Clock;
use crate::fetch::Unavailable;
use crate::jwks::{Jwks, Snapshot};
use crate::jws::{Unverified, check_length};
use crate::known_tokens::{Hash, KnownToken, KnownTokens};
use crate::status::Lists;
use crate::{AccessTokenClaims, Checks, KeySet, VerifierBuilder, VerifyError};

/// Verifies the access tokens of one issuer for one audience. Create one per process and share it (it is `Send +
/// Sync`): it caches the issuer's keys, the status lists and the verified tokens.
pub struct Verifier {
    pub(crate) checks: Checks,
    pub(crate) jwks: Jwks,
    /// `None` if the status is not checked.
    pub(crate) lists: Option<Lists>,
    pub(crate) known: KnownTokens,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier for tokens of `issuer`, written exactly as in its metadata, for the audience `audience`.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into(), audience.into())
    }

    /// The claims of `token`, if it passes all checks and its status is valid. Fetches the issuer's keys and the status
    /// list if they are due or not in the cache; otherwise it makes no request and takes no lock.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        check_length(token)?;
        let (hash, now) = (self.known.hash(token), self.clock.unix_seconds());
        if let Some(known) = hash.as_ref().and_then(|hash| self.known.get(hash, now)) {
            let snapshot = self.jwks.for_kid(&known.key.kid).await.map_err(VerifyError::KeysUnavailable)?;
            if snapshot.keys.has(&known.key) {
                return self.admit(&known).await;
            }
        }
        let token = self.checks.open(token)?;
        let snapshot = self.jwks.for_kid(&token.kid).await.map_err(VerifyError::KeysUnavailable)?;
        let known = self.judge(&token, hash, &snapshot.keys)?;
        self.admit(&known).await
    }

    /// Like [`Verifier::verify`], but only with the cached keys and lists, for code that cannot await. Calls of
    /// [`Verifier::verify`], or of [`Verifier::refresh`] on a timer, have to keep them up to date.
    pub fn verify_cached(&self, token: &str) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        check_length(token)?;
        let (hash, now) = (self.known.hash(token), self.clock.unix_seconds());
        let known = hash.as_ref().and_then(|hash| self.known.get(hash, now));
        let known = match known {
            Some(known) if self.cached_keys()?.keys.has(&known.key) => known,
            _ => {
                let token = self.checks.open(token)?;
                self.judge(&token, hash, &self.cached_keys()?.keys)?
            }
        };
        self.check_times(&known)?;
        if let (Some(lists), Some(place)) = (&self.lists, known.place) {
            lists.check_cached(place, &self.jwks)?;
        }
        Ok(Arc::clone(&known.claims))
    }

    /// Fetches the issuer's keys, and the status lists in use that are past half of their `ttl`. Call it at start and on
    /// a timer. With an interval of a quarter of the `ttl`, and while the issuer answers, a request of your service waits for
    /// the issuer only if its token has a `kid` or a status list that is not cached, or a list that no token used in the last
    /// hour. The rate limits apply here too: a call too soon after a fetch has the result of that fetch.
    pub async fn refresh(&self) -> Result<(), Unavailable> {
        let keys = self.jwks.refresh().await;
        match &self.lists {
            Some(lists) => keys.and(lists.refresh(&self.jwks).await),
            None => keys,
        }
    }

    /// Fetches a status list at once. Call it for the webhook event `status_list.changed`, with `uri` and `changed_at` from its
    /// `data`, after you have verified the signature of the request. A revoked token is then refused within seconds instead of
    /// within the `ttl`. If the fetch fails, or the list was signed before `changed_at`, it is fetched once more, two seconds
    /// later. Lists that no token has referred to, and lists of other issuers, are not fetched. The timer and the `ttl` still
    /// apply: if an event is lost, a revocation takes effect as late as without events.
    ///
    /// # Errors
    /// [`Unavailable`] if the list cannot be fetched; the cached list stays.
    pub async fn refetch_status_list(&self, uri: &str, changed_at: &str) -> Result<(), Unavailable> {
        let Some(lists) = &self.lists else { return Ok(()) };
        // A text that is not an instant counts as one in the future, so that the list is fetched twice.
        let changed_at = instant(changed_at).unwrap_or(i64::MAX);
        lists.changed(uri, changed_at, &self.jwks).await
    }

    /// Checks everything but the status of a token that is not known yet, and remembers it.
    fn judge(
        &self,
        token: &Unverified<'_>,
        hash: Option<Hash>,
        keys: &KeySet,
    ) -> Result<Arc<KnownToken>, VerifyError> {
        let now = self.clock.unix_seconds();
        let Checked { claims, key, validity } = self.checks.finish(token, keys, now)?;
        let place = self.lists.as_ref().map(|lists| lists.place(&claims)).transpose()?;
        let known = Arc::new(KnownToken::new(hash.unwrap_or_default(), claims, key, validity, place));
        if hash.is_some() {
            self.known.insert(Arc::clone(&known), now);
        }
        Ok(known)
    }

    /// The claims of a token whose key is published, if its times and its status are valid now.
    async fn admit(&self, known: &KnownToken) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        self.check_times(known)?;
        if let (Some(lists), Some(place)) = (&self.lists, known.place) {
            lists.check(place, &self.jwks).await?;
        }
        Ok(Arc::clone(&known.claims))
    }

    fn check_times(&self, known: &KnownToken) -> Result<(), VerifyError> {
        known.validity.check(self.clock.unix_seconds(), self.checks.leeway_seconds)
    }

    fn cached_keys(&self) -> Result<Arc<Snapshot>, VerifyError> {
        self.jwks.cached().map_err(VerifyError::KeysUnavailable)
    }

    /// The audience given to [`Verifier::builder`].
    pub fn audience(&self) -> &str {
        &self.checks.audience
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("checks", &self.checks).finish_non_exhaustive()
    }
}

/// `2026-11-23T08:00:00Z` in Unix seconds: RFC 3339 as Mintmark writes it.
fn instant(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<i64>().ok())
    };
    let signs = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "Z")];
    if text.len() != 20 || signs.iter().any(|(at, sign)| text.get(*at..at + 1) != Some(*sign)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March end with the day that leap years add. `(month * 153 + 2) / 5` days precede a month in its
    // year. From 0000-03-01 to 1970-01-01 there are 719,468 days; one more is subtracted because `day` counts from 1.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn only_instants_in_the_form_that_mintmark_writes_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-09-21T14:13:20Z", Some(1_790_000_000)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2026-09-21T14:13:20.5Z", None),
            ("2026-09-21T14:13:20+00:00", None),
            ("2026-09-21T14:13:20ZZ", None),
            ("2026-09-21 14:13:20Z", None),
            ("2026-09-21T14:13:20z", None),
            ("2026-13-21T14:13:20Z", None),
            ("2026-02-00T14:13:20Z", None),
            ("2026-02-32T14:13:20Z", None),
            ("2026-02-21T24:13:20Z", None),
            ("2026-02-21T14:60:20Z", None),
            ("2026-02-21T14:13:60Z", None),
            ("yesterday", None),
            ("+026-09-21T14:13:20Z", None),
        ] {
            assert_eq!(instant(text), seconds, "{text}");
        }
    }
}
