//! Recording tokens, one by one and in groups: no token is recorded after the right to it has ended.

use mintmark::model::client::ApiClient;
use mintmark::model::inline_id::SecretId;
use mintmark::model::key::{Phase, SigningKey};
use mintmark::model::proof::Proof;
use mintmark::model::reach::Reach;
use mintmark::model::secret::ClientSecret;
use mintmark::model::token::RecordedToken;
use mintmark::model::workspace::Workspace;
use mintmark::storage::{IssueCheck, IssueGuard, Storage, StorageError, Tx};

use crate::storage::samples::{NOW, change, client, secret, signing_key, stocked, token, workspace};
use crate::support::{Engine, TestDatabase, on_both_engines, outcome_after};

on_both_engines!(
    a_group_of_tokens_is_recorded_unchanged,
    no_group_is_recorded_after_an_ending,
    no_group_is_recorded_while_an_ending_is_being_committed,
    nothing_ends_between_a_group_and_its_commit,
    a_token_is_counted_while_it_is_live,
    all_tokens_of_a_client_are_revoked,
    all_tokens_of_a_key_are_revoked,
    a_jti_exists_once,
    a_token_may_be_recorded_while_its_client_secret_and_key_are_valid,
    no_token_is_recorded_after_its_right_has_ended,
    recording_checks_and_writes_in_one_step,
    no_token_is_recorded_while_the_end_of_its_right_is_being_committed,
    nothing_ends_between_the_check_and_the_commit,
    an_administrator_may_issue_without_a_secret_of_the_client,
);

fn guard(secret_id: Option<&str>, now: i64) -> IssueGuard {
    IssueGuard {
        proof: secret_id.map(|id| Proof::Secret { secret_id: SecretId::new(id).unwrap() }),
        now,
        replaces: false,
    }
}

async fn may_issue(storage: &Storage, secret_id: Option<&str>, now: i64) -> IssueCheck {
    change!(storage, tx => tx.may_issue(&token("t"), &guard(secret_id, now)))
}

/// What ends the right to a token between authentication and issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    ClientDisabled,
    ClientDeleted,
    ClientEnds,
    NewGeneration,
    WorkspaceSuspended,
    WorkspaceDeleted,
    SecretDeleted,
    SecretEnds,
    KeyRetired,
}

const ENDINGS: [Ending; 9] = [
    Ending::ClientDisabled,
    Ending::ClientDeleted,
    Ending::ClientEnds,
    Ending::NewGeneration,
    Ending::WorkspaceSuspended,
    Ending::WorkspaceDeleted,
    Ending::SecretDeleted,
    Ending::SecretEnds,
    Ending::KeyRetired,
];

/// Each ending has a separate workspace, client, secret and key, which have the name of the ending.
impl Ending {
    fn name(self) -> String {
        format!("{self:?}")
    }

    fn client(self) -> ApiClient {
        ApiClient { workspace_id: self.name(), ..client(&self.name()) }
    }

    fn token(self) -> RecordedToken {
        let [client_id, workspace_id, kid] = [self.name(), self.name(), self.name()];
        RecordedToken { client_id, workspace_id: workspace_id.into(), kid: kid.into(), ..token(&self.name()) }
    }

    fn guard(self, now: i64) -> IssueGuard {
        guard(Some(&self.name()), now)
    }

    /// Whether a token may be recorded five seconds after [`NOW`].
    async fn may_issue(self, storage: &Storage) -> IssueCheck {
        change!(storage, tx => tx.may_issue(&self.token(), &self.guard(NOW + 5)))
    }

