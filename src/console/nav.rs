//! The navigation: which pages there are for an operator. A page appears here when it exists.

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
    let entry = |name: &'static str, href: String, parts: &[&str]| {
        let is_current = parts.iter().any(|part| path.contains(part));
        NavEntry { name, href, is_current }
    };
    let mut integration = Vec::new();
    if let Some(id) = workspace_id.or(own) {
        let href = format!("{base}/workspaces/{id}/api-clients");
        integration.push(entry("API Clients", href, &["/api-clients", "/drafts/", "/reveals/"]));
    }
    let mut groups = Vec::new();
    if !integration.is_empty() {
        groups.push(NavGroup { name: "Integration", entries: integration });
    }
    let mut platform = Vec::new();
    if operator.is_platform_admin() || operator.roles.len() > 1 {
        let is_current = path.ends_with("/workspaces");
        platform.push(NavEntry { name: "Workspaces", href: format!("{base}/workspaces"), is_current });
    }
    if !platform.is_empty() {
        groups.push(NavGroup { name: "Organisation", entries: platform });
    }
    groups
}
