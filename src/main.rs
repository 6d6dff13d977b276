//! Mintmark.
fn main() {}
