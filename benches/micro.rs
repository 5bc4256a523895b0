//! The cost of the hot functions alone, without a database and a network.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretString;
use tds_core::{
    clock::SystemClock,
    engine::plan_row,
    guard::guard,
    limits::budget::{BudgetRequest, BudgetState, Limits, SettledCall},
    queue::{Lane, Work, WorkerId, fold},
    record::{
        EntityType, Interval, Observed, Payload, RecordBuilder, RecordId, Shape, SourcePayload, content_hash,
        list_hash,
    },
    runs::RunType,
    source::{Listed, Source, SourceProfile},
};
use tds_zoho::{
    DataCenter, ZohoClient, ZohoConfig,
    entities::Catalogue,
    testkit::sample,
    webhook::{self, Authentic, Received},
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn body() -> Vec<u8> {
    serde_json::json!({"item": sample::item(1)}).to_string().into_bytes()
}

fn webhooks(criterion: &mut Criterion) {
    let (secret, body) = (SecretString::from("TdsSecret0123456"), body());
    let signature = webhook::sign(&secret, &[], &body);
    let secrets = [secret];
    let mut group = criterion.benchmark_group("webhook");
    group.throughput(Throughput::Bytes(body.len().try_into().unwrap_or_default()));
    group.bench_function("verify", |bench| {
        bench.iter(|| webhook::verify(&secrets, &[], None, black_box(&body), Some(&signature)));
    });
    group.bench_function("body_to_event", |bench| {
        let catalogue = Catalogue::default();
        let received = Received {
            entity: &PRODUCTS,
            event_type: "updated",
            organization_id: "1",
            at: NOW,
            receipt: String::new,
        };
        bench.iter(|| webhook::parse(&catalogue, &Authentic::unsigned(&[], black_box(&body)), &received));
    });
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let columns = serde_json::json!({"name": "كيبل", "rate": 12_500, "sku": "CBL-3", "status": "active"});
    let read = RecordBuilder::new(&PRODUCTS, "1").version(NOW).fields(columns).read(NOW, NOW);
    criterion.bench_function("guard_of_an_unknown_record", |bench| {
        bench.iter(|| guard(None, black_box(&read)));
    });
    if let tds_core::record::Content::Present(record) = &read.content {
        criterion.bench_function("content_hash", |bench| bench.iter(|| content_hash(black_box(record))));
    }
    let observed = Observed::Call(Interval { began: NOW, ended: NOW });
    let payload = SourcePayload { shape: Shape::List, observed, json: Payload::new("{}") };
    let work = Work { version: Some(NOW), payload: Some(payload), recheck: false };
    criterion.bench_function("fold", |bench| bench.iter(|| fold(black_box(&work), black_box(&work))));
}

/// The number of rows of one page of a list.
const PAGE: u64 = 200;

/// Returns the source of products as Zoho has them. Its client makes no calls.
fn products() -> Arc<dyn Source> {
    let config = ZohoConfig::new("client", "secret", "token", "60001", DataCenter::Us);
    let client = ZohoClient::new(config, Arc::new(SystemClock)).expect("a client");
    let mut sources = tds_zoho::sources(&client).into_iter();
    sources.find(|source| source.schema().entity == PRODUCTS).expect("products")
}

/// Processes a list row from its text to the decision whether to enqueue the record.
fn decide(source: &dyn Source, profile: &SourceProfile, payload: &SourcePayload) -> bool {
    let record = source.decode(payload).expect("a product");
    let listed = Listed {
        id: RecordId::new(record.id.as_str()),
        version: record.version,
        hash: list_hash(&record),
        payload: Some(payload.clone()),
    };
    plan_row(None, &listed, profile, RunType::Incremental, NOW) == tds_core::engine::RowPlan::Queue
}

fn pages(criterion: &mut Criterion) {
    let source = products();
    let observed = Observed::Call(Interval { began: NOW, ended: NOW });
    let rows: Vec<SourcePayload> = (0..PAGE)
        .map(|id| Payload::new(sample::item(id).to_string()))
        .map(|json| SourcePayload { shape: Shape::List, observed, json })
        .collect();
    let mut group = criterion.benchmark_group("list");
    group.throughput(Throughput::Elements(PAGE));
    group.bench_function("page_to_rows", |bench| {
        let profile = source.profile();
        bench.iter(|| rows.iter().filter(|row| decide(source.as_ref(), profile, black_box(row))).count());
    });
    group.finish();
}

/// Measures one exchange with the budget of an account whose minute is nearly full: one call has ended, and another
/// one requests a permit.
fn limiter(criterion: &mut Criterion) {
    let limits = Limits {
        per_minute: Some(100),
        concurrent: 8,
        per_day: Some(10_000),
        call_time: Duration::from_secs(30),
    };
    let mut ask = BudgetRequest::of(WorkerId::unique());
    ask.wants[Lane::Operator] = 1;
    let (mut state, mut now, mut last) = (BudgetState::default(), NOW, None);
    for _ in 0..90 {
        ask.settled = last.into_iter().collect();
        let grant = state.exchange(now, &limits, &ask);
        last = grant.permits.first().map(|permit| SettledCall {
            permit: permit.number,
            lane: permit.lane,
            age: Duration::ZERO,
        });
        now += Duration::from_millis(600);
    }
    ask.settled = last.into_iter().collect();
    criterion.bench_function("limiter", |bench| {
        bench.iter_batched_ref(
            || state.clone(),
            |state| state.exchange(now, &limits, black_box(&ask)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, webhooks, decisions, pages, limiter);
criterion_main!(benches);
