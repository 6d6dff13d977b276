//! How recorded tokens end: revoked, replaced, or deleted after they have ended.

use mintmark::model::reach::Reach;
use mintmark::model::status::Slot;
use mintmark::model::token::RecordedToken;
use mintmark::storage::{Ending, Revoked, Storage, TokenState};

use crate::storage::samples::{NOW, change, stocked, token};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_token_is_revoked_once,
    revoking_says_which_tokens_were_live,
    tokens_are_revoked_by_their_scopes,
    the_live_tokens_of_a_client_are_counted,
    work_on_the_tokens_of_a_client_reads_only_live_ones,
    the_tokens_of_a_key_or_a_list_are_found_without_reading_others,
    the_oldest_tokens_beyond_a_number_and_tokens_named_by_id_are_revoked,
    a_new_token_replaces_the_others_immediately,
    a_replaced_token_may_have_a_grace_period,
    a_client_is_due_only_while_it_has_a_token_to_revoke,
    a_grace_period_is_never_extended,
    denied_tokens_are_deleted_after_their_end,
    ended_tokens_are_deleted_in_batches,
);

async fn insert(storage: &Storage, tokens: impl IntoIterator<Item = RecordedToken>) {
    for token in tokens {
        change!(storage, tx => tx.insert_recorded_token(&token));
    }
}

async fn found(storage: &Storage, jti: &str) -> RecordedToken {
    storage.recorded_token(&Reach::Platform, "cl_1", jti).await.unwrap().unwrap()
}

/// The result of revoking a sample token.
fn revoked(jti: &str, was_live: bool) -> Revoked {
    let slot = Some(Slot { list: 2, idx: 4711 });
    Revoked { jti: jti.to_owned(), client_id: "cl_1".to_owned(), slot, was_live }
}

fn sorted(mut all: Vec<Revoked>) -> Vec<Revoked> {
    all.sort_by(|a, b| a.jti.cmp(&b.jti));
    all
}

async fn a_token_is_revoked_once(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("t1"), token("t2")]).await;
    assert_eq!(change!(storage, tx => tx.revoke_token("t1", NOW + 1)), Some(revoked("t1", true)));
    assert_eq!(change!(storage, tx => tx.revoke_token("t1", NOW + 2)), None);
    assert_eq!(change!(storage, tx => tx.revoke_token("none", NOW + 2)), None);
    assert_eq!(found(&storage, "t1").await.revoked_at, Some(NOW + 1));
    assert_eq!(found(&storage, "t2").await.revoked_at, None);
}

async fn revoking_says_which_tokens_were_live(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(
        &storage,
        [
            token("alive"),
            RecordedToken { expires_at: Some(NOW + 1), ..token("ended") },
            RecordedToken { revoke_at: Some(NOW + 1), ..token("grace over") },
            RecordedToken { revoke_at: Some(NOW + 2), expires_at: None, slot: None, ..token("in grace") },
        ],
    )
    .await;
    let all = sorted(change!(storage, tx => tx.revoke_tokens_of_client("cl_1", NOW + 1)));
    let in_grace = Revoked { slot: None, ..revoked("in grace", true) };
    assert_eq!(
        all,
        [revoked("alive", true), revoked("ended", false), revoked("grace over", false), in_grace]
    );
}

