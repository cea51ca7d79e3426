//! What a line of Claude's means.

use carcin_proto::event::{ApiRetried, Ask, Compacted, Level, LineProblem, Notice, TaskChanged, Usage};
use carcin_proto::{Millis, PromptId, RequestId, SessionId, ToolUseId};

/// What one line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// It is understood.
    Outputs {
        /// The session that it belongs to, where it tells. It is the one to resume; `/clear` changes it.
        session: Option<SessionId>,
        /// What it means, in order; empty for a blank line and for what Carcin has no use for.
        outputs: Vec<Output>,
    },
    /// It is not understood, or only so far that nothing can be made of it. Keep it raw.
    Problem(LineProblem),
}

/// One thing that Claude says.
///
/// `parent` is everywhere the tool use of the subagent that it comes from; `None`: Claude itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A turn begins (`system/init`); it comes with every turn.
    Init(Init),
    /// The model begins to answer.
    MessageStarted {
        /// The subagent.
        parent: Option<ToolUseId>,
        /// The API's id of the message, as in [`Assistant::message`]; empty where not told.
        message: String,
    },
    /// A content block begins.
    BlockStarted {
        /// The subagent.
        parent: Option<ToolUseId>,
        /// Its place in the message, from 0.
        index: u32,
        /// What it is.
        kind: BlockKind,
    },
    /// More of a text block.
    TextDelta {
        /// The subagent.
        parent: Option<ToolUseId>,
        /// The block's place in the message.
        index: u32,
        /// What to append.
        text: String,
    },
    /// More of a thinking block.
    ThinkingDelta {
        /// The subagent.
        parent: Option<ToolUseId>,
        /// The block's place in the message.
        index: u32,
        /// What to append.
        text: String,
    },
    /// A content block is complete.
    BlockStopped {
        /// The subagent.
        parent: Option<ToolUseId>,
        /// Its place in the message.
        index: u32,
    },
    /// The model has answered.
    MessageStopped {
        /// The subagent.
        parent: Option<ToolUseId>,
    },
    /// Finished content blocks, as a rule one.
    Assistant(Assistant),
    /// A tool has come back.
    ToolResult(ToolResult),
    /// A tool has returned a picture; the tool's result follows.
    Picture(Picture),
    /// Claude has read this prompt of ours from its input.
    PromptReplayed {
        /// The prompt.
        prompt: PromptId,
    },
    /// Where a prompt of ours stands (`command_lifecycle`).
    Lifecycle {
        /// The prompt.
        prompt: PromptId,
        /// Where it stands.
        state: LifecycleState,
    },
    /// What the session does now; `Idle` is the authoritative end of all activity.
    StateChanged(SessionState),
    /// A turn is over. It may answer several prompts, or none.
    Result(TurnResult),
    /// What a slash command prints.
    LocalOutput(String),
    /// Claude asks, and waits for [`control::answer`](super::control::answer).
    Ask(Asked),
    /// Claude asks what Carcin cannot answer, and waits: give it [`control::refuse`](super::control::refuse).
    AskUnsupported {
        /// The request.
        request: RequestId,
        /// What kind it is.
        subtype: String,
    },
    /// Claude asks no longer.
    AskCancelled {
        /// The request.
        request: RequestId,
    },
    /// The receipt of a control request or of an answer of ours.
    ControlResponse(ControlResponse),
    /// The API is being asked again.
    ApiRetry(ApiRetried),
    /// The context is being, or has been, compacted.
    Compaction(Compacted),
    /// A subagent or background task began, moved on or ended. An empty description and no tool use mean that
    /// the line does not tell; keep what an earlier one told.
    Task(TaskChanged),
    /// A tool still runs.
    ToolProgress {
        /// The use.
        tool_use: ToolUseId,
        /// How long it has run.
        elapsed: Millis,
    },
    /// The permission mode is this now.
    ModeChanged(String),
    /// A subscription's limit is near or reached. The same may come with every answer of the API.
    RateLimited(RateLimit),
    /// Something the user should know. The same may come more than once.
    Notice(Notice),
    /// A tool was denied with nobody asked.
    PermissionDenied {
        /// The tool's name.
        tool: String,
        /// The use, where told.
        tool_use: Option<ToolUseId>,
        /// Why, in a sentence; may be empty.
        reason: String,
    },
    /// Part of the line is not understood, so that it is to be kept raw besides what the others say.
    Partly(LineProblem),
    /// The conversation was discarded (`/clear`), and a new session is here.
    SessionReset {
        /// The new session.
        session: SessionId,
    },
}

