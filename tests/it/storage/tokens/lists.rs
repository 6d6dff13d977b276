//! Lists of the recorded tokens of all clients: by state, expiry and client.

use mintmark::model::client::ApiClient;
use mintmark::model::page::{Items, Page};
use mintmark::model::reach::Reach;
use mintmark::model::token::RecordedToken;
use mintmark::storage::{ListedTokens, Storage, TokenFilter};

use crate::storage::samples::{NOW, change, client, page, stocked, token};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    each_filter_narrows_the_list,
    tokens_are_listed_client_by_client_newest_first,
    a_reach_ends_at_its_workspace_and_at_deleted_clients,
);

fn jtis(items: &Items<RecordedToken>) -> String {
    items.items.iter().map(|token| token.jti.as_str()).collect::<Vec<_>>().join(" ")
}

/// `cl_1` and `cl_2` of `acme`, `cl_3` of `other`, and tokens of each.
async fn issued(engine: Engine) -> (TestDatabase, Storage) {
    let (database, storage) = stocked(engine).await;
    let elsewhere = ApiClient { workspace_id: "other".to_owned(), ..client("cl_3") };
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    change!(storage, tx => tx.insert_client(&elsewhere, "0003"));
    let of =
        |client_id: &str, token: RecordedToken| RecordedToken { client_id: client_id.to_owned(), ..token };
    for token in [
        token("a"),
        RecordedToken { issued_at: NOW + 1, expires_at: None, ..token("b") },
        RecordedToken { issued_at: NOW + 1, revoked_at: Some(NOW), ..token("c") },
        RecordedToken { issued_at: NOW - 9, expires_at: Some(NOW), ..token("d") },
        of("cl_2", RecordedToken { revoke_at: Some(NOW), ..token("e") }),
        of("cl_2", RecordedToken { revoke_at: Some(NOW + 1), ..token("f") }),
        of("cl_3", RecordedToken { workspace_id: "other".into(), ..token("g") }),
        of("cl_9", token("of a deleted client")),
    ] {
        change!(storage, tx => tx.insert_recorded_token(&token));
    }
    (database, storage)
}

async fn each_filter_narrows_the_list(engine: Engine) {
    let (_database, storage) = issued(engine).await;
    let all = TokenFilter { status: ListedTokens::All, ..TokenFilter::default() };
    let of = |client_id: &str| TokenFilter { client_id: Some(client_id.to_owned()), ..all.clone() };
    for (filter, found) in [
        (TokenFilter::default(), "g f b a"),
        (all.clone(), "g f e c b a d"),
        (TokenFilter { status: ListedTokens::Revoked, ..all.clone() }, "e c"),
        (of("cl_1"), "c b a d"),
        (of("cl_9"), ""),
        (of("a\0"), ""),
        (TokenFilter { expires_before: Some(NOW + 1), ..all.clone() }, "d"),
        (TokenFilter { expires_before: Some(NOW), ..all.clone() }, ""),
        (TokenFilter { expires_before: Some(i64::MAX), ..TokenFilter::default() }, "g f a"),
        (TokenFilter { never_expires: Some(true), ..TokenFilter::default() }, "b"),
        (TokenFilter { never_expires: Some(false), ..TokenFilter::default() }, "g f a"),
        (TokenFilter { status: ListedTokens::Live, ..of("cl_2") }, "f"),
    ] {
        let one = Page { count: true, ..page(50, None) };
        let items = storage.recorded_tokens(&Reach::Platform, &filter, &one, NOW).await.unwrap();
        assert_eq!(jtis(&items), found, "{filter:?}");
        assert_eq!(items.total, Some(found.split_whitespace().count() as u64), "{filter:?}");
    }
}

async fn tokens_are_listed_client_by_client_newest_first(engine: Engine) {
    let (_database, storage) = issued(engine).await;
    let all = TokenFilter { status: ListedTokens::All, ..TokenFilter::default() };
    for limit in 1..8 {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = page(limit, after.as_deref());
            let items = storage.recorded_tokens(&Reach::Platform, &all, &page, NOW).await.unwrap();
            seen.push(jtis(&items));
            after = items.next_after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.join(" "), "g f e c b a d", "{limit} a page");
        assert_eq!(seen.len(), 7_usize.div_ceil(limit as usize));
    }
}

async fn a_reach_ends_at_its_workspace_and_at_deleted_clients(engine: Engine) {
    let (_database, storage) = issued(engine).await;
    for (reach, found) in [("acme", "f b a"), ("other", "g"), ("none", "")] {
        let reach = Reach::Workspace(reach.to_owned());
        let one = Page { count: true, ..page(50, None) };
        let items = storage.recorded_tokens(&reach, &TokenFilter::default(), &one, NOW).await.unwrap();
        assert_eq!(jtis(&items), found, "{reach:?}");
        assert_eq!(items.total, Some(found.split_whitespace().count() as u64));
    }
    assert!(change!(storage, tx => tx.delete_client("cl_1")));
    let acme = Reach::Workspace("acme".to_owned());
    for reach in [&acme, &Reach::Platform] {
        let page = page(50, None);
        let items = storage.recorded_tokens(reach, &TokenFilter::default(), &page, NOW).await.unwrap();
        assert!(!jtis(&items).contains('a'), "{}", jtis(&items));
    }
}
