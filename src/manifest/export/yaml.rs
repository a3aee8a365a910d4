//! JSON values as YAML in block style.

use serde_json::Value;

/// Appends a document.
pub fn write(value: &Value, out: &mut String) {
    block(value, 0, out);
}

fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                indent(depth, out);
                scalar(key, out);
                out.push(':');
                member(value, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(depth, out);
                out.push('-');
                element(item, depth, out);
            }
        }
        flat => {
            indent(depth, out);
            inline(flat, out);
            out.push('\n');
        }
    }
}

/// What stands behind `key:`.
fn member(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(value, depth + 1, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(value, depth, out);
        }
        flat => {
            out.push(' ');
            inline(flat, out);
            out.push('\n');
        }
    }
}

/// What stands behind `-`: the first key of a mapping on the same line.
fn element(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index == 0 {
                    out.push(' ');
                } else {
                    indent(depth + 1, out);
                }
                scalar(key, out);
                out.push(':');
                member(value, depth + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(value, depth + 1, out);
        }
        flat => {
            out.push(' ');
            inline(flat, out);
            out.push('\n');
        }
    }
}

fn inline(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(text) => scalar(text, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A text: plain where no reader could take it for anything else, in double quotes with JSON's escapes otherwise.
fn scalar(text: &str, out: &mut String) {
    let plain_inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let first = text.bytes().next();
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = first.is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(plain_inside)
        && !words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain {
        out.push_str(text);
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_blocks_and_quotes_what_is_not_plain() {
        let value = json!({
            "a": {"b": "x", "empty": {}, "none": []},
            "list": [{"k": "1", "l": [1, 2]}, "two words", [["deep"]], {}],
            "kubernetes.io/hostname": "db-0",
            "off": "yes",
        });
        let mut text = String::new();
        write(&value, &mut text);
        let want = "a:\n  b: x\n  empty: {}\n  none: []\nkubernetes.io/hostname: db-0\nlist:\n- k: \"1\"\n  l:\n  - 1\n  - 2\n\
                    - \"two words\"\n-\n  -\n    - deep\n- {}\n\"off\": \"yes\"\n";
        assert_eq!(text, want);
    }
}
