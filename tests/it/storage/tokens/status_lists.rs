//! Status lists: how slots are leased and marked, and when a list ends.

use std::collections::HashSet;

use futures_util::future::join_all;
use mintmark::model::client::ApiClient;
use mintmark::model::key::{Phase, SigningKey};
use mintmark::model::slot_lease::{Lease, ListKind};
use mintmark::model::status::{self, LIST_BYTES, Mark, SLOTS_PER_LIST, SLOTS_PER_PART, Slot, Status};
use mintmark::model::token::RecordedToken;
use mintmark::storage::{Change, Changes, Storage, StorageError};

use crate::storage::samples::{NOW, change, client, signing_key, stocked, token};
use crate::support::{Engine, TestDatabase, on_both_engines, outcome_after};

on_both_engines!(
    leases_follow_one_another,
    two_processes_lease_different_slots,
    a_full_list_is_followed_by_the_next,
    each_kind_has_separate_lists,
    a_mark_is_stored_and_says_which_list_changed,
    revoking_beats_suspending,
    marks_of_two_processes_lose_nothing,
    one_mark_waits_for_the_other,
    a_list_is_read_as_of_the_counter,
    a_list_ends_when_no_token_in_it_can_be_live,
    an_ended_list_leaves_nothing_but_its_number,
    the_end_of_a_list_can_only_move_later,
    a_key_that_is_gone_has_no_open_list,
    list_numbers_can_be_skipped,
    a_part_of_another_length_is_damage,
);

const SEED: [u8; 16] = *b"0123456789abcdef";

async fn fresh(engine: Engine) -> (TestDatabase, Storage) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    (database, storage)
}

async fn lease(storage: &Storage, kind: ListKind<'_>, count: u32) -> Lease {
    change!(storage, tx => tx.lease_slots(kind, count, SEED, NOW))
}

/// Leases all slots of a new list of this kind at [`NOW`]; returns the number of the list.
async fn full(storage: &Storage, kind: ListKind<'_>) -> i64 {
    lease(storage, kind, SLOTS_PER_LIST).await.next().unwrap().list
}

fn at(list: i64, idx: u32) -> Slot {
    Slot { list, idx }
}

/// Marks slots and commits; returns which lists changed.
async fn mark(storage: &Storage, slots: &[Slot], mark: Mark) -> Vec<i64> {
    let mut tx = storage.begin().await.unwrap();
    tx.mark_slots(slots, mark).await.unwrap();
    lists_of(&tx.commit().await.unwrap())
}

fn lists_of(changes: &Changes) -> Vec<i64> {
    let Changes::These { changes, .. } = changes else { panic!("{changes:?}") };
    let lists = changes.iter().map(|(_, change)| match change {
        Change::StatusList(list) => *list,
        other => panic!("{other:?}"),
    });
    lists.collect()
}

async fn statuses(storage: &Storage, list: i64, slots: &[u32]) -> Vec<Status> {
    let stored = storage.status_list(list).await.unwrap().unwrap();
    slots.iter().map(|idx| status::status(&stored.bits, *idx).unwrap()).collect()
}

async fn leases_follow_one_another(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    assert_eq!(lease(&storage, ListKind::Expiring, 10).await, Lease::new(1, SEED, 0, 10));
    // The order of the slots follows the seed of the list, not the seed of a later request.
    let again = change!(storage, tx => tx.lease_slots(ListKind::Expiring, 20, [7; 16], NOW + 9));
    assert_eq!(again, Lease::new(1, SEED, 10, 30));
    // A lease has at least one slot.
    assert_eq!(lease(&storage, ListKind::Expiring, 0).await, Lease::new(1, SEED, 30, 31));
    // Slots of a transaction that was rolled back are leased again.
    let mut tx = storage.begin().await.unwrap();
    tx.lease_slots(ListKind::Expiring, 5, SEED, NOW).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(lease(&storage, ListKind::Expiring, 1).await, Lease::new(1, SEED, 31, 32));
    assert_eq!(storage.status_lists().await.unwrap(), [1]);
}

async fn two_processes_lease_different_slots(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    let other = database.open().await;
    let turns = (0..24).map(|turn| lease([&storage, &other][turn % 2], ListKind::Generations, 7));
    let slots: Vec<Slot> = join_all(turns).await.into_iter().flatten().collect();
    assert_eq!(slots.len(), 24 * 7);
    assert_eq!(slots.iter().collect::<HashSet<_>>().len(), slots.len());
    // There was no list at first, and only one of the processes opened one.
    assert_eq!(storage.status_lists().await.unwrap(), [1]);
}

