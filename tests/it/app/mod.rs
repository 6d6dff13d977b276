//! The server as a whole: how it listens, and how it stops.

mod drain;
mod listeners;