async fn tokens_are_revoked_by_their_scopes(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let with_scope = |jti: &str, scope: &str| RecordedToken { scope: scope.into(), ..token(jti) };
    insert(
        &storage,
        [
            with_scope("first", "gst e-invoicing mintmark:read"),
            with_scope("last", "e-invoicing gst"),
            with_scope("alone", "mintmark:read"),
            with_scope("longer", "gst-returns e-gst mintmark:read-all"),
            with_scope("other", "e-invoicing"),
            with_scope("empty", ""),
            RecordedToken { expires_at: None, ..with_scope("never expires", "gst") },
            RecordedToken { expires_at: Some(NOW + 1), ..with_scope("ended", "gst") },
            RecordedToken { expires_at: Some(NOW - 119), ..with_scope("long ended", "gst") },
            RecordedToken { revoked_at: Some(NOW), ..with_scope("revoked", "gst") },
            RecordedToken { revoke_at: Some(NOW + 1), ..with_scope("replaced", "gst") },
            RecordedToken { revoke_at: Some(NOW + 2), ..with_scope("soon replaced", "gst") },
            RecordedToken { client_id: "cl_2".to_owned(), ..with_scope("theirs", "gst") },
        ],
    )
    .await;
    let none = change!(storage, tx => tx.revoke_tokens_with_scopes("cl_1", &[], NOW + 1));
    assert_eq!(none, []);
    let counted = change!(storage, tx =>
        tx.count_tokens_with_scopes("cl_1", &["gst", "mintmark:read", "%"], NOW + 1));
    let all =
        change!(storage, tx => tx.revoke_tokens_with_scopes("cl_1", &["gst", "mintmark:read", "%"], NOW + 1));
    // A token that ended less than 120 seconds ago (`CLOCKS_DIFFER`) may be live by the clock of another server. So `ended` and
    // `replaced` are revoked too, but not counted.
    assert_eq!(counted + 2, i64::try_from(all.len()).unwrap());
    let expected = ["alone", "ended", "first", "last", "never expires", "replaced", "soon replaced"];
    assert_eq!(sorted(all), expected.map(|jti| revoked(jti, !matches!(jti, "ended" | "replaced"))));
    assert_eq!(found(&storage, "first").await.revoked_at, Some(NOW + 1));
    assert_eq!(found(&storage, "longer").await.revoked_at, None);
}

async fn the_live_tokens_of_a_client_are_counted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(
        &storage,
        [
            token("alive"),
            RecordedToken { expires_at: None, ..token("never") },
            RecordedToken { revoked_at: Some(NOW), ..token("revoked") },
            RecordedToken { expires_at: Some(NOW), ..token("ended") },
            RecordedToken { client_id: "cl_2".to_owned(), ..token("theirs") },
        ],
    )
    .await;
    let slot = Slot { list: 2, idx: 4711 };
    assert_eq!(change!(storage, tx => tx.live_slots_of_client("cl_1", NOW)), [slot, slot]);
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", NOW)), 2);
    // `ended` expires at `NOW`. It counts for 120 seconds more (`CLOCKS_DIFFER`), which are over at this instant.
    for (limit, more) in [(2, false), (1, true), (0, true)] {
        assert_eq!(change!(storage, tx => tx.ends_more_than(limit, "cl_1", Ending::All, NOW + 120)), more);
    }
    let (all, beyond) = ((Ending::All, NOW + 120), (Ending::Beyond(1), NOW));
    for ((ending, now), at_most, count) in [(all, 9, 2), (all, 1, 1), (beyond, 9, 1)] {
        assert_eq!(change!(storage, tx => tx.count_ending("cl_1", ending, now, at_most)), count);
    }
}

/// The numbers from 1 to 20,000 as a table `n`.
fn numbers(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) SELECT n FROM n) n"
        }
        Engine::Postgres => "generate_series(1, 20000) AS n (n)",
    }
}

