//! `/console/products`: what API clients can be granted. Platform administrators create, change and delete products;
//! everybody else sees those of their workspace.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clients::{ClientFilter, ClientSort};
use crate::console::extent::{Choices, Extent};
use crate::console::form::Form;
use crate::console::members::{self, Field, field, required};
use crate::console::moment::{count, span};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, notice};
use crate::kernel::Error;
use crate::model::page::Page;
use crate::model::product::Product;
use crate::tenants::ProductChange;

const FIELDS: [Field; 6] = [
    required("product", "Code", "Enter a code for the product"),
    required("name", "Name", "Enter a name for the product"),
    field("description", "Description"),
    field("audience", "Audience"),
    Field { id: "max_value", ..field("max_token_lifetime_seconds", "Longest lifetime (in seconds)") },
    field("never_expires_allowed", "Never-expiring tokens"),
];

/// The units of a lifetime, the largest first.
const UNITS: [(&str, i64); 4] = [("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)];

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workspace_id: String,
    after: String,
}

#[derive(Template)]
#[template(path = "product_list.html")]
struct ListPage {
    shell: Shell,
    choices: Choices,
    here: String,
    /// The name of the workspace whose products these are; empty for all.
    workspace: String,
    new_href: Option<String>,
    rows: Vec<Row>,
    is_first: bool,
    first_href: String,
    next_href: Option<String>,
}

struct Row {
    href: Option<String>,
    code: String,
    name: String,
    description: String,
    audience: String,
    longest: String,
    allows_never: bool,
}

#[derive(Template)]
#[template(path = "product_form.html")]
struct FormPage {
    shell: Shell,
    problems: Vec<Problem>,
    action: String,
    cancel: String,
    delete_href: Option<String>,
    /// The version of the product that is changed; empty for a new product.
    version: String,
    code: String,
    name: String,
    description: String,
    audience: String,
    max_value: String,
    units: Vec<(&'static str, bool)>,
    allows_never: bool,
    default_audience: String,
    example: &'static str,
}

#[derive(Template)]
#[template(path = "product_delete.html")]
struct DeletePage {
    shell: Shell,
    name: String,
    code: String,
    granted: u64,
    granted_words: String,
    version: i64,
    action: String,
    cancel: String,
}

/// `GET /console/products`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let extent = list_extent(&signed_in, &asked.workspace_id).await?;
    let list = format!("products {}", extent.workspace_id());
    let after = cursor::open(&signed_in, &list, &asked.after)?;
    let services = &signed_in.door.services;
    let found =
        services.tenants.products(&extent.reader, &Page { after, ..Page::first(Page::MAX_LIMIT) }).await?;
    let is_platform = signed_in.is_platform_admin();
    let row = |product: Product| Row {
        href: is_platform.then(|| href(&signed_in, &product.product)),
        longest: product.max_token_lifetime_seconds.map(span).unwrap_or_default(),
        audience: product.audience.unwrap_or_default(),
        description: product.description.unwrap_or_default(),
        allows_never: product.never_expires_allowed,
        code: product.product,
        name: product.name,
    };
    let mut here = form_urlencoded::Serializer::new(format!("{}?", signed_in.door.href("/products")));
    if let Some(workspace) = &extent.workspace {
        here.append_pair("workspace_id", &workspace.workspace_id);
    }
    let first_href = here.finish().trim_end_matches('?').to_owned();
    let next_href = found.next_after.as_ref().map(|after| {
        let join = if first_href.contains('?') { '&' } else { '?' };
        format!("{first_href}{join}after={}", cursor::seal(&signed_in, &list, after))
    });
    let shell = match &extent.workspace {
        Some(workspace) => signed_in.shell_in(workspace, "Products"),
        None => signed_in.shell("Products"),
    };
    ok(&ListPage {
        shell: notice::noticed(shell.below("Settings", None), &signed_in.request),
        choices: signed_in.own_choices(&extent).await?,
        here: signed_in.door.href("/products"),
        workspace: extent.workspace.map(|workspace| workspace.name).unwrap_or_default(),
        new_href: is_platform.then(|| signed_in.door.href("/products/new")),
        rows: found.items.into_iter().map(row).collect(),
        is_first: asked.after.is_empty(),
        first_href,
        next_href,
    })
}

/// What the list shows. A platform administrator sees and changes all products, whichever workspace the address names.
async fn list_extent(signed_in: &SignedIn, workspace_id: &str) -> Result<Extent, Stop> {
    signed_in.extent(if signed_in.is_platform_admin() { "" } else { workspace_id }).await
}

/// `GET /console/products/new`
pub(crate) async fn get_new(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    signed_in.platform().await?;
    ok(&form_page(&signed_in, None, &Form::from([("never_expires_allowed", "yes")]), Vec::new()))
}

/// `POST /console/products/new`
pub(crate) async fn post_new(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let (change, mut problems) = change(&form, None);
    let code = Some(form.trimmed("product").to_owned()).filter(|code| !code.is_empty());
    let tenants = &signed_in.door.services.tenants;
    if problems.is_empty() {
        match tenants.create_product(&manager, &code.into(), &change, None).await {
            Ok(_) => return Ok(see_other(&signed_in.door.href("/products?done=product-created"))),
            Err(Error::Invalid(errors)) => problems = members::problems(&errors, &FIELDS, &form),
            Err(Error::Conflict(why)) => problems = vec![Problem::of("product", why)],
            Err(error) => return Err(error.into()),
        }
    }
    page(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&signed_in, None, &form, problems))
}

