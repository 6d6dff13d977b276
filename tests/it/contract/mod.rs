//! The service and `openapi.yaml` say the same: its routes ([`routes`]), and every reply that a test sees, which is
//! checked wherever a `TestApp` ends ([`judgement`]).

mod judgement;
mod routes;
