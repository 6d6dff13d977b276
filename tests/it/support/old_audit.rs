//! An audit trail like one of an earlier version of Mintmark, which had no audit tree.

use super::Session;

impl Session {
    /// Removes the audit tree, so that its events have neither a number nor an entry, and replaces their `detail`. Adds `more`
    /// events that are older than all others: their ids begin with `0-`, which sorts before all other ids.
    pub(crate) async fn forget_audit_tree(&mut self, more: usize) {
        self.execute(
            "UPDATE audit_events SET log = NULL, seq = NULL, leaf = NULL, entry = NULL, detail = '{\"old\":true}';
             UPDATE audit_trees SET size = 0, opened_at = NULL;
             DELETE FROM audit_checkpoints; DELETE FROM audit_nodes",
        )
        .await;
        let (numbers, id) = match self {
            Self::Sqlite(_) => (
                format!("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {more}) "),
                "printf('0-%07d', n)",
            ),
            Self::Postgres(_) => (
                format!("WITH n AS (SELECT n FROM generate_series(1, {more}) n) "),
                "'0-' || lpad(n::text, 7, '0')",
            ),
        };
        self.execute(&format!(
            "{numbers} INSERT INTO audit_events (event_id, at, actor, action, target, detail)
             SELECT {id}, 1700000000 + n, 'cli', 'product.created', 'gst', '{{\"n\":1}}' FROM n"
        ))
        .await;
    }
}
