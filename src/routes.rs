//! Every URL and the function that serves it; `pages` has the rest of the console's pages.
//!
//! Each resource lists its methods; any other method is 405 with `Allow`. Only `/oauth2/verify` takes every method. With an
//! issuer that has a path, everything is served at `/…` and at `/<path>/…`, and the metadata also at the URL that RFC 8414
//! §3.1 defines for such an issuer.

mod pages;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};

use crate::console;
use crate::docs;
use crate::manage::{
    self, access_tokens, api_clients, audit_events, operators, problem, products, secrets, signing_keys,
    usage, webhooks, workspaces,
};
use crate::oauth::{self, introspect, jwks, metadata, revoke, status_lists, token, verify};
use crate::telemetry::{health, metrics};

/// Which endpoints a listener serves. Every listener also serves health and the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// All endpoints.
    All,
    /// The OAuth endpoints, if management has a separate listener.
    Public,
    /// `/v1`, `/console` and `/metrics`.
    Management,
}

/// Adds the routes of `doors`. `issuer_path` is the path of the issuer, empty or beginning with `/`.
pub fn configure(config: &mut ServiceConfig, doors: Doors, issuer_path: &str) {
    if !issuer_path.is_empty() {
        if doors != Doors::Management {
            let inserted = format!("/.well-known/oauth-authorization-server{issuer_path}");
            config.service(at(&inserted).get(metadata::get).done());
        }
        config.service(web::scope(issuer_path).configure(|config| endpoints(config, doors)));
    }
    endpoints(config, doors);
    // A browser at the root is redirected to the console if this listener serves it, else to the documentation.
    let start = if doors == Doors::Public { "/docs" } else { "/console" };
    config.default_service(web::to(move |request: HttpRequest| {
        let reply = no_route(&request, start);
        async { reply }
    }));
}

/// Answers requests without a route: with a hint or a redirect if there is one, else with 404.
fn no_route(request: &HttpRequest, start: &str) -> HttpResponse {
    oauth::answer_nearby(request, start).unwrap_or_else(|| problem::not_found(request))
}

fn endpoints(config: &mut ServiceConfig, doors: Doors) {
    // Matched in this order, so the most frequent ones come first.
    if doors != Doors::Management {
        config
            .service(form("/oauth2/token", token::post))
            .service(form("/oauth2/introspect", introspect::post))
            .service(form("/oauth2/revoke", revoke::post))
            .service(at("/oauth2/status-lists").get(status_lists::aggregate).done())
            .service(at("/oauth2/status-lists/{list}").get(status_lists::get).done())
            // Any method: a proxy uses the method of the request that it checks.
            .service(web::resource("/oauth2/verify").to(verify::any))
            .service(at("/.well-known/jwks.json").get(jwks::get).done())
            .service(at("/.well-known/oauth-authorization-server").get(metadata::get).done())
            .service(at("/.well-known/openid-configuration").get(metadata::get_openid).done());
    }
    config
        .service(at("/healthz").get(health::healthz).done())
        .service(at("/readyz").get(health::readyz).done())
        .service(at("/openapi.yaml").get(docs::openapi).done())
        .service(at("/docs").get(docs::page).done())
        .service(at("/docs/assets/{file}").get(docs::asset).done());
    if doors != Doors::Public {
        config.service(at("/metrics").get(metrics::get).done());
        management(config);
        console_pages(config);
    }
}

