//! An operator who was created, as the reply to the request shows them: only this reply has their setup link.

use serde::{Serialize, Serializer};

use super::links::SetupLink;
use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::operator::Operator;

/// An operator who was created, with the link by which they set up a way in.
#[derive(Debug)]
pub struct CreatedOperator {
    /// The record.
    pub operator: Operator,
    /// The link.
    pub setup_link: SetupLink,
}

#[derive(Serialize)]
struct CreatedDto<'a> {
    #[serde(flatten)]
    operator: &'a Operator,
    setup_link: &'a str,
    #[serde(with = "rfc3339")]
    setup_link_expires_at: UnixSeconds,
}

impl Serialize for CreatedOperator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = CreatedDto {
            operator: &self.operator,
            setup_link: self.setup_link.url(),
            setup_link_expires_at: self.setup_link.expires_at,
        };
        dto.serialize(serializer)
    }
}
