//! The Python that values may hold: strings and `chr()` joined by `+` for delimiters, a dictionary for `debug`.

/// How deep a literal may be nested.
const MAX_DEPTH: usize = 16;

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(Vec<u8>),
    /// A list or a tuple.
    List(Vec<Literal>),
    /// A dictionary, in its order.
    Dict(Vec<(Literal, Literal)>),
}

/// Strings and `chr(CODE)`, joined by `+`. A code is 0 to 255, decimal, hexadecimal (0x), octal (0o or 0) or binary (0b).
pub fn bytes(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut scanner = Scanner { text, at: 0 };
    let mut joined = Vec::new();
    loop {
        match scanner.peek() {
            Some(b'"' | b'\'') => joined.extend(scanner.string()?),
            _ if scanner.word(b"chr") => joined.push(scanner.code()?),
            _ => return Err(scanner.expected("chr(CODE) or a \"string\"")),
        }
        match scanner.peek() {
            None => return Ok(joined),
            Some(b'+') => scanner.at += 1,
            Some(_) => return Err(scanner.expected("+ or the end")),
        }
    }
}

/// One literal and nothing else.
pub fn literal(text: &[u8]) -> Result<Literal, String> {
    let mut scanner = Scanner { text, at: 0 };
    let literal = scanner.literal(0)?;
    match scanner.peek() {
        None => Ok(literal),
        Some(_) => Err(scanner.expected("the end")),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expected(&mut self, what: &str) -> String {
        match self.peek() {
            Some(_) => format!("must have {what} at column {}", self.at + 1),
            None => format!("must have {what} at its end"),
        }
    }

    /// Passes this byte.
    fn pass(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.expected(&char::from(byte).to_string()))
    }

    /// Passes this word, if it is the next one.
    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let rest = &self.text[self.at..];
        let found = rest.starts_with(word) && !rest.get(word.len()).is_some_and(|byte| is_word(*byte));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// `(CODE)`, after `chr`.
    fn code(&mut self) -> Result<u8, String> {
        self.pass(b'(')?;
        self.peek();
        let start = self.at;
        while self.text.get(self.at).is_some_and(|byte| is_word(*byte)) {
            self.at += 1;
        }
        let digits = String::from_utf8_lossy(&self.text[start..self.at]).to_ascii_lowercase();
        let number = match digits.as_bytes() {
            [b'0', b'x', ..] => u8::from_str_radix(&digits[2..], 16),
            [b'0', b'b', ..] => u8::from_str_radix(&digits[2..], 2),
            [b'0', b'o', ..] => u8::from_str_radix(&digits[2..], 8),
            [b'0', _, ..] => u8::from_str_radix(&digits[1..], 8),
            _ => digits.parse(),
        };
        let code =
            number.map_err(|_| "must have a code from 0 to 255, such as 11 or 0x0b, in chr()".to_owned())?;
        self.pass(b')')?;
        Ok(code)
    }

    /// A string in either quotes, with Python's escapes.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        let quote = self.text[self.at];
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let byte = self.text.get(self.at).copied().filter(|byte| *byte != b'\n');
            let Some(byte) = byte else {
                return Err(format!("must have a closing {}; \" ;\" begins a comment", char::from(quote)));
            };
            self.at += 1;
            match byte {
                b'\\' => self.escape(&mut bytes)?,
                byte if byte == quote => return Ok(bytes),
                byte => bytes.push(byte),
            }
        }
    }

    /// What follows a backslash. Python keeps the backslash of an escape that it does not know.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let escape = self.text.get(self.at).copied().unwrap_or_default();
        let known = match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' => escape,
            b'x' => {
                let digits = self.text.get(self.at + 1..self.at + 3).unwrap_or_default();
                let digits =
                    std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                self.at += 2;
                code.filter(|_| self.at < self.text.len())
                    .ok_or_else(|| "must have two hexadecimal digits after \\x".to_owned())?
            }
            b'0'..=b'7' => {
                let digits =
                    self.text[self.at..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
                let digits: Vec<u8> = digits.copied().collect();
                self.at += digits.len() - 1;
                // Python 2 keeps the lower eight bits.
                (digits.iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0')) & 0xff) as u8
            }
            _ => {
                bytes.push(b'\\');
                return Ok(());
            }
        };
        self.at += 1;
        bytes.push(known);
        Ok(())
    }

    fn literal(&mut self, depth: usize) -> Result<Literal, String> {
        if depth > MAX_DEPTH {
            return Err(format!("must not be nested more than {MAX_DEPTH} deep"));
        }
        match self.peek() {
            Some(b'{') => self.dict(depth),
            Some(b'[') => self.list(b']', depth),
            Some(b'(') => self.list(b')', depth),
            Some(b'"' | b'\'') => self.string().map(Literal::Text),
            _ if self.word(b"True") => Ok(Literal::Bool(true)),
            _ if self.word(b"False") => Ok(Literal::Bool(false)),
            _ if self.word(b"None") => Ok(Literal::None),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => self.number(),
            _ => Err(self.expected("\"text\", a number, True or False")),
        }
    }

    fn number(&mut self) -> Result<Literal, String> {
        let start = self.at;
        let of_number = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-' | b'+');
        while self.text.get(self.at).is_some_and(|byte| of_number(*byte)) {
            self.at += 1;
        }
        let digits = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Literal::Number).ok_or_else(|| format!("must have a number at column {}", start + 1))
    }

    fn dict(&mut self, depth: usize) -> Result<Literal, String> {
        let mut entries = Vec::new();
        self.at += 1;
        while self.peek() != Some(b'}') {
            let key = self.literal(depth + 1)?;
            self.pass(b':')?;
            entries.push((key, self.literal(depth + 1)?));
            self.separator(b'}')?;
        }
        self.at += 1;
        Ok(Literal::Dict(entries))
    }

    fn list(&mut self, close: u8, depth: usize) -> Result<Literal, String> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek() != Some(close) {
            items.push(self.literal(depth + 1)?);
            self.separator(close)?;
        }
        self.at += 1;
        Ok(Literal::List(items))
    }

    /// A comma, unless the closing bracket comes next.
    fn separator(&mut self, close: u8) -> Result<(), String> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == close => {}
            _ => return Err(self.expected(&format!(", or {}", char::from(close)))),
        }
        Ok(())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
