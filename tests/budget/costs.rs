//! The cost of syncing in calls, counted by a simulated Zoho, compared with the least possible cost and the cost of a
//! reader that makes one call for every record.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::{Clock as _, SystemClock},
    testkit::ManualClock,
};
use tds_zoho::testkit::Module;

use crate::shop::{Shop, list_calls};

/// The numbers of records of one entity type in the counted shop and in the real one.
struct Kind {
    entity: &'static str,
    list: &'static str,
    module: Module,
    counted: u64,
    real: u64,
    /// The number of records that one call for whole records returns. `None`: the list shows everything that is
    /// needed.
    per_call: Option<u64>,
}

const KINDS: [Kind; 3] = [
    Kind {
        entity: "products",
        list: "/items",
        module: Module::ITEMS,
        counted: 450,
        real: 2_221,
        per_call: Some(100),
    },
    Kind {
        entity: "customers",
        list: "/contacts",
        module: Module::CONTACTS,
        counted: 410,
        real: 2_503,
        per_call: Some(1),
    },
    Kind {
        entity: "invoices",
        list: "/invoices",
        module: Module::INVOICES,
        counted: 430,
        real: 20_000,
        per_call: Some(1),
    },
];

impl Kind {
    /// Returns the calls for `listed` list rows and `changed` new or changed records. The lists show what Zoho has, so
    /// this is the least number of calls as long as whole records are needed.
    fn least(&self, listed: u64, changed: u64) -> u64 {
        listed.div_ceil(200).max(1) + self.per_call.map_or(0, |records| changed.div_ceil(records))
    }

    /// Returns the calls of a reader that lists everything and then reads each changed record by its own call.
    fn naive(&self, listed: u64, changed: u64) -> u64 {
        listed.div_ceil(200).max(1) + changed
    }
}

/// Returns the calls so far, without the check of the credentials when the server starts.
fn calls(shop: &Shop) -> u64 {
    shop.zoho.calls() - shop.zoho.calls_to("/organizations")
}

/// Returns the calls that a step takes, and how many of them are pages of lists.
async fn spent(shop: &Shop, kind: &Kind, mode: &str) -> (u64, u64) {
    let (all, lists) = (calls(shop), list_calls(&shop.zoho, kind.list));
    let run = shop.sync(kind.entity, mode).await;
    let (calls, pages) = (calls(shop) - all, list_calls(&shop.zoho, kind.list) - lists);
    counted(shop, run["id"].as_i64().expect("an id"), calls, pages).await;
    (calls, pages)
}

/// Asserts that the run counts the same calls as Zoho. The run counts its last calls a moment later.
async fn counted(shop: &Shop, id: i64, calls: u64, pages: u64) {
    for _look in 0..100 {
        let (_, run) = shop.get(&format!("/api/zoho/sync/runs/{id}")).await;
        if run["calls"] == calls {
            let (probe, listed) = (run["plan"]["probe_calls"].as_u64(), run["pages"].as_u64());
            let (probe, listed) = probe.zip(listed).expect("numbers");
            // The search for deletions is committed as a page as well. It takes no call if no record is missing.
            let listed = listed - u64::from(run["run_type"] == "full");
            // A probe ends as soon as it has its answer, so it may take fewer calls.
            assert!((listed..=listed + probe).contains(&pages), "{pages} pages: {run:#}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, run) = shop.get(&format!("/api/zoho/sync/runs/{id}")).await;
    panic!("{calls} calls were made: {run:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_that_syncing_takes_are_the_least_that_are_possible() {
    let shop = Shop::open().await;
    let mut table = String::from(
        "step                              records  changed    calls  least   once per record\n",
    );
    let mut line = |step: &str, records: u64, changed: u64, calls: String, least: u64, naive: u64| {
        writeln!(table, "{step:<33} {records:>7}  {changed:>7}  {calls:>7}  {least:>5}  {naive:>16}")
            .expect("a line");
    };
    let (mut real, mut real_least, mut real_naive) = (0, 0, 0);
    for kind in &KINDS {
        // The records are older than the overlap that an incremental sync reads again for safety.
        shop.zoho.set_clock(Arc::new(ManualClock::new(SystemClock.now() - time::Duration::days(2))));
        let ids = shop.zoho.generate(kind.module, kind.counted);
        shop.zoho.set_clock(Arc::new(SystemClock));
        let (calls, pages) = spent(&shop, kind, "full").await;
        let least = kind.least(kind.counted, kind.counted);
        line(
            &format!("{}: first load", kind.entity),
            kind.counted,
            kind.counted,
            calls.to_string(),
            least,
            kind.naive(kind.counted, kind.counted),
        );
        assert_eq!((calls, pages), (least, kind.counted.div_ceil(200)), "{}", kind.entity);
        // The counted cost of a page and of a record, applied to the real numbers.
        real += kind.least(kind.real, kind.real);
        real_least += kind.least(kind.real, kind.real);
        real_naive += kind.naive(kind.real, kind.real);
        for changed in [0, 10, 210] {
            // Versions have whole seconds. If a record is read in the second of its change and changes again within
            // that second, a list shows the same version.
            tokio::time::sleep(Duration::from_secs(1)).await;
            for id in ids.iter().take(usize::try_from(changed).expect("small")) {
                shop.zoho.update(
                    kind.module,
                    id,
                    json!({"notes": format!("one of {changed}"), "description": format!("one of {changed}")}),
                );
            }
            let (calls, pages) = spent(&shop, kind, "incremental").await;
            let least = kind.least(changed, changed);
            line(
                &format!("{}: incremental", kind.entity),
                kind.counted,
                changed,
                calls.to_string(),
                least,
                kind.naive(kind.counted, changed),
            );
            // Records that changed within the overlap of two runs are listed again, and from time to time a run probes
            // what a list can do. Both take pages, but no reads of whole records.
            assert_eq!(
                calls - pages,
                least - changed.div_ceil(200).max(1),
                "{}: {changed} changes",
                kind.entity
            );
            assert!(pages <= changed.div_ceil(200) + 6, "{}: {pages} pages", kind.entity);
        }
        let thousand = kind.least(1_000, 1_000);
        line(
            &format!("{}: incremental *", kind.entity),
            kind.real,
            1_000,
            thousand.to_string(),
            thousand,
            kind.naive(kind.real, 1_000),
        );
    }
    // Comparing only the lists takes every page once. There is no such command yet.
    let pages = KINDS.iter().map(|kind| kind.real.div_ceil(200)).sum::<u64>();
    line("verification by lists *", 24_724, 0, pages.to_string(), pages, 24_724);
    line("first load of all three *", 24_724, 24_724, real.to_string(), real_least, real_naive);

    for (step, module, path, whole, least) in [
        ("webhook with the whole record", Module::ITEMS, "products", true, 0),
        ("webhook without the lines", Module::INVOICES, "invoices", false, 1),
    ] {
        let id = shop.zoho.ids(module).pop().expect("a record");
        shop.zoho.update(module, &id, json!({"notes": "pushed", "description": "pushed"}));
        let body = if whole {
            shop.zoho.webhook_body(module, &id)
        } else {
            shop.zoho.webhook_body_without_lines(module, &id)
        };
        let before = calls(&shop);
        shop.webhook_done(path, &serde_json::from_str(&body).expect("JSON")).await;
        let calls = calls(&shop) - before;
        line(step, 1, 1, calls.to_string(), least, 1);
        assert_eq!(calls, least, "{step}");
    }
    println!("{table}* computed from the counted cost of a page and of a record");
}
