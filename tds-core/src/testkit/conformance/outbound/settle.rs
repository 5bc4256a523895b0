//! The end of a push.

use super::*;
use crate::mirror::FieldDifference;

pub async fn a_settled_change_has_its_end_and_is_no_longer_pending(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let ends = [
        (Settled::Pushed, EntryStatus::Pushed),
        (Settled::Unchanged, EntryStatus::Unchanged),
        (Settled::Shadow, EntryStatus::Shadow),
    ];
    for (settled, status) in ends {
        out.update(&PRODUCT_SCHEMA, local_id, json!({"name": status.as_str()})).await;
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        let name = FieldDifference { field: "name".into(), source: json!("lamp"), target: json!("ours") };
        let settlement = Settlement {
            differences: vec![name.clone()],
            note: Some("a note".to_owned()),
            ..Settlement::new(settled)
        };
        out.settle(&push, &settlement).await;
        assert_eq!(out.load(&PRODUCT_SCHEMA, local_id).await, None);
        let entry = out.entries().await.pop().expect("an entry");
        assert_eq!(
            (entry.status, &entry.differences, entry.note.as_deref()),
            (status, &vec![name], Some("a note"))
        );
        assert!(entry.settled_at.is_some_and(|at| at >= entry.captured_at));
    }
}

pub async fn a_change_that_was_captured_during_a_push_stays_pending(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours again"})).await;
    // The answer of the push is the base of the change that came during the push.
    let answer = named("ours", 2).fields(json!({"description": "of the source"}));
    applied(harness, &PRODUCT_SCHEMA, answered(answer.read(at(20), at(21)))).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours again"), "the answer is older");
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    let next = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!((next.changes.len(), common_name(&next).as_deref()), (1, Some("ours")));
}

pub async fn what_was_sent_is_known_until_both_sides_agree(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let rows = vec![fields(json!({"id": 7, "quantity": 1.50, "name": "a line"}))];
    let sent = |name: &str| Sent {
        guessed: false,
        creates: false,
        values: Values {
            fields: fields(json!({"name": name})),
            children: [("lines".to_owned(), rows.clone())].into(),
        },
    };
    let known = async || out.loaded(&PRODUCT_SCHEMA, local_id).await.sent;
    assert_eq!(known().await, []);
    for name in ["ours", "ours again", "ours"] {
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        let sending = Sending { sent: sent(name), conflicts: Vec::new() };
        out.outbox().sending(&push, &sending).await.expect("noted");
    }
    assert_eq!(known().await, [sent("ours"), sent("ours again")], "a repetition is no other write");
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert!(push.link.in_doubt_since.is_none(), "the record exists");
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours at last"})).await;
    let take = fields(json!({"name": "theirs"}));
    out.settle(&push, &Settlement { take, ..Settlement::new(Settled::Pushed) }).await;
    let of_name = |sent: Sent| Sent { values: Values { children: [].into(), ..sent.values }, ..sent };
    assert_eq!(
        known().await,
        [of_name(sent("ours")), of_name(sent("ours again"))],
        "about the name, the sides do not agree yet"
    );
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "another"})).await;
    assert_eq!(known().await, []);
    for number in 0..20 {
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        let sending = Sending { sent: sent(&number.to_string()), conflicts: Vec::new() };
        out.outbox().sending(&push, &sending).await.expect("noted");
    }
    let latest: Vec<Sent> = (20 - Sent::MOST..20).map(|number| sent(&number.to_string())).collect();
    assert_eq!(known().await, latest);
}

pub async fn what_a_decided_conflict_lost_is_kept_before_the_write_and_once(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let lost = conflict("name", "lamp", "ours", "theirs", Some(Side::Target));
    for _ in 0..2 {
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        let sending = Sending { sent: Sent::default(), conflicts: vec![lost.clone()] };
        out.outbox().sending(&push, &sending).await.expect("noted");
    }
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.decisions["name"], (json!("theirs"), Side::Target), "the repetition decides alike");
    out.settle(&push, &Settlement { conflicts: vec![lost.clone()], ..Settlement::new(Settled::Pushed) })
        .await;
    let kept = out.operator().conflicts(None, None, None, 10).await.expect("conflicts").items;
    let fields: Vec<_> = kept.iter().map(|kept| (kept.resolved_by.as_deref(), &kept.fields)).collect();
    assert_eq!(fields, [(Some("policy"), &vec![lost])]);
}

pub async fn what_the_source_won_is_written(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let take = fields(json!({"name": "theirs", "description": null}));
    out.settle(&push, &Settlement { take, ..Settlement::new(Settled::Unchanged) }).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("theirs"));
    assert_eq!(out.description(local_id).await, None);
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1"})).await;
    out.write_lines(invoice, vec![json!({"position": 1, "name": "lamp"})]).await;
    let push = out.loaded(&INVOICE_SCHEMA, invoice).await;
    let rows = vec![fields(json!({"position": 1, "name": "lamp", "description": "bright"}))];
    let take_rows = [("invoice_lines".to_owned(), rows)].into();
    out.settle(&push, &Settlement { take_rows, ..Settlement::new(Settled::Pushed) }).await;
    assert_eq!(harness.local_child_column(&INVOICE_SCHEMA, invoice, "description").await, ["bright"]);
    assert_eq!(harness.local_child_column(&INVOICE_SCHEMA, invoice, "name").await, ["lamp"]);
    assert_eq!(out.load(&INVOICE_SCHEMA, invoice).await, None, "nothing of this was captured");

    // A merge leaves in the rows what the target has in them, such as their local ids.
    out.update(&INVOICE_SCHEMA, invoice, json!({"number": "INV-2"})).await;
    let push = out.loaded(&INVOICE_SCHEMA, invoice).await;
    let mut take_rows = push.record.as_ref().expect("a record").children.clone();
    take_rows.values_mut().flatten().for_each(|row| drop(row.insert("description".to_owned(), "dim".into())));
    out.settle(&push, &Settlement { take_rows, ..Settlement::new(Settled::Unchanged) }).await;
    assert_eq!(harness.local_child_column(&INVOICE_SCHEMA, invoice, "description").await, ["dim"]);
}