/// The URLs of the management API, below `/v1`.
fn management(config: &mut ServiceConfig) {
    config.service(
        web::scope("/v1")
            .wrap(from_fn(manage::finish))
            .service(at("/products").get(products::list).post(products::post).done())
            .service(
                at("/products/{product}")
                    .get(products::get)
                    .patch(products::patch)
                    .delete(products::delete)
                    .done(),
            )
            .service(at("/workspaces").get(workspaces::list).post(workspaces::post).done())
            .service(
                at("/workspaces/{workspace_id}")
                    .get(workspaces::get)
                    .patch(workspaces::patch)
                    .delete(workspaces::delete)
                    .done(),
            )
            .service(
                at("/workspaces/{workspace_id}/api-clients")
                    .get(api_clients::list)
                    .post(api_clients::post)
                    .done(),
            )
            .service(
                at("/workspaces/{workspace_id}/webhooks").get(webhooks::list).post(webhooks::post).done(),
            )
            .service(
                at("/webhooks/{webhook_id}")
                    .get(webhooks::get)
                    .patch(webhooks::patch)
                    .delete(webhooks::delete)
                    .done(),
            )
            .service(at("/webhooks/{webhook_id}/secrets").post(webhooks::replace_keys).done())
            .service(at("/webhooks/{webhook_id}/test").post(webhooks::test).done())
            .service(at("/webhooks/{webhook_id}/deliveries").get(webhooks::deliveries).done())
            .service(
                at("/webhooks/{webhook_id}/deliveries/{delivery_id}/resend").post(webhooks::resend).done(),
            )
            .service(at("/api-clients").get(api_clients::list_all).done())
            // Before the route of one client, whose pattern also matches this path.
            .service(at("/api-clients/batch").post(api_clients::batch).done())
            .service(
                at("/api-clients/{client_id}")
                    .get(api_clients::get)
                    .patch(api_clients::patch)
                    .delete(api_clients::delete)
                    .done(),
            )
            .service(at("/api-clients/{client_id}/secrets").get(secrets::list).post(secrets::post).done())
            .service(
                at("/api-clients/{client_id}/secrets/{secret_id}")
                    .get(secrets::get)
                    .delete(secrets::delete)
                    .done(),
            )
            .service(
                at("/api-clients/{client_id}/access-tokens")
                    .get(access_tokens::list)
                    .post(access_tokens::post)
                    .delete(access_tokens::delete_all)
                    .done(),
            )
            .service(
                at("/api-clients/{client_id}/access-tokens/{jti}")
                    .get(access_tokens::get)
                    .delete(access_tokens::delete)
                    .done(),
            )
            .service(at("/api-clients/{client_id}/usage").get(usage::get).done())
            .service(at("/api-clients/{client_id}/failures").get(usage::failures).done())
            .service(at("/failures").get(usage::all_failures).done())
            .service(at("/access-tokens").get(access_tokens::list_all).done())
            .service(at("/operators").get(operators::list).post(operators::post).done())
            .service(
                at("/operators/{operator_id}")
                    .get(operators::get)
                    .patch(operators::patch)
                    .delete(operators::delete)
                    .done(),
            )
            .service(at("/operators/{operator_id}/setup-link").post(operators::setup_link).done())
            .service(at("/signing-keys").get(signing_keys::list).post(signing_keys::post).done())
            .service(at("/signing-keys/{kid}").get(signing_keys::get).delete(signing_keys::delete).done())
            .service(at("/audit-events").get(audit_events::list).done())
            .service(at("/audit-events/checkpoint").get(audit_events::checkpoint).done())
            .service(at("/audit-events/consistency").get(audit_events::consistency).done())
            .service(at("/audit-events/{seq}/proof").get(audit_events::proof).done()),
    );
}

/// Sign-in and sign-out, setup links, and the account of the signed-in operator.
fn sign_in_pages(config: &mut ServiceConfig) {
    use console::account::{self, authenticator, identities, passkeys, password, recovery_codes, sessions};
    use console::{setup, sign_in};
    config
        .service(at("/sign-in").get(sign_in::password::get).post(sign_in::password::post).page())
        .service(at("/sign-in/code").get(sign_in::code::get).post(sign_in::code::post).page())
        .service(at("/sign-in/passkey").post(sign_in::passkey::post).page())
        .service(at("/sign-in/passkey/options").post(sign_in::passkey::options).page())
        .service(at("/sign-in/oidc/{name}").get(sign_in::oidc::start::get).page())
        .service(at("/sign-in/oidc/{name}/callback").get(sign_in::oidc::callback::get).page())
        .service(at("/sign-in/again").get(sign_in::again::get).post(sign_in::again::post).page())
        .service(at("/sign-in/again/passkey").post(sign_in::again::post_passkey).page())
        .service(at("/sign-in/again/passkey/options").post(sign_in::again::options).page())
        .service(at("/sign-out").post(sign_in::out::post).page())
        .service(at("/setup/{token}").get(setup::get).post(setup::post).page())
        .service(at("/setup/{token}/passkey").post(setup::post_passkey).page())
        .service(at("/setup/{token}/passkey/options").post(setup::options).page())
        .service(at("/account").get(account::get).page())
        .service(at("/account/passkeys/new").get(passkeys::get_new).post(passkeys::post_new).page())
        .service(at("/account/passkeys/new/options").post(passkeys::options).page())
        .service(at("/account/passkeys/{id}").get(passkeys::get).post(passkeys::post).page())
        .service(at("/account/passkeys/{id}/remove").post(passkeys::remove).page())
        .service(at("/account/password").get(password::get).post(password::post).page())
        .service(at("/account/password/remove").post(password::remove).page())
        .service(at("/account/authenticator").get(authenticator::get).post(authenticator::post).page())
        .service(at("/account/recovery-codes").get(recovery_codes::get).post(recovery_codes::post).page())
        .service(at("/account/recovery-codes/{name}").get(recovery_codes::show).page())
        .service(at("/account/recovery-codes/{name}/stored").post(recovery_codes::stored).page())
        .service(at("/account/identities/remove").post(identities::remove).page())
        .service(at("/account/sessions/end-others").post(sessions::end_others).page())
        .service(at("/account/sessions/{session_id}/end").post(sessions::end).page());
}

