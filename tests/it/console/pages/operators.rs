//! Operators: how they are invited, by a setup link that is shown until it is stored, and how they are changed, disabled and
//! deleted. Each of these needs a fresh sign-in.

use mintmark::kernel::Manager;
use mintmark::model::operator::Role;
use serde_json::json;

use super::{error_at, fill, form_at};
use crate::support::{Browser, Engine, HtmlForm, Page, TestApp, on_both_engines};

on_both_engines!(
    an_operator_is_invited_by_a_link_that_is_shown_until_it_is_stored,
    an_invitation_form_that_is_sent_again_invites_nobody_else,
    errors_are_shown_beside_their_fields,
    a_change_of_roles_ends_the_sessions,
    a_workspace_has_one_row_in_the_form,
    a_new_setup_link_replaces_the_old_one,
    an_operator_is_disabled_enabled_and_deleted,
    the_last_platform_administrator_cannot_be_removed,
    roles_from_a_provider_are_read_only,
    an_operator_who_lacks_a_second_factor_is_shown_as_unable_to_sign_in,
    operators_are_changed_only_after_a_fresh_sign_in,
);

const NEW: &str = "/console/operators/new";

/// The form that invites Ann to `acme`.
async fn invitation(root: &Browser<'_>) -> HtmlForm {
    let page = root.get(NEW).await.must_be(200);
    let form = form_at(&page, NEW).with("name", "Ann").with("email", "ann@acme.example");
    form.with("role", "workspace_admin:acme")
}

async fn furnished(engine: Engine) -> TestApp {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({"name": "Acme India"})).await;
    admin.workspace("other", json!({"name": "Other"})).await;
    app
}

/// The address of an operator in the list.
async fn address(root: &Browser<'_>, name: &str) -> String {
    root.get("/console/operators").await.must_be(200).link(name)
}

/// The token in a setup link that a page shows.
fn token_of(page: &Page) -> String {
    page.by_id("link").rsplit('/').next().unwrap().to_owned()
}

async fn an_operator_is_invited_by_a_link_that_is_shown_until_it_is_stored(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    let sent = root.send(&invitation(&root).await).await;
    let here = sent.location();
    assert!(here.starts_with("/console/operators/links/"), "{here}");
    let shown = root.get(&here).await.must_be(200);
    let link = shown.by_id("link");
    assert!(link.starts_with(&format!("{}/console/setup/", app.base)), "{link}");
    assert!(shown.says("To Ann (ann@acme.example)"), "{}", shown.text());
    // After a reload the link is the same. In another session the page does not exist.
    assert_eq!(root.get(&here).await.by_id("link"), link);
    app.signed_in("root@example.com").await.get(&here).await.must_be(404);
    let setup = app.core.services.operators.setup(&token_of(&shown)).await.unwrap().unwrap();
    assert_eq!((setup.name.as_str(), setup.has_ways_in), ("Ann", false));

    let list = root.submit(&form_at(&shown, &format!("{here}/stored"))).await.must_be(200);
    for words in
        ["Ann", "ann@acme.example", "Administrator of acme", "Invited", "has not used the setup link yet"]
    {
        assert!(list.says(words), "{words}: {}", list.text());
    }
    let gone = root.get(&here).await.must_be(410);
    assert!(gone.says("Confirmed at") && !gone.html.contains(&link), "{}", gone.text());
    // Confirming again changes nothing, and the link still works.
    root.send(&form_at(&shown, &format!("{here}/stored"))).await.must_be(303);
    assert!(app.core.services.operators.setup(&token_of(&shown)).await.unwrap().is_some());
    let stored = app.database.session().await.everything().await;
    assert!(!stored.contains(&token_of(&shown)), "the link is not in the database");
}

async fn an_invitation_form_that_is_sent_again_invites_nobody_else(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    let form = invitation(&root).await;
    let first = root.send(&form).await.location();
    assert_eq!(root.send(&form).await.location(), first);
    // The form has the same nonce, so with another name and address it creates nothing either.
    assert_eq!(
        root.send(&form.with("name", "Bob").with("email", "bob@acme.example")).await.location(),
        first
    );
    assert_eq!(app.database.number("SELECT COUNT(*) FROM operators").await, 2);
    // After ten minutes the link is erased without a confirmation.
    app.clock.advance(601);
    let gone = root.get(&first).await.must_be(410);
    assert!(gone.says("Erased at"), "{}", gone.text());
}

