//! `!ask`, `!form`, `!link`: questions to the user.

use serde_json::{Map, Value, json};

use super::ToolCall;
use super::parse::object;

/// The tool that asks the user in an MCP server's name.
pub const ELICIT: &str = "mcp__lab__elicit";

/// `Question? | Label | Label`; a leading `+` allows several choices; ` && ` begins the next question.
pub(super) fn questions(rest: &str) -> ToolCall {
    let rest = if rest.is_empty() { "Which colour do you like? | Red | Blue | Green" } else { rest };
    let question = |part: &str| {
        let (several, part) = part.trim().strip_prefix('+').map_or((false, part), |part| (true, part));
        let mut parts = part.split('|').map(str::trim);
        let question = parts.next().unwrap_or_default();
        let mut labels: Vec<&str> = parts.filter(|label| !label.is_empty()).collect();
        if labels.is_empty() {
            labels = vec!["Yes", "No"];
        }
        let options: Vec<Value> = labels
            .iter()
            .map(|label| json!({"label": label, "description": format!("Choose {label}")}))
            .collect();
        let header: String =
            question.split_whitespace().next_back().unwrap_or("Question").chars().take(12).collect();
        json!({"question": question, "header": header, "options": options, "multiSelect": several})
    };
    let questions: Vec<Value> = rest.split("&&").map(question).collect();
    ToolCall { name: "AskUserQuestion".to_owned(), input: json!({"questions": questions}) }
}

/// `Message {"name": "string"}`: fields are names with a type or a schema each, all required; or the whole schema.
pub(super) fn form(rest: &str) -> Result<ToolCall, String> {
    let at = rest.find('{').ok_or("`!form` needs its fields, {\"name\": \"string\"}")?;
    let (fields, after) = object(&rest[at..])?;
    if !after.trim().is_empty() {
        return Err(format!("behind the fields comes nothing, not `{}`", after.trim()));
    }
    let schema = if fields["properties"].is_object() { fields } else { schema(&fields) };
    Ok(elicit(json!({"message": rest[..at].trim(), "requestedSchema": schema})))
}

fn schema(fields: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, field) in fields {
        let field = field.as_str().map_or_else(|| field.clone(), |kind| json!({"type": kind}));
        properties.insert(name.clone(), field);
        required.push(name);
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// `URL message`.
pub(super) fn link(rest: &str) -> Result<ToolCall, String> {
    let (url, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, "Please open this link."));
    if !url.starts_with("http") {
        return Err(format!("`!link` begins with the link, not with `{url}`"));
    }
    Ok(elicit(json!({"message": message.trim(), "url": url})))
}

fn elicit(input: Value) -> ToolCall {
    ToolCall { name: ELICIT.to_owned(), input }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_names_and_types_or_a_schema() {
        let call = form(r#"Who are you? {"name":"string","age":{"type":"integer","minimum":0}}"#).unwrap();
        assert_eq!(call.input["message"], "Who are you?");
        let schema = &call.input["requestedSchema"];
        assert_eq!(schema["properties"]["name"], json!({"type": "string"}));
        assert_eq!(schema["properties"]["age"]["minimum"], 0);
        let whole = form(r#"x {"type":"object","properties":{}}"#).unwrap();
        assert_eq!(whole.input["requestedSchema"], json!({"type": "object", "properties": {}}));
        assert!(form("Who?").unwrap_err().contains("needs its fields"));
    }

    #[test]
    fn a_link_comes_first() {
        let call = link("https://example.org/login Log in, please").unwrap();
        assert_eq!(call.input, json!({"message": "Log in, please", "url": "https://example.org/login"}));
        assert!(link("example").is_err());
    }
}
