//! Colours for code: a small scanner that knows comments, strings, numbers, keywords, types and calls of the common languages.
//!
//! It colours what it is sure of and leaves the rest as it is; it never fails and reads each character once.

/// What a stretch of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// What has no colour.
    Plain,
    /// A word of the language.
    Keyword,
    /// The name of a type.
    Type,
    /// The name of what is called.
    Call,
    /// A string or a character.
    Text,
    /// A number.
    Number,
    /// What the language passes over.
    Comment,
}

impl Ink {
    /// The class that colours it; empty for what has no colour.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Keyword => "k",
            Self::Type => "t",
            Self::Call => "f",
            Self::Text => "s",
            Self::Number => "n",
            Self::Comment => "c",
        }
    }
}

struct Language {
    names: &'static [&'static str],
    keywords: &'static [&'static str],
    /// What begins a comment that ends with its line.
    line: &'static [&'static str],
    /// What begins and ends a longer comment.
    block: Option<(&'static str, &'static str)>,
    /// Characters that begin and end a string.
    quotes: &'static [char],
}

const C_LIKE: &[&str] = &["//"];
const SLASH: Option<(&str, &str)> = Some(("/*", "*/"));

const LANGUAGES: &[Language] = &[
    Language {
        names: &["rust", "rs"],
        keywords: &[
            "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn", "for",
            "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self", "static",
            "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
        ],
        line: C_LIKE,
        block: SLASH,
        quotes: &['"'],
    },
    Language {
        names: &["python", "py", "python3"],
        keywords: &[
            "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
            "False", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match", "None", "nonlocal",
            "not", "or", "pass", "raise", "return", "True", "try", "while", "with", "yield",
        ],
        line: &["#"],
        block: None,
        quotes: &['"', '\''],
    },
    Language {
        names: &["javascript", "js", "jsx", "typescript", "ts", "tsx", "mjs"],
        keywords: &[
            "as",
            "async",
            "await",
            "break",
            "case",
            "catch",
            "class",
            "const",
            "continue",
            "default",
            "delete",
            "do",
            "else",
            "enum",
            "export",
            "extends",
            "false",
            "finally",
            "for",
            "from",
            "function",
            "if",
            "implements",
            "import",
            "in",
            "instanceof",
            "interface",
            "let",
            "new",
            "null",
            "of",
            "private",
            "public",
            "readonly",
            "return",
            "static",
            "super",
            "switch",
            "this",
            "throw",
            "true",
            "try",
            "type",
            "typeof",
            "undefined",
            "var",
            "void",
            "while",
            "yield",
        ],
        line: C_LIKE,
        block: SLASH,
        quotes: &['"', '\'', '`'],
    },
    Language {
        names: &[
            "c", "cpp", "c++", "cc", "h", "hpp", "java", "csharp", "cs", "kotlin", "kt", "swift", "go", "php", "scala", "dart",
            "zig",
        ],
        keywords: &[
            "abstract",
            "auto",
            "bool",
            "boolean",
            "break",
            "byte",
            "case",
            "catch",
            "chan",
            "char",
            "class",
            "const",
            "constexpr",
            "continue",
            "data",
            "default",
            "defer",
            "delete",
            "do",
            "double",
            "else",
            "enum",
            "export",
            "extends",
            "extern",
            "false",
            "final",
            "finally",
            "float",
            "for",
            "foreach",
            "fun",
            "func",
            "function",
            "go",
            "goto",
            "guard",
            "if",
            "implements",
            "import",
            "in",
            "inline",
            "int",
            "interface",
            "internal",
            "is",
            "let",
            "long",
            "map",
            "namespace",
            "new",
            "nil",
            "null",
            "nullptr",
            "object",
            "operator",
            "override",
            "package",
            "private",
            "protected",
            "public",
            "range",
            "return",
            "select",
            "short",
            "signed",
            "sizeof",
            "static",
            "string",
            "struct",
            "super",
            "switch",
            "template",
            "this",
            "throw",
            "throws",
            "true",
            "try",
            "type",
            "typedef",
            "typename",
            "union",
            "unsigned",
            "using",
            "val",
            "var",
            "virtual",
            "void",
            "volatile",
            "when",
            "while",
        ],
        line: C_LIKE,
        block: SLASH,
        quotes: &['"', '\''],
    },
    Language {
        names: &["bash", "sh", "shell", "zsh", "console", "fish"],
        keywords: &[
            "case", "do", "done", "echo", "elif", "else", "esac", "exit", "export", "fi", "for", "function", "if", "in", "local",
            "return", "set", "source", "sudo", "then", "unset", "until", "while",
        ],
        line: &["#"],
        block: None,
        quotes: &['"', '\''],
    },
    Language {
        names: &["sql", "sqlite", "postgres", "mysql"],
        keywords: &[
            "ADD",
            "ALTER",
            "AND",
            "AS",
            "ASC",
            "BETWEEN",
            "BY",
            "CASE",
            "CREATE",
            "DELETE",
            "DESC",
            "DISTINCT",
            "DROP",
            "ELSE",
            "END",
            "EXISTS",
            "FROM",
            "GROUP",
            "HAVING",
            "IN",
            "INDEX",
            "INNER",
            "INSERT",
            "INTO",
            "IS",
            "JOIN",
            "KEY",
            "LEFT",
            "LIKE",
            "LIMIT",
            "NOT",
            "NULL",
            "ON",
            "OR",
            "ORDER",
            "PRIMARY",
            "REFERENCES",
            "RIGHT",
            "SELECT",
            "SET",
            "TABLE",
            "THEN",
            "UNION",
            "UNIQUE",
            "UPDATE",
            "VALUES",
            "WHEN",
            "WHERE",
            "WITH",
        ],
        line: &["--"],
        block: SLASH,
        quotes: &['\'', '"'],
    },
    Language {
        names: &["json", "jsonc", "json5"],
        keywords: &["true", "false", "null"],
        line: C_LIKE,
        block: SLASH,
        quotes: &['"'],
    },
    Language {
        names: &["yaml", "yml", "toml", "ini", "dockerfile", "makefile", "ruby", "rb", "r", "perl", "nix", "elixir"],
        keywords: &[
            "true",
            "false",
            "null",
            "nil",
            "def",
            "end",
            "do",
            "class",
            "module",
            "if",
            "else",
            "elsif",
            "unless",
            "while",
            "return",
            "require",
            "FROM",
            "RUN",
            "CMD",
            "COPY",
            "ENV",
            "WORKDIR",
            "EXPOSE",
            "ENTRYPOINT",
            "ARG",
            "let",
            "in",
            "function",
        ],
        line: &["#"],
        block: None,
        quotes: &['"', '\''],
    },
    Language {
        names: &["css", "scss", "less"],
        keywords: &["important", "media", "import", "supports", "keyframes"],
        line: &[],
        block: SLASH,
        quotes: &['"', '\''],
    },
    Language { names: &["html", "xml", "svg"], keywords: &[], line: &[], block: Some(("<!--", "-->")), quotes: &['"', '\''] },
    Language {
        names: &["lua", "haskell", "hs"],
        keywords: &[
            "and", "break", "case", "class", "data", "deriving", "do", "else", "elseif", "end", "false", "for", "function", "if",
            "import", "in", "instance", "let", "local", "module", "newtype", "nil", "not", "of", "or", "repeat", "return",
            "then", "true", "type", "until", "where", "while",
        ],
        line: &["--"],
        block: None,
        quotes: &['"', '\''],
    },
];