/// Rows of revoked and of ended tokens are kept for a long time, so work on the live ones of a client must not read them.
async fn work_on_the_tokens_of_a_client_reads_only_live_ones(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    insert(
        &storage,
        [
            token("live"),
            RecordedToken { revoked_at: Some(NOW - 9), ..token("revoked") },
            RecordedToken { expires_at: Some(NOW - 999), ..token("ended") },
        ],
    )
    .await;
    let numbers = numbers(engine);
    let multiplied = format!(
        "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at, expires_at,
            revoked_at, issued_by)
        SELECT t.jti || n.n, CASE WHEN n.n % 20 = 0 THEN t.client_id ELSE 'other' || (n.n % 97) END,
            t.workspace_id, t.kid, t.generation, t.scope, t.products, t.issued_at, t.expires_at, t.revoked_at, t.issued_by
        FROM access_tokens t, {numbers} WHERE t.jti IN ('revoked', 'ended')"
    );
    database.session().await.execute(&multiplied).await;
    database.execute("ANALYZE").await;
    let plans = storage.plans_for_live_tokens("cl_1", NOW).await.unwrap();
    assert_eq!(plans.len(), 12);
    for (name, steps) in plans {
        let steps: Vec<&str> = steps.iter().map(|step| step.trim()).collect();
        let whole = steps.join("\n");
        if engine == Engine::Sqlite {
            // The index is read for one client, and only for tokens that end after a given time.
            let read = "INDEX access_tokens_live (client_id=? AND <expr>>?)";
            assert!(whole.contains(read), "{name}:\n{whole}");
            // Suspending many tokens reads only the index, and no rows.
            assert!(name != "slots" || whole.contains("COVERING INDEX access_tokens_live"), "{whole}");
            assert!(!whole.contains("SCAN access_tokens") && !whole.contains("SCAN t\n"), "{name}:\n{whole}");
        } else {
            // There is a separate index of the tokens that are due to be revoked.
            let due = name == "revoke due" && whole.contains("access_tokens_due");
            assert!(due || whole.contains("access_tokens_live"), "{name}:\n{whole}");
            assert!(!whole.contains("Seq Scan on access_tokens"), "{name}:\n{whole}");
        }
        assert!(!whole.contains("access_tokens_client"), "{name}:\n{whole}");
    }
}

/// The tokens of a key, and the last token to end in a status list, are found with an index, without reading all tokens.
async fn the_tokens_of_a_key_or_a_list_are_found_without_reading_others(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    insert(&storage, [token("one")]).await;
    let numbers = numbers(engine);
    let multiplied = format!(
        "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at, expires_at,
            issued_by, status_list, status_idx)
        SELECT t.jti || n.n, t.client_id, t.workspace_id, (n.n % 97) || ' of other keys', t.generation, t.scope,
            t.products, t.issued_at, t.expires_at + n.n, t.issued_by, 9 + n.n % 97, n.n
        FROM access_tokens t, {numbers}"
    );
    database.session().await.execute(&multiplied).await;
    database.execute("ANALYZE").await;
    let plans = storage.plans_for_keys_and_lists("k1", 2, NOW).await.unwrap();
    assert_eq!(plans.len(), 7);
    for (name, steps) in plans {
        let whole = steps.join("\n");
        let index = if name == "LAST_END" { "access_tokens_expiry" } else { "access_tokens_of_key" };
        // PostgreSQL counts the live tokens of all keys in one scan of the table.
        if engine == Engine::Sqlite || name != "LIVE_TOKENS" {
            assert!(whole.contains(index), "{name}:\n{whole}");
            assert!(
                !whole.contains("SCAN access_tokens") && !whole.contains("Seq Scan on access_tokens"),
                "{whole}"
            );
        }
        assert!(name != "LAST_END" || !whole.contains("ORDER BY") && !whole.contains("Sort"), "{whole}");
    }
}