/// `GET /console/products/{product}`
pub(crate) async fn get_one(signed_in: SignedIn, code: Path<String>) -> Result<HttpResponse, Stop> {
    let product = find(&signed_in, &code).await?;
    ok(&form_page(&signed_in, Some(&product), &form_of(&product), Vec::new()))
}

/// `POST /console/products/{product}`
pub(crate) async fn post_one(sent: Submitted, code: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let product = find(&signed_in, &code).await?;
    let (change, mut problems) = change(&form, Some(&product));
    let tenants = &signed_in.door.services.tenants;
    if problems.is_empty() {
        match tenants.change_product(&manager, &code, &form.version(), &change).await {
            Ok(after) => {
                let done = if after == product { "unchanged" } else { "product-saved" };
                return Ok(see_other(&signed_in.door.href(&format!("/products?done={done}"))));
            }
            Err(Error::Invalid(errors)) => problems = members::problems(&errors, &FIELDS, &form),
            Err(error) => return Err(stop(&signed_in, &product, error)),
        }
    }
    page(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&signed_in, Some(&product), &form, problems))
}

/// `GET /console/products/{product}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, code: Path<String>) -> Result<HttpResponse, Stop> {
    let product = find(&signed_in, &code).await?;
    let filter = ClientFilter { product: Some(product.product.clone()), ..ClientFilter::default() };
    let counted = Page { count: true, ..Page::first(1) };
    let clients = &signed_in.door.services.clients;
    let reader = signed_in.platform().await?;
    let granted = clients.clients(&reader, None, &filter, ClientSort::default(), &counted).await?.total;
    let granted = granted.unwrap_or_default();
    ok(&DeletePage {
        shell: signed_in
            .shell("Delete a product")
            .below("Settings", None)
            .below("Products", signed_in.door.href("/products"))
            .below(product.name.clone(), href(&signed_in, &product.product)),
        granted,
        granted_words: count(i64::try_from(granted).unwrap_or(i64::MAX), "API client"),
        version: product.version,
        action: format!("{}/delete", href(&signed_in, &product.product)),
        cancel: href(&signed_in, &product.product),
        name: product.name,
        code: product.product,
    })
}

/// `POST /console/products/{product}/delete`
pub(crate) async fn post_delete(sent: Submitted, code: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let product = find(&signed_in, &code).await?;
    let deleted = signed_in.door.services.tenants.delete_product(&manager, &code, &form.version()).await;
    deleted.map_err(|error| stop(&signed_in, &product, error))?;
    Ok(see_other(&signed_in.door.href("/products?done=product-deleted")))
}

