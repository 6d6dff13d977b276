//! Operators as JSON: what the management API and the command line show, and what the audit trail records of a change.

use serde::{Serialize, Serializer};

use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::operator::{Operator, Role};

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct RoleDto<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<&'a str>,
}

impl<'a> From<&'a Role> for RoleDto<'a> {
    fn from(role: &'a Role) -> Self {
        Self { role: role.as_str(), workspace_id: role.workspace_id() }
    }
}

/// The members of an operator that an administrator sets. For an operator with a `role_source`, a provider sets the roles.
#[derive(Debug, Serialize)]
pub(super) struct OperatorSettings<'a> {
    email: &'a str,
    name: &'a str,
    status: &'static str,
    roles: Vec<RoleDto<'a>>,
}

impl<'a> From<&'a Operator> for OperatorSettings<'a> {
    fn from(operator: &'a Operator) -> Self {
        Self {
            email: &operator.email,
            name: &operator.name,
            status: operator.status.as_str(),
            roles: operator.roles.iter().map(RoleDto::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct OperatorDto<'a> {
    operator_id: &'a str,
    #[serde(flatten)]
    settings: OperatorSettings<'a>,
    role_source: Option<&'a str>,
    sign_in: Vec<&'static str>,
    #[serde(with = "rfc3339::option")]
    last_sign_in_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    updated_at: UnixSeconds,
}

impl Serialize for Operator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = OperatorDto {
            operator_id: &self.operator_id,
            settings: self.into(),
            role_source: self.role_source.as_deref(),
            sign_in: self.sign_in.iter().map(|way| way.as_str()).collect(),
            last_sign_in_at: self.last_sign_in_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        dto.serialize(serializer)
    }
}
