//! `!see`: the pictures that came with a prompt.

use serde_json::Value;

/// The pictures in the content of a prompt, each as its type and the size of its data.
pub fn pictures(content: &Value) -> Vec<String> {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let pictures = blocks.iter().filter(|block| block["type"] == "image");
    let describe = |block: &Value| {
        let source = &block["source"];
        // Four digits of base64 are three bytes.
        let digits = source["data"].as_str().unwrap_or_default().trim_end_matches('=').len();
        format!("{} of {} bytes", source["media_type"].as_str().unwrap_or("no type"), digits * 3 / 4)
    };
    pictures.map(describe).collect()
}

/// What Claude says of them.
pub(super) fn said(pictures: &[String]) -> String {
    match pictures {
        [] => "I see no picture.".to_owned(),
        [one] => format!("I see a picture: {one}."),
        several => format!("I see {} pictures: {}.", several.len(), several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pictures_are_counted_and_measured() {
        let png = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}});
        let found = pictures(&json!([{"type": "text", "text": "look"}, png, png]));
        assert_eq!(said(&found), "I see 2 pictures: image/png of 4 bytes, image/png of 4 bytes.");
        assert_eq!(said(&pictures(&json!("only text"))), "I see no picture.");
    }
}