    /// Writes the ending as the services do: before a secret is changed, its client is locked.
    async fn write(self, tx: &mut Tx) {
        let name = self.name();
        let written = match self {
            Self::ClientDisabled => {
                tx.update_client(&ApiClient { disabled_at: Some(NOW), ..self.client() }).await
            }
            Self::ClientDeleted => tx.delete_client(&name).await,
            Self::ClientEnds => {
                tx.update_client(&ApiClient { expires_at: Some(NOW + 5), ..self.client() }).await
            }
            Self::NewGeneration => tx.update_client(&ApiClient { generation: 8, ..self.client() }).await,
            Self::WorkspaceSuspended => {
                tx.update_workspace(&Workspace { suspended_at: Some(NOW), ..workspace(&name) }).await
            }
            Self::WorkspaceDeleted => tx.delete_workspace(&name, NOW).await,
            Self::SecretDeleted => {
                tx.lock_client(&Reach::Platform, &name).await.unwrap();
                tx.delete_secret(&name, &name).await
            }
            Self::SecretEnds => {
                tx.lock_client(&Reach::Platform, &name).await.unwrap();
                tx.expire_other_secrets(&name, "another", NOW + 5).await.map(|()| true)
            }
            Self::KeyRetired => {
                tx.update_signing_key(&SigningKey { phase: Phase::Retiring, ..signing_key(&name) }).await
            }
        };
        assert!(written.unwrap(), "{self:?}");
    }

    fn refusal(self) -> IssueCheck {
        match self {
            Self::KeyRetired => IssueCheck::KeyNotSigning,
            Self::NewGeneration => IssueCheck::GenerationEnded,
            _ => IssueCheck::ClientNotAllowed,
        }
    }
}

