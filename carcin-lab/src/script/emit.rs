//! `!emit`: bytes that no Claude should print.

use serde::Deserialize;

/// Bytes to be printed as they are, whatever they are.
///
/// In a script it is JSON: `!emit {"parts": ["{\"pad\":\"", ["x", 1000000], "\"}\n"]}`. A part is a text, or a text
/// and how often, or `{"hex": "ff00"}` for what is no text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emission {
    /// To stderr; else to stdout.
    #[serde(default)]
    pub stderr: bool,
    /// What is printed, one after the other.
    pub parts: Vec<Part>,
    /// Goes on when the control request of this id is answered.
    #[serde(default)]
    pub answer: Option<String>,
}

/// A piece of what is printed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// This text.
    Text(String),
    /// This text so often.
    Repeated(String, u64),
    /// These bytes, two digits each.
    Bytes {
        /// The digits.
        hex: String,
    },
}

impl Part {
    /// The bytes, and how often.
    pub(crate) fn bytes(&self) -> (Vec<u8>, u64) {
        match self {
            Self::Text(text) => (text.clone().into_bytes(), 1),
            Self::Repeated(text, times) => (text.clone().into_bytes(), *times),
            Self::Bytes { hex } => (unhex(hex).unwrap_or_default(), 1),
        }
    }
}

/// Reads the argument of `!emit`.
pub(super) fn parse(rest: &str) -> Result<Emission, String> {
    let emission: Emission =
        serde_json::from_str(rest).map_err(|error| format!("`!emit` takes {{\"parts\": […]}}: {error}"))?;
    for part in &emission.parts {
        if let Part::Bytes { hex } = part {
            unhex(hex).ok_or_else(|| format!("`{hex}` is not hexadecimal"))?;
        }
    }
    Ok(emission)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Vec<u32> = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes = nibbles.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_texts_repetitions_and_bytes() {
        let emission =
            parse(r#"{"stderr":true,"parts":["a\n",["xy",3],{"hex":"ff0A"}],"answer":"r"}"#).unwrap();
        let bytes: Vec<_> = emission.parts.iter().map(Part::bytes).collect();
        assert_eq!(bytes, [(b"a\n".to_vec(), 1), (b"xy".to_vec(), 3), (vec![0xff, 0x0a], 1)]);
        assert_eq!((emission.stderr, emission.answer.as_deref()), (true, Some("r")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parse(r#"{"parts":[{"hex":"f"}]}"#).unwrap_err().contains("not hexadecimal"));
        assert!(parse("x").unwrap_err().contains("takes"));
    }
}
