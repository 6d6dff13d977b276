//! How to enter the console of the demo: a setup link for its operator, or the sign-in page if the operator has set up a way to
//! sign in or is disabled.

use crate::cli::Failure;
use crate::cli::host_user;
use crate::config::Settings;
use crate::kernel::Error;
use crate::model::member::Member;
use crate::model::operator::Role;
use crate::operators::OperatorChange;
use crate::services::Services;

/// The address of the demo operator.
const EMAIL: &str = "demo@example.com";

/// Who can enter the console of the demo, and by which URL.
pub(super) struct Entry {
    pub(super) email: String,
    pub(super) url: String,
    pub(super) way: Way,
}

/// What the operator of the demo can do at `url`.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// Set up a way to sign in: `url` is a setup link.
    SetUp,
    /// Sign in, in the way that was set up before: `url` is the sign-in page.
    SignIn,
    /// Nothing until somebody enables the operator: `url` is the sign-in page.
    Disabled,
}

impl Entry {
    /// Creates the operator if there is none. An active operator who has no way to sign in gets a setup link; otherwise the
    /// URL is that of the sign-in page. Both lead to the page of the API client.
    pub(super) async fn prepare(
        services: &Services,
        settings: &Settings,
        client_id: &str,
    ) -> Result<Self, Failure> {
        let (caller, operators) = (host_user::manager(), &services.operators);
        let client = format!("{}/console/api-clients/{client_id}", settings.server.public_url.path());
        let link = match operators.operator_by_email(&caller, EMAIL).await {
            // A setup link would replace their way to sign in. A disabled operator gets no setup link either.
            // `false`: the demo does not require a second factor.
            Ok(operator) if !operator.is_active() || operator.has_way_in(false) => {
                let url = format!("{}/console/sign-in?next={client}", settings.server.console_base());
                let way = if operator.is_active() { Way::SignIn } else { Way::Disabled };
                return Ok(Self { email: EMAIL.to_owned(), url, way });
            }
            Ok(operator) => operators.new_setup_link(&caller, &operator.operator_id).await?,
            Err(Error::NotFound(_)) => {
                let demo = OperatorChange {
                    email: Member::Value(EMAIL.to_owned()),
                    name: Member::Value("Demo administrator".to_owned()),
                    roles: Member::Value(vec![Role::PlatformAdmin]),
                    ..OperatorChange::default()
                };
                operators.create_operator(&caller, &demo, None).await?.setup_link
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { email: EMAIL.to_owned(), url: format!("{}?next={client}", link.url()), way: Way::SetUp })
    }
}
