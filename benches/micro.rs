//! What the hot functions cost by themselves: no database, no network.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretString;
use tds_core::{
    EntityType, Interval, Observed, Payload, Shape, SourcePayload, Work, content_hash, fold, guard,
    testkit::RecordBuilder,
};
use tds_zoho::{testkit::sample, webhook};
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
        bench.iter(|| webhook::parse(&PRODUCTS, "updated", "1", black_box(&body), NOW));
    });
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let columns = serde_json::json!({"name": "كيبل", "rate": 12_500, "sku": "CBL-3", "status": "active"});
    let read = RecordBuilder::new(&PRODUCTS, "1").version(NOW).fields(columns).read(NOW, NOW);
    criterion.bench_function("guard_of_an_unknown_record", |bench| {
        bench.iter(|| guard(None, black_box(&read)));
    });
    if let tds_core::Content::Present(record) = &read.content {
        criterion.bench_function("content_hash", |bench| bench.iter(|| content_hash(black_box(record))));
    }
    let observed = Observed::Call(Interval { began: NOW, ended: NOW });
    let payload = SourcePayload { shape: Shape::List, observed, json: Payload::new("{}") };
    let work = Work { version: Some(NOW), payload: Some(payload) };
    criterion.bench_function("fold", |bench| bench.iter(|| fold(black_box(&work), black_box(&work))));
}

criterion_group!(benches, webhooks, decisions);
criterion_main!(benches);