async fn errors_are_shown_beside_their_fields(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    for (field, value, at, words) in [
        ("name", " ", "name", "Enter the name of the operator."),
        ("name", "\u{200b}", "name", "Name must have at least 1 visible character."),
        ("email", " ", "email", "Enter the email address of the operator."),
        ("email", "nobody", "email", "Email address"),
        ("email", "ROOT@example.com", "email", "exists already"),
        ("role", "", "roles", "Select at least one role."),
        ("role", "workspace_admin:nothing", "roles", "is not a workspace"),
        ("role", "workspace_admin:platform", "roles", "platform_admin"),
    ] {
        let form = invitation(&root).await.with(field, value);
        let page = root.send(&form).await.must_be(422);
        assert!(page.title().starts_with("Error: "), "{}", page.title());
        assert!(error_at(&page, at).contains(words), "{field}: {}", page.text());
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM operators").await, 1);
    // The form that changes an operator shows errors in the same way.
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let here = address(&root, "ann").await;
    let form = form_at(&root.get(&here).await.must_be(200), &here);
    let page = root.send(&form.with("email", "").with("name", "").with("role", "")).await.must_be(422);
    assert_eq!(error_at(&page, "email"), "Enter the email address of the operator.");
    assert_eq!(error_at(&page, "name"), "Enter the name of the operator.");
    assert!(error_at(&page, "roles").contains("role. To take all of them away, disable"), "{}", page.text());
}

async fn a_change_of_roles_ends_the_sessions(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let here = address(&root, "ann").await;
    let page = root.get(&here).await.must_be(200);
    let same = root.submit(&form_at(&page, &here)).await.must_be(200);
    assert!(same.says("Nothing was different"), "{}", same.text());
    ann.get("/console/workspaces/acme").await.must_be(200);
    let form =
        form_at(&page, &here).with("role", "workspace_viewer:acme").and("role", "workspace_viewer:other");
    let form = form.with("name", "Ann Lee");
    let page = root.submit(&form).await.must_be(200);
    assert!(page.says("The operator is changed") && page.says("Ann Lee"), "{form:?} {}", page.text());
    assert_eq!(ann.get("/console/workspaces/acme").await.status, 303, "signed out");
    let list = root.get("/console/operators").await;
    assert!(list.says("Viewer of acme") && list.says("Viewer of other"), "{}", list.text());
    // The form of a page that was opened before the change is refused.
    let late = root.send(&form_at(&same, &here)).await.must_be(409);
    assert!(late.says("Somebody changed this in the meantime"), "{}", late.text());
}

async fn a_workspace_has_one_row_in_the_form(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("other", json!({})).await;
    // More workspaces than the form lists; "other" comes after them.
    for number in 0..100 {
        admin.workspace(&format!("a{number}"), json!({})).await;
    }
    let both = |id: &str| [Role::WorkspaceAdmin(id.to_owned()), Role::WorkspaceViewer(id.to_owned())];
    app.operator("ann@acme.example", [both("a7"), both("other")].concat()).await;
    let root = app.platform_admin().await;
    let here = address(&root, "ann").await;
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("There are more workspaces than fit here"), "{}", page.text());
    for id in ["a7", "other"] {
        assert_eq!(page.html.matches(&format!("value=\"workspace_viewer:{id}\"")).count(), 1, "{id}");
    }
    // An operator who is both viewer and administrator of a workspace stays both, until another role is selected in its row.
    let form = form_at(&page, &here);
    assert!(root.send(&form).await.location().ends_with("?done=unchanged"));
    let roles: Vec<_> = form.fields.iter().filter(|(name, _)| name == "role").cloned().collect();
    let mut changed = form.clone();
    changed.fields.retain(|(name, _)| name != "role");
    for (name, role) in roles {
        let role = if role == "workspace_admin:other" { "workspace_viewer:other" } else { &role };
        changed = changed.and(&name, role);
    }
    let saved = root.submit(&changed).await.must_be(200);
    let operators = &app.core.services.operators;
    let ann = operators.operator_by_email(&Manager::command_line(), "ann@acme.example").await.unwrap();
    let [admin_of_a7, viewer_of_a7] = both("a7");
    let mut expected = vec![admin_of_a7, viewer_of_a7, Role::WorkspaceViewer("other".to_owned())];
    expected.sort();
    assert_eq!(ann.roles, expected, "{}", saved.text());
}

async fn a_new_setup_link_replaces_the_old_one(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    let first = root.submit(&invitation(&root).await).await.must_be(200);
    let here = address(&root, "Ann").await;
    let page = root.get(&here).await.must_be(200);
    let form = form_at(&page, &format!("{here}/setup-link"));
    let second = root.submit(&form).await.must_be(200);
    assert_eq!(root.submit(&form).await.by_id("link"), second.by_id("link"), "sent twice, made once");
    let operators = &app.core.services.operators;
    assert!(operators.setup(&token_of(&first)).await.unwrap().is_none());
    assert!(operators.setup(&token_of(&second)).await.unwrap().is_some());
}

