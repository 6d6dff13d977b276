//! The files that pages load: one style sheet, two scripts, the logo. They are embedded, and their addresses carry a
//! checksum of their content, so that a browser keeps them until they change.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Path, Query};
use serde::Deserialize;

use super::stop::Stop;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    version: String,
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset("console.css", "text/css; charset=utf-8", include_bytes!("assets/console.css")),
        asset("console.js", "text/javascript; charset=utf-8", include_bytes!("assets/console.js")),
        asset("passkeys.js", "text/javascript; charset=utf-8", include_bytes!("assets/passkeys.js")),
        asset("console.svg", "image/svg+xml", include_bytes!("assets/console.svg")),
    ]
});

fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, media_type, bytes, version: format!("{:08x}", crc32fast::hash(bytes)) }
}

/// The address of a file for the pages below `base`.
pub(super) fn href(base: &str, name: &str) -> String {
    let version = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.version);
    format!("{base}/assets/{name}?v={version}")
}

/// The query of an asset.
#[derive(Debug, Deserialize)]
pub struct Version {
    #[serde(default)]
    v: String,
}

/// `GET /console/assets/{file}`
pub async fn get(file: Path<String>, asked: Query<Version>) -> Result<HttpResponse, Stop> {
    let asset = ASSETS.iter().find(|asset| asset.name == file.as_str()).ok_or_else(Stop::not_found)?;
    // During an update a page of another process may name another version. Then a browser must not keep this file under
    // that address.
    let kept = if asked.v == asset.version { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(kept)))
        .body(asset.bytes))
}
