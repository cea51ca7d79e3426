//! Commands of the CLI's own, which Claude never sees, and what compacting prints.

use serde_json::{Value, json};

use super::clock::timestamp;
use super::io::merge;
use super::recorded;
use super::session::{Prompt, Session};

impl Session {
    /// Runs a prompt that is a command of the CLI's own; false if it is not one.
    pub(super) fn slash(&mut self, prompt: &Prompt) -> bool {
        match prompt.text.trim() {
            "/compact" => self.compact(prompt),
            "/clear" => self.clear(prompt),
            "/context" | "/cost" | "/usage" => self.say_costs(prompt),
            _ => return false,
        }
        let mut result = recorded::result();
        merge(
            &mut result,
            json!({"num_turns": 0, "stop_reason": null, "result": "", "uuid": uuid::Uuid::new_v4(),
                "result_index": self.totals.results, "queued_turn_count": self.queue.len(),
                "user_message_uuid": prompt.uuid, "user_message_uuids": [prompt.uuid]}),
        );
        if let Some(fields) = result.as_object_mut() {
            fields.remove("terminal_reason");
        }
        self.out.emit(result);
        self.totals.results += 1;
        self.out.lifecycle(prompt.uuid.as_deref(), "completed");
        true
    }

    fn compact(&self, prompt: &Prompt) {
        self.emit_compacting();
        self.emit_init(prompt.uuid.as_slice());
        self.emit_compacted("manual", self.totals.input);
        self.emit_user("<local-command-stdout>Compacted </local-command-stdout>", &json!({"isReplay": true}));
        self.emit_user(&command("compact"), &json!({"isReplay": true, "uuid": prompt.uuid}));
    }

    /// What the session has cost, which stands for every table that the real one prints.
    fn say_costs(&self, prompt: &Prompt) {
        self.emit_init(prompt.uuid.as_slice());
        let costs = recorded::response("get_session_cost").unwrap_or_default();
        let message = json!({"id": uuid::Uuid::new_v4(), "type": "message", "role": "assistant", "model": "<synthetic>",
            "content": [{"type": "text", "text": costs["text"]}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0}});
        self.out.emit(json!({"type": "assistant", "message": message, "parent_tool_use_id": null,
            "timestamp": timestamp()}));
        self.emit_user(&command(&prompt.text.trim()[1..]), &json!({"isReplay": true, "uuid": prompt.uuid}));
    }

    /// What happens in mid-turn when the context has grown to so many tokens.
    pub(super) fn compact_automatically(&self, tokens: u64) {
        self.emit_compacting();
        self.emit_compacted("auto", tokens);
    }

    fn emit_compacting(&self) {
        self.out.system("status", json!({"status": "compacting"}));
        self.out.system("status", json!({"status": null, "compact_result": "success"}));
    }

    fn emit_compacted(&self, trigger: &str, pre_tokens: u64) {
        let metadata =
            json!({"trigger": trigger, "pre_tokens": pre_tokens, "post_tokens": 500, "duration_ms": 1});
        self.out.system("compact_boundary", json!({"compact_metadata": metadata}));
        let continued =
            "This session is being continued from a previous conversation that ran out of context.";
        self.emit_user(continued, &json!({"isSynthetic": true}));
    }

    fn clear(&mut self, prompt: &Prompt) {
        let id = uuid::Uuid::new_v4().to_string();
        self.out.emit(json!({"type": "conversation_reset", "new_conversation_id": id, "trigger": "clear",
            "user_message_uuid": prompt.uuid, "timestamp": timestamp()}));
        self.out.session_id.clone_from(&id);
        self.transcript.reset(&id);
        self.tasks.clear();
        self.out.system("background_tasks_changed", json!({"tasks": []}));
        self.emit_init(prompt.uuid.as_slice());
        self.emit_user(&command("clear"), &json!({"isReplay": true, "uuid": prompt.uuid}));
    }

    fn emit_user(&self, text: &str, more: &Value) {
        let mut frame = json!({"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": null,
            "timestamp": timestamp()});
        merge(&mut frame, more.clone());
        self.out.emit(frame);
    }
}

fn command(name: &str) -> String {
    format!("<command-name>/{name}</command-name>\n            <command-message>{name}</command-message>")
}