/// The code in stretches of one ink each; joined they are the code again.
pub fn highlight<'a>(language: &str, code: &'a str) -> Vec<(Ink, &'a str)> {
    let wanted = language.to_ascii_lowercase();
    match LANGUAGES.iter().find(|language| language.names.contains(&wanted.as_str())) {
        Some(language) => Scan { language, code, at: 0, out: Vec::new() }.run(),
        None => vec![(Ink::Plain, code)],
    }
}

struct Scan<'a> {
    language: &'static Language,
    code: &'a str,
    at: usize,
    out: Vec<(Ink, &'a str)>,
}

impl<'a> Scan<'a> {
    fn run(mut self) -> Vec<(Ink, &'a str)> {
        while let Some(first) = self.rest().chars().next() {
            let (ink, length) = self.next(first);
            let (from, to) = (self.at, self.at + length.max(first.len_utf8()));
            let Some(stretch) = self.code.get(from..to) else { break };
            self.at = to;
            match self.out.last_mut() {
                // Neighbours of the same ink are one stretch.
                Some((before, text)) if *before == ink => *text = self.code.get(from - text.len()..to).unwrap_or(text),
                _ => self.out.push((ink, stretch)),
            }
        }
        self.out
    }

    fn rest(&self) -> &'a str {
        self.code.get(self.at..).unwrap_or_default()
    }

    fn next(&self, first: char) -> (Ink, usize) {
        let rest = self.rest();
        if self.language.line.iter().any(|start| rest.starts_with(start)) && self.may_begin_comment(first) {
            return (Ink::Comment, rest.find('\n').unwrap_or(rest.len()));
        }
        if let Some((start, end)) = self.language.block
            && let Some(inside) = rest.strip_prefix(start)
        {
            return (Ink::Comment, inside.find(end).map_or(rest.len(), |at| start.len() + at + end.len()));
        }
        if self.language.quotes.contains(&first) {
            return (Ink::Text, string(rest, first));
        }
        if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
            // `1..2` and `1.` at a sentence's end are no numbers with a point.
            let number = rest.get(..length).unwrap_or_default().trim_end_matches('.');
            return (Ink::Number, number.find("..").unwrap_or(number.len()));
        }
        if first.is_alphabetic() || first == '_' {
            return self.word(rest);
        }
        (Ink::Plain, first.len_utf8())
    }

    /// `#` within a word (`a#b`) begins none.
    fn may_begin_comment(&self, first: char) -> bool {
        let before = self.code.get(..self.at).and_then(|code| code.chars().next_back());
        first != '#' || before.is_none_or(char::is_whitespace)
    }

    fn word(&self, rest: &str) -> (Ink, usize) {
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let sql = self.language.names.contains(&"sql");
        let keyword = self.language.keywords.iter().any(|one| *one == word || sql && one.eq_ignore_ascii_case(word));
        let after = rest.get(length..).unwrap_or_default();
        let ink = if keyword {
            Ink::Keyword
        } else if after.starts_with('(') || after.starts_with("!(") {
            Ink::Call
        } else if word.chars().next().is_some_and(char::is_uppercase) && word.chars().any(char::is_lowercase) {
            Ink::Type
        } else {
            Ink::Plain
        };
        (ink, length)
    }
}

/// The length of the string that `rest` begins with, its quotes included.
fn string(rest: &str, quote: char) -> usize {
    let long = quote.to_string().repeat(3);
    if let Some(inside) = rest.strip_prefix(&long) {
        return inside.find(&long).map_or(rest.len(), |at| at + 6);
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // A string that ends with its line was none: an apostrophe, a lifetime.
            '\n' if quote != '`' => return at,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests;
