//! A turn: from its prompts to its `result`.

use std::time::Instant;

use serde_json::{Value, json};

use super::answer::Answered;
use super::clock::timestamp;
use super::io::merge;
use super::recorded;
use super::session::{Halt, Prompt, Session, is_set};
use super::tools::bash::Finished;
use crate::script::wire::Composer;
use crate::script::{Context, Script, Step, pictures};

/// The size of the context, in tokens, above which it is compacted: the window less the real CLI's buffer.
const COMPACT_ABOVE: u64 = 967_000;

/// What is known of the turn that runs.
#[derive(Debug)]
pub(super) struct Turn {
    started: Instant,
    /// The prompts' uuids; steered ones join.
    pub(super) uuids: Vec<String>,
    steered: Vec<String>,
    /// The prompt to acknowledge when the first answer comes.
    pub(super) unacknowledged: Option<Prompt>,
    pub(super) script: Script,
    pub(super) context: Context,
    pub(super) input: u64,
    pub(super) output: u64,
    /// The input of the last answer, which is the size of the context.
    pub(super) last_input: u64,
    pub(super) rounds: u64,
    pub(super) denials: Vec<Value>,
    pub(super) last_text: String,
    pub(super) stop_reason: Option<&'static str>,
    /// The HTTP status and the words of the API error that ended it.
    pub(super) api_error: Option<(u16, String)>,
}

impl Turn {
    /// Adds the tokens of an answer.
    pub(super) fn count(&mut self, answer: &Composer) {
        let usage = answer.usage();
        self.input += usage.input;
        self.last_input = usage.input;
        self.output += usage.output;
    }
}

impl Session {
    /// Runs the turn of these prompts, which are joined into one.
    pub(super) async fn prompted_turn(&mut self, mut prompts: Vec<Prompt>) -> Result<(), Halt> {
        let Some(last) = prompts.pop() else { return Ok(()) };
        for earlier in &prompts {
            self.replay(earlier, false);
        }
        let mut uuids: Vec<String> = prompts.iter().filter_map(|prompt| prompt.uuid.clone()).collect();
        uuids.extend(last.uuid.clone());
        for uuid in &uuids {
            self.out.lifecycle(Some(uuid), "started");
        }
        if prompts.is_empty() && self.slash(&last) {
            return Ok(());
        }
        let joined = if prompts.is_empty() {
            last
        } else {
            let all: Vec<&Prompt> = prompts.iter().chain([&last]).collect();
            let text = all.iter().map(|prompt| prompt.text.as_str()).collect::<Vec<_>>().join("\n");
            let mut blocks = vec![json!({"type": "text", "text": text})];
            let shown = all.iter().filter_map(|prompt| prompt.content.as_array()).flatten();
            blocks.extend(shown.filter(|block| block["type"] != "text").cloned());
            let content = if blocks.len() == 1 { json!(text) } else { json!(blocks) };
            Prompt { uuid: last.uuid.clone(), content, text }
        };
        let message = json!({"role": "user", "content": joined.content});
        let uuid = joined.uuid.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        self.transcript.message(
            "user",
            &uuid,
            &message,
            json!({"promptSource": "sdk", "permissionMode": self.mode.name()}),
        );
        self.transcript.last_prompt(&joined.text);
        let script = Script::of_prompt(&joined.text);
        self.turn(uuids, script, Some(joined)).await
    }

    /// Runs the turn that the end of work in the background begins.
    pub(super) async fn notice_turn(&mut self, _: &Finished) -> Result<(), Halt> {
        self.busy = true;
        self.out.state("running");
        let said = Step::Text("The work in the background has ended.".to_owned());
        self.turn(Vec::new(), Script { steps: vec![said] }, None).await
    }

