//! Small plots, drawn here as SVG: no script draws them, and they read aloud what they show.

use ramson_ipc::page::escape;
use std::fmt::Write as _;

/// Width and height of the picture, in its own units.
const SIZE: (f32, f32) = (360.0, 100.0);

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many of something.
    Count,
    /// Of a hundred.
    Percent,
    /// Bytes a second.
    Rate,
}

/// One line: its name and values, oldest first; `None` is a gap.
pub struct Line {
    /// What it is, plain text.
    pub name: &'static str,
    /// The values.
    pub values: Vec<Option<f32>>,
}

/// A number as a person reads it.
#[must_use]
pub fn said(value: f32, unit: Unit) -> String {
    match unit {
        Unit::Count => format!("{value:.0}"),
        Unit::Percent => format!("{value:.0} %"),
        Unit::Rate if value < 1000.0 => format!("{value:.0} B/s"),
        Unit::Rate if value < 1_000_000.0 => format!("{:.1} kB/s", value / 1000.0),
        Unit::Rate => format!("{:.1} MB/s", value / 1_000_000.0),
    }
}

/// The top of the scale: the next of 1, 2, 5 times a power of ten.
fn top(most: f32, unit: Unit) -> f32 {
    if unit == Unit::Percent {
        return 100.0;
    }
    let mut step = if unit == Unit::Count { 1.0 } else { 1000.0 };
    while step < 1e12 {
        for factor in [1.0, 2.0, 5.0] {
            if step * factor >= most && step * factor >= 2.0 {
                return step * factor;
            }
        }
        step *= 10.0;
    }
    step
}

/// A figure with up to three lines over a time of `len` samples that ends now; `span` says which.
#[must_use]
pub fn plot(title: &str, span: &str, unit: Unit, len: usize, lines: &[Line]) -> String {
    let all = lines.iter().flat_map(|l| l.values.iter().flatten());
    let most = all.fold(0.0f32, |most, v| most.max(*v));
    let top = top(most, unit);
    let mut now = String::new();
    for line in lines {
        let value = line.values.last().copied().flatten();
        let value = value.map_or("unknown".into(), |v| said(v, unit));
        let comma = if now.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match lines.len() {
            1 => write!(now, "{value}"),
            _ => write!(now, "{comma}{} {value}", line.name),
        };
    }
    let (w, h) = SIZE;
    let mut out = format!(
        "<figure class=\"plot\"><figcaption>{}<b>{}</b></figcaption>\
         <svg viewBox=\"0 0 {w} {h}\" role=\"img\" \
         aria-label=\"{}: now {}, at most {} in the last {}\">",
        escape(title),
        escape(&now),
        escape(title),
        escape(&now),
        escape(&said(most, unit)),
        escape(span),
    );
    for y in [0.5, h / 2.0, h - 0.5] {
        let _ = write!(out, "<path class=\"grid\" d=\"M0 {y}H{w}\"/>");
    }
    for (n, line) in lines.iter().enumerate() {
        let _ = write!(
            out,
            "<path class=\"line l{n}\" d=\"{}\"/>",
            path(line, len, top)
        );
    }
    let _ = write!(
        out,
        "<text x=\"2\" y=\"11\">{}</text><text x=\"2\" y=\"{}\">1 {} ago</text></svg>",
        escape(&said(top, unit)),
        h - 4.0,
        escape(span)
    );
    if lines.len() > 1 {
        out.push_str("<p class=\"legend\">");
        for (n, line) in lines.iter().enumerate() {
            let _ = write!(out, "<span class=\"l{n}\">{}</span> ", escape(line.name));
        }
        out.push_str("</p>");
    }
    out.push_str("</figure>");
    out
}

/// The drawing of one line: the last value at the right edge, interrupted where there is none.
fn path(line: &Line, len: usize, top: f32) -> String {
    let (w, h) = SIZE;
    let step = w / (len.max(2) - 1) as f32;
    let first = w - step * line.values.len().saturating_sub(1) as f32;
    let (mut out, mut drawing) = (String::new(), false);
    for (n, value) in line.values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let x = first + step * n as f32;
        let y = (h - 1.0) - (value / top).clamp(0.0, 1.0) * (h - 2.0);
        let _ = write!(out, "{}{x:.0} {y:.0}", if drawing { "L" } else { "M" });
        if !drawing {
            // A lone value is a dot.
            out.push_str("h1");
        }
        drawing = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Option<f32>]) -> Line {
        Line {
            name: "received",
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_line_ends_at_the_right_edge_and_gaps_interrupt_it() {
        let drawn = path(&line(&[Some(0.0), None, Some(5.0), Some(10.0)]), 361, 10.0);
        assert_eq!(drawn, "M357 99h1M359 50h1L360 1");
        assert_eq!(path(&line(&[]), 361, 10.0), "");
    }

    #[test]
    fn scales_are_round_and_numbers_readable() {
        assert_eq!(top(0.0, Unit::Count), 2.0);
        assert_eq!(top(37.0, Unit::Count), 50.0);
        assert_eq!(top(3.0, Unit::Percent), 100.0);
        assert_eq!(top(1500.0, Unit::Rate), 2000.0);
        assert!(top(f32::INFINITY, Unit::Rate).is_finite());
        assert_eq!(said(1_250_000.0, Unit::Rate), "1.2 MB/s");
        assert_eq!(said(999.4, Unit::Rate), "999 B/s");
        assert_eq!(said(12_345.0, Unit::Rate), "12.3 kB/s");
    }

    #[test]
    fn a_plot_says_in_words_what_it_shows() {
        let two = [line(&[Some(1000.0), Some(2500.0)]), line(&[None])];
        let svg = plot("Traffic", "hour", Unit::Rate, 360, &two);
        let label = "aria-label=\"Traffic: now received 2.5 kB/s, received unknown, at most \
                     2.5 kB/s in the last hour\"";
        assert!(svg.contains(label), "{svg}");
        assert!(!svg.contains("<script") && svg.ends_with("</p></figure>"));
    }
}