async fn an_operator_is_disabled_enabled_and_deleted(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let here = address(&root, "ann").await;
    let page = root.get(&here).await.must_be(200);
    let page = root.submit(&form_at(&page, &format!("{here}/disable"))).await.must_be(200);
    assert!(page.says("disabled and signed out everywhere"), "{}", page.text());
    assert_eq!(ann.get("/console/help").await.status, 303);
    assert!(page.forms().iter().all(|form| !form.action.ends_with("/setup-link")));
    let page = root.submit(&form_at(&page, &format!("{here}/enable"))).await.must_be(200);
    assert!(page.says("can sign in again"), "{}", page.text());
    let ann = app.signed_in("ann@acme.example").await;
    let page = root.get(&format!("{here}/delete")).await.must_be(200);
    let list = root.submit(&form_at(&page, &format!("{here}/delete"))).await.must_be(200);
    assert!(list.says("The operator is deleted") && !list.says("ann@acme.example"), "{}", list.text());
    assert_eq!(ann.get("/console/help").await.status, 303);
    root.get(&here).await.must_be(404);
}

async fn the_last_platform_administrator_cannot_be_removed(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    // A second platform administrator is invited, but cannot sign in yet.
    root.send(&invitation(&root).await.with("platform_admin", "yes")).await.must_be(303);
    let here = address(&root, "root").await;
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("This is you"), "{}", page.text());
    let why = "This is the last platform administrator who is active and can sign in";
    let refused = root.send(&form_at(&page, &format!("{here}/disable"))).await.must_be(409);
    assert!(refused.says(why), "{}", refused.text());
    let mut demoted = form_at(&page, &here).with("role", "workspace_admin:acme");
    demoted.fields.retain(|(name, _)| name != "platform_admin");
    let refused = root.send(&demoted).await.must_be(409);
    assert!(refused.says("There is a problem") && refused.says(why), "{}", refused.text());
    let page = root.get(&format!("{here}/delete")).await.must_be(200);
    let refused = root.send(&form_at(&page, &format!("{here}/delete"))).await.must_be(409);
    assert!(refused.says(why), "{}", refused.text());
    root.get("/console/operators").await.must_be(200);
}

async fn roles_from_a_provider_are_read_only(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let mut database = app.database.session().await;
    database
        .execute("UPDATE operators SET role_source = 'oidc:corp' WHERE email_key = 'ann@acme.example'")
        .await;
    let here = address(&root, "ann").await;
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("come from the sign-in provider corp and"), "{}", page.text());
    let form = form_at(&page, &here);
    assert!(form.fields.iter().all(|(name, _)| name != "role" && name != "platform_admin"), "{form:?}");
    // A forged form changes the name, and no role.
    root.send(&form.with("name", "Ann").with("platform_admin", "yes")).await.must_be(303);
    let list = root.get("/console/operators").await;
    assert!(
        list.says("Ann") && list.html.matches(">Platform administrator<").count() == 1,
        "{}",
        list.text()
    );
}

async fn an_operator_who_lacks_a_second_factor_is_shown_as_unable_to_sign_in(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    root.send(&invitation(&root).await).await.must_be(303);
    let list = root.get("/console/operators").await.must_be(200);
    assert!(list.says("Invited has not used the setup link yet"), "{}", list.text());
    // Ann has a password that was set when no second factor was required.
    let password =
        "UPDATE operators SET password_hash = 'x', password_set_at = 1 WHERE email_key = 'ann@acme.example'";
    app.database.execute(password).await;
    let list = root.get("/console/operators").await.must_be(200);
    assert!(!list.says("has not used the setup link yet"), "{}", list.text());
    let why = "needs a passkey or an authenticator app: make a new setup link";
    assert!(list.says(&format!("Cannot sign in {why}")), "{}", list.text());
    let page = root.get(&address(&root, "Ann").await).await.must_be(200);
    assert!(page.says(&format!("Cannot sign in: {why}")), "{}", page.text());
    assert!(page.says("For an operator who has lost all ways to sign in."), "{}", page.text());
    assert!(page.says("Anyone who uses the link becomes this operator."), "{}", page.text());
}

async fn operators_are_changed_only_after_a_fresh_sign_in(engine: Engine) {
    let app = furnished(engine).await;
    let root = app.platform_admin().await;
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let here = address(&root, "ann").await;
    let page = root.get(&here).await.must_be(200);
    let invitation = invitation(&root).await.with("email", "new@acme.example");
    // A sign-in is fresh for five minutes.
    app.clock.advance(301);
    root.get("/console/operators").await.must_be(200);
    for path in [NEW, &here, &format!("{here}/delete")] {
        assert!(root.get(path).await.location().starts_with("/console/sign-in/again?next="), "{path}");
    }
    let form = |action: &str| HtmlForm { action: action.to_owned(), ..form_at(&page, &here) };
    for part in ["", "/disable", "/enable", "/delete", "/setup-link"] {
        let sent = root.send(&form(&format!("{here}{part}")).with("name", "X")).await;
        assert!(sent.location().starts_with("/console/sign-in/again?next="), "{part}");
    }
    assert!(root.send(&invitation).await.location().starts_with("/console/sign-in/again?next="));
    assert_eq!(app.database.number("SELECT COUNT(*) FROM operators WHERE status = 'active'").await, 2);
    fill(&app.signed_in("root@example.com").await, &here, &[("name", "Ann Lee")]).await.must_be(303);
}
