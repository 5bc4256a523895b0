use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use tds_core::{clock::SystemClock, lock::lock};
use tds_zoho::{
    entities::{Api, Catalogue},
    sim::AutomationLimits,
    testkit::{FakeZoho, Fault},
};

use super::*;
use crate::app::rules::tests::config_with;

const BASE: &str = "https://tds.example.com";

struct Installed {
    look: Look,
    has_changed: bool,
    switched: BTreeSet<String>,
}

/// An organization without webhooks, and the waits of the installs that were made.
struct Case {
    zoho: FakeZoho,
    waits: Mutex<Vec<Duration>>,
    lines: String,
}

impl Case {
    async fn new() -> Self {
        Self { zoho: FakeZoho::start().await, waits: Mutex::default(), lines: String::new() }
    }

    /// Installs as a new command does. A wait takes no time, but the clock of the limits goes on. `at_wait` is called
    /// at each wait with its number.
    async fn install(&mut self, at_wait: impl Fn(&FakeZoho, usize)) -> Result<Installed> {
        self.install_with(&[], &Before::default(), at_wait).await
    }

    /// Installs with further settings.
    async fn install_with(
        &mut self,
        settings: &[(&str, &str)],
        before: &Before,
        at_wait: impl Fn(&FakeZoho, usize),
    ) -> Result<Installed> {
        let config = config_with(&self.zoho, settings);
        let catalogue = config.entities.of(&Catalogue::default()).expect("known names");
        let rules = Rules::of(&config, &catalogue);
        let client =
            ZohoClient::new(config.zoho.clone().expect("Zoho"), Arc::new(SystemClock)).expect("a client");
        let destination = rules.destination(BASE).expect("a secret");
        let (zoho, waits, lines) = (&self.zoho, &self.waits, &mut self.lines);
        let sleep = async |wait| {
            let number = {
                let mut waits = lock(waits);
                waits.push(wait);
                waits.len()
            };
            at_wait(zoho, number);
            tokio::time::pause();
            tokio::time::advance(wait).await;
            tokio::time::resume();
        };
        let mut tell = |line: &str| lines.push_str(&format!("{line}\n"));
        let looked = rules.look_patiently(&client, &destination, before, &mut tell, sleep).await?;
        let mut progress = Progress::default();
        let look = rules.install(&client, &destination, looked, &mut tell, sleep, &mut progress).await?;
        Ok(Installed { look, has_changed: progress.has_changed, switched: progress.switched })
    }

    /// Returns the waits in seconds, rounded: a moment of each pause has passed when it is known.
    fn waits(&self) -> Vec<u128> {
        lock(&self.waits).iter().map(|wait| (wait.as_millis() + 500) / 1_000).collect()
    }

    /// Checks that each webhook and each rule exists once.
    fn is_whole(&self) -> bool {
        let names = |rows: Vec<serde_json::Value>, key: &str| {
            let names: Vec<String> =
                rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "doubled: {names:?}");
            names.len()
        };
        let webhooks = names(self.zoho.registered_webhooks(Api::Books), "webhook_name");
        let rules = names(self.zoho.registered_rules(Api::Books), "workflow_name");
        (webhooks, rules) == (2, 2)
    }
}

fn nothing(_: &FakeZoho, _: usize) {}

fn throttled(code: i64, retry_after: u32) -> Fault {
    Fault::RetryAfter429 { retry_after: retry_after.to_string(), code }
}

