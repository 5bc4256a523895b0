//! Conflicts, and what persons decide on them.

use super::*;
use crate::outbound::{Conflict, ConflictId, ConflictStatus, Resolution, Take};

/// A product whose name was changed on both sides, and its parked change.
async fn parked(out: &Outgoing<'_>) -> (i64, Conflict) {
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours", "description": "ours"})).await;
    park(out, local_id, "theirs").await;
    (local_id, open(out).await.pop().expect("an open conflict"))
}

async fn park(out: &Outgoing<'_>, local_id: i64, source: &str) {
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let conflicts = vec![
        conflict("name", "lamp", "ours", source, None),
        conflict("description", "of the source", "ours", "theirs", None),
    ];
    out.settle(&push, &Settlement { conflicts, ..Settlement::new(Settled::Parked) }).await;
}

async fn open(out: &Outgoing<'_>) -> Vec<Conflict> {
    let page = out.operator().conflicts(Some(ConflictStatus::Open), Some(&PRODUCTS), None, 10).await;
    page.expect("conflicts").items
}

fn resolution(take: Take, columns: Value) -> Resolution {
    let fields = fields(columns).into_iter().collect();
    Resolution { take, fields, by: "an operator".to_owned() }
}

pub async fn a_parked_change_stays_pending_in_that_state(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, conflict) = parked(&out).await;
    assert_eq!(out.load(&PRODUCT_SCHEMA, local_id).await, None, "a person has to decide first");
    let entry = out.entries().await.pop().expect("an entry");
    assert_eq!((entry.status, entry.settled_at), (EntryStatus::Conflict, None));
    assert_eq!((&conflict.entity, conflict.local_id), (&PRODUCTS, local_id));
    assert_eq!((conflict.remote_id, conflict.resolved_at), (Some(RecordId::new("1")), None));
    assert_eq!((conflict.fields.len(), &conflict.fields[0].base), (2, &json!("lamp")));
    out.mirrored("theirs", 2).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours"), "both sides keep their values");
    out.update(&PRODUCT_SCHEMA, local_id, json!({"sku": "L-1"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.changes.len(), 2, "a newer change is pushed together with the parked one");
    assert_eq!(common_name(&push).as_deref(), Some("lamp"));
}

pub async fn a_record_has_at_most_one_open_conflict(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, first) = parked(&out).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"sku": "L-1"})).await;
    park(&out, local_id, "theirs again").await;
    let conflicts = open(&out).await;
    assert_eq!((conflicts.len(), conflicts[0].id), (1, first.id));
    assert_eq!(conflicts[0].fields[0].source, "theirs again", "its fields are replaced");
    assert_eq!(out.operator().open_conflicts().await.expect("counted"), 1);
}

pub async fn a_conflict_that_a_policy_decided_keeps_what_lost(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let lost = conflict("name", "lamp", "ours", "theirs", Some(Side::Source));
    let settlement = Settlement {
        conflicts: vec![lost.clone()],
        take: fields(json!({"name": "theirs"})),
        ..Settlement::new(Settled::Unchanged)
    };
    out.settle(&push, &settlement).await;
    assert_eq!(out.operator().open_conflicts().await.expect("counted"), 0);
    let page = out.operator().conflicts(None, None, None, 10).await.expect("conflicts");
    let kept = &page.items[0];
    assert_eq!((kept.status, &kept.fields), (ConflictStatus::Resolved, &vec![lost]));
    assert_eq!(kept.resolved_by.as_deref(), Some("policy"));
    assert!(kept.resolved_at.is_some());
}

