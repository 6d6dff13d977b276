//! The search for what ends next, how far the reminders have come, and what the search costs.

use mintmark::model::client::ApiClient;
use mintmark::model::reminder::{End, Ending, EndingKind, REMINDED_DAYS};
use mintmark::model::secret::ClientSecret;
use mintmark::model::token::RecordedToken;
use mintmark::storage::Storage;

use crate::storage::samples::{NOW, change, client, secret, stocked, token};
use crate::support::{Engine, on_both_engines, outcome_after};

on_both_engines!(
    what_ends_is_found_in_order,
    tokens_are_found_unless_they_are_revoked,
    a_token_is_renewed_by_a_later_one_of_the_same_scope,
    how_far_the_reminders_have_come_is_stored,
    reminders_take_turns,
    a_search_reads_only_a_range_of_an_index,
);

fn end(at: i64, id: &str) -> End {
    End { at, id: id.to_owned() }
}

/// The ids of what ends. Also the end of the last row, if there may be more rows.
async fn found(
    storage: &Storage,
    kind: EndingKind,
    from: &End,
    until: i64,
    limit: u32,
) -> (Vec<String>, Option<End>) {
    let (found, last) = change!(storage, tx => tx.ending(kind, from, until, limit));
    (found.into_iter().map(|ending| ending.end.id).collect(), last)
}

async fn what_ends_is_found_in_order(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    for (id, expires_at) in
        [("a", Some(NOW + 5)), ("c", Some(NOW + 5)), ("b", Some(NOW + 5)), ("d", Some(NOW + 9)), ("e", None)]
    {
        change!(storage, tx => tx.insert_secret(&ClientSecret { expires_at, ..secret(id, "cl_1") }));
    }
    let secrets = |from: End, until, limit| {
        let storage = storage.clone();
        async move { found(&storage, EndingKind::Secret, &from, until, limit).await }
    };
    let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    assert_eq!(secrets(End::after(NOW), NOW + 9, 10).await, (ids(&["a", "b", "c", "d"]), None));
    assert_eq!(secrets(End::after(NOW), NOW + 9, 2).await, (ids(&["a", "b"]), Some(end(NOW + 5, "b"))));
    assert_eq!(secrets(end(NOW + 5, "b"), NOW + 9, 2).await, (ids(&["c", "d"]), Some(end(NOW + 9, "d"))));
    assert_eq!(secrets(end(NOW + 9, "d"), NOW + 9, 2).await, (ids(&[]), None));
    assert_eq!(secrets(End::after(NOW + 5), NOW + 8, 2).await, (ids(&[]), None));

    change!(storage, tx => tx.insert_client(&ApiClient { expires_at: Some(NOW + 7), ..client("cl_2") }, "0002"));
    let (clients, _) = change!(storage, tx => tx.ending(EndingKind::Client, &End::after(NOW), NOW + 7, 5));
    let expected = Ending {
        end: end(NOW + 7, "cl_2"),
        began_at: NOW,
        client_id: "cl_2".to_owned(),
        last_four: None,
        last_used_at: None,
        scope: None,
        is_suspended: false,
        is_renewed: false,
    };
    assert_eq!(clients, std::slice::from_ref(&expected));
    database.execute("UPDATE workspaces SET suspended_at = 1 WHERE workspace_id = 'acme'").await;
    database.execute("UPDATE client_secrets SET last_used_at = 3 WHERE secret_id = 'd'").await;
    let (clients, _) = change!(storage, tx => tx.ending(EndingKind::Client, &End::after(NOW), NOW + 7, 5));
    assert_eq!(clients, [Ending { is_suspended: true, ..expected.clone() }]);
    let (secrets, _) =
        change!(storage, tx => tx.ending(EndingKind::Secret, &End::after(NOW + 5), NOW + 9, 5));
    let expected = Ending {
        end: end(NOW + 9, "d"),
        client_id: "cl_1".to_owned(),
        last_four: Some("x7Qa".to_owned()),
        last_used_at: Some(3),
        is_suspended: true,
        ..expected
    };
    assert_eq!(secrets, [expected]);
}

