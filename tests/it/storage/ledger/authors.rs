//! The names of operators and clients that make changes.

use crate::storage::operators::operator;
use crate::storage::samples::{change, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(the_name_of_an_author_is_found_by_id);

async fn the_name_of_an_author_is_found_by_id(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let person = operator(7, &[]);
    change!(storage, tx => tx.insert_operator(&person));
    assert_eq!(change!(storage, tx => tx.name_of_operator(&person.operator_id)), Some(person.name.clone()));
    assert_eq!(change!(storage, tx => tx.name_of_operator("nobody")), None);
    assert_eq!(change!(storage, tx => tx.label_of_client("cl_1")).as_deref(), Some("SAP S/4HANA ✓"));
    assert_eq!(change!(storage, tx => tx.label_of_client("cl_9")), None);
}
