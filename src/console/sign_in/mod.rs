//! Signing in to the console.

mod oidc;