/// The pages of the console, below `/console`.
fn console_pages(config: &mut ServiceConfig) {
    use console::pages::{
        client_edit, client_end, client_history, client_list, client_live, client_new, client_overview,
        client_secrets, client_tokens, client_usage, home, reveals,
    };
    config.service(
        web::scope("/console")
            .wrap(from_fn(console::finish))
            .service(at("").get(home::get).page())
            .service(at("/").get(home::get).page())
            .service(at("/assets/{file}").get(console::assets::get).page())
            .service(at("/workspaces/{workspace_id}/api-clients").get(client_list::get).page())
            .service(
                at("/workspaces/{workspace_id}/api-clients/new")
                    .get(client_new::get)
                    .post(client_new::post)
                    .page(),
            )
            .service(at("/drafts/{nonce}").get(client_new::get_draft).post(client_new::create).page())
            .service(at("/reveals/{nonce}").get(reveals::get).page())
            .service(at("/reveals/{nonce}/download").get(reveals::download).page())
            .service(at("/reveals/{nonce}/stored").post(reveals::stored).page())
            .service(at("/api-clients/{client_id}").get(client_overview::get).page())
            .service(at("/api-clients/{client_id}/test").post(client_overview::test).page())
            .service(at("/api-clients/{client_id}/first-call").get(client_live::first_call).page())
            .service(at("/api-clients/{client_id}/watch").get(client_live::watch).page())
            .service(at("/api-clients/{client_id}/edit").get(client_edit::get).page())
            .service(
                at("/api-clients/{client_id}/change")
                    .get(client_edit::get_change)
                    .post(client_edit::post_change)
                    .page(),
            )
            .service(
                at("/api-clients/{client_id}/disable")
                    .get(client_end::get_disable)
                    .post(client_end::disable)
                    .page(),
            )
            .service(at("/api-clients/{client_id}/enable").post(client_end::enable).page())
            .service(
                at("/api-clients/{client_id}/delete")
                    .get(client_end::get_delete)
                    .post(client_end::post_delete)
                    .page(),
            )
            .service(at("/api-clients/{client_id}/secrets").get(client_secrets::get).page())
            .service(
                at("/api-clients/{client_id}/secrets/new")
                    .get(client_secrets::get_new)
                    .post(client_secrets::post_new)
                    .page(),
            )
            .service(
                at("/api-clients/{client_id}/secrets/{secret_id}/delete")
                    .get(client_secrets::get_delete)
                    .post(client_secrets::post_delete)
                    .page(),
            )
            .service(at("/api-clients/{client_id}/tokens").get(client_tokens::get).page())
            .service(
                at("/api-clients/{client_id}/tokens/new")
                    .get(client_tokens::get_new)
                    .post(client_tokens::post_new)
                    .page(),
            )
            .service(
                at("/api-clients/{client_id}/tokens/revoke-all")
                    .get(client_tokens::get_revoke_all)
                    .post(client_tokens::post_revoke_all)
                    .page(),
            )
            .service(
                at("/api-clients/{client_id}/tokens/{jti}/revoke")
                    .get(client_tokens::get_revoke)
                    .post(client_tokens::post_revoke)
                    .page(),
            )
            .service(at("/api-clients/{client_id}/usage").get(client_usage::get).page())
            .service(at("/api-clients/{client_id}/history").get(client_history::get).page())
            .configure(sign_in_pages)
            .configure(pages::configure)
            .default_service(web::to(console::stop::no_page)),
    );
}

/// An endpoint that takes a form by POST. Any other method is answered with 405 and an error as in RFC 6749 §5.2.
fn form<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let other = web::to(oauth::error::method_not_allowed);
    web::resource(path).route(web::post().to(handler)).default_service(other)
}

/// A resource and its methods. Any other method is answered with 405 and `Allow` (RFC 9110 §15.5.6).
struct Url {
    resource: Resource,
    methods: Vec<Method>,
}

fn at(path: &str) -> Url {
    Url { resource: web::resource(path), methods: Vec::new() }
}

impl Url {
    /// Adds GET, and HEAD, which is GET without the body of the response (RFC 9110 §9.3.2).
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::GET, handler.clone()).method(Method::HEAD, handler)
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::POST, handler)
    }

    fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::PATCH, handler)
    }

    fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::DELETE, handler)
    }

    fn method<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.methods.push(method);
        self
    }

    /// Completes a page of the console: the 405 is a page too.
    fn page(self) -> Resource {
        let allow = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        self.resource.default_service(web::to(move || {
            let refused = console::stop::method_not_allowed(&allow);
            async { Err::<HttpResponse, _>(refused) }
        }))
    }

    /// Completes any other resource.
    fn done(self) -> Resource {
        let allow = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        self.resource.default_service(web::to(move |request: HttpRequest| {
            let refused = problem::method_not_allowed(&allow, &request);
            async { refused }
        }))
    }
}
