//! What all pages have in common: the frame around them, the problems of a form, and rendering.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::assets;
use super::door::Door;
use super::stop::{Stop, sentence};

/// The frame of a page: its title, where it is, and the navigation for the signed-in operator.
#[derive(Debug, Clone, Default)]
pub(super) struct Shell {
    pub(super) title: String,
    /// The path of the console.
    pub(super) base: String,
    /// Whether the page shows what is wrong with a form.
    pub(super) has_errors: bool,
    /// After how many seconds a page that waits loads itself again.
    pub(super) reload_seconds: Option<u32>,
    /// As `reload_seconds`, for a page whose script asks for what is new: it loads itself again only where scripts do not run.
    pub(super) watch_seconds: Option<u32>,
    /// The pages above this one, the topmost first.
    pub(super) crumbs: Vec<Crumb>,
    /// What has just been done.
    pub(super) notice: Option<Notice>,
    /// Who is signed in, and where they can go.
    pub(super) frame: Option<Frame>,
}

/// A page above the current one.
#[derive(Debug, Clone)]
pub(super) struct Crumb {
    pub(super) name: String,
    pub(super) href: Option<String>,
}

/// A line about what has just been done. The tone is `ok`, `warn`, `bad` or nothing.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) tone: &'static str,
    pub(super) text: String,
}

/// The part of a [`Shell`] that only a signed-in operator has: their name, the token for forms, and the navigation.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) initial: String,
    /// The token for the forms of the page.
    pub(super) csrf: String,
    /// The workspace that the page is about.
    pub(super) workspace: Option<Place>,
    pub(super) groups: Vec<NavGroup>,
}

/// A workspace by id and name.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) name: String,
}

/// A part of the navigation.
#[derive(Debug, Clone)]
pub(super) struct NavGroup {
    pub(super) name: &'static str,
    pub(super) entries: Vec<NavEntry>,
}

/// A page in the navigation.
#[derive(Debug, Clone)]
pub(super) struct NavEntry {
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) is_current: bool,
}

impl Shell {
    /// The frame of a page for somebody who is not signed in.
    pub(super) fn plain(door: &Door, title: &str) -> Self {
        Self { title: title.to_owned(), base: door.base.clone(), ..Self::default() }
    }

    /// The address of a file that the page loads.
    pub(super) fn asset(&self, name: &str) -> String {
        assets::href(&self.base, name)
    }

    /// The token for the forms of the page; empty for somebody who is not signed in.
    pub(super) fn csrf(&self) -> &str {
        self.frame.as_ref().map_or("", |frame| &frame.csrf)
    }

    /// Adds a page above this one, below those that were added before.
    #[must_use]
    pub(super) fn below(mut self, name: impl Into<String>, href: impl Into<Option<String>>) -> Self {
        self.crumbs.push(Crumb { name: name.into(), href: href.into() });
        self
    }
}

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The `id` of the field; `None` for a problem of the form as a whole.
    pub(super) field: Option<String>,
    /// What is wrong and what to do.
    pub(super) text: String,
}

impl Problem {
    /// A problem of a field. The text becomes a [`sentence`].
    pub(super) fn of(field: impl Into<String>, text: impl AsRef<str>) -> Self {
        Self { field: Some(field.into()), text: sentence(text.as_ref()) }
    }

    /// A problem of the form as a whole. The text becomes a [`sentence`].
    pub(super) fn general(text: impl AsRef<str>) -> Self {
        Self { field: None, text: sentence(text.as_ref()) }
    }

    /// Whether the problem is about the field with that `id`.
    pub(super) fn is_of(&self, field: &str) -> bool {
        self.field.as_deref() == Some(field)
    }
}

/// Whether one of the problems is about the field with that `id`.
pub(super) fn has_problem(problems: &[Problem], field: &str) -> bool {
    problems.iter().any(|problem| problem.is_of(field))
}

/// The reply with a rendered page.
///
/// # Errors
/// 503 if the template fails.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Stop> {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Stop::unavailable()
    })?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html))
}

/// A page with status 200.
///
/// # Errors
/// See [`page`].
pub(super) fn ok(template: &impl Template) -> Result<HttpResponse, Stop> {
    page(StatusCode::OK, template)
}

/// 303: what was asked for is done, and the result is at `href`.
pub(super) fn see_other(href: &str) -> HttpResponse {
    use actix_web::http::header;
    HttpResponse::SeeOther().insert_header((header::LOCATION, href)).finish()
}
