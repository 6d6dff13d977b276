//! The protocol door, over HTTP.

mod smoke;
