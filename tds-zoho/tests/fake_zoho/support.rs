//! A client that knows only HTTP.

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Map, Value};
use tds_zoho::{ZohoClient, testkit::FakeZoho};

use crate::writer::client;

pub(crate) struct Caller {
    pub(crate) fake: FakeZoho,
    pub(crate) http: Client,
    /// The client of TDS.
    pub(crate) client: ZohoClient,
    token: String,
}

impl Caller {
    /// Returns a signed-in caller of a new, empty organization.
    pub(crate) async fn new() -> Self {
        Self::of(FakeZoho::start().await).await
    }

    pub(crate) async fn of(fake: FakeZoho) -> Self {
        let http = Client::builder().no_proxy().build().expect("a client");
        let client = client(&fake);
        let mut caller = Self { fake, http, client, token: String::new() };
        caller.sign_in().await;
        caller
    }

    pub(crate) async fn sign_in(&mut self) {
        let (_, answer) = self.mint().await;
        self.token = answer["access_token"].as_str().unwrap_or_default().to_owned();
    }

    /// Requests an access token, and returns the status and the body.
    pub(crate) async fn mint(&self) -> (u16, Value) {
        let credentials = self.fake.credentials();
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &credentials.client_id),
            ("client_secret", &credentials.client_secret),
            ("refresh_token", &credentials.refresh_token),
        ];
        let url = format!("{}/oauth/v2/token", self.fake.accounts_url());
        let response = self.http.post(url).form(&form).send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// Makes a call with token and organization. The path begins with the base of the product.
    pub(crate) async fn raw(&self, path: &str, query: &[(&str, &str)]) -> Response {
        self.request(Method::GET, path, query).send().await.expect("an answer")
    }

    /// Starts a call with token and organization.
    pub(crate) fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let organization = self.fake.credentials().organization_id;
        self.http
            .request(method, format!("{}{path}", self.fake.api_url()))
            .header("authorization", format!("Zoho-oauthtoken {}", self.token))
            .query(&[("organization_id", organization.as_str())])
            .query(query)
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let response = self.raw(path, query).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// Returns the value of a call that must succeed.
    pub(crate) async fn ok(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let (status, body) = self.get(path, query).await;
        assert_eq!((status, &body["code"]), (200, &Value::from(0)), "{path}: {body}");
        body
    }
}

/// Returns the sorted keys of an object.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().map(Map::keys).into_iter().flatten().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Returns the texts of one key in all rows.
pub(crate) fn column(rows: &Value, key: &str) -> Vec<String> {
    let rows = rows.as_array().expect("rows");
    rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect()
}