/// See [`Output::Init`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Init {
    /// The model.
    pub model: Option<String>,
    /// The permission mode.
    pub permission_mode: Option<String>,
    /// Where Claude works.
    pub cwd: Option<String>,
    /// Claude Code's version.
    pub claude_version: Option<String>,
    /// The slash commands fit for a remote user, without the slash; those bound to a terminal are left out.
    pub slash_commands: Vec<String>,
    /// Those bound to a terminal.
    pub terminal_commands: Vec<String>,
    /// What this Claude can do, for feature detection.
    pub capabilities: Vec<String>,
}

/// What a content block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// Text for the user.
    Text,
    /// Thinking.
    Thinking,
    /// A tool use.
    ToolUse {
        /// The use.
        id: ToolUseId,
        /// The tool's name.
        name: String,
    },
    /// Something else, of which nothing follows.
    Other,
}

/// See [`Output::Picture`].
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The use that returned it.
    pub tool_use: ToolUseId,
    /// The subagent.
    pub parent: Option<ToolUseId>,
    /// The file in base64, of millions of characters as a rule.
    pub data: String,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("tool_use", &self.tool_use)
            .field("parent", &self.parent)
            .field("data", &format_args!("{} characters", self.data.len()))
            .finish()
    }
}

/// See [`Output::Assistant`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assistant {
    /// The subagent.
    pub parent: Option<ToolUseId>,
    /// The API's id of the message; several lines may have the same. Empty where not told.
    pub message: String,
    /// The model that wrote it; empty where not told.
    pub model: String,
    /// What is finished.
    pub blocks: Vec<Block>,
    /// Tokens in the context after this message; 0 where not told.
    pub context_tokens: u64,
    /// Claude Code wrote it itself, no model did: the output of a command, or an error.
    pub synthetic: bool,
    /// The kind of API error that it reports (`authentication_failed`, `rate_limit`, …).
    pub error: Option<String>,
    /// An interrupt cut it.
    pub aborted: bool,
}

/// A finished content block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Markdown.
    Text(String),
    /// Thinking; empty where it is redacted.
    Thinking(String),
    /// A tool use.
    ToolUse {
        /// The use.
        id: ToolUseId,
        /// The tool's name.
        name: String,
        /// The raw JSON input; empty when over [`MAX_RAW`](carcin_proto::event::MAX_RAW).
        input: String,
        /// The telling argument, see [`summary`](super::summary).
        summary: String,
    },
}

/// See [`Output::ToolResult`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The subagent.
    pub parent: Option<ToolUseId>,
    /// The use.
    pub tool_use: ToolUseId,
    /// Whether Claude was told of an error, a denial included.
    pub is_error: bool,
    /// The output, cut at [`MAX_EXCERPT`](carcin_proto::event::MAX_EXCERPT).
    pub output: String,
    /// How many bytes the cut left out.
    pub omitted: u64,
    /// The tool's own structured result as raw JSON, for [`Todos`](super::Todos); empty where there is none,
    /// or it is over [`MAX_RAW`](carcin_proto::event::MAX_RAW).
    pub structured: String,
}

/// Where a prompt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleState {
    /// Claude has it in its queue.
    Queued,
    /// Claude works on it.
    Started,
    /// Claude is done with it.
    Completed,
    /// It was cancelled, before or while Claude worked on it.
    Cancelled,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It works.
    Running,
    /// It waits for an answer.
    RequiresAction,
    /// It does nothing.
    Idle,
}

