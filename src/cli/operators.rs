//! `mintmark operators`: the people who sign in to the console.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnOperator, Target, UseCase};
use super::values::{Members, OptionValue};
use super::{Failure, Global};
use crate::cli::host_user;
use crate::kernel::Error;
use crate::model::clock::to_rfc3339;
use crate::model::member::Member;
use crate::model::operator::Role;
use crate::operators::OperatorChange;

const COLUMNS: &[&str] = &["operator_id", "email", "name", "status", "roles", "sign_in", "last_sign_in_at"];
const MEMBERS: &[&str] = &[
    "operator_id",
    "email",
    "name",
    "status",
    "roles",
    "role_source",
    "sign_in",
    "last_sign_in_at",
    "created_at",
    "updated_at",
];
const CREATED: &[&str] =
    &["operator_id", "email", "name", "status", "roles", "setup_link", "setup_link_expires_at"];
const LINK: &[&str] = &["operator_id", "setup_link", "expires_at"];

/// List, create, show, change and delete operators: the people who sign in to the console
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark operators setup-link ann@acme.example
  mintmark operators create ben@a.example --name Ben --role workspace_admin:acme
  mintmark operators update ben@acme.example --status disabled
  mintmark operators list --json"
)]
pub(super) struct Operators {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List all operators
    #[command(after_help = "Example:\n  mintmark operators list --json")]
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create an operator, and print the link by which they set up a way to sign in
    #[command(
        after_help = "Example:\n  mintmark operators create ann@acme.example --name Ann --role platform_admin"
    )]
    Create {
        /// Their email address
        email: String,
        /// Their display name
        #[arg(long)]
        name: String,
        /// platform_admin, workspace_admin:WORKSPACE_ID or workspace_viewer:WORKSPACE_ID; may be repeated
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
    /// Show an operator
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark operators show ann@acme.example")]
    Show {
        /// Their email address or id
        operator: String,
    },
    /// Change the given values of an operator; a change of roles or status ends their sessions
    #[command(
        visible_alias = "change",
        after_help = "Example:\n  mintmark operators update ann@acme.example --role workspace_viewer:acme-in"
    )]
    Update {
        /// Their email address or id
        operator: String,
        /// Their new email address
        #[arg(long)]
        email: Option<OptionValue<String>>,
        /// Their display name
        #[arg(long)]
        name: Option<OptionValue<String>>,
        /// active, or disabled: the operator cannot sign in
        #[arg(long)]
        status: Option<OptionValue<String>>,
        /// A role, as for `create`; may be repeated. The given roles replace all roles of the operator
        #[arg(long = "role", value_name = "ROLE")]
        roles: Option<Vec<String>>,
    },
    /// Delete an operator with their ways to sign in
    #[command(after_help = "Example:\n  mintmark operators delete ann@acme.example")]
    Delete {
        /// Their email address or id
        operator: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Print a link by which an operator sets up a way to sign in; also creates the first operator
    ///
    /// The link works once, for 24 hours. When it is used, the ways to sign in that this operator had are removed. If there is
    /// no operator yet, this command creates the first one, a platform administrator with this email address (not with
    /// --remote).
    #[command(after_help = "Example:\n  mintmark operators setup-link ann@acme.example")]
    SetupLink {
        /// Their email address or id
        operator: String,
    },
}

impl Operators {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        Target::with(global, &connection, async |target| act(verb, target, format).await).await
    }
}

async fn act(verb: Verb, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    let ask = async |on| target.ask(UseCase::Operator(on)).await;
    let record = |record: Value| format.record(&record, MEMBERS);
    match verb {
        Verb::List { how_many } => target.print(&List::Operators, how_many, format, COLUMNS).await,
        Verb::Create { email, name, roles } => {
            let body = json!({"email": email, "name": name, "roles": roles_of(&roles)});
            format.record(&ask(OnOperator::Create(body)).await?, CREATED)
        }
        Verb::Show { operator } => record(ask(OnOperator::Show(id_of(target, operator).await?)).await?),
        Verb::Update { operator, email, name, status, roles } => {
            let members = Members::default()
                .with("email", email)
                .with("name", name)
                .with("status", status)
                .with("roles", roles.map(|roles| roles_of(&roles)));
            let id = id_of(target, operator).await?;
            record(ask(OnOperator::Change(id, members.into_body())).await?)
        }
        Verb::Delete { operator, confirm } => {
            let id = id_of(target, operator.clone()).await?;
            confirm.ask(format_args!("Delete the operator {operator}"))?;
            ask(OnOperator::Delete(id.clone())).await?;
            let document = json!({ "operator_id": id, "deleted": true });
            format.done(&document, format_args!("operator {operator} deleted"))
        }
        Verb::SetupLink { operator } => {
            if let Some(first) = first_operator(target, &operator).await? {
                return format.record(&first, LINK);
            }
            let id = id_of(target, operator).await?;
            let mut link = ask(OnOperator::SetupLink(id.clone())).await?;
            if let Some(members) = link.as_object_mut() {
                members.insert("operator_id".to_owned(), id.into());
            }
            format.record(&link, LINK)
        }
    }
}

/// Creates the first platform administrator and returns the setup link. `None` if there is an operator already, or with
/// `--remote`.
async fn first_operator(target: &Target<'_>, email: &str) -> Result<Option<Value>, Failure> {
    let Target::Local(opened) = target else { return Ok(None) };
    let operators = &opened.core.services.operators;
    if !operators.has_none().await? {
        return Ok(None);
    }
    let first = OperatorChange {
        email: Member::Value(email.to_owned()),
        name: Member::Value(email.to_owned()),
        roles: Member::Value(vec![Role::PlatformAdmin]),
        ..OperatorChange::default()
    };
    let Some(created) = operators.create_first_operator(&host_user::manager(), &first).await? else {
        return Ok(None);
    };
    eprintln!("mintmark: created {email}, the first operator, as a platform administrator");
    let link = &created.setup_link;
    Ok(Some(json!({
        "operator_id": link.operator_id,
        "setup_link": link.url(),
        "expires_at": to_rfc3339(link.expires_at),
    })))
}

/// The id of an operator who is given by email address or id.
async fn id_of(target: &Target<'_>, operator: String) -> Result<String, Failure> {
    if !operator.contains('@') {
        return Ok(operator);
    }
    let found = target.first(&List::OperatorsOf(operator)).await?;
    let id = found.as_ref().and_then(|found| found.get("operator_id")).and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| Error::NotFound("operator").into())
}

/// `ROLE` or `ROLE:WORKSPACE_ID` in the form of the management API, which refuses unknown roles.
fn roles_of(texts: &[String]) -> Vec<Value> {
    let role = |text: &String| match text.split_once(':') {
        Some((role, workspace_id)) => json!({"role": role, "workspace_id": workspace_id}),
        None => json!({"role": text}),
    };
    texts.iter().map(role).collect()
}
