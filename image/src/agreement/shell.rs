//! Which programs and paths a plain shell script names. Not a shell: it understands the few forms
//! that the image's scripts are written in, and what it does not understand it takes for a command,
//! which then is found missing.

/// Words of the shell itself, and what it does without a program.
const BUILT_IN: &[&str] = &[
    "[", "break", "case", "cd", "continue", "do", "done", "echo", "elif", "else", "esac", "exec",
    "exit", "export", "fi", "for", "if", "in", "pwd", "read", "return", "set", "shift", "then",
    "ulimit", "until", "while", "{", "}", "!",
];

/// Words after which a command follows.
const BEFORE: &[&str] = &[
    "if", "elif", "while", "until", "then", "else", "do", "exec", "!", "{",
];

/// Programs that a script, or the lines of an inittab, run. Functions of the script are not among
/// them.
pub fn commands(text: &str, inittab: bool) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let line = if inittab {
            line.splitn(4, ':').nth(3).unwrap_or_default()
        } else {
            line
        };
        for part in parts(line) {
            command(&part, &mut found);
        }
    }
    let functions: Vec<&str> = text
        .lines()
        .filter_map(|l| l.split_once("() {").map(|f| f.0))
        .collect();
    found.retain(|name| !functions.contains(&name.as_str()));
    found
}

/// The parts of a line that are commands of their own; text in quotes is none, but what is
/// substituted into it is.
fn parts(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('$', q) if q != Some('\'') && chars.peek() == Some(&'(') => {
                chars.next();
                parts.push(String::new());
                // A substitution ends where its bracket does; ours have no quotes in them that
                // hold one.
                let mut depth = 1;
                let inner: String = chars
                    .by_ref()
                    .take_while(|c| {
                        depth += i32::from(*c == '(') - i32::from(*c == ')');
                        depth > 0
                    })
                    .collect();
                // With two brackets it is a number that is reckoned.
                if !inner.starts_with('(') {
                    parts.extend(self::parts(&inner));
                }
                parts.push("_".to_owned()); // what follows is no command
            }
            ('\'' | '"', None) => quote = Some(c),
            ('\'' | '"', Some(q)) if q == c => quote = None,
            (_, Some(_)) => {}
            ('#', None) if parts.last().is_some_and(|p| p.ends_with(' ')) => break,
            ('&' | '|' | ';' | '(' | ')', None) => parts.push(String::new()),
            _ => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    parts
}

/// The program of one part.
fn command(part: &str, found: &mut Vec<String>) {
    for word in part.split_whitespace() {
        let assigns = word.split_once('=').is_some_and(|(name, _)| is_name(name));
        let redirects = word.contains(['<', '>']);
        if BEFORE.contains(&word) || assigns || redirects {
            continue;
        }
        if !BUILT_IN.contains(&word) && is_program(word) {
            found.push(word.to_owned());
        }
        return;
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A word that can be the name of a program; patterns of a case and what is left of quotes are not.
fn is_program(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
        && !word.contains('=')
}

/// Absolute paths without variables in them.
pub fn paths(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || "/-_.$".contains(c))));
    words
        .map(|word| word.trim_end_matches(['/', '.']))
        .filter(|word| word.len() > 1 && word.starts_with('/') && !word.contains('$'))
        .filter(|word| !word.starts_with("//"))
        .map(str::to_owned)
        .collect()
}
