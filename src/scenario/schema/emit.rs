//! JSON Schema and Markdown out of the table.

use serde_json::{Map, Value, json};

use super::{Key, SCENARIO, Type};

/// Patterns shared by many keys.
const QUANTITY: &str =
    r"^\+?([0-9]+\.?[0-9]*|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]+)?$";
const DURATION: &str = r"^(0|([0-9.]+(y|w|d|h|ms|m|us|ns|s))+)$";
const RATE: &str = r"^[0-9.]+(k|M|G|T|Ki|Mi|Gi|Ti)?B?/s$";
const SHARE: &str = r"^[0-9.]+ *%?$";

/// The JSON Schema (draft 2020-12) of a scenario.
pub fn json_schema() -> Value {
    let mut root = object(SCENARIO);
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("stowplan scenario, version 1"));
    root.insert("$defs".to_owned(), definitions());
    Value::Object(root)
}

fn definitions() -> Value {
    json!({
        "quantity": {"oneOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": QUANTITY}], "description": "a Kubernetes quantity such as 500m, 4 or 10Gi"},
        "duration": {"oneOf": [{"const": 0}, {"type": "string", "pattern": DURATION}], "description": "90s, 5m, 4h, 30d, 2d6h"},
        "rate": {"type": "string", "pattern": RATE, "description": "200MB/s, 1Gi/s"},
        "share": {"oneOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": SHARE}], "description": "20% or 0.2"},
        "varyingSize": varying("quantity"),
        "varyingTime": varying("duration"),
    })
}

/// A constant or a distribution of it.
fn varying(unit: &str) -> Value {
    let unit = json!({"$ref": format!("#/$defs/{unit}")});
    let with = |name: &str, inner: Value| json!({"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": false});
    let fields = |pairs: &[(&str, Value)]| {
        let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
        let properties: Map<String, Value> =
            pairs.iter().map(|(name, v)| ((*name).to_owned(), v.clone())).collect();
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
    };
    json!({"oneOf": [
        unit,
        with("exponential", fields(&[("mean", unit.clone())])),
        with("lognormal", fields(&[("median", unit.clone()), ("p95", unit.clone())])),
        with("uniform", json!({"type": "array", "items": unit, "minItems": 2, "maxItems": 2})),
        with("weibull", fields(&[("shape", json!({"type": "number"})), ("scale", unit.clone())])),
        with("choice", json!({"type": "array", "minItems": 1, "items": {
            "type": "object",
            "properties": {"value": unit, "weight": {"type": "number", "exclusiveMinimum": 0}},
            "required": ["value"],
            "additionalProperties": false
        }})),
        with("empirical", json!({"type": "string", "description": "a file with one value per line"})),
    ]})
}

fn object(keys: &[Key]) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = of(&key.holds);
        let default = match key.default {
            "" | "required" => String::new(),
            default => format!(" (default: {default})"),
        };
        let text = format!("{}{default}", key.meaning);
        if !text.is_empty() {
            schema.insert("description".to_owned(), json!(text.trim()));
        }
        properties.insert(key.name.to_owned(), Value::Object(schema));
    }
    let required: Vec<&str> = keys.iter().filter(|k| k.default == "required").map(|k| k.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

fn of(holds: &Type) -> Map<String, Value> {
    let schema = match holds {
        Type::Text | Type::File => json!({"type": ["string", "number", "boolean"]}),
        Type::Bool => json!({"type": "boolean"}),
        // JSON Schema readers keep numbers as doubles; the largest seed is not one.
        Type::Int(from, to) if *to > 1 << 53 => json!({"type": "integer", "minimum": from}),
        Type::Int(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Type::Number => json!({"type": "number"}),
        Type::Quantity => json!({"$ref": "#/$defs/quantity"}),
        Type::Duration => json!({"$ref": "#/$defs/duration"}),
        Type::Rate => json!({"$ref": "#/$defs/rate"}),
        Type::Share => json!({"$ref": "#/$defs/share"}),
        Type::VaryingSize => json!({"$ref": "#/$defs/varyingSize"}),
        Type::VaryingTime => json!({"$ref": "#/$defs/varyingTime"}),
        // The version is written as a number.
        Type::Choice(["1"]) => json!({"enum": [1, "1"]}),
        Type::Choice(words) => json!({"enum": words}),
        Type::List(inner) => json!({"type": "array", "items": of(inner)}),
        Type::Map(inner) => json!({"type": "object", "additionalProperties": of(inner)}),
        Type::Object(keys) => Value::Object(object(keys)),
        Type::OneOf(forms) => {
            json!({"anyOf": forms.iter().map(|f| Value::Object(of(f))).collect::<Vec<_>>()})
        }
        Type::Any => json!({}),
    };
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The reference of the format as Markdown: one table per mapping.
pub fn reference() -> String {
    let mut out = String::new();
    section(&mut out, "", SCENARIO);
    out
}

fn section(out: &mut String, path: &str, keys: &[Key]) {
    let title = if path.is_empty() { "The scenario".to_owned() } else { format!("`{path}`") };
    out.push_str(&format!("### {title}\n\n| key | holds | default | meaning |\n|---|---|---|---|\n"));
    for key in keys {
        let holds = words(&key.holds).replace('|', "\\|");
        out.push_str(&format!("| `{}` | {holds} | {} | {} |\n", key.name, key.default, key.meaning));
    }
    out.push('\n');
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        inner(out, &path, &key.holds);
    }
}

fn inner(out: &mut String, path: &str, holds: &Type) {
    match holds {
        Type::Object(keys) => section(out, path, keys),
        Type::List(element) => inner(out, &format!("{path}[]"), element),
        Type::OneOf(forms) => forms.iter().for_each(|form| inner(out, path, form)),
        _ => {}
    }
}

fn words(holds: &Type) -> String {
    match holds {
        Type::Text => "text".to_owned(),
        Type::File => "path".to_owned(),
        Type::Bool => "true or false".to_owned(),
        Type::Int(from, to) if *to == u64::MAX => format!("whole number from {from}"),
        Type::Int(from, to) => format!("whole number {from} .. {to}"),
        Type::Number => "number".to_owned(),
        Type::Quantity => "quantity".to_owned(),
        Type::Duration => "duration".to_owned(),
        Type::Rate => "rate".to_owned(),
        Type::Share => "share".to_owned(),
        Type::Choice(list) => list.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Type::VaryingSize => "quantity or distribution".to_owned(),
        Type::VaryingTime => "duration or distribution".to_owned(),
        Type::List(element) => format!("list of {}", words(element)),
        Type::Map(element) => format!("mapping to {}", words(element)),
        Type::Object(_) => "mapping, below".to_owned(),
        Type::OneOf(forms) => forms.iter().map(words).collect::<Vec<_>>().join("; or "),
        Type::Any => "any value".to_owned(),
    }
}