pub async fn a_field_that_was_changed_during_the_push_keeps_its_value_and_its_base(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"description": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours too"})).await;
    let answer = named("theirs", 2).fields(json!({"description": "ours"}));
    applied(harness, &PRODUCT_SCHEMA, answered(answer.read(at(20), at(21)))).await;
    let take = fields(json!({"name": "theirs"}));
    let before = Values { fields: fields(json!({"name": "lamp", "sku": null})), ..Values::default() };
    out.settle(&push, &Settlement { take, before, ..Settlement::new(Settled::Pushed) }).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours too"));
    let next = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(common_name(&next).as_deref(), Some("lamp"), "the name was changed over this one");
    assert_eq!(next.earlier[0].names, names(["name"]), "about the description, the sides agree");
    assert_eq!(next.kept, Values::default());

    // The name was about to be pushed when it was changed again.
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours again"})).await;
    let take = fields(json!({"name": "theirs"}));
    let before = Values { fields: fields(json!({"name": "lamp", "sku": null})), ..Values::default() };
    out.settle(&next, &Settlement { take, before, ..Settlement::new(Settled::Pushed) }).await;
    let next = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(next.kept.fields, fields(json!({"name": "lamp"})), "both sides changed the name since");
    assert_eq!(next.earlier, []);
    out.settle(&next, &Settlement::new(Settled::Pushed)).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours at last"})).await;
    assert_eq!(out.loaded(&PRODUCT_SCHEMA, local_id).await.kept, Values::default());
}

pub async fn a_settlement_by_a_record_that_is_not_the_newest_is_refused(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"description": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let answer = |version: i64, name: &str| {
        let record = named(name, version).fields(json!({"description": "ours"}));
        answered(record.read(at(version * 10), at(version * 10 + 1)))
    };
    let hash = |read: &Read| match &read.content {
        Content::Present(record) => Some(content_hash(record)),
        Content::Absent => None,
    };
    let (first, second) = (answer(2, "lamp"), answer(3, "theirs"));
    applied(harness, &PRODUCT_SCHEMA, first.clone()).await;
    applied(harness, &PRODUCT_SCHEMA, second.clone()).await;
    let by = |read: &Read| Settlement { accepted: hash(read), ..Settlement::new(Settled::Pushed) };
    assert_eq!(kind(out.outbox().settle(&push, &by(&first)).await), ErrorKind::Conflict);
    assert!(out.load(&PRODUCT_SCHEMA, local_id).await.is_some(), "the changes are pending");
    out.settle(&push, &by(&second)).await;
    assert_eq!(out.load(&PRODUCT_SCHEMA, local_id).await, None);
}

pub async fn a_settlement_of_an_earlier_epoch_is_refused(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.set_mode(PRODUCTS, Mode::TargetPrimary).await;
    assert_eq!(kind(out.outbox().sending(&push, &creation(&push)).await), ErrorKind::Conflict);
    let take = fields(json!({"name": "theirs"}));
    let settlement = Settlement { take, ..Settlement::new(Settled::Pushed) };
    assert_eq!(kind(out.outbox().settle(&push, &settlement).await), ErrorKind::Conflict);
    assert_eq!(out.name(local_id).await.as_deref(), Some("lamp"), "nothing was written");
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert!(push.link.in_doubt_since.is_none());
    out.settle(&push, &settlement).await;
}

pub async fn a_settlement_whose_changes_have_ended_changes_nothing(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    let take = fields(json!({"name": "late"}));
    let late = Settlement { take, ..Settlement::new(Settled::Unchanged) };
    out.settle(&push, &late).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours"));
    assert_eq!(out.entries().await.pop().map(|entry| entry.status), Some(EntryStatus::Pushed));
}

pub async fn a_removal_that_the_source_won_is_undone(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    for (id, tombstone) in [("1", true), ("2", false)] {
        let read = |version: i64| {
            let record = RecordBuilder::new(&PRODUCTS, id).version(at(version));
            record.fields(json!({"name": "lamp"})).read(at(version * 10), at(version * 10 + 1))
        };
        applied(harness, &PRODUCT_SCHEMA, read(1)).await;
        let local_id = out.local_id(id).await;
        harness.delete_local(&PRODUCT_SCHEMA, local_id, tombstone).await;
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        let take = fields(json!({"deleted_at": null}));
        out.settle(&push, &Settlement { take, ..Settlement::new(Settled::Unchanged) }).await;
        applied(harness, &PRODUCT_SCHEMA, read(1)).await;
        assert_eq!(harness.column("products", id, "name").await.as_deref(), Some("lamp"));
        assert_eq!(harness.column("products", id, "deleted_at").await, None);
    }
}
