//! `system` and the other frames that tell of the session, not of what the model writes.

use carcin_proto::Millis;
use carcin_proto::event::{
    ApiRetried, Compacted, CompactionPhase, Level, LineProblem, MAX_EXCERPT, Notice, TaskChanged, TaskStatus,
};

use super::failure;
use super::json::{Object, whole};
use super::line::{Meaning, bad, tool_use_id};
use super::output::{Init, Output, RateLimit, SessionState};
use super::text;

/// The longest sentence for the user taken from a frame, in characters.
const MAX_SENTENCE: usize = 1000;

/// What Carcin has no use for: it is told otherwise, or it is for a screen or a cloud worker.
const QUIET: &[&str] = &[
    "agents_killed",
    "api_error",
    "away_summary",
    "background_tasks_changed",
    "cloud_session_delta",
    "code_change_published",
    "commands_changed",
    "control_request_progress",
    "dev_intent",
    "elicitation_complete",
    "feedback_draft_queued",
    "file_attachments_missing",
    "file_snapshot",
    "files_persisted",
    "hook_progress",
    "hook_response",
    "hook_started",
    "inherited_asks_settled",
    "instruction_size_warning",
    "late_allow_not_run",
    "memory_recall",
    "memory_saved",
    "peer_message_hold",
    "per_turn_effort_changed",
    "permission_check_status",
    "permission_retry",
    "plugin_install",
    "post_turn_summary",
    "session_metadata",
    "session_title_changed",
    "shell_cwd",
    "stop_hook_summary",
    "task_list_statuses",
    "task_progress",
    "task_summary",
    "thinking",
    "thinking_tokens",
    "turn_duration",
    "turn_handoff_available",
    "turn_preempted",
    "upgrade_relay_marker",
    "vcs_state_changed",
];

pub(super) fn system(frame: &Object<'_>) -> Meaning {
    let subtype = frame.name_or_empty("subtype");
    let kind = || format!("system/{subtype}");
    match subtype.as_str() {
        "init" => Ok(vec![Output::Init(init(frame))]),
        "session_state_changed" => state(frame),
        "status" => Ok(status(frame)),
        "compact_boundary" => Ok(vec![compacted(frame)]),
        "api_retry" => Ok(vec![Output::ApiRetry(api_retry(frame))]),
        "task_started" | "task_updated" | "task_notification" => task(frame, &subtype),
        "permission_denied" => Ok(vec![Output::PermissionDenied {
            tool: frame.name_or_empty("tool_name"),
            tool_use: tool_use_id(frame, "tool_use_id"),
            reason: sentence(frame, "decision_reason")
                .or_else(|| sentence(frame, "message"))
                .unwrap_or_default(),
        }]),
        "local_command_output" => {
            let (content, _) = frame.text_within("content", MAX_EXCERPT).unwrap_or_default();
            Ok((!content.is_empty()).then_some(Output::LocalOutput(content)).into_iter().collect())
        }
        "informational" => Ok(informational(frame)),
        "notification" => Ok(notification(frame)),
        "model_refusal_fallback"
        | "model_refusal_no_fallback"
        | "model_fallback"
        | "model_consent_fallback" => Ok(notice(Level::Warning, sentence(frame, "content"))),
        "scheduled_task_fire" => Ok(notice(Level::Info, sentence(frame, "content"))),
        "session_writes_lost" => Ok(notice(Level::Error, Some(writes_lost(frame)))),
        "mirror_error" => Ok(notice(Level::Warning, sentence(frame, "error"))),
        "worker_shutting_down" => Ok(notice(
            Level::Info,
            sentence(frame, "reason").map(|reason| format!("Claude is shutting down: {reason}")),
        )),
        quiet if QUIET.contains(&quiet) || quiet.starts_with("ui_") => Ok(Vec::new()),
        "" => Err(bad("system")),
        _ => Err(LineProblem::UnknownType(kind())),
    }
}

pub(super) fn rate_limit(frame: &Object<'_>) -> Vec<Output> {
    let Some(info) = frame.object("rate_limit_info") else { return Vec::new() };
    let reached = match info.text_or_empty("status").as_str() {
        "rejected" => true,
        "allowed_warning" => false,
        _ => return Vec::new(),
    };
    vec![Output::RateLimited(RateLimit {
        reached,
        limit: info.name_or_empty("rateLimitType"),
        // In seconds.
        resets_at: info.count("resetsAt").map(|seconds| Millis(seconds.saturating_mul(1000))),
        // From 0 to 1. In steps, so that the same is said once and not at every request.
        percent: info
            .number("utilization")
            .map(|part| u8::try_from(whole(part * 10.0)).map_or(100, |tenths| tenths.saturating_mul(10))),
    })]
}

pub(super) fn auth_status(frame: &Object<'_>) -> Vec<Output> {
    notice(Level::Error, sentence(frame, "error"))
}

pub(super) fn millis(number: f64) -> Millis {
    Millis(whole(number))
}