async fn the_oldest_tokens_beyond_a_number_and_tokens_named_by_id_are_revoked(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let by_client = |jti: &str, client_id: &str| RecordedToken {
        issued_by: "client".into(),
        client_id: client_id.to_owned(),
        ..token(jti)
    };
    // The oldest token is the one whose row was inserted first. `issued_at` depends on the clock of the server that issued it.
    for (jti, at) in [("d", NOW + 5), ("a", NOW + 9), ("c", NOW), ("b", NOW)] {
        insert(&storage, [RecordedToken { issued_at: at, ..by_client(jti, "cl_1") }]).await;
    }
    insert(
        &storage,
        [
            RecordedToken { issued_by: "cli".into(), ..token("by hand") },
            RecordedToken { expires_at: Some(NOW), ..by_client("ended", "cl_1") },
            by_client("theirs", "cl_2"),
        ],
    )
    .await;
    let beyond = storage.ending_tokens("cl_1", Ending::Beyond(3), NOW).await.unwrap();
    assert_eq!(beyond, ["d"]);
    let ended = change!(storage, tx => tx.revoke_beyond(&[("cl_1", 2), ("cl_2", 1), ("cl_3", 1)], NOW));
    assert_eq!(sorted(ended), [revoked("a", true), revoked("d", true)]);
    assert_eq!(change!(storage, tx => tx.revoke_beyond(&[("cl_1", 2)], NOW)), []);
    assert_eq!(change!(storage, tx => tx.revoke_beyond(&[("cl_1", 1)], NOW)), [revoked("c", true)]);
    assert_eq!(change!(storage, tx => tx.revoke_beyond(&[], NOW)), []);
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", NOW)), 2);
    // The tokens of a key, each with its client, in the order of the clients.
    let of_key = storage.ending_tokens_of_key("k1", NOW).await.unwrap();
    let mut ids: Vec<&str> = of_key.iter().map(|(_, jti)| jti.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        ["b", "by hand", "ended", "theirs"],
        "a token that has just ended here may be live by the clock of another server"
    );
    assert!(of_key.is_sorted_by_key(|(client_id, _)| client_id.clone()), "{of_key:?}");
    assert_eq!(storage.ending_tokens_of_key("k9", NOW).await.unwrap(), []);
    // Tokens are revoked by their ids, of any client, and each once.
    let both = ["b", "theirs", "a", "none"].map(str::to_owned);
    let ended = change!(storage, tx => tx.revoke_these(&both, NOW));
    let theirs = Revoked { client_id: "cl_2".to_owned(), ..revoked("theirs", true) };
    assert_eq!(sorted(ended), [revoked("b", true), theirs]);
}

async fn a_new_token_replaces_the_others_immediately(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(
        &storage,
        [
            token("old"),
            RecordedToken { revoke_at: Some(NOW + 60), ..token("older, in grace") },
            RecordedToken { revoked_at: Some(NOW - 9), ..token("dead") },
            RecordedToken { client_id: "cl_2".to_owned(), ..token("theirs") },
            token("new"),
        ],
    )
    .await;
    let replaced = sorted(change!(storage, tx => tx.replace_tokens("cl_1", "new", NOW, NOW)));
    assert_eq!(replaced, [revoked("old", true), revoked("older, in grace", true)]);
    assert_eq!(found(&storage, "old").await.revoked_at, Some(NOW));
    assert_eq!(found(&storage, "dead").await.revoked_at, Some(NOW - 9));
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", NOW)), 1);
    assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_2", NOW)), 1);
}

async fn a_replaced_token_may_have_a_grace_period(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("old"), token("new")]).await;
    assert_eq!(change!(storage, tx => tx.replace_tokens("cl_1", "new", NOW + 60, NOW)), []);
    assert_eq!(found(&storage, "old").await, RecordedToken { revoke_at: Some(NOW + 60), ..token("old") });
    assert_eq!(found(&storage, "new").await, token("new"));
    for (now, living, due) in [(NOW + 59, 2, vec![]), (NOW + 60, 1, vec!["cl_1"])] {
        assert_eq!(change!(storage, tx => tx.count_live_tokens("cl_1", now)), living, "at {now}");
        assert_eq!(storage.clients_with_due_tokens(now, 10).await.unwrap(), due, "at {now}");
    }
    assert_eq!(change!(storage, tx => tx.revoke_due_tokens("cl_1", NOW + 59, 10)), []);
    assert_eq!(change!(storage, tx => tx.revoke_due_tokens("cl_2", NOW + 70, 10)), []);
    // The record of the token says that it was revoked when its grace period ended, not when a job noticed that.
    assert_eq!(
        change!(storage, tx => tx.revoke_due_tokens("cl_1", NOW + 70, 10)),
        [revoked("old", false)],
        "its grace period ended ten seconds before"
    );
    assert_eq!(found(&storage, "old").await.revoked_at, Some(NOW + 60));
    assert_eq!(storage.clients_with_due_tokens(NOW + 70, 10).await.unwrap(), [""; 0]);

    let client_id = "cl_0".to_owned();
    insert(&storage, [RecordedToken { client_id, revoke_at: Some(NOW), ..token("theirs") }]).await;
    insert(&storage, [RecordedToken { revoke_at: Some(NOW), ..token("another") }]).await;
    assert_eq!(storage.clients_with_due_tokens(NOW, 10).await.unwrap(), ["cl_0", "cl_1"]);
    assert_eq!(storage.clients_with_due_tokens(NOW, 1).await.unwrap(), ["cl_0"]);
}

