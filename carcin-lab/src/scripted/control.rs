//! Control requests from the host, and its answers to ours.

use serde_json::{Value, json};

use super::io::emit_bare;
use super::permission::Mode;
use super::recorded;
use super::session::{Halt, Session};

/// Answers a `control_request` line. An interrupt during a turn comes back as the halt.
pub(super) fn request(session: &mut Session, frame: &Value) -> Result<(), Halt> {
    let id = &frame["request_id"];
    let request = &frame["request"];
    let subtype = request["subtype"].as_str().unwrap_or_default();
    match subtype {
        "interrupt" => return interrupt(session, id, request),
        "initialize" => initialize(session, id),
        "set_permission_mode" => set_permission_mode(session, id, request),
        "set_model" => set_model(session, id, request),
        "apply_flag_settings" | "rename_session" => success(id, None),
        "stop_task" => {
            success(id, None);
            session.stop_task(request["task_id"].as_str().unwrap_or_default());
        }
        "cancel_async_message" => cancel_message(session, id, request),
        "end_session" => {
            success(id, None);
            return Err(Halt::Exit(0));
        }
        _ => match recorded::response(subtype) {
            Some(response) => success(id, Some(response)),
            None => {
                error(id, &format!("Unsupported control request subtype: {subtype}"), "unsupported_request");
            }
        },
    }
    Ok(())
}

/// Takes a `control_response` line: the answer to a permission request. One that is not open is ignored.
pub(super) fn response(session: &mut Session, frame: &Value) {
    let id = frame["response"]["request_id"].as_str().unwrap_or_default();
    let Some(at) = session.open_requests.iter().position(|request| request["request_id"] == id) else {
        return;
    };
    session.open_requests.remove(at);
    emit_bare(&json!({"type": "control_response", "response": frame["response"]}));
    session.answers.insert(id.to_owned(), frame["response"].clone());
}

/// The full name of a model.
pub(super) fn resolve_model(name: &str) -> String {
    let models = recorded::response("list_models").unwrap_or_default();
    let known = models["models"].as_array().into_iter().flatten().find(|model| model["value"] == name);
    known.and_then(|model| model["resolvedModel"].as_str()).unwrap_or(name).to_owned()
}

fn interrupt(session: &mut Session, id: &Value, request: &Value) -> Result<(), Halt> {
    let was_asking = !session.open_requests.is_empty();
    for open in session.open_requests.drain(..) {
        emit_bare(&json!({"type": "control_cancel_request", "request_id": open["request_id"]}));
    }
    let mut queued: Vec<String> = session.queue.iter().filter_map(|prompt| prompt.uuid.clone()).collect();
    let mut answer = json!({});
    if request["cancel_queued"] == true {
        for uuid in &queued {
            session.out.lifecycle(Some(uuid), "cancelled");
        }
        answer["cancelled"] = json!(queued);
        session.queue.clear();
        queued.clear();
    }
    answer["still_queued"] = json!(queued);
    success(id, Some(answer));
    if was_asking {
        session.out.state("running");
    }
    if session.busy { Err(Halt::Interrupted) } else { Ok(()) }
}

/// Gives a prompt back, if it is still in the queue.
fn cancel_message(session: &mut Session, id: &Value, request: &Value) {
    let uuid = request["message_uuid"].as_str();
    let queued = session.queue.len();
    session.queue.retain(|prompt| prompt.uuid.as_deref() != uuid);
    let answer = if session.queue.len() < queued {
        session.out.lifecycle(uuid, "cancelled");
        json!({"cancelled": true, "message_uuid": uuid})
    } else {
        json!({"cancelled": false})
    };
    success(id, Some(answer));
}

fn initialize(session: &Session, id: &Value) {
    let mut answer = recorded::response("initialize").unwrap_or_default();
    answer["pid"] = json!(std::process::id());
    answer["current_permission_mode"] = json!(session.mode.name());
    answer["session_state"] = json!(match (session.busy, session.open_requests.is_empty()) {
        (_, false) => "requires_action",
        (true, true) => "running",
        (false, true) => "idle",
    });
    let mut response = json!({"subtype": "success", "request_id": id, "response": answer});
    let (elicitations, permissions): (Vec<_>, Vec<_>) =
        session.open_requests.iter().partition(|open| open["request"]["subtype"] == "elicitation");
    response["pending_permission_requests"] = json!(permissions);
    response["pending_elicitation_requests"] = json!(elicitations);
    emit_bare(&json!({"type": "control_response", "response": response}));
    if session.prompted {
        session.emit_background();
    }
}

fn set_permission_mode(session: &mut Session, id: &Value, request: &Value) {
    match Mode::parse(request["mode"].as_str().unwrap_or_default()) {
        Ok(Mode::BypassPermissions) if !session.may_bypass => {
            let message = "Cannot set permission mode to bypassPermissions because the session was not launched with \
                           --dangerously-skip-permissions";
            error(id, message, "bypass_not_launched");
        }
        Ok(mode) => {
            success(id, Some(json!({"mode": mode.name()})));
            enter_mode(session, mode);
        }
        Err(message) => error(id, &message, "invalid_request"),
    }
}

/// Changes the mode and says so.
pub(super) fn enter_mode(session: &mut Session, mode: Mode) {
    session.mode = mode;
    session.out.system("status", json!({"status": null, "permissionMode": mode.name()}));
}

fn set_model(session: &mut Session, id: &Value, request: &Value) {
    let name = request["model"].as_str().unwrap_or("default");
    let model = resolve_model(name);
    if !model.starts_with("claude") {
        return error(id, &format!("Model '{name}' not found"), "not_found");
    }
    session.model = model;
    if session.out.replay {
        let said =
            format!("<local-command-stdout>Set model to `{name} ({})`</local-command-stdout>", session.model);
        session.out.emit(json!({"type": "user", "message": {"role": "user", "content": said},
            "parent_tool_use_id": null, "timestamp": super::clock::timestamp(), "isReplay": true}));
    }
    success(id, Some(json!({"model": session.model})));
}

fn success(id: &Value, answer: Option<Value>) {
    let mut response = json!({"subtype": "success", "request_id": id});
    if let Some(answer) = answer {
        response["response"] = answer;
    }
    emit_bare(&json!({"type": "control_response", "response": response}));
}

fn error(id: &Value, message: &str, code: &str) {
    let response = json!({"subtype": "error", "request_id": id, "error": message, "error_code": code});
    emit_bare(&json!({"type": "control_response", "response": response}));
}