    async fn turn(&mut self, uuids: Vec<String>, script: Script, prompt: Option<Prompt>) -> Result<(), Halt> {
        self.emit_init(&uuids);
        let context = Context {
            cwd: self.cwd.to_string_lossy().into_owned(),
            plan_file: self.plan_file.to_string_lossy().into_owned(),
            tools: if todo_write() { vec!["TodoWrite".to_owned()] } else { Vec::new() },
            tasks_before: self.tasks.len(),
            pictures: prompt.as_ref().map(|prompt| pictures(&prompt.content)).unwrap_or_default(),
            ..Context::default()
        };
        let mut turn = Turn {
            started: Instant::now(),
            uuids,
            steered: Vec::new(),
            unacknowledged: prompt,
            script,
            context,
            input: 0,
            output: 0,
            last_input: 0,
            rounds: 0,
            denials: Vec::new(),
            last_text: String::new(),
            stop_reason: None,
            api_error: None,
        };
        let ended = match self.converse(&mut turn).await {
            Ok(()) if turn.api_error.is_some() => "api_error",
            Ok(()) => "completed",
            Err(Halt::Interrupted) if turn.stop_reason.is_some() => "aborted_tools",
            Err(Halt::Interrupted) => "aborted_streaming",
            Err(halt) => return Err(halt),
        };
        self.end(&turn, ended);
        Ok(())
    }

    /// Answers until the script ends its turn.
    async fn converse(&mut self, turn: &mut Turn) -> Result<(), Halt> {
        loop {
            self.emit_requesting(turn);
            if turn.last_input > COMPACT_ABOVE {
                self.compact_automatically(turn.last_input);
                turn.last_input = 0;
            }
            turn.rounds += 1;
            match self.answer(turn).await? {
                Answered::Tools(uses) => {
                    turn.context.tools_done += uses.len();
                    self.run_tools(uses, turn).await?;
                    self.steer(turn);
                }
                Answered::Cut => {
                    turn.context.cuts += 1;
                    let said = "Your response above was cut off mid-stream. Resume directly from where it stops — no apology, no \
                                recap. If none of it survived, answer the request from the start.";
                    self.emit_user_text(said, json!({"isSynthetic": true}));
                }
                Answered::End => return Ok(()),
            }
        }
    }

    /// Folds what was sent meanwhile into the turn.
    fn steer(&mut self, turn: &mut Turn) {
        for prompt in std::mem::take(&mut self.queue) {
            self.replay(&prompt, true);
            self.out.lifecycle(prompt.uuid.as_deref(), "started");
            turn.script.steer(&prompt.text);
            if let Some(uuid) = prompt.uuid {
                let message = json!({"role": "user", "content": prompt.content});
                self.transcript.message("user", &uuid, &message, json!({"promptSource": "sdk"}));
                turn.uuids.push(uuid.clone());
                turn.steered.push(uuid);
            }
        }
    }

    pub(super) fn emit_user_text(&mut self, text: &str, more: Value) {
        let message = json!({"role": "user", "content": [{"type": "text", "text": text}]});
        let mut frame =
            json!({"type": "user", "message": message, "parent_tool_use_id": null, "timestamp": timestamp()});
        merge(&mut frame, more);
        let uuid = self.out.emit(frame);
        self.transcript.message("user", &uuid, &message, json!({}));
    }

    /// Acknowledges the prompt, once, when something comes of it.
    pub(super) fn acknowledge(&self, turn: &mut Turn) {
        if let Some(prompt) = turn.unacknowledged.take() {
            self.replay(&prompt, true);
        }
    }

    pub(super) fn emit_init(&self, uuids: &[String]) {
        let mut init = recorded::init();
        let todo_tools = ["TaskCreate", "TaskGet", "TaskList", "TaskUpdate"];
        let mut tools: Vec<Value> = init["tools"].as_array().cloned().unwrap_or_default();
        if todo_write() || !is_set("CLAUDE_CODE_ENABLE_TODO_TOOLS") {
            tools.retain(|tool| tool.as_str().is_none_or(|tool| !todo_tools.contains(&tool)));
        }
        if todo_write() {
            tools.push(json!("TodoWrite"));
        }
        merge(
            &mut init,
            json!({"cwd": self.cwd, "model": self.model, "permissionMode": self.mode.name(), "tools": tools,
                "original_cwd": self.cwd, "uuid": uuid::Uuid::new_v4(), "user_message_uuids": uuids}),
        );
        self.out.emit(init);
    }

