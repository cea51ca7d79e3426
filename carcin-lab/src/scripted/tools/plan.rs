//! What needs the user by its nature: plans and questions.

use std::path::Path;

use serde_json::{Value, json};

use super::super::control::enter_mode;
use super::super::permission::Mode;
use super::super::session::Session;
use super::{Outcome, ToolUse};

/// The plan and its file go into the call of `ExitPlanMode`.
pub(in crate::scripted) fn complete(input: &mut Value, plan_file: &Path) {
    if let Ok(plan) = std::fs::read_to_string(plan_file) {
        input["plan"] = json!(plan);
        input["planFilePath"] = json!(plan_file);
    }
}

pub(super) fn enter(session: &mut Session) -> Outcome {
    enter_mode(session, Mode::Plan);
    let said = "Entered plan mode. You should now focus on exploring the codebase and designing an implementation approach.";
    Outcome::done(said, json!({"message": said}))
}

pub(super) fn exit(session: &mut Session, tool_use: &ToolUse) -> Outcome {
    if session.mode == Mode::Plan {
        enter_mode(session, Mode::Default);
    }
    let (plan, file) = (tool_use.text("plan"), tool_use.text("planFilePath"));
    let said = format!(
        "User has approved your plan. You can now start coding. Start with updating your todo list if applicable\n\nYour plan \
         has been saved to: {file}\nYou can refer back to it if needed during implementation.\n\n## Approved Plan:\n{plan}"
    );
    Outcome::done(said, json!({"plan": plan, "isAgent": false, "filePath": file}))
}

pub(super) fn answered(tool_use: &ToolUse) -> Outcome {
    let answers = tool_use.input["answers"].as_object().cloned().unwrap_or_default();
    let said: Vec<String> =
        answers.iter().map(|(question, answer)| format!("\"{question}\"={answer}")).collect();
    Outcome::done(
        format!(
            "Your questions have been answered: {}. You can now continue with these answers in mind.",
            said.join(", ")
        ),
        json!({"questions": tool_use.input["questions"], "answers": answers}),
    )
}
