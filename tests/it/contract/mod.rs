//! The service and `openapi.yaml` say the same, both ways: its routes ([`routes`]); every reply that the document
//! describes ([`replies`]); and every reply that any test sees, which is checked wherever a `TestApp` ends
//! ([`judgement`]). And client generators understand the document ([`generators`]).

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
