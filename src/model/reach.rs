//! What a caller may access: everything, or one workspace. Each read of a tenant's data takes the reach of the caller, or
//! follows a check of that reach.

/// The part of the data a caller may see and change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every workspace: the command line, platform administrators, and API clients of the workspace `platform`.
    Platform,
    /// One workspace.
    Workspace(String),
}

impl Reach {
    /// Whether `workspace_id` lies within reach.
    pub fn covers(&self, workspace_id: &str) -> bool {
        match self {
            Self::Platform => true,
            Self::Workspace(own) => own == workspace_id,
        }
    }

    /// The workspace a query must be limited to; `None` for no limit. Statements test `($n IS NULL OR workspace_id = $n)`.
    pub fn limit(&self) -> Option<&str> {
        match self {
            Self::Platform => None,
            Self::Workspace(own) => Some(own),
        }
    }
}
