//! Hidden columns and erasures, from outside: a text that must not be kept is searched for in a dump of the whole
//! database and in the log of the server.

mod erased;
mod planted;

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module};
use tokio::process::Command;

use crate::{
    process::{Process, calls_of_the_dead_are_over, until, until_count},
    records::{self, Kind},
    shop::{program, settings},
};

const PHONE: &str = "CANARYPHONE770";
const EMAIL: &str = "canary@shop.example";
const NOTE: &str = "CANARYNOTE";
const LINE: &str = "CANARYLINE";
const NAME: &str = "CANARYNAME";
const STREET: &str = "CANARYSTREET";
/// What is hidden in the second part, and what says who the person is.
const HIDDEN: [&str; 4] = [PHONE, EMAIL, NOTE, LINE];
const PERSON: [&str; 2] = [NAME, STREET];

const HIDE: &str = "customers.phone,customers.email=hash,customers.cf_note,invoice_lines.description";
/// Everything that a server would begin by itself.
const QUIET: [(&str, &str); 7] = [
    ("TDS_INCREMENTAL_EVERY", "off"),
    ("TDS_FULL_EVERY", "off"),
    ("TDS_STOCK_EVERY", "off"),
    ("TDS_PRICES_EVERY", "off"),
    ("TDS_VERIFY_EVERY", "off"),
    ("TDS_DERIVED_WAIT", "off"),
    ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];
const WAITING: &str = "tds_sync_queue WHERE status IN ('pending', 'processing')";
/// Local changes that wait for their push. A push that fails ends as a dead letter.
const UNDECIDED: &str = "tds_outbox WHERE status IN ('pending', 'conflict') AND NOT EXISTS (
    SELECT FROM tds_queue_live WHERE direction = 'outbound' AND status = 'dead_letter')";
const OPEN: &str = "tds_inbox_events WHERE status IN ('pending', 'processing')";

struct World {
    zoho: FakeZoho,
    database: TestDatabase,
}

impl World {
    /// Returns those of the texts that a dump of the database contains, as text or in the hex digits of `bytea`.
    async fn found(&self, texts: &[&'static str]) -> Vec<&'static str> {
        let dump = Command::new("pg_dump").arg(self.database.url()).output().await.expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        texts.iter().filter(|text| dump.contains(**text) || dump.contains(&hex(text))).copied().collect()
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()));
        query.fetch_one(self.database.database().pool()).await.expect("one row")
    }

    async fn settled(&self) {
        until_count(&self.database, WAITING, 0).await;
        until_count(&self.database, OPEN, 0).await;
    }

    async fn webhook(&self, server: &Process, path: &str, body: &str) -> Value {
        let answer = server.webhook_accepted(path, body).await;
        self.settled().await;
        answer
    }

    async fn sync(&self, server: &Process, entity: &str) {
        let run = server.bulk_sync(entity, "full").await;
        let run = server.run_ended(run).await;
        assert_eq!(run["status"], "completed", "{run:#}");
        self.settled().await;
    }

    async fn drift(&self, server: &Process) -> Value {
        let (_, started) =
            server.post("/api/zoho/verify", json!({"entity_type": ["customers", "invoices"]})).await;
        let id = started["id"].clone();
        until("the verification is complete", async || {
            let latest = server.get("/api/zoho/verify/latest").await;
            latest["id"] == id && latest["status"] != "running" && latest["status"] != "pending"
        })
        .await;
        let latest = server.get("/api/zoho/verify/latest").await;
        assert_eq!(latest["drift_total"], 0, "{latest:#}");
        latest
    }
}

fn contact() -> Value {
    let mut contact = records::contact("customer");
    contact["contact_name"] = json!(NAME);
    contact["phone"] = json!(PHONE);
    contact["email"] = json!(EMAIL);
    contact["billing_address"] = json!({"address": STREET, "phone": PHONE, "city": "Basra"});
    contact["contact_persons"] = json!([{"contact_person_id": "460000000026051", "first_name": NAME, "email": EMAIL,
        "phone": PHONE, "is_primary_contact": true}]);
    contact["custom_fields"] = json!([{"api_name": "cf_note", "label": "Note", "value": NOTE},
        {"api_name": "cf_area", "label": "Area", "value": "west"}]);
    contact["remark"] = json!(format!("call {PHONE}"));
    contact
}

