//! Tests the operator's pages.

use super::common::server;

#[tokio::test]
async fn the_page_and_its_assets_are_served_locally_under_a_strict_policy() {
    let server = server();
    for (path, content_type) in [
        ("/", "text/html"),
        ("/conflicts", "text/html"),
        ("/readiness", "text/html"),
        ("/assets/app.css", "text/css"),
        ("/assets/app.js", "text/javascript"),
        ("/assets/conflicts.js", "text/javascript"),
        ("/assets/readiness.js", "text/javascript"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers["content-type"].to_str().expect("text").starts_with(content_type));
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    }
    for page in ["/", "/conflicts", "/readiness"] {
        let page = server.get(page).await.text;
        assert!(
            !page.contains("style=") && !page.contains("<script>") && !page.contains(" onclick"),
            "inline code"
        );
    }
    for script in ["/assets/app.js", "/assets/conflicts.js", "/assets/readiness.js"] {
        let script = server.get(script).await.text;
        assert!(!script.contains("innerHTML") && !script.contains("insertAdjacentHTML"), "markup from text");
    }
}

#[tokio::test]
async fn the_viewer_of_the_document_is_in_the_binary() {
    let server = server();
    assert_eq!(server.get("/docs/").await.status, 200);
    let script = server.get("/docs/swagger-initializer.js").await;
    assert!(script.text.contains("/openapi.json"), "{}", script.text);
}