pub async fn a_decision_makes_the_parked_changes_pending_and_enqueues_their_push(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, conflict) = parked(&out).await;
    let decision = resolution(Take::Target, json!({"name": "theirs"}));
    let resolved = out.operator().resolve(conflict.id, &decision).await.expect("resolved");
    assert_eq!(
        (resolved.status, resolved.resolved_by.as_deref()),
        (ConflictStatus::Resolved, Some("an operator"))
    );
    let winners: Vec<_> = resolved.fields.iter().map(|field| field.winner).collect();
    assert_eq!(winners, [Some(Side::Source), Some(Side::Target)], "the value of a side is that side's");
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.decisions["name"], (json!("theirs"), Side::Source));
    assert_eq!(push.decisions["description"], (json!("theirs"), Side::Target));
    let item = Case(harness).claim().await;
    assert_eq!(item.key, crate::queue::WorkKey::outbound(PRODUCTS, local_id.to_string()));
    assert_eq!(out.operator().open_conflicts().await.expect("counted"), 0);
    let stored = out.operator().conflict(conflict.id).await.expect("read").expect("the conflict");
    assert_eq!(stored, resolved);
    // The conflicts of the push that goes by the decision are those that were decided.
    let mut conflicts = resolved.fields;
    conflicts[1].winner = Some(Side::Target);
    out.settle(&push, &Settlement { conflicts, ..Settlement::new(Settled::Pushed) }).await;
    let page = out.operator().conflicts(None, None, None, 10).await.expect("conflicts");
    assert_eq!(page.items.len(), 1, "no second conflict is kept");
}

pub async fn a_value_of_a_person_is_written_and_wins(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, conflict) = parked(&out).await;
    let decision = resolution(Take::Merge, json!({"name": "both", "description": "theirs"}));
    out.operator().resolve(conflict.id, &decision).await.expect("resolved");
    assert_eq!(out.name(local_id).await.as_deref(), Some("both"));
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.decisions["name"], (json!("theirs"), Side::Target));
    assert_eq!(push.decisions["description"], (json!("theirs"), Side::Source));
}

pub async fn a_decision_does_not_hold_for_a_field_that_the_target_changed_again(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, conflict) = parked(&out).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours again"})).await;
    let decision = resolution(Take::Source, json!({}));
    out.operator().resolve(conflict.id, &decision).await.expect("resolved");
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.changes.len(), 2);
    assert_eq!(push.decisions.keys().collect::<Vec<_>>(), ["description"], "the name has another value now");
}

pub async fn decisions_that_do_not_fit_are_refused(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let (local_id, parked) = parked(&out).await;
    let refusal = async |id: ConflictId, take: Take, columns: Value| {
        kind(out.operator().resolve(id, &resolution(take, columns)).await)
    };
    assert_eq!(refusal(ConflictId(i64::MAX), Take::Source, json!({})).await, ErrorKind::NotFound);
    assert_eq!(refusal(parked.id, Take::Source, json!({"sku": "L-1"})).await, ErrorKind::Invalid);
    assert_eq!(refusal(parked.id, Take::Merge, json!({"name": "both"})).await, ErrorKind::Invalid);
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours"), "nothing was written");
    assert_eq!(open(&out).await.len(), 1);
    out.operator().resolve(parked.id, &resolution(Take::Source, json!({}))).await.expect("resolved");
    assert_eq!(refusal(parked.id, Take::Source, json!({})).await, ErrorKind::Conflict);
    // A field of a child row takes the value of one of the two sides.
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let conflicts = vec![conflict("lines[1].name", "lamp", "ours", "theirs", None)];
    out.settle(&push, &Settlement { conflicts, ..Settlement::new(Settled::Parked) }).await;
    let id = open(&out).await[0].id;
    assert_eq!(refusal(id, Take::Merge, json!({"lines[1].name": "both"})).await, ErrorKind::Invalid);
    out.operator()
        .resolve(id, &resolution(Take::Merge, json!({"lines[1].name": "ours"})))
        .await
        .expect("resolved");
}

pub async fn conflicts_are_listed_newest_first_and_each_once(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let mut ids = Vec::new();
    for number in 0..3 {
        let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": number.to_string()})).await;
        park(&out, local_id, "theirs").await;
        ids.insert(0, open(&out).await[0].id);
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page =
            out.operator().conflicts(None, Some(&PRODUCTS), cursor.as_deref(), 2).await.expect("a page");
        seen.extend(page.items.iter().map(|conflict| conflict.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let others = out.operator().conflicts(None, Some(&INVOICES), None, 10).await.expect("a page");
    assert!(others.items.is_empty());
    let resolved = out.operator().conflicts(Some(ConflictStatus::Resolved), None, None, 10).await;
    assert!(resolved.expect("a page").items.is_empty());
    assert_eq!(kind(out.operator().conflicts(None, None, Some("no cursor"), 10).await), ErrorKind::Invalid);
    assert_eq!(out.operator().open_conflicts().await.expect("counted"), 3);
}