async fn tokens_are_found_unless_they_are_revoked(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (jti, expires_at, revoked_at, client_id) in [
        ("live", Some(NOW + 5), None, "cl_1"),
        ("revoked", Some(NOW + 5), Some(NOW), "cl_1"),
        ("endless", None, None, "cl_1"),
        ("orphan", Some(NOW + 6), None, "cl_9"),
        ("zlater", Some(NOW + 6), None, "cl_1"),
    ] {
        let client_id = client_id.to_owned();
        let token =
            RecordedToken { expires_at, revoked_at, client_id, issued_by: "cli".into(), ..token(jti) };
        change!(storage, tx => tx.insert_recorded_token(&token));
    }
    let from = End::after(NOW);
    let of = |ids: &[&str], last| (ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>(), last);
    assert_eq!(found(&storage, EndingKind::Token, &from, NOW + 6, 9).await, of(&["live", "zlater"], None));
    // A token of a client that does not exist is skipped.
    let last = Some(end(NOW + 6, "orphan"));
    assert_eq!(found(&storage, EndingKind::Token, &from, NOW + 6, 2).await, of(&["live"], last));
    let (tokens, _) = change!(storage, tx => tx.ending(EndingKind::Token, &from, NOW + 5, 9));
    assert_eq!((tokens[0].scope.as_deref(), tokens[0].began_at), (Some("e-invoicing gst"), NOW));
}

async fn a_token_is_renewed_by_a_later_one_of_the_same_scope(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let by = |issued_by: &str, jti: &str, scope: &str, after| RecordedToken {
        issued_by: issued_by.to_owned().into(),
        scope: scope.into(),
        expires_at: Some(NOW + after),
        ..token(jti)
    };
    for token in [
        by("client", "first", "gst", 1),
        by("client", "second", "gst", 2),
        by("client", "other scope", "e-invoicing", 1),
        by("cli", "by hand", "gst", 1),
        RecordedToken { revoked_at: Some(NOW), ..by("client", "revoked", "gst", 9) },
    ] {
        change!(storage, tx => tx.insert_recorded_token(&token));
    }
    // `by hand` does not count as renewed by `second`: only an administrator can replace it.
    let (tokens, _) = change!(storage, tx => tx.ending(EndingKind::Token, &End::after(NOW), NOW + 9, 9));
    let renewed: Vec<_> = tokens.iter().map(|token| (token.end.id.as_str(), token.is_renewed)).collect();
    assert_eq!(renewed, [("by hand", false), ("first", true), ("other scope", false), ("second", false)]);
}

async fn how_far_the_reminders_have_come_is_stored(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let reached = change!(storage, tx => tx.take_turn_of_reminders());
    assert_eq!(reached.len(), EndingKind::ALL.len() * REMINDED_DAYS.len());
    assert!(reached.values().all(|reached| *reached == end(0, "")));
    change!(storage, tx => tx.reminders_reached(EndingKind::Token, 7, &end(NOW, "jti")));
    let reached = change!(storage, tx => tx.take_turn_of_reminders());
    let moved: Vec<_> = reached.into_iter().filter(|(_, reached)| reached.at > 0).collect();
    assert_eq!(moved, [((EndingKind::Token, 7), end(NOW, "jti"))]);
}

async fn reminders_take_turns(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut first = storage.begin().await.unwrap();
    first.take_turn_of_reminders().await.unwrap();
    let second = async {
        let mut tx = storage.begin().await.unwrap();
        let reached = tx.take_turn_of_reminders().await.unwrap();
        tx.rollback().await.unwrap();
        reached[&(EndingKind::Secret, 30)].clone()
    };
    let finish = async {
        first.reminders_reached(EndingKind::Secret, 30, &end(NOW, "s")).await.unwrap();
        first.commit().await.unwrap();
    };
    assert_eq!(outcome_after(&database, second, finish).await, end(NOW, "s"));
}

async fn a_search_reads_only_a_range_of_an_index(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (kind, table, index) in [
        (EndingKind::Secret, "client_secrets", "client_secrets_next_end"),
        (EndingKind::Client, "api_clients", "api_clients_next_end"),
        (EndingKind::Token, "access_tokens", "access_tokens_expiry"),
    ] {
        let plan = storage.plan_of_endings(kind, NOW, NOW + 9).await.unwrap().join("\n");
        let read = if engine == Engine::Sqlite {
            format!("INDEX {index} (expires_at>? AND expires_at<?)")
        } else {
            format!("using {index} on {table}")
        };
        assert!(plan.contains(&read), "{kind:?}:\n{plan}");
        assert!(
            !plan.contains(&format!("SCAN {table}")) && !plan.contains(&format!("Seq Scan on {table}")),
            "{plan}"
        );
    }
}
