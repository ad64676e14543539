//! The suite that every store passes: tests for each promise of [`crate::store::Store`].
//!
//! Knows no store. A store's tests call [`store_contract`] with a function that makes a [`TestStore`]; wall time and the
//! clock of the leases are moved by the suite, so that nothing sleeps.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod audit;
pub mod changing;
pub mod claiming;
pub mod completing;
pub mod concurrency;
pub mod direct;
pub mod dispatch;
pub mod entries;
pub mod figures;
pub mod last_runs;
pub mod moves;
pub mod processes;
pub mod random_walk;
pub mod reading;
pub mod recurring;
pub mod registrations;
pub mod retention;
pub mod retiming;
pub mod run_location;
pub mod steps;
pub mod test_support;
pub mod texts;
pub mod uniqueness;
pub mod webhooks;

pub use test_support::TestStore;

/// Reports that a test of a store was skipped.
pub fn report_skipped(test: &str) {
    crate::testing::skipped::skipped(
        test,
        "neither DUCTAPE_TEST_POSTGRES nor, for a pooler, DUCTAPE_TEST_PGBOUNCER names its server",
    );
}

/// Makes every test of the suite for the store that the async function `$make` opens.
macro_rules! store_contract {
    ($make:path) => {
        $crate::store::contract::store_contract!(@tests $make, dispatch: {
            a_new_job_that_is_due_is_queued,
            a_new_job_that_is_due_later_is_scheduled,
            existing_id_returns_the_existing_job,
            existing_id_is_a_conflict_on_request,
            a_waiting_job_is_replaced_by_a_new_dispatch,
            ended_job_is_reopened_with_a_new_run,
            job_waiting_for_a_retry_restarts_when_replaced,
            a_running_job_is_not_replaced,
            one_off_and_series_cannot_replace_each_other,
            one_conflict_among_all_or_nothing_writes_nothing,
            conflict_without_all_or_nothing_affects_only_its_job,
            duplicates_in_one_batch_behave_as_if_dispatched_in_turn,
            batch_insert_equals_single_inserts,
            resent_dispatch_is_written_once,
            insert_notifies_watchers,
        });
        $crate::store::contract::store_contract!(@tests $make, direct: {
            a_job_that_is_claimed_with_its_insert_is_no_news,
            what_a_claim_leaves_of_its_insert_is_news,
            the_best_that_waits_is_claimed_with_an_insert,
            a_closed_store_refuses_an_insert_that_nobody_waits_for,
        });
        $crate::store::contract::store_contract!(@tests $make, claiming: {
            claims_come_by_priority_then_due_time_then_dispatch,
            a_claim_takes_no_more_than_its_slots,
            claims_are_bounded_by_the_bytes_of_their_inputs,
            group_without_slots_claims_nothing,
            unserved_route_is_not_claimed,
            job_scheduled_by_day_runs_on_its_day,
            a_claim_without_slots_only_moves_what_is_due,
            claim_reports_the_next_due_time,
            more_than_a_thousand_due_jobs_are_moved_in_several_claims,
            a_claim_reports_the_newest_route,
            a_process_that_is_not_registered_claims_nothing,
            many_routes_are_merged_into_one_order,
            due_runs_are_counted_by_route,
        });
        $crate::store::contract::store_contract!(@tests $make, completing: {
            a_completed_run_ends_its_job,
            a_failed_run_ends_its_job,
            a_retry_waits_and_runs_as_the_next_attempt,
            a_snooze_spends_no_attempt,
            a_released_run_keeps_its_attempt,
            a_completion_with_a_wrong_token_is_refused,
            a_completion_counts_once,
            a_cancelled_job_never_runs,
            running_job_is_cancelled_and_its_completion_refused,
            cancelled_run_is_not_requeued,
            an_ended_job_cannot_be_cancelled,
            missing_job_cannot_be_cancelled,
        });
        $crate::store::contract::store_contract!(@tests $make, recurring: {
            an_occurrence_becomes_a_run_and_the_series_moves_on,
            an_advance_from_an_old_version_does_nothing,
            a_late_run_says_how_late_it_may_be,
            an_identical_series_without_a_chosen_id_is_reported,
            deferred_occurrence_waits_for_the_live_run,
            a_run_that_was_taken_back_leaves_its_occurrence_to_its_series,
            an_interrupted_run_does_not_wait_for_its_occurrence_any_more,
            a_series_ends_with_its_last_run,
            series_without_future_occurrences_completes_at_once,
            a_failed_run_does_not_end_its_series,
            a_replaced_series_keeps_its_counts_and_history,
            a_replaced_series_moves_its_live_runs_to_the_new_route,
            ended_series_is_reopened,
            replacement_with_exhausted_limit_ends_the_series,
            cancelling_a_series_ends_all_its_runs,
            overlapping_runs_determine_the_series_state,
            adjacent_gaps_are_merged,
            gaps_on_both_sides_of_a_run_stay_apart,
            gaps_around_an_occurrence_that_is_undecided_stay_apart,
            catch_up_run_reports_missed_occurrences,
        });
        $crate::store::contract::store_contract!(@tests $make, moves: {
            a_replaced_series_moves_as_the_caller_computes_it,
            a_series_without_a_next_point_tells_its_last_one,
            attempts_of_a_series_are_told_until_their_process_was_last_seen,
            series_that_are_passed_over_are_left_out,
            a_claim_with_a_planner_brings_the_run_that_fell_due,
            recorded_gaps_can_be_cut_off,
            a_gap_does_not_go_on_behind_what_was_settled,
            a_series_makes_runs_on_request,
            all_series_that_go_on_are_told_in_order_paused_ones_too,
            a_run_that_a_pause_makes_is_paused,
        });
        $crate::store::contract::store_contract!(@tests $make, changing: {
            a_paused_job_waits_until_it_is_resumed,
            a_job_that_waits_for_a_retry_is_paused_with_its_attempts,
            a_change_is_refused_where_the_state_forbids_it,
            a_retry_that_was_put_off_waits_on_after_a_pause,
            paused_series_finishes_its_live_run_and_starts_no_other,
            waiting_run_is_paused_with_its_series,
            resumed_series_without_future_occurrences_ends,
            a_paused_series_stays_paused_when_it_is_replaced,
            a_failed_job_runs_again_as_its_next_run,
            a_cancelled_job_runs_again_on_request,
            a_series_runs_its_last_failed_run_again,
            completed_series_is_reopened_to_retry_its_failed_run,
            waiting_job_is_rescheduled,
            a_paused_job_stays_paused_at_its_new_time,
            series_is_rescheduled_during_a_run,
            a_schedule_of_the_other_kind_is_refused,
            a_cancelled_run_does_not_end_its_series,
            a_deleted_job_leaves_nothing_behind,
            series_with_a_running_run_is_not_deleted,
            bulk_change_skips_forbidden_jobs,
            jobs_are_found_by_all_of_their_tags,
        });
        $crate::store::contract::store_contract!(@tests $make, processes: {
            a_crashed_run_is_reclaimed_after_its_lease,
            a_renewed_lease_protects_its_runs,
            a_run_that_crashes_too_often_fails,
            a_crash_spends_no_retry,
            a_process_that_ends_hands_back_its_runs,
            a_process_that_ends_by_a_failure_crashes_its_runs,
            instance_ids_are_never_reused,
            claims_of_an_instance_are_listed,
            only_runs_that_were_executed_crash_with_their_process,
            runs_that_crashed_often_are_claimed_alone,
            a_run_that_runs_alone_waits_for_its_key_and_holds_nobody_up,
            a_run_that_runs_alone_can_be_changed_like_any_other,
            many_runs_of_a_dead_process_are_all_taken_back,
            a_closed_store_refuses_every_verb,
        });
        $crate::store::contract::store_contract!(@tests $make, registrations: {
            registered_processes_are_listed_with_where_they_run_and_what_they_hold,
            a_process_that_does_not_renew_its_lease_is_told_as_silent,
        });
        $crate::store::contract::store_contract!(@tests $make, reading: {
            record_shows_the_current_state,
            missing_job_has_no_record,
            pages_are_newest_first_and_follow_their_cursor,
            note_on_a_job_that_had_the_number_before_is_dropped,
            pages_are_filtered_by_state,
            pages_are_filtered_by_route,
            pages_are_filtered_by_kind_and_time,
            a_rare_state_is_found_among_many_jobs,
            pages_of_a_rare_state_follow_their_cursor,
            a_common_state_is_found_behind_thousands_of_newer_jobs,
            offset_skips_matching_jobs,
            totals_are_counted_up_to_a_bound,
            stats_count_jobs_by_state_and_runs_by_outcome,
            history_lists_attempts_newest_first,
            history_is_read_page_by_page,
            history_page_of_large_results_is_bounded_by_their_bytes,
            routes_are_numbered_once,
        });
        $crate::store::contract::store_contract!(@tests $make, retention: {
            ended_jobs_are_deleted_after_their_time,
            more_ended_jobs_than_are_kept_are_deleted_oldest_first,
            a_sweep_is_bounded,
            history_of_a_series_is_trimmed_by_count_and_age,
            history_of_a_live_run_is_kept,
        });
        $crate::store::contract::store_contract!(@tests $make, retiming: {
            a_retry_set_by_a_clock_that_was_ahead_is_brought_forward,
            a_correction_of_unknown_size_counts_the_wait_from_now_on,
            a_wait_after_crashes_found_by_a_clock_that_was_ahead_is_brought_forward,
            runs_of_series_that_were_paused_when_the_clock_was_put_back_are_not_in_its_way,
            snoozed_runs_and_runs_of_series_are_brought_forward_to_be_due_at_once,
            what_was_set_by_a_right_clock_stays,
            more_than_one_step_of_waiting_runs_is_brought_forward,
        });
        $crate::store::contract::store_contract!(@tests $make, last_runs: {
            failures_in_a_row_are_shown_and_found,
        });
        $crate::store::contract::store_contract!(@tests $make, figures: {
            figures_of_several_processes_are_added_up_by_minute_and_by_hour,
            figures_added_at_the_same_time_are_all_counted,
            old_figures_are_deleted,
        });
        $crate::store::contract::store_contract!(@tests $make, audit: {
            entries_of_the_audit_log_are_told_newest_first,
            only_the_newest_entries_of_the_audit_log_are_kept,
        });
        $crate::store::contract::store_contract!(@tests $make, entries: {
            entry_exists_until_it_expires,
            put_replaces_an_existing_entry,
            entry_is_taken_exactly_once,
            entries_of_a_space_are_cleared_together,
            expired_and_excess_entries_are_swept,
        });
        $crate::store::contract::store_contract!(@tests $make, run_location: {
            missing_job_has_no_location,
            run_position_follows_its_lifecycle,
            series_is_idle_between_runs,
            runs_before_a_ready_one_are_counted_up_to_a_bound,
        });
        $crate::store::contract::store_contract!(@tests $make, concurrency: {
            concurrency_limit_bounds_running_runs,
            runs_behind_a_full_key_do_not_delay_others,
            runs_of_a_key_start_by_priority_then_due_time,
            concurrency_key_belongs_to_one_product_and_environment,
            free_slot_goes_to_a_served_route,
            raised_limit_lets_more_runs_start,
            greatly_raised_limit_is_fully_used,
            a_lowered_limit_takes_effect_as_runs_end,
            every_end_of_a_run_frees_its_slot,
            lost_claim_does_not_free_a_second_slot,
            a_retry_waits_for_its_key_as_well,
            runs_of_a_series_obey_its_key,
            blocked_run_is_shown_as_queued,
            blocked_run_can_be_changed_like_a_waiting_run,
            removed_unblocked_run_unblocks_the_next,
            a_replaced_job_waits_for_its_new_key,
            running_run_keeps_its_old_key_when_its_series_is_replaced,
            unused_key_is_deleted,
            unblocked_run_notifies_watchers,
        });
        $crate::store::contract::store_contract!(@tests $make, uniqueness: {
            unique_key_blocks_duplicates_until_the_job_ends,
            a_unique_key_belongs_to_its_route,
            period_keeps_the_key_of_an_ended_job,
            a_period_outlives_the_job_that_retention_deletes,
            duplicates_by_unique_key_in_one_batch_make_one_job,
            rolled_back_batch_leaves_no_keys,
            id_is_checked_before_unique_key,
            a_replaced_job_has_the_unique_key_of_the_last_dispatch,
            a_replaced_job_counts_its_period_from_then_on,
            a_deleted_job_frees_its_unique_key,
            a_cancelled_job_frees_its_unique_key_after_its_period,
            retried_job_reacquires_its_unique_key_if_free,
            a_series_keeps_its_unique_key_between_its_runs,
            a_paused_job_keeps_its_unique_key,
        });
        $crate::store::contract::store_contract!(@tests $make, steps: {
            steps_come_in_the_order_in_which_they_were_finished,
            recording_a_step_again_keeps_the_first_result,
            steps_are_available_to_later_attempts,
            steps_survive_the_death_of_their_process,
            step_requires_a_valid_claim,
            steps_of_a_run_are_bounded,
            completed_run_deletes_its_steps,
            retried_failed_run_has_its_steps,
            retried_run_without_steps_knows_its_earlier_number,
            a_series_runs_its_last_failed_run_again_with_its_steps,
            runs_of_a_series_have_steps_of_their_own,
            undone_steps_are_deleted,
            a_replaced_one_off_begins_without_steps,
            a_replaced_series_keeps_the_steps_of_its_live_runs,
            a_failed_run_keeps_its_steps_as_long_as_one_of_its_attempts_is_kept,
            deleted_job_deletes_its_steps,
        });
        $crate::store::contract::store_contract!(@tests $make, webhooks: {
            a_webhook_is_kept_with_its_secret,
            a_webhook_that_is_set_again_keeps_its_id,
            webhooks_beyond_the_limit_are_refused,
            a_webhook_is_deleted_by_its_id_or_url,
            without_a_webhook_nothing_is_written_to_the_outbox,
            each_subscribed_change_is_one_event,
            changes_without_effect_leave_no_event,
            the_runs_of_a_series_are_events_and_its_occurrences_are_not,
            a_run_that_crashed_too_often_is_an_event,
            a_relayed_event_leaves_the_outbox_for_its_deliveries,
            deliveries_raise_no_events_and_leave_nothing_behind,
            delivery_results_are_recorded,
            gone_webhook_receives_nothing_until_set_again,
            an_event_outlives_its_job,
        });
        $crate::store::contract::store_contract!(@tests $make, texts: {
            texts_of_every_column_are_read_row_by_row,
            text_is_replaced_only_while_it_is_what_was_read,
            texts_that_begin_with_what_is_excepted_are_passed_over,
            page_of_large_texts_is_bounded_by_their_bytes,
            replaced_input_with_a_digest_identifies_its_series,
        });
        $crate::store::contract::store_contract!(@tests $make, random_walk: {
            random_walk_matches_the_model,
        });
    };
    (@tests $make:path, $part:ident: { $($name:ident,)* }) => {
        mod $part {
            $(
                #[tokio::test]
                async fn $name() {
                    // `None` when no server is configured.
                    let Some(test_store) = Option::<crate::store::contract::TestStore>::from($make().await) else {
                        return crate::store::contract::report_skipped(concat!(stringify!($part), "::", stringify!($name)));
                    };
                    crate::store::contract::$part::$name(&test_store).await;
                    test_store.check().await;
                }
            )*
        }
    };
}
pub(crate) use store_contract;
