//! The last refused requests that are not stored yet. In a flood, new ones replace the oldest, so that memory and the number of
//! rows that are written stay bounded.

use std::collections::VecDeque;

use crate::model::refusal::Failure;

/// How many a list holds in all, at most. So a flush writes at most this many from each of the two lists in `Pending`.
const ALL_MAX: usize = 1_000;

/// Refused requests, oldest first.
#[derive(Debug)]
pub(super) struct Recent {
    failures: VecDeque<Failure>,
    /// How many that name the same client are held, at most.
    of_one_max: usize,
}

impl Recent {
    pub(super) fn with_of_one_client(of_one_max: usize) -> Self {
        Self { failures: VecDeque::new(), of_one_max }
    }

    /// Adds a refused request. If there are too many of its client, it replaces the oldest of the client; if there are too many
    /// in all, it replaces the oldest.
    pub(super) fn add(&mut self, failure: Failure) {
        let same = |other: &Failure| other.client_id == failure.client_id;
        if self.failures.iter().filter(|other| same(other)).count() >= self.of_one_max {
            if let Some(oldest) = self.failures.iter().position(same) {
                self.failures.remove(oldest);
            }
        } else if self.failures.len() >= ALL_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back(failure);
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::refusal::{Endpoint, Refusal};

    fn of(client: usize, number: usize) -> Failure {
        Failure {
            failure_id: format!("{number:05}"),
            client_id: Some(client.to_string()),
            workspace_id: None,
            at: 0,
            endpoint: Endpoint::Token,
            reason: Refusal::WrongSecret,
            detail: None,
            source_ip: None,
            secret_last_four: None,
            request_id: String::new(),
        }
    }

    #[test]
    fn a_flood_of_one_client_takes_no_room_of_others() {
        let mut recent = Recent::with_of_one_client(100);
        recent.add(of(1, 0));
        for number in 1..=5_000 {
            recent.add(of(2, number));
        }
        let kept = recent.take();
        assert_eq!(kept.len(), 101);
        assert_eq!(kept[0], of(1, 0));
        assert_eq!((&kept[1], &kept[100]), (&of(2, 4_901), &of(2, 5_000)));
        assert_eq!(recent.take(), []);
    }

    #[test]
    fn a_flood_of_many_clients_is_bounded() {
        let mut recent = Recent::with_of_one_client(100);
        for number in 0..5_000 {
            recent.add(of(number, number));
        }
        let kept = recent.take();
        assert_eq!((kept.len(), &kept[999]), (ALL_MAX, &of(4_999, 4_999)));
    }
}