async fn find(signed_in: &SignedIn, code: &str) -> Result<Product, Stop> {
    let reader = signed_in.platform().await?;
    Ok(signed_in.door.services.tenants.product(&reader, code).await?)
}

fn href(signed_in: &SignedIn, code: &str) -> String {
    signed_in.door.href(&format!("/products/{code}"))
}

fn stop(signed_in: &SignedIn, product: &Product, error: Error) -> Stop {
    Stop::from(error).then(href(signed_in, &product.product), "Back to the product")
}

/// The change that a form asks for. The change sets every member, so an empty field removes the value.
fn change(form: &Form, before: Option<&Product>) -> (ProductChange, Vec<Problem>) {
    let mut body = Map::new();
    let mut problems = Vec::new();
    let before = before.and_then(|product| product.description.as_deref());
    let audience = Some(form.trimmed("audience")).filter(|text| !text.is_empty());
    body.insert("name".to_owned(), form.trimmed("name").into());
    body.insert("description".to_owned(), form.text("description", before).into());
    body.insert("audience".to_owned(), audience.into());
    body.insert("never_expires_allowed".to_owned(), form.has("never_expires_allowed").into());
    let unit = UNITS.iter().find(|(name, _)| *name == form.one("max_unit")).map_or(1, |unit| unit.1);
    let longest = match (form.trimmed("max_value"), form.trimmed("max_value").parse::<i64>()) {
        ("", _) => Value::Null,
        (_, Ok(number)) => number.saturating_mul(unit).into(),
        (_, Err(_)) => {
            problems.push(Problem::of(
                "max_value",
                "Enter the longest lifetime as a whole number, or leave it empty.",
            ));
            Value::Null
        }
    };
    body.insert("max_token_lifetime_seconds".to_owned(), longest);
    (ProductChange::read(&Value::Object(body)), problems)
}

/// The form as it is filled for a product.
fn form_of(product: &Product) -> Form {
    let (mut value, mut unit) = (String::new(), "hours");
    if let Some(seconds) = product.max_token_lifetime_seconds
        && let Some((name, size)) = UNITS.iter().find(|(_, size)| seconds % size == 0)
    {
        (value, unit) = ((seconds / size).to_string(), name);
    }
    let version = product.version.to_string();
    let mut form = Form::from([
        ("version", version.as_str()),
        ("name", &product.name),
        ("description", product.description.as_deref().unwrap_or_default()),
        ("audience", product.audience.as_deref().unwrap_or_default()),
        ("max_value", &value),
        ("max_unit", unit),
    ]);
    if product.never_expires_allowed {
        form.push("never_expires_allowed", "yes");
    }
    form
}

fn form_page(
    signed_in: &SignedIn,
    product: Option<&Product>,
    typed: &Form,
    problems: Vec<Problem>,
) -> FormPage {
    let door = &signed_in.door;
    let action = door.href(&format!("/products/{}", product.map_or("new", |product| &product.product)));
    let title = product.map_or_else(|| "Create a product".to_owned(), |product| product.name.clone());
    let shell = signed_in.shell(&title).below("Settings", None).below("Products", door.href("/products"));
    let unit = typed.one("max_unit");
    let unit = if unit.is_empty() { "hours" } else { unit };
    FormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        delete_href: product.map(|_| format!("{action}/delete")),
        action,
        cancel: door.href("/products"),
        version: typed.one("version").to_owned(),
        code: product.map_or_else(|| typed.one("product").to_owned(), |product| product.product.clone()),
        name: typed.one("name").to_owned(),
        description: typed.one("description").to_owned(),
        audience: typed.one("audience").to_owned(),
        max_value: typed.one("max_value").to_owned(),
        units: UNITS.iter().map(|(name, _)| (*name, *name == unit)).collect(),
        allows_never: typed.has("never_expires_allowed"),
        default_audience: door.services.policy().audiences.default.to_string(),
        example: "https://api.example.com",
    }
}
