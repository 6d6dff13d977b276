//! Handles, client by client, the tokens that were not recorded with their group: because another transaction holds the row of
//! their client, workspace, key or secret, because they may not be issued (this module finds out why), or because the group was
//! in a deadlock. So a client that is being changed delays only its own tokens.

use std::collections::{HashMap, HashSet, VecDeque};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Tokens;
use super::recorder::{GROUP_MAX, Pending, ToRecord};
use crate::clients::mark_revoked;
use crate::kernel::Error;
use crate::storage::IssueCheck;

/// For how many clients tokens are recorded at once. Each takes a connection of the pool.
const AT_ONCE: usize = 4;

/// Tokens that wait, by client, and the clients in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    of_client: HashMap<String, VecDeque<Pending>>,
    order: VecDeque<String>,
}

impl Waiting {
    fn add(&mut self, pending: Pending) {
        let client_id = &pending.what.token.client_id;
        if !self.of_client.contains_key(client_id) {
            self.order.push_back(client_id.clone());
        }
        self.of_client.entry(client_id.clone()).or_default().push_back(pending);
    }

    /// The tokens of the first client that is not `busy`, as many as one transaction can record.
    fn take(&mut self, busy: &HashSet<String>) -> Option<(String, Vec<Pending>)> {
        let at = self.order.iter().position(|client_id| !busy.contains(client_id))?;
        let client_id = self.order.remove(at)?;
        let mut all = self.of_client.remove(&client_id)?;
        let rest = all.split_off(all.len().min(GROUP_MAX));
        if !rest.is_empty() {
            self.order.push_back(client_id.clone());
            self.of_client.insert(client_id.clone(), rest);
        }
        Some((client_id, all.into()))
    }
}

impl Tokens {
    /// Records the tokens that arrive, in one transaction for each client, until no more can arrive.
    pub(super) async fn record_by_client(&self, mut set_aside: UnboundedReceiver<Pending>) {
        let (mut waiting, mut busy) = (Waiting::default(), HashSet::new());
        let mut working = FuturesUnordered::new();
        let mut more_may_come = true;
        loop {
            while working.len() < AT_ONCE
                && let Some((client_id, tokens)) = waiting.take(&busy)
            {
                busy.insert(client_id.clone());
                working.push(async move {
                    self.record_of_client(tokens).await;
                    client_id
                });
            }
            // No client is busy, so the loop above has left no token waiting either.
            if !more_may_come && working.is_empty() {
                return;
            }
            tokio::select! {
                pending = set_aside.recv(), if more_may_come => match pending {
                    Some(pending) => waiting.add(pending),
                    None => more_may_come = false,
                },
                Some(client_id) = working.next() => {
                    busy.remove(&client_id);
                }
                else => {}
            }
        }
    }

    async fn record_of_client(&self, tokens: Vec<Pending>) {
        let outcomes = match self.record_each(&tokens).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // For example, a key that signed some of these tokens is being revoked. A transaction for a single token takes its
            // locks in the usual order.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                let mut outcomes = Vec::with_capacity(tokens.len());
                for Pending { what: ToRecord { token, active_tokens, guard }, .. } in &tokens {
                    let outcome = self.record_alone(token, *active_tokens, guard).await;
                    self.count_commit(usize::from(matches!(outcome, Ok(IssueCheck::Allowed))));
                    outcomes.push(outcome);
                }
                outcomes
            }
            Err(error) => {
                tokens.iter().map(|_| Err(Error::SharedTransaction(error.to_string()))).collect::<Vec<_>>()
            }
        };
        self.recorder.answer(tokens.into_iter().zip(outcomes).collect());
    }

    /// Records those tokens of one client that may be issued, in order and in one transaction. The outcomes also say why the
    /// others may not be issued.
    async fn record_each(&self, tokens: &[Pending]) -> Result<Vec<IssueCheck>, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let (mut outcomes, mut ended) = (Vec::with_capacity(tokens.len()), Vec::new());
        for Pending { what: ToRecord { token, active_tokens, guard }, .. } in tokens {
            outcomes.push(self.record_in(&mut tx, token, *active_tokens, guard, &mut ended).await?);
        }
        mark_revoked(&mut tx, &ended).await?;
        self.ledger.commit(tx).await?;
        self.count_commit(outcomes.iter().filter(|check| **check == IssueCheck::Allowed).count());
        Ok(outcomes)
    }
}
