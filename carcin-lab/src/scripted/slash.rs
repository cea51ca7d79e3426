//! `/compact` and `/clear`, which Claude never sees.

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
            _ => return false,
        }
        let mut result = recorded::result();
        merge(
            &mut result,
            json!({"num_turns": 0, "stop_reason": null, "result": "", "uuid": uuid::Uuid::new_v4(),
                "result_index": self.totals.results, "queued_turn_count": self.queue.len(),
                "user_message_uuid": prompt.uuid, "user_message_uuids": [prompt.uuid]}),
        );
        self.out.emit(result);
        self.totals.results += 1;
        self.out.lifecycle(prompt.uuid.as_deref(), "completed");
        true
    }

    fn compact(&mut self, prompt: &Prompt) {
        self.out.system("status", json!({"status": "compacting"}));
        self.out.system("status", json!({"status": null, "compact_result": "success"}));
        self.emit_init(prompt.uuid.as_slice());
        let metadata = json!({"trigger": "manual", "pre_tokens": self.totals.input, "post_tokens": 500, "duration_ms": 1});
        self.out.system("compact_boundary", json!({"compact_metadata": metadata}));
        let summary = "This session is being continued from a previous conversation that ran out of context.";
        self.emit_user(summary, &json!({"isSynthetic": true}));
        self.emit_user("<local-command-stdout>Compacted </local-command-stdout>", &json!({"isReplay": true}));
        self.emit_user(&command("compact"), &json!({"isReplay": true, "uuid": prompt.uuid}));
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
