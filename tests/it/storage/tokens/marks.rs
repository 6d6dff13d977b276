//! The slots that are revoked in a restored database: all except those that it knows to be in use.

use mintmark::model::slot_lease::ListKind;
use mintmark::model::status::{Mark, SLOTS_PER_LIST, Slot, Status, status};
use mintmark::model::token::RecordedToken;

use crate::storage::samples::{NOW, change, stocked, token};
use crate::support::{Engine, on_both_engines};

on_both_engines!(every_slot_except_those_of_live_tokens_is_revoked);

async fn every_slot_except_those_of_live_tokens_is_revoked(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let leased: Vec<Slot> =
        change!(storage, tx => tx.lease_slots(ListKind::Expiring, 4, [7; 16], NOW)).collect();
    let [living, suspended, dead, unused] = leased[..] else { panic!("{leased:?}") };
    for recorded in [
        RecordedToken { slot: Some(living), ..token("living") },
        RecordedToken { slot: Some(suspended), expires_at: None, ..token("suspended") },
        RecordedToken { slot: Some(dead), revoked_at: Some(NOW), ..token("revoked") },
        RecordedToken { slot: None, ..token("without a slot") },
    ] {
        change!(storage, tx => tx.insert_recorded_token(&recorded));
    }
    change!(storage, tx => tx.mark_slots(&[suspended], Mark::Suspend));
    let mut tx = storage.begin().await.unwrap();
    let mut kept = tx.slots_of_live_tokens(NOW).await.unwrap();
    kept.sort_unstable();
    let mut expected = vec![living, suspended];
    expected.sort_unstable();
    assert_eq!(kept, expected);
    assert_eq!(tx.slots_of_live_tokens(NOW + 1_000_000).await.unwrap(), [suspended]);
    tx.revoke_slots_except(&kept, NOW, NOW + 9).await.unwrap();
    let last = tx.skip_status_lists(1_000).await.unwrap();
    tx.commit().await.unwrap();

    let bits = storage.status_list(living.list).await.unwrap().unwrap().bits;
    let shown = |slot: Slot| status(&bits, slot.idx).unwrap();
    assert_eq!(
        [living, suspended, dead, unused].map(shown),
        [Status::Valid, Status::Suspended, Status::Invalid, Status::Invalid]
    );
    let revoked = (0..SLOTS_PER_LIST).filter(|idx| status(&bits, *idx) == Some(Status::Invalid)).count();
    assert_eq!(revoked, SLOTS_PER_LIST as usize - 2, "all slots except two");
    let mut next = change!(storage, tx => tx.lease_slots(ListKind::Expiring, 1, [7; 16], NOW));
    assert_eq!(next.next().unwrap().list, last + 1, "no more slots of the old list are given out");
}