    fn emit_requesting(&self, turn: &Turn) {
        let mut fields = json!({"status": "requesting"});
        if !turn.uuids.is_empty() {
            fields["user_message_uuids"] = json!(turn.uuids);
        }
        self.out.system("status", fields);
    }

    fn end(&mut self, turn: &Turn, reason: &str) {
        let failed = reason != "completed";
        for uuid in &turn.steered {
            self.out.lifecycle(Some(uuid), if failed { "cancelled" } else { "completed" });
        }
        self.totals.input += turn.input;
        self.totals.output += turn.output;
        self.out.emit(self.result_frame(turn, reason));
        self.totals.results += 1;
        self.last_turn_failed = failed;
        for uuid in turn.uuids.iter().filter(|uuid| !turn.steered.contains(uuid)) {
            self.out.lifecycle(Some(uuid), if failed { "cancelled" } else { "completed" });
        }
    }

    fn result_frame(&self, turn: &Turn, reason: &str) -> Value {
        let mut result = recorded::result();
        let interrupted = reason.starts_with("aborted");
        let usage = |frame: &mut Value, input: u64, output: u64| {
            frame["inputTokens"] = json!(input);
            frame["outputTokens"] = json!(output);
            frame["costUSD"] = json!(cost(input, output));
        };
        let mut model_usage = result["modelUsage"]
            .as_object()
            .and_then(|models| models.values().next().cloned())
            .unwrap_or_default();
        let mut since_last = model_usage.clone();
        usage(&mut model_usage, self.totals.input, self.totals.output);
        usage(&mut since_last, turn.input, turn.output);
        result["usage"]["input_tokens"] = json!(turn.input);
        result["usage"]["output_tokens"] = json!(turn.output);
        merge(
            &mut result,
            json!({"subtype": if interrupted { "error_during_execution" } else { "success" },
                "is_error": reason != "completed", "stop_reason": turn.stop_reason, "terminal_reason": reason,
                "duration_ms": u64::try_from(turn.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "num_turns": turn.rounds + u64::from(interrupted), "permission_denials": turn.denials,
                "total_cost_usd": cost(self.totals.input, self.totals.output),
                "modelUsage": {&self.model: model_usage}, "model_usage_since_last_result": {&self.model: since_last},
                "result": turn.last_text, "uuid": uuid::Uuid::new_v4(), "queued_turn_count": self.queue.len(),
                "result_index": self.totals.results, "user_message_uuid": turn.uuids.first(),
                "user_message_uuids": turn.uuids}),
        );
        if let Some((status, words)) = &turn.api_error {
            merge(
                &mut result,
                json!({"api_error_status": status, "result": words, "stop_reason": "stop_sequence"}),
            );
        }
        if interrupted && let Some(fields) = result.as_object_mut() {
            fields.remove("result");
            let stop = turn.stop_reason.unwrap_or("null");
            let diagnostic =
                format!("[ede_diagnostic] result_type=user last_content_type=n/a stop_reason={stop}");
            fields.insert("errors".to_owned(), json!([diagnostic]));
        }
        result
    }
}

/// What so many tokens cost in dollars: 4 a million in, 20 a million out.
fn cost(input: u64, output: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // nobody scripts 2^53 tokens
    let (input, output) = (input as f64, output as f64);
    (input * 4.0 + output * 20.0) / 1_000_000.0
}

/// Whether the older todo tool is the one in use.
pub(super) fn todo_write() -> bool {
    is_set("CLAUDE_CODE_ENABLE_TODO_TOOLS")
        && std::env::var("CLAUDE_CODE_ENABLE_TASKS").is_ok_and(|value| value == "0" || value == "false")
}
