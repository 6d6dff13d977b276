//! `/v1/audit-events`.