async fn a_full_list_is_followed_by_the_next(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    let almost = lease(&storage, ListKind::Expiring, SLOTS_PER_LIST - 5).await;
    assert_eq!(almost.count(), SLOTS_PER_LIST as usize - 5);
    let filled = "SELECT COUNT(*) FROM status_lists WHERE filled_at = 1790000000"; // NOW
    assert_eq!(database.number(filled).await, 0);
    // The next lease gets only the five slots that are left of the list.
    let rest: Vec<Slot> = lease(&storage, ListKind::Expiring, 10).await.collect();
    assert_eq!(rest, Lease::new(1, SEED, SLOTS_PER_LIST - 5, SLOTS_PER_LIST).collect::<Vec<_>>());
    assert_eq!(database.number(filled).await, 1);
    assert_eq!(lease(&storage, ListKind::Expiring, 10).await, Lease::new(2, SEED, 0, 10));
    assert_eq!(
        lease(&storage, ListKind::Generations, u32::MAX).await,
        Lease::new(3, SEED, 0, SLOTS_PER_LIST)
    );
    assert_eq!(storage.status_lists().await.unwrap(), [1, 2, 3]);
}

async fn each_kind_has_separate_lists(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    let kinds = [
        ListKind::Generations,
        ListKind::Expiring,
        ListKind::NeverExpiring("k1"),
        ListKind::NeverExpiring("k2"),
    ];
    for start in [0, 3] {
        for (list, kind) in (1..).zip(kinds) {
            assert_eq!(lease(&storage, kind, 3).await, Lease::new(list, SEED, start, start + 3));
        }
    }
    assert_eq!(storage.status_lists().await.unwrap(), [1, 2, 3, 4]);
}

async fn a_mark_is_stored_and_says_which_list_changed(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    for kind in [ListKind::Generations, ListKind::Expiring] {
        lease(&storage, kind, 1).await;
    }
    assert!(storage.status_list(9).await.unwrap().is_none());
    let empty = storage.status_list(1).await.unwrap().unwrap();
    assert_eq!(empty.bits, vec![0; LIST_BYTES]);
    // The slots are in no order, in both lists and in several parts.
    let last = SLOTS_PER_LIST - 1;
    let slots = [at(2, 5), at(1, last), at(1, SLOTS_PER_PART), at(1, 0), at(1, SLOTS_PER_PART - 1), at(2, 4)];
    assert_eq!(mark(&storage, &slots, Mark::Revoke).await, [1, 2]);
    for list in [1, 2] {
        let stored = storage.status_list(list).await.unwrap().unwrap();
        for idx in 0..SLOTS_PER_LIST {
            let marked = slots.contains(&at(list, idx));
            let expected = if marked { Status::Invalid } else { Status::Valid };
            assert_eq!(status::status(&stored.bits, idx), Some(expected), "{list} {idx}");
        }
    }
    // A status that stays the same is not a change, and neither is an empty list of marks.
    assert_eq!(mark(&storage, &slots, Mark::Revoke).await, [0_i64; 0]);
    assert_eq!(mark(&storage, &slots, Mark::Suspend).await, [0_i64; 0]);
    assert_eq!(mark(&storage, &[], Mark::Revoke).await, [0_i64; 0]);
    assert_eq!(mark(&storage, &[at(1, 0), at(2, 6)], Mark::Revoke).await, [2]);
    let mut tx = storage.begin().await.unwrap();
    tx.mark_slots(&[at(1, 77)], Mark::Revoke).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(statuses(&storage, 1, &[77]).await, [Status::Valid]);
}

async fn revoking_beats_suspending(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    lease(&storage, ListKind::Expiring, 1).await;
    let (one, two, three) = (at(1, 1), at(1, 2), at(1, 3));
    assert_eq!(mark(&storage, &[one, two], Mark::Suspend).await, [1]);
    assert_eq!(mark(&storage, &[two], Mark::Revoke).await, [1]);
    let slots = [1, 2, 3];
    assert_eq!(statuses(&storage, 1, &slots).await, [Status::Suspended, Status::Invalid, Status::Valid]);
    assert_eq!(mark(&storage, &[two, three], Mark::Resume).await, [0_i64; 0]);
    assert_eq!(mark(&storage, &[one, two, three], Mark::Resume).await, [1]);
    assert_eq!(statuses(&storage, 1, &slots).await, [Status::Valid, Status::Invalid, Status::Valid]);
}

async fn marks_of_two_processes_lose_nothing(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    let other = database.open().await;
    lease(&storage, ListKind::Expiring, 1).await;
    // Two processes mark slots that share bytes. Half of the slots are in part 0, the others in part 10; neither is stored yet.
    let marking = (0..40).map(async |turn: u32| {
        let slots = [at(1, turn), at(1, 10 * SLOTS_PER_PART + turn)];
        mark([&storage, &other][turn as usize % 2], &slots, Mark::Revoke).await
    });
    assert!(join_all(marking).await.iter().all(|changed| *changed == [1]));
    let stored = storage.status_list(1).await.unwrap().unwrap();
    assert_eq!(stored.bits.iter().map(|byte| byte.count_ones()).sum::<u32>(), 80);
    let slots: Vec<u32> = (0..40).collect();
    assert!(statuses(&other, 1, &slots).await.iter().all(|status| *status == Status::Invalid));
}

