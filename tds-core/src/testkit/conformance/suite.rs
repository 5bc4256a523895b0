//! The list of all cases, as tests and as values.

use std::pin::Pin;

use super::{
    Harness, budget, costs, derived, history, inbox, lists, mirror, operator, outbound, privacy, queue,
    races, renewal, run, schedule, settle, shared, sweep, verify,
};

/// Creates one test for each conformance case. The macro takes the name of an async function in scope that creates
/// a fresh [`Harness`].
#[macro_export]
macro_rules! conformance {
    ($make:ident) => {
        $crate::conformance_list!(conformance_topic, $make);
    };
}

/// A conformance case: a sentence of the contract that a store must fulfil.
#[derive(Clone, Copy)]
pub struct Case {
    /// The subject of the case, which is mostly a trait.
    pub topic: &'static str,
    /// The sentence.
    pub name: &'static str,
    run: Run,
}

/// The function of a case.
type Run = for<'a> fn(&'a dyn Harness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Case {
    /// Runs the case on a fresh store.
    ///
    /// # Panics
    /// Panics if the store does not fulfil the sentence.
    pub async fn run(&self, harness: &dyn Harness) {
        (self.run)(harness).await;
    }
}

/// Returns every case, for callers that need more than one test for each case.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    crate::conformance_list!(conformance_values, cases);
    cases
}

