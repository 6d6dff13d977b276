//! `/console/audit.csv`: the events of the audit trail that match the filter of the page, as a table for a spreadsheet.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Query;
use serde_json::Value;

use super::audit::{Asked, filter_of, query_of};
use crate::console::page::see_other;
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::model::audit::{Place, Recorded};
use crate::model::clock::to_rfc3339;
use crate::model::page::Page;

/// How many events are read at once.
const AT_ONCE: u32 = 200;
/// How many events a table has at most: the newest. `mintmark audit export` has all.
const ROWS_MAX: usize = 10_000;

const COLUMNS: &str =
    "at,action,actor,workspace_id,client_id,target,source_ip,request_id,event_id,log,seq,detail\r\n";

/// `GET /console/audit.csv`, with the query of the page.
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    // As on the page: for a platform administrator the workspace is only a filter.
    let workspace_id = if signed_in.is_platform_admin() { "" } else { asked.workspace_id.trim() };
    let extent = signed_in.extent(workspace_id).await?;
    let (filter, problems) = filter_of(&asked, &extent);
    if !problems.is_empty() {
        // The page of the audit trail says what is wrong with the query.
        return Ok(see_other(&query_of(&signed_in.door.href("/audit"), &asked, "")));
    }
    let ledger = &signed_in.door.services.ledger;
    let mut table = COLUMNS.to_owned();
    let mut wanted = Page::first(AT_ONCE);
    let mut rows = 0;
    loop {
        let found = ledger.audit_events(&extent.reader, &filter, &wanted).await?;
        for recorded in &found.items {
            append(&mut table, recorded);
            rows += 1;
        }
        match found.next_after {
            Some(after) if rows < ROWS_MAX => wanted.after = Some(after),
            _ => break,
        }
    }
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"mintmark-audit.csv\""))
        .body(table))
}

fn append(table: &mut String, recorded: &Recorded) {
    let event = &recorded.event;
    let number = |place: fn(&Place) -> i64| {
        recorded.place.as_ref().map(|at| place(at).to_string()).unwrap_or_default()
    };
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        to_rfc3339(event.at),
        event.action.clone(),
        event.actor.name.clone(),
        optional(&event.workspace_id),
        optional(&event.client_id),
        event.target.clone(),
        optional(&event.actor.source_ip),
        optional(&event.actor.request_id),
        event.event_id.clone(),
        number(|place| place.log),
        number(|place| place.seq),
        Value::Object(event.detail.clone()).to_string(),
    ];
    for (column, field) in fields.iter().enumerate() {
        if column > 0 {
            table.push(',');
        }
        table.push_str(&quoted(field));
    }
    table.push_str("\r\n");
}

/// A field as RFC 4180 writes it. A spreadsheet would run a field that begins like a formula, so an apostrophe is put before
/// it, which makes it text.
fn quoted(field: &str) -> Cow<'_, str> {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !is_formula && !field.contains(['"', ',', '\r', '\n']) {
        return field.into();
    }
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, field.replace('"', "\"\"")).into()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_field_is_run_as_a_formula_or_leaves_its_cell() {
        for (field, expected) in [
            ("", ""),
            ("client.created", "client.created"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
        ] {
            assert_eq!(quoted(field), expected);
        }
    }
}
