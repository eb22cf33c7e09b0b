//! The words of idb statements.

use anyhow::{Result, bail};

/// A word, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a keyword or a number.
    Word(String),
    /// What stood between quotes.
    Text(String),
    /// `(` `)` `,` `;` `=` or `!=`.
    Sign(&'static str),
}

/// Cuts a script into words. A string has no escapes: it ends at the next quote, and must end on its line.
pub(super) fn words(script: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    for (index, text) in script.lines().enumerate() {
        let line = index + 1;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (kind, length) = match first {
                '"' => {
                    let Some(end) = rest[1..].find('"') else {
                        bail!("line {line}: a string without its end")
                    };
                    (Kind::Text(rest[1..=end].to_owned()), end + 2)
                }
                '(' => (Kind::Sign("("), 1),
                ')' => (Kind::Sign(")"), 1),
                ',' => (Kind::Sign(","), 1),
                ';' => (Kind::Sign(";"), 1),
                '=' => (Kind::Sign("="), 1),
                '!' if rest[1..].starts_with('=') => (Kind::Sign("!="), 2),
                c if is_of_word(c) => {
                    let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                    (Kind::Word(rest[..end].to_owned()), end)
                }
                c => bail!("line {line}: {c:?} has no meaning here"),
            };
            tokens.push(Token { kind, line });
            rest = rest[length..].trim_start();
        }
    }
    Ok(tokens)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-'
}
