//! Products and workspaces.

mod products;
mod workspaces;
