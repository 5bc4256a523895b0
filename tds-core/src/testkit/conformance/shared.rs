//! Cases of [`crate::limits::shared_state::SharedState`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::sync::Arc;

use super::harness::*;

pub async fn a_document_that_was_never_written_is_not_there(harness: &dyn Harness) {
    let document = harness.stores().shared.load("none").await.expect("load");
    assert_eq!((document.version, document.text), (0, None));
}

pub async fn a_document_is_what_was_written_last_and_has_another_version(harness: &dyn Harness) {
    let shared = &harness.stores().shared;
    let mut versions = vec![0];
    for text in [r#"{"n":1}"#, r#"{"n":2}"#] {
        let before = shared.load("one").await.expect("load");
        assert!(shared.swap("one", before.version, text).await.expect("swap"));
        let after = shared.load("one").await.expect("load");
        assert_eq!(after.text.as_deref(), Some(text));
        assert!(after.now >= before.now, "the store's clock advances");
        assert!(!versions.contains(&after.version), "{versions:?}");
        versions.push(after.version);
    }
    assert_eq!(shared.load("another").await.expect("load").version, 0);
}

pub async fn of_many_swaps_of_the_same_version_one_succeeds(harness: &dyn Harness) {
    for version_is_new in [true, false] {
        let version = harness.stores().shared.load("one").await.expect("load").version;
        assert_eq!(version == 0, version_is_new);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let shared = Arc::clone(&harness.stores().shared);
            tasks.spawn(async move {
                let text = number.to_string();
                shared.swap("one", version, &text).await.expect("swap").then_some(text)
            });
        }
        let winners: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
        let [winner] = &winners[..] else { panic!("{} have swapped version {version}", winners.len()) };
        assert_eq!(harness.stores().shared.load("one").await.expect("load").text.as_ref(), Some(winner));
    }
}
