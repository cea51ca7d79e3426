//! Texts and their entities, held to the letter of the Bot API's documentation.
//!
//! The real server is lenient where it can be: an entity out of bounds is clipped, an invalid nesting is
//! dropped or split, a link it does not like becomes plain text. In each of these cases the person sees
//! something else than the bot meant, so here each is refused with a 400 whose description begins with
//! "can't parse entities" and names the entity. Also refused: parse modes (Carcin sends entities only),
//! entities which consist of white space or reach into the trailing white space that Telegram trims, and
//! types which Telegram finds by itself (`url`, `bot_command`…).

use serde_json::Value;

use super::error::ApiError;
use super::model::{Content, Entity};
use super::params::Params;

/// UTF-16 units in a text.
pub(super) const MAX_TEXT: usize = 4096;
/// UTF-16 units in a caption.
pub(super) const MAX_CAPTION: usize = 1024;
/// Entities in a text; the rest the real server drops.
const MAX_ENTITIES: usize = 100;

/// Length as Telegram counts it.
pub(super) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The names under which a text and its entities are passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFields {
    pub(super) text: &'static str,
    pub(super) entities: &'static str,
}

pub(super) const TEXT: TextFields = TextFields { text: "text", entities: "entities" };
pub(super) const CAPTION: TextFields = TextFields { text: "caption", entities: "caption_entities" };

/// Reads a text with its entities, trims it as Telegram does, and checks all but its length.
pub(super) fn read(params: &Params, fields: TextFields) -> Result<Content, ApiError> {
    if params.get("parse_mode").is_some() {
        return Err(ApiError::bad("the lab refuses parse modes by design: send entities"));
    }
    let entities = params.json(fields.entities, "entities")?;
    parse(&params.str(fields.text).unwrap_or_default(), entities.as_ref())
}

/// Checks `text` with the `entities` given as JSON.
pub(super) fn parse(text: &str, entities: Option<&Value>) -> Result<Content, ApiError> {
    let entities = match entities {
        None => Vec::new(),
        Some(value) => serde_json::from_value::<Vec<Entity>>(value.clone())
            .map_err(|error| invalid(format!("not an array of MessageEntity: {error}")))?,
    };
    check_each(text, &entities)?;
    check_nesting(&entities)?;
    trim(text, entities)
}

fn invalid(what: impl AsRef<str>) -> ApiError {
    ApiError::bad(format!("can't parse entities: {}", what.as_ref()))
}

/// What may contain what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Bold and the like: within and around anything but code.
    Style,
    /// `code`, `pre`: contains nothing, is within quotes only.
    Code,
    /// Quotes: contain anything but quotes.
    Quote,
    /// Links, mentions, custom emoji: do not contain each other.
    Other,
}

fn class(kind: &str) -> Option<Class> {
    Some(match kind {
        "bold" | "italic" | "underline" | "strikethrough" | "spoiler" => Class::Style,
        "code" | "pre" => Class::Code,
        "blockquote" | "expandable_blockquote" => Class::Quote,
        "text_link" | "text_mention" | "custom_emoji" | "date_time" => Class::Other,
        _ => return None,
    })
}