/// See [`Output::Result`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TurnResult {
    /// `success`, `error_during_execution`, `error_max_turns`, …
    pub subtype: String,
    /// Whether it failed; true also for a `success` that ended on an API error.
    pub is_error: bool,
    /// Claude's last text, or the error's; cut at [`MAX_EXCERPT`](carcin_proto::event::MAX_EXCERPT).
    pub text: String,
    /// What went wrong; each cut at 4 KiB, at most 16 of them.
    pub errors: Vec<String>,
    /// What the turn used. `context_tokens` is zero: that is in [`Assistant::context_tokens`].
    pub usage: Usage,
    /// How many tokens the context of each model holds, for those that tell.
    pub context_windows: Vec<(String, u64)>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// Why the turn ended (`completed`, `aborted_streaming`, `aborted_tools`, `api_error`, …).
    pub terminal_reason: Option<String>,
    /// How many tool uses were denied.
    pub permission_denials: u32,
    /// Requests to the model in this turn.
    pub num_turns: u32,
    /// The HTTP status of the API error that ended it.
    pub api_error_status: Option<u16>,
    /// The prompts of ours that it answers, in the order in which Claude took them up.
    pub prompts: Vec<PromptId>,
    /// How many prompts Claude still has in its queue, where told.
    pub queued: Option<u32>,
    /// Why Claude could not start at all (`bypass_root`, `cwd_unavailable`, …).
    pub startup_failure: Option<String>,
    /// How long it took, by Claude's clock.
    pub duration: Millis,
}

impl TurnResult {
    /// Whether it says that all went well, and that nothing was done: no model was asked, and nothing is said.
    pub fn is_empty(&self) -> bool {
        let done = self.num_turns > 0 || self.usage.output_tokens > 0 || !self.text.is_empty();
        !done && !self.is_error && self.errors.is_empty() && !self.was_interrupted()
    }

    /// Whether an interrupt ended it.
    pub fn was_interrupted(&self) -> bool {
        self.terminal_reason.as_deref().is_some_and(|reason| reason.starts_with("aborted_"))
    }

    /// How many tokens `model`'s context holds; where it is not named, those of the model that read most.
    pub fn context_window(&self, model: &str) -> u64 {
        let named = self.context_windows.iter().find(|(name, _)| name == model);
        named.map_or(self.usage.context_window, |(_, window)| *window)
    }
}

/// A question of Claude's.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The request; the answer names it.
    pub request: RequestId,
    /// What is asked.
    pub ask: Ask,
    /// The raw tool input that an answer to [`Ask::Questions`] sends back; empty for the others.
    pub tool_input: String,
}

/// See [`Output::ControlResponse`].
#[derive(Debug, Clone, PartialEq)]
pub struct ControlResponse {
    /// The request that it answers: one of ours, or one of Claude's whose answer it repeats.
    pub request_id: String,
    /// The raw JSON of the answer (`{}` where there is none), or what went wrong.
    pub result: Result<String, String>,
    /// What Claude asks and waits for, in answer to an `initialize`; `None` where it does not tell.
    pub pending: Option<Vec<Asked>>,
}

/// See [`Output::RateLimited`].
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// Requests are refused; else it is only near.
    pub reached: bool,
    /// Which limit (`five_hour`, `seven_day`, …); may be empty.
    pub limit: String,
    /// When it is lifted, on the wall clock.
    pub resets_at: Option<Millis>,
    /// How much of it is used at least, in percent, in steps of ten.
    pub percent: Option<u8>,
}

impl RateLimit {
    /// The same for the user. When it is lifted is left out: that is for who knows the user's time zone.
    pub fn notice(&self) -> Notice {
        let limit = match self.limit.as_str() {
            "five_hour" => "5-hour usage limit",
            "seven_day" => "weekly usage limit",
            "seven_day_opus" => "weekly Opus limit",
            "seven_day_sonnet" => "weekly Sonnet limit",
            "overage" => "extra usage limit",
            _ => "usage limit",
        };
        let (level, text) = match (self.reached, self.percent) {
            (true, _) => (Level::Error, format!("The {limit} is reached")),
            (false, Some(percent)) => {
                (Level::Warning, format!("More than {percent} % of the {limit} is used"))
            }
            (false, None) => (Level::Warning, format!("The {limit} is near")),
        };
        Notice { level, text, hint: None }
    }
}
