//! Group commit: tokens that are recorded at the same time share one durable transaction. Used by `issuance`.
//!
//! While one group is written to disk the next one queues ([`super::recorder`]), so the busier the service, the more tokens
//! share a commit; a single token does not wait. No token is returned before its group is durable. A group does not wait for
//! locked rows: tokens that it could not record are recorded separately ([`super::by_client`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::Tokens;
use super::recorder::{Member, Pending, ToRecord};
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::model::client::ActiveTokens;
use crate::model::token::RecordedToken;
use crate::storage::{IssueCheck, IssueGuard, Revoked, Tx};

/// What was recorded since the start, in groups or client by client.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Queued tokens that were recorded.
    tokens: AtomicU64,
    /// The commits that recorded them.
    commits: AtomicU64,
    /// Groups whose tokens were recorded client by client after a deadlock.
    repeated: AtomicU64,
}

/// A token that is being recorded.
pub struct Recording<'a>(Way<'a>);

enum Way<'a> {
    /// With others.
    InGroup(Member<'a>),
    /// By itself, since there are no groups: at the command line, and when the service is shutting down.
    Alone(&'a Tokens, Box<ToRecord>),
}

impl Recording<'_> {
    /// Returns when it is time to sign the token. In a group, that is while the group grows or is written.
    pub async fn may_sign(&self) {
        if let Way::InGroup(member) = &self.0 {
            member.gather().await;
        }
    }

    /// Waits for the outcome. If it is [`IssueCheck::Allowed`], the row is durable; otherwise there is no row.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::SharedTransaction`]; then nothing is recorded.
    pub async fn outcome(self) -> Result<IssueCheck, Error> {
        match self.0 {
            Way::InGroup(member) => member.outcome().await,
            // Boxed, so that the usual future is small.
            Way::Alone(tokens, alone) => {
                Box::pin(tokens.record_alone(&alone.token, alone.active_tokens, &alone.guard)).await
            }
        }
    }
}

fn with_guards<'a>(some: &[&'a Pending]) -> Vec<(&'a RecordedToken, &'a IssueGuard)> {
    some.iter().map(|Pending { what, .. }| (&what.token, &what.guard)).collect()
}

fn count(outcomes: &[bool]) -> usize {
    outcomes.iter().filter(|is_recorded| **is_recorded).count()
}

