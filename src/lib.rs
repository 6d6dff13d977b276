//! Mintmark.