/// A database with the records for each ending.
async fn with_records_for_endings(engine: Engine) -> (TestDatabase, Storage) {
    let (database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    for ending in ENDINGS {
        let name = ending.name();
        assert!(tx.insert_workspace(&workspace(&name)).await.unwrap());
        tx.insert_client(&ending.client(), &name).await.unwrap();
        tx.insert_secret(&secret(&name, &name)).await.unwrap();
        assert!(tx.insert_signing_key(&signing_key(&name)).await.unwrap());
    }
    tx.commit().await.unwrap();
    (database, storage)
}

async fn a_token_is_counted_while_it_is_live(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    for recorded in [
        token("t1"),
        RecordedToken { expires_at: None, ..token("t2") },
        RecordedToken { revoked_at: Some(NOW), ..token("t3") },
        RecordedToken { client_id: "cl_2".to_owned(), ..token("t4") },
    ] {
        tx.insert_recorded_token(&recorded).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (now, living) in [(NOW, 2), (NOW + 99_999, 2), (NOW + 100_000, 1)] {
        assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", now)), living, "at {now}");
    }
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_9", NOW)), 0);
}

async fn all_tokens_of_a_client_are_revoked(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let theirs = RecordedToken { client_id: "cl_2".to_owned(), ..token("t3") };
    for recorded in [token("t1"), token("t2"), theirs] {
        change!(storage, tx => tx.insert_recorded_token(&recorded));
    }
    assert_eq!(change!(storage, tx => tx.revoke_tokens_of_client("cl_1", NOW + 1)).len(), 2);
    assert_eq!(change!(storage, tx => tx.revoke_tokens_of_client("cl_1", NOW + 2)), []);
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", NOW)), 0);
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_2", NOW)), 1);
}

async fn all_tokens_of_a_key_are_revoked(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert!(change!(storage, tx => tx.insert_signing_key(&signing_key("k2"))));
    for recorded in [token("t1"), RecordedToken { kid: "k2".into(), ..token("t2") }] {
        change!(storage, tx => tx.insert_recorded_token(&recorded));
    }
    assert_eq!(change!(storage, tx => tx.revoke_tokens_of_key("k1", NOW + 1)).len(), 1);
    assert_eq!(change!(storage, tx => tx.revoke_tokens_of_key("k1", NOW + 2)), []);
    assert_eq!(storage.live_tokens_by_kid(NOW).await.unwrap(), [("k2".to_owned(), 1)]);
}

async fn a_jti_exists_once(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_recorded_token(&token("t1")));
    let mut tx = storage.begin().await.unwrap();
    let again = tx.insert_recorded_token(&token("t1")).await;
    assert!(matches!(again, Err(StorageError::Conflict(_))), "{again:?}");
}

async fn a_token_may_be_recorded_while_its_client_secret_and_key_are_valid(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let ending = ClientSecret { expires_at: Some(NOW + 10), ..secret("s2", "cl_1") };
    change!(storage, tx => tx.insert_secret(&ending));
    assert_eq!(may_issue(&storage, Some("s1"), NOW).await, IssueCheck::Allowed);
    assert_eq!(may_issue(&storage, Some("s2"), NOW + 9).await, IssueCheck::Allowed);
    assert_eq!(may_issue(&storage, Some("s2"), NOW + 10).await, IssueCheck::ClientNotAllowed);
    assert_eq!(may_issue(&storage, Some("s1"), NOW + 999_999).await, IssueCheck::Allowed);
    assert_eq!(may_issue(&storage, Some("s1"), NOW + 1_000_000).await, IssueCheck::ClientNotAllowed);
    for (phase, expected) in [
        (Phase::Pending, IssueCheck::Allowed),
        (Phase::Active, IssueCheck::Allowed),
        (Phase::Retiring, IssueCheck::KeyNotSigning),
        (Phase::Gone, IssueCheck::KeyNotSigning),
    ] {
        change!(storage, tx => tx.update_signing_key(&SigningKey { phase, ..signing_key("k1") }));
        assert_eq!(may_issue(&storage, Some("s1"), NOW).await, expected, "{phase:?}");
    }
    // A secret of another client is not a secret of this client.
    change!(storage, tx => tx.update_signing_key(&signing_key("k1")));
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    change!(storage, tx => tx.insert_secret(&secret("t1", "cl_2")));
    assert_eq!(may_issue(&storage, Some("t1"), NOW).await, IssueCheck::ClientNotAllowed);
}

async fn no_token_is_recorded_after_its_right_has_ended(engine: Engine) {
    let (_database, storage) = with_records_for_endings(engine).await;
    for ending in ENDINGS {
        assert_eq!(ending.may_issue(&storage).await, IssueCheck::Allowed, "before {ending:?}");
        let mut tx = storage.begin().await.unwrap();
        ending.write(&mut tx).await;
        tx.commit().await.unwrap();
        assert_eq!(ending.may_issue(&storage).await, ending.refusal(), "{ending:?}");
    }
}

async fn recording_checks_and_writes_in_one_step(engine: Engine) {
    let (_database, storage) = with_records_for_endings(engine).await;
    for ending in ENDINGS {
        let (guard, platform) = (ending.guard(NOW), Reach::Platform);
        let alone = IssueGuard { replaces: true, ..guard.clone() };
        for (guard, jti) in [(&guard, "first"), (&alone, "second")] {
            let token = RecordedToken { jti: format!("{ending:?} {jti}"), ..ending.token() };
            assert_eq!(
                change!(storage, tx => tx.record_token(&token, guard)),
                IssueCheck::Allowed,
                "{ending:?}"
            );
            let found = storage.recorded_token(&platform, &ending.name(), &token.jti).await.unwrap();
            assert_eq!(found, Some(token));
        }
        let mut tx = storage.begin().await.unwrap();
        ending.write(&mut tx).await;
        tx.commit().await.unwrap();
        let (token, guard) = (ending.token(), ending.guard(NOW + 5));
        assert_eq!(change!(storage, tx => tx.record_token(&token, &guard)), ending.refusal(), "{ending:?}");
        assert_eq!(storage.recorded_token(&platform, &ending.name(), &token.jti).await.unwrap(), None);
    }
    // An administrator issues this token, so there is no secret to check.
    let (token, guard) = (token("t"), guard(None, NOW));
    assert_eq!(change!(storage, tx => tx.record_token(&token, &guard)), IssueCheck::Allowed);
    assert_eq!(change!(storage, tx => tx.recorded_token("t")), Some(token));
}

async fn no_token_is_recorded_while_the_end_of_its_right_is_being_committed(engine: Engine) {
    let (database, storage) = with_records_for_endings(engine).await;
    let other = database.open().await;
    for ending in ENDINGS {
        // An ending that is rolled back has no effect.
        let mut tx = storage.begin().await.unwrap();
        ending.write(&mut tx).await;
        let undone = async { tx.rollback().await.unwrap() };
        assert_eq!(
            outcome_after(&database, ending.may_issue(&other), undone).await,
            IssueCheck::Allowed,
            "{ending:?}"
        );

        let mut tx = storage.begin().await.unwrap();
        ending.write(&mut tx).await;
        let done = async { drop(tx.commit().await.unwrap()) };
        assert_eq!(
            outcome_after(&database, ending.may_issue(&other), done).await,
            ending.refusal(),
            "{ending:?}"
        );
    }
}

async fn nothing_ends_between_the_check_and_the_commit(engine: Engine) {
    let (database, storage) = with_records_for_endings(engine).await;
    let other = database.open().await;
    for ending in ENDINGS {
        let mut tx = storage.begin().await.unwrap();
        assert_eq!(tx.may_issue(&ending.token(), &ending.guard(NOW)).await.unwrap(), IssueCheck::Allowed);
        let ending_it = async {
            let mut tx = other.begin().await.unwrap();
            ending.write(&mut tx).await;
            // A revocation of all tokens includes the token that was recorded before it.
            let revoked = tx.revoke_tokens_of_client(&ending.name(), NOW).await.unwrap();
            tx.commit().await.unwrap();
            revoked.len()
        };
        let issuing = async {
            tx.insert_recorded_token(&ending.token()).await.unwrap();
            tx.commit().await.unwrap();
        };
        assert_eq!(outcome_after(&database, ending_it, issuing).await, 1, "{ending:?}");
    }
}

async fn an_administrator_may_issue_without_a_secret_of_the_client(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert_eq!(may_issue(&storage, None, NOW).await, IssueCheck::Allowed);
    change!(storage, tx => tx.insert_secret(&secret("s2", "cl_1")));
    assert_eq!(may_issue(&storage, None, NOW).await, IssueCheck::Allowed);
    for id in ["s1", "s2"] {
        assert!(change!(storage, tx => tx.delete_secret("cl_1", id)));
    }
    assert_eq!(may_issue(&storage, None, NOW).await, IssueCheck::Allowed);
    assert_eq!(may_issue(&storage, Some("s1"), NOW).await, IssueCheck::ClientNotAllowed);
}

async fn a_group_of_tokens_is_recorded_unchanged(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let ending = ClientSecret { expires_at: Some(NOW + 10), ..secret("s2", "cl_1") };
    change!(storage, tx => tx.insert_secret(&ending));
    let (by_one, by_other) = (guard(Some("s1"), NOW), guard(Some("s2"), NOW + 9));
    let never = RecordedToken { expires_at: None, ..token("t1") };
    let ending = RecordedToken { expires_at: Some(NOW + 7), ..token("t2") };
    let odd = RecordedToken { scope: "a\"b\\c \u{1f511}".into(), ..token("t3") };
    let without_slot = RecordedToken { slot: None, ..token("t4") };
    let group = [(&never, &by_one), (&ending, &by_other), (&odd, &by_one), (&without_slot, &by_other)];
    let (shared, alone) = group.split_at(2);
    assert_eq!(change!(storage, tx => tx.record_tokens(shared, false)), [true, true]);
    assert_eq!(change!(storage, tx => tx.record_tokens(alone, true)), [true, true]);
    assert_eq!(change!(storage, tx => tx.record_tokens(&[], true)).len(), 0);
    let [fifth, sixth] = ["t5", "t6"].map(token);
    let unknown_secret = guard(Some("s3"), NOW);
    let partly = [(&fifth, &by_one), (&sixth, &unknown_secret)];
    assert_eq!(storage.record_tokens(&partly).await.unwrap(), [true, false]);
    assert_eq!(storage.record_tokens(&partly[1..]).await.unwrap(), [false]);
    for (token, _) in group {
        let stored = storage.recorded_token(&Reach::Platform, &token.client_id, &token.jti).await.unwrap();
        assert_eq!(stored.as_ref(), Some(token));
    }
}

/// Whether all three tokens of [`group_of`] are recorded. They are rolled back afterwards.
async fn group_is_recorded(storage: &Storage, ending: Ending) -> bool {
    let mut tx = storage.begin().await.unwrap();
    let group = group_of(ending);
    let outcome = tx.record_tokens(&group.each_ref().map(|(token, guard)| (token, guard)), false).await;
    tx.rollback().await.unwrap();
    outcome.unwrap() == [true; 3]
}

/// A token that is allowed until `ClientDisabled` is written, and two that are allowed until `ending` is.
fn group_of(ending: Ending) -> [(RecordedToken, IssueGuard); 3] {
    let of = |ending: Ending, jti: &str, now| {
        (RecordedToken { jti: jti.to_owned(), ..ending.token() }, ending.guard(now))
    };
    [of(Ending::ClientDisabled, "living", NOW), of(ending, "one", NOW + 5), of(ending, "other", NOW + 5)]
}

async fn no_group_is_recorded_after_an_ending(engine: Engine) {
    let (_database, storage) = with_records_for_endings(engine).await;
    // In reverse, since the first token of every group needs a client that `ClientDisabled` has not disabled yet.
    for ending in ENDINGS.into_iter().rev() {
        assert!(group_is_recorded(&storage, ending).await, "before {ending:?}");
        let mut tx = storage.begin().await.unwrap();
        ending.write(&mut tx).await;
        tx.commit().await.unwrap();
        assert!(!group_is_recorded(&storage, ending).await, "{ending:?}");
    }
    let (token, by_administrator) = (token("t"), guard(None, NOW));
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(
        tx.record_tokens(&[(&token, &by_administrator)], false).await.unwrap(),
        [false],
        "a group records only tokens with a secret to check"
    );
}

/// SQLite has one writer, so the group waits. On PostgreSQL the group waits for no row: it leaves out tokens whose rows another
/// transaction has locked.
async fn no_group_is_recorded_while_an_ending_is_being_committed(engine: Engine) {
    let (database, storage) = with_records_for_endings(engine).await;
    let other = database.open().await;
    for ending in ENDINGS.into_iter().rev() {
        for commits in [false, true] {
            let mut tx = storage.begin().await.unwrap();
            ending.write(&mut tx).await;
            let finish = async {
                if commits {
                    drop(tx.commit().await.unwrap());
                } else {
                    tx.rollback().await.unwrap();
                }
            };
            let recorded = if engine == Engine::Sqlite {
                outcome_after(&database, group_is_recorded(&other, ending), finish).await
            } else {
                assert!(!group_is_recorded(&other, ending).await, "while {ending:?}");
                finish.await;
                group_is_recorded(&other, ending).await
            };
            assert_eq!(recorded, !commits, "{ending:?}");
        }
    }
}

async fn nothing_ends_between_a_group_and_its_commit(engine: Engine) {
    let (database, storage) = with_records_for_endings(engine).await;
    let other = database.open().await;
    for (number, ending) in ENDINGS.into_iter().rev().enumerate() {
        let mut group = group_of(ending);
        for (token, _) in &mut group {
            token.jti.push_str(&number.to_string());
        }
        let mut tx = storage.begin().await.unwrap();
        let added = tx.record_tokens(&group.each_ref().map(|(token, guard)| (token, guard)), false).await;
        assert_eq!(added.unwrap(), [true; 3]);
        let ending_it = async {
            let mut tx = other.begin().await.unwrap();
            ending.write(&mut tx).await;
            let revoked = tx.revoke_tokens_of_client(&ending.name(), NOW).await.unwrap();
            tx.commit().await.unwrap();
            // The tokens `one…` and `other…` of the group.
            revoked.iter().filter(|token| token.jti.starts_with('o')).count()
        };
        let issuing = async { drop(tx.commit().await.unwrap()) };
        // A revocation of all tokens includes the tokens that were recorded before it.
        assert_eq!(outcome_after(&database, ending_it, issuing).await, 2, "{ending:?}");
    }
}
