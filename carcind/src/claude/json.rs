//! Tolerant reading of JSON objects: what is missing, null or of another type is absent.
//!
//! One pass cuts an object into its fields, each left raw until it is asked for. Skipping a raw value takes no
//! recursion, so that no depth of nesting can overflow the stack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object whose fields are not yet read. Where a name comes twice, the last one counts.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// `None`: not valid JSON, or not an object.
    pub(super) fn parse(raw: &'a str) -> Option<Self> {
        serde_json::from_str(raw).ok()
    }

    /// The fields in order, raw.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.get()))
    }

    /// The raw JSON of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rev().find(|(field, _)| field == name)?;
        Some(value.get()).filter(|raw| *raw != "null")
    }

    /// The raw JSON of a field that is an object or a list, if it is at most `max` bytes long.
    pub(super) fn raw_within(&self, name: &str, max: usize) -> Option<&'a str> {
        self.raw(name).filter(|raw| raw.len() <= max && raw.starts_with(['{', '[']))
    }

    pub(super) fn object(&self, name: &str) -> Option<Object<'a>> {
        self.raw(name).and_then(Self::parse)
    }

    /// The raw JSON of the items of a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.raw(name)?).ok()?;
        Some(items.into_iter().map(RawValue::get).collect())
    }

    /// The objects of a list; what is not an object is left out.
    pub(super) fn objects(&self, name: &str) -> Vec<Object<'a>> {
        self.list(name).unwrap_or_default().into_iter().filter_map(Object::parse).collect()
    }

    /// The strings of a list; what is not a string is left out.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).unwrap_or_default().into_iter().filter_map(text).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(text)
    }

    /// The string, or an empty one.
    pub(super) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }

    /// Not negative and finite.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.raw(name)?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }

    /// Not negative; a fraction is cut off.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok().or_else(|| self.number(name).map(whole))
    }

    /// As [`Self::count`], and no more than fits.
    pub(super) fn small_count(&self, name: &str) -> Option<u32> {
        self.count(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A string, borrowed where it holds no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Str)
    }
}

/// The string that `raw` is. Half of a surrogate pair, which JavaScript leaves where it cuts a text within a
/// character, becomes U+FFFD instead of costing the line.
pub(super) fn text(raw: &str) -> Option<String> {
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str(raw).ok().or_else(|| serde_json::from_str(raw).ok().map(|Halves(text)| text))
}

/// A string in which half surrogate pairs are replaced.
struct Halves(String);

impl<'de> Deserialize<'de> for Halves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Halves;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Halves, E> {
                Ok(Halves(replace_halves(bytes.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// `serde_json` gives a half pair as the three bytes that UTF-8 would have for it (WTF-8).
fn replace_halves(mut bytes: Vec<u8>) -> String {
    for at in 0..bytes.len().saturating_sub(2) {
        if bytes[at] == 0xED && bytes[at + 1] >= 0xA0 {
            bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The whole part of a number that is not negative; what is too large for the type is its largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is what is meant
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}
