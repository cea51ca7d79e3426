//! What an MCP server asks the user for.

use serde_json::json;

use super::super::io::emit_bare;
use super::super::session::{Halt, Session};
use super::{Outcome, ToolUse};

impl Session {
    /// Asks, and hands back what the user said, as the lab's own server does.
    pub(super) async fn elicit(&mut self, tool_use: &ToolUse) -> Result<Outcome, Halt> {
        let input = &tool_use.input;
        let mut request =
            json!({"subtype": "elicitation", "mcp_server_name": "lab", "message": input["message"]});
        if input["url"].is_string() {
            request["mode"] = json!("url");
            request["url"] = input["url"].clone();
            request["elicitation_id"] = json!(uuid::Uuid::new_v4());
        } else {
            request["mode"] = json!("form");
            request["requested_schema"] = input["requestedSchema"].clone();
        }
        let id = uuid::Uuid::new_v4().to_string();
        let frame = json!({"type": "control_request", "request_id": id, "request": request});
        self.out.state("requires_action");
        emit_bare(&frame);
        self.open_requests.push(frame);
        let answer = loop {
            if let Some(answer) = self.answers.remove(&id) {
                break answer;
            }
            if self.input_ended {
                self.open_requests.retain(|request| request["request_id"] != id);
                break json!({"response": {"action": "cancel"}});
            }
            self.take_next().await?;
        };
        self.out.state("running");
        let said = match answer["subtype"].as_str() {
            Some("error") => json!({"action": "cancel"}),
            _ => answer["response"].clone(),
        };
        Ok(Outcome::done(said.to_string(), json!([{"type": "text", "text": said.to_string()}])))
    }
}
