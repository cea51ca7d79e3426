//! Inline keyboards.

use serde_json::Value;

use super::error::ApiError;
use super::model::{Button, Keyboard};
use super::params::Params;

/// Bytes in `callback_data`.
const MAX_DATA: usize = 64;
/// Buttons in a row that clients show.
const MAX_ROW: usize = 8;
/// Buttons in a keyboard.
const MAX_BUTTONS: usize = 100;

/// Reads `reply_markup`. Keyboards other than inline ones are taken and not shown.
pub(super) fn read(params: &Params) -> Result<Option<Keyboard>, ApiError> {
    let Some(markup) = params.json("reply_markup", "reply keyboard markup")? else { return Ok(None) };
    let Value::Object(markup) = markup else { return Err(ApiError::bad("object expected as reply markup")) };
    let Some(rows) = markup.get("inline_keyboard") else {
        let other =
            ["keyboard", "remove_keyboard", "force_reply"].iter().any(|kind| markup.contains_key(*kind));
        return if other { Ok(None) } else { Err(ApiError::bad("object expected as reply markup")) };
    };
    let not_rows = || {
        ApiError::bad("field \"inline_keyboard\" of the InlineKeyboardMarkup should be an Array of Arrays")
    };
    let mut keyboard = Keyboard::new();
    for row in rows.as_array().ok_or_else(not_rows)? {
        let row = row.as_array().ok_or_else(not_rows)?;
        let row = row.iter().map(button).collect::<Result<Vec<_>, _>>()?;
        if row.len() > MAX_ROW {
            return Err(ApiError::bad("reply markup is too long"));
        }
        if !row.is_empty() {
            keyboard.push(row);
        }
    }
    if keyboard.iter().map(Vec::len).sum::<usize>() > MAX_BUTTONS {
        return Err(ApiError::bad("reply markup is too long"));
    }
    Ok((!keyboard.is_empty()).then_some(keyboard))
}

fn button(value: &Value) -> Result<Button, ApiError> {
    let invalid = |what: &str| ApiError::bad(format!("can't parse inline keyboard button: {what}"));
    let Value::Object(object) = value else {
        return Err(invalid("InlineKeyboardButton must be an Object"));
    };
    let field = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = field("text").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| invalid("Can't find field \"text\""))?.to_owned();
    let callback_data = field("callback_data").map(ToOwned::to_owned);
    let url = field("url").map(ToOwned::to_owned);
    let copy_text = object.get("copy_text").cloned();
    match [callback_data.is_some(), url.is_some(), copy_text.is_some()].iter().filter(|used| **used).count() {
        0 => return Err(invalid("Text buttons are unallowed in the inline keyboard")),
        1 => {}
        _ => return Err(invalid("a button does exactly one thing")),
    }
    if callback_data.as_ref().is_some_and(|data| data.len() > MAX_DATA) {
        return Err(ApiError::bad("BUTTON_DATA_INVALID"));
    }
    if url.as_ref().is_some_and(|url| !["http://", "https://", "tg://"].iter().any(|s| url.starts_with(s))) {
        return Err(ApiError::bad("BUTTON_URL_INVALID"));
    }
    if let Some(copy) = &copy_text {
        let length = copy["text"].as_str().map_or(0, |text| text.chars().count());
        if !(1..=256).contains(&length) {
            return Err(ApiError::bad("BUTTON_COPY_TEXT_INVALID"));
        }
    }
    let style = field("style").map(ToOwned::to_owned);
    if style.as_ref().is_some_and(|style| !["danger", "success", "primary"].contains(&style.as_str())) {
        return Err(invalid("unknown style"));
    }
    Ok(Button { text, callback_data, url, copy_text, style })
}
