//! `GET /console/sign-in/oidc/{name}/callback`: the browser comes back from the provider.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::super::super::session;
use super::super::super::stop::Stop;
use super::super::super::visitor::Visitor;
use super::super::{begin, keep};
use super::attempt::{Aim, Attempt};
use super::id_token::IdToken;
use super::pages;
use super::provider::{Exchange, Provider, Providers};
use super::reply::Reply;
use super::start::redirect_uri;
use crate::kernel::Error;
use crate::operators::{Claims, ClaimsCheck, Session, SignedIn, Source, WayIn};

/// `GET /console/sign-in/oidc/{name}/callback`
pub(crate) async fn get(
    visitor: Visitor,
    providers: Data<Providers>,
    name: Path<String>,
) -> Result<HttpResponse, Stop> {
    let door = &visitor.door;
    let provider = providers.named(&name).ok_or_else(Stop::not_found)?;
    let refused = |why| pages::refused(door, &name, &why);
    let reply = Reply::read(visitor.request.query_string()).map_err(refused)?;
    // The attempt is used up before anything about it is checked, so that no `state` is accepted twice.
    let attempt = Attempt::take(door, &reply.state).await?.ok_or_else(|| pages::over(door))?;
    if attempt.browser != visitor.csrf() || attempt.provider != *name {
        return Err(pages::began_elsewhere(door));
    }
    let now = door.services.clock().now();
    let published = providers.published(provider, now).await;
    let published = published.map_err(|why| pages::unusable(door, provider, &why))?;
    published.metadata.check_reply_issuer(reply.iss.as_deref()).map_err(refused)?;
    if let Some(why) = &reply.error {
        return Err(pages::provider_refused(door, &name, why));
    }
    let exchange = Exchange {
        code: &reply.code,
        redirect_uri: &redirect_uri(door, provider),
        verifier: &attempt.verifier,
        nonce: &attempt.nonce,
        authenticated_since: attempt.authenticated_since(),
    };
    let token = providers.id_token(provider, &exchange, now).await.map_err(refused)?;
    let came_back =
        CameBack { visitor: &visitor, provider, token, source: session::source(&visitor.request) };
    came_back.finish(attempt).await
}

/// A person whom the provider has identified.
struct CameBack<'a> {
    visitor: &'a Visitor,
    provider: &'a Provider,
    token: IdToken,
    source: Source,
}

impl CameBack<'_> {
    async fn finish(self, attempt: Attempt) -> Result<HttpResponse, Stop> {
        let (door, request) = (&self.visitor.door, &self.visitor.request);
        let operators = &door.services.operators;
        let name = &self.provider.settings.name;
        match &attempt.aim {
            Aim::SignIn => {
                let signed_in = self.signed_in().await?;
                let new = begin(door, request, &signed_in).await?;
                let new = new.ok_or_else(|| pages::no_operator(door, name))?;
                Ok(keep(door, &new, &attempt.next))
            }
            Aim::Setup { token } => {
                match operators.use_setup_link(token, self.way_in(), &self.source).await {
                    Ok(signed_in) => {
                        let new = begin(door, request, &signed_in).await?;
                        let new = new.ok_or_else(|| pages::no_operator(door, name))?;
                        Ok(keep(door, &new, &attempt.next))
                    }
                    Err(Error::NotFound(_)) => Err(pages::link_is_used_up()),
                    Err(error) => Err(error.into()),
                }
            }
            Aim::Link { session_id } => {
                let session = self.session(session_id).await?;
                let new = operators.add_way_in(&session, self.way_in(), &self.source).await?;
                Ok(keep(door, &new, &attempt.next))
            }
            Aim::Again { session_id } => {
                let session = self.session(session_id).await?;
                let signed_in = self.signed_in().await?;
                match operators.renew_session(&session, Some(&signed_in)).await {
                    Ok(new) => Ok(keep(door, &new, &attempt.next)),
                    Err(Error::NotFound(_)) => Err(pages::somebody_else(door, name)),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// The session that the attempt began with.
    async fn session(&self, session_id: &str) -> Result<Session, Stop> {
        let door = &self.visitor.door;
        let session = session::find(door, &self.visitor.request).await?;
        let session = session.filter(|session| session.session_id == session_id);
        session.ok_or_else(|| pages::began_elsewhere(door))
    }

    fn way_in(&self) -> WayIn {
        let settings = &self.provider.settings;
        WayIn::Identity {
            issuer: settings.issuer.clone(),
            subject: self.token.subject.clone(),
            provider: settings.name.clone(),
        }
    }

    /// The operator of the account.
    async fn signed_in(&self) -> Result<SignedIn, Stop> {
        let door = &self.visitor.door;
        let (operators, settings) = (&door.services.operators, &self.provider.settings);
        let name = &settings.name;
        let Some(role_claim) = &settings.role_claim else {
            let found = operators.identity(&settings.issuer, &self.token.subject, &self.source).await?;
            return found.ok_or_else(|| pages::no_operator(door, name));
        };
        let claims = Claims {
            provider: name,
            issuer: &settings.issuer,
            subject: &self.token.subject,
            email: self.token.text("email"),
            name: self.token.text("name"),
            roles: &self.token.list(role_claim),
        };
        match operators.operator_of_claims(&claims, &self.source).await? {
            ClaimsCheck::SignedIn(signed_in) => Ok(signed_in),
            ClaimsCheck::NoRole => {
                let lacks = format!("The claim {role_claim} of your account has no role for this service.");
                Err(pages::lacking(door, name, &lacks))
            }
            ClaimsCheck::NoEmail => {
                Err(pages::lacking(door, name, "Your account has no email address that can be used."))
            }
            ClaimsCheck::EmailTaken | ClaimsCheck::Disabled => Err(pages::no_operator(door, name)),
        }
    }
}