async fn a_client_is_due_only_while_it_has_a_token_to_revoke(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    // It expires ten seconds before its grace ends. Clocks may differ by two minutes.
    insert(&storage, [RecordedToken { expires_at: Some(NOW), revoke_at: Some(NOW + 10), ..token("old") }])
        .await;
    for (now, due) in [(NOW + 9, vec![]), (NOW + 119, vec!["cl_1"]), (NOW + 120, vec![])] {
        assert_eq!(storage.clients_with_due_tokens(now, 10).await.unwrap(), due, "at {now}");
    }
    assert_eq!(change!(storage, tx => tx.revoke_due_tokens("cl_1", NOW + 120, 10)), []);
    assert_eq!(change!(storage, tx => tx.revoke_due_tokens("cl_1", NOW + 119, 10)), [revoked("old", false)]);
}

async fn a_grace_period_is_never_extended(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("first"), token("second"), token("third")]).await;
    for (new, at, expected) in [("second", NOW + 60, NOW + 60), ("third", NOW + 90, NOW + 60)] {
        change!(storage, tx => tx.replace_tokens("cl_1", new, at, NOW));
        assert_eq!(found(&storage, "first").await.revoke_at, Some(expected), "after the {new}");
    }
    change!(storage, tx => tx.replace_tokens("cl_1", "third", NOW + 30, NOW));
    for jti in ["first", "second"] {
        assert_eq!(found(&storage, jti).await.revoke_at, Some(NOW + 30), "{jti}");
    }
}

async fn denied_tokens_are_deleted_after_their_end(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (jti, ends_in) in [("a", 10), ("b", 20), ("c", 30)] {
        assert!(change!(storage, tx => tx.deny_token(jti, "cl_1", NOW + ends_in)));
    }
    assert_eq!(storage.purge_denied_tokens(NOW + 9, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_denied_tokens(NOW + 20, 1).await.unwrap(), 1, "at most one");
    for (jti, expected) in [("a", TokenState::Unknown), ("b", TokenState::Denied), ("c", TokenState::Denied)]
    {
        assert_eq!(
            storage.token_state(jti).await.unwrap(),
            expected,
            "{jti}: the first to end is deleted first"
        );
    }
    assert_eq!(storage.purge_denied_tokens(NOW + 20, 10).await.unwrap(), 1);
    assert_eq!(storage.token_state("c").await.unwrap(), TokenState::Denied);
}

async fn ended_tokens_are_deleted_in_batches(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let ends = |jti: &str, at: i64| RecordedToken { expires_at: Some(at), ..token(jti) };
    let revoked = |jti: &str, at: i64| RecordedToken { expires_at: None, revoked_at: Some(at), ..token(jti) };
    insert(
        &storage,
        [
            ends("e1", NOW - 3),
            ends("e2", NOW - 2),
            ends("e3", NOW + 1),
            revoked("r1", NOW - 3),
            revoked("r2", NOW - 2),
            revoked("r3", NOW + 1),
            RecordedToken { expires_at: None, ..token("alive") },
        ],
    )
    .await;
    let left = async || {
        let all = ["alive", "e1", "e2", "e3", "r1", "r2", "r3"];
        let mut left = Vec::new();
        for jti in all {
            if storage.recorded_token(&Reach::Platform, "cl_1", jti).await.unwrap().is_some() {
                left.push(jti);
            }
        }
        left.join(" ")
    };
    assert_eq!(storage.purge_recorded_tokens(NOW - 4, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_recorded_tokens(NOW, 1).await.unwrap(), 2, "one expired and one revoked token");
    assert_eq!(left().await, "alive e2 e3 r2 r3");
    assert_eq!(storage.purge_recorded_tokens(NOW, 10).await.unwrap(), 2);
    assert_eq!(storage.purge_recorded_tokens(NOW, 10).await.unwrap(), 0);
    assert_eq!(left().await, "alive e3 r3");
}
