//! Plans for both products: what works in one of them stays until the other one shows what replaces it.

use super::*;

/// Both products, and which of them can be seen.
struct Products {
    books: Zoho,
    inventory: Zoho,
}

impl Products {
    /// The stock is watched in Books.
    fn with_stock() -> (Self, Vec<Target>) {
        let mut products = Self { books: Zoho::default(), inventory: Zoho { calls: 500, ..Zoho::default() } };
        let stock = stock("");
        products.books.install_all(Api::Books, &stock);
        assert_eq!(products.books.found.rules.len(), 2);
        (products, stock)
    }

    fn plans(&self, targets: &[Target], sees_inventory: bool) -> Vec<Plan> {
        let mut seen = vec![(Api::Books, &self.books.found)];
        if sees_inventory {
            seen.push((Api::Inventory, &self.inventory.found));
        }
        let destination = here();
        plans(
            Wanted {
                targets,
                destination: &destination,
                earlier: &[],
                known: &[],
                suspects: &BTreeSet::new(),
            },
            &seen,
        )
    }

    /// Takes the steps of both products, but for those that Zoho refuses.
    fn take(&mut self, plans: &[Plan], refuses: impl Fn(&Step) -> bool) {
        for plan in plans {
            let zoho = if plan.api == Api::Books { &mut self.books } else { &mut self.inventory };
            let mut failed = BTreeSet::new();
            for step in &plan.steps {
                if refuses(step) || failed.contains(&step.group) {
                    failed.insert(step.group.clone());
                } else {
                    zoho.take(step);
                }
            }
        }
    }
}

impl Zoho {
    fn install_all(&mut self, api: Api, targets: &[Target]) {
        let plan = plan(api, targets, &here(), &[], &self.found);
        plan.steps.iter().for_each(|step| self.take(step));
    }
}

/// The targets of stock with configured modules.
fn stock(modules: &str) -> Vec<Target> {
    let catalogue = Catalogue::default().syncing(["stock".parse().expect("a name")]);
    targets(&catalogue, &modules.parse::<RuleModules>().expect("modules"))
}

#[test]
fn what_works_in_one_product_stays_until_the_other_one_shows_what_replaces_it() {
    for moved in ["stock=inventory:inventory_adjustment", "stock=inventory:inventoryadjustment"] {
        let (mut zoho, _) = Products::with_stock();
        let targets = stock(moved);
        let before = zoho.books.clone();
        // Inventory cannot be looked at: nothing is deleted, however often.
        for _ in 0..3 {
            let plans = zoho.plans(&targets, false);
            zoho.take(&plans, |_| false);
        }
        assert_eq!(zoho.books.found, before.found, "{moved}");
        // Inventory refuses what replaces it.
        let refused = zoho.plans(&targets, true);
        let deletions = || refused[0].steps.iter().filter(|step| step.is_removal());
        assert!(deletions().count() == 4 && deletions().all(|step| step.waits), "{moved}: {refused:?}");
        for _ in 0..3 {
            let plans = zoho.plans(&targets, true);
            zoho.take(&plans, |step| step.action() == "create rule");
        }
        assert_eq!(zoho.books.found, before.found, "{moved}");
        // Inventory has it: only now it is deleted in Books.
        let plans = zoho.plans(&targets, true);
        zoho.take(&plans, |_| false);
        assert_eq!((zoho.books.found.rules.len(), zoho.inventory.found.rules.len()), (2, 2), "{moved}");
        let plans = zoho.plans(&targets, true);
        zoho.take(&plans, |_| false);
        assert_eq!(zoho.books.found, Found::default(), "{moved}");
        assert!(zoho.plans(&targets, true).iter().all(Plan::is_right), "{moved}");
    }
}

#[test]
fn a_name_that_zoho_refuses_costs_no_rule() {
    let (mut zoho, _) = Products::with_stock();
    let targets = stock("stock=inventory_adjustment");
    let before = zoho.books.found.clone();
    for _ in 0..3 {
        let plans = zoho.plans(&targets, true);
        assert!(!plans[0].steps.is_empty());
        zoho.take(&plans, |step| step.action().starts_with("create"));
    }
    assert_eq!(zoho.books.found, before);
    // The name of the module does not say the path, and Zoho shows no URL: anything may be what replaces it.
    for webhook in &mut zoho.books.found.webhooks {
        (webhook.name, webhook.url) = (webhook.name.replace("inventoryadjustment", "odd"), None);
    }
    for rule in &mut zoho.books.found.rules {
        rule.name = rule.name.replace("inventoryadjustment", "odd");
    }
    let plans = zoho.plans(&targets, true);
    assert!(plans[0].steps.iter().filter(|step| step.is_removal()).all(|step| step.waits), "{plans:?}");
}