async fn one_mark_waits_for_the_other(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    for kind in [ListKind::Generations, ListKind::Expiring] {
        lease(&storage, kind, 1).await;
    }
    // If each transaction waited for a row of the other, neither would end. So the second waits already at its first mark.
    let mut first = storage.begin().await.unwrap();
    first.mark_slots(&[at(1, 1)], Mark::Revoke).await.unwrap();
    let second = async {
        let mut tx = storage.begin().await.unwrap();
        tx.mark_slots(&[at(2, 2)], Mark::Revoke).await.unwrap();
        tx.mark_slots(&[at(1, 2)], Mark::Suspend).await.unwrap();
        lists_of(&tx.commit().await.unwrap())
    };
    let ends = async {
        first.mark_slots(&[at(2, 1)], Mark::Revoke).await.unwrap();
        first.commit().await.unwrap();
    };
    assert_eq!(outcome_after(&database, second, ends).await, [2, 1]);
    assert_eq!(statuses(&storage, 1, &[1, 2]).await, [Status::Invalid, Status::Suspended]);
    assert_eq!(statuses(&storage, 2, &[1, 2]).await, [Status::Invalid, Status::Invalid]);
}

async fn a_list_is_read_as_of_the_counter(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    lease(&storage, ListKind::Expiring, 1).await;
    for idx in 0..5 {
        let mut tx = storage.begin().await.unwrap();
        tx.mark_slots(&[at(1, idx)], Mark::Revoke).await.unwrap();
        let Changes::These { seq, .. } = tx.commit().await.unwrap() else { panic!() };
        let stored = storage.status_list(1).await.unwrap().unwrap();
        assert_eq!((stored.as_of, storage.change_seq().await.unwrap()), (seq, seq));
        assert_eq!(status::status(&stored.bits, idx), Some(Status::Invalid));
    }
}

async fn ended(storage: &Storage, before: i64, limit: u32) -> Vec<i64> {
    let mut tx = storage.begin().await.unwrap();
    let ended = tx.remove_ended_status_lists(before, limit).await.unwrap();
    assert_eq!(lists_of(&tx.commit().await.unwrap()), ended);
    ended
}

