//! The tools of one answer: permission, run, result.

use serde_json::{Value, json};

use super::clock::timestamp;
use super::control::enter_mode;
use super::io::{emit_bare, merge};
use super::permission::{Mode, Verdict, judge};
use super::session::{Halt, Session};
use super::tools::{Outcome, ToolUse};
use super::turn::Turn;
use crate::script::wire::Composer;

/// What Claude is told when the user stops a tool or does not let it begin.
pub(super) const REJECTED: &str = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a \
    file edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user to tell you how to \
    proceed.";

/// Tools that run beside others, and so may begin while Claude is still speaking.
const WAIT_FOR_NOBODY: [&str; 3] = ["AskUserQuestion", "ExitPlanMode", "WebFetch"];

/// What became of the question whether a tool may run.
enum Permission {
    /// It may, and by whose decision.
    Granted(&'static str),
    /// It may not; Claude is told why.
    Refused(String),
    /// It may not, and the turn ends.
    RefusedAndStop(String),
}

impl Session {
    /// Runs the tools of one answer, one after another.
    pub(super) async fn run_tools(&mut self, mut uses: Vec<ToolUse>, turn: &mut Turn) -> Result<(), Halt> {
        turn.context.last_results.clear();
        for at in 0..uses.len() {
            let ran = self.run_tool(&mut uses[at], turn).await;
            match ran {
                Ok(outcome) => {
                    turn.context.last_results.push(outcome.text());
                    self.emit_result(&uses[at], &outcome, None);
                }
                Err(Halt::Interrupted) => {
                    for tool_use in &uses[at..] {
                        self.emit_result(tool_use, &Outcome::rejected(REJECTED), None);
                    }
                    self.emit_user_text("[Request interrupted by user for tool use]", json!({}));
                    return Err(Halt::Interrupted);
                }
                Err(halt) => return Err(halt),
            }
        }
        Ok(())
    }

    /// Asks if need be, then runs.
    async fn run_tool(&mut self, tool_use: &mut ToolUse, turn: &mut Turn) -> Result<Outcome, Halt> {
        if !tool_use.is_known() {
            return Ok(Outcome::unknown_tool(&tool_use.name));
        }
        self.complete_input(tool_use);
        let asked = self.asked_early.remove(&tool_use.id).or_else(|| self.open_request_for(tool_use));
        let permission = match asked {
            Some(request_id) => self.await_answer(&request_id, tool_use).await?,
            None => match self.judge(tool_use) {
                Verdict::Deny(message) => Permission::Refused(message),
                _ => Permission::Granted("config"),
            },
        };
        match permission {
            Permission::Granted(source) => {
                let mut outcome = self.execute(tool_use, turn).await?;
                outcome.granted_by = Some(source);
                Ok(outcome)
            }
            Permission::Refused(message) => {
                turn.denials.push(tool_use.denial());
                Ok(Outcome::refused(&message))
            }
            Permission::RefusedAndStop(message) => {
                turn.denials.push(tool_use.denial());
                tracing::debug!(message, "the user refused and stopped");
                Err(Halt::Interrupted)
            }
        }
    }

    /// The same for a subagent's tools: results come back, nothing is told here.
    pub(super) async fn run_subagents_tool(
        &mut self,
        tool_use: &mut ToolUse,
        turn: &mut Turn,
    ) -> Result<Outcome, Halt> {
        Box::pin(self.run_tool(tool_use, turn)).await
    }

    /// Asks about the call that Claude has just finished saying, if its tool need not wait for the others. So several requests can
    /// be open at once.
    pub(super) fn ask_early(&mut self, composer: &Composer) {
        let Some(mut tool_use) = composer.blocks().last().and_then(ToolUse::of_block) else { return };
        if !WAIT_FOR_NOBODY.contains(&tool_use.name.as_str()) {
            return;
        }
        self.complete_input(&mut tool_use);
        if let Some(request_id) = self.open_request_for(&tool_use) {
            self.asked_early.insert(tool_use.id, request_id);
        }
    }

    fn judge(&self, tool_use: &ToolUse) -> Verdict {
        judge(&tool_use.name, &tool_use.input, self.mode, &self.rules, &self.cwd, &self.plan_file)
    }

    /// Sends the question, if the user must be asked; its id.
    fn open_request_for(&mut self, tool_use: &ToolUse) -> Option<String> {
        let Verdict::Ask(more) = self.judge(tool_use) else { return None };
        let mut request = json!({"subtype": "can_use_tool", "tool_name": tool_use.name, "display_name": tool_use.name,
            "input": tool_use.input});
        merge(&mut request, more);
        request["tool_use_id"] = json!(tool_use.id);
        let id = uuid::Uuid::new_v4().to_string();
        let frame = json!({"type": "control_request", "request_id": id, "request": request});
        self.out.state("requires_action");
        emit_bare(&frame);
        self.open_requests.push(frame);
        Some(id)
    }

    async fn await_answer(&mut self, request_id: &str, tool_use: &mut ToolUse) -> Result<Permission, Halt> {
        let answer = loop {
            if let Some(answer) = self.answers.remove(request_id) {
                break answer;
            }
            if self.input_ended {
                self.open_requests.retain(|request| request["request_id"] != request_id);
                let message = "Tool permission request failed: AbortError: Tool permission stream closed before response received";
                return Ok(Permission::Refused(message.to_owned()));
            }
            self.take_next().await?;
        };
        if answer["subtype"] == "error" {
            let message = answer["error"].as_str().unwrap_or("the host could not answer");
            return Ok(Permission::Refused(format!("Tool permission request failed: {message}")));
        }
        let answer = &answer["response"];
        self.update_permissions(&answer["updatedPermissions"]);
        self.out.state("running");
        if answer["behavior"] == "allow" {
            if answer["updatedInput"].is_object() {
                tool_use.input = answer["updatedInput"].clone();
            }
            return Ok(Permission::Granted("user_temporary"));
        }
        let message = answer["message"].as_str().unwrap_or(REJECTED).to_owned();
        Ok(if answer["interrupt"] == true {
            Permission::RefusedAndStop(message)
        } else {
            Permission::Refused(message)
        })
    }

    fn update_permissions(&mut self, updates: &Value) {
        for update in updates.as_array().into_iter().flatten() {
            match update["type"].as_str() {
                Some("addRules") => self.rules.add(update),
                Some("setMode") => {
                    if let Ok(mode) = Mode::parse(update["mode"].as_str().unwrap_or_default()) {
                        enter_mode(self, mode);
                    }
                }
                _ => {}
            }
        }
    }

    /// A tool's result as a `user` frame; `parent` is the call of the subagent that it belongs to.
    pub(super) fn emit_result(&mut self, tool_use: &ToolUse, outcome: &Outcome, parent: Option<&Value>) {
        let mut block =
            json!({"tool_use_id": tool_use.id, "type": "tool_result", "content": outcome.content});
        if outcome.is_error {
            block["is_error"] = json!(true);
        }
        let message = json!({"role": "user", "content": [block]});
        let mut frame = json!({"type": "user", "message": message, "parent_tool_use_id": null, "timestamp": timestamp(),
            "tool_use_result": outcome.detail});
        if let Some(meta) = outcome.meta(&tool_use.id) {
            frame["tool_result_meta"] = json!([meta]);
        }
        if let Some(parent) = parent {
            merge(&mut frame, parent.clone());
        }
        let uuid = self.out.emit(frame);
        if parent.is_none() {
            self.transcript.message("user", &uuid, &message, json!({"toolUseResult": outcome.detail}));
        }
    }
}