#[tokio::test]
async fn an_install_waits_as_long_as_zoho_says_and_goes_on_without_doubling_anything() {
    for (fault, waits) in [
        (throttled(44, 45), vec![45, 45]),
        (throttled(43, 45), vec![45, 45]),
        (throttled(1_070, 30), vec![30, 30]),
        // A creation that was not answered may still take effect later.
        (Fault::Html(502), vec![2, 2, 58]),
        (Fault::Status(500, 1_000, "Internal error".to_owned()), vec![2, 2, 58]),
        (Fault::answer_lost(), vec![2, 2, 58]),
        (Fault::failed_after_commit(504), vec![2, 2, 58]),
    ] {
        let mut case = Case::new().await;
        case.zoho.faults().next_writes("/settings/", 2, fault.clone());
        let installed = case.install(nothing).await;
        let installed = installed.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(installed.has_changed && !installed.look.is_wrong(), "{fault:?}");
        assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
        assert!(case.is_whole(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_look_that_fails_after_an_interruption_is_one_more_interruption() {
    let mut case = Case::new().await;
    case.zoho.faults().next_writes("/settings/", 1, Fault::answer_lost());
    let installed = case
        .install(|zoho, number| {
            if number == 1 {
                zoho.faults().next("/settings/", 1, throttled(44, 20));
            }
        })
        .await;
    assert!(installed.expect("an end").has_changed);
    assert_eq!(case.waits(), [2, 20, 38], "{}", case.lines);
    assert!(case.is_whole());
}

#[tokio::test]
async fn a_refusal_at_the_first_look_is_waited_for_as_well() {
    let mut case = Case::new().await;
    case.zoho.faults().next("/settings/", 1, throttled(44, 45));
    assert!(case.install(nothing).await.expect("an end").has_changed);
    assert_eq!(case.waits(), [45], "{}", case.lines);
    assert!(case.is_whole());
}

#[tokio::test]
async fn a_creation_that_takes_effect_late_is_deleted_again() {
    let mut case = Case::new().await;
    // Zoho does nothing at first, and what it was asked for when the install is over.
    case.zoho.faults().next_writes("/settings/workflows", 1, Fault::Html(502));
    let installed = case.install(|zoho, number| {
        if number == 2 {
            let rule = zoho.registered_rules(Api::Books).remove(0);
            zoho.enter_registered(Api::Books, rule);
        }
    });
    assert!(!installed.await.expect("an end").look.is_wrong());
    assert_eq!(case.waits(), [2, 58], "{}", case.lines);
    assert!(case.is_whole() && case.lines.contains("delete rule"), "{}", case.lines);
}

#[tokio::test]
async fn a_moved_module_is_deleted_after_the_other_product_shows_what_replaces_it() {
    let mut case = Case::new().await;
    case.install(nothing).await.expect("an end");
    let moved = [("TDS_WEBHOOK_MODULES", "products=inventory:item")];
    let names = |case: &Case| {
        let count = |api| (case.zoho.registered_webhooks(api).len(), case.zoho.registered_rules(api).len());
        (count(Api::Books), count(Api::Inventory))
    };
    // Inventory refuses everything with code 57, or the new name is refused.
    for (limits, faulty) in [(None, true), (Some(vec!["contact".to_owned()]), false)] {
        if faulty {
            case.zoho.faults().every("/inventory/v1/settings/", 1, Fault::not_authorized(Some(57)));
        }
        if let Some(modules) = limits {
            case.zoho.set_automation_limits(AutomationLimits { modules, ..AutomationLimits::default() });
        }
        let Installed { look, .. } =
            case.install_with(&moved, &Before::default(), nothing).await.expect("an end");
        assert_eq!(names(&case), ((2, 2), (0, 0)), "{}", case.lines);
        let left = look.plans.iter().flat_map(|plan| &plan.steps).count();
        assert_eq!((look.unreadable.len(), left > 0), (usize::from(faulty), !faulty), "{}", case.lines);
        case.zoho.faults().clear();
        case.zoho.set_automation_limits(AutomationLimits::default());
    }
    let Installed { look, switched, .. } =
        case.install_with(&moved, &Before::default(), nothing).await.expect("an end");
    assert_eq!(names(&case), ((0, 0), (2, 2)), "{}", case.lines);
    assert!(!look.is_wrong() && switched.contains("products"));
}

#[tokio::test]
async fn an_organization_whose_inventory_refuses_everything_with_code_57_has_none() {
    for (path, refused) in [("/inventory/", (0, 1)), ("/inventory/v1/settings/", (1, 0))] {
        let mut case = Case::new().await;
        case.zoho.faults().every(path, 1, Fault::not_authorized(Some(57)));
        let both = [("TDS_ENTITIES", "products,composite_items")];
        let Installed { look, .. } =
            case.install_with(&both, &Before::default(), nothing).await.expect("an end");
        assert_eq!((look.unreadable.len(), look.lacking.len()), refused, "{path}: {}", case.lines);
        assert!(case.is_whole(), "what Books has is registered: {}", case.lines);
    }
}

#[tokio::test]
async fn webhooks_whose_deliveries_are_refused_are_created_again_once() {
    let mut case = Case::new().await;
    case.install(nothing).await.expect("an end");
    let ids = |case: &Case| {
        let webhooks = case.zoho.registered_webhooks(Api::Books);
        webhooks.iter().map(|one| one["webhook_id"].to_string()).collect::<HashSet<_>>()
    };
    let first = ids(&case);
    let refused = BTreeSet::from(["products".to_owned()]);
    let before = Before { refused: refused.clone(), ..Before::default() };
    let installed = case.install_with(&[], &before, nothing).await.expect("an end");
    assert!(!installed.look.is_wrong() && installed.switched == refused);
    assert!(case.is_whole() && ids(&case).is_disjoint(&first), "{}", case.lines);
}

#[tokio::test]
async fn an_install_ends_after_three_attempts_or_at_a_long_refusal_and_a_later_one_completes_it() {
    // Each of the three attempts does one step; and nobody waits for hours.
    for (fault, waits) in
        [(Fault::answer_lost(), vec![2, 2]), (throttled(44, 7_200), vec![]), (throttled(45, 7_200), vec![])]
    {
        let mut case = Case::new().await;
        case.zoho.faults().next_writes("/settings/", 100, fault.clone());
        let error = case.install(nothing).await.err().expect("no end").explain(command);
        assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
        assert!(error.contains("webhook \"TDS item "), "the error names the step: {error}");
        assert!(!case.is_whole());
        case.zoho.faults().clear();
        assert!(case.install(nothing).await.expect("an end").has_changed, "{fault:?}");
        assert!(case.is_whole(), "{fault:?}");
        assert!(!case.install(nothing).await.expect("an end").has_changed, "nothing is left to do");
        assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
    }
}
