//! Which line of the text an error is about.

/// The key that a line sets, with its section.
pub(super) fn key_at(text: &str, line: usize) -> Option<String> {
    let lines: Vec<_> = text.lines().map(str::trim).take(line).collect();
    let (key, _) = lines.last()?.split_once('=')?;
    let mut headers = lines.iter().rev().filter_map(|l| l.strip_prefix('['));
    let section = headers.next()?.split(']').next()?;
    Some(format!("{}.{}", section.trim(), key.trim()))
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Line of a key, of its section when the key is left to its default, or of the end.
pub(super) fn line_of(text: &str, section: &str, key: &str) -> usize {
    let (mut inside, mut header, mut count) = (false, None, 0);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        count = n + 1;
        if let Some(name) = line.strip_prefix('[') {
            inside = name
                .split(']')
                .next()
                .is_some_and(|name| name.trim() == section);
            if inside {
                header = Some(count);
            }
        } else if inside
            && line
                .split('=')
                .next()
                .is_some_and(|left| left.trim() == key)
        {
            return count;
        }
    }
    header.unwrap_or(count)
}
