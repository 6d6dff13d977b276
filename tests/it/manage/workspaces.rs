//! `/v1/workspaces`.
