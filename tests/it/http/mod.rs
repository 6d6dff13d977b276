//! What all doors (OAuth, `/v1`, console) share: bodies that no handler reads, and how long a connection may keep the server
//! waiting.

mod late;
mod unread;
