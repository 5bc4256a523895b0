//! Creates of every entity type with random faults, repeated until they succeed: none is doubled, and none is lost.
//!
//! `TDS_WRITE_ROUNDS` sets the number of creates, and `TDS_WRITE_SEED` the seed.

use std::collections::BTreeSet;

use serde_json::Value;
use tds_core::{
    error::Retry,
    outbound::{LocalRecord, RemoteWriter, Writable, WriteError},
    record::{Fields, RecordId, same_value},
};
use tds_zoho::{
    ZohoClient,
    entities::{Catalogue, columns},
    testkit::{FakeZoho, Fault},
    write::{Form, contracts},
};

use crate::{
    local::{contract, key, local},
    writer::{client, writer},
    writes_by_contract::module,
    writes_in_doubt::{faults, shop},
};

/// More attempts than a record has faults.
const ATTEMPTS: u32 = 12;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit).expect("a limit");
        usize::try_from((mixed ^ (mixed >> 31)) % limit).expect("a small number")
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// What the engine does with a record until it is at Zoho.
struct Pushes {
    fake: FakeZoho,
    client: ZohoClient,
    in_doubt: u32,
    refused: u32,
    partly: u32,
}

impl Pushes {
    async fn create(&mut self, entity: &str, record: &LocalRecord) -> RecordId {
        let mut in_doubt = false;
        for _ in 0..ATTEMPTS {
            let writer = writer(&self.client, entity);
            let found = if in_doubt { writer.find(std::slice::from_ref(record)).await } else { Ok(None) };
            let created = match found {
                Ok(None) => writer.create(record).await,
                Ok(Some(id)) => {
                    // The create may have taken several calls, and the rest of them is a change.
                    if writer.is_mirrored() {
                        self.complete(entity, record.clone().at_source(id.clone(), None)).await;
                    }
                    return id;
                }
                Err(error) => Err(error),
            };
            match created {
                Ok(written) => return written.id,
                Err(WriteError::InDoubt(_)) => {
                    in_doubt = true;
                    self.in_doubt += 1;
                }
                Err(WriteError::Refused(error)) => {
                    assert_ne!(error.retry(), Retry::Permanent, "{entity}: {error}");
                    self.refused += 1;
                }
                Err(WriteError::Partly { id, .. }) => {
                    self.partly += 1;
                    self.complete(entity, record.clone().at_source(id.clone(), None)).await;
                    return id;
                }
                Err(waits @ WriteError::WaitsFor(_)) => panic!("{entity}: {waits}"),
            }
            // As after a restart: nothing is held back because of earlier calls.
            self.client = client(&self.fake);
        }
        panic!("{entity} {} was not created", record.key);
    }

    async fn complete(&mut self, entity: &str, mut record: LocalRecord) {
        for _ in 0..ATTEMPTS {
            self.client = client(&self.fake);
            let writer = writer(&self.client, entity);
            let id = record.remote_id.clone().expect("an id");
            let stored = self.fake.get(module(entity), id.as_str()).expect("the created record");
            record.remote_status = stored.get("status").and_then(Value::as_str).map(str::to_owned);
            if writer.update(&record, &everything(&*writer, &record)).await.is_ok() {
                return;
            }
        }
        panic!("{entity} {} was not completed", record.key);
    }
}

fn everything(writer: &dyn RemoteWriter, record: &LocalRecord) -> BTreeSet<String> {
    let columns = record.fields.keys().filter(|column| record.value(column).is_some());
    let names = columns.chain(record.children.keys());
    names.filter(|name| writer.writable(name, true) == Writable::Yes).cloned().collect()
}

/// Returns the columns that the stored record does not show as they were written.
fn lost(record: &LocalRecord, entity: &str, stored: &Fields) -> Vec<&'static str> {
    let contract = contract(entity);
    let descriptor = Catalogue::default().find(contract.entity).expect("a descriptor");
    let read = columns(descriptor.columns, stored).expect("readable columns");
    let is_lost = |column: &&str| {
        let (written, read) = (record.value(column), read.get(*column));
        matches!((written, read), (Some(written), Some(read)) if !same_value(written, read))
    };
    let fields = contract.fields.iter().filter(|field| !matches!(field.form, Form::Object(_)));
    let status = contract.status.map(|status| status.column);
    fields.map(|field| field.column).chain(status).filter(is_lost).collect()
}

#[tokio::test]
async fn random_faults_double_nothing_and_lose_nothing() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
    };
    let (rounds, seed) = (number("TDS_WRITE_ROUNDS", 120), number("TDS_WRITE_SEED", 14));
    let (caller, ids) = shop().await;
    let fake = caller.fake.clone();
    let mut random = Random(seed);
    let mut kinds: Vec<Fault> = faults().into_iter().map(|(fault, _)| fault).collect();
    kinds.push(Fault::ExpireToken);
    kinds.push(Fault::RetryAfter429 { retry_after: "7".to_owned(), code: 44 });
    let in_search = [Fault::WrongEnvelope, Fault::MissingPageContext, Fault::EmptyPageWithMore];
    let entities: Vec<&str> = contracts().map(|contract| contract.entity.as_str()).collect();
    let mut pushes = Pushes { client: client(&fake), fake: fake.clone(), in_doubt: 0, refused: 0, partly: 0 };
    for n in 1..=u32::try_from(rounds).expect("rounds") {
        let entity = random.pick(&entities);
        let (module, mut record) = (module(entity), local(entity, n, &ids));
        // Payments on account: the documents of the other rounds are not paid.
        for rows in record.children.iter_mut().filter(|(table, _)| table.ends_with("allocations")) {
            rows.1.clear();
        }
        let path = format!("/{}", module.path);
        for _ in 0..random.below(4) {
            // The second prefix is that of the calls after the create.
            let prefix = if random.below(3) == 0 { format!("{path}/") } else { path.clone() };
            fake.faults().next_writes(&prefix, 1, random.pick(&kinds));
        }
        if matches!(entity, "stock" | "prices") && random.below(3) == 0 {
            fake.faults().next(&path, 1, random.pick(&in_search));
        }
        let before = fake.count(module);
        let id = pushes.create(entity, &record).await;
        fake.faults().clear();
        assert_eq!(fake.count(module) - before, 1, "round {n} of seed {seed}: {entity}");
        let stored = fake.get(module, id.as_str()).expect("the record");
        let shown = Value::Object(stored.clone()).to_string();
        assert!(entity == "prices" || shown.contains(&key(n)), "round {n} of seed {seed}: {entity} {id}");
        assert_eq!(lost(&record, entity, &stored), Vec::<&str>::new(), "round {n} of seed {seed}: {entity}");
    }
    let Pushes { in_doubt, refused, partly, .. } = pushes;
    println!(
        "{rounds} creates: {in_doubt} times in doubt, {refused} times refused, {partly} times incomplete"
    );
    assert!(in_doubt > 0 && refused > 0 && partly > 0);
}
