//! The danger zone of a client: disabling, enabling and deleting it. The pages that ask before it is disabled or deleted say
//! how many tokens that affects.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::client_overview::{href, shell_of};
use crate::clients::ClientChange;
use crate::console::moment::count;
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{Inside, OfClient, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::kernel::Precondition;
use crate::model::client::ApiClient;
use crate::model::member::Member;
use crate::model::page::Page;
use crate::tokens::{ListedTokens, TokenFilter};

#[derive(Template)]
#[template(path = "client_delete.html")]
struct DeletePage {
    shell: Shell,
    problems: Vec<Problem>,
    label: String,
    typed: String,
    ends: String,
    secrets: String,
    action: String,
    cancel: String,
}

impl DeletePage {
    fn has(&self, field: &str) -> bool {
        has_problem(&self.problems, field)
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    shell: Shell,
    heading: String,
    text: String,
    action: String,
    button: String,
    cancel: String,
}

/// What happens to the tokens of a client: `14 live tokens, 2 of them never-expiring, … end.` if the verb is `end`.
pub(super) async fn what_ends(
    signed_in: &SignedIn,
    inside: &Inside,
    client: &ApiClient,
    verb: &str,
) -> Result<String, Stop> {
    let tokens = &signed_in.door.services.tokens;
    let page = Page { count: true, ..Page::first(1) };
    let live = TokenFilter {
        client_id: Some(client.client_id.clone()),
        status: ListedTokens::Live,
        ..TokenFilter::default()
    };
    let all = tokens.all_access_tokens(&inside.reader, &live, &page).await?.total.unwrap_or_default();
    let never = TokenFilter { never_expires: Some(true), ..live };
    let never = tokens.all_access_tokens(&inside.reader, &never, &page).await?.total.unwrap_or_default();
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let unrecorded = "short-lived tokens, which are not recorded,";
    let live = count(number(all), "live token");
    Ok(match (all, never) {
        (0, _) => format!("No recorded token is live. All {unrecorded} {verb}."),
        (1, 1) => format!("1 live token, which never expires, and all {unrecorded} {verb}."),
        (_, 0) => format!("{live} and all {unrecorded} {verb}."),
        (_, never) => format!("{live}, {never} of them never-expiring, and all {unrecorded} {verb}."),
    })
}

/// `GET /console/api-clients/{id}/disable`: asks before the client is disabled or, if it is disabled, before it is enabled.
pub(crate) async fn get_disable(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    inside.manager()?;
    let here = href(&signed_in, &record.client);
    let disables = record.client.disabled_at.is_none();
    let (heading, text, verb) = if disables {
        let refused = what_ends(&signed_in, &inside, &record.client, "are refused").await?;
        (
            format!("Disable {}?", record.client.label),
            format!(
                "While it is disabled it gets no tokens. {refused} They are accepted again when you enable the client."
            ),
            "Disable the client",
        )
    } else {
        (
            format!("Enable {}?", record.client.label),
            "It can get tokens again, and those of its tokens that have not ended are accepted again."
                .to_owned(),
            "Enable the client",
        )
    };
    ok(&ConfirmPage {
        shell: shell_of(&signed_in, &inside, &record.client, if disables { "Disable" } else { "Enable" }),
        heading,
        text,
        action: format!("{here}/{}", if disables { "disable" } else { "enable" }),
        button: verb.to_owned(),
        cancel: format!("{here}/edit"),
    })
}

/// `POST /console/api-clients/{id}/disable`
pub(crate) async fn disable(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent, &path, "disabled").await
}

/// `POST /console/api-clients/{id}/enable`
pub(crate) async fn enable(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent, &path, "active").await
}

async fn set_status(sent: &Submitted, client_id: &str, status: &str) -> Result<HttpResponse, Stop> {
    let signed_in = &sent.signed_in;
    let OfClient { record, inside } = signed_in.client(client_id).await?;
    let change = ClientChange { status: Member::Value(status.to_owned()), ..ClientChange::default() };
    let clients = &signed_in.door.services.clients;
    clients.change_client(&inside.manager()?, &record.client.client_id, &Precondition::None, &change).await?;
    let done = if status == "active" { "enabled" } else { "disabled" };
    Ok(see_other(&format!("{}?done={done}", href(signed_in, &record.client))))
}

/// `GET /console/api-clients/{id}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    of_client.inside.manager()?;
    ok(&delete_page(&signed_in, &of_client, String::new(), Vec::new()).await?)
}

/// `POST /console/api-clients/{id}/delete`
pub(crate) async fn post_delete(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let of_client = signed_in.client(&path).await?;
    let manager = of_client.inside.manager()?;
    let OfClient { record, inside } = &of_client;
    if form.trimmed("label") != record.client.label {
        let text = format!("Type the label exactly as it is: \u{201c}{}\u{201d}", record.client.label);
        let problems = vec![Problem::of("label", text)];
        let typed = form.one("label").to_owned();
        let page_again = delete_page(&signed_in, &of_client, typed, problems).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &page_again);
    }
    let clients = &signed_in.door.services.clients;
    clients.delete_client(&manager, &record.client.client_id, &Precondition::None).await?;
    let list = format!("/workspaces/{}/api-clients?done=deleted", inside.workspace.workspace_id);
    Ok(see_other(&signed_in.door.href(&list)))
}

async fn delete_page(
    signed_in: &SignedIn,
    of_client: &OfClient,
    typed: String,
    problems: Vec<Problem>,
) -> Result<DeletePage, Stop> {
    let OfClient { record, inside } = of_client;
    let here = href(signed_in, &record.client);
    let shell = shell_of(signed_in, inside, &record.client, "Delete");
    Ok(DeletePage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        label: record.client.label.clone(),
        typed,
        ends: what_ends(signed_in, inside, &record.client, "end").await?,
        secrets: count(i64::try_from(record.secrets.len()).unwrap_or(i64::MAX), "secret"),
        action: format!("{here}/delete"),
        cancel: format!("{here}/edit"),
    })
}
