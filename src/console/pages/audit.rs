//! `/console/audit`: who changed what, and when. A platform administrator sees all of it, everybody else what happened in
//! one workspace.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::console::actions::action_name;
use crate::console::events::{self, Names};
use crate::console::extent::{Choices, Extent};
use crate::console::page::{Problem, Shell, has_problem, page};
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::console::{cursor, moment};
use crate::ledger::AuditFilter;
use crate::model::audit::{Action, AuditEvent};
use crate::model::clock::{UnixSeconds, from_rfc3339};
use crate::model::ids;
use crate::model::page::Page;

/// How many events a page has.
const PER_PAGE: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(super) workspace_id: String,
    client_id: String,
    action: String,
    since: String,
    until: String,
    after: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    problems: Vec<Problem>,
    here: String,
    /// The workspace that the page is limited to; `None` for all.
    workspace_name: Option<String>,
    choices: Choices,
    is_platform_admin: bool,
    workspace_id: String,
    client_id: String,
    since: String,
    until: String,
    actions: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<Row>,
    is_filtered: bool,
    is_first: bool,
    clear_href: String,
    first_href: String,
    next_href: Option<String>,
    csv_href: String,
    verify_href: String,
    kept: String,
}

struct Row {
    at: String,
    ago: String,
    actor: String,
    sentence: String,
    facts: Vec<(String, String)>,
}

/// `GET /console/audit`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let asked = asked.into_inner();
    // For a platform administrator the workspace is only a filter. It may have been deleted: its events are still there.
    let workspace_id = if signed_in.is_platform_admin() { "" } else { asked.workspace_id.trim() };
    let extent = signed_in.extent(workspace_id).await?;
    let services = &signed_in.door.services;
    let (filter, problems) = filter_of(&asked, &extent);
    let list = query_of("audit", &asked, "");
    let here = signed_in.door.href("/audit");
    let mut next_href = None;
    let mut rows = Vec::new();
    if problems.is_empty() {
        let after = cursor::open(&signed_in, &list, &asked.after)?;
        let wanted = Page { after, ..Page::first(PER_PAGE) };
        let found = services.ledger.audit_events(&extent.reader, &filter, &wanted).await?;
        let names = Names::of(services, &extent.reader, &found.items).await?;
        let now = services.clock().now();
        rows = found.items.iter().map(|event| row(event, &names, now)).collect();
        next_href =
            found.next_after.map(|after| query_of(&here, &asked, &cursor::seal(&signed_in, &list, &after)));
    }
    let shell = match &extent.workspace {
        Some(workspace) => signed_in.shell_in(workspace, "Audit trail"),
        None => signed_in.shell("Audit trail"),
    };
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let only_workspace = Asked { workspace_id: asked.workspace_id.clone(), ..Asked::default() };
    page(
        status,
        &AuditPage {
            shell: Shell { has_errors: !problems.is_empty(), ..shell.below("Settings", None) },
            is_filtered: !asked.client_id.is_empty()
                || !asked.action.is_empty()
                || !asked.since.is_empty()
                || !asked.until.is_empty(),
            is_first: asked.after.is_empty(),
            clear_href: query_of(&here, &only_workspace, ""),
            first_href: query_of(&here, &asked, ""),
            next_href,
            csv_href: query_of(&format!("{here}.csv"), &asked, ""),
            verify_href: format!("{here}/verify"),
            actions: actions(&asked.action, signed_in.is_platform_admin()),
            choices: signed_in.own_choices(&extent).await?,
            workspace_name: extent.workspace.map(|workspace| workspace.name),
            is_platform_admin: signed_in.is_platform_admin(),
            problems,
            rows,
            here,
            workspace_id: asked.workspace_id,
            client_id: asked.client_id,
            since: asked.since,
            until: asked.until,
            kept: services.policy().audit_keep_days.map_or_else(
                || "Events are kept indefinitely.".to_owned(),
                |days| format!("Events are kept for {}.", moment::count(days, "day")),
            ),
        },
    )
}

/// The actions to choose from. Only platform administrators get actions on records of the platform, such as signing keys, which
/// belong to no workspace.
fn actions(selected: &str, is_platform_admin: bool) -> Vec<(&'static str, &'static str, bool)> {
    const OF_A_WORKSPACE: [&str; 6] =
        ["workspace.", "client.", "secret.", "access_token", "webhook.", "delivery."];
    let offered = Action::ALL.into_iter().filter(|action| {
        is_platform_admin || OF_A_WORKSPACE.iter().any(|part| action.as_str().starts_with(part))
    });
    offered.map(|action| (action.as_str(), action_name(action), action.as_str() == selected)).collect()
}

