//! Tests the check that is made when a `TestApp` is dropped: it notices replies that `openapi.yaml` does not name.

use std::panic::catch_unwind;

use crate::support::CONTRACT;

fn passes(route: &str, method: &str, status: u16, issuer_path: &str) -> bool {
    let line = format!(
        "mintmark_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} 3"
    );
    let metrics = format!("# TYPE mintmark_http_requests counter\n{line}\n# EOF\n");
    catch_unwind(|| CONTRACT.must_name_all(&metrics, issuer_path)).is_ok()
}

#[test]
fn only_replies_that_openapi_yaml_names_pass_the_check() {
    for (passing, route, method, status) in [
        (true, "/v1/products/{product}", "GET", 200),
        (true, "/v1/products/{product}", "HEAD", 304),
        (true, "/v1/products/{product}", "PUT", 405),
        (true, "/v1/products/{product}", "other", 405),
        (true, "/oauth2/token", "HEAD", 405),
        // An unknown path, and the root, which redirects to the start page.
        (true, "unmatched", "GET", 404),
        (true, "unmatched", "GET", 303),
        (false, "unmatched", "POST", 303),
        (false, "/v1/products/{product}", "GET", 201),
        (false, "/v1/products/{product}", "GET", 405),
        (false, "/v1/products/{product}", "PUT", 404),
        (false, "/v1/products/{product}", "GET", 500),
        (false, "/v1/products/{code}", "GET", 200),
        (false, "/tenant/v1/products", "GET", 200),
        (false, "unmatched", "GET", 200),
    ] {
        assert_eq!(passes(route, method, status, ""), passing, "{method} {route} {status}");
    }
}

#[test]
fn the_path_of_the_issuer_may_precede_a_route_or_follow_the_metadata_route() {
    let behind = "/.well-known/oauth-authorization-server/tenant";
    for (passing, route) in [
        (true, "/tenant/v1/products"),
        (true, "/v1/products"),
        (true, behind),
        (false, "/other/v1/products"),
        (false, "/v1/products/tenant"),
    ] {
        let status = if route == behind { 200 } else { 401 };
        assert_eq!(passes(route, "GET", status, "/tenant"), passing, "{route}");
    }
}