impl Tokens {
    /// Begins to record a token. Await [`Recording::may_sign`], then [`Recording::outcome`]. If the token replaces others
    /// (`guard.replaces`), these are revoked in the same transaction.
    pub fn record_token(
        &self,
        token: RecordedToken,
        active_tokens: ActiveTokens,
        guard: IssueGuard,
    ) -> Recording<'_> {
        Recording(match self.recorder.join(ToRecord { token, active_tokens, guard }) {
            Ok(member) => Way::InGroup(member),
            Err(alone) => Way::Alone(self, alone),
        })
    }

    /// Records queued tokens in groups until [`Tokens::stop_recording_in_groups`]. Run it once, in the background; without it
    /// each token is recorded in a separate transaction.
    pub async fn record_in_groups(&self) {
        let _open = self.recorder.open();
        let (aside, set_aside) = mpsc::unbounded_channel();
        let groups = async {
            let aside = aside;
            while let Some(mut group) = self.recorder.next_group().await {
                // By client: what neighbours have in common is written once for all of them. The sort is stable, so the tokens
                // of one client stay in the order of their requests.
                group.sort_by(|a, b| a.what.token.client_id.cmp(&b.what.token.client_id));
                let outcomes = self.record_group(&group).await;
                let mut done = Vec::with_capacity(group.len());
                for (pending, outcome) in group.into_iter().zip(outcomes) {
                    match outcome {
                        Some(outcome) => done.push((pending, outcome)),
                        // This cannot fail: `record_by_client` receives until `aside` is dropped.
                        None => drop(aside.send(pending)),
                    }
                }
                self.recorder.answer(done);
            }
        };
        tokio::join!(groups, self.record_by_client(set_aside));
    }

    /// Lets [`Tokens::record_in_groups`] end after it has recorded the tokens in the queue.
    pub fn stop_recording_in_groups(&self) {
        self.recorder.close();
    }

    /// Records a group in one transaction. Returns one outcome for each token, in order. `None` means that the token is to be
    /// recorded client by client: the check refused it, another transaction holds one of its rows, or the group was in a
    /// deadlock.
    async fn record_group(&self, group: &[Pending]) -> Vec<Option<Result<IssueCheck, Error>>> {
        match self.record_together(group).await {
            Ok(recorded) => {
                recorded.into_iter().map(|recorded| recorded.then_some(Ok(IssueCheck::Allowed))).collect()
            }
            // The database has rolled the group back. Recorded client by client, its tokens lock the rows of one client at a
            // time.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                self.totals.repeated.fetch_add(1, Ordering::Relaxed);
                group.iter().map(|_| None).collect()
            }
            Err(error) => {
                group.iter().map(|_| Some(Err(Error::SharedTransaction(error.to_string())))).collect()
            }
        }
    }

    /// Records those tokens of a group that may be issued and whose rows no other transaction holds, with few statements.
    /// Returns for each token whether it was recorded.
    async fn record_together(&self, group: &[Pending]) -> Result<Vec<bool>, Error> {
        // `bounded` are the tokens that may end older ones: no other transaction may hold the rows of their clients.
        let (free, mut bounded): (Vec<&Pending>, Vec<&Pending>) =
            group.iter().partition(|pending| !pending.what.guard.replaces);
        if bounded.is_empty() {
            let recorded = self.kernel.storage.record_tokens(&with_guards(&free)).await?;
            self.count_commit(count(&recorded));
            return Ok(recorded);
        }
        let mut tx = self.kernel.storage.begin().await?;
        let recorded_free = tx.record_tokens(&with_guards(&free), false).await?;
        let recorded_bounded = tx.record_tokens(&with_guards(&bounded), true).await?;
        let total = count(&recorded_free) + count(&recorded_bounded);
        if total == 0 {
            tx.rollback().await?;
            return Ok(vec![false; group.len()]);
        }
        let mut are_recorded = recorded_bounded.iter();
        bounded.retain(|_| are_recorded.next() == Some(&true));
        let ended = self.end_older_tokens(&mut tx, &bounded).await?;
        mark_revoked(&mut tx, &ended).await?;
        self.ledger.commit(tx).await?;
        self.count_commit(total);
        let (mut of_free, mut of_bounded) = (recorded_free.into_iter(), recorded_bounded.into_iter());
        let in_order = group.iter().map(|pending| {
            let outcomes = if pending.what.guard.replaces { &mut of_bounded } else { &mut of_free };
            outcomes.next().unwrap_or_default()
        });
        Ok(in_order.collect())
    }

    /// Revokes older tokens that the new ones replace, or that are now too many. Of several new tokens of one client,
    /// only `active_tokens` of the last is applied; the others count as older ones.
    async fn end_older_tokens(&self, tx: &mut Tx, recorded: &[&Pending]) -> Result<Vec<Revoked>, Error> {
        let last: BTreeMap<&str, &Pending> =
            recorded.iter().map(|pending| (pending.what.token.client_id.as_str(), *pending)).collect();
        let (mut ended, mut bounds) = (Vec::new(), Vec::new());
        for (client_id, Pending { what: ToRecord { token, active_tokens, guard }, .. }) in &last {
            match *active_tokens {
                ActiveTokens::Many => {}
                ActiveTokens::Replace { grace_seconds } => {
                    let at = guard.now.saturating_add(grace_seconds);
                    ended.extend(tx.replace_tokens(client_id, &token.jti, at, guard.now).await?);
                }
                ActiveTokens::AtMost(max) => bounds.push((*client_id, max)),
            }
        }
        if let Some(now) = last.values().map(|pending| pending.what.guard.now).max() {
            ended.extend(tx.revoke_beyond(&bounds, now).await?);
        }
        Ok(ended)
    }

    pub(super) fn count_commit(&self, recorded: usize) {
        if recorded > 0 {
            self.totals.tokens.fetch_add(u64::try_from(recorded).unwrap_or_default(), Ordering::Relaxed);
            self.totals.commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many queued tokens have no outcome yet.
    pub fn tokens_being_recorded(&self) -> u64 {
        self.recorder.waiting()
    }

    /// How many groups were recorded client by client, after a deadlock.
    pub fn repeated_groups(&self) -> u64 {
        self.totals.repeated.load(Ordering::Relaxed)
    }

    /// How many queued tokens were recorded since the start, in groups or client by client, and in how many commits.
    pub fn recorded_tokens_and_commits(&self) -> (u64, u64) {
        let Totals { tokens, commits, .. } = &self.totals;
        (tokens.load(Ordering::Relaxed), commits.load(Ordering::Relaxed))
    }
}
