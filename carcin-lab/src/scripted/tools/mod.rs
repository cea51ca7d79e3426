//! The tools, which really run.

pub(super) mod bash;
mod elicit;
mod files;
pub(super) mod plan;
mod todo;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::session::{Halt, Session};
use super::turn::Turn;
use crate::script::ELICIT;

/// The tools that exist here.
const KNOWN: [&str; 15] = [
    "Bash",
    "Read",
    "Write",
    "Edit",
    "TodoWrite",
    "TaskCreate",
    "TaskUpdate",
    "TaskList",
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
    "WebFetch",
    "Task",
    "Agent",
    ELICIT,
];

/// A call.
#[derive(Debug, Clone)]
pub(super) struct ToolUse {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Value,
}

impl ToolUse {
    /// Out of a content block, if it is one.
    pub(super) fn of_block(block: &Value) -> Option<Self> {
        let tool_use = Self {
            id: block["id"].as_str()?.to_owned(),
            name: block["name"].as_str()?.to_owned(),
            input: block["input"].clone(),
        };
        (block["type"] == "tool_use").then_some(tool_use)
    }

    pub(super) fn is_known(&self) -> bool {
        KNOWN.contains(&self.name.as_str())
    }

    /// As `permission_denials` lists it.
    pub(super) fn denial(&self) -> Value {
        json!({"tool_name": self.name, "tool_use_id": self.id, "tool_input": self.input})
    }

    fn text(&self, field: &str) -> &str {
        self.input[field].as_str().unwrap_or_default()
    }
}

/// What a call came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What Claude is told.
    pub(super) content: Value,
    pub(super) is_error: bool,
    /// `tool_use_result`: the same for programs.
    pub(super) detail: Value,
    /// Who let it run.
    pub(super) granted_by: Option<&'static str>,
    refusal: Option<Value>,
}

impl Outcome {
    fn picture(media_type: &str, bytes: &[u8]) -> Self {
        let data = STANDARD.encode(bytes);
        let source = json!({"type": "base64", "data": data, "media_type": media_type});
        let file = json!({"base64": data, "type": media_type, "originalSize": bytes.len()});
        Self::done(json!([{"type": "image", "source": source}]), json!({"type": "image", "file": file}))
    }

    fn done(content: impl Into<Value>, detail: Value) -> Self {
        Self { content: content.into(), is_error: false, detail, granted_by: None, refusal: None }
    }

    fn failed(message: &str) -> Self {
        let detail = json!(format!("Error: {message}"));
        Self { content: json!(message), is_error: true, detail, granted_by: None, refusal: None }
    }

    /// The user said no, and why.
    pub(super) fn refused(message: &str) -> Self {
        let decision = json!({"non_execution_kind": "permission-rule",
            "permission_decision": {"decision": "reject", "source": "user_reject"}});
        Self { refusal: Some(decision), ..Self::failed(message) }
    }

    /// The user stopped it.
    pub(super) fn rejected(message: &str) -> Self {
        let detail = json!("User rejected tool use");
        Self {
            refusal: Some(json!({"non_execution_kind": "user-rejected"})),
            detail,
            ..Self::failed(message)
        }
    }

    /// A subagent's last words.
    pub(super) fn handed_back(report: &str, agent_id: &str) -> Self {
        let framed = format!("[Subagent hand-back] The report follows:\n  {report}\nagentId: {agent_id}");
        let content = json!([{"type": "text", "text": framed}]);
        let detail = json!({"status": "completed", "agentId": agent_id, "content": [{"type": "text", "text": report}]});
        Self::done(content, detail)
    }

    /// There is no such tool.
    pub(super) fn unknown_tool(name: &str) -> Self {
        let message = format!("No such tool available: {name}");
        Self {
            content: json!(format!("<tool_use_error>Error: {message}</tool_use_error>")),
            ..Self::failed(&message)
        }
    }

    /// What Claude is told, as text.
    pub(super) fn text(&self) -> String {
        let blocks = self.content.as_array().map(Vec::as_slice).unwrap_or_default();
        let texts = blocks.iter().filter_map(|block| block["text"].as_str());
        self.content.as_str().into_iter().chain(texts).collect::<Vec<_>>().join("\n")
    }

    /// `tool_result_meta` of this result.
    pub(super) fn meta(&self, id: &str) -> Option<Value> {
        let mut meta = match (&self.refusal, self.granted_by) {
            (Some(refusal), _) => refusal.clone(),
            (None, Some(source)) => json!({"permission_decision": {"decision": "accept", "source": source}}),
            (None, None) => return None,
        };
        meta["id"] = json!(id);
        Some(meta)
    }
}

impl Session {
    /// Puts in what the CLI itself adds to a call before anybody is asked.
    pub(super) fn complete_input(&self, tool_use: &mut ToolUse) {
        if tool_use.name == "ExitPlanMode" {
            plan::complete(&mut tool_use.input, &self.plan_file);
        }
    }

    /// Runs a call that may run.
    pub(super) async fn execute(&mut self, tool_use: &ToolUse, turn: &mut Turn) -> Result<Outcome, Halt> {
        Ok(match tool_use.name.as_str() {
            "Bash" => self.bash(tool_use).await?,
            "Read" => files::read(tool_use, &self.cwd),
            "Write" => files::write(tool_use),
            "Edit" => files::edit(tool_use),
            "TodoWrite" => todo::write(tool_use),
            "TaskCreate" => todo::create(tool_use, &mut self.tasks),
            "TaskUpdate" => todo::update(tool_use, &mut self.tasks),
            "TaskList" => todo::list(&self.tasks),
            "AskUserQuestion" => plan::answered(tool_use),
            "EnterPlanMode" => plan::enter(self),
            "ExitPlanMode" => plan::exit(self, tool_use),
            ELICIT => self.elicit(tool_use).await?,
            "Task" | "Agent" => self.subagent(tool_use, turn).await?,
            _ => Outcome::failed("the scripted claude has no network"),
        })
    }
}
