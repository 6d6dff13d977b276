//! Compares the service with the model: each token ever issued, and its status in its list.

use mintmark::model::status::{Status, status};
use mintmark::tokens::Validity;

use super::world::{Token, World};

impl World {
    /// Compares each token with the model: whether it is valid, and its status in its list. Works whether or not due changes
    /// have been applied.
    pub(super) async fn check(&self) {
        let keys = self.core.services.ring.key_set();
        for token in &self.tokens {
            let verified = self.checks.verify(&token.jwt, &keys, self.now());
            let Ok(claims) = &verified else {
                assert!(!self.lives(token), "{verified:?}, yet live: {token:?}");
                continue;
            };
            let confirmed = self.core.services.ledger.confirm().await.unwrap();
            let judged = self.core.services.tokens.validity(confirmed, claims).await.unwrap();
            assert_eq!(matches!(judged, Validity::Active(_)), self.lives(token), "{judged:?}: {token:?}");
            self.check_status(token).await;
        }
    }

    /// Compares the status in the token's list with the model.
    async fn check_status(&self, token: &Token) {
        let place = &token.claims.status.as_ref().unwrap().status_list;
        let list = place.uri.rsplit('/').next().unwrap().parse().unwrap();
        let stored = self.core.services.tokens.status_list(list).await.unwrap();
        let Some(stored) = stored else {
            assert!(!self.lives(token), "a token is live, but its list has ended: {token:?}");
            return;
        };
        let client = &self.clients[token.client];
        let over = token.generation.is_some_and(|generation| generation != client.generation);
        // The list does not show the revocation of a single stateless token.
        let expected = if over || (token.revoked && token.generation.is_none()) {
            Status::Invalid
        } else if self.may_act(client) {
            Status::Valid
        } else {
            Status::Suspended
        };
        let shown = status(&stored.bits, u32::try_from(place.idx).unwrap()).unwrap();
        // The list shows the expiry of a client only after due changes are applied.
        let has_just_ended = client.ends_at.is_some_and(|at| self.applied_at < at && at <= self.now());
        let is_late = has_just_ended && expected == Status::Suspended && shown == Status::Valid;
        assert!(shown == expected || is_late, "{shown:?} instead of {expected:?}: {token:?}");
    }
}
