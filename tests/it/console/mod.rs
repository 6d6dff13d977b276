//! The console over real HTTP, on both engines, as a browser without scripts uses it.

mod base;
