//! Verifies Mintmark access tokens.