fn check_each(text: &str, entities: &[Entity]) -> Result<(), ApiError> {
    if entities.len() > MAX_ENTITIES {
        return Err(invalid(format!("{} entities, of which Telegram keeps {MAX_ENTITIES}", entities.len())));
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    for entity in entities {
        let name = format!("{} at {}+{}", entity.kind, entity.offset, entity.length);
        class(&entity.kind).ok_or_else(|| invalid(format!("{name}: unsupported type")))?;
        let (Ok(start), Ok(length)) = (usize::try_from(entity.offset), usize::try_from(entity.length)) else {
            return Err(invalid(format!("{name}: negative")));
        };
        let Some(inside) = units.get(start..start.saturating_add(length)) else {
            return Err(invalid(format!("{name}: out of bounds, the text has {} units", units.len())));
        };
        if inside.is_empty() {
            return Err(invalid(format!("{name}: empty")));
        }
        let splits = |at: usize| units.get(at).is_some_and(|unit| (0xDC00..0xE000).contains(unit));
        if splits(start) || splits(start + length) {
            return Err(invalid(format!("{name}: begins or ends inside a surrogate pair")));
        }
        if String::from_utf16_lossy(inside).trim().is_empty() {
            return Err(invalid(format!("{name}: nothing but white space")));
        }
        check_attributes(entity).map_err(|what| invalid(format!("{name}: {what}")))?;
    }
    Ok(())
}

fn check_attributes(entity: &Entity) -> Result<(), String> {
    match entity.kind.as_str() {
        "text_link" => {
            let url = entity.url.as_deref().unwrap_or_default();
            let lower = url.to_ascii_lowercase();
            let rest = ["http://", "https://", "tg://", "mailto:"]
                .iter()
                .find_map(|scheme| lower.strip_prefix(scheme));
            let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
            if good { Ok(()) } else { Err(format!("the link {url:?} is not http, https, tg or mailto")) }
        }
        "text_mention" if entity.user.as_ref().is_none_or(|user| user["id"].as_i64().is_none()) => {
            Err("no user".into())
        }
        "custom_emoji" if entity.custom_emoji_id.is_none() => Err("no custom_emoji_id".into()),
        _ => Ok(()),
    }
}

fn check_nesting(entities: &[Entity]) -> Result<(), ApiError> {
    for (index, one) in entities.iter().enumerate() {
        for other in &entities[index + 1..] {
            check_pair(one, other).map_err(|what| {
                invalid(format!(
                    "{} at {}+{} and {} at {}+{}: {what}",
                    one.kind, one.offset, one.length, other.kind, other.offset, other.length
                ))
            })?;
        }
    }
    Ok(())
}

fn check_pair(one: &Entity, other: &Entity) -> Result<(), &'static str> {
    let end = |entity: &Entity| entity.offset + entity.length;
    if end(one) <= other.offset || end(other) <= one.offset {
        return Ok(());
    }
    let within = |inner: &Entity, outer: &Entity| outer.offset <= inner.offset && end(inner) <= end(outer);
    if !within(one, other) && !within(other, one) {
        return Err("they overlap without being nested");
    }
    if one.kind == other.kind {
        return Err("the same entity within itself");
    }
    let (Some(first), Some(second)) = (class(&one.kind), class(&other.kind)) else { return Ok(()) };
    // Of two with the same range either may be the outer one.
    let outer_is =
        |entity: &Entity| if std::ptr::eq(entity, one) { within(other, one) } else { within(one, other) };
    match (first, second) {
        (Class::Code, Class::Quote) if outer_is(other) => Ok(()),
        (Class::Quote, Class::Code) if outer_is(one) => Ok(()),
        (Class::Code, _) | (_, Class::Code) => Err("code and pre contain nothing and are within quotes only"),
        (Class::Quote, Class::Quote) => Err("quotes cannot be nested"),
        (Class::Other, Class::Other) => Err("these cannot contain each other"),
        (Class::Other, Class::Quote) if !outer_is(other) => Err("a link cannot contain a quote"),
        (Class::Quote, Class::Other) if !outer_is(one) => Err("a link cannot contain a quote"),
        _ => Ok(()),
    }
}