fn sentence(frame: &Object<'_>, name: &str) -> Option<String> {
    let (text, _) = frame.text_within(name, MAX_EXCERPT)?;
    Some(text::one_line(&text, MAX_SENTENCE)).filter(|text| !text.is_empty())
}

fn notice(level: Level, text: Option<String>) -> Vec<Output> {
    text.map(|text| Output::Notice(Notice { level, text, hint: None })).into_iter().collect()
}

fn init(frame: &Object<'_>) -> Init {
    let terminal = frame.texts("terminal_slash_commands");
    let mut slash_commands = frame.texts("slash_commands");
    slash_commands.retain(|command| !terminal.contains(command));
    Init {
        model: frame.name("model"),
        permission_mode: frame.name("permissionMode"),
        cwd: frame.text_within("cwd", MAX_EXCERPT).map(|(cwd, _)| cwd),
        claude_version: frame.name("claude_code_version"),
        slash_commands,
        terminal_commands: terminal,
        capabilities: frame.texts("capabilities"),
    }
}

fn state(frame: &Object<'_>) -> Meaning {
    const KIND: &str = "system/session_state_changed";
    Ok(vec![Output::StateChanged(match frame.name_or_empty("state").as_str() {
        "running" => SessionState::Running,
        "requires_action" => SessionState::RequiresAction,
        "idle" => SessionState::Idle,
        "" => return Err(bad(KIND)),
        unknown => return Err(LineProblem::UnknownType(format!("{KIND}/{unknown}"))),
    })])
}

fn status(frame: &Object<'_>) -> Vec<Output> {
    let phase = if frame.text("status").as_deref() == Some("compacting") {
        Some(CompactionPhase::Started)
    } else if frame.text("compact_result").as_deref() == Some("failed") {
        Some(CompactionPhase::Failed(sentence(frame, "compact_error").unwrap_or_default()))
    } else {
        // A success is told by `compact_boundary`, which knows the numbers.
        None
    };
    let compaction = phase.map(|phase| Output::Compaction(Compacted { phase, before: None, after: None }));
    let mode = frame.name("permissionMode").map(Output::ModeChanged);
    compaction.into_iter().chain(mode).collect()
}

fn compacted(frame: &Object<'_>) -> Output {
    let told = frame.object("compact_metadata");
    let count = |name| told.as_ref().and_then(|told| told.count(name));
    Output::Compaction(Compacted {
        phase: CompactionPhase::Finished,
        before: count("pre_tokens"),
        after: count("post_tokens"),
    })
}

fn api_retry(frame: &Object<'_>) -> ApiRetried {
    let status = frame.count("error_status").and_then(|status| u16::try_from(status).ok());
    let attempt = frame.small_count("attempt").unwrap_or_default();
    let failure = failure::of_api(&frame.name_or_empty("error"), status);
    ApiRetried {
        attempt,
        max_attempts: frame.small_count("max_retries").unwrap_or_default(),
        delay: millis(frame.number("retry_delay_ms").unwrap_or_default()),
        status,
        // What to do about it is said once.
        message: if attempt <= 1 { failure.sentence() } else { failure.message },
    }
}

fn task(frame: &Object<'_>, subtype: &str) -> Meaning {
    // Housekeeping is no activity of which the user should hear.
    if frame.is_true("ambient") || frame.is_true("skip_transcript") {
        return Ok(Vec::new());
    }
    let task =
        frame.name("task_id").filter(|id| !id.is_empty()).ok_or_else(|| bad(&format!("system/{subtype}")))?;
    let patch = frame.object("patch");
    let told = patch.as_ref().unwrap_or(frame);
    let status = match (subtype, told.text_or_empty("status").as_str()) {
        ("task_started", _) | (_, "pending" | "running" | "paused") => TaskStatus::Running,
        (_, "completed") => TaskStatus::Completed,
        (_, "failed") => TaskStatus::Failed,
        (_, "stopped" | "killed") => TaskStatus::Stopped,
        // An update of something else than the status.
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Output::Task(TaskChanged {
        task,
        tool_use: tool_use_id(frame, "tool_use_id"),
        description: sentence(told, "description").unwrap_or_default(),
        status,
    })])
}

fn informational(frame: &Object<'_>) -> Vec<Output> {
    let level = match frame.text_or_empty("level").as_str() {
        // For the transcript alone.
        "info" => return Vec::new(),
        "warning" => Level::Warning,
        _ => Level::Info,
    };
    notice(level, sentence(frame, "content"))
}

fn notification(frame: &Object<'_>) -> Vec<Output> {
    let level = match frame.text_or_empty("priority").as_str() {
        "high" | "immediate" => Level::Warning,
        _ => Level::Info,
    };
    notice(level, sentence(frame, "text"))
}

fn writes_lost(frame: &Object<'_>) -> String {
    let why = match frame.text_or_empty("error_code").as_str() {
        "EDQUOT" => "the disk quota is used up",
        _ => "the disk is full",
    };
    format!("Claude could not save part of the session, because {why}")
}
