//! Subagents: a script of their own, told in frames that name the call they belong to.

use serde_json::{Value, json};

use super::clock::timestamp;
use super::io::merge;
use super::session::{Halt, Session};
use super::tools::{Outcome, ToolUse};
use super::turn::Turn;
use crate::script::wire::Composer;
use crate::script::{Context, Script};

impl Session {
    /// Runs a subagent to its end and hands its last words back. One in the background runs in the foreground here.
    pub(super) async fn subagent(&mut self, call: &ToolUse, turn: &mut Turn) -> Result<Outcome, Halt> {
        let field = |name: &str| call.input[name].as_str().unwrap_or_default().to_owned();
        let (prompt, description, kind) = (field("prompt"), field("description"), field("subagent_type"));
        let task_id = format!("a{}", &uuid::Uuid::new_v4().simple().to_string()[..16]);
        let family = json!({"parent_tool_use_id": call.id, "agent_id": task_id, "subagent_type": kind,
            "task_description": description});
        self.out.system(
            "task_started",
            json!({"task_id": task_id, "tool_use_id": call.id, "description": description, "subagent_type": kind,
                "is_backgrounded": false, "task_type": "local_agent", "prompt": prompt}),
        );
        let mut told = json!({"type": "user", "timestamp": timestamp(),
            "message": {"role": "user", "content": [{"type": "text", "text": prompt}]}});
        merge(&mut told, family.clone());
        self.out.emit(told);
        let report = self.subagents_turn(&Script::of_prompt(&prompt), &family, turn).await?;
        self.out.system("task_updated", json!({"task_id": task_id, "patch": {"status": "completed"}}));
        self.out.system(
            "task_notification",
            json!({"task_id": task_id, "tool_use_id": call.id, "status": "completed", "summary": report}),
        );
        Ok(Outcome::handed_back(&report, &task_id))
    }

    async fn subagents_turn(
        &mut self,
        script: &Script,
        family: &Value,
        turn: &mut Turn,
    ) -> Result<String, Halt> {
        let mut context = Context { tools_done: 0, cuts: 0, errors_so_far: u32::MAX, ..turn.context.clone() };
        loop {
            let beats = script.answer(&context);
            let mut composer =
                Composer::new(format!("msg_{}", uuid::Uuid::new_v4().simple()), self.model.clone(), 500);
            composer.start(&beats);
            for beat in &beats {
                self.wait(beat).await?;
                composer.event(beat);
            }
            let mut uses: Vec<ToolUse> = composer.blocks().iter().filter_map(ToolUse::of_block).collect();
            if uses.is_empty() {
                let texts: Vec<&str> =
                    composer.blocks().iter().filter_map(|block| block["text"].as_str()).collect();
                return Ok(texts.join("\n"));
            }
            context.tools_done += uses.len();
            context.last_results.clear();
            for tool_use in &mut uses {
                self.emit_subagents_call(tool_use, family);
                let outcome = self.run_subagents_tool(tool_use, turn).await?;
                context.last_results.push(outcome.text());
                self.emit_result(tool_use, &outcome, Some(family));
            }
        }
    }

    fn emit_subagents_call(&self, tool_use: &ToolUse, family: &Value) {
        self.out.system(
            "task_progress",
            json!({"task_id": family["agent_id"], "tool_use_id": family["parent_tool_use_id"],
                "description": format!("Running {}", tool_use.name), "subagent_type": family["subagent_type"],
                "last_tool_name": tool_use.name}),
        );
        let block =
            json!({"type": "tool_use", "id": tool_use.id, "name": tool_use.name, "input": tool_use.input});
        let mut frame = json!({"type": "assistant", "timestamp": timestamp(),
            "message": {"id": format!("msg_{}", tool_use.id), "type": "message", "role": "assistant",
                "model": self.model, "content": [block], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 500, "output_tokens": 1}}});
        merge(&mut frame, family.clone());
        self.out.emit(frame);
    }
}