fn invoice(contact: &Value) -> Value {
    let mut invoice = records::document(Kind::Invoice);
    invoice["customer_id"] = contact["contact_id"].clone();
    invoice["customer_name"] = json!(NAME);
    invoice["billing_address"] = json!({"address": STREET, "phone": PHONE});
    invoice["contact_persons_details"] = json!([{"first_name": NAME, "email": EMAIL, "phone": PHONE}]);
    invoice["line_items"][0]["description"] = json!(LINE);
    invoice
}

fn at(mut record: Value, time: &str) -> Value {
    record["last_modified_time"] = json!(time);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_hidden_or_erased_is_in_a_dump_of_the_database_or_in_the_log() {
    let world = World { zoho: FakeZoho::start().await, database: TestDatabase::new().await };
    let contact = contact();
    let invoice = invoice(&contact);
    let id = contact["contact_id"].as_str().expect("an id").to_owned();
    world.zoho.put(Module::CONTACTS, contact.clone());
    world.zoho.put(Module::INVOICES, invoice.clone());

    // Everything is stored while nothing is hidden, dead letters and odd bodies too.
    let server = Process::start(&world.zoho, &world.database, &QUIET).await;
    world.sync(&server, "customers").await;
    world.sync(&server, "invoices").await;
    let body = json!({"contact": at(contact.clone(), "2026-11-17T09:00:00+0300")}).to_string();
    let event = world.webhook(&server, "customers", &body).await["inbox_event_id"].clone();
    world
        .webhook(
            &server,
            "invoices",
            &json!({"invoice": at(invoice.clone(), "2026-11-17T10:00:00+0300")}).to_string(),
        )
        .await;
    world.webhook(&server, "customers", &format!("not readable {PHONE} {EMAIL}")).await;
    let mut broken = at(contact.clone(), "2026-11-17T11:00:00+0300");
    (broken["contact_id"], broken["credit_limit"]) = (json!("460000000026999"), json!("twelve"));
    // This is another person, with the same number.
    (broken["contact_name"], broken["billing_address"]) = (json!("Other"), json!({}));
    broken["contact_persons"] = json!([]);
    world.zoho.put(Module::CONTACTS, broken.clone());
    server.webhook_accepted("customers", &json!({"contact": broken}).to_string()).await;
    until_count(&world.database, "tds_sync_queue WHERE status = 'dead_letter'", 1).await;
    assert_eq!(world.found(&HIDDEN).await, HIDDEN);
    server.kill().await;
    world.zoho.delete(Module::CONTACTS, "460000000026999");

    refusals(&world).await;
    calls_of_the_dead_are_over(&world.zoho, &world.database).await;
    let mut more = QUIET.to_vec();
    more.extend([("TDS_HIDE_COLUMNS", HIDE), ("RUST_LOG", "debug")]);
    let server = Process::start(&world.zoho, &world.database, &more).await;
    hidden(&world, &server, &contact, &invoice).await;
    pushed(&world, &server, &id).await;
    kept_in_zoho(&world, &server, &contact, &invoice).await;
    server.kill().await;
    for text in HIDDEN {
        assert_eq!(server.said(text), Vec::<String>::new());
    }

    // Invoices with a hidden part in their lines are not pushed, and so are never in conflict.
    calls_of_the_dead_are_over(&world.zoho, &world.database).await;
    let of_contacts: Vec<&str> = HIDE.split(',').filter(|rule| rule.starts_with("customers.")).collect();
    let of_contacts = of_contacts.join(",");
    let mut more = QUIET.to_vec();
    more.extend([("TDS_HIDE_COLUMNS", of_contacts.as_str()), ("RUST_LOG", "debug")]);
    let server = Process::start(&world.zoho, &world.database, &more).await;
    erased::erased(&world, &server, &contact, &invoice, &event).await;
    server.kill().await;
    for text in HIDDEN.into_iter().chain(PERSON) {
        assert_eq!(server.said(text), Vec::<String>::new());
    }
}

/// The start is refused with one line that says what is accepted.
async fn refusals(world: &World) {
    let refused = async |columns: &str, key: bool| {
        let mut command = Command::new(program());
        command.arg("migrate").env_clear().envs(settings(&world.zoho, world.database.url(), &[]));
        command.env("TDS_HIDE_COLUMNS", columns).current_dir(std::env::temp_dir());
        if key {
            command.env("ENCRYPTION_KEY", QUIET[6].1);
        }
        let output = command.output().await.expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{columns}");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    assert!(
        refused("customers.total", true).await.contains("accepted: of customers one of name, company_name,")
    );
    assert!(refused("people.phone", true).await.contains("accepted: TABLE.COLUMN or"));
    assert!(refused("customers.email=md5", true).await.contains("customers.phone,customers.email=hash"));
    assert!(refused("customers.email=hash", false).await.contains("without ENCRYPTION_KEY"));
}

async fn hidden(world: &World, server: &Process, contact: &Value, invoice: &Value) {
    assert_eq!(world.found(&HIDDEN).await, Vec::<&str>::new(), "the start redacts what was stored");
    let email = "SELECT email FROM erp.customers WHERE name = 'CANARYNAME'";
    let hash = world.text(email).await.expect("a hash");
    assert!(hash.starts_with("hmac-sha256:"), "{hash}");
    // The values arrive again in every way.
    let body = json!({"contact": at(contact.clone(), "2026-11-18T09:00:00+0300")}).to_string();
    world.webhook(server, "customers", &body).await;
    let body = json!({"invoice": at(invoice.clone(), "2026-11-18T10:00:00+0300")}).to_string();
    let kept = world.webhook(server, "invoices", &body).await;
    let (contact_id, invoice_id) = (&contact["contact_id"], &invoice["invoice_id"]);
    let form = format!("contact_id={}&phone={PHONE}&n=1", contact_id.as_str().expect("an id"));
    world.webhook(server, "customers", &form).await;
    world.webhook(server, "products", &json!({"contact": contact}).to_string()).await;
    world.webhook(server, "customers", &format!("{{\"phone\": \"{PHONE}\", ")).await;
    world.zoho.put(Module::CONTACTS, at(contact.clone(), "2026-11-19T09:00:00+0300"));
    world.zoho.put(Module::INVOICES, at(invoice.clone(), "2026-11-19T09:00:00+0300"));
    world.sync(server, "customers").await;
    world.sync(server, "invoices").await;
    world.drift(server).await;
    assert_eq!(world.found(&HIDDEN).await, Vec::<&str>::new());
    assert_eq!(world.text(email).await.as_ref(), Some(&hash), "the same value has the same hash");
    // What is not hidden is there, and the same delivery is recognized by its whole body.
    let area = format!("SELECT custom_fields ->> 'cf_area' FROM erp.customers WHERE zoho_id = {contact_id}");
    assert_eq!(world.text(&area.replace('"', "'")).await.as_deref(), Some("west"));
    let total = format!("SELECT total::text FROM erp.invoices WHERE zoho_id = {invoice_id}");
    assert_eq!(world.text(&total.replace('"', "'")).await.as_deref(), Some("25000.25"));
    let (_, again) = server.webhook("invoices", &body).await.expect("an answer");
    assert_eq!((&again["duplicate"], &again["inbox_event_id"]), (&json!(true), &kept["inbox_event_id"]));
    world.settled().await;
    // The stored body can still be processed again.
    let path = format!("/api/zoho/webhooks/inbox/{}/replay", kept["inbox_event_id"]);
    assert_eq!(server.post(&path, json!({})).await.0, 200);
    world.settled().await;
}

/// A change whose call would carry something hidden does not go to Zoho, and what goes there carries nothing of it.
async fn kept_in_zoho(world: &World, server: &Process, contact: &Value, invoice: &Value) {
    let known = |record: &Value, key: &str| record[key].as_str().expect("an id").to_owned();
    let (customer, document) = (known(contact, "contact_id"), known(invoice, "invoice_id"));
    let set = async |entity: &str, mode: &str| {
        let mode = json!({"entity_type": entity, "mode": mode});
        assert_eq!(server.put("/api/zoho/sync/modes", mode).await.0, 200);
    };
    set("customers", "bidirectional").await;
    set("invoices", "bidirectional").await;
    let before = (world.zoho.get(Module::CONTACTS, &customer), world.zoho.get(Module::INVOICES, &document));
    // The change, the entity type, and what its entry says.
    let withheld = [
        (format!("UPDATE erp.customers SET mobile = '777' WHERE zoho_id = '{customer}'"), "mobile"),
        (format!("UPDATE erp.customers SET first_name = 'Sara' WHERE zoho_id = '{customer}'"), "first_name"),
        (format!("UPDATE erp.invoices SET terms = 'tt' WHERE zoho_id = '{document}'"), "terms"),
        (
            format!("UPDATE erp.invoice_lines SET quantity = 3 WHERE document_zoho_id = '{document}'"),
            "invoice_lines",
        ),
    ];
    for (sql, name) in withheld {
        world.database.execute(sql.as_str()).await;
        until_count(&world.database, UNDECIDED, 0).await;
        let id = world.text("SELECT max(id)::text FROM tds_outbox").await.expect("an id");
        let (_, shown) = server.command(&["outbox", "show", &id]).await;
        assert!(shown.contains(&format!("the values are hidden: {name}")), "{sql}: {shown}");
        assert!(shown.contains("unchanged"), "{sql}: {shown}");
        world.settled().await;
    }
    let after = (world.zoho.get(Module::CONTACTS, &customer), world.zoho.get(Module::INVOICES, &document));
    assert_eq!(after, before, "Zoho has lost nothing");
    let rows = "SELECT string_agg(quantity::text, ' ' ORDER BY position) FROM erp.invoice_lines";
    assert!(world.text(rows).await.is_some_and(|rows| !rows.contains('3')), "the lines are Zoho's again");
    // What needs nothing of it goes there.
    let sql = format!("UPDATE erp.customers SET notes = 'here' WHERE zoho_id = '{customer}'");
    world.database.execute(sql.as_str()).await;
    until("the notes are there", async || {
        world.zoho.get(Module::CONTACTS, &customer).is_some_and(|contact| contact["notes"] == "here")
    })
    .await;
    until_count(&world.database, UNDECIDED, 0).await;
    world.settled().await;
    let now = world.zoho.get(Module::CONTACTS, &customer).expect("the contact");
    assert_eq!(
        (&now["email"], &now["contact_persons"]),
        (&json!(EMAIL), &before.0.expect("the contact")["contact_persons"])
    );
    let dead = "SELECT count(*)::text FROM tds_queue_live WHERE direction = 'outbound'";
    assert_eq!(world.text(dead).await.as_deref(), Some("0"), "no dead letter");
    assert_eq!(world.found(&HIDDEN).await, Vec::<&str>::new());
    set("customers", "zoho_primary").await;
    set("invoices", "zoho_primary").await;
}

/// A local change of a hidden column does not go to Zoho, and its entry says so.
async fn pushed(world: &World, server: &Process, id: &str) {
    let mode = json!({"entity_type": "customers", "mode": "bidirectional"});
    assert_eq!(server.put("/api/zoho/sync/modes", mode).await.0, 200);
    let change = async |sql: &str| {
        world.text(&format!("UPDATE erp.customers SET {sql} WHERE zoho_id = '{id}' RETURNING 'x'")).await
    };
    change("phone = '0770', company_name = 'Tigris'").await;
    until_count(&world.database, "tds_outbox WHERE status = 'pushed'", 1).await;
    change("phone = '0771'").await;
    until_count(&world.database, "tds_outbox WHERE status = 'unchanged'", 1).await;
    let notes = world.text("SELECT string_agg(note, '; ' ORDER BY id) FROM tds_outbox").await.expect("notes");
    assert_eq!(notes.matches("not written, because the values are hidden: phone").count(), 2, "{notes}");
    let remote = world.zoho.get(Module::CONTACTS, id).expect("the contact");
    assert_eq!((&remote["phone"], &remote["company_name"]), (&json!(PHONE), &json!("Tigris")));
    assert_eq!(remote["email"], EMAIL, "no hash goes to Zoho");
    world.settled().await;
    let mode = json!({"entity_type": "customers", "mode": "zoho_primary"});
    assert_eq!(server.put("/api/zoho/sync/modes", mode).await.0, 200);
}
