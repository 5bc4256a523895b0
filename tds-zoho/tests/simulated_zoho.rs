//! Tests the simulated organization without wiremock: as a function, and behind its own server.

use std::collections::HashMap;

use serde_json::{Value, json};
use tds_zoho::sim::{Module, Organization, Request, SimulatedZoho, respond};
use tokio::time::Instant;

fn request(method: &str, path: &str, parameters: &[(&str, &str)], token: Option<&str>) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        parameters: parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        headers: token
            .map(|token| ("authorization".to_owned(), format!("Zoho-oauthtoken {token}")))
            .into_iter()
            .collect(),
        body: Vec::new(),
        arrived: Instant::now(),
    }
}

#[test]
fn an_answer_follows_from_the_state_and_the_request_alone() {
    let mut organization = Organization::new("https://www.zohoapis.test".to_owned());
    let id = organization.put(Module::ITEMS, json!({"name": "A cable"}));
    let refused = respond(&mut organization, &request("GET", "/books/v3/items", &[], None));
    assert_eq!((refused.status, refused.body["code"].as_i64()), (401, Some(14)));

    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "1000.FAKECLIENT"),
        ("client_secret", "fake-client-secret"),
        ("refresh_token", "1000.fake.refresh-token"),
    ];
    let minted = respond(&mut organization, &request("POST", "/oauth/v2/token", &form, None));
    assert_eq!(minted.body["api_domain"], "https://www.zohoapis.test");
    let token = minted.body["access_token"].as_str().expect("a token");

    let path = format!("/books/v3/items/{id}");
    let query = [("organization_id", "60045678901")];
    let found = respond(&mut organization, &request("GET", &path, &query, Some(token)));
    assert_eq!((found.status, &found.body["item"]["name"]), (200, &json!("A cable")));
}

#[tokio::test]
async fn the_server_answers_over_http_and_ends_with_its_value() {
    let zoho = SimulatedZoho::start().await.expect("a port");
    let id = zoho.put(Module::ITEMS, json!({"name": "A cable"}));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let credentials = zoho.credentials();
    let form = HashMap::from([
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", credentials.client_id),
        ("client_secret", credentials.client_secret),
        ("refresh_token", credentials.refresh_token),
    ]);
    let answer =
        client.post(format!("{}/oauth/v2/token", zoho.url())).form(&form).send().await.expect("an answer");
    let minted: Value = answer.json().await.expect("JSON");
    let token = minted["access_token"].as_str().expect("a token");
    let url = format!("{}/inventory/v1/items/{id}", zoho.url());
    let call = client
        .get(&url)
        .query(&[("organization_id", &credentials.organization_id)])
        .header("authorization", format!("Zoho-oauthtoken {token}"));
    let answer = call.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json;charset=UTF-8");
    assert!(answer.headers()["date"].to_str().expect("text").ends_with("GMT"));
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["item"]["name"], "A cable");
    assert_eq!(zoho.calls_to("/items"), 1);

    let organization = zoho.organization();
    drop(zoho);
    assert!(client.get(&url).send().await.is_err(), "nobody listens any more");
    assert_eq!(organization.count(Module::ITEMS), 1, "the organization outlives its server");
}
