//! The service does what `openapi.yaml` says, and `openapi.yaml` says all that the service does: its routes ([`routes`]); every
//! reply that the document describes ([`replies`]); and every reply that any test sees, which is checked wherever a `TestApp`
//! ends ([`judgement`]). And client generators can read the document ([`generators`]).

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
