//! `description` of workspaces, products and API clients: one rule for all three.

use serde_json::{Value, json};

use super::{Reply, broken, ok};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(a_description_is_set_kept_and_removed,);

async fn a_description_is_set_kept_and_removed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let text = "Nightly run\nOwner: finance\r\nचालू ✓";
    let longest = "ä".repeat(500);
    let product = admin.product("gst", json!({"description": text})).await;
    let workspace = admin.workspace("acme-in", json!({"description": text})).await;
    let wanted = json!({"products": ["gst"], "description": text});
    let (_, client) = admin.client("acme-in", wanted).await;
    let client_path = format!("/v1/api-clients/{}", client["client_id"].as_str().unwrap());
    for (path, made, name) in [
        ("/v1/products/gst", product, "name"),
        ("/v1/workspaces/acme-in", workspace, "name"),
        (client_path.as_str(), client, "label"),
    ] {
        assert_eq!(made["description"], text, "{path}");
        let patched = async |change: Value| Reply::of(admin.patch(path, &change).await).await;
        // A change of another member does not change the description; the same text again changes nothing.
        let renamed = patched(json!({name: "Renamed"})).await;
        assert_eq!(ok(&renamed, 200)["description"], text);
        let again = patched(json!({"description": text})).await;
        assert_eq!((ok(&again, 200), again.header("etag")), (renamed.json(), renamed.header("etag")));
        for (change, description) in [
            (json!({"description": null}), json!(null)),
            (json!({"description": longest}), json!(longest)),
            (json!({"description": ""}), json!(null)),
        ] {
            assert_eq!(ok(&patched(change).await, 200)["description"], description, "{path}");
            assert_eq!(ok(&Reply::of(admin.get(path).await).await, 200)["description"], description);
        }
        for bad in [
            json!(format!("{longest}ä")),
            json!("a\tb"),
            json!("a\u{0}"),
            json!("a\u{202e}b"),
            json!("a\u{200b}b"),
            json!("a\u{2028}b"),
            json!(7),
            json!(["a"]),
        ] {
            broken(&patched(json!({"description": bad})).await, &["/description"]);
        }
        // The audit trail shows the change.
        ok(&patched(json!({"description": "New"})).await, 200);
        let trail = ok(&Reply::of(admin.get("/v1/audit-events?limit=1").await).await, 200);
        assert_eq!(
            trail["items"][0]["detail"],
            json!({"changed": {"description": {"old": null, "new": "New"}}}),
            "{path}"
        );
    }
    app.stop().await;
}
