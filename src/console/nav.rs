//! The navigation: which pages there are for an operator.

use super::page::{NavEntry, NavGroup};
use crate::model::operator::Operator;

/// The groups for `operator`, on a page about `workspace_id` that has the address `path`.
pub(super) fn groups(
    base: &str,
    operator: &Operator,
    workspace_id: Option<&str>,
    path: &str,
) -> Vec<NavGroup> {
    let own = operator.roles.iter().find_map(|role| role.workspace_id());
    let workspace_id = workspace_id.or(own);
    let page = path.strip_prefix(base).unwrap_or(path);
    let entry = |name: &'static str, href: String, is_current: bool| NavEntry { name, href, is_current };
    let is_at =
        |first: &str| page.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_platform = operator.is_platform_admin();
    // A page without a workspace in its path shows everything to a platform administrator, and to others only what is in one
    // of their workspaces.
    let listed = |name: &'static str, at: &str| {
        let query = workspace_id.filter(|_| !is_platform).map(|id| format!("?workspace_id={id}"));
        entry(name, format!("{base}{at}{}", query.unwrap_or_default()), is_at(at))
    };
    let mut integration = Vec::new();
    // Without a workspace the link leads to the start page, which redirects to the only workspace or to the list.
    let clients =
        workspace_id.map_or_else(|| base.to_owned(), |id| format!("{base}/workspaces/{id}/api-clients"));
    let is_current = ["/api-clients", "/drafts/", "/reveals/"].iter().any(|part| page.contains(part));
    integration.push(entry("API Clients", clients, is_current));
    if !is_platform {
        integration.push(listed("Products", "/products"));
    }
    integration.push(entry("How to call and verify", format!("{base}/help"), is_at("/help")));
    let oversight = vec![
        listed("Never-expiring tokens", "/never-expiring"),
        listed("Audit trail", "/audit"),
        listed("Deliveries", "/deliveries"),
        listed("Webhooks", "/webhooks"),
    ];
    let in_settings = is_at("/workspaces") && !page.contains("/api-clients");
    let workspaces = entry("Workspaces", format!("{base}/workspaces"), in_settings);
    let organisation = if is_platform {
        vec![
            workspaces,
            listed("Products", "/products"),
            listed("Operators", "/operators"),
            listed("Signing keys", "/signing-keys"),
        ]
    } else {
        vec![workspaces]
    };
    let group = |name: &'static str, entries: Vec<NavEntry>| NavGroup { name, entries };
    vec![
        group("Integration", integration),
        group("Oversight", oversight),
        group("Organisation", organisation),
    ]
}
