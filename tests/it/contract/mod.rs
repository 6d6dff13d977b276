//! Compares the service with `openapi.yaml`: both have the same routes ([`routes`]); the service sends every reply that
//! `openapi.yaml` describes ([`replies`]); and `openapi.yaml` names every reply that any test sees, which is checked when a
//! `TestApp` is dropped ([`judgement`]). Client generators can read `openapi.yaml` ([`generators`]).

mod generators;
mod judgement;
mod presented;
mod provoke;
mod replies;
mod reply;
mod routes;
mod schema;
mod token;
mod world;