pub(super) fn filter_of(asked: &Asked, extent: &Extent) -> (AuditFilter, Vec<Problem>) {
    let mut problems = Vec::new();
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let client_id = some(&asked.client_id);
    if client_id.as_deref().is_some_and(|id| !ids::is_client_id(id)) {
        problems.push(Problem::of("client_id", "Enter the whole id of an API client: it begins with cl_."));
    }
    let action = some(&asked.action);
    if action.as_deref().is_some_and(|name| Action::ALL.iter().all(|action| action.as_str() != name)) {
        problems.push(Problem::of("action", "Select one of the listed actions."));
    }
    let mut instant = |field: &str, text: &str, is_end: bool| match some(text) {
        None => None,
        Some(text) => {
            let at = read_instant(&text, is_end);
            if at.is_none() {
                let words = "Enter a day like 2026-09-21, or an instant like 2026-09-21T14:00:00Z.";
                problems.push(Problem::of(field, words));
            }
            at
        }
    };
    let (since, until) = (instant("since", &asked.since, false), instant("until", &asked.until, true));
    let workspace_id = some(&asked.workspace_id)
        .or_else(|| Some(extent.workspace_id().to_owned()))
        .filter(|id| !id.is_empty());
    if workspace_id.as_deref().is_some_and(|id| !ids::is_workspace_id(id)) {
        problems.push(Problem::of(
            "workspace_id",
            "Enter the whole id of a workspace: letters, digits, _ and -.",
        ));
    }
    (AuditFilter { workspace_id, client_id, action, since, until }, problems)
}

/// Reads a day or an instant. A day as the end of a range includes the whole day.
fn read_instant(text: &str, is_end: bool) -> Option<UnixSeconds> {
    if text.len() == "2026-09-21".len() {
        let begin = from_rfc3339(&format!("{text}T00:00:00Z"))?;
        return Some(if is_end { begin + 86_400 } else { begin });
    }
    from_rfc3339(text)
}

fn row(event: &AuditEvent, names: &Names, now: UnixSeconds) -> Row {
    let mut facts = events::facts(event);
    let mut also = |name: &str, value: Option<&str>| {
        facts
            .extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.to_owned())));
    };
    also("Action", Some(&event.action));
    also("Workspace", event.workspace_id.as_deref());
    also("API client", event.client_id.as_deref());
    also(
        "Record",
        Some(&event.target).filter(|target| Some(*target) != event.client_id.as_ref()).map(String::as_str),
    );
    let actor = &event.actor.name;
    also("Author", Some(actor.as_str()).filter(|actor| events::is_unnamed(actor, names)));
    also("Source address", event.actor.source_ip.as_deref());
    also("Request", event.actor.request_id.as_deref());
    also("Event", Some(&event.event_id));
    Row {
        at: moment::exact(event.at),
        ago: moment::ago(now, event.at),
        actor: events::actor(&event.actor.name, names),
        sentence: events::sentence(event, names),
        facts,
    }
}

/// The address of the page with this query.
pub(super) fn query_of(here: &str, asked: &Asked, after: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("workspace_id", asked.workspace_id.as_str()),
        ("client_id", &asked.client_id),
        ("action", &asked.action),
        ("since", &asked.since),
        ("until", &asked.until),
        ("after", after),
    ] {
        if !value.trim().is_empty() {
            query.append_pair(name, value.trim());
        }
    }
    let query = query.finish();
    if query.is_empty() { here.to_owned() } else { format!("{here}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_read_and_other_text_is_not() {
        let noon = 1_789_992_000;
        assert_eq!(read_instant("2026-09-21T12:00:00Z", true), Some(noon));
        assert_eq!(read_instant("2026-09-21", false), Some(noon - 12 * 3600));
        assert_eq!(read_instant("2026-09-21", true), Some(noon + 12 * 3600));
        for bad in ["2026-09-31", "yesterday", "21.09.2026", "2026-09-2é"] {
            assert_eq!(read_instant(bad, false), None, "{bad}");
        }
    }
}
