//! The form of an MCP elicitation: a flat object of simple fields, as the protocol has it.

use serde_json::{Map, Number, Value};

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// Its key in the content.
    pub(super) name: String,
    /// What people call it.
    pub(super) title: String,
    /// What it is for; may be empty.
    pub(super) description: String,
    /// It must be filled in.
    pub(super) required: bool,
    /// What is there if nobody says otherwise.
    pub(super) default: Option<Value>,
    /// What goes into it.
    pub(super) kind: Kind,
}

/// What goes into a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Text of a format and of so many characters.
    Text { format: Option<String>, min: Option<u64>, max: Option<u64> },
    /// A number within bounds.
    Number { whole: bool, min: Option<f64>, max: Option<f64> },
    /// Yes or no.
    YesNo,
    /// One of these.
    One(Vec<Choice>),
    /// Some of these.
    Some { choices: Vec<Choice>, min: Option<u64>, max: Option<u64> },
}

/// A value with what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) title: String,
}

/// The fields of a schema, in its order. `None`: it is none that can be asked field by field.
pub(super) fn fields(schema: &str) -> Option<Vec<Field>> {
    if schema.trim().is_empty() {
        return Some(Vec::new());
    }
    let schema: Value = serde_json::from_str(schema).ok()?;
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema.as_object()?.get("properties") else { return Some(Vec::new()) };
    properties
        .as_object()?
        .iter()
        .map(|(name, field)| parse(name, field, required.contains(&name.as_str())))
        .collect()
}

fn parse(name: &str, field: &Value, required: bool) -> Option<Field> {
    let text = |key: &str| field[key].as_str().unwrap_or_default().to_owned();
    let kind = match field["type"].as_str() {
        Some("string") | None if choices(field).is_some() => Kind::One(choices(field)?),
        Some("string") => Kind::Text {
            format: field["format"].as_str().map(str::to_owned),
            min: field["minLength"].as_u64(),
            max: field["maxLength"].as_u64(),
        },
        Some(number @ ("number" | "integer")) => Kind::Number {
            whole: number == "integer",
            min: field["minimum"].as_f64(),
            max: field["maximum"].as_f64(),
        },
        Some("boolean") => Kind::YesNo,
        Some("array") => Kind::Some {
            choices: choices(&field["items"])?,
            min: field["minItems"].as_u64(),
            max: field["maxItems"].as_u64(),
        },
        _ => return None,
    };
    let title = Some(text("title")).filter(|title| !title.trim().is_empty());
    Some(Field {
        name: name.to_owned(),
        title: title.unwrap_or_else(|| name.to_owned()),
        description: text("description"),
        required,
        default: field.get("default").filter(|default| !default.is_null()).cloned(),
        kind,
    })
}

/// `enum` with `enumNames`, or a list of `const` with `title`.
fn choices(field: &Value) -> Option<Vec<Choice>> {
    let titled = field["oneOf"].as_array().or_else(|| field["anyOf"].as_array());
    if let Some(titled) = titled {
        let choice = |one: &Value| {
            let value = one["const"].as_str()?.to_owned();
            Some(Choice { title: one["title"].as_str().unwrap_or(&value).to_owned(), value })
        };
        return titled.iter().map(choice).collect();
    }
    let values = field["enum"].as_array()?;
    let choice = |(index, value): (usize, &Value)| {
        let value = value.as_str()?.to_owned();
        Some(Choice { title: field["enumNames"][index].as_str().unwrap_or(&value).to_owned(), value })
    };
    values.iter().enumerate().map(choice).collect()
}

impl Field {
    /// Its choices, where it has some.
    pub(super) fn choices(&self) -> Vec<Choice> {
        match &self.kind {
            Kind::One(choices) | Kind::Some { choices, .. } => choices.clone(),
            Kind::YesNo => [("true", "Yes"), ("false", "No")]
                .map(|(value, title)| Choice { value: value.to_owned(), title: title.to_owned() })
                .to_vec(),
            Kind::Text { .. } | Kind::Number { .. } => Vec::new(),
        }
    }