/// Trailing white space goes, and leading up to the first entity, as in Telegram.
fn trim(text: &str, mut entities: Vec<Entity>) -> Result<Content, ApiError> {
    let kept = text.trim_end();
    let first = entities.iter().map(|entity| entity.offset).min().unwrap_or(i64::MAX);
    let mut lead_units = 0;
    let mut lead_bytes = 0;
    for character in kept.chars().take_while(|character| character.is_whitespace()) {
        if lead_units >= first {
            break;
        }
        lead_units += i64::try_from(character.len_utf16()).expect("one or two");
        lead_bytes += character.len_utf8();
    }
    let kept_units = i64::try_from(utf16_len(kept)).expect("a text in memory is shorter than i64::MAX");
    for entity in &mut entities {
        if entity.offset + entity.length > kept_units {
            return Err(invalid(format!(
                "{} at {}+{}: reaches into the trailing white space, which Telegram trims",
                entity.kind, entity.offset, entity.length
            )));
        }
        entity.offset -= lead_units;
    }
    entities.sort_by_key(|entity| (entity.offset, -entity.length));
    Ok(Content { text: kept[lead_bytes..].to_owned(), entities, ..Content::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(text: &str, entities: &Value) -> String {
        parse(text, Some(entities)).unwrap_err().description
    }

    #[test]
    fn well_formed_entities_are_kept() {
        let entities = json!([
            {"type":"bold","offset":0,"length":7}, {"type":"italic","offset":0,"length":3},
            {"type":"expandable_blockquote","offset":8,"length":7}, {"type":"code","offset":8,"length":3},
            {"type":"text_link","offset":12,"length":3,"url":"https://example.org/"},
        ]);
        let content = parse("one two one two", Some(&entities)).unwrap();
        assert_eq!(content.entities.len(), 5);
        assert_eq!(content.entities[0].kind, "bold");
    }

    #[test]
    fn offsets_count_utf16_units() {
        parse("🦀 x", Some(&json!([{"type":"bold","offset":3,"length":1}]))).unwrap();
        let error = refusal("🦀 x", &json!([{"type":"bold","offset":4,"length":1}]));
        assert!(error.contains("out of bounds"), "{error}");
    }

    #[test]
    fn an_entity_inside_a_surrogate_pair_is_refused() {
        for (offset, length) in [(1, 2), (0, 1)] {
            let error = refusal("🦀x", &json!([{"type":"bold","offset":offset,"length":length}]));
            assert!(error.contains("surrogate pair"), "{error}");
        }
    }

    #[test]
    fn types_unknown_or_found_by_telegram_itself_are_refused() {
        for kind in ["blink", "url", "bot_command"] {
            let error = refusal("text", &json!([{"type":kind,"offset":0,"length":4}]));
            assert!(error.contains("unsupported type"), "{error}");
        }
    }

    #[test]
    fn entities_that_overlap_without_nesting_are_refused() {
        let error = refusal(
            "abcdef",
            &json!([{"type":"bold","offset":0,"length":4},{"type":"italic","offset":2,"length":4}]),
        );
        assert!(error.contains("without being nested"), "{error}");
    }

    #[test]
    fn code_contains_nothing_and_is_contained_by_quotes_only() {
        for kind in ["bold", "text_link", "code", "blockquote"] {
            let error = refusal(
                "abcdef",
                &json!([{"type":"pre","offset":0,"length":6},
                    {"type":kind,"offset":2,"length":2,"url":"https://e.org"}]),
            );
            assert!(error.contains("code and pre contain nothing"), "{error}");
        }
        let error = refusal(
            "abcdef",
            &json!([{"type":"bold","offset":0,"length":6},{"type":"code","offset":2,"length":2}]),
        );
        assert!(error.contains("code and pre contain nothing"), "{error}");
        parse(
            "abcdef",
            Some(&json!([{"type":"blockquote","offset":0,"length":6},{"type":"pre","offset":0,"length":6}])),
        )
        .unwrap();
    }

    #[test]
    fn quotes_are_not_nested() {
        let error = refusal(
            "abcdef",
            &json!([{"type":"blockquote","offset":0,"length":6},
                {"type":"expandable_blockquote","offset":2,"length":2}]),
        );
        assert!(error.contains("quotes cannot be nested"), "{error}");
    }

    #[test]
    fn a_link_needs_a_good_scheme() {
        for url in ["javascript:alert(1)", "file:///etc/passwd", "main.rs", "https://", "http://a b", ""] {
            let error = refusal("link", &json!([{"type":"text_link","offset":0,"length":4,"url":url}]));
            assert!(error.contains("is not http, https, tg or mailto"), "{url}: {error}");
        }
        for url in ["http://e.org", "HTTPS://e.org/x?y#z", "tg://user?id=7", "mailto:a@e.org"] {
            parse("link", Some(&json!([{"type":"text_link","offset":0,"length":4,"url":url}]))).unwrap();
        }
    }

    #[test]
    fn white_space_is_trimmed_and_offsets_move_along() {
        let content = parse("  \n a b \n", Some(&json!([{"type":"bold","offset":6,"length":1}]))).unwrap();
        assert_eq!((content.text.as_str(), content.entities[0].offset), ("a b", 2));
    }

    #[test]
    fn leading_white_space_inside_an_entity_stays() {
        let content = parse("\n  let x;", Some(&json!([{"type":"pre","offset":1,"length":8}]))).unwrap();
        assert_eq!((content.text.as_str(), content.entities[0].offset), ("  let x;", 0));
    }

    #[test]
    fn an_entity_in_trimmed_or_blank_space_is_refused() {
        let error = refusal("ab \n", &json!([{"type":"pre","offset":0,"length":4}]));
        assert!(error.contains("trailing white space"), "{error}");
        let error = refusal("a  b", &json!([{"type":"bold","offset":1,"length":2}]));
        assert!(error.contains("nothing but white space"), "{error}");
    }
}