/// Passes the list of cases to another macro, topic by topic.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_list {
    ($each:ident, $make:ident) => {
        $crate::$each!($make, inbox:
            an_accepted_event_and_its_work_are_there_when_accept_returns,
            a_delivery_that_is_there_already_changes_nothing_and_queues_nothing,
            a_delivery_that_comes_back_after_another_of_its_record_is_read_again,
            a_delivery_about_several_records_that_comes_back_reads_those_that_others_were_about,
            one_delivery_accepted_many_times_at_once_is_stored_once,
            the_body_is_kept_byte_for_byte_with_its_headers,
            an_ignored_event_is_completed_and_queues_nothing,
            an_event_that_was_not_understood_is_failed_with_the_reason,
            an_event_gets_the_outcome_of_its_item,
            events_folded_into_a_newer_one_are_superseded,
            an_event_of_several_records_ends_with_its_last_item,
            an_event_whose_item_became_a_dead_letter_is_failed_with_the_error,
            an_event_is_processed_only_with_its_own_work,
            an_event_is_processing_while_a_claim_that_is_held_shows_its_work,
            a_replayed_event_is_pending_again_and_follows_its_items,
            pages_of_events_come_newest_first_and_show_each_event_once,
            the_search_for_events_takes_its_text_literally_and_without_regard_to_case,
            inbox_stats_count_by_status_and_entity_type,
        );
        $crate::$each!($make, queue:
            at_most_one_live_item_per_record_exists,
            fold_in_the_store_equals_the_pure_function,
            a_recheck_is_asked_for_whichever_work_came_first,
            a_folded_item_takes_the_more_urgent_lane,
            an_item_is_claimed_by_one_worker_at_a_time,
            concurrent_claims_never_share_an_item,
            more_urgent_lanes_are_claimed_first,
            within_a_lane_what_is_due_longest_is_claimed_first,
            a_claim_takes_only_lanes_as_urgent_as_asked_for_and_no_more_than_the_limit,
            tokens_grow_with_every_claim,
            an_expired_lease_makes_the_item_claimable_and_costs_no_attempt,
            leases_lost_in_a_row_are_counted_until_any_settling,
            an_item_that_lost_ten_leases_in_a_row_is_claimed_alone,
            more_urgent_work_makes_a_waiting_item_due_now,
            work_that_is_no_more_urgent_leaves_a_waiting_item_where_it_is,
            more_urgent_work_that_arrives_during_a_claim_does_not_sit_out_its_delay,
            claims_that_are_held_are_distinguished_from_those_that_were_lost,
            settling_with_an_old_token_changes_nothing,
            a_claim_is_settled_once,
            a_renewed_lease_keeps_the_item,
            a_lost_lease_is_missing_from_the_renewed_ones,
            nothing_of_a_paused_entity_type_is_claimed,
            waiting_for_work_ends_with_the_timeout,
            one_call_may_queue_work_for_the_same_record_of_two_entity_types,
            outbound_work_is_one_item_for_each_local_record,
            work_of_one_id_in_both_directions_is_two_items,
        );
        $crate::$each!($make, settle:
            a_completed_item_goes_to_the_archive_under_its_id,
            work_that_arrives_meanwhile_makes_the_item_pending_again,
            a_fetch_that_is_asked_for_while_another_is_under_way_is_not_lost,
            a_recheck_that_is_asked_for_meanwhile_makes_the_item_pending_again_once,
            work_that_arrives_during_a_failing_attempt_is_tried_at_once,
            a_retry_waits_for_its_delay_and_spends_an_attempt,
            a_release_spends_no_attempt,
            a_release_waits_for_its_delay,
            a_release_that_asks_for_a_fetch_drops_the_payload,
            a_dead_letter_is_kept_and_does_not_block_newer_work_of_its_record,
            a_redirected_item_moves_with_its_event_to_the_other_entity_type,
            a_redirected_item_keeps_its_direction,
            settlements_of_one_call_are_judged_one_by_one,
            an_item_redirected_to_its_own_entity_type_stays_and_asks_the_source,
            an_item_that_ends_well_after_failures_shows_no_error,
        );
        $crate::$each!($make, races:
            every_event_ends_however_deliveries_of_a_record_meet_its_settling,
            every_run_ends_however_its_pages_are_overtaken_by_deliveries,
        );
        $crate::$each!($make, operator:
            pages_of_items_come_newest_first_and_show_each_item_once,
            filters_select_items_and_take_their_text_literally,
            one_item_is_shown_with_its_payload_and_its_attempts,
            a_retried_dead_letter_is_due_with_its_attempts_counted_anew,
            a_waiting_retry_can_be_made_due,
            a_dead_letter_retried_beside_newer_work_makes_no_second_live_item,
            dead_letters_of_a_record_are_retried_as_its_newest_one,
            the_event_of_a_dead_letter_whose_payload_is_the_newest_gets_the_outcome,
            a_retried_dead_letter_passes_its_recheck_on,
            dead_letters_are_resolved_and_retried_in_their_own_direction,
            outbound_items_show_the_local_id_and_are_found_by_it,
            a_later_success_of_the_record_resolves_its_older_dead_letters,
            a_discarded_item_ends_with_its_error_kept,
            waiting_items_can_be_discarded_and_claimed_items_are_left_alone,
            stats_count_items_by_status_and_entity_type,
            deferred_items_are_counted_with_their_age_and_the_most_frequent_reason,
            items_of_a_paused_entity_type_count_as_deferred_too,
            items_that_a_dead_process_had_claimed_count_as_waiting,
            everything_that_needs_an_operator_is_counted,
            deletions_that_the_newest_full_list_holds_back_need_an_operator,
            blanking_empties_the_bodies_of_what_ended_and_keeps_the_events,
            pruning_deletes_what_ended_and_dead_letters_only_where_asked,
        );
        $crate::$each!($make, run:
            at_most_one_run_of_an_entity_type_is_active,
            a_run_is_leased_to_one_process_at_a_time,
            a_command_takes_only_the_runs_that_it_was_asked_for,
            a_command_takes_only_items_that_its_runs_wait_for,
            a_process_with_a_closed_gate_claims_only_items_that_carry_a_payload,
            a_run_whose_lease_ran_out_is_taken_over_at_its_last_committed_page,
            every_write_of_a_listing_proves_the_lease,
            a_run_that_is_given_back_can_be_taken_at_once,
            a_page_is_committed_with_its_items_counts_and_checkpoint,
            a_run_ends_when_its_list_was_read_and_every_listed_record_has_ended,
            a_run_that_finds_nothing_to_do_ends_with_its_last_page,
            a_record_that_is_listed_twice_counts_once,
            work_of_a_run_that_is_folded_into_a_waiting_item_counts_too,
            a_run_that_lists_an_older_version_of_a_claimed_item_is_notified_of_its_end,
            a_run_with_dead_letters_ends_completed_with_errors,
            the_cursor_moves_to_the_end_of_the_window_when_a_run_ends,
            the_cursor_does_not_pass_a_record_that_did_not_end_well,
            a_record_that_every_run_lists_in_vain_is_one_dead_letter_and_holds_the_cursor,
            a_run_with_a_later_beginning_leaves_the_cursor_where_changes_are_unread,
            a_run_with_a_selection_keeps_it_and_says_nothing_about_the_whole_list,
            a_cancelled_run_takes_no_more_pages_and_keeps_what_was_done,
            a_failed_or_cancelled_run_goes_on_at_its_checkpoint_under_its_id,
            cancelling_takes_out_what_only_the_run_wanted_even_if_it_is_claimed,
            cancelling_leaves_items_that_an_event_waits_for_too,
            cancelling_leaves_items_that_an_operator_asked_for_too,
            cancelling_takes_out_what_an_operator_asked_for_before_the_run_asked_again,
            cancelling_takes_out_what_only_an_ended_event_and_the_run_wanted,
            a_resumed_run_gets_back_everything_that_cancelling_took_out,
            progress_is_measured_against_the_last_run_of_the_kind_that_read_its_list_to_the_end,
            a_commit_says_how_many_records_the_run_has_listed,
            runs_are_listed_newest_first,
        );
        $crate::$each!($make, costs:
            a_plan_is_kept_with_its_run_and_the_last_one_counts,
            calls_count_in_the_newest_run_of_their_kind_and_entity_type,
            calls_for_each_record_leave_out_what_the_list_showed_unchanged,
        );
        $crate::$each!($make, lists:
            what_is_known_of_a_list_is_kept_for_its_entity_type,
            the_length_of_the_last_full_list_is_known_once_its_run_has_ended,
            a_resumed_run_knows_that_an_operator_resumed_it,
        );
        $crate::$each!($make, sweep:
            missing_records_are_those_that_were_neither_listed_nor_read_since_the_run_began,
            held_deletions_end_the_run_with_errors_and_wait_for_an_operator,
            failed_records_without_items_end_the_run_with_errors,
            held_deletions_are_not_released_beside_an_active_run,
            the_findings_of_the_sweep_are_committed_as_one_more_page,
            a_page_that_was_committed_before_changes_nothing,
            a_record_on_its_way_that_is_listed_again_is_waited_for,
            a_record_that_is_listed_again_and_then_fails_counts_as_failed,
        );
        $crate::$each!($make, schedule:
            one_process_leads_at_a_time,
            leadership_ends_with_its_lease,
            only_the_leader_itself_can_resign,
            a_schedule_is_due_one_period_after_it_was_first_seen_and_then_once_a_period,
        );
        $crate::$each!($make, shared:
            a_document_that_was_never_written_is_not_there,
            a_document_is_what_was_written_last_and_has_another_version,
            of_many_swaps_of_the_same_version_one_succeeds,
        );
        $crate::$each!($make, budget:
            a_minute_gives_no_more_permits_than_its_ceiling,
            holders_that_ask_at_once_get_no_more_than_the_ceiling,
            a_permit_that_was_given_back_makes_room_and_one_whose_call_ended_does_not,
            reporting_twice_what_became_of_a_permit_changes_nothing,
            urgent_lanes_find_room_that_the_others_leave,
            lanes_that_can_wait_are_spread_over_the_minute,
            all_holders_together_have_no_more_calls_in_flight_than_allowed_and_a_new_one_finds_a_place,
            a_refusal_pauses_every_holder_and_an_earlier_call_does_not_end_the_pause,
            a_spent_day_stops_all_lanes_but_the_operators,
            a_quota_that_the_source_reports_takes_effect,
            reading_the_status_changes_nothing,
            statistics_of_calls_add_up,
        );
        $crate::$each!($make, renewal:
            one_process_renews_at_a_time,
            a_renewal_whose_holder_died_is_begun_again,
            a_stored_credential_is_found_by_all_who_share_it,
            a_rejected_credential_is_renewed_once,
            no_more_renewals_are_begun_than_the_rule_allows,
            renewals_that_made_no_credential_do_not_count,
            a_cooldown_keeps_every_process_from_renewing_until_it_ends,
        );
        $crate::$each!($make, history:
            every_decision_is_in_the_history_of_its_record_with_what_changed,
            deliveries_and_what_operators_did_are_in_the_history,
        );
        $crate::$each!($make, derived:
            a_change_moves_what_the_record_named_before_and_names_now,
            reads_that_follow_wait_for_their_slot_and_for_nothing_else,
            a_derived_read_without_a_change_is_repeated_later,
            a_read_that_follows_stays_when_a_run_that_listed_the_record_too_is_cancelled,
        );
        $crate::$each!($make, mirror:
            a_new_record_is_written_and_its_state_is_known,
            a_newer_read_is_written_and_an_older_one_is_not,
            the_same_content_again_is_unchanged_and_moves_the_time_of_the_observation,
            a_newer_version_that_shows_nothing_new_is_unchanged,
            other_content_of_an_equal_version_is_decided_by_the_time_of_the_observation,
            a_source_that_goes_back_is_believed_when_a_second_read_confirms_it,
            columns_that_a_read_does_not_show_keep_their_values,
            money_keeps_its_digits,
            volatile_columns_change_without_a_new_version,
            a_deletion_is_a_tombstone_that_only_a_later_read_lifts,
            a_deletion_seen_before_the_accepted_read_is_stale,
            children_are_replaced_as_a_set_and_stay_where_a_read_does_not_show_them,
            a_set_that_shrinks_much_is_believed_when_a_read_that_began_later_shows_it_too,
            a_record_that_cannot_be_written_fails_alone,
            the_hash_of_the_list_row_is_kept_with_the_detail_that_it_caused,
            a_list_row_of_a_version_that_is_known_whole_changes_volatile_columns_only,
            a_whole_record_mends_what_somebody_else_changed,
            rows_that_differ_from_their_list_row_are_found,
            a_pushed_body_with_other_volatile_values_is_read_again,
        );
        $crate::$each!($make, outbound:
            a_change_is_captured_with_the_columns_and_child_tables_that_changed,
            a_write_that_changes_nothing_is_not_captured,
            changes_are_captured_in_every_mode_but_source_primary,
            writes_of_the_engine_are_not_captured,
            a_change_that_was_rolled_back_is_not_in_the_outbox,
            a_removal_is_captured_whether_the_row_stays_as_a_tombstone_or_not,
            a_change_of_a_tombstone_is_not_captured,
            each_record_with_captured_changes_gets_one_item,
            a_relay_takes_no_more_changes_than_asked_for,
            changes_of_a_record_with_an_item_are_folded_into_it,
            a_push_has_everything_that_is_pending_of_its_record,
            a_push_of_a_document_has_its_child_rows,
            nothing_is_loaded_of_a_record_without_pending_changes,
            a_record_keeps_the_key_of_its_first_load,
            a_record_whose_row_is_gone_or_a_tombstone_is_removed,
            references_are_resolved_as_soon_as_the_id_is_known,
            a_create_is_in_doubt_until_it_is_linked_or_refused,
            a_linked_record_is_the_record_of_the_source,
            the_lines_of_a_linked_document_belong_to_it,
            a_local_record_never_gets_another_id,
            a_row_that_the_mirror_got_meanwhile_gives_way_to_the_local_row,
            unknown_records_are_put_off_while_a_create_is_in_doubt,
            columns_with_pending_changes_are_kept_when_the_record_is_read,
            child_tables_with_pending_changes_are_kept_when_the_record_is_read,
            a_removed_row_does_not_come_back_while_its_removal_is_pending,
            the_first_write_over_pending_changes_keeps_the_base,
            what_no_change_is_about_has_the_newest_read_as_its_base,
            a_deletion_at_the_source_waits_for_pending_changes,
            the_versions_of_the_source_win_in_shadow,
            only_volatile_columns_of_known_records_are_written_in_target_primary,
            a_settled_change_has_its_end_and_is_no_longer_pending,
            a_change_that_was_captured_during_a_push_stays_pending,
            what_was_sent_is_known_until_both_sides_agree,
            what_a_decided_conflict_lost_is_kept_before_the_write_and_once,
            what_the_source_won_is_written,
            a_field_that_was_changed_during_the_push_keeps_its_value_and_its_base,
            a_settlement_by_a_record_that_is_not_the_newest_is_refused,
            a_settlement_of_an_earlier_epoch_is_refused,
            a_settlement_whose_changes_have_ended_changes_nothing,
            a_removal_that_the_source_won_is_undone,
            a_parked_change_stays_pending_in_that_state,
            a_record_has_at_most_one_open_conflict,
            a_conflict_that_a_policy_decided_keeps_what_lost,
            a_decision_makes_the_parked_changes_pending_and_enqueues_their_push,
            a_value_of_a_person_is_written_and_wins,
            a_decision_does_not_hold_for_a_field_that_the_target_changed_again,
            decisions_that_do_not_fit_are_refused,
            conflicts_are_listed_newest_first_and_each_once,
            a_mode_that_was_set_is_kept_and_begins_a_new_epoch,
            a_change_that_is_based_on_another_epoch_is_refused,
            a_mode_that_pushes_nothing_is_refused_while_changes_are_pending,
            changes_that_are_pending_or_parked_are_counted,
            entries_come_newest_first_and_filters_select_them,
            an_entry_shows_the_item_of_its_push,
            a_push_that_an_operator_discards_discards_its_changes,
        );
        $crate::$each!($make, privacy:
            an_erased_record_keeps_no_value_and_its_reads_are_ignored_until_it_may_return,
            a_person_whose_record_is_not_stored_is_erased_from_what_names_it,
            an_erased_record_does_not_return_under_another_entity_type_that_shows_it,
            a_document_of_an_erased_person_says_no_more_who_the_person_is,
            what_names_an_erased_record_is_emptied_and_a_longer_id_is_another_record,
            bodies_that_name_an_erased_person_are_blanked_although_no_read_names_the_person,
            what_a_look_saw_before_an_erasure_is_stored_after_it_without_the_person,
            a_conflict_of_a_document_stays_without_the_person_and_a_push_on_its_way_is_refused,
        );
        $crate::$each!($make, verify:
            every_live_record_is_on_one_page_in_the_order_of_ids,
            a_local_record_tells_what_the_source_sent_and_what_the_run_saw,
            a_record_without_a_head_row_is_live_as_long_as_it_has_child_rows,
            work_that_has_not_ended_and_dead_letters_are_in_work,
            a_record_is_a_suspect_of_a_run_once_and_stays_decided,
            suspects_with_the_fewest_looks_come_first,
            a_look_that_is_stored_twice_counts_once,
            records_that_cannot_be_read_are_in_flight_and_say_why,
            the_sample_of_a_run_is_the_same_each_time_and_has_listed_records_only,
            a_report_says_what_was_compared_and_found,
            a_verification_is_unfinished_until_it_was_completed,
            the_history_and_the_current_reports_are_of_ended_runs,
            the_item_of_a_later_page_is_waited_for_although_its_record_was_listed_before,
        );
    };
}

/// Creates one test for each case of a topic. [`crate::conformance!`] uses this macro.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_topic {
    ($make:ident, $topic:ident: $($case:ident,)+) => {
        mod $topic {
            $(
                #[tokio::test]
                async fn $case() {
                    let harness = super::$make().await;
                    $crate::testkit::conformance::$topic::$case(&harness).await;
                }
            )+
        }
    };
}

/// Adds the cases of a topic to a vector. [`cases`] uses this macro.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_values {
    ($cases:ident, $topic:ident: $($case:ident,)+) => {
        $cases.extend([
            $($crate::testkit::conformance::Case {
                topic: stringify!($topic),
                name: stringify!($case),
                run: |harness| Box::pin($topic::$case(harness)),
            },)+
        ]);
    };
}