    /// Whether it is written rather than chosen.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.kind, Kind::Text { .. } | Kind::Number { .. })
    }

    /// The value behind a choice.
    pub(super) fn chosen(&self, index: usize) -> Option<Value> {
        let choice = self.choices().into_iter().nth(index)?;
        Some(if self.kind == Kind::YesNo {
            Value::from(choice.value == "true")
        } else {
            Value::from(choice.value)
        })
    }

    /// What may be in it, in words; may be empty.
    pub(super) fn rule(&self) -> String {
        match &self.kind {
            Kind::Text { format, min, max } => {
                let format = match format.as_deref() {
                    Some("email") => "a mail address".to_owned(),
                    Some("uri") => "an address like https://example.org".to_owned(),
                    Some("date") => "a date like 2026-03-31".to_owned(),
                    Some("date-time") => "a date and time like 2026-03-31T12:00:00Z".to_owned(),
                    Some(other) => other.to_owned(),
                    None => String::new(),
                };
                let length = match (min, max) {
                    (None | Some(0), None) => String::new(),
                    (None | Some(0), Some(max)) => format!("at most {max} characters"),
                    (Some(min), None) => format!("at least {min} characters"),
                    (Some(min), Some(max)) => format!("{min} to {max} characters"),
                };
                [format, length].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
            }
            Kind::Number { whole, min, max } => {
                let what = if *whole { "a whole number" } else { "a number" };
                match (min, max) {
                    (None, None) => what.to_owned(),
                    (Some(min), None) => format!("{what} of at least {min}"),
                    (None, Some(max)) => format!("{what} of at most {max}"),
                    (Some(min), Some(max)) => format!("{what} from {min} to {max}"),
                }
            }
            Kind::Some { min, max, .. } => match (min, max) {
                (None | Some(0), None) => "as many as you like".to_owned(),
                (None | Some(0), Some(max)) => format!("at most {max}"),
                (Some(min), None) => format!("at least {min}"),
                (Some(min), Some(max)) => format!("{min} to {max}"),
            },
            Kind::YesNo | Kind::One(_) => String::new(),
        }
    }

    /// The value that a text stands for; the error says what it must be.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        let wrong = || format!("{} must be {}.", self.title, self.rule());
        match &self.kind {
            Kind::Text { format, min, max } => {
                let length = text.chars().count() as u64;
                let fits = min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max);
                let fits = fits && format.as_deref().is_none_or(|format| has_format(format, text));
                if fits { Ok(Value::from(text)) } else { Err(wrong()) }
            }
            Kind::Number { whole, min, max } => {
                let number = text.parse::<i64>().map(Number::from).ok();
                let number = number.or_else(|| {
                    let number = text.replace(',', ".").parse::<f64>().ok().filter(|_| !whole)?;
                    Number::from_f64(number)
                });
                let number = number.ok_or_else(wrong)?;
                let value = number.as_f64().unwrap_or_default();
                let fits = min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
                if fits { Ok(Value::Number(number)) } else { Err(wrong()) }
            }
            Kind::YesNo | Kind::One(_) => {
                let choices = self.choices();
                let same = |one: &Choice| one.title.eq_ignore_ascii_case(text) || one.value == text;
                let found = choices.iter().position(same).and_then(|index| self.chosen(index));
                found.ok_or_else(|| format!("{} must be one of the choices.", self.title))
            }
            Kind::Some { choices, .. } => {
                let part = |part: &str| {
                    let same = |one: &&Choice| {
                        one.title.eq_ignore_ascii_case(part.trim()) || one.value == part.trim()
                    };
                    choices.iter().find(same).map(|one| one.value.clone())
                };
                let values: Option<Vec<String>> = text.split(',').map(part).collect();
                let values = values.ok_or_else(|| format!("{} must be of the choices.", self.title))?;
                self.some(values)
            }
        }
    }

    /// The value of several choices.
    pub(super) fn some(&self, values: Vec<String>) -> Result<Value, String> {
        let Kind::Some { min, max, .. } = &self.kind else { return Err(String::new()) };
        let many = values.len() as u64;
        if min.is_none_or(|min| many >= min) && max.is_none_or(|max| many <= max) {
            Ok(Value::from(values))
        } else {
            Err(format!("Choose {}.", self.rule()))
        }
    }

    /// A value as people read it.
    pub(super) fn show(&self, value: &Value) -> String {
        let title = |value: &str| {
            let found = self.choices().into_iter().find(|choice| choice.value == value);
            found.map_or_else(|| value.to_owned(), |choice| choice.title)
        };
        match value {
            Value::String(text) => title(text),
            Value::Bool(yes) => if *yes { "Yes" } else { "No" }.to_owned(),
            Value::Array(values) if values.is_empty() => "none".to_owned(),
            Value::Array(values) => values
                .iter()
                .map(|one| title(one.as_str().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        }
    }
}

/// The content of a form from its values; `None`: left out.
pub(super) fn content(fields: &[Field], given: &[Option<Value>]) -> String {
    let filled =
        fields.iter().zip(given).filter_map(|(field, value)| Some((field.name.clone(), value.clone()?)));
    Value::Object(filled.collect::<Map<_, _>>()).to_string()
}

fn has_format(format: &str, text: &str) -> bool {
    let plain = !text.chars().any(char::is_whitespace);
    match format {
        "email" => {
            let parts = text.split_once('@');
            plain
                && parts
                    .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        }
        "uri" => {
            let (scheme, rest) = text.split_once(':').unwrap_or_default();
            let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            plain && named && !rest.is_empty()
        }
        "date" => is_date(text),
        "date-time" => text.split_once(['T', 't']).is_some_and(|(date, time)| is_date(date) && is_time(time)),
        // One that this program does not know is the server's to check.
        _ => true,
    }
}

/// Digits alone, so many of them, within bounds.
fn digits(text: &str, length: usize, from: u32, to: u32) -> Option<u32> {
    let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| fits)?;
    (from..=to).contains(&number).then_some(number)
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let (Some(year), Some(month)) = (digits(year, 4, 0, 9999), digits(month, 2, 1, 12)) else { return false };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    digits(day, 2, 1, last).is_some()
}

