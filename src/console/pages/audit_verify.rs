//! `/console/audit/verify`: checks that nobody changed the audit trail, as `mintmark audit verify` does. For platform
//! administrators.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::moment::count;
use crate::console::page::{Shell, ok};
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::ledger::CheckedLog;

#[derive(Template)]
#[template(path = "audit_verify.html")]
struct VerifyPage {
    shell: Shell,
    back: String,
    findings: Vec<String>,
    logs: Vec<Row>,
    waiting: String,
}

/// What was checked in a log.
struct Row {
    origin: String,
    entries: i64,
    pruned: i64,
    covered: i64,
    checkpoints: i64,
}

/// `GET /console/audit/verify`. Reads the whole trail, so it takes a while where it is long.
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let manager = signed_in.platform_manager().await?;
    let found = signed_in.door.services.ledger.verify_audit(&manager, &[]).await?;
    let back = signed_in.door.href("/audit");
    ok(&VerifyPage {
        shell: signed_in
            .shell("Verify the audit trail")
            .below("Settings", None)
            .below("Audit trail", back.clone()),
        back,
        findings: found.findings(),
        logs: found.logs.iter().map(row).collect(),
        waiting: if found.waiting == 0 {
            String::new()
        } else {
            format!("Not numbered yet, so not checked: {}.", count(found.waiting, "event"))
        },
    })
}

fn row(log: &CheckedLog) -> Row {
    Row {
        origin: log.origin.clone(),
        entries: log.entries,
        pruned: log.pruned,
        covered: log.covered,
        checkpoints: log.checkpoints,
    }
}
