//! Reminders: what is mailed before a secret, an API client or a recorded token ends.

use super::clock::UnixSeconds;

/// How many days before an end there is a reminder, the nearest first.
pub const REMINDED_DAYS: [i64; 3] = [1, 7, 30];

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndingKind {
    /// A client secret.
    Secret,
    /// An API client.
    Client,
    /// A recorded access token.
    Token,
}

impl EndingKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Secret, Self::Client, Self::Token];

    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Client => "client",
            Self::Token => "access_token",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An end: its instant, then the id of what ends. Reminders are made in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// When.
    pub at: UnixSeconds,
    /// The id of what ends.
    pub id: String,
}

impl End {
    /// The place after everything that ends at `at` or before.
    pub fn after(at: UnixSeconds) -> Self {
        Self { at: at.saturating_add(1), id: String::new() }
    }
}

/// Something that will end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When, and what.
    pub end: End,
    /// When it was created or issued.
    pub began_at: UnixSeconds,
    /// The client it belongs to.
    pub client_id: String,
    /// Of a secret: its last four characters.
    pub last_four: Option<String>,
    /// Of a secret: when it was last used.
    pub last_used_at: Option<UnixSeconds>,
    /// Of a token: its scope.
    pub scope: Option<String>,
    /// Whether the workspace of the client is suspended.
    pub is_suspended: bool,
    /// Of a token that the client requested itself: whether the client has requested another one with the same scope that ends
    /// later.
    pub is_renewed: bool,
}
