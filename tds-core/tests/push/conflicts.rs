//! Changes of both sides that contradict each other.

use std::time::Duration;

use serde_json::json;
use tds_core::outbound::{ConflictPolicy, ConflictStatus, Mode, OutboxOperator as _, Resolution, Side, Take};

use crate::desk::Desk;

#[tokio::test]
async fn the_policy_decides_a_conflict_and_the_loser_is_kept() {
    let cases = [
        (ConflictPolicy::SourceWins, Side::Source),
        (ConflictPolicy::TargetWins, Side::Target),
        // The local change comes after the edit at the source.
        (ConflictPolicy::NewestWins, Side::Target),
    ];
    for (policy, winner) in cases {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.edit("1", json!({"notes": "theirs"}));
        desk.remote.clock.advance(Duration::from_secs(5));
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        let expected = if winner == Side::Source { json!("theirs") } else { json!("ours") };
        assert_eq!(
            (desk.here(id, "notes"), desk.there("1", "notes")),
            (expected.clone(), expected),
            "{policy}"
        );
        let conflict = desk.store.conflicts(None, None, None, 9).await.expect("conflicts").items.remove(0);
        assert_eq!(conflict.status, ConflictStatus::Resolved, "{policy}");
        let field = &conflict.fields[0];
        assert_eq!((field.field.as_str(), field.winner), ("notes", Some(winner)), "{policy}");
        let versions = (&field.base, &field.target, &field.source);
        assert_eq!(versions, (&json!("old"), &json!("ours"), &json!("theirs")), "{policy}");
    }
}

#[tokio::test]
async fn a_conflict_waits_for_a_person_and_both_sides_keep_their_values() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    for (take, expected) in [(Take::Source, "theirs"), (Take::Target, "ours"), (Take::Merge, "both")] {
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.edit("1", json!({"notes": "theirs"}));
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        // A read in the meantime does not overwrite what is parked.
        desk.pull().await;
        assert_eq!((desk.here(id, "notes"), desk.there("1", "notes")), (json!("ours"), json!("theirs")));
        let open = desk.store.conflicts(Some(ConflictStatus::Open), None, None, 9).await.expect("conflicts");
        assert_eq!(open.items.len(), 1, "{take}");
        let named = if take == Take::Merge { vec![("notes".to_owned(), json!("both"))] } else { Vec::new() };
        let resolution = Resolution { take, fields: named.into_iter().collect(), by: "operator".to_owned() };
        desk.store.resolve(open.items[0].id, &resolution).await.expect("resolved");
        desk.rest().await;
        let both = (desk.here(id, "notes"), desk.there("1", "notes"));
        assert_eq!(both, (json!(expected), json!(expected)), "{take}");
        assert_eq!(desk.store.open_conflicts().await.expect("a number"), 0);
    }
}