/// `12:00:00`, with parts of a second, and `Z` or an offset.
fn is_time(text: &str) -> bool {
    let Some(at) = text.find(['Z', 'z', '+', '-']) else { return false };
    let (time, zone) = text.split_at(at);
    let is_clock = |text: &str| {
        text.split_once(':')
            .is_some_and(|(h, m)| digits(h, 2, 0, 23).is_some() && digits(m, 2, 0, 59).is_some())
    };
    let zone = matches!(zone, "Z" | "z") || is_clock(&zone[1..]);
    let (clock, seconds) = time.split_at_checked(5).unwrap_or_default();
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = seconds.strip_prefix(':').is_some_and(|seconds| digits(seconds, 2, 0, 60).is_some());
    zone && is_clock(clock) && seconds && fraction
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(schema: &Value) -> Field {
        parse("it", schema, true).expect("a field")
    }

    #[test]
    fn a_text_is_checked_for_length_and_format() {
        for (schema, good, bad) in [
            (json!({"type": "string", "minLength": 2, "maxLength": 3}), "äöü", "äöüß"),
            (json!({"type": "string", "minLength": 2}), "ab", "a"),
            (json!({"type": "string", "format": "email"}), "ann@example.org", "ann@"),
            (json!({"type": "string", "format": "email"}), "a@b", "a b@c"),
            (json!({"type": "string", "format": "uri"}), "https://example.org/x", "example.org"),
            (json!({"type": "string", "format": "date"}), "2024-02-29", "2025-02-29"),
            (json!({"type": "string", "format": "date"}), "2025-12-31", "2025-13-01"),
            (
                json!({"type": "string", "format": "date-time"}),
                "2025-01-01T09:30:00.5+01:00",
                "2025-01-01 09:30",
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                "2025-01-01T09:30:00Z",
                "2025-01-01T25:30:00Z",
            ),
        ] {
            let field = field(&schema);
            assert_eq!(field.read(good), Ok(Value::from(good)), "{schema}");
            assert!(field.read(bad).is_err(), "{schema} {bad}");
        }
    }

    #[test]
    fn a_number_is_checked_for_its_bounds() {
        let whole = field(&json!({"type": "integer", "minimum": 1, "maximum": 5, "title": "Stars"}));
        assert_eq!(whole.read("5"), Ok(json!(5)));
        for bad in ["0", "6", "2.5", "many", "", "1e0"] {
            assert_eq!(whole.read(bad), Err("Stars must be a whole number from 1 to 5.".to_owned()), "{bad}");
        }
        let any = field(&json!({"type": "number"}));
        assert_eq!(any.read("2,5"), Ok(json!(2.5)));
        assert_eq!(any.read("-3"), Ok(json!(-3)));
        assert!(any.read("NaN").is_err() && any.read("inf").is_err());
    }

    #[test]
    fn choices_have_titles_in_every_way_that_the_protocol_has() {
        for schema in [
            json!({"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]}),
            json!({"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}]}),
        ] {
            let field = field(&schema);
            assert_eq!(field.chosen(1), Some(json!("g")));
            assert_eq!((field.read("green"), field.show(&json!("g"))), (Ok(json!("g")), "Green".to_owned()));
            assert!(field.read("blue").is_err() && field.chosen(2).is_none());
        }
        let several = field(
            &json!({"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string", "enum": ["a", "b"]}}),
        );
        assert_eq!(several.read("b"), Ok(json!(["b"])));
        assert!(several.read("a, b").is_err() && several.some(Vec::new()).is_err());
        let yes = field(&json!({"type": "boolean"}));
        assert_eq!((yes.chosen(0), yes.read("no")), (Some(json!(true)), Ok(json!(false))));
    }

    #[test]
    fn a_form_keeps_the_order_of_its_fields_and_leaves_out_what_is_skipped() {
        let schema = r#"{"type":"object","required":["z"],"properties":{"z":{"type":"string"},"a":{"type":"integer"},"m":{"type":"boolean"}}}"#;
        let fields = fields(schema).expect("a form");
        let names: Vec<(&str, bool)> =
            fields.iter().map(|field| (field.name.as_str(), field.required)).collect();
        assert_eq!(names, [("z", true), ("a", false), ("m", false)]);
        let given = [Some(json!("x")), None, Some(json!(true))];
        assert_eq!(content(&fields, &given), r#"{"z":"x","m":true}"#);
    }

    #[test]
    fn what_is_no_flat_form_is_not_asked_field_by_field() {
        let nested = r#"{"type":"object","properties":{"a":{"type":"object","properties":{}}}}"#;
        assert_eq!(fields(nested), None);
        assert_eq!(fields("["), None);
        assert_eq!(fields(r#"{"type":"object"}"#), Some(Vec::new()));
        assert_eq!(fields(""), Some(Vec::new()));
    }
}