async fn a_list_ends_when_no_token_in_it_can_be_live(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    for (kid, phase) in [("active", Phase::Active), ("retiring", Phase::Retiring), ("gone", Phase::Gone)] {
        assert!(tx.insert_signing_key(&SigningKey { phase, ..signing_key(kid) }).await.unwrap());
    }
    tx.commit().await.unwrap();
    // The client and the token of the samples point at the first lists.
    change!(storage, tx => tx.skip_status_lists(9));

    let unfilled = lease(&storage, ListKind::Generations, 1).await.next().unwrap().list;
    let later = change!(storage, tx => tx.lease_slots(ListKind::Expiring, SLOTS_PER_LIST, SEED, NOW + 1))
        .next()
        .unwrap();
    let outlived = full(&storage, ListKind::Expiring).await;
    let just_over = full(&storage, ListKind::Expiring).await;
    let generation = full(&storage, ListKind::Expiring).await;
    let living = full(&storage, ListKind::Expiring).await;
    let dead = full(&storage, ListKind::Expiring).await;
    let of_active = full(&storage, ListKind::NeverExpiring("active")).await;
    let of_retiring = full(&storage, ListKind::NeverExpiring("retiring")).await;
    let of_gone = full(&storage, ListKind::NeverExpiring("gone")).await;

    let mut tx = storage.begin().await.unwrap();
    tx.status_list_outlives(outlived, NOW + 1).await.unwrap();
    tx.status_list_outlives(just_over, NOW).await.unwrap();
    tx.insert_client(&ApiClient { slot: Some(at(generation, 1)), ..client("cl_2") }, "0002").await.unwrap();
    let token_in = |jti: &str, list: i64, expires_at: i64| RecordedToken {
        slot: Some(at(list, 1)),
        expires_at: Some(expires_at),
        ..token(jti)
    };
    tx.insert_recorded_token(&token_in("living", living, NOW + 1)).await.unwrap();
    tx.insert_recorded_token(&token_in("dead", dead, NOW)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(ended(&storage, NOW - 1, 100).await, [0_i64; 0]);
    // The oldest lists first, up to the limit.
    assert_eq!(ended(&storage, NOW, 2).await, [just_over, dead]);
    // If a list has a token that is still live, the list is not searched again before the end of that token.
    let until = format!("SELECT last_exp FROM status_lists WHERE list = {living}");
    assert_eq!(database.number(&until).await, NOW + 1);
    assert_eq!(ended(&storage, NOW, 100).await, [of_gone]);
    assert_eq!(ended(&storage, NOW, 100).await, [0_i64; 0]);
    let left = [unfilled, later.list, outlived, generation, living, of_active, of_retiring];
    assert_eq!(storage.status_lists().await.unwrap(), left);
    // A second later the next lists have ended too.
    assert_eq!(ended(&storage, NOW + 1, 100).await, [later.list, outlived, living]);
    change!(storage, tx => tx.delete_client("cl_2"));
    let gone = |kid| SigningKey { phase: Phase::Gone, ..signing_key(kid) };
    for kid in ["active", "retiring"] {
        assert!(change!(storage, tx => tx.update_signing_key(&gone(kid))));
    }
    assert_eq!(ended(&storage, NOW + 1, 100).await, [generation, of_active, of_retiring]);
    assert_eq!(storage.status_lists().await.unwrap(), [unfilled]);
}

async fn an_ended_list_leaves_nothing_but_its_number(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    let list = full(&storage, ListKind::Expiring).await;
    assert_eq!(mark(&storage, &[at(list, 1)], Mark::Revoke).await, [list]);
    assert_eq!(ended(&storage, NOW, 100).await, [list]);
    assert!(storage.status_list(list).await.unwrap().is_none());
    assert_eq!(database.number("SELECT COUNT(*) FROM status_bits").await, 0);
    // A late mark has no effect.
    assert_eq!(mark(&storage, &[at(list, 2)], Mark::Revoke).await, [0_i64; 0]);
    assert_eq!(database.number("SELECT COUNT(*) FROM status_bits").await, 0);
    assert_eq!(full(&storage, ListKind::Expiring).await, list + 1);
}

async fn the_end_of_a_list_can_only_move_later(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    let list = full(&storage, ListKind::Expiring).await;
    for exp in [NOW + 10, NOW + 5] {
        change!(storage, tx => tx.status_list_outlives(list, exp));
    }
    assert_eq!(ended(&storage, NOW + 9, 100).await, [0_i64; 0]);
    assert_eq!(ended(&storage, NOW + 10, 100).await, [list]);
}

async fn a_key_that_is_gone_has_no_open_list(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    let of = |kid| ListKind::NeverExpiring(kid);
    assert_eq!(lease(&storage, of("gone"), 3).await, Lease::new(1, SEED, 0, 3));
    assert_eq!(lease(&storage, of("kept"), 3).await, Lease::new(2, SEED, 0, 3));
    change!(storage, tx => tx.close_status_lists_of("gone", NOW + 7));
    assert_eq!(lease(&storage, of("kept"), 3).await, Lease::new(2, SEED, 3, 6));
    // No more slots are leased from the closed list.
    assert_eq!(lease(&storage, of("gone"), 3).await, Lease::new(3, SEED, 0, 3));
    // The closed list stays until the time that was set when it was closed.
    let gone = SigningKey { phase: Phase::Gone, ..signing_key("gone") };
    assert!(change!(storage, tx => tx.insert_signing_key(&gone)));
    assert_eq!(ended(&storage, NOW + 6, 100).await, [0_i64; 0]);
    assert_eq!(ended(&storage, NOW + 7, 100).await, [1]);
}

async fn list_numbers_can_be_skipped(engine: Engine) {
    let (_database, storage) = fresh(engine).await;
    assert_eq!(full(&storage, ListKind::Expiring).await, 1);
    assert_eq!(change!(storage, tx => tx.skip_status_lists(1000)), 1001);
    assert_eq!(full(&storage, ListKind::Expiring).await, 1002);
    assert_eq!(change!(storage, tx => tx.skip_status_lists(0)), 1002);
    assert_eq!(storage.status_lists().await.unwrap(), [1, 1002]);
}

async fn a_part_of_another_length_is_damage(engine: Engine) {
    let (database, storage) = fresh(engine).await;
    lease(&storage, ListKind::Expiring, 1).await;
    mark(&storage, &[at(1, SLOTS_PER_PART)], Mark::Revoke).await;
    database
        .execute(match engine {
            Engine::Sqlite => "UPDATE status_bits SET bits = x'00'",
            Engine::Postgres => "UPDATE status_bits SET bits = '\\x00'",
        })
        .await;
    let outcome = storage.status_list(1).await;
    let Err(StorageError::Damaged(what)) = outcome else { panic!("{outcome:?}") };
    assert!(what.contains("part 1 of list 1"), "{what}");
}
