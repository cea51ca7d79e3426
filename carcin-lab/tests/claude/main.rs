//! The scripted `claude` against the recordings of the real one, and the real one against the same cases.
//!
//! The real one needs `CARCIN_REAL_CLAUDE`, the path of Claude Code in the version of `corpus/claude/VERSION`; it talks to the model stand-in.

mod driver;
mod life;
mod turns;

use anyhow::{Result, ensure};
use driver::{corpus, kinds};

/// Declares each case as a test of the scripted and of the real `claude`.
macro_rules! on_both {
    ($($file:ident: $($case:ident),* ;)*) => {
        mod scripted {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $case() -> anyhow::Result<()> {
                crate::$file::$case(crate::driver::Which::Scripted).await
            })*)*
        }
        mod real {
            $($(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs the real Claude Code CLI: set CARCIN_REAL_CLAUDE"]
            async fn $case() -> anyhow::Result<()> {
                crate::$file::$case(crate::driver::Which::Real).await
            })*)*
        }
    };
}

on_both![
    turns:
    a_plain_turn,
    a_tool_runs_when_allowed,
    a_denial_reaches_claude,
    several_requests_are_open_at_once,
    an_interrupt_ends_the_stream_and_leaves_it_warm,
    an_interrupt_ends_a_tool,
    an_interrupt_withdraws_an_open_request,
    an_interrupt_cancels_what_is_queued,
    what_is_sent_meanwhile_joins_the_turn,
    what_waits_is_joined_into_one_turn,
    a_question_brings_its_answers_back,
    a_plan_is_approved,
    a_form_and_a_link_bring_back_what_the_user_did,
    an_interrupt_withdraws_a_form,
    pictures_are_seen,
    a_subagent_runs_tools_of_its_own,
    an_overloaded_api_is_asked_again,
    a_cut_stream_goes_on,
    an_open_request_is_told_to_whoever_initializes,
    background_work_begins_a_turn,
    a_gate_holds_the_answer;
    life:
    a_resumed_session_goes_on,
    an_unknown_session_is_refused,
    a_session_id_in_use_is_refused,
    a_uuid_runs_once,
    control_requests_are_answered,
    a_line_that_is_not_json_ends_it,
    sigterm_ends_it,
    an_idle_process_ends_by_itself,
    a_prompt_killed_in_mid_stream_runs_again,
    a_prompt_killed_in_a_tool_is_not_run_again,
    sigterm_takes_the_tools_along;
];

/// Every tool runs unasked.
const BYPASS: [&str; 3] = ["--permission-mode", "bypassPermissions", "--allow-dangerously-skip-permissions"];

fn ensure_like(frames: &[serde_json::Value], recording: &str) -> Result<()> {
    let (seen, recorded) = (kinds(frames), kinds(&corpus(recording)?));
    ensure!(seen == recorded, "not as in {recording}:\n{seen:#?}\nbut\n{recorded:#?}");
    Ok(())
}
